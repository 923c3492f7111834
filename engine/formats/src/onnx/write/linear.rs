//! Convolutions, pools, products of matrices and norms.

use ir::ops::{
    Activation, AveragePool2d, BatchNorm, Conv2d, DepthwiseConv2d, FullyConnected, LayerNorm, MatMul, MaxPool2d,
    Padding, TransposeConv2d,
};
use ir::{Constant, Node};

use super::elementwise::floats;
use super::values::{Emitter, Lies};
use super::{attributes, place};
use crate::FormatError;
use crate::onnx::{proto, unsupported};

type Done = Result<(), FormatError>;

/// All beginnings, then all ends.
fn pads(padding: Padding) -> proto::Attribute {
    let Padding {
        top,
        bottom,
        left,
        right,
    } = padding;
    attributes::ints("pads", &[top, left, bottom, right])
}

impl Emitter<'_> {
    /// Activations channels-first, permuted weights and the bias of a convolution.
    fn convolved(&mut self, node: &Node, perm: &[usize]) -> Result<Vec<String>, FormatError> {
        let mut inputs = vec![self.real(node, node.inputs[0], Lies::First)?];
        inputs.push(self.weights(node, node.inputs[1], perm)?);
        if let Some(&bias) = node.inputs.get(2) {
            inputs.push(self.real(node, bias, Lies::Plain)?);
        }
        Ok(inputs)
    }

    fn put_first(
        &mut self,
        node: &Node,
        op: &str,
        inputs: &[String],
        attribute: Vec<proto::Attribute>,
        activation: Activation,
    ) -> Done {
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        self.put(node, op, &inputs, attribute, Lies::First, activation)
    }

    /// Rows and columns of weights that hold them in the middle.
    fn kernel(&self, node: &Node) -> [usize; 2] {
        let dims = self.dims(node.inputs[1]);
        [dims[1], dims[2]]
    }

    pub fn conv2d(&mut self, node: &Node, op: &Conv2d) -> Done {
        let inputs = self.convolved(node, &[0, 3, 1, 2])?;
        let attribute = vec![
            attributes::ints("dilations", &op.dilation),
            attributes::int("group", op.groups as i64),
            attributes::ints("kernel_shape", &self.kernel(node)),
            pads(op.padding),
            attributes::ints("strides", &op.stride),
        ];
        self.put_first(node, "Conv", &inputs, attribute, op.activation)
    }

    pub fn depthwise_conv2d(&mut self, node: &Node, op: &DepthwiseConv2d) -> Done {
        let inputs = self.convolved(node, &[3, 0, 1, 2])?;
        let attribute = vec![
            attributes::ints("dilations", &op.dilation),
            attributes::int("group", self.dims(node.inputs[0])[3] as i64),
            attributes::ints("kernel_shape", &self.kernel(node)),
            pads(op.padding),
            attributes::ints("strides", &op.stride),
        ];
        self.put_first(node, "Conv", &inputs, attribute, op.activation)
    }

    pub fn transpose_conv2d(&mut self, node: &Node, op: &TransposeConv2d) -> Done {
        if (0..2).any(|i| op.output_padding[i] >= op.stride[i].max(1) && op.output_padding[i] > 0) {
            let problem = format!(
                "output padding {:?} is not less than the stride {:?}",
                op.output_padding, op.stride
            );
            return Err(unsupported(
                place(node),
                problem,
                "use an output padding smaller than the stride",
            ));
        }
        let inputs = self.convolved(node, &[3, 0, 1, 2])?;
        let attribute = vec![
            attributes::ints("kernel_shape", &self.kernel(node)),
            attributes::ints("output_padding", &op.output_padding),
            pads(op.padding),
            attributes::ints("strides", &op.stride),
        ];
        self.put_first(node, "ConvTranspose", &inputs, attribute, op.activation)
    }

    pub fn max_pool2d(&mut self, node: &Node, op: &MaxPool2d) -> Done {
        let x = self.real(node, node.inputs[0], Lies::First)?;
        let attribute = vec![
            attributes::ints("kernel_shape", &op.kernel),
            pads(op.padding),
            attributes::ints("strides", &op.stride),
        ];
        self.put_first(node, "MaxPool", &[x], attribute, op.activation)
    }

    pub fn average_pool2d(&mut self, node: &Node, op: &AveragePool2d) -> Done {
        let x = self.real(node, node.inputs[0], Lies::First)?;
        let attribute = vec![
            attributes::int("count_include_pad", 0),
            attributes::ints("kernel_shape", &op.kernel),
            pads(op.padding),
            attributes::ints("strides", &op.stride),
        ];
        self.put_first(node, "AveragePool", &[x], attribute, op.activation)
    }

    /// `Gemm` of two dimensions; a product and a sum of more.
    pub fn fully_connected(&mut self, node: &Node, op: &FullyConnected) -> Done {
        let x = self.real(node, node.inputs[0], Lies::Plain)?;
        let bias = node
            .inputs
            .get(2)
            .map(|&b| self.real(node, b, Lies::Plain))
            .transpose()?;
        if self.rank(node.inputs[0]) == 2 {
            let weights = self.weights(node, node.inputs[1], &[0, 1])?;
            let mut inputs = vec![x.as_str(), weights.as_str()];
            inputs.extend(bias.as_deref());
            let attribute = vec![attributes::int("transB", 1)];
            return self.put(node, "Gemm", &inputs, attribute, Lies::Plain, op.activation);
        }
        let weights = self.weights(node, node.inputs[1], &[1, 0])?;
        let Some(bias) = bias else {
            return self.put(node, "MatMul", &[&x, &weights], Vec::new(), Lies::Plain, op.activation);
        };
        let product = self.inner(&format!("{}/product", node.name), "MatMul", &[&x, &weights], Vec::new());
        self.put(node, "Add", &[&product, &bias], Vec::new(), Lies::Plain, op.activation)
    }

    pub fn mat_mul(&mut self, node: &Node, op: &MatMul) -> Done {
        let mut inputs = Vec::new();
        for (&id, swapped) in node.inputs.iter().zip([op.adjoint_a, op.adjoint_b]) {
            let rank = self.rank(id);
            let mut perm: Vec<usize> = (0..rank).collect();
            if swapped {
                perm.swap(rank - 1, rank - 2);
            }
            inputs.push(if self.constant(id).is_some() || swapped {
                self.weights(node, id, &perm)?
            } else {
                self.real(node, id, Lies::Plain)?
            });
        }
        self.put(
            node,
            "MatMul",
            &[&inputs[0], &inputs[1]],
            Vec::new(),
            Lies::Plain,
            Activation::None,
        )
    }

    /// `BatchNormalization`, whose channels are dimension 1; of other ranks the product and sum that it is.
    pub fn batch_norm(&mut self, node: &Node, op: &BatchNorm) -> Done {
        let rank = self.rank(node.inputs[0]);
        if matches!(rank, 2 | 4) {
            let lies = if rank == 4 { Lies::First } else { Lies::Plain };
            let mut inputs = vec![self.real(node, node.inputs[0], lies)?];
            for &id in &node.inputs[1..] {
                inputs.push(self.real(node, id, Lies::Plain)?);
            }
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let attribute = vec![attributes::float("epsilon", op.epsilon)];
            return self.put(node, "BatchNormalization", &inputs, attribute, lies, Activation::None);
        }
        let values = |i: usize| floats(self.constant(node.inputs[i]));
        let (Some(gamma), Some(beta), Some(mean), Some(variance)) = (values(1), values(2), values(3), values(4)) else {
            return Err(unsupported(
                place(node),
                "its statistics are no float constants",
                "fold the graph first",
            ));
        };
        let scale: Vec<f64> = (0..gamma.len())
            .map(|i| f64::from(gamma[i]) / (f64::from(variance[i]) + f64::from(op.epsilon)).sqrt())
            .collect();
        let offset = (0..gamma.len())
            .map(|i| (f64::from(beta[i]) - f64::from(mean[i]) * scale[i]) as f32)
            .collect();
        let vector = |values: Vec<f32>| Constant::f32([values.len()], values).expect("one value a channel");
        let (scale, offset) = (vector(scale.iter().map(|&s| s as f32).collect()), vector(offset));
        let x = self.real(node, node.inputs[0], Lies::Plain)?;
        let scale = self.store(&format!("{}/scale", node.name), &scale);
        let offset = self.store(&format!("{}/offset", node.name), &offset);
        let scaled = self.inner(&format!("{}/scaled", node.name), "Mul", &[&x, &scale], Vec::new());
        self.put(
            node,
            "Add",
            &[&scaled, &offset],
            Vec::new(),
            Lies::Plain,
            Activation::None,
        )
    }

    pub fn layer_norm(&mut self, node: &Node, op: &LayerNorm) -> Done {
        let mut inputs = Vec::new();
        for &id in &node.inputs {
            inputs.push(self.real(node, id, Lies::Plain)?);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let attribute = vec![
            attributes::int("axis", op.axis as i64),
            attributes::float("epsilon", op.epsilon),
        ];
        self.put(
            node,
            "LayerNormalization",
            &inputs,
            attribute,
            Lies::Plain,
            Activation::None,
        )
    }
}

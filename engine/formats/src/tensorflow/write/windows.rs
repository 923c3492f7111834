//! Operators that slide a window over rows and columns.
//!
//! What TensorFlow's graph optimizer makes of them is to be minded, too: it fuses a convolution with the bias behind it, and its fused
//! kernels take less than the plain ones. Tried with TensorFlow 2.21: a depthwise convolution with explicit padding aborts the process, one in groups
//! is refused.

use ir::ops::{AveragePool2d, Conv2d, DepthwiseConv2d, MaxPool2d, Padding, TransposeConv2d};
use ir::{Constant, Op};

use super::super::proto::attribute::Value;
use super::super::proto::dtype;
use super::nodes::{int, list, text};
use super::operators::{Call, FLOAT};
use crate::FormatError;

impl Call<'_> {
    pub(super) fn conv(&mut self, op: &Conv2d) -> Result<Vec<String>, FormatError> {
        let (x, w) = (self.input(0)?, self.weight(1, &[1, 2, 3, 0])?);
        let window = self.window(op.stride, op.dilation, op.padding, 1);
        let y = self.add("Conv2D", &[x, w], &window);
        self.finished(y, op.activation)
    }

    pub(super) fn max_pool(&mut self, op: &MaxPool2d) -> Result<Vec<String>, FormatError> {
        let mut attributes = self.window(op.stride, [1, 1], op.padding, 0);
        attributes.push(("ksize", list(&[1, op.kernel[0], op.kernel[1], 1])));
        let x = self.input(0)?;
        let y = self.add("MaxPool", &[x], &attributes);
        Ok(vec![self.clamped(y, op.activation)])
    }

    pub(super) fn average_pool(&mut self, op: &AveragePool2d) -> Result<Vec<String>, FormatError> {
        let [_, h, w, _] = self.image();
        let same = Padding::same([h, w], op.kernel, op.stride, [1, 1]);
        if op.padding != Padding::NONE && op.padding != same {
            return Err(self.refuse(
                format!("TensorFlow averages with padding SAME or VALID, not {:?}", op.padding),
                "export it as `.onnx`",
            ));
        }
        let padding = if op.padding == Padding::NONE { "VALID" } else { "SAME" };
        let attributes = [
            FLOAT,
            ("ksize", list(&[1, op.kernel[0], op.kernel[1], 1])),
            ("strides", list(&[1, op.stride[0], op.stride[1], 1])),
            ("padding", text(padding)),
        ];
        let x = self.input(0)?;
        let y = self.add("AvgPool", &[x], &attributes);
        Ok(vec![self.clamped(y, op.activation)])
    }

    /// `[N, H, W, C]` of the first input of an operator that takes nothing else.
    fn image(&self) -> [usize; 4] {
        self.graph.tensor(self.node.inputs[0]).ty.shape.nhwc().unwrap_or([1; 4])
    }

    /// The attributes of a sliding window; input `kernel` is the filter `[O, kh, kw, I]`, 0 where there is none.
    fn window(
        &self,
        stride: [usize; 2],
        dilation: [usize; 2],
        padding: Padding,
        kernel: usize,
    ) -> Vec<(&'static str, Value)> {
        let [_, h, w, _] = self.image();
        let size = match (kernel, &self.node.op) {
            (0, Op::MaxPool2d(op)) => op.kernel,
            _ => [self.dims(kernel)[1], self.dims(kernel)[2]],
        };
        let mut attributes = vec![FLOAT, ("strides", list(&[1, stride[0], stride[1], 1]))];
        if dilation != [1, 1] {
            attributes.push(("dilations", list(&[1, dilation[0], dilation[1], 1])));
        }
        attributes.extend(edges(padding, Padding::same([h, w], size, stride, dilation)));
        attributes
    }

    pub(super) fn depthwise(&mut self, op: &DepthwiseConv2d) -> Result<Vec<String>, FormatError> {
        if op.stride[0] != op.stride[1] || op.dilation != [1, 1] {
            let problem = format!(
                "TensorFlow has no depthwise convolution of stride {:?}, dilation {:?}",
                op.stride, op.dilation
            );
            return Err(self.refuse(problem, "export it as `.onnx` or `.tflite`"));
        }
        let (channels, dims) = (self.dims(0)[3], self.dims(1).to_vec());
        let weight = self.graph.constant_data(self.node.inputs[1]).and_then(Constant::as_f32);
        let Some(values) = weight else {
            return Err(self.refuse("its weights are computed, or no floats", "export it as `.tflite`"));
        };
        let name = &self.graph.tensor(self.node.inputs[1]).name;
        let shape = [dims[1], dims[2], channels, dims[3] / channels];
        let w = self.nodes.floats(name, &shape, values);
        let mut x = self.input(0)?;
        let mut window = self.window(op.stride, op.dilation, op.padding, 1);
        if window.iter().any(|(name, _)| *name == "explicit_paddings") {
            // TensorFlow fuses an explicitly padded one with the bias behind it, and aborts.
            x = self.padded(x, op.padding);
            window = self.window(op.stride, op.dilation, Padding::NONE, 1);
        }
        let y = self.add("DepthwiseConv2dNative", &[x, w], &window);
        self.finished(y, op.activation)
    }

    /// `x` with zeros around rows and columns.
    fn padded(&mut self, x: String, padding: Padding) -> String {
        let Padding {
            top,
            bottom,
            left,
            right,
        } = padding;
        let edges = [0, 0, top, bottom, left, right, 0, 0].map(|n| n as i64);
        let name = format!("{}/paddings", self.node.name);
        let paddings = self.nodes.ints(&name, &[4, 2], &edges);
        self.part(
            "padded",
            "Pad",
            &[x, paddings],
            &[FLOAT, ("Tpaddings", Value::Type(dtype::INT32))],
        )
    }

    pub(super) fn transpose_conv(&mut self, op: &TransposeConv2d) -> Result<Vec<String>, FormatError> {
        let out = self.output_dims().to_vec();
        let w = self.weight(1, &[1, 2, 0, 3])?;
        let x = self.input(0)?;
        // The number of samples is known when it runs.
        let shape = self.part("shape_of_input", "Shape", std::slice::from_ref(&x), &[FLOAT]);
        let (zero, one) = (self.ints("zero", &[0]), self.ints("one", &[1]));
        let attributes = [("T", Value::Type(dtype::INT32)), ("Index", Value::Type(dtype::INT32))];
        let samples = self.part(
            "samples",
            "StridedSlice",
            &[shape, zero.clone(), one.clone(), one],
            &attributes,
        );
        let rest = self.ints("rest", &[out[1] as i64, out[2] as i64, out[3] as i64]);
        let axis = self.nodes.ints(&format!("{}/axis", self.node.name), &[], &[0]);
        let kinds = [
            ("T", Value::Type(dtype::INT32)),
            ("N", int(2)),
            ("Tidx", Value::Type(dtype::INT32)),
        ];
        let sizes = self.part("sizes", "ConcatV2", &[samples, rest, axis], &kinds);
        let kernel = [self.dims(1)[1], self.dims(1)[2]];
        let mut attributes = vec![FLOAT, ("strides", list(&[1, op.stride[0], op.stride[1], 1]))];
        // The padding is that of the convolution from the output to the input.
        attributes.extend(edges(
            op.padding,
            Padding::same([out[1], out[2]], kernel, op.stride, [1, 1]),
        ));
        let y = self.add("Conv2DBackpropInput", &[sizes, w, x], &attributes);
        self.finished(y, op.activation)
    }
}

/// `padding` in TensorFlow's words; `same` is what `SAME` would mean.
fn edges(padding: Padding, same: Padding) -> Vec<(&'static str, Value)> {
    let Padding {
        top,
        bottom,
        left,
        right,
    } = padding;
    if padding == Padding::NONE {
        vec![("padding", text("VALID"))]
    } else if padding == same {
        vec![("padding", text("SAME"))]
    } else {
        vec![
            ("padding", text("EXPLICIT")),
            ("explicit_paddings", list(&[0, 0, top, bottom, left, right, 0, 0])),
        ]
    }
}

//! Nodes of the IR as nodes of TensorFlow.

use std::collections::HashMap;

use ir::ops::{Activation, Coordinates, Function, Interpolation, PadMode};
use ir::{Constant, Graph, Node, Op, Place, Samples, TensorId};

use super::super::proto::attribute::Value;
use super::super::proto::dtype;
use super::super::unsupported;
use super::element;
use super::nodes::{Attributes, Nodes, int, text};
use crate::FormatError;
use crate::functions::{TensorFlow, spelling};

/// The type attribute of operators on floats.
pub(super) const FLOAT: (&str, Value) = ("T", Value::Type(dtype::FLOAT));

/// What a tensor is called; constants are added when they are first read.
pub(super) fn reference(
    graph: &Graph,
    id: TensorId,
    nodes: &mut Nodes,
    references: &mut HashMap<TensorId, String>,
) -> Result<String, FormatError> {
    if let Some(known) = references.get(&id) {
        return Ok(known.clone());
    }
    let tensor = graph.tensor(id);
    let place = || format!("tensor `{}`", tensor.name);
    let Some(data) = &tensor.data else {
        return Err(unsupported(
            place(),
            "is made by no node",
            "report it: the graph is not sound",
        ));
    };
    let kind = element(data.element()).ok_or_else(|| {
        unsupported(
            place(),
            format!("is of type {}", data.element()),
            "export integer networks as `.tflite`",
        )
    })?;
    let name = nodes.constant(&tensor.name, kind, data.dims(), data.to_le_bytes());
    references.insert(id, name.clone());
    Ok(name)
}

/// The dimension of a tensor that counts samples, if there may be any number of them.
pub(super) fn open(samples: &Samples, id: TensorId) -> Option<usize> {
    match samples.place(id) {
        Place::Along(axis) if samples.any_number() => Some(axis),
        _ => None,
    }
}

/// Adds the nodes of `node` and notes what its outputs are called.
pub(super) fn write(
    graph: &Graph,
    samples: &Samples,
    node: &Node,
    nodes: &mut Nodes,
    references: &mut HashMap<TensorId, String>,
) -> Result<(), FormatError> {
    let mut call = Call {
        graph,
        samples,
        node,
        nodes,
        references,
    };
    let outputs = call.outputs()?;
    references.extend(node.outputs.iter().copied().zip(outputs));
    Ok(())
}

pub(super) struct Call<'a> {
    pub graph: &'a Graph,
    samples: &'a Samples,
    pub node: &'a Node,
    pub nodes: &'a mut Nodes,
    references: &'a mut HashMap<TensorId, String>,
}

impl Call<'_> {
    pub(super) fn refuse(&self, problem: impl Into<String>, fix: &str) -> FormatError {
        unsupported(
            format!("node `{}` ({})", self.node.name, self.node.op.name()),
            problem,
            fix,
        )
    }

    pub(super) fn input(&mut self, i: usize) -> Result<String, FormatError> {
        let id = *self
            .node
            .inputs
            .get(i)
            .ok_or_else(|| self.refuse(format!("has no input {i}"), "report it"))?;
        reference(self.graph, id, self.nodes, self.references)
    }

    fn inputs(&mut self) -> Result<Vec<String>, FormatError> {
        (0..self.node.inputs.len()).map(|i| self.input(i)).collect()
    }

    pub(super) fn dims(&self, i: usize) -> &[usize] {
        self.graph.tensor(self.node.inputs[i]).ty.shape.dims()
    }

    pub(super) fn output_dims(&self) -> &[usize] {
        self.graph.tensor(self.node.output()).ty.shape.dims()
    }

    /// A float weight with its dimensions in another order.
    pub(super) fn weight(&mut self, i: usize, order: &[usize]) -> Result<String, FormatError> {
        let data = self
            .graph
            .constant_data(self.node.inputs[i])
            .and_then(|data| data.permuted(order));
        let Some(Constant::F32(weight)) = data else {
            let fix = "export it as `.tflite`, or the network from before `quantize`";
            return Err(self.refuse("its weights are computed, or no floats", fix));
        };
        let name = self.graph.tensor(self.node.inputs[i]).name.clone();
        let values: Vec<f32> = weight.iter().copied().collect();
        Ok(self.nodes.floats(&name, weight.shape(), &values))
    }

    /// The node that makes the output.
    pub(super) fn add(&mut self, op: &str, inputs: &[String], attributes: &Attributes<'_>) -> String {
        self.nodes.add(&self.node.name, op, inputs, &self.typed(attributes))
    }

    /// Attributes with the type that the node really makes: shapes and indices are integers.
    fn typed<'s>(&self, attributes: &Attributes<'s>) -> Vec<(&'s str, Value)> {
        let kind = element(self.graph.tensor(self.node.output()).ty.element).unwrap_or(dtype::FLOAT);
        let typed = |(name, value): &(&'s str, Value)| match *name {
            "T" | "Tparams" if *value == FLOAT.1 => (*name, Value::Type(kind)),
            _ => (*name, value.clone()),
        };
        attributes.iter().map(typed).collect()
    }

    /// A node on the way.
    pub(super) fn part(&mut self, part: &str, op: &str, inputs: &[String], attributes: &Attributes<'_>) -> String {
        let attributes = self.typed(attributes);
        self.nodes
            .add(&format!("{}/{part}", self.node.name), op, inputs, &attributes)
    }

    pub(super) fn ints(&mut self, part: &str, values: &[i64]) -> String {
        self.nodes
            .ints(&format!("{}/{part}", self.node.name), &[values.len()], values)
    }

    fn scalar(&mut self, part: &str, value: f32) -> String {
        self.nodes.floats(&format!("{}/{part}", self.node.name), &[], &[value])
    }

    /// `x` clamped as `activation` says.
    pub(super) fn clamped(&mut self, x: String, activation: Activation) -> String {
        match activation {
            Activation::None => x,
            Activation::Relu => self.part("relu", "Relu", &[x], &[FLOAT]),
            Activation::Relu6 => self.part("relu6", "Relu6", &[x], &[FLOAT]),
            Activation::ReluN1To1 => {
                let (low, high) = (self.scalar("low", -1.0), self.scalar("high", 1.0));
                let x = self.part("at_most", "Minimum", &[x, high], &[FLOAT]);
                self.part("at_least", "Maximum", &[x, low], &[FLOAT])
            }
        }
    }

    /// Bias and clamp behind a linear operator.
    pub(super) fn finished(&mut self, x: String, activation: Activation) -> Result<Vec<String>, FormatError> {
        let x = if self.node.inputs.len() > 2 {
            let bias = self.input(2)?;
            // A sum that is called a bias is fused with a convolution in groups, which the fused kernel refuses.
            let grouped = matches!(&self.node.op, Op::Conv2d(conv) if conv.groups > 1);
            let op = if grouped { "AddV2" } else { "BiasAdd" };
            self.part("bias", op, &[x, bias], &[FLOAT])
        } else {
            x
        };
        Ok(vec![self.clamped(x, activation)])
    }

    fn function(&mut self, function: Function) -> Result<Vec<String>, FormatError> {
        match spelling(function).tensorflow {
            TensorFlow::Operator(op) => {
                let x = self.input(0)?;
                let mut attributes = vec![FLOAT];
                if let Function::LeakyRelu { alpha } = function {
                    attributes.push(("alpha", Value::Float(alpha)));
                }
                Ok(vec![self.add(op, &[x], &attributes)])
            }
            TensorFlow::Clip => {
                let x = self.input(0)?;
                Ok(vec![self.clamped(x, function.clamp().unwrap_or_default())])
            }
            TensorFlow::HardSwish => {
                let (x, three, sixth) = (
                    self.input(0)?,
                    self.scalar("three", 3.0),
                    self.scalar("sixth", 1.0 / 6.0),
                );
                let shifted = self.part("shifted", "AddV2", &[x.clone(), three], &[FLOAT]);
                let clamped = self.part("clamped", "Relu6", &[shifted], &[FLOAT]);
                let scaled = self.part("scaled", "Mul", &[clamped, sixth], &[FLOAT]);
                Ok(vec![self.add("Mul", &[x, scaled], &[FLOAT])])
            }
            TensorFlow::Gelu { approximate } => self.gelu(approximate),
            TensorFlow::Missing => Err(self.no_such_operator()),
        }
    }

    fn no_such_operator(&self) -> FormatError {
        self.refuse(
            "TensorFlow has no such operator with these attributes",
            "export it as `.onnx`",
        )
    }

    fn unary(&mut self, op: &str) -> Result<Vec<String>, FormatError> {
        let x = self.input(0)?;
        Ok(vec![self.add(op, &[x], &[FLOAT])])
    }

    fn binary(&mut self, op: &str, activation: Activation) -> Result<Vec<String>, FormatError> {
        let inputs = self.inputs()?;
        let x = self.add(op, &inputs, &[FLOAT]);
        Ok(vec![self.clamped(x, activation)])
    }

    fn reduction(&mut self, op: &str, axes: &[usize], keep_dims: bool) -> Result<Vec<String>, FormatError> {
        let axes: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
        let (x, axes) = (self.input(0)?, self.ints("axes", &axes));
        let attributes = [
            FLOAT,
            ("Tidx", Value::Type(dtype::INT32)),
            ("keep_dims", Value::Bool(keep_dims)),
        ];
        Ok(vec![self.add(op, &[x, axes], &attributes)])
    }

    /// The shape of the output: any number of samples, if a dimension counts them.
    fn shape(&mut self, dims: &[usize]) -> String {
        let mut dims: Vec<i64> = dims.iter().map(|&d| d as i64).collect();
        if let Some(open) = open(self.samples, self.node.output()) {
            dims[open] = -1;
        }
        self.ints("shape", &dims)
    }

    fn reshaped(&mut self, x: String, dims: &[usize]) -> String {
        let shape = self.shape(dims);
        self.add("Reshape", &[x, shape], &[FLOAT, ("Tshape", Value::Type(dtype::INT32))])
    }

    fn outputs(&mut self) -> Result<Vec<String>, FormatError> {
        match &self.node.op {
            Op::Conv2d(op) => self.conv(op),
            Op::DepthwiseConv2d(op) => self.depthwise(op),
            Op::TransposeConv2d(op) => self.transpose_conv(op),
            Op::FullyConnected(op) => {
                let (mut x, w) = (self.input(0)?, self.input(1)?);
                let (dims, out) = (self.dims(0).to_vec(), self.output_dims().to_vec());
                let features = dims.last().copied().unwrap_or(1);
                if dims.len() != 2 {
                    let shape = self.ints("rows", &[-1, features as i64]);
                    let attributes = [FLOAT, ("Tshape", Value::Type(dtype::INT32))];
                    x = self.part("flat", "Reshape", &[x, shape], &attributes);
                }
                let mut y = self.add("MatMul", &[x, w], &[FLOAT, ("transpose_b", Value::Bool(true))]);
                if self.node.inputs.len() > 2 {
                    let bias = self.input(2)?;
                    y = self.part("bias", "BiasAdd", &[y, bias], &[FLOAT]);
                }
                y = self.clamped(y, op.activation);
                Ok(vec![if dims.len() == 2 { y } else { self.reshaped(y, &out) }])
            }
            Op::MatMul(op) => {
                let inputs = self.inputs()?;
                let attributes = [
                    FLOAT,
                    ("adj_x", Value::Bool(op.adjoint_a)),
                    ("adj_y", Value::Bool(op.adjoint_b)),
                ];
                Ok(vec![self.add("BatchMatMulV2", &inputs, &attributes)])
            }
            Op::Function(function) => self.function(*function),
            Op::PRelu(_) => {
                // relu(x) − alpha · relu(−x)
                let (x, alpha) = (self.input(0)?, self.input(1)?);
                let above = self.part("above", "Relu", std::slice::from_ref(&x), &[FLOAT]);
                let negative = self.part("negative", "Neg", &[x], &[FLOAT]);
                let below = self.part("below", "Relu", &[negative], &[FLOAT]);
                let scaled = self.part("scaled", "Mul", &[below, alpha], &[FLOAT]);
                Ok(vec![self.add("Sub", &[above, scaled], &[FLOAT])])
            }
            Op::Softmax(op) => {
                let mut x = self.input(0)?;
                if op.beta != 1.0 {
                    let beta = self.scalar("beta", op.beta);
                    x = self.part("scaled", "Mul", &[x, beta], &[FLOAT]);
                }
                Ok(vec![self.add("Softmax", &[x], &[FLOAT])])
            }
            Op::MaxPool2d(op) => self.max_pool(op),
            Op::AveragePool2d(op) => self.average_pool(op),
            Op::Mean(op) => self.reduction("Mean", &op.axes, op.keep_dims),
            Op::ReduceSum(op) => self.reduction("Sum", &op.axes, op.keep_dims),
            Op::ReduceMax(op) => self.reduction("Max", &op.axes, op.keep_dims),
            Op::ReduceMin(op) => self.reduction("Min", &op.axes, op.keep_dims),
            Op::ArgMax(op) => {
                let name = format!("{}/axis", self.node.name);
                let axis = self.nodes.ints(&name, &[], &[op.axis as i64]);
                let x = self.input(0)?;
                let to = element(op.to).unwrap_or(dtype::INT64);
                let attributes = [
                    FLOAT,
                    ("Tidx", Value::Type(dtype::INT32)),
                    ("output_type", Value::Type(to)),
                ];
                Ok(vec![self.add("ArgMax", &[x, axis], &attributes)])
            }
            Op::Add(op) => self.binary("AddV2", op.activation),
            Op::Sub(op) => self.binary("Sub", op.activation),
            Op::Mul(op) => self.binary("Mul", op.activation),
            Op::Div(op) => self.binary("RealDiv", op.activation),
            Op::Pow(_) => self.binary("Pow", Activation::None),
            Op::Minimum(_) => self.binary("Minimum", Activation::None),
            Op::Maximum(_) => self.binary("Maximum", Activation::None),
            Op::Select(_) => {
                let kinds = [("SrcT", Value::Type(dtype::FLOAT)), ("DstT", Value::Type(dtype::BOOL))];
                let (condition, a, b) = (self.input(0)?, self.input(1)?, self.input(2)?);
                let condition = self.part("condition", "Cast", &[condition], &kinds);
                Ok(vec![self.add("SelectV2", &[condition, a, b], &[FLOAT])])
            }
            Op::Concat(op) => {
                let mut inputs = self.inputs()?;
                let n = inputs.len();
                let name = format!("{}/axis", self.node.name);
                inputs.push(self.nodes.ints(&name, &[], &[op.axis as i64]));
                let attributes = [FLOAT, ("N", int(n)), ("Tidx", Value::Type(dtype::INT32))];
                Ok(vec![self.add("ConcatV2", &inputs, &attributes)])
            }
            Op::Split(op) => {
                let name = format!("{}/axis", self.node.name);
                let axis = self.nodes.ints(&name, &[], &[op.axis as i64]);
                let x = self.input(0)?;
                let node = self.add("Split", &[axis, x], &[FLOAT, ("num_split", int(op.parts))]);
                Ok((0..op.parts).map(|i| format!("{node}:{i}")).collect())
            }
            Op::Slice(op) => {
                let mut inputs = vec![self.input(0)?];
                for (part, values) in [("begin", &op.begin), ("end", &op.end), ("stride", &op.stride)] {
                    let values: Vec<i64> = values.iter().map(|&v| v as i64).collect();
                    inputs.push(self.ints(part, &values));
                }
                // Whole dimensions stay so, however many samples there are.
                let dims = self.dims(0);
                let whole = (0..dims.len()).filter(|&d| (op.begin[d], op.end[d], op.stride[d]) == (0, dims[d], 1));
                let all = Value::Int(whole.fold(0, |mask, d| mask | 1 << d));
                let attributes = [
                    FLOAT,
                    ("Index", Value::Type(dtype::INT32)),
                    ("begin_mask", all.clone()),
                    ("end_mask", all),
                ];
                Ok(vec![self.add("StridedSlice", &inputs, &attributes)])
            }
            Op::Gather(op) => {
                let mut inputs = self.inputs()?;
                let indices = element(self.graph.tensor(self.node.inputs[1]).ty.element).unwrap_or(dtype::INT32);
                let name = format!("{}/axis", self.node.name);
                inputs.push(self.nodes.ints(&name, &[], &[op.axis as i64]));
                let attributes = [
                    ("Tparams", Value::Type(dtype::FLOAT)),
                    ("Tindices", Value::Type(indices)),
                    ("Taxis", Value::Type(dtype::INT32)),
                ];
                Ok(vec![self.add("GatherV2", &inputs, &attributes)])
            }
            Op::Pad(op) => {
                let edges: Vec<i64> = op
                    .before
                    .iter()
                    .zip(&op.after)
                    .flat_map(|(&b, &a)| [b as i64, a as i64])
                    .collect();
                let name = format!("{}/paddings", self.node.name);
                let paddings = self.nodes.ints(&name, &[op.before.len(), 2], &edges);
                let x = self.input(0)?;
                let kinds = [FLOAT, ("Tpaddings", Value::Type(dtype::INT32))];
                let mirror = |mode: &str| [kinds[0].clone(), kinds[1].clone(), ("mode", text(mode))];
                Ok(vec![match op.mode {
                    PadMode::Reflect => self.add("MirrorPad", &[x, paddings], &mirror("REFLECT")),
                    PadMode::Symmetric => self.add("MirrorPad", &[x, paddings], &mirror("SYMMETRIC")),
                    PadMode::Zero | PadMode::Value(_) => {
                        let value = if let PadMode::Value(value) = op.mode {
                            value
                        } else {
                            0.0
                        };
                        let value = self.scalar("value", value);
                        self.add("PadV2", &[x, paddings, value], &kinds)
                    }
                }])
            }
            Op::Reshape(op) => {
                let x = self.input(0)?;
                Ok(vec![self.reshaped(x, &op.shape)])
            }
            Op::Transpose(op) => {
                let order: Vec<i64> = op.perm.iter().map(|&a| a as i64).collect();
                let (x, order) = (self.input(0)?, self.ints("perm", &order));
                Ok(vec![self.add(
                    "Transpose",
                    &[x, order],
                    &[FLOAT, ("Tperm", Value::Type(dtype::INT32))],
                )])
            }
            Op::Resize(op) => {
                let name = match op.interpolation {
                    Interpolation::Nearest => "ResizeNearestNeighbor",
                    Interpolation::Bilinear => "ResizeBilinear",
                };
                let (x, size) = (self.input(0)?, self.ints("size", &op.size.map(|n| n as i64)));
                let attributes = [
                    FLOAT,
                    (
                        "align_corners",
                        Value::Bool(op.coordinates == Coordinates::AlignCorners),
                    ),
                    (
                        "half_pixel_centers",
                        Value::Bool(op.coordinates == Coordinates::HalfPixel),
                    ),
                ];
                Ok(vec![self.add(name, &[x, size], &attributes)])
            }
            Op::Dequantize(_) => {
                let from = element(self.graph.tensor(self.node.inputs[0]).ty.element);
                let Some(from) = from.filter(|&kind| kind == dtype::HALF) else {
                    return Err(self.refuse("computes with integers", "export it as `.tflite`"));
                };
                let x = self.input(0)?;
                let kinds = [("SrcT", Value::Type(from)), ("DstT", Value::Type(dtype::FLOAT))];
                Ok(vec![self.add("Cast", &[x], &kinds)])
            }
            Op::Dropout(_) | Op::Identity(_) => self.unary("Identity"),
            Op::Cast(op) => {
                let [from, to] = [self.graph.tensor(self.node.inputs[0]).ty.element, op.to].map(element);
                let (Some(from), Some(to)) = (from, to) else {
                    return Err(self.no_such_operator());
                };
                let x = self.input(0)?;
                Ok(vec![self.add(
                    "Cast",
                    &[x],
                    &[("SrcT", Value::Type(from)), ("DstT", Value::Type(to))],
                )])
            }
            Op::BatchNorm(_) | Op::LayerNorm(_) | Op::Recurrent(_) | Op::Quantize(_) => Err(self.no_such_operator()),
            Op::Custom(op) => Err(self.refuse(
                format!("`{}` of domain `{}` has no meaning in TensorFlow", op.name, op.domain),
                "export it to the format that it came from",
            )),
        }
    }

    /// Source: `tf.nn.gelu`.
    fn gelu(&mut self, approximate: bool) -> Result<Vec<String>, FormatError> {
        let x = self.input(0)?;
        let (half, one) = (self.scalar("half", 0.5), self.scalar("one", 1.0));
        let inner = if approximate {
            let (cubic, factor) = (self.scalar("cubic", 0.044_715), self.scalar("factor", 0.797_884_6));
            let square = self.part("square", "Mul", &[x.clone(), x.clone()], &[FLOAT]);
            let cube = self.part("cube", "Mul", &[square, x.clone()], &[FLOAT]);
            let scaled = self.part("scaled", "Mul", &[cube, cubic], &[FLOAT]);
            let sum = self.part("sum", "AddV2", &[x.clone(), scaled], &[FLOAT]);
            let argument = self.part("argument", "Mul", &[sum, factor], &[FLOAT]);
            self.part("tanh", "Tanh", &[argument], &[FLOAT])
        } else {
            let factor = self.scalar("factor", std::f32::consts::FRAC_1_SQRT_2);
            let argument = self.part("argument", "Mul", &[x.clone(), factor], &[FLOAT]);
            self.part("erf", "Erf", &[argument], &[FLOAT])
        };
        let gate = self.part("gate", "AddV2", &[inner, one], &[FLOAT]);
        let halved = self.part("halved", "Mul", &[x, half], &[FLOAT]);
        Ok(vec![self.add("Mul", &[halved, gate], &[FLOAT])])
    }
}

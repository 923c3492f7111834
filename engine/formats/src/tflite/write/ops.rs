//! One node → one operator, or two where TFLite says in two what the graph says in one.

use ir::ops::{self, Activation, Custom, Function};
use ir::{ElementType, Node, Op, TensorType};

use super::{Call, Code, Emitter, FileTensor, type_code};
use crate::FormatError;
use crate::functions::{Tflite, spelling};
use crate::tflite::builtin::Builtin;
use crate::tflite::flatbuffer::Reader;
use crate::tflite::schema::{
    AbsOptions, AddOptions, ArgMaxOptions, BatchMatMulOptions, Carried, CastOptions, ConcatenationOptions,
    DequantizeOptions, DivOptions, ExpOptions, FullyConnectedOptions, GatherOptions, GeluOptions, HardSwishOptions,
    LeakyReluOptions, MaximumMinimumOptions, MulOptions, NegOptions, Operator, Options, PowOptions, QuantizeOptions,
    ReducerOptions, SoftmaxOptions, SplitOptions, SubOptions, TransposeOptions,
};
use crate::tflite::window::activation_code;
use crate::tflite::{BUILTIN, CUSTOM, FROM_ONNX, malformed, unsupported};

impl Emitter<'_> {
    /// Writes one node.
    pub(super) fn node(&mut self, node: &Node) -> Result<(), FormatError> {
        match &node.op {
            Op::Conv2d(op) => self.conv2d(node, op)?,
            Op::DepthwiseConv2d(op) => self.depthwise_conv2d(node, op)?,
            Op::TransposeConv2d(op) => self.transpose_conv2d(node, op)?,
            Op::FullyConnected(op) => self.fully_connected(node, op.activation),
            Op::MaxPool2d(op) => self.max_pool2d(node, op)?,
            Op::AveragePool2d(op) => self.average_pool2d(node, op)?,
            Op::Function(function) => self.function(node, *function)?,
            Op::PRelu(_) => self.plain(node, Builtin::PRELU, Options::None),
            Op::Softmax(op) => self.plain(node, Builtin::SOFTMAX, SoftmaxOptions { beta: op.beta }),
            Op::Add(op) => {
                let options = AddOptions {
                    fused_activation_function: activation_code(op.activation),
                    pot_scale_int16: !self.is_i16(node),
                };
                self.plain(node, Builtin::ADD, options);
            }
            Op::Sub(op) => {
                let options = SubOptions {
                    fused_activation_function: activation_code(op.activation),
                    pot_scale_int16: !self.is_i16(node),
                };
                self.plain(node, Builtin::SUB, options);
            }
            Op::Mul(op) => {
                let options = MulOptions {
                    fused_activation_function: activation_code(op.activation),
                };
                self.plain(node, Builtin::MUL, options);
            }
            Op::Div(op) => {
                let options = DivOptions {
                    fused_activation_function: activation_code(op.activation),
                };
                self.plain(node, Builtin::DIV, options);
            }
            Op::Minimum(_) => self.plain(node, Builtin::MINIMUM, MaximumMinimumOptions {}),
            Op::Maximum(_) => self.plain(node, Builtin::MAXIMUM, MaximumMinimumOptions {}),
            Op::Concat(op) => {
                let options = ConcatenationOptions {
                    axis: int(op.axis),
                    fused_activation_function: 0,
                };
                self.plain(node, Builtin::CONCATENATION, options);
            }
            Op::Quantize(_) => self.plain(node, Builtin::QUANTIZE, QuantizeOptions {}),
            Op::Dequantize(_) => self.plain(node, Builtin::DEQUANTIZE, DequantizeOptions {}),
            Op::Pow(_) => self.plain(node, Builtin::POW, PowOptions {}),
            Op::MatMul(op) => {
                let options = BatchMatMulOptions {
                    adj_x: op.adjoint_a,
                    adj_y: op.adjoint_b,
                    asymmetric_quantize_inputs: false,
                };
                self.plain(node, Builtin::BATCH_MATMUL, options);
            }
            Op::Gather(op) => {
                let options = GatherOptions {
                    axis: int(op.axis),
                    batch_dims: 0,
                };
                self.plain(node, Builtin::GATHER, options);
            }
            Op::Mean(op) => self.reduce(node, Builtin::MEAN, &op.axes, op.keep_dims),
            Op::ReduceSum(op) => self.reduce(node, Builtin::SUM, &op.axes, op.keep_dims),
            Op::ReduceMax(op) => self.reduce(node, Builtin::REDUCE_MAX, &op.axes, op.keep_dims),
            Op::ReduceMin(op) => self.reduce(node, Builtin::REDUCE_MIN, &op.axes, op.keep_dims),
            Op::ArgMax(op) => {
                let axis = self.integers(&[], &[int(op.axis)]);
                let output_type = type_code(op.to);
                self.with(node, Builtin::ARG_MAX, ArgMaxOptions { output_type }, &[axis]);
            }
            Op::Select(_) => {
                let options = CastOptions {
                    in_data_type: type_code(ElementType::F32),
                    out_data_type: type_code(ElementType::Bool),
                };
                let truth = self.tensor(FileTensor {
                    name: format!("{}/condition", node.name),
                    ty: self.ty(node, 0).with_element(ElementType::Bool),
                    quantization: None,
                    buffer: 0,
                    packed: false,
                    open: None,
                    sparsity: None,
                    variable: false,
                });
                self.call(Call {
                    builtin: Builtin::CAST,
                    options: options.into(),
                    inputs: vec![inputs(node)[0]],
                    outputs: vec![truth],
                });
                self.on(node, truth, Builtin::SELECT_V2, Options::None);
            }
            Op::Transpose(op) => {
                let perm = self.vector(&op.perm);
                self.with(node, Builtin::TRANSPOSE, TransposeOptions {}, &[perm]);
            }
            Op::Reshape(op) => self.reshape(node, &op.shape),
            Op::Split(op) => {
                let axis = self.integers(&[], &[int(op.axis)]);
                let inputs = vec![axis, node.inputs[0].index() as i32];
                let options = SplitOptions {
                    num_splits: int(op.parts),
                }
                .into();
                self.call(Call {
                    builtin: Builtin::SPLIT,
                    options,
                    inputs,
                    outputs: outputs(node),
                });
            }
            Op::Slice(op) => self.slice(node, op),
            Op::Pad(op) => self.pad(node, op)?,
            Op::Resize(op) => self.resize(node, op),
            Op::Custom(op) => self.custom(node, op)?,
            // What folding leaves: another name of an input, a constant or an output.
            Op::Identity(_) | Op::Dropout(_) => {
                let shape = self.tensors[node.output().index()].ty.shape.0.clone();
                self.reshape(node, &shape);
            }
            Op::Recurrent(op) => self.recurrent(node, op)?,
            Op::Cast(op) => {
                let options = CastOptions {
                    in_data_type: type_code(self.ty(node, 0).element),
                    out_data_type: type_code(op.to),
                };
                self.plain(node, Builtin::CAST, options);
            }
            Op::BatchNorm(_) | Op::LayerNorm(_) => {
                return Err(not_lowered(node));
            }
        }
        Ok(())
    }

    fn function(&mut self, node: &Node, function: Function) -> Result<(), FormatError> {
        let name = match spelling(function).tflite {
            Tflite::Operator(name) => name,
            Tflite::Lowered => return Err(not_lowered(node)),
            Tflite::Missing(problem, fix) => return Err(unsupported(place(node), problem, fix)),
        };
        let builtin = Builtin::named(name).ok_or_else(|| not_lowered(node))?;
        let options: Options = match function {
            Function::LeakyRelu { alpha } => LeakyReluOptions { alpha }.into(),
            Function::HardSwish => HardSwishOptions {}.into(),
            Function::Gelu { approximate } => GeluOptions { approximate }.into(),
            Function::Exp => ExpOptions {}.into(),
            Function::Neg => NegOptions {}.into(),
            Function::Abs => AbsOptions {}.into(),
            _ => Options::None,
        };
        self.plain(node, builtin, options);
        Ok(())
    }

    /// An operator whose inputs and outputs are those of the node.
    pub(super) fn plain(&mut self, node: &Node, builtin: Builtin, options: impl Into<Options>) {
        self.with(node, builtin, options, &[]);
    }

    /// An operator that has more inputs than the node.
    pub(super) fn with(&mut self, node: &Node, builtin: Builtin, options: impl Into<Options>, more: &[i32]) {
        let mut inputs = inputs(node);
        inputs.extend(more);
        self.call(Call {
            builtin,
            options: options.into(),
            inputs,
            outputs: outputs(node),
        });
    }

    pub(super) fn is_i16(&self, node: &Node) -> bool {
        self.ty(node, 0).element == ElementType::I16
    }

    pub(super) fn ty(&self, node: &Node, input: usize) -> &TensorType {
        &self.graph.tensor(node.inputs[input]).ty
    }

    /// Rows and columns of an input or of weights.
    pub(super) fn rows_columns(&self, node: &Node, input: usize) -> [usize; 2] {
        let dims = self.ty(node, input).shape.dims();
        [dims[1], dims[2]]
    }

    /// An operator on `input` instead of the node's first one.
    pub(super) fn on(&mut self, node: &Node, input: i32, builtin: Builtin, options: Options) {
        let mut inputs = inputs(node);
        inputs[0] = input;
        self.call(Call {
            builtin,
            options,
            inputs,
            outputs: outputs(node),
        });
    }

    fn reduce(&mut self, node: &Node, builtin: Builtin, axes: &[usize], keep_dims: bool) {
        let axes = self.vector(axes);
        self.with(node, builtin, ReducerOptions { keep_dims }, &[axes]);
    }

    fn fully_connected(&mut self, node: &Node, activation: Activation) {
        let options = FullyConnectedOptions {
            fused_activation_function: activation_code(activation),
            keep_num_dims: self.ty(node, 0).shape.rank() != 2,
            // Activations of dynamic-range layers get a zero point of their own, which loses less.
            asymmetric_quantize_inputs: self.ty(node, 0).element.is_float() && !self.ty(node, 1).element.is_float(),
            ..FullyConnectedOptions::default()
        };
        // A bias that is left out is said so: older runtimes count inputs.
        let more: &[i32] = if node.inputs.len() == 2 { &[-1] } else { &[] };
        self.with(node, Builtin::FULLY_CONNECTED, options, more);
    }

    fn custom(&mut self, node: &Node, op: &Custom) -> Result<(), FormatError> {
        let ops::Custom {
            domain,
            name,
            attributes,
            outputs: _,
        } = op;
        let custom = |name: String| {
            let code = Code {
                builtin: Builtin::CUSTOM,
                custom: Some(name),
                version: 1,
            };
            let options = (!attributes.is_empty()).then(|| attributes.clone());
            (code, Options::None, options)
        };
        let (code, options, custom_options) = match domain.as_str() {
            CUSTOM => custom(name.clone()),
            BUILTIN => {
                let builtin = Builtin::named(name)
                    .ok_or_else(|| malformed(place(node), format!("no builtin operator is named {name}")))?;
                let Carried { version, options } = Reader::root(attributes)
                    .map_err(|flaw| malformed(place(node), format!("its attributes are damaged: {flaw}")))?;
                (
                    Code {
                        builtin,
                        custom: None,
                        version,
                    },
                    options,
                    None,
                )
            }
            _ => custom(format!("{FROM_ONNX}{domain}:{name}")),
        };
        let (inputs, outputs) = (inputs(node), outputs(node));
        self.operator(
            code,
            Operator {
                inputs,
                outputs,
                options,
                custom_options,
                ..Operator::default()
            },
        );
        Ok(())
    }
}

/// An attribute as the format holds it. Extents fit; a stride beyond all extents does what the greatest one does.
pub(super) fn int(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

pub(super) fn place(node: &Node) -> String {
    format!("node `{}`", node.name)
}

pub(super) fn inputs(node: &Node) -> Vec<i32> {
    node.inputs.iter().map(|i| i.index() as i32).collect()
}

pub(super) fn outputs(node: &Node) -> Vec<i32> {
    node.outputs.iter().map(|o| o.index() as i32).collect()
}

/// Refuses an operator that `ir::passes` replaces.
pub(super) fn not_lowered(node: &Node) -> FormatError {
    unsupported(
        place(node),
        format!("TFLite has no operator {}", node.op.name()),
        "fold and lower the graph first, which replaces it",
    )
}

//! From a node of the graph to the plain kernel that computes it.
//!
//! A file per family of operators. Each looks at the types and quantizations of the node's tensors, refuses what no kernel
//! computes, makes the kernel's parameters once, and returns the call as a closure.

mod binary;
mod cast;
mod context;
mod layout;
mod linear;
mod quantize;
mod recurrent;
mod reduce;
mod unary;

use ir::ops::IntegerRule;
use ir::{ElementType, Op, TensorId};
use kernels::fast::Border;

pub(crate) use binary::{add_params, mul_params, select};
pub(crate) use cast::lower as cast;
pub(crate) use context::{Arithmetic, Context};
pub(crate) use layout::{resize_shape, stored};
pub(crate) use linear::{
    conv_shape, depthwise_shape, fully_connected_shape, linear_params, mat_mul_params, mat_mul_shape,
    transpose_conv_shape, weight_scales, wide_bias,
};
pub(crate) use recurrent::{recurrent_shape, states};
pub(crate) use reduce::{arg_max, batch_norm_params, pool_shape};
pub use unary::formula;
pub(crate) use unary::{integer_map, wide_map};

use crate::RuntimeError;
use crate::buffer::Store;
use crate::program::Run;

/// How a tensor's values lie in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// As callers see them: the graph's element type, row-major.
    Dense,
    /// Row-major; `i8` values as the bytes `q + 128` of the fast kernels. The same as [`Form::Dense`] for other types.
    Bytes,
    /// Like [`Form::Bytes`], inside the border that the tensor's readers need. The same where they need none.
    Image,
}

/// A tensor that a kernel reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) tensor: TensorId,
    pub(crate) form: Form,
    /// What a [`Form::Image`] must have around it at least.
    pub(crate) border: Border,
}

impl Read {
    pub(crate) fn new(tensor: TensorId, form: Form) -> Self {
        Read {
            tensor,
            form,
            border: Border::NONE,
        }
    }
}

/// Elements that a kernel needs for itself while it runs: some, and some for each element of the buffer of its first read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scratch {
    pub(crate) store: Store,
    pub(crate) elements: usize,
    pub(crate) of_first_read: usize,
}

impl Scratch {
    pub(crate) fn elements(store: Store, elements: usize) -> Self {
        Scratch {
            store,
            elements,
            of_first_read: 0,
        }
    }

    /// So many for each element of the first read.
    pub(crate) fn of_first_read(store: Store, of_first_read: usize) -> Self {
        Scratch {
            store,
            elements: 0,
            of_first_read,
        }
    }
}

/// The kernel of one output of a node.
pub(crate) struct Lowered {
    /// What it reads, in the order of its arguments; without a list the node's inputs, all dense.
    pub(crate) reads: Option<Vec<Read>>,
    /// Which output of the node it writes.
    pub(crate) output: usize,
    /// How it writes it.
    pub(crate) form: Form,
    pub(crate) scratch: Vec<Scratch>,
    pub(crate) run: Run,
}

impl Lowered {
    /// A kernel that reads all inputs and writes the only output, dense.
    fn new(run: Run) -> Vec<Self> {
        vec![Self::part(0, run)]
    }

    /// A kernel that reads all inputs and writes output number `output`, dense.
    fn part(output: usize, run: Run) -> Self {
        Lowered {
            reads: None,
            output,
            form: Form::Dense,
            scratch: Vec::new(),
            run,
        }
    }
}

/// The reference kernels of a node.
pub(crate) fn lower(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    if context.node.op.integer_rule(ElementType::I8) == IntegerRule::Same {
        context.same_scale()?;
    }
    match &context.node.op {
        Op::Conv2d(op) => linear::conv(context, op),
        Op::DepthwiseConv2d(op) => linear::depthwise(context, op),
        Op::TransposeConv2d(op) => linear::transpose_conv(context, op),
        Op::FullyConnected(op) => linear::fully_connected(context, op),
        Op::MatMul(op) => linear::mat_mul(context, op),
        Op::Recurrent(op) => recurrent::lower(context, op),
        Op::BatchNorm(op) => reduce::batch_norm(context, op),
        Op::LayerNorm(op) => reduce::layer_norm(context, op),
        Op::Function(function) => unary::lower(context, *function),
        Op::PRelu(_) => binary::prelu(context),
        Op::Softmax(op) => reduce::softmax(context, op),
        Op::MaxPool2d(op) => reduce::max_pool(context, op),
        Op::AveragePool2d(op) => reduce::average_pool(context, op),
        Op::Mean(op) => reduce::mean(context, op),
        Op::ReduceSum(op) => reduce::sum(context, op),
        Op::ReduceMax(op) => reduce::max(context, op),
        Op::ReduceMin(op) => reduce::min(context, op),
        Op::ArgMax(op) => reduce::arg_max(context, op),
        Op::Add(op) => binary::add(context, op.activation),
        Op::Sub(op) => binary::sub(context, op.activation),
        Op::Mul(op) => binary::mul(context, op.activation),
        Op::Div(op) => binary::div(context, op.activation),
        Op::Pow(_) => binary::pow(context),
        Op::Minimum(_) => binary::minimum(context),
        Op::Maximum(_) => binary::maximum(context),
        Op::Select(_) => binary::select(context),
        Op::Concat(op) => layout::concat(context, op),
        Op::Split(op) => layout::split(context, op),
        Op::Slice(op) => layout::slice(context, op),
        Op::Gather(op) => layout::gather(context, op),
        Op::Pad(op) => layout::pad(context, op),
        Op::Reshape(_) | Op::Dropout(_) | Op::Identity(_) => layout::copy(context),
        Op::Transpose(op) => layout::transpose(context, op),
        Op::Resize(op) => layout::resize(context, op),
        Op::Quantize(_) => quantize::quantize(context),
        Op::Dequantize(_) => quantize::dequantize(context),
        Op::Cast(_) => cast::lower(context),
        Op::Custom(op) => Err(context.unsupported(format!(
            "`{}` of domain `{}` is an operator of unknown meaning; it can be stored, not executed",
            op.name, op.domain
        ))),
    }
}

/// The activation of the IR as the kernels call it.
pub(crate) fn activation(activation: ir::ops::Activation) -> kernels::quantized::Activation {
    match activation {
        ir::ops::Activation::None => kernels::quantized::Activation::None,
        ir::ops::Activation::Relu => kernels::quantized::Activation::Relu,
        ir::ops::Activation::Relu6 => kernels::quantized::Activation::Relu6,
        ir::ops::Activation::ReluN1To1 => kernels::quantized::Activation::ReluN1To1,
    }
}

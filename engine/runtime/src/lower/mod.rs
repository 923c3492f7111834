//! From a node of the graph to the plain kernel that computes it.
//!
//! A file per family of operators. Each looks at the types and quantizations of the node's tensors, refuses what no kernel
//! computes, makes the kernel's parameters once, and returns the call as a closure.

mod binary;
mod context;
mod layout;
mod linear;
mod quantize;
mod reduce;
mod unary;

use ir::Op;

pub(crate) use context::{Arithmetic, Context};
pub(crate) use linear::{conv_shape, depthwise_shape, fully_connected_shape, linear_params};

use crate::RuntimeError;
use crate::buffer::Store;
use crate::program::Run;

/// The kernel of one output of a node. It reads the node's inputs, all dense, in the node's order.
pub(crate) struct Lowered {
    /// Which output of the node it writes.
    pub(crate) output: usize,
    /// Elements that the kernel needs for itself while it runs.
    pub(crate) scratch: Option<(Store, usize)>,
    pub(crate) run: Run,
}

impl Lowered {
    /// A kernel that writes the only output.
    fn new(run: Run) -> Vec<Self> {
        vec![Lowered {
            output: 0,
            scratch: None,
            run,
        }]
    }
}

/// The reference kernels of a node.
pub(crate) fn lower(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    match &context.node.op {
        Op::Conv2d(op) => linear::conv(context, op),
        Op::DepthwiseConv2d(op) => linear::depthwise(context, op),
        Op::TransposeConv2d(op) => linear::transpose_conv(context, op),
        Op::FullyConnected(op) => linear::fully_connected(context, op),
        Op::BatchNorm(op) => reduce::batch_norm(context, op),
        Op::Relu(_) => unary::relu(context, ir::ops::Activation::Relu),
        Op::Relu6(_) => unary::relu(context, ir::ops::Activation::Relu6),
        Op::ReluN1To1(_) => unary::relu(context, ir::ops::Activation::ReluN1To1),
        Op::LeakyRelu(op) => unary::leaky_relu(context, op),
        Op::PRelu(_) => binary::prelu(context),
        Op::Elu(op) => unary::elu(context, op),
        Op::HardSwish(_) => unary::hard_swish(context),
        Op::HardSigmoid(op) => unary::hard_sigmoid(context, op),
        Op::Sigmoid(_) => unary::smooth(context, kernels::reference::Unary::Logistic),
        Op::Tanh(_) => unary::smooth(context, kernels::reference::Unary::Tanh),
        Op::Swish(_) => unary::swish(context),
        Op::Gelu(op) => unary::gelu(context, op),
        Op::Softmax(op) => reduce::softmax(context, op),
        Op::MaxPool2d(op) => reduce::max_pool(context, op),
        Op::AveragePool2d(op) => reduce::average_pool(context, op),
        Op::Mean(op) => reduce::mean(context, op),
        Op::Add(op) => binary::add(context, op.activation),
        Op::Sub(op) => binary::sub(context, op.activation),
        Op::Mul(op) => binary::mul(context, op.activation),
        Op::Div(op) => binary::div(context, op.activation),
        Op::Minimum(_) => binary::minimum(context),
        Op::Maximum(_) => binary::maximum(context),
        Op::Concat(op) => layout::concat(context, op),
        Op::Split(op) => layout::split(context, op),
        Op::Slice(op) => layout::slice(context, op),
        Op::Pad(op) => layout::pad(context, op),
        Op::Reshape(_) | Op::Dropout(_) | Op::Identity(_) => layout::copy(context),
        Op::Transpose(op) => layout::transpose(context, op),
        Op::Resize(op) => layout::resize(context, op),
        Op::Quantize(_) => quantize::quantize(context),
        Op::Dequantize(_) => quantize::dequantize(context),
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

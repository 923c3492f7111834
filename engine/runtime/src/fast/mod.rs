//! From a node of the graph to the fast kernel that computes it, where there is one.
//!
//! | operator | float | integer | dynamic range |
//! |---|---|---|---|
//! | convolution, fully connected | yes, a following sum included | yes | yes |
//! | transposed convolution | yes | yes | |
//! | product of computed matrices | yes | yes | |
//! | recurrent layers | yes | | |
//! | depthwise convolution | yes | yes | yes |
//! | functions of two tensors | yes | yes | |
//! | functions of one number | yes | by table | |
//! | pooling, means, sums, extremes | yes | yes | |
//! | softmax, normalization, resizing | yes | yes | |
//! | quantize, dequantize | | yes | |
//! | moving elements | yes | yes, on bytes | |
//!
//! Everything else, and weights that are not constant, stays with the plain kernels.

mod convert;
mod elementwise;
mod expansion;
mod layout;
mod linear;
mod recurrent;
mod reduce;

use ir::ops::{Interpolation, Mean, ReduceMax, ReduceMin, ReduceSum};
use ir::{Op, TensorId};
use kernels::fast::{Border, Isa};

pub(crate) use convert::convert;
pub(crate) use elementwise::gated;
pub(crate) use expansion::expansion;
pub(crate) use linear::conv_with_residual;
pub(crate) use reduce::spelled_batch_norm;

use crate::RuntimeError;
use crate::lower::{self, Context, Form, Lowered, Read};
use crate::program::Run;

/// The fast kernel of a node, or `None` where there is none.
pub(crate) fn select(context: &Context<'_>, isa: Isa) -> Result<Option<Vec<Lowered>>, RuntimeError> {
    let node = context.node;
    let empty = |&t: &TensorId| context.graph.tensor(t).ty.shape.elements() == 0;
    if node.inputs.iter().chain(&node.outputs).any(empty) {
        return Ok(None);
    }
    let one = |lowered: Option<Lowered>| lowered.map(|l| vec![l]);
    Ok(match &node.op {
        Op::Conv2d(op) => one(linear::conv(context, isa, op)?),
        Op::DepthwiseConv2d(op) => one(linear::depthwise(context, isa, op)?),
        Op::FullyConnected(op) => one(linear::fully_connected(context, isa, op)?),
        Op::MatMul(op) => one(linear::mat_mul(context, isa, op)?),
        Op::Recurrent(op) => one(recurrent::recurrent(context, isa, op)?),
        Op::Add(_)
        | Op::Sub(_)
        | Op::Mul(_)
        | Op::Div(_)
        | Op::Minimum(_)
        | Op::Maximum(_)
        | Op::PRelu(_)
        | Op::Pow(_) => one(elementwise::binary(context, isa)?),
        Op::Function(function) => one(elementwise::unary(context, isa, *function)?),
        Op::MaxPool2d(_) | Op::AveragePool2d(_) => one(reduce::pool(context, isa)?),
        Op::Mean(Mean { axes, keep_dims: _ })
        | Op::ReduceSum(ReduceSum { axes, keep_dims: _ })
        | Op::ReduceMax(ReduceMax { axes, keep_dims: _ })
        | Op::ReduceMin(ReduceMin { axes, keep_dims: _ }) => one(reduce::fold(context, isa, axes)?),
        Op::Softmax(op) => one(reduce::softmax(context, isa, op)?),
        Op::BatchNorm(op) => one(reduce::batch_norm(context, isa, op)?),
        Op::LayerNorm(op) => Some(vec![reduce::layer_norm(context, isa, op)]),
        Op::TransposeConv2d(op) => one(linear::transpose_conv(context, isa, op)?),
        Op::Quantize(_) => one(convert::quantize(context, isa)?),
        Op::Dequantize(_) => one(convert::dequantize(context, isa)?),
        // One plain loop over numbers side by side is vector code already.
        Op::Cast(_) => Some(lower::cast(context)?),
        Op::Select(_) => Some(lower::select(context)?),
        Op::ArgMax(op) => Some(lower::arg_max(context, op)?),
        Op::Concat(_) | Op::Split(_) | Op::Slice(_) | Op::Gather(_) | Op::Pad(_) | Op::Transpose(_) => {
            layout::moved(context, isa)?
        }
        Op::Resize(op) if op.interpolation == Interpolation::Nearest => layout::moved(context, isa)?,
        Op::Resize(op) => one(reduce::resize(context, isa, op)?),
        Op::Reshape(_) | Op::Dropout(_) | Op::Identity(_) | Op::Custom(_) => None,
    })
}

/// A kernel that reads and writes images.
fn images(reads: Vec<Read>, run: Run) -> Lowered {
    Lowered {
        reads: Some(reads),
        output: 0,
        form: Form::Image,
        scratch: Vec::new(),
        run,
    }
}

/// The first input, as an image in this border.
fn first(context: &Context<'_>, border: Border) -> Read {
    Read {
        tensor: context.node.inputs[0],
        form: Form::Image,
        border,
    }
}

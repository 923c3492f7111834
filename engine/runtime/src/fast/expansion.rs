//! Inverted residuals: a convolution, perhaps an activation, and the depthwise convolution that alone reads them, as one kernel.

use ir::ops::{Conv2d, DepthwiseConv2d};
use ir::{Node, NodeId, Op, TensorId};
use kernels::fast::{
    Border, ByteMap, FloatConv, FloatDepthwise, FloatExpansion, IntConv, IntDepthwise, IntExpansion, Isa,
};

use super::elementwise::{self, Passing};
use super::linear::{Weights, in_proportion, weights};
use super::{first, images};
use crate::RuntimeError;
use crate::buffer::Store;
use crate::lower::{self, Context, Lowered, Scratch, activation};
use crate::padding::unpadded;
use crate::program::Run;

/// Bytes from which on what lies between is worth to be cut: less stays in the second-level cache anyway.
const WIDE: usize = 384 << 10;

/// The kernel of a depthwise convolution with the convolution before it; `None` where there is none, or what is between the two is
/// narrow. `reader` is what alone may read the depthwise convolution's input: the node, or the padding that it does along.
pub(crate) fn expansion(
    context: &Context<'_>,
    reader: NodeId,
    isa: Isa,
) -> Result<Option<(Lowered, String)>, RuntimeError> {
    let (Op::DepthwiseConv2d(op), between) = (&context.node.op, context.node.inputs[0]) else {
        return Ok(None);
    };
    let bytes = context.graph.tensor(between).ty.bytes();
    if bytes < WIDE || context.graph.only_consumer(between) != Some(reader) {
        return Ok(None);
    }
    let Some((node, passing)) = source(context, between)? else {
        return Ok(None);
    };
    let name = node.name.clone();
    let wider = unpadded(context.graph, node).map(|wider| wider.node);
    for node in wider.iter().chain([node]) {
        let conv = Context { node, ..*context };
        if let Op::Conv2d(conv_op) = &node.op
            && let Some(kernel) = both(&conv, conv_op, passing.as_ref(), context, op, isa)?
        {
            return Ok(Some((kernel, name)));
        }
    }
    Ok(None)
}

/// The convolution that a tensor comes from, and what happens to it on the way, which nobody else reads.
fn source<'g>(context: &Context<'g>, x: TensorId) -> Result<Option<(&'g Node, Option<Passing>)>, RuntimeError> {
    let graph = context.graph;
    let Some(made) = graph.producer(x) else {
        return Ok(None);
    };
    let node = graph.node(made);
    let (from, passing) = match &node.op {
        Op::Conv2d(_) => return Ok(Some((node, None))),
        Op::Mul(_) => match elementwise::gate(&Context { node, ..*context })? {
            Some((from, passing)) => (from, passing),
            None => return Ok(None),
        },
        Op::Function(function) => match elementwise::passing(&Context { node, ..*context }, *function)? {
            Some(passing) => (node.inputs[0], passing),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    // The product reads the number, and its gate does.
    let inside = |reader: NodeId| reader == made || graph.only_consumer(graph.node(reader).output()) == Some(made);
    let conv = graph.producer(from).map(|id| graph.node(id));
    let alone = !graph.outputs().contains(&from) && graph.consumers(from).all(inside);
    let conv = conv.filter(|conv| alone && matches!(conv.op, Op::Conv2d(_)));
    Ok(conv.map(|conv| (conv, Some(passing))))
}

fn both(
    before: &Context<'_>,
    conv: &Conv2d,
    passing: Option<&Passing>,
    after: &Context<'_>,
    depthwise: &DepthwiseConv2d,
    isa: Isa,
) -> Result<Option<Lowered>, RuntimeError> {
    let (conv_shape, shape) = (
        lower::conv_shape(before, conv)?,
        lower::depthwise_shape(after, depthwise)?,
    );
    let border = Border::of_conv(&conv_shape);
    if conv_shape.batch != 1
        || shape.batch != 1
        || shape.multiplier != 1
        || !in_proportion(border, conv_shape.in_h, conv_shape.in_w)
        || !in_proportion(Border::of_depthwise(&shape), shape.in_h, shape.in_w)
    {
        return Ok(None);
    }
    let (scratch, run): (Scratch, Run) = match (weights(before)?, weights(after)?) {
        (Some(Weights::Float(w, bias)), Some(Weights::Float(deep, deep_bias))) => {
            let gate = match passing {
                None => None,
                Some(&Passing::Gate(gate, clamp)) => Some((isa, gate, clamp)),
                Some(Passing::Bytes(_)) => return Ok(None),
            };
            let first = FloatConv::new(isa, &conv_shape, w, bias, activation(conv.activation).clamp_f32());
            let clamp = activation(depthwise.activation).clamp_f32();
            let second = FloatDepthwise::new(isa, &shape, deep, deep_bias, clamp);
            let Some(kernel) = FloatExpansion::new((&conv_shape, first), gate, (&shape, second)) else {
                return Ok(None);
            };
            let scratch = Scratch::elements(Store::F32, kernel.scratch());
            let run: Run = Box::new(move |args| {
                let input = args.view(0);
                let (output, scratch) = args.output_view_and_scratch();
                kernel.run(input, scratch, output);
            });
            (scratch, run)
        }
        (Some(Weights::Integer(w, bias)), Some(Weights::Integer(deep, deep_bias))) => {
            let map = match passing {
                None => None,
                Some(Passing::Bytes(map)) => Some(ByteMap::clone(map)),
                Some(Passing::Gate(..)) => return Ok(None),
            };
            let params = lower::linear_params(after)?;
            let first = IntConv::new(isa, &conv_shape, &lower::linear_params(before)?, w, bias);
            let second = IntDepthwise::new(isa, &shape, &params, deep, deep_bias);
            let kernel = IntExpansion::new((&conv_shape, first), map, (&shape, second), &params);
            let Some(kernel) = kernel else {
                return Ok(None);
            };
            let scratch = Scratch::elements(Store::U8, kernel.scratch());
            let run: Run = Box::new(move |args| {
                let input = args.view(0);
                let (output, scratch) = args.output_view_and_scratch();
                kernel.run(input, scratch, output);
            });
            (scratch, run)
        }
        _ => return Ok(None),
    };
    Ok(Some(Lowered {
        scratch: vec![scratch],
        ..images(vec![first(before, border)], run)
    }))
}

//! Padding that its readers do themselves.
//!
//! TFLite knows "same" and "valid" padding only, so what comes from other frameworks pads with an operator of its own. A window that
//! reaches beyond its input does the same for free: the buffer of the input has the border already.

use ir::ops::{Pad, PadMode, Padding};
use ir::{ElementType, Graph, Node, NodeId, Op};

/// A node that reads what the padding before it reads.
pub(crate) struct Unpadded {
    /// The node with wider padding of its own.
    pub(crate) node: Node,
    /// The padding that it does along.
    pub(crate) pad: NodeId,
}

/// The node without the padding before it; `None` where there is none, or its values are not those that the node's own are.
pub(crate) fn unpadded(graph: &Graph, node: &Node) -> Option<Unpadded> {
    let pad = graph.producer(*node.inputs.first()?)?;
    let Node {
        op: Op::Pad(margins),
        inputs,
        ..
    } = graph.node(pad)
    else {
        return None;
    };
    let mut node = node.clone();
    match &mut node.op {
        Op::Conv2d(op) if is_zero(margins) => op.padding = wider(op.padding, margins)?,
        Op::DepthwiseConv2d(op) if is_zero(margins) => op.padding = wider(op.padding, margins)?,
        Op::MaxPool2d(op) if is_least(graph, pad, margins) => {
            op.padding = wider(op.padding, margins)?;
            // Every window sees a pixel of the image, so that the greatest value never is one of the margin.
            let Padding {
                top,
                bottom,
                left,
                right,
            } = op.padding;
            let [height, width] = op.kernel;
            if top.max(bottom) >= height || left.max(right) >= width {
                return None;
            }
        }
        _ => return None,
    }
    node.inputs[0] = inputs[0];
    Some(Unpadded { node, pad })
}

/// Margins around an image, added to those of a window.
fn wider(padding: Padding, margins: &Pad) -> Option<Padding> {
    match (margins.before.as_slice(), margins.after.as_slice()) {
        (&[0, top, left, 0], &[0, bottom, right, 0]) => Some(Padding {
            top: padding.top.checked_add(top)?,
            bottom: padding.bottom.checked_add(bottom)?,
            left: padding.left.checked_add(left)?,
            right: padding.right.checked_add(right)?,
        }),
        _ => None,
    }
}

fn is_zero(margins: &Pad) -> bool {
    match margins.mode {
        PadMode::Zero => true,
        PadMode::Value(value) => value == 0.0,
        PadMode::Reflect | PadMode::Symmetric => false,
    }
}

/// Whether the margin is the least number of its type.
fn is_least(graph: &Graph, pad: NodeId, margins: &Pad) -> bool {
    let tensor = graph.tensor(graph.node(pad).output());
    let value = match margins.mode {
        PadMode::Zero => 0.0,
        PadMode::Value(value) => value,
        PadMode::Reflect | PadMode::Symmetric => return false,
    };
    match tensor.ty.element {
        ElementType::F32 => value <= f32::MIN,
        ElementType::I8 => {
            let params = tensor.quantization.as_ref().and_then(ir::Quantization::whole);
            params.is_some_and(|params| params.quantize(value, ElementType::I8) == i32::from(i8::MIN))
        }
        _ => false,
    }
}

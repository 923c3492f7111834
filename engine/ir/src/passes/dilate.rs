//! Dilated convolutions that files spell out: pixels that lie apart are dealt out to images of their own, convolved, and put together.

use crate::ops::{Conv2d, DepthwiseConv2d, Padding};
use crate::{Graph, InferError, Node, NodeId, Op, Patch, TensorId};

/// From `[N, H/b, b, W/b', b', C]` to the images that are made of them.
pub const DEALT: [usize; 6] = [2, 4, 0, 1, 3, 5];
/// From `[b, b', N, H, W, C]` back to one image.
pub const GATHERED: [usize; 6] = [2, 3, 0, 4, 1, 5];

/// `BatchToSpaceND(layer(SpaceToBatchND(x)))`, as importers write both, becomes the layer with its dilation, and whatever follows it
/// number by number between the two. Source: `tf.nn.with_space_to_batch`.
///
/// The images of a block are independent, so that a step of one in them is a step of the block in the whole; their edges are the whole's.
pub fn dilate(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let node = graph.node(id);
    let Some((from, block)) = gathered(graph, node) else {
        return Ok(None);
    };
    let mut chain = Vec::new();
    let mut at = from;
    let (layer, source) = loop {
        let Some(made) = graph.producer(at).filter(|_| graph.only_consumer(at).is_some()) else {
            return Ok(None);
        };
        let step = graph.node(made);
        if let Op::Conv2d(_) | Op::DepthwiseConv2d(_) = step.op {
            match dealt(graph, step.inputs[0], block) {
                Some(source) => break (step, source),
                None => return Ok(None),
            }
        }
        let alone = step.inputs[1..].iter().all(|&id| is_by_channel(graph, id));
        let function = matches!(
            step.op,
            Op::Function(_) | Op::Add(_) | Op::Mul(_) | Op::Sub(_) | Op::PRelu(_)
        );
        if !(alone && function) {
            return Ok(None);
        }
        chain.push(step);
        at = step.inputs[0];
    };
    let Some(op) = dilated(&layer.op, block) else {
        return Ok(None);
    };
    let mut patch = Patch::new(graph);
    let made = |node: &Node| graph.tensor(node.output()).quantization.clone();
    let inputs = [&[source], &layer.inputs[1..]].concat();
    let mut last = patch.quantized_node(layer.name.clone(), op, &inputs, made(layer))?;
    for step in chain.into_iter().rev() {
        let inputs = [&[last], &step.inputs[1..]].concat();
        last = patch.quantized_node(step.name.clone(), step.op.clone(), &inputs, made(step))?;
    }
    patch.replace(node.output(), last);
    patch.remove(id);
    Ok(Some(patch))
}

/// Whether a constant has no more than a number for each channel.
fn is_by_channel(graph: &Graph, id: TensorId) -> bool {
    let dims = graph.tensor(id).ty.shape.dims();
    let rows = &dims[..dims.len().saturating_sub(1)];
    graph.constant_data(id).is_some() && rows.iter().all(|&d| d == 1)
}

/// What the last of three nodes puts together, and in which blocks.
fn gathered(graph: &Graph, node: &Node) -> Option<(TensorId, [usize; 2])> {
    let [images, apart, whole] = three(graph, node, GATHERED)?;
    let dims = graph.tensor(apart).ty.shape.dims();
    let from = graph.tensor(images).ty.shape.nhwc()?;
    let to = graph.tensor(whole).ty.shape.nhwc()?;
    let block = [dims[0], dims[1]];
    let fits =
        dims[2..] == [to[0], from[1], from[2], from[3]] && to[1..] == [from[1] * block[0], from[2] * block[1], from[3]];
    fits.then_some((images, block))
}

/// What the images were dealt out from in such blocks.
fn dealt(graph: &Graph, id: TensorId, block: [usize; 2]) -> Option<TensorId> {
    graph.only_consumer(id)?;
    let [whole, apart, images] = three(graph, graph.node(graph.producer(id)?), DEALT)?;
    let dims = graph.tensor(apart).ty.shape.dims();
    let to = graph.tensor(images).ty.shape.nhwc()?;
    let from = graph.tensor(whole).ty.shape.nhwc()?;
    let fits = dims == [from[0], to[1], block[0], to[2], block[1], to[3]]
        && from[1..] == [to[1] * block[0], to[2] * block[1], to[3]];
    fits.then_some(whole)
}

/// A reshape, a transpose by `perm` and a reshape: what is read, what is transposed and what is made.
fn three(graph: &Graph, last: &Node, perm: [usize; 6]) -> Option<[TensorId; 3]> {
    let Op::Reshape(_) = last.op else { return None };
    let moved = graph.node(graph.producer(last.inputs[0])?);
    let Op::Transpose(transpose) = &moved.op else {
        return None;
    };
    let apart = graph.node(graph.producer(moved.inputs[0])?);
    let Op::Reshape(_) = apart.op else { return None };
    (transpose.perm == perm).then_some([apart.inputs[0], apart.output(), last.output()])
}

/// The layer over the whole image; `None` where it takes steps of its own.
fn dilated(op: &Op, block: [usize; 2]) -> Option<Op> {
    let padding = |p: Padding| Padding {
        top: p.top * block[0],
        bottom: p.bottom * block[0],
        left: p.left * block[1],
        right: p.right * block[1],
    };
    match op {
        Op::Conv2d(conv) if (conv.stride, conv.dilation) == ([1, 1], [1, 1]) => Some(Op::Conv2d(Conv2d {
            dilation: block,
            padding: padding(conv.padding),
            ..conv.clone()
        })),
        Op::DepthwiseConv2d(conv) if (conv.stride, conv.dilation) == ([1, 1], [1, 1]) => {
            Some(Op::DepthwiseConv2d(DepthwiseConv2d {
                dilation: block,
                padding: padding(conv.padding),
                ..conv.clone()
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Activation, Function, Reshape, Transpose};
    use crate::{Constant, TensorType};

    fn spelled(stride: [usize; 2]) -> Graph {
        let mut g = Graph::new("g");
        let mut x = g.input("x", TensorType::f32([1, 6, 8, 2]));
        let moves: [(&str, Op); 3] = [
            (
                "a",
                Reshape {
                    shape: vec![1, 3, 2, 4, 2, 2],
                }
                .into(),
            ),
            ("b", Transpose { perm: DEALT.to_vec() }.into()),
            (
                "c",
                Reshape {
                    shape: vec![4, 3, 4, 2],
                }
                .into(),
            ),
        ];
        for (name, op) in moves {
            x = g.add(name, op, &[x]).unwrap();
        }
        let weights = g.constant("w", Constant::f32([3, 3, 3, 2], vec![0.5; 54]).unwrap());
        let conv = Conv2d {
            stride,
            padding: Padding::all(1),
            ..Conv2d::default()
        };
        x = g.add("conv", conv, &[x, weights]).unwrap();
        x = g.add("relu", Function::Relu, &[x]).unwrap();
        let [_, h, w, c] = g.tensor(x).ty.shape.nhwc().unwrap();
        let moves: [(&str, Op); 3] = [
            (
                "d",
                Reshape {
                    shape: vec![2, 2, 1, h, w, c],
                }
                .into(),
            ),
            (
                "e",
                Transpose {
                    perm: GATHERED.to_vec(),
                }
                .into(),
            ),
            (
                "f",
                Reshape {
                    shape: vec![1, 2 * h, 2 * w, c],
                }
                .into(),
            ),
        ];
        for (name, op) in moves {
            x = g.add(name, op, &[x]).unwrap();
        }
        g.set_outputs(&[x]);
        g
    }

    #[test]
    fn a_layer_between_dealing_and_gathering_is_dilated() {
        let mut g = spelled([1, 1]);
        crate::passes::dilate(&mut g).unwrap();
        let [conv, relu] = g.nodes() else {
            panic!("{:?}", g.nodes())
        };
        let Op::Conv2d(op) = &conv.op else { panic!("{conv:?}") };
        assert_eq!(
            (op.dilation, op.padding, op.activation),
            ([2, 2], Padding::all(2), Activation::None)
        );
        assert_eq!(relu.op, Op::Function(Function::Relu));
        assert_eq!(g.tensor(relu.output()).ty, TensorType::f32([1, 6, 8, 3]));
        let mut steps = spelled([2, 2]);
        crate::passes::dilate(&mut steps).unwrap();
        assert_eq!(steps.nodes().len(), 8, "a layer with steps stays as it is");
    }
}

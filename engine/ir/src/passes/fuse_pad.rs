//! Zero padding before a convolution becomes the convolution's own.

use crate::ops::{PadMode, Padding};
use crate::{Graph, InferError, NodeId, Op, Patch};

/// `conv(pad(x))` with zeros around rows and columns only becomes `conv(x)` with larger padding.
///
/// Pools are left alone: their own padding takes no part in the result, padded zeros do.
pub fn fuse_pad(graph: &Graph, id: NodeId) -> Result<Option<Patch>, InferError> {
    let mut node = graph.node(id).clone();
    let padding = match &mut node.op {
        Op::Conv2d(c) => &mut c.padding,
        Op::DepthwiseConv2d(c) => &mut c.padding,
        _ => return Ok(None),
    };
    let Some(before) = graph.producer(node.inputs[0]).map(|p| graph.node(p)) else {
        return Ok(None);
    };
    let Op::Pad(pad) = &before.op else { return Ok(None) };
    let zeros = matches!(pad.mode, PadMode::Zero) || matches!(pad.mode, PadMode::Value(0.0));
    let (&[n0, top, left, c0], &[n1, bottom, right, c1]) = (pad.before.as_slice(), pad.after.as_slice()) else {
        return Ok(None);
    };
    if !zeros || [n0, n1, c0, c1] != [0; 4] {
        return Ok(None);
    }
    *padding = Padding {
        top: padding.top + top,
        bottom: padding.bottom + bottom,
        left: padding.left + left,
        right: padding.right + right,
    };
    let mut inputs = node.inputs.clone();
    inputs[0] = before.inputs[0];
    let mut patch = Patch::new(graph);
    let fused = patch.node(node.name, node.op, &inputs)?;
    patch.replace(node.outputs[0], fused);
    patch.remove(id);
    Ok(Some(patch))
}

#[cfg(test)]
mod tests {
    use crate::ops::{Activation, Conv2d, MaxPool2d, Pad, PadMode, Padding};
    use crate::{Constant, Graph, TensorType};

    #[test]
    fn asymmetric_zero_padding_moves_into_the_convolution_but_not_into_a_pool() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 4, 4, 1]));
        let pad = Pad {
            before: vec![0; 4],
            after: vec![0, 1, 1, 0],
            mode: PadMode::Zero,
        };
        let p = g.add("p", pad.clone(), &[x]).unwrap();
        let w = g.constant("w", Constant::f32([1, 3, 3, 1], vec![1.0; 9]).unwrap());
        let c = g
            .add(
                "c",
                Conv2d {
                    stride: [2, 2],
                    ..Conv2d::default()
                },
                &[p, w],
            )
            .unwrap();
        let q = g.add("q", pad, &[c]).unwrap();
        let pool = MaxPool2d {
            kernel: [2, 2],
            stride: [1, 1],
            padding: Padding::NONE,
            activation: Activation::None,
        };
        let m = g.add("m", pool, &[q]).unwrap();
        g.set_outputs(&[m]);
        assert_eq!(super::super::fold(&mut g).unwrap(), [("fuse-pad", 1)]);
        let names: Vec<_> = g.nodes().iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["c", "q", "m"]);
    }
}

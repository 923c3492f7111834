//! Zero padding before a convolution becomes the convolution's own, padding with the least number before a max pool the pool's own.

use crate::ops::{PadMode, Padding};
use crate::{Graph, InferError, NodeId, Op, Patch};

/// `conv(pad(x))` with zeros around rows and columns only becomes `conv(x)` with larger padding.
///
/// Pools are left alone: their own padding takes no part in the result, padded zeros do. The least number, or minus infinity, never is
/// the greatest of a window that holds anything else, so that a max pool's own padding does the same.
pub fn fuse_pad(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let mut node = graph.node(id).clone();
    let mut kernel = None;
    let padding = match &mut node.op {
        Op::Conv2d(c) => &mut c.padding,
        Op::DepthwiseConv2d(c) => &mut c.padding,
        Op::MaxPool2d(pool) => {
            kernel = Some(pool.kernel);
            &mut pool.padding
        }
        _ => return Ok(None),
    };
    let Some(before) = graph.producer(node.inputs[0]).map(|p| graph.node(p)) else {
        return Ok(None);
    };
    let Op::Pad(pad) = &before.op else { return Ok(None) };
    let neutral = match (pad.mode, kernel) {
        (PadMode::Zero, None) => true,
        (PadMode::Value(value), None) => value == 0.0,
        (PadMode::Value(value), Some(_)) => value <= f32::MIN,
        (PadMode::Zero | PadMode::Reflect | PadMode::Symmetric, _) => false,
    };
    let (&[n0, top, left, c0], &[n1, bottom, right, c1]) = (pad.before.as_slice(), pad.after.as_slice()) else {
        return Ok(None);
    };
    if !neutral || [n0, n1, c0, c1] != [0; 4] {
        return Ok(None);
    }
    *padding = Padding {
        top: padding.top + top,
        bottom: padding.bottom + bottom,
        left: padding.left + left,
        right: padding.right + right,
    };
    // A window of nothing but padding is another thing to a pool.
    if let Some([rows, columns]) = kernel
        && (padding.top.max(padding.bottom) >= rows || padding.left.max(padding.right) >= columns)
    {
        return Ok(None);
    }
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

    /// A pool of 2×2 behind a pad of `width` columns on the left.
    fn padded_pool(value: f32, width: usize) -> Graph {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 4, 4, 1]));
        let pad = Pad {
            before: vec![0, 0, width, 0],
            after: vec![0; 4],
            mode: PadMode::Value(value),
        };
        let p = g.add("p", pad, &[x]).unwrap();
        let pool = MaxPool2d {
            kernel: [2, 2],
            stride: [1, 1],
            padding: Padding::NONE,
            activation: Activation::None,
        };
        let m = g.add("m", pool, &[p]).unwrap();
        g.set_outputs(&[m]);
        super::super::fold(&mut g).unwrap();
        g
    }

    #[test]
    fn padding_with_the_least_number_moves_into_a_max_pool_whose_windows_hold_more() {
        for least in [f32::NEG_INFINITY, f32::MIN] {
            let g = padded_pool(least, 1);
            assert_eq!(g.nodes().len(), 1);
            assert!(matches!(&g.nodes()[0].op, crate::Op::MaxPool2d(pool) if pool.padding.left == 1));
            assert_eq!(padded_pool(least, 2).nodes().len(), 2);
        }
        assert_eq!(padded_pool(-1.0, 1).nodes().len(), 2);
    }
}

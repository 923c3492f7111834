//! Average pools over images with edges that TFLite has no name for.

use crate::ops::{AveragePool2d, Mul, Pad, PadMode, Padding};
use crate::{Constant, ElementType, Graph, InferError, NodeId, Op, Patch};

/// An average pool whose padding is neither none nor what TensorFlow calls `SAME` pools zeros along, and its results are multiplied by how
/// much larger the window is than the part of it that lies in the image. Source: TFLite `AVERAGE_POOL_2D`, which counts only that part.
pub fn padded_average(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let node = graph.node(id);
    let Op::AveragePool2d(pool) = &node.op else {
        return Ok(None);
    };
    let (input, output) = (graph.tensor(node.inputs[0]), graph.tensor(node.output()));
    let (Some([_, h, w, _]), Some([_, out_h, out_w, _])) = (input.ty.shape.nhwc(), output.ty.shape.nhwc()) else {
        return Ok(None);
    };
    let AveragePool2d {
        kernel,
        stride,
        padding,
        activation,
    } = pool.clone();
    let said = padding == Padding::NONE || padding == Padding::same([h, w], kernel, stride, [1, 1]);
    if said || input.ty.element != ElementType::F32 {
        return Ok(None);
    }
    let inside = |out: usize, extent: usize, kernel: usize, stride: usize, before: usize| -> Vec<usize> {
        let window = |i: usize| (i * stride).max(before)..(i * stride + kernel).min(before + extent);
        (0..out).map(|i| window(i).len()).collect()
    };
    let rows = inside(out_h, h, kernel[0], stride[0], padding.top);
    let columns = inside(out_w, w, kernel[1], stride[1], padding.left);
    if rows.contains(&0) || columns.contains(&0) {
        return Ok(None);
    }
    let all = (kernel[0] * kernel[1]) as f32;
    let share = rows
        .iter()
        .flat_map(|&r| columns.iter().map(move |&c| all / (r * c) as f32));
    let share = Constant::f32([1, out_h, out_w, 1], share.collect()).expect("one for each window");
    let mut patch = Patch::new(graph);
    let share = patch.constant(format!("{}/share", node.name), share);
    let pad = Pad {
        before: vec![0, padding.top, padding.left, 0],
        after: vec![0, padding.bottom, padding.right, 0],
        mode: PadMode::Zero,
    };
    let padded = patch.node(format!("{}/padded", node.name), pad, &[node.inputs[0]])?;
    let whole = AveragePool2d {
        kernel,
        stride,
        padding: Padding::NONE,
        activation: crate::ops::Activation::None,
    };
    let pooled = patch.node(format!("{}/windows", node.name), whole, &[padded])?;
    let last = patch.node(node.name.clone(), Mul { activation }, &[pooled, share])?;
    patch.replace(node.output(), last);
    patch.remove(id);
    Ok(Some(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorType;
    use crate::ops::Activation;

    #[test]
    fn windows_over_an_edge_are_weighed_by_what_lies_inside() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 4, 5, 2]));
        let pool = |padding| AveragePool2d {
            kernel: [3, 3],
            stride: [2, 2],
            padding,
            activation: Activation::Relu,
        };
        let y = g.add("y", pool(Padding::all(1)), &[x]).unwrap();
        g.set_outputs(&[y]);
        crate::passes::lower(&mut g).unwrap();
        let names: Vec<&str> = g.nodes().iter().map(|n| n.op.name()).collect();
        assert_eq!(names, ["pad", "average_pool2d", "mul"]);
        let share = g.nodes()[2].inputs[1];
        let values = g.constant_data(share).and_then(Constant::as_f32).unwrap();
        assert_eq!(values, [2.25, 1.5, 2.25, 1.5, 1.0, 1.5]);
        assert_eq!(
            g.nodes()[2].op,
            Mul {
                activation: Activation::Relu
            }
            .into()
        );
        // What TensorFlow calls SAME stays.
        let mut same = Graph::new("g");
        let x = same.input("x", TensorType::f32([1, 5, 5, 2]));
        let y = same.add("y", pool(Padding::all(1)), &[x]).unwrap();
        same.set_outputs(&[y]);
        crate::passes::lower(&mut same).unwrap();
        assert_eq!(same.nodes().len(), 1);
    }
}

//! Products of matrices: with stored weights a fully connected layer, else a product of two computed tensors.

use std::collections::HashMap;

use ir::ops::{Add, FullyConnected, MatMul, Mul, Reshape, Transpose};
use ir::{Constant, Graph, Op, TensorId};

use super::Node;
use super::values::Importer;
use crate::FormatError;
use crate::onnx::layout::Layout;

type Done = Result<(), FormatError>;

/// `Gemm`: `alpha · A' · B' + beta · C`.
pub(super) fn gemm<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
    let (trans_a, trans_b) = (node.flag("transA"), node.flag("transB"));
    let a = importer.stated(node, 0)?;
    let b_dims = importer.ty(node, 1)?.shape.0;
    let &[rows, columns] = b_dims.as_slice() else {
        return Err(node.malformed(format!("B has the shape {b_dims:?}, expected two dimensions")));
    };
    let outputs = if trans_b { rows } else { columns };
    if alpha != 1.0 || !importer.is_stored(node, 1) {
        let b = importer.stated(node, 1)?;
        let product = MatMul {
            adjoint_a: trans_a,
            adjoint_b: trans_b,
        };
        let mut y = importer.inner(node, "product", product, &[a, b])?;
        if alpha != 1.0 {
            let factor = importer.scalar(node, "alpha", alpha);
            y = importer.inner(node, "scaled", Mul::default(), &[y, factor])?;
        }
        return summand(importer, node, y, beta);
    }
    let a = if trans_a {
        importer.inner(node, "transposed", Transpose { perm: vec![1, 0] }, &[a])?
    } else {
        a
    };
    let weights = importer.weights(node, 1, &b_dims, if trans_b { &[0, 1] } else { &[1, 0] })?;
    // The bias of a layer is one value for each output.
    let c = node.input(2).map(|_| importer.ty(node, 2)).transpose()?;
    match c {
        None => importer
            .put(node, FullyConnected::default(), &[a, weights], Layout::Stated)
            .map(drop),
        Some(c)
            if beta == 1.0
                && c.shape.elements() == outputs
                && c.shape.0.last() == Some(&outputs)
                && importer.is_stored(node, 2) =>
        {
            let bias = importer.weights(node, 2, &[outputs], &[0])?;
            importer
                .put(node, FullyConnected::default(), &[a, weights, bias], Layout::Stated)
                .map(drop)
        }
        Some(_) => {
            let y = importer.inner(node, "product", FullyConnected::default(), &[a, weights])?;
            summand(importer, node, y, beta)
        }
    }
}

/// `y + beta · C`, or `y` alone.
fn summand<'f>(importer: &mut Importer<'f>, node: &Node<'f>, y: TensorId, beta: f32) -> Done {
    if node.input(2).is_none() || beta == 0.0 {
        return importer.put(node, ir::ops::Identity {}, &[y], Layout::Stated).map(drop);
    }
    let mut c = importer.stated(node, 2)?;
    if beta != 1.0 {
        let factor = importer.scalar(node, "beta", beta);
        c = importer.inner(node, "summand", Mul::default(), &[c, factor])?;
    }
    importer.put(node, Add::default(), &[y, c], Layout::Stated).map(drop)
}

/// `MatMul`: as in NumPy, a vector on the left is a row, one on the right a column.
pub(super) fn mat_mul<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let (a_dims, b_dims) = (importer.ty(node, 0)?.shape.0, importer.ty(node, 1)?.shape.0);
    let mut a = importer.stated(node, 0)?;
    if a_dims.len() == 1 {
        a = importer.inner(
            node,
            "row",
            Reshape {
                shape: vec![1, a_dims[0]],
            },
            &[a],
        )?;
    }
    // The weights of an integer layer are symmetric; a matrix that is not is an operand like another.
    let symmetric = importer
        .stored_meaning(node, 1)
        .is_none_or(|q| q.zero_points.iter().all(|&z| z == 0));
    let layer = importer.is_stored(node, 1) && symmetric && b_dims.len() <= 2 && !b_dims.is_empty();
    let (a_rank, b_rank) = (a_dims.len(), b_dims.len());
    // Where the vectors' dimensions of 1 are dropped again, another operator makes the output.
    let plain = a_rank > 1 && b_rank > 1;
    let y = if layer {
        let (dims, perm): (Vec<usize>, &[usize]) = if b_rank == 1 {
            (vec![1, b_dims[0]], &[0, 1])
        } else {
            (b_dims.clone(), &[1, 0])
        };
        let weights = importer.weights(node, 1, &dims, perm)?;
        if plain {
            return importer
                .put(node, FullyConnected::default(), &[a, weights], Layout::Stated)
                .map(drop);
        }
        importer.inner(node, "product", FullyConnected::default(), &[a, weights])?
    } else {
        let mut b = importer.stated(node, 1)?;
        if b_rank == 1 {
            b = importer.inner(
                node,
                "column",
                Reshape {
                    shape: vec![b_dims[0], 1],
                },
                &[b],
            )?;
        }
        if plain {
            return importer.put(node, MatMul::default(), &[a, b], Layout::Stated).map(drop);
        }
        importer.inner(node, "product", MatMul::default(), &[a, b])?
    };
    let mut shape = importer.graph.tensor(y).ty.shape.0.clone();
    if b_rank == 1 {
        shape.pop();
    }
    if a_rank == 1 {
        let row = shape.len() - usize::from(b_rank != 1) - 1;
        shape.remove(row);
    }
    importer.put(node, Reshape { shape }, &[y], Layout::Stated).map(drop)
}

/// A product of a matrix that was transposed for it alone becomes a product that says so.
pub(super) fn take_up_transposes(graph: &mut Graph) {
    let swaps = |op: &Op| {
        let Op::Transpose(Transpose { perm }) = op else {
            return false;
        };
        let rank = perm.len();
        let wanted = (0..rank.saturating_sub(2)).chain([rank - 1, rank.saturating_sub(2)]);
        rank >= 2 && perm.iter().copied().eq(wanted)
    };
    let of_swap: HashMap<TensorId, TensorId> = graph
        .nodes()
        .iter()
        .filter(|node| swaps(&node.op))
        .map(|node| (node.outputs[0], node.inputs[0]))
        .collect();
    for id in graph.node_ids().collect::<Vec<_>>() {
        let node = graph.node_mut(id);
        let Op::MatMul(op) = &mut node.op else { continue };
        for (input, adjoint) in node.inputs.iter_mut().zip([&mut op.adjoint_a, &mut op.adjoint_b]) {
            if let Some(&from) = of_swap.get(input) {
                *input = from;
                *adjoint = !*adjoint;
            }
        }
    }
}

/// Weights of ones or zeros, for norms that have none.
pub(super) fn filled(dims: &[usize], value: f32) -> Option<Constant> {
    Constant::f32(dims, vec![value; dims.iter().product()])
}

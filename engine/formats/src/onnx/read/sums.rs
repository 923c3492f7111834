//! Sums of products stated as equations, and running sums.

use ir::ops::{FullyConnected, Op, Transpose};
use ir::{Constant, TensorId};

use super::Node;
use super::values::Importer;
use crate::FormatError;
use crate::einsum::{self, Equation, Extents, Parts, order};
use crate::onnx::fold;
use crate::onnx::layout::Layout;

type Done = Result<(), FormatError>;

struct Within<'a, 'f> {
    importer: &'a mut Importer<'f>,
    node: &'a Node<'f>,
}

impl Parts for Within<'_, '_> {
    fn part(&mut self, what: &str, op: Op, inputs: &[TensorId]) -> Result<TensorId, FormatError> {
        self.importer.inner(self.node, what, op, inputs)
    }
}

/// `Einsum` of two tensors.
pub(super) fn einsum<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let text = node.text("equation", "")?.to_owned();
    let equation = Equation::parse(&text).filter(|_| node.proto.input.len() == 2);
    let equation = equation.ok_or_else(|| {
        let fix = "write it as a product of two tensors whose dimensions all have labels of their own";
        node.unsupported(format!("the equation `{text}` is not read"), fix)
    })?;
    let (a_dims, b_dims) = (importer.ty(node, 0)?.shape.0, importer.ty(node, 1)?.shape.0);
    let mut extents = Extents(Vec::new());
    if !(extents.add(&equation.first, &a_dims) && extents.add(&equation.second, &b_dims)) {
        return Err(node.malformed(format!("the equation `{text}` does not fit {a_dims:?} and {b_dims:?}")));
    }
    let a = importer.stated(node, 0)?;
    let layer = importer.is_stored(node, 1) && equation.matrices.is_empty();
    if layer && equation.columns.len() == 1 && equation.summed.len() == 1 {
        return dense(importer, node, &equation, a, &b_dims);
    }
    let b = importer.stated(node, 1)?;
    let (op, inputs) = einsum::product(&mut Within { importer, node }, &equation, &extents, a, b)?;
    importer.put(node, op, &inputs, Layout::Stated).map(drop)
}

/// Stored weights of one dimension each of inputs and outputs: a layer over the last dimension, between transposes.
fn dense<'f>(importer: &mut Importer<'f>, node: &Node<'f>, equation: &Equation, a: TensorId, b_dims: &[usize]) -> Done {
    let Equation {
        first,
        second,
        result,
        rows,
        columns,
        summed,
        ..
    } = equation;
    let wanted = [&rows[..], summed].concat();
    let mut x = a;
    if *first != wanted {
        let perm = order(first, &wanted);
        x = importer.inner(node, "first_transposed", Transpose { perm }, &[x])?;
    }
    let weights = importer.weights(node, 1, b_dims, &order(second, &[&columns[..], summed].concat()))?;
    let made = [&rows[..], columns].concat();
    if made == *result {
        return importer
            .put(node, FullyConnected::default(), &[x, weights], Layout::Stated)
            .map(drop);
    }
    let y = importer.inner(node, "product", FullyConnected::default(), &[x, weights])?;
    let perm = order(&made, result);
    importer.put(node, Transpose { perm }, &[y], Layout::Stated).map(drop)
}

/// `CumSum`: a product with a triangle of ones along the dimension.
pub(super) fn cumulative<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let axis = importer
        .known_ints(node, 1)
        .and_then(|axis| fold::axis(*axis.first()?, dims.len()));
    let axis = axis.ok_or_else(|| node.unsupported("its dimension is computed, or none", "make it constant"))?;
    let (exclusive, reverse) = (node.flag("exclusive"), node.flag("reverse"));
    let n = dims[axis];
    if n * n > importer.room {
        return Err(node.unsupported(format!("sums up {n} numbers one after the other"), "sum up fewer"));
    }
    importer.room -= n * n;
    let counts = |(to, from): (usize, usize)| {
        let (from, to) = if reverse { (to, from) } else { (from, to) };
        f32::from(u8::from(from < to || (from == to && !exclusive)))
    };
    let triangle = (0..n * n).map(|i| counts((i / n, i % n))).collect();
    let triangle = Constant::f32([n, n], triangle).ok_or_else(|| node.malformed("its extent does not fit"))?;
    let triangle = importer.made_up(node, "triangle", triangle);
    let mut x = importer.stated(node, 0)?;
    let last = dims.len() - 1;
    let mut perm: Vec<usize> = (0..dims.len()).collect();
    perm.swap(axis, last);
    if axis != last {
        x = importer.inner(node, "turned", Transpose { perm: perm.clone() }, &[x])?;
    }
    if dims.len() == 1 {
        return Err(node.unsupported("sums up a line of numbers", "give it a dimension of samples"));
    }
    if axis == last {
        return importer
            .put(node, FullyConnected::default(), &[x, triangle], Layout::Stated)
            .map(drop);
    }
    let y = importer.inner(node, "sums", FullyConnected::default(), &[x, triangle])?;
    importer.put(node, Transpose { perm }, &[y], Layout::Stated).map(drop)
}

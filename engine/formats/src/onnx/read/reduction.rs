//! Reductions over dimensions.

use ir::ops::{ArgMax, Function, Mean, Mul, ReduceMax, ReduceMin, ReduceSum, Reshape};
use ir::{ElementType, Op, TensorId};

use super::Node;
use super::elementwise::layout_of;
use super::values::Importer;
use crate::FormatError;
use crate::onnx::fold;
use crate::onnx::layout::{self, Layout};

type Done = Result<(), FormatError>;

/// What is reduced, and in which layout it lies and comes out.
pub(super) struct Plan {
    pub x: TensorId,
    pub axes: Vec<usize>,
    pub keep_dims: bool,
    pub layout: Layout,
}

/// Axes are an attribute before opset 18 (13 for sums), then an input. `None`: nothing is reduced.
pub(super) fn plan<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Result<Option<Plan>, FormatError> {
    let rank = importer.ty(node, 0)?.shape.rank();
    let given = if node.input(1).is_none() {
        node.ints("axes").map(<[i64]>::to_vec)
    } else {
        let known = importer.known_ints(node, 1);
        Some(known.ok_or_else(|| node.unsupported("its axes are computed", "simplify the model"))?)
    };
    let keep_dims = node.int("keepdims", 1) != 0;
    let nothing = node.flag("noop_with_empty_axes");
    let stated: Vec<usize> = match given {
        Some(axes) if !axes.is_empty() => {
            let known = axes.iter().map(|&a| fold::axis(a, rank)).collect::<Option<_>>();
            known.ok_or_else(|| node.malformed(format!("axes {axes:?} are no dimensions of the input")))?
        }
        _ if nothing => return Ok(None),
        _ => (0..rank).collect(),
    };
    let mut layout = layout_of(importer, node, 0);
    // Without the reduced dimensions, the others must come in the order that the file states.
    if layout == Layout::ChannelsLast && !keep_dims {
        let left: Vec<usize> = layout::to_last(rank)
            .into_iter()
            .filter(|d| !stated.contains(d))
            .collect();
        if !left.is_sorted() {
            layout = Layout::Stated;
        }
    }
    let x = importer.input_in(node, 0, layout)?;
    let mut axes: Vec<usize> = stated.into_iter().map(|a| layout::axis(layout, rank, a)).collect();
    axes.sort_unstable();
    axes.dedup();
    let layout = if keep_dims { layout } else { Layout::Stated };
    Ok(Some(Plan {
        x,
        axes,
        keep_dims,
        layout,
    }))
}

fn reduce<'f>(importer: &mut Importer<'f>, node: &Node<'f>, op: fn(Vec<usize>, bool) -> Op) -> Done {
    match plan(importer, node)? {
        None => importer.alias(node, 0),
        Some(Plan {
            x,
            axes,
            keep_dims,
            layout,
        }) => importer.put(node, op(axes, keep_dims), &[x], layout).map(drop),
    }
}

pub(super) fn mean<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    reduce(importer, node, |axes, keep_dims| Mean { axes, keep_dims }.into())
}

pub(super) fn sum<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    reduce(importer, node, |axes, keep_dims| ReduceSum { axes, keep_dims }.into())
}

pub(super) fn max<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    reduce(importer, node, |axes, keep_dims| ReduceMax { axes, keep_dims }.into())
}

pub(super) fn min<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    reduce(importer, node, |axes, keep_dims| ReduceMin { axes, keep_dims }.into())
}

pub(super) fn arg_max<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    places(importer, node, false)
}

/// The greatest of the negatives is the least.
pub(super) fn arg_min<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    places(importer, node, true)
}

fn places<'f>(importer: &mut Importer<'f>, node: &Node<'f>, least: bool) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let (given, rank) = (node.int("axis", 0), dims.len());
    let stated =
        fold::axis(given, rank).ok_or_else(|| node.malformed(format!("axis {given} is no dimension of {dims:?}")))?;
    if node.flag("select_last_index") {
        return Err(node.unsupported("takes the last of several", "take the first of them"));
    }
    let mut layout = layout_of(importer, node, 0);
    let left = layout::to_last(rank).into_iter().filter(|&d| d != stated);
    if layout == Layout::ChannelsLast && !left.is_sorted() {
        layout = Layout::Stated;
    }
    let mut x = importer.input_in(node, 0, layout)?;
    if least {
        x = importer.inner(node, "negative", Function::Neg, &[x])?;
    }
    let op = ArgMax {
        axis: layout::axis(layout, rank, stated),
        to: ElementType::I64,
    };
    if node.int("keepdims", 1) == 0 {
        return importer.put(node, op, &[x], Layout::Stated).map(drop);
    }
    let y = importer.inner(node, "places", op, &[x])?;
    let mut shape = dims;
    shape[stated] = 1;
    importer.put(node, Reshape { shape }, &[y], Layout::Stated).map(drop)
}

pub(super) fn sum_square<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    squares(importer, node, false)
}

pub(super) fn l1<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let Some(Plan {
        x,
        axes,
        keep_dims,
        layout,
    }) = plan(importer, node)?
    else {
        return Err(node.unsupported("reduces nothing", "name the axes"));
    };
    let sizes = importer.inner(node, "sizes", Function::Abs, &[x])?;
    importer
        .put(node, ReduceSum { axes, keep_dims }, &[sizes], layout)
        .map(drop)
}

pub(super) fn l2<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    squares(importer, node, true)
}

fn squares<'f>(importer: &mut Importer<'f>, node: &Node<'f>, root: bool) -> Done {
    let Some(Plan {
        x,
        axes,
        keep_dims,
        layout,
    }) = plan(importer, node)?
    else {
        return Err(node.unsupported("reduces nothing", "name the axes"));
    };
    let squares = importer.inner(node, "squares", Mul::default(), &[x, x])?;
    let sum = ReduceSum { axes, keep_dims };
    if !root {
        return importer.put(node, sum, &[squares], layout).map(drop);
    }
    let sum = importer.inner(node, "sum", sum, &[squares])?;
    importer.put(node, Function::Sqrt, &[sum], layout).map(drop)
}

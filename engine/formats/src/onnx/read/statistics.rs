//! Norms and reductions that the graph has in parts: by root mean squares, by sums of powers, of neighbouring channels; logarithms of sums.

use ir::ops::{
    Activation, Add, AveragePool2d, Div, Function, Maximum, Mean, Mul, Pad, PadMode, Padding, Pow, ReduceMax,
    ReduceSum, Reshape, Sub,
};

use super::Node;
use super::normalization::standardized;
use super::reduction::{self, Plan};
use super::values::Importer;
use crate::FormatError;
use crate::onnx::fold;
use crate::onnx::layout::Layout;

type Done = Result<(), FormatError>;

/// `RMSNormalization`: `x / √(mean(x²) + epsilon) · scale` over the dimensions from `axis` on.
pub(super) fn root_mean_square<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    node.ignore(&["stash_type"]);
    let dims = importer.ty(node, 0)?.shape.0;
    let axis = axis(node, node.int("axis", -1), dims.len())?;
    let x = importer.stated(node, 0)?;
    let over = Mean {
        axes: (axis..dims.len()).collect(),
        keep_dims: true,
    };
    let squares = importer.inner(node, "squares", Mul::default(), &[x, x])?;
    let mean = importer.inner(node, "mean", over, &[squares])?;
    let epsilon = importer.scalar(node, "epsilon", node.float("epsilon", 1e-5));
    let shifted = importer.inner(node, "shifted", Add::default(), &[mean, epsilon])?;
    let inverse = importer.inner(node, "inverse", Function::Rsqrt, &[shifted])?;
    let y = importer.inner(node, "standardized", Mul::default(), &[x, inverse])?;
    let scale = importer.stated(node, 1)?;
    importer
        .put(node, Mul::default(), &[y, scale], Layout::Stated)
        .map(drop)
}

fn axis(node: &Node<'_>, given: i64, rank: usize) -> Result<usize, FormatError> {
    fold::axis(given, rank).ok_or_else(|| node.malformed(format!("axis {given} is no dimension of the input")))
}

/// `LpNormalization`: divided by the sum of sizes, or by the root of the sum of squares.
pub(super) fn powers<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let rank = importer.ty(node, 0)?.shape.rank();
    let axis = axis(node, node.int("axis", -1), rank)?;
    let x = importer.stated(node, 0)?;
    let sum = ReduceSum {
        axes: vec![axis],
        keep_dims: true,
    };
    let norm = match node.int("p", 2) {
        1 => {
            let sizes = importer.inner(node, "sizes", Function::Abs, &[x])?;
            importer.inner(node, "norm", sum, &[sizes])?
        }
        2 => {
            let squares = importer.inner(node, "squares", Mul::default(), &[x, x])?;
            let sum = importer.inner(node, "sum", sum, &[squares])?;
            importer.inner(node, "norm", Function::Sqrt, &[sum])?
        }
        p => return Err(node.malformed(format!("p is {p}, expected 1 or 2"))),
    };
    // Zeros stay zeros.
    let least = importer.scalar(node, "least", f32::MIN_POSITIVE);
    let norm = importer.inner(node, "divisor", Maximum {}, &[norm, least])?;
    importer.put(node, Div::default(), &[x, norm], Layout::Stated).map(drop)
}

/// `MeanVarianceNormalization` over `axes`.
pub(super) fn mean_variance<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let rank = importer.ty(node, 0)?.shape.rank();
    let axes = node.ints("axes").map_or_else(|| vec![0, 2, 3], <[i64]>::to_vec);
    let axes = axes
        .iter()
        .map(|&a| axis(node, a, rank))
        .collect::<Result<Vec<_>, _>>()?;
    let x = importer.stated(node, 0)?;
    // What keeps the quotient finite. Source: the operator's definition as a function.
    let y = standardized(importer, node, x, &axes, 1e-9)?;
    importer.put(node, ir::ops::Identity {}, &[y], Layout::Stated).map(drop)
}

/// `LRN`: `x / (bias + alpha · mean of the squares of neighbouring channels)^beta`, channels beyond the edge being zeros.
pub(super) fn local_response<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let size = usize::try_from(node.int("size", 0)).unwrap_or(0);
    if size == 0 {
        return Err(node.malformed("has no size"));
    }
    let x = importer.last(node, 0)?;
    let dims = importer.graph.tensor(x).ty.shape.0.clone();
    let Some((&channels, pixels)) = dims.split_last() else {
        return Err(node.malformed("reads a single number"));
    };
    let rows: usize = pixels[1..].iter().product();
    let squares = importer.inner(node, "squares", Mul::default(), &[x, x])?;
    let shape = vec![pixels[0], rows, channels, 1];
    let lines = importer.inner(node, "lines", Reshape { shape }, &[squares])?;
    let pad = Pad {
        before: vec![0, 0, (size - 1) / 2, 0],
        after: vec![0, 0, size / 2, 0],
        mode: PadMode::Zero,
    };
    let lines = importer.inner(node, "edges", pad, &[lines])?;
    let pool = AveragePool2d {
        kernel: [1, size],
        stride: [1, 1],
        padding: Padding::NONE,
        activation: Activation::None,
    };
    let means = importer.inner(node, "means", pool, &[lines])?;
    let means = importer.inner(node, "pixels", Reshape { shape: dims }, &[means])?;
    let [alpha, bias, beta] = [("alpha", 1e-4), ("bias", 1.0), ("beta", 0.75)]
        .map(|(name, default)| importer.scalar(node, name, node.float(name, default)));
    let scaled = importer.inner(node, "scaled", Mul::default(), &[means, alpha])?;
    let shifted = importer.inner(node, "shifted", Add::default(), &[scaled, bias])?;
    let divisor = importer.inner(node, "divisor", Pow {}, &[shifted, beta])?;
    importer
        .put(node, Div::default(), &[x, divisor], Layout::ChannelsLast)
        .map(drop)
}

/// `ReduceLogSum`.
pub(super) fn log_sum<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let plan = needed(importer, node)?;
    let sum = ReduceSum {
        axes: plan.axes,
        keep_dims: plan.keep_dims,
    };
    let sum = importer.inner(node, "sum", sum, &[plan.x])?;
    importer.put(node, Function::Log, &[sum], plan.layout).map(drop)
}

/// `ReduceLogSumExp`, from the greatest on, so that nothing overflows.
pub(super) fn log_sum_exp<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let Plan {
        x,
        axes,
        keep_dims,
        layout,
    } = needed(importer, node)?;
    let greatest = |keep_dims| ReduceMax {
        axes: axes.clone(),
        keep_dims,
    };
    let top = importer.inner(node, "greatest", greatest(true), &[x])?;
    let below = importer.inner(node, "below", Sub::default(), &[x, top])?;
    let powers = importer.inner(node, "powers", Function::Exp, &[below])?;
    let sum = ReduceSum {
        axes: axes.clone(),
        keep_dims,
    };
    let sum = importer.inner(node, "sum", sum, &[powers])?;
    let log = importer.inner(node, "log", Function::Log, &[sum])?;
    let top = if keep_dims {
        top
    } else {
        importer.inner(node, "greatest_of_all", greatest(false), &[x])?
    };
    importer.put(node, Add::default(), &[log, top], layout).map(drop)
}

fn needed<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Result<Plan, FormatError> {
    let plan = reduction::plan(importer, node)?;
    plan.ok_or_else(|| node.unsupported("reduces nothing", "name the axes"))
}

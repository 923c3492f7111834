//! Norms: with stored statistics, or with those of the sample itself.

use ir::ops::{Add, BatchNorm, Function, LayerNorm, Mean, Mul, Reshape, Sub};
use ir::{Constant, TensorId};

use super::Node;
use super::matrix::filled;
use super::values::Importer;
use crate::FormatError;
use crate::onnx::fold;
use crate::onnx::layout::Layout;

type Done = Result<(), FormatError>;

/// `BatchNormalization` at inference, over dimension 1.
pub(super) fn batch<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    node.ignore(&["momentum"]);
    if node.flag("training_mode")
        || node.int("spatial", 1) == 0
        || (1..5).any(|i| node.output(i).is_some() && node.opset >= 14)
    {
        return Err(node.unsupported("normalizes by the batch, or by pixel", "export the model for inference"));
    }
    let op = BatchNorm {
        epsilon: node.float("epsilon", 1e-5),
    };
    let rank = importer.ty(node, 0)?.shape.rank();
    let layout = if rank < 3 { Layout::Stated } else { Layout::ChannelsLast };
    let mut inputs = vec![importer.input_in(node, 0, layout)?];
    for i in 1..5 {
        inputs.push(importer.constant(node, i, Layout::Stated, |c| c.reshaped([c.len()]))?);
    }
    importer.put(node, op, &inputs, layout).map(drop)
}

/// `LayerNormalization` over the dimensions from `axis` on.
pub(super) fn layer<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    node.ignore(&["stash_type"]);
    if node.output(1).is_some() || node.output(2).is_some() {
        return Err(node.unsupported("gives its mean and deviation too", "use the normalized values alone"));
    }
    let dims = importer.ty(node, 0)?.shape.0;
    let given = node.int("axis", -1);
    let axis = fold::axis(given, dims.len())
        .ok_or_else(|| node.malformed(format!("axis {given} is no dimension of the input")))?;
    let normalized = dims[axis..].to_vec();
    // A scale may be broadcast; the IR has one value for each element.
    let full = |c: &Constant| match fold::floats(c).as_slice() {
        [one] => filled(&normalized, *one),
        _ => c.reshaped(normalized.clone()),
    };
    let mut inputs = vec![importer.stated(node, 0)?];
    inputs.push(importer.constant(node, 1, Layout::Stated, full)?);
    if node.input(2).is_some() {
        inputs.push(importer.constant(node, 2, Layout::Stated, full)?);
    }
    let op = LayerNorm {
        axis,
        epsilon: node.float("epsilon", 1e-5),
    };
    importer.put(node, op, &inputs, Layout::Stated).map(drop)
}

/// `(x − mean) / √(variance + epsilon)` over `axes`.
pub(super) fn standardized<'f>(
    importer: &mut Importer<'f>,
    node: &Node<'f>,
    x: TensorId,
    axes: &[usize],
    epsilon: f32,
) -> Result<TensorId, FormatError> {
    let over = || Mean {
        axes: axes.to_vec(),
        keep_dims: true,
    };
    let mean = importer.inner(node, "mean", over(), &[x])?;
    let centred = importer.inner(node, "centred", Sub::default(), &[x, mean])?;
    let squares = importer.inner(node, "squares", Mul::default(), &[centred, centred])?;
    let variance = importer.inner(node, "variance", over(), &[squares])?;
    let epsilon = importer.scalar(node, "epsilon", epsilon);
    let shifted = importer.inner(node, "shifted", Add::default(), &[variance, epsilon])?;
    let inverse = importer.inner(node, "inverse", Function::Rsqrt, &[shifted])?;
    importer.inner(node, "standardized", Mul::default(), &[centred, inverse])
}

/// `InstanceNormalization`: each channel by its own statistics.
pub(super) fn instance<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let x = importer.last(node, 0)?;
    let axes: Vec<usize> = (1..importer.graph.tensor(x).ty.shape.rank() - 1).collect();
    let y = standardized(importer, node, x, &axes, node.float("epsilon", 1e-5))?;
    let scale = importer.constant(node, 1, Layout::Stated, |c| Some(c.clone()))?;
    let offset = importer.constant(node, 2, Layout::Stated, |c| Some(c.clone()))?;
    let scaled = importer.inner(node, "scaled", Mul::default(), &[y, scale])?;
    importer
        .put(node, Add::default(), &[scaled, offset], Layout::ChannelsLast)
        .map(drop)
}

/// `GroupNormalization`: groups of channels by their own statistics; scale and offset for each group before opset 21, then for each channel.
pub(super) fn group<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    node.ignore(&["stash_type"]);
    let dims = importer.ty(node, 0)?.shape.0;
    let groups = usize::try_from(node.int("num_groups", 0)).unwrap_or(0);
    let (&[n, channels, ..], true) = (dims.as_slice(), groups > 0) else {
        return Err(node.malformed("expected an input [N,C,…] and num_groups"));
    };
    if channels % groups != 0 {
        return Err(node.malformed(format!("{channels} channels in {groups} groups")));
    }
    let x = importer.stated(node, 0)?;
    let inner: usize = dims[1..].iter().product::<usize>() / groups;
    let grouped = importer.inner(
        node,
        "grouped",
        Reshape {
            shape: vec![n, groups, inner],
        },
        &[x],
    )?;
    let y = standardized(importer, node, grouped, &[2], node.float("epsilon", 1e-5))?;
    let y = importer.inner(node, "ungrouped", Reshape { shape: dims.clone() }, &[y])?;
    let mut broadcast = vec![channels];
    broadcast.resize(dims.len() - 1, 1);
    let form = |c: &Constant| {
        let values = fold::floats(c);
        let repeats = channels.checked_div(values.len())?;
        let values = values.iter().flat_map(|&v| std::iter::repeat_n(v, repeats)).collect();
        Constant::f32(broadcast.clone(), values)
    };
    let scale = importer.constant(node, 1, Layout::Stated, form)?;
    let offset = importer.constant(node, 2, Layout::Stated, form)?;
    let scaled = importer.inner(node, "scaled", Mul::default(), &[y, scale])?;
    importer
        .put(node, Add::default(), &[scaled, offset], Layout::Stated)
        .map(drop)
}

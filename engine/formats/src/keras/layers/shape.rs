//! Layers that move values without changing them: flatten, reshape, permute, crop, pad.

use ir::TensorId;
use ir::ops::{Concat, Identity, Pad, PadMode, Reshape, Slice, Transpose};

use super::{Call, Kind, none};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        classes: &["Flatten"],
        slots: none,
        build: flatten,
    },
    Kind {
        classes: &["Reshape"],
        slots: none,
        build: reshape,
    },
    Kind {
        classes: &["RepeatVector"],
        slots: none,
        build: repeat,
    },
    Kind {
        classes: &["Permute"],
        slots: none,
        build: permute,
    },
    Kind {
        classes: &["Cropping1D"],
        slots: none,
        build: |call| crop::<1>(call),
    },
    Kind {
        classes: &["Cropping2D"],
        slots: none,
        build: |call| crop::<2>(call),
    },
    Kind {
        classes: &["ZeroPadding1D"],
        slots: none,
        build: |call| pad::<1>(call),
    },
    Kind {
        classes: &["ZeroPadding2D"],
        slots: none,
        build: |call| pad::<2>(call),
    },
];

fn flatten(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    call.attributes().channels_last()?;
    let input = call.input()?;
    let dims = call.dims(input);
    let shape = vec![dims[0], dims[1..].iter().product()];
    call.output(Reshape { shape }, &[input])
}

/// At most one -1 stands for what is left.
fn reshape(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, attributes) = (call.input()?, call.attributes());
    let dims = call.dims(input);
    let elements: usize = dims[1..].iter().product();
    let expected = "positive extents, at most one of them -1";
    let target = attributes
        .integers("target_shape")?
        .ok_or_else(|| attributes.wrong("target_shape", expected))?;
    let known = target
        .iter()
        .filter(|&&d| d != -1)
        .try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?));
    let known = known
        .filter(|&n| n > 0)
        .ok_or_else(|| attributes.wrong("target_shape", expected))?;
    if target.iter().filter(|&&d| d == -1).count() > 1 {
        return Err(attributes.wrong("target_shape", expected));
    }
    let extent = |&d: &i64| usize::try_from(d).unwrap_or(elements / known);
    let shape = std::iter::once(dims[0]).chain(target.iter().map(extent)).collect();
    call.output(Reshape { shape }, &[input])
}

/// Keras counts a sample's dimensions from 1, so they are the tensor's from 0.
fn permute(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, attributes) = (call.input()?, call.attributes());
    let expected = "the dimensions of a sample, counted from 1";
    let dims = attributes
        .integers("dims")?
        .ok_or_else(|| attributes.wrong("dims", expected))?;
    let perm: Option<Vec<usize>> = std::iter::once(Some(0))
        .chain(dims.iter().map(|&d| usize::try_from(d).ok()))
        .collect();
    let perm = perm.ok_or_else(|| attributes.wrong("dims", expected))?;
    call.output(Transpose { perm }, &[input])
}

/// What is added to or taken from a tensor.
struct Margins {
    input: TensorId,
    dims: Vec<usize>,
    before: Vec<usize>,
    after: Vec<usize>,
}

/// Before and after, along every dimension of a tensor whose `N` middle dimensions the argument is about.
fn margins<const N: usize>(call: &Call<'_, '_>, key: &str) -> Result<Margins, FormatError> {
    let attributes = call.attributes();
    attributes.channels_last()?;
    let input = call.input()?;
    let dims = call.dims(input);
    if dims.len() != N + 2 {
        let problem = format!(
            "the input has the shape {dims:?}, expected {} dimensions with the batch",
            N + 2
        );
        return Err(call.malformed(problem));
    }
    let sides = if N == 1 {
        // `n` or `[before, after]`.
        vec![attributes.pair(key, 0)?.unwrap_or([1, 1])]
    } else {
        attributes.margins(key, usize::from(key == "padding"))?.to_vec()
    };
    let along = |side: usize| {
        let middle = sides.iter().map(|s| s[side]);
        std::iter::once(0).chain(middle).chain([0]).collect::<Vec<usize>>()
    };
    Ok(Margins {
        input,
        dims,
        before: along(0),
        after: along(1),
    })
}

fn crop<const N: usize>(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let Margins {
        input,
        dims,
        before,
        after,
    } = margins::<N>(call, "cropping")?;
    let end = dims.iter().zip(after).map(|(d, a)| d.saturating_sub(a)).collect();
    let stride = vec![1; dims.len()];
    call.output(
        Slice {
            begin: before,
            end,
            stride,
        },
        &[input],
    )
}

fn pad<const N: usize>(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let Margins {
        input, before, after, ..
    } = margins::<N>(call, "padding")?;
    let mode = PadMode::Zero;
    call.output(Pad { before, after, mode }, &[input])
}
/// Rows that are all the same: `[1,C]` to `[1,n,C]`.
fn repeat(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, [batch, features]) = call.input_of_rank::<2>()?;
    let n = call.attributes().extent("n", None)?;
    let shape = vec![batch, 1, features];
    let row = call.part("row", Reshape { shape }, &[input])?;
    if n == 1 {
        return call.output(Identity {}, &[row]);
    }
    call.output(Concat { axis: 1 }, &vec![row; n])
}

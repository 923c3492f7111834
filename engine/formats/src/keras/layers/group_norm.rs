//! Normalizations that the IR has no operator for, in parts: by groups of channels, by the root of the mean square, to length 1.

use ir::TensorId;
use ir::ops::{Add, Function, Maximum, Mean, Mul, ReduceSum, Reshape, Sub};

use super::super::attributes::Attributes;
use super::super::weights::Slot;
use super::{Call, Kind, none, scale_and_centre};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        classes: &["GroupNormalization"],
        slots: scale_and_centre,
        build: group,
    },
    Kind {
        classes: &["RMSNormalization"],
        slots: scale,
        build: root_mean_square,
    },
    Kind {
        classes: &["UnitNormalization"],
        slots: none,
        build: unit,
    },
];

#[expect(clippy::unnecessary_wraps, reason = "the type of `Kind::slots`")]
fn scale(_: &Attributes) -> Result<Vec<Slot>, FormatError> {
    Ok(vec![Slot::trained("scale", &[])])
}

/// The dimension of the channels must be the last.
fn along_channels(call: &Call<'_, '_>, rank: usize) -> Result<(), FormatError> {
    let attributes = call.attributes();
    let axes = attributes.integers("axis")?.unwrap_or_else(|| vec![-1]);
    match axes.as_slice() {
        &[axis] if attributes.axis("axis", axis, rank)? + 1 == rank => Ok(()),
        _ => Err(attributes.refuse("axis", "normalize along the channels, the last dimension (axis=-1)")),
    }
}

/// `x · 1/√(v + epsilon)`, where `v` is the mean of the squares of `x` over `axes`.
fn by_squares(call: &mut Call<'_, '_>, x: TensorId, axes: Vec<usize>, epsilon: f32) -> Result<TensorId, FormatError> {
    let squares = call.part("squares", Mul::default(), &[x, x])?;
    let keep_dims = true;
    let mean = call.part("variance", Mean { axes, keep_dims }, &[squares])?;
    let epsilon = call.constant("epsilon", &[1], vec![epsilon])?;
    let above_zero = call.part("above_zero", Add::default(), &[mean, epsilon])?;
    let factor = call.part("factor", Function::Rsqrt, &[above_zero])?;
    call.part("normalized", Mul::default(), &[x, factor])
}

/// Wu & He 2018, «Group Normalization»; `groups` of −1 is one for each channel.
fn group(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, attributes) = (call.input()?, call.attributes());
    let dims = call.dims(input);
    along_channels(call, dims.len())?;
    let channels = dims[dims.len() - 1];
    let groups = match attributes.number("groups")? {
        None => 32,
        Some(-1.0) => channels,
        Some(_) => attributes.extent("groups", None)?,
    };
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(attributes.refuse("groups", "the channels must be a multiple of the groups"));
    }
    let epsilon = attributes.number("epsilon")?.unwrap_or(1e-3);
    let pixels = dims[1..dims.len() - 1].iter().product();
    let shape = vec![dims[0], pixels, groups, channels / groups];
    let grouped = call.part("grouped", Reshape { shape }, &[input])?;
    let (axes, keep_dims) = (vec![1, 3], true);
    let mean = call.part(
        "mean",
        Mean {
            axes: axes.clone(),
            keep_dims,
        },
        &[grouped],
    )?;
    let centred = call.part("centred", Sub::default(), &[grouped, mean])?;
    let normalized = by_squares(call, centred, axes, epsilon)?;
    let mut y = normalized;
    let (scaled, moved) = (attributes.flag("scale", true)?, attributes.flag("center", true)?);
    let shape = dims.clone();
    if !scaled && !moved {
        return call.output(Reshape { shape }, &[y]);
    }
    y = call.part("ungrouped", Reshape { shape }, &[y])?;
    if scaled {
        let gamma = call.vector("gamma", channels)?;
        if !moved {
            return call.output(Mul::default(), &[y, gamma]);
        }
        y = call.part("scaled", Mul::default(), &[y, gamma])?;
    }
    let beta = call.vector("beta", channels)?;
    call.output(Add::default(), &[y, beta])
}

/// Zhang & Sennrich 2019, «Root Mean Square Layer Normalization».
fn root_mean_square(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, attributes) = (call.input()?, call.attributes());
    let dims = call.dims(input);
    along_channels(call, dims.len())?;
    let epsilon = attributes.number("epsilon")?.unwrap_or(1e-6);
    let normalized = by_squares(call, input, vec![dims.len() - 1], epsilon)?;
    let scale = call.vector("scale", dims[dims.len() - 1])?;
    call.output(Mul::default(), &[normalized, scale])
}

/// To length 1, as `tf.math.l2_normalize` does: the sum of squares is at least 10⁻¹².
fn unit(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, attributes) = (call.input()?, call.attributes());
    let dims = call.dims(input);
    let axes = attributes.integers("axis")?.unwrap_or_else(|| vec![-1]);
    let axes = axes.iter().map(|&axis| attributes.axis("axis", axis, dims.len()));
    let mut axes = axes.collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    let squares = call.part("squares", Mul::default(), &[input, input])?;
    let keep_dims = true;
    let sum = call.part("sum", ReduceSum { axes, keep_dims }, &[squares])?;
    let least = call.constant("least", &[1], vec![1e-12])?;
    let above_zero = call.part("above_zero", Maximum {}, &[sum, least])?;
    let factor = call.part("factor", Function::Rsqrt, &[above_zero])?;
    call.output(Mul::default(), &[input, factor])
}

//! Pixels to numbers inside the network: rescaling and normalization, as a product and a sum.

use ir::TensorId;
use ir::ops::{Add, Mul};

use super::super::attributes::Attributes;
use super::super::weights::Slot;
use super::{Call, Kind, none};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        classes: &["Rescaling"],
        slots: none,
        build: rescaling,
    },
    Kind {
        classes: &["Normalization"],
        slots,
        build: normalization,
    },
];

/// `x · scale + offset`: the nodes `layer/scale` and, called like the layer, the sum; or the product alone.
fn affine(
    call: &mut Call<'_, '_>,
    shape: &[usize],
    scale: Vec<f32>,
    offset: Vec<f32>,
) -> Result<TensorId, FormatError> {
    let input = call.input()?;
    let factor = call.constant("factor", shape, scale)?;
    if offset.iter().all(|&v| v == 0.0) {
        return call.output(Mul::default(), &[input, factor]);
    }
    let scaled = call.part("scale", Mul::default(), &[input, factor])?;
    let offset = call.constant("offset", shape, offset)?;
    call.output(Add::default(), &[scaled, offset])
}

/// One number each, or one per channel.
fn rescaling(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let attributes = call.attributes();
    let mut scale = attributes
        .numbers("scale")?
        .ok_or_else(|| attributes.wrong("scale", "a number"))?;
    let mut offset = attributes.numbers("offset")?.unwrap_or_else(|| vec![0.0]);
    let n = scale.len().max(offset.len());
    for list in [&mut scale, &mut offset] {
        if list.len() == 1 {
            *list = vec![list[0]; n];
        }
    }
    affine(call, &[n], scale, offset)
}

/// Statistics stand in the arguments or, when they were measured by `adapt`, among the weights.
fn slots(attributes: &Attributes) -> Result<Vec<Slot>, FormatError> {
    Ok(if attributes.numbers("mean")?.is_some() {
        Vec::new()
    } else {
        vec![
            Slot::statistic("mean", &[]),
            Slot::statistic("variance", &[]),
            Slot::counter("count"),
        ]
    })
}

/// `(x − mean) / max(√variance, ε)`, along the kept dimensions `axis`.
fn normalization(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    /// Keras' `backend.epsilon()`.
    const EPSILON: f32 = 1e-7;
    let (input, attributes) = (call.input()?, call.attributes());
    if attributes.flag("invert", false)? {
        return Err(attributes.refuse("invert", "use Rescaling to undo a normalization"));
    }
    let dims = call.dims(input);
    let axes = attributes.integers("axis")?.unwrap_or_default();
    let axes = axes
        .iter()
        .map(|&a| attributes.axis("axis", a, dims.len()))
        .collect::<Result<Vec<_>, _>>()?;
    let keep = |(i, &d): (usize, &usize)| if axes.contains(&i) { d } else { 1 };
    let shape: Vec<usize> = dims.iter().enumerate().skip(1).map(keep).collect();
    let stored: Vec<usize> = axes.iter().map(|&a| dims[a]).collect();
    let elements = stored.iter().product();
    let (mut mean, mut variance) = match (attributes.numbers("mean")?, attributes.numbers("variance")?) {
        (Some(mean), Some(variance)) => (mean, variance),
        (None, None) => (call.values("mean", &stored)?, call.values("variance", &stored)?),
        _ => return Err(attributes.wrong("variance", "given together with `mean`")),
    };
    for (key, list) in [("mean", &mut mean), ("variance", &mut variance)] {
        if list.len() == 1 {
            *list = vec![list[0]; elements];
        }
        if list.len() != elements {
            return Err(attributes.wrong(key, &format!("{elements} numbers")));
        }
    }
    let scale: Vec<f32> = variance.iter().map(|v| 1.0 / v.sqrt().max(EPSILON)).collect();
    let offset = mean.iter().zip(&scale).map(|(m, s)| -m * s).collect();
    affine(call, &shape, scale, offset)
}

//! Rectifiers that are layers: ReLU with its arguments, leaky, parametric and exponential ones.

use ir::TensorId;
use ir::ops::{Function, Minimum, PRelu};

use super::super::attributes::Attributes;
use super::super::weights::Slot;
use super::activation::{Place, softmax};
use super::{Call, Kind, none};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        classes: CLASSES_WITHOUT_SOFTMAX,
        slots: none,
        build: layer,
    },
    Kind {
        classes: &["PReLU"],
        slots: alpha,
        build: p_relu,
    },
];

const CLASSES_WITHOUT_SOFTMAX: &[&str] = &["ReLU", "LeakyReLU", "ELU"];

/// Layers that may also stand as the `activation` argument of another.
pub(super) const CLASSES: &[&str] = &["ReLU", "LeakyReLU", "ELU", "Softmax"];

fn layer(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, class, attributes) = (call.input()?, call.class(), call.attributes());
    apply(call, class, attributes, input, Place::Layer)
}

/// One of [`CLASSES`] with the given arguments, applied to `x`.
pub(super) fn apply(
    call: &mut Call<'_, '_>,
    class: &str,
    attributes: &Attributes,
    x: TensorId,
    place: Place,
) -> Result<TensorId, FormatError> {
    match class {
        "ReLU" => relu(call, attributes, x, place),
        // `alpha` up to Keras 2.
        "LeakyReLU" => {
            let alpha = attributes.number("negative_slope")?.or(attributes.number("alpha")?);
            place.node(
                call,
                Function::LeakyRelu {
                    alpha: alpha.unwrap_or(0.3),
                },
                &[x],
            )
        }
        "ELU" => {
            let alpha = attributes.number("alpha")?.unwrap_or(1.0);
            place.node(call, Function::Elu { alpha }, &[x])
        }
        _ => softmax(call, attributes, x, place),
    }
}

/// `max_value` above it, `x` from `threshold` up, `negative_slope · (x − threshold)` below. The jump that a threshold other
/// than 0 makes has no operator.
fn relu(call: &mut Call<'_, '_>, attributes: &Attributes, x: TensorId, place: Place) -> Result<TensorId, FormatError> {
    let (slope, max) = (
        attributes.number("negative_slope")?.unwrap_or(0.0),
        attributes.number("max_value")?,
    );
    if attributes.number("threshold")?.unwrap_or(0.0) != 0.0 {
        return Err(attributes.refuse("threshold", "use a threshold of 0"));
    }
    let Some(max) = max else {
        return if slope == 0.0 {
            place.node(call, Function::Relu, &[x])
        } else {
            place.node(call, Function::LeakyRelu { alpha: slope }, &[x])
        };
    };
    if slope == 0.0 && max == 6.0 {
        return place.node(call, Function::Relu6, &[x]);
    }
    let rectified = if slope == 0.0 {
        call.part("relu", Function::Relu, &[x])?
    } else {
        call.part("leaky_relu", Function::LeakyRelu { alpha: slope }, &[x])?
    };
    let limit = call.constant("max_value", &[1], vec![max])?;
    place.node(call, Minimum {}, &[rectified, limit])
}

#[expect(clippy::unnecessary_wraps, reason = "the type of `Kind::slots`")]
fn alpha(_: &Attributes) -> Result<Vec<Slot>, FormatError> {
    Ok(vec![Slot::trained("alpha", &[])])
}

/// Alpha has the shape of a sample, 1 along the dimensions that share it.
fn p_relu(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, attributes) = (call.input()?, call.attributes());
    let mut shape = call.dims(input)[1..].to_vec();
    match attributes.integers("shared_axes")? {
        Some(axes) => {
            for axis in axes {
                let axis = attributes.axis("shared_axes", axis, shape.len() + 1)?;
                let dim = axis.checked_sub(1).and_then(|a| shape.get_mut(a));
                *dim.ok_or_else(|| attributes.wrong("shared_axes", "dimensions of a sample, counted from 1"))? = 1;
            }
        }
        // Keras 1 did not write the shared axes down; the shape of alpha says which they are.
        None if call.major() == 1 => {
            let stored = call.stored_shape("alpha").filter(|s| s.len() == shape.len());
            shape = stored.unwrap_or(shape);
        }
        None => {}
    }
    let axes: Vec<usize> = (0..shape.len()).collect();
    let alpha = call.weight("alpha", &shape, &axes, &shape)?;
    call.output(PRelu {}, &[input, alpha])
}

//! Layers of several inputs: sums, products, extremes, concatenation.

use ir::TensorId;
use ir::ops::{Add, Concat, Maximum, Minimum, Mul, Op, Sub};

use super::{Call, Kind, none};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        classes: &["Add"],
        slots: none,
        build: |call| fold(call, &Add::default().into()),
    },
    Kind {
        classes: &["Multiply"],
        slots: none,
        build: |call| fold(call, &Mul::default().into()),
    },
    Kind {
        classes: &["Maximum"],
        slots: none,
        build: |call| fold(call, &Maximum {}.into()),
    },
    Kind {
        classes: &["Minimum"],
        slots: none,
        build: |call| fold(call, &Minimum {}.into()),
    },
    Kind {
        classes: &["Subtract"],
        slots: none,
        build: subtract,
    },
    Kind {
        classes: &["Average"],
        slots: none,
        build: average,
    },
    Kind {
        classes: &["Concatenate"],
        slots: none,
        build: concatenate,
    },
];

/// Two inputs or more, or an error.
fn several<'a>(call: &Call<'a, '_>) -> Result<&'a [TensorId], FormatError> {
    match call.inputs() {
        many @ [_, _, ..] => Ok(many),
        few => Err(call.malformed(format!("is called with {} tensors, takes two or more", few.len()))),
    }
}

/// `((a ∘ b) ∘ c) ∘ …`; the last one is called like the layer, the others `layer/1`, `layer/2`, … .
fn fold(call: &mut Call<'_, '_>, op: &Op) -> Result<TensorId, FormatError> {
    let (&last, rest) = several(call)?
        .split_last()
        .ok_or_else(|| call.malformed("is called without tensors"))?;
    let so_far = partial(call, op, rest)?;
    call.output(op.clone(), &[so_far, last])
}

/// The same over all given tensors, as parts of the layer.
fn partial(call: &mut Call<'_, '_>, op: &Op, tensors: &[TensorId]) -> Result<TensorId, FormatError> {
    let (&first, rest) = tensors
        .split_first()
        .ok_or_else(|| call.malformed("is called without tensors"))?;
    let mut so_far = first;
    for (i, &next) in rest.iter().enumerate() {
        so_far = call.part(&(i + 1).to_string(), op.clone(), &[so_far, next])?;
    }
    Ok(so_far)
}

fn subtract(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    match call.inputs() {
        &[a, b] => call.output(Sub::default(), &[a, b]),
        other => Err(call.malformed(format!("is called with {} tensors, takes two", other.len()))),
    }
}

/// The sum, times one over the number of inputs.
fn average(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let inputs = several(call)?;
    let sum = partial(call, &Add::default().into(), inputs)?;
    let share = call.constant("share", &[1], vec![1.0 / inputs.len() as f32])?;
    call.output(Mul::default(), &[sum, share])
}

fn concatenate(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (inputs, attributes) = (several(call)?, call.attributes());
    let axes = attributes.integers("axis")?.unwrap_or_else(|| vec![-1]);
    let &[axis] = axes.as_slice() else {
        return Err(attributes.wrong("axis", "one dimension"));
    };
    let axis = attributes.axis("axis", axis, call.dims(inputs[0]).len())?;
    if axis == 0 {
        return Err(attributes.refuse("axis", "samples cannot be joined along the batch"));
    }
    call.output(Concat { axis }, inputs)
}

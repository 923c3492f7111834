//! A layer that is applied to each step of a sequence.

use ir::TensorId;
use ir::ops::Reshape;

use super::super::attributes::Attributes;
use super::super::weights::Slot;
use super::recurrent::wrapped;
use super::{Call, Kind, find};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[Kind {
    classes: &["TimeDistributed"],
    slots,
    build,
}];

/// Those of the layer inside, which files by object call `layer`.
fn slots(attributes: &Attributes) -> Result<Vec<Slot>, FormatError> {
    let inside = wrapped(attributes, "layer")?.ok_or_else(|| attributes.wrong("layer", "a layer"))?;
    let slots = (find(&inside.class, &attributes.place)?.slots)(&inside.attributes)?;
    if slots.iter().any(|slot| !slot.object.is_empty()) {
        let fix = "wrap a layer without layers of its own";
        return Err(attributes.refuse("layer", fix));
    }
    Ok(slots.into_iter().map(|slot| slot.of("layer")).collect())
}

/// Steps become samples: `[N,T,…]` is `[N·T,…]` to the layer inside.
fn build(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, attributes) = (call.input()?, call.attributes());
    let dims = call.dims(input);
    let (&[samples, steps], rest) = dims
        .split_first_chunk()
        .ok_or_else(|| call.malformed(format!("the input has the shape {dims:?}, expected steps")))?;
    let inside = wrapped(attributes, "layer")?.ok_or_else(|| attributes.wrong("layer", "a layer"))?;
    let shape = [&[samples * steps], rest].concat();
    let each = call.part("steps", Reshape { shape }, &[input])?;
    let made = call.inside(&inside.class, inside.attributes, each)?;
    let shape = [&[samples, steps], &call.dims(made)[1..]].concat();
    call.output(Reshape { shape }, &[made])
}

//! Fully connected layers.

use ir::TensorId;
use ir::ops::FullyConnected;

use super::super::attributes::Attributes;
use super::super::weights::Slot;
use super::{Call, Kind, activation};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[Kind {
    classes: &["Dense"],
    slots,
    build,
}];

/// Kernel and, unless switched off, bias.
pub(super) fn slots(attributes: &Attributes) -> Result<Vec<Slot>, FormatError> {
    let mut slots = vec![Slot::trained("kernel", &[])];
    if attributes.flag("use_bias", true)? {
        slots.push(Slot::trained("bias", &[]));
    }
    Ok(slots)
}

/// Over the last dimension, whatever the rank. Kernel `IO` → `OI`.
fn build(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, attributes) = (call.input()?, call.attributes());
    let units = attributes.extent("units", None)?;
    let dims = call.dims(input);
    let [_, .., features] = dims.as_slice() else {
        return Err(call.malformed(format!(
            "the input has the shape {dims:?}, expected at least one feature"
        )));
    };
    let mut inputs = vec![
        input,
        call.weight("kernel", &[*features, units], &[1, 0], &[units, *features])?,
    ];
    if attributes.flag("use_bias", true)? {
        inputs.push(call.vector("bias", units)?);
    }
    let dense = call.output(FullyConnected::default(), &inputs)?;
    activation::argument(call, dense)
}

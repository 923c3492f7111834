//! Batch normalization by its moving statistics.

use ir::TensorId;
use ir::ops::BatchNorm;

use super::super::attributes::Attributes;
use super::super::weights::Slot;
use super::{Call, Kind, scale_and_centre};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[Kind {
    classes: &[
        "BatchNormalization",
        "BatchNormalizationV1",
        "BatchNormalizationV2",
        "SyncBatchNormalization",
    ],
    slots,
    build,
}];

fn slots(attributes: &Attributes) -> Result<Vec<Slot>, FormatError> {
    let mut slots = scale_and_centre(attributes)?;
    slots.push(Slot::statistic("moving_mean", &[]));
    slots.push(Slot::statistic("moving_variance", &[]));
    Ok(slots)
}

fn build(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, attributes) = (call.input()?, call.attributes());
    let dims = call.dims(input);
    let axes = attributes.integers("axis")?.unwrap_or_else(|| vec![-1]);
    let last = matches!(axes.as_slice(), &[axis] if attributes.axis("axis", axis, dims.len())? + 1 == dims.len());
    if !last {
        return Err(attributes.refuse("axis", "normalize along the channels, the last dimension (axis=-1)"));
    }
    if let Some(mode) = attributes.number("mode")?
        && mode != 0.0
    {
        return Err(attributes.refuse("mode", "only the moving statistics of mode 0 are known at inference"));
    }
    let epsilon = attributes.number("epsilon")?.unwrap_or(1e-3);
    let n = dims[dims.len() - 1];
    // First, since they bound what the others may be filled with.
    let mean = call.vector("moving_mean", n)?;
    let variance = call.vector("moving_variance", n)?;
    let gamma = if attributes.flag("scale", true)? {
        call.vector("gamma", n)?
    } else {
        call.constant("gamma", &[n], vec![1.0; n])?
    };
    let beta = if attributes.flag("center", true)? {
        call.vector("beta", n)?
    } else {
        call.constant("beta", &[n], vec![0.0; n])?
    };
    call.output(BatchNorm { epsilon }, &[input, gamma, beta, mean, variance])
}

//! Normalization of each sample by its own statistics.

use ir::TensorId;
use ir::ops::LayerNorm;

use super::{Call, Kind, scale_and_centre};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[Kind {
    classes: &["LayerNormalization"],
    slots: scale_and_centre,
    build,
}];

/// Over the last dimensions. The variance is the biased one, as everywhere in Keras.
fn build(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, attributes) = (call.input()?, call.attributes());
    if attributes.flag("rms_scaling", false)? {
        return Err(attributes.refuse("rms_scaling", "normalize by mean and variance (rms_scaling=False)"));
    }
    let dims = call.dims(input);
    let axes = attributes.integers("axis")?.unwrap_or_else(|| vec![-1]);
    let axes = axes.iter().map(|&axis| attributes.axis("axis", axis, dims.len()));
    let mut axes = axes.collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    let first = dims.len() - axes.len().min(dims.len());
    if first == 0 || !axes.iter().copied().eq(first..dims.len()) {
        return Err(attributes.refuse("axis", "normalize over the last dimensions of a sample (axis=-1)"));
    }
    let epsilon = attributes.number("epsilon")?.unwrap_or(1e-3);
    let normalized = &dims[first..];
    let order: Vec<usize> = (0..normalized.len()).collect();
    let mut inputs = vec![input];
    inputs.push(if attributes.flag("scale", true)? {
        call.weight("gamma", normalized, &order, normalized)?
    } else {
        call.constant("gamma", normalized, vec![1.0; normalized.iter().product()])?
    });
    if attributes.flag("center", true)? {
        inputs.push(call.weight("beta", normalized, &order, normalized)?);
    }
    call.output(LayerNorm { axis: first, epsilon }, &inputs)
}

//! The proof that a network was cut at the right places.

use data::LoadedDataset;
use ir::Graph;
use models::inference;
use report::EffectRow;

use super::Job;
use crate::StepError;
use crate::contract::Context;
use crate::sampling::Samples;

/// Inputs that are compared.
const INPUTS: usize = 4;

/// The largest difference that rounding explains, as a share of the largest output: sums of other lengths are added in another order.
pub(super) const TOLERANCE: f64 = 1e-4;

impl Job<'_> {
    /// Compares the small network with the original one whose lost channels are zero, on samples or on noise.
    ///
    /// # Errors
    /// They differ.
    pub(super) fn prove(
        &self,
        small: &Graph,
        gone: &[bool],
        dataset: Option<&LoadedDataset>,
        context: &Context<'_>,
    ) -> Result<EffectRow, StepError> {
        let masked = self.channels.masked(self.graph, gone)?;
        let noise = match dataset {
            Some(_) => None,
            None => Some(inference::noise(self.graph, INPUTS)?),
        };
        let inputs = dataset.or(noise.as_ref()).ok_or(StepError::Port("data"))?;
        let samples = Samples::draw(inputs, INPUTS, 0, context)?;
        let (mut largest, mut off) = (0.0f64, 0.0f64);
        for (&wanted, &found) in masked.outputs().iter().zip(small.outputs()) {
            let read = |_: usize, values: &[f32]| values.to_vec();
            let wanted = samples.each(&masked, wanted, read)?.concat();
            let found = samples.each(small, found, read)?.concat();
            for (w, f) in wanted.iter().zip(&found) {
                largest = largest.max(f64::from(w.abs()));
                let difference = f64::from((w - f).abs());
                off = if difference.is_nan() {
                    f64::INFINITY
                } else {
                    off.max(difference)
                };
            }
        }
        let equal = off <= TOLERANCE * largest.max(f64::MIN_POSITIVE);
        let row = EffectRow {
            layer: "all".into(),
            tensor: "outputs".into(),
            requested: "those of the original with the same channels zero".into(),
            actual: format!(
                "equal to {:.1e} of the largest output on {} inputs",
                off / largest.max(f64::MIN_POSITIVE),
                samples.len()
            ),
            took_effect: equal,
            reason: None,
        };
        if equal {
            return Ok(row);
        }
        Err(StepError::NoEffect(format!(
            "the small network's outputs differ from those of the original with the same channels at zero by {off:.2e}, the largest is {largest:.2e}; this is a bug, please report it"
        )))
    }
}

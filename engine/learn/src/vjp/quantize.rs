//! Quantization as a network learns with it: values are rounded as the integers will be, and gradients pass as if they were not.
//!
//! Where a value lies beyond the integers' range the gradient is 0. Source: Jacob et al. 2018, *Quantization and Training of Neural Networks for Efficient
//! Integer-Arithmetic-Only Inference*, §3.

use ir::Op;
use kernels::gradient::Real;

use super::{Args, Out, Site, Vjp};
use crate::LearnError;

/// Values stay real numbers: those that integers of a scale and a zero point mean.
pub(super) struct FakeQuantize {
    scale: f64,
    /// The least and the greatest value, in steps of the scale.
    low: f64,
    high: f64,
}

impl FakeQuantize {
    /// Of a quantization that nothing but dequantizations reads.
    pub(super) fn new(site: &Site<'_>) -> Result<Self, LearnError> {
        let output = site.graph.tensor(site.node.output());
        let params = output.quantization.as_ref().and_then(ir::Quantization::whole);
        let range = output.ty.element.quantized_range();
        let mut readers = site.graph.consumers(site.node.output());
        let simulated = !site.graph.outputs().contains(&site.node.output())
            && readers.all(|id| matches!(site.graph.node(id).op, Op::Dequantize(_)));
        match (params, range) {
            (Some(params), Some((low, high))) if simulated => Ok(FakeQuantize {
                scale: params.scale.get().into(),
                low: f64::from(low - params.zero_point),
                high: f64::from(high - params.zero_point),
            }),
            _ => Err(site.refuse("integers have no gradient; train the float model, or use `qat`")),
        }
    }
}

impl<T: Real> Vjp<T> for FakeQuantize {
    fn forward(&self, args: &Args<'_, T>, y: &mut [T], _scratch: &mut [T]) {
        for (x, slot) in args.get(0).iter().zip(y) {
            let steps = (x.double() / self.scale).round().clamp(self.low, self.high);
            *slot = T::of(steps * self.scale);
        }
    }

    fn backward(&self, wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], _scratch: &mut [T]) {
        args.clear(wrt, dx);
        for ((x, &d), slot) in args.get(0).iter().zip(out.dy).zip(dx) {
            let steps = x.double() / self.scale;
            if steps >= self.low && steps <= self.high {
                *slot += d;
            }
        }
    }
}

//! Power of two tensors, with broadcasting.

use super::add::zip;
use crate::shape::Broadcast;

/// Float power `a^b`, computed in `f64` and rounded. Source: `reference_ops::BroadcastPow4DSlow` (`kernels/pow.cc`).
pub fn pow_f32(shape: &Broadcast, a: &[f32], b: &[f32], output: &mut [f32]) {
    zip(shape, a, b, output, |a, b| f64::from(a).powf(f64::from(b)) as f32);
}

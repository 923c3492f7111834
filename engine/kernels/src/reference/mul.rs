//! Product of two tensors, with broadcasting.

use super::add::zip;
use crate::quantized::{Activation, ClampF32, ClampInt, Integer, Quantization, QuantizedMultiplier};
use crate::shape::Broadcast;

/// Parameters of an integer product; made once, used for every call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MulParams {
    /// Zero point of the left input.
    pub a_zero_point: i32,
    /// Zero point of the right input.
    pub b_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Product of the input scales over the output scale.
    pub multiplier: QuantizedMultiplier,
    /// Bounds of the output: the fused activation.
    pub clamp: ClampInt,
}

impl MulParams {
    /// Source: `Prepare` in `kernels/mul.cc`. The factor is computed in `f32`, as there, and widened afterwards.
    pub fn new(a: Quantization, b: Quantization, output: Quantization, activation: Activation) -> Self {
        Self::clamped(a, b, output, activation.clamp_i8(output))
    }

    /// The same for `i16`.
    pub fn new_i16(a: Quantization, b: Quantization, output: Quantization, activation: Activation) -> Self {
        Self::clamped(a, b, output, activation.clamp_i16(output))
    }

    fn clamped(a: Quantization, b: Quantization, output: Quantization, clamp: ClampInt) -> Self {
        Self {
            a_zero_point: a.zero_point,
            b_zero_point: b.zero_point,
            output_zero_point: output.zero_point,
            multiplier: QuantizedMultiplier::from_real(f64::from(a.scale * b.scale / output.scale)),
            clamp,
        }
    }

    /// The product of two elements. Source: `reference_integer_ops::MulElementwise` (`integer_ops/mul.h`).
    pub fn mul<T: Integer>(&self, a: T, b: T) -> T {
        let (a, b): (i32, i32) = (a.into(), b.into());
        let product = (a - self.a_zero_point) * (b - self.b_zero_point);
        self.clamp.apply(
            self.multiplier
                .apply_double(product)
                .saturating_add(self.output_zero_point),
        )
    }
}

/// Integer product `a · b`.
pub fn mul_i8(shape: &Broadcast, params: &MulParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    zip(shape, a, b, output, |a, b| params.mul(a, b));
}

/// Product of 16-bit integers.
pub fn mul_i16(shape: &Broadcast, params: &MulParams, a: &[i16], b: &[i16], output: &mut [i16]) {
    zip(shape, a, b, output, |a, b| params.mul(a, b));
}

/// Float product `a · b`. Source: `reference_ops::Mul` (`mul.h`).
pub fn mul_f32(shape: &Broadcast, clamp: ClampF32, a: &[f32], b: &[f32], output: &mut [f32]) {
    zip(shape, a, b, output, |a, b| clamp.apply(a * b));
}

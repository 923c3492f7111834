//! Quotient of two tensors, with broadcasting.

use super::add::zip;
use crate::quantized::{
    Activation, ClampF32, ClampInt, Quantization, QuantizedMultiplier, reciprocal, rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul, saturating_shift_left,
};
use crate::shape::Broadcast;

/// Parameters of an integer quotient; made once, used for every call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DivParams {
    /// Zero point of the left input.
    pub a_zero_point: i32,
    /// Zero point of the right input.
    pub b_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Left scale over the product of right and output scale.
    pub multiplier: QuantizedMultiplier,
    /// Bounds of the output: the fused activation.
    pub clamp: ClampInt,
}

impl DivParams {
    /// Source: `Prepare` in `kernels/div.cc`. The factor is computed in `f32`, as there, and widened afterwards.
    pub fn new(a: Quantization, b: Quantization, output: Quantization, activation: Activation) -> Self {
        Self {
            a_zero_point: a.zero_point,
            b_zero_point: b.zero_point,
            output_zero_point: output.zero_point,
            multiplier: QuantizedMultiplier::from_real(f64::from(a.scale / (b.scale * output.scale))),
            clamp: activation.clamp_i8(output),
        }
    }

    /// The quotient of two elements. Source: `reference_ops::DivElementwise` (`div.h`).
    ///
    /// There is no integer division: `a` is multiplied by the fixed-point reciprocal of `|b|`, after it was shifted
    /// left as far as it goes so that no bit of the quotient is lost; the three shifts (reciprocal, headroom, factor)
    /// are undone together at the end.
    ///
    /// Two deviations. LiteRT refuses to divide by zero (it stops the whole model); here the quotient saturates by
    /// the sign of `a`, and `0 / 0` is 0. Where the last shift is to the right by more than 31 bits, which happens
    /// for quotients near zero, the source's shift is undefined and saturates on x86; here the quotient is 0.
    pub fn div(&self, a: i8, b: i8) -> i8 {
        let (a, b) = (i32::from(a) - self.a_zero_point, i32::from(b) - self.b_zero_point);
        let (a, b) = if b < 0 { (-a, -b) } else { (a, b) };
        if b == 0 {
            return self.clamp.apply(
                a.signum()
                    .saturating_mul(i32::MAX)
                    .saturating_add(self.output_zero_point),
            );
        }
        let (inverse, inverse_shift) = reciprocal(b, 31);
        let headroom = if a < 0 { a.leading_ones() } else { a.leading_zeros() } as i32 - 1;
        let quotient = saturating_rounding_doubling_high_mul(a << headroom, inverse);
        let scaled = saturating_rounding_doubling_high_mul(quotient, self.multiplier.multiplier);
        let result = match self.multiplier.shift - inverse_shift - headroom {
            left @ 0.. => saturating_shift_left(scaled, left.min(31) as u32),
            right @ -31..0 => rounding_divide_by_pot(scaled, right.unsigned_abs()),
            _ => 0,
        };
        self.clamp.apply(result.saturating_add(self.output_zero_point))
    }
}

/// Integer quotient `a / b`.
pub fn div_i8(shape: &Broadcast, params: &DivParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    zip(shape, a, b, output, |a, b| params.div(a, b));
}

/// Float quotient `a / b`. Source: `reference_ops::Div` (`div.h`): infinities end at the largest number.
pub fn div_f32(shape: &Broadcast, clamp: ClampF32, a: &[f32], b: &[f32], output: &mut [f32]) {
    zip(shape, a, b, output, |a, b| clamp.apply(a / b));
}

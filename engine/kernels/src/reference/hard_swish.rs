//! Integer hard swish, `x · min(max(x + 3, 0), 6) / 6`, in 16-bit fixed point.

use crate::quantized::{ClampInt, Quantization, QuantizedMultiplier};

/// Bits that the input is shifted up by: 9 bits of `q − zero_point` and these fill an `i16`.
const HIGH_RESOLUTION_BITS: u32 = 7;

/// Parameters of an integer hard swish; made once, used for every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardSwishParams {
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Shifted input scale over output scale, as a fraction of 2^15.
    pub output_multiplier: i16,
    /// Its exponent; positive to the left.
    pub output_exponent: i32,
    /// Shifted input scale over `3 / 2^15`, as a fraction of 2^15: it brings −3..3 to −1..1.
    pub gate_multiplier: i16,
    /// Its exponent; positive to the left.
    pub gate_exponent: i32,
}

impl HardSwishParams {
    /// Source: `HardSwishPrepare` (`kernels/activations.cc`), in `f32`. LiteRT refuses an output scale below 1/128 of
    /// the input's; here the result saturates.
    pub fn new(input: Quantization, output: Quantization) -> Self {
        let high_resolution_scale = (1.0 / 128.0) * input.scale;
        let output_factor = QuantizedMultiplier::from_real(f64::from(high_resolution_scale / output.scale));
        let gate_factor = QuantizedMultiplier::from_real(f64::from(high_resolution_scale / (3.0 / 32768.0)));
        Self {
            input_zero_point: input.zero_point,
            output_zero_point: output.zero_point,
            output_multiplier: upper_half(output_factor.multiplier),
            output_exponent: output_factor.shift,
            gate_multiplier: upper_half(gate_factor.multiplier),
            gate_exponent: gate_factor.shift,
        }
    }

    /// One element. Source: `reference_ops::HardSwish` (`hard_swish.h`).
    ///
    /// `x` on the output's scale, except for a last shift, is multiplied by a gate in 0..1, `(x + 3) / 6` clamped,
    /// and shifted. The gate saturates on purpose while it is shifted left: it is shifted by one less first, so that
    /// nothing that matters saturates before the multiplication, and by the last bit after it. The two first products
    /// round to nearest, the last one truncates: with three roundings to nearest their biases would add up (LiteRT
    /// measured 0.9 points of ImageNet accuracy on a MobileNetV3).
    pub fn apply(&self, q: i8) -> i8 {
        let x = ((i32::from(q) - self.input_zero_point) << HIGH_RESOLUTION_BITS) as i16;
        let value = rounding_high_mul(x, self.output_multiplier);

        let mut gate = x;
        if self.gate_exponent > 0 {
            gate = saturating_shift_left(gate, self.gate_exponent as u32 - 1);
        }
        gate = rounding_high_mul(gate, self.gate_multiplier);
        if self.gate_exponent > 0 {
            gate = saturating_shift_left(gate, 1);
        } else {
            gate = rounding_shift_right(gate, self.gate_exponent.unsigned_abs());
        }
        let gate = ((i32::from(gate) + (1 << 15)) >> 1) as i16;

        let product = truncating_high_mul(gate, value);
        let output = if self.output_exponent > 0 {
            saturating_shift_left(product, self.output_exponent as u32)
        } else {
            rounding_shift_right(product, self.output_exponent.unsigned_abs())
        };
        ClampInt::I8.apply(i32::from(output) + self.output_zero_point)
    }
}

/// Integer hard swish.
pub fn hard_swish_i8(params: &HardSwishParams, input: &[i8], output: &mut [i8]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (&q, slot) in input.iter().zip(output) {
        *slot = params.apply(q);
    }
}

/// The upper half of a multiplier, rounded. Source: `DownScaleInt32ToInt16Multiplier` (`kernels/internal/common.h`).
fn upper_half(multiplier: i32) -> i16 {
    ((i64::from(multiplier) + (1 << 15)) >> 16).min(i64::from(i16::MAX)) as i16
}

/// `a · b / 2^15`, rounded half away from zero (up, for negative ties): `gemmlowp::SaturatingRoundingDoublingHighMul`
/// of 16 bits.
fn rounding_high_mul(a: i16, b: i16) -> i16 {
    let product = i32::from(a) * i32::from(b);
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    ((product + nudge) / (1 << 15)).min(i32::from(i16::MAX)) as i16
}

/// `a · b / 2^15`, rounded towards zero: `SaturatingDoublingHighMul` (`hard_swish.h`).
fn truncating_high_mul(a: i16, b: i16) -> i16 {
    (i32::from(a) * i32::from(b) / (1 << 15)).min(i32::from(i16::MAX)) as i16
}

/// `a · 2^amount`, saturating.
fn saturating_shift_left(a: i16, amount: u32) -> i16 {
    (i64::from(a) << amount.min(32)).clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

/// `a / 2^amount`, rounded half away from zero: `gemmlowp::RoundingDivideByPOT` of 16 bits.
///
/// From 16 on the source's mask of the bits to be cut off wraps to all ones, and it yields 1 for what is not negative
/// and −1 for what is. An output scale 65,536 times the input's, where that happens, is no use to anyone; but so the
/// runtime computes.
fn rounding_shift_right(a: i16, amount: u32) -> i16 {
    let mask = if amount < 16 {
        ((1_i32 << amount) - 1) as i16
    } else {
        -1
    };
    let threshold = (mask >> 1) + i16::from(a < 0);
    (a >> amount.min(15)) + i16::from(a & mask > threshold)
}

//! Softmax over the last dimension: `e^(beta·x) / Σ e^(beta·x)`.

use super::line::Lines;
use crate::quantized::{
    Integer, Quantization, QuantizedMultiplier, exp_on_negative_values, reciprocal, rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
};

/// Integer bits of `beta · scale · (q − max)`: below −32 the exponential is nothing.
const DIFFERENCE_BITS: u32 = 5;
/// Integer bits of the sum of exponentials: rows of up to 4096 elements cannot overflow it.
const SUM_BITS: i32 = 12;

/// Parameters of an integer softmax; made once, used for every call. The output's scale is 1/256 and its zero point
/// −128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftmaxParams {
    /// `beta · input scale · 2^26`: differences of integers become `Q5.26`.
    pub multiplier: QuantizedMultiplier,
    /// Differences below this would overflow `Q5.26`; their exponential is 0.
    pub least_difference: i32,
}

impl SoftmaxParams {
    /// Source: `PreprocessSoftmaxScaling` and `CalculateInputRadius` (`kernels/internal/quantization_util.cc`).
    pub fn new(input: Quantization, beta: f32) -> Self {
        let fraction_bits = 31 - DIFFERENCE_BITS;
        let real = f64::from(beta) * f64::from(input.scale) * f64::from(1 << fraction_bits);
        let multiplier = QuantizedMultiplier::from_real(real.min(f64::from(i32::MAX)));
        let largest = f64::from((1 << DIFFERENCE_BITS) - 1) * f64::from(1 << fraction_bits);
        Self {
            multiplier,
            least_difference: -((largest / 2.0_f64.powi(multiplier.shift)).floor() as i32),
        }
    }

    /// The exponential of an element `difference` from the row's largest, as `Q0.31`; `None` where it is nothing.
    pub fn exponential(&self, difference: i32) -> Option<i32> {
        (difference >= self.least_difference)
            .then(|| exp_on_negative_values(self.multiplier.apply_double(difference), DIFFERENCE_BITS))
    }

    /// What an exponential adds to the sum, as `Q12.19`.
    pub fn summand(exponential: i32) -> i32 {
        rounding_divide_by_pot(exponential, SUM_BITS as u32)
    }

    /// What exponentials of a row are multiplied by, as `Q0.31`, and shifted right by afterwards, where the row's summands add up to `sum`.
    pub fn scale(sum: i32) -> (i32, u32) {
        let (scale, bits_over_unit) = reciprocal(sum, SUM_BITS);
        (scale, (bits_over_unit + 31 - 8).clamp(0, 31) as u32)
    }

    /// What each exponential becomes in a row whose summands add up to `sum`.
    pub fn shares(sum: i32) -> impl Fn(i32) -> i8 {
        let (scale, exponent) = Self::scale(sum);
        move |exponential| {
            let product = saturating_rounding_doubling_high_mul(scale, exponential);
            i8::saturate(rounding_divide_by_pot(product, exponent) + i32::from(i8::MIN))
        }
    }
}

/// Integer softmax of rows of `depth` elements.
///
/// Source: `reference_ops::Softmax` (`softmax.h`): all in fixed point. The row's largest value is subtracted first,
/// so that exponents are never positive and exponentials fit `Q0.31`; they are summed as `Q12.19`, and every element
/// is multiplied by the reciprocal of the sum.
pub fn softmax_i8(depth: usize, params: &SoftmaxParams, input: &[i8], output: &mut [i8]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (input, output) in input.chunks(depth.max(1)).zip(output.chunks_mut(depth.max(1))) {
        let max = input.iter().copied().max().map_or(0, i32::from);
        let exponential = |q: i8| params.exponential(i32::from(q) - max);
        let sum = input
            .iter()
            .filter_map(|&q| exponential(q))
            .fold(0_i32, |sum, e| sum.wrapping_add(SoftmaxParams::summand(e)));
        let share = SoftmaxParams::shares(sum);
        for (&q, slot) in input.iter().zip(output) {
            *slot = exponential(q).map_or(i8::MIN, &share);
        }
    }
}

/// Parameters of a softmax of 16-bit integers; made once, used for every call. The output's scale is 1/32768.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Softmax16Params {
    /// `beta · input scale` over 10/65535: differences of integers fill the range of the exponential's table.
    multiplier: QuantizedMultiplier,
    /// `e^x` for `x` in −10 ..= 0; what is less is nothing.
    exponential: Lines,
    /// `1 / (1 + x)` for `x` in 0 ..= 1.
    reciprocal: Lines,
}

impl Softmax16Params {
    /// Source: `SoftmaxPrepare` (`kernels/activations.cc`).
    pub fn new(input: Quantization, beta: f32) -> Self {
        let unit = 2.0 / 65535.0 * 65535.0;
        Self {
            multiplier: QuantizedMultiplier::from_real(f64::from(input.scale * beta) / (10.0 / 65535.0)),
            exponential: Lines::new([10.0 / 65535.0 * -65535.0, 0.0], unit, f64::exp),
            reciprocal: Lines::new([0.0, 1.0 / 65535.0 * 65535.0], unit, |x| 1.0 / (1.0 + x)),
        }
    }

    /// The exponential of an element `difference` from the row's largest, as `Q0.15`.
    pub fn exponential(&self, difference: i32) -> i16 {
        let scaled = self.multiplier.apply_double(difference);
        self.exponential.at(i16::saturate(scaled.saturating_add(32767)))
    }

    /// What each exponential becomes in a row whose exponentials add up to `sum`.
    pub fn shares(&self, sum: i32) -> impl Fn(i16) -> i16 {
        let headroom = sum.leading_zeros().clamp(1, 30);
        let shifted = ((i64::from(sum) << (headroom - 1)) + (1 << 13)) >> 14;
        let reciprocal = self
            .reciprocal
            .at(i16::saturate(shifted as i32 - (1 << 15) - (1 << 16)));
        let shift = 31 - headroom;
        move |exponential| {
            let share = (i64::from(exponential) * i64::from(reciprocal) + (1 << (shift - 1))) >> shift;
            share.clamp(0, i16::MAX.into()) as i16
        }
    }
}

/// Softmax of rows of `depth` 16-bit integers.
///
/// Source: `reference_ops::SoftmaxInt16` (`softmax.h`): exponentials in `Q0.15`, their sum in `Q16.15`, whose
/// reciprocal is found after shifting its leading one to the front.
pub fn softmax_i16(depth: usize, params: &Softmax16Params, input: &[i16], output: &mut [i16]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (input, output) in input.chunks(depth.max(1)).zip(output.chunks_mut(depth.max(1))) {
        let max = input.iter().copied().max().map_or(0, i32::from);
        let mut sum = 0_i32;
        for (&q, slot) in input.iter().zip(&mut *output) {
            *slot = params.exponential(i32::from(q) - max);
            sum = sum.wrapping_add((*slot).into());
        }
        let share = params.shares(sum);
        for slot in output {
            *slot = share(*slot);
        }
    }
}

/// Float softmax of rows of `depth` elements, summed in order. Source: `reference_ops::Softmax` (`softmax.h`).
pub fn softmax_f32(depth: usize, beta: f32, input: &[f32], output: &mut [f32]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (input, output) in input.chunks(depth.max(1)).zip(output.chunks_mut(depth.max(1))) {
        let max = input.iter().fold(f32::MIN, |max, &x| max.max(x));
        let mut sum = 0.0;
        for (&x, slot) in input.iter().zip(&mut *output) {
            *slot = f64::from((x - max) * beta).exp() as f32;
            sum += *slot;
        }
        for slot in output {
            *slot /= sum;
        }
    }
}

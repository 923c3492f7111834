//! Logistic function and hyperbolic tangent of 16-bit integers, by one table: `tanh(x) = 2·logistic(2x) − 1`.
//!
//! Source: `integer_ops/logistic.h`, `integer_ops/tanh.h`. The output's scale is 1/32768.

use std::sync::LazyLock;

use crate::quantized::Quantization;

/// The logistic function at multiples of 1/24, times 65536, as far as 10.625.
///
/// The values are those of the runtime's table: between two of them a line is drawn, which lies below the function, so that each
/// value is raised by half of the greatest distance, a sixteenth of the second derivative times the squared step.
static TABLE: LazyLock<[u16; 256]> = LazyLock::new(|| {
    const STEP: f64 = 1.0 / 24.0;
    std::array::from_fn(|i| {
        if i == 255 {
            return u16::MAX;
        }
        let y = 1.0 / (1.0 + (-STEP * i as f64).exp());
        let bend = y * (1.0 - y) * (1.0 - 2.0 * y);
        (65536.0 * (y - bend * STEP * STEP / 16.0)).round() as u16
    })
});

/// Parameters of a 16-bit logistic function or hyperbolic tangent; made once, used for every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigmoidParams {
    /// `input scale · 3 · 4096`, times `2^shift`.
    pub multiplier: i32,
    /// Bits that the product is shifted down by.
    pub shift: u32,
}

impl SigmoidParams {
    /// For [`logistic_i16`]. Source: `SigmoidPrepare` (`kernels/activations.cc`).
    pub fn logistic(input: Quantization) -> Self {
        Self::new(input, 0..=0)
    }

    /// For [`tanh_i16`]. Source: `TanhPrepare` (`kernels/activations.cc`).
    pub fn tanh(input: Quantization) -> Self {
        Self::new(input, 0..=1)
    }

    /// Scales that are powers of two, or within a thousandth of an octave, are taken for such if they are so many times 1/4096.
    fn new(input: Quantization, octaves: std::ops::RangeInclusive<i32>) -> Self {
        // As `CheckedLog2` (`kernels/internal/quantization_util.cc`), in f32.
        let log2 = input.scale.ln() * (1.0 / 2.0_f32.ln());
        let octave = 12 + log2.round() as i32;
        if (log2 - log2.round()).abs() < 1e-3 && octaves.contains(&octave) {
            return Self {
                multiplier: 3 << octave,
                shift: 0,
            };
        }
        let (mut multiplier, mut shift) = (f64::from(input.scale) * 4096.0 * 3.0, 0);
        while multiplier <= 32767.0 / 2.0 && shift <= 30 {
            shift += 1;
            multiplier *= 2.0;
        }
        Self {
            multiplier: multiplier as i32,
            shift,
        }
    }

    /// An input in steps of 1/12288.
    fn scaled(self, q: i16) -> i32 {
        let round = if self.shift > 0 { 1 << (self.shift - 1) } else { 0 };
        i32::from(q).wrapping_mul(self.multiplier).wrapping_add(round) >> self.shift
    }
}

/// The table at `x / 2^bits`, times `2^bits`; `None` beyond its end.
fn between(x: u32, bits: u32) -> Option<u32> {
    let index = (x >> bits) as usize;
    if index >= 255 {
        return None;
    }
    let [low, high] = [TABLE[index], TABLE[index + 1]].map(u32::from);
    Some((low << bits) + (x & ((1 << bits) - 1)) * (high - low))
}

/// Logistic function of 16-bit integers.
pub fn logistic_i16(params: &SigmoidParams, input: &[i16], output: &mut [i16]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (&q, slot) in input.iter().zip(output) {
        let x = params.scaled(q);
        let value = between(x.unsigned_abs(), 9).unwrap_or(0x7FFF << 10);
        let mirrored = if x >= 0 { value } else { (1 << 25) - value - 1 };
        *slot = ((mirrored + (1 << 9)) >> 10) as i16;
    }
}

/// Hyperbolic tangent of 16-bit integers.
pub fn tanh_i16(params: &SigmoidParams, input: &[i16], output: &mut [i16]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (&q, slot) in input.iter().zip(output) {
        let x = params.scaled(q);
        let value = between(x.unsigned_abs(), 8).unwrap_or(0xFFFF << 8) as i32 - (1 << 23);
        let mirrored = if x >= 0 { value } else { -value - 1 };
        *slot = ((mirrored + (1 << 7)) >> 8) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_the_runtime() {
        assert_eq!(TABLE[..4], [32768, 33451, 34133, 34813]);
        assert_eq!(TABLE[100..103], [64536, 64576, 64614]);
        assert_eq!(TABLE[253..], [65534, 65534, 65535]);
        assert_eq!(TABLE.iter().map(|&v| u32::from(v)).sum::<u32>(), 15_670_629);
    }

    #[test]
    fn both_functions_are_right_to_thirteen_bits() {
        let scale = 8.0 / 32768.0 * 1.03;
        let input: Vec<i16> = (i16::MIN..=i16::MAX).step_by(91).collect();
        let mut output = vec![0; input.len()];
        let check = |output: &[i16], function: fn(f64) -> f64| {
            for (&q, &y) in input.iter().zip(output) {
                let expected = function(f64::from(q) * f64::from(scale)) * 32768.0;
                assert!((f64::from(y) - expected).abs() < 6.0, "{q}: {y} instead of {expected}");
            }
        };
        logistic_i16(
            &SigmoidParams::logistic(Quantization::new(scale, 0)),
            &input,
            &mut output,
        );
        check(&output, |x| 1.0 / (1.0 + (-x).exp()));
        tanh_i16(&SigmoidParams::tanh(Quantization::new(scale, 0)), &input, &mut output);
        check(&output, f64::tanh);
    }

    #[test]
    fn powers_of_two_need_no_shift() {
        let of = |scale| SigmoidParams::tanh(Quantization::new(scale, 0));
        assert_eq!(
            of(1.0 / 4096.0),
            SigmoidParams {
                multiplier: 3,
                shift: 0
            }
        );
        assert_eq!(
            of(1.0 / 2048.0),
            SigmoidParams {
                multiplier: 6,
                shift: 0
            }
        );
        assert!(of(1.0 / 1024.0).shift > 0);
        assert!(SigmoidParams::logistic(Quantization::new(1.0 / 2048.0, 0)).shift > 0);
    }
}

//! Activations quantized by their own range, as [`quantize_dynamic`] and [`quantize_dynamic_symmetric`] do.
#![expect(unsafe_code, reason = "converts floats that are known to fit an integer")]

use crate::fast::requantize::BIAS;
use crate::fast::simd::{FloatTask, Floats};
use crate::quantized::Quantization;
use crate::reference::{quantize_dynamic, quantize_dynamic_symmetric};

/// Which integers a range of activations becomes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dynamic {
    /// −128 ..= 127, with a zero point.
    Asymmetric,
    /// −127 ..= 127.
    Symmetric,
}

/// How the numbers of one range become integers.
#[derive(Clone, Copy)]
struct Rule {
    quantization: Quantization,
    inverse: f32,
    lowest: i32,
    /// Whether all numbers are 0.
    nothing: bool,
}

impl Rule {
    #[inline(always)]
    fn new(dynamic: Dynamic, input: &[f32]) -> Self {
        let (least, greatest) = extremes(input);
        // The reference's rule needs the two ends of the range only.
        let ends = [least, greatest];
        let (quantization, inverse, lowest) = match dynamic {
            Dynamic::Asymmetric => {
                let quantization = quantize_dynamic(&ends, &mut [0; 2]);
                let scale = quantization.scale;
                (quantization, if scale == 0.0 { 0.0 } else { 1.0 / scale }, -128)
            }
            Dynamic::Symmetric => {
                let quantization = quantize_dynamic_symmetric(&ends, &mut [0; 2]);
                (quantization, 127.0 / greatest.max(-least), -127)
            }
        };
        Self {
            quantization,
            inverse,
            lowest,
            nothing: least == greatest,
        }
    }

    #[inline(always)]
    fn apply(self, x: f32) -> i32 {
        let rounded = (x * self.inverse).round();
        // What `as` does, in steps that vectorize: not-a-number becomes 0, and nothing beyond these limits survives the clamp.
        let rounded = if rounded.is_nan() { 0.0 } else { rounded };
        let rounded = if rounded > -1024.0 { rounded } else { -1024.0 };
        let rounded = if rounded < 1024.0 { rounded } else { 1024.0 };
        // SAFETY: it is within -1024 ..= 1024.
        let q = unsafe { rounded.to_int_unchecked::<i32>() } + self.quantization.zero_point;
        q.clamp(self.lowest, 127)
    }
}

/// The least and the greatest of the numbers and 0. They do not depend on the order, so many at a time will do.
#[inline(always)]
fn extremes(input: &[f32]) -> (f32, f32) {
    const LANES: usize = 32;
    let (mut low, mut high) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let mut chunks = input.chunks_exact(LANES);
    for chunk in &mut chunks {
        for ((low, high), &x) in low.iter_mut().zip(&mut high).zip(chunk) {
            *low = if x < *low { x } else { *low };
            *high = if x > *high { x } else { *high };
        }
    }
    let (mut least, mut greatest) = (0.0_f32, 0.0_f32);
    for &x in low.iter().chain(&high).chain(chunks.remainder()) {
        least = least.min(x);
        greatest = greatest.max(x);
    }
    (least, greatest)
}

/// Activations to bytes `q + 128`.
pub(super) struct ToBytes<'a> {
    pub(super) dynamic: Dynamic,
    pub(super) input: &'a [f32],
    pub(super) output: &'a mut [u8],
}

impl FloatTask for ToBytes<'_> {
    type Out = Quantization;

    #[inline(always)]
    fn run<S: Floats>(self, _: S) -> Quantization {
        let Self { dynamic, input, output } = self;
        let rule = Rule::new(dynamic, input);
        if rule.nothing {
            output.fill(BIAS as u8);
        } else {
            for (slot, &x) in output.iter_mut().zip(input) {
                *slot = (rule.apply(x) + BIAS) as u8;
            }
        }
        rule.quantization
    }
}

/// Activations to the integers `q − zero point`, as floats.
pub(super) struct ToWhole<'a> {
    pub(super) dynamic: Dynamic,
    pub(super) input: &'a [f32],
    pub(super) output: &'a mut [f32],
}

impl FloatTask for ToWhole<'_> {
    type Out = Quantization;

    #[inline(always)]
    fn run<S: Floats>(self, _: S) -> Quantization {
        let Self { dynamic, input, output } = self;
        let rule = Rule::new(dynamic, input);
        if rule.nothing {
            output.fill(0.0);
        } else {
            for (slot, &x) in output.iter_mut().zip(input) {
                *slot = (rule.apply(x) - rule.quantization.zero_point) as f32;
            }
        }
        rule.quantization
    }
}

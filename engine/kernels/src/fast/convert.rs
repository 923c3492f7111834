//! Between the number formats: `f32`, the `i8` of a model's edges, and the bytes `q + 128` that kernels work on.
#![expect(unsafe_code, reason = "converts floats that are known to fit an integer")]

use super::isa::{FloatIsa, Isa};
use super::simd::{FloatTask, Floats};
use crate::quantized::{ClampInt, Integer, Quantization};

/// `f32` to bytes, as [`quantize`](crate::reference::quantize) to `i8`.
pub fn quantize(isa: Isa, quantization: Quantization, input: &[f32], output: &mut [u8]) {
    assert_eq!(input.len(), output.len(), "elements");
    FloatIsa::new(isa).run(Quantize {
        quantization,
        input,
        output,
    });
}

/// Bytes to `f32`, as [`dequantize`](crate::reference::dequantize) from `i8`.
pub fn dequantize(isa: Isa, quantization: Quantization, input: &[u8], output: &mut [f32]) {
    assert_eq!(input.len(), output.len(), "elements");
    FloatIsa::new(isa).run(Dequantize {
        quantization,
        input,
        output,
    });
}

/// `f32` to integers as a model stores them, as [`quantize`](crate::reference::quantize).
pub fn quantize_stored<T: Integer>(isa: Isa, quantization: Quantization, input: &[f32], output: &mut [T]) {
    assert_eq!(input.len(), output.len(), "elements");
    FloatIsa::new(isa).run(QuantizeStored {
        quantization,
        input,
        output,
    });
}

/// Integers as a model stores them to `f32`, as [`dequantize`](crate::reference::dequantize).
pub fn dequantize_stored<T: Integer>(isa: Isa, quantization: Quantization, input: &[T], output: &mut [f32]) {
    assert_eq!(input.len(), output.len(), "elements");
    FloatIsa::new(isa).run(DequantizeStored {
        quantization,
        input,
        output,
    });
}

/// `i8` to bytes.
pub fn to_bytes(input: &[i8], output: &mut [u8]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (slot, &q) in output.iter_mut().zip(input) {
        *slot = q as u8 ^ 0x80;
    }
}

/// Bytes to `i8`.
pub fn from_bytes(input: &[u8], output: &mut [i8]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (slot, &byte) in output.iter_mut().zip(input) {
        *slot = (byte ^ 0x80) as i8;
    }
}

/// `round(x / scale) + zero_point`, ties away from zero, within `range`; not-a-number becomes the zero point.
#[inline(always)]
fn each<T>(quantization: Quantization, range: ClampInt, input: &[f32], output: &mut [T], stored: impl Fn(i32) -> T) {
    /// Integers up to this size are floats, too.
    const EXACT: i64 = 1 << 24;
    let Quantization { scale, zero_point } = quantization;
    let [low, high] = [range.min, range.max].map(|end| i64::from(end) - i64::from(zero_point));
    if low.abs().max(high.abs()) > EXACT {
        for (slot, &x) in output.iter_mut().zip(input) {
            let q = ((x / scale).round() as i32).saturating_add(zero_point);
            *slot = stored(q.clamp(range.min, range.max));
        }
        return;
    }
    // What `as` does, in steps that become vectors.
    let (low, high) = (low as f32, high as f32);
    for (slot, &x) in output.iter_mut().zip(input) {
        let rounded = (x / scale).round();
        let rounded = if rounded.is_nan() { 0.0 } else { rounded };
        let rounded = if rounded > low { rounded } else { low };
        let rounded = if rounded < high { rounded } else { high };
        // SAFETY: it is within `EXACT`.
        *slot = stored(unsafe { rounded.to_int_unchecked::<i32>() } + zero_point);
    }
}

struct Quantize<'a> {
    quantization: Quantization,
    input: &'a [f32],
    output: &'a mut [u8],
}

impl FloatTask for Quantize<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        each(self.quantization, ClampInt::I8, self.input, self.output, |q| {
            q as u8 ^ 0x80
        });
    }
}

struct Dequantize<'a> {
    quantization: Quantization,
    input: &'a [u8],
    output: &'a mut [f32],
}

impl FloatTask for Dequantize<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Quantization { scale, zero_point } = self.quantization;
        for (slot, &byte) in self.output.iter_mut().zip(self.input) {
            *slot = scale * (i32::from((byte ^ 0x80) as i8) - zero_point) as f32;
        }
    }
}

struct QuantizeStored<'a, T> {
    quantization: Quantization,
    input: &'a [f32],
    output: &'a mut [T],
}

impl<T: Integer> FloatTask for QuantizeStored<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let range = ClampInt {
            min: T::LOWEST.into(),
            max: T::HIGHEST.into(),
        };
        each(self.quantization, range, self.input, self.output, T::saturate);
    }
}

struct DequantizeStored<'a, T> {
    quantization: Quantization,
    input: &'a [T],
    output: &'a mut [f32],
}

impl<T: Integer> FloatTask for DequantizeStored<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Quantization { scale, zero_point } = self.quantization;
        for (slot, &q) in self.output.iter_mut().zip(self.input) {
            let q: i32 = q.into();
            *slot = scale * (q - zero_point) as f32;
        }
    }
}

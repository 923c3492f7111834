//! Between real numbers and integers, and between integers of different quantization.

use crate::quantized::{Integer, Quantization, QuantizedMultiplier};

/// `round(x / scale) + zero_point`, ties away from zero, saturating.
///
/// Source: `reference_ops::AffineQuantize` (`quantize.h`): a division in `f32`, not a product with the inverse.
/// Beyond the range of `i32` the source is undefined; here it saturates, and not-a-number becomes the zero point.
pub fn quantize<T: Integer>(output_quantization: Quantization, input: &[f32], output: &mut [T]) {
    assert_eq!(input.len(), output.len(), "elements");
    let Quantization { scale, zero_point } = output_quantization;
    for (&x, slot) in input.iter().zip(output) {
        *slot = T::saturate(((x / scale).round() as i32).saturating_add(zero_point));
    }
}

/// `scale · (q − zero_point)`. Source: `reference_ops::Dequantize` (`dequantize.h`), a product in `f64`, which rounds
/// to the same `f32` as one in `f32` does.
pub fn dequantize<T: Integer>(input_quantization: Quantization, input: &[T], output: &mut [f32]) {
    assert_eq!(input.len(), output.len(), "elements");
    let Quantization { scale, zero_point } = input_quantization;
    for (&q, slot) in input.iter().zip(output) {
        let q: i32 = q.into();
        *slot = scale * (q - zero_point) as f32;
    }
}

/// Parameters of a requantization; made once, used for every call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RequantizeParams {
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Input scale over output scale.
    pub multiplier: QuantizedMultiplier,
}

impl RequantizeParams {
    /// Source: `Prepare` in `kernels/quantize.cc`.
    pub fn new(input: Quantization, output: Quantization) -> Self {
        Self {
            input_zero_point: input.zero_point,
            output_zero_point: output.zero_point,
            multiplier: QuantizedMultiplier::from_real(f64::from(input.scale) / f64::from(output.scale)),
        }
    }
}

/// The same real numbers in another quantization, between element types as well. Source: `reference_ops::Requantize`
/// (`requantize.h`).
pub fn requantize<I: Integer, O: Integer>(params: &RequantizeParams, input: &[I], output: &mut [O]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (&q, slot) in input.iter().zip(output) {
        let q: i32 = q.into();
        let scaled = params.multiplier.apply_double(q - params.input_zero_point);
        *slot = O::saturate(scaled.saturating_add(params.output_zero_point));
    }
}

/// Quantizes the activations of a dynamic-range kernel by their own range, which always includes zero; returns scale
/// and zero point.
///
/// Of the two zero points that follow from the least and the greatest value, the one with the smaller rounding error
/// is taken.
///
/// Source: `NeonAsymmetricQuantizeFloats` (`kernels/internal/optimized/neon_tensor_utils.cc`), which is what LiteRT
/// runs on ARM and, by an emulation of its vectors, on x86, in the reference set as well. It differs from the
/// portable version in the last bit of the scale: the range is subtracted in `f32`. On x86 the source also rounds a
/// quotient of `0.5 − 2^−25` up; ARM and this do not.
pub fn quantize_dynamic(input: &[f32], output: &mut [i8]) -> Quantization {
    assert_eq!(input.len(), output.len(), "elements");
    let (least, greatest) = input
        .iter()
        .fold((0.0_f32, 0.0_f32), |(min, max), &x| (min.min(x), max.max(x)));
    if least == greatest {
        output.fill(0);
        return Quantization::new(1.0, 0);
    }
    let (q_min, q_max) = (f64::from(i8::MIN), f64::from(i8::MAX));
    let scale = f64::from(greatest - least) / (q_max - q_min);
    let from_least = q_min - f64::from(least) / scale;
    let from_greatest = q_max - f64::from(greatest) / scale;
    let least_error = q_min.abs() + (f64::from(least) / scale).abs();
    let greatest_error = q_max.abs() + (f64::from(greatest) / scale).abs();
    let zero_point = if least_error < greatest_error {
        from_least
    } else {
        from_greatest
    };
    let zero_point = zero_point.clamp(q_min, q_max).round() as i32;
    let scale = scale as f32;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    for (&x, slot) in input.iter().zip(output) {
        *slot = i8::saturate(((x * inverse).round() as i32).saturating_add(zero_point));
    }
    Quantization::new(scale, zero_point)
}

/// The symmetric form: zero point 0 and integers in −127 ..= 127.
///
/// Source: `NeonSymmetricQuantizeFloats` (`neon_tensor_utils.cc`).
pub fn quantize_dynamic_symmetric(input: &[f32], output: &mut [i8]) -> Quantization {
    assert_eq!(input.len(), output.len(), "elements");
    let range = input.iter().fold(0.0_f32, |range, x| range.max(x.abs()));
    if range == 0.0 {
        output.fill(0);
        return Quantization::new(1.0, 0);
    }
    let inverse = 127.0 / range;
    for (&x, slot) in input.iter().zip(output) {
        *slot = ((x * inverse).round() as i32).clamp(-127, 127) as i8;
    }
    Quantization::new(range / 127.0, 0)
}

//! Mean over some axes.

use crate::quantized::{Integer, Quantization, QuantizedMultiplier};
use crate::shape::Reduce;

/// Parameters of an integer mean; made once, used for every call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanParams {
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Input scale over output scale and the number of elements that come together.
    pub multiplier: QuantizedMultiplier,
}

impl MeanParams {
    /// Parameters of a mean over `count` elements. Source: `PrepareMeanOrSum` (`kernels/reduce.cc`) and
    /// `reference_ops::QuantizedMeanOrSum` (`reduce.h`), the path of `BUILTIN_REF` for all axes.
    ///
    /// The sum is not divided: `1 / count` is worked into the multiplier. A plain integer division of the multiplier
    /// would lose as many bits as `count` has; shifting it left by them first keeps the multiplier in its upper bits,
    /// and the shift compensates. The division truncates, so that the result differs from the multiplier of the real
    /// quotient.
    pub fn new(input: Quantization, output: Quantization, count: usize) -> Self {
        let QuantizedMultiplier { multiplier, shift } =
            QuantizedMultiplier::from_real(f64::from(input.scale) / f64::from(output.scale));
        let count = count.max(1) as i64;
        let bits = (63 - count.leading_zeros() as i32).min(32).min(31 + shift);
        Self {
            input_zero_point: input.zero_point,
            output_zero_point: output.zero_point,
            multiplier: QuantizedMultiplier {
                multiplier: ((i64::from(multiplier) << bits) / count) as i32,
                shift: shift - bits,
            },
        }
    }
}

/// Integer mean. With no elements to come together the output is the input's real zero.
pub fn mean_i8(shape: &Reduce, params: &MeanParams, input: &[i8], output: &mut [i8]) {
    mean(shape, params, input, output);
}

/// Mean of 16-bit integers.
pub fn mean_i16(shape: &Reduce, params: &MeanParams, input: &[i16], output: &mut [i16]) {
    mean(shape, params, input, output);
}

fn mean<T: Integer>(shape: &Reduce, params: &MeanParams, input: &[T], output: &mut [T]) {
    check(shape, input.len(), output.len());
    let zero = (shape.count() as i32).wrapping_mul(params.input_zero_point);
    for (out, slot) in output.iter_mut().enumerate() {
        let sum = shape
            .inputs(out)
            .fold(0_i32, |sum, i| sum.wrapping_add(input[i].into()))
            .wrapping_sub(zero);
        *slot = T::saturate(
            params
                .multiplier
                .apply_double(sum)
                .saturating_add(params.output_zero_point),
        );
    }
}

/// Float mean, summed in the order of the input. Source: `reference_ops::Mean` (`reduce.h`).
pub fn mean_f32(shape: &Reduce, input: &[f32], output: &mut [f32]) {
    check(shape, input.len(), output.len());
    for (out, slot) in output.iter_mut().enumerate() {
        let mut sum = 0.0;
        for i in shape.inputs(out) {
            sum += input[i];
        }
        *slot = if shape.count() == 0 {
            0.0
        } else {
            sum / shape.count() as f32
        };
    }
}

fn check(shape: &Reduce, input: usize, output: usize) {
    assert_eq!(input, shape.input_len(), "elements of the input");
    assert_eq!(output, shape.output_len(), "elements of the output");
}

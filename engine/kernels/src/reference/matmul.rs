//! Matrix product of two computed tensors.

use crate::quantized::{Activation, ClampInt, Quantization, QuantizedMultiplier};
use crate::shape::MatMulShape;

/// Parameters of an integer matrix product; made once, used for every call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatMulParams {
    /// Zero point of the left input.
    pub a_zero_point: i32,
    /// Zero point of the right input.
    pub b_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Product of the input scales over the output scale.
    pub multiplier: QuantizedMultiplier,
    /// The whole range of the output.
    pub clamp: ClampInt,
}

impl MatMulParams {
    /// Source: `GetQuantizedConvolutionMultipler` (`kernels/kernel_util.cc`), called by `Prepare` in `kernels/batch_matmul.cc`: the
    /// product of the input scales is computed in `f32`, the quotient in `f64`.
    pub fn new(a: Quantization, b: Quantization, output: Quantization) -> Self {
        Self {
            a_zero_point: a.zero_point,
            b_zero_point: b.zero_point,
            output_zero_point: output.zero_point,
            multiplier: QuantizedMultiplier::from_real(f64::from(a.scale * b.scale) / f64::from(output.scale)),
            clamp: Activation::None.clamp_i8(output),
        }
    }

    /// An element of the output from its sum of products. The multiplication rounds twice, as that of convolutions.
    pub fn requantize(&self, sum: i32) -> i8 {
        self.clamp
            .apply(self.multiplier.apply_double(sum).saturating_add(self.output_zero_point))
    }
}

/// `out[…, m, n] = Σ a[…, m, k] · b[…, k, n]` in integers, both factors with a zero point of their own. Sums wrap, as there.
///
/// Source: `reference_ops::BatchMatMul` of quantized tensors (`batch_matmul.h`).
pub fn mat_mul_i8(shape: &MatMulShape, params: &MatMulParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    shape.check(a.len(), b.len(), output.len());
    let (a_step, b_step) = (shape.a_steps(), shape.b_steps());
    shape.for_each_product(|a_start, b_start, out_start| {
        for m in 0..shape.rows {
            for n in 0..shape.columns {
                let mut sum = 0_i32;
                for k in 0..shape.depth {
                    let a = i32::from(a[a_start + m * a_step[0] + k * a_step[1]]) - params.a_zero_point;
                    let b = i32::from(b[b_start + k * b_step[0] + n * b_step[1]]) - params.b_zero_point;
                    sum = sum.wrapping_add(a.wrapping_mul(b));
                }
                output[out_start + m * shape.columns + n] = params.requantize(sum);
            }
        }
    });
}

/// `out[…, m, n] = Σ a[…, m, k] · b[…, k, n]`, summed in the order of `k`.
///
/// Source: `reference_ops::BatchMatMul` (`batch_matmul.h`).
pub fn mat_mul_f32(shape: &MatMulShape, a: &[f32], b: &[f32], output: &mut [f32]) {
    shape.check(a.len(), b.len(), output.len());
    let (a_step, b_step) = (shape.a_steps(), shape.b_steps());
    shape.for_each_product(|a_start, b_start, out_start| {
        for m in 0..shape.rows {
            for n in 0..shape.columns {
                let mut sum = 0.0;
                for k in 0..shape.depth {
                    sum += a[a_start + m * a_step[0] + k * a_step[1]] * b[b_start + k * b_step[0] + n * b_step[1]];
                }
                output[out_start + m * shape.columns + n] = sum;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{MatMulParams, mat_mul_i8};
    use crate::quantized::Quantization;
    use crate::shape::MatMulShape;

    #[test]
    fn both_factors_have_a_zero_point_of_their_own() {
        let shape = MatMulShape::new(&[1, 1, 2], &[1, 2, 2], false, false).unwrap();
        let params = MatMulParams::new(
            Quantization::new(0.5, 1),
            Quantization::new(0.25, -2),
            Quantization::new(0.125, 3),
        );
        let mut output = [0; 2];
        // (3 − 1, −1 − 1) · ((0 + 2, 1 + 2), (2 + 2, −2 + 2)) = (4 − 8, 6 − 0); a step of the output is one product.
        mat_mul_i8(&shape, &params, &[3, -1], &[0, 1, 2, -2], &mut output);
        assert_eq!(output, [-4 + 3, 6 + 3]);
    }
}

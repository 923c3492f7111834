//! Matrix product of two computed tensors.

use crate::shape::MatMulShape;

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

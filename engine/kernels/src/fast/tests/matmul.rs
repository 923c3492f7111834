//! Matrix products: the fast kernels equal the plain ones, whatever the shapes; floats up to the rounding of their sums.

use super::support::{Draw, biased};
use crate::fast::{Isa, mat_mul_f32, mat_mul_int, mat_mul_int_scratch, mat_mul_scratch};
use crate::quantized::Quantization;
use crate::reference::{self, MatMulParams};
use crate::shape::MatMulShape;

#[test]
fn products_equal_the_reference() {
    let mut draw = Draw::new(7);
    let shapes: &[(&[usize], &[usize])] = &[
        (&[1, 1, 1], &[1, 1, 1]),
        (&[2, 5, 7], &[1, 7, 33]),
        (&[3, 9, 16], &[16, 64]),
        (&[2, 1, 4, 3], &[3, 3, 65]),
        (&[1, 29, 5], &[5, 100]),
        (&[1, 3, 2], &[2, 31]),
    ];
    for &(a, b) in shapes {
        for (adjoint_a, adjoint_b) in [(false, false), (false, true), (true, false), (true, true)] {
            let swapped = |dims: &[usize], swap: bool| {
                let mut dims = dims.to_vec();
                if swap {
                    let n = dims.len();
                    dims.swap(n - 1, n - 2);
                }
                dims
            };
            let (a, b) = (swapped(a, adjoint_a), swapped(b, adjoint_b));
            let shape = MatMulShape::new(&a, &b, adjoint_a, adjoint_b).expect("these fit");
            let (x, y) = (draw.floats(a.iter().product()), draw.floats(b.iter().product()));
            let mut expected = vec![0.0; shape.output_len()];
            reference::mat_mul_f32(&shape, &x, &y, &mut expected);
            for isa in Isa::available() {
                let mut scratch = vec![f32::NAN; mat_mul_scratch(&shape)];
                let mut found = vec![f32::NAN; expected.len()];
                mat_mul_f32(isa, &shape, &x, &y, &mut scratch, &mut found);
                // Either side rounds each of its `depth` products and sums; values are below 1 in size.
                let tolerance = 2.0 * (shape.depth * shape.depth) as f32 * f32::EPSILON;
                for (found, expected) in found.iter().zip(&expected) {
                    assert!(
                        (found - expected).abs() <= tolerance,
                        "{a:?} {b:?} {adjoint_a} {adjoint_b} {isa:?}: {found} not {expected}"
                    );
                }
            }
            let params = MatMulParams::new(
                Quantization::new(0.03, -128),
                Quantization::new(0.02, 127),
                Quantization::new(0.5, 3),
            );
            let (x, y) = (draw.bytes(x.len()), draw.bytes(y.len()));
            let mut expected = vec![0; shape.output_len()];
            reference::mat_mul_i8(&shape, &params, &x, &y, &mut expected);
            for isa in Isa::available() {
                let mut scratch = vec![-7; mat_mul_int_scratch(&shape)];
                let mut found = vec![0; expected.len()];
                mat_mul_int(isa, &shape, &params, &biased(&x), &biased(&y), &mut scratch, &mut found);
                assert_eq!(found, biased(&expected), "{a:?} {b:?} {adjoint_a} {adjoint_b} {isa:?}");
            }
        }
    }
}

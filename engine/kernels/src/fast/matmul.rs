//! Products of two computed matrices in `f32`. The loops are plain: compiled for the instruction set they become vectors by themselves.

use super::isa::{FloatIsa, Isa};
use super::simd::{FloatTask, Floats};
use crate::shape::MatMulShape;

/// Rows of a tile of sums, which are held in registers.
const ROWS: usize = 4;
/// Columns of a tile.
const COLUMNS: usize = 32;

/// Elements of scratch that [`mat_mul_f32`] needs: room for a matrix of `b`.
pub fn mat_mul_scratch(shape: &MatMulShape) -> usize {
    if shape.adjoint_b {
        shape.depth * shape.columns
    } else {
        0
    }
}

/// `out[…, m, n] = Σ a[…, m, k] · b[…, k, n]`. Equals [`mat_mul_f32`](crate::reference::mat_mul_f32) in every bit.
///
/// Matrices of `b` that are stored as `[columns, depth]` are turned around in `scratch` first, which has
/// [`mat_mul_scratch`] elements.
pub fn mat_mul_f32(isa: Isa, shape: &MatMulShape, a: &[f32], b: &[f32], scratch: &mut [f32], output: &mut [f32]) {
    shape.check(a.len(), b.len(), output.len());
    let isa = FloatIsa::new(isa);
    let (depth, columns) = (shape.depth, shape.columns);
    let mut turned = None;
    shape.for_each_product(|a_start, b_start, out_start| {
        let b = &b[b_start..][..depth * columns];
        let b = if shape.adjoint_b {
            if turned.replace(b_start) != Some(b_start) {
                turn(b, columns, depth, scratch);
            }
            &scratch[..depth * columns]
        } else {
            b
        };
        isa.run(Product {
            shape,
            a: &a[a_start..][..shape.rows * depth],
            b,
            output: &mut output[out_start..][..shape.rows * columns],
        });
    });
}

/// `to[column][row] = from[row][column]`.
fn turn(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    for row in 0..rows {
        for column in 0..columns {
            to[column * rows + row] = from[row * columns + column];
        }
    }
}

/// One product; `b` is `[depth, columns]`.
struct Product<'a> {
    shape: &'a MatMulShape,
    a: &'a [f32],
    b: &'a [f32],
    output: &'a mut [f32],
}

impl FloatTask for Product<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self { shape, a, b, output } = self;
        let (rows, columns) = (shape.rows, shape.columns);
        let step = shape.a_steps();
        for first_row in (0..rows).step_by(ROWS) {
            let of_tile: [usize; ROWS] = std::array::from_fn(|r| (first_row + r).min(rows - 1));
            for first in (0..columns).step_by(COLUMNS) {
                let width = COLUMNS.min(columns - first);
                let mut sums = [[0.0_f32; COLUMNS]; ROWS];
                for k in 0..shape.depth {
                    let line = &b[k * columns + first..][..width];
                    let factors = of_tile.map(|row| a[row * step[0] + k * step[1]]);
                    if let Ok(line) = <&[f32; COLUMNS]>::try_from(line) {
                        for (sums, factor) in sums.iter_mut().zip(factors) {
                            for (sum, &x) in sums.iter_mut().zip(line) {
                                *sum += factor * x;
                            }
                        }
                    } else {
                        for (sums, factor) in sums.iter_mut().zip(factors) {
                            for (sum, &x) in sums.iter_mut().zip(line) {
                                *sum += factor * x;
                            }
                        }
                    }
                }
                for (r, sums) in sums.iter().enumerate().take(rows - first_row) {
                    output[(first_row + r) * columns + first..][..width].copy_from_slice(&sums[..width]);
                }
            }
        }
    }
}

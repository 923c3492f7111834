//! The product in `f32`: a tile of sums in registers, rows of `b` as they lie.
#![expect(
    unsafe_code,
    reason = "the inner loop reads through pointers; bounds are checked once per product"
)]

use super::Turn;
use crate::fast::isa::{FloatIsa, Isa};
use crate::fast::product::{tiles, vectors, with_rows};
use crate::fast::simd::{FloatTask, Floats, Task};
use crate::shape::MatMulShape;

/// Elements of scratch that [`mat_mul_f32`] needs: room for a matrix of `b`.
pub fn mat_mul_scratch(shape: &MatMulShape) -> usize {
    if shape.adjoint_b {
        shape.depth * shape.columns
    } else {
        0
    }
}

/// `out[…, m, n] = Σ a[…, m, k] · b[…, k, n]`, summed in the order of `k`, product and sum rounded once where the instruction set can.
///
/// Matrices of `b` that are stored as `[columns, depth]` are turned around in `scratch` first, which has
/// [`mat_mul_scratch`] elements.
pub fn mat_mul_f32(isa: Isa, shape: &MatMulShape, a: &[f32], b: &[f32], scratch: &mut [f32], output: &mut [f32]) {
    shape.check(a.len(), b.len(), output.len());
    let isa = FloatIsa::new(isa);
    let mut turned = None;
    shape.for_each_product(|a_start, b_start, out_start| {
        let b = &b[b_start..][..shape.depth * shape.columns];
        let b = if shape.adjoint_b {
            if turned.replace(b_start) != Some(b_start) {
                isa.run(Turn {
                    columns: shape.depth,
                    from: b,
                    to: scratch,
                });
            }
            &scratch[..b.len()]
        } else {
            b
        };
        isa.run(Sweep {
            shape,
            a: &a[a_start..][..shape.rows * shape.depth],
            b,
            output: &mut output[out_start..][..shape.rows * shape.columns],
        });
    });
}

/// All tiles of a product; the lengths of the slices are those of `shape`, `b` is `[depth, columns]`.
struct Sweep<'a> {
    shape: &'a MatMulShape,
    a: &'a [f32],
    b: &'a [f32],
    output: &'a mut [f32],
}

impl FloatTask for Sweep<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, simd: S) {
        let Self { shape, a, b, output } = self;
        let MatMulShape {
            rows, depth, columns, ..
        } = *shape;
        assert_eq!(
            [a.len(), b.len(), output.len()],
            [rows * depth, depth * columns, rows * columns],
            "elements of the matrices"
        );
        let lanes = S::FLOAT_LANES;
        let mut column = 0;
        while column < columns {
            let vectors = vectors(columns - column, lanes, S::FLOAT_VECTORS);
            let width = (columns - column).min(vectors * lanes);
            for tile in tiles(rows, S::FLOAT_ROWS[vectors / 2]) {
                let arguments = Arguments {
                    shape,
                    a: a.as_ptr(),
                    b: b.as_ptr(),
                    output: output.as_mut_ptr(),
                    row: tile.start,
                    column,
                    width,
                };
                match vectors {
                    1 => with_rows!(tile.len(), S::FLOAT_ROWS[0], R => simd.call(Tile::<R, 1>(arguments))),
                    2 => with_rows!(tile.len(), S::FLOAT_ROWS[1], R => simd.call(Tile::<R, 2>(arguments))),
                    _ => with_rows!(tile.len(), S::FLOAT_ROWS[2], R => simd.call(Tile::<R, 4>(arguments))),
                }
            }
            column += width;
        }
    }
}

/// A tile from `row` and `column` on, `width` columns wide, which [`Sweep`] has found to lie in the matrices.
struct Arguments<'a> {
    shape: &'a MatMulShape,
    a: *const f32,
    b: *const f32,
    output: *mut f32,
    row: usize,
    column: usize,
    width: usize,
}

struct Tile<'a, const ROWS: usize, const VECTORS: usize>(Arguments<'a>);

impl<S: Floats, const ROWS: usize, const VECTORS: usize> Task<S> for Tile<'_, ROWS, VECTORS> {
    type Out = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Arguments {
            shape,
            a,
            b,
            output,
            row,
            column,
            width,
        } = self.0;
        let MatMulShape { depth, columns, .. } = *shape;
        let lanes = S::FLOAT_LANES;
        let [row_step, step] = shape.a_steps();
        // Lanes of the last vector: all but at the right edge.
        let last = width - (VECTORS - 1) * lanes;
        // SAFETY: `Sweep` has checked that the slices hold whole matrices; the rows `row..row + ROWS` and the columns
        // `column..column + width` are within them, and of the last vector `last` lanes are touched alone.
        unsafe {
            let mut acc = [[simd.splat(0.0); VECTORS]; ROWS];
            let mut starts = [a; ROWS];
            for (r, start) in starts.iter_mut().enumerate() {
                *start = a.add((row + r) * row_step);
            }
            let mut line = b.add(column);
            for k in 0..depth {
                let mut w = [simd.splat(0.0); VECTORS];
                for (v, w) in w.iter_mut().enumerate() {
                    let from = line.wrapping_add(v * lanes);
                    *w = if v + 1 < VECTORS || last == lanes {
                        simd.load(from)
                    } else {
                        simd.load_first(from, last)
                    };
                }
                line = line.wrapping_add(columns);
                for (acc, start) in acc.iter_mut().zip(starts) {
                    let x = simd.splat(*start.add(k * step));
                    for (acc, w) in acc.iter_mut().zip(w) {
                        *acc = simd.mul_add(x, w, *acc);
                    }
                }
            }
            for (r, acc) in acc.into_iter().enumerate() {
                let to = output.add((row + r) * columns + column);
                for (v, acc) in acc.into_iter().enumerate() {
                    if v + 1 < VECTORS || last == lanes {
                        simd.store(to.add(v * lanes), acc);
                    } else {
                        simd.store_first(to.add(v * lanes), last, acc);
                    }
                }
            }
        }
    }
}

//! Products of two computed matrices: floats by tiles of registers, integers by plain loops, which compiled for the instruction set
//! become vectors by themselves.

#![expect(unsafe_code, reason = "sums are requantized through pointers into arrays")]

mod float;

pub use float::{mat_mul_f32, mat_mul_scratch};

use super::elementwise::splat;
use super::isa::{FloatIsa, IntIsa, Isa};
use super::requantize::BIAS;
use super::simd::{ByteRange, FloatTask, Floats, GENERAL, IntTask, Ints};
use crate::quantized::QuantizedMultiplier;
use crate::reference::MatMulParams;
use crate::shape::MatMulShape;

/// Rows of a tile of sums, which are held in registers.
const ROWS: usize = 4;
/// Columns of a tile, and of one at the edge.
const COLUMNS: usize = 16;

/// Elements of scratch that [`mat_mul_int`] needs: room for a matrix of `b`.
pub fn mat_mul_int_scratch(shape: &MatMulShape) -> usize {
    shape.depth * shape.columns
}

/// `out[…, m, n] = Σ a[…, m, k] · b[…, k, n]` of bytes `q + 128`, as [`mat_mul_i8`](crate::reference::mat_mul_i8) defines it. `scratch`
/// has [`mat_mul_int_scratch`] elements.
pub fn mat_mul_int(
    isa: Isa,
    shape: &MatMulShape,
    params: &MatMulParams,
    a: &[u8],
    b: &[u8],
    scratch: &mut [i16],
    output: &mut [u8],
) {
    shape.check(a.len(), b.len(), output.len());
    let (isa, ints) = (FloatIsa::new(isa), IntIsa::new(isa));
    let [a_zero, b_zero] = [params.a_zero_point + BIAS, params.b_zero_point + BIAS];
    let mut prepared = None;
    shape.for_each_product(|a_start, b_start, out_start| {
        let b = &b[b_start..][..shape.depth * shape.columns];
        if prepared.replace(b_start) != Some(b_start) {
            let element = |byte: u8| (i32::from(byte) - b_zero) as i16;
            if shape.adjoint_b {
                isa.run(Turn {
                    columns: shape.depth,
                    element,
                    from: b,
                    to: scratch,
                });
            } else {
                for (slot, &byte) in scratch.iter_mut().zip(b) {
                    *slot = element(byte);
                }
            }
        }
        ints.run(Product {
            shape,
            a: &a[a_start..][..shape.rows * shape.depth],
            b: &scratch[..b.len()],
            a_zero,
            multiplier: params.multiplier,
            range: ByteRange::new(params.output_zero_point, params.clamp),
            output: &mut output[out_start..][..shape.rows * shape.columns],
        });
    });
}

/// `to[column][row] = element(from[row][column])`, in tiles that stay in the first-level cache.
struct Turn<'a, I, O, E> {
    columns: usize,
    element: E,
    from: &'a [I],
    to: &'a mut [O],
}

impl<I: Copy, O, E: Fn(I) -> O> FloatTask for Turn<'_, I, O, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self {
            columns,
            element,
            from,
            to,
        } = self;
        let rows = from.len() / columns.max(1);
        for first_row in (0..rows).step_by(COLUMNS) {
            for first in (0..columns).step_by(COLUMNS) {
                for column in first..(first + COLUMNS).min(columns) {
                    let to = &mut to[column * rows..][..rows];
                    for row in first_row..(first_row + COLUMNS).min(rows) {
                        to[row] = element(from[row * columns + column]);
                    }
                }
            }
        }
    }
}

/// One product of integers; `b` is `[depth, columns]`, without its zero point.
struct Product<'a> {
    shape: &'a MatMulShape,
    a: &'a [u8],
    b: &'a [i16],
    a_zero: i32,
    multiplier: QuantizedMultiplier,
    range: ByteRange,
    output: &'a mut [u8],
}

impl IntTask for Product<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Ints>(mut self, simd: S) {
        let columns = self.shape.columns;
        let factor = splat(simd, self.multiplier);
        for first_row in (0..self.shape.rows).step_by(ROWS) {
            let mut first = 0;
            while first + 2 * COLUMNS <= columns {
                self.tile::<S, { 2 * COLUMNS }>(simd, &factor, first_row, first, 2 * COLUMNS);
                first += 2 * COLUMNS;
            }
            while first < columns {
                let width = (columns - first).min(COLUMNS);
                self.tile::<S, COLUMNS>(simd, &factor, first_row, first, width);
                first += width;
            }
        }
    }
}

impl Product<'_> {
    /// The factors of the rows of a tile at depth `k`; a tile that reaches beyond the last row repeats it.
    #[inline(always)]
    fn factors(&self, first_row: usize, k: usize) -> [i32; ROWS] {
        let (step, last) = (self.shape.a_steps(), self.shape.rows - 1);
        std::array::from_fn(|r| {
            i32::from(self.a[(first_row + r).min(last) * step[0] + k * step[1]]).wrapping_sub(self.a_zero)
        })
    }

    /// The columns from `first` on: `width` of them, at most `WIDTH`.
    #[inline(always)]
    fn tile<S: Ints, const WIDTH: usize>(
        &mut self,
        simd: S,
        factor: &S::Rescale,
        first_row: usize,
        first: usize,
        width: usize,
    ) {
        let columns = self.shape.columns;
        let mut sums = [[0_i32; WIDTH]; ROWS];
        for k in 0..self.shape.depth {
            let line = &self.b[k * columns + first..][..width];
            let factors = self.factors(first_row, k);
            if let Ok(line) = <&[i16; WIDTH]>::try_from(line) {
                for (sums, factor) in sums.iter_mut().zip(factors) {
                    for (sum, &x) in sums.iter_mut().zip(line) {
                        *sum = sum.wrapping_add(factor.wrapping_mul(x.into()));
                    }
                }
            } else {
                for (sums, factor) in sums.iter_mut().zip(factors) {
                    for (sum, &x) in sums.iter_mut().zip(line) {
                        *sum = sum.wrapping_add(factor.wrapping_mul(x.into()));
                    }
                }
            }
        }
        let range = self.range;
        for (r, sums) in sums.iter().enumerate().take(self.shape.rows - first_row) {
            let to = &mut self.output[(first_row + r) * columns + first..][..width];
            for at in (0..width).step_by(S::INT_LANES) {
                let n = (width - at).min(S::INT_LANES);
                // SAFETY: a tile's width is a multiple of the lanes, of which `n` have a place in `to`.
                unsafe {
                    let x = simd.rescale::<GENERAL>(simd.load_int(sums.as_ptr().add(at)), factor);
                    simd.store_bytes(to.as_mut_ptr().add(at), n, x, &range);
                }
            }
        }
    }
}

//! Products of two computed matrices. The loops are plain: compiled for the instruction set they become vectors by themselves.

use super::isa::{FloatIsa, Isa};
use super::requantize::BIAS;
use super::simd::{FloatTask, Floats};
use crate::reference::MatMulParams;
use crate::shape::MatMulShape;

/// Rows of a tile of sums, which are held in registers.
const ROWS: usize = 4;
/// Columns of a tile, and of one at the edge.
const COLUMNS: usize = 16;

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
    let mut turned = None;
    shape.for_each_product(|a_start, b_start, out_start| {
        let b = &b[b_start..][..shape.depth * shape.columns];
        let b = if shape.adjoint_b {
            if turned.replace(b_start) != Some(b_start) {
                isa.run(Turn {
                    columns: shape.depth,
                    element: |x| x,
                    from: b,
                    to: scratch,
                });
            }
            &scratch[..b.len()]
        } else {
            b
        };
        isa.run(Product {
            shape,
            a: &a[a_start..][..shape.rows * shape.depth],
            b,
            zero: 0.0,
            add: |sum, x, y| sum + x * y,
            factor: |x: f32| x,
            finish: |sum| sum,
            output: &mut output[out_start..][..shape.rows * shape.columns],
        });
    });
}

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
    let isa = FloatIsa::new(isa);
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
        isa.run(Product {
            shape,
            a: &a[a_start..][..shape.rows * shape.depth],
            b: &scratch[..b.len()],
            zero: 0,
            add: |sum: i32, x: i32, y: i16| sum.wrapping_add(x * i32::from(y)),
            factor: |x: u8| i32::from(x) - a_zero,
            finish: |sum| params.requantize(sum) as u8 ^ 0x80,
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

/// One product; `b` is `[depth, columns]`.
struct Product<'a, A, B, C, Sum, F, M, D> {
    shape: &'a MatMulShape,
    a: &'a [A],
    b: &'a [B],
    zero: Sum,
    factor: F,
    add: M,
    finish: D,
    output: &'a mut [C],
}

impl<A, B, C, Sum, X, F, M, D> FloatTask for Product<'_, A, B, C, Sum, F, M, D>
where
    A: Copy,
    B: Copy,
    Sum: Copy,
    X: Copy,
    F: Fn(A) -> X,
    M: Fn(Sum, X, B) -> Sum,
    D: Fn(Sum) -> C,
{
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let columns = self.shape.columns;
        let mut this = self;
        for first_row in (0..this.shape.rows).step_by(ROWS) {
            let mut first = 0;
            while first + 2 * COLUMNS <= columns {
                this.tile::<{ 2 * COLUMNS }>(first_row, first);
                first += 2 * COLUMNS;
            }
            if first + COLUMNS <= columns {
                this.tile::<COLUMNS>(first_row, first);
                first += COLUMNS;
            }
            if first < columns {
                this.edge(first_row, first);
            }
        }
    }
}

impl<A, B, C, Sum, X, F, M, D> Product<'_, A, B, C, Sum, F, M, D>
where
    A: Copy,
    B: Copy,
    Sum: Copy,
    X: Copy,
    F: Fn(A) -> X,
    M: Fn(Sum, X, B) -> Sum,
    D: Fn(Sum) -> C,
{
    /// The factors of the rows of a tile at depth `k`; a tile that reaches beyond the last row repeats it.
    #[inline(always)]
    fn factors(&self, first_row: usize, k: usize) -> [X; ROWS] {
        let (step, last) = (self.shape.a_steps(), self.shape.rows - 1);
        std::array::from_fn(|r| (self.factor)(self.a[(first_row + r).min(last) * step[0] + k * step[1]]))
    }

    #[inline(always)]
    fn tile<const WIDTH: usize>(&mut self, first_row: usize, first: usize) {
        let columns = self.shape.columns;
        let mut sums = [[self.zero; WIDTH]; ROWS];
        for k in 0..self.shape.depth {
            let line = &self.b[k * columns + first..][..WIDTH];
            let factors = self.factors(first_row, k);
            for (sums, factor) in sums.iter_mut().zip(factors) {
                for (sum, &x) in sums.iter_mut().zip(line) {
                    *sum = (self.add)(*sum, factor, x);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate().take(self.shape.rows - first_row) {
            let to = &mut self.output[(first_row + r) * columns + first..][..WIDTH];
            for (slot, &sum) in to.iter_mut().zip(sums) {
                *slot = (self.finish)(sum);
            }
        }
    }

    /// The columns from `first` on, fewer than [`COLUMNS`].
    #[inline(always)]
    fn edge(&mut self, first_row: usize, first: usize) {
        let columns = self.shape.columns;
        let width = columns - first;
        let mut sums = [[self.zero; COLUMNS]; ROWS];
        for k in 0..self.shape.depth {
            let line = &self.b[k * columns + first..][..width];
            let factors = self.factors(first_row, k);
            for (sums, factor) in sums.iter_mut().zip(factors) {
                for (sum, &x) in sums.iter_mut().zip(line) {
                    *sum = (self.add)(*sum, factor, x);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate().take(self.shape.rows - first_row) {
            let to = &mut self.output[(first_row + r) * columns + first..][..width];
            for (slot, &sum) in to.iter_mut().zip(sums) {
                *slot = (self.finish)(sum);
            }
        }
    }
}

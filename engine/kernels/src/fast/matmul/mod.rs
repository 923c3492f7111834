//! Products of two computed matrices: floats by tiles of registers, and integers that lose their zero points on the way into pairs of 16-bit
//! numbers, of which an instruction multiplies and sums two.

#![expect(
    unsafe_code,
    reason = "the inner loop reads through pointers; bounds are checked once per product"
)]

mod float;

pub use float::{mat_mul_f32, mat_mul_scratch};

use super::elementwise::splat;
use super::isa::{IntIsa, Isa, vectorized};
use super::product::{tiles, vectors, with_rows};
use super::requantize::BIAS;
use super::simd::{ByteRange, FloatTask, Floats, GENERAL, IntTask, Ints, Task};
use crate::quantized::QuantizedMultiplier;
use crate::reference::MatMulParams;
use crate::shape::MatMulShape;

/// Elements that are turned around together, so that what they are read from stays in the first-level cache.
const BLOCK: usize = 16;

/// Lanes of the widest vector: lines of pairs of `b` are as long as whole vectors.
const LANES: usize = 16;

/// Two elements of neighbouring depth without their zero point, as the halves of an integer; the first is the lower one.
fn pair(zero: i32, [first, second]: [u8; 2]) -> i32 {
    let element = |byte: u8| i32::from(byte) - zero;
    (element(second) << 16) | (element(first) & 0xffff)
}

/// The sizes of operands in pairs: `a` as `[rows][pairs]`, `b` as `[pairs][line]`.
struct Packed {
    pairs: usize,
    line: usize,
    a: usize,
    b: usize,
}

impl Packed {
    fn new(shape: &MatMulShape) -> Self {
        let (pairs, line) = (shape.depth.div_ceil(2), shape.columns.next_multiple_of(LANES));
        Self {
            pairs,
            line,
            a: shape.rows * pairs,
            b: pairs * line,
        }
    }
}

/// Elements of scratch that [`mat_mul_int`] needs: room for a matrix of `a` and one of `b`.
pub fn mat_mul_int_scratch(shape: &MatMulShape) -> usize {
    let packed = Packed::new(shape);
    packed.a + packed.b
}

/// `out[…, m, n] = Σ a[…, m, k] · b[…, k, n]` of bytes `q + 128`, as [`mat_mul_i8`](crate::reference::mat_mul_i8) defines it. `scratch`
/// has [`mat_mul_int_scratch`] elements.
pub fn mat_mul_int(
    isa: Isa,
    shape: &MatMulShape,
    params: &MatMulParams,
    a: &[u8],
    b: &[u8],
    scratch: &mut [i32],
    output: &mut [u8],
) {
    shape.check(a.len(), b.len(), output.len());
    assert_eq!(scratch.len(), mat_mul_int_scratch(shape), "elements of scratch");
    let packed = Packed::new(shape);
    let (a_pairs, b_pairs) = scratch.split_at_mut(packed.a);
    let mut prepared = None;
    shape.for_each_product(|a_start, b_start, out_start| {
        vectorized(isa, || {
            Operand {
                bytes: &a[a_start..][..shape.rows * shape.depth],
                zero: params.a_zero_point + BIAS,
                lines: shape.rows,
                depth: shape.depth,
                steps: shape.a_steps(),
            }
            .pack([packed.pairs, 1], a_pairs);
        });
        if prepared.replace(b_start) != Some(b_start) {
            let [depth_step, column_step] = shape.b_steps();
            vectorized(isa, || {
                Operand {
                    bytes: &b[b_start..][..shape.depth * shape.columns],
                    zero: params.b_zero_point + BIAS,
                    lines: shape.columns,
                    depth: shape.depth,
                    steps: [column_step, depth_step],
                }
                .pack([1, packed.line], b_pairs);
            });
        }
        IntIsa::new(isa).run(Product {
            shape,
            packed: &packed,
            a: a_pairs,
            b: b_pairs,
            multiplier: params.multiplier,
            range: ByteRange::new(params.output_zero_point, params.clamp),
            output: &mut output[out_start..][..shape.rows * shape.columns],
        });
    });
}

/// A matrix of bytes: rows of `a` or columns of `b`, which are its lines, by depth.
struct Operand<'a> {
    bytes: &'a [u8],
    zero: i32,
    lines: usize,
    depth: usize,
    /// From one line and from one depth to the next.
    steps: [usize; 2],
}

impl Operand<'_> {
    /// Puts the pairs of line `l` and depth `2 · p` at `l · steps[0] + p · steps[1]`, without the zero point; where the depth is odd, the last
    /// pair ends in 0.
    #[inline(always)]
    fn pack(&self, steps: [usize; 2], to: &mut [i32]) {
        let Self {
            bytes, lines, depth, ..
        } = *self;
        let [line_step, depth_step] = self.steps;
        let pair = |bytes: [u8; 2]| pair(self.zero, bytes);
        // What a pair ends in where there is nothing more.
        let none = self.zero as u8;
        if depth_step == 1 && steps[1] == 1 {
            for (bytes, to) in bytes
                .chunks_exact(depth.max(1))
                .zip(to.chunks_exact_mut(steps[0].max(1)))
            {
                let (pairs, rest) = bytes.as_chunks::<2>();
                for (slot, bytes) in to.iter_mut().zip(pairs) {
                    *slot = pair(*bytes);
                }
                if let ([last], Some(slot)) = (rest, to.last_mut()) {
                    *slot = pair([*last, none]);
                }
            }
            return;
        }
        if line_step == 1 && steps[0] == 1 && steps[1] >= lines {
            for (rows, to) in bytes
                .chunks(2 * depth_step.max(1))
                .zip(to.chunks_exact_mut(steps[1].max(1)))
            {
                let (first, second) = rows.split_at(lines.min(rows.len()));
                if second.is_empty() {
                    for (slot, &x) in to.iter_mut().zip(first) {
                        *slot = pair([x, none]);
                    }
                }
                for (slot, (&x, &y)) in to.iter_mut().zip(first.iter().zip(second)) {
                    *slot = pair([x, y]);
                }
            }
            return;
        }
        let at = |line: usize, k: usize| {
            if k < depth {
                bytes[line * line_step + k * depth_step]
            } else {
                none
            }
        };
        for first in (0..lines).step_by(BLOCK) {
            for p in 0..depth.div_ceil(2) {
                for line in first..(first + BLOCK).min(lines) {
                    to[line * steps[0] + p * steps[1]] = pair([at(line, 2 * p), at(line, 2 * p + 1)]);
                }
            }
        }
    }
}

/// `to[column][row] = from[row][column]`, in tiles that stay in the first-level cache.
struct Turn<'a> {
    columns: usize,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl FloatTask for Turn<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self { columns, from, to } = self;
        let rows = from.len() / columns.max(1);
        for first_row in (0..rows).step_by(BLOCK) {
            for first in (0..columns).step_by(BLOCK) {
                for column in first..(first + BLOCK).min(columns) {
                    let to = &mut to[column * rows..][..rows];
                    for row in first_row..(first_row + BLOCK).min(rows) {
                        to[row] = from[row * columns + column];
                    }
                }
            }
        }
    }
}

/// One product of packed integers.
struct Product<'a> {
    shape: &'a MatMulShape,
    packed: &'a Packed,
    a: &'a [i32],
    b: &'a [i32],
    multiplier: QuantizedMultiplier,
    range: ByteRange,
    output: &'a mut [u8],
}

impl IntTask for Product<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Ints>(self, simd: S) {
        let MatMulShape { rows, columns, .. } = *self.shape;
        let Packed { pairs, line, a, b } = *self.packed;
        assert_eq!(
            [self.a.len(), self.b.len(), self.output.len()],
            [a, b, rows * columns],
            "elements of the matrices"
        );
        let factor = splat(simd, self.multiplier);
        let mut column = 0;
        while column < columns {
            let vectors = vectors(columns - column, S::INT_LANES, 2);
            let width = (columns - column).min(vectors * S::INT_LANES);
            for tile in tiles(rows, S::INT_ROWS[vectors / 2]) {
                let arguments = Arguments {
                    pairs,
                    line,
                    // SAFETY: the row and the column lie in the matrices, whose sizes are those of `Packed`.
                    a: unsafe { self.a.as_ptr().add(tile.start * pairs) },
                    b: unsafe { self.b.as_ptr().add(column) },
                    factor: &factor,
                    range: self.range,
                    output: unsafe { self.output.as_mut_ptr().add(tile.start * columns + column) },
                    columns,
                    width,
                };
                match vectors {
                    1 => with_rows!(tile.len(), S::INT_ROWS[0], R => simd.call(Tile::<S, R, 1>(arguments))),
                    _ => with_rows!(tile.len(), S::INT_ROWS[1], R => simd.call(Tile::<S, R, 2>(arguments))),
                }
            }
            column += width;
        }
    }
}

/// Where a tile begins in the operands and in the output, of which it writes `width` columns. Made by [`Product`] alone.
struct Arguments<'a, S: Ints> {
    pairs: usize,
    line: usize,
    a: *const i32,
    b: *const i32,
    factor: &'a S::Rescale,
    range: ByteRange,
    output: *mut u8,
    columns: usize,
    width: usize,
}

struct Tile<'a, S: Ints, const ROWS: usize, const VECTORS: usize>(Arguments<'a, S>);

impl<S: Ints, const ROWS: usize, const VECTORS: usize> Task<S> for Tile<'_, S, ROWS, VECTORS> {
    type Out = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Arguments {
            pairs,
            line,
            a,
            b,
            factor,
            range,
            output,
            columns,
            width,
        } = self.0;
        let mut sums = [[simd.splat_int(0); VECTORS]; ROWS];
        // SAFETY: `Product` has checked that `ROWS` rows of `pairs` pairs and as many lines follow `a` and `b`, and that lines are as long as
        // whole vectors; `width` bytes of each row of the output are writable.
        unsafe {
            for p in 0..pairs {
                let mut y = [simd.splat_int(0); VECTORS];
                for (v, y) in y.iter_mut().enumerate() {
                    *y = simd.load_int(b.add(p * line + v * S::INT_LANES));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = simd.splat_int(*a.add(r * pairs + p));
                    for (sum, y) in sums.iter_mut().zip(y) {
                        *sum = simd.dot_shorts(*sum, x, y);
                    }
                }
            }
            for (r, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    let at = v * S::INT_LANES;
                    let to = output.add(r * columns + at);
                    let n = (width - at).min(S::INT_LANES);
                    simd.store_bytes(to, n, simd.rescale::<GENERAL>(sum, factor), &range);
                }
            }
        }
    }
}

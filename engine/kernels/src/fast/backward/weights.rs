//! The gradient of a product's weights: for every output channel `o` and every value `k` that an output pixel sees,
//! `Σ dy[pixel][o] · x[pixel][k]`.
//!
//! A tile of `rows × vectors` sums stays in registers while all pixels pass: rows are output channels, lanes the neighbouring values of a run.
#![expect(
    unsafe_code,
    reason = "the inner loop reads through pointers; bounds are checked once per call"
)]

use crate::fast::isa::FloatIsa;
use crate::fast::product::{Pixels, Walk, vectors, with_rows};
use crate::fast::simd::{FloatTask, Floats, Task};

/// What the gradient is computed from, and where it is added: `[groups · out][walk.len()]`.
pub(super) struct WeightSums<'a> {
    /// Groups, and the output and input channels of each.
    pub(super) groups: [usize; 3],
    pub(super) walk: Walk,
    pub(super) x: (&'a [f32], Pixels),
    pub(super) dy: (&'a [f32], Pixels),
    pub(super) sums: &'a mut [f32],
}

impl WeightSums<'_> {
    /// Adds the products of all pixels.
    pub(super) fn add(self, isa: FloatIsa) {
        let [groups, out, input] = self.groups;
        assert_eq!(self.sums.len(), groups * out * self.walk.len(), "number of weights");
        assert_eq!(self.x.1.count(), self.dy.1.count(), "pixels that meet");
        if groups == 0 || out == 0 || self.walk.len() == 0 || self.x.1.count() == 0 {
            return;
        }
        self.x
            .1
            .assert_within(self.walk.reach((groups - 1) * input), self.x.0.len());
        self.dy.1.assert_within(groups * out, self.dy.0.len());
        isa.run(self);
    }
}

impl FloatTask for WeightSums<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, simd: S) {
        let Self {
            groups: [groups, out, input],
            walk,
            x,
            dy,
            sums,
        } = self;
        let depth = walk.len();
        for group in 0..groups {
            for (segment, offset) in walk.offsets().enumerate() {
                let mut k = 0;
                while k < walk.run_len() {
                    let rest = walk.run_len() - k;
                    let vectors = vectors(rest, S::FLOAT_LANES, S::FLOAT_VECTORS);
                    let n = rest.min(vectors * S::FLOAT_LANES);
                    let most = S::FLOAT_ROWS[vectors / 2];
                    let parts = out.div_ceil(most);
                    for part in 0..parts {
                        let (first, end) = (part * out / parts, (part + 1) * out / parts);
                        let channel = group * out + first;
                        let tile = Arguments {
                            // In bounds: `WeightSums::add` has checked the farthest.
                            x: (x.0[group * input + offset + k..].as_ptr(), x.1),
                            dy: (dy.0[channel..].as_ptr(), dy.1),
                            sums: &mut sums[channel * depth + segment * walk.run_len() + k..],
                            depth,
                            n,
                        };
                        match vectors {
                            1 => {
                                with_rows!(end - first, S::FLOAT_ROWS[0], R => simd.call(Tile::<R, 1>(tile)));
                            }
                            2 => {
                                with_rows!(end - first, S::FLOAT_ROWS[1], R => simd.call(Tile::<R, 2>(tile)));
                            }
                            _ => {
                                with_rows!(end - first, S::FLOAT_ROWS[2], R => simd.call(Tile::<R, 4>(tile)));
                            }
                        }
                    }
                    k += n;
                }
            }
        }
    }
}

/// One tile: pointers to its first value of `x` and of `dy`, and its first sum. Made by [`WeightSums`] alone.
struct Arguments<'a> {
    x: (*const f32, Pixels),
    dy: (*const f32, Pixels),
    sums: &'a mut [f32],
    depth: usize,
    n: usize,
}

struct Tile<'a, const ROWS: usize, const VECTORS: usize>(Arguments<'a>);

impl<S: Floats, const ROWS: usize, const VECTORS: usize> Task<S> for Tile<'_, ROWS, VECTORS> {
    type Out = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Arguments { x, dy, sums, depth, n } = self.0;
        let lanes = S::FLOAT_LANES;
        let last = n - (VECTORS - 1) * lanes;
        assert!(
            (1..=lanes).contains(&last) && sums.len() >= (ROWS - 1) * depth + n,
            "a tile fits"
        );
        let (x_pixels, dy_pixels) = (x.1, dy.1);
        // SAFETY: `WeightSums::add` has checked that the values of all pixels from `x` and `dy` on lie in their slices; a tile has
        // `ROWS` channels and reads `n` values of a run. The sums' slice is long enough, as asserted.
        unsafe {
            let mut acc = [[simd.splat(0.0); VECTORS]; ROWS];
            for row in 0..x_pixels.height {
                let mut x = x.0.add(x_pixels.origin + row * x_pixels.row_step);
                // The pixels of `dy` have the rows of `x`, or lie in one row.
                let mut dy = dy.0.add(dy_pixels.origin + row * dy_pixels.row_step);
                for _ in 0..x_pixels.width {
                    let mut v = [simd.splat(0.0); VECTORS];
                    for (i, v) in v.iter_mut().enumerate() {
                        let n = if i + 1 == VECTORS { last } else { lanes };
                        *v = simd.load_first(x.add(i * lanes), n);
                    }
                    for (r, acc) in acc.iter_mut().enumerate() {
                        let d = simd.splat(*dy.add(r));
                        for (acc, &v) in acc.iter_mut().zip(&v) {
                            *acc = simd.mul_add(d, v, *acc);
                        }
                    }
                    x = x.wrapping_add(x_pixels.step);
                    dy = dy.wrapping_add(dy_pixels.step);
                }
            }
            for (r, acc) in acc.into_iter().enumerate() {
                for (i, acc) in acc.into_iter().enumerate() {
                    let n = if i + 1 == VECTORS { last } else { lanes };
                    let to = sums.as_mut_ptr().add(r * depth + i * lanes);
                    simd.store_first(to, n, simd.add(simd.load_first(to, n), acc));
                }
            }
        }
    }
}

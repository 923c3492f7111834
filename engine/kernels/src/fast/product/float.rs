//! The product in `f32`.
#![expect(
    unsafe_code,
    reason = "the inner loop reads through pointers; bounds are checked once per call"
)]

use super::{BLOCK, Panel, Pixels, Walk, assert_bounds, panels, tiles, with_rows};
use crate::fast::aligned::Aligned;
use crate::fast::isa::{FloatIsa, Isa};
use crate::fast::simd::{FloatTask, Floats, Task};
use crate::quantized::ClampF32;
use std::hint::black_box;

/// Packed `f32` weights with their bias and clamp.
#[derive(Debug, Clone)]
pub(in crate::fast) struct FloatProduct {
    isa: FloatIsa,
    depth: usize,
    panels: Vec<Panel>,
    /// Per panel `[depth][vectors · lanes]`.
    weights: Aligned<f32>,
    /// One element per lane.
    bias: Aligned<f32>,
    clamp: ClampF32,
}

/// An image that is added to the product before the clamp.
#[derive(Debug, Clone, Copy)]
pub(in crate::fast) struct Residual<'a> {
    pub(in crate::fast) data: &'a [f32],
    pub(in crate::fast) pixels: Pixels,
}

impl FloatProduct {
    /// Packs `weights`, `[groups · out][depth]`; a group sees `input` channels.
    pub(in crate::fast) fn new(
        isa: Isa,
        [groups, out, input]: [usize; 3],
        depth: usize,
        weights: &[f32],
        bias: Option<&[f32]>,
        clamp: ClampF32,
    ) -> Self {
        assert_eq!(weights.len(), groups * out * depth, "number of weights");
        assert!(
            bias.is_none_or(|bias| bias.len() == groups * out),
            "one bias per output channel"
        );
        let isa = FloatIsa::new(isa);
        let lanes = isa.lanes();
        let (panels, slots, len) = panels([groups, out, input], [isa.vectors(), lanes], depth * lanes);
        let mut product = Self {
            isa,
            depth,
            panels,
            weights: Aligned::filled(len, 0.0),
            bias: Aligned::filled(slots, 0.0),
            clamp,
        };
        product.repack(weights, bias);
        product
    }

    /// Takes other weights and another bias of the same sizes, in place.
    pub(in crate::fast) fn repack(&mut self, weights: &[f32], bias: Option<&[f32]>) {
        let (lanes, depth) = (self.isa.lanes(), self.depth);
        for panel in &self.panels {
            let width = panel.vectors * lanes;
            for column in 0..panel.channels {
                let channel = panel.channel + column;
                self.bias[panel.slot + column] = bias.map_or(0.0, |bias| bias[channel]);
                let packed = self.weights[panel.weights + column..].iter_mut().step_by(width);
                for (slot, &weight) in packed.zip(&weights[channel * depth..][..depth]) {
                    *slot = weight;
                }
            }
        }
    }

    /// Computes the pixels `to` of `output` from what `walk` finds at the pixels `from` of `input`.
    pub(in crate::fast) fn run(
        &self,
        walk: Walk,
        (input, from): (&[f32], Pixels),
        (output, to): (&mut [f32], Pixels),
        residual: Option<Residual<'_>>,
    ) {
        assert_eq!(walk.len(), self.depth, "depth of the product");
        assert_bounds(&self.panels, &walk, (from, input.len()), (to, output.len()));
        if let Some(residual) = residual {
            assert_bounds(
                &self.panels,
                &walk,
                (from, input.len()),
                (residual.pixels, residual.data.len()),
            );
        }
        self.isa.run(Sweep {
            product: self,
            walk,
            input,
            from,
            output,
            to,
            residual,
        });
    }
}

/// All tiles of a product.
struct Sweep<'a> {
    product: &'a FloatProduct,
    walk: Walk,
    input: &'a [f32],
    from: Pixels,
    output: &'a mut [f32],
    to: Pixels,
    residual: Option<Residual<'a>>,
}

impl FloatTask for Sweep<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, simd: S) {
        let Self {
            product,
            walk,
            input,
            from,
            output,
            to,
            residual,
        } = self;
        let (mut from_starts, mut to_starts, mut residual_starts) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
        let pixels = to.count();
        let block = walk.block(&from, size_of::<f32>());
        for first in (0..pixels).step_by(block) {
            let count = block.min(pixels - first);
            from.fill(first, &mut from_starts[..count]);
            to.fill(first, &mut to_starts[..count]);
            if let Some(residual) = residual {
                residual.pixels.fill(first, &mut residual_starts[..count]);
            }
            for panel in &product.panels {
                let most = S::FLOAT_ROWS[panel.vectors / 2];
                for rows in tiles(count, most) {
                    let tile = Arguments {
                        product,
                        walk,
                        panel,
                        input: input.as_ptr(),
                        from: &from_starts[rows.clone()],
                        output: output.as_mut_ptr(),
                        to: &to_starts[rows.clone()],
                        residual: residual.map(|residual| (residual.data.as_ptr(), &residual_starts[rows.clone()])),
                    };
                    match panel.vectors {
                        1 => {
                            with_rows!(rows.len(), S::FLOAT_ROWS[0], R => simd.call(Tile::<R, 1>(tile)));
                        }
                        2 => {
                            with_rows!(rows.len(), S::FLOAT_ROWS[1], R => simd.call(Tile::<R, 2>(tile)));
                        }
                        _ => {
                            with_rows!(rows.len(), S::FLOAT_ROWS[2], R => simd.call(Tile::<R, 4>(tile)));
                        }
                    }
                }
            }
        }
    }
}

/// What a tile is computed from. `from`, `to` and the residual's starts have one element per row of the tile: it is made by
/// [`Sweep`] alone.
struct Arguments<'a> {
    product: &'a FloatProduct,
    walk: Walk,
    panel: &'a Panel,
    input: *const f32,
    from: &'a [u32],
    output: *mut f32,
    to: &'a [u32],
    residual: Option<(*const f32, &'a [u32])>,
}

struct Tile<'a, const ROWS: usize, const VECTORS: usize>(Arguments<'a>);

impl<S: Floats, const ROWS: usize, const VECTORS: usize> Task<S> for Tile<'_, ROWS, VECTORS> {
    type Out = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Arguments {
            product,
            walk,
            panel,
            input,
            from,
            output,
            to,
            residual,
        } = self.0;
        let lanes = S::FLOAT_LANES;
        // Copies, which no store through a pointer can be suspected to change.
        let (panel, clamp) = (*panel, product.clamp);
        // SAFETY: the lists of starts have `ROWS` elements. A panel has `VECTORS · lanes` slots and `depth · VECTORS · lanes`
        // weights, and the walk is as long as the depth. `FloatProduct::run` has checked that, and that all indices of
        // activations, outputs and residuals lie in their slices.
        unsafe {
            let bias = product.bias.as_ptr().add(panel.slot);
            let mut acc = [[simd.splat(0.0); VECTORS]; ROWS];
            for v in 0..VECTORS {
                let bias = simd.load(bias.add(v * lanes));
                for row in &mut acc {
                    row[v] = bias;
                }
            }
            let mut weights = product.weights.as_ptr().add(panel.weights);
            let mut starts = [input; ROWS];
            for (r, start) in starts.iter_mut().enumerate() {
                *start = input.add(*from.get_unchecked(r) as usize + panel.input);
            }
            for line in 0..walk.lines {
                for run in 0..walk.runs {
                    // Opaque, or the compiler advances one pointer per row of the tile instead of this one index.
                    let at = black_box(line * walk.line_step + run * walk.run_step);
                    for k in at..at + walk.run_len {
                        let mut w = [simd.splat(0.0); VECTORS];
                        for (v, w) in w.iter_mut().enumerate() {
                            *w = simd.load(weights.add(v * lanes));
                        }
                        weights = weights.add(VECTORS * lanes);
                        for (acc, start) in acc.iter_mut().zip(starts) {
                            let x = simd.splat(*start.add(k));
                            for (acc, w) in acc.iter_mut().zip(w) {
                                *acc = simd.mul_add(x, w, *acc);
                            }
                        }
                    }
                }
            }
            let (low, high) = (simd.splat(clamp.min), simd.splat(clamp.max));
            if let Some((data, starts)) = residual {
                for (r, acc) in acc.iter_mut().enumerate() {
                    let residual = data.add(*starts.get_unchecked(r) as usize + panel.channel);
                    for (v, acc) in acc.iter_mut().enumerate() {
                        let (at, n) = (v * lanes, (panel.channels - v * lanes).min(lanes));
                        *acc = simd.add(*acc, simd.load_first(residual.add(at), n));
                    }
                }
            }
            for (r, acc) in acc.into_iter().enumerate() {
                let to = output.add(*to.get_unchecked(r) as usize + panel.channel);
                for (v, acc) in acc.into_iter().enumerate() {
                    let (at, n) = (v * lanes, (panel.channels - v * lanes).min(lanes));
                    let y = simd.clamp(acc, low, high);
                    // A whole vector costs less than one under a mask.
                    if n == lanes {
                        simd.store(to.add(at), y);
                    } else {
                        simd.store_first(to.add(at), n, y);
                    }
                }
            }
        }
    }
}

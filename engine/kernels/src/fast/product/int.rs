//! The product of bytes, summed in `i32`, and what becomes of the sums.
//!
//! Activations are bytes `a = q + 128`, so that `vpdpbusd` (unsigned times signed) can take them. With the zero point `z`,
//! `Σ (q − z) · w = Σ a · w − (z + 128) · Σ w`; the second term is known when weights are packed and folded into the bias. All sums
//! are modulo 2^32, so the order of folding does not matter.
#![expect(
    unsafe_code,
    reason = "the inner loop reads through pointers; bounds are checked once per call"
)]

use super::{BLOCK, Panel, Pixels, Walk, assert_bounds, panels, tiles, with_rows};
use crate::fast::aligned::Aligned;
use crate::fast::hybrid::Scaler;
use crate::fast::isa::{IntIsa, Isa};
use crate::fast::requantize::Requantizer;
use crate::fast::simd::{IntTask, Ints, Task, quad_channel};
use std::hint::black_box;

/// Packed `i8` weights, and per lane the sum that a product starts from.
#[derive(Debug, Clone)]
pub(in crate::fast) struct PackedInts {
    isa: IntIsa,
    order: Order,
    segments: usize,
    run_len: usize,
    panels: Vec<Panel>,
    /// Per panel `[segments][run_len / 4, rounded up][vectors][INT_LANES · 4]`, as the instruction set wants them.
    weights: Aligned<i8>,
    /// Bias with the zero point folded in, one element per lane.
    bias: Aligned<i32>,
    /// The output channel of each lane.
    channels: Vec<Option<usize>>,
}

/// Which channels the lanes of four vectors hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fast) enum Order {
    /// Those of a quad, for outputs that are bytes.
    Quads,
    /// One after the other.
    Straight,
}

/// Where the sums go, and how they become outputs.
#[derive(Debug)]
pub(in crate::fast) enum Output<'a> {
    /// Requantized to bytes.
    Bytes(&'a Requantizer, &'a mut [u8]),
    /// Scaled to real numbers.
    Reals(&'a Scaler<'a>, &'a mut [f32]),
    /// As they are.
    Sums(&'a mut [i32]),
}

/// [`Output`] without its length, for the tiles of one call.
#[derive(Clone, Copy)]
enum Sink<'a> {
    Bytes(&'a Requantizer, *mut u8),
    Reals(&'a Scaler<'a>, *mut f32),
    Sums(*mut i32),
}

impl Output<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(_, output) => output.len(),
            Self::Reals(_, output) => output.len(),
            Self::Sums(output) => output.len(),
        }
    }
}

impl PackedInts {
    /// Packs `weights`, `[groups · out][segments][run_len]`; a group sees `input` channels. `zero` is the byte that means zero. Bytes
    /// are put out from lanes in quads, anything else from straight ones.
    pub(in crate::fast) fn new(
        isa: Isa,
        order: Order,
        [groups, out, input]: [usize; 3],
        [segments, run_len]: [usize; 2],
        weights: &[i8],
        bias: Option<&[i32]>,
        zero: i32,
    ) -> Self {
        assert_eq!(weights.len(), groups * out * segments * run_len, "number of weights");
        assert!(
            bias.is_none_or(|bias| bias.len() == groups * out),
            "one bias per output channel"
        );
        let isa = IntIsa::new(isa);
        isa.run(Pack {
            isa,
            order,
            groups,
            out,
            input,
            segments,
            run_len,
            weights,
            bias,
            zero,
        })
    }

    /// Computes the pixels `to` of `output` from what `walk` finds at the pixels `from` of `input`.
    pub(in crate::fast) fn run(&self, walk: Walk, (input, from): (&[u8], Pixels), (output, to): (Output<'_>, Pixels)) {
        assert_eq!(walk.segments(), [self.segments, self.run_len], "runs of the product");
        assert_bounds(&self.panels, &walk, (from, input.len()), (to, output.len()));
        let order = match &output {
            Output::Bytes(..) => Order::Quads,
            Output::Reals(..) | Output::Sums(_) => Order::Straight,
        };
        assert_eq!(self.order, order, "order of the lanes");
        let sink = match output {
            Output::Bytes(requantizer, output) => {
                assert_eq!(requantizer.lanes(), self.bias.len(), "lanes of the requantizer");
                Sink::Bytes(requantizer, output.as_mut_ptr())
            }
            Output::Reals(scaler, output) => {
                assert_eq!(scaler.lanes(), self.bias.len(), "lanes of the scaler");
                Sink::Reals(scaler, output.as_mut_ptr())
            }
            Output::Sums(output) => Sink::Sums(output.as_mut_ptr()),
        };
        self.isa.run(Sweep {
            packed: self,
            walk,
            input,
            from,
            sink,
            to,
        });
    }

    /// The output channel of each lane; `None` for those that pad a panel.
    pub(in crate::fast) fn channels(&self) -> &[Option<usize>] {
        &self.channels
    }
}

struct Pack<'a> {
    isa: IntIsa,
    order: Order,
    groups: usize,
    out: usize,
    input: usize,
    segments: usize,
    run_len: usize,
    weights: &'a [i8],
    bias: Option<&'a [i32]>,
    zero: i32,
}

impl IntTask for Pack<'_> {
    type Out = PackedInts;

    #[inline(always)]
    fn run<S: Ints>(self, simd: S) -> PackedInts {
        let Self {
            isa,
            order,
            groups,
            out,
            input,
            segments,
            run_len,
            weights,
            bias,
            zero,
        } = self;
        let fours = run_len.div_ceil(4);
        let (panels, slots, len) = panels(
            [groups, out, input],
            [4, S::INT_LANES],
            segments * fours * S::WEIGHT_BYTES,
        );
        let mut packed = Aligned::filled(len, 0);
        let mut lane_bias = Aligned::filled(slots, 0);
        let mut channels = vec![None; slots];
        for panel in &panels {
            for (v, lane) in (0..panel.vectors).flat_map(|v| (0..S::INT_LANES).map(move |lane| (v, lane))) {
                let column = match order {
                    Order::Quads => quad_channel(panel.vectors, S::INT_LANES, v, lane),
                    Order::Straight => S::INT_LANES * v + lane,
                };
                if column >= panel.channels {
                    continue;
                }
                let (channel, slot) = (panel.channel + column, panel.slot + v * S::INT_LANES + lane);
                let row = &weights[channel * segments * run_len..][..segments * run_len];
                let sum = row.iter().fold(0_i32, |sum, &w| sum.wrapping_add(i32::from(w)));
                lane_bias[slot] = bias
                    .map_or(0, |bias| bias[channel])
                    .wrapping_sub(zero.wrapping_mul(sum));
                channels[slot] = Some(channel);
                for (segment, run) in row.chunks_exact(run_len).enumerate() {
                    for (k, four) in run.chunks(4).enumerate() {
                        let at = panel.weights + ((segment * fours + k) * panel.vectors + v) * S::WEIGHT_BYTES;
                        let mut padded = [0; 4];
                        padded[..four.len()].copy_from_slice(four);
                        simd.pack_weights(&mut packed[at..at + S::WEIGHT_BYTES], lane, padded);
                    }
                }
            }
        }
        PackedInts {
            isa,
            order,
            segments,
            run_len,
            panels,
            weights: packed,
            bias: lane_bias,
            channels,
        }
    }
}

/// All tiles of a product.
struct Sweep<'a> {
    packed: &'a PackedInts,
    walk: Walk,
    input: &'a [u8],
    from: Pixels,
    sink: Sink<'a>,
    to: Pixels,
}

impl IntTask for Sweep<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Ints>(self, simd: S) {
        let Self {
            packed,
            walk,
            input,
            from,
            sink,
            to,
        } = self;
        let (mut from_starts, mut to_starts) = ([0; BLOCK], [0; BLOCK]);
        let pixels = to.count();
        let block = walk.block(&from, size_of::<u8>());
        for first in (0..pixels).step_by(block) {
            let count = block.min(pixels - first);
            from.fill(first, &mut from_starts[..count]);
            to.fill(first, &mut to_starts[..count]);
            for panel in &packed.panels {
                let most = S::INT_ROWS[panel.vectors / 2];
                for rows in tiles(count, most) {
                    let tile = Arguments {
                        packed,
                        walk,
                        panel,
                        input: input.as_ptr(),
                        from: &from_starts[rows.clone()],
                        sink,
                        to: &to_starts[rows.clone()],
                    };
                    match panel.vectors {
                        1 => {
                            with_rows!(rows.len(), S::INT_ROWS[0], R => simd.call(Tile::<R, 1>(tile)));
                        }
                        2 => {
                            with_rows!(rows.len(), S::INT_ROWS[1], R => simd.call(Tile::<R, 2>(tile)));
                        }
                        _ => {
                            with_rows!(rows.len(), S::INT_ROWS[2], R => simd.call(Tile::<R, 4>(tile)));
                        }
                    }
                }
            }
        }
    }
}

/// What a tile is computed from. `from` and `to` have one element per row of the tile: it is made by [`Sweep`] alone.
#[derive(Clone, Copy)]
struct Arguments<'a> {
    packed: &'a PackedInts,
    walk: Walk,
    panel: &'a Panel,
    input: *const u8,
    from: &'a [u32],
    sink: Sink<'a>,
    to: &'a [u32],
}

struct Tile<'a, const ROWS: usize, const VECTORS: usize>(Arguments<'a>);

impl<S: Ints, const ROWS: usize, const VECTORS: usize> Task<S> for Tile<'_, ROWS, VECTORS> {
    type Out = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Arguments {
            packed,
            walk,
            panel,
            input,
            from,
            sink,
            to,
        } = self.0;
        // SAFETY: `from` has `ROWS` elements. A panel has `VECTORS · INT_LANES` slots and as many groups of weights as the walk
        // has steps: `PackedInts::run` has checked that, and that the indices of activations and outputs lie in their slices.
        // Activations are read within the runs only.
        unsafe {
            let bias = packed.bias.as_ptr().add(panel.slot);
            let mut acc = [[simd.splat_int(0); VECTORS]; ROWS];
            for v in 0..VECTORS {
                let bias = simd.load_int(bias.add(v * S::INT_LANES));
                for row in &mut acc {
                    row[v] = bias;
                }
            }
            let mut weights = packed.weights.as_ptr().add(panel.weights);
            let mut starts = [input; ROWS];
            for (r, start) in starts.iter_mut().enumerate() {
                *start = input.add(*from.get_unchecked(r) as usize + panel.input);
            }
            let (fours, rest) = (walk.run_len / 4, walk.run_len % 4);
            for line in 0..walk.lines {
                for run in 0..walk.runs {
                    // Opaque, or the compiler advances one pointer per row of the tile instead of this one index.
                    let at = black_box(line * walk.line_step + run * walk.run_step);
                    for k in 0..fours {
                        let mut x = [0; ROWS];
                        for (x, start) in x.iter_mut().zip(starts) {
                            *x = start.add(at + 4 * k).cast::<u32>().read_unaligned();
                        }
                        accumulate(simd, &mut acc, x, weights);
                        weights = weights.add(VECTORS * S::WEIGHT_BYTES);
                    }
                    if rest != 0 {
                        let mut x = [0; ROWS];
                        for (x, start) in x.iter_mut().zip(starts) {
                            *x = last_bytes(start.add(at), walk.run_len);
                        }
                        accumulate(simd, &mut acc, x, weights);
                        weights = weights.add(VECTORS * S::WEIGHT_BYTES);
                    }
                }
            }
            // A copy, because sums whose address is taken would live in memory all along.
            let sums = acc;
            // Functions of their own, not inlined: with them inside, the compiler runs out of registers for the sums and moves
            // them to memory in every step of the inner loop.
            match sink {
                Sink::Bytes(requantizer, output) => requantizer.finish(simd, panel, &sums, output, to),
                Sink::Reals(scaler, output) => scaler.finish(simd, panel, &sums, output, to),
                Sink::Sums(output) => simd.call(StoreTile {
                    panel,
                    acc: &sums,
                    output,
                    to,
                }),
            }
        }
    }
}

/// The sums of a tile, stored as they are: row `r` at `to[r] + panel.channel`, where [`Tile`] has checked that they fit.
struct StoreTile<'a, V, const VECTORS: usize> {
    panel: &'a Panel,
    acc: &'a [[V; VECTORS]],
    output: *mut i32,
    to: &'a [u32],
}

impl<S: Ints, const VECTORS: usize> Task<S> for StoreTile<'_, S::V, VECTORS> {
    type Out = ();

    #[inline(always)]
    fn run(self, simd: S) {
        for (acc, &to) in self.acc.iter().zip(self.to) {
            for (v, &acc) in acc.iter().enumerate() {
                let n = (self.panel.channels - v * S::INT_LANES).min(S::INT_LANES);
                // SAFETY: the panel's channels are writable; no vector has more than 16 lanes.
                unsafe {
                    let to = self.output.add(to as usize + self.panel.channel + v * S::INT_LANES);
                    if n == S::INT_LANES {
                        simd.store_int(to, acc);
                    } else {
                        let mut sums = [0_i32; 16];
                        simd.store_int(sums.as_mut_ptr(), acc);
                        to.copy_from_nonoverlapping(sums.as_ptr(), n);
                    }
                }
            }
        }
    }
}

/// One step of the inner loop: four activations per row times four weights per lane.
///
/// # Safety
/// `VECTORS · WEIGHT_BYTES` bytes at `weights` are readable.
#[inline(always)]
unsafe fn accumulate<S: Ints, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    acc: &mut [[S::V; VECTORS]; ROWS],
    x: [u32; ROWS],
    weights: *const i8,
) {
    // SAFETY: the caller's promise.
    let load = |v: usize| unsafe { simd.load_weights(weights.add(v * S::WEIGHT_BYTES)) };
    // The fewer of the two stay in registers beside the sums.
    if VECTORS > ROWS {
        let x = x.map(|x| simd.broadcast(x));
        for v in 0..VECTORS {
            let w = load(v);
            for (acc, x) in acc.iter_mut().zip(x) {
                acc[v] = simd.dot(acc[v], x, w);
            }
        }
    } else {
        let w: [S::W; VECTORS] = std::array::from_fn(load);
        for (acc, x) in acc.iter_mut().zip(x) {
            let x = simd.broadcast(x);
            for (acc, w) in acc.iter_mut().zip(w) {
                *acc = simd.dot(*acc, x, w);
            }
        }
    }
}

/// The last `len % 4` bytes of a run of `len`, followed by zeros, without a look beyond its end.
///
/// # Safety
/// `len` bytes at `run` are readable; `len` is no multiple of 4.
#[inline(always)]
unsafe fn last_bytes(run: *const u8, len: usize) -> u32 {
    let rest = len % 4;
    // SAFETY: all reads end at `run + len`.
    unsafe {
        if len > 4 {
            run.add(len - 4).cast::<u32>().read_unaligned() >> (8 * (4 - rest))
        } else {
            (0..rest).fold(0, |four, i| four | u32::from(run.add(i).read()) << (8 * i))
        }
    }
}

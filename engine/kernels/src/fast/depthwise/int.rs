//! The depthwise convolution of bytes.
//!
//! Two or four taps at a time: as many vectors of activations are interleaved so that every 32-bit lane has the taps of its channel,
//! and one multiplication does those of all lanes. Where it does four, kernels of up to four rows are walked by columns, so that the
//! next output to the right, one pixel further, finds all but one of its columns already interleaved; pairs are as fast without.
#![expect(
    unsafe_code,
    reason = "the inner loop reads through pointers; bounds are checked once per call"
)]

use super::{Geometry, Rows, Strip, channels_first, grouped};
use crate::fast::aligned::Aligned;
use crate::fast::conv::IntConv;
use crate::fast::isa::{IntIsa, Isa};
use crate::fast::plane::{Plane, View, ViewMut};
use crate::fast::requantize::{BIAS, ByMode, Requantizer};
use crate::fast::simd::{ByteRange, IntTask, Ints, Mode, Task, quad_channel};
use crate::quantized::LinearParams;
use crate::shape::DepthwiseConv2dShape;
use std::ops::Range;

/// Multiplications whose taps' positions are kept at hand: enough for 7×7.
const AT_HAND: usize = 25;

/// Most taps that one multiplication does.
const GROUP: usize = 4;

/// An integer depthwise convolution: packed `i8` weights `1HWC`, bias, and requantization as
/// [`depthwise_conv2d_i8`](crate::reference::depthwise_conv2d_i8) defines it. Activations are bytes `q + 128`.
#[derive(Debug, Clone)]
pub struct IntDepthwise(Form);

#[derive(Debug, Clone)]
enum Form {
    Lanes(Box<Lanes>),
    Groups(Box<IntConv>),
}

#[derive(Debug, Clone)]
struct Lanes {
    isa: IntIsa,
    geometry: Geometry,
    /// The taps of each multiplication, as indices into `[k_h, k_w]`; missing ones repeat the first, with weight 0. Pairs are the first
    /// two of a group.
    groups: Vec<[(usize, usize); GROUP]>,
    /// `[blocks][groups][4]` times the packed weights of a vector.
    weights: Aligned<i8>,
    /// Bias with the zero point folded in, `[blocks][4][lanes]`.
    bias: Aligned<i32>,
    requantizer: Requantizer,
}

impl IntDepthwise {
    /// Packs the weights, `[1, k_h, k_w, out_c]`, for `isa`, which must be available. `shape.batch` is 1.
    pub fn new(
        isa: Isa,
        shape: &DepthwiseConv2dShape,
        params: &LinearParams,
        weights: &[i8],
        bias: Option<&[i32]>,
    ) -> Self {
        assert_eq!(weights.len(), shape.weights_len(), "number of weights");
        assert!(
            bias.is_none_or(|bias| bias.len() == shape.out_c()),
            "one bias per output channel"
        );
        if shape.multiplier != 1 {
            let weights = channels_first(shape, weights);
            return Self(Form::Groups(Box::new(IntConv::new(
                isa,
                &grouped(shape),
                params,
                &weights,
                bias,
            ))));
        }
        let isa = IntIsa::new(isa);
        Self(Form::Lanes(Box::new(isa.run(Pack {
            isa,
            shape,
            params,
            weights,
            bias,
        }))))
    }

    /// Rows `outputs` of the output, from a band of the input's rows that begins with the first of what they see, and has the
    /// borders to the left and to the right. A channel multiplier above 1 makes it another kernel.
    pub(in crate::fast) fn run_band(&self, outputs: &Range<usize>, band: View<'_, u8>, output: &mut ViewMut<'_, u8>) {
        let Form::Lanes(lanes) = &self.0 else {
            panic!("a convolution in groups has no bands");
        };
        let rows = lanes.geometry.band(outputs, band.plane(), output.plane());
        lanes.isa.run(Sweep {
            lanes,
            rows,
            input: band,
            output: output.data(),
        });
    }

    /// Convolves `input`, whose border is filled with the input's zero point (as a byte: + 128) and is at least
    /// [`Border::of_depthwise`](crate::fast::Border::of_depthwise).
    pub fn run(&self, input: View<'_, u8>, mut output: ViewMut<'_, u8>) {
        match &self.0 {
            Form::Groups(conv) => conv.run(input, output),
            Form::Lanes(lanes) => {
                let rows = lanes.geometry.rows(input.plane(), output.plane());
                lanes.isa.run(Sweep {
                    lanes,
                    rows,
                    input,
                    output: output.data(),
                });
            }
        }
    }
}

/// The taps, `size` at a time: columns of the kernel where these are no longer than four.
fn groups(size: usize, k_h: usize, k_w: usize) -> Vec<[(usize, usize); GROUP]> {
    let group = |taps: &[(usize, usize)]| std::array::from_fn(|i| taps.get(i).copied().unwrap_or(taps[0]));
    if by_columns(size, k_h) {
        (0..k_w)
            .map(|kx| group(&(0..k_h).map(|ky| (ky, kx)).collect::<Vec<_>>()))
            .collect()
    } else {
        let taps: Vec<(usize, usize)> = (0..k_h).flat_map(|ky| (0..k_w).map(move |kx| (ky, kx))).collect();
        taps.chunks(size).map(group).collect()
    }
}

/// Whether the groups of `size` taps of a kernel of so many rows are its columns.
fn by_columns(size: usize, k_h: usize) -> bool {
    size == GROUP && k_h <= GROUP
}

struct Pack<'a> {
    isa: IntIsa,
    shape: &'a DepthwiseConv2dShape,
    params: &'a LinearParams,
    weights: &'a [i8],
    bias: Option<&'a [i32]>,
}

impl IntTask for Pack<'_> {
    type Out = Lanes;

    #[inline(always)]
    fn run<S: Ints>(self, simd: S) -> Lanes {
        let Self {
            isa,
            shape,
            params,
            weights,
            bias,
        } = self;
        let geometry = Geometry::new(shape, 4 * S::INT_LANES);
        let (groups, blocks, zero) = (
            groups(S::TAPS, shape.k_h, shape.k_w),
            geometry.blocks(),
            params.input_zero_point + BIAS,
        );
        let mut packed = Aligned::filled(blocks * groups.len() * 4 * S::TAP_WEIGHT_BYTES, 0);
        let mut lane_bias = Aligned::filled(blocks * 4 * S::INT_LANES, 0);
        let mut channels = vec![None; lane_bias.len()];
        let weight = |(ky, kx): (usize, usize), channel: usize| weights[(ky * shape.k_w + kx) * shape.in_c + channel];
        for slot in 0..lane_bias.len() {
            let (block, v, lane) = (slot / S::INT_LANES / 4, slot / S::INT_LANES % 4, slot % S::INT_LANES);
            let Some(channel) = geometry.channel(block, quad_channel(4, S::INT_LANES, v, lane)) else {
                continue;
            };
            let sum = geometry
                .taps()
                .fold(0, |sum, tap| sum + i32::from(weight(tap, channel)));
            lane_bias[slot] = bias
                .map_or(0, |bias| bias[channel])
                .wrapping_sub(zero.wrapping_mul(sum));
            channels[slot] = Some(channel);
            for (g, taps) in groups.iter().enumerate() {
                let mut four = [0; GROUP];
                for (i, &tap) in taps.iter().enumerate().filter(|&(i, tap)| i == 0 || *tap != taps[0]) {
                    four[i] = weight(tap, channel);
                }
                let at = ((block * groups.len() + g) * 4 + v) * S::TAP_WEIGHT_BYTES;
                simd.pack_taps(&mut packed[at..at + S::TAP_WEIGHT_BYTES], lane, four);
            }
        }
        let requantizer = Requantizer::new(isa, params, &channels);
        Lanes {
            isa,
            geometry,
            groups,
            weights: packed,
            bias: lane_bias,
            requantizer,
        }
    }
}

/// All rows of a layer.
struct Sweep<'a> {
    lanes: &'a Lanes,
    rows: Rows,
    input: View<'a, u8>,
    output: &'a mut [u8],
}

impl IntTask for Sweep<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Ints>(self, simd: S) {
        self.lanes.requantizer.dispatch(InMode { sweep: self, simd });
    }
}

struct InMode<'a, S> {
    sweep: Sweep<'a>,
    simd: S,
}

impl<S: Ints> ByMode for InMode<'_, S> {
    #[inline(always)]
    fn run<const MODE: Mode>(self) {
        self.simd.call(SweepMode::<MODE>(self.sweep));
    }
}

/// [`Sweep`] in one mode of requantization.
struct SweepMode<'a, const MODE: Mode>(Sweep<'a>);

impl<S: Ints, const MODE: Mode> Task<S> for SweepMode<'_, MODE> {
    type Out = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Sweep {
            lanes,
            rows,
            input,
            output,
        } = self.0;
        let geometry = &lanes.geometry;
        for block in 0..geometry.blocks() {
            let slot = block * 4 * S::INT_LANES;
            // SAFETY: `Geometry::rows` has checked that all taps of all outputs lie in the input's buffer, and the output is as
            // long as its plane; a strip does not leave its row. Packed arrays have four vectors per block (and group).
            unsafe {
                let mut row = Row::<S> {
                    lanes,
                    offsets: offsets(lanes, input.plane()),
                    input: input.plane(),
                    range: lanes.requantizer.range(),
                    from: input.data().as_ptr(),
                    to: output.as_mut_ptr(),
                    weights: lanes
                        .weights
                        .as_ptr()
                        .add(block * lanes.groups.len() * 4 * S::TAP_WEIGHT_BYTES),
                    slot,
                    factors: lanes.requantizer.factors::<S, 4>(simd, slot),
                    strip: geometry.strip(block),
                    whole: false,
                };
                let channel = if geometry.flat { 0 } else { block * geometry.width };
                let (from, to) = (row.from.add(rows.from + channel), row.to.add(rows.to + channel));
                let by_columns = !geometry.flat
                    && by_columns(S::TAPS, geometry.window.kernel[0])
                    && geometry.window.kernel[1] == 3
                    && geometry.window.dilation[1] == 1;
                let stride = if by_columns { geometry.window.stride[1] } else { 0 };
                // From the first tap of a row to behind the last vector, if all are whole.
                let reach = geometry.reach(input.plane())
                    + (row.strip.count.max(1) - 1) * row.strip.from_step
                    + 4 * S::INT_LANES;
                for y in 0..rows.count {
                    row.from = from.add(y * rows.from_step);
                    row.to = to.add(y * rows.to_step);
                    row.whole = rows.from + channel + y * rows.from_step + reach <= input.data().len();
                    match stride {
                        1 => row.run_columns::<MODE, 1>(simd),
                        2 => row.run_columns::<MODE, 2>(simd),
                        _ => row.run_taps::<MODE>(simd),
                    }
                }
            }
        }
    }
}

/// A row of outputs of one block.
struct Row<'a, S: Ints> {
    lanes: &'a Lanes,
    input: &'a Plane,
    /// Elements from the first tap to those of the first groups.
    offsets: [[usize; GROUP]; AT_HAND],
    range: ByteRange,
    from: *const u8,
    to: *mut u8,
    weights: *const i8,
    slot: usize,
    factors: [S::Rescale; 4],
    strip: Strip,
    /// Whether whole vectors can be read wherever the first elements of one are.
    whole: bool,
}

impl<S: Ints> Row<'_, S> {
    /// The activations under the taps of group `group`, interleaved.
    ///
    /// # Safety
    /// `n` bytes under each tap are readable, or a vector of them if `whole` says so.
    #[inline(always)]
    unsafe fn load(&self, simd: S, from: *const u8, group: usize, n: usize) -> [S::Taps; 4] {
        let n = if self.whole { 4 * S::INT_LANES } else { n };
        let offsets = match self.offsets.get(group) {
            Some(&offsets) => offsets,
            None => self.lanes.groups[group].map(|tap| self.lanes.geometry.offset(self.input, tap)),
        };
        // SAFETY: the caller's promise.
        unsafe {
            let mut rows = [from; GROUP];
            for (row, offset) in rows.iter_mut().zip(offsets) {
                *row = from.add(offset);
            }
            simd.interleave(rows, n)
        }
    }

    /// What the sums start from.
    #[inline(always)]
    fn start(&self, simd: S) -> [S::V; 4] {
        let mut acc = [simd.splat_int(0); 4];
        for (v, acc) in acc.iter_mut().enumerate() {
            // SAFETY: a block has four vectors of lanes.
            *acc = unsafe { simd.load_int(self.lanes.bias.as_ptr().add(self.slot + v * S::INT_LANES)) };
        }
        acc
    }

    /// Adds the products of group `group`.
    #[inline(always)]
    fn add(&self, simd: S, acc: &mut [S::V; 4], x: [S::Taps; 4], group: usize) {
        for (v, (acc, x)) in acc.iter_mut().zip(x).enumerate() {
            // SAFETY: a block has four vectors of weights per group.
            *acc = unsafe { simd.add_taps(*acc, x, self.weights.add((group * 4 + v) * S::TAP_WEIGHT_BYTES)) };
        }
    }

    /// Computes the row, every output on its own.
    ///
    /// # Safety
    /// All elements that the strip and the kernel's taps reach are in the buffers of `from` and `to`.
    #[inline(always)]
    unsafe fn run_taps<const MODE: Mode>(&self, simd: S) {
        let Strip {
            count,
            from_step,
            to_step,
            n,
            last,
        } = self.strip;
        let groups = self.lanes.groups.len();
        for i in 0..count {
            let n = if i + 1 == count { last } else { n };
            // SAFETY: the caller's promise.
            unsafe {
                let from = self.from.add(i * from_step);
                let mut acc = self.start(simd);
                for group in 0..groups {
                    self.add(simd, &mut acc, self.load(simd, from, group, n), group);
                }
                let to = self.to.add(i * to_step);
                self.lanes
                    .requantizer
                    .store::<S, MODE, 4>(simd, acc, &self.factors, self.slot, to, n, self.range);
            }
        }
    }

    /// Computes the row for kernels of three columns that move by `STRIDE`, 1 or 2: the columns that the next output sees, too,
    /// stay.
    ///
    /// # Safety
    /// As for [`Row::run_taps`].
    #[inline(always)]
    unsafe fn run_columns<const MODE: Mode, const STRIDE: usize>(&self, simd: S) {
        let Strip {
            count,
            from_step,
            to_step,
            n,
            ..
        } = self.strip;
        let column = from_step / STRIDE;
        // SAFETY: the caller's promise. All groups have the same rows; the column is in the pointer.
        unsafe {
            let mut a = self.load(simd, self.from, 0, n);
            let mut b = self.load(simd, self.from.add(column), 0, n);
            for i in 0..count {
                let from = self.from.add(i * from_step);
                if STRIDE == 2 {
                    b = self.load(simd, from.add(column), 0, n);
                }
                let c = self.load(simd, from.add(2 * column), 0, n);
                let mut acc = self.start(simd);
                self.add(simd, &mut acc, a, 0);
                self.add(simd, &mut acc, b, 1);
                self.add(simd, &mut acc, c, 2);
                let to = self.to.add(i * to_step);
                self.lanes
                    .requantizer
                    .store::<S, MODE, 4>(simd, acc, &self.factors, self.slot, to, n, self.range);
                (a, b) = if STRIDE == 2 { (c, b) } else { (b, c) };
            }
        }
    }
}

/// Elements from the first tap to those of the first groups.
fn offsets(lanes: &Lanes, input: &Plane) -> [[usize; GROUP]; AT_HAND] {
    let mut offsets = [[0; GROUP]; AT_HAND];
    for (offsets, group) in offsets.iter_mut().zip(&lanes.groups) {
        *offsets = group.map(|tap| lanes.geometry.offset(input, tap));
    }
    offsets
}

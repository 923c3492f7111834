//! The depthwise convolution in `f32`.
#![expect(
    unsafe_code,
    reason = "the inner loop reads through pointers; bounds are checked once per call"
)]

use super::{Geometry, Rows, Strip, channels_first, grouped};
use crate::fast::aligned::Aligned;
use crate::fast::conv::FloatConv;
use crate::fast::isa::{FloatIsa, Isa};
use crate::fast::plane::{View, ViewMut};
use crate::fast::simd::{FloatTask, Floats};
use crate::quantized::ClampF32;
use crate::shape::DepthwiseConv2dShape;
use std::ops::Range;

/// Vectors of outputs computed at a time.
const TILE: usize = 4;

/// A float depthwise convolution: packed weights `1HWC`, bias and clamp.
#[derive(Debug, Clone)]
pub struct FloatDepthwise(Form);

#[derive(Debug, Clone)]
enum Form {
    Lanes(Lanes),
    Groups(FloatConv),
}

#[derive(Debug, Clone)]
struct Lanes {
    isa: FloatIsa,
    geometry: Geometry,
    /// `[blocks][taps][lanes]`.
    weights: Aligned<f32>,
    /// `[blocks][lanes]`.
    bias: Aligned<f32>,
    clamp: ClampF32,
}

impl Lanes {
    fn repack(&mut self, weights: &[f32], bias: Option<&[f32]>) {
        let Self {
            isa,
            geometry,
            weights: packed,
            bias: lane_bias,
            ..
        } = self;
        let (lanes, shape) = (isa.lanes(), geometry.shape);
        let taps = shape.k_h * shape.k_w;
        for (block, i) in (0..geometry.blocks()).flat_map(|block| (0..lanes).map(move |i| (block, i))) {
            if let Some(channel) = geometry.channel(block, i) {
                lane_bias[block * lanes + i] = bias.map_or(0.0, |bias| bias[channel]);
                for tap in 0..taps {
                    packed[(block * taps + tap) * lanes + i] = weights[tap * shape.in_c + channel];
                }
            }
        }
    }
}

impl FloatDepthwise {
    /// Packs the weights, `[1, k_h, k_w, out_c]`, for `isa`, which must be available. `shape.batch` is 1.
    pub fn new(isa: Isa, shape: &DepthwiseConv2dShape, weights: &[f32], bias: Option<&[f32]>, clamp: ClampF32) -> Self {
        assert_eq!(weights.len(), shape.weights_len(), "number of weights");
        assert!(
            bias.is_none_or(|bias| bias.len() == shape.out_c()),
            "one bias per output channel"
        );
        if shape.multiplier != 1 {
            let weights = channels_first(shape, weights);
            return Self(Form::Groups(FloatConv::new(
                isa,
                &grouped(shape),
                &weights,
                bias,
                clamp,
            )));
        }
        let isa = FloatIsa::new(isa);
        let lanes = isa.lanes();
        let geometry = Geometry::new(shape, lanes);
        let mut lanes = Lanes {
            weights: Aligned::filled(geometry.blocks() * shape.k_h * shape.k_w * lanes, 0.0),
            bias: Aligned::filled(geometry.blocks() * lanes, 0.0),
            isa,
            geometry,
            clamp,
        };
        lanes.repack(weights, bias);
        Self(Form::Lanes(lanes))
    }

    /// Takes other weights and another bias of the same sizes, in place; a channel multiplier above 1 needs a buffer.
    pub fn repack(&mut self, shape: &DepthwiseConv2dShape, weights: &[f32], bias: Option<&[f32]>) {
        match &mut self.0 {
            Form::Groups(conv) => conv.repack(&channels_first(shape, weights), bias),
            Form::Lanes(lanes) => lanes.repack(weights, bias),
        }
    }

    /// Rows `outputs` of the output, from a band of the input's rows that begins with the first of what they see, and has the
    /// borders to the left and to the right. A channel multiplier above 1 makes it another kernel.
    pub(in crate::fast) fn run_band(&self, outputs: &Range<usize>, band: View<'_, f32>, output: &mut ViewMut<'_, f32>) {
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

    /// Convolves `input`, whose border is filled with `0.0` and is at least
    /// [`Border::of_depthwise`](crate::fast::Border::of_depthwise).
    pub fn run(&self, input: View<'_, f32>, mut output: ViewMut<'_, f32>) {
        match &self.0 {
            Form::Groups(conv) => conv.run(input, output, None),
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

/// All rows of a layer.
struct Sweep<'a> {
    lanes: &'a Lanes,
    rows: Rows,
    input: View<'a, f32>,
    output: &'a mut [f32],
}

impl FloatTask for Sweep<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, simd: S) {
        let Self {
            lanes,
            rows,
            input,
            output,
        } = self;
        let geometry = &lanes.geometry;
        let taps = geometry.window.kernel[0] * geometry.window.kernel[1];
        for y in 0..rows.count {
            for block in 0..geometry.blocks() {
                let strip = geometry.strip(block);
                // SAFETY: `Geometry::rows` has checked that all taps of all outputs lie in the input's buffer, and the output is as
                // long as its plane; a strip does not leave its row. Packed arrays have a vector per block (and tap).
                unsafe {
                    let channel = if geometry.flat { 0 } else { block * geometry.width };
                    let row = Row {
                        down: geometry.window.dilation[0] * input.plane().row_stride(),
                        right: geometry.window.dilation[1] * input.plane().channels,
                        kernel: geometry.window.kernel,
                        low: simd.splat(lanes.clamp.min),
                        high: simd.splat(lanes.clamp.max),
                        from: input.data().as_ptr().add(rows.from + y * rows.from_step + channel),
                        to: output.as_mut_ptr().add(rows.to + y * rows.to_step + channel),
                        weights: lanes.weights.as_ptr().add(block * taps * S::FLOAT_LANES),
                        bias: simd.load(lanes.bias.as_ptr().add(block * S::FLOAT_LANES)),
                        strip,
                    };
                    let adjacent = !geometry.flat && geometry.window.dilation[1] == 1;
                    match (adjacent, geometry.window.kernel[1], geometry.window.stride[1]) {
                        (true, 3, 1) => row.run::<S, 3, 1>(simd),
                        (true, 3, 2) => row.run::<S, 3, 2>(simd),
                        (true, 5, 1) => row.run::<S, 5, 1>(simd),
                        (true, 5, 2) => row.run::<S, 5, 2>(simd),
                        _ => row.run::<S, ANY, 1>(simd),
                    }
                }
            }
        }
    }
}

/// The width of a kernel that no code is specialized for.
const ANY: usize = 0;

/// A row of outputs of one block.
struct Row<V> {
    /// Elements from a tap to the one below and to the one on its right.
    down: usize,
    right: usize,
    kernel: [usize; 2],
    from: *const f32,
    to: *mut f32,
    weights: *const f32,
    bias: V,
    low: V,
    high: V,
    strip: Strip,
}

impl<V: Copy> Row<V> {
    /// Computes the row, for kernels `K_W` wide (or [`ANY`]) that move by `STRIDE` pixels.
    ///
    /// # Safety
    /// All elements that the strip and the kernel's taps reach are in the buffers of `from` and `to`.
    #[inline(always)]
    unsafe fn run<S: Floats<V = V>, const K_W: usize, const STRIDE: usize>(&self, simd: S) {
        let Strip { count, n, last, .. } = self.strip;
        let whole = if last == n { count } else { count - 1 };
        // SAFETY: the caller's promise.
        unsafe {
            let mut at = 0;
            while at + TILE <= whole {
                self.tile::<S, K_W, STRIDE, TILE>(simd, at, n);
                at += TILE;
            }
            while at < whole {
                self.tile::<S, K_W, STRIDE, 1>(simd, at, n);
                at += 1;
            }
            if at < count {
                self.tile::<S, K_W, STRIDE, 1>(simd, at, last);
            }
        }
    }

    /// Computes `COUNT` vectors of `n` elements, from the one at `at` on.
    ///
    /// # Safety
    /// As for [`Row::run`].
    #[inline(always)]
    unsafe fn tile<S: Floats<V = V>, const K_W: usize, const STRIDE: usize, const COUNT: usize>(
        &self,
        simd: S,
        at: usize,
        n: usize,
    ) {
        let mut acc = [self.bias; COUNT];
        // SAFETY: the caller's promise.
        unsafe {
            let from = self.from.add(at * self.strip.from_step);
            if K_W == ANY {
                self.sum_taps(simd, from, n, &mut acc);
            } else {
                self.sum_columns::<S, K_W, STRIDE, COUNT>(simd, from, n, &mut acc);
            }
            for (i, acc) in acc.into_iter().enumerate() {
                let to = self.to.add((at + i) * self.strip.to_step);
                let y = simd.clamp(acc, self.low, self.high);
                if n == S::FLOAT_LANES {
                    simd.store(to, y);
                } else {
                    simd.store_first(to, n, y);
                }
            }
        }
    }

    /// Adds the products of all taps, tap by tap.
    ///
    /// # Safety
    /// As for [`Row::run`].
    #[inline(always)]
    unsafe fn sum_taps<S: Floats<V = V>, const COUNT: usize>(
        &self,
        simd: S,
        from: *const f32,
        n: usize,
        acc: &mut [V; COUNT],
    ) {
        let [k_h, k_w] = self.kernel;
        for ky in 0..k_h {
            for kx in 0..k_w {
                // SAFETY: the caller's promise.
                unsafe {
                    let w = simd.load(self.weights.add((ky * k_w + kx) * S::FLOAT_LANES));
                    let x = from.add(ky * self.down + kx * self.right);
                    for (i, acc) in acc.iter_mut().enumerate() {
                        *acc = simd.mul_add(simd.load_first(x.add(i * self.strip.from_step), n), w, *acc);
                    }
                }
            }
        }
    }

    /// The same for kernels without horizontal dilation: every column of the input is loaded once for all outputs that see it.
    ///
    /// # Safety
    /// As for [`Row::run`].
    #[inline(always)]
    unsafe fn sum_columns<S: Floats<V = V>, const K_W: usize, const STRIDE: usize, const COUNT: usize>(
        &self,
        simd: S,
        from: *const f32,
        n: usize,
        acc: &mut [V; COUNT],
    ) {
        for ky in 0..self.kernel[0] {
            // SAFETY: the caller's promise; the columns are those under the kernel at the `COUNT` outputs.
            unsafe {
                let line = from.add(ky * self.down);
                let weights = self.weights.add(ky * K_W * S::FLOAT_LANES);
                let mut w = [self.bias; K_W];
                for (kx, w) in w.iter_mut().enumerate() {
                    *w = simd.load(weights.add(kx * S::FLOAT_LANES));
                }
                for column in 0..(COUNT - 1) * STRIDE + K_W {
                    let x = simd.load_first(line.add(column * self.right), n);
                    for (i, acc) in acc.iter_mut().enumerate() {
                        if column >= i * STRIDE && column - i * STRIDE < K_W {
                            *acc = simd.mul_add(x, w[column - i * STRIDE], *acc);
                        }
                    }
                }
            }
        }
    }
}

//! Gradients of a float depthwise convolution without channel multiplier.
#![expect(
    unsafe_code,
    reason = "the inner loop reads through pointers; bounds are checked once per call"
)]

use super::UNCLAMPED;
use crate::fast::depthwise::FloatDepthwise;
use crate::fast::isa::{FloatIsa, Isa};
use crate::fast::plane::{Border, Plane, View, ViewMut, Window, assert_same_image};
use crate::fast::product::Pixels;
use crate::fast::simd::{FloatTask, Floats};
use crate::shape::DepthwiseConv2dShape;

/// Taps whose sums are kept in registers at a time.
const TAPS: usize = 9;

/// Both gradients of a [`FloatDepthwise`] of the same shape.
///
/// The gradient of the input is a depthwise convolution of the output's gradient, its pixels a stride apart with zeros between, with the kernel turned around.
#[derive(Debug, Clone)]
pub struct DepthwiseGradient {
    shape: DepthwiseConv2dShape,
    isa: FloatIsa,
    back: DepthwiseConv2dShape,
    turned: Vec<f32>,
    transposed: FloatDepthwise,
}

impl DepthwiseGradient {
    /// Gradients of a convolution of this shape; `None` where it has a channel multiplier or pads more than its window reaches.
    pub fn new(isa: Isa, shape: &DepthwiseConv2dShape) -> Option<Self> {
        let reach = |k: usize, dilation: usize| (k - 1) * dilation;
        let pad_top = reach(shape.k_h, shape.dilation_h).checked_sub(shape.pad_top)?;
        let pad_left = reach(shape.k_w, shape.dilation_w).checked_sub(shape.pad_left)?;
        if shape.multiplier != 1 || shape.out_h == 0 || shape.out_w == 0 {
            return None;
        }
        let back = DepthwiseConv2dShape {
            in_h: (shape.out_h - 1) * shape.stride_h + 1,
            in_w: (shape.out_w - 1) * shape.stride_w + 1,
            out_h: shape.in_h,
            out_w: shape.in_w,
            stride_h: 1,
            stride_w: 1,
            pad_top,
            pad_left,
            ..*shape
        };
        let turned = vec![0.0; shape.weights_len()];
        Some(Self {
            shape: *shape,
            isa: FloatIsa::new(isa),
            transposed: FloatDepthwise::new(isa, &back, &turned, None, UNCLAMPED),
            back,
            turned,
        })
    }

    /// Where the output's gradient is spread: its pixels a stride apart, zeros between and around.
    pub fn spread(&self) -> Plane {
        Plane::dense(self.back.in_h, self.back.in_w, self.back.in_c).with_border(Border::of_depthwise(&self.back))
    }

    /// Takes other weights, `[1, k_h, k_w, channels]`, in place.
    pub fn repack(&mut self, weights: &[f32]) {
        let channels = self.shape.in_c.max(1);
        let taps = weights.chunks_exact(channels).rev();
        for (slot, tap) in self.turned.chunks_exact_mut(channels).zip(taps) {
            slot.copy_from_slice(tap);
        }
        self.transposed.repack(&self.back, &self.turned, None);
    }

    /// The gradient of the input, dense, from that of the output, dense. `spread` is filled with zeros but for what an earlier call left there.
    pub fn input(&self, dy: &[f32], spread: &mut [f32], dx: &mut [f32]) {
        let (shape, plane) = (&self.shape, self.spread());
        assert_eq!(dy.len(), shape.output_len(), "elements of the output");
        let row = shape.out_w * shape.in_c;
        for (y, row) in dy.chunks_exact(row.max(1)).enumerate() {
            let to = &mut spread[plane.at(y * shape.stride_h, 0)..];
            if shape.stride_w == 1 {
                to[..row.len()].copy_from_slice(row);
            } else {
                let places = to.chunks_mut(shape.stride_w * shape.in_c);
                for (place, pixel) in places.zip(row.chunks_exact(shape.in_c)) {
                    place[..shape.in_c].copy_from_slice(pixel);
                }
            }
        }
        let output = Plane::dense(shape.in_h, shape.in_w, shape.in_c);
        self.transposed
            .run(View::new(&plane, spread), ViewMut::new(&output, dx));
    }

    /// Adds the gradient of the weights, from the input as [`FloatDepthwise::run`] takes it and the dense gradient of the output.
    pub fn weights(&self, x: View<'_, f32>, dy: &[f32], dw: &mut [f32]) {
        let shape = &self.shape;
        let output = Plane::dense(shape.out_h, shape.out_w, shape.in_c);
        assert_same_image(x.plane(), &Plane::dense(shape.in_h, shape.in_w, shape.in_c));
        assert_eq!(
            (dy.len(), dw.len()),
            (shape.output_len(), shape.weights_len()),
            "elements of the output and of the weights"
        );
        let window = Window::of_depthwise(shape);
        // Panics unless every tap of every pixel lies in the buffer.
        let from = Pixels::under(&window, x.plane(), &output);
        self.isa.run(Sums {
            shape,
            row_stride: x.plane().row_stride(),
            x: x.data(),
            from,
            dy,
            dw,
        });
    }
}

struct Sums<'a> {
    shape: &'a DepthwiseConv2dShape,
    row_stride: usize,
    x: &'a [f32],
    from: Pixels,
    dy: &'a [f32],
    dw: &'a mut [f32],
}

impl FloatTask for Sums<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, simd: S) {
        let Self {
            shape,
            row_stride,
            x,
            from,
            dy,
            dw,
        } = self;
        let (channels, lanes) = (shape.in_c, S::FLOAT_LANES);
        let taps = shape.k_h * shape.k_w;
        for channel in (0..channels).step_by(lanes) {
            let n = (channels - channel).min(lanes);
            for first in (0..taps).step_by(TAPS) {
                let count = (taps - first).min(TAPS);
                let mut offsets = [0; TAPS];
                for (offset, tap) in offsets.iter_mut().zip(first..first + count) {
                    let (ky, kx) = (tap / shape.k_w, tap % shape.k_w);
                    *offset = ky * shape.dilation_h * row_stride + kx * shape.dilation_w * channels + channel;
                }
                // Sums beyond `count` repeat the first tap and are not stored.
                let rest = offsets[0];
                offsets[count..].fill(rest);
                // SAFETY: `n` channels from `channel` on are within a pixel; `Pixels::under` has checked that every tap of every pixel lies in `x`, and the
                // lengths of `dy` and `dw` were checked.
                unsafe {
                    let mut acc = [simd.splat(0.0); TAPS];
                    let mut dy = dy.as_ptr().add(channel);
                    for row in 0..from.height {
                        let mut x = x.as_ptr().add(from.origin + row * from.row_step);
                        for _ in 0..from.width {
                            let d = simd.load_first(dy, n);
                            for (acc, &offset) in acc.iter_mut().zip(&offsets) {
                                *acc = simd.mul_add(d, simd.load_first(x.add(offset), n), *acc);
                            }
                            x = x.wrapping_add(from.step);
                            dy = dy.wrapping_add(channels);
                        }
                    }
                    for (tap, &acc) in acc.iter().enumerate().take(count) {
                        let to = dw.as_mut_ptr().add((first + tap) * channels + channel);
                        simd.store_first(to, n, simd.add(simd.load_first(to, n), acc));
                    }
                }
            }
        }
    }
}

//! Depthwise convolutions: every output channel sees one input channel.
//!
//! Lanes are channels. Where there are fewer channels than lanes and the window moves by one pixel, lanes are whole pixels: a
//! row is then a flat sequence in which the tap to the right lies `channels` elements further, and the weights repeat with
//! the channels. A channel multiplier above 1 makes it a convolution in groups, which [`conv`](super::conv) does.

mod float;
mod int;

pub use float::FloatDepthwise;
pub use int::IntDepthwise;

use super::plane::{Plane, Window, assert_same_image};
use crate::shape::{Conv2dShape, DepthwiseConv2dShape};
use std::ops::Range;

/// What the float and the integer form share: how the window meets the planes, and what a vector covers.
#[derive(Debug, Clone)]
struct Geometry {
    shape: DepthwiseConv2dShape,
    window: Window,
    /// Elements that a vector covers: lanes, or as many whole pixels as fit.
    width: usize,
    /// Whether a vector covers pixels instead of channels.
    flat: bool,
}

/// A row of outputs as a sequence of vectors.
#[derive(Debug, Clone, Copy)]
struct Strip {
    /// Vectors in the row.
    count: usize,
    /// Elements from one to the next in the input and in the output.
    from_step: usize,
    to_step: usize,
    /// Elements of each, and of the last.
    n: usize,
    last: usize,
}

/// Where a layer's first tap and first output are, and how far it is to the next row.
#[derive(Debug, Clone, Copy)]
struct Rows {
    from: usize,
    from_step: usize,
    to: usize,
    to_step: usize,
    count: usize,
}

impl Geometry {
    fn new(shape: &DepthwiseConv2dShape, lanes: usize) -> Self {
        assert_eq!(shape.batch, 1, "fast kernels run one sample at a time");
        assert_eq!(shape.multiplier, 1, "a multiplier makes it a convolution in groups");
        let flat = shape.stride_w == 1 && shape.in_c < lanes;
        let width = if flat {
            lanes / shape.in_c.max(1) * shape.in_c
        } else {
            lanes
        };
        Self {
            shape: *shape,
            window: Window::of_depthwise(shape),
            width,
            flat,
        }
    }

    /// Blocks of lanes that the channels take.
    fn blocks(&self) -> usize {
        if self.flat {
            1
        } else {
            self.shape.in_c.div_ceil(self.width)
        }
    }

    /// The channel of element `i` of a vector of block `block`.
    fn channel(&self, block: usize, i: usize) -> Option<usize> {
        if self.flat {
            (i < self.width).then(|| i % self.shape.in_c)
        } else {
            Some(block * self.width + i).filter(|&channel| channel < self.shape.in_c)
        }
    }

    /// Taps by rows, as indices into `[k_h, k_w]`.
    fn taps(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let [k_h, k_w] = self.window.kernel;
        (0..k_h).flat_map(move |ky| (0..k_w).map(move |kx| (ky, kx)))
    }

    /// Elements from the first tap to this one.
    fn offset(&self, input: &Plane, (ky, kx): (usize, usize)) -> usize {
        let [down, right] = self.window.dilation;
        ky * down * input.row_stride() + kx * right * input.channels
    }

    /// Elements from the first tap to the last.
    fn reach(&self, input: &Plane) -> usize {
        let [k_h, k_w] = self.window.kernel;
        self.offset(input, (k_h.max(1) - 1, k_w.max(1) - 1))
    }

    /// The vectors of block `block` in a row of `out_w` pixels.
    fn strip(&self, block: usize) -> Strip {
        let DepthwiseConv2dShape {
            in_c, out_w, stride_w, ..
        } = self.shape;
        if self.flat {
            let (len, width) = (out_w * in_c, self.width);
            let count = len.div_ceil(width);
            Strip {
                count,
                from_step: width,
                to_step: width,
                n: width,
                last: len - (count.max(1) - 1) * width,
            }
        } else {
            let n = (in_c - block * self.width).min(self.width);
            Strip {
                count: out_w,
                from_step: stride_w * in_c,
                to_step: in_c,
                n,
                last: n,
            }
        }
    }

    /// The same for the rows `outputs` of the output alone, of which `band` has what they see: its row 0 is that of the first tap of
    /// the first. Panics unless all taps lie in it.
    fn band(&self, outputs: &Range<usize>, band: &Plane, output: &Plane) -> Rows {
        let DepthwiseConv2dShape {
            in_w,
            in_c,
            out_h,
            out_w,
            stride_h,
            ..
        } = self.shape;
        assert_same_image(output, &Plane::dense(out_h, out_w, in_c));
        assert!(
            outputs.start <= outputs.end && outputs.end <= out_h,
            "{outputs:?} of {out_h} rows"
        );
        let window = Window {
            pad: [0, self.window.pad[1]],
            ..self.window
        };
        let seen = Plane {
            height: outputs.len(),
            ..*output
        };
        assert_eq!(
            (band.width, band.channels, band.border.top),
            (in_w, in_c, 0),
            "{band:?}"
        );
        Rows {
            from: window.origin(band, &seen),
            from_step: stride_h * band.row_stride(),
            to: output.at(outputs.start, 0),
            to_step: output.row_stride(),
            count: outputs.len(),
        }
    }

    /// Where the rows are. Panics unless the planes fit the shape and the window stays in the input's buffer.
    fn rows(&self, input: &Plane, output: &Plane) -> Rows {
        let DepthwiseConv2dShape {
            in_h,
            in_w,
            in_c,
            out_h,
            out_w,
            stride_h,
            ..
        } = self.shape;
        assert_same_image(input, &Plane::dense(in_h, in_w, in_c));
        assert_same_image(output, &Plane::dense(out_h, out_w, in_c));
        Rows {
            from: self.window.origin(input, output),
            from_step: stride_h * input.row_stride(),
            to: output.at(0, 0),
            to_step: output.row_stride(),
            count: out_h,
        }
    }
}

/// The convolution in groups that a depthwise one with a channel multiplier is.
fn grouped(shape: &DepthwiseConv2dShape) -> Conv2dShape {
    let out_c = shape.out_c();
    Conv2dShape::new(
        [
            [shape.batch, shape.in_h, shape.in_w, shape.in_c],
            [out_c, shape.k_h, shape.k_w, 1],
            [shape.batch, shape.out_h, shape.out_w, out_c],
        ],
        [shape.stride_h, shape.stride_w],
        [shape.dilation_h, shape.dilation_w],
        [shape.pad_top, shape.pad_left],
        shape.in_c,
    )
}

/// Weights `1HWC` as `OHWI` with one input channel.
fn channels_first<T: Copy>(shape: &DepthwiseConv2dShape, weights: &[T]) -> Vec<T> {
    assert_eq!(weights.len(), shape.weights_len(), "number of weights");
    let channels = shape.out_c();
    (0..channels)
        .flat_map(|channel| weights[channel..].iter().step_by(channels).copied())
        .collect()
}

//! The dynamic-range transposed convolution. Its definition scales every product before it is added, so that sums are those of floats, in the
//! order of the input: an output gathers its products in that order, all channels at once.

use std::ops::Range;

use super::dynamic::{Dynamic, ToWhole};
use crate::fast::isa::{FloatIsa, Isa};
use crate::fast::plane::{Plane, View, ViewMut, assert_same_image};
use crate::fast::simd::{FloatTask, Floats};
use crate::quantized::ClampF32;
use crate::shape::TransposeConv2dShape;

/// A dynamic-range transposed convolution, as [`transpose_conv2d_hybrid`](crate::reference::transpose_conv2d_hybrid) defines it.
#[derive(Debug, Clone)]
pub struct HybridTransposeConv {
    isa: FloatIsa,
    shape: TransposeConv2dShape,
    /// Whole numbers, `[k_h, k_w, in_c, out_c]`.
    weights: Vec<f32>,
    /// Of each output channel.
    scales: Vec<f32>,
    bias: Vec<f32>,
    clamp: ClampF32,
}

impl HybridTransposeConv {
    /// Packs the weights, `[out_c, k_h, k_w, in_c]`, for `isa`, which must be available; `weight_scales` has one element per output
    /// channel or a single one. `shape.batch` is 1.
    pub fn new(
        isa: Isa,
        shape: &TransposeConv2dShape,
        weight_scales: &[f32],
        clamp: ClampF32,
        weights: &[i8],
        bias: Option<&[f32]>,
    ) -> Self {
        let channels = shape.out_c;
        assert_eq!(shape.batch, 1, "fast kernels run one sample at a time");
        assert_eq!(weights.len(), shape.weights_len(), "number of weights");
        assert!(
            weight_scales.len() == 1 || weight_scales.len() == channels,
            "{} weight scales for {channels} channels",
            weight_scales.len()
        );
        assert!(
            bias.is_none_or(|bias| bias.len() == channels),
            "one bias per output channel"
        );
        let taps = shape.k_h * shape.k_w * shape.in_c;
        let by_tap = (0..taps).flat_map(|tap| (0..channels).map(move |channel| channel * taps + tap));
        Self {
            isa: FloatIsa::new(isa),
            shape: *shape,
            weights: by_tap.map(|at| weights[at].into()).collect(),
            scales: weight_scales.iter().copied().cycle().take(channels).collect(),
            bias: bias.map_or_else(|| vec![0.0; channels], <[f32]>::to_vec),
            clamp,
        }
    }

    /// Computes the output from `input`, whose border, if any, is filled with `0.0`. `scratch` is as long as the input's buffer, or longer.
    pub fn run(&self, input: View<'_, f32>, scratch: &mut [f32], mut output: ViewMut<'_, f32>) {
        let (plane, to) = (input.plane(), *output.plane());
        let TransposeConv2dShape { in_h, in_w, in_c, .. } = self.shape;
        assert_same_image(plane, &Plane::dense(in_h, in_w, in_c));
        assert_same_image(&to, &Plane::dense(self.shape.out_h, self.shape.out_w, self.shape.out_c));
        assert!(
            scratch.len() >= plane.len(),
            "a scratch of {} elements is too short for {plane:?}",
            scratch.len()
        );
        let whole = &mut scratch[..plane.len()];
        // The border is zero, which any range includes and any quantization has as an integer: it is quantized along.
        let quantization = self.isa.run(ToWhole {
            dynamic: Dynamic::Asymmetric,
            input: &input.data()[..plane.len()],
            output: &mut *whole,
        });
        self.isa.run(Gather {
            layer: self,
            unit: quantization.scale,
            input: (whole, plane),
            output: (output.data(), &to),
        });
    }
}

/// All outputs.
struct Gather<'a> {
    layer: &'a HybridTransposeConv,
    unit: f32,
    input: (&'a [f32], &'a Plane),
    output: (&'a mut [f32], &'a Plane),
}

impl FloatTask for Gather<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self {
            layer,
            unit,
            input: (input, plane),
            output: (output, to),
        } = self;
        let TransposeConv2dShape {
            out_h,
            out_w,
            in_c,
            out_c,
            k_h,
            k_w,
            ..
        } = layer.shape;
        let shape = &layer.shape;
        for y in 0..out_h {
            let rows = seen(y + shape.pad_top, shape.stride_h, k_h, shape.in_h);
            for x in 0..out_w {
                let columns = seen(x + shape.pad_left, shape.stride_w, k_w, shape.in_w);
                let sums = &mut output[to.at(y, x)..][..out_c];
                sums.fill(0.0);
                for row in rows.clone() {
                    let ky = y + shape.pad_top - row * shape.stride_h;
                    for column in columns.clone() {
                        let kx = x + shape.pad_left - column * shape.stride_w;
                        let pixel = &input[plane.at(row, column)..][..in_c];
                        let taps = &layer.weights[(ky * k_w + kx) * in_c * out_c..][..in_c * out_c];
                        for (&x, weights) in pixel.iter().zip(taps.chunks_exact(out_c.max(1))) {
                            for ((sum, &w), &scale) in sums.iter_mut().zip(weights).zip(&layer.scales) {
                                *sum += x * w * scale * unit;
                            }
                        }
                    }
                }
                for (sum, &bias) in sums.iter_mut().zip(&layer.bias) {
                    *sum = layer.clamp.apply(*sum + bias);
                }
            }
        }
    }
}

/// Which of `len` inputs an output sees that is `at` from the first tap of the first: those at most `kernel − 1` taps before it.
fn seen(at: usize, stride: usize, kernel: usize, len: usize) -> Range<usize> {
    let first = (at + 1).saturating_sub(kernel).div_ceil(stride);
    first..(at / stride + 1).min(len).max(first)
}

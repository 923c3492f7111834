//! Depthwise convolution: every output channel sees one input channel.

use crate::quantized::{ClampF32, LinearParams};
use crate::shape::{DepthwiseConv2dShape, tap};

/// Integer depthwise convolution: `i8` input and per-channel symmetric `i8` weights, `i32` bias and sums.
///
/// Source: `reference_integer_ops::DepthwiseConvPerChannel` (`integer_ops/depthwise_conv.h`), with
/// [`Rounding::Double`](crate::quantized::Rounding).
pub fn depthwise_conv2d_i8(
    shape: &DepthwiseConv2dShape,
    params: &LinearParams,
    input: &[i8],
    weights: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
) {
    check(shape, input.len(), weights.len(), bias.map(<[_]>::len), output.len());
    for_each_output(shape, |out, at| {
        let mut acc = 0_i32;
        for_each_tap(shape, at, |i, w| {
            acc = acc.wrapping_add(i32::from(weights[w]) * (i32::from(input[i]) - params.input_zero_point));
        });
        acc = acc.wrapping_add(bias.map_or(0, |bias| bias[at.channel]));
        output[out] = params.requantize(at.channel, acc);
    });
}

/// Integer depthwise convolution of 16-bit activations: symmetric `i8` weights, `i64` bias and sums.
///
/// Source: `reference_integer_ops::DepthwiseConvPerChannel` for 16-bit data, with
/// [`Rounding::Reduced`](crate::quantized::Rounding).
pub fn depthwise_conv2d_i16(
    shape: &DepthwiseConv2dShape,
    params: &LinearParams,
    input: &[i16],
    weights: &[i8],
    bias: Option<&[i64]>,
    output: &mut [i16],
) {
    check(shape, input.len(), weights.len(), bias.map(<[_]>::len), output.len());
    for_each_output(shape, |out, at| {
        let mut acc = bias.map_or(0, |bias| bias[at.channel]);
        for_each_tap(shape, at, |i, w| {
            acc = acc.wrapping_add(i64::from(weights[w]) * i64::from(input[i]));
        });
        output[out] = params.requantize_wide(at.channel, acc);
    });
}

/// Float depthwise convolution, summed in the order rows, columns; bias last.
///
/// Source: `reference_ops::DepthwiseConv` (`depthwiseconv_float.h`).
pub fn depthwise_conv2d_f32(
    shape: &DepthwiseConv2dShape,
    clamp: ClampF32,
    input: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) {
    check(shape, input.len(), weights.len(), bias.map(<[_]>::len), output.len());
    for_each_output(shape, |out, at| {
        let mut total = 0.0;
        for_each_tap(shape, at, |i, w| total += input[i] * weights[w]);
        output[out] = clamp.apply(total + bias.map_or(0.0, |bias| bias[at.channel]));
    });
}

/// Where an output element is.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub batch: usize,
    pub y: usize,
    pub x: usize,
    pub channel: usize,
}

/// Panics unless the lengths fit the shape.
pub(super) fn check(shape: &DepthwiseConv2dShape, input: usize, weights: usize, bias: Option<usize>, output: usize) {
    assert_eq!(input, shape.input_len(), "elements of the input");
    assert_eq!(weights, shape.weights_len(), "elements of the weights");
    assert_eq!(bias.unwrap_or(shape.out_c()), shape.out_c(), "elements of the bias");
    assert_eq!(output, shape.output_len(), "elements of the output");
}

/// Calls `visit(flat index, position)` for every output element in order.
pub(super) fn for_each_output(shape: &DepthwiseConv2dShape, mut visit: impl FnMut(usize, At)) {
    let mut out = 0;
    for batch in 0..shape.batch {
        for y in 0..shape.out_h {
            for x in 0..shape.out_w {
                for channel in 0..shape.out_c() {
                    visit(out, At { batch, y, x, channel });
                    out += 1;
                }
            }
        }
    }
}

/// Calls `visit(input index, weight index)` for the products of the output at `at`, in the order rows, columns.
pub(super) fn for_each_tap(shape: &DepthwiseConv2dShape, at: At, mut visit: impl FnMut(usize, usize)) {
    let in_channel = at.channel / shape.multiplier;
    for ky in 0..shape.k_h {
        let Some(y) = tap(at.y, shape.stride_h, ky, shape.dilation_h, shape.pad_top, shape.in_h) else {
            continue;
        };
        for kx in 0..shape.k_w {
            let Some(x) = tap(at.x, shape.stride_w, kx, shape.dilation_w, shape.pad_left, shape.in_w) else {
                continue;
            };
            let pixel = ((at.batch * shape.in_h + y) * shape.in_w + x) * shape.in_c + in_channel;
            visit(pixel, (ky * shape.k_w + kx) * shape.out_c() + at.channel);
        }
    }
}

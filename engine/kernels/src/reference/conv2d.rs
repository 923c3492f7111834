//! Two-dimensional convolution with groups and dilation.

use super::fully_connected::dot_i16;
use crate::quantized::{ClampF32, LinearParams};
use crate::shape::{Conv2dShape, tap};

/// Integer convolution: `i8` input and per-channel symmetric `i8` weights, `i32` bias and sums.
///
/// Source: `reference_integer_ops::ConvPerChannel` (`integer_ops/conv.h`), with
/// [`Rounding::Double`](crate::quantized::Rounding). Padding contributes real zero: its taps are skipped, which
/// equals taps at the input's zero point.
pub fn conv2d_i8(
    shape: &Conv2dShape,
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

/// Integer convolution of 16-bit activations: symmetric `i8` weights, `i64` bias and sums.
///
/// Source: `reference_integer_ops::ConvPerChannel` (`integer_ops/conv.h`) for 16-bit data, with
/// [`Rounding::Reduced`](crate::quantized::Rounding).
pub fn conv2d_i16(
    shape: &Conv2dShape,
    params: &LinearParams,
    input: &[i16],
    weights: &[i8],
    bias: Option<&[i64]>,
    output: &mut [i16],
) {
    check(shape, input.len(), weights.len(), bias.map(<[_]>::len), output.len());
    for_each_output(shape, |out, at| {
        let mut acc = bias.map_or(0, |bias| bias[at.channel]);
        for_each_run(shape, at, |i, w, len| {
            acc = acc.wrapping_add(dot_i16(&input[i..i + len], &weights[w..w + len]));
        });
        output[out] = params.requantize_wide(at.channel, acc);
    });
}

/// Float convolution, summed in the order rows, columns, channels; bias last.
///
/// Source: `reference_ops::Conv` (`conv.h`).
pub fn conv2d_f32(
    shape: &Conv2dShape,
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
pub(super) fn check(shape: &Conv2dShape, input: usize, weights: usize, bias: Option<usize>, output: usize) {
    assert_eq!(shape.in_c % shape.groups, 0, "groups divide the input channels");
    assert_eq!(shape.out_c % shape.groups, 0, "groups divide the output channels");
    assert_eq!(input, shape.input_len(), "elements of the input");
    assert_eq!(weights, shape.weights_len(), "elements of the weights");
    assert_eq!(bias.unwrap_or(shape.out_c), shape.out_c, "elements of the bias");
    assert_eq!(output, shape.output_len(), "elements of the output");
}

/// Calls `visit(flat index, position)` for every output element in order.
pub(super) fn for_each_output(shape: &Conv2dShape, mut visit: impl FnMut(usize, At)) {
    let mut out = 0;
    for batch in 0..shape.batch {
        for y in 0..shape.out_h {
            for x in 0..shape.out_w {
                for channel in 0..shape.out_c {
                    visit(out, At { batch, y, x, channel });
                    out += 1;
                }
            }
        }
    }
}

/// Calls `visit(input index, weight index)` for the products of the output at `at`, in the order rows, columns,
/// channels.
pub(super) fn for_each_tap(shape: &Conv2dShape, at: At, mut visit: impl FnMut(usize, usize)) {
    for_each_pixel(shape, at, |pixel, kernel| {
        for c in 0..shape.group_in_c() {
            visit(pixel + c, kernel + c);
        }
    });
}

/// Calls `visit(input index, weight index, length)` for the products of the output at `at`, in runs that are dense in both: rows
/// of the window where pixels and channels lie side by side, else pixels.
fn for_each_run(shape: &Conv2dShape, at: At, mut visit: impl FnMut(usize, usize, usize)) {
    if shape.groups != 1 || shape.dilation_w != 1 {
        return for_each_pixel(shape, at, |pixel, kernel| visit(pixel, kernel, shape.group_in_c()));
    }
    // In columns of the padded input.
    let left = at.x * shape.stride_w;
    let first = shape.pad_left.saturating_sub(left);
    let last = (shape.pad_left + shape.in_w).saturating_sub(left).min(shape.k_w);
    if first >= last {
        return;
    }
    for ky in 0..shape.k_h {
        let Some(y) = tap(at.y, shape.stride_h, ky, shape.dilation_h, shape.pad_top, shape.in_h) else {
            continue;
        };
        let pixel = (at.batch * shape.in_h + y) * shape.in_w + left + first - shape.pad_left;
        let kernel = (at.channel * shape.k_h + ky) * shape.k_w + first;
        visit(pixel * shape.in_c, kernel * shape.in_c, (last - first) * shape.in_c);
    }
}

/// Calls `visit(input index, weight index)` for the first channels of the pixels under the window of the output at `at`.
fn for_each_pixel(shape: &Conv2dShape, at: At, mut visit: impl FnMut(usize, usize)) {
    let depth = shape.group_in_c();
    let first_channel = at.channel / shape.group_out_c() * depth;
    for ky in 0..shape.k_h {
        let Some(y) = tap(at.y, shape.stride_h, ky, shape.dilation_h, shape.pad_top, shape.in_h) else {
            continue;
        };
        for kx in 0..shape.k_w {
            let Some(x) = tap(at.x, shape.stride_w, kx, shape.dilation_w, shape.pad_left, shape.in_w) else {
                continue;
            };
            let pixel = ((at.batch * shape.in_h + y) * shape.in_w + x) * shape.in_c + first_channel;
            let kernel = ((at.channel * shape.k_h + ky) * shape.k_w + kx) * depth;
            visit(pixel, kernel);
        }
    }
}

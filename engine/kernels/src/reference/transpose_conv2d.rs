//! Transposed convolution: the adjoint of a strided convolution, used for upsampling.

use crate::quantized::{ClampF32, LinearParams};
use crate::shape::TransposeConv2dShape;

/// Integer transposed convolution: `i8` input and per-channel symmetric `i8` weights, `i32` bias and sums.
///
/// Source: `reference_integer_ops::TransposeConv` (`integer_ops/transpose_conv.h`), with
/// [`Rounding::Double`](crate::quantized::Rounding). The source scatters into a buffer of sums; here each output
/// gathers its products instead, which for integers is the same and needs no buffer.
pub fn transpose_conv2d_i8(
    shape: &TransposeConv2dShape,
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
            acc = acc.wrapping_add((i32::from(input[i]) - params.input_zero_point) * i32::from(weights[w]));
        });
        acc = acc.wrapping_add(bias.map_or(0, |bias| bias[at.channel]));
        output[out] = params.requantize(at.channel, acc);
    });
}

/// Integer transposed convolution of 16-bit activations: symmetric `i8` weights, `i64` bias and sums.
///
/// Source: `reference_integer_ops::TransposeConv` for 16-bit data, with
/// [`Rounding::Reduced`](crate::quantized::Rounding).
pub fn transpose_conv2d_i16(
    shape: &TransposeConv2dShape,
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

/// Float transposed convolution, summed in the order of the input's rows, columns and channels; bias last.
///
/// Source: `reference_ops::TransposeConv` (`transpose_conv.h`), which scatters: an output receives its products in
/// this order.
pub fn transpose_conv2d_f32(
    shape: &TransposeConv2dShape,
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
pub(super) fn check(shape: &TransposeConv2dShape, input: usize, weights: usize, bias: Option<usize>, output: usize) {
    assert_eq!(input, shape.input_len(), "elements of the input");
    assert_eq!(weights, shape.weights_len(), "elements of the weights");
    assert_eq!(bias.unwrap_or(shape.out_c), shape.out_c, "elements of the bias");
    assert_eq!(output, shape.output_len(), "elements of the output");
}

/// Calls `visit(flat index, position)` for every output element in order.
pub(super) fn for_each_output(shape: &TransposeConv2dShape, mut visit: impl FnMut(usize, At)) {
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

/// Calls `visit(input index, weight index)` for the products of the output at `at`, in the order of the input.
pub(super) fn for_each_tap(shape: &TransposeConv2dShape, at: At, mut visit: impl FnMut(usize, usize)) {
    for y in 0..shape.in_h {
        let Some(ky) = (at.y + shape.pad_top)
            .checked_sub(y * shape.stride_h)
            .filter(|&k| k < shape.k_h)
        else {
            continue;
        };
        for x in 0..shape.in_w {
            let Some(kx) = (at.x + shape.pad_left)
                .checked_sub(x * shape.stride_w)
                .filter(|&k| k < shape.k_w)
            else {
                continue;
            };
            let pixel = ((at.batch * shape.in_h + y) * shape.in_w + x) * shape.in_c;
            let kernel = ((at.channel * shape.k_h + ky) * shape.k_w + kx) * shape.in_c;
            for c in 0..shape.in_c {
                visit(pixel + c, kernel + c);
            }
        }
    }
}

//! Fully connected layers: rows times the transpose of the weights.

use crate::quantized::{ClampF32, LinearParams};
use crate::shape::FullyConnectedShape;

/// Integer fully connected layer: `i8` input and symmetric `i8` weights, one scale or one per output, `i32` bias and
/// sums.
///
/// Source: `reference_integer_ops::FullyConnected` and `FullyConnectedPerChannel` (`integer_ops/fully_connected.h`)
/// in the variants that take float scales, which `BUILTIN_REF` calls: unlike convolutions they requantize with
/// [`Rounding::Float`](crate::quantized::Rounding).
pub fn fully_connected_i8(
    shape: &FullyConnectedShape,
    params: &LinearParams,
    input: &[i8],
    weights: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
) {
    check(shape, input.len(), weights.len(), bias.map(<[_]>::len), output.len());
    for row in 0..shape.rows {
        let input = &input[row * shape.in_features..][..shape.in_features];
        for o in 0..shape.out_features {
            let weights = &weights[o * shape.in_features..][..shape.in_features];
            let mut acc = 0_i32;
            for (&x, &w) in input.iter().zip(weights) {
                acc = acc.wrapping_add(i32::from(w) * (i32::from(x) - params.input_zero_point));
            }
            acc = acc.wrapping_add(bias.map_or(0, |bias| bias[o]));
            output[row * shape.out_features + o] = params.requantize(o, acc);
        }
    }
}

/// Integer fully connected layer of 16-bit activations: symmetric `i8` weights, `i64` bias and sums.
///
/// Source: as [`fully_connected_i8`], with [`Rounding::Float`](crate::quantized::Rounding) too.
pub fn fully_connected_i16(
    shape: &FullyConnectedShape,
    params: &LinearParams,
    input: &[i16],
    weights: &[i8],
    bias: Option<&[i64]>,
    output: &mut [i16],
) {
    check(shape, input.len(), weights.len(), bias.map(<[_]>::len), output.len());
    for row in 0..shape.rows {
        let input = &input[row * shape.in_features..][..shape.in_features];
        for o in 0..shape.out_features {
            let weights = &weights[o * shape.in_features..][..shape.in_features];
            let acc = dot_i16(input, weights).wrapping_add(bias.map_or(0, |bias| bias[o]));
            output[row * shape.out_features + o] = params.requantize_wide(o, acc);
        }
    }
}

/// The sum of products of two slices of equal length.
pub(super) fn dot_i16(x: &[i16], w: &[i8]) -> i64 {
    /// So many products of 2^15 · 2^7 fit an `i32`, with which compilers use vectors.
    const FIT: usize = 256;
    let part = |(x, w): (&[i16], &[i8])| -> i32 { x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w)).sum() };
    x.chunks(FIT)
        .zip(w.chunks(FIT))
        .map(|chunk| i64::from(part(chunk)))
        .sum()
}

/// Float fully connected layer, summed in the order of the inputs; bias last.
///
/// Source: `reference_ops::FullyConnected` (`fully_connected.h`).
pub fn fully_connected_f32(
    shape: &FullyConnectedShape,
    clamp: ClampF32,
    input: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) {
    check(shape, input.len(), weights.len(), bias.map(<[_]>::len), output.len());
    for row in 0..shape.rows {
        let input = &input[row * shape.in_features..][..shape.in_features];
        for o in 0..shape.out_features {
            let weights = &weights[o * shape.in_features..][..shape.in_features];
            let mut total = 0.0;
            for (&x, &w) in input.iter().zip(weights) {
                total += x * w;
            }
            output[row * shape.out_features + o] = clamp.apply(total + bias.map_or(0.0, |bias| bias[o]));
        }
    }
}

/// Panics unless the lengths fit the shape.
pub(super) fn check(shape: &FullyConnectedShape, input: usize, weights: usize, bias: Option<usize>, output: usize) {
    assert_eq!(input, shape.input_len(), "elements of the input");
    assert_eq!(weights, shape.weights_len(), "elements of the weights");
    assert_eq!(
        bias.unwrap_or(shape.out_features),
        shape.out_features,
        "elements of the bias"
    );
    assert_eq!(output, shape.output_len(), "elements of the output");
}

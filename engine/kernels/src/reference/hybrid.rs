//! Dynamic-range kernels: `f32` activations, `i8` weights.
//!
//! Activations are quantized when they arrive, every sample (of a fully connected layer: every row) by its own range;
//! the sum of products is an integer, and is scaled to a real number to which the `f32` bias is added. The `i8` copy
//! of one sample goes to a `scratch` slice that the caller provides. Sums are exact; only the order of three products
//! differs between the operators, and with it the last bit: each function keeps its source's.

use super::quantize::{quantize_dynamic, quantize_dynamic_symmetric};
use super::{conv2d, depthwise_conv2d, fully_connected, transpose_conv2d};
use crate::quantized::ClampF32;
use crate::shape::{Conv2dShape, DepthwiseConv2dShape, FullyConnectedShape, TransposeConv2dShape};

/// Dynamic-range convolution; `weight_scales` has one element per output channel or a single one. `scratch` holds one
/// sample of the input.
///
/// Source: `EvalHybridPerChannel` (`kernels/conv.cc`) with `reference_ops::HybridConvPerChannel` (`conv.h`), which
/// quantizes activations asymmetrically. Where all scales are equal and there is one group LiteRT takes another path,
/// `EvalHybrid`, which quantizes them symmetrically and multiplies the scales first; so does this.
pub fn conv2d_hybrid(
    shape: &Conv2dShape,
    weight_scales: &[f32],
    clamp: ClampF32,
    input: &[f32],
    weights: &[i8],
    bias: Option<&[f32]>,
    scratch: &mut [i8],
    output: &mut [f32],
) {
    conv2d::check(shape, input.len(), weights.len(), bias.map(<[_]>::len), output.len());
    let scales = Scales::new(weight_scales, shape.out_c);
    let symmetric = scales.all_equal() && shape.groups == 1;
    let sample = Conv2dShape { batch: 1, ..*shape };
    let samples = input
        .chunks(sample.input_len().max(1))
        .zip(output.chunks_mut(sample.output_len().max(1)));
    for (input, output) in samples {
        let quantization = if symmetric {
            quantize_dynamic_symmetric(input, scratch)
        } else {
            quantize_dynamic(input, scratch)
        };
        conv2d::for_each_output(&sample, |out, at| {
            let mut acc = 0_i32;
            conv2d::for_each_tap(&sample, at, |i, w| {
                acc = acc.wrapping_add(i32::from(weights[w]) * (i32::from(scratch[i]) - quantization.zero_point));
            });
            let scale = scales.of(at.channel);
            let real = if symmetric {
                acc as f32 * (quantization.scale * scale)
            } else {
                acc as f32 * scale * quantization.scale
            };
            output[out] = clamp.apply(real + bias.map_or(0.0, |bias| bias[at.channel]));
        });
    }
}

/// Dynamic-range depthwise convolution; `weight_scales` has one element per output channel or a single one. `scratch`
/// holds one sample of the input.
///
/// Source: `EvalHybridPerChannel` (`kernels/depthwise_conv.cc`) with
/// `reference_integer_ops::DepthwiseConvHybridPerChannel` (`integer_ops/depthwise_conv.h`).
pub fn depthwise_conv2d_hybrid(
    shape: &DepthwiseConv2dShape,
    weight_scales: &[f32],
    clamp: ClampF32,
    input: &[f32],
    weights: &[i8],
    bias: Option<&[f32]>,
    scratch: &mut [i8],
    output: &mut [f32],
) {
    depthwise_conv2d::check(shape, input.len(), weights.len(), bias.map(<[_]>::len), output.len());
    let scales = Scales::new(weight_scales, shape.out_c());
    let sample = DepthwiseConv2dShape { batch: 1, ..*shape };
    let samples = input
        .chunks(sample.input_len().max(1))
        .zip(output.chunks_mut(sample.output_len().max(1)));
    for (input, output) in samples {
        let quantization = quantize_dynamic(input, scratch);
        depthwise_conv2d::for_each_output(&sample, |out, at| {
            let mut acc = 0_i32;
            depthwise_conv2d::for_each_tap(&sample, at, |i, w| {
                acc = acc.wrapping_add(i32::from(weights[w]) * (i32::from(scratch[i]) - quantization.zero_point));
            });
            let real = acc as f32 * (scales.of(at.channel) * quantization.scale);
            output[out] = clamp.apply(real + bias.map_or(0.0, |bias| bias[at.channel]));
        });
    }
}

/// Dynamic-range transposed convolution; `weight_scales` has one element per output channel or a single one. `scratch`
/// holds one sample of the input. Every product is scaled before it is added: sums are those of floats, in the order of the input.
///
/// Source: `EvalHybrid` (`kernels/transpose_conv.cc`) with `reference_ops::HybridTransposeConv` (`transpose_conv.h`).
pub fn transpose_conv2d_hybrid(
    shape: &TransposeConv2dShape,
    weight_scales: &[f32],
    clamp: ClampF32,
    input: &[f32],
    weights: &[i8],
    bias: Option<&[f32]>,
    scratch: &mut [i8],
    output: &mut [f32],
) {
    transpose_conv2d::check(shape, input.len(), weights.len(), bias.map(<[_]>::len), output.len());
    let scales = Scales::new(weight_scales, shape.out_c);
    let sample = TransposeConv2dShape { batch: 1, ..*shape };
    let samples = input
        .chunks(sample.input_len().max(1))
        .zip(output.chunks_mut(sample.output_len().max(1)));
    for (input, output) in samples {
        let quantization = quantize_dynamic(input, scratch);
        transpose_conv2d::for_each_output(&sample, |out, at| {
            let mut total = 0.0;
            transpose_conv2d::for_each_tap(&sample, at, |i, w| {
                let product = i32::from(weights[w]) * (i32::from(scratch[i]) - quantization.zero_point);
                total += product as f32 * scales.of(at.channel) * quantization.scale;
            });
            output[out] = clamp.apply(total + bias.map_or(0.0, |bias| bias[at.channel]));
        });
    }
}

/// Dynamic-range fully connected layer; `weight_scales` has one element per output or a single one. `scratch` holds
/// one row of the input.
///
/// Source: `EvalHybridDense` (`kernels/fully_connected.cc`) with `asymmetric_quantize_inputs`, as the TensorFlow
/// converter sets it, and `MatrixBatchVectorMultiplyAccumulate` (`portable_tensor_utils.cc`).
pub fn fully_connected_hybrid(
    shape: &FullyConnectedShape,
    weight_scales: &[f32],
    clamp: ClampF32,
    input: &[f32],
    weights: &[i8],
    bias: Option<&[f32]>,
    scratch: &mut [i8],
    output: &mut [f32],
) {
    fully_connected::check(shape, input.len(), weights.len(), bias.map(<[_]>::len), output.len());
    let scales = Scales::new(weight_scales, shape.out_features);
    for (input, output) in input
        .chunks(shape.in_features.max(1))
        .zip(output.chunks_mut(shape.out_features.max(1)))
    {
        let quantization = quantize_dynamic(input, scratch);
        for (o, slot) in output.iter_mut().enumerate() {
            let weights = &weights[o * shape.in_features..][..shape.in_features];
            let mut acc = 0_i32;
            for (&x, &w) in scratch.iter().zip(weights) {
                acc = acc.wrapping_add(i32::from(w) * (i32::from(x) - quantization.zero_point));
            }
            let real = acc as f32 * (scales.of(o) * quantization.scale);
            *slot = clamp.apply(bias.map_or(0.0, |bias| bias[o]) + real);
        }
    }
}

/// Scales of the weights, one per channel or one for all.
struct Scales<'a>(&'a [f32]);

impl<'a> Scales<'a> {
    fn new(scales: &'a [f32], channels: usize) -> Self {
        assert!(
            scales.len() == 1 || scales.len() == channels,
            "{} weight scales for {channels} channels",
            scales.len()
        );
        Self(scales)
    }

    fn of(&self, channel: usize) -> f32 {
        if self.0.len() == 1 { self.0[0] } else { self.0[channel] }
    }

    fn all_equal(&self) -> bool {
        self.0.windows(2).all(|pair| pair[0] == pair[1])
    }
}

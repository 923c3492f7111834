//! Normalization: of rows by their own statistics, of channels by fixed ones. The loops are plain: compiled for the instruction set they
//! become vectors by themselves.

use super::isa::{FloatIsa, Isa};
use super::plane::{View, ViewMut, assert_same_image};
use super::simd::{FloatTask, Floats};
use crate::quantized::ClampF32;
use crate::reference::{BatchNormParams, layer_norm_rows};

/// Equals [`layer_norm_f32`](crate::reference::layer_norm_f32) in every bit.
pub fn layer_norm_f32(isa: Isa, epsilon: f32, input: &[f32], scale: &[f32], bias: Option<&[f32]>, output: &mut [f32]) {
    FloatIsa::new(isa).run(LayerNorm {
        epsilon,
        input,
        scale,
        bias,
        output,
    });
}

struct LayerNorm<'a> {
    epsilon: f32,
    input: &'a [f32],
    scale: &'a [f32],
    bias: Option<&'a [f32]>,
    output: &'a mut [f32],
}

impl FloatTask for LayerNorm<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        layer_norm_rows(self.epsilon, self.input, self.scale, self.bias, self.output);
    }
}

/// `x · scale + offset` by channels, clamped. Equals [`batch_norm_f32`](crate::reference::batch_norm_f32) in every bit, and so a product
/// and a sum one after the other.
pub fn batch_norm_f32(isa: Isa, params: &BatchNormParams, clamp: ClampF32, x: View<'_, f32>, to: ViewMut<'_, f32>) {
    assert_same_image(x.plane(), to.plane());
    assert_eq!(params.scale.len(), x.plane().channels, "channels");
    FloatIsa::new(isa).run(BatchNorm { params, clamp, x, to });
}

struct BatchNorm<'a> {
    params: &'a BatchNormParams,
    clamp: ClampF32,
    x: View<'a, f32>,
    to: ViewMut<'a, f32>,
}

impl FloatTask for BatchNorm<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self {
            params,
            clamp,
            x,
            mut to,
        } = self;
        let channels = params.scale.len().max(1);
        let to_plane = *to.plane();
        for (from, at) in x.plane().rows().zip(to_plane.rows()) {
            let (input, output) = (&x.data()[from], &mut to.data()[at]);
            for (pixel, to) in input.chunks_exact(channels).zip(output.chunks_exact_mut(channels)) {
                for (((slot, &x), &scale), &offset) in to.iter_mut().zip(pixel).zip(&params.scale).zip(&params.offset) {
                    *slot = clamp.apply(x * scale + offset);
                }
            }
        }
    }
}

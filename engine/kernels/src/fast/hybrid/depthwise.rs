//! The dynamic-range depthwise convolution, on floats that are whole numbers.
//!
//! A product of an activation and a weight is a whole number below 2^15 in magnitude; while a sum of them stays below 2^24, floats hold
//! it exactly, in any order. So the float kernel computes the very sums, as fast as it is.

use super::dynamic::{Dynamic, ToWhole};
use crate::fast::depthwise::FloatDepthwise;
use crate::fast::isa::{FloatIsa, Isa};
use crate::fast::plane::{View, ViewMut};
use crate::fast::simd::{FloatTask, Floats};
use crate::quantized::ClampF32;
use crate::shape::DepthwiseConv2dShape;

/// Most taps whose sums floats hold exactly: of products of 255 and 128 at most.
const MOST_TAPS: usize = (1 << 24) / (255 * 128);

/// A dynamic-range depthwise convolution, as [`depthwise_conv2d_hybrid`](crate::reference::depthwise_conv2d_hybrid) defines it.
#[derive(Debug, Clone)]
pub struct HybridDepthwise {
    isa: FloatIsa,
    sums: FloatDepthwise,
    /// Of each output channel.
    scales: Vec<f32>,
    bias: Vec<f32>,
    clamp: ClampF32,
}

impl HybridDepthwise {
    /// Packs the weights, `[1, k_h, k_w, out_c]`, for `isa`, which must be available; `weight_scales` has one element per output
    /// channel or a single one. `shape.batch` is 1. `None` for windows of more than 514 taps.
    pub fn new(
        isa: Isa,
        shape: &DepthwiseConv2dShape,
        weight_scales: &[f32],
        clamp: ClampF32,
        weights: &[i8],
        bias: Option<&[f32]>,
    ) -> Option<Self> {
        if shape.k_h * shape.k_w > MOST_TAPS {
            return None;
        }
        let channels = shape.out_c();
        assert!(
            weight_scales.len() == 1 || weight_scales.len() == channels,
            "{} weight scales for {channels} channels",
            weight_scales.len()
        );
        assert!(
            bias.is_none_or(|bias| bias.len() == channels),
            "one bias per output channel"
        );
        let whole: Vec<f32> = weights.iter().map(|&w| w.into()).collect();
        let unbounded = ClampF32 {
            min: f32::MIN,
            max: f32::MAX,
        };
        Some(Self {
            isa: FloatIsa::new(isa),
            sums: FloatDepthwise::new(isa, shape, &whole, None, unbounded),
            scales: weight_scales.iter().copied().cycle().take(channels).collect(),
            bias: bias.map_or_else(|| vec![0.0; channels], <[f32]>::to_vec),
            clamp,
        })
    }

    /// Convolves `input`, whose border is filled with `0.0` and is at least
    /// [`Border::of_depthwise`](crate::fast::Border::of_depthwise). `scratch` is as long as the input's buffer, or longer.
    pub fn run(&self, input: View<'_, f32>, scratch: &mut [f32], mut output: ViewMut<'_, f32>) {
        let plane = input.plane();
        assert!(
            scratch.len() >= plane.len(),
            "a scratch of {} elements is too short for {plane:?}",
            scratch.len()
        );
        let scratch = &mut scratch[..plane.len()];
        // The border is zero, which any range includes and any quantization has as an integer: it is quantized along.
        let quantization = self.isa.run(ToWhole {
            dynamic: Dynamic::Asymmetric,
            input: &input.data()[..plane.len()],
            output: scratch,
        });
        let to = *output.plane();
        self.sums
            .run(View::new(plane, scratch), ViewMut::new(&to, output.data()));
        self.isa.run(Scale {
            layer: self,
            unit: quantization.scale,
            output,
        });
    }
}

/// Scales sums to real numbers.
struct Scale<'a> {
    layer: &'a HybridDepthwise,
    unit: f32,
    output: ViewMut<'a, f32>,
}

impl FloatTask for Scale<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self {
            layer,
            unit,
            mut output,
        } = self;
        let channels = layer.scales.len();
        for row in output.plane().rows() {
            for pixel in output.data()[row].chunks_exact_mut(channels.max(1)) {
                for ((x, &by), &bias) in pixel.iter_mut().zip(&layer.scales).zip(&layer.bias) {
                    *x = layer.clamp.apply(*x * (by * unit) + bias);
                }
            }
        }
    }
}

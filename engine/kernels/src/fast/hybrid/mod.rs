//! Dynamic range: `f32` activations, `i8` weights. Activations are quantized when they arrive, by their own range; the sums of
//! products are scaled back to real numbers. Results equal those of [`reference::conv2d_hybrid`](crate::reference::conv2d_hybrid)
//! and [`fully_connected_hybrid`](crate::reference::fully_connected_hybrid) in every bit: sums are integers, and the few float
//! operations after them keep the reference's order. (The transposed convolution is not like that: see [`HybridTransposeConv`].)
#![expect(
    unsafe_code,
    reason = "stores outputs through pointers; bounds are checked once per call"
)]

mod depthwise;
mod dynamic;
mod transpose_conv;

pub use depthwise::HybridDepthwise;
pub use transpose_conv::HybridTransposeConv;

use super::Isa;
use super::conv::Geometry;
use super::dense::{channels, rows};
use super::isa::FloatIsa;
use super::plane::{View, ViewMut};
use super::product::{self, Output, PackedInts, Panel, Pixels, Walk};
use super::requantize::BIAS;
use super::simd::{Floats, Ints, Task};
use crate::quantized::{ClampF32, Quantization};
use crate::shape::{Conv2dShape, FullyConnectedShape};
use dynamic::{Dynamic, ToBytes};

/// A dynamic-range convolution.
#[derive(Debug, Clone)]
pub struct HybridConv {
    geometry: Geometry,
    layer: Layer,
    quantize: Dynamic,
    order: Order,
}

impl HybridConv {
    /// Packs the weights, `[out_c, k_h, k_w, in_c / groups]`, for `isa`, which must be available; `weight_scales` has one element
    /// per output channel or a single one. `shape.batch` is 1.
    pub fn new(
        isa: Isa,
        shape: &Conv2dShape,
        weight_scales: &[f32],
        clamp: ClampF32,
        weights: &[i8],
        bias: Option<&[f32]>,
    ) -> Self {
        let geometry = Geometry::new(shape);
        let layer = Layer::new(
            isa,
            geometry.groups(),
            geometry.segments(),
            weight_scales,
            clamp,
            weights,
            bias,
        );
        let equal = weight_scales.windows(2).all(|pair| pair[0] == pair[1]);
        let (quantize, order) = if equal && shape.groups == 1 {
            (Dynamic::Symmetric, Order::ScalesFirst)
        } else {
            (Dynamic::Asymmetric, Order::SumFirst)
        };
        Self {
            geometry,
            layer,
            quantize,
            order,
        }
    }

    /// Convolves `input`, whose border is filled with `0.0` and is at least [`Border::of_conv`](super::Border::of_conv). `scratch` is
    /// as long as the input's buffer, or longer.
    pub fn run(&self, input: View<'_, f32>, scratch: &mut [u8], mut output: ViewMut<'_, f32>) {
        let plane = input.plane();
        let (from, to) = (self.geometry.from(plane, output.plane()), Pixels::of(output.plane()));
        assert!(
            scratch.len() >= plane.len(),
            "a scratch of {} bytes is too short for {plane:?}",
            scratch.len()
        );
        let scratch = &mut scratch[..plane.len()];
        // The border is zero, which any range includes and any quantization has as an integer: it is quantized along.
        let quantization = self
            .layer
            .quantize(self.quantize, &input.data()[..plane.len()], scratch);
        let scaler = Scaler {
            layer: &self.layer,
            quantizations: &[quantization],
            row_len: usize::MAX,
            order: self.order,
        };
        let walk = self.geometry.walk(plane);
        self.layer
            .packed
            .run(walk, (scratch, from), (Output::Reals(&scaler, output.data()), to));
    }
}

/// A dynamic-range fully connected layer.
#[derive(Debug, Clone)]
pub struct HybridDense {
    shape: FullyConnectedShape,
    layer: Layer,
}

impl HybridDense {
    /// Packs the weights, `[out_features, in_features]`, for `isa`, which must be available; `weight_scales` has one element per
    /// output or a single one.
    pub fn new(
        isa: Isa,
        shape: &FullyConnectedShape,
        weight_scales: &[f32],
        clamp: ClampF32,
        weights: &[i8],
        bias: Option<&[f32]>,
    ) -> Self {
        let segments = [1, shape.in_features];
        let layer = Layer::new(isa, channels(shape), segments, weight_scales, clamp, weights, bias);
        Self { shape: *shape, layer }
    }

    /// Bytes of scratch.
    pub fn scratch(&self) -> usize {
        self.shape.in_features * self.shape.rows.min(TOGETHER)
    }

    /// Multiplies the rows of `input`, `[rows, in_features]`, each quantized by its own range. `scratch` has
    /// [`HybridDense::scratch`] elements, or more.
    pub fn run(&self, input: &[f32], scratch: &mut [u8], output: &mut [f32]) {
        let FullyConnectedShape {
            in_features,
            out_features,
            ..
        } = self.shape;
        rows(&self.shape, input.len(), output.len());
        assert!(
            scratch.len() >= self.scratch(),
            "a scratch of {} bytes for rows of {in_features}",
            scratch.len()
        );
        let mut quantizations = [Quantization::new(1.0, 0); TOGETHER];
        let inputs = input.chunks(TOGETHER * in_features.max(1));
        for (input, output) in inputs.zip(output.chunks_mut(TOGETHER * out_features.max(1))) {
            let scratch = &mut scratch[..input.len()];
            let count = input.len() / in_features.max(1);
            for ((quantization, input), bytes) in quantizations
                .iter_mut()
                .zip(input.chunks_exact(in_features))
                .zip(scratch.chunks_exact_mut(in_features))
            {
                *quantization = self.layer.quantize(Dynamic::Asymmetric, input, bytes);
            }
            let scaler = Scaler {
                layer: &self.layer,
                quantizations: &quantizations[..count],
                row_len: out_features.max(1),
                order: Order::ScalesFirst,
            };
            let (from, to) = (Pixels::rows(count, in_features), Pixels::rows(count, out_features));
            let output = Output::Reals(&scaler, output);
            self.layer
                .packed
                .run(Walk::row(in_features), (scratch, from), (output, to));
        }
    }
}

/// Rows that a fully connected layer quantizes before it multiplies them, so that weights are read once for all of them.
const TOGETHER: usize = 64;

/// Which of the products of a sum, the scale of its weights and the scale of the activations comes first.
#[derive(Debug, Clone, Copy)]
enum Order {
    SumFirst,
    ScalesFirst,
}

/// Packed weights, and what scales their sums, per lane.
#[derive(Debug, Clone)]
struct Layer {
    isa: FloatIsa,
    packed: PackedInts,
    /// Sums of the weights, which the activations' zero point is multiplied by.
    sums: Vec<i32>,
    scales: Vec<f32>,
    bias: Vec<f32>,
    clamp: ClampF32,
}

impl Layer {
    fn new(
        isa: Isa,
        groups: [usize; 3],
        segments: [usize; 2],
        weight_scales: &[f32],
        clamp: ClampF32,
        weights: &[i8],
        bias: Option<&[f32]>,
    ) -> Self {
        let channels = groups[0] * groups[1];
        assert!(
            weight_scales.len() == 1 || weight_scales.len() == channels,
            "{} weight scales for {channels} channels",
            weight_scales.len()
        );
        assert!(
            bias.is_none_or(|bias| bias.len() == channels),
            "one bias per output channel"
        );
        let packed = PackedInts::new(isa, product::Order::Straight, groups, segments, weights, None, 0);
        let depth = segments[0] * segments[1];
        let sum = |channel: usize| {
            let row = &weights[channel * depth..][..depth];
            row.iter().fold(0_i32, |sum, &w| sum.wrapping_add(i32::from(w)))
        };
        let scale = |channel: usize| {
            if weight_scales.len() == 1 {
                weight_scales[0]
            } else {
                weight_scales[channel]
            }
        };
        let lanes = || packed.channels().iter();
        Self {
            isa: FloatIsa::new(isa),
            sums: lanes().map(|channel| channel.map_or(0, sum)).collect(),
            scales: lanes().map(|channel| channel.map_or(0.0, scale)).collect(),
            bias: lanes()
                .map(|channel| {
                    channel
                        .and_then(|channel| bias.map(|bias| bias[channel]))
                        .unwrap_or(0.0)
                })
                .collect(),
            packed,
            clamp,
        }
    }

    /// Quantizes activations as [`quantize_dynamic`] and [`quantize_dynamic_symmetric`] do, to bytes.
    fn quantize(&self, dynamic: Dynamic, input: &[f32], output: &mut [u8]) -> Quantization {
        self.isa.run(ToBytes { dynamic, input, output })
    }
}

/// Scales sums of products to real numbers.
#[derive(Debug)]
pub(super) struct Scaler<'a> {
    layer: &'a Layer,
    /// Of all activations, or of each row of `row_len` outputs.
    quantizations: &'a [Quantization],
    row_len: usize,
    order: Order,
}

impl Scaler<'_> {
    /// Number of lanes.
    pub(super) fn lanes(&self) -> usize {
        self.layer.sums.len()
    }

    /// Stores the rows of `acc` for the channels of `panel`, row `r` at `to[r] + panel.channel`.
    ///
    /// # Safety
    /// `panel.channels` elements at each of these indices of `output` are writable; the panel's lanes are this layer's.
    #[inline(always)]
    pub(super) unsafe fn finish<S: Ints, const VECTORS: usize>(
        &self,
        simd: S,
        panel: &Panel,
        acc: &[[S::V; VECTORS]],
        output: *mut f32,
        to: &[u32],
    ) {
        simd.call(ScaleTile {
            scaler: self,
            panel,
            acc,
            output,
            to,
        });
    }
}

struct ScaleTile<'a, V, const VECTORS: usize> {
    scaler: &'a Scaler<'a>,
    panel: &'a Panel,
    acc: &'a [[V; VECTORS]],
    output: *mut f32,
    to: &'a [u32],
}

impl<S: Ints, const VECTORS: usize> Task<S> for ScaleTile<'_, S::V, VECTORS> {
    type Out = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Self {
            scaler:
                Scaler {
                    layer,
                    quantizations,
                    row_len,
                    order,
                },
            panel,
            acc,
            output,
            to,
        } = self;
        let (lanes, reals) = (S::INT_LANES, simd.reals());
        let count = VECTORS * lanes;
        let weight_sums = &layer.sums[panel.slot..][..count];
        let scales = &layer.scales[panel.slot..][..count];
        let bias = &layer.bias[panel.slot..][..count];
        let (low, high) = (reals.splat(layer.clamp.min), reals.splat(layer.clamp.max));
        for (acc, &to) in acc.iter().zip(to) {
            let quantization = quantizations[to as usize / row_len];
            let (zero, unit) = (
                simd.splat_int(quantization.zero_point + BIAS),
                reals.splat(quantization.scale),
            );
            for (v, &acc) in acc.iter().enumerate() {
                let first = v * lanes;
                let n = (panel.channels - first).min(lanes);
                // SAFETY: the three slices have an element per lane; the panel's channels are writable, as `Scaler::finish` was promised.
                unsafe {
                    let weights = simd.load_int(weight_sums.as_ptr().add(first));
                    let scale = reals.load(scales.as_ptr().add(first));
                    let sum = simd.to_reals(simd.sub_int(acc, simd.mul_int(zero, weights)));
                    let scaled = match order {
                        Order::SumFirst => reals.mul(reals.mul(sum, scale), unit),
                        Order::ScalesFirst => reals.mul(sum, reals.mul(scale, unit)),
                    };
                    let real = reals.clamp(reals.add(scaled, reals.load(bias.as_ptr().add(first))), low, high);
                    let to = output.add(to as usize + panel.channel + first);
                    // A whole vector costs less than one under a mask.
                    if n == lanes {
                        reals.store(to, real);
                    } else {
                        reals.store_first(to, n, real);
                    }
                }
            }
        }
    }
}

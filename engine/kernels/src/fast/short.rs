//! Sums of products of 16-bit activations and 8-bit weights, by the kernels of bytes.
//!
//! An activation is `256 · high + low` with `high` in −128 ..= 127 and `low` in 0 ..= 255: two bytes, each of which the kernels of bytes
//! multiply and sum in 32 bits. The two sums make the 64-bit one that [`conv2d_i16`](crate::reference::conv2d_i16) and its
//! like define: results equal theirs in every bit. Depthwise convolutions go through floats, whose sums of products of two bytes
//! are exact while there are no more than 514 taps.

use super::conv::Geometry;
use super::dense::{channels, rows};
use super::depthwise::FloatDepthwise;
use super::isa::{FloatIsa, Isa};
use super::plane::{Plane, View, ViewMut, assert_same_image};
use super::product::{Order, Output, PackedInts, Pixels, Walk};
use super::simd::{FloatTask, Floats};
use crate::quantized::{ClampF32, LinearParams};
use crate::shape::{Conv2dShape, DepthwiseConv2dShape, FullyConnectedShape};

/// What becomes of the sums of a layer.
#[derive(Debug, Clone)]
struct Finish {
    params: LinearParams,
    /// One for each output channel.
    bias: Vec<i64>,
}

impl Finish {
    fn new(params: &LinearParams, bias: Option<&[i64]>, channels: usize) -> Self {
        assert!(
            bias.is_none_or(|bias| bias.len() == channels),
            "one bias per output channel"
        );
        Self {
            params: params.clone(),
            bias: bias.map_or_else(|| vec![0; channels], <[i64]>::to_vec),
        }
    }

    /// The pixels `to` of `output`, from the sums of their high and of their low bytes, in halves of `sums`.
    fn apply<T: Copy>(&self, sums: &[T], (output, to): (&mut [i16], Pixels), whole: impl Fn(T) -> i64) {
        let n = self.bias.len();
        let (high, low) = sums.split_at(sums.len() / 2);
        let mut pixels = high.chunks_exact(n.max(1)).zip(low.chunks_exact(n.max(1)));
        for y in 0..to.height {
            for (x, (high, low)) in (0..to.width).zip(&mut pixels) {
                let slots = &mut output[to.origin + y * to.row_step + x * to.step..][..n];
                for (channel, (slot, (&high, &low))) in slots.iter_mut().zip(high.iter().zip(low)).enumerate() {
                    let sum = 256 * whole(high) + whole(low);
                    *slot = self
                        .params
                        .requantize_wide(channel, self.bias[channel].wrapping_add(sum));
                }
            }
        }
    }
}

/// High bytes plus 128, and low bytes: what the kernels of bytes read.
struct Halve<'a> {
    input: &'a [i16],
    high: &'a mut [u8],
    low: &'a mut [u8],
}

impl FloatTask for Halve<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        for ((&x, high), low) in self.input.iter().zip(self.high).zip(self.low) {
            *high = ((x as u16 >> 8) as u8) ^ 0x80;
            *low = x as u8;
        }
    }
}

/// Packed weights, of which the sums of high bytes start from minus 128 times their own sum.
#[derive(Debug, Clone)]
struct Layer {
    isa: FloatIsa,
    high: PackedInts,
    low: PackedInts,
    finish: Finish,
}

impl Layer {
    fn new(
        isa: Isa,
        groups: [usize; 3],
        segments: [usize; 2],
        params: &LinearParams,
        weights: &[i8],
        bias: Option<&[i64]>,
    ) -> Self {
        Self {
            isa: FloatIsa::new(isa),
            high: PackedInts::new(isa, Order::Straight, groups, segments, weights, None, 128),
            low: PackedInts::new(isa, Order::Straight, groups, segments, weights, None, 0),
            finish: Finish::new(params, bias, groups[0] * groups[1]),
        }
    }

    /// The sums of all pixels of `dense`, an image without a border, high and low.
    fn sums(&self, walk: Walk, (input, from): (&[i16], Pixels), to: Pixels, bytes: &mut [u8], sums: &mut [i32]) {
        let (high_bytes, low_bytes) = bytes[..2 * input.len()].split_at_mut(input.len());
        self.isa.run(Halve {
            input,
            high: high_bytes,
            low: low_bytes,
        });
        let (high, low) = sums.split_at_mut(sums.len() / 2);
        self.high.run(walk, (high_bytes, from), (Output::Sums(high), to));
        self.low.run(walk, (low_bytes, from), (Output::Sums(low), to));
    }
}

/// A convolution of 16-bit activations.
#[derive(Debug, Clone)]
pub struct ShortConv {
    geometry: Geometry,
    layer: Layer,
}

impl ShortConv {
    /// Packs the weights, `[out_c, k_h, k_w, in_c / groups]`, for `isa`, which must be available. `shape.batch` is 1.
    pub fn new(isa: Isa, shape: &Conv2dShape, params: &LinearParams, weights: &[i8], bias: Option<&[i64]>) -> Self {
        let geometry = Geometry::new(shape);
        let layer = Layer::new(isa, geometry.groups(), geometry.segments(), params, weights, bias);
        Self { geometry, layer }
    }

    /// Convolves `input`, whose border is 0 and at least [`Border::of_conv`](super::Border::of_conv). `bytes` has two elements for each
    /// of the input's buffer, `sums` two for each output.
    pub fn run(&self, input: View<'_, i16>, bytes: &mut [u8], sums: &mut [i32], mut output: ViewMut<'_, i16>) {
        assert_same_image(output.plane(), &self.geometry.output());
        let to = Pixels::of(output.plane());
        self.run_to(input, bytes, sums, (output.data(), to));
    }

    /// [`ShortConv::run`], to pixels that may lie anywhere.
    pub(super) fn run_to(
        &self,
        input: View<'_, i16>,
        bytes: &mut [u8],
        sums: &mut [i32],
        output: (&mut [i16], Pixels),
    ) {
        let dense = self.geometry.output();
        let from = self.geometry.from(input.plane(), &dense);
        let walk = self.geometry.walk(input.plane());
        let sums = &mut sums[..2 * dense.len()];
        let data = &input.data()[..input.plane().len()];
        self.layer.sums(walk, (data, from), Pixels::of(&dense), bytes, sums);
        self.layer.finish.apply(sums, output, i64::from);
    }
}

/// A fully connected layer of 16-bit activations.
#[derive(Debug, Clone)]
pub struct ShortDense {
    shape: FullyConnectedShape,
    layer: Layer,
}

impl ShortDense {
    /// Packs the weights, `[out_features, in_features]`, for `isa`, which must be available.
    pub fn new(
        isa: Isa,
        shape: &FullyConnectedShape,
        params: &LinearParams,
        weights: &[i8],
        bias: Option<&[i64]>,
    ) -> Self {
        let layer = Layer::new(isa, channels(shape), [1, shape.in_features], params, weights, bias);
        Self { shape: *shape, layer }
    }

    /// Multiplies the rows of `input`, `[rows, in_features]`. `bytes` has two elements for each input, `sums` two for each output.
    pub fn run(&self, input: &[i16], bytes: &mut [u8], sums: &mut [i32], output: &mut [i16]) {
        let (from, to) = rows(&self.shape, input.len(), output.len());
        let sums = &mut sums[..2 * output.len()];
        self.layer
            .sums(Walk::row(self.shape.in_features), (input, from), to, bytes, sums);
        self.layer.finish.apply(sums, (output, to), i64::from);
    }
}

/// A depthwise convolution of 16-bit activations.
#[derive(Debug, Clone)]
pub struct ShortDepthwise {
    isa: FloatIsa,
    sums: FloatDepthwise,
    finish: Finish,
}

/// Most taps whose sums of products of a byte and a weight floats hold exactly.
const MOST_TAPS: usize = (1 << 24) / (255 * 128);

impl ShortDepthwise {
    /// Packs the weights, `[1, k_h, k_w, out_c]`, for `isa`, which must be available. `shape.batch` is 1. `None` for windows of more
    /// than 514 taps.
    pub fn new(
        isa: Isa,
        shape: &DepthwiseConv2dShape,
        params: &LinearParams,
        weights: &[i8],
        bias: Option<&[i64]>,
    ) -> Option<Self> {
        let whole: Vec<f32> = weights.iter().map(|&w| w.into()).collect();
        let unbounded = ClampF32 {
            min: f32::MIN,
            max: f32::MAX,
        };
        (shape.k_h * shape.k_w <= MOST_TAPS).then(|| Self {
            isa: FloatIsa::new(isa),
            sums: FloatDepthwise::new(isa, shape, &whole, None, unbounded),
            finish: Finish::new(params, bias, shape.out_c()),
        })
    }

    /// Convolves `input`, whose border is 0 and at least [`Border::of_depthwise`](super::Border::of_depthwise). `scratch` has an element
    /// for each of the input's buffer and two for each output.
    pub fn run(&self, input: View<'_, i16>, scratch: &mut [f32], mut output: ViewMut<'_, i16>) {
        let plane = *output.plane();
        let dense = Plane::dense(plane.height, plane.width, plane.channels);
        let (bytes, sums) = scratch.split_at_mut(input.plane().len());
        let sums = &mut sums[..2 * dense.len()];
        let (high, low) = sums.split_at_mut(dense.len());
        for (half, sums) in [(Half::High, high), (Half::Low, low)] {
            self.isa.run(ToFloats {
                input: input.data(),
                half,
                output: bytes,
            });
            self.sums
                .run(View::new(input.plane(), bytes), ViewMut::new(&dense, sums));
        }
        // Whole numbers below 2^24.
        self.finish
            .apply(sums, (output.data(), Pixels::of(&plane)), |sum: f32| sum as i64);
    }
}

/// A part of a 16-bit integer.
#[derive(Clone, Copy, PartialEq)]
enum Half {
    High,
    Low,
}

struct ToFloats<'a> {
    input: &'a [i16],
    half: Half,
    output: &'a mut [f32],
}

impl FloatTask for ToFloats<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let pairs = self.output.iter_mut().zip(self.input);
        if self.half == Half::High {
            pairs.for_each(|(slot, &x)| *slot = f32::from(x >> 8));
        } else {
            pairs.for_each(|(slot, &x)| *slot = f32::from(x & 0xff));
        }
    }
}

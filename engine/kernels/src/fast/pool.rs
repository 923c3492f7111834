//! Pooling: maximum and average over a sliding window, and the mean over the whole image.
//!
//! Windows are clipped to the image; the border takes no part. Loops run over the channels of a pixel and become vectors by
//! themselves; every channel's sum has the order of the reference, so float results are equal in every bit, too.

use super::isa::{FloatIsa, Isa};
use super::plane::{Plane, View, ViewMut, assert_same_image};
use super::requantize::BIAS;
use super::simd::{FloatTask, Floats};
use crate::quantized::{ClampF32, ClampInt};
use crate::reference::MeanParams;
use crate::shape::Pool2dShape;
use std::ops::Range;

/// Largest value under the window, as [`max_pool2d_f32`](crate::reference::max_pool2d_f32).
pub fn max_pool_f32(isa: Isa, shape: &Pool2dShape, clamp: ClampF32, input: View<'_, f32>, output: ViewMut<'_, f32>) {
    pool(isa, MaxFloat(clamp), shape, input, output);
}

/// Mean of the values under the window, as [`average_pool2d_f32`](crate::reference::average_pool2d_f32).
pub fn average_pool_f32(
    isa: Isa,
    shape: &Pool2dShape,
    clamp: ClampF32,
    input: View<'_, f32>,
    output: ViewMut<'_, f32>,
) {
    pool(isa, AverageFloat(clamp), shape, input, output);
}

/// Largest value under the window, as [`max_pool2d_i8`](crate::reference::max_pool2d_i8) on bytes `q + 128`.
pub fn max_pool_int(isa: Isa, shape: &Pool2dShape, clamp: ClampInt, input: View<'_, u8>, output: ViewMut<'_, u8>) {
    pool(isa, MaxInt(clamp), shape, input, output);
}

/// Mean of the values under the window, as [`average_pool2d_i8`](crate::reference::average_pool2d_i8) on bytes `q + 128`.
pub fn average_pool_int(isa: Isa, shape: &Pool2dShape, clamp: ClampInt, input: View<'_, u8>, output: ViewMut<'_, u8>) {
    pool(isa, AverageInt(clamp), shape, input, output);
}

/// Largest value under the window, as [`max_pool2d_i16`](crate::reference::max_pool2d_i16).
pub fn max_pool_short(isa: Isa, shape: &Pool2dShape, clamp: ClampInt, input: View<'_, i16>, output: ViewMut<'_, i16>) {
    pool(isa, MaxShort(clamp), shape, input, output);
}

/// Mean of the values under the window, as [`average_pool2d_i16`](crate::reference::average_pool2d_i16).
pub fn average_pool_short(
    isa: Isa,
    shape: &Pool2dShape,
    clamp: ClampInt,
    input: View<'_, i16>,
    output: ViewMut<'_, i16>,
) {
    pool(isa, AverageShort(clamp), shape, input, output);
}

/// Mean of each channel, as [`mean_f32`](crate::reference::mean_f32) over height and width.
pub fn global_mean_f32(isa: Isa, input: View<'_, f32>, output: &mut [f32]) {
    global(isa, MeanFloat, input, output);
}

/// Mean of each channel, as [`mean_i8`](crate::reference::mean_i8) over height and width on bytes `q + 128`.
pub fn global_mean_int(isa: Isa, params: &MeanParams, input: View<'_, u8>, output: &mut [u8]) {
    global(isa, MeanInt(params), input, output);
}

/// How the values of a channel come together.
trait Gather {
    type Value: Copy;
    type Sum: Copy;

    const START: Self::Sum;

    fn add(&self, sum: Self::Sum, value: Self::Value) -> Self::Sum;

    fn finish(&self, sum: Self::Sum, count: usize) -> Self::Value;
}

struct MaxFloat(ClampF32);

impl Gather for MaxFloat {
    type Value = f32;
    type Sum = f32;

    const START: f32 = f32::MIN;

    #[inline(always)]
    fn add(&self, sum: f32, value: f32) -> f32 {
        if value > sum { value } else { sum }
    }

    #[inline(always)]
    fn finish(&self, sum: f32, _: usize) -> f32 {
        self.0.apply(sum)
    }
}

struct AverageFloat(ClampF32);

impl Gather for AverageFloat {
    type Value = f32;
    type Sum = f32;

    const START: f32 = 0.0;

    #[inline(always)]
    fn add(&self, sum: f32, value: f32) -> f32 {
        sum + value
    }

    #[inline(always)]
    fn finish(&self, sum: f32, count: usize) -> f32 {
        self.0.apply(if count == 0 { 0.0 } else { sum / count as f32 })
    }
}

struct MaxInt(ClampInt);

impl Gather for MaxInt {
    type Value = u8;
    type Sum = u8;

    const START: u8 = 0;

    #[inline(always)]
    fn add(&self, sum: u8, value: u8) -> u8 {
        sum.max(value)
    }

    #[inline(always)]
    fn finish(&self, sum: u8, _: usize) -> u8 {
        self.0.apply::<i8>(i32::from(sum) - BIAS) as u8 ^ 0x80
    }
}

struct AverageInt(ClampInt);

impl Gather for AverageInt {
    type Value = u8;
    type Sum = i32;

    const START: i32 = 0;

    #[inline(always)]
    fn add(&self, sum: i32, value: u8) -> i32 {
        sum + i32::from(value)
    }

    #[inline(always)]
    fn finish(&self, sum: i32, count: usize) -> u8 {
        let count = count as i32;
        let sum = sum - BIAS * count;
        let half = if sum > 0 { count / 2 } else { -(count / 2) };
        self.0.apply::<i8>((sum + half).checked_div(count).unwrap_or(0)) as u8 ^ 0x80
    }
}

struct MaxShort(ClampInt);

impl Gather for MaxShort {
    type Value = i16;
    type Sum = i16;

    const START: i16 = i16::MIN;

    #[inline(always)]
    fn add(&self, sum: i16, value: i16) -> i16 {
        sum.max(value)
    }

    #[inline(always)]
    fn finish(&self, sum: i16, _: usize) -> i16 {
        self.0.apply(sum.into())
    }
}

struct AverageShort(ClampInt);

impl Gather for AverageShort {
    type Value = i16;
    type Sum = i32;

    const START: i32 = 0;

    #[inline(always)]
    fn add(&self, sum: i32, value: i16) -> i32 {
        sum.wrapping_add(i32::from(value))
    }

    #[inline(always)]
    fn finish(&self, sum: i32, count: usize) -> i16 {
        let count = count as i32;
        let half = if sum > 0 { count / 2 } else { -(count / 2) };
        self.0.apply(sum.wrapping_add(half).checked_div(count).unwrap_or(0))
    }
}

struct MeanFloat;

impl Gather for MeanFloat {
    type Value = f32;
    type Sum = f32;

    const START: f32 = 0.0;

    #[inline(always)]
    fn add(&self, sum: f32, value: f32) -> f32 {
        sum + value
    }

    #[inline(always)]
    fn finish(&self, sum: f32, count: usize) -> f32 {
        if count == 0 { 0.0 } else { sum / count as f32 }
    }
}

struct MeanInt<'a>(&'a MeanParams);

impl Gather for MeanInt<'_> {
    type Value = u8;
    type Sum = i32;

    const START: i32 = 0;

    #[inline(always)]
    fn add(&self, sum: i32, value: u8) -> i32 {
        sum.wrapping_add(i32::from(value))
    }

    #[inline(always)]
    fn finish(&self, sum: i32, count: usize) -> u8 {
        let zero = (count as i32).wrapping_mul(self.0.input_zero_point + BIAS);
        let scaled = self.0.multiplier.apply_double(sum.wrapping_sub(zero));
        ClampInt::I8.apply::<i8>(scaled.saturating_add(self.0.output_zero_point)) as u8 ^ 0x80
    }
}

fn pool<G: Gather>(isa: Isa, gather: G, shape: &Pool2dShape, input: View<'_, G::Value>, output: ViewMut<'_, G::Value>) {
    assert_eq!(shape.batch, 1, "fast kernels run one sample at a time");
    assert_same_image(input.plane(), &Plane::dense(shape.in_h, shape.in_w, shape.channels));
    assert_same_image(output.plane(), &Plane::dense(shape.out_h, shape.out_w, shape.channels));
    FloatIsa::new(isa).run(Slide {
        gather,
        shape,
        input,
        output,
    });
}

fn global<G: Gather>(isa: Isa, gather: G, input: View<'_, G::Value>, output: &mut [G::Value]) {
    assert_eq!(output.len(), input.plane().channels, "one mean per channel");
    FloatIsa::new(isa).run(Whole { gather, input, output });
}

/// All windows of an image.
struct Slide<'a, G: Gather> {
    gather: G,
    shape: &'a Pool2dShape,
    input: View<'a, G::Value>,
    output: ViewMut<'a, G::Value>,
}

impl<G: Gather> FloatTask for Slide<'_, G> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self {
            gather,
            shape,
            input,
            mut output,
        } = self;
        let plane = *output.plane();
        for y in 0..shape.out_h {
            let rows = clip(y, shape.stride_h, shape.k_h, shape.pad_top, shape.in_h);
            for x in 0..shape.out_w {
                let columns = clip(x, shape.stride_w, shape.k_w, shape.pad_left, shape.in_w);
                let to = &mut output.data()[plane.at(y, x)..][..shape.channels];
                window(&gather, &input, rows.clone(), columns, to);
            }
        }
    }
}

/// The image as one window.
struct Whole<'a, G: Gather> {
    gather: G,
    input: View<'a, G::Value>,
    output: &'a mut [G::Value],
}

impl<G: Gather> FloatTask for Whole<'_, G> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self { gather, input, output } = self;
        window(&gather, &input, 0..input.plane().height, 0..input.plane().width, output);
    }
}

/// The rows or columns of the image that are under a window.
fn clip(out: usize, stride: usize, kernel: usize, pad: usize, len: usize) -> Range<usize> {
    let first = (out * stride).saturating_sub(pad);
    first..(out * stride + kernel).saturating_sub(pad).clamp(first, len.max(first))
}

/// One output pixel.
#[inline(always)]
fn window<G: Gather>(
    gather: &G,
    input: &View<'_, G::Value>,
    rows: Range<usize>,
    columns: Range<usize>,
    to: &mut [G::Value],
) {
    let under = [rows, columns];
    let at = blocks::<32, G>(gather, input, &under, to, 0);
    let at = blocks::<8, G>(gather, input, &under, to, at);
    blocks::<1, G>(gather, input, &under, to, at);
}

/// The channels from `at` on of a pixel, `N` at a time, as long as so many are left; returns where that ends. So many sums stay in
/// registers while the window passes.
#[inline(always)]
fn blocks<const N: usize, G: Gather>(
    gather: &G,
    input: &View<'_, G::Value>,
    [rows, columns]: &[Range<usize>; 2],
    to: &mut [G::Value],
    mut at: usize,
) -> usize {
    let plane = input.plane();
    while let Some(block) = to[at..].first_chunk_mut::<N>() {
        let mut sums = [G::START; N];
        for y in rows.clone() {
            let row = plane.at(y, columns.start) + at;
            for x in 0..columns.len() {
                let pixel = &input.data()[row + x * plane.channels..][..N];
                for i in 0..N {
                    sums[i] = gather.add(sums[i], pixel[i]);
                }
            }
        }
        for i in 0..N {
            block[i] = gather.finish(sums[i], rows.len() * columns.len());
        }
        at += N;
    }
    at
}

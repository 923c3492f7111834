//! Bilinear resizing: where each output pixel lies between input pixels is found once; the channels of a pixel are vectors.

use super::isa::{FloatIsa, Isa};
use super::simd::{FloatTask, Floats};
use crate::quantized::Integer;
use crate::reference::{Between, ONE_PIXEL};
use crate::shape::Resize2dShape;

/// Bilinear interpolation of floats, as [`resize_bilinear_f32`](crate::reference::resize_bilinear_f32) in every bit.
#[derive(Debug, Clone)]
pub struct FloatResize {
    shape: Resize2dShape,
    rows: Vec<Between<f32>>,
    columns: Vec<Between<f32>>,
}

/// Bilinear interpolation of integers, as [`resize_bilinear_i8`](crate::reference::resize_bilinear_i8). Inputs and outputs are
/// `i8`, bytes `q + 128`, or `i16`.
#[derive(Debug, Clone)]
pub struct IntResize {
    shape: Resize2dShape,
    rows: Vec<Between<i64>>,
    columns: Vec<Between<i64>>,
}

impl FloatResize {
    /// Finds the pixels.
    pub fn new(shape: &Resize2dShape) -> Self {
        Self {
            shape: *shape,
            rows: (0..shape.out_h)
                .map(|y| Between::real(y, shape.in_h, shape.out_h, shape.coordinates))
                .collect(),
            columns: (0..shape.out_w)
                .map(|x| Between::real(x, shape.in_w, shape.out_w, shape.coordinates))
                .collect(),
        }
    }

    /// Interpolates all samples.
    pub fn run(&self, isa: Isa, input: &[f32], output: &mut [f32]) {
        FloatIsa::new(isa).run(Each {
            shape: &self.shape,
            lines: [&self.rows, &self.columns],
            input,
            output,
            weigh: |y: f32, x: f32| [[1.0 - y, 1.0 - x], [1.0 - y, x], [y, 1.0 - x], [y, x]],
            // One product after the other, and the upper right corner after the lower left one, as the definition has it.
            mix: |[tl, tr, bl, br]: [f32; 4], [a, b, c, d]: [[f32; 2]; 4]| {
                tl * a[0] * a[1] + bl * c[0] * c[1] + tr * b[0] * b[1] + br * d[0] * d[1]
            },
        });
    }
}

impl IntResize {
    /// Finds the pixels.
    pub fn new(shape: &Resize2dShape) -> Self {
        Self {
            shape: *shape,
            rows: (0..shape.out_h)
                .map(|y| Between::fixed(y, shape.in_h, shape.out_h, shape.coordinates))
                .collect(),
            columns: (0..shape.out_w)
                .map(|x| Between::fixed(x, shape.in_w, shape.out_w, shape.coordinates))
                .collect(),
        }
    }

    /// Interpolates all samples of bytes.
    pub fn run_bytes(&self, isa: Isa, input: &[u8], output: &mut [u8]) {
        const ONE: i32 = (ONE_PIXEL * ONE_PIXEL) as i32;
        // Weights add up to 2^20, so that a sum of bytes has less than 28 bits.
        self.run(isa, input, output, |corners: [u8; 4], weights: [i64; 4]| {
            let mut sum = 0;
            for (corner, weight) in corners.into_iter().zip(weights) {
                sum += (i32::from(corner) - 128) * weight as i32;
            }
            let half = if sum > 0 { ONE / 2 } else { -ONE / 2 };
            i8::saturate((sum + half) / ONE) as u8 ^ 0x80
        });
    }

    /// Interpolates all samples of 16-bit integers.
    pub fn run_shorts(&self, isa: Isa, input: &[i16], output: &mut [i16]) {
        const ONE: i64 = ONE_PIXEL * ONE_PIXEL;
        self.run(isa, input, output, |corners: [i16; 4], weights: [i64; 4]| {
            let mut sum = 0;
            for (corner, weight) in corners.into_iter().zip(weights) {
                sum += i64::from(corner) * weight;
            }
            let half = if sum > 0 { ONE / 2 } else { -ONE / 2 };
            i16::saturate(((sum + half) / ONE) as i32)
        });
    }

    fn run<T: Copy>(&self, isa: Isa, input: &[T], output: &mut [T], mix: impl Fn([T; 4], [i64; 4]) -> T) {
        FloatIsa::new(isa).run(Each {
            shape: &self.shape,
            lines: [&self.rows, &self.columns],
            input,
            output,
            weigh: |y: i64, x: i64| {
                let (above, left) = (ONE_PIXEL - y, ONE_PIXEL - x);
                [above * left, above * x, y * left, y * x]
            },
            mix,
        });
    }
}

/// All output pixels: `mix` makes an element of those in the four corners around it, upper left and right, lower left and right, and of
/// what `weigh` makes of the fractions of the row and of the column.
struct Each<'a, T, F, W, M> {
    shape: &'a Resize2dShape,
    lines: [&'a [Between<F>]; 2],
    input: &'a [T],
    output: &'a mut [T],
    weigh: W,
    mix: M,
}

impl<T: Copy, F: Copy, Weights: Copy, W: Fn(F, F) -> Weights, M: Fn([T; 4], Weights) -> T> FloatTask
    for Each<'_, T, F, W, M>
{
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self {
            shape,
            lines: [rows, columns],
            input,
            output,
            weigh,
            mix,
        } = self;
        assert_eq!(
            (input.len(), output.len()),
            (shape.input_len(), shape.output_len()),
            "elements of input and output of {shape:?}"
        );
        assert!(
            output.is_empty() || !input.is_empty(),
            "an empty image cannot be enlarged"
        );
        let channels = shape.channels;
        let mut pixels = output.chunks_exact_mut(channels.max(1));
        for batch in 0..shape.batch {
            for y in rows {
                let [upper, lower] = [y.lower, y.upper].map(|y| (batch * shape.in_h + y) * shape.in_w);
                for (x, to) in columns.iter().zip(&mut pixels) {
                    let weights = weigh(y.fraction, x.fraction);
                    let corners = [
                        &input[(upper + x.lower) * channels..][..channels],
                        &input[(upper + x.upper) * channels..][..channels],
                        &input[(lower + x.lower) * channels..][..channels],
                        &input[(lower + x.upper) * channels..][..channels],
                    ];
                    let at = blocks::<16, T>(corners, to, 0, |corners| mix(corners, weights));
                    let at = blocks::<8, T>(corners, to, at, |corners| mix(corners, weights));
                    let at = blocks::<4, T>(corners, to, at, |corners| mix(corners, weights));
                    blocks::<1, T>(corners, to, at, |corners| mix(corners, weights));
                }
            }
        }
    }
}

/// The channels from `at` on of a pixel, `N` at a time, as long as so many are left; returns where that ends. A number that is known
/// makes vectors of them.
#[inline(always)]
fn blocks<const N: usize, T: Copy>(
    [a, b, c, d]: [&[T]; 4],
    to: &mut [T],
    mut at: usize,
    mix: impl Fn([T; 4]) -> T,
) -> usize {
    while let Some(block) = to[at..].first_chunk_mut::<N>() {
        let (Some(a), Some(b), Some(c), Some(d)) = (
            a[at..].first_chunk::<N>(),
            b[at..].first_chunk::<N>(),
            c[at..].first_chunk::<N>(),
            d[at..].first_chunk::<N>(),
        ) else {
            break;
        };
        for i in 0..N {
            block[i] = mix([a[i], b[i], c[i], d[i]]);
        }
        at += N;
    }
    at
}

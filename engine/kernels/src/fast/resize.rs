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
        check(&self.shape, input.len(), output.len());
        FloatIsa::new(isa).run(Floating {
            resize: self,
            input,
            output,
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
        self.run(isa, input, output, |byte| i32::from(byte) - 128, |q: i8| q as u8 ^ 0x80);
    }

    /// Interpolates all samples of 16-bit integers.
    pub fn run_shorts(&self, isa: Isa, input: &[i16], output: &mut [i16]) {
        self.run(isa, input, output, i32::from, |q: i16| q);
    }

    fn run<T: Copy, Q: Integer>(
        &self,
        isa: Isa,
        input: &[T],
        output: &mut [T],
        integer: impl Fn(T) -> i32 + Copy,
        stored: impl Fn(Q) -> T + Copy,
    ) {
        check(&self.shape, input.len(), output.len());
        let quotient = |sum: i64| {
            let half = if sum > 0 {
                ONE_PIXEL * ONE_PIXEL / 2
            } else {
                -ONE_PIXEL * ONE_PIXEL / 2
            };
            stored(Q::saturate(((sum + half) / (ONE_PIXEL * ONE_PIXEL)) as i32))
        };
        FloatIsa::new(isa).run(Fixed {
            resize: self,
            input,
            output,
            integer,
            quotient,
        });
    }
}

fn check(shape: &Resize2dShape, input: usize, output: usize) {
    assert_eq!(
        (input, output),
        (shape.input_len(), shape.output_len()),
        "elements of input and output of {shape:?}"
    );
    assert!(output == 0 || input > 0, "an empty image cannot be enlarged");
}

/// The four pixels around an output pixel: upper left and right, lower left and right.
#[inline(always)]
fn corners<'a, I, T>(
    shape: &Resize2dShape,
    batch: usize,
    y: &Between<T>,
    x: &Between<T>,
    input: &'a [I],
) -> [&'a [I]; 4] {
    let pixel = |y: usize, x: usize| {
        let at = ((batch * shape.in_h + y) * shape.in_w + x) * shape.channels;
        &input[at..][..shape.channels]
    };
    [
        pixel(y.lower, x.lower),
        pixel(y.lower, x.upper),
        pixel(y.upper, x.lower),
        pixel(y.upper, x.upper),
    ]
}

struct Floating<'a> {
    resize: &'a FloatResize,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl FloatTask for Floating<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self { resize, input, output } = self;
        let FloatResize { shape, rows, columns } = resize;
        let mut pixels = output.chunks_exact_mut(shape.channels.max(1));
        for batch in 0..shape.batch {
            for y in rows {
                for (x, to) in columns.iter().zip(&mut pixels) {
                    let [top_left, top_right, bottom_left, bottom_right] = corners(shape, batch, y, x, input);
                    let top = top_left.iter().zip(top_right);
                    let bottom = bottom_left.iter().zip(bottom_right);
                    for ((slot, (&top_left, &top_right)), (&bottom_left, &bottom_right)) in
                        to.iter_mut().zip(top).zip(bottom)
                    {
                        *slot = top_left * (1.0 - y.fraction) * (1.0 - x.fraction)
                            + bottom_left * y.fraction * (1.0 - x.fraction)
                            + top_right * (1.0 - y.fraction) * x.fraction
                            + bottom_right * y.fraction * x.fraction;
                    }
                }
            }
        }
    }
}

struct Fixed<'a, T, I, Q> {
    resize: &'a IntResize,
    input: &'a [T],
    output: &'a mut [T],
    integer: I,
    quotient: Q,
}

impl<T: Copy, I: Fn(T) -> i32, Q: Fn(i64) -> T> FloatTask for Fixed<'_, T, I, Q> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self {
            resize,
            input,
            output,
            integer,
            quotient,
        } = self;
        let IntResize { shape, rows, columns } = resize;
        let mut pixels = output.chunks_exact_mut(shape.channels.max(1));
        for batch in 0..shape.batch {
            for y in rows {
                for (x, to) in columns.iter().zip(&mut pixels) {
                    let [top_left, top_right, bottom_left, bottom_right] = corners(shape, batch, y, x, input);
                    let weights = [
                        (ONE_PIXEL - y.fraction) * (ONE_PIXEL - x.fraction),
                        (ONE_PIXEL - y.fraction) * x.fraction,
                        y.fraction * (ONE_PIXEL - x.fraction),
                        y.fraction * x.fraction,
                    ];
                    let top = top_left.iter().zip(top_right);
                    let bottom = bottom_left.iter().zip(bottom_right);
                    for ((slot, (&top_left, &top_right)), (&bottom_left, &bottom_right)) in
                        to.iter_mut().zip(top).zip(bottom)
                    {
                        let sum = i64::from(integer(top_left)) * weights[0]
                            + i64::from(integer(top_right)) * weights[1]
                            + i64::from(integer(bottom_left)) * weights[2]
                            + i64::from(integer(bottom_right)) * weights[3];
                        *slot = quotient(sum);
                    }
                }
            }
        }
    }
}

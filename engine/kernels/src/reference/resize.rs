//! Resizing of height and width: nearest neighbour and bilinear.

use crate::quantized::Integer;
use crate::shape::{Resize2dShape, ResizeCoordinates};

/// Nearest neighbour: moves elements, so it is the same for every element type.
///
/// Source: `reference_ops::ResizeNearestNeighbor` (`resize_nearest_neighbor.h`). Coordinates are rounded down, with
/// fixed corners to nearest.
pub fn resize_nearest<T: Copy>(shape: &Resize2dShape, input: &[T], output: &mut [T]) {
    check(shape, input.len(), output.len());
    for_each_pixel(shape, |batch, y, x, at| {
        let from_y = nearest(y, shape.in_h, shape.out_h, shape.coordinates);
        let from_x = nearest(x, shape.in_w, shape.out_w, shape.coordinates);
        let from = pixel(shape, batch, from_y, from_x);
        output[at..at + shape.channels].copy_from_slice(&input[from..from + shape.channels]);
    });
}

/// Source: `GetNearestNeighbor` (`resize_nearest_neighbor.h`), in `f32`.
fn nearest(at: usize, input: usize, output: usize, coordinates: ResizeCoordinates) -> usize {
    let at = at as f32;
    let scale = match coordinates {
        ResizeCoordinates::AlignCorners if output > 1 => (input - 1) as f32 / (output - 1) as f32,
        _ => input as f32 / output as f32,
    };
    let from = match coordinates {
        ResizeCoordinates::Asymmetric => (at * scale).floor(),
        ResizeCoordinates::HalfPixel => ((at + 0.5) * scale).floor(),
        ResizeCoordinates::AlignCorners => (at * scale).round(),
    };
    (from as usize).min(input - 1)
}

/// Float bilinear interpolation. Source: `reference_ops::ResizeBilinear` (`resize_bilinear.h`).
pub fn resize_bilinear_f32(shape: &Resize2dShape, input: &[f32], output: &mut [f32]) {
    check(shape, input.len(), output.len());
    for_each_pixel(shape, |batch, y, x, at| {
        let y = Between::real(y, shape.in_h, shape.out_h, shape.coordinates);
        let x = Between::real(x, shape.in_w, shape.out_w, shape.coordinates);
        let corner = |y, x| &input[pixel(shape, batch, y, x)..][..shape.channels];
        let (top_left, bottom_left) = (corner(y.lower, x.lower), corner(y.upper, x.lower));
        let (top_right, bottom_right) = (corner(y.lower, x.upper), corner(y.upper, x.upper));
        for (c, slot) in output[at..at + shape.channels].iter_mut().enumerate() {
            *slot = top_left[c] * (1.0 - y.fraction) * (1.0 - x.fraction)
                + bottom_left[c] * y.fraction * (1.0 - x.fraction)
                + top_right[c] * (1.0 - y.fraction) * x.fraction
                + bottom_right[c] * y.fraction * x.fraction;
        }
    });
}

/// Integer bilinear interpolation; input and output have the same scale and zero point.
///
/// Source: `reference_ops::ResizeBilinearInteger` (`resize_bilinear.h`): coordinates in 1/1024 of a pixel, the four
/// products in 64 bits, rounded half away from zero once. Rounding the ratio to 10 bits moves the sampled points of a
/// large image by up to half a pixel; it is what the runtime does.
pub fn resize_bilinear_i8(shape: &Resize2dShape, input: &[i8], output: &mut [i8]) {
    resize_bilinear(shape, input, output);
}

/// Bilinear interpolation of 16-bit integers.
pub fn resize_bilinear_i16(shape: &Resize2dShape, input: &[i16], output: &mut [i16]) {
    resize_bilinear(shape, input, output);
}

fn resize_bilinear<T: Integer>(shape: &Resize2dShape, input: &[T], output: &mut [T]) {
    check(shape, input.len(), output.len());
    for_each_pixel(shape, |batch, y, x, at| {
        let y = Between::fixed(y, shape.in_h, shape.out_h, shape.coordinates);
        let x = Between::fixed(x, shape.in_w, shape.out_w, shape.coordinates);
        let corner = |y, x| &input[pixel(shape, batch, y, x)..][..shape.channels];
        let (top_left, bottom_left) = (corner(y.lower, x.lower), corner(y.upper, x.lower));
        let (top_right, bottom_right) = (corner(y.lower, x.upper), corner(y.upper, x.upper));
        for (c, slot) in output[at..at + shape.channels].iter_mut().enumerate() {
            let q = |pixel: &[T]| Into::<i64>::into(pixel[c]);
            let sum = q(top_left) * (ONE - y.fraction) * (ONE - x.fraction)
                + q(bottom_left) * y.fraction * (ONE - x.fraction)
                + q(top_right) * (ONE - y.fraction) * x.fraction
                + q(bottom_right) * y.fraction * x.fraction;
            let half = if sum > 0 { ONE * ONE / 2 } else { -ONE * ONE / 2 };
            *slot = T::saturate(((sum + half) / (ONE * ONE)) as i32);
        }
    });
}

/// One pixel in fixed-point coordinates.
pub(crate) const ONE: i64 = 1 << 10;

/// Where between two input pixels an output pixel lies. The fraction counts from `lower` and may leave `0..1` at an
/// edge, where both pixels are the same one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Between<T> {
    pub(crate) lower: usize,
    pub(crate) upper: usize,
    pub(crate) fraction: T,
}

impl Between<f32> {
    /// Source: `ComputeInterpolationValues`.
    pub(crate) fn real(at: usize, input: usize, output: usize, coordinates: ResizeCoordinates) -> Self {
        let at = at as f32;
        let ratio = input as f32 / output as f32;
        let from = match coordinates {
            ResizeCoordinates::HalfPixel => (at + 0.5) * ratio - 0.5,
            ResizeCoordinates::AlignCorners if output > 1 => at * ((input - 1) as f32 / (output - 1) as f32),
            ResizeCoordinates::AlignCorners | ResizeCoordinates::Asymmetric => at * ratio,
        };
        let lower = from.floor().max(0.0) as usize;
        let upper = (from.ceil().max(0.0) as usize).min(input - 1);
        Self {
            lower,
            upper,
            fraction: from - lower as f32,
        }
    }
}

impl Between<i64> {
    /// Source: `ComputeInterpolationValuesInteger`.
    pub(crate) fn fixed(at: usize, input: usize, output: usize, coordinates: ResizeCoordinates) -> Self {
        let (at, input, output) = (at as i64, input as i64, output as i64);
        let ratio = (ONE * input + output / 2) / output;
        let from = match coordinates {
            ResizeCoordinates::HalfPixel => at * ratio + ratio / 2 - ONE / 2,
            ResizeCoordinates::AlignCorners if output > 1 => {
                at * ((ONE * (input - 1) + (output - 1) / 2) / (output - 1))
            }
            ResizeCoordinates::AlignCorners | ResizeCoordinates::Asymmetric => at * ratio,
        };
        // With rounded ratios the last pixel may come to lie beyond the input; the source reads outside the image
        // there.
        let lower = (from / ONE).clamp(0, input - 1);
        let upper = ((from + ONE - 1) / ONE).clamp(0, input - 1);
        Self {
            lower: lower as usize,
            upper: upper as usize,
            fraction: from - ONE * lower,
        }
    }
}

fn check(shape: &Resize2dShape, input: usize, output: usize) {
    assert_eq!(input, shape.input_len(), "elements of the input");
    assert_eq!(output, shape.output_len(), "elements of the output");
    assert!(output == 0 || input > 0, "an empty image cannot be enlarged");
}

fn pixel(shape: &Resize2dShape, batch: usize, y: usize, x: usize) -> usize {
    ((batch * shape.in_h + y) * shape.in_w + x) * shape.channels
}

/// Calls `visit(batch, y, x, flat index of the first channel)` for every output pixel in order.
fn for_each_pixel(shape: &Resize2dShape, mut visit: impl FnMut(usize, usize, usize, usize)) {
    let mut at = 0;
    for batch in 0..shape.batch {
        for y in 0..shape.out_h {
            for x in 0..shape.out_w {
                visit(batch, y, x, at);
                at += shape.channels;
            }
        }
    }
}

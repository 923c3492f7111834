//! Average and maximum over a sliding window. Padding takes no part: the average divides by the pixels that are there.

use crate::quantized::{ClampF32, ClampInt, Integer};
use crate::shape::{Pool2dShape, tap};

/// Integer average, rounded to nearest, ties away from zero. Input and output have the same scale and zero point.
///
/// Source: `reference_integer_ops::AveragePool` (`integer_ops/pooling.h`). The rounding is of the stored integers, so
/// a tie's direction depends on the zero point. A window that lies in the padding altogether, which LiteRT refuses,
/// gives 0.
pub fn average_pool2d_i8(shape: &Pool2dShape, clamp: ClampInt, input: &[i8], output: &mut [i8]) {
    average(shape, clamp, input, output);
}

/// Average of 16-bit integers.
pub fn average_pool2d_i16(shape: &Pool2dShape, clamp: ClampInt, input: &[i16], output: &mut [i16]) {
    average(shape, clamp, input, output);
}

fn average<T: Integer>(shape: &Pool2dShape, clamp: ClampInt, input: &[T], output: &mut [T]) {
    check(shape, input.len(), output.len());
    for_each_window(shape, |out, window| {
        let (mut sum, mut count) = (0_i32, 0_i32);
        window.for_each(|i| {
            sum += Into::<i32>::into(input[i]);
            count += 1;
        });
        let half = if sum > 0 { count / 2 } else { -(count / 2) };
        output[out] = clamp.apply((sum + half).checked_div(count).unwrap_or(0));
    });
}

/// Float average, summed in the order rows, columns. Source: `reference_ops::AveragePool` (`pooling.h`). A window
/// that lies in the padding altogether, which LiteRT refuses, gives 0.
pub fn average_pool2d_f32(shape: &Pool2dShape, clamp: ClampF32, input: &[f32], output: &mut [f32]) {
    check(shape, input.len(), output.len());
    for_each_window(shape, |out, window| {
        let (mut sum, mut count) = (0.0, 0.0);
        window.for_each(|i| {
            sum += input[i];
            count += 1.0;
        });
        output[out] = clamp.apply(if count == 0.0 { 0.0 } else { sum / count });
    });
}

/// Integer maximum. Input and output have the same scale and zero point. Source: `reference_integer_ops::MaxPool`
/// (`integer_ops/pooling.h`).
pub fn max_pool2d_i8(shape: &Pool2dShape, clamp: ClampInt, input: &[i8], output: &mut [i8]) {
    maximum(shape, clamp, input, output);
}

/// Maximum of 16-bit integers.
pub fn max_pool2d_i16(shape: &Pool2dShape, clamp: ClampInt, input: &[i16], output: &mut [i16]) {
    maximum(shape, clamp, input, output);
}

fn maximum<T: Integer>(shape: &Pool2dShape, clamp: ClampInt, input: &[T], output: &mut [T]) {
    check(shape, input.len(), output.len());
    for_each_window(shape, |out, window| {
        let mut max = T::LOWEST;
        window.for_each(|i| max = max.max(input[i]));
        output[out] = clamp.apply(max.into());
    });
}

/// Float maximum. Source: `reference_ops::MaxPool` (`pooling.h`).
pub fn max_pool2d_f32(shape: &Pool2dShape, clamp: ClampF32, input: &[f32], output: &mut [f32]) {
    check(shape, input.len(), output.len());
    for_each_window(shape, |out, window| {
        let mut max = f32::MIN;
        window.for_each(|i| {
            if input[i] > max {
                max = input[i];
            }
        });
        output[out] = clamp.apply(max);
    });
}

fn check(shape: &Pool2dShape, input: usize, output: usize) {
    assert_eq!(input, shape.input_len(), "elements of the input");
    assert_eq!(output, shape.output_len(), "elements of the output");
}

/// The window of one output element.
struct Window<'a> {
    shape: &'a Pool2dShape,
    batch: usize,
    y: usize,
    x: usize,
    channel: usize,
}

impl Window<'_> {
    /// Calls `visit(input index)` for every pixel under the window that is not padding, rows first.
    fn for_each(&self, mut visit: impl FnMut(usize)) {
        let shape = self.shape;
        for ky in 0..shape.k_h {
            let Some(y) = tap(self.y, shape.stride_h, ky, 1, shape.pad_top, shape.in_h) else {
                continue;
            };
            for kx in 0..shape.k_w {
                let Some(x) = tap(self.x, shape.stride_w, kx, 1, shape.pad_left, shape.in_w) else {
                    continue;
                };
                visit(((self.batch * shape.in_h + y) * shape.in_w + x) * shape.channels + self.channel);
            }
        }
    }
}

/// Calls `visit(flat index, window)` for every output element in order.
fn for_each_window(shape: &Pool2dShape, mut visit: impl FnMut(usize, Window)) {
    let mut out = 0;
    for batch in 0..shape.batch {
        for y in 0..shape.out_h {
            for x in 0..shape.out_w {
                for channel in 0..shape.channels {
                    visit(
                        out,
                        Window {
                            shape,
                            batch,
                            y,
                            x,
                            channel,
                        },
                    );
                    out += 1;
                }
            }
        }
    }
}

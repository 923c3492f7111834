//! Greatest elements: of windows, and over axes. The gradient goes to the first of equals.

use super::Real;
use crate::shape::{Pool2dShape, Reduce, tap};

/// Calls `visit(output, inputs of its window)` for every output element; windows that lie in the padding altogether have no inputs.
pub fn windows(shape: &Pool2dShape, mut visit: impl FnMut(usize, &mut dyn Iterator<Item = usize>)) {
    let mut out = 0;
    for batch in 0..shape.batch {
        for (y, x) in (0..shape.out_h).flat_map(|y| (0..shape.out_w).map(move |x| (y, x))) {
            for channel in 0..shape.channels {
                let mut inputs = (0..shape.k_h)
                    .filter_map(|ky| tap(y, shape.stride_h, ky, 1, shape.pad_top, shape.in_h))
                    .flat_map(|row| {
                        (0..shape.k_w)
                            .filter_map(|kx| tap(x, shape.stride_w, kx, 1, shape.pad_left, shape.in_w))
                            .map(move |column| {
                                ((batch * shape.in_h + row) * shape.in_w + column) * shape.channels + channel
                            })
                    });
                visit(out, &mut inputs);
                out += 1;
            }
        }
    }
}

/// The first index of the greatest element, by `sign`: of the least if it is −1.
fn greatest<T: Real>(x: &[T], sign: T, mut inputs: impl Iterator<Item = usize>) -> Option<usize> {
    let first = inputs.next()?;
    Some(inputs.fold(first, |best, i| if sign * x[i] > sign * x[best] { i } else { best }))
}

/// Calls `visit(output, greatest input)` for every output element, channels innermost; `None` for windows that lie in the padding altogether.
#[inline(always)]
fn greatest_of_windows<T: Real>(shape: &Pool2dShape, x: &[T], mut visit: impl FnMut(usize, Option<usize>)) {
    let channels = shape.channels;
    let span = |out: usize, stride: usize, k: usize, pad: usize, len: usize| {
        let start = out * stride;
        (start.saturating_sub(pad), (start + k).saturating_sub(pad).min(len))
    };
    let mut out = 0;
    for batch in 0..shape.batch {
        for y in 0..shape.out_h {
            let (top, bottom) = span(y, shape.stride_h, shape.k_h, shape.pad_top, shape.in_h);
            for column in 0..shape.out_w {
                let (left, right) = span(column, shape.stride_w, shape.k_w, shape.pad_left, shape.in_w);
                for channel in 0..channels {
                    let mut best = None;
                    for row in top..bottom {
                        let start = ((batch * shape.in_h + row) * shape.in_w + left) * channels + channel;
                        for i in (start..).step_by(channels).take(right.saturating_sub(left)) {
                            best = match best {
                                Some((_, most)) if x[i] <= most => best,
                                Some((_, _)) | None => Some((i, x[i])),
                            };
                        }
                    }
                    visit(out, best.map(|(i, _)| i));
                    out += 1;
                }
            }
        }
    }
}

/// The greatest value of each window; 0 where it lies in the padding altogether.
pub fn max_pool<T: Real>(shape: &Pool2dShape, x: &[T], y: &mut [T]) {
    greatest_of_windows(shape, x, |out, i| y[out] = i.map_or(T::ZERO, |i| x[i]));
}

/// Adds the gradient of the input.
pub fn max_pool_gradient<T: Real>(shape: &Pool2dShape, x: &[T], dy: &[T], dx: &mut [T]) {
    greatest_of_windows(shape, x, |out, i| {
        if let Some(i) = i {
            dx[i] += dy[out];
        }
    });
}

/// The greatest element over axes, or, with a sign of −1, the least.
pub fn reduce_extreme<T: Real>(shape: &Reduce, sign: T, x: &[T], y: &mut [T]) {
    for (out, slot) in y.iter_mut().enumerate() {
        *slot = greatest(x, sign, shape.inputs(out)).map_or(T::ZERO, |i| x[i]);
    }
}

/// Adds the gradient of the input.
pub fn reduce_extreme_gradient<T: Real>(shape: &Reduce, sign: T, x: &[T], dy: &[T], dx: &mut [T]) {
    for (out, &d) in dy.iter().enumerate() {
        if let Some(i) = greatest(x, sign, shape.inputs(out)) {
            dx[i] += d;
        }
    }
}

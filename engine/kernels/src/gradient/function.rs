//! Functions of one number and clamps.

use super::Real;

/// `y = f(x)`, computed in double precision.
pub fn function<T: Real>(f: impl Fn(f64) -> f64, x: &[T], y: &mut [T]) {
    for (&x, slot) in x.iter().zip(y) {
        *slot = T::of(f(x.double()));
    }
}

/// `dx = dy · slope(x)`.
pub fn function_gradient<T: Real>(slope: impl Fn(f64) -> f64, x: &[T], dy: &[T], dx: &mut [T]) {
    for ((&x, &d), slot) in x.iter().zip(dy).zip(dx) {
        *slot = T::of(d.double() * slope(x.double()));
    }
}

/// Clamps in place.
#[inline(always)]
pub fn clamp<T: Real>((low, high): (T, T), y: &mut [T]) {
    for y in y {
        let above = if *y < low { low } else { *y };
        *y = if above > high { high } else { above };
    }
}

/// Turns the gradient of a clamped output into that of what was clamped: 0 where the output is at a bound.
#[inline(always)]
pub fn clamp_gradient<T: Real>((low, high): (T, T), y: &[T], dy: &mut [T]) {
    for (&y, d) in y.iter().zip(dy) {
        *d = if y > low && y < high { *d } else { T::ZERO };
    }
}

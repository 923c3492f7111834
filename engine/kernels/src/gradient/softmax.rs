//! Softmax over rows.

use super::Real;

/// `e^(beta·x) / Σ e^(beta·x)` over rows of `depth` elements.
pub fn softmax<T: Real>(depth: usize, beta: f64, x: &[T], y: &mut [T]) {
    for (x, y) in x.chunks(depth.max(1)).zip(y.chunks_mut(depth.max(1))) {
        let max = x.iter().fold(f64::NEG_INFINITY, |max, x| max.max(x.double()));
        let e = |x: T| ((x.double() - max) * beta).exp();
        let sum: f64 = x.iter().map(|&x| e(x)).sum();
        for (&x, slot) in x.iter().zip(y) {
            *slot = T::of(e(x) / sum);
        }
    }
}

/// `dx = beta · y · (dy − Σ dy·y)`.
pub fn softmax_gradient<T: Real>(depth: usize, beta: f64, y: &[T], dy: &[T], dx: &mut [T]) {
    let depth = depth.max(1);
    for ((y, dy), dx) in y.chunks(depth).zip(dy.chunks(depth)).zip(dx.chunks_mut(depth)) {
        let along: f64 = y.iter().zip(dy).map(|(y, d)| y.double() * d.double()).sum();
        for ((y, d), slot) in y.iter().zip(dy).zip(dx) {
            *slot = T::of(beta * y.double() * (d.double() - along));
        }
    }
}

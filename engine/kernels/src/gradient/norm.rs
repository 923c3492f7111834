//! Normalizations: sums over the pixels of a channel, scaling, layer norms.

use super::Real;

/// Pixels whose values are summed in their own precision before they join a sum in double precision.
const RUN: usize = 64;

/// Sums of one channel.
pub type NormSums = [f64; 2];

/// Adds, for each channel (the last dimension), its values and their squares.
#[inline(always)]
pub fn add_moments<T: Real>(x: &[T], runs: &mut [T], sums: &mut [NormSums]) {
    let channels = sums.len().max(1);
    let (values, squares) = runs[..2 * channels].split_at_mut(channels);
    for pixels in x.chunks(RUN * channels) {
        values.fill(T::ZERO);
        squares.fill(T::ZERO);
        for pixel in pixels.chunks_exact(channels) {
            for ((&x, value), square) in pixel.iter().zip(&mut *values).zip(&mut *squares) {
                *value += x;
                *square += x * x;
            }
        }
        flush(values, squares, sums);
    }
}

/// Adds, for each channel, the gradient's values and their products with the input less `mean`.
#[inline(always)]
pub fn add_norm_sums<T: Real>(x: &[T], dy: &[T], mean: &[T], runs: &mut [T], sums: &mut [NormSums]) {
    let channels = sums.len().max(1);
    let (values, products) = runs[..2 * channels].split_at_mut(channels);
    for (pixels, dy) in x.chunks(RUN * channels).zip(dy.chunks(RUN * channels)) {
        values.fill(T::ZERO);
        products.fill(T::ZERO);
        for (pixel, dy) in pixels.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
            let sums = values.iter_mut().zip(&mut *products);
            for (((&x, &d), &mean), (value, product)) in pixel.iter().zip(dy).zip(mean).zip(sums) {
                *value += d;
                *product += d * (x - mean);
            }
        }
        flush(values, products, sums);
    }
}

#[inline(always)]
fn flush<T: Real>(first: &[T], second: &[T], sums: &mut [NormSums]) {
    for ((&a, &b), sum) in first.iter().zip(second).zip(sums) {
        *sum = [sum[0] + a.double(), sum[1] + b.double()];
    }
}

/// `y = x · scale + shift`, a factor and a summand for each channel.
#[inline(always)]
pub fn scale_shift<T: Real>(x: &[T], scale: &[T], shift: &[T], y: &mut [T]) {
    let channels = scale.len().max(1);
    for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
        for (((&x, &scale), &shift), slot) in x.iter().zip(scale).zip(shift).zip(y) {
            *slot = x * scale + shift;
        }
    }
}

/// `dx = dy · a + x · b + c`, one of each for each channel.
#[inline(always)]
pub fn scale_shift_sum<T: Real>(dy: &[T], x: &[T], [a, b, c]: [&[T]; 3], dx: &mut [T]) {
    let channels = a.len().max(1);
    let pixels = dy.chunks_exact(channels).zip(x.chunks_exact(channels));
    for ((dy, x), dx) in pixels.zip(dx.chunks_exact_mut(channels)) {
        let factors = a.iter().zip(b).zip(c);
        for (((&d, &x), ((&a, &b), &c)), slot) in dy.iter().zip(x).zip(factors).zip(dx) {
            *slot = d * a + x * b + c;
        }
    }
}

/// Adds the sums over all rows of each of `sums.len()` columns: the gradient of a bias.
#[inline(always)]
pub fn add_columns<T: Real>(dy: &[T], sums: &mut [T]) {
    for row in dy.chunks_exact(sums.len().max(1)) {
        for (&d, sum) in row.iter().zip(&mut *sums) {
            *sum += d;
        }
    }
}

/// Mean and `1/√(variance + epsilon)` of a row.
fn moments<T: Real>(row: &[T], epsilon: f64) -> (f64, f64) {
    let n = row.len() as f64;
    let mean = row.iter().map(|x| x.double()).sum::<f64>() / n;
    let variance = row.iter().map(|x| (x.double() - mean).powi(2)).sum::<f64>() / n;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// Normalizes rows of `scale.len()` elements to mean 0 and variance 1, then scales and shifts each element.
pub fn layer_norm<T: Real>(epsilon: f64, x: &[T], scale: &[T], bias: Option<&[T]>, y: &mut [T]) {
    let n = scale.len().max(1);
    for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
        let (mean, factor) = moments(x, epsilon);
        for (i, (x, slot)) in x.iter().zip(y).enumerate() {
            *slot = T::of((x.double() - mean) * factor) * scale[i] + bias.map_or(T::ZERO, |bias| bias[i]);
        }
    }
}

/// The gradient of a layer norm's input.
pub fn layer_norm_gradient<T: Real>(epsilon: f64, x: &[T], scale: &[T], dy: &[T], dx: &mut [T]) {
    let n = scale.len().max(1);
    for ((x, dy), dx) in x.chunks_exact(n).zip(dy.chunks_exact(n)).zip(dx.chunks_exact_mut(n)) {
        let (mean, factor) = moments(x, epsilon);
        let (mut sum, mut along) = (0.0, 0.0);
        for (i, (x, d)) in x.iter().zip(dy).enumerate() {
            let d = d.double() * scale[i].double();
            sum += d;
            along += d * (x.double() - mean) * factor;
        }
        for (i, ((x, d), slot)) in x.iter().zip(dy).zip(dx).enumerate() {
            let normalized = (x.double() - mean) * factor;
            let d = d.double() * scale[i].double();
            *slot = T::of(factor * (d - (sum + normalized * along) / n as f64));
        }
    }
}

/// Adds the gradient of a layer norm's scale.
pub fn layer_norm_parameters<T: Real>(epsilon: f64, x: &[T], dy: &[T], d_scale: &mut [T]) {
    let n = d_scale.len().max(1);
    for (x, dy) in x.chunks_exact(n).zip(dy.chunks_exact(n)) {
        let (mean, factor) = moments(x, epsilon);
        for ((x, d), sum) in x.iter().zip(dy).zip(&mut *d_scale) {
            *sum += T::of((x.double() - mean) * factor) * *d;
        }
    }
}

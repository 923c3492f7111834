//! Random weights to begin with.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Normally distributed weights with the variance `2 / sum`, where `sum` values come together in an output.
///
/// Every `stream` of a seed is another sequence. Source: He et al. 2015; the normal distribution by Box and Muller 1958.
pub fn he_normal(seed: u64, stream: u64, sum: usize, weights: &mut [f32]) {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    let deviation = (2.0 / sum.max(1) as f64).sqrt();
    // In (0, 1]: the logarithm is finite.
    let mut uniform = || (f64::from(generator.next_u32()) + 1.0) / 4_294_967_296.0;
    for weight in weights {
        let (radius, angle) = (uniform(), uniform());
        let normal = (-2.0 * libm::log(radius)).sqrt() * libm::cos(std::f64::consts::TAU * angle);
        *weight = (deviation * normal) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::he_normal;

    #[test]
    fn weights_have_the_variance_that_their_number_asks_for() {
        let mut weights = vec![0.0; 20_000];
        he_normal(1, 2, 8, &mut weights);
        let n = weights.len() as f64;
        let mean = weights.iter().map(|&w| f64::from(w)).sum::<f64>() / n;
        let variance = weights.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 0.01 && (variance - 0.25).abs() < 0.01, "{mean} {variance}");
        let mut others = vec![0.0; 20_000];
        he_normal(1, 3, 8, &mut others);
        assert_ne!(weights, others);
    }
}

//! Pruning by score: the weights of least score go.
//!
//! The score of magnitude pruning is the square of a weight (Han et al. 2015, *Learning both Weights and Connections*); that of
//! the control is a random number. The score of a block is the sum of its weights' scores.

use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Pattern, Sparsity};

/// The score of each weight: its square.
pub fn magnitudes(weights: &Array2<f32>) -> Array2<f64> {
    weights.mapv(|w| f64::from(w) * f64::from(w))
}

/// Random scores, above 0 except for weights that are zero already; `stream` tells layers apart.
pub fn noise(weights: &Array2<f32>, seed: u64, stream: u64) -> Array2<f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    weights.mapv(|w| {
        let draw = (generator.next_u32() as f64 + 1.0) / f64::from(u32::MAX);
        if w == 0.0 { 0.0 } else { draw }
    })
}

/// Which weights of one layer stay, as a matrix shaped like its scores.
///
/// An N:M pattern says itself how many stay; `sparsity` counts for the others. Of equal scores the first goes.
pub fn select(scores: &Array2<f64>, run: usize, pattern: Pattern, sparsity: Sparsity) -> Array2<bool> {
    let quotas = pattern.quotas(scores.ncols(), run);
    if quotas.is_empty() {
        return select_together(&[(scores, run)], pattern, sparsity).remove(0);
    }
    let mut keep = Array2::from_elem(scores.dim(), false);
    for (row, scores) in scores.rows().into_iter().enumerate() {
        for (range, stay) in &quotas {
            let mut order: Vec<usize> = range.clone().collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(b.cmp(&a)));
            order.iter().take(*stay).for_each(|&column| keep[[row, column]] = true);
        }
    }
    keep
}

/// Which weights stay when layers share one threshold; each layer is its scores and its [`crate::Layer::run`].
pub fn select_together(layers: &[(&Array2<f64>, usize)], pattern: Pattern, sparsity: Sparsity) -> Vec<Array2<bool>> {
    let mut units = Vec::new();
    for (at, (scores, run)) in layers.iter().enumerate() {
        let ranges = pattern.units(scores.ncols(), *run);
        for (row, scores) in scores.rows().into_iter().enumerate() {
            for range in &ranges {
                let score: f64 = range.clone().map(|c| scores[c]).sum();
                units.push((score, at, row, range.clone()));
            }
        }
    }
    let gone = sparsity.of(units.len());
    // A stable sort: of equal scores the first goes.
    units.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut keep: Vec<Array2<bool>> = layers.iter().map(|(s, _)| Array2::from_elem(s.dim(), true)).collect();
    for (_, at, row, range) in units.into_iter().take(gone) {
        range.for_each(|column| keep[at][[row, column]] = false);
    }
    keep
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn kept(weights: &Array2<f32>, run: usize, pattern: Pattern, sparsity: f64) -> Vec<u8> {
        let keep = select(&magnitudes(weights), run, pattern, Sparsity::new(sparsity).unwrap());
        keep.iter().map(|&k| u8::from(k)).collect()
    }

    #[test]
    fn the_least_magnitudes_go() {
        let w = array![[1.0, -4.0, 0.5], [-3.0, 0.1, 2.0]];
        assert_eq!(kept(&w, 3, Pattern::Free, 0.5), [0, 1, 0, 1, 0, 1]);
        assert_eq!(kept(&w, 3, Pattern::Free, 0.0), [1; 6]);
    }

    #[test]
    fn two_of_four_along_the_channels() {
        let w = array![[1.0, 2.0, 3.0, 4.0, -4.0, 3.0, 2.0, 1.0]];
        assert_eq!(
            kept(&w, 8, Pattern::NofM { keep: 2, of: 4 }, 0.0),
            [0, 0, 1, 1, 1, 1, 0, 0]
        );
        // Runs of two channels: each keeps both.
        assert_eq!(kept(&w, 2, Pattern::NofM { keep: 2, of: 4 }, 0.0), [1; 8]);
    }

    #[test]
    fn blocks_go_as_one() {
        let w = array![[3.0, 0.0, 2.0, 2.0], [1.0, 1.0, 0.0, 4.0]];
        assert_eq!(kept(&w, 4, Pattern::Block(2), 0.5), [1, 1, 0, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn one_threshold_for_all_layers_takes_more_from_the_smaller_weights() {
        let (a, b) = (magnitudes(&array![[1.0, 2.0]]), magnitudes(&array![[3.0, 4.0]]));
        let keep = select_together(&[(&a, 2), (&b, 2)], Pattern::Free, Sparsity::new(0.5).unwrap());
        assert_eq!(keep, [array![[false, false]], array![[true, true]]]);
    }

    #[test]
    fn noise_depends_on_seed_and_layer_and_spares_no_zero() {
        let w = array![[1.0, 0.0, 1.0, 1.0]];
        assert_eq!(noise(&w, 1, 0), noise(&w, 1, 0));
        assert_ne!(noise(&w, 1, 0), noise(&w, 2, 0));
        assert_ne!(noise(&w, 1, 0), noise(&w, 1, 1));
        assert_eq!(noise(&w, 1, 0)[[0, 1]], 0.0);
    }

    #[test]
    fn a_sparsity_of_one_is_refused() {
        insta::assert_snapshot!(Sparsity::new(1.0).unwrap_err(), @"sparsity: 1 is not in 0..1; at 1 no weight would be left");
        assert!(Sparsity::new(f64::NAN).is_err() && Sparsity::new(-0.1).is_err());
        assert_eq!(Sparsity::new(0.99).unwrap().of(2), 1);
    }
}

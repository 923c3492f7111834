//! Scores of channels: what a group loses last has the greatest.

use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::{Group, Member};
use crate::{MethodError, Problem, cholesky};

/// How the size of a filter is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// The sum of magnitudes (Li et al. 2017).
    L1,
    /// The root of the sum of squares.
    L2,
}

/// The norm of each filter; a row of `weights` is one.
pub fn norms(weights: &Array2<f32>, norm: Norm) -> Vec<f64> {
    let of = |row: ndarray::ArrayView1<'_, f32>| match norm {
        Norm::L1 => row.iter().map(|&w| f64::from(w.abs())).sum::<f64>(),
        Norm::L2 => row.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>().sqrt(),
    };
    weights.rows().into_iter().map(of).collect()
}

/// The sum of each filter's distances to all filters of its layer: those near the geometric median can be replaced by the others (He et al. 2019, FPGM).
pub fn fpgm(weights: &Array2<f32>) -> Vec<f64> {
    let rows: Vec<Vec<f32>> = weights.rows().into_iter().map(|row| row.to_vec()).collect();
    let distance = |a: &[f32], b: &[f32]| {
        let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
        squares.sum::<f64>().sqrt()
    };
    rows.par_iter()
        .map(|row| rows.iter().map(|other| distance(row, other)).sum())
        .collect()
}

/// Random scores in 0..1: what a method has to beat. `stream` tells groups apart.
pub fn noise(n: usize, seed: u64, stream: u64) -> Vec<f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    (0..n)
        .map(|_| f64::from(generator.next_u32()) / f64::from(u32::MAX))
        .collect()
}

/// Scores divided by their mean, so that layers of different scale can be added and compared.
pub fn normalized(scores: &[f64]) -> Vec<f64> {
    let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let scale = if mean > 0.0 { 1.0 / mean } else { 1.0 };
    scores.iter().map(|s| s * scale).collect()
}

/// The mean of the scores that the layers of a group give to its units, each layer's divided by their mean.
///
/// # Errors
/// Those of `score`, which says what a layer thinks of each of its output channels.
pub fn by_layer<E>(group: &Group, score: impl Fn(&Member) -> Result<Vec<f64>, E>) -> Result<Vec<f64>, E> {
    let mut sums = vec![0.0; group.units.len()];
    for member in group.makers() {
        let rows = score(member)?;
        let units: Vec<f64> = member
            .rows
            .iter()
            .map(|own| own.iter().map(|&r| rows[r]).sum())
            .collect();
        let parts = sums.iter_mut().zip(normalized(&units));
        parts.for_each(|(sum, s)| *sum += s / group.makers().count() as f64);
    }
    Ok(sums)
}

/// The squared error of a layer's output, as a share of its energy, when it no longer reads some of its columns, for each list of columns.
///
/// `rows` are the layer's, those that read from the inputs of `problem`; its first `columns` columns are weights. When `repaired`, the
/// other columns are then moved to make up for it, as in Optimal Brain Surgeon: `Σ w_P · ([H⁻¹]_PP)⁻¹ · w_P` instead of `Σ w_P · H_PP · w_P`.
///
/// # Errors
/// The Hessian is not positive definite.
pub fn sensitivities(
    problem: &Problem,
    rows: &[&[f64]],
    columns: usize,
    lists: &[Vec<usize>],
    repaired: bool,
) -> Result<Vec<f64>, MethodError> {
    let silent = |row: &&[f64]| {
        let mut silent = row.to_vec();
        silent[..columns].fill(0.0);
        problem.error(&silent, row)
    };
    let energy: f64 = rows.iter().map(silent).sum();
    let matrix = if repaired { problem.inverse() } else { problem.hessian() };
    let error = |list: &Vec<usize>| -> Result<f64, MethodError> {
        let part = Array2::from_shape_fn((list.len(), list.len()), |(i, j)| matrix[[list[i], list[j]]]);
        let factor = if repaired && !list.is_empty() {
            Some(cholesky::factor(part.view())?)
        } else {
            None
        };
        let cost = |row: &&[f64]| {
            let own: Vec<f64> = list.iter().map(|&c| row[c]).collect();
            let image = match &factor {
                Some(factor) => cholesky::solve(factor, &own),
                None => part.dot(&ndarray::aview1(&own)).to_vec(),
            };
            own.iter().zip(image).map(|(a, b)| a * b).sum::<f64>()
        };
        Ok(rows.iter().map(cost).sum::<f64>() / energy.max(f64::MIN_POSITIVE))
    };
    lists.par_iter().map(error).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn sizes_of_filters() {
        let filters = array![[3.0, -4.0], [1.0, 0.0]];
        assert_eq!(norms(&filters, Norm::L1), [7.0, 1.0]);
        assert_eq!(norms(&filters, Norm::L2), [5.0, 1.0]);
        assert_eq!(normalized(&[7.0, 1.0]), [1.75, 0.25]);
        assert_eq!(normalized(&[0.0, 0.0]), [0.0, 0.0]);
    }

    #[test]
    fn the_filter_in_the_middle_is_the_one_that_others_replace() {
        // A large filter and yet the most replaceable: norms would keep it.
        let filters = array![[4.0, 0.0], [5.0, 0.0], [7.0, 0.0]];
        assert_eq!(fpgm(&filters), [4.0, 3.0, 5.0]);
    }

    #[test]
    fn noise_depends_on_seed_and_group() {
        assert_eq!(noise(4, 1, 0), noise(4, 1, 0));
        assert_ne!(noise(4, 1, 0), noise(4, 2, 0));
        assert_ne!(noise(4, 1, 0), noise(4, 1, 1));
    }

    #[test]
    fn a_column_that_another_repeats_costs_nothing_once_repaired() {
        // Inputs 0 and 1 are the same but for damping; input 2 is alone.
        let x = array![[1.0f32, 1.0, 0.0], [2.0, 2.0, 1.0], [0.0, 0.0, 3.0]];
        let mut gram = crate::Gram::new(3);
        gram.add(x.view(), None);
        let problem = gram.problem(1e-6).unwrap();
        let row = [1.0, 1.0, 1.0];
        let lists = [vec![0], vec![2], vec![0, 2]];
        let scores = |repaired| sensitivities(&problem, &[&row], 3, &lists, repaired).unwrap();
        let (plain, repaired) = (scores(false), scores(true));
        // Energy: (1+1)² + (2+2+1)² + 3² = 38; without column 0 the output misses 1² + 2² of it.
        assert!((plain[0] - 5.0 / 38.0).abs() < 1e-4, "{plain:?}");
        assert!((plain[1] - 10.0 / 38.0).abs() < 1e-4, "{plain:?}");
        assert!(repaired[0] < 1e-4 && repaired[1] > 0.1, "{repaired:?}");
        assert!(repaired[2] >= repaired[1] && plain[2] > plain[1]);
    }
}

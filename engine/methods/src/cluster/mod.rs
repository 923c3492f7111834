//! Weight clustering: a layer keeps only a few different values.
//!
//! The values (centroids) are found by k-means over the weights (Han et al. 2016, *Deep Compression*). A codebook serves one output
//! channel, or the whole layer, or the whole layer with a scale for each channel ([`Per::Scaled`]). Weights that are zero
//! stay zero, and zero counts as one of the values.

mod hessian;
mod kmeans;

pub use hessian::{Solved, refined};
pub use kmeans::{Init, codebook};

use ndarray::Array2;
use rayon::prelude::*;

use crate::MethodError;
use crate::reconstruct::Codes;

/// What shares a codebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// The whole layer.
    Tensor,
    /// Each output channel has its own.
    Channel,
    /// The whole layer, in units of each channel's greatest weight. Codes are whole steps of 1/127 and every channel has a weight at
    /// ±1, so that 8-bit quantization with a scale a channel gives the same few integers in all channels.
    Scaled,
}

/// How codebooks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Different values, zero included where there are zeros.
    pub clusters: usize,
    /// Where k-means starts.
    pub init: Init,
    /// What shares a codebook.
    pub per: Per,
    /// Seed of random starts.
    pub seed: u64,
}

impl Settings {
    /// Checks the number of clusters.
    ///
    /// # Errors
    /// [`MethodError::Clusters`].
    pub fn check(&self) -> Result<(), MethodError> {
        if (2..=256).contains(&self.clusters) {
            Ok(())
        } else {
            Err(MethodError::Clusters(self.clusters))
        }
    }
}

/// The codebooks of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Books {
    /// One, or one a channel; without zero, ascending.
    pub books: Vec<Vec<f64>>,
    /// The unit of each channel: 1, or its greatest magnitude for [`Per::Scaled`].
    pub scales: Vec<f64>,
}

impl Books {
    /// Finds codebooks for a layer; `importance` weighs the columns in the sums of k-means.
    ///
    /// A channel (or layer) with fewer different values than clusters keeps them.
    ///
    /// # Errors
    /// [`MethodError::Clusters`].
    pub fn find(
        weights: &Array2<f32>,
        importance: Option<&Array2<f64>>,
        settings: Settings,
    ) -> Result<Self, MethodError> {
        settings.check()?;
        let rows = weights.nrows();
        let peak = |row: usize| weights.row(row).iter().fold(0.0f64, |m, &w| m.max(f64::from(w).abs()));
        let scales: Vec<f64> = match settings.per {
            Per::Tensor | Per::Channel => vec![1.0; rows],
            Per::Scaled => (0..rows).map(|r| if peak(r) > 0.0 { peak(r) } else { 1.0 }).collect(),
        };
        let points = |row: usize| {
            let scale = scales[row];
            weights
                .row(row)
                .to_vec()
                .into_iter()
                .enumerate()
                .map(move |(column, w)| {
                    let weight = importance.map_or(1.0, |i| i[[row, column]]);
                    (f64::from(w) / scale, weight * scale * scale)
                })
        };
        let books = match settings.per {
            Per::Channel => (0..rows)
                .into_par_iter()
                .map(|row| {
                    codebook(
                        points(row).collect(),
                        settings.clusters,
                        settings.init,
                        settings.seed,
                        false,
                    )
                })
                .collect(),
            Per::Tensor | Per::Scaled => {
                let all = (0..rows).flat_map(points).collect();
                let ends = settings.per == Per::Scaled;
                let book = codebook(all, settings.clusters, settings.init, settings.seed, ends);
                vec![if ends { steps(book) } else { book }]
            }
        };
        Ok(Books { books, scales })
    }

    /// The codes of a row, in its own unit.
    pub fn codes(&self, row: usize) -> Codes {
        let book = &self.books[if self.books.len() == 1 { 0 } else { row }];
        Codes::Book(book.iter().map(|c| c * self.scales[row]).collect())
    }

    /// Every weight at its nearest centroid; zeros stay.
    pub fn apply(&self, weights: &Array2<f32>) -> Array2<f32> {
        let mut out = weights.clone();
        for (row, mut values) in out.rows_mut().into_iter().enumerate() {
            let codes = self.codes(row);
            values.mapv_inplace(|w| {
                if w == 0.0 {
                    0.0
                } else {
                    codes.nearest(f64::from(w)) as f32
                }
            });
        }
        out
    }
}

/// Codes in whole steps of 1/127, so that scales of 8 bits meet them exactly.
fn steps(book: Vec<f64>) -> Vec<f64> {
    let step = |c: f64| (c * 127.0).round().abs().max(1.0).copysign(c) / 127.0;
    let mut book: Vec<f64> = book.into_iter().map(step).collect();
    book.dedup();
    book
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn settings(clusters: usize, per: Per) -> Settings {
        Settings {
            clusters,
            init: Init::KmeansPlusPlus,
            per,
            seed: 7,
        }
    }

    fn distinct(values: impl IntoIterator<Item = f32>) -> usize {
        values
            .into_iter()
            .map(f32::to_bits)
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    }

    fn clustered(weights: &Array2<f32>, clusters: usize, per: Per) -> Array2<f32> {
        Books::find(weights, None, settings(clusters, per))
            .unwrap()
            .apply(weights)
    }

    #[test]
    fn groups_that_lie_apart_are_found() {
        let w = array![[1.0, 1.2, 5.0], [5.2, -3.0, -3.0]];
        assert_eq!(
            clustered(&w, 3, Per::Tensor),
            array![[1.1, 1.1, 5.1], [5.1, -3.0, -3.0]]
        );
        let by_channel = clustered(&w, 2, Per::Channel);
        assert_eq!(by_channel, array![[1.1, 1.1, 5.0], [5.2, -3.0, -3.0]]);
    }

    #[test]
    fn zeros_stay_and_count_as_a_value() {
        let w = array![[0.0, 1.0, 2.0, 0.0, 9.0, 10.0]];
        let c = clustered(&w, 3, Per::Tensor);
        assert_eq!(c, array![[0.0, 1.5, 1.5, 0.0, 9.5, 9.5]]);
    }

    #[test]
    fn more_clusters_than_weights_change_nothing() {
        let w = array![[0.3, -0.7], [1.5, 0.0]];
        assert_eq!(clustered(&w, 32, Per::Tensor), w);
        assert_eq!(clustered(&array![[0.0, 0.0]], 4, Per::Channel), array![[0.0, 0.0]]);
    }

    #[test]
    fn scaled_books_share_their_codes_between_channels() {
        let w = Array2::from_shape_fn((4, 40), |(r, c)| {
            (r + 1) as f32 * (((c * 37 + r * 11) % 41) as f32 - 20.5)
        });
        let books = Books::find(&w, None, settings(8, Per::Scaled)).unwrap();
        assert_eq!((books.books[0][0], books.books[0][7]), (-1.0, 1.0));
        let c = books.apply(&w);
        for (row, values) in c.rows().into_iter().enumerate() {
            assert!(distinct(values.to_vec()) <= 8);
            let peak = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            assert_eq!(peak, books.scales[row] as f32);
        }
    }

    #[test]
    fn one_cluster_is_refused() {
        let e = Books::find(&array![[1.0]], None, settings(1, Per::Tensor)).unwrap_err();
        insta::assert_snapshot!(e, @"clusters: 1; at least 2 are needed, and at most 256");
    }
}

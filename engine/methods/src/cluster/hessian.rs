//! Clustering that keeps outputs: assignment by reconstruction, centroids by least squares, in turn.
//!
//! k-means keeps weights close to what they were; what counts is the layer's output. Weights are assigned to centroids one
//! after the other, the rest making up for each error ([`crate::reconstruct`]), and then the centroids (or, for scaled books,
//! the scales of the channels) are solved for with the assignment fixed. Each half lowers the same error. Sources: Choi, El-Khamy & Lee 2017, *Towards the Limit of
//! Network Quantization* (Hessian-weighted k-means, the start); van Baalen et al. 2024, *GPTVQ* (assignment with compensation).

use ndarray::Array2;
use rayon::prelude::*;

use super::{Books, Per};
use crate::reconstruct::{Codes, Rounding, Row};
use crate::{MethodError, Problem, cholesky};

/// Turns of assignment and solution.
const TURNS: usize = 4;

/// The rows of a layer with what is to be kept of them.
pub struct Solved<'a> {
    /// The problem of each group.
    pub problems: &'a [Problem],
    /// The group of each row.
    pub group: &'a (dyn Fn(usize) -> usize + Sync),
    /// The rows, bias last where there is one.
    pub rows: &'a [Vec<f64>],
    /// See [`Problem::target`].
    pub targets: &'a [Vec<f64>],
    /// Columns that are weights.
    pub columns: usize,
}

/// The clustered rows, bias included; `books` are improved on the way. Weights that are zero stay zero.
///
/// # Errors
/// The damping is too small for the precision of doubles.
pub fn refined(layer: &Solved<'_>, books: &mut Books, per: Per) -> Result<Vec<Vec<f64>>, MethodError> {
    let roundings: Vec<Rounding<'_>> = layer.problems.iter().map(Rounding::new).collect::<Result<_, _>>()?;
    let keeps: Vec<Vec<bool>> = layer
        .rows
        .iter()
        .map(|row| row.iter().map(|&w| w != 0.0).collect())
        .collect();
    let error = |rows: &[Vec<f64>]| -> f64 {
        let one = |(r, row): (usize, &Vec<f64>)| layer.problems[(layer.group)(r)].error(row, &layer.targets[r]);
        rows.iter().enumerate().map(one).sum()
    };
    let mut best: Option<(f64, Vec<Vec<f64>>, Books)> = None;
    let mut previous: Option<Vec<Vec<f64>>> = None;
    for _ in 0..TURNS {
        let assign = |r: usize| {
            let row = Row {
                original: &layer.rows[r],
                target: &layer.targets[r],
                keep: &keeps[r],
                columns: layer.columns,
            };
            let rounding = &roundings[(layer.group)(r)];
            let fresh = rounding.round(row, &books.codes(r));
            // Where the assignment of the turn before is better with the new centroids, descend from it.
            let Some(known) = previous
                .as_ref()
                .map(|rows: &Vec<Vec<f64>>| rounding.descended(rows[r].clone(), row, &books.codes(r)))
            else {
                return fresh;
            };
            let problem = &layer.problems[(layer.group)(r)];
            if problem.error(&fresh, row.target) <= problem.error(&known, row.target) {
                fresh
            } else {
                known
            }
        };
        let rows: Vec<Vec<f64>> = (0..layer.rows.len()).into_par_iter().map(assign).collect();
        let now = error(&rows);
        if best.as_ref().is_some_and(|(known, ..)| now >= *known) {
            break;
        }
        best = Some((now, rows.clone(), books.clone()));
        let codes: Vec<Vec<usize>> = rows
            .iter()
            .enumerate()
            .map(|(r, row)| positions(row, &books.codes(r)))
            .collect();
        match per {
            Per::Scaled => solve_scales(layer, books, &rows, &codes),
            Per::Tensor | Per::Channel => solve_books(layer, books, &rows, &codes, per),
        }
        // The same assignment with the new values.
        let moved = rows.iter().enumerate().map(|(r, row)| {
            let Codes::Book(book) = books.codes(r) else {
                return row.clone();
            };
            let value = |(j, &v): (usize, &f64)| {
                if j < layer.columns && v != 0.0 {
                    book[codes[r][j]]
                } else {
                    v
                }
            };
            row.iter().enumerate().map(value).collect()
        });
        previous = Some(moved.collect());
    }
    let (_, mut rows, found) = best.expect("the first turn has a result");
    *books = found;
    if per == Per::Scaled {
        for (r, row) in rows.iter_mut().enumerate() {
            reach_the_end(row, layer.columns, books.scales[r]);
        }
    }
    Ok(rows)
}

/// Moves the greatest weight of a channel to ±1 unless one is there: 8-bit scales are chosen by it.
fn reach_the_end(row: &mut [f64], columns: usize, scale: f64) {
    let greatest = row[..columns].iter_mut().max_by(|a, b| a.abs().total_cmp(&b.abs()));
    if let Some(w) = greatest.filter(|w| **w != 0.0) {
        *w = scale.copysign(*w);
    }
}

/// The position of each value in a book; that of zeros and biases means nothing.
fn positions(row: &[f64], codes: &Codes) -> Vec<usize> {
    let Codes::Book(book) = codes else {
        return vec![0; row.len()];
    };
    row.iter()
        .map(|v| book.partition_point(|c| c < v).min(book.len().saturating_sub(1)))
        .collect()
}

/// `Σ H_ij` over pairs of codes and `Σ (H·(t − bias))_i` over codes, added up over the rows that share a book.
fn solve_books(layer: &Solved<'_>, books: &mut Books, rows: &[Vec<f64>], codes: &[Vec<usize>], per: Per) {
    let shares: Vec<Vec<usize>> = match per {
        Per::Channel if books.books.len() == rows.len() => (0..rows.len()).map(|r| vec![r]).collect(),
        _ => vec![(0..rows.len()).collect()],
    };
    for (book, members) in shares.into_iter().enumerate() {
        let k = books.books[book].len();
        let parts: Vec<(Array2<f64>, Vec<f64>)> = members
            .par_iter()
            .map(|&r| {
                let hessian = layer.problems[(layer.group)(r)].hessian();
                let used: Vec<usize> = (0..layer.columns).filter(|&j| rows[r][j] != 0.0).collect();
                // What the codes have to explain: the target without the bias.
                let rest: Vec<f64> = (0..rows[r].len())
                    .map(|j| {
                        if j < layer.columns {
                            layer.targets[r][j]
                        } else {
                            layer.targets[r][j] - rows[r][j]
                        }
                    })
                    .collect();
                let wanted = hessian.dot(&ndarray::aview1(&rest));
                let (mut matrix, mut right) = (Array2::zeros((k, k)), vec![0.0; k]);
                for &i in &used {
                    right[codes[r][i]] += wanted[i];
                    let line = hessian.row(i);
                    for &j in &used {
                        matrix[[codes[r][i], codes[r][j]]] += line[j];
                    }
                }
                (matrix, right)
            })
            .collect();
        let (mut matrix, mut right) = (Array2::<f64>::zeros((k, k)), vec![0.0; k]);
        for (m, r) in parts {
            matrix += &m;
            right.iter_mut().zip(r).for_each(|(a, b)| *a += b);
        }
        // Codes that no weight has keep their value.
        for i in 0..k {
            if matrix[[i, i]] == 0.0 {
                matrix[[i, i]] = 1.0;
                right[i] = books.books[book][i];
            }
        }
        let Ok(factor) = cholesky::factor(matrix.view()) else {
            continue;
        };
        let solution = cholesky::solve(&factor, &right);
        // Centroids that change places would change the meaning of the assignment: then the book stays as it is.
        if solution.windows(2).all(|w| w[0] < w[1]) && solution.iter().all(|c| c.is_finite() && *c != 0.0) {
            books.books[book] = solution;
        }
    }
}

/// The unit of each channel by least squares: `s = uᵀ·H·(t − bias) / uᵀ·H·u` for its codes `u`.
fn solve_scales(layer: &Solved<'_>, books: &mut Books, rows: &[Vec<f64>], codes: &[Vec<usize>]) {
    for (r, row) in rows.iter().enumerate() {
        let book = &books.books[0];
        let unit = |(j, &v): (usize, &f64)| {
            if j < layer.columns && v != 0.0 {
                book[codes[r][j]]
            } else {
                0.0
            }
        };
        let units = ndarray::Array1::from_iter(row.iter().enumerate().map(unit));
        let rest = (0..row.len()).map(|j| {
            if j < layer.columns {
                layer.targets[r][j]
            } else {
                layer.targets[r][j] - row[j]
            }
        });
        let along = layer.problems[(layer.group)(r)].hessian().dot(&units);
        let scale = along.dot(&ndarray::Array1::from_iter(rest)) / along.dot(&units);
        if scale.is_finite() && scale > 0.0 {
            books.scales[r] = scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Init, Settings};

    fn example() -> (Problem, Array2<f32>) {
        let x = Array2::from_shape_fn((60, 12), |(i, j)| (((i * 7 + j * 13 + i * j) % 17) as f64 - 6.0) / 4.0);
        let hessian = x.t().dot(&x) + Array2::<f64>::eye(12) * 0.1;
        let w = Array2::from_shape_fn((3, 12), |(r, c)| (((c * 5 + r * 3) % 13) as f32 - 6.0) / 3.0);
        (Problem::new(hessian, None).unwrap(), w)
    }

    #[test]
    fn outputs_are_kept_better_than_by_the_nearest_centroid() {
        for per in [Per::Tensor, Per::Channel, Per::Scaled] {
            let (problem, w) = example();
            let settings = Settings {
                clusters: 4,
                init: Init::KmeansPlusPlus,
                per,
                seed: 1,
            };
            let mut books = Books::find(&w, None, settings).unwrap();
            let nearest = books.apply(&w);
            let rows: Vec<Vec<f64>> = w
                .rows()
                .into_iter()
                .map(|r| r.iter().map(|&v| f64::from(v)).collect())
                .collect();
            let layer = Solved {
                problems: std::slice::from_ref(&problem),
                group: &|_| 0,
                rows: &rows,
                targets: &rows,
                columns: 12,
            };
            let refined = refined(&layer, &mut books, per).unwrap();
            let error = |at: &dyn Fn(usize) -> Vec<f64>| (0..3).map(|r| problem.error(&at(r), &rows[r])).sum::<f64>();
            let ours = error(&|r| refined[r].clone());
            let theirs = error(&|r| nearest.row(r).iter().map(|&v| f64::from(v)).collect());
            assert!(ours < 0.8 * theirs, "{per:?}: {ours} against {theirs}");
            for (r, row) in refined.iter().enumerate() {
                let distinct: std::collections::BTreeSet<u64> = row.iter().map(|v| v.to_bits()).collect();
                assert!(distinct.len() <= 4);
                // Zeros stay zeros, and nothing else becomes one.
                assert!(row.iter().zip(&rows[r]).all(|(a, b)| (*a == 0.0) == (*b == 0.0)));
            }
        }
    }
}

//! Second-order pruning of layers that are too wide for one removal at a time.
//!
//! Columns are visited in order, window by window: in each the weights that cost least go, and the columns still to come make up for them. One
//! Cholesky factor of the inverse Hessian serves all rows, so that a row of `n` columns takes about `n²` operations instead of `n³/3`.
//!
//! Source: Frantar & Alistarh 2023, *SparseGPT*, §3.

use std::ops::Range;

use ndarray::Array2;
use rayon::prelude::*;

use super::obs::{Rows, Trace};
use super::{Pattern, Sparsity};
use crate::MethodError;
use crate::reconstruct::{compensation, fix};

/// Columns among which weights are compared.
const WINDOW: usize = 128;

/// Rows of one group, while they are pruned.
struct Group {
    /// Places of the rows in the layer.
    places: Vec<usize>,
    values: Vec<Vec<f64>>,
    upper: Array2<f64>,
}

impl Rows<'_> {
    /// The pruned rows, bias included.
    pub(super) fn prune_in_order(&self, pattern: Pattern, sparsity: Sparsity) -> Result<Vec<Vec<f64>>, MethodError> {
        let mut rows = vec![Vec::new(); self.targets.len()];
        for (g, problem) in self.problems.iter().enumerate() {
            let places: Vec<usize> = (0..rows.len()).filter(|&row| (self.group)(row) == g).collect();
            let mut group = Group {
                values: places.iter().map(|&row| self.targets[row].clone()).collect(),
                places,
                upper: compensation(problem)?,
            };
            self.prune_group(&mut group, pattern, sparsity);
            for (place, values) in group.places.into_iter().zip(group.values) {
                rows[place] = values;
            }
        }
        Ok(rows)
    }

    fn prune_group(&self, group: &mut Group, pattern: Pattern, sparsity: Sparsity) {
        let (mut seen, mut gone) = (0, 0);
        for window in windows(&self.pieces(pattern)) {
            seen += window.len() * group.values.len();
            let removed = match pattern {
                Pattern::NofM { keep, .. } => self.beyond_quota(group, &window, keep),
                Pattern::Free | Pattern::Block(_) => {
                    self.cheapest(group, &window, sparsity.of(seen).saturating_sub(gone))
                }
            };
            gone += removed.iter().map(Vec::len).sum::<usize>();
            let upper = &group.upper;
            let rows = group.values.par_iter_mut().zip(removed);
            rows.for_each(|(row, removed)| removed.into_iter().flatten().for_each(|c| fix(row, upper, c, 0.0)));
        }
    }

    /// What is decided about together: blocks, stretches with a quota, or single columns.
    fn pieces(&self, pattern: Pattern) -> Vec<Range<usize>> {
        match pattern {
            Pattern::NofM { .. } => {
                let quotas = pattern.quotas(self.columns, self.run);
                quotas.into_iter().map(|(range, _)| range).collect()
            }
            Pattern::Free | Pattern::Block(_) => pattern.units(self.columns, self.run),
        }
    }

    /// What it costs to remove some columns of a row; less than nothing where all of them are zero already.
    fn cost(&self, group: &Group, row: usize, columns: &Range<usize>) -> f64 {
        let is_gone = |c: usize| self.gone[group.places[row]].get(c).copied().unwrap_or(false);
        if columns.clone().all(is_gone) {
            return -1.0;
        }
        let one = |c: usize| (group.values[row][c] / group.upper[[c, c]]).powi(2);
        columns.clone().map(one).sum()
    }

    /// The `count` cheapest pieces of a window over all rows, and those that are zero already: for each row, in order.
    fn cheapest(&self, group: &Group, window: &[Range<usize>], count: usize) -> Vec<Vec<Range<usize>>> {
        let costs = |row: usize| {
            window
                .iter()
                .enumerate()
                .map(move |(p, piece)| (self.cost(group, row, piece), row, p))
        };
        let mut all: Vec<(f64, usize, usize)> = (0..group.values.len()).flat_map(costs).collect();
        all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let forced = all.iter().take_while(|(cost, ..)| *cost < 0.0).count();
        all.truncate(count.max(forced));
        let mut removed = vec![Vec::new(); group.values.len()];
        all.sort_unstable_by_key(|&(_, row, piece)| (row, piece));
        for (_, row, piece) in all {
            removed[row].push(window[piece].clone());
        }
        removed
    }

    /// All but the `keep` dearest columns of each piece of a window.
    fn beyond_quota(&self, group: &Group, window: &[Range<usize>], keep: usize) -> Vec<Vec<Range<usize>>> {
        let of_row = |row: usize| {
            let of_piece = |piece: &Range<usize>| {
                let mut columns: Vec<(f64, usize)> =
                    piece.clone().map(|c| (self.cost(group, row, &(c..c + 1)), c)).collect();
                columns.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let forced = columns.iter().take_while(|(cost, _)| *cost < 0.0).count();
                columns.truncate(piece.len().saturating_sub(keep).max(forced));
                columns.sort_unstable_by_key(|&(_, c)| c);
                columns.into_iter().map(|(_, c)| c..c + 1).collect::<Vec<_>>()
            };
            window.iter().flat_map(of_piece).collect()
        };
        (0..group.values.len()).map(of_row).collect()
    }

    /// The removals of every row by what each costs alone, cheapest first.
    pub(super) fn traces_of_single_removals(&self, pattern: Pattern) -> Vec<Trace> {
        let units = pattern.units(self.columns, self.run);
        let one = |row: usize| {
            let inverse = self.problems[(self.group)(row)].inverse();
            let cost = |c: usize| match self.gone[row].get(c) {
                Some(true) => 0.0,
                _ => self.targets[row][c].powi(2) / inverse[[c, c]],
            };
            let costs = units.iter().map(|unit| unit.clone().map(cost).sum());
            let mut removals: Vec<(usize, f64)> = costs.enumerate().collect();
            removals.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            Trace { removals }
        };
        (0..self.targets.len()).into_par_iter().map(one).collect()
    }
}

/// Pieces in runs of at least [`WINDOW`] columns.
fn windows(pieces: &[Range<usize>]) -> Vec<Vec<Range<usize>>> {
    let mut windows: Vec<Vec<Range<usize>>> = Vec::new();
    let mut columns = WINDOW;
    for piece in pieces {
        if columns >= WINDOW {
            windows.push(Vec::new());
            columns = 0;
        }
        columns += piece.len();
        windows.last_mut().expect("one was just opened").push(piece.clone());
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;

    const COLUMNS: usize = 300;

    /// A problem with correlated columns, and rows of which some weights are zero.
    struct Layer {
        problem: Problem,
        targets: Vec<Vec<f64>>,
        gone: Vec<Vec<bool>>,
    }

    impl Layer {
        fn example() -> Self {
            let x = Array2::from_shape_fn((2 * COLUMNS, COLUMNS), |(i, j)| {
                (((i * 7 + j * 13 + i * j) % 17) as f64 - 8.0) / 4.0 + ((i % 5) as f64 - 2.0)
            });
            let hessian = x.t().dot(&x) + Array2::<f64>::eye(COLUMNS) * 0.1;
            let value = |row: usize, j: usize| (((j * 5 + row * 3) % 11) as f64 - 5.0) / 3.0;
            let row = |row| (0..COLUMNS).map(|j| value(row, j)).collect();
            let targets: Vec<Vec<f64>> = (0..6).map(row).collect();
            Layer {
                problem: Problem::new(hessian, None).unwrap(),
                gone: targets
                    .iter()
                    .map(|row| row.iter().map(|&v| v == 0.0).collect())
                    .collect(),
                targets,
            }
        }

        fn rows(&self) -> Rows<'_> {
            Rows {
                problems: std::slice::from_ref(&self.problem),
                group: &|_| 0,
                targets: &self.targets,
                gone: &self.gone,
                columns: COLUMNS,
                run: 60,
            }
        }

        fn pruned(&self, pattern: Pattern, sparsity: f64) -> Vec<Vec<f64>> {
            let sparsity = Sparsity::new(sparsity).unwrap();
            self.rows().prune_in_order(pattern, sparsity).unwrap()
        }

        fn error(&self, rows: &[Vec<f64>]) -> f64 {
            let pairs = rows.iter().zip(&self.targets);
            pairs.map(|(row, target)| self.problem.error(row, target)).sum()
        }
    }

    fn zeros(rows: &[Vec<f64>]) -> usize {
        rows.iter().flatten().filter(|&&v| v == 0.0).count()
    }

    #[test]
    fn the_share_is_reached_and_costs_less_than_by_magnitude() {
        let layer = Layer::example();
        let rows = layer.pruned(Pattern::Free, 0.5);
        assert_eq!(zeros(&rows), 6 * COLUMNS / 2);
        let mut order: Vec<f64> = layer.targets.iter().flatten().map(|v| v.abs()).collect();
        order.sort_unstable_by(f64::total_cmp);
        let least = order[order.len() / 2];
        let cut = |row: &Vec<f64>| row.iter().map(|&v| if v.abs() < least { 0.0 } else { v }).collect();
        let by_magnitude: Vec<Vec<f64>> = layer.targets.iter().map(cut).collect();
        assert!(zeros(&by_magnitude) <= zeros(&rows));
        let [ours, theirs] = [&rows, &by_magnitude].map(|rows| layer.error(rows));
        assert!(ours < 0.5 * theirs, "{ours} {theirs}");
    }

    #[test]
    fn patterns_hold_and_zeros_stay() {
        let layer = Layer::example();
        let rows = layer.pruned(Pattern::NofM { keep: 2, of: 4 }, 0.0);
        for (row, target) in rows.iter().zip(&layer.targets) {
            assert!(row.chunks(4).all(|c| c.iter().filter(|&&v| v != 0.0).count() <= 2));
            assert!(row.iter().zip(target).all(|(v, t)| *t != 0.0 || *v == 0.0));
        }
        let rows = layer.pruned(Pattern::Block(4), 0.5);
        let blocks = rows.iter().flat_map(|row| row.chunks(4));
        let gone = blocks.filter(|block| block.iter().all(|&v| v == 0.0)).count();
        assert_eq!(gone, 6 * COLUMNS / 4 / 2);
    }

    #[test]
    fn without_updates_the_cheapest_of_a_row_come_first() {
        for trace in Layer::example().rows().traces_of_single_removals(Pattern::Free) {
            assert_eq!(trace.removals.len(), COLUMNS);
            assert!(trace.removals.is_sorted_by(|a, b| a.1 <= b.1));
        }
    }
}

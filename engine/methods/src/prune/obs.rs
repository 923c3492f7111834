//! Second-order pruning: remove the weight whose loss hurts least, let the others make up for it, repeat.
//!
//! With Hessian `H` of a row's squared output error, removing weight `p` costs `w_p² / [H⁻¹]_pp` when the survivors move by
//! `−H⁻¹_:p · w_p / [H⁻¹]_pp` (Hassibi & Stork 1992, *Optimal Brain Surgeon*). Rows do not interact, so that each is pruned alone with its
//! own inverse, from which a removed weight is eliminated in `O(columns²)` (Frantar & Alistarh 2022, *Optimal Brain Compression*:
//! ExactOBS). The order of removals of all rows is then merged by cost, which says how many weights each row loses. The survivors are
//! solved for at the end: the same values as after all the updates, without their rounding.
//!
//! A row of `n` columns takes about `n³/3` operations, most of them in matrix products. Layers for which these are too many are pruned window by window instead
//! (`wide.rs`).

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView1, ArrayView2, CowArray, Ix2, s};
use rayon::prelude::*;

use super::{Pattern, Sparsity};
use crate::{MethodError, Problem, cholesky};

/// Operations that a layer may take by single removals: about a minute on two cores. A 3×3 convolution of 128 channels stays far below it, one
/// of 256 does not.
const EXACT: f64 = 1e12;

/// Removals whose effect on the inverse Hessian is brought in at once.
const PENDING: usize = 64;

/// The order in which the units of one row go, with what each removal costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Units of [`Pattern::units`] and the rise of the squared error when they go, in order.
    pub removals: Vec<(usize, f64)>,
}

/// The rows of a layer with the quadratic problems of their groups.
pub struct Rows<'a> {
    /// The problem of each group.
    pub problems: &'a [Problem],
    /// The group of each row.
    pub group: &'a (dyn Fn(usize) -> usize + Sync),
    /// The target of each row ([`Problem::target`]), bias last where there is one.
    pub targets: &'a [Vec<f64>],
    /// Which weights are zero already, by row: they stay zero and count as removed.
    pub gone: &'a [Vec<bool>],
    /// Columns that can be pruned: all but the bias.
    pub columns: usize,
    /// See [`crate::Layer::run`].
    pub run: usize,
}

impl Rows<'_> {
    /// Whether the layer is too wide for one removal at a time.
    pub fn is_wide(&self) -> bool {
        let of_row = |row: usize| (self.problems[(self.group)(row)].columns() as f64).powi(3) / 3.0;
        (0..self.targets.len()).map(of_row).sum::<f64>() > EXACT
    }

    /// The removals of every row; no more than the pattern allows. Those of a wide layer are ordered by what each costs alone.
    pub fn traces(&self, pattern: Pattern) -> Vec<Trace> {
        if self.is_wide() {
            return self.traces_of_single_removals(pattern);
        }
        let one = |row: usize| {
            let problem = &self.problems[(self.group)(row)];
            trace(
                problem,
                &self.targets[row],
                &self.gone[row],
                self.columns,
                self.run,
                pattern,
            )
        };
        (0..self.targets.len()).into_par_iter().map(one).collect()
    }

    /// The pruned rows, bias included.
    ///
    /// # Errors
    /// Never for problems that could be made.
    pub fn prune(&self, pattern: Pattern, sparsity: Sparsity) -> Result<Vec<Vec<f64>>, MethodError> {
        if self.is_wide() {
            return self.prune_in_order(pattern, sparsity);
        }
        let traces = self.traces(pattern);
        let units = pattern.units(self.columns, self.run);
        let counts = match pattern {
            Pattern::NofM { .. } => traces.iter().map(|t| t.removals.len()).collect(),
            Pattern::Free | Pattern::Block(_) => merge(&traces, sparsity.of(units.len() * traces.len())).0,
        };
        let one = |row: usize| {
            let removed = &traces[row].removals[..counts[row]];
            let keep = keep(removed, &units, &self.gone[row], self.targets[row].len());
            self.problems[(self.group)(row)].restricted(&self.targets[row], &keep)
        };
        (0..self.targets.len()).into_par_iter().map(one).collect()
    }
}

fn keep(removed: &[(usize, f64)], units: &[Range<usize>], gone: &[bool], len: usize) -> Vec<bool> {
    let mut keep = vec![true; len];
    removed
        .iter()
        .flat_map(|(unit, _)| units[*unit].clone())
        .for_each(|c| keep[c] = false);
    keep.iter_mut().zip(gone).for_each(|(k, &gone)| *k &= !gone);
    keep
}

/// Takes `count` removals from the traces, always the cheapest that comes next in one of them: how many each gives, and the costs in order.
pub fn merge(traces: &[Trace], count: usize) -> (Vec<usize>, Vec<f64>) {
    let mut taken = vec![0; traces.len()];
    let mut costs = Vec::with_capacity(count);
    let next = |row: usize, taken: usize| Some(Next(traces[row].removals.get(taken)?.1, row));
    let mut heap: BinaryHeap<Next> = (0..traces.len()).filter_map(|row| next(row, 0)).collect();
    while costs.len() < count
        && let Some(Next(cost, row)) = heap.pop()
    {
        taken[row] += 1;
        costs.push(cost);
        heap.extend(next(row, taken[row]));
    }
    (taken, costs)
}

/// Cost and row, the cheapest (then the first) greatest.
#[derive(PartialEq)]
struct Next(f64, usize);

impl Eq for Next {}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.total_cmp(&self.0).then(other.1.cmp(&self.1))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The removals of one row.
fn trace(problem: &Problem, target: &[f64], gone: &[bool], columns: usize, run: usize, pattern: Pattern) -> Trace {
    let units = pattern.units(columns, run);
    let quotas = pattern.quotas(columns, run);
    let mut room: Vec<usize> = quotas.iter().map(|(range, keep)| range.len() - keep).collect();
    let mut quota_of = vec![0; columns];
    quotas
        .iter()
        .enumerate()
        .for_each(|(q, (range, _))| range.clone().for_each(|c| quota_of[c] = q));
    let mut surgeon = Surgeon::new(problem, target, &units);
    let mut left: Vec<usize> = (0..units.len()).collect();
    // Weights that are zero already go first: they cost nothing more than what the targets ask of them.
    let is_gone = |unit: &usize| units[*unit].clone().all(|c| gone.get(c).copied().unwrap_or(false));
    let mut forced = (0..units.len()).filter(is_gone);
    let mut removals = Vec::new();
    loop {
        let allowed = left
            .iter()
            .copied()
            .filter(|&u| quotas.is_empty() || room[quota_of[units[u].start]] > 0);
        let best = match forced.next() {
            Some(unit) => Some((unit, 0.0)),
            None => allowed
                .map(|unit| (unit, surgeon.cost(unit)))
                .fold(None, |best: Option<(usize, f64)>, one| match best {
                    Some(known) if known.1 <= one.1 => Some(known),
                    _ => Some(one),
                }),
        };
        let Some((unit, cost)) = best else { break };
        surgeon.remove(unit);
        if !quotas.is_empty() {
            let room = &mut room[quota_of[units[unit].start]];
            *room = room.saturating_sub(1);
        }
        left.retain(|&u| u != unit);
        removals.push((unit, cost));
    }
    Trace { removals }
}

/// A row and the inverse Hessian of what is left of it.
///
/// Removing column `p` subtracts `v·vᵀ` from the inverse, `v = [H⁻¹]_:p / √[H⁻¹]_pp`. The next removal needs one column of the result and the entries
/// within units only: whole matrices are updated for [`PENDING`] removals at once, as one product.
struct Surgeon<'a> {
    units: &'a [Range<usize>],
    row: Vec<f64>,
    /// The columns that `inverse` is of.
    there: Vec<usize>,
    /// Position of each column in `there`, of those that are left.
    place: Vec<Option<usize>>,
    inverse: CowArray<'a, f64, Ix2>,
    /// The vectors whose squares are yet to be subtracted from `inverse`.
    pending: Vec<Vec<f64>>,
    /// What the inverse is within each unit, with all subtracted: squares one after the other.
    within: Vec<f64>,
    /// Where the square of each unit starts.
    starts: Vec<usize>,
}

impl<'a> Surgeon<'a> {
    fn new(problem: &'a Problem, target: &[f64], units: &'a [Range<usize>]) -> Self {
        let inverse = problem.inverse();
        let within = |unit: &Range<usize>| inverse.slice(s![unit.clone(), unit.clone()]).to_owned();
        let sizes = units.iter().map(|unit| unit.len() * unit.len());
        let starts = sizes.scan(0, |end, size| Some(std::mem::replace(end, *end + size)));
        Surgeon {
            units,
            row: target.to_vec(),
            there: (0..target.len()).collect(),
            place: (0..target.len()).map(Some).collect(),
            within: units.iter().flat_map(within).collect(),
            starts: starts.collect(),
            inverse: inverse.into(),
            pending: Vec::with_capacity(PENDING),
        }
    }

    /// What it costs to remove a unit: `w_Bᵀ·([H⁻¹]_BB)⁻¹·w_B`.
    fn cost(&self, unit: usize) -> f64 {
        let values = &self.row[self.units[unit].clone()];
        let within = &self.within[self.starts[unit]..][..values.len() * values.len()];
        if let (&[value], &[own]) = (values, within) {
            return value * value / own;
        }
        let within = ArrayView2::from_shape((values.len(), values.len()), within).expect("a square");
        match cholesky::factor(within) {
            Ok(l) => cholesky::solve(&l, values).iter().zip(values).map(|(a, b)| a * b).sum(),
            // Rounding has eaten the last digits: such a block is as good as free.
            Err(_) => 0.0,
        }
    }

    fn remove(&mut self, unit: usize) {
        for column in self.units[unit].clone() {
            let Some(p) = self.place[column].take() else { continue };
            let mut vector = self.inverse.row(p).to_vec();
            for known in &self.pending {
                let factor = known[p];
                vector.iter_mut().zip(known).for_each(|(v, k)| *v -= factor * k);
            }
            let root = vector[p].sqrt();
            for v in &mut vector {
                *v /= root;
            }
            let mut by_column = vec![0.0; self.row.len()];
            self.there.iter().zip(&vector).for_each(|(&c, &v)| by_column[c] = v);
            let step = self.row[column] / root;
            self.row.iter_mut().zip(&by_column).for_each(|(w, v)| *w -= step * v);
            if self.within.len() == self.units.len() {
                let own = self.units.iter().map(|unit| by_column[unit.start]);
                self.within.iter_mut().zip(own).for_each(|(w, v)| *w -= v * v);
            } else {
                let mut within = self.within.iter_mut();
                for unit in self.units {
                    let part = &by_column[unit.clone()];
                    for (a, b) in part.iter().flat_map(|a| part.iter().map(move |b| (a, b))) {
                        *within.next().expect("a square for each unit") -= a * b;
                    }
                }
            }
            self.pending.push(vector);
            if self.pending.len() == PENDING {
                self.settle();
            }
        }
    }

    /// Subtracts what is pending and drops the removed columns.
    fn settle(&mut self) {
        let left: Vec<usize> = self.there.iter().filter_map(|&c| self.place[c]).collect();
        let runs = runs(&left);
        let kept = |from: &[f64], to: &mut [f64]| {
            for (start, run) in &runs {
                to[*start..start + run.len()].copy_from_slice(&from[run.clone()]);
            }
        };
        let n = left.len();
        let mut inverse = Array2::<f64>::zeros((n, n));
        for (&p, mut row) in left.iter().zip(inverse.rows_mut()) {
            kept(
                slice(self.inverse.row(p)),
                row.as_slice_mut().expect("rows are contiguous"),
            );
        }
        let mut pending = Array2::<f64>::zeros((self.pending.len(), n));
        for (vector, mut row) in self.pending.iter().zip(pending.rows_mut()) {
            kept(vector, row.as_slice_mut().expect("rows are contiguous"));
        }
        // Symmetric: the half below the diagonal is computed, and mirrored.
        for start in (0..n).step_by(PENDING) {
            let end = (start + PENDING).min(n);
            let stripe = pending.slice(s![.., start..end]);
            let mut below = inverse.slice_mut(s![start.., start..end]);
            general_mat_mul(-1.0, &pending.slice(s![.., start..]).t(), &stripe, 1.0, &mut below);
        }
        mirror(&mut inverse);
        self.inverse = inverse.into();
        self.pending.clear();
        self.there = left.iter().map(|&p| self.there[p]).collect();
        self.there
            .iter()
            .enumerate()
            .for_each(|(p, &c)| self.place[c] = Some(p));
    }
}

/// Stretches of neighbours in an ascending list, each with its place there.
fn runs(list: &[usize]) -> Vec<(usize, Range<usize>)> {
    let chunks = list.chunk_by(|a, b| a + 1 == *b);
    let place = |end: &mut usize, chunk: &[usize]| Some(std::mem::replace(end, *end + chunk.len()));
    let places = chunks.clone().scan(0, place);
    places
        .zip(chunks.map(|chunk| chunk[0]..chunk[chunk.len() - 1] + 1))
        .collect()
}

fn slice(row: ArrayView1<'_, f64>) -> &[f64] {
    row.to_slice().expect("rows are contiguous")
}

/// Makes the half above the diagonal that below it, in tiles that stay in the cache.
fn mirror(square: &mut Array2<f64>) {
    const TILE: usize = 16;
    let n = square.nrows();
    let values = square.as_slice_mut().expect("rows are contiguous");
    for top in (0..n).step_by(TILE) {
        for left in (top..n).step_by(TILE) {
            for i in top..(top + TILE).min(n) {
                for j in left.max(i + 1)..(left + TILE).min(n) {
                    values[i * n + j] = values[j * n + i];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A problem with correlated columns, and a row.
    fn example(n: usize, salt: usize) -> (Problem, Vec<f64>) {
        let x = Array2::from_shape_fn((3 * n, n), |(i, j)| {
            (((i * 7 + j * 13 + i * j + salt) % 17) as f64 - 8.0) / 4.0
        });
        let hessian = x.t().dot(&x) + Array2::<f64>::eye(n) * 0.1;
        let row = (0..n)
            .map(|j| (((j * 5 + salt) % 11) as f64 - 5.0) / 3.0 + 0.05)
            .collect();
        (Problem::new(hessian, None).unwrap(), row)
    }

    fn pruned(problem: &Problem, row: &[f64], pattern: Pattern, run: usize, sparsity: f64) -> Vec<f64> {
        let rows = Rows {
            problems: std::slice::from_ref(problem),
            group: &|_| 0,
            targets: &[row.to_vec()],
            gone: &[vec![false; row.len()]],
            columns: row.len(),
            run,
        };
        rows.prune(pattern, Sparsity::new(sparsity).unwrap()).unwrap().remove(0)
    }

    /// The least error over all masks that keep `k` of the columns and satisfy `allowed`.
    fn exhaustive(problem: &Problem, row: &[f64], k: usize, allowed: impl Fn(&[bool]) -> bool) -> f64 {
        let masks = (0u32..1 << row.len()).filter(|m| m.count_ones() as usize == k);
        let masks = masks.map(|m| (0..row.len()).map(|j| m >> j & 1 == 1).collect::<Vec<bool>>());
        let error = |mask: Vec<bool>| problem.error(&problem.restricted(row, &mask).unwrap(), row);
        masks.filter(|m| allowed(m)).map(error).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn the_first_removal_is_the_best_of_all_and_later_ones_stay_close_to_the_optimum() {
        for salt in 0..8 {
            let (problem, row) = example(8, salt);
            let one = problem.error(&pruned(&problem, &row, Pattern::Free, 8, 1.0 / 8.0), &row);
            assert!((one - exhaustive(&problem, &row, 7, |_| true)).abs() < 1e-9);
            let half = problem.error(&pruned(&problem, &row, Pattern::Free, 8, 0.5), &row);
            let best = exhaustive(&problem, &row, 4, |_| true);
            assert!(half >= best - 1e-9 && half <= 1.6 * best, "{half} against {best}");
        }
    }

    #[test]
    fn costs_add_up_to_the_error_of_the_result() {
        let (problem, row) = example(8, 3);
        let trace = trace(&problem, &row, &[false; 8], 8, 8, Pattern::Free);
        let paid: f64 = trace.removals.iter().take(4).map(|(_, cost)| cost).sum();
        let result = pruned(&problem, &row, Pattern::Free, 8, 0.5);
        assert!((paid - problem.error(&result, &row)).abs() < 1e-9 * paid);
        assert_eq!(result.iter().filter(|&&v| v == 0.0).count(), 4);
    }

    #[test]
    fn it_beats_magnitudes_on_correlated_inputs() {
        for salt in 0..8 {
            let (problem, row) = example(12, salt);
            let mut order: Vec<usize> = (0..12).collect();
            order.sort_by(|&a, &b| row[b].abs().total_cmp(&row[a].abs()));
            let zeroed: Vec<f64> = (0..12)
                .map(|j| if order[..6].contains(&j) { row[j] } else { 0.0 })
                .collect();
            let ours = pruned(&problem, &row, Pattern::Free, 12, 0.5);
            assert!(problem.error(&ours, &row) < problem.error(&zeroed, &row));
        }
    }

    #[test]
    fn patterns_hold_and_stay_close_to_their_optimum() {
        let (problem, row) = example(8, 5);
        let two_of_four = |m: &[bool]| m.chunks(4).all(|c| c.iter().filter(|&&k| k).count() == 2);
        let result = pruned(&problem, &row, Pattern::NofM { keep: 2, of: 4 }, 8, 0.0);
        assert!(two_of_four(&result.iter().map(|&v| v != 0.0).collect::<Vec<_>>()));
        let best = exhaustive(&problem, &row, 4, two_of_four);
        assert!(problem.error(&result, &row) <= 1.6 * best);

        let pairs = |m: &[bool]| m.chunks(2).all(|c| c[0] == c[1]);
        let result = pruned(&problem, &row, Pattern::Block(2), 8, 0.5);
        assert!(pairs(&result.iter().map(|&v| v != 0.0).collect::<Vec<_>>()));
        assert!(problem.error(&result, &row) <= 1.6 * exhaustive(&problem, &row, 4, pairs));
    }

    #[test]
    fn weights_that_are_zero_stay_zero_and_count() {
        let (problem, mut row) = example(8, 1);
        row[2] = 0.0;
        let rows = Rows {
            problems: std::slice::from_ref(&problem),
            group: &|_| 0,
            targets: &[row.clone()],
            gone: &[(0..8).map(|j| j == 2).collect()],
            columns: 8,
            run: 8,
        };
        let result = rows
            .prune(Pattern::Free, Sparsity::new(0.5).unwrap())
            .unwrap()
            .remove(0);
        assert_eq!(result[2], 0.0);
        assert_eq!(result.iter().filter(|&&v| v == 0.0).count(), 4);
    }

    #[test]
    fn the_cheapest_removals_of_all_rows_are_taken() {
        let trace = |costs: &[f64]| Trace {
            removals: costs.iter().copied().enumerate().collect(),
        };
        let traces = [trace(&[1.0, 5.0, 0.0]), trace(&[2.0, 3.0])];
        assert_eq!(merge(&traces, 3), (vec![1, 2], vec![1.0, 2.0, 3.0]));
        assert_eq!(merge(&traces, 9).0, [3, 2]);
    }
}

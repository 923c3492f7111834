//! Rounding by reconstruction: choose each weight's code so that the layer's output stays, not the weight.
//!
//! Weights are rounded one after the other, and those still to come are moved to make up for each error (Frantar et al. 2023, *GPTQ*, with the
//! Cholesky form of the inverse Hessian). Coordinate descent then revisits single codes as long as the error falls (Nair &
//! Suggala 2024, *CDQuant*; the objective is that of Nagel et al. 2020, *AdaRound*). The codes may be a uniform grid or a codebook; a weight
//! that is pruned stays zero and its share moves to the others; the bias takes any value.
//!
//! The result is never worse than rounding to the nearest code, because that is one of the starting points.

use ndarray::Array2;

use crate::{MethodError, Problem, cholesky};

/// Sweeps of coordinate descent; it has converged long before.
const SWEEPS: usize = 64;

/// The values that the weights of a row may take.
#[derive(Debug, Clone, PartialEq)]
pub enum Codes {
    /// `scale · q` for integers `|q| ≤ limit`.
    Grid {
        /// The step.
        scale: f64,
        /// The greatest magnitude in steps: 127 for 8 bits, 7 for 4.
        limit: f64,
    },
    /// These values, ascending.
    Book(Vec<f64>),
}

impl Codes {
    /// The code nearest to a value; of two equally near ones that further from zero (grid) or the lower one (book).
    pub fn nearest(&self, value: f64) -> f64 {
        match self {
            Codes::Grid { scale, limit } => scale * (value / scale).round().clamp(-limit, *limit),
            Codes::Book(book) => {
                let at = book.partition_point(|&code| code < value);
                match (at.checked_sub(1).map(|i| book[i]), book.get(at)) {
                    (Some(low), Some(&high)) if value - low <= high - value => low,
                    (_, Some(&high)) => high,
                    (Some(low), None) => low,
                    (None, None) => value,
                }
            }
        }
    }
}

/// A row to be rounded.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its values, bias last where there is one.
    pub original: &'a [f64],
    /// See [`Problem::target`].
    pub target: &'a [f64],
    /// Which weights may differ from zero.
    pub keep: &'a [bool],
    /// How many columns are weights; what follows (the bias) takes any value.
    pub columns: usize,
}

/// How the columns after each make up for a change of it: `U` with `Uᵀ·U = H⁻¹`, upper triangular. Source: GPTQ, §3.3, step 3.
///
/// # Errors
/// The inverse is not positive definite: the damping is too small for the precision of doubles.
pub(crate) fn compensation(problem: &Problem) -> Result<Array2<f64>, MethodError> {
    let lower = cholesky::factor(problem.inverse().view())?;
    Ok(lower.t().as_standard_layout().into_owned())
}

/// Gives a column of a row its final value; the columns after it make up for that ([`compensation`]).
pub(crate) fn fix(row: &mut [f64], upper: &Array2<f64>, column: usize, value: f64) {
    let step = (row[column] - value) / upper[[column, column]];
    row[column] = value;
    let later = row.iter_mut().zip(upper.row(column)).skip(column + 1);
    later.for_each(|(v, u)| *v -= step * u);
}

/// Rounds the rows of one group.
pub struct Rounding<'a> {
    problem: &'a Problem,
    upper: Array2<f64>,
}

impl<'a> Rounding<'a> {
    /// Prepares the rows of one group.
    ///
    /// # Errors
    /// The inverse is not positive definite: the damping is too small for the precision of doubles.
    pub fn new(problem: &'a Problem) -> Result<Self, MethodError> {
        let upper = compensation(problem)?;
        Ok(Rounding { problem, upper })
    }

    /// The rounded row of least error that was found.
    pub fn round(&self, row: Row<'_>, codes: &Codes) -> Vec<f64> {
        let starts = [self.nearest(row, codes), self.ordered(row, codes)];
        let ends = starts.map(|start| self.descended(start, row, codes));
        let [nearest, ordered] = ends;
        let error = |v: &[f64]| self.problem.error(v, row.target);
        if error(&ordered) <= error(&nearest) {
            ordered
        } else {
            nearest
        }
    }

    /// Each weight to its nearest code.
    pub fn nearest(&self, row: Row<'_>, codes: &Codes) -> Vec<f64> {
        let value = |(j, &w): (usize, &f64)| match (j < row.columns, row.keep[j]) {
            (false, _) => w,
            (true, false) => 0.0,
            (true, true) => codes.nearest(w),
        };
        row.original.iter().enumerate().map(value).collect()
    }

    /// GPTQ: one after the other, the rest making up for the error.
    fn ordered(&self, row: Row<'_>, codes: &Codes) -> Vec<f64> {
        let mut v = row.target.to_vec();
        for j in 0..row.columns {
            let rounded = if row.keep[j] { codes.nearest(v[j]) } else { 0.0 };
            fix(&mut v, &self.upper, j, rounded);
        }
        v
    }

    /// Coordinate descent from `start` until no single change lowers the error.
    pub fn descended(&self, start: Vec<f64>, row: Row<'_>, codes: &Codes) -> Vec<f64> {
        let hessian = self.problem.hessian();
        let mut v = start;
        let off = ndarray::Array1::from_iter(v.iter().zip(row.target).map(|(v, t)| v - t));
        // Half the gradient of the error.
        let mut slope = hessian.dot(&off).to_vec();
        for _ in 0..SWEEPS {
            let mut changed = false;
            for j in 0..v.len() {
                if j < row.columns && !row.keep[j] {
                    continue;
                }
                let curvature = hessian[[j, j]];
                let ideal = v[j] - slope[j] / curvature;
                let new = if j < row.columns { codes.nearest(ideal) } else { ideal };
                let step = new - v[j];
                let gain = -step * (2.0 * slope[j] + step * curvature);
                // A gain within rounding would let codes go back and forth.
                if gain > 1e-12 * (slope[j] * slope[j] / curvature).max(f64::MIN_POSITIVE) && step != 0.0 {
                    v[j] = new;
                    let column = hessian.row(j);
                    slope.iter_mut().zip(column).for_each(|(s, h)| *s += step * h);
                    changed |= j < row.columns;
                }
            }
            if !changed {
                break;
            }
        }
        v
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(n: usize, salt: usize) -> (Problem, Vec<f64>) {
        let x = Array2::from_shape_fn((2 * n, n), |(i, j)| {
            (((i * 7 + j * 13 + i * j + salt) % 17) as f64 - 6.0) / 4.0
        });
        let hessian = x.t().dot(&x) + Array2::<f64>::eye(n) * 0.1;
        let row = (0..n).map(|j| (((j * 5 + salt * 3) % 11) as f64 - 5.0) / 3.7).collect();
        (Problem::new(hessian, None).unwrap(), row)
    }

    fn round(problem: &Problem, row: &[f64], columns: usize, keep: &[bool], codes: &Codes) -> (Vec<f64>, Vec<f64>) {
        let rounding = Rounding::new(problem).unwrap();
        let row = Row {
            original: row,
            target: row,
            keep,
            columns,
        };
        (rounding.round(row, codes), rounding.nearest(row, codes))
    }

    #[test]
    fn never_worse_than_nearest_and_near_the_best_of_all_codes() {
        let codes = Codes::Grid { scale: 0.9, limit: 1.0 };
        let mut better = 0;
        for salt in 0..20 {
            let (problem, row) = example(6, salt);
            let (ours, nearest) = round(&problem, &row, 6, &[true; 6], &codes);
            let error = |v: &[f64]| problem.error(v, &row);
            let all = (0..3usize.pow(6)).map(|code| {
                let digit = |j: u32| (code / 3usize.pow(j) % 3) as f64 - 1.0;
                error(&(0..6).map(|j| 0.9 * digit(j)).collect::<Vec<_>>())
            });
            let best = all.fold(f64::INFINITY, f64::min);
            assert!(error(&ours) <= error(&nearest) + 1e-12);
            assert!(
                error(&ours) >= best - 1e-9 && error(&ours) <= 2.0 * best,
                "{} against {best}",
                error(&ours)
            );
            better += usize::from(error(&ours) < 0.9 * error(&nearest));
        }
        assert!(better >= 3, "{better}");
    }

    #[test]
    fn pruned_weights_stay_zero_and_the_bias_is_free() {
        let (problem, row) = example(6, 2);
        let codes = Codes::Book(vec![-1.0, -0.25, 0.5, 1.25]);
        let keep = [true, false, true, true, false, true];
        let (ours, _) = round(&problem, &row, 5, &keep, &codes);
        assert_eq!((ours[1], ours[4]), (0.0, 0.0));
        assert!(
            [0, 2, 3]
                .iter()
                .all(|&j| matches!(&codes, Codes::Book(b) if b.contains(&ours[j])))
        );
        // The bias is where the error is least: the slope along it is 0.
        let off = ndarray::Array1::from_iter(ours.iter().zip(&row).map(|(a, b)| a - b));
        assert!(problem.hessian().row(5).dot(&off).abs() < 1e-6);
    }

    #[test]
    fn the_nearest_code_of_a_book_and_of_a_grid() {
        let book = Codes::Book(vec![-1.0, 0.0, 2.0]);
        let got: Vec<f64> = [-9.0, -0.6, 0.9, 1.1, 9.0].map(|v| book.nearest(v)).to_vec();
        assert_eq!(got, [-1.0, -1.0, 0.0, 2.0, 2.0]);
        let grid = Codes::Grid { scale: 0.5, limit: 7.0 };
        assert_eq!((grid.nearest(0.7), grid.nearest(99.0)), (0.5, 3.5));
    }
}

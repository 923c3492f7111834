//! Cholesky factors, solutions and inverses of symmetric positive definite matrices, in double precision.
//!
//! The plain algorithm (Golub & Van Loan, *Matrix Computations*, 4th ed., §4.2), row-oriented so that every inner loop runs along
//! memory. Sums have one order, so that results do not depend on threads.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::MethodError;

/// Rows that are factored together: all but their last columns do not depend on each other.
const PANEL: usize = 64;

/// Rows of a panel that one task works on, each earlier row read once for all of them.
const TOGETHER: usize = 16;

/// Columns of an inverse that are solved for at once.
const LANES: usize = 16;

/// The lower triangle `L` with `L·Lᵀ = a`.
///
/// # Errors
/// `a` is not positive definite.
pub fn factor(a: ArrayView2<'_, f64>) -> Result<Array2<f64>, MethodError> {
    let n = a.nrows();
    let mut l = Array2::<f64>::zeros((n, n));
    let entries = l.as_slice_mut().expect("made in row-major order");
    for start in (0..n).step_by(PANEL) {
        let (above, panel) = entries.split_at_mut(start * n);
        let panel = &mut panel[..PANEL.min(n - start) * n];
        let left = |(chunk, rows): (usize, &mut [f64])| {
            for j in 0..start {
                let other = &above[j * n..=j * n + j];
                for (r, own) in rows.chunks_mut(n).enumerate() {
                    let i = start + chunk * TOGETHER + r;
                    own[j] = (a[[i, j]] - dot(&own[..j], &other[..j])) / other[j];
                }
            }
        };
        panel.par_chunks_mut(TOGETHER * n).enumerate().for_each(left);
        for i in start..(start + PANEL).min(n) {
            let (before, own) = panel.split_at_mut((i - start) * n);
            for j in start..i {
                let other = &before[(j - start) * n..];
                own[j] = (a[[i, j]] - dot(&own[..j], &other[..j])) / other[j];
            }
            let pivot = a[[i, i]] - dot(&own[..i], &own[..i]);
            if pivot.is_nan() || pivot <= 0.0 {
                return Err(MethodError::NotPositive { column: i });
            }
            own[i] = pivot.sqrt();
        }
    }
    Ok(l)
}

/// The solution `x` of `L·Lᵀ·x = b`.
pub fn solve(l: &Array2<f64>, b: &[f64]) -> Vec<f64> {
    let n = l.nrows();
    let mut x = b.to_vec();
    for i in 0..n {
        x[i] = (x[i] - dot(&row(l, i)[..i], &x[..i])) / l[[i, i]];
    }
    for i in (0..n).rev() {
        x[i] /= l[[i, i]];
        let (head, tail) = x.split_at_mut(i);
        head.iter_mut()
            .zip(&row(l, i)[..i])
            .for_each(|(h, &c)| *h -= c * tail[0]);
    }
    x
}

/// `(L·Lᵀ)⁻¹`, symmetric to the last bit.
pub fn inverse(l: &Array2<f64>) -> Array2<f64> {
    let n = l.nrows();
    let starts: Vec<usize> = (0..n).step_by(LANES).collect();
    let stripes: Vec<Vec<[f64; LANES]>> = starts.par_iter().map(|&start| inverse_columns(l, start)).collect();
    Array2::from_shape_fn((n, n), |(i, j)| {
        let (column, row) = (i.min(j), i.max(j));
        let start = column / LANES * LANES;
        stripes[column / LANES][row - start][column - start]
    })
}

/// Columns `start..start + LANES` of the inverse, from row `start` on.
fn inverse_columns(l: &Array2<f64>, start: usize) -> Vec<[f64; LANES]> {
    let n = l.nrows();
    let mut x = vec![[0.0; LANES]; n - start];
    x.iter_mut()
        .take(LANES)
        .enumerate()
        .for_each(|(lane, row)| row[lane] = 1.0);
    // Above `start` the unit vectors are zero, and so is what follows from them.
    for i in 0..n - start {
        let factors = &row(l, start + i)[start..=start + i];
        let (done, rest) = x.split_at_mut(i);
        for (x, &factor) in done.iter().zip(factors) {
            subtract(&mut rest[0], factor, x);
        }
        rest[0].iter_mut().for_each(|v| *v /= factors[i]);
    }
    for i in (0..n - start).rev() {
        let factors = &row(l, start + i)[start..=start + i];
        let (above, rest) = x.split_at_mut(i);
        rest[0].iter_mut().for_each(|v| *v /= factors[i]);
        for (x, &factor) in above.iter_mut().zip(factors) {
            subtract(x, factor, &rest[0]);
        }
    }
    x
}

/// `to −= factor · from`.
fn subtract(to: &mut [f64; LANES], factor: f64, from: &[f64; LANES]) {
    for lane in 0..LANES {
        to[lane] -= factor * from[lane];
    }
}

fn row(a: &Array2<f64>, i: usize) -> &[f64] {
    let n = a.ncols();
    &a.as_slice().expect("made in row-major order")[i * n..(i + 1) * n]
}

/// Four running sums, so that compilers use vectors.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    for (x, y) in a4.iter().zip(b4) {
        for lane in 0..4 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_worked_example() {
        let a = array![[4.0, 12.0, -16.0], [12.0, 37.0, -43.0], [-16.0, -43.0, 98.0]];
        let l = factor(a.view()).unwrap();
        assert_eq!(l, array![[2.0, 0.0, 0.0], [6.0, 1.0, 0.0], [-8.0, 5.0, 3.0]]);
        let x = solve(&l, &[-20.0, -43.0, 192.0]);
        for (got, wanted) in x.iter().zip([1.0, 2.0, 3.0]) {
            assert!((got - wanted).abs() < 1e-12);
        }
        let product = a.dot(&inverse(&l));
        assert!(
            product
                .indexed_iter()
                .all(|((i, j), v)| (v - f64::from(u8::from(i == j))).abs() < 1e-9)
        );
    }

    #[test]
    fn panels_and_lanes_of_any_number_fit_together() {
        for n in [1, 15, 16, 17, 64, 65, 150] {
            let x = Array2::from_shape_fn((2 * n, n), |(i, j)| {
                (((i * 7 + j * 13 + i * j) % 17) as f64 - 8.0) / 4.0
            });
            let a = x.t().dot(&x) + Array2::<f64>::eye(n);
            let l = factor(a.view()).unwrap();
            let off = |(a, b): (&f64, &f64)| (a - b).abs() / n as f64;
            assert!(l.dot(&l.t()).iter().zip(&a).map(off).fold(0.0, f64::max) < 1e-10);
            assert!(l.indexed_iter().all(|((i, j), v)| j <= i || *v == 0.0));
            let one = a.dot(&inverse(&l));
            assert!(one.iter().zip(&Array2::<f64>::eye(n)).map(off).fold(0.0, f64::max) < 1e-9);
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_is_refused() {
        let e = factor(array![[1.0, 2.0], [2.0, 1.0]].view()).unwrap_err();
        insta::assert_snapshot!(e, @"the Hessian is not positive definite at column 1; raise the damping");
        assert!(factor(array![[f64::NAN]].view()).is_err());
    }
}

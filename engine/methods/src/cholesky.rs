//! Cholesky factors, solutions and inverses of symmetric positive definite matrices, in double precision.
//!
//! The plain algorithm (Golub & Van Loan, *Matrix Computations*, 4th ed., §4.2), row-oriented so that every inner loop runs along
//! memory. Sums have one order, so that results do not depend on threads.

use ndarray::{Array2, ArrayView2};

use crate::MethodError;

/// The lower triangle `L` with `L·Lᵀ = a`.
///
/// # Errors
/// `a` is not positive definite.
pub fn factor(a: ArrayView2<'_, f64>) -> Result<Array2<f64>, MethodError> {
    let n = a.nrows();
    let mut l = Array2::<f64>::zeros((n, n));
    for i in 0..n {
        for j in 0..=i {
            let sum = a[[i, j]] - dot(&row(&l, i)[..j], &row(&l, j)[..j]);
            if i == j {
                if sum.is_nan() || sum <= 0.0 {
                    return Err(MethodError::NotPositive { column: i });
                }
                l[[i, i]] = sum.sqrt();
            } else {
                l[[i, j]] = sum / l[[j, j]];
            }
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
    use rayon::prelude::*;
    let n = l.nrows();
    let column = |j: usize| {
        let mut unit = vec![0.0; n];
        unit[j] = 1.0;
        solve(l, &unit)
    };
    let columns: Vec<Vec<f64>> = (0..n).into_par_iter().map(column).collect();
    Array2::from_shape_fn((n, n), |(i, j)| columns[i.min(j)][i.max(j)])
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
    fn a_matrix_that_is_not_positive_definite_is_refused() {
        let e = factor(array![[1.0, 2.0], [2.0, 1.0]].view()).unwrap_err();
        insta::assert_snapshot!(e, @"the Hessian is not positive definite at column 1; raise the damping");
        assert!(factor(array![[f64::NAN]].view()).is_err());
    }
}

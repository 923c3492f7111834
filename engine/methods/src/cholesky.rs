//! Cholesky factors, solutions and inverses of symmetric positive definite matrices, in double precision.
//!
//! Block algorithms (Golub & Van Loan, *Matrix Computations*, 4th ed., §4.2.9): nearly all of the work is matrix products. Blocks and stripes
//! are of fixed size and each is computed by one task, so that results do not depend on threads.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use crate::MethodError;

/// Columns that are factored before what they take from the others is subtracted.
const BLOCK: usize = 64;

/// Rows, or columns of an inverse, that one task works on.
const STRIPE: usize = 96;

/// The lower triangle `L` with `L·Lᵀ = a`.
///
/// # Errors
/// `a` is not positive definite.
pub fn factor(a: ArrayView2<'_, f64>) -> Result<Array2<f64>, MethodError> {
    let n = a.nrows();
    let mut l = a.as_standard_layout().into_owned();
    for start in (0..n).step_by(BLOCK) {
        let end = (start + BLOCK).min(n);
        let (mut above, mut below) = l.view_mut().split_at(Axis(0), end);
        let mut own = above.slice_mut(s![start.., start..end]);
        factor_block(&mut own).map_err(|column| MethodError::NotPositive { column: start + column })?;
        let divide = |mut rows: ArrayViewMut2<'_, f64>| {
            each_row(&mut rows, |row| forward(own.view(), &mut row[start..end]));
        };
        stripes(&mut below).into_par_iter().for_each(divide);
        let panel = below.slice(s![.., start..end]).to_owned();
        let subtract = |(stripe, mut rows): (usize, ArrayViewMut2<'_, f64>)| {
            let (first, last) = (stripe * STRIPE, stripe * STRIPE + rows.nrows());
            let mut rest = rows.slice_mut(s![.., end..end + last]);
            let (left, right) = (panel.slice(s![first..last, ..]), panel.slice(s![..last, ..]));
            general_mat_mul(-1.0, &left, &right.t(), 1.0, &mut rest);
        };
        stripes(&mut below).into_par_iter().enumerate().for_each(subtract);
    }
    for (i, mut row) in l.rows_mut().into_iter().enumerate() {
        row.slice_mut(s![i + 1..]).fill(0.0);
    }
    Ok(l)
}

fn stripes<'a>(rows: &'a mut ArrayViewMut2<'_, f64>) -> Vec<ArrayViewMut2<'a, f64>> {
    rows.axis_chunks_iter_mut(Axis(0), STRIPE).collect()
}

/// Factors a block in its place, below the diagonal; or the column that is not positive.
fn factor_block(a: &mut ArrayViewMut2<'_, f64>) -> Result<(), usize> {
    for i in 0..a.nrows() {
        let (above, mut row) = a.view_mut().split_at(Axis(0), i);
        let mut row = row.row_mut(0);
        let row = row.as_slice_mut().expect("rows are contiguous");
        forward(above.slice(s![.., ..i]), &mut row[..i]);
        let pivot = row[i] - dot(&row[..i], &row[..i]);
        if pivot.is_nan() || pivot <= 0.0 {
            return Err(i);
        }
        row[i] = pivot.sqrt();
    }
    Ok(())
}

/// Makes `b` the solution `x` of `L·x = b`.
fn forward(l: ArrayView2<'_, f64>, b: &mut [f64]) {
    for (i, row) in l.rows().into_iter().enumerate() {
        let row = row.to_slice().expect("rows are contiguous");
        let (known, own) = b.split_at_mut(i);
        own[0] = (own[0] - dot(&row[..i], known)) / row[i];
    }
}

/// The solution `x` of `L·Lᵀ·x = b`.
pub fn solve(l: &Array2<f64>, b: &[f64]) -> Vec<f64> {
    let mut x = b.to_vec();
    forward(l.view(), &mut x);
    backward(l.view(), &mut x);
    x
}

/// Makes `b` the solution `x` of `Lᵀ·x = b`.
fn backward(l: ArrayView2<'_, f64>, b: &mut [f64]) {
    for (i, row) in l.rows().into_iter().enumerate().rev() {
        let (rest, own) = b.split_at_mut(i);
        own[0] /= row[i];
        rest.iter_mut().zip(row).for_each(|(r, &c)| *r -= c * own[0]);
    }
}

/// Makes each row `b` the solution `x` of `L·Lᵀ·x = b`.
pub fn solve_rows(l: &Array2<f64>, b: &mut ArrayViewMut2<'_, f64>) {
    stripes(b).into_par_iter().for_each(|mut rows| {
        let n = l.nrows();
        let blocks: Vec<(usize, usize)> = (0..n)
            .step_by(BLOCK)
            .map(|start| (start, (start + BLOCK).min(n)))
            .collect();
        for &(start, end) in &blocks {
            let (known, mut rest) = rows.view_mut().split_at(Axis(1), start);
            let mut own = rest.slice_mut(s![.., ..end - start]);
            general_mat_mul(-1.0, &known, &l.slice(s![start..end, ..start]).t(), 1.0, &mut own);
            let square = l.slice(s![start..end, start..end]);
            each_row(&mut own, |row| forward(square, row));
        }
        for &(start, end) in blocks.iter().rev() {
            let (mut before, known) = rows.view_mut().split_at(Axis(1), end);
            let mut own = before.slice_mut(s![.., start..]);
            general_mat_mul(-1.0, &known, &l.slice(s![end.., start..end]), 1.0, &mut own);
            let square = l.slice(s![start..end, start..end]);
            each_row(&mut own, |row| backward(square, row));
        }
    });
}

fn each_row(rows: &mut ArrayViewMut2<'_, f64>, work: impl Fn(&mut [f64])) {
    let each = |mut row: ArrayViewMut1<'_, f64>| work(row.as_slice_mut().expect("rows are contiguous"));
    rows.rows_mut().into_iter().for_each(each);
}

/// `(L·Lᵀ)⁻¹`, symmetric to the last bit.
pub fn inverse(l: &Array2<f64>) -> Array2<f64> {
    let n = l.nrows();
    let starts: Vec<usize> = (0..n).step_by(STRIPE).collect();
    let mut lower = Array2::<f64>::zeros((n, n));
    let columns: Vec<Array2<f64>> = starts.par_iter().map(|&start| inverse_columns(l, start)).collect();
    for (&start, part) in starts.iter().zip(columns) {
        lower.slice_mut(s![start.., start..start + part.ncols()]).assign(&part);
    }
    let product = |&start: &usize| {
        let rest = lower.slice(s![start.., start..]);
        rest.t().dot(&rest.slice(s![.., ..STRIPE.min(n - start)]))
    };
    let stripes: Vec<Array2<f64>> = starts.par_iter().map(product).collect();
    Array2::from_shape_fn((n, n), |(i, j)| {
        let (column, row) = (i.min(j), i.max(j));
        let start = column / STRIPE * STRIPE;
        stripes[column / STRIPE][[row - start, column - start]]
    })
}

/// Columns `start..start + STRIPE` of the inverse of `L`, from row `start` on: above it they are zero.
fn inverse_columns(l: &Array2<f64>, start: usize) -> Array2<f64> {
    let n = l.nrows();
    let mut x = Array2::<f64>::zeros((n - start, STRIPE.min(n - start)));
    x.diag_mut().fill(1.0);
    for block in (start..n).step_by(BLOCK) {
        let end = (block + BLOCK).min(n);
        let (known, mut rest) = x.view_mut().split_at(Axis(0), block - start);
        let mut own = rest.slice_mut(s![..end - block, ..]);
        general_mat_mul(-1.0, &l.slice(s![block..end, start..block]), &known, 1.0, &mut own);
        for i in block..end {
            let (done, mut rest) = own.view_mut().split_at(Axis(0), i - block);
            let mut row = rest.row_mut(0);
            for (factor, known) in l.slice(s![i, block..i]).iter().zip(done.rows()) {
                row.scaled_add(-factor, &known);
            }
            row /= l[[i, i]];
        }
    }
    x
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
    use ndarray::array;

    use super::*;

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
    fn blocks_and_stripes_of_any_number_fit_together() {
        for n in [1, 63, 64, 65, 95, 96, 97, 150, 192, 250] {
            let x = Array2::from_shape_fn((2 * n, n), |(i, j)| {
                (((i * 7 + j * 13 + i * j) % 17) as f64 - 8.0) / 4.0
            });
            let a = x.t().dot(&x) + Array2::<f64>::eye(n);
            let l = factor(a.view()).unwrap();
            let off = |(a, b): (&f64, &f64)| (a - b).abs() / n as f64;
            assert!(l.dot(&l.t()).iter().zip(&a).map(off).fold(0.0, f64::max) < 1e-10);
            assert!(l.indexed_iter().all(|((i, j), v)| j <= i || *v == 0.0));
            let wanted = Array2::from_shape_fn((101, n), |(i, j)| ((i * 5 + j * 3) % 11) as f64 - 5.0);
            let mut rows = wanted.clone();
            solve_rows(&l, &mut rows.view_mut());
            for (row, wanted) in rows.rows().into_iter().zip(wanted.rows()) {
                let alone = solve(&l, &wanted.to_vec());
                assert!(row.iter().zip(&alone).map(off).fold(0.0, f64::max) < 1e-9);
            }
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

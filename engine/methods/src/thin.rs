//! Least squares in the space of samples, for layers with more inputs than samples were seen.
//!
//! The damped problem of [`Gram::problem`](crate::Gram::problem) has a matrix of `columns²`; its solution differs from the original weights by a
//! combination of as many vectors as there are samples. With inputs `X̂` (one a row), damping `D` (diagonal) and `m` samples, the rows `w` that
//! should give the outputs `y` move by `D⁻¹·X̂ᵀ·(m·I + X̂·D⁻¹·X̂ᵀ)⁻¹·(y − X̂·w)`, the identity of Sherman, Morrison and Woodbury
//! (Hager 1989, *Updating the Inverse of a Matrix*): a matrix of `samples²`, and products with the inputs.

use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::{MethodError, cholesky};

/// Rows that one task computes. The split is fixed, so that results do not depend on threads.
const STRIPE: usize = 96;

/// The inputs of a layer, one sample a row, with the damping of each column.
pub struct Thin {
    inputs: Array2<f32>,
    ridge: Vec<f64>,
}

impl Thin {
    /// Of inputs in the compressed network; the damping is that of [`Gram::problem`](crate::Gram::problem).
    pub fn new(inputs: Array2<f32>, damping: f64) -> Self {
        let squares = |column: ndarray::ArrayView1<'_, f32>| column.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        let count = inputs.nrows().max(1) as f64;
        let diagonal: Vec<f64> = inputs.columns().into_iter().map(|c| squares(c) / count).collect();
        let mean = diagonal.iter().sum::<f64>() / diagonal.len().max(1) as f64;
        // Where no input was ever different from zero all weights count alike.
        let ridge = |d: &f64| if mean > 0.0 { damping * d.max(1e-4 * mean) } else { 1.0 };
        Thin {
            ridge: diagonal.iter().map(ridge).collect(),
            inputs,
        }
    }

    /// The best rows for `wanted` outputs (one sample a row, one output a column) among those that are zero wherever `keep` is false,
    /// drawn to the original `rows`.
    ///
    /// # Errors
    /// Never for finite inputs and positive damping.
    pub fn best(
        &self,
        rows: ArrayView2<'_, f64>,
        wanted: ArrayView2<'_, f64>,
        keep: &[bool],
    ) -> Result<Array2<f64>, MethodError> {
        let kept: Vec<usize> = (0..keep.len()).filter(|&column| keep[column]).collect();
        let root: Vec<f64> = kept.iter().map(|&column| self.ridge[column].sqrt()).collect();
        // X̂·D^½⁻¹ and D^½·w: the products below are those of the identity.
        let scaled = Array2::from_shape_fn((self.inputs.nrows(), kept.len()), |(i, j)| {
            f64::from(self.inputs[[i, kept[j]]]) / root[j]
        });
        let own = Array2::from_shape_fn((rows.nrows(), kept.len()), |(r, j)| rows[[r, kept[j]]] * root[j]);
        let mut kernel = product(scaled.view(), scaled.view());
        kernel
            .diag_mut()
            .iter_mut()
            .for_each(|d| *d += self.inputs.nrows() as f64);
        let factor = cholesky::factor(kernel.view())?;
        drop(kernel);
        let mut lacking = product(own.view(), scaled.view());
        lacking.zip_mut_with(&wanted.t(), |given, wanted| *given = wanted - *given);
        cholesky::solve_rows(&factor, &mut lacking.view_mut());
        let transposed = scaled.t();
        let transposed = transposed.as_standard_layout();
        let moved = product(lacking.view(), transposed.view());
        let mut best = Array2::zeros(rows.raw_dim());
        for (j, &column) in kept.iter().enumerate() {
            let places = best
                .column_mut(column)
                .into_iter()
                .zip(own.column(j))
                .zip(moved.column(j));
            places.for_each(|((place, own), moved)| *place = (own + moved) / root[j]);
        }
        Ok(best)
    }
}

/// What rows make of inputs, one sample a row and one output a column.
pub fn outputs(inputs: ArrayView2<'_, f32>, rows: ArrayView2<'_, f64>) -> Array2<f64> {
    let inputs = inputs.mapv(f64::from);
    product(inputs.view(), rows)
}

/// `a·bᵀ`.
fn product(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut all = Array2::zeros((a.nrows(), b.nrows()));
    let stripes: Vec<_> = all.axis_chunks_iter_mut(Axis(0), STRIPE).enumerate().collect();
    stripes.into_par_iter().for_each(|(stripe, mut part)| {
        let start = stripe * STRIPE;
        let own = a.slice(s![start..start + part.nrows(), ..]);
        part.assign(&own.dot(&b.t()));
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gram;

    /// Twelve samples of forty inputs, in the compressed and in the original network.
    fn inputs(salt: usize) -> Array2<f32> {
        Array2::from_shape_fn((12, 40), |(i, j)| {
            (((i * 7 + j * 13 + i * j + salt) % 17) as f32 - 6.0) / 4.0
        })
    }

    #[test]
    fn it_finds_what_the_whole_matrix_finds() {
        let (now, then) = (inputs(0), inputs(3));
        let rows = Array2::from_shape_fn((5, 40), |(r, j)| (((j * 5 + r * 3) % 11) as f64 - 5.0) / 3.7);
        let keep: Vec<bool> = (0..40).map(|j| j % 3 != 1).collect();
        for damping in [0.01, 1.0] {
            let mut gram = Gram::new(40);
            gram.add(now.view(), Some(then.view()));
            let problem = gram.problem(damping).unwrap();
            let targets = problem.targets(rows.view(), None);
            let found = Thin::new(now.clone(), damping)
                .best(rows.view(), outputs(then.view(), rows.view()).view(), &keep)
                .unwrap();
            for (target, found) in targets.rows().into_iter().zip(found.rows()) {
                let expected = problem.restricted(&target.to_vec(), &keep).unwrap();
                for (a, b) in expected.iter().zip(found) {
                    assert!((a - b).abs() < 1e-4 * (1.0 + a.abs()), "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn without_any_input_rows_stay() {
        let rows = Array2::from_shape_fn((2, 3), |(r, j)| (r + j) as f64);
        let thin = Thin::new(Array2::zeros((2, 3)), 0.01);
        let found = thin
            .best(rows.view(), Array2::ones((2, 2)).view(), &[true, false, true])
            .unwrap();
        assert_eq!(found, ndarray::array![[0.0, 0.0, 2.0], [1.0, 0.0, 3.0]]);
    }
}

//! The Hessian engine: what calibration samples say about a layer's weights, as a quadratic problem for each of its rows.
//!
//! For inputs `x̂` of a layer in the compressed network and `x` in the original one, a row `w` is best replaced by the `v` that
//! minimizes `Σ (w·x − v·x̂)²`. That sum is a quadratic in `v` with Hessian `H = Σ x̂·x̂ᵀ`, the same for all rows, and needs one more
//! matrix, `K = Σ x·x̂ᵀ`. Both are streamed: memory is two matrices of `columns²`, whatever the number of samples.
//!
//! Source: Frantar & Alistarh, *Optimal Brain Compression*, NeurIPS 2022, §3 and (sequential form) §6. The bias takes part as the weight of an input that is always 1.

use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::{MethodError, cholesky};

/// Columns of a product that one task computes. The split is fixed, so that results do not depend on threads.
const STRIPE: usize = 96;

/// Sums of products of a layer's inputs, in double precision.
#[derive(Debug, Clone, PartialEq)]
pub struct Gram {
    /// `Σ x̂·x̂ᵀ`, symmetric in every bit.
    hessian: Array2<f64>,
    /// `Σ x·x̂ᵀ`; none where both networks see the same inputs.
    cross: Option<Array2<f64>>,
    /// Inputs seen.
    count: u64,
}

impl Gram {
    /// Nothing seen yet, of inputs with this many columns.
    pub fn new(columns: usize) -> Self {
        Gram {
            hessian: Array2::zeros((columns, columns)),
            cross: None,
            count: 0,
        }
    }

    /// Adds inputs, one a row: `compressed` are x̂, `original` are x of the same positions; `None` where they are the same.
    ///
    /// Products are taken in single precision over the rows given at once (keep them to some thousands), sums over calls in double.
    pub fn add(&mut self, compressed: ArrayView2<'_, f32>, original: Option<ArrayView2<'_, f32>>) {
        if original.is_some() || self.cross.is_some() {
            let cross = self.cross.get_or_insert_with(|| self.hessian.clone());
            add_product(cross, original.unwrap_or(compressed), compressed);
        }
        add_square(&mut self.hessian, compressed);
        self.count += compressed.nrows() as u64;
    }

    /// All that was seen as numbers, if both networks have seen the same: the count and the lower triangle of the Hessian by rows.
    pub fn numbers(&self) -> Option<impl Iterator<Item = f64>> {
        let rows = self.hessian.rows().into_iter().enumerate();
        let triangle = rows.flat_map(|(i, row)| row.into_iter().take(i + 1).copied());
        let numbers = std::iter::once(self.count as f64).chain(triangle);
        self.cross.is_none().then_some(numbers)
    }

    /// How many [`Gram::numbers`] there are.
    pub fn numbers_of(columns: usize) -> usize {
        1 + columns * (columns + 1) / 2
    }

    /// What has these [`Gram::numbers`], the same in every bit.
    pub fn of(columns: usize, numbers: &[f64]) -> Option<Self> {
        let (&count, triangle) = numbers.split_first()?;
        let mut gram = Gram::new(columns);
        gram.count = count as u64;
        let cells = (0..columns).flat_map(|i| (0..=i).map(move |j| (i, j)));
        for ((i, j), &value) in cells.zip(triangle) {
            gram.hessian[[i, j]] = value;
            gram.hessian[[j, i]] = value;
        }
        (numbers.len() == Gram::numbers_of(columns)).then_some(gram)
    }

    /// Columns of the inputs.
    pub fn columns(&self) -> usize {
        self.hessian.nrows()
    }

    /// Inputs seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The problem with damping: `damping` times its own diagonal is added to the Hessian, which draws each weight
    /// to its original value and makes the problem well-posed however few samples there are.
    ///
    /// Where no input was ever different from zero the Hessian becomes the identity: all weights count alike.
    ///
    /// # Errors
    /// Never for finite inputs and positive damping.
    pub fn problem(&self, damping: f64) -> Result<Problem, MethodError> {
        let n = self.hessian.nrows();
        let scale = 1.0 / self.count.max(1) as f64;
        let mean = self.hessian.diag().mean().unwrap_or(0.0) * scale;
        if mean <= 0.0 {
            return Problem::new(Array2::eye(n), None);
        }
        let mut hessian = &self.hessian * scale;
        let pull = self.cross.as_ref().map(|cross| cross * scale - &hessian);
        // A column that is almost never used keeps a share of the mean: its weights stay what they were.
        let ridge: Vec<f64> = hessian.diag().iter().map(|&d| damping * d.max(1e-4 * mean)).collect();
        hessian.diag_mut().iter_mut().zip(&ridge).for_each(|(d, r)| *d += r);
        Problem::new(hessian, pull)
    }
}

/// `sum += aᵀ·a` for a symmetric sum: half of it is computed.
fn add_square(sum: &mut Array2<f64>, a: ArrayView2<'_, f32>) {
    let n = sum.ncols();
    let starts: Vec<usize> = (0..n).step_by(STRIPE).collect();
    let stripe = |&start: &usize| {
        let own = a.slice(s![.., start..(start + STRIPE).min(n)]);
        a.slice(s![.., start..]).t().dot(&own)
    };
    let parts: Vec<Array2<f32>> = starts.par_iter().map(stripe).collect();
    for (&start, part) in starts.iter().zip(&parts) {
        for ((i, j), &p) in part.indexed_iter().filter(|((i, j), _)| i >= j) {
            let (row, column) = (start + i, start + j);
            sum[[row, column]] += f64::from(p);
            sum[[column, row]] = sum[[row, column]];
        }
    }
}

/// `sum += aᵀ·b`.
pub fn add_product(sum: &mut Array2<f64>, a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) {
    let starts: Vec<usize> = (0..sum.ncols()).step_by(STRIPE).collect();
    let stripe = |&start: &usize| a.t().dot(&b.slice(s![.., start..(start + STRIPE).min(b.ncols())]));
    let parts: Vec<Array2<f32>> = starts.par_iter().map(stripe).collect();
    for (mut to, part) in sum.axis_chunks_iter_mut(Axis(1), STRIPE).zip(&parts) {
        to.zip_mut_with(part, |t, &p| *t += f64::from(p));
    }
}

/// A damped quadratic problem with its factors: minimize `(v − w*)ᵀ·H·(v − w*)` over the allowed `v`.
#[derive(Debug, Clone)]
pub struct Problem {
    hessian: Array2<f64>,
    /// `K − Σ x̂·x̂ᵀ`: how the inputs of the compressed network differ; none where they do not.
    pull: Option<Array2<f64>>,
    factor: Array2<f64>,
    inverse: Array2<f64>,
}

impl Problem {
    /// A problem with Hessian `hessian`; without `pull` both networks see the same inputs.
    ///
    /// # Errors
    /// The Hessian is not positive definite.
    pub fn new(hessian: Array2<f64>, pull: Option<Array2<f64>>) -> Result<Self, MethodError> {
        let factor = cholesky::factor(hessian.view())?;
        let inverse = cholesky::inverse(&factor);
        Ok(Problem {
            hessian,
            pull,
            factor,
            inverse,
        })
    }

    /// Columns, the bias included.
    pub fn columns(&self) -> usize {
        self.hessian.nrows()
    }

    /// The Hessian.
    pub fn hessian(&self) -> &Array2<f64> {
        &self.hessian
    }

    /// Its inverse.
    pub fn inverse(&self) -> &Array2<f64> {
        &self.inverse
    }

    /// What rows should become if every value were allowed: `w* = w + H⁻¹·(K − H₀)ᵀ·w`.
    ///
    /// `missing` holds `Σ e·x̂` per input for each row, where `e` is what the layer shall add to its output beyond what it gave originally.
    pub fn targets(&self, rows: ArrayView2<'_, f64>, missing: Option<ArrayView2<'_, f64>>) -> Array2<f64> {
        let mut wanted = match (&self.pull, missing) {
            (None, None) => return rows.to_owned(),
            (None, Some(missing)) => missing.to_owned(),
            (Some(pull), None) => rows.dot(pull),
            (Some(pull), Some(missing)) => rows.dot(pull) + missing,
        };
        cholesky::solve_rows(&self.factor, &mut wanted.view_mut());
        wanted + rows
    }

    /// `(v − target)ᵀ·H·(v − target)`: the mean squared error of the output, damping included.
    pub fn error(&self, v: &[f64], target: &[f64]) -> f64 {
        let d = ndarray::Array1::from_iter(v.iter().zip(target).map(|(a, b)| a - b));
        d.dot(&self.hessian.dot(&d)).max(0.0)
    }

    /// The best row among those that are zero wherever `keep` is false.
    ///
    /// # Errors
    /// Never for a problem that could be made.
    pub fn restricted(&self, target: &[f64], keep: &[bool]) -> Result<Vec<f64>, MethodError> {
        Ok(self.restriction(keep)?.best(target))
    }

    /// The problem among rows that are zero wherever `keep` is false, factored once for all rows.
    ///
    /// # Errors
    /// Never for a problem that could be made.
    pub fn restriction(&self, keep: &[bool]) -> Result<Restriction<'_>, MethodError> {
        let kept: Vec<usize> = (0..keep.len()).filter(|&i| keep[i]).collect();
        let part = Array2::from_shape_fn((kept.len(), kept.len()), |(i, j)| self.hessian[[kept[i], kept[j]]]);
        let factor = cholesky::factor(part.view())?;
        Ok(Restriction {
            problem: self,
            kept,
            factor,
        })
    }
}

/// See [`Problem::restriction`].
#[derive(Debug, Clone)]
pub struct Restriction<'a> {
    problem: &'a Problem,
    kept: Vec<usize>,
    factor: Array2<f64>,
}

impl Restriction<'_> {
    /// The best of the rows that are allowed.
    pub fn best(&self, target: &[f64]) -> Vec<f64> {
        let full = self.problem.hessian.dot(&ndarray::aview1(target));
        let wanted: Vec<f64> = self.kept.iter().map(|&i| full[i]).collect();
        let solution = cholesky::solve(&self.factor, &wanted);
        let mut row = vec![0.0; target.len()];
        self.kept.iter().zip(solution).for_each(|(&i, v)| row[i] = v);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn streaming_in_parts_is_the_same_as_at_once() {
        let x = Array2::from_shape_fn((64, 200), |(i, j)| ((i * 31 + j * 17) % 23) as f32 - 11.0);
        let y = Array2::from_shape_fn((64, 200), |(i, j)| ((i * 13 + j * 7) % 19) as f32 - 9.0);
        let (mut whole, mut parts) = (Gram::new(200), Gram::new(200));
        whole.add(x.view(), Some(y.view()));
        for start in [0, 16, 32, 48] {
            parts.add(
                x.slice(s![start..start + 16, ..]),
                Some(y.slice(s![start..start + 16, ..])),
            );
        }
        // Small integers: every sum is exact.
        assert_eq!(whole, parts);
        assert_eq!(whole.hessian, x.t().dot(&x).mapv(f64::from));
    }

    #[test]
    fn a_hessian_is_symmetric_in_every_bit_can_be_written_down_and_may_be_of_one_network_at_first() {
        let x = Array2::from_shape_fn((70, 130), |(i, j)| ((i * 31 + j * 17) % 23) as f32 / 7.0 - 1.3);
        let mut gram = Gram::new(130);
        gram.add(x.view(), None);
        assert_eq!(gram.hessian, gram.hessian.t());
        let numbers: Vec<f64> = gram.numbers().unwrap().collect();
        assert_eq!(Gram::of(130, &numbers).as_ref(), Some(&gram));
        assert_eq!(Gram::of(131, &numbers), None);
        let mut both = Gram::new(130);
        both.add(x.view(), Some(x.view()));
        gram.add(x.view(), Some(x.view()));
        both.add(x.view(), None);
        let ones = Array2::ones((1, 130));
        assert_eq!(gram.problem(0.1).unwrap().targets(ones.view(), None), ones);
        assert_eq!(gram.count(), both.count());
        assert_eq!(gram.hessian, both.hessian);
    }

    #[test]
    fn the_target_makes_up_for_changed_inputs() {
        // The compressed network sees half of what the original saw: twice the weights make up for it.
        let x = array![[1.0f32, 0.0], [0.0, 1.0], [1.0, 1.0]];
        let mut gram = Gram::new(2);
        gram.add((&x * 0.5).view(), Some(x.view()));
        let target = gram.problem(1e-9).unwrap().targets(array![[3.0, -1.0]].view(), None);
        assert!((target - array![[6.0, -2.0]]).iter().all(|off| off.abs() < 1e-6));
    }

    #[test]
    fn without_any_input_all_weights_count_alike() {
        let mut gram = Gram::new(3);
        gram.add(Array2::zeros((5, 3)).view(), None);
        let problem = gram.problem(0.01).unwrap();
        assert_eq!(problem.hessian(), &Array2::<f64>::eye(3));
        let row = array![[1.0, 2.0, 3.0]];
        assert_eq!(problem.targets(row.view(), None), row);
    }
}

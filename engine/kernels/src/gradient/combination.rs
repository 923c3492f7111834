//! Operators that are linear in their one input: moves of elements, means, sums, averages, interpolation.

use super::Real;

/// Every output element as a sum of input elements times factors, found once. Backwards it is the transposed sum.
#[derive(Debug, Clone)]
pub struct Combination<T> {
    /// Where the terms of each output element begin in `terms`, and where the last end.
    starts: Vec<u32>,
    terms: Vec<(u32, T)>,
    /// What an output element without terms is.
    fill: T,
    input: usize,
}

/// Stands for an element that comes from nowhere.
const NOWHERE: u32 = u32::MAX;

impl<T: Real> Combination<T> {
    /// Each output element is the sum of what `terms` lists for it: input indices and factors. `None` where there are too many to count.
    pub fn sums(input: usize, output: usize, mut terms: impl FnMut(usize, &mut Vec<(u32, T)>)) -> Option<Self> {
        u32::try_from(input).ok()?;
        let (mut starts, mut all) = (vec![0], Vec::new());
        for out in 0..output {
            terms(out, &mut all);
            starts.push(u32::try_from(all.len()).ok()?);
        }
        Some(Self {
            starts,
            terms: all,
            fill: T::ZERO,
            input,
        })
    }

    /// Each output element is one of the input's, or `fill`: `shift` moves indices as the operator moves elements, with
    /// its argument for elements that come from nowhere. `None` where there are too many to count.
    pub fn moves(input: usize, output: usize, fill: T, shift: impl FnOnce(&[u32], u32, &mut [u32])) -> Option<Self> {
        let places: Vec<u32> = (0..u32::try_from(input).ok()?).collect();
        let mut from = vec![0; output];
        shift(&places, NOWHERE, &mut from);
        let mut combination = Self::sums(input, output, |out, terms| {
            terms.extend((from[out] != NOWHERE).then_some((from[out], T::ONE)));
        })?;
        combination.fill = fill;
        Some(combination)
    }

    fn terms(&self) -> impl Iterator<Item = &[(u32, T)]> {
        self.starts
            .windows(2)
            .map(|ends| &self.terms[ends[0] as usize..ends[1] as usize])
    }

    /// Computes the output.
    pub fn forward(&self, x: &[T], y: &mut [T]) {
        assert_eq!((x.len(), y.len()), (self.input, self.starts.len() - 1), "elements");
        for (slot, terms) in y.iter_mut().zip(self.terms()) {
            *slot = match terms {
                [] => self.fill,
                &[(i, factor)] => x[i as usize] * factor,
                terms => terms
                    .iter()
                    .fold(T::ZERO, |sum, &(i, factor)| sum + x[i as usize] * factor),
            };
        }
    }

    /// Adds the gradient of the input.
    pub fn backward(&self, dy: &[T], dx: &mut [T]) {
        assert_eq!((dx.len(), dy.len()), (self.input, self.starts.len() - 1), "elements");
        for (&d, terms) in dy.iter().zip(self.terms()) {
            for &(i, factor) in terms {
                dx[i as usize] += d * factor;
            }
        }
    }
}

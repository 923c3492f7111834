//! Which sets of weights may become zero together.

use std::ops::Range;

use crate::MethodError;

/// The shape of sparsity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Any weight.
    Free,
    /// Of each `of` neighbours along the input channels, `keep` stay. A shorter stretch at the end of the channels keeps as many, so
    /// that a layer with fewer input channels than `keep` stays whole. Source: Mishra et al. 2021, *Accelerating Sparse
    /// Deep Neural Networks*.
    NofM {
        /// How many stay.
        keep: usize,
        /// Of how many.
        of: usize,
    },
    /// Blocks of this many neighbours along the input channels; the last one of a run may be shorter.
    Block(usize),
}

impl Pattern {
    /// `keep:of`.
    ///
    /// # Errors
    /// Nothing would be kept, or nothing removed.
    pub fn n_of_m(keep: usize, of: usize) -> Result<Self, MethodError> {
        if keep >= 1 && keep < of {
            Ok(Pattern::NofM { keep, of })
        } else {
            Err(MethodError::Pattern { keep, of })
        }
    }

    /// Blocks of `size`.
    ///
    /// # Errors
    /// The size is not in 2..=64.
    pub fn block(size: usize) -> Result<Self, MethodError> {
        if (2..=64).contains(&size) {
            Ok(Pattern::Block(size))
        } else {
            Err(MethodError::Block(size))
        }
    }

    /// What goes or stays as one: ranges of the columns of a row, in order.
    pub fn units(self, columns: usize, run: usize) -> Vec<Range<usize>> {
        match self {
            Pattern::Free | Pattern::NofM { .. } => (0..columns).map(|c| c..c + 1).collect(),
            Pattern::Block(size) => stretches(columns, run, size),
        }
    }

    /// The stretches of a row that keep a fixed number of weights each, with that number; empty for other patterns.
    pub fn quotas(self, columns: usize, run: usize) -> Vec<(Range<usize>, usize)> {
        match self {
            Pattern::NofM { keep, of } => {
                let stretches = stretches(columns, run, of).into_iter();
                stretches.map(|range| (range.clone(), keep.min(range.len()))).collect()
            }
            Pattern::Free | Pattern::Block(_) => Vec::new(),
        }
    }
}

/// Each run of `run` columns cut into pieces of `size`, the last of them shorter where it does not divide.
fn stretches(columns: usize, run: usize, size: usize) -> Vec<Range<usize>> {
    let run = run.max(1);
    let of_run = |start: usize| {
        let end = (start + run).min(columns);
        (start..end).step_by(size).map(move |s| s..(s + size).min(end))
    };
    (0..columns).step_by(run).flat_map(of_run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_do_not_cross_kernel_positions() {
        // Two positions of five channels.
        assert_eq!(Pattern::Block(4).units(10, 5), [0..4, 4..5, 5..9, 9..10]);
        let quotas = Pattern::n_of_m(2, 4).unwrap().quotas(10, 5);
        assert_eq!(quotas, [(0..4, 2), (4..5, 1), (5..9, 2), (9..10, 1)]);
    }

    #[test]
    fn patterns_that_keep_everything_or_nothing_are_refused() {
        insta::assert_snapshot!(Pattern::n_of_m(4, 2).unwrap_err(), @"pattern 4:2: of each 2 weights between 1 and 1 can be kept");
        assert!(Pattern::n_of_m(0, 4).is_err() && Pattern::n_of_m(4, 4).is_err() && Pattern::n_of_m(0, 0).is_err());
        insta::assert_snapshot!(Pattern::block(1).unwrap_err(), @"block: 1 weights; blocks have 2 to 64");
    }
}

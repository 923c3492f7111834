//! Pruning: which weights become zero.
//!
//! Every method gives weights a score or removes them one by one; the *pattern* says which sets of weights may go. Patterns run
//! along the input channels of one kernel position, the order in which hardware for sparse matrices reads them.

pub mod obs;
mod pattern;
mod scores;
mod wide;

pub use pattern::Pattern;
pub use scores::{magnitudes, noise, select, select_together};

use crate::MethodError;

/// A share of weights to remove: at least 0, below 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Sparsity(f64);

impl Sparsity {
    /// A share, unless it is outside 0..1.
    ///
    /// # Errors
    /// [`MethodError::Sparsity`].
    pub fn new(share: f64) -> Result<Self, MethodError> {
        if (0.0..1.0).contains(&share) {
            Ok(Sparsity(share))
        } else {
            Err(MethodError::Sparsity(share))
        }
    }

    /// The share.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// How many of `n` things go, to the nearest; one always stays.
    pub fn of(self, n: usize) -> usize {
        ((self.0 * n as f64).round() as usize).min(n.saturating_sub(1))
    }
}

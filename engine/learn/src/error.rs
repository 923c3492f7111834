//! What can go wrong before and while a network learns.

/// Why a network cannot be trained, or training cannot go on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LearnError {
    /// A node on the way from a trained constant to the loss has no gradient.
    #[error("node `{node}` ({op}): {problem}")]
    NoGradient {
        /// The node.
        node: String,
        /// Its operator.
        op: &'static str,
        /// Why, and what would help.
        problem: String,
    },
    /// Nothing would be trained.
    #[error("{0}")]
    Nothing(String),
    /// The activations of a batch do not fit.
    #[error("a batch of {batch} needs {needed} bytes, more than the {limit} allowed; {}", fitting(*.fits))]
    Memory {
        /// Samples of a batch.
        batch: usize,
        /// What it needs.
        needed: usize,
        /// What there is.
        limit: usize,
        /// The largest batch that fits; 0 if none does.
        fits: usize,
    },
    /// The loss is no number any more.
    #[error(
        "the loss is not finite in epoch {epoch}, batch {batch}, at a learning rate of {rate:e}; lower learning-rate or set clip-norm"
    )]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The batch of the epoch, from 1.
        batch: usize,
        /// The learning rate there.
        rate: f64,
    },
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}

fn fitting(fits: usize) -> String {
    if fits == 0 {
        "not even one sample fits: use smaller inputs".into()
    } else {
        format!("a batch of {fits} fits")
    }
}

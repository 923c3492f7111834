//! Why a run could not be carried out.

use cache::CacheError;

/// Why a run could not be carried out at all. A failing step is no such error: it is in the record.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// See [`CacheError`].
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The key of an instance could not be computed.
    #[error("{instance}: {problem}")]
    Key {
        /// The instance.
        instance: String,
        /// What is wrong.
        problem: String,
    },
}

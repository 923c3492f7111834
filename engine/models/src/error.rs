//! Why something cannot be done with a model.

/// Why something cannot be done with a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file that cannot be read.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// What was asked does not fit the model.
    #[error("{0}")]
    Refused(String),
    /// A written file that does not hold all of the model.
    #[error("{0}")]
    Lost(String),
    /// The user asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// See [`formats::FormatError`].
    #[error(transparent)]
    Format(#[from] formats::FormatError),
    /// See [`architecture::ArchitectureError`].
    #[error(transparent)]
    Architecture(Box<architecture::ArchitectureError>),
    /// See [`data::DataError`].
    #[error(transparent)]
    Data(#[from] data::DataError),
    /// See [`ir::GraphError`].
    #[error(transparent)]
    Graph(#[from] ir::GraphError),
    /// See [`opinion::OpinionError`].
    #[error(transparent)]
    Opinion(#[from] opinion::OpinionError),
    /// See [`runtime::RuntimeError`].
    #[error(transparent)]
    Runtime(#[from] runtime::RuntimeError),
    /// See [`measure::MeasureError`].
    #[error(transparent)]
    Measure(#[from] measure::MeasureError),
}

impl From<architecture::ArchitectureError> for ModelError {
    fn from(error: architecture::ArchitectureError) -> Self {
        ModelError::Architecture(Box::new(error))
    }
}

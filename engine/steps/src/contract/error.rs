//! Why a step failed. The scheduler adds the step's name and place.

use methods::quantize::QuantizeError;
use models::ModelError;
use recipe::ArtifactKind;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A port that the recipe should have filled.
    #[error("port `{0}` is empty")]
    Port(&'static str),
    /// A cached artifact that cannot be read.
    #[error("{kind} artifact, blob `{blob}`: {problem}; `pipeline cache verify` finds and removes damaged entries")]
    Artifact {
        /// Its kind.
        kind: ArtifactKind,
        /// The blob.
        blob: String,
        /// What is wrong.
        problem: String,
    },
    /// A value that cannot be written.
    #[error("cannot encode the result: {0}")]
    Encode(String),
    /// The user asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// The system gave no threads to run with.
    #[error("cannot start {threads} threads: {problem}")]
    Threads {
        /// How many were wanted.
        threads: usize,
        /// What is wrong.
        problem: String,
    },
    /// A panic: a fault of this program, with what it said.
    #[error("internal error, please report it: {0}")]
    Internal(String),
    /// Parameters that do not fit the inputs.
    #[error("{0}")]
    Params(String),
    /// The machine lacks something that the step needs.
    #[error("{0}")]
    Environment(String),
    /// The result is not what was asked for.
    #[error("{0}")]
    NoEffect(String),
    /// Operators that a file format's runtimes do not have.
    #[error(
        "{format} has no such operators; keep-unknown writes them all the same, for runtimes that have been taught them:{lines}"
    )]
    Unknown {
        /// The format.
        format: &'static str,
        /// A line for each.
        lines: String,
    },
    /// See [`formats::FormatError`].
    #[error(transparent)]
    Format(#[from] formats::FormatError),
    /// See [`data::DataError`].
    #[error(transparent)]
    Data(#[from] data::DataError),
    /// See [`ir::GraphError`].
    #[error(transparent)]
    Graph(#[from] ir::GraphError),
    /// See [`methods::MethodError`].
    #[error(transparent)]
    Method(#[from] methods::MethodError),
    /// See [`QuantizeError`].
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// See [`ModelError`].
    #[error(transparent)]
    Model(Box<ModelError>),
    /// See [`runtime::RuntimeError`].
    #[error(transparent)]
    Runtime(#[from] runtime::RuntimeError),
    /// See [`measure::MeasureError`].
    #[error(transparent)]
    Measure(#[from] measure::MeasureError),
    /// See [`report::ReportError`].
    #[error(transparent)]
    Report(#[from] report::ReportError),
    /// A file that cannot be read.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

impl StepError {
    /// Whether the machine refused, not the recipe: the same step may succeed when there is more room.
    pub fn is_of_the_environment(&self) -> bool {
        matches!(
            self,
            StepError::Threads { .. } | StepError::Environment(_) | StepError::Data(data::DataError::Shelf { .. })
        )
    }
}

impl From<ModelError> for StepError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Cancelled => StepError::Cancelled,
            other => StepError::Model(Box::new(other)),
        }
    }
}

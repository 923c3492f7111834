//! Why a graph cannot be executed, or a run was refused.

use ir::{GraphError, TensorType};

/// What this crate's functions return beside results.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RuntimeError {
    /// The graph is not valid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// No kernel computes this operator on these types.
    #[error("node `{node}` ({op}): {problem}")]
    Unsupported {
        /// The node.
        node: String,
        /// Its operator.
        op: &'static str,
        /// What is missing, and what would do.
        problem: String,
    },
    /// A graph input or output of an element type that callers cannot feed or read.
    #[error("{port} `{name}` is {ty}, expected f32, i8, u8 or i32 elements")]
    Port {
        /// `input` or `output`.
        port: &'static str,
        /// The tensor.
        name: String,
        /// Its type.
        ty: TensorType,
    },
    /// Activations larger than any machine that this program is meant for would hold.
    #[error("one sample needs {needed} bytes of activations, at most {limit} are allowed; is the file's shape right?")]
    Memory {
        /// Bytes of one workspace.
        needed: usize,
        /// Bytes allowed, [`crate::Executable::MAX_ARENA`].
        limit: usize,
    },
    /// The processor lacks the instruction set that was asked for.
    #[error("this processor has no {0}; leave the instruction set out to take the best there is")]
    Isa(String),
    /// A run with too few or too many inputs.
    #[error("{got} inputs were given, the model has {expected}")]
    InputCount {
        /// Inputs of the model.
        expected: usize,
        /// Inputs that were given.
        got: usize,
    },
    /// An input of another type or length.
    #[error("input `{name}` was given {got}, expected {expected}")]
    Input {
        /// The tensor.
        name: String,
        /// Its type.
        expected: TensorType,
        /// What was given instead.
        got: String,
    },
    /// A number that picks an entry that is not there.
    #[error("input `{name}`: value {at} is {number}, but `{node}` picks by it from entries 0 to {last}")]
    Entry {
        /// The input.
        name: String,
        /// Position of the number.
        at: usize,
        /// The number.
        number: f64,
        /// The node that picks.
        node: String,
        /// The last entry.
        last: usize,
    },
    /// A workspace that another executable made.
    #[error("the workspace belongs to another executable; make one with `Executable::workspace`")]
    Workspace,
    /// Observation of an executable that was not made for it.
    #[error("the executable is not observable; set `observable` in its options")]
    NotObservable,
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

//! What can be wrong with a graph.

/// Why an operator cannot take its inputs; the node is named by [`GraphError::Infer`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InferError {
    /// Too few or too many inputs.
    #[error("takes {expected} inputs, got {got}")]
    Inputs {
        /// How many, in words.
        expected: &'static str,
        /// How many there are.
        got: usize,
    },
    /// An input whose shape does not fit.
    #[error("{input} is {got}, expected {expected}")]
    Shape {
        /// Which input: `input`, `weights`, …
        input: &'static str,
        /// What would fit.
        expected: String,
        /// What it is.
        got: String,
    },
    /// An attribute out of range for these inputs.
    #[error("{attribute}: {problem}")]
    Attribute {
        /// Its name in the text form.
        attribute: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// Why a graph is not valid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GraphError {
    /// Two tensors or two nodes share a name.
    #[error("{kind} `{name}`: the name is used twice")]
    DuplicateName {
        /// `tensor` or `node`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A name that no tensor has.
    #[error("{place}: no tensor is named `{name}`")]
    UnknownTensor {
        /// Where the name stands.
        place: String,
        /// The name.
        name: String,
    },
    /// A node reads a tensor that no input, constant or node provides.
    #[error("node `{node}`: input `{tensor}` is never produced (not an input, a constant or an output of a node)")]
    NeverProduced {
        /// The reader.
        node: String,
        /// The tensor.
        tensor: String,
    },
    /// Two nodes write one tensor, or a node writes an input or a constant.
    #[error("node `{node}`: output `{tensor}` is already produced elsewhere")]
    ProducedTwice {
        /// The second writer.
        node: String,
        /// The tensor.
        tensor: String,
    },
    /// Nodes depend on each other in a circle.
    #[error("node `{node}`: takes part in a cycle")]
    Cycle {
        /// One node of the circle.
        node: String,
    },
    /// Shape inference failed at a node.
    #[error("node `{node}` ({op}): {source}")]
    Infer {
        /// The node.
        node: String,
        /// Its operator.
        op: &'static str,
        /// What is wrong.
        source: InferError,
    },
    /// A tensor's declared type is not the one its producer makes.
    #[error("node `{node}` ({op}): output `{tensor}` is declared {declared}, but the operator makes {inferred}")]
    WrongType {
        /// The node.
        node: String,
        /// Its operator.
        op: &'static str,
        /// Its output.
        tensor: String,
        /// As stored.
        declared: String,
        /// As inferred.
        inferred: String,
    },
    /// Quantization parameters that do not fit their tensor.
    #[error("tensor `{tensor}`: {problem}")]
    Quantization {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        problem: String,
    },
    /// A constant whose data is not of the declared type, or is missing.
    #[error("constant `{tensor}`: {problem}")]
    Constant {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        problem: String,
    },
    /// The text form could not be read.
    #[error("graph text: {0}")]
    Text(String),
}

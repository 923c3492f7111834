//! Why a model cannot be quantized as asked.

use ir::{ElementType, GraphError};

use super::proof::Effect;

/// Why a model cannot be quantized as asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantizeError {
    /// An activation that calibration did not see.
    #[error("tensor `{tensor}`: has no calibrated range; calibrate this very model (same architecture, same folding)")]
    NoRange {
        /// The tensor.
        tensor: String,
    },
    /// Weights computed by another node.
    #[error("node `{node}`: its {input} are computed, not constant; only constant {input} can be quantized")]
    NotConstant {
        /// The node.
        node: String,
        /// `weights` or `bias`.
        input: &'static str,
    },
    /// A weight that half precision cannot hold.
    #[error("weight `{tensor}`: {value} is beyond half precision (65504); use dynamic-int8 or rescale the layer")]
    HalfOverflow {
        /// The tensor.
        tensor: String,
        /// The value.
        value: f32,
    },
    /// A constant that no range can hold.
    #[error("constant `{tensor}`: holds a value that is infinite or not a number; the training that made it diverged")]
    NotFinite {
        /// The tensor.
        tensor: String,
    },
    /// A range in which nothing can be told apart.
    #[error(
        "tensor `{tensor}`: a step of its range would be {step:e}, so that 8 or 16 bits tell nothing apart; look for a constant or a sample far beyond all others, such as a mask"
    )]
    TooWide {
        /// The tensor.
        tensor: String,
        /// The step.
        step: f32,
    },
    /// The product of two scales is too small for a float.
    #[error(
        "node `{node}`: input and weight scales are so small that their product vanishes; are its weights all zero?"
    )]
    ScaleUnderflow {
        /// The node.
        node: String,
    },
    /// The model is not a float model.
    #[error("tensor `{tensor}` is {element} already; quantize takes a float model")]
    AlreadyQuantized {
        /// The tensor.
        tensor: String,
        /// Its element type.
        element: ElementType,
    },
    /// Layers that the scheme did not reach.
    #[error("{}", not_reached(.0))]
    NotReached(Vec<Effect>),
    /// An integer scheme without ranges.
    #[error("scheme {0} needs `ranges`: add a calibrate step and name it here")]
    RangesMissing(&'static str),
    /// Edges that the scheme does not compute with.
    #[error("scheme {scheme} has no {edge} inputs and outputs: take {known}")]
    Edge {
        /// The scheme.
        scheme: &'static str,
        /// What was asked for.
        edge: &'static str,
        /// What there is.
        known: &'static str,
    },
    /// A scheme without activations to quantize was given ranges.
    #[error("scheme {0} takes no `ranges`: remove them, or use scheme int8")]
    RangesUnused(&'static str),
    /// A name that no layer has, or an operator that there is not.
    #[error("allow-float: no {what} is named `{name}`")]
    UnknownFloat {
        /// `layer` or `operator`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The result is not a valid graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

fn not_reached(rows: &[Effect]) -> String {
    let line = |row: &Effect| {
        let reason = row.reason.as_deref().unwrap_or("unknown reason");
        let (layer, tensor) = (&row.layer, &row.tensor);
        format!(
            "\n  {layer} {tensor}: asked for {}, is {} ({reason})",
            row.requested, row.actual
        )
    };
    let lines: String = rows.iter().map(line).collect();
    let count = rows.len();
    format!(
        "{count} tensors did not become what was asked for:{lines}\n  list the layers under allow-float (`--allow-float`) to accept this"
    )
}

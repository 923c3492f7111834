//! ONNX files.
//!
//! | module | owns |
//! |---|---|
//! | `proto` | the messages of the format |
//! | `guard` | how many messages a file may hold, before any is decoded |
//! | `tensor` | stored tensors ↔ constants, data in other files included |
//! | `layout` | channels first ↔ channels last: dimensions, axes, constants |
//! | `pixels` | which pixels a resized image looks at |
//! | `fold` | what can be computed at import: shapes, and constants that operators read |
//! | `read`, `write` | graph ↔ messages, one entry per operator in each |
//!
//! The format is channels-first, the IR channels-last. A tensor of rank 4 at the border of a file (input or output) is `[N,C,H,W]` there and
//! `[N,H,W,C]` in the graph, unless the file itself begins or ends with the transpose. Inside, reader and writer hold a tensor in
//! the layout that its producer made, and add a `Transpose` where a reader asks for the other.
//!
//! `read(write(graph))` is `graph`, but for what the format does not say:
//! - a clamp fused into an operator is a node of its own; folding undoes it;
//! - constants of elementwise operators lose leading extents of 1;
//! - `Dropout` has no rate; a scalar of a quantized or elementwise operator may change its rank;
//! - what the format lacks is written in its terms: a transposed convolution's unequal output padding, `BatchNorm` of
//!   other ranks, dynamic-range weights (integers behind a `DequantizeLinear`, computed in floats).

mod fold;
mod fold_size;
mod guard;
mod layout;
mod node;
mod pixels;
mod proto;
mod read;
mod tensor;
mod write;

pub use read::{ImportOptions, known_operators, metadata, read, read_with};
pub use tensor::{ExternalData, external_files};
pub use write::{Profile, Split, WriteOptions, write, write_split, write_with};

use crate::{Format, FormatError};

/// [`ir::ops::Custom::domain`] of the standard operators, whose domain has no name in files.
const STANDARD: &str = "ai.onnx";
/// The attribute with what a custom operator of TFLite says of itself.
const CUSTOM_OPTIONS: &str = "custom_options";

/// Whether bytes look like an ONNX model. The format has no identifier, so the outermost fields are looked at.
pub fn recognize(bytes: &[u8]) -> bool {
    guard::is_model(bytes)
}

fn malformed(place: impl Into<String>, problem: impl Into<String>) -> FormatError {
    FormatError::malformed(Format::Onnx, place, problem)
}

fn unsupported(place: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> FormatError {
    FormatError::unsupported(Format::Onnx, place, problem, fix)
}

fn invalid(source: ir::GraphError) -> FormatError {
    FormatError::Graph {
        format: Format::Onnx,
        source,
    }
}

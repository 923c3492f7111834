//! TensorFlow Lite files.
//!
//! | module | owns |
//! |---|---|
//! | `flatbuffer` | tables ↔ bytes; nothing of TFLite |
//! | `schema` | the tables of TFLite |
//! | `builtin` | codes, names and runtime versions of operators |
//! | `kernels` | what LiteRT's kernels take |
//! | `sparse` | constants without their zeros ↔ dense ones |
//! | `window` | `SAME` and `VALID` ↔ explicit padding |
//! | `write`, `read` | graph ↔ tables, one entry per operator in each |
//! | `c_array` | a file as C source |
//! | `outline` | a file as a device sees it |
//!
//! `read(write(graph))` is `graph`, but for what the format does not say:
//! - a node is called after its first output;
//! - inputs stand before all other tensors; tensors and nodes that no output needs are gone;
//! - padding of a convolution that is neither `SAME` nor `VALID` is a `Pad` before it; of a max pool likewise, with the
//!   least number; a transposed convolution is cropped by a `Slice` behind it;
//! - padding of a transposed convolution is reduced by its output padding;
//! - the value of a `Pad` of integers is one that the tensor can hold;
//! - one scale along a dimension of extent 1 is a scale of the whole tensor.

mod builtin;
mod c_array;
mod flatbuffer;
mod kernels;
mod outline;
mod read;
mod schema;
mod sparse;
mod window;
mod write;

pub use c_array::{CArray, c_array};
pub use outline::{Outline, OutlineOperator, OutlineTensor, outline};
pub use read::{metadata, read};
pub use sparse::compressed_bytes;
pub use write::{Sparse, SparseTensor, WriteOptions, write, write_sparse, write_with};

use crate::{Format, FormatError};

/// Letters that say that a flatbuffer is a TFLite model.
const IDENTIFIER: [u8; 4] = *b"TFL3";
/// [`ir::ops::Custom::domain`] of operators that applications register under a name.
pub(crate) const CUSTOM: &str = "tflite";
/// [`ir::ops::Custom::domain`] of builtin operators that this program carries through.
const BUILTIN: &str = "tflite-builtin";
/// Operators of ONNX are carried as custom ones called `onnx:DOMAIN:NAME`; their options are those that an import of ONNX keeps.
const FROM_ONNX: &str = "onnx:";

fn malformed(place: impl Into<String>, problem: impl Into<String>) -> FormatError {
    FormatError::malformed(Format::Tflite, place, problem)
}

fn unsupported(place: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> FormatError {
    FormatError::unsupported(Format::Tflite, place, problem, fix)
}

fn invalid(source: ir::GraphError) -> FormatError {
    FormatError::Graph {
        format: Format::Tflite,
        source,
    }
}

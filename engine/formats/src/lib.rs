//! Bytes to IR and back: Keras, ONNX, TensorFlow and TFLite files, and the stored form of a model artifact.
//!
//! Readers trust nothing in a file: lengths, shapes and references are checked before they are used, memory is bounded
//! by the size of the input, and whatever is wrong becomes a [`FormatError`] that names the place. This crate executes no
//! graph and opens no file; callers hand over bytes.

mod choice;
mod einsum;
mod error;
mod functions;
mod int4;
pub mod keras;
pub mod onnx;
mod recurrent;
pub mod store;
pub mod tensorflow;
pub mod tflite;
pub mod torch;

pub use error::{Format, FormatError};

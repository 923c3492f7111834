//! One network: read from a file of any format, prepared, looked into, run, timed, and written to a file of any format.
//!
//! What the steps of a recipe and the verbs on single models share. Owns what is done with a whole model and needs no samples of a dataset;
//! arithmetic on weights is that of `methods`, formats are those of `formats`.

pub mod architecture;
mod error;
mod files;
pub mod fit;
mod given;
mod guests;
pub mod inference;
pub mod inspection;
mod kernel_set;
pub mod operator_support;
pub mod portions;
mod prepare;
mod read;
pub mod saved_model;
pub mod second_opinion;
pub mod state;
mod summary;
mod tensorrt;
pub mod tflm;
pub mod timing;
mod write;

pub use error::ModelError;
pub use files::{BESIDE, FileFormat, FileOptions, OnnxProfile, StepKey, c_source, files, named_key};
pub use kernel_set::KernelSet;
pub use prepare::{laid_out, prepared};
pub use read::{External, ModelFormat, ReadOptions, companions, part, read};
pub use summary::{hex, identity, summary};
pub use write::{WEIGHTS, onnx, onnx_split, tflite, tflite_sparse};

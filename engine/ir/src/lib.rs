//! The model IR: a graph of closed, plainly typed operators over channels-last tensors.
//!
//! This crate owns what a network *is*: operators ([`Op`]), tensors and their quantization ([`Tensor`]), shape inference,
//! the verifier, patches and the passes made of them, and a text form for tests and storage. It reads no files and
//! executes nothing.
//!
//! A graph describes a run, which takes one sample unless the model fixes a number of them; the runtime maps the graph over many
//! samples. Inputs say which of their dimensions counts samples ([`Stated`]), by default the leading one; [`Samples`] follows it.

mod constant;
mod editor;
mod entries;
mod error;
mod finite;
mod graph;
pub mod ops;
pub mod passes;
mod patch;
mod quantization;
mod samples;
mod shape;
mod stated;
mod text;
mod uses;
mod verify;

pub use constant::Constant;
pub use entries::Entries;
pub use error::{GraphError, InferError};
pub use finite::NonFinite;
pub use graph::{Graph, Node, NodeId, Tensor, TensorId};
pub use ops::Op;
pub use patch::{Change, Patch};
pub use quantization::{QuantParams, Quantization, Scale};
pub use samples::{Place, Samples};
pub use shape::{ElementType, Shape, TensorType};
pub use stated::{SampleAxis, Stated};
pub use text::{GraphText, TensorText};
pub use uses::Uses;

//! Compression methods: weights in, weights out.
//!
//! Each file holds one method over the weights of a graph or over plain matrices, with the paper that it follows. What a
//! method needs to know of the data arrives as matrices ([`Gram`]) or as statistics of channels; nothing here runs a
//! network, reads a file or knows a recipe.
//!
//! The weights of every layer are seen as one matrix, a row for each output channel ([`Layer`]), so that convolutions,
//! depthwise convolutions and fully connected layers share each method.
//!
//! Results do not depend on the number of threads: rows are independent, sums have a fixed order, and what is random
//! is drawn from ChaCha8 with the caller's seed.

pub mod absorb;
pub mod choice;
pub mod cholesky;
pub mod cluster;
pub mod equalize;
mod error;
mod gram;
mod layer;
pub mod patches;
pub mod patterns;
pub mod prune;
pub mod quantize;
pub mod reconstruct;
pub mod shrink;
mod thin;

pub use error::MethodError;
pub use gram::{Gram, Problem, Restriction, add_product};
pub use layer::{Layer, layers};
pub use thin::{Thin, outputs};

//! IR graph to executable plan: a kernel for every node, memory laid out once, samples spread over threads.
//!
//! - [`Executable`] is a planned graph: immutable, shared by threads. It refuses what it cannot compute by node name.
//! - [`Workspace`] is what one thread writes while it runs a sample.
//! - [`profile()`] says where the time goes.
//! - [`map_samples`] runs many samples over the threads of the current pool.
//!
//! A graph describes one sample. The element types of its tensors say which arithmetic a node uses: `f32` throughout, `i8`
//! throughout (bit-identical to LiteRT's reference kernels), or `f32` activations with `i8` weights (dynamic range). Both sets
//! of kernels, [`Kernels::Fast`] and [`Kernels::Reference`], compute the same: the same bits in integers, the same up to
//! the order of sums in floats.
//!
//! This crate changes no graph and reads no file; the arithmetic itself is in `kernels`.

mod buffer;
mod error;
mod executable;
mod fast;
mod fold;
mod inputs;
mod lower;
mod memory;
mod padding;
mod planner;
mod profile;
mod program;
mod samples;

pub use buffer::Value;
pub use error::RuntimeError;
pub use executable::{Executable, Kernels, Memory, Options, Outputs, PlanRow, PlanStep, Port, Workspace};
pub use inputs::InputBuffers;
pub use lower::formula;
pub use profile::{Spent, profile};
pub use samples::{Hooks, map_samples};

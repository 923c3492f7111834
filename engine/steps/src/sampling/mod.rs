//! What steps ask of samples: a draw of them, fed to networks, and what it says of a network's layers.

pub mod activation_ranges;
mod feeder;
mod layer_problem;
mod norms;
pub(crate) mod probe;
pub mod reconstruction;
mod samples;
pub mod treatment;
pub mod trial;
mod vectors;
mod walk;

pub use feeder::Feeder;
pub use layer_problem::{LayerProblem, LayerProblems, Shown, rows, set_rows};
pub(crate) use layer_problem::{default_count, default_damping};
pub(crate) use norms::{norms, remeasure};
pub(crate) use samples::digest;
pub use samples::{Samples, channel_sums};
pub(crate) use vectors::test_vectors;
pub use walk::{Walk, Way};

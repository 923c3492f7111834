//! Gradients of IR graphs, and training with them.
//!
//! - [`Program`] is a graph made trainable: vector–Jacobian products of its operators (`vjp`), planned once for batches of a fixed size.
//!   A step allocates nothing, and its results are the same for any number of threads.
//!
//! Networks learn in `f32` on fast kernels; the same program in `f64`, on plain ones, is checked against central differences.

mod error;
mod execute;
mod initialize;
mod loss;
mod memory;
mod optimizer;
mod parameter;
mod program;
mod pruning;
mod rate;
mod state;
mod trainer;
mod vjp;

pub use error::LearnError;
pub use execute::{Feed, Judge, Outcome};
pub use initialize::he_normal;
pub use loss::{Distillation, Loss, Target};
pub use optimizer::{Moments, Move, Optimizer};
pub use parameter::{Form, Grid, Parameter};
pub use program::{Norms, Program, Settings};
pub use pruning::Pruning;
pub use rate::Rate;
pub use trainer::{Checkpoint, Epoch, Hooks, Keep, Learned, Options, Samples, Trainer, draw, shuffle};
pub use vjp::Number;

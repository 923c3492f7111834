//! The ops of the recipe language, one file each: parameters, method, revision, run.
//!
//! A step is a pure function from parameters and input artifacts to an output. Disk, clock, environment and terminal
//! belong to the caller; what a step may learn of the world it is handed in its [`Context`].
//!
//! [`contract`] says what an op is, [`sampling`] what samples tell about a network;
//! [`ops`] are the ops themselves. What is done with a single model, without samples, is the crate `models`.

pub mod contract;
mod learning;
pub mod ops;
pub mod sampling;
#[cfg(test)]
mod tests;

pub use contract::{Context, Inputs, Labelled, Op, Output, Registered, SourceFiles, StepError};
pub use ops::{find, registry, specs};

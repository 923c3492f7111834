//! What an op is and what passes between ops: parameters, inputs, outputs, errors, intermediate results.
//!
//! Knows no op, and runs no network.

pub mod artifact;
mod error;
mod foresight;
pub mod intermediates;
mod model;
mod op;
pub mod parameters;
mod ranges;

pub use artifact::{Artifact, Blob, DOCUMENT, Decoded};
pub use error::StepError;
pub use foresight::{Arithmetic, Facts, Foreseen, LabelKind, Outlook, foresee};
pub use intermediates::{IntermediateResults, Key, NothingKept, Numbers};
pub use op::{Context, Inputs, Labelled, Op, Output, Registered, SourceFiles, demand_floats};
pub use ranges::Ranges;

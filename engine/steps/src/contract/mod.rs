//! What an op is and what passes between ops: parameters, inputs, outputs, errors, intermediate results.
//!
//! Knows no op, and runs no network.

pub mod artifact;
mod error;
mod facts;
mod foresight;
pub mod intermediates;
mod model;
mod op;
pub mod parameters;
mod ranges;

pub use artifact::{Artifact, Blob, DOCUMENT, Decoded};
pub use error::StepError;
pub use facts::{Arithmetic, Drawn, Facts, LabelKind, Network, SampleFacts};
pub use foresight::{Doubt, Foreseen, Outlook, SourceOutlook, foresee};
pub use intermediates::{IntermediateResults, Key, NothingKept, Numbers};
pub use op::{Context, Inputs, Labelled, Op, Output, Registered, SourceFiles, demand_floats, passed};
pub use ranges::Ranges;

//! Renders what a run found: markdown that reads well on GitHub, plots, CSV, JUnit.
//!
//! Everything is a pure function of its input value: no metric is computed here, no file opened, no clock read. The
//! same input gives the same bytes.

mod error;
mod input;
mod questions;

pub use error::ReportError;
pub use input::{
    CalibrationSummary, Document, EffectRow, Entry, ModelSummary, Outcome, RecipeFacts,
    ReportInput, Verdict,
};
pub use questions::Question;

//! Renders what a run found: markdown that reads well on GitHub, plots, CSV, JUnit.
//!
//! Everything is a pure function of its input value: no metric is computed here, no file opened, no clock read. The
//! same input gives the same bytes.

mod compare;
mod csv;
mod error;
mod html;
mod input;
mod junit;
mod markdown;
mod metrics_page;
mod numbers;
mod pictures;
mod plots;
mod quality;
mod questions;
mod render;
mod sections;
mod sensitivity;
mod settings;
mod step_summary;
mod summary;
mod sweep;
mod template;
mod told;
mod variants;

pub use compare::{RunFigures, VariantFigure, compare};
pub use csv::csv;
pub use error::ReportError;
pub use input::{
    CalibrationSummary, Document, EffectRow, Entry, LearningEpoch, ModelSummary, Outcome, RecipeFacts, ReportInput,
    Training, Verdict,
};
pub use junit::junit;
pub use plots::{Block, Network};
pub use questions::{BestUnder, Expected, Question, Tells, check_questions};
pub use render::{ReportFile, render};
pub use sensitivity::{Sensitivity, SensitivityRow};
pub use step_summary::{problem_summary, step_summary};

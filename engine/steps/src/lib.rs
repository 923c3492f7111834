//! The ops of the recipe language, one file each: parameters, method, revision, run.
//!
//! A step is a pure function from parameters and input artifacts to an output. Disk, clock, environment and terminal
//! belong to the caller; what a step may learn of the world it is handed in its [`op::Context`].

pub mod arrays;
pub mod artifact;
pub mod benchmark;
pub mod calibrate;
pub mod compress;
pub mod dataset;
mod error;
pub mod evaluate;
pub mod export;
pub mod feed;
pub mod fold;
pub mod import;
pub mod inspect;
pub mod models;
pub mod op;
pub mod quantize;
pub mod report;
pub mod verify;

use std::sync::OnceLock;

pub use error::StepError;
pub use op::{Context, Inputs, Labelled, Op, Output, Registered, SourceFiles};

/// Every op, in the order in which the reference lists them.
pub fn registry() -> &'static [Registered] {
    static REGISTRY: OnceLock<Vec<Registered>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        vec![
            Registered::of::<import::ImportOp>(),
            Registered::of::<dataset::DatasetOp>(),
            Registered::of::<fold::FoldOp>(),
            Registered::of::<calibrate::CalibrateOp>(),
            Registered::of::<quantize::QuantizeOp>(),
            Registered::of::<export::ExportOp>(),
            Registered::of::<compress::CompressOp>(),
            Registered::of::<verify::VerifyOp>(),
            Registered::of::<evaluate::EvaluateOp>(),
            Registered::of::<benchmark::BenchmarkOp>(),
            Registered::of::<report::ReportOp>(),
        ]
    })
}

/// The op of that name.
pub fn find(name: &str) -> Option<&'static Registered> {
    registry().iter().find(|op| op.spec.name == name)
}

/// What recipes and editors need to know of every op.
pub fn specs() -> Vec<recipe::OpSpec> {
    registry().iter().map(|op| op.spec.clone()).collect()
}

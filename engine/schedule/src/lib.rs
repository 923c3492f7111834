//! From instances to results: keys, the graph of steps, the budget, and the record of a run.
//!
//! This crate decides *when* a step runs and *whether* it must; what a step computes is the business of `steps`, what is
//! stored is that of `cache`. Results depend neither on the number of threads nor on the order in which steps finish.

mod board;
mod budget;
mod engine;
mod event;
mod explain;
mod intermediates;
mod key;
mod record;
mod sources;

pub use engine::{Engine, EngineError, Restore, RunOptions};
pub use event::{Event, Observer};
pub use explain::{Explanation, Staleness};
pub use record::{InstanceRecord, RunRecord, SourceRecord, Status, WrittenFile, record_schema};
pub use sources::{Ingested, IngestedFile, IngestedSource, SourceError, foresee, ingest, ingest_needed};

//! From instances to results: keys, the graph of steps, the budget, and the record of a run.
//!
//! This crate decides *when* a step runs and *whether* it must; what a step computes is the business of `steps`, what is
//! stored is that of `cache`. Results depend neither on the number of threads nor on the order in which steps finish.

mod blobs;
mod board;
mod budget;
mod coordinator;
mod engine;
mod error;
mod event;
mod executor;
mod explain;
mod intermediates;
mod job;
mod key;
mod key_page;
mod plan;
mod record;
mod shard;
mod sources;
mod stored;
#[cfg(test)]
mod tests;
mod variant;

pub use engine::{Engine, RunOptions};
pub use error::EngineError;
pub use event::{Event, Observer};
pub use explain::{Explanation, Staleness};
pub use job::Restore;
pub use key_page::keys_markdown;
pub use record::{InstanceRecord, Made, RunRecord, SCHEMA, SourceRecord, Status, WrittenFile, record_schema};
pub use shard::shards;
pub use sources::{Ingested, IngestedFile, IngestedSource, SourceError, foresee, ingest, ingest_needed};
pub use variant::variants;

//! Artifacts in the store: what is written of a step's output, and read by those that need it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cache::{Record, Store};
use recipe::ArtifactKind;
use report::Document;
use serde::{Deserialize, Serialize};
use steps::contract::artifact::is_piece;
use steps::contract::{Artifact, Decoded};

use crate::blobs::recorded;

/// What is stored beside the blobs of a record.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Notes {
    #[serde(default)]
    pub log: Vec<String>,
    #[serde(default)]
    pub document: Option<Document>,
}

/// Bytes that a reader of the record holds in memory. Samples are read one by one.
pub(crate) fn stored_bytes(record: &Record) -> u64 {
    let held = record.blobs.iter().filter(|(name, _)| !is_piece(name));
    held.map(|(_, blob)| blob.size).sum()
}

/// The artifact of a record, whose blobs are read when needed; a damaged one is noted in `damaged`.
pub(crate) fn stored(
    store: &Store,
    kind: ArtifactKind,
    record: &Record,
    decoded: Option<Decoded>,
    damaged: &Arc<AtomicBool>,
) -> Artifact {
    let blobs = record.blobs.iter();
    let blobs = blobs.map(|(name, blob)| (name.clone(), recorded(store, *blob, damaged)));
    Artifact::new(kind, blobs.collect(), decoded)
}

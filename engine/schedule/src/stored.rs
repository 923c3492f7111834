//! Artifacts in the store: what is written of a step's output, and read by those that need it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cache::{Record, Store};
use recipe::ArtifactKind;
use report::Document;
use serde::{Deserialize, Serialize};
use steps::contract::{Artifact, Decoded, ReadBlob};

/// What is stored beside the blobs of a record.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Notes {
    #[serde(default)]
    pub log: Vec<String>,
    #[serde(default)]
    pub document: Option<Document>,
}

/// Bytes of all blobs.
pub(crate) fn stored_bytes(record: &Record) -> u64 {
    record.blobs.values().map(|b| b.size).sum()
}

/// The artifact of a record, whose blobs are read when needed; a damaged one is noted in `damaged`.
pub(crate) fn stored(
    store: &Store,
    kind: ArtifactKind,
    record: &Record,
    decoded: Option<Decoded>,
    damaged: &Arc<AtomicBool>,
) -> Artifact {
    let blobs = record.blobs.iter().map(|(name, blob)| {
        let (store, blob, damaged) = (store.clone(), *blob, damaged.clone());
        let read: ReadBlob = Box::new(move || {
            store.read(&blob).map_err(|error| {
                damaged.store(true, Ordering::Relaxed);
                error.to_string()
            })
        });
        (name.clone(), read)
    });
    Artifact::new(kind, blobs.collect(), decoded)
}

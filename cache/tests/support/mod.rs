//! What the tests share: a store in a temporary folder, actions and records to put into it, and ways to spoil it.
#![allow(dead_code, reason = "each test crate uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cache::{Action, ActionKey, BlobRef, Lookup, MissReason, Record, Store};
use tempfile::TempDir;

/// A new store, in a folder that goes away with the first value.
pub fn scratch() -> (TempDir, Store) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(&folder.path().join("cache")).expect("a new store");
    (folder, store)
}

/// The action number `n`.
pub fn action(n: u64) -> Action {
    Action {
        op: "quantize".to_owned(),
        revision: 1,
        params: format!(r#"{{"seed":{n}}}"#),
        inputs: BTreeMap::from([("model".to_owned(), BlobRef::of(b"float"))]),
        environment: BTreeMap::new(),
        host: None,
    }
}

/// What action `n` makes: two blobs, one of them larger than any buffer on the way.
pub fn outputs(n: u64) -> BTreeMap<String, Vec<u8>> {
    let weights = (0..40_000 + n)
        .flat_map(|i| (i ^ n << 20).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .collect();
    BTreeMap::from([
        ("graph".to_owned(), format!("graph {n}").into_bytes()),
        ("weights".to_owned(), weights),
    ])
}

/// Does the work of action `n`: puts its outputs and publishes the record.
pub fn run(store: &Store, n: u64) -> Record {
    let blobs = outputs(n)
        .iter()
        .map(|(name, bytes)| (name.clone(), store.put(bytes).expect("stored")))
        .collect();
    let record = Record {
        kind: "model".to_owned(),
        blobs,
        notes: serde_json::json!({ "n": n }),
        action: action(n),
        seconds: 0.5,
    };
    store.publish(&action(n).key(), &record).expect("published");
    record
}

/// The record of a hit; anything else fails the test.
pub fn hit(store: &Store, key: &ActionKey) -> Record {
    match store.lookup(key).expect("readable") {
        Lookup::Hit(record) => *record,
        Lookup::Miss { reason } => panic!("expected a hit: {reason}"),
    }
}

/// The reason of a miss; anything else fails the test.
pub fn miss(store: &Store, key: &ActionKey) -> MissReason {
    match store.lookup(key).expect("readable") {
        Lookup::Miss { reason } => reason,
        Lookup::Hit(record) => panic!("expected a miss: {record:?}"),
    }
}

/// Reads the outputs of action `n` back and compares.
pub fn check_outputs(store: &Store, record: &Record, n: u64) {
    let read: BTreeMap<String, Vec<u8>> = record
        .blobs
        .iter()
        .map(|(name, blob)| (name.clone(), store.read(blob).expect("sound")))
        .collect();
    assert!(read == outputs(n), "outputs of action {n}");
}

/// Where the record of `key` is.
pub fn record_path(store: &Store, key: &ActionKey) -> PathBuf {
    let hex = key.to_string();
    store.root().join("v1/ac/sha256").join(&hex[..2]).join(hex)
}

/// Replaces a read-only file by what `change` makes of its bytes.
pub fn spoil(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("readable");
    change(&mut bytes);
    fs::remove_file(path).expect("removable");
    fs::write(path, bytes).expect("writable");
}

/// Flips a bit in the middle of a file.
pub fn flip(path: &Path) {
    spoil(path, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
}

//! Results that were made from something found damaged.
//!
//! Nothing reads a blob without hashing it, so a result should never have been made from a damaged one. Who finds damage
//! cannot know since when it is there, nor what has read it: a memory that fails does not ask. A record knows the inputs of its
//! action, so what was made from a damaged blob, and what was made from that, can be found; it is set aside and made again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::action::ActionKey;
use crate::digest::Digest;
use crate::error::CacheError;
use crate::layout::walk;
use crate::store::Store;

impl Store {
    /// Sets aside the record of every action whose inputs hold one of these blobs, as a source or in an artifact, and of every
    /// action that has the result of such a one among its inputs. Says which.
    pub(crate) fn drop_suspects(&self, damaged: &BTreeSet<Digest>) -> Result<Vec<ActionKey>, CacheError> {
        if damaged.is_empty() {
            return Ok(Vec::new());
        }
        // By what an action reads, sources and contents of artifacts alike: whose record has it, and what came of it.
        let mut readers: BTreeMap<Digest, Vec<(ActionKey, PathBuf, Digest)>> = BTreeMap::new();
        let mut tainted: Vec<Digest> = damaged.iter().copied().collect();
        for entry in walk(&self.layout.records())? {
            let (Some(key), Some(record)) = (entry.digest, entry.record()?) else {
                continue;
            };
            let content = record.content().digest;
            if record.blobs.values().any(|blob| damaged.contains(&blob.digest)) {
                tainted.push(content);
            }
            for input in record.action.inputs.values() {
                let reader = (ActionKey::from(key), entry.path.clone(), content);
                readers.entry(input.digest).or_default().push(reader);
            }
        }
        let mut dropped = BTreeSet::new();
        while let Some(digest) = tainted.pop() {
            for (key, path, content) in readers.remove(&digest).unwrap_or_default() {
                if dropped.insert(key) {
                    self.layout.set_aside(&path)?;
                    tainted.push(content);
                }
            }
        }
        Ok(dropped.into_iter().collect())
    }
}

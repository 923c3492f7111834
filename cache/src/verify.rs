//! Checking the whole store. What is wrong is moved to the quarantine, so that running again heals it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::action::ActionKey;
use crate::digest::{Digest, hash_file};
use crate::error::{At, CacheError, if_exists};
use crate::layout::walk;
use crate::results::{Lookup, MissReason};
use crate::store::Store;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Blobs whose bytes are what their names say.
    pub sound_blobs: u64,
    /// Bytes in them.
    pub sound_bytes: u64,
    /// Blobs with other bytes, now in the quarantine.
    pub damaged_blobs: Vec<Digest>,
    /// Records that hold, with all their blobs.
    pub sound_records: u64,
    /// Records that cannot be trusted or lost a blob, now in the quarantine, with the reason.
    pub dropped_records: Vec<(ActionKey, MissReason)>,
    /// Records of results that were made from a damaged blob, or from such a result, now in the quarantine.
    pub suspect_records: Vec<ActionKey>,
    /// Files that the store did not put there, now in the quarantine.
    pub strangers: u64,
    /// Whether the store cannot be written, so that what is wrong is where it was.
    pub left: bool,
}

impl VerifyReport {
    /// Whether nothing had to be moved.
    pub fn is_sound(&self) -> bool {
        self.damaged_blobs.is_empty() && self.dropped_records.is_empty() && self.strangers == 0
    }

    /// Takes note of an attempt to move something.
    fn moved<T: Default>(&mut self, moved: Result<T, CacheError>) -> Result<T, CacheError> {
        match moved {
            Err(CacheError::ReadOnly { .. } | CacheError::Full { .. }) => {
                self.left = true;
                Ok(T::default())
            }
            moved => moved,
        }
    }
}

impl Store {
    /// Reads and hashes every blob, then checks every record. Runs may go on meanwhile; garbage collection waits.
    pub fn verify(&self) -> Result<VerifyReport, CacheError> {
        let _session = self.session(&mut || ControlFlow::Continue(()))?;
        let mut report = VerifyReport::default();
        for entry in walk(&self.layout.blobs())? {
            let Some(digest) = entry.digest else {
                report.moved(self.layout.set_aside(&entry.path))?;
                report.strangers += 1;
                continue;
            };
            // Gone since it was listed: a run found it damaged first.
            let Some(found) = if_exists(hash_file(&entry.path)).reading(&entry.path)? else {
                continue;
            };
            if found.digest == digest {
                report.sound_blobs += 1;
                report.sound_bytes += found.size;
            } else {
                report.moved(self.layout.set_aside(&entry.path))?;
                report.damaged_blobs.push(digest);
            }
        }
        let damaged: BTreeSet<Digest> = report.damaged_blobs.iter().copied().collect();
        report.suspect_records = report.moved(self.drop_suspects(&damaged))?;
        for entry in walk(&self.layout.records())? {
            let Some(key) = entry.digest.map(ActionKey::from) else {
                report.moved(self.layout.set_aside(&entry.path))?;
                report.strangers += 1;
                continue;
            };
            match self.find(&key)? {
                Lookup::Hit(_) => report.sound_records += 1,
                Lookup::Miss { reason } => {
                    report.moved(self.layout.set_aside(&entry.path))?;
                    report.dropped_records.push((key, reason));
                }
            }
        }
        Ok(report)
    }
}

//! Garbage collection and sizes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::digest::Digest;
use crate::error::{At, CacheError, if_exists};
use crate::layout::{Entry, list, walk};
use crate::store::Store;

/// What a garbage collection did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Records kept.
    pub kept_records: u64,
    /// Records dropped: least recently used, or unreadable.
    pub dropped_records: u64,
    /// Blobs kept.
    pub kept_blobs: u64,
    /// Bytes in the kept blobs and records.
    pub kept_bytes: u64,
    /// Blobs removed because no kept record names them.
    pub dropped_blobs: u64,
    /// Bytes freed: blobs, records, temporary files, quarantine.
    pub freed_bytes: u64,
}

/// What is in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Number of records.
    pub records: u64,
    /// Bytes in records.
    pub record_bytes: u64,
    /// Number of blobs.
    pub blobs: u64,
    /// Bytes in blobs.
    pub blob_bytes: u64,
    /// Bytes in temporary files: work in progress, or left over by a crash.
    pub tmp_bytes: u64,
    /// Damaged files set aside.
    pub quarantined: u64,
}

/// A readable record, as garbage collection sees it.
struct Candidate {
    used: SystemTime,
    digest: Digest,
    entry: Entry,
    blobs: BTreeSet<Digest>,
}

impl Store {
    /// Removes least recently used records until the rest, with the blobs they name, fits into `keep_bytes`; then every
    /// blob that no record names, leftovers of crashes, and the quarantine. Use is being published or hit.
    ///
    /// What is to survive must be named by a record: a blob that was merely put is garbage once its run is over.
    ///
    /// Errors: [`CacheError::InUse`] while any [`Store::session`] is open; nothing is removed then.
    pub fn gc(&self, keep_bytes: u64) -> Result<GcReport, CacheError> {
        let _alone = self.exclude_sessions()?;
        let mut report = GcReport::default();

        let blobs: BTreeMap<Digest, u64> = walk(&self.layout.blobs())?
            .into_iter()
            .filter_map(|entry| Some((entry.digest?, entry.metadata.len())))
            .collect();

        let mut live = BTreeSet::new();
        let mut full = false;
        for candidate in self.candidates(&mut report)? {
            let new: BTreeSet<Digest> = candidate.blobs.difference(&live).copied().collect();
            let bytes = candidate.entry.metadata.len() + new.iter().filter_map(|digest| blobs.get(digest)).sum::<u64>();
            // Once one record is dropped, all older ones are: a cache that keeps old crumbs surprises.
            full |= report.kept_bytes + bytes > keep_bytes;
            if full {
                report.dropped_records += 1;
                report.freed_bytes += remove(&candidate.entry.path)?;
            } else {
                report.kept_records += 1;
                report.kept_bytes += bytes;
                live.extend(new);
            }
        }

        // After the records, so that a crash in between leaves garbage and no record without its blobs.
        for entry in walk(&self.layout.blobs())? {
            if entry.digest.is_some_and(|digest| live.contains(&digest)) {
                report.kept_blobs += 1;
            } else {
                report.dropped_blobs += 1;
                report.freed_bytes += remove(&entry.path)?;
            }
        }
        let leftovers = self.layout.leftovers()?;
        let unfinished = leftovers.iter().map(|(path, _)| path.clone());
        for path in unfinished.chain(list(&self.layout.quarantine())?) {
            report.freed_bytes += remove(&path)?;
        }
        for path in list(&self.layout.locks())?
            .into_iter()
            .filter(|path| path.file_name() != Some("sessions".as_ref()))
        {
            remove(&path)?;
        }
        Ok(report)
    }

    /// Removes what killed runs left half written. Downloads (`.part`) stay, to be gone on with.
    pub fn sweep(&self) -> Result<(), CacheError> {
        for (path, _lock) in self.layout.leftovers()? {
            if path.extension().is_none_or(|extension| extension != "part") {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// The readable records, most recently used first. Unreadable ones are removed.
    fn candidates(&self, report: &mut GcReport) -> Result<Vec<Candidate>, CacheError> {
        let mut candidates = Vec::new();
        for entry in walk(&self.layout.records())? {
            let record = entry.record()?;
            if let (Some(digest), Some(record)) = (entry.digest, record) {
                let used = entry.metadata.modified().reading(&entry.path)?;
                let blobs = record.blobs.values().map(|blob| blob.digest).collect();
                candidates.push(Candidate {
                    used,
                    digest,
                    entry,
                    blobs,
                });
            } else {
                report.dropped_records += 1;
                report.freed_bytes += remove(&entry.path)?;
            }
        }
        candidates.sort_by_key(|candidate| (std::cmp::Reverse(candidate.used), candidate.digest));
        Ok(candidates)
    }

    /// Counts what is in the store.
    pub fn stats(&self) -> Result<Stats, CacheError> {
        let mut stats = Stats::default();
        for entry in walk(&self.layout.records())? {
            stats.records += 1;
            stats.record_bytes += entry.metadata.len();
        }
        for entry in walk(&self.layout.blobs())? {
            stats.blobs += 1;
            stats.blob_bytes += entry.metadata.len();
        }
        for path in list(&self.layout.tmp())? {
            stats.tmp_bytes += if_exists(fs::symlink_metadata(&path))
                .reading(&path)?
                .map_or(0, |metadata| metadata.len());
        }
        stats.quarantined = list(&self.layout.quarantine())?.len() as u64;
        Ok(stats)
    }
}

/// Removes a file, or a folder that has no business here, and returns the bytes that the file had.
fn remove(path: &Path) -> Result<u64, CacheError> {
    let Some(metadata) = if_exists(fs::symlink_metadata(path)).reading(path)? else {
        return Ok(0);
    };
    if metadata.is_dir() {
        if_exists(fs::remove_dir_all(path)).writing(path)?;
        return Ok(0);
    }
    if_exists(fs::remove_file(path)).writing(path)?;
    Ok(metadata.len())
}

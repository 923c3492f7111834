//! Remembering digests of source files, so that files that did not change are not read on every run.
//!
//! A file is taken as unchanged while its size, times, device and inode are what they were when it was hashed. That alone would be
//! wrong for a file that changes twice within one tick of the file system's clock, the second time after hashing (git calls
//! such entries racily clean). Hence a digest is remembered only if the file's times were at least two seconds old when hashing
//! began, two seconds being the coarsest tick in use (FAT). The change time is looked at as well, because programs can set
//! the modification time back (`cp -p`, `tar -x`), but not that one.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::digest::{BlobRef, Digest, hash_through};
use crate::error::{At, CacheError};
use crate::seal::{seal, unseal};
use crate::store::Store;

/// The coarsest tick of a file system's clock.
const TICK: Duration = Duration::from_secs(2);

/// Digests of source files by path, as of their last reading. Kept in the cache folder between runs.
#[derive(Debug, Default)]
pub struct StatMemo {
    known: BTreeMap<String, Known>,
    changed: bool,
    read: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    stamp: Stamp,
    digest: Digest,
}

/// What changes, or may change, when a file's content does. Times as seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    device: u64,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// Whether a change after `start` is certain to give another stamp.
    fn settled_at(&self, start: SystemTime) -> bool {
        let Ok(limit) = start
            .checked_sub(TICK)
            .unwrap_or(SystemTime::UNIX_EPOCH)
            .duration_since(SystemTime::UNIX_EPOCH)
        else {
            return false;
        };
        let limit = (limit.as_secs() as i64, i64::from(limit.subsec_nanos()));
        self.modified <= limit && self.changed <= limit
    }
}

impl StatMemo {
    /// The memo kept in the store; empty if there is none or it is damaged.
    pub fn load(store: &Store) -> StatMemo {
        StatMemo {
            known: read_known(store),
            changed: false,
            read: 0,
        }
    }

    /// Number of files that had to be read so far.
    pub fn files_read(&self) -> u64 {
        self.read
    }

    /// The digest of the file at `path`, without storing it.
    ///
    /// Errors: [`CacheError::Changed`] if the file changes while it is read.
    pub fn digest(&mut self, path: &Path) -> Result<BlobRef, CacheError> {
        self.digest_at(path, SystemTime::now())
    }

    /// The file at `path` as a blob of the store: read and copied only if it changed or the blob is gone.
    ///
    /// Errors: as [`StatMemo::digest`], and those of [`Store::put_reader`].
    pub fn ingest(&mut self, store: &Store, path: &Path) -> Result<BlobRef, CacheError> {
        self.ingest_at(store, path, SystemTime::now())
    }

    fn digest_at(&mut self, path: &Path, now: SystemTime) -> Result<BlobRef, CacheError> {
        if let Some(blob) = self.recall(path)? {
            return Ok(blob);
        }
        self.learn(path, now, |file| {
            hash_through(
                file,
                |_| Ok(()),
                |source| CacheError::Io {
                    verb: "read",
                    path: path.to_owned(),
                    source,
                },
            )
        })
    }

    fn ingest_at(&mut self, store: &Store, path: &Path, now: SystemTime) -> Result<BlobRef, CacheError> {
        if let Some(blob) = self.recall(path)?
            && store.contains(&blob)?
        {
            return Ok(blob);
        }
        self.learn(path, now, |file| store.put_open_file(file, path))
    }

    fn recall(&self, path: &Path) -> Result<Option<BlobRef>, CacheError> {
        let stamp = Stamp::of(&fs::metadata(path).reading(path)?);
        let known = name(path)?
            .and_then(|name| self.known.get(&name))
            .filter(|known| known.stamp == stamp);
        Ok(known.map(|known| BlobRef {
            digest: known.digest,
            size: stamp.size,
        }))
    }

    fn learn(
        &mut self,
        path: &Path,
        now: SystemTime,
        read: impl FnOnce(&mut File) -> Result<BlobRef, CacheError>,
    ) -> Result<BlobRef, CacheError> {
        let metadata = fs::metadata(path).reading(path)?;
        if !metadata.is_file() {
            let what = if metadata.is_dir() {
                "a folder"
            } else {
                "neither a file nor a folder"
            };
            return Err(CacheError::NotAFile {
                path: path.to_owned(),
                what,
            });
        }
        let mut file = File::open(path).reading(path)?;
        let stamp = Stamp::of(&file.metadata().reading(path)?);
        let blob = read(&mut file)?;
        self.read += 1;
        if Stamp::of(&file.metadata().reading(path)?) != stamp || blob.size != stamp.size {
            return Err(CacheError::Changed { path: path.to_owned() });
        }
        if let Some(name) = name(path)? {
            let known = stamp.settled_at(now).then_some(Known {
                stamp,
                digest: blob.digest,
            });
            let old = match known {
                Some(known) => self.known.insert(name, known),
                None => self.known.remove(&name),
            };
            self.changed |= old != known;
        }
        Ok(blob)
    }

    /// Keeps the memo in the store. Entries that other runs kept meanwhile stay; those of files that are gone do not.
    pub fn save(&mut self, store: &Store) -> Result<(), CacheError> {
        if !self.changed {
            return Ok(());
        }
        let path = memo_path(store);
        let mut known = read_known(store);
        known.append(&mut self.known.clone());
        known.retain(|name, _| Path::new(name).exists());
        let json = serde_json::to_vec(&known)
            .map_err(std::io::Error::from)
            .writing(&path)?;
        store.layout.replace(&path, &seal(json))?;
        self.changed = false;
        Ok(())
    }
}

/// The absolute path as text; `None` for one that is not UTF-8, which is hashed every time.
fn name(path: &Path) -> Result<Option<String>, CacheError> {
    Ok(std::path::absolute(path).reading(path)?.to_str().map(str::to_owned))
}

fn memo_path(store: &Store) -> PathBuf {
    store.layout.runs().join("stat-memo")
}

fn read_known(store: &Store) -> BTreeMap<String, Known> {
    let file = fs::read(memo_path(store)).unwrap_or_default();
    unseal(&file)
        .ok()
        .and_then(|json| serde_json::from_slice(json).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock by which everything written so far is settled.
    fn later() -> SystemTime {
        SystemTime::now() + Duration::from_mins(1)
    }

    fn scratch() -> (tempfile::TempDir, Store, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(&folder.path().join("cache")).expect("a new store");
        let source = folder.path().join("source.bin");
        fs::write(&source, b"first").expect("a new file");
        (folder, store, source)
    }

    #[test]
    fn an_unchanged_file_is_read_once() {
        let (_folder, store, source) = scratch();
        let mut memo = StatMemo::default();
        for _ in 0..3 {
            assert_eq!(
                memo.digest_at(&source, later()).expect("readable"),
                BlobRef::of(b"first")
            );
        }
        memo.save(&store).expect("writable");
        let mut next = StatMemo::load(&store);
        assert_eq!(next.digest(&source).expect("readable"), BlobRef::of(b"first"));
        assert_eq!((memo.files_read(), next.files_read()), (1, 0));
    }

    #[test]
    fn a_file_written_just_now_is_not_trusted() {
        let (_folder, _store, source) = scratch();
        let mut memo = StatMemo::default();
        memo.digest(&source).expect("readable");
        memo.digest(&source).expect("readable");
        assert_eq!(memo.files_read(), 2);
    }

    #[test]
    fn a_change_that_keeps_size_and_modification_time_is_noticed() {
        let (_folder, _store, source) = scratch();
        let mut memo = StatMemo::default();
        memo.digest_at(&source, later()).expect("readable");
        let before = fs::metadata(&source)
            .and_then(|metadata| metadata.modified())
            .expect("a time");
        // A kernel tick apart, so that the change time can differ at all; in use, TICK guarantees that.
        std::thread::sleep(Duration::from_millis(20));
        fs::write(&source, b"other").expect("writable");
        File::options()
            .write(true)
            .open(&source)
            .and_then(|file| file.set_modified(before))
            .expect("settable");
        assert_eq!(
            memo.digest_at(&source, later()).expect("readable"),
            BlobRef::of(b"other")
        );
    }

    #[test]
    fn a_file_replaced_by_rename_is_noticed() {
        let (folder, _store, source) = scratch();
        let mut memo = StatMemo::default();
        memo.digest_at(&source, later()).expect("readable");
        let other = folder.path().join("other.bin");
        fs::write(&other, b"other").expect("writable");
        fs::rename(&other, &source).expect("same folder");
        assert_eq!(
            memo.digest_at(&source, later()).expect("readable"),
            BlobRef::of(b"other")
        );
    }

    #[test]
    fn ingesting_copies_again_when_the_blob_is_gone() {
        let (_folder, store, source) = scratch();
        let mut memo = StatMemo::default();
        let blob = memo.ingest_at(&store, &source, later()).expect("stored");
        store.gc(0).expect("nothing runs");
        assert_eq!(memo.ingest_at(&store, &source, later()).expect("stored"), blob);
        assert_eq!(store.read(&blob).expect("there"), b"first");
        memo.ingest_at(&store, &source, later()).expect("stored");
        assert_eq!(memo.files_read(), 2);
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_refused() {
        let (_folder, _store, source) = scratch();
        let error = StatMemo::default().learn(&source, later(), |_| {
            fs::write(&source, b"edited while hashing").expect("writable");
            Ok(BlobRef::of(b"first"))
        });
        assert!(matches!(error, Err(CacheError::Changed { .. })), "{error:?}");
    }

    #[test]
    fn a_damaged_memo_is_forgotten() {
        let (_folder, store, source) = scratch();
        let mut memo = StatMemo::default();
        memo.digest_at(&source, later()).expect("readable");
        memo.save(&store).expect("writable");
        let mut bytes = fs::read(memo_path(&store)).expect("saved");
        let last_digit = bytes.len() - 4;
        bytes[last_digit] ^= 1;
        store.layout.replace(&memo_path(&store), &bytes).expect("writable");
        assert!(StatMemo::load(&store).known.is_empty());
    }

    #[test]
    fn a_pipe_is_refused_by_name_instead_of_waited_for() {
        let error = StatMemo::default()
            .digest(Path::new("/dev/null"))
            .expect_err("not a file");
        insta::assert_snapshot!(error, @"/dev/null: neither a file nor a folder; expected files and folders with UTF-8 names");
    }
}

//! Remembering digests of sources, so that files and folders that did not change are not read on every run.
//!
//! A file is taken as unchanged while its size, times, device and inode are what they were when it was read. That alone would be
//! wrong for a file that changes twice within one tick of the file system's clock, the second time after reading (git calls
//! such entries racily clean). Hence a digest is remembered only if all times were at least two seconds old when reading
//! began. The change time is looked at as well, because programs can set the modification time back (`cp -p`, `tar -x`),
//! but not that one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::digest::{BlobRef, Hasher};
use crate::error::{At, CacheError};
use crate::seal::{seal, unseal};
use crate::source::Source;
use crate::store::Store;

/// Digests of source files and folders by path, as of their last reading. Kept in the cache folder between runs.
#[derive(Debug, Default)]
pub struct StatMemo {
    known: BTreeMap<String, Known>,
    changed: bool,
    read: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    fingerprint: BlobRef,
    blob: BlobRef,
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

    /// The blob that [`StatMemo::ingest`] would make of `path`, without storing it.
    pub fn digest(&mut self, path: &Path) -> Result<BlobRef, CacheError> {
        self.digest_at(path, SystemTime::now())
    }

    /// The file or folder at `path` as a blob of the store: a file as its bytes, a folder as a tar archive that depends on
    /// names and bytes alone. Read and copied only if something in it changed or the blob is gone.
    ///
    /// Errors: [`CacheError::Changed`] if it changes meanwhile, [`CacheError::NotAFile`] for pipes, devices, cycles of links and
    /// names that are not UTF-8, and those of [`Store::put_reader`].
    pub fn ingest(&mut self, store: &Store, path: &Path) -> Result<BlobRef, CacheError> {
        self.ingest_at(store, path, SystemTime::now())
    }

    fn digest_at(&mut self, path: &Path, now: SystemTime) -> Result<BlobRef, CacheError> {
        let source = Source::list(path)?;
        if let Some(blob) = self.recall(path, &source)? {
            return Ok(blob);
        }
        let mut hasher = Hasher::default();
        source.produce(&mut |chunk| {
            hasher.update(chunk);
            Ok(())
        })?;
        self.learn(path, &source, hasher.finish(), now)
    }

    fn ingest_at(&mut self, store: &Store, path: &Path, now: SystemTime) -> Result<BlobRef, CacheError> {
        let source = Source::list(path)?;
        if let Some(blob) = self.recall(path, &source)?
            && store.contains(&blob)?
        {
            return Ok(blob);
        }
        let blob = store.put_with(|each| source.produce(each))?;
        self.learn(path, &source, blob, now)
    }

    fn recall(&self, path: &Path, source: &Source) -> Result<Option<BlobRef>, CacheError> {
        let known = name(path)?.and_then(|name| self.known.get(&name));
        Ok(known
            .filter(|known| known.fingerprint == source.fingerprint())
            .map(|known| known.blob))
    }

    fn learn(&mut self, path: &Path, source: &Source, blob: BlobRef, now: SystemTime) -> Result<BlobRef, CacheError> {
        self.read += source.files();
        if let Some(name) = name(path)? {
            let known = source.is_settled(now).then(|| Known {
                fingerprint: source.fingerprint(),
                blob,
            });
            let old = match known {
                Some(known) => self.known.insert(name, known),
                None => self.known.remove(&name),
            };
            self.changed |= old != known;
        }
        Ok(blob)
    }

    /// Keeps the memo in the store. Entries that other runs kept meanwhile stay; those of sources that are gone do not.
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

/// The absolute path as text; `None` for one that is not UTF-8, which is read every time.
fn name(path: &Path) -> Result<Option<String>, CacheError> {
    Ok(std::path::absolute(path).reading(path)?.to_str().map(str::to_owned))
}

fn memo_path(store: &Store) -> PathBuf {
    store.layout.runs().join("stat-memo")
}

fn read_known(store: &Store) -> BTreeMap<String, Known> {
    let file = store.layout.bytes(&memo_path(store)).ok().flatten();
    file.as_deref()
        .and_then(|file| unseal(file).ok())
        .and_then(|json| serde_json::from_slice(json).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::Duration;

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
        // A kernel tick apart, so that the change time can differ at all; in use, settling guarantees that.
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
    fn a_folder_is_read_again_when_anything_in_it_changes() {
        let (folder, store, _source) = scratch();
        let images = folder.path().join("images");
        fs::create_dir_all(images.join("cat")).expect("writable");
        fs::write(images.join("cat/1.png"), b"one").expect("writable");
        let mut memo = StatMemo::default();
        let first = memo.ingest_at(&store, &images, later()).expect("stored");
        assert_eq!(memo.digest_at(&images, later()).expect("readable"), first);
        assert_eq!(memo.files_read(), 1);
        fs::write(images.join("cat/2.png"), b"two").expect("writable");
        let second = memo.ingest_at(&store, &images, later()).expect("stored");
        assert_ne!(second, first);
        fs::remove_file(images.join("cat/2.png")).expect("removable");
        assert_eq!(memo.digest_at(&images, later()).expect("readable"), first);
        assert_eq!(memo.files_read(), 1 + 2 + 1);
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

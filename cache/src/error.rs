//! What can go wrong with the store, each with the likely fix.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::{BlobRef, Digest};

/// A failure of the store. A miss is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The folder's layout is newer than this program.
    #[error("{}: this cache was made by a newer version (layout {found}, this program knows {known}); update the program or choose another cache folder", root.display())]
    Newer {
        /// The cache folder.
        root: PathBuf,
        /// Layout number in the folder.
        found: u32,
        /// Newest layout number that this program knows.
        known: u32,
    },
    /// The folder's format file is not one of ours.
    #[error("{}: not a cache: expected `pipeline cache 1`, found `{found}`; choose another cache folder", path.display())]
    NotACache {
        /// The format file.
        path: PathBuf,
        /// Its beginning.
        found: String,
    },
    /// A file is where the cache folder, or a folder above it, should be.
    #[error("{}: cannot be the cache folder, a file is in the way; choose another cache folder", root.display())]
    NotAFolder {
        /// The cache folder.
        root: PathBuf,
    },
    /// Something in the cache folder may not be written.
    #[error("{}: the cache cannot be written ({source}); make the folder writable or choose another cache folder", path.display())]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk, a quota or a file size limit is exhausted.
    #[error("{}: no room in the cache ({source}); free space, collect garbage, or choose another cache folder", path.display())]
    Full {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder could not be read or written for another reason.
    #[error("{}: cannot {verb} ({source})", path.display())]
    Io {
        /// `read` or `write`.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The caller's reader failed; nothing was stored.
    #[error("the bytes to be stored could not be read ({source}); nothing was stored")]
    Input {
        /// What the reader said.
        source: io::Error,
    },
    /// A blob is not in the store.
    #[error("blob {digest}: not in the cache; run again to make it anew")]
    Missing {
        /// The blob.
        digest: Digest,
    },
    /// A blob's bytes are not what its name says. It was moved to the quarantine.
    #[error("blob {}: damaged: expected {} bytes with that digest, found {} bytes with digest {}; moved to the quarantine, run again to make it anew", expected.digest, expected.size, found.size, found.digest)]
    Damaged {
        /// What was asked for.
        expected: BlobRef,
        /// What was there.
        found: BlobRef,
    },
    /// The record's action does not hash to the key it was to be published under.
    #[error(
        "record of op `{op}`: its action has key {actual}, not {expected}; publish it under the key of its own action"
    )]
    WrongKey {
        /// Op of the record's action.
        op: String,
        /// Key it was to be published under.
        expected: Digest,
        /// Key of the record's action.
        actual: Digest,
    },
    /// The record names a blob that is not in the store, or has another size there.
    #[error("record of op `{op}`: its blob `{name}` ({blob}) is not in the cache; put all blobs before publishing")]
    Incomplete {
        /// Op of the record's action.
        op: String,
        /// Name of the blob in the record.
        name: String,
        /// The blob.
        blob: BlobRef,
    },
    /// The record does not survive being written and read.
    #[error("record of op `{op}`: cannot be written as JSON ({reason}); its seconds must be finite")]
    Unwritable {
        /// Op of the record's action.
        op: String,
        /// What is lost.
        reason: String,
    },
    /// Garbage collection found a run in progress.
    #[error("{}: in use by a run; collect garbage when it is done", root.display())]
    InUse {
        /// The cache folder.
        root: PathBuf,
    },
    /// The file system has no locks, so that garbage collection cannot exclude runs.
    #[error("{}: this file system has no file locks ({source}), so garbage collection cannot be told apart from runs; delete the folder instead while nothing runs", path.display())]
    NoLocks {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The caller gave up waiting for a lock.
    #[error("interrupted while waiting for another run")]
    Interrupted,
    /// A source changed while it was being read.
    #[error("{}: changed while it was read; run again when it is complete", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A source folder holds something that has no content.
    #[error("{}: {what}; expected files and folders with UTF-8 names", path.display())]
    NotAFile {
        /// The entry.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
}

/// Says where an input or output failure happened, and sorts it by its likely fix.
pub(crate) trait At<T> {
    fn reading(self, path: &Path) -> Result<T, CacheError>;
    fn writing(self, path: &Path) -> Result<T, CacheError>;
}

impl<T> At<T> for io::Result<T> {
    fn reading(self, path: &Path) -> Result<T, CacheError> {
        self.map_err(|source| CacheError::Io {
            verb: "read",
            path: path.to_owned(),
            source,
        })
    }

    fn writing(self, path: &Path) -> Result<T, CacheError> {
        use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        self.map_err(|source| {
            let path = path.to_owned();
            match source.kind() {
                StorageFull | QuotaExceeded | FileTooLarge => CacheError::Full { path, source },
                ReadOnlyFilesystem | PermissionDenied => CacheError::ReadOnly { path, source },
                _ => CacheError::Io {
                    verb: "write",
                    path,
                    source,
                },
            }
        })
    }
}

/// `None` where the file does not exist, be it because a folder above it is something else.
pub(crate) fn if_exists<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

//! Blobs in and out.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::digest::{BlobRef, Digest, Hasher, for_each_chunk, hash_file};
use crate::error::{At, CacheError, if_exists};
use crate::layout::Layout;
use crate::platform::ordinary;
use crate::remote::{Remote, RemoteMode};
use crate::shared::{RemoteAccount, Shared};
use crate::source::Stamp;

/// A content-addressed store in a folder. Any number of processes and threads may use one folder at once.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) layout: Layout,
    /// Blobs that this process has hashed in place, with what their files looked like then.
    sound: Arc<Mutex<HashMap<Digest, Stamp>>>,
    /// What other machines share with this one.
    pub(crate) shared: Option<Arc<Shared>>,
}

impl Store {
    /// Opens the store in the folder `root`, which is made if it is missing.
    ///
    /// A store that is there and cannot be written, be it for want of room, can be opened: hits come out of it, and a full one can
    /// be collected. [`Store::probe`] tells whether it can be written.
    ///
    /// Errors: a folder made by a newer version, a folder that is missing and cannot be made.
    pub fn open(root: &Path) -> Result<Store, CacheError> {
        Ok(Store {
            layout: Layout::open(root)?,
            sound: Arc::default(),
            shared: None,
        })
    }

    /// The store with a remote behind it: what is not here is looked for there, and what is published here is brought there in the
    /// background; see [`Store::finish_uploads`].
    #[must_use]
    pub fn with_remote(self, remote: Box<dyn Remote>, mode: RemoteMode) -> Store {
        Store {
            shared: Some(Arc::new(Shared::new(remote, mode))),
            ..self
        }
    }

    /// The store without its remote, for what is nobody else's business.
    #[must_use]
    pub fn alone(&self) -> Store {
        Store {
            shared: None,
            ..self.clone()
        }
    }

    /// The remote's address, and what went to it and came from it so far; `None` without a remote.
    pub fn remote_account(&self) -> Option<(String, RemoteAccount)> {
        let shared = self.shared.as_ref()?;
        Some((shared.remote.address(), shared.account()))
    }

    /// Whether the store can be written, so that one that cannot is found before any work is done.
    ///
    /// Errors: [`CacheError::ReadOnly`], [`CacheError::Full`].
    pub fn probe(&self) -> Result<(), CacheError> {
        self.layout.probe()
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.layout.root
    }

    /// Stores `bytes`.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobRef, CacheError> {
        let blob = BlobRef::of(bytes);
        if !self.is_intact(&blob)? {
            self.layout.replace(&self.path(&blob.digest), bytes)?;
        }
        Ok(blob)
    }

    /// Stores everything that `reader` yields. The digest is of the bytes that were stored, whatever happens to their
    /// source meanwhile.
    pub fn put_reader(&self, reader: &mut dyn Read) -> Result<BlobRef, CacheError> {
        self.put_with(|each| for_each_chunk(reader, each, |source| CacheError::Input { source }))
    }

    /// Stores a copy of the file at `path`, as [`Store::put_reader`] does.
    pub fn put_file(&self, path: &Path) -> Result<BlobRef, CacheError> {
        let mut file = File::open(path).reading(path)?;
        let broken = |source| CacheError::Io {
            verb: "read",
            path: path.to_owned(),
            source,
        };
        self.put_with(|each| for_each_chunk(&mut file, each, broken))
    }

    /// Stores what `produce` hands over piece by piece.
    pub(crate) fn put_with(
        &self,
        produce: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), CacheError>) -> Result<(), CacheError>,
    ) -> Result<BlobRef, CacheError> {
        let mut tmp = self.layout.create_tmp()?;
        let mut hasher = Hasher::default();
        produce(&mut |chunk| {
            hasher.update(chunk);
            let written = tmp.write_all(chunk);
            written.writing(tmp.path())
        })?;
        let blob = hasher.finish();
        if !self.is_intact(&blob)? {
            self.layout.persist(tmp, &self.path(&blob.digest))?;
        }
        Ok(blob)
    }

    /// Whether the blob is stored with its bytes unchanged. Read in full, so that putting a blob heals a damaged one
    /// and leaves a sound one to its readers.
    fn is_intact(&self, blob: &BlobRef) -> Result<bool, CacheError> {
        if !self.contains(blob)? {
            return Ok(false);
        }
        let path = self.path(&blob.digest);
        Ok(if_exists(hash_file(&path)).reading(&path)? == Some(*blob))
    }

    /// Whether the blob is present with the right size. Its bytes are not read.
    pub fn contains(&self, blob: &BlobRef) -> Result<bool, CacheError> {
        let file = self.layout.file(&self.path(&blob.digest))?;
        Ok(file.is_some_and(|metadata| metadata.len() == blob.size))
    }

    /// The bytes of a blob, verified.
    ///
    /// Errors: [`CacheError::Missing`]; [`CacheError::Damaged`], after which the records that name the blob miss, and so do those
    /// of results that were made from it.
    pub fn read(&self, blob: &BlobRef) -> Result<Vec<u8>, CacheError> {
        let path = self.path(&blob.digest);
        let mut file = self.open_blob(blob)?;
        let mut bytes = Vec::with_capacity(blob.size as usize);
        file.read_to_end(&mut bytes).reading(&path)?;
        self.expect(blob, BlobRef::of(&bytes))?;
        Ok(bytes)
    }

    /// Where the blob's file is, verified: for readers that want a file, such as those of archives. It is hashed once a process,
    /// and again whenever it looks different from then.
    ///
    /// Errors: as for [`Store::read`].
    pub fn verified(&self, blob: &BlobRef) -> Result<PathBuf, CacheError> {
        let (path, now) = (self.path(&blob.digest), SystemTime::now());
        let file = self.open_blob(blob)?;
        let stamp = Stamp::of(&file.metadata().reading(&path)?);
        let sound = || self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        if sound().get(&blob.digest) == Some(&stamp) {
            return Ok(path);
        }
        self.expect(blob, hash_file(&path).reading(&path)?)?;
        if stamp.is_settled(now) {
            sound().insert(blob.digest, stamp);
        }
        Ok(path)
    }

    /// The blob's file, to be read in part; with `verify` as [`Store::verified`].
    ///
    /// Errors: those of [`Store::read`]; without `verify` damage is not found.
    pub fn open_file(&self, blob: &BlobRef, verify: bool) -> Result<File, CacheError> {
        if verify {
            self.verified(blob)?;
        }
        self.open_blob(blob)
    }

    /// Where the blob's file is, if it is stored. Unverified and read-only: for people, see [`Store::verified`].
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.layout.blob(digest)
    }

    /// Writes a verified copy of the blob to `dest`, making its folder where it is missing. A reader of `dest` sees
    /// the old file or the new one; after an error it is the old one. A file that holds these bytes already is left
    /// untouched, time stamp included.
    pub fn materialize(&self, blob: &BlobRef, dest: &Path) -> Result<(), CacheError> {
        let mut file = self.open_blob(blob)?;
        if let Some(metadata) = if_exists(fs::symlink_metadata(dest)).reading(dest)?
            && metadata.is_file()
            && metadata.len() == blob.size
            && hash_file(dest).reading(dest)? == *blob
        {
            return Ok(());
        }
        let folder = dest
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let writing = |error| CacheError::Io {
            verb: "write",
            path: dest.to_owned(),
            source: error,
        };
        fs::create_dir_all(folder).map_err(writing)?;
        let mut builder = ordinary(tempfile::Builder::new());
        let mut tmp = builder.prefix(".pipeline-").tempfile_in(folder).map_err(writing)?;
        let path = self.path(&blob.digest);
        let mut hasher = Hasher::default();
        let copy = |chunk: &[u8]| {
            hasher.update(chunk);
            tmp.write_all(chunk).map_err(writing)
        };
        for_each_chunk(&mut file, copy, |source| CacheError::Io {
            verb: "read",
            path,
            source,
        })?;
        self.expect(blob, hasher.finish())?;
        tmp.persist(dest).map_err(|failed| writing(failed.error))?;
        Ok(())
    }

    /// The blob's file, with the right size; it comes from the remote if that has promised it.
    fn open_blob(&self, blob: &BlobRef) -> Result<File, CacheError> {
        let path = self.path(&blob.digest);
        let missing = || CacheError::Missing { digest: blob.digest };
        if self.layout.file(&path)?.is_none() {
            let fetched = self.shared.as_ref().map(|shared| self.fetch(shared, blob));
            if !fetched.transpose()?.unwrap_or(false) {
                return Err(missing());
            }
        }
        let file = if_exists(File::open(&path)).reading(&path)?.ok_or_else(missing)?;
        if file.metadata().reading(&path)?.len() != blob.size {
            self.expect(blob, hash_file(&path).reading(&path)?)?;
        }
        Ok(file)
    }

    fn expect(&self, expected: &BlobRef, found: BlobRef) -> Result<(), CacheError> {
        if found == *expected {
            return Ok(());
        }
        self.layout.set_aside(&self.path(&expected.digest))?;
        self.drop_suspects(&BTreeSet::from([expected.digest]))?;
        Err(CacheError::Damaged {
            expected: *expected,
            found,
        })
    }
}

//! A folder that many machines see, such as one of NFS: `file:///mnt/team/pipeline`.
//!
//! ```text
//! ROOT/ac/ab/<key>       results
//! ROOT/cas/ab/<sha256>   blobs
//! ROOT/tmp               files being written
//! ```
//!
//! A file gets its name when it is complete, by rename, which network file systems do at once as well; who writes the same file at the same
//! time writes the same bytes. Nothing is ever changed or removed, so that any file may be deleted at any time to make room. There are no locks.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, SystemTime};

use cache::{ActionKey, BlobRef, Remote, RemoteError};

use crate::address::{OpenError, local_path};
use crate::client::LONGEST_RECORD;

/// How old an unfinished file is that nobody finishes any more.
const ABANDONED: Duration = Duration::from_hours(24);

/// A folder that many machines see.
pub(crate) struct Folder {
    root: PathBuf,
    address: String,
    swept: Once,
}

impl Folder {
    pub(crate) fn open(address: &str) -> Result<Folder, OpenError> {
        let root = local_path(address)
            .ok_or_else(|| OpenError::address(address, "expected file:/// and the path of a folder on this machine"))?;
        Ok(Folder {
            root,
            address: address.to_owned(),
            swept: Once::new(),
        })
    }

    fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.root.join(kind).join(&name[..2]).join(name)
    }

    /// `None` where the file is not there although the folder is.
    fn if_there<T>(&self, result: io::Result<T>) -> Result<Option<T>, RemoteError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == ErrorKind::NotFound => match fs::metadata(&self.root) {
                Ok(root) if root.is_dir() => Ok(None),
                _ => Err(self.failed("read", &ErrorKind::NotFound.into())),
            },
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    fn failed(&self, verb: &str, error: &io::Error) -> RemoteError {
        let problem = match error.kind() {
            ErrorKind::NotFound if !self.root.exists() => {
                "no such folder; mount it, or make it once with mkdir".to_owned()
            }
            ErrorKind::StaleNetworkFileHandle => return RemoteError::passing(format!("cannot {verb} ({error})")),
            _ => format!("cannot {verb} ({error})"),
        };
        RemoteError::lasting(problem)
    }

    /// Gives a file its name once `write` has filled it.
    fn put(&self, to: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), RemoteError> {
        let failed = |error: io::Error| self.failed("write", &error);
        if !self.root.is_dir() {
            return Err(failed(ErrorKind::NotFound.into()));
        }
        let tmp = self.root.join("tmp");
        for folder in [&tmp, to.parent().unwrap_or(&tmp)] {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        self.swept.call_once(|| sweep(&tmp));
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(fs::Permissions::from_mode(0o444));
        }
        let mut file = builder.tempfile_in(&tmp).map_err(failed)?;
        write(file.as_file_mut()).map_err(failed)?;
        file.persist(to).map_err(|unpersisted| failed(unpersisted.error))?;
        Ok(())
    }
}

/// Removes what killed processes have left half written. Who cannot leaves it to others.
fn sweep(tmp: &Path) {
    let old = |entry: &fs::DirEntry| {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > ABANDONED))
    };
    for entry in fs::read_dir(tmp).into_iter().flatten().flatten().filter(old) {
        let _ = fs::remove_file(entry.path());
    }
}

impl Remote for Folder {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn record(&self, key: &ActionKey) -> Result<Option<Vec<u8>>, RemoteError> {
        let path = self.path("ac", &key.to_string());
        let Some(file) = self.if_there(File::open(&path))? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(LONGEST_RECORD)
            .read_to_end(&mut bytes)
            .map_err(|error| self.failed("read", &error))?;
        Ok(Some(bytes))
    }

    fn put_record(&self, key: &ActionKey, bytes: &[u8]) -> Result<(), RemoteError> {
        self.put(&self.path("ac", &key.to_string()), |file| file.write_all(bytes))
    }

    fn missing(&self, blobs: &[BlobRef]) -> Result<Vec<BlobRef>, RemoteError> {
        let mut missing = Vec::new();
        for blob in blobs {
            let path = self.path("cas", &blob.digest.to_string());
            let there = self.if_there(fs::metadata(path))?;
            if there.is_none_or(|metadata| metadata.len() != blob.size) {
                missing.push(*blob);
            }
        }
        Ok(missing)
    }

    fn blob(&self, blob: &BlobRef, to: &mut dyn Write) -> Result<bool, RemoteError> {
        let path = self.path("cas", &blob.digest.to_string());
        let Some(mut file) = self.if_there(File::open(path))? else {
            return Ok(false);
        };
        io::copy(&mut file, to).map_err(|error| self.failed("read", &error))?;
        Ok(true)
    }

    fn put_blob(&self, blob: &BlobRef, file: &Path) -> Result<(), RemoteError> {
        let from = File::open(file).map_err(|error| RemoteError::lasting(format!("{}: {error}", file.display())))?;
        self.put(&self.path("cas", &blob.digest.to_string()), |to| {
            io::copy(&mut &from, to).map(drop)
        })
    }
}

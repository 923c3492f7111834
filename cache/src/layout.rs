//! Where things are: paths, the format marker, files that appear at once, and walks over what is stored.
//!
//! The store's places hold regular files in folders and nothing else. What stands in their way (a folder for a file, a link, a
//! pipe) is moved aside and never followed: what a link leads to belongs to somebody else.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::action::ActionKey;
use crate::digest::Digest;
use crate::error::{At, CacheError, if_exists};
use crate::platform::{is_at, read_only};
use crate::record::Record;

/// Number of the layout that this program reads and writes.
const FORMAT: u32 = 1;
const FORMAT_PREFIX: &str = "pipeline cache ";

/// Tells backup programs to leave the folder out, see <https://bford.info/cachedir/>.
const TAG: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# Made by pipeline; safe to delete while nothing runs.\n";

/// The paths of one store.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub root: PathBuf,
    v1: PathBuf,
}

impl Layout {
    /// Makes the folders where they are missing and checks the marker. A cache that is there and cannot be written is opened
    /// all the same, to be read and to be collected.
    pub(crate) fn open(root: &Path) -> Result<Layout, CacheError> {
        let layout = Layout {
            root: root.to_owned(),
            v1: root.join("v1"),
        };
        match fs::create_dir_all(root) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(CacheError::NotAFolder { root: root.to_owned() });
            }
            made => made.writing(root)?,
        }
        layout.check_format()?;
        match layout.make() {
            Err(CacheError::Full { .. } | CacheError::ReadOnly { .. }) if layout.format().exists() => {}
            made => made?,
        }
        Ok(layout)
    }

    /// Makes what is missing, from the outside in.
    fn make(&self) -> Result<(), CacheError> {
        let (cas, ac) = (self.v1.join("cas"), self.v1.join("ac"));
        for folder in [&self.v1, &self.quarantine(), &cas, &ac] {
            self.make_folder(folder)?;
        }
        for folder in [self.blobs(), self.records(), self.tmp(), self.locks(), self.runs()] {
            self.make_folder(&folder)?;
        }
        if !self.format().exists() {
            self.replace(&self.root.join("CACHEDIR.TAG"), TAG.as_bytes())?;
            let mut format = self.create_tmp()?;
            writeln!(format, "{FORMAT_PREFIX}{FORMAT}").writing(format.path())?;
            // The one file that is synced: left empty by a power failure, it would make the cache look foreign.
            format.as_file().sync_all().writing(format.path())?;
            self.persist(format, &self.format())?;
        }
        Ok(())
    }

    /// Makes a folder of the store where none is.
    pub(crate) fn make_folder(&self, folder: &Path) -> Result<(), CacheError> {
        match if_exists(fs::symlink_metadata(folder)).reading(folder)? {
            Some(there) if there.is_dir() => return Ok(()),
            Some(_) => self.set_aside(folder)?,
            None => {}
        }
        match fs::create_dir(folder) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made.writing(folder),
        }
    }

    /// Writes a byte, so that a store that cannot be written is found before any work is done.
    pub(crate) fn probe(&self) -> Result<(), CacheError> {
        let mut probe = self.create_tmp()?;
        probe.write_all(b"?").writing(probe.path())
    }

    fn check_format(&self) -> Result<(), CacheError> {
        let path = self.format();
        let Some(metadata) = if_exists(fs::metadata(&path)).reading(&path)? else {
            return Ok(());
        };
        if !metadata.is_file() {
            let found = "no file".to_owned();
            return Err(CacheError::NotACache { path, found });
        }
        let file = File::open(&path).reading(&path)?;
        let mut text = Vec::new();
        file.take(80).read_to_end(&mut text).reading(&path)?;
        let text = String::from_utf8_lossy(&text).trim_end().to_owned();
        match text
            .strip_prefix(FORMAT_PREFIX)
            .and_then(|number| number.parse::<u32>().ok())
        {
            Some(FORMAT) => Ok(()),
            Some(found) if found > FORMAT => Err(CacheError::Newer {
                root: self.root.clone(),
                found,
                known: FORMAT,
            }),
            _ => Err(CacheError::NotACache { path, found: text }),
        }
    }

    fn format(&self) -> PathBuf {
        self.root.join("format")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.v1.join("cas/sha256")
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.v1.join("ac/sha256")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.v1.join("tmp")
    }

    pub(crate) fn locks(&self) -> PathBuf {
        self.v1.join("locks")
    }

    pub(crate) fn runs(&self) -> PathBuf {
        self.v1.join("runs")
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.v1.join("quarantine")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        sharded(self.blobs(), digest)
    }

    pub(crate) fn record(&self, key: &ActionKey) -> PathBuf {
        sharded(self.records(), key.digest())
    }

    /// A read-only file in `tmp`, open for writing here; removed on drop unless it is persisted. It is locked as long as it is
    /// open, so that [`Layout::leftovers`] tells it from what killed processes have left.
    pub(crate) fn create_tmp(&self) -> Result<NamedTempFile, CacheError> {
        let tmp = self.tmp();
        self.make_folder(&tmp)?;
        loop {
            let file = read_only(tempfile::Builder::new()).tempfile_in(&tmp).writing(&tmp)?;
            match file.as_file().try_lock() {
                // Taken for a leftover before it was locked.
                Ok(()) if !is_at(file.as_file(), file.path()).reading(file.path())? => {}
                Err(TryLockError::WouldBlock) => {}
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
            }
        }
    }

    /// What is in `tmp` and is not being written by anybody, with a lock on each that is held until it is dropped.
    pub(crate) fn leftovers(&self) -> Result<Vec<(PathBuf, Option<File>)>, CacheError> {
        let mut leftovers = Vec::new();
        for path in list(&self.tmp())? {
            let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
            let file = if is_file { File::open(&path).ok() } else { None };
            if file.as_ref().is_none_or(|file| file.try_lock().is_ok()) {
                leftovers.push((path, file));
            }
        }
        Ok(leftovers)
    }

    /// Makes `to` hold `bytes`, at once.
    pub(crate) fn replace(&self, to: &Path, bytes: &[u8]) -> Result<(), CacheError> {
        let mut file = self.create_tmp()?;
        file.write_all(bytes).writing(file.path())?;
        self.persist(file, to)
    }

    /// Gives a complete file its name. Not synced, see the crate's documentation.
    pub(crate) fn persist(&self, file: NamedTempFile, to: &Path) -> Result<(), CacheError> {
        if let Some(folder) = to.parent().filter(|folder| folder.starts_with(&self.v1)) {
            self.make_folder(folder)?;
        }
        // A file takes the place of another, of a link or a pipe. Of a folder it does not.
        if fs::symlink_metadata(to).is_ok_and(|there| there.is_dir()) {
            self.set_aside(to)?;
        }
        file.persist(to).map_err(|failed| failed.error).writing(to)?;
        Ok(())
    }

    /// The file at `path`, which is in a folder of the store, or `None` where there is none.
    pub(crate) fn file(&self, path: &Path) -> Result<Option<Metadata>, CacheError> {
        let folder = path.parent().unwrap_or(&self.root);
        let there = |at: &Path| if_exists(fs::symlink_metadata(at)).reading(at);
        let in_the_way = match there(folder)? {
            None => return Ok(None),
            Some(metadata) if !metadata.is_dir() => folder,
            Some(_) => match there(path)? {
                Some(metadata) if !metadata.is_file() => path,
                found => return Ok(found),
            },
        };
        match self.set_aside(in_the_way) {
            // It is no file of ours in a store that cannot be written either.
            Ok(()) | Err(CacheError::ReadOnly { .. } | CacheError::Full { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of [`Layout::file`].
    pub(crate) fn bytes(&self, path: &Path) -> Result<Option<Vec<u8>>, CacheError> {
        match self.file(path)? {
            Some(_) => if_exists(fs::read(path)).reading(path),
            None => Ok(None),
        }
    }

    /// Moves what is damaged or in the way into the quarantine. Nothing happens if it is gone already.
    pub(crate) fn set_aside(&self, path: &Path) -> Result<(), CacheError> {
        let quarantine = self.quarantine();
        // What is in the way of the quarantine itself stays beside it.
        let folder = if quarantine.starts_with(path) {
            path.parent().unwrap_or(&self.root)
        } else {
            &quarantine
        };
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let plain = folder.join(&*name);
        let numbered = (1..NAMESAKES).map(|n| folder.join(format!("{name}.{n}")));
        let to = std::iter::once(plain.clone())
            .chain(numbered)
            .find(|to| fs::symlink_metadata(to).is_err())
            .unwrap_or(plain);
        if_exists(fs::rename(path, to)).writing(path)?;
        Ok(())
    }
}

/// How many files of one name the quarantine keeps side by side; a further one takes the place of the first.
const NAMESAKES: u32 = 1000;

/// What is found in the store.
pub(crate) struct Entry {
    pub path: PathBuf,
    /// The digest it is named by; `None` for anything that the store did not put there.
    pub digest: Option<Digest>,
    pub metadata: Metadata,
}

impl Entry {
    /// The record in the file; `None` if it is no readable one, or gone.
    pub(crate) fn record(&self) -> Result<Option<Record>, CacheError> {
        if self.digest.is_none() {
            return Ok(None);
        }
        let bytes = if_exists(fs::read(&self.path)).reading(&self.path)?;
        Ok(bytes.and_then(|bytes| Record::decode(&bytes).ok()))
    }
}

/// Every file under `cas` or `ac` (see [`Layout::blobs`], [`Layout::records`]), in the order of its name. No link is followed.
pub(crate) fn walk(of: &Path) -> Result<Vec<Entry>, CacheError> {
    let mut entries = Vec::new();
    for shard in list(of)? {
        let Some(metadata) = if_exists(fs::symlink_metadata(&shard)).reading(&shard)? else {
            continue;
        };
        if !metadata.is_dir() {
            entries.push(Entry {
                path: shard,
                digest: None,
                metadata,
            });
            continue;
        }
        let shard_name = shard
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        for path in list(&shard)? {
            let Some(metadata) = if_exists(fs::symlink_metadata(&path)).reading(&path)? else {
                continue;
            };
            let digest = path
                .file_name()
                .and_then(|name| name.to_str())
                .filter(|name| metadata.is_file() && name.starts_with(&shard_name))
                .and_then(|name| name.parse().ok());
            entries.push(Entry { path, digest, metadata });
        }
    }
    Ok(entries)
}

/// The entries of a folder in the order of their names; none if it is missing, or something else.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    if !if_exists(fs::symlink_metadata(folder))
        .reading(folder)?
        .is_some_and(|metadata| metadata.is_dir())
    {
        return Ok(Vec::new());
    }
    let Some(entries) = if_exists(fs::read_dir(folder)).reading(folder)? else {
        return Ok(Vec::new());
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .reading(folder)?;
    paths.sort();
    Ok(paths)
}

fn sharded(folder: PathBuf, digest: &Digest) -> PathBuf {
    let hex = digest.to_string();
    let mut path = folder;
    path.push(&hex[..2]);
    path.push(hex);
    path
}

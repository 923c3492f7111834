//! Where things are: paths, the format marker, files that appear at once, and walks over what is stored.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::action::ActionKey;
use crate::digest::Digest;
use crate::error::{At, CacheError, if_exists};

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
    /// Makes the folders where they are missing and checks the marker. Writes a byte into `tmp`, so that a folder that
    /// cannot be written is found before any work is done.
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
        for folder in [
            layout.blobs(),
            layout.records(),
            layout.tmp(),
            layout.locks(),
            layout.runs(),
            layout.quarantine(),
        ] {
            fs::create_dir_all(&folder).writing(&folder)?;
        }
        if !layout.format().exists() {
            layout.replace(&root.join("CACHEDIR.TAG"), TAG.as_bytes())?;
            let mut format = layout.create_tmp()?;
            writeln!(format, "{FORMAT_PREFIX}{FORMAT}").writing(format.path())?;
            // The one file that is synced: left empty by a power failure, it would make the cache look foreign.
            format.as_file().sync_all().writing(format.path())?;
            persist(format, &layout.format())?;
        }
        let mut probe = layout.create_tmp()?;
        probe.write_all(b"?").writing(probe.path())?;
        Ok(layout)
    }

    fn check_format(&self) -> Result<(), CacheError> {
        let path = self.format();
        let Some(file) = if_exists(File::open(&path)).reading(&path)? else {
            return Ok(());
        };
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

    /// A read-only file in `tmp`, open for writing here; removed on drop unless it is persisted.
    pub(crate) fn create_tmp(&self) -> Result<NamedTempFile, CacheError> {
        let tmp = self.tmp();
        tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o444))
            .tempfile_in(&tmp)
            .writing(&tmp)
    }

    /// Makes `to` hold `bytes`, at once.
    pub(crate) fn replace(&self, to: &Path, bytes: &[u8]) -> Result<(), CacheError> {
        let mut file = self.create_tmp()?;
        file.write_all(bytes).writing(file.path())?;
        persist(file, to)
    }

    /// Moves a damaged file out of the way. Nothing happens if it is gone already.
    pub(crate) fn set_aside(&self, path: &Path) -> Result<(), CacheError> {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let to = self.quarantine().join(name);
        if_exists(fs::rename(path, to)).writing(path)?;
        Ok(())
    }
}

/// A file found in the store.
pub(crate) struct Entry {
    pub path: PathBuf,
    /// The digest it is named by; `None` for anything that the store did not put there.
    pub digest: Option<Digest>,
    pub metadata: fs::Metadata,
}

/// Every file under `cas` or `ac` (see [`Layout::blobs`], [`Layout::records`]), in the order of its name.
pub(crate) fn walk(of: &Path) -> Result<Vec<Entry>, CacheError> {
    let mut entries = Vec::new();
    for shard in list(of)? {
        let shard_name = shard
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        for path in list(&shard)? {
            let Some(metadata) = if_exists(fs::metadata(&path)).reading(&path)? else {
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

/// The entries of a folder in the order of their names; none if the folder is missing or is a file.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).reading(folder),
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

/// Gives a complete file its name. Not synced, see the crate's documentation.
pub(crate) fn persist(file: NamedTempFile, to: &Path) -> Result<(), CacheError> {
    let file = match file.persist(to) {
        Ok(_) => return Ok(()),
        Err(failed) if failed.error.kind() == io::ErrorKind::NotFound => failed.file,
        Err(failed) => return Err(failed.error).writing(to),
    };
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).writing(folder)?;
    }
    file.persist(to).map_err(|failed| failed.error).writing(to)?;
    Ok(())
}

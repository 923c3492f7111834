//! Writing a set of files into a folder that is not ours alone: all of them or none, never through a link, and over no file
//! that somebody else put there.
//!
//! The record of the run before says what it wrote, with digests: what still is as it was written is this program's to replace
//! and to remove. Files are made complete in a folder beside (`.pipeline-…`) and get their names when all of them are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, anyhow};
use cache::{BlobRef, CacheError, Digest, Store};
use schedule::WrittenFile;

use crate::exit::Failure;

/// Begins the names of what is being written.
const UNFINISHED: &str = ".pipeline-";
/// Letters and digits after [`UNFINISHED`].
const RANDOM: usize = 6;

/// The output folder of a run.
#[derive(Debug)]
pub struct Folder(PathBuf);

/// A file to be written.
pub struct Wanted<'a> {
    /// Its path in the folder.
    pub name: String,
    /// The instance that it belongs to.
    pub by: String,
    /// What it is to hold.
    pub content: Content<'a>,
}

/// What a file holds.
pub enum Content<'a> {
    /// What is in the cache.
    Blob(&'a Store, BlobRef),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// Why files are not in the folder.
#[derive(Debug)]
pub enum Unwritten {
    /// The cache has lost one of them since it was made; running again makes it anew.
    Lost(anyhow::Error),
    /// Something else.
    Failed(Failure),
}

impl From<Failure> for Unwritten {
    fn from(failure: Failure) -> Self {
        Unwritten::Failed(failure)
    }
}

impl Content<'_> {
    fn digest(&self) -> Digest {
        match self {
            Content::Blob(_, blob) => blob.digest,
            Content::Bytes(bytes) => Digest::of(bytes),
        }
    }
}

impl Folder {
    /// Makes the folder and makes sure that it can be written, before any work is done. What killed runs left half written goes.
    pub fn prepare(path: PathBuf) -> Result<Self, Failure> {
        let folder = Folder(path);
        fs::create_dir_all(&folder.0)
            .and_then(|()| folder.sweep())
            .and_then(|()| unfinished().tempfile_in(&folder.0).map(drop))
            .with_context(|| folder.unwritable())?;
        Ok(folder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps other processes from writing here, until dropped. Where folders cannot be locked, nobody is kept.
    pub fn lock(&self) -> io::Result<File> {
        let folder = File::open(&self.0)?;
        let _ = folder.lock();
        Ok(folder)
    }

    /// Writes the files, and removes those in `before` that are not among them. The files of the folder are then those of the
    /// result. `force` replaces what is in the way.
    pub fn write(
        &self,
        wanted: &[Wanted<'_>],
        before: &BTreeMap<String, WrittenFile>,
        force: bool,
    ) -> Result<BTreeMap<String, WrittenFile>, Unwritten> {
        let mut files = BTreeMap::new();
        let (mut changed, mut strangers) = (Vec::new(), BTreeSet::new());
        for file in wanted {
            let sha256 = file.content.digest().to_string();
            let there = self.there(&file.name);
            match there {
                There::Nothing => changed.push(file),
                There::File(found) if found == sha256 => {}
                There::File(found) => {
                    if before.get(&file.name).is_none_or(|ours| ours.sha256 != found) {
                        strangers.insert(file.name.clone());
                    }
                    changed.push(file);
                }
                There::Stranger(name) => {
                    strangers.insert(name);
                    changed.push(file);
                }
            }
            let by = file.by.clone();
            files.insert(file.name.clone(), WrittenFile { by, sha256 });
        }
        self.check_way(&strangers, force)?;
        let staged = self.stage(&changed)?;
        for name in &strangers {
            fs::remove_file(self.0.join(name))
                .with_context(|| self.unwritable())
                .map_err(Failure::from)?;
        }
        let gone = before.iter().filter(|(name, _)| !files.contains_key(*name));
        for (name, file) in gone {
            self.remove(name, &file.sha256)
                .with_context(|| self.unwritable())
                .map_err(Failure::from)?;
        }
        for (i, file) in changed.iter().enumerate() {
            let (from, to) = (staged.path().join(i.to_string()), self.0.join(&file.name));
            let placed = fs::create_dir_all(to.parent().unwrap_or(&self.0)).and_then(|()| fs::rename(from, to));
            placed.with_context(|| self.unwritable()).map_err(Failure::from)?;
        }
        Ok(files)
    }

    /// Writes one file, as it may not be part of a set.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        super::replace(&self.0.join(name), bytes).with_context(|| self.unwritable())?;
        Ok(())
    }

    /// What is at a path in the folder.
    pub fn there(&self, name: &str) -> There {
        let mut at = self.0.clone();
        let parts: Vec<Component<'_>> = Path::new(name).components().collect();
        for (i, part) in parts.iter().enumerate() {
            at.push(part);
            let Ok(metadata) = fs::symlink_metadata(&at) else {
                return There::Nothing;
            };
            let last = i + 1 == parts.len();
            let found = match metadata.is_file().then(|| BlobRef::of_file(&at)) {
                Some(Ok(file)) if last => return There::File(file.digest.to_string()),
                _ => metadata.is_dir() && !last,
            };
            if !found {
                let name: PathBuf = parts[..=i].iter().collect();
                return There::Stranger(name.display().to_string());
            }
        }
        There::Nothing
    }

    /// Refuses to write over what somebody else put there, unless that is wanted. A folder is nobody's to take away.
    pub fn check_way(&self, strangers: &BTreeSet<String>, force: bool) -> Result<(), Failure> {
        let is_folder = |name: &&String| fs::symlink_metadata(self.0.join(name)).is_ok_and(|there| there.is_dir());
        let (folders, files): (Vec<&String>, Vec<&String>) = strangers.iter().partition(is_folder);
        let (names, problem) = if !folders.is_empty() {
            let problem = "a folder is where a file is to be written; nothing was written; move it away, or choose another folder with --out";
            (folders, problem)
        } else if !files.is_empty() && !force {
            let problem = "not written by a run, or changed since; nothing was written; --force replaces it, --out DIR chooses another folder";
            (files, problem)
        } else {
            return Ok(());
        };
        let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
        Err(anyhow!("{}: {}: {problem}", self.0.display(), names.join(", ")).into())
    }

    /// Makes the files complete in a folder beside, named by their numbers.
    fn stage(&self, files: &[&Wanted<'_>]) -> Result<tempfile::TempDir, Unwritten> {
        let staged = unfinished().tempdir_in(&self.0).map_err(without_path);
        let staged = staged.with_context(|| self.unwritable()).map_err(Failure::from)?;
        for (i, file) in files.iter().enumerate() {
            let to = staged.path().join(i.to_string());
            let written = match &file.content {
                Content::Bytes(bytes) => fs::write(to, bytes).with_context(|| self.unwritable()),
                Content::Blob(store, blob) => match store.materialize(blob, &to) {
                    Err(lost @ (CacheError::Damaged { .. } | CacheError::Missing { .. })) => {
                        return Err(Unwritten::Lost(lost.into()));
                    }
                    written => written.with_context(|| self.unwritable()),
                },
            };
            written.map_err(Failure::from)?;
        }
        Ok(staged)
    }

    /// Removes a file that is as it was written, and folders that are empty without it.
    fn remove(&self, name: &str, sha256: &str) -> io::Result<()> {
        if !matches!(self.there(name), There::File(found) if found == sha256) {
            return Ok(());
        }
        fs::remove_file(self.0.join(name))?;
        let folders = Path::new(name).ancestors().skip(1);
        for folder in folders.filter(|folder| !folder.as_os_str().is_empty()) {
            if fs::remove_dir(self.0.join(folder)).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Removes what was being written by a process that is no more.
    fn sweep(&self) -> io::Result<()> {
        let folder = File::open(&self.0)?;
        if folder.try_lock().is_err() {
            return Ok(());
        }
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let random = name.strip_prefix(UNFINISHED).unwrap_or_default();
            if random.len() != RANDOM || !random.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else if kind.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn unwritable(&self) -> String {
        format!(
            "{}: cannot write the results; make room, or choose another folder with --out",
            self.0.display()
        )
    }
}

/// What is at a path.
#[derive(Debug, PartialEq)]
pub enum There {
    /// Nothing, and no link on the way.
    Nothing,
    /// A file with this SHA-256.
    File(String),
    /// Something that is in the way, here or at a folder above.
    Stranger(String),
}

/// Makes what is not finished yet. Its errors name a path that nobody chose: see [`without_path`].
pub fn unfinished<'a>() -> tempfile::Builder<'a, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED).rand_bytes(RANDOM);
    builder
}

/// The system's refusal alone: who says it names the place.
pub fn without_path(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(std::error::Error::source);
    let code = inner.and_then(|inner| inner.downcast_ref::<io::Error>()?.raw_os_error());
    code.map_or(error, io::Error::from_raw_os_error)
}

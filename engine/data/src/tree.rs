//! A set of named files, wherever they lie: in a folder, in an archive, in several of these.
//!
//! A [`Tree`] gives a folder, a file, a `.tar`, `.tar.gz`, `.zip`, `.npz` or `.gz` the same face. Archives are
//! recognized by content and never unpacked file by file: an entry is read from where it lies. Archives inside the
//! given folder or archive (one level) are opened in place of themselves, so that a folder holding
//! `cifar10-train.tar.gz` and `cifar10-test.tar.gz` looks like the folder into which they were unpacked.
//! Files named like images (`.jpg`, `.png`, `.gif`, …) are taken for what their name says and not examined.
//!
//! Names use `/`, are relative and sorted by bytes. Entries that would leave their folder (`..`, absolute paths, drives), links
//! and devices are refused by name; numbers and sizes are bounded by [`Limits`].

mod archive;
mod content;
mod name;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::content::Content;
use crate::error::DataError;
use crate::suggest::nearest;

/// Bounds that keep a hostile or broken archive from exhausting the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files and folders in the tree.
    pub entries: usize,
    /// Bytes of one file, unpacked.
    pub entry_bytes: u64,
    /// Bytes of archives that must be unpacked before their files can be read (`.tar.gz`, archives inside archives).
    pub unpacked_bytes: u64,
}

/// What a packed file may grow to whatever its size, and how many times its size: zeros grow a thousandfold, data that anybody
/// keeps hardly ever a hundredfold.
const SMALL: u64 = 64 << 20;
const EXPANSION: u64 = 100;

/// What `packed` bytes may be unpacked to, if no limit is narrower.
const fn in_proportion(packed: u64) -> u64 {
    packed.saturating_mul(EXPANSION).saturating_add(SMALL)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 4_000_000,
            entry_bytes: 8 << 30,
            unpacked_bytes: 64 << 30,
        }
    }
}

/// A folder, file or archive to open, where its path is not what its user calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies.
    pub path: PathBuf,
    /// The name of a file in the tree, by which some formats are recognized. Folders and archives do without.
    pub name: String,
    /// What messages call it.
    pub place: String,
}

impl Entry {
    fn of(path: &Path) -> Self {
        let place = path.display().to_string();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self {
            path: path.to_owned(),
            name: name.unwrap_or_else(|| place.clone()),
            place,
        }
    }
}

/// Named files from folders and archives.
#[derive(Debug)]
pub struct Tree {
    files: BTreeMap<String, File>,
    folders: BTreeSet<String>,
    limits: Limits,
    /// Bytes of what was given, as it lies there.
    given: u64,
    /// Bytes that were unpacked in memory.
    unpacked: u64,
    origin: String,
}

#[derive(Debug)]
struct File {
    content: Content,
    origin: Arc<str>,
}

impl Tree {
    /// Opens the given folders, files and archives as one tree, with the default [`Limits`].
    pub fn open(paths: &[PathBuf]) -> Result<Self, DataError> {
        Self::open_within(paths, Limits::default())
    }

    /// [`Tree::open`] of things that are called otherwise than their paths, such as copies named by their digests.
    pub fn open_named(entries: impl IntoIterator<Item = Entry>) -> Result<Self, DataError> {
        Self::open_all(entries.into_iter().collect(), Limits::default())
    }

    /// [`Tree::open`] with other bounds.
    pub fn open_within(paths: &[PathBuf], limits: Limits) -> Result<Self, DataError> {
        Self::open_all(paths.iter().map(|path| Entry::of(path)).collect(), limits)
    }

    fn open_all(entries: Vec<Entry>, limits: Limits) -> Result<Self, DataError> {
        let places: Vec<&str> = entries.iter().map(|entry| entry.place.as_str()).collect();
        let mut tree = Self::empty(places.join(", "), limits);
        for Entry { path, name, place } in entries {
            let metadata = fs::metadata(&path).map_err(|error| DataError::io(&place, error))?;
            if metadata.is_dir() {
                let root = fs::canonicalize(&path).map_err(|error| DataError::io(&place, error))?;
                tree.walk(&root, &root, "")?;
            } else {
                tree.given += metadata.len();
                let content = Content::of_disk_file(&path, metadata.len());
                tree.add(name, content, &Arc::from(place), 2)?;
            }
        }
        Ok(tree)
    }

    /// A tree of one file or archive that is already in memory.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, DataError> {
        let mut tree = Self::empty(name.to_owned(), Limits::default());
        tree.given = bytes.len() as u64;
        tree.add(name.to_owned(), Content::of_memory(bytes), &Arc::from(name), 2)?;
        Ok(tree)
    }

    fn empty(origin: String, limits: Limits) -> Self {
        Self {
            files: BTreeMap::new(),
            folders: BTreeSet::new(),
            limits,
            given: 0,
            unpacked: 0,
            origin,
        }
    }

    /// Unpacks a file, within what all of them may take.
    fn unpack(&mut self, name: &str, content: &Content) -> Result<Content, DataError> {
        let most = self.limits.unpacked_bytes.min(in_proportion(self.given));
        let unpacked = content.unpacked(name, most.saturating_sub(self.unpacked))?;
        self.unpacked += unpacked.len;
        Ok(unpacked)
    }

    /// Names of all files, sorted by bytes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The file of this name.
    pub fn name(&self, name: &str) -> Option<&str> {
        self.files.get_key_value(name).map(|(name, _)| name.as_str())
    }

    /// Names of the folders that were listed as such, sorted by bytes; a folder without files is only seen here.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().map(String::as_str)
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The paths it was opened from, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The bytes of a file. They are borrowed where the file lies uncompressed in memory.
    pub fn read(&self, name: &str) -> Result<Cow<'_, [u8]>, DataError> {
        self.file(name)?.content.read(name, self.limits.entry_bytes)
    }

    /// The first bytes of a file, `count` or all there are.
    pub fn peek(&self, name: &str, count: usize) -> Result<Vec<u8>, DataError> {
        self.file(name)?.content.peek(name, count)
    }

    fn file(&self, name: &str) -> Result<&File, DataError> {
        self.files.get(name).ok_or_else(|| DataError::NoSuchFile {
            name: name.to_owned(),
            near: nearest(name, self.names()),
        })
    }

    /// Adds the files below `folder`. Links are followed to files inside `root`, in a fixed order.
    fn walk(&mut self, root: &Path, folder: &Path, prefix: &str) -> Result<(), DataError> {
        let place = folder.display().to_string();
        let io = |error| DataError::io(&place, error);
        let mut entries = fs::read_dir(folder)
            .map_err(io)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(io)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        let origin: Arc<str> = Arc::from(root.display().to_string());
        for entry in entries {
            let path = entry.path();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(io)?;
            let refuse = |why| {
                Err(DataError::UnsafeEntry {
                    archive: origin.to_string(),
                    name: name.clone(),
                    why,
                })
            };
            if kind.is_dir() {
                self.add_folder(name.clone())?;
                self.walk(root, &path, &format!("{name}/"))?;
                continue;
            }
            if kind.is_symlink() {
                let target =
                    fs::canonicalize(&path).map_err(|error| DataError::io(path.display().to_string(), error))?;
                if !target.starts_with(root) {
                    return refuse("is a link that leaves the folder");
                }
                if target.is_dir() {
                    return refuse("is a link to a folder");
                }
            }
            let metadata = fs::metadata(&path).map_err(|error| DataError::io(path.display().to_string(), error))?;
            if !metadata.is_file() {
                return refuse("is neither a file nor a folder");
            }
            self.given += metadata.len();
            let content = Content::of_disk_file(&path, metadata.len());
            self.add(name, content, &origin, 1)?;
        }
        Ok(())
    }

    fn add_folder(&mut self, name: String) -> Result<(), DataError> {
        if !name.is_empty() {
            self.folders.insert(name);
        }
        self.check_number()
    }

    /// Adds a file, or what is in it if it is an archive and `levels` of archives may still be opened.
    fn add(&mut self, name: String, content: Content, origin: &Arc<str>, levels: u8) -> Result<(), DataError> {
        if levels > 0 && !has_image_name(&name) {
            archive::add(self, name, content, origin, levels - 1)
        } else {
            self.add_file(name, content, origin)
        }
    }

    fn add_file(&mut self, name: String, content: Content, origin: &Arc<str>) -> Result<(), DataError> {
        let file = File {
            content,
            origin: Arc::clone(origin),
        };
        if let Some(first) = self.files.get(&name) {
            let (first, second) = (first.origin.to_string(), origin.to_string());
            return Err(DataError::Duplicate { name, first, second });
        }
        self.files.insert(name, file);
        self.check_number()
    }

    fn check_number(&self) -> Result<(), DataError> {
        let entries = self.files.len() + self.folders.len();
        if entries > self.limits.entries {
            let (place, limit) = (self.origin.clone(), self.limits.entries as u64);
            return Err(DataError::TooLarge {
                place,
                what: "number of entries".into(),
                limit,
            });
        }
        Ok(())
    }
}

/// Endings of image files, of those that are not read here, too: they are refused or skipped by name and never passed over.
const IMAGE_NAMES: [&str; 20] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "gif", "bmp", "dib", "webp", "tif", "tiff", "pnm", "ppm", "pgm", "pbm",
    "heic", "heif", "avif", "jp2", "jxl",
];

/// Whether a file is named like an image.
pub(crate) fn has_image_name(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    IMAGE_NAMES.iter().any(|image| extension.eq_ignore_ascii_case(image))
}

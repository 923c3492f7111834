//! Sources outside the store: a file, or a folder taken as one archive, with the stamps that tell whether it changed.
//!
//! A folder becomes one blob, an uncompressed tar archive: a blob per file would cost a sync each, and a data set of images has
//! tens of thousands. Two folders with equal names and bytes give equal archives: entries are sorted by path, owners and times
//! are zero, modes are fixed, links are followed. Everything in the folder enters, also hidden files and empty folders.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::digest::{BlobRef, Hasher, for_each_chunk};
use crate::error::{At, CacheError};
use crate::platform::{self, Identity};

/// The coarsest tick of a file system's clock (FAT).
const TICK: Duration = Duration::from_secs(2);

/// Archives are made of blocks of this many bytes, and end with two of them.
const BLOCK: u64 = 512;

/// What changes, or may change, when a file's content does. Times as seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    device: u64,
    inode: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Stamp {
        let (device, inode) = platform::numbers(metadata);
        Stamp {
            size: metadata.len(),
            modified: platform::modified(metadata),
            changed: platform::changed(metadata),
            device,
            inode,
        }
    }

    /// Whether any change after `now` is certain to give another stamp: the file has not been touched within a tick of it.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        let limit = now
            .checked_sub(TICK)
            .and_then(|limit| limit.duration_since(SystemTime::UNIX_EPOCH).ok());
        limit.is_some_and(|limit| {
            let limit = (limit.as_secs() as i64, i64::from(limit.subsec_nanos()));
            self.modified <= limit && self.changed <= limit
        })
    }
}

/// A source as it was when it was listed.
pub(crate) struct Source {
    root: PathBuf,
    is_folder: bool,
    entries: Vec<Entry>,
}

struct Entry {
    path: PathBuf,
    /// Path in the archive, with `/`; folders end with one, the root is empty.
    name: String,
    is_folder: bool,
    stamp: Stamp,
}

impl Source {
    /// Lists the file or folder at `root`. Reads no contents.
    pub(crate) fn list(root: &Path) -> Result<Source, CacheError> {
        let metadata = fs::metadata(root).reading(root)?;
        let mut source = Source {
            root: root.to_owned(),
            is_folder: metadata.is_dir(),
            entries: Vec::new(),
        };
        source.visit(root, String::new(), &metadata, &mut Vec::new())?;
        source.entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(source)
    }

    /// Adds an entry and everything below it; `above` holds the folders that it lies in.
    fn visit(
        &mut self,
        path: &Path,
        name: String,
        metadata: &Metadata,
        above: &mut Vec<Identity>,
    ) -> Result<(), CacheError> {
        let refuse = |what| {
            Err(CacheError::NotAFile {
                path: path.to_owned(),
                what,
            })
        };
        let stamp = Stamp::of(metadata);
        if metadata.is_file() {
            self.entries.push(Entry {
                path: path.to_owned(),
                name,
                is_folder: false,
                stamp,
            });
            return Ok(());
        }
        if !metadata.is_dir() {
            return refuse("neither a file nor a folder");
        }
        let identity = platform::identity(path, metadata).reading(path)?;
        if above.contains(&identity) {
            return refuse("a link to a folder that it lies in");
        }
        above.push(identity);
        for child in fs::read_dir(path).reading(path)? {
            let child = child.reading(path)?;
            let Ok(child_name) = child.file_name().into_string() else {
                return Err(CacheError::NotAFile {
                    path: child.path(),
                    what: "a name that is not UTF-8",
                });
            };
            // By entry rather than by path: most of the time of an unchanged source passes in these calls.
            let mut metadata = child.metadata().reading(&child.path())?;
            if metadata.is_symlink() {
                metadata = fs::metadata(child.path()).reading(&child.path())?;
            }
            let slash = if metadata.is_dir() { "/" } else { "" };
            self.visit(&child.path(), format!("{name}{child_name}{slash}"), &metadata, above)?;
        }
        above.pop();
        self.entries.push(Entry {
            path: path.to_owned(),
            name,
            is_folder: true,
            stamp,
        });
        Ok(())
    }

    /// Number of files.
    pub(crate) fn files(&self) -> u64 {
        self.entries.iter().filter(|entry| !entry.is_folder).count() as u64
    }

    /// Equal for equal listings: as long as it stays, so do the contents, provided that the listing is
    /// [settled](Source::is_settled).
    pub(crate) fn fingerprint(&self) -> BlobRef {
        let mut hasher = Hasher::default();
        for Entry {
            path: _,
            name,
            is_folder,
            stamp,
        } in &self.entries
        {
            let Stamp {
                size,
                modified,
                changed,
                device,
                inode,
            } = stamp;
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            hasher.update(&[u8::from(*is_folder)]);
            for number in [size, device, inode] {
                hasher.update(&number.to_le_bytes());
            }
            for number in [modified.0, modified.1, changed.0, changed.1] {
                hasher.update(&number.to_le_bytes());
            }
        }
        hasher.finish()
    }

    /// Whether any change after `now` is certain to give another fingerprint.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        self.entries.iter().all(|entry| entry.stamp.is_settled(now))
    }

    /// Hands over the bytes of the file, or of the archive of the folder.
    ///
    /// Errors: [`CacheError::Changed`] if a file is not, or does not stay, as it was listed.
    pub(crate) fn produce(&self, each: &mut dyn FnMut(&[u8]) -> Result<(), CacheError>) -> Result<(), CacheError> {
        if !self.is_folder {
            return self.entries.iter().try_for_each(|entry| entry.produce(each));
        }
        for entry in self.entries.iter().filter(|entry| !entry.name.is_empty()) {
            each(&entry.header().reading(&entry.path)?)?;
            if !entry.is_folder {
                entry.produce(each)?;
                each(&vec![
                    0;
                    (entry.stamp.size.next_multiple_of(BLOCK) - entry.stamp.size)
                        as usize
                ])?;
            }
        }
        each(&[0; 2 * BLOCK as usize])?;
        // A file that came or went while the others were read.
        let now = Source::list(&self.root)?;
        if now.fingerprint() == self.fingerprint() {
            Ok(())
        } else {
            Err(CacheError::Changed {
                path: self.root.clone(),
            })
        }
    }
}

impl Entry {
    fn produce(&self, each: &mut dyn FnMut(&[u8]) -> Result<(), CacheError>) -> Result<(), CacheError> {
        let Entry { path, stamp, .. } = self;
        let mut file = File::open(path).reading(path)?;
        let mut size = 0;
        let mut count = |chunk: &[u8]| {
            size += chunk.len() as u64;
            each(chunk)
        };
        for_each_chunk(&mut file, &mut count, |source| CacheError::Io {
            verb: "read",
            path: path.clone(),
            source,
        })?;
        let stays = Stamp::of(&file.metadata().reading(path)?) == *stamp && size == stamp.size;
        if stays {
            Ok(())
        } else {
            Err(CacheError::Changed { path: path.clone() })
        }
    }

    /// The entry's blocks before its content: the header, after a header with the name where that is long.
    fn header(&self) -> io::Result<Vec<u8>> {
        let mut header = tar::Header::new_gnu();
        header.set_size(if self.is_folder { 0 } else { self.stamp.size });
        header.set_entry_type(if self.is_folder {
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        });
        header.set_mode(if self.is_folder { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let mut blocks = tar::Builder::new(Vec::new());
        blocks.append_data(&mut header, &self.name, io::empty())?;
        let mut blocks = blocks.into_inner()?;
        // The end mark, which belongs after the last entry.
        blocks.truncate(blocks.len() - 2 * BLOCK as usize);
        Ok(blocks)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;

    fn archive(root: &Path) -> Vec<u8> {
        let mut bytes = Vec::new();
        let take = &mut |chunk: &[u8]| {
            bytes.extend_from_slice(chunk);
            Ok(())
        };
        Source::list(root)
            .and_then(|source| source.produce(take))
            .expect("readable");
        bytes
    }

    fn folder_of_images() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let long = format!("dog/{}.png", "x".repeat(150));
        for (name, bytes) in [
            ("cat/2.png", vec![2; 513]),
            ("cat/1.png", vec![1; 512]),
            (&long, vec![3]),
            ("a.txt", vec![]),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
            fs::write(path, bytes).expect("writable");
        }
        fs::create_dir(folder.path().join("empty")).expect("writable");
        folder
    }

    #[test]
    fn an_archive_holds_names_and_bytes_and_empty_folders() {
        let bytes = archive(folder_of_images().path());
        let mut found = BTreeMap::new();
        for entry in tar::Archive::new(&bytes[..]).entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let name = entry.path().expect("a name").display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("content");
            found.insert(name, content);
        }
        let names: Vec<String> = found
            .iter()
            .map(|(name, bytes)| format!("{:.20} {}", name, bytes.len()))
            .collect();
        insta::assert_snapshot!(names.join("\n"), @"a.txt 0
cat/ 0
cat/1.png 512
cat/2.png 513
dog/ 0
dog/xxxxxxxxxxxxxxxx 1
empty/ 0");
        assert_eq!(found["cat/2.png"], [2; 513]);
    }

    #[test]
    fn equal_folders_give_equal_archives() {
        let (first, second) = (folder_of_images(), folder_of_images());
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        File::open(second.path().join("a.txt"))
            .and_then(|file| file.set_modified(old))
            .expect("settable");
        assert!(archive(first.path()) == archive(second.path()));
        fs::rename(second.path().join("a.txt"), second.path().join("b.txt")).expect("same folder");
        assert!(archive(first.path()) != archive(second.path()));
    }

    #[test]
    fn the_end_mark_is_there_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("a"), [7; 100]).expect("writable");
        assert_eq!(archive(folder.path()).len(), 512 + 512 + 1024);
    }

    #[test]
    fn a_link_to_a_folder_above_is_refused() {
        let folder = folder_of_images();
        std::os::unix::fs::symlink("..", folder.path().join("cat/up")).expect("writable");
        let error = Source::list(folder.path()).err().expect("endless").to_string();
        insta::assert_snapshot!(error.replace(&folder.path().display().to_string(), "DIR"), @"DIR/cat/up: a link to a folder that it lies in; expected files and folders with UTF-8 names");
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_refused() {
        let folder = folder_of_images();
        for (root, edited) in [
            (folder.path().to_owned(), "cat/2.png"),
            (folder.path().join("cat/1.png"), "cat/1.png"),
        ] {
            let source = Source::list(&root).expect("readable");
            let error = source.produce(&mut |_| {
                fs::write(folder.path().join(edited), "edited").expect("writable");
                Ok(())
            });
            assert!(matches!(error, Err(CacheError::Changed { .. })), "{error:?}");
        }
    }

    #[test]
    fn a_file_that_appears_while_others_are_read_is_noticed() {
        let folder = folder_of_images();
        let error = Source::list(folder.path()).expect("readable").produce(&mut |_| {
            fs::write(folder.path().join("new"), "new").expect("writable");
            Ok(())
        });
        assert!(matches!(error, Err(CacheError::Changed { .. })), "{error:?}");
    }
}

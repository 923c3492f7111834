//! Recognizes archives by content and lists what is in them.

use std::fs;
use std::io::{BufReader, Cursor, Read, Seek};
use std::sync::Arc;

use tar::EntryType;
use zip::CompressionMethod;

use super::Tree;
use super::content::{Coding, Container, Content, FileRange};
use super::name::normalize;
use crate::error::DataError;

/// Bytes that say what a file is: one tar header.
const HEAD: usize = 512;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Zip,
    Tar,
    Gzip,
    Plain,
}

fn kind(head: &[u8]) -> Kind {
    match head {
        [0x1f, 0x8b, 8, ..] => Kind::Gzip,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip,
        _ if is_tar_header(head) => Kind::Tar,
        _ => Kind::Plain,
    }
}

/// A tar header, of any age, carries the sum of its own bytes, in octal, counting the sum's own field as blanks.
fn is_tar_header(head: &[u8]) -> bool {
    let Some((before, rest)) = head.get(..HEAD).and_then(|head| head.split_at_checked(148)) else {
        return false;
    };
    let Some((field, after)) = rest.split_at_checked(8) else {
        return false;
    };
    let sum: u32 = before.iter().chain(after).map(|&byte| u32::from(byte)).sum::<u32>() + 8 * u32::from(b' ');
    let digits: String = field
        .iter()
        .map(|&byte| byte as char)
        .filter(char::is_ascii_digit)
        .collect();
    u32::from_str_radix(&digits, 8) == Ok(sum)
}

/// Adds `content` to the tree: as a file, or as its entries if it is an archive.
pub(super) fn add(
    tree: &mut Tree,
    name: String,
    content: Content,
    origin: &Arc<str>,
    levels: u8,
) -> Result<(), DataError> {
    // A file that cannot be examined may be one that nobody reads; who does gets the error.
    let Ok(head) = content.peek(&name, HEAD) else {
        return tree.add_file(name, content, origin);
    };
    match kind(&head) {
        Kind::Plain => tree.add_file(name, content, origin),
        Kind::Zip => {
            let inside = Inside::of(&name, origin, levels);
            let archive = from_start(tree, &name, content)?;
            add_zip(tree, &archive, &inside)
        }
        Kind::Tar => {
            let inside = Inside::of(&name, origin, levels);
            let archive = from_start(tree, &name, content)?;
            add_tar(tree, &archive, &inside)
        }
        Kind::Gzip => {
            let zipped = match content.coding {
                Coding::Stored => content,
                _ => tree.unpack(&name, &content)?,
            };
            let unzipped = Content {
                coding: Coding::Gzip,
                ..zipped
            };
            let head = unzipped.peek(&name, HEAD)?;
            if kind(&head) == Kind::Tar {
                let archive = tree.unpack(&name, &unzipped)?;
                add_tar(tree, &archive, &Inside::of(&name, origin, levels))
            } else {
                let name = name.strip_suffix(".gz").map(str::to_owned).unwrap_or(name);
                tree.add_file(name, unzipped, origin)
            }
        }
    }
}

/// What the entries of one archive have in common.
struct Inside {
    /// Where they are mounted: the archive's own folder, with a slash unless it is the root.
    prefix: String,
    /// The archive, for messages.
    origin: Arc<str>,
    /// Levels of archives that may be opened inside.
    levels: u8,
}

impl Inside {
    fn of(name: &str, origin: &Arc<str>, levels: u8) -> Self {
        let prefix = name.rfind('/').map_or("", |slash| &name[..=slash]).to_owned();
        let origin = if origin.ends_with(name) {
            Arc::clone(origin)
        } else {
            Arc::from(format!("{origin}: {name}"))
        };
        Self { prefix, origin, levels }
    }

    fn refuse(&self, name: &[u8], why: &'static str) -> DataError {
        let name = String::from_utf8_lossy(name).into_owned();
        DataError::UnsafeEntry {
            archive: self.origin.to_string(),
            name,
            why,
        }
    }

    /// The name in the tree of the entry called `name`; empty for the archive's root folder.
    fn name(&self, name: &[u8]) -> Result<String, DataError> {
        let normal = normalize(name).map_err(|why| self.refuse(name, why))?;
        Ok(if normal.is_empty() {
            normal
        } else {
            format!("{}{normal}", self.prefix)
        })
    }

    fn broken(&self, error: impl std::fmt::Display) -> DataError {
        DataError::malformed(&*self.origin, format!("damaged or truncated archive: {error}"))
    }
}

/// The content as the whole of its container, so that positions in the archive are positions in the container.
fn from_start(tree: &mut Tree, name: &str, content: Content) -> Result<Content, DataError> {
    match (&content.container, &content.coding) {
        (Container::Disk(_) | Container::Unpacked(_), Coding::Stored) if content.start == 0 => Ok(content),
        (Container::Memory(buffer), Coding::Stored) if content.start == 0 && content.len == buffer.len() as u64 => {
            Ok(content)
        }
        _ => tree.unpack(name, &content),
    }
}

/// Runs `$list(tree, reader, archive, inside)` over the bytes of an archive, wherever they are.
macro_rules! over_reader {
    ($list:ident, $tree:expr, $archive:expr, $inside:expr) => {
        match &$archive.container {
            Container::Memory(buffer) => $list($tree, Cursor::new(buffer.as_slice()), $archive, $inside),
            Container::Disk(path) => {
                let file = fs::File::open(path).map_err(|error| DataError::io(&*$inside.origin, error))?;
                $list($tree, BufReader::new(file), $archive, $inside)
            }
            Container::Unpacked(file) => {
                let range = FileRange::new(file, $archive.start, $archive.len);
                $list($tree, BufReader::new(range), $archive, $inside)
            }
        }
    };
}

fn add_tar(tree: &mut Tree, archive: &Content, inside: &Inside) -> Result<(), DataError> {
    over_reader!(list_tar, tree, archive, inside)
}

fn add_zip(tree: &mut Tree, archive: &Content, inside: &Inside) -> Result<(), DataError> {
    over_reader!(list_zip, tree, archive, inside)
}

fn list_tar(tree: &mut Tree, reader: impl Read + Seek, archive: &Content, inside: &Inside) -> Result<(), DataError> {
    let mut tar = tar::Archive::new(reader);
    for entry in tar.entries_with_seek().map_err(|error| inside.broken(error))? {
        let entry = entry.map_err(|error| inside.broken(error))?;
        let raw_name = entry.path_bytes();
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory => {
                tree.add_folder(inside.name(&raw_name)?)?;
                continue;
            }
            EntryType::XGlobalHeader => continue,
            EntryType::Symlink | EntryType::Link => return Err(inside.refuse(&raw_name, "is a link")),
            EntryType::Char | EntryType::Block | EntryType::Fifo => return Err(inside.refuse(&raw_name, "is a device")),
            _ => return Err(inside.refuse(&raw_name, "is of a kind that is not supported (sparse, volume)")),
        }
        let name = inside.name(&raw_name)?;
        let (start, len) = (entry.raw_file_position(), entry.size());
        if name.is_empty() {
            return Err(inside.refuse(&raw_name, "has no name"));
        }
        if start.checked_add(len).is_none_or(|end| end > archive.len) {
            let why = format!(
                "{len} bytes of `{name}` end behind the {} bytes of the archive: truncated",
                archive.len
            );
            return Err(DataError::malformed(&*inside.origin, why));
        }
        let content = Content {
            container: archive.container.clone(),
            start,
            len,
            coding: Coding::Stored,
        };
        tree.add(name, content, &inside.origin, inside.levels)?;
    }
    Ok(())
}

fn list_zip(tree: &mut Tree, reader: impl Read + Seek, archive: &Content, inside: &Inside) -> Result<(), DataError> {
    let mut zip = zip::ZipArchive::new(reader).map_err(|error| inside.broken(error))?;
    if zip.has_duplicate_names() {
        return Err(inside.broken("two entries have the same name"));
    }
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(|error| inside.broken(error))?;
        let name = inside.name(entry.name_raw())?;
        if entry.is_symlink() {
            return Err(inside.refuse(entry.name_raw(), "is a link"));
        }
        if entry.is_dir() {
            tree.add_folder(name)?;
            continue;
        }
        if name.is_empty() {
            return Err(inside.refuse(entry.name_raw(), "has no name"));
        }
        if entry.encrypted() {
            let place = format!("{}: {name}", inside.origin);
            return Err(DataError::Unsupported {
                place,
                what: "encryption".into(),
                fix: "decrypt the archive first",
            });
        }
        let start = entry
            .data_start()
            .ok_or_else(|| inside.broken("an entry has no data"))?;
        let len = entry.compressed_size();
        if start.checked_add(len).is_none_or(|end| end > archive.len) {
            return Err(inside.broken(format!("`{name}` ends behind the end of the archive")));
        }
        let coding = match entry.compression() {
            CompressionMethod::Stored => Coding::Stored,
            CompressionMethod::Deflated => Coding::Deflate {
                len: entry.size(),
                crc: entry.crc32(),
            },
            method => Coding::Unknown(method.to_string()),
        };
        drop(entry);
        let content = Content {
            container: archive.container.clone(),
            start,
            len,
            coding,
        };
        tree.add(name, content, &inside.origin, inside.levels)?;
    }
    Ok(())
}

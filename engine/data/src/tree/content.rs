//! Where the bytes of a tree's file lie, and how they are read: a range of a file on disk or of a buffer, stored,
//! deflated or gzipped. What must be unpacked before it can be read at random goes to memory if it is small, to a nameless temporary file otherwise.

use std::borrow::Cow;
use std::fs;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use flate2::Crc;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder};

use super::in_proportion;
use crate::error::DataError;
use crate::position::read_at;

/// Deflate expands by at most this factor (RFC 1951: 258 bytes for two bits, and headers).
const MOST_EXPANSION: u64 = 1032;

/// The most that is unpacked to memory.
const MOST_IN_MEMORY: u64 = 64 << 20;

/// A range of bytes and its coding.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub container: Container,
    pub start: u64,
    /// Length as it lies there, before decoding.
    pub len: u64,
    pub coding: Coding,
}

#[derive(Clone, Debug)]
pub(super) enum Container {
    Disk(Arc<Path>),
    /// A temporary file that vanishes with its last user.
    Unpacked(Arc<fs::File>),
    Memory(Arc<Vec<u8>>),
}

#[derive(Clone, Debug)]
pub(super) enum Coding {
    Stored,
    /// A deflated zip entry of `len` bytes.
    Deflate {
        len: u64,
        crc: u32,
    },
    /// One or more gzip members.
    Gzip,
    /// A zip method that is not read here.
    Unknown(String),
}

impl Content {
    pub fn of_disk_file(path: &Path, len: u64) -> Self {
        Self {
            container: Container::Disk(Arc::from(path)),
            start: 0,
            len,
            coding: Coding::Stored,
        }
    }

    pub fn of_memory(bytes: Vec<u8>) -> Self {
        let len = bytes.len() as u64;
        Self {
            container: Container::Memory(Arc::new(bytes)),
            start: 0,
            len,
            coding: Coding::Stored,
        }
    }

    /// The decoded bytes as the whole of a container.
    pub fn unpacked(&self, place: &str, limit: u64) -> Result<Self, DataError> {
        let mut stream = self.stream(place)?;
        let mut head = Vec::new();
        let mut part = (&mut stream).take(MOST_IN_MEMORY.min(limit.saturating_add(1)));
        part.read_to_end(&mut head).map_err(|error| broken(place, &error))?;
        if (head.len() as u64) < MOST_IN_MEMORY {
            if head.len() as u64 > limit {
                return Err(too_large(place, limit));
            }
            let mut crc = Crc::new();
            crc.update(&head);
            self.check(place, head.len() as u64, crc.sum())?;
            return Ok(Self::of_memory(head));
        }
        let full = |error| DataError::io(format!("{place}: cannot be unpacked to a temporary file"), error);
        let mut file = tempfile::tempfile().map_err(full)?;
        let mut crc = Crc::new();
        let (mut chunk, mut len) = (head, 0_u64);
        while !chunk.is_empty() {
            len += chunk.len() as u64;
            if len > limit {
                return Err(too_large(place, limit));
            }
            crc.update(&chunk);
            file.write_all(&chunk).map_err(full)?;
            chunk.clear();
            let mut part = (&mut stream).take(1 << 20);
            part.read_to_end(&mut chunk).map_err(|error| broken(place, &error))?;
        }
        self.check(place, len, crc.sum())?;
        Ok(Self {
            container: Container::Unpacked(Arc::new(file)),
            start: 0,
            len,
            coding: Coding::Stored,
        })
    }

    /// Whether the decoded bytes are as many as were stated, and the same.
    fn check(&self, place: &str, len: u64, crc: u32) -> Result<(), DataError> {
        let (expected, sum) = match self.coding {
            Coding::Stored => (Some(self.len), None),
            Coding::Deflate { len, crc } => (Some(len), Some(crc)),
            Coding::Gzip | Coding::Unknown(_) => (None, None),
        };
        if let Some(expected) = expected
            && len != expected
        {
            return Err(DataError::malformed(
                place,
                format!("{expected} bytes expected, {len} found"),
            ));
        }
        if sum.is_some_and(|sum| sum != crc) {
            return Err(DataError::malformed(place, "checksum differs: the archive is damaged"));
        }
        Ok(())
    }

    /// All bytes, decoded; `place` names the file in errors.
    pub fn read(&self, place: &str, limit: u64) -> Result<Cow<'_, [u8]>, DataError> {
        let limit = match self.coding {
            Coding::Stored => limit,
            Coding::Deflate { .. } | Coding::Gzip | Coding::Unknown(_) => limit.min(in_proportion(self.len)),
        };
        let expected = match self.coding {
            Coding::Stored => Some(self.len),
            Coding::Deflate { len, .. } => Some(len),
            Coding::Gzip | Coding::Unknown(_) => None,
        };
        if expected.is_some_and(|len| len > limit) {
            return Err(too_large(place, limit));
        }
        if let (Container::Memory(_), Coding::Stored) = (&self.container, &self.coding) {
            return self.in_memory(place).map(Cow::Borrowed);
        }
        if let Coding::Deflate { len, .. } = self.coding
            && len > self.len.saturating_mul(MOST_EXPANSION).saturating_add(MOST_EXPANSION)
        {
            let why = format!("claims to unpack {} bytes to {len}, more than deflate can", self.len);
            return Err(DataError::malformed(place, why));
        }
        let mut bytes = Vec::new();
        let capacity = expected.unwrap_or(0);
        bytes
            .try_reserve_exact(capacity as usize)
            .map_err(|_| DataError::Memory {
                place: place.to_owned(),
                bytes: capacity,
            })?;
        self.stream(place)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| broken(place, &error))?;
        if bytes.len() as u64 > limit {
            return Err(too_large(place, limit));
        }
        let mut crc = Crc::new();
        if matches!(self.coding, Coding::Deflate { .. }) {
            crc.update(&bytes);
        }
        self.check(place, bytes.len() as u64, crc.sum())?;
        Ok(Cow::Owned(bytes))
    }

    /// The first `count` decoded bytes, or all there are.
    pub fn peek(&self, place: &str, count: usize) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        self.stream(place)?
            .take(count as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| broken(place, &error))?;
        Ok(bytes)
    }

    fn stream(&self, place: &str) -> Result<Box<dyn Read + '_>, DataError> {
        let raw: Box<dyn io::BufRead + '_> = match &self.container {
            Container::Memory(_) => Box::new(self.in_memory(place)?),
            Container::Disk(path) => {
                let open = || {
                    let mut file = fs::File::open(path)?;
                    file.seek(SeekFrom::Start(self.start))?;
                    Ok(file)
                };
                let file = open().map_err(|error| DataError::io(place, error))?;
                Box::new(BufReader::new(file.take(self.len)))
            }
            Container::Unpacked(file) => Box::new(BufReader::new(FileRange::new(file, self.start, self.len))),
        };
        Ok(match &self.coding {
            Coding::Stored => Box::new(raw),
            Coding::Deflate { .. } => Box::new(DeflateDecoder::new(raw)),
            Coding::Gzip => Box::new(MultiGzDecoder::new(raw)),
            Coding::Unknown(method) => {
                let (place, what) = (place.to_owned(), format!("zip method {method}"));
                return Err(DataError::Unsupported {
                    place,
                    what,
                    fix: "repack it as stored or deflated",
                });
            }
        })
    }

    /// The raw bytes where they lie in memory.
    fn in_memory(&self, place: &str) -> Result<&[u8], DataError> {
        let Container::Memory(buffer) = &self.container else {
            return Ok(&[]);
        };
        let end = self.start.saturating_add(self.len);
        buffer.get(self.start as usize..end as usize).ok_or_else(|| {
            DataError::malformed(
                place,
                format!("ends at byte {end} of an archive of {} bytes: truncated", buffer.len()),
            )
        })
    }
}

/// A range of a file that others read at the same time.
pub(super) struct FileRange<'a> {
    file: &'a fs::File,
    start: u64,
    len: u64,
    at: u64,
}

impl<'a> FileRange<'a> {
    pub fn new(file: &'a fs::File, start: u64, len: u64) -> Self {
        Self {
            file,
            start,
            len,
            at: 0,
        }
    }
}

impl Read for FileRange<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.at).min(buffer.len() as u64) as usize;
        let count = read_at(self.file, &mut buffer[..left], self.start + self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for FileRange<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

fn too_large(place: &str, limit: u64) -> DataError {
    DataError::TooLarge {
        place: place.to_owned(),
        what: "unpacked size in bytes".into(),
        limit,
    }
}

/// A decoder's complaint; it tells damage and truncation by kinds of I/O errors.
fn broken(place: &str, error: &io::Error) -> DataError {
    let why = match error.kind() {
        io::ErrorKind::UnexpectedEof => "compressed data end early: the file is truncated".to_owned(),
        _ => format!("cannot be read or unpacked: {error}"),
    };
    DataError::malformed(place, why)
}

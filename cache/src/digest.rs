//! SHA-256 digests and references to blobs: the identity of every byte string in the store.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest (FIPS 180-4), written as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hexadecimal digits: enough for a person to tell two digests apart, never an identity.
    pub fn short(&self) -> String {
        let mut hex = self.to_string();
        hex.truncate(12);
        hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: not a sha256 digest, expected 64 lowercase hexadecimal digits")]
pub struct DigestError {
    text: String,
}

impl FromStr for Digest {
    type Err = DigestError;

    /// Accepts the one spelling that [`fmt::Display`] writes, so that equal digests are equal texts (and file names).
    fn from_str(text: &str) -> Result<Digest, DigestError> {
        let error = || DigestError {
            text: text.chars().take(80).collect(),
        };
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(error());
        };
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() {
            return Err(error());
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = nibble(*high)
                .zip(nibble(*low))
                .map(|(h, l)| h << 4 | l)
                .ok_or_else(error)?;
        }
        Ok(Digest(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Digest, DigestError> {
        text.parse()
    }
}

/// A byte string by digest and length. The length is redundant, cheap to check before anything is read, and required beside
/// each digest by the Remote Execution API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Number of bytes.
    pub size: u64,
}

impl BlobRef {
    /// The reference to `bytes`.
    pub fn of(bytes: &[u8]) -> BlobRef {
        BlobRef {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }

    /// The reference to what the file at `path` holds now.
    pub fn of_file(path: &Path) -> io::Result<BlobRef> {
        hash_file(path)
    }
}

impl fmt::Display for BlobRef {
    /// `<hex>/<size>`, as Remote Execution resource names have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.digest, self.size)
    }
}

impl FromStr for BlobRef {
    type Err = DigestError;

    /// Accepts what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<BlobRef, DigestError> {
        let error = || DigestError {
            text: text.chars().take(80).collect(),
        };
        let (digest, size) = text.split_once('/').ok_or_else(error)?;
        Ok(BlobRef {
            digest: digest.parse()?,
            size: size.parse().map_err(|_| error())?,
        })
    }
}

/// Digest and size of bytes that come in pieces.
#[derive(Default)]
pub(crate) struct Hasher {
    state: Sha256,
    size: u64,
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub(crate) fn finish(self) -> BlobRef {
        BlobRef {
            digest: Digest(self.state.finalize().into()),
            size: self.size,
        }
    }
}

/// Large enough that system calls vanish beside hashing, small enough to stay in the L2 cache between hashing and writing.
const CHUNK: usize = 256 * 1024;

/// Reads to the end, handing over chunk by chunk. `broken` turns a failure of the reader into the caller's error.
pub(crate) fn for_each_chunk<E>(
    reader: &mut dyn Read,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
    broken: impl FnOnce(io::Error) -> E,
) -> Result<(), E> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => each(&chunk[..n])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error)),
        }
    }
}

/// What the file at `path` holds now.
pub(crate) fn hash_file(path: &Path) -> io::Result<BlobRef> {
    let mut hasher = Hasher::default();
    let hash = |chunk: &[u8]| {
        hasher.update(chunk);
        Ok(())
    };
    for_each_chunk(&mut File::open(path)?, hash, |error| error)?;
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_string_has_the_published_digest() {
        insta::assert_snapshot!(Digest::of(b""), @"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn text_round_trips() {
        let digest = Digest::of(b"weights");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        let json = serde_json::to_string(&digest).expect("a digest is a string");
        assert_eq!(json, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).expect("what was written"), digest);
    }

    #[test]
    fn other_spellings_are_refused() {
        let hex = Digest::of(b"").to_string();
        for text in [
            "",
            &hex[1..],
            &hex[2..],
            &hex.to_uppercase(),
            &format!("{hex}00"),
            &hex.replace('e', "é"),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
        insta::assert_snapshot!("abc".parse::<Digest>().unwrap_err(), @"`abc`: not a sha256 digest, expected 64 lowercase hexadecimal digits");
    }

    #[test]
    fn hashing_in_pieces_equals_hashing_at_once() {
        let bytes = vec![7; CHUNK * 2 + 1];
        let mut hasher = Hasher::default();
        let mut pieces = 0;
        let hash = |chunk: &[u8]| {
            hasher.update(chunk);
            pieces += 1;
            Ok(())
        };
        for_each_chunk(&mut &bytes[..], hash, |error: io::Error| error).expect("memory");
        assert_eq!((hasher.finish(), pieces), (BlobRef::of(&bytes), 3));
    }
}

//! The format of `torch.save` before PyTorch 1.6: pickles one after another, then the storages.
//!
//! In order: a magic number, the protocol's version, facts about the machine, the object, the keys of the storages; then for
//! each key its number of elements as a 64-bit integer and its bytes. Source: `_legacy_load` in `torch/serialization.py`.

use std::collections::HashMap;

use super::pickle::{Node, Pickle};
use super::state_dict::Dtype;
use super::tensor;
use crate::{Format, FormatError};

/// The first pickle of a file: protocol 2, `LONG1` of ten bytes, the magic number 0x1950a86a20f9469cfc6c.
pub(super) const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// A file whose storages have been found.
pub(super) struct Legacy<'a> {
    storages: HashMap<String, &'a [u8]>,
}

fn malformed(place: impl Into<String>, problem: impl Into<String>) -> FormatError {
    FormatError::malformed(Format::Torch, place, problem)
}

impl<'a> Legacy<'a> {
    /// Reads the pickles and finds the storages.
    pub fn open(bytes: &'a [u8]) -> Result<(Self, Pickle<'a>), FormatError> {
        let version = Pickle::read(bytes, MAGIC.len())?;
        if !matches!(version.node(version.root), Node::Int(1001)) {
            return Err(malformed("legacy file", "its protocol version is not 1001"));
        }
        let machine = Pickle::read(bytes, version.end)?;
        refuse_big_endian(&machine)?;
        let object = Pickle::read(bytes, machine.end)?;
        let keys = Pickle::read(bytes, object.end)?;
        let keys_of = keys.items(keys.root);
        let keys_of = keys_of.ok_or_else(|| malformed("legacy file", "its list of storages is not a list"))?;
        // How wide an element is, the persistent ids of the object say.
        let ids = (0..object.nodes().len() as u32).filter_map(|id| tensor::storage(&object, id));
        let widths: HashMap<&str, usize> = ids.map(|s| (s.key, s.dtype.map_or(1, Dtype::size))).collect();
        let mut storages = HashMap::new();
        let mut at = keys.end;
        for &key in keys_of {
            let key = keys
                .text(key)
                .ok_or_else(|| malformed("legacy file", "a storage's key is not text"))?;
            let place = format!("storage {key}");
            let cut = || malformed(&place, "the file ends before it does; is it whole?");
            let rest = bytes.get(at..).unwrap_or_default();
            let (count, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
            let elements = usize::try_from(i64::from_le_bytes(*count)).map_err(|_| cut())?;
            // A storage that no tensor refers to has no known width, and nothing after it could be found.
            let width = widths
                .get(key)
                .ok_or_else(|| malformed(&place, "nothing says what it holds"))?;
            let length = elements.checked_mul(*width).ok_or_else(cut)?;
            storages.insert(key.to_owned(), rest.get(..length).ok_or_else(cut)?);
            at += 8 + length;
        }
        Ok((Legacy { storages }, object))
    }

    /// The bytes of a storage.
    pub fn storage(&self, key: &str) -> Result<&'a [u8], FormatError> {
        let storage = self.storages.get(key).copied();
        storage.ok_or_else(|| malformed(format!("storage {key}"), "is not in the file"))
    }
}

fn refuse_big_endian(machine: &Pickle<'_>) -> Result<(), FormatError> {
    let Node::Dict(facts) = machine.node(machine.root) else {
        return Err(malformed(
            "legacy file",
            "its facts about the machine are not a dictionary",
        ));
    };
    let little = facts
        .iter()
        .find(|(key, _)| machine.text(*key) == Some("little_endian"));
    match little.map(|(_, value)| machine.node(*value)) {
        Some(Node::Bool(false)) => Err(FormatError::unsupported(
            Format::Torch,
            "legacy file",
            "numbers are big-endian",
            "save the model on a little-endian machine",
        )),
        _ => Ok(()),
    }
}

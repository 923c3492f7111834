//! TensorFlow's tensor bundle: `variables.index`, a table of names, and `variables.data-00000-of-00001`, the values.
//!
//! The index is a LevelDB table: blocks of prefix-compressed keys in order, an index block that points to them, a footer that
//! points to the index. Source: `table_format.md` of LevelDB, `tensor_bundle.proto` of TensorFlow. Every checksum is verified.

use std::collections::BTreeMap;

use prost::Message;

use super::malformed;
use super::proto::{BundleEntry, BundleHeader};
use crate::FormatError;

/// Last eight bytes of a table.
const MAGIC: [u8; 8] = 0xdb47_7524_8b80_fb57_u64.to_le_bytes();
/// Two handles, padded, and the magic.
const FOOTER: usize = 48;
/// Behind each block: how it is compressed, and its checksum.
const TRAILER: usize = 5;

/// Reads the table: entries by name, and how many data files there are.
pub(super) fn index(table: &[u8]) -> Result<(BTreeMap<String, BundleEntry>, usize), FormatError> {
    let footer = table
        .len()
        .checked_sub(FOOTER)
        .map(|at| &table[at..])
        .filter(|footer| footer.ends_with(&MAGIC))
        .ok_or_else(|| wrong("does not end like a LevelDB table; it is truncated, or no index of variables"))?;
    let mut footer = footer;
    handle(&mut footer)?;
    let blocks = block(table, handle(&mut footer)?)?;
    let (mut entries, mut shards) = (BTreeMap::new(), None);
    for (_, pointer) in blocks {
        for (key, value) in block(table, handle(&mut pointer.as_slice())?)? {
            if key.is_empty() {
                let header = BundleHeader::decode(value.as_slice()).map_err(|e| wrong(&format!("header: {e}")))?;
                if header.endianness != 0 {
                    return Err(wrong(
                        "says that values are big-endian, which no machine that is used today writes",
                    ));
                }
                shards = usize::try_from(header.shards).ok();
            } else {
                let name = String::from_utf8(key).map_err(|_| wrong("holds a name that is not text"))?;
                let entry = BundleEntry::decode(value.as_slice()).map_err(|e| wrong(&format!("`{name}`: {e}")))?;
                entries.insert(name, entry);
            }
        }
    }
    Ok((entries, shards.ok_or_else(|| wrong("has no header"))?))
}

/// The bytes of an entry in its data file, verified.
pub(super) fn values<'a>(name: &str, entry: &BundleEntry, shard: &'a [u8]) -> Result<&'a [u8], FormatError> {
    let place = format!("variable `{name}`");
    if !entry.slices.is_empty() {
        return Err(malformed(
            place,
            "is stored in slices; save the model with unpartitioned variables",
        ));
    }
    let range = usize::try_from(entry.offset)
        .ok()
        .zip(usize::try_from(entry.size).ok())
        .and_then(|(offset, size)| shard.get(offset..offset.checked_add(size)?))
        .ok_or_else(|| {
            malformed(
                &place,
                "lies outside of the data file; the file is truncated, or not the index's",
            )
        })?;
    if masked(range) != entry.crc32c {
        return Err(malformed(
            place,
            "has another checksum than the index says; the data file is corrupt",
        ));
    }
    Ok(range)
}

/// Offset and length of a block.
type Handle = (usize, usize);

fn handle(bytes: &mut &[u8]) -> Result<Handle, FormatError> {
    Ok((varint(bytes)?, varint(bytes)?))
}

/// Key and value.
type Pair = (Vec<u8>, Vec<u8>);

/// What a block holds.
fn block(table: &[u8], (offset, length): Handle) -> Result<Vec<Pair>, FormatError> {
    let outside = || wrong("points outside of itself; it is truncated or corrupt");
    let whole = length
        .checked_add(TRAILER)
        .and_then(|length| table.get(offset..offset.checked_add(length)?))
        .ok_or_else(outside)?;
    let (content, trailer) = whole.split_at(length);
    let (&compression, checksum) = trailer.split_first().ok_or_else(outside)?;
    if checksum != masked(&whole[..=length]).to_le_bytes() {
        return Err(wrong("has a block with a wrong checksum; it is corrupt"));
    }
    if compression != 0 {
        return Err(wrong("is compressed, which TensorFlow's own writer never does"));
    }
    // The restart points, and how many there are, are for binary search.
    let (before, count) = content.split_last_chunk::<4>().ok_or_else(outside)?;
    let restarts = (u32::from_le_bytes(*count) as usize).saturating_mul(4);
    let mut rest = before
        .len()
        .checked_sub(restarts)
        .map(|end| &before[..end])
        .ok_or_else(outside)?;
    let (mut key, mut entries) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let (shared, unshared, length) = (varint(&mut rest)?, varint(&mut rest)?, varint(&mut rest)?);
        if shared > key.len() || unshared > rest.len() || length > rest.len() - unshared {
            return Err(outside());
        }
        key.truncate(shared);
        key.extend_from_slice(&rest[..unshared]);
        entries.push((key.clone(), rest[unshared..unshared + length].to_vec()));
        rest = &rest[unshared + length..];
    }
    Ok(entries)
}

fn varint(bytes: &mut &[u8]) -> Result<usize, FormatError> {
    let value = prost::encoding::decode_varint(bytes).map_err(|e| wrong(&e.to_string()))?;
    usize::try_from(value).map_err(|_| wrong("holds a number that is too large"))
}

/// The checksum of LevelDB: a CRC-32C, rotated and offset, since checksums of bytes that contain checksums are weak.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn wrong(problem: &str) -> FormatError {
    malformed("variables.index", problem)
}

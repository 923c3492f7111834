//! How many messages a file may hold, counted before any is decoded.
//!
//! An empty message takes two bytes in a file and a few hundred in memory. A file of nothing but empty messages would
//! take a hundred times its size; counting them first costs one pass over the lengths.

use super::malformed;
use crate::FormatError;

/// Messages that any file may hold.
const FREE: usize = 100_000;
/// Beyond that, one for so many bytes of the file.
const BYTES_A_MESSAGE: usize = 32;

/// The messages inside a message, by field number.
struct Layout(&'static [(u64, &'static Layout)]);

static LEAF: Layout = Layout(&[]);
static TENSOR: Layout = Layout(&[(13, &LEAF)]);
static ATTRIBUTE: Layout = Layout(&[(5, &TENSOR), (9, &LEAF), (10, &TENSOR), (11, &LEAF)]);
static NODE: Layout = Layout(&[(1, &LEAF), (2, &LEAF), (5, &ATTRIBUTE)]);
static SHAPE: Layout = Layout(&[(1, &LEAF)]);
static TENSOR_TYPE: Layout = Layout(&[(2, &SHAPE)]);
static TYPE: Layout = Layout(&[(1, &TENSOR_TYPE)]);
static VALUE: Layout = Layout(&[(2, &TYPE)]);
static GRAPH: Layout = Layout(&[
    (1, &NODE),
    (5, &TENSOR),
    (11, &VALUE),
    (12, &VALUE),
    (13, &VALUE),
    (15, &LEAF),
]);
static MODEL: Layout = Layout(&[(7, &GRAPH), (8, &LEAF), (14, &LEAF), (25, &LEAF)]);

/// Refuses a file with more messages than one of its size has reason to hold. What is not sound on the wire is left to
/// the decoder, which says so.
pub(super) fn check(bytes: &[u8]) -> Result<(), FormatError> {
    let limit = FREE + bytes.len() / BYTES_A_MESSAGE;
    let mut left = limit;
    if count(bytes, &MODEL, &mut left).is_none() && left == 0 {
        let problem = format!("holds more than {limit} messages in {} bytes", bytes.len());
        return Err(malformed("the file", problem));
    }
    Ok(())
}

/// Whether the bytes are fields of a `ModelProto` to the end, a graph among them. ONNX files have no letters at their head.
pub(super) fn is_model(mut bytes: &[u8]) -> bool {
    let mut graph = false;
    while !bytes.is_empty() {
        let Some(key) = varint(&mut bytes) else { return false };
        let (field, wire) = (key >> 3, key & 7);
        let sound = match wire {
            0 if matches!(field, 1 | 5) => varint(&mut bytes).is_some(),
            2 if matches!(field, 2..=4 | 6..=8 | 14 | 20 | 25 | 26) => {
                graph |= field == 7;
                varint(&mut bytes)
                    .and_then(|length| take(&mut bytes, usize::try_from(length).ok()?))
                    .is_some()
            }
            _ => false,
        };
        if !sound {
            return false;
        }
    }
    graph
}

/// `None` at the end of the budget or of what can be read.
fn count(mut bytes: &[u8], layout: &Layout, left: &mut usize) -> Option<()> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => drop(varint(&mut bytes)?),
            1 => drop(take(&mut bytes, 8)?),
            5 => drop(take(&mut bytes, 4)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let inner = take(&mut bytes, length)?;
                if let Some((_, layout)) = layout.0.iter().find(|(field, _)| *field == key >> 3) {
                    *left = left.checked_sub(1)?;
                    if *left == 0 {
                        return None;
                    }
                    count(inner, layout, left)?;
                }
            }
            _ => return None,
        }
    }
    Some(())
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

/// A base-128 number of up to 64 bits.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_empty_messages_is_refused_before_it_is_decoded() {
        // 200,000 empty nodes in one graph.
        let nodes = [0x0a, 0x00].repeat(200_000);
        let mut file = vec![0x3a];
        let mut length = nodes.len();
        while length >= 0x80 {
            file.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        file.push(length as u8);
        file.extend(nodes);
        insta::assert_snapshot!(check(&file).unwrap_err(), @"onnx: the file: holds more than 112500 messages in 400004 bytes");
        assert!(check(&file[..100]).is_ok(), "what is cut is the decoder's to refuse");
    }
}

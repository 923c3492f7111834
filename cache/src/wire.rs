//! Records as remotes hold them: an `ActionResult` of the Remote Execution API, so that servers of that API know which blobs belong together.
//!
//! The artifact's blobs are output files by name. The record itself, which has more to say than that message (see the crate's
//! documentation), travels sealed as the standard output, or as a blob that the message names where it is large.

use prost::Message;

use crate::digest::BlobRef;
use crate::reapi;
use crate::record::Record;
use crate::seal::{seal, unseal};

/// Records up to this length are inside of the message; servers commonly take messages of 4 MiB.
const INLINE: usize = 1 << 20;

/// A record on its way.
pub(crate) enum Packed {
    /// All of it is in the message.
    Inline(Box<Record>),
    /// It is to be read from a blob.
    Beside(BlobRef),
}

/// The message for a record. `put` stores a record that is too large for it.
pub(crate) fn pack<E>(
    record: &Record,
    put: impl FnOnce(&[u8]) -> Result<BlobRef, E>,
) -> Result<(Vec<u8>, Option<BlobRef>), E> {
    // A record in the store has been written as JSON before.
    let sealed = seal(serde_json::to_vec(record).unwrap_or_default());
    let mut result = reapi::ActionResult {
        output_files: record
            .blobs
            .iter()
            .map(|(name, blob)| reapi::OutputFile {
                path: format!("out/{}", reapi::segment(name)),
                digest: Some((*blob).into()),
            })
            .collect(),
        stdout_raw: Vec::new(),
        stdout_digest: None,
    };
    let mut beside = None;
    if sealed.len() <= INLINE {
        result.stdout_raw = sealed;
    } else {
        let blob = put(&sealed)?;
        result.stdout_digest = Some(blob.into());
        beside = Some(blob);
    }
    Ok((result.encode_to_vec(), beside))
}

/// What is in a message, or what is wrong with it.
pub(crate) fn unpack(message: &[u8]) -> Result<Packed, String> {
    let result = reapi::ActionResult::decode(message).map_err(|error| error.to_string())?;
    match result.stdout_digest {
        Some(digest) => Ok(Packed::Beside(digest.try_into()?)),
        None => unpack_record(&result.stdout_raw).map(|record| Packed::Inline(Box::new(record))),
    }
}

/// The record in the bytes that [`pack`] stored.
pub(crate) fn unpack_record(sealed: &[u8]) -> Result<Record, String> {
    serde_json::from_slice(unseal(sealed)?).map_err(|error| error.to_string())
}

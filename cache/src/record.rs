//! Records: what an action made, as stored under its key.
//!
//! A record file is sealed JSON. The checksum finds damage that JSON would let pass, such as a flipped bit in a note.

use std::collections::BTreeMap;

use prost::Message;
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::digest::BlobRef;
use crate::reapi;
use crate::seal::{seal, unseal};

/// The result of one action: an artifact as named blobs, with what is worth telling about its making.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What the artifact is, such as `model`; part of its content.
    pub kind: String,
    /// The artifact's blobs by name; part of its content.
    pub blobs: BTreeMap<String, BlobRef>,
    /// Small facts shown again on a hit: log lines, a summary.
    pub notes: serde_json::Value,
    /// The action that made it.
    pub action: Action,
    /// How long it took, in seconds; finite.
    pub seconds: f64,
}

impl Record {
    /// The artifact's content, see [`content_of`]. Notes, duration and the action that made it do not enter.
    pub fn content(&self) -> BlobRef {
        content_of(&self.kind, &self.blobs)
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(seal(json))
    }

    /// The record in `file`, or what is wrong with it.
    pub(crate) fn decode(file: &[u8]) -> Result<Record, String> {
        serde_json::from_slice(unseal(file)?).map_err(|error| error.to_string())
    }
}

/// Digest and size of an artifact's manifest: a Remote Execution API `Directory` with a file `kind` that holds the kind, and a
/// directory `blobs` that holds the blobs by name. Equal artifacts have equal contents, however they were made.
pub fn content_of(kind: &str, blobs: &BTreeMap<String, BlobRef>) -> BlobRef {
    let blobs = BlobRef::of(&reapi::files(blobs).encode_to_vec());
    let manifest = reapi::Directory {
        files: vec![reapi::FileNode {
            name: "kind".to_owned(),
            digest: Some(BlobRef::of(kind.as_bytes()).into()),
        }],
        directories: vec![reapi::DirectoryNode {
            name: "blobs".to_owned(),
            digest: Some(blobs.into()),
        }],
    };
    BlobRef::of(&manifest.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            kind: "model".to_owned(),
            blobs: BTreeMap::from([
                ("graph".to_owned(), BlobRef::of(b"g")),
                ("weights".to_owned(), BlobRef::of(b"w")),
            ]),
            notes: serde_json::json!({ "z": 0.1, "a": ["kept 3 float tensors"] }),
            action: Action {
                op: "quantize".to_owned(),
                revision: 1,
                params: "{}".to_owned(),
                inputs: BTreeMap::new(),
                environment: BTreeMap::new(),
                host: None,
            },
            seconds: 0.1 + 0.2,
        }
    }

    #[test]
    fn content_is_the_kind_and_the_blobs_by_name() {
        let first = record();
        let same = Record {
            seconds: 9.0,
            notes: serde_json::Value::Null,
            ..first.clone()
        };
        assert_eq!(same.content(), first.content());
        let swapped = BTreeMap::from([
            ("graph".to_owned(), BlobRef::of(b"w")),
            ("weights".to_owned(), BlobRef::of(b"g")),
        ]);
        let changed = [
            Record {
                kind: "dataset".to_owned(),
                ..first.clone()
            },
            Record {
                blobs: BTreeMap::new(),
                ..first.clone()
            },
            Record {
                blobs: swapped,
                ..first.clone()
            },
        ];
        for record in changed {
            assert_ne!(record.content(), first.content(), "{record:?}");
        }
    }

    #[test]
    fn encoding_round_trips() {
        let bytes = record().encode().expect("a record is JSON");
        assert_eq!(Record::decode(&bytes), Ok(record()));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let bytes = record().encode().expect("a record is JSON");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Record::decode(&bytes[..len]).is_err(), "length {len}");
        }
    }
}

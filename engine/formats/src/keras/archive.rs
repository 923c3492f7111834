//! The `.keras` container of Keras 2.12 and later: a zip archive of `config.json`, `metadata.json` and `model.weights.h5`.
//!
//! Source: `save_model` in Keras' `saving_lib.py`. Other members (assets of text layers) are not read.

use std::io::{Cursor, Read};

use serde_json::Value;
use zip::ZipArchive;

use super::malformed;
use crate::FormatError;

/// The member with the arrays.
const WEIGHTS: &str = "model.weights.h5";

/// The members of an archive that an import needs.
pub(super) struct Members {
    /// The architecture as JSON.
    pub config: String,
    /// The version of Keras that wrote the file.
    pub keras_version: Option<String>,
    /// An HDF5 file of arrays by object path.
    pub weights: Vec<u8>,
}

/// Whether `bytes` are a zip archive with the weights of a Keras model.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
        && ZipArchive::new(Cursor::new(bytes)).is_ok_and(|archive| archive.index_for_name(WEIGHTS).is_some())
}

/// Unpacks an archive. Memory is bounded by a multiple of its size.
pub(super) fn read(bytes: &[u8]) -> Result<Members, FormatError> {
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|e| malformed("the file", format!("is not a zip archive: {e}")))?;
    let limit = bytes.len().saturating_mul(64).saturating_add(64 << 20) as u64;
    let mut member = |name: &str| -> Result<Vec<u8>, FormatError> {
        let file = archive.by_name(name).map_err(|e| {
            let problem = format!("{e}; expected a `.keras` file that `model.save` wrote");
            malformed(name, problem)
        })?;
        let mut content = Vec::new();
        // What the directory claims is not believed: reading ends one byte after the limit.
        let read = file.take(limit + 1).read_to_end(&mut content);
        read.map_err(|e| malformed(name, format!("cannot be unpacked: {e}")))?;
        if content.len() as u64 > limit {
            return Err(malformed(name, "unpacks to more than a file of this size can mean"));
        }
        Ok(content)
    };
    let config = text("config.json", member("config.json")?)?;
    let weights = member(WEIGHTS)?;
    let metadata: Value = serde_json::from_str(&text("metadata.json", member("metadata.json")?)?)
        .map_err(|e| malformed("metadata.json", e.to_string()))?;
    let keras_version = metadata.get("keras_version").and_then(Value::as_str).map(str::to_owned);
    Ok(Members {
        config,
        keras_version,
        weights,
    })
}

fn text(name: &str, content: Vec<u8>) -> Result<String, FormatError> {
    String::from_utf8(content).map_err(|_| malformed(name, "is not text"))
}

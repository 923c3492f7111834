//! The zip container of `torch.save` since PyTorch 1.6: `NAME/data.pkl`, and one record `NAME/data/KEY` a storage.
//!
//! Source: `torch/serialization.py`, `caffe2/serialize/inline_container.h`.

use std::collections::HashMap;
use std::io::{Cursor, Read as _};

use ::zip::ZipArchive;

use crate::{Format, FormatError};

/// An opened archive; storages are read when they are asked for, and kept.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    root: String,
    storages: HashMap<String, Vec<u8>>,
    /// Bytes that may still be read. Records are stored, not compressed, so an archive hardly holds more than it is long.
    budget: u64,
}

fn malformed(place: &str, problem: impl ToString) -> FormatError {
    FormatError::malformed(Format::Torch, place, problem.to_string())
}

impl<'a> Archive<'a> {
    /// Opens an archive and returns it with its pickle.
    pub fn open(bytes: &'a [u8]) -> Result<(Self, Vec<u8>), FormatError> {
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| malformed("zip archive", e))?;
        let names: Vec<String> = (0..zip.len())
            .filter_map(|i| Some(zip.by_index_raw(i).ok()?.name().ok()?.into_owned()))
            .collect();
        refuse_programs(&names)?;
        let pickles: Vec<&String> = names
            .iter()
            .filter(|n| n.rsplit('/').next() == Some("data.pkl"))
            .collect();
        let [pickle] = pickles[..] else {
            let problem = format!("{} records are named data.pkl, expected one", pickles.len());
            return Err(malformed("zip archive", problem));
        };
        let mut archive = Archive {
            zip,
            root: pickle.trim_end_matches("data.pkl").to_owned(),
            storages: HashMap::new(),
            budget: 4 * bytes.len() as u64 + (16 << 20),
        };
        let order = format!("{}byteorder", archive.root);
        if names.contains(&order) && archive.record(&order)? != b"little" {
            return Err(FormatError::unsupported(
                Format::Torch,
                order,
                "numbers are big-endian",
                "save the model on a little-endian machine",
            ));
        }
        let pickle = archive.record(pickle)?;
        Ok((archive, pickle))
    }

    /// The bytes of a storage.
    pub fn storage(&mut self, key: &str) -> Result<&[u8], FormatError> {
        if !self.storages.contains_key(key) {
            let name = format!("{}data/{key}", self.root);
            let bytes = self.record(&name)?;
            self.storages.insert(key.to_owned(), bytes);
        }
        Ok(&self.storages[key])
    }

    fn record(&mut self, name: &str) -> Result<Vec<u8>, FormatError> {
        let entry = self.zip.by_name(name).map_err(|e| malformed(name, e))?;
        let mut bytes = Vec::new();
        // One byte more than allowed tells whether there is more.
        let read = entry.take(self.budget + 1).read_to_end(&mut bytes);
        read.map_err(|e| malformed(name, e))?;
        self.budget = self.budget.checked_sub(bytes.len() as u64).ok_or_else(|| {
            malformed(
                name,
                "the archive unpacks to far more bytes than it is long, as none of PyTorch's does",
            )
        })?;
        Ok(bytes)
    }
}

/// TorchScript archives and exported programs hold code in place of a state dict.
fn refuse_programs(names: &[String]) -> Result<(), FormatError> {
    let holds = |part: &str| names.iter().any(|name| name.split('/').any(|p| p == part));
    let (what, fix) = if holds("constants.pkl") || holds("code") {
        (
            "a TorchScript archive",
            "save its weights with torch.save(torch.jit.load(PATH).state_dict(), …) and name an architecture, or export the model to ONNX",
        )
    } else if holds("serialized_exported_program.json") || holds("archive_format") || holds("models") {
        (
            "a program of torch.export",
            "save its weights with torch.save(torch.export.load(PATH).state_dict, …) and name an architecture, or export the model to ONNX",
        )
    } else {
        return Ok(());
    };
    Err(FormatError::unsupported(
        Format::Torch,
        "zip archive",
        format!("{what} holds code, which is not run"),
        fix,
    ))
}

//! PyTorch weights: `.pth`/`.pt` state dicts (zip and legacy) and `.safetensors`.
//!
//! A `.pth` file is a pickle, a program for Python's unpickler. Here it is read as data: nothing it names is looked up or called
//! ([`mod@self`]'s `pickle`). Tensors are found by the functions that would have rebuilt them; checkpoints are searched for the
//! state dict they hold, whole pickled modules give their tensors by path, and what wrappers put before every name
//! (`module.`) is taken away. TorchScript archives and exported programs hold code and are refused with advice.
//!
//! What comes out is names and tensors as the framework laid them out. Making a graph of them needs an architecture: that is
//! the business of the crate `architecture`.

mod callables;
mod legacy;
mod pickle;
pub mod safetensors;
mod state_dict;
mod tensor;
mod walk;
mod zip;

use crate::{Format, FormatError};

pub use state_dict::{Dtype, StateDict, StateTensor};

use legacy::Legacy;
use pickle::Pickle;
use zip::Archive;

/// Whether bytes look like a file that [`read`] reads; zip archives of other programs do not.
pub fn is_torch(bytes: &[u8]) -> bool {
    let zip = || bytes.starts_with(b"PK\x03\x04") && bytes.windows(8).any(|name| name == b"data.pkl");
    bytes.starts_with(legacy::MAGIC) || safetensors::is_safetensors(bytes) || zip()
}

/// Reads the state dict of a `.pth`, `.pt` or `.safetensors` file.
///
/// `key` names the entry of a checkpoint that holds the state dict; without it the usual names are tried.
///
/// # Errors
/// Bytes of another format, damage, tensors that are not plain and dense, or a pickle that asks for what no model needs. Time and
/// memory are bounded by a small multiple of the input's length.
pub fn read(bytes: &[u8], key: Option<&str>) -> Result<StateDict, FormatError> {
    if bytes.starts_with(b"PK\x03\x04") {
        let (mut archive, pickle) = Archive::open(bytes)?;
        let pickle = Pickle::read(&pickle, 0)?;
        dense(&pickle, key, bytes.len(), |key, view| {
            gathered(view, archive.storage(key)?)
        })
    } else if bytes.starts_with(legacy::MAGIC) {
        let (file, pickle) = Legacy::open(bytes)?;
        dense(&pickle, key, bytes.len(), |key, view| {
            gathered(view, file.storage(key)?)
        })
    } else if safetensors::is_safetensors(bytes) {
        safetensors::read(bytes)
    } else {
        Err(FormatError::malformed(
            Format::Torch,
            "file",
            "neither a zip archive nor a legacy file of torch.save, nor safetensors",
        ))
    }
}

fn gathered(view: &tensor::View<'_>, storage: &[u8]) -> Result<StateTensor, FormatError> {
    let place = || format!("storage {}", view.key);
    view.gather(storage)
        .map_err(|problem| FormatError::malformed(Format::Torch, place(), problem))
}

/// Dense copies of all tensors, within a budget: views may be expanded, and may share a storage.
fn dense(
    pickle: &Pickle<'_>,
    key: Option<&str>,
    length: usize,
    mut gather: impl FnMut(&str, &tensor::View<'_>) -> Result<StateTensor, FormatError>,
) -> Result<StateDict, FormatError> {
    let inert = callables::inert(pickle)?;
    let walk::Taken {
        tensors: views,
        key,
        others,
    } = walk::tensors(pickle, key)?;
    if views.is_empty() {
        let named = if inert.is_empty() {
            String::new()
        } else {
            format!("; it names {}, which is not looked up", inert.join(", "))
        };
        let problem = format!("holds no tensors{named}");
        return Err(FormatError::malformed(Format::Torch, "pickle", problem));
    }
    let mut budget = length.saturating_mul(4).saturating_add(16 << 20);
    let mut dict = StateDict {
        inert,
        taken: key.map(str::to_owned),
        others,
        ..StateDict::default()
    };
    for (name, view) in views {
        let left = view.bytes().and_then(|bytes| budget.checked_sub(bytes));
        budget = left.ok_or_else(|| {
            let problem = format!(
                "{} of shape {:?}: the tensors are far larger than the file",
                view.dtype.name(),
                view.shape
            );
            FormatError::malformed(Format::Torch, format!("tensor `{name}`"), problem)
        })?;
        let tensor = gather(view.key, &view)?;
        dict.tensors.insert(name, tensor);
    }
    Ok(dict)
}

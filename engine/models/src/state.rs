//! What a file of weights holds, and which network it may be of.

use ::architecture::{Architecture, ArchitectureError, Mismatch};
use formats::torch;
use indexmap::IndexMap;
use ir::Constant;
use serde::Serialize;

use crate::{ModelError, architecture};

/// A tensor of a file of weights, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// PyTorch's name of its elements: `float32`.
    pub element: &'static str,
    /// Its dimensions, in the framework's order.
    pub shape: Vec<usize>,
}

/// The tensors of a `.pth`, `.pt` or `.safetensors` file, in its order.
///
/// # Errors
/// It is no such file.
pub fn stored(bytes: &[u8], label: &str) -> Result<Vec<Stored>, ModelError> {
    let dict = torch::read(bytes, None).map_err(|e| ModelError::File {
        path: label.to_owned(),
        problem: e.to_string(),
    })?;
    let stored = |(name, tensor): (String, torch::StateTensor)| Stored {
        name,
        element: tensor.dtype.name(),
        shape: tensor.shape,
    };
    Ok(dict.tensors.into_iter().map(stored).collect())
}

/// How far weights are from those that a network takes: by how many tensors, and one of them in words. `None`: the network cannot be built.
pub fn distance(network: &Architecture, weights: &IndexMap<String, Constant>) -> Option<(usize, Option<String>)> {
    match architecture::build(network, &IndexMap::new(), None, Some(weights), true) {
        Ok(_) => Some((0, None)),
        Err(ModelError::Architecture(error)) => match *error {
            ArchitectureError::Weights(mismatch) => Some(told(&mismatch)),
            _ => None,
        },
        Err(_) => None,
    }
}

fn told(mismatch: &Mismatch) -> (usize, Option<String>) {
    let Mismatch {
        missing,
        unexpected,
        misshapen,
        mistyped,
        not_finite: _,
    } = mismatch;
    let words = misshapen
        .iter()
        .map(|(name, has, takes)| format!("`{name}` is {has:?}, it takes {takes:?}"))
        .chain(missing.iter().map(|(name, _)| format!("`{name}` is missing")))
        .chain(unexpected.iter().map(|(name, _)| format!("it has no `{name}`")))
        .next();
    let count = missing.len() + unexpected.len() + misshapen.len() + mistyped.len();
    (count, words)
}

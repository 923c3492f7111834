//! Keras models: `.h5` files, `.keras` archives, and a configuration with its weights in two files.
//!
//! | file | owns |
//! |---|---|
//! | `hdf5` | bytes → plain values, bounded |
//! | `archive` | the members of a `.keras` file |
//! | `config` | `model_config` JSON of Keras 1, 2 and 3 → one typed tree |
//! | `keras1` | the old names of layers and arguments |
//! | `operation` | operators on tensors between the layers |
//! | `attributes` | typed access to a layer's arguments; which of them nobody read |
//! | `weights` | which stored array belongs to which layer |
//! | `build` | the tree, walked in the order of its calls → graph |
//! | `layers` | one file per group of layers, and the registry |
//!
//! Names: a node is called after its layer, `outer/inner` inside nested models; its weights `layer/kernel`, `layer/bias` and so
//! on; the second call of a shared layer `layer_1`, with the same weights. An activation given as an argument becomes a node of
//! its own, `layer/relu`.
//!
//! Meaning follows inference: dropout, noise and regularization do nothing, batch normalization uses its moving statistics.
//! Every argument of a layer must be understood; one that is not is refused by name. Computation and weights are 32-bit
//! floats, whatever the file's dtype policy.

mod archive;
mod attributes;
mod build;
mod config;
mod hdf5;
mod keras1;
mod layers;
mod operation;
mod weights;

use ir::Graph;

use crate::{Format, FormatError};

/// What a caller may decide about an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The dimensions of one sample (without the batch), for a network that leaves some of them open: `[height, width, channels]`.
    pub input_shape: Option<Vec<usize>>,
    /// Accept weights that are NaN or infinite.
    pub allow_non_finite: bool,
}

/// Reads a whole model: a `.h5` file (architecture in the attribute `model_config`, weights in the group `model_weights`) or a
/// `.keras` archive (`config.json`, `model.weights.h5`).
///
/// # Errors
/// See [`FormatError`]; layers, tensors and arguments are named.
pub fn read(bytes: &[u8]) -> Result<Graph, FormatError> {
    read_with(bytes, &ImportOptions::default())
}

/// [`read`], with options.
///
/// # Errors
/// As [`read`].
pub fn read_with(bytes: &[u8], options: &ImportOptions) -> Result<Graph, FormatError> {
    if archive::is_archive(bytes) {
        let archive::Members {
            config,
            keras_version,
            weights,
        } = archive::read(bytes)?;
        let contents = hdf5::read(&weights)?;
        let model = config::parse(&config, keras_version.as_deref())?;
        return build::graph(&model, contents.weights, options);
    }
    let contents = hdf5::read(bytes)?;
    let json = contents.model_config.as_deref().ok_or_else(|| {
        FormatError::unsupported(
            Format::Keras,
            "the file",
            "has weights but no attribute `model_config`",
            "give the configuration too (`model.to_json()`), or save the whole model with `model.save(\"model.h5\")`",
        )
    })?;
    let model = config::parse(json, contents.keras_version.as_deref())?;
    build::graph(&model, contents.weights, options)
}

/// Reads a configuration (`model.to_json()`) and its weights (`model.save_weights("model.h5")` or `"model.weights.h5"`).
///
/// # Errors
/// As [`read`].
pub fn read_config_and_weights(json: &str, weights: &[u8]) -> Result<Graph, FormatError> {
    read_config_and_weights_with(json, weights, &ImportOptions::default())
}

/// [`read_config_and_weights`], with options.
///
/// # Errors
/// As [`read`].
pub fn read_config_and_weights_with(json: &str, weights: &[u8], options: &ImportOptions) -> Result<Graph, FormatError> {
    let contents = hdf5::read(weights)?;
    let model = config::parse(json, contents.keras_version.as_deref())?;
    build::graph(&model, contents.weights, options)
}

/// Whether `bytes` look like a file that [`read`] takes: HDF5, or a `.keras` archive.
pub fn recognizes(bytes: &[u8]) -> bool {
    bytes.starts_with(hdf5::MAGIC) || archive::is_archive(bytes)
}

/// The layers that [`read`] knows, sorted: class names of Keras 2 and 3.
pub fn known_layers() -> Vec<&'static str> {
    layers::known()
}

/// How messages name a layer.
fn layer_place(path: &str) -> String {
    format!("layer `{path}`")
}

fn malformed(place: impl Into<String>, problem: impl Into<String>) -> FormatError {
    FormatError::malformed(Format::Keras, place, problem)
}

fn unsupported(place: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> FormatError {
    FormatError::unsupported(Format::Keras, place, problem, fix)
}

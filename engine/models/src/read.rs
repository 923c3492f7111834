//! A network from the bytes of a file of any format, recognized by its content.

use std::path::Path;

use ir::Graph;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// How a model file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModelFormat {
    /// Recognized by content.
    #[default]
    Auto,
    /// Keras, a whole model: HDF5 (`.h5`) or archive (`.keras`).
    Keras,
    /// ONNX (`.onnx`); weights in other files are further files of the source.
    Onnx,
    /// TensorFlow Lite (`.tflite`).
    Tflite,
    /// TensorFlow SavedModel: the folder with `saved_model.pb`, or an archive of it.
    SavedModel,
    /// PyTorch weights (`.pth`, `.pt`, `.safetensors`) for an `architecture`.
    Torch,
}

impl ModelFormat {
    /// The format of files of this name, where the name tells.
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match Path::new(name).extension()?.to_str()? {
            "h5" | "hdf5" | "keras" => ModelFormat::Keras,
            "onnx" => ModelFormat::Onnx,
            "tflite" => ModelFormat::Tflite,
            "pth" | "pt" | "safetensors" => ModelFormat::Torch,
            _ => return None,
        })
    }
}

/// The names of files beside a model's that hold its weights: for `.onnx` files alone.
pub fn companions(path: &Path) -> Result<Vec<String>, ModelError> {
    if path.extension().is_none_or(|extension| extension != "onnx") {
        return Ok(Vec::new());
    }
    let problem = |problem: String| ModelError::File {
        path: path.display().to_string(),
        problem,
    };
    let bytes = std::fs::read(path).map_err(|e| problem(e.to_string()))?;
    formats::onnx::external_files(&bytes).map_err(|e| problem(e.to_string()))
}

/// Gives the bytes of weights in other files than the model's.
pub type External<'a> = &'a dyn Fn(&formats::onnx::ExternalData) -> Result<Vec<u8>, String>;

/// How a model file is read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// How it is written.
    pub format: ModelFormat,
    /// The shape of a sample, where the file leaves it open.
    pub input_shape: Option<Vec<usize>>,
    /// Accept weights that are NaN or infinite.
    pub allow_non_finite: bool,
}

/// Reads a model file; `label` is its name for messages.
pub fn read(bytes: &[u8], label: &str, options: ReadOptions, external: External<'_>) -> Result<Graph, ModelError> {
    let ReadOptions {
        format,
        input_shape,
        allow_non_finite,
    } = options;
    let format = match format {
        ModelFormat::Auto if formats::keras::recognizes(bytes) => ModelFormat::Keras,
        ModelFormat::Auto if bytes.get(4..8) == Some(b"TFL3") => ModelFormat::Tflite,
        ModelFormat::Auto if formats::onnx::recognize(bytes) => ModelFormat::Onnx,
        ModelFormat::Auto if formats::torch::is_torch(bytes) => ModelFormat::Torch,
        ModelFormat::Auto => {
            let known = "not a Keras (.h5, .keras), ONNX (.onnx), PyTorch (.pth, .safetensors) or TensorFlow Lite (.tflite) file, the formats that are recognized";
            return Err(ModelError::File {
                path: label.into(),
                problem: known.into(),
            });
        }
        named => named,
    };
    let read = match format {
        ModelFormat::Onnx => formats::onnx::read_with(bytes, &formats::onnx::ImportOptions { input_shape }, external),
        ModelFormat::Torch => {
            let problem = format!(
                "holds weights and no network; name one: `architecture: SOURCE` in a recipe, `NETWORK.yaml --weights {label}` at the command line; `pipeline inspect {label}` says which one may fit"
            );
            return Err(ModelError::File {
                path: label.into(),
                problem,
            });
        }
        ModelFormat::SavedModel => {
            let problem = "is one file; a SavedModel is a folder: name it, or an archive of it";
            return Err(ModelError::File {
                path: label.into(),
                problem: problem.into(),
            });
        }
        ModelFormat::Tflite => formats::tflite::read(bytes),
        ModelFormat::Keras | ModelFormat::Auto => {
            let options = formats::keras::ImportOptions {
                input_shape,
                allow_non_finite,
            };
            formats::keras::read_with(bytes, &options)
        }
    };
    read.map_err(|e| ModelError::File {
        path: label.into(),
        problem: e.to_string(),
    })
}

/// A part of a file of weights.
pub fn part(weights: &[u8], data: &formats::onnx::ExternalData) -> Result<Vec<u8>, String> {
    let short = || format!("has {} bytes, which do not hold all of the data", weights.len());
    let from = usize::try_from(data.offset).map_err(|_| short())?;
    let rest = weights.get(from..).ok_or_else(short)?;
    let length = data
        .length
        .map_or(Ok(rest.len()), usize::try_from)
        .map_err(|_| short())?;
    rest.get(..length).map(<[u8]>::to_vec).ok_or_else(short)
}

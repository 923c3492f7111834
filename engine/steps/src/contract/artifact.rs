//! Artifacts as steps see them: named blobs, decoded once and shared.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use data::LoadedDataset;
pub use data::blob::is_piece;
pub use data::{Memory, ReadAt, Shelf, Stored};
use formats::tensorflow::{Files, GRAPH, ImportOptions};
use ir::Graph;
use recipe::ArtifactKind;
use report::Document;
use serde::de::DeserializeOwned;

use crate::StepError;

/// A decoded value: a [`Graph`] or a [`LoadedDataset`].
pub type Decoded = Arc<dyn Any + Send + Sync>;

/// The bytes of one blob, read when they are needed.
pub type Blob = Arc<dyn Stored>;

/// A blob in memory.
pub fn in_memory(bytes: Vec<u8>) -> Blob {
    Arc::new(Arc::new(bytes))
}

/// The blob that holds the document of an artifact.
pub const DOCUMENT: &str = "document.json";

/// What a step made, as the next one sees it.
pub struct Artifact {
    /// What it is.
    pub kind: ArtifactKind,
    blobs: BTreeMap<String, Blob>,
    decoded: OnceLock<Decoded>,
}

impl Artifact {
    /// An artifact whose blobs are read when they are needed.
    pub fn new(kind: ArtifactKind, blobs: BTreeMap<String, Blob>, decoded: Option<Decoded>) -> Self {
        let cell = OnceLock::new();
        if let Some(value) = decoded {
            let _ = cell.set(value);
        }
        Artifact {
            kind,
            blobs,
            decoded: cell,
        }
    }

    /// The names of the blobs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.blobs.keys().map(String::as_str)
    }

    /// The bytes of a blob.
    pub fn blob(&self, name: &str) -> Result<Vec<u8>, StepError> {
        let blob = self.blobs.get(name).ok_or_else(|| self.broken(name, "is missing"))?;
        blob.read().map_err(|problem| self.broken(name, &problem))
    }

    /// A JSON blob.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, StepError> {
        serde_json::from_slice(&self.blob(name)?).map_err(|e| self.broken(name, &e.to_string()))
    }

    /// The model.
    pub fn model(&self) -> Result<Arc<Graph>, StepError> {
        self.decode(|| {
            Ok(formats::store::from_blobs(
                &self.blob("graph.json")?,
                &self.blob("weights.safetensors")?,
            )?)
        })
    }

    /// The model in an exported `.tflite` or `.onnx` file.
    pub fn exported_model(&self) -> Result<Arc<Graph>, StepError> {
        self.decode(|| {
            let find = |ending: &str| self.names().find(|n| n.ends_with(ending)).map(str::to_owned);
            if let Some(name) = find(".onnx") {
                let weights = |data: &formats::onnx::ExternalData| {
                    let file = self.blob(&data.location).map_err(|e| e.to_string())?;
                    models::part(&file, data)
                };
                let options = formats::onnx::ImportOptions::default();
                return Ok(formats::onnx::read_with(&self.blob(&name)?, &options, &weights)?);
            }
            if let Some(name) = find(GRAPH) {
                let files = Files {
                    graph: self.blob(&name)?,
                    ..Files::default()
                };
                return Ok(formats::tensorflow::read(&files, &ImportOptions::default())?);
            }
            let known = "this kind of file cannot be run; export a .tflite, .onnx or SavedModel";
            let name = find(".tflite").ok_or_else(|| self.broken("(model)", known))?;
            Ok(formats::tflite::read(&self.blob(&name)?)?)
        })
    }

    /// The dataset.
    pub fn dataset(&self) -> Result<Arc<LoadedDataset>, StepError> {
        self.decode(|| {
            Ok(LoadedDataset {
                data: data::blob::from_blobs(|name| self.blobs.get(name).cloned())?,
                transform: self.json("transform.json")?,
            })
        })
    }

    /// What the step found, for reports.
    pub fn document(&self) -> Result<Option<Document>, StepError> {
        if self.blobs.contains_key(DOCUMENT) {
            self.json(DOCUMENT).map(Some)
        } else {
            Ok(None)
        }
    }

    fn decode<T: Any + Send + Sync>(&self, read: impl FnOnce() -> Result<T, StepError>) -> Result<Arc<T>, StepError> {
        let value = if let Some(value) = self.decoded.get() {
            value.clone()
        } else {
            let fresh: Decoded = Arc::new(read()?);
            self.decoded.get_or_init(|| fresh).clone()
        };
        value
            .downcast::<T>()
            .map_err(|_| self.broken("(decoded)", "is of another kind"))
    }

    fn broken(&self, blob: &str, problem: &str) -> StepError {
        StepError::Artifact {
            kind: self.kind,
            blob: blob.to_owned(),
            problem: problem.to_owned(),
        }
    }
}

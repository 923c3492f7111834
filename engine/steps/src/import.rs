//! `import`: read a trained network from a file.
//!
//! The graph keeps the file's layers one by one, batch norms and dropouts included: it is what the framework runs.
//! Folding comes later, where a step needs it.
//!
//! ```yaml
//! base: { import: { from: weights, format: keras } }
//! ```

use formats::tensorflow::{self, Files, GRAPH, INDEX, ImportOptions, SHARDS};
use ir::Graph;
use recipe::{ArtifactKind, SourceRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::op::{Context, Inputs, Op, Output, SourceFile};
use crate::{StepError, models};

/// How a model file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModelFormat {
    /// Recognized by content.
    #[default]
    Auto,
    /// Keras, a whole model: HDF5 (`.h5`) or archive (`.keras`).
    Keras,
    /// TensorFlow Lite (`.tflite`).
    Tflite,
    /// TensorFlow SavedModel: the folder with `saved_model.pb`, or an archive of it.
    SavedModel,
}

/// Parameters of `import`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Import {
    /// The source that holds the model file.
    pub from: SourceRef,
    /// How the file is written.
    #[serde(default)]
    pub format: ModelFormat,
    /// Height, width and channels of the input, for models that leave them open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_shape: Option<Vec<usize>>,
    /// The signature of a SavedModel; `serving_default`, or the only one, where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// The op.
pub struct ImportOp;

impl Op for ImportOp {
    type Params = Import;
    const NAME: &'static str = "import";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Reads a trained network from a file.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EXAMPLE: &'static str = "base: { import: { from: weights, format: keras } }";

    fn run(params: &Import, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let source = inputs.source("from")?;
        let [file] = source.files.as_slice() else {
            let problem = format!(
                "source `{}` has {} files, import takes one",
                source.name,
                source.files.len()
            );
            return Err(StepError::Params(problem));
        };
        let graph = if params.format == ModelFormat::SavedModel || holds_files(file) {
            saved_model(file, params)?
        } else {
            let bytes = std::fs::read(&file.path).map_err(|e| unreadable(file, e.to_string()))?;
            models::read(&bytes, &file.label, params.format, params.input_shape.clone())?
        };
        context.log(&format!(
            "{} layers, {} parameters",
            graph.nodes().len(),
            graph.parameters()
        ));
        models::output(graph, Vec::new())
    }
}

/// Whether a source is a folder, or by its name an archive.
fn holds_files(file: &SourceFile) -> bool {
    let archive = [".tar", ".tar.gz", ".tgz", ".zip"];
    file.name.is_empty() || file.path.is_dir() || archive.iter().any(|end| file.name.ends_with(end))
}

/// Reads a SavedModel out of a folder or archive, at its top or in the only folder that has one.
fn saved_model(file: &SourceFile, params: &Import) -> Result<Graph, StepError> {
    let tree = data::Tree::open_named([data::Entry {
        path: file.path.clone(),
        name: file.name.clone(),
        place: file.label.clone(),
    }])?;
    let mut found = tree.names().filter(|name| name.rsplit('/').next() == Some(GRAPH));
    let Some(graph) = found.next() else {
        let known = format!("holds no {GRAPH}; the folder of a TensorFlow SavedModel was expected");
        return Err(unreadable(file, known));
    };
    if let Some(other) = found.next() {
        return Err(unreadable(
            file,
            format!("holds several models: {graph}, {other}; give one of them"),
        ));
    }
    let folder = graph.strip_suffix(GRAPH).unwrap_or_default();
    let inside = |name: &str| Some(tree.read(&format!("{folder}{name}")).ok()?.into_owned());
    let shards = tree
        .names()
        .filter_map(|name| name.strip_prefix(folder))
        .filter(|name| name.starts_with(SHARDS));
    let files = Files {
        graph: tree.read(graph)?.into_owned(),
        index: inside(INDEX),
        shards: shards.filter_map(inside).collect(),
    };
    let options = ImportOptions {
        signature: params.signature.clone(),
        input_shape: params.input_shape.clone(),
    };
    tensorflow::read(&files, &options).map_err(|e| unreadable(file, e.to_string()))
}

fn unreadable(file: &SourceFile, problem: String) -> StepError {
    StepError::File {
        path: file.label.clone(),
        problem,
    }
}

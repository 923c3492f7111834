//! `import`: read a trained network from a file.
//!
//! The graph keeps the file's layers one by one, batch norms and dropouts included: it is what the framework runs.
//! Folding comes later, where a step needs it.
//!
//! ```yaml
//! base: { import: { from: weights, format: keras } }
//! ```

use recipe::{ArtifactKind, SourceRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::op::{Context, Inputs, Op, Output};
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
        let bytes = std::fs::read(&file.path).map_err(|e| StepError::File {
            path: file.label.clone(),
            problem: e.to_string(),
        })?;
        let graph = models::read(&bytes, &file.label, params.format, params.input_shape.clone())?;
        context.log(&format!(
            "{} layers, {} parameters",
            graph.nodes().len(),
            graph.parameters()
        ));
        models::output(graph, Vec::new())
    }
}

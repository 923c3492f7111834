//! `export`: write a model as a file that a device's runtime loads.
//!
//! The file is read back and compared with the model before the step succeeds.
//!
//! ```yaml
//! tflite: { export: { model: int8, format: tflite } }
//! ```

use measure::Sizes;
use recipe::{ArtifactKind, Port, kind};
use report::Document;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::op::{Context, Inputs, Op, Output};
use crate::{StepError, architecture, models};

/// The kinds of file that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileFormat {
    /// TensorFlow Lite flatbuffer, `model.tflite`.
    #[default]
    Tflite,
    /// The TensorFlow Lite file as a C array, `model.c` and `model.h`, for microcontrollers; beside `model.tflite`.
    CArray,
    /// The weights under their names, in PyTorch's layout, `model.safetensors`: for an imported state dict, as it would be after
    /// what has been done to it.
    Safetensors,
}

/// Parameters of `export`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Export {
    /// The model to write.
    pub model: Port<kind::Model>,
    /// What to write.
    #[serde(default)]
    pub format: FileFormat,
}

/// The op.
pub struct ExportOp;

impl Op for ExportOp {
    type Params = Export;
    const NAME: &'static str = "export";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Writes a model as a file that a device's runtime loads.";
    const PRODUCES: ArtifactKind = ArtifactKind::File;
    const EXAMPLE: &'static str = "tflite: { export: { model: int8, format: tflite } }";

    fn run(params: &Export, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = inputs.one("model")?.model()?;
        if params.format == FileFormat::Safetensors {
            return file("model.safetensors", architecture::safetensors(&model)?, Vec::new());
        }
        let bytes = models::tflite(&model)?;
        context.log(&format!("{} bytes", bytes.len()));
        let mut blobs = Vec::new();
        if params.format == FileFormat::CArray {
            let (source, header) = c_source(&bytes, "model");
            blobs.push(("model.c".to_owned(), source.into_bytes()));
            blobs.push(("model.h".to_owned(), header.into_bytes()));
        }
        file("model.tflite", bytes, blobs)
    }
}

/// A file with its size, beside others.
fn file(name: &str, bytes: Vec<u8>, mut blobs: Vec<(String, Vec<u8>)>) -> Result<Output, StepError> {
    let sizes = Sizes::of([(name, bytes.as_slice())])?;
    blobs.push((name.to_owned(), bytes));
    Ok(Output {
        kind: ArtifactKind::File,
        blobs,
        decoded: None,
        document: Some(Document::Sizes(sizes)),
    })
}

/// A `.tflite` file as C: source and header, of an array called `name`. The source includes `name.h`.
pub fn c_source(tflite: &[u8], name: &str) -> (String, String) {
    let array = formats::tflite::c_array(tflite, name);
    (array.source, array.header)
}

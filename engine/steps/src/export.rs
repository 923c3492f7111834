//! `export`: write a model as a file that a device's runtime loads.
//!
//! The file is read back and compared with the model before the step succeeds.
//!
//! ```yaml
//! tflite: { export: { model: int8, format: tflite } }
//! ```

use formats::tensorflow::GRAPH;
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
    /// ONNX, `model.onnx`: channels-first at its inputs and outputs, quantized models with `QuantizeLinear` and `DequantizeLinear`.
    Onnx,
    /// The TensorFlow Lite file as a C array, `model.c` and `model.h`, for microcontrollers; beside `model.tflite`.
    CArray,
    /// TensorFlow SavedModel with its weights as constants, `saved_model.pb`; float networks only.
    SavedModel,
    /// The weights under their names, in PyTorch's layout, `model.safetensors`: for an imported state dict, as it would be after
    /// what has been done to it.
    Safetensors,
}

/// For whom an ONNX file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnnxProfile {
    /// Any runtime.
    #[default]
    Standard,
    /// TensorRT: symmetric activations, float biases. The log has the `trtexec` command that builds and times an engine.
    Tensorrt,
}

impl OnnxProfile {
    // Takes a reference for `skip_serializing_if`.
    fn is_standard(&self) -> bool {
        *self == OnnxProfile::Standard
    }
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
    /// For whom an ONNX file is written.
    #[serde(default, skip_serializing_if = "OnnxProfile::is_standard")]
    pub profile: OnnxProfile,
    /// `tflite` and `onnx`: weights that fit 4 bits are stored two a byte, which runtimes know from TensorFlow Lite 2.11 and ONNX
    /// opset 21 on. Otherwise each takes a byte, which every runtime loads, and a zip archive packs them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub packed_int4: bool,
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
        if params.packed_int4 && !matches!(params.format, FileFormat::Tflite | FileFormat::Onnx) {
            let problem = "packed-int4: is for TensorFlow Lite and ONNX files; remove it, or change the format";
            return Err(StepError::Params(problem.into()));
        }
        match params.format {
            FileFormat::Onnx => return onnx(&model, params, context),
            _ if !params.profile.is_standard() => {
                return Err(StepError::Params(
                    "profile: is for ONNX files; add `format: onnx`".into(),
                ));
            }
            FileFormat::Safetensors => {
                return file("model.safetensors", architecture::safetensors(&model)?, Vec::new());
            }
            FileFormat::SavedModel => return file(GRAPH, formats::tensorflow::write(&model)?, Vec::new()),
            FileFormat::Tflite | FileFormat::CArray => {}
        }
        let bytes = models::tflite(&model, params.packed_int4)?;
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

fn onnx(model: &ir::Graph, params: &Export, context: &Context<'_>) -> Result<Output, StepError> {
    let bytes = models::onnx(model, params.profile, params.packed_int4)?;
    context.log(&format!("{} bytes", bytes.len()));
    if params.profile == OnnxProfile::Tensorrt {
        context.log(&format!("build and time it with `{}`", trtexec(model)));
    }
    file("model.onnx", bytes, Vec::new())
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

/// The command that builds an engine of `model.onnx` and times it on one sample.
fn trtexec(model: &ir::Graph) -> String {
    let shape = |&id: &ir::TensorId| {
        let tensor = model.tensor(id);
        let dims = match *tensor.ty.shape.dims() {
            [n, h, w, c] => vec![n, c, h, w],
            ref dims => dims.to_vec(),
        };
        let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
        format!("{}:{}", tensor.name, dims.join("x"))
    };
    let shapes: Vec<String> = model.inputs().iter().map(shape).collect();
    let int8 = if model.tensors().iter().any(ir::Tensor::is_quantized) {
        " --int8"
    } else {
        ""
    };
    format!(
        "trtexec --onnx=model.onnx --saveEngine=model.engine --shapes={} --fp16{int8}",
        shapes.join(",")
    )
}

/// A `.tflite` file as C: source and header, of an array called `name`. The source includes `name.h`.
pub fn c_source(tflite: &[u8], name: &str) -> (String, String) {
    let array = formats::tflite::c_array(tflite, name);
    (array.source, array.header)
}

//! `export`: write a model as a file that a device's runtime loads.
//!
//! The file is read back and compared with the model before the step succeeds.
//!
//! ```yaml
//! tflite: { export: { model: int8, format: tflite } }
//! ```

mod tensorrt;

use formats::tensorflow::GRAPH;
use measure::Sizes;
use recipe::{ArtifactKind, Port, kind};
use report::Document;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Context, Inputs, Op, Output};
use crate::models::architecture;
use crate::{StepError, models};

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
    /// TensorRT: symmetric activations, float biases. The log has the `trtexec` command that builds and times an
    /// engine, and where it is on the PATH what came of it.
    Tensorrt,
}

impl OnnxProfile {
    // Takes a reference for `skip_serializing_if`.
    fn is_standard(&self) -> bool {
        *self == OnnxProfile::Standard
    }
}

/// What a caller may decide about a file, beside its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileOptions {
    /// For whom an ONNX file is written.
    pub profile: OnnxProfile,
    /// Whether the weights of an ONNX file lie in a file beside it.
    pub external_data: bool,
    /// Whether weights that fit 4 bits are stored two a byte.
    pub packed_int4: bool,
    /// Whether weights of a TensorFlow Lite file are stored without their zeros, where that is smaller.
    pub sparse: bool,
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
    /// `tflite`: store pruned weights without their zeros, as values and positions that the runtime unpacks when it starts (`DENSIFY`), from
    /// TensorFlow Lite 2.2 on. Only tensors that become smaller are stored so: float32 from about 25 % zeros on, int8 from about 60 %, and
    /// only where LiteRT's default kernels take them: not int8 fully connected layers, not convolutions of `dynamic-int8`.
    /// Nothing gets faster. It helps where files are stored unpacked: deflate packs zeros as well, and an int8 file better without this.
    /// Not for microcontrollers, whose runtime lacks the operator.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sparse: bool,
    /// Write the weights of an ONNX model into a file beside it, named after its content. Beyond 2 GB, where ONNX files end, this is
    /// done in any case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub external_data: bool,
}

/// What is left in an ONNX file for everything but weights; it ends at 2 GiB.
const MOST_WEIGHTS: u64 = (1 << 31) - (1 << 26);

/// The op.
pub struct ExportOp;

impl Op for ExportOp {
    type Params = Export;
    const NAME: &'static str = "export";
    const REVISION: u32 = 2;
    const SUMMARY: &'static str = "Writes a model as a file that a device's runtime loads.";
    const PRODUCES: ArtifactKind = ArtifactKind::File;
    const EXAMPLE: &'static str = "tflite: { export: { model: int8, format: tflite } }";

    fn run(params: &Export, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = inputs.one("model")?.model()?;
        let options = FileOptions {
            profile: params.profile,
            external_data: params.external_data,
            packed_int4: params.packed_int4,
            sparse: params.sparse,
        };
        let files = files(&model, params.format, options, context.log)?;
        // C source is the TFLite file once more.
        let counted = files
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "model.c" | "model.h"));
        let sizes = Sizes::of(counted.map(|(name, bytes)| (name.as_str(), bytes.as_slice())))?;
        Ok(Output {
            kind: ArtifactKind::File,
            blobs: files,
            decoded: None,
            document: Some(Document::Sizes(sizes)),
        })
    }
}

/// The files of a model, by name: that which a runtime loads first, then what lies beside it.
///
/// # Errors
/// Options of another format, and what the format cannot hold.
pub fn files(
    model: &ir::Graph,
    format: FileFormat,
    options: FileOptions,
    log: &dyn Fn(&str),
) -> Result<Vec<(String, Vec<u8>)>, StepError> {
    let stray = |what: &str| StepError::Params(format!("{what}: is for ONNX files; add `format: onnx`"));
    if format != FileFormat::Onnx && !options.profile.is_standard() {
        return Err(stray("profile"));
    }
    if format != FileFormat::Onnx && options.external_data {
        return Err(stray("external-data"));
    }
    if options.packed_int4 && !matches!(format, FileFormat::Tflite | FileFormat::Onnx) {
        let problem = "packed-int4: is for TensorFlow Lite and ONNX files; remove it, or change the format";
        return Err(StepError::Params(problem.into()));
    }
    if options.sparse && format != FileFormat::Tflite {
        let problem = match format {
            FileFormat::CArray => {
                "sparse: runtimes on microcontrollers have no operator that unpacks sparse weights; remove it, or write format: tflite"
            }
            _ => "sparse: is for TensorFlow Lite files; remove it, or write format: tflite",
        };
        return Err(StepError::Params(problem.into()));
    }
    let mut files = match format {
        FileFormat::Tflite if options.sparse => vec![("model.tflite".to_owned(), sparse(model, options, log)?)],
        FileFormat::Onnx => onnx(model, options, log)?,
        FileFormat::Safetensors => vec![("model.safetensors".to_owned(), architecture::safetensors(model)?)],
        FileFormat::SavedModel => vec![(GRAPH.to_owned(), formats::tensorflow::write(model)?)],
        FileFormat::Tflite | FileFormat::CArray => {
            vec![("model.tflite".to_owned(), models::tflite(model, options.packed_int4)?)]
        }
    };
    for (name, bytes) in &files {
        log(&format!("{} bytes in {name}", bytes.len()));
    }
    if format == FileFormat::CArray {
        let (source, header) = c_source(&files[0].1, "model");
        files.push(("model.c".to_owned(), source.into_bytes()));
        files.push(("model.h".to_owned(), header.into_bytes()));
    }
    Ok(files)
}

/// A `.tflite` file with sparse weights; the log says which, and what became of them.
fn sparse(model: &ir::Graph, options: FileOptions, log: &dyn Fn(&str)) -> Result<Vec<u8>, StepError> {
    let written = models::tflite_sparse(model, options.packed_int4)?;
    for tensor in &written.tensors {
        log(&format!(
            "{}: {} bytes stored sparsely in {}",
            tensor.name, tensor.dense_bytes, tensor.sparse_bytes
        ));
    }
    let (dense, small) = written
        .tensors
        .iter()
        .fold((0, 0), |(d, s), t| (d + t.dense_bytes, s + t.sparse_bytes));
    log(&match written.tensors.len() {
        0 => "no weights have zeros enough to be smaller in sparse form; all are stored densely".to_owned(),
        n => format!("{n} tensors stored sparsely: {dense} bytes in {small}"),
    });
    Ok(written.bytes)
}

fn onnx(model: &ir::Graph, options: FileOptions, log: &dyn Fn(&str)) -> Result<Vec<(String, Vec<u8>)>, StepError> {
    let stored = model.tensors().iter().filter(|tensor| tensor.data.is_some());
    let weights: u64 = stored.map(|tensor| tensor.ty.bytes() as u64).sum();
    let mut files = Vec::new();
    if options.external_data || weights > MOST_WEIGHTS {
        let split = models::onnx_split(model, options)?;
        files.push(("model.onnx".to_owned(), split.model));
        files.push((split.location, split.weights));
    } else {
        files.push(("model.onnx".to_owned(), models::onnx(model, options)?));
    }
    if options.profile == OnnxProfile::Tensorrt {
        tensorrt::report(model, &files, log);
    }
    Ok(files)
}

/// A `.tflite` file as C: source and header, of an array called `name`. The source includes `name.h`.
pub fn c_source(tflite: &[u8], name: &str) -> (String, String) {
    let array = formats::tflite::c_array(tflite, name);
    (array.source, array.header)
}

//! The files that a network is written as: formats, options, names.

use formats::tensorflow::GRAPH;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::summary::hex;
use crate::write::{onnx, onnx_split, sparse_as, tflite_as};
use crate::{ModelError, architecture, guests, tensorrt};

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
    /// Whether nothing special is asked for. Takes a reference for `skip_serializing_if`.
    pub fn is_standard(&self) -> bool {
        *self == OnnxProfile::Standard
    }
}

/// The key of the step that writes a file: 32 bytes that its op, its parameters and the content of its inputs determine. A file that names it is
/// still determined by them, which a file that names its recipe would not be: the record of the run says which recipe that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepKey(pub [u8; 32]);

impl StepKey {
    /// The name of the metadata that hold the key, in hexadecimal digits.
    pub const NAME: &'static str = "pipeline.key";

    /// As metadata: the name and the digits.
    pub(crate) fn metadata(self) -> (String, String) {
        (Self::NAME.to_owned(), hex(&self.0))
    }
}

/// The key of the step that wrote a `.tflite` or `.onnx` file, in hexadecimal digits, as the file says it.
pub fn named_key(file: &[u8]) -> Option<String> {
    let in_tflite = || String::from_utf8(formats::tflite::metadata(file, StepKey::NAME)?).ok();
    in_tflite().or_else(|| formats::onnx::metadata(file, StepKey::NAME))
}

/// What a caller may decide about a file, beside its format.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
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
    /// Whether operators that the format's runtimes do not have are written all the same.
    pub keep_unknown: bool,
    /// The step that writes it, which the file then names.
    pub step: Option<StepKey>,
}

/// What is left in an ONNX file for everything but weights; it ends at 2 GiB.
const MOST_WEIGHTS: u64 = (1 << 31) - (1 << 26);

/// The files of a model, by name: that which a runtime loads first, then what lies beside it.
///
/// # Errors
/// Options of another format, and what the format cannot hold.
pub fn files(
    model: &ir::Graph,
    format: FileFormat,
    options: FileOptions,
    log: &dyn Fn(&str),
) -> Result<Vec<(String, Vec<u8>)>, ModelError> {
    let stray = |what: &str| ModelError::Refused(format!("{what}: is for ONNX files; add `format: onnx`"));
    if format != FileFormat::Onnx && !options.profile.is_standard() {
        return Err(stray("profile"));
    }
    if format != FileFormat::Onnx && options.external_data {
        return Err(stray("external-data"));
    }
    if options.packed_int4 && !matches!(format, FileFormat::Tflite | FileFormat::Onnx) {
        let problem = "packed-int4: is for TensorFlow Lite and ONNX files; remove it, or change the format";
        return Err(ModelError::Refused(problem.into()));
    }
    if options.sparse && format != FileFormat::Tflite {
        let problem = match format {
            FileFormat::CArray => {
                "sparse: runtimes on microcontrollers have no operator that unpacks sparse weights; remove it, or write format: tflite"
            }
            _ => "sparse: is for TensorFlow Lite files; remove it, or write format: tflite",
        };
        return Err(ModelError::Refused(problem.into()));
    }
    guests::check(model, format, options.keep_unknown, log)?;
    let mut files = match format {
        FileFormat::Tflite if options.sparse => vec![("model.tflite".to_owned(), sparse(model, options, log)?)],
        FileFormat::Onnx => onnx_files(model, options, log)?,
        FileFormat::Safetensors => vec![("model.safetensors".to_owned(), architecture::safetensors(model)?)],
        FileFormat::SavedModel => vec![(GRAPH.to_owned(), formats::tensorflow::write(model)?)],
        FileFormat::Tflite | FileFormat::CArray => vec![("model.tflite".to_owned(), tflite_as(model, options)?)],
    };
    for (name, bytes) in &files {
        log(&format!("{} bytes in {name}", bytes.len()));
    }
    if format == FileFormat::CArray {
        let (source, header) = c_source(&files[0].1, "model");
        files.push(("model.c".to_owned(), source.into_bytes()));
        files.push(("model.h".to_owned(), header.into_bytes()));
    }
    if let Some(step) = options.step
        && matches!(format, FileFormat::SavedModel | FileFormat::Safetensors)
    {
        let (name, bytes) = &files[0];
        files.push((format!("{name}{BESIDE}"), beside(step, name, bytes)?));
    }
    Ok(files)
}

/// What the name of a file that has no place for its step has more where the step is named beside it. No runtime reads that.
pub const BESIDE: &str = ".json";

/// The step's key, and the digest of the file that it belongs to.
fn beside(step: StepKey, name: &str, bytes: &[u8]) -> Result<Vec<u8>, ModelError> {
    let text = serde_json::json!({
        "file": name,
        "sha256": hex(&Sha256::digest(bytes)),
        (StepKey::NAME): hex(&step.0),
    });
    let json = serde_json::to_vec_pretty(&text);
    json.map_err(|error| ModelError::Lost(format!("cannot encode what lies beside {name}: {error}")))
}

/// A `.tflite` file with sparse weights; the log says which, and what became of them.
fn sparse(model: &ir::Graph, options: FileOptions, log: &dyn Fn(&str)) -> Result<Vec<u8>, ModelError> {
    let written = sparse_as(model, options)?;
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

fn onnx_files(
    model: &ir::Graph,
    options: FileOptions,
    log: &dyn Fn(&str),
) -> Result<Vec<(String, Vec<u8>)>, ModelError> {
    let stored = model.tensors().iter().filter(|tensor| tensor.data.is_some());
    let weights: u64 = stored.map(|tensor| tensor.ty.bytes() as u64).sum();
    let mut files = Vec::new();
    if options.external_data || weights > MOST_WEIGHTS {
        let split = onnx_split(model, options)?;
        files.push(("model.onnx".to_owned(), split.model));
        files.push((split.location, split.weights));
    } else {
        files.push(("model.onnx".to_owned(), onnx(model, options)?));
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

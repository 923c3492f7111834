//! What steps on models share: preparing for integer schemes, and the output with its summary.

pub mod architecture;
pub mod inference;
pub mod inspection;
pub mod operator_support;
pub(crate) mod saved_model;
pub(crate) mod second_opinion;

use std::path::Path;
use std::sync::Arc;

use ir::{ElementType, Graph, GraphError, Op, Tensor, passes};
use measure::TensorBytes;
use recipe::ArtifactKind;
use report::{Document, EffectRow, ModelSummary};
use sha2::{Digest, Sha256};

use crate::StepError;
use crate::contract::{Artifact, Output};
use crate::ops::export::{FileOptions, OnnxProfile};
use crate::ops::import::ModelFormat;

/// Folded and lowered: the form whose activations are calibrated and quantized, and which TFLite can hold.
///
/// Preparing is idempotent and keeps the names of the tensors that remain.
pub fn prepared(model: &Graph) -> Result<Graph, GraphError> {
    let mut graph = model.clone();
    passes::fold(&mut graph)?;
    passes::lower(&mut graph)?;
    passes::fold(&mut graph)?;
    Ok(graph)
}

/// A prepared model without the transposes that weights can take up, such as those before a flattened image is read.
///
/// State dicts are written from models before this: it changes the order of weights, and keeps their names.
pub fn laid_out(mut prepared: Graph) -> Result<Graph, GraphError> {
    if prepared.transposes() > 0 {
        passes::channels_last_with(&mut prepared, passes::Interface::AsStated)?;
    }
    Ok(prepared)
}

/// What a model consists of.
pub fn summary(graph: &Graph, effect: Vec<EffectRow>) -> ModelSummary {
    let stored = graph.tensors().iter().filter(|t| t.data.is_some());
    let stored = stored.map(|t| (t.ty.element, t.ty.shape.elements() as u64, t.ty.bytes() as u64));
    let named: Vec<_> = stored.map(|(e, n, b)| (e.to_string(), n, b)).collect();
    let unknown = graph.nodes().iter().any(|n| matches!(n.op, Op::Custom(_)));
    ModelSummary {
        parameters: graph.parameters() as u64,
        macs: (!unknown).then(|| graph.macs()),
        layers: graph.nodes().len() as u64,
        tensors: TensorBytes::summarize(named.iter().map(|(e, n, b)| (e.as_str(), *n, *b))),
        effect,
    }
}

/// A model as the output of a step, with its summary as notes and beside it.
pub fn output(graph: Graph, effect: Vec<EffectRow>) -> Result<Output, StepError> {
    let summary = summary(&graph, effect);
    let blobs = formats::store::to_blobs(&graph)?;
    let blobs = blobs
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect();
    let document = Some(Document::Model(summary));
    Ok(Output {
        kind: ArtifactKind::Model,
        blobs,
        decoded: Some(Arc::new(graph)),
        document,
    })
}

/// The graph at a port that takes a model or an exported file.
pub fn graph_of(artifact: &Artifact) -> Result<Arc<Graph>, StepError> {
    match artifact.kind {
        ArtifactKind::File => artifact.exported_model(),
        _ => artifact.model(),
    }
}

/// The names of files beside a model's that hold its weights: for `.onnx` files alone.
pub fn companions(path: &Path) -> Result<Vec<String>, StepError> {
    if path.extension().is_none_or(|extension| extension != "onnx") {
        return Ok(Vec::new());
    }
    let problem = |problem: String| StepError::File {
        path: path.display().to_string(),
        problem,
    };
    let bytes = std::fs::read(path).map_err(|e| problem(e.to_string()))?;
    formats::onnx::external_files(&bytes).map_err(|e| problem(e.to_string()))
}

/// Gives the bytes of weights in other files than the model's.
pub type External<'a> = &'a dyn Fn(&formats::onnx::ExternalData) -> Result<Vec<u8>, String>;

/// Reads a model file; `label` is its name for messages.
pub fn read(
    bytes: &[u8],
    label: &str,
    format: ModelFormat,
    input_shape: Option<Vec<usize>>,
    external: External<'_>,
) -> Result<Graph, StepError> {
    let format = match format {
        ModelFormat::Auto if formats::keras::recognizes(bytes) => ModelFormat::Keras,
        ModelFormat::Auto if bytes.get(4..8) == Some(b"TFL3") => ModelFormat::Tflite,
        ModelFormat::Auto if formats::onnx::recognize(bytes) => ModelFormat::Onnx,
        ModelFormat::Auto if formats::torch::is_torch(bytes) => ModelFormat::Torch,
        ModelFormat::Auto => {
            let known = "not a Keras (.h5, .keras), ONNX (.onnx), PyTorch (.pth, .safetensors) or TensorFlow Lite (.tflite) file, the formats that are recognized";
            return Err(StepError::File {
                path: label.into(),
                problem: known.into(),
            });
        }
        named => named,
    };
    let read = match format {
        ModelFormat::Onnx => formats::onnx::read_with(bytes, &formats::onnx::ImportOptions { input_shape }, external),
        ModelFormat::Torch => {
            let problem = "holds weights and no network; name one: `architecture: NETWORK.yaml`, such as those in recipes/architectures";
            return Err(StepError::File {
                path: label.into(),
                problem: problem.into(),
            });
        }
        ModelFormat::SavedModel => {
            let problem = "is one file; a SavedModel is a folder: name it, or an archive of it";
            return Err(StepError::File {
                path: label.into(),
                problem: problem.into(),
            });
        }
        ModelFormat::Tflite => formats::tflite::read(bytes),
        ModelFormat::Keras | ModelFormat::Auto => {
            let options = formats::keras::ImportOptions {
                input_shape,
                ..Default::default()
            };
            formats::keras::read_with(bytes, &options)
        }
    };
    read.map_err(|e| StepError::File {
        path: label.into(),
        problem: e.to_string(),
    })
}

/// A model as a `.tflite` file, prepared if it is a float model, and read back to be sure of it.
///
/// `packed_int4`: weights that fit 4 bits are stored two a byte.
pub fn tflite(model: &Graph, packed_int4: bool) -> Result<Vec<u8>, StepError> {
    tflite_with(model, |graph| {
        let options = formats::tflite::WriteOptions {
            packed_int4,
            ..Default::default()
        };
        let bytes = formats::tflite::write_with(graph, &options)?;
        Ok((formats::tflite::read(&bytes)?, bytes))
    })
}

/// [`tflite`], with weights stored without their zeros where this is smaller and runtimes load it.
pub fn tflite_sparse(model: &Graph, packed_int4: bool) -> Result<formats::tflite::Sparse, StepError> {
    tflite_with(model, |graph| {
        let options = formats::tflite::WriteOptions {
            packed_int4,
            ..Default::default()
        };
        let sparse = formats::tflite::write_sparse(graph, &options)?;
        Ok((formats::tflite::read(&sparse.bytes)?, sparse))
    })
}

fn tflite_with<T>(
    model: &Graph,
    write: impl FnOnce(&Graph) -> Result<(Graph, T), formats::FormatError>,
) -> Result<T, StepError> {
    let quantized = model
        .tensors()
        .iter()
        .any(|t| t.is_quantized() || t.ty.element == ElementType::F16);
    let graph = if quantized {
        model.clone()
    } else {
        laid_out(prepared(model)?)?
    };
    let (read, written) = write(&graph)?;
    let lost = |what: &str, before: usize, after: usize| {
        StepError::NoEffect(format!(
            "the written file has {after} {what}, the model {before}; this is a bug, please report it"
        ))
    };
    if read.inputs().len() != graph.inputs().len() || read.outputs().len() != graph.outputs().len() {
        return Err(lost(
            "inputs and outputs",
            graph.inputs().len() + graph.outputs().len(),
            read.inputs().len() + read.outputs().len(),
        ));
    }
    if read.parameters() != graph.parameters() {
        return Err(lost("parameters", graph.parameters(), read.parameters()));
    }
    Ok(written)
}

/// A model as an `.onnx` file, batch norms folded if it is a float model, and read back to be sure of it.
///
/// # Errors
/// What ONNX cannot hold.
pub fn onnx(model: &Graph, options: FileOptions) -> Result<Vec<u8>, StepError> {
    onnx_with(model, options, |graph, options| {
        let bytes = formats::onnx::write_with(graph, options)?;
        let read = formats::onnx::read(&bytes)?;
        Ok((bytes, read))
    })
}

/// [`onnx`], with the weights in a file that is named after its content.
pub fn onnx_split(model: &Graph, options: FileOptions) -> Result<formats::onnx::Split, StepError> {
    onnx_with(model, options, |graph, options| {
        let split = formats::onnx::write_split(graph, options, |weights| format!("{}{WEIGHTS}", digest(weights)))?;
        let part = |data: &formats::onnx::ExternalData| part(&split.weights, data);
        let read = formats::onnx::read_with(&split.model, &formats::onnx::ImportOptions::default(), &part)?;
        Ok((split, read))
    })
}

/// The ending of files with the weights of an ONNX model. They are known to it by their names, which are therefore kept.
pub const WEIGHTS: &str = ".weights";

/// The first 16 digits of a SHA-256.
fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..8])
}

/// Two hexadecimal digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("half a byte");
    bytes
        .iter()
        .flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// SHA-256 of a network as it is stored.
pub(crate) fn identity(graph: &Graph) -> Result<String, StepError> {
    let mut hasher = Sha256::new();
    for (name, bytes) in formats::store::to_blobs(graph)? {
        hasher.update(format!("{name} {}\n", bytes.len()));
        hasher.update(bytes);
    }
    Ok(hex(&hasher.finalize()))
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

fn onnx_with<T>(
    model: &Graph,
    options: FileOptions,
    write: impl FnOnce(&Graph, &formats::onnx::WriteOptions) -> Result<(T, Graph), formats::FormatError>,
) -> Result<T, StepError> {
    let mut graph = model.clone();
    if !model.tensors().iter().any(Tensor::is_quantized) {
        passes::fold(&mut graph)?;
    }
    // ONNX has layer norms, and its runtimes kernels for them.
    passes::raise(&mut graph)?;
    let written_as = formats::onnx::WriteOptions {
        profile: match options.profile {
            OnnxProfile::Standard => formats::onnx::Profile::Standard,
            OnnxProfile::Tensorrt => formats::onnx::Profile::TensorRt,
        },
        packed_int4: options.packed_int4,
        ..Default::default()
    };
    let (written, read) = write(&graph, &written_as)?;
    let border = |g: &Graph| {
        let ids = g.inputs().iter().chain(g.outputs());
        ids.map(|&id| g.tensor(id).ty.clone()).collect::<Vec<_>>()
    };
    // What only moves values may disappear on the way; what computes must not.
    let integer = |g: &Graph| {
        let layers = g.nodes().iter().filter(|node| !node.op.moves());
        layers.filter(|node| g.tensor(node.inputs[0]).is_quantized()).count()
    };
    // TensorRT's ranges are not those that softmax and its like have here, so that these are read back as floats.
    let fewer = options.profile == OnnxProfile::Standard && integer(&read) < integer(&graph);
    if border(&read) != border(&graph) || fewer {
        return Err(StepError::NoEffect(format!(
            "the written file has {} integer layers and the borders {:?}, the model {} and {:?}; this is a bug, please report it",
            integer(&read),
            border(&read),
            integer(&graph),
            border(&graph)
        )));
    }
    Ok(written)
}

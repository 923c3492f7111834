//! A network as a file, read back before it is handed out: what is lost on the way is refused.

use ir::{ElementType, Graph, Tensor, passes};
use sha2::{Digest, Sha256};

use crate::ModelError;
use crate::files::{FileOptions, OnnxProfile, StepKey};
use crate::prepare::{laid_out, prepared};
use crate::read::part;
use crate::summary::hex;

/// A model as a `.tflite` file, prepared if it is a float model, and read back to be sure of it.
///
/// `packed_int4`: weights that fit 4 bits are stored two a byte.
pub fn tflite(model: &Graph, packed_int4: bool) -> Result<Vec<u8>, ModelError> {
    let options = FileOptions {
        packed_int4,
        ..FileOptions::default()
    };
    tflite_as(model, options)
}

/// [`tflite`], with all that there is to decide.
pub(crate) fn tflite_as(model: &Graph, options: FileOptions) -> Result<Vec<u8>, ModelError> {
    tflite_with(model, |graph| {
        let bytes = formats::tflite::write_with(graph, &tflite_options(options))?;
        Ok((formats::tflite::read(&bytes)?, bytes))
    })
}

/// [`tflite`], with weights stored without their zeros where this is smaller and runtimes load it.
pub fn tflite_sparse(model: &Graph, packed_int4: bool) -> Result<formats::tflite::Sparse, ModelError> {
    let options = FileOptions {
        packed_int4,
        ..FileOptions::default()
    };
    sparse_as(model, options)
}

/// [`tflite_sparse`], with all that there is to decide.
pub(crate) fn sparse_as(model: &Graph, options: FileOptions) -> Result<formats::tflite::Sparse, ModelError> {
    tflite_with(model, |graph| {
        let sparse = formats::tflite::write_sparse(graph, &tflite_options(options))?;
        Ok((formats::tflite::read(&sparse.bytes)?, sparse))
    })
}

fn tflite_options(options: FileOptions) -> formats::tflite::WriteOptions {
    let named = options.step.map(StepKey::metadata);
    formats::tflite::WriteOptions {
        packed_int4: options.packed_int4,
        metadata: named.map(|(name, key)| (name, key.into_bytes())).into_iter().collect(),
        ..Default::default()
    }
}

fn tflite_with<T>(
    model: &Graph,
    write: impl FnOnce(&Graph) -> Result<(Graph, T), formats::FormatError>,
) -> Result<T, ModelError> {
    let quantized = model
        .tensors()
        .iter()
        .any(|t| t.is_quantized() || t.ty.element == ElementType::F16);
    let graph = if quantized {
        // What stayed in floats around integers is lowered as well.
        let mut graph = model.clone();
        passes::lower(&mut graph)?;
        graph
    } else {
        laid_out(prepared(model)?)?
    };
    let (read, written) = write(&graph)?;
    let lost = |what: &str, before: usize, after: usize| {
        ModelError::Lost(format!(
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
pub fn onnx(model: &Graph, options: FileOptions) -> Result<Vec<u8>, ModelError> {
    onnx_with(model, options, |graph, options| {
        let bytes = formats::onnx::write_with(graph, options)?;
        let read = formats::onnx::read(&bytes)?;
        Ok((bytes, read))
    })
}

/// [`onnx`], with the weights in a file that is named after its content.
pub fn onnx_split(model: &Graph, options: FileOptions) -> Result<formats::onnx::Split, ModelError> {
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

fn onnx_with<T>(
    model: &Graph,
    options: FileOptions,
    write: impl FnOnce(&Graph, &formats::onnx::WriteOptions) -> Result<(T, Graph), formats::FormatError>,
) -> Result<T, ModelError> {
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
        metadata: options.step.map(StepKey::metadata).into_iter().collect(),
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
        return Err(ModelError::Lost(format!(
            "the written file has {} integer layers and the borders {:?}, the model {} and {:?}; this is a bug, please report it",
            integer(&read),
            border(&read),
            integer(&graph),
            border(&graph)
        )));
    }
    Ok(written)
}

//! Graph → file.
//!
//! Every tensor of the graph has a name in the file in the layout in which its node makes it; the other layout is a `Transpose`
//! away and made when a reader asks. Integer operators are written as ONNX knows them: the operator on floats, with
//! `DequantizeLinear` before and `QuantizeLinear` behind it.

mod attributes;
mod elementwise;
mod gate;
mod linear;
mod movement;
mod recurrent;
mod values;

use ir::{Graph, Op};
use prost::Message;

use super::node::NEWEST_OPSET;
use super::{STANDARD, invalid, proto, unsupported};
use crate::FormatError;
use values::Emitter;

/// The version of the operators that are written: old enough for every current runtime, new enough for `LayerNormalization`.
const OPSET: i64 = 17;
/// The version that came with 4-bit integers.
const INT4: i64 = 21;

/// The version of the format that came with a version of the operators. Source: `docs/Versioning.md`.
const fn ir_version(opset: i64) -> i64 {
    match opset {
        ..=18 => 8,
        19..=20 => 9,
        21..=22 => 10,
        23 => 11,
        24 => 12,
        25..=27 => 13,
        28.. => 14,
    }
}

/// For whom a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Any runtime: quantized models with the scales and zero points that they have.
    #[default]
    Standard,
    /// TensorRT, which takes zero points of 0 and float biases: ranges of activations are widened to symmetric ones.
    TensorRt,
}

/// What a caller may decide about a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// For whom it is.
    pub profile: Profile,
    /// Whether 4-bit weights are stored two a byte, for runtimes of opset 21 and later.
    pub packed_int4: bool,
    /// Further metadata, by name.
    pub metadata: Vec<(String, String)>,
}

/// An ONNX file that computes what `graph` computes, for any number of samples `N` where its operators allow it.
///
/// # Errors
/// An operator that ONNX does not have in this form, unsigned integers inside, or a file beyond 2 GiB; the node is named.
pub fn write(graph: &Graph) -> Result<Vec<u8>, FormatError> {
    write_with(graph, &WriteOptions::default())
}

/// [`write()`], with options.
///
/// # Errors
/// As [`write()`].
pub fn write_with(graph: &Graph, options: &WriteOptions) -> Result<Vec<u8>, FormatError> {
    encoded(graph, &message(graph, options)?)
}

/// A model whose weights are in a file beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The ONNX file.
    pub model: Vec<u8>,
    /// The name that the model knows the other file by.
    pub location: String,
    /// The other file: the tensors one after the other.
    pub weights: Vec<u8>,
}

/// [`write_with`], with the weights in a file of their own, which may be larger than 2 GiB; `name` says what it is called, from
/// its bytes. Constants of less than 1 KiB stay in the model, where checkers and shape inference look for them.
///
/// # Errors
/// As [`write()`], but for the limit.
pub fn write_split(
    graph: &Graph,
    options: &WriteOptions,
    name: impl FnOnce(&[u8]) -> String,
) -> Result<Split, FormatError> {
    let mut model = message(graph, options)?;
    let tensors = model.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
    let mut outside: Vec<(&mut proto::Tensor, Vec<proto::Entry>)> = Vec::new();
    let mut weights = Vec::new();
    for tensor in tensors {
        let Some(raw) = tensor.raw_data.take_if(|raw| raw.len() >= 1024) else {
            continue;
        };
        // Whole cache lines, for runtimes that map the file.
        weights.resize(weights.len().next_multiple_of(64), 0);
        let entry = |key: &str, value: usize| proto::Entry {
            key: key.to_owned(),
            value: value.to_string(),
        };
        outside.push((tensor, vec![entry("offset", weights.len()), entry("length", raw.len())]));
        weights.extend_from_slice(&raw);
    }
    let location = name(&weights);
    for (tensor, mut entries) in outside {
        let place = proto::Entry {
            key: "location".to_owned(),
            value: location.clone(),
        };
        entries.insert(0, place);
        tensor.external_data = entries;
        tensor.data_location = 1;
    }
    let model = encoded(graph, &model)?;
    Ok(Split {
        model,
        location,
        weights,
    })
}

fn message(graph: &Graph, options: &WriteOptions) -> Result<proto::Model, FormatError> {
    graph.verify().map_err(invalid)?;
    let standard = gate::Standard::new();
    let opset = opset(graph, options, &standard)?;
    let mut emitter = Emitter::new(graph, options, opset);
    for node in graph.nodes() {
        emitter.node(node)?;
    }
    let domains = custom_domains(graph);
    let metadata = options.metadata.iter().map(|(key, value)| proto::Entry {
        key: key.clone(),
        value: value.clone(),
    });
    let model = proto::Model {
        ir_version: ir_version(opset),
        producer_name: "pipeline".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(emitter.finish()?),
        opset_import: std::iter::once(proto::OperatorSet {
            domain: String::new(),
            version: opset,
        })
        .chain(domains)
        .collect(),
        metadata: metadata.collect(),
        functions: Vec::new(),
    };
    gate::check(&model, &standard)?;
    Ok(model)
}

/// The version of the standard operators: the least in which all that the graph carries from other files means what it meant there.
fn opset(graph: &Graph, options: &WriteOptions, standard: &gate::Standard) -> Result<i64, FormatError> {
    let small = !values::packed(graph, options).is_empty() || graph.tensors().iter().any(ir::Tensor::has_blocks);
    let mut fitting: Vec<i64> = (if small { INT4 } else { OPSET }..=NEWEST_OPSET).collect();
    for node in graph.nodes() {
        let Op::Custom(op) = &node.op else { continue };
        if op.domain != STANDARD {
            continue;
        }
        let from = written_for(op);
        fitting.retain(|&to| standard.carries(&op.name, from, to));
        if fitting.is_empty() {
            let problem = format!(
                "{} of version {from} of the operators has no place beside the others",
                op.name
            );
            let fix = "convert the model that it comes from with `onnx.version_converter`";
            return Err(unsupported(place(node), problem, fix));
        }
    }
    Ok(fitting[0])
}

/// The version of its domain's operators that a carried one was written for.
fn written_for(op: &ir::ops::Custom) -> i64 {
    let version = proto::Kept::decode(op.attributes.as_slice()).map_or(0, |kept| kept.version);
    match version {
        0 if op.domain == STANDARD => OPSET,
        0 => 1,
        version => version,
    }
}

fn encoded(graph: &Graph, model: &proto::Model) -> Result<Vec<u8>, FormatError> {
    let size = model.encoded_len();
    if i32::try_from(size).is_err() {
        let problem = format!("the file would have {size} bytes, protobufs end at 2 GiB");
        return Err(unsupported(
            format!("model `{}`", graph.name),
            problem,
            "write the weights into a file of their own (`external-data: true`)",
        ));
    }
    Ok(model.encode_to_vec())
}

/// The domains of carried operators, each once, in the newest version that one of them was written for.
fn custom_domains(graph: &Graph) -> Vec<proto::OperatorSet> {
    let mut domains: Vec<proto::OperatorSet> = Vec::new();
    for node in graph.nodes() {
        let Op::Custom(op) = &node.op else { continue };
        if op.domain == STANDARD {
            continue;
        }
        let version = if op.domain == crate::tflite::CUSTOM {
            1
        } else {
            written_for(op)
        };
        match domains.iter_mut().find(|set| set.domain == op.domain) {
            Some(set) => set.version = set.version.max(version),
            None => domains.push(proto::OperatorSet {
                domain: op.domain.clone(),
                version,
            }),
        }
    }
    domains
}

impl Emitter<'_> {
    fn node(&mut self, node: &ir::Node) -> Result<(), FormatError> {
        match &node.op {
            Op::Conv2d(op) => self.conv2d(node, op),
            Op::DepthwiseConv2d(op) => self.depthwise_conv2d(node, op),
            Op::TransposeConv2d(op) => self.transpose_conv2d(node, op),
            Op::FullyConnected(op) => self.fully_connected(node, op),
            Op::MatMul(op) => self.mat_mul(node, op),
            Op::BatchNorm(op) => self.batch_norm(node, op),
            Op::LayerNorm(op) => self.layer_norm(node, op),
            Op::Recurrent(op) => self.recurrent(node, op),
            Op::Cast(op) => self.cast(node, op.to),
            Op::MaxPool2d(op) => self.max_pool2d(node, op),
            Op::AveragePool2d(op) => self.average_pool2d(node, op),
            Op::Mean(op) => self.reduce(node, "ReduceMean", &op.axes, op.keep_dims),
            Op::ReduceSum(op) => self.reduce(node, "ReduceSum", &op.axes, op.keep_dims),
            Op::ReduceMax(op) => self.reduce(node, "ReduceMax", &op.axes, op.keep_dims),
            Op::ReduceMin(op) => self.reduce(node, "ReduceMin", &op.axes, op.keep_dims),
            Op::ArgMax(op) => self.arg_max(node, op),
            Op::Select(_) => self.select(node),
            Op::Concat(op) => self.concat(node, op),
            Op::Split(op) => self.split(node, op),
            Op::Slice(op) => self.slice(node, op),
            Op::Gather(op) => self.gather(node, op),
            Op::Pad(op) => self.pad(node, op),
            Op::Reshape(op) => self.reshape(node, op),
            Op::Transpose(op) => self.transpose(node, op),
            Op::Resize(op) => self.resize(node, op),
            Op::Quantize(_) => self.quantize(node),
            Op::Dequantize(_) => self.dequantize(node),
            Op::Custom(op) => self.custom(node, op),
            Op::Function(function) => self.function(node, *function),
            Op::Softmax(op) => self.softmax(node, op.beta),
            Op::Dropout(op) => self.passed(node, Some(op.rate)),
            Op::Identity(_) => self.passed(node, None),
            Op::Add(op) => self.binary(node, "Add", op.activation),
            Op::Sub(op) => self.binary(node, "Sub", op.activation),
            Op::Mul(op) => self.binary(node, "Mul", op.activation),
            Op::Div(op) => self.binary(node, "Div", op.activation),
            Op::Pow(_) => self.binary(node, "Pow", ir::ops::Activation::None),
            Op::Minimum(_) => self.binary(node, "Min", ir::ops::Activation::None),
            Op::Maximum(_) => self.binary(node, "Max", ir::ops::Activation::None),
            Op::PRelu(_) => self.binary(node, "PRelu", ir::ops::Activation::None),
        }
    }
}

/// How messages name a node.
fn place(node: &ir::Node) -> String {
    format!("node `{}`", node.name)
}

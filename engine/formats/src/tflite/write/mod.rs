//! Graph → file.
//!
//! The tensors of the graph come first, in its order; constants that TFLite wants as tensors where the graph has
//! attributes (shapes, axes, paddings) follow, equal ones shared. Buffer 0 is empty, as the schema demands.

mod gate;
mod layout;
mod ops;
mod recurrent;
mod sparse;
mod version;
mod windows;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use ir::{Constant, ElementType, Graph, Op, Place, Quantization, Samples, TensorId, TensorType};

use super::builtin::{Builtin, Runtime};
use super::flatbuffer::{Aligned, Writer};
use super::schema::{
    Buffer, Metadata, Model, Operator, OperatorCode, Options, QuantizationParameters, SignatureDef, SparsityParameters,
    SubGraph, TensorMap,
};
use super::{IDENTIFIER, invalid, schema, unsupported};
use crate::{FormatError, int4};

pub use sparse::{Sparse, SparseTensor, write_sparse};

/// What a file says beside the graph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteOptions {
    /// Further metadata, by name. The names `min_runtime_version` and `provenance` are taken.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// Whether 4-bit weights are stored two a byte, for runtimes from 2.11 on.
    pub packed_int4: bool,
    /// For people; by default what wrote the file.
    pub description: Option<String>,
}

/// A `.tflite` file that computes what `graph` computes, for any number of samples at once; with transposed convolutions,
/// whose output shape is fixed in the format, for one.
///
/// # Errors
/// An operator that TFLite does not have, or not in this form; it is named, with what removes it.
pub fn write(graph: &Graph) -> Result<Vec<u8>, FormatError> {
    write_with(graph, &WriteOptions::default())
}

/// Like [`write()`], with more to say.
///
/// # Errors
/// As [`write()`].
pub fn write_with(graph: &Graph, options: &WriteOptions) -> Result<Vec<u8>, FormatError> {
    finish(prepare(graph, options)?, options)
}

/// The tensors of the graph.
fn prepare<'g>(graph: &'g Graph, options: &WriteOptions) -> Result<Emitter<'g>, FormatError> {
    graph.verify().map_err(invalid)?;
    if let Some(tensor) = graph.tensors().iter().find(|t| t.has_blocks()) {
        // XNNPACK computes fully connected layers of such weights; LiteRT's other kernels ignore the scales and give zeros, without an error.
        return Err(unsupported(
            format!("tensor `{}`", tensor.name),
            "has scales for blocks, which not all kernels of LiteRT look at",
            "write an .onnx file, or quantize without `block`",
        ));
    }
    let emitter = Emitter::new(graph, options.packed_int4);
    // Extents beyond the format are refused before anything is computed from them.
    emitter.tensors.iter().try_for_each(|tensor| tensor.table().map(drop))?;
    Ok(emitter)
}

/// The nodes of the graph, and the file.
fn finish(mut emitter: Emitter<'_>, options: &WriteOptions) -> Result<Vec<u8>, FormatError> {
    let graph = emitter.graph;
    for node in graph.nodes() {
        let first = emitter.operators.len();
        emitter.node(node)?;
        gate::check(&emitter, node, first)?;
    }
    let model = emitter.model(options)?;
    let bytes = Writer::root(&model, IDENTIFIER);
    if i32::try_from(bytes.len()).is_err() {
        let problem = format!("the file would have {} bytes, flatbuffers end at 2 GiB", bytes.len());
        return Err(unsupported(
            format!("model `{}`", graph.name),
            problem,
            "quantize the weights",
        ));
    }
    Ok(bytes)
}

/// A tensor of the file.
#[derive(Debug)]
struct FileTensor {
    name: String,
    ty: TensorType,
    quantization: Option<Quantization>,
    /// 0 for what is computed.
    buffer: u32,
    /// Whether it holds 4-bit integers, two a byte.
    packed: bool,
    /// The dimension that counts samples, if there may be any number of them.
    open: Option<usize>,
    /// How it is stored, if without its zeros.
    sparsity: Option<SparsityParameters>,
    /// Whether it is kept from one run to the next.
    variable: bool,
}

/// An operator about to be written; inputs and outputs are positions of tensors.
struct Call {
    builtin: Builtin,
    options: Options,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
}

/// What an operator code says.
#[derive(Debug, PartialEq, Eq)]
struct Code {
    builtin: Builtin,
    custom: Option<String>,
    version: i32,
}

struct Emitter<'g> {
    graph: &'g Graph,
    tensors: Vec<FileTensor>,
    buffers: Vec<Buffer<'static>>,
    codes: Vec<Code>,
    operators: Vec<Operator>,
    /// Constants that were taken apart gate by gate.
    gates: HashMap<TensorId, [i32; 4]>,
    /// Integer constants made so far, by shape and values.
    integers: HashMap<(Vec<usize>, Vec<i32>), i32>,
    names: HashSet<String>,
}

impl<'g> Emitter<'g> {
    fn new(graph: &'g Graph, packed_int4: bool) -> Self {
        let small = if packed_int4 {
            int4::packable(graph)
        } else {
            HashSet::new()
        };
        let mut emitter = Emitter {
            graph,
            tensors: Vec::new(),
            buffers: vec![Buffer::default()],
            codes: Vec::new(),
            operators: Vec::new(),
            gates: HashMap::new(),
            integers: HashMap::new(),
            names: graph.tensors().iter().map(|t| t.name.clone()).collect(),
        };
        for (id, tensor) in graph.tensor_ids().zip(graph.tensors()) {
            let packed = small.contains(&id);
            let bytes = |data: &Constant| {
                if packed {
                    int4::pack(&data.to_le_bytes())
                } else {
                    data.to_le_bytes()
                }
            };
            let buffer = tensor.data.as_ref().map_or(0, |data| emitter.buffer(bytes(data)));
            let (name, quantization) = (tensor.name.clone(), tensor.quantization.clone());
            emitter.tensors.push(FileTensor {
                name,
                ty: tensor.ty.clone(),
                quantization,
                buffer,
                packed,
                open: None,
                sparsity: None,
                variable: false,
            });
        }
        // The output shape of a transposed convolution is a constant, and with it the batch; so is that of a state.
        let fixed = |n: &ir::Node| matches!(n.op, Op::TransposeConv2d(_) | Op::Recurrent(_));
        let fixed = graph.nodes().iter().any(fixed);
        let samples = Samples::of(graph);
        for (id, tensor) in graph.tensor_ids().zip(&mut emitter.tensors) {
            tensor.open = match samples.place(id) {
                Place::Along(axis) if samples.any_number() && !fixed => Some(axis),
                _ => None,
            };
        }
        emitter
    }

    fn buffer(&mut self, bytes: Vec<u8>) -> u32 {
        self.buffers.push(Buffer {
            data: Some(Aligned(Cow::Owned(bytes))),
            ..Buffer::default()
        });
        self.buffers.len() as u32 - 1
    }

    /// Puts something else into a buffer.
    fn fill(&mut self, buffer: u32, bytes: Vec<u8>) {
        self.buffers[buffer as usize].data = Some(Aligned(Cow::Owned(bytes)));
    }

    /// Adds a tensor that the graph does not have; its name is made unique.
    fn tensor(&mut self, mut tensor: FileTensor) -> i32 {
        let base = tensor.name.clone();
        let mut number = 0;
        while !self.names.insert(tensor.name.clone()) {
            number += 1;
            tensor.name = format!("{base}_{number}");
        }
        self.tensors.push(tensor);
        self.tensors.len() as i32 - 1
    }

    /// A constant that the graph does not have.
    fn constant(&mut self, name: String, data: &Constant, quantization: Option<Quantization>) -> i32 {
        let buffer = self.buffer(data.to_le_bytes());
        self.tensor(FileTensor {
            name,
            ty: data.ty(),
            quantization,
            buffer,
            packed: false,
            open: None,
            sparsity: None,
            variable: false,
        })
    }

    /// A 32-bit integer constant, shared with others of the same shape and values.
    fn integers(&mut self, shape: &[usize], values: &[i32]) -> i32 {
        let key = (shape.to_vec(), values.to_vec());
        if let Some(&known) = self.integers.get(&key) {
            return known;
        }
        let data = Constant::i32(shape, values.to_vec()).expect("callers pass as many values as the shape holds");
        let text: Vec<String> = values.iter().map(i32::to_string).collect();
        let name = format!("constant{}/{}", data.ty().shape, text.join(","));
        let new = self.constant(name, &data, None);
        self.integers.insert(key, new);
        new
    }

    /// A vector of 32-bit integers.
    fn vector(&mut self, values: &[usize]) -> i32 {
        let values: Vec<i32> = values.iter().copied().map(ops::int).collect();
        self.integers(&[values.len()], &values)
    }

    /// Adds an operator in the version that its types and options need.
    fn call(&mut self, call: Call) {
        let version = version::version(&call, &self.tensors);
        let code = Code {
            builtin: call.builtin,
            custom: None,
            version,
        };
        self.operator(
            code,
            Operator {
                options: call.options,
                inputs: call.inputs,
                outputs: call.outputs,
                ..Operator::default()
            },
        );
    }

    fn operator(&mut self, code: Code, operator: Operator) {
        let known = self.codes.iter().position(|c| *c == code);
        let opcode_index = known.unwrap_or_else(|| {
            self.codes.push(code);
            self.codes.len() - 1
        }) as u32;
        self.operators.push(Operator {
            opcode_index,
            ..operator
        });
    }

    fn model(mut self, options: &WriteOptions) -> Result<Model<'static>, FormatError> {
        let tool = concat!("pipeline ", env!("CARGO_PKG_VERSION"));
        let mut metadata = Vec::new();
        let oldest: Option<Runtime> = self.codes.iter().filter_map(|c| c.builtin.since(c.version)).max();
        if let Some(oldest) = oldest {
            // The converter reserves 16 bytes for the version, and readers expect them.
            let mut text = oldest.to_string().into_bytes();
            text.resize(16, 0);
            metadata.push(("min_runtime_version".to_owned(), text));
        }
        metadata.push(("provenance".to_owned(), tool.into()));
        metadata.extend(options.metadata.iter().cloned());
        let metadata = metadata
            .into_iter()
            .map(|(name, bytes)| Metadata {
                name: Some(name),
                buffer: self.buffer(bytes),
            })
            .collect();
        let code = |code: &Code| OperatorCode {
            deprecated_builtin_code: code.builtin.deprecated(),
            custom_code: code.custom.clone(),
            version: code.version,
            builtin_code: code.builtin.0,
        };
        let indices = |ids: &[TensorId]| ids.iter().map(|i| i.index() as i32).collect();
        let signature = |ids: &[TensorId]| {
            let mut taken = HashSet::new();
            let map = |id: &TensorId| {
                // A tensor that is returned twice has two names.
                let base = &self.graph.tensor(*id).name;
                let mut name = base.clone();
                let mut number = 0;
                while !taken.insert(name.clone()) {
                    number += 1;
                    name = format!("{base}_{number}");
                }
                TensorMap {
                    name: Some(name),
                    tensor_index: id.index() as u32,
                }
            };
            ids.iter().map(map).collect()
        };
        Ok(Model {
            version: 3,
            operator_codes: self.codes.iter().map(code).collect(),
            signature_defs: Some(vec![SignatureDef {
                inputs: Some(signature(self.graph.inputs())),
                outputs: Some(signature(self.graph.outputs())),
                signature_key: Some("serving_default".into()),
                ..SignatureDef::default()
            }]),
            subgraphs: vec![SubGraph {
                tensors: self.tensors.iter().map(FileTensor::table).collect::<Result<_, _>>()?,
                inputs: Some(indices(self.graph.inputs())),
                outputs: Some(indices(self.graph.outputs())),
                operators: Some(self.operators),
                name: Some(self.graph.name.clone()),
            }],
            description: Some(options.description.clone().unwrap_or_else(|| tool.into())),
            buffers: self.buffers,
            metadata: Some(metadata),
            ..Model::default()
        })
    }
}

impl FileTensor {
    fn table(&self) -> Result<schema::Tensor, FormatError> {
        let dims = self
            .ty
            .shape
            .dims()
            .iter()
            .map(|&d| i32::try_from(d))
            .collect::<Result<Vec<i32>, _>>();
        let shape = dims.map_err(|_| {
            unsupported(
                format!("tensor `{}`", self.name),
                format!("{} does not fit 32-bit dimensions", self.ty),
                "make it smaller",
            )
        })?;
        let mut signature = shape.clone();
        if let Some(axis) = self.open {
            signature[axis] = -1;
        }
        Ok(schema::Tensor {
            shape: Some(shape),
            ty: if self.packed { INT4 } else { type_code(self.ty.element) },
            buffer: self.buffer,
            name: Some(self.name.clone()),
            quantization: self.quantization.as_ref().map(parameters),
            shape_signature: self.open.map(|_| signature),
            sparsity: self.sparsity.clone(),
            is_variable: self.variable,
            has_rank: true,
            ..schema::Tensor::default()
        })
    }
}

fn parameters(quantization: &Quantization) -> QuantizationParameters {
    QuantizationParameters {
        scale: Some(quantization.scales.iter().map(|s| s.get()).collect()),
        zero_point: Some(quantization.zero_points.iter().map(|&z| i64::from(z)).collect()),
        quantized_dimension: quantization.axis.map_or(0, |axis| axis as i32),
        ..QuantizationParameters::default()
    }
}

/// `TensorType.INT4`, which the IR holds as 8-bit integers.
pub(super) const INT4: i8 = 17;

/// `TensorType`.
pub(super) const fn type_code(element: ElementType) -> i8 {
    match element {
        ElementType::F32 => 0,
        ElementType::F16 => 1,
        ElementType::I32 => 2,
        ElementType::U8 => 3,
        ElementType::I64 => 4,
        ElementType::Bool => 6,
        ElementType::I16 => 7,
        ElementType::I8 => 9,
    }
}

//! Weights without their zeros: which constants are stored so, and the `DENSIFY` that unpacks each.
//!
//! The runtime makes them dense before it first computes, so that a file is smaller and nothing faster. Which layers read what `DENSIFY`
//! makes was measured with LiteRT 2.x, its default kernels (XNNPACK) and both others: `tests/conformance/sparse.py`. Layers that read
//! sparse weights themselves are left alone: XNNPACK takes a fully connected layer whose weights are sparse and reads beyond them.

use ir::{Constant, ElementType, Graph, Node, Op, TensorId};

use super::{Call, Emitter, FileTensor, WriteOptions, finish, prepare};
use crate::FormatError;
use crate::tflite::IDENTIFIER;
use crate::tflite::builtin::Builtin;
use crate::tflite::flatbuffer::Writer;
use crate::tflite::schema::{Operator, Options};
use crate::tflite::sparse::{self, MOST_EXPANSION};

/// A file with sparse weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sparse {
    /// The file.
    pub bytes: Vec<u8>,
    /// What is stored sparsely in it, in the order of the graph.
    pub tensors: Vec<SparseTensor>,
}

/// A constant that is stored without its zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparseTensor {
    /// Its name.
    pub name: String,
    /// Bytes of all its values.
    pub dense_bytes: usize,
    /// Bytes of the values that are left, their positions, and the tables and the operator that belong to them.
    pub sparse_bytes: usize,
}

/// Like [`super::write_with`], with weights stored without their zeros where this makes the file smaller and LiteRT loads it.
///
/// # Errors
/// As [`super::write()`].
pub fn write_sparse(graph: &Graph, options: &WriteOptions) -> Result<Sparse, FormatError> {
    let mut emitter = prepare(graph, options)?;
    let mut tensors = Vec::new();
    for (id, tensor) in graph.tensor_ids().zip(graph.tensors()) {
        if let Some(data) = tensor.data.as_ref().filter(|_| densifies(graph, id)) {
            tensors.extend(emitter.sparse(id, data)?);
        }
    }
    let bytes = finish(emitter, options)?;
    Ok(Sparse { bytes, tensors })
}

/// Whether the constant is nothing but weights, of layers that LiteRT runs with weights from `DENSIFY`.
fn densifies(graph: &Graph, id: TensorId) -> bool {
    let mut readers = graph.nodes().iter().filter(|n| n.inputs.contains(&id)).peekable();
    readers.peek().is_some() && !graph.outputs().contains(&id) && readers.all(|node| takes(graph, node, id))
}

fn takes(graph: &Graph, node: &Node, id: TensorId) -> bool {
    use ElementType::{F16, F32, I8};
    let element = |id: TensorId| graph.tensor(id).ty.element;
    if matches!(node.op, Op::Dequantize(_)) {
        return element(id) == F16;
    }
    if node.inputs.iter().position(|&input| input == id) != Some(1) {
        return false;
    }
    match (&node.op, element(node.inputs[0]), element(id)) {
        // XNNPACK takes these layers and refuses the weights, with which the file does not load.
        (Op::FullyConnected(_), I8, _) | (Op::Conv2d(_) | Op::TransposeConv2d(_), F32, I8) => false,
        (Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::TransposeConv2d(_) | Op::FullyConnected(_), _, weights) => {
            matches!(weights, F32 | I8)
        }
        _ => false,
    }
}

impl Emitter<'_> {
    /// Replaces a constant by a sparse one and an operator, if this takes fewer bytes.
    fn sparse(&mut self, id: TensorId, data: &Constant) -> Result<Option<SparseTensor>, FormatError> {
        let index = id.index();
        if self.tensors[index].packed {
            return Ok(None);
        }
        let Some(found) = sparse::Sparse::smallest(data) else {
            return Ok(None);
        };
        let tensor = FileTensor {
            name: format!("{}/sparse", self.tensors[index].name),
            ty: data.ty(),
            quantization: None,
            buffer: self.tensors[index].buffer,
            packed: false,
            open: None,
            sparsity: Some(found.parameters),
            variable: false,
        };
        let operator = Operator {
            inputs: vec![0],
            outputs: vec![0],
            ..Operator::default()
        };
        let tables = [
            Writer::root(&tensor.table()?, IDENTIFIER),
            Writer::root(&operator, IDENTIFIER),
        ];
        let dense_bytes = data.ty().bytes();
        let sparse_bytes = found.values.len() + tables.iter().map(Vec::len).sum::<usize>();
        if sparse_bytes >= dense_bytes || dense_bytes > found.values.len().saturating_mul(MOST_EXPANSION) {
            return Ok(None);
        }
        self.fill(tensor.buffer, found.values);
        self.tensors[index].buffer = 0;
        let input = self.tensor(tensor);
        self.call(Call {
            builtin: Builtin::DENSIFY,
            options: Options::None,
            inputs: vec![input],
            outputs: vec![index as i32],
        });
        Ok(Some(SparseTensor {
            name: self.tensors[index].name.clone(),
            dense_bytes,
            sparse_bytes,
        }))
    }
}

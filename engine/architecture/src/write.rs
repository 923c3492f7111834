//! A graph written as an architecture file: a layer for each node, under its name, with everything it reads.
//!
//! The form is flat: which nodes were a module once, a graph does not say, but their names keep the paths. Reading the file
//! with the weights of [`crate::state_dict`] gives the same graph.

use std::collections::HashMap;
use std::fmt::Write as _;

use ir::{Graph, Node, TensorId};
use serde_json::{Value, json};

use crate::basic::operator::{ConstantInput, Operator};

/// Why a graph cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Tensors with scales.
    #[error(
        "tensor `{0}` is quantized; an architecture describes float networks: write that of the model it was made from"
    )]
    Quantized(String),
    /// An input that is no float image, sequence or vector.
    #[error("input `{name}` is {ty}; an architecture takes f32 images, sequences and features")]
    Input {
        /// Its name.
        name: String,
        /// Its type.
        ty: String,
    },
    /// An attribute that text cannot hold.
    #[error("node `{node}`: {problem}")]
    Node {
        /// The node.
        node: String,
        /// What is wrong.
        problem: String,
    },
}

/// The text of an architecture file for a graph.
///
/// # Errors
/// Quantized graphs, inputs of other types than float.
pub fn write(graph: &Graph) -> Result<String, WriteError> {
    if let Some(tensor) = graph.tensors().iter().find(|tensor| tensor.quantization.is_some()) {
        return Err(WriteError::Quantized(tensor.name.clone()));
    }
    // What `from` calls each tensor.
    let mut names: HashMap<TensorId, String> = HashMap::new();
    let mut text = format!("architecture: {}\ninput:\n", Value::from(graph.name.as_str()));
    for (i, &id) in graph.inputs().iter().enumerate() {
        let tensor = graph.tensor(id);
        let shape = match tensor.ty.shape.dims() {
            [1, h, w, c] => vec![*c, *h, *w],
            [1, rest @ ..] if matches!(rest.len(), 1 | 2) => rest.to_vec(),
            _ => Vec::new(),
        };
        if shape.is_empty() || tensor.ty.element != ir::ElementType::F32 {
            return Err(WriteError::Input {
                name: tensor.name.clone(),
                ty: tensor.ty.to_string(),
            });
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {}: {shape:?}", Value::from(tensor.name.as_str()));
        names.insert(id, if i == 0 { "in".to_owned() } else { format!("in:{i}") });
    }
    text.push_str("network:\n");
    for node in graph.nodes() {
        let layer = layer(graph, node, &names)?;
        let _ = writeln!(text, "  {}: {layer}", Value::from(node.name.as_str()));
        for (i, &output) in node.outputs.iter().enumerate() {
            let name = if i == 0 {
                node.name.clone()
            } else {
                format!("{}:{i}", node.name)
            };
            names.insert(output, name);
        }
    }
    let outputs: Vec<&String> = graph.outputs().iter().filter_map(|id| names.get(id)).collect();
    let _ = writeln!(text, "outputs: {}", json!(outputs));
    Ok(text)
}

fn layer(graph: &Graph, node: &Node, names: &HashMap<TensorId, String>) -> Result<Value, WriteError> {
    let wrong = |problem: String| WriteError::Node {
        node: node.name.clone(),
        problem,
    };
    let op = serde_json::to_value(&node.op).map_err(|e| wrong(e.to_string()))?;
    let mut operator = Operator {
        op,
        ..Operator::default()
    };
    let mut from = Vec::new();
    for (at, id) in node.inputs.iter().enumerate() {
        match names.get(id) {
            Some(name) => from.push(name.clone()),
            None => operator.constants.push(ConstantInput {
                at,
                name: graph.tensor(*id).name.clone(),
                ty: graph.tensor(*id).ty.to_string(),
            }),
        }
    }
    let made: Vec<String> = node.outputs.iter().map(|id| graph.tensor(*id).name.clone()).collect();
    let usual = |(i, name): (usize, &String)| {
        *name
            == if i == 0 {
                node.name.clone()
            } else {
                format!("{}:{i}", node.name)
            }
    };
    if !made.iter().enumerate().all(usual) {
        operator.outputs = made;
    }
    let params = serde_json::to_value(&operator).map_err(|e| wrong(e.to_string()))?;
    Ok(json!({ "operator": params, "from": from }))
}

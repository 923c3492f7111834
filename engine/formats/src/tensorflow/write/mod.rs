//! A graph as a frozen SavedModel: one signature, `serving_default`, weights as constants, any number of samples
//! where the network computes each for itself.
//!
//! | file | owns |
//! |---|---|
//! | `nodes` | nodes, names and attributes; nothing of the IR |
//! | `operators` | one entry per operator of the IR |
//! | `windows` | those that slide a window |
//! | `gate` | whether TensorFlow would run what was written |
//!
//! Operators that TensorFlow has no single one for are lowered as for TFLite. Integer networks are refused: TensorFlow's graphs have
//! no integer convolutions, and `.tflite` is the file for them.

mod gate;
mod nodes;
mod operators;
mod windows;

use std::collections::HashMap;

use ir::{ElementType, Graph, Op, Samples, passes};
use prost::Message;

use self::nodes::Nodes;
use super::proto::{
    GraphDef, MetaGraph, MetaInfo, SavedModel, Signature, TensorInfo, TensorShape, Versions, attribute, dtype,
};
use super::{DEFAULT, unsupported};
use crate::{Format, FormatError};

/// The version of graphs that TensorFlow 2.10 writes; every later TensorFlow reads it, and none before 2.
const PRODUCER: i32 = 1087;

/// Writes `saved_model.pb`.
///
/// # Errors
/// The network computes with integers, or has an operator that TensorFlow lacks: the node is named.
pub fn write(graph: &Graph) -> Result<Vec<u8>, FormatError> {
    let mut lowered = graph.clone();
    let lower = |graph: &mut Graph| passes::lower(graph).and_then(|_| passes::unroll(graph));
    lower(&mut lowered).map_err(|source| FormatError::Graph {
        format: Format::TensorFlow,
        source,
    })?;
    let graph = &lowered;
    let integer =
        |n: &&ir::Node| matches!(n.op, Op::Quantize(_)) || n.outputs.iter().any(|&t| graph.tensor(t).is_quantized());
    if let Some(node) = graph.nodes().iter().find(integer) {
        let fix = "export it as `.tflite`, or export the network from before `quantize`";
        return Err(unsupported(
            format!("node `{}`", node.name),
            "computes with integers",
            fix,
        ));
    }
    let samples = Samples::of(graph);
    let shape = |id| TensorShape::open(graph.tensor(id).ty.shape.dims(), operators::open(&samples, id));
    let mut nodes = Nodes::default();
    let mut references: HashMap<ir::TensorId, String> = HashMap::new();
    let mut inputs = HashMap::new();
    for &id in graph.inputs() {
        let tensor = graph.tensor(id);
        let kind = element(tensor.ty.element).ok_or_else(|| {
            let problem = format!("is of type {}", tensor.ty.element);
            unsupported(format!("input `{}`", tensor.name), problem, "use a float input")
        })?;
        let shape = shape(id);
        let attributes = [
            ("dtype", attribute::Value::Type(kind)),
            ("shape", attribute::Value::Shape(shape.clone())),
        ];
        let name = nodes.add(&format!("{DEFAULT}_{}", tensor.name), "Placeholder", &[], &attributes);
        inputs.insert(tensor.name.clone(), info(&name, kind, shape));
        references.insert(id, name);
    }
    for node in graph.nodes() {
        operators::write(graph, &samples, node, &mut nodes, &mut references)?;
    }
    let mut outputs = HashMap::new();
    for &id in graph.outputs() {
        let tensor = graph.tensor(id);
        let reference = operators::reference(graph, id, &mut nodes, &mut references)?;
        let kind = element(tensor.ty.element).ok_or_else(|| {
            let problem = format!("is of type {}", tensor.ty.element);
            unsupported(format!("output `{}`", tensor.name), problem, "return floats")
        })?;
        let name = nodes.add(
            "output",
            "Identity",
            &[reference],
            &[("T", attribute::Value::Type(kind))],
        );
        // A tensor that is returned twice has two keys.
        let mut key = tensor.name.clone();
        let mut number = 0;
        while outputs.contains_key(&key) {
            number += 1;
            key = format!("{}_{number}", tensor.name);
        }
        outputs.insert(key, info(&name, kind, shape(id)));
    }
    gate::check(nodes.all())?;
    let signature = Signature {
        inputs,
        outputs,
        method_name: "tensorflow/serving/predict".into(),
    };
    let meta = MetaGraph {
        info: Some(MetaInfo {
            tags: vec!["serve".into()],
        }),
        graph: Some(GraphDef {
            nodes: nodes.finish(),
            library: None,
            versions: Some(Versions { producer: PRODUCER }),
        }),
        saver: None,
        signatures: HashMap::from([(DEFAULT.to_owned(), signature)]),
    };
    let model = SavedModel {
        schema_version: 1,
        meta_graphs: vec![meta],
    };
    Ok(model.encode_to_vec())
}

fn info(node: &str, kind: i32, shape: TensorShape) -> TensorInfo {
    TensorInfo {
        name: format!("{node}:0"),
        dtype: kind,
        shape: Some(shape),
    }
}

/// TensorFlow's number of an element type; `None` for those that no float network computes with.
fn element(element: ElementType) -> Option<i32> {
    match element {
        ElementType::F32 => Some(dtype::FLOAT),
        ElementType::F16 => Some(dtype::HALF),
        ElementType::I32 => Some(dtype::INT32),
        ElementType::I64 => Some(dtype::INT64),
        ElementType::Bool => Some(dtype::BOOL),
        ElementType::I8 | ElementType::U8 | ElementType::I16 => None,
    }
}

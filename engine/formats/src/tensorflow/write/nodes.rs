//! Nodes of a GraphDef: unique names that TensorFlow takes, attributes, constants.

use std::collections::{HashMap, HashSet};

use super::super::proto::attribute::Value;
use super::super::proto::{Attribute, Dimension, List, NodeDef, Tensor, TensorShape, dtype};

/// Nodes in the order in which they were added.
#[derive(Default)]
pub(super) struct Nodes {
    nodes: Vec<NodeDef>,
    taken: HashSet<String>,
}

/// Attributes of a node.
pub(super) type Attributes<'a> = [(&'a str, Value)];

impl Nodes {
    /// Adds a node; returns its name, which refers to its first output.
    pub(super) fn add(&mut self, name: &str, op: &str, inputs: &[String], attributes: &Attributes<'_>) -> String {
        let name = self.unique(name);
        let attributes = attributes.iter().map(|(key, value)| {
            let value = Some(value.clone());
            ((*key).to_owned(), Attribute { value })
        });
        self.nodes.push(NodeDef {
            name: name.clone(),
            op: op.to_owned(),
            inputs: inputs.to_vec(),
            attributes: attributes.collect::<HashMap<_, _>>(),
        });
        name
    }

    /// Adds a constant of 32-bit integers.
    pub(super) fn ints(&mut self, name: &str, shape: &[usize], values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|&v| (v as i32).to_le_bytes()).collect();
        self.constant(name, dtype::INT32, shape, bytes)
    }

    /// Adds a constant of floats.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, dtype::FLOAT, shape, bytes)
    }

    /// Adds a constant of little-endian values.
    pub(super) fn constant(&mut self, name: &str, kind: i32, shape: &[usize], content: Vec<u8>) -> String {
        let tensor = Tensor {
            dtype: kind,
            shape: Some(TensorShape::fixed(shape)),
            content,
            ..Tensor::default()
        };
        self.add(
            name,
            "Const",
            &[],
            &[("dtype", Value::Type(kind)), ("value", Value::Tensor(tensor))],
        )
    }

    pub(super) fn all(&self) -> &[NodeDef] {
        &self.nodes
    }

    pub(super) fn finish(self) -> Vec<NodeDef> {
        self.nodes
    }

    /// `name` with other characters than TensorFlow's replaced, and a number where it is taken.
    ///
    /// Source: `NodeDef.name` in `node_def.proto`: `[A-Za-z0-9.][A-Za-z0-9_>./]*`.
    fn unique(&mut self, name: &str) -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '>' | '-');
        let mut base: String = name.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
        if !base.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.') {
            base.insert(0, '.');
        }
        let mut unique = base.clone();
        for i in 1.. {
            if self.taken.insert(unique.clone()) {
                break;
            }
            unique = format!("{base}_{i}");
        }
        unique
    }
}

impl TensorShape {
    fn fixed(dims: &[usize]) -> Self {
        TensorShape {
            dims: dims.iter().map(|&d| Dimension { size: d as i64 }).collect(),
            unknown_rank: false,
        }
    }

    /// The shape of any number of samples, which the dimension `axis` counts, if one does.
    pub(super) fn open(dims: &[usize], axis: Option<usize>) -> Self {
        let mut shape = Self::fixed(dims);
        if let Some(axis) = axis {
            shape.dims[axis].size = -1;
        }
        shape
    }
}

/// A list of integers as an attribute.
pub(super) fn list(values: &[usize]) -> Value {
    Value::List(List {
        ints: values.iter().map(|&v| v as i64).collect(),
    })
}

/// A text as an attribute.
pub(super) fn text(value: &str) -> Value {
    Value::Text(value.as_bytes().to_vec())
}

/// A number as an attribute.
pub(super) fn int(value: usize) -> Value {
    Value::Int(value as i64)
}

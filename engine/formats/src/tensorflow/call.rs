//! One operation while it is built: what it reads, what it states, and what it adds to the graph.

use ir::{Graph, GraphError, Op, TensorId};

use super::build::invalid;
use super::known::Known;
use super::proto::{NodeDef, attribute};
use super::{malformed, unsupported};
use crate::FormatError;

/// What an operation made.
#[derive(Debug, Clone)]
pub(super) enum Made {
    /// A value that depends on the input.
    Tensor(TensorId),
    /// A value that does not.
    Known(Known),
}

/// One operation while it is built: its attributes and inputs, and the graph that it goes into.
pub(super) struct Call<'a> {
    graph: &'a mut Graph,
    pub(super) node: &'a NodeDef,
    place: String,
    inputs: Vec<Made>,
}

impl<'a> Call<'a> {
    pub(super) fn new(graph: &'a mut Graph, node: &'a NodeDef, place: String, inputs: Vec<Made>) -> Self {
        Self {
            graph,
            node,
            place,
            inputs,
        }
    }
}

impl Call<'_> {
    /// What has been built so far.
    pub(super) fn graph(&self) -> &Graph {
        self.graph
    }

    /// Number of inputs.
    pub(super) fn len(&self) -> usize {
        self.inputs.len()
    }

    pub(super) fn unsupported(&self, problem: impl Into<String>, fix: impl Into<String>) -> FormatError {
        unsupported(&self.place, problem, fix)
    }

    pub(super) fn malformed(&self, problem: impl Into<String>) -> FormatError {
        malformed(&self.place, problem)
    }

    fn made(&self, i: usize) -> Result<&Made, FormatError> {
        self.inputs
            .get(i)
            .ok_or_else(|| self.malformed(format!("has no input {i}")))
    }

    /// Input `i` as a tensor; a known one becomes a constant, a scalar one of one element.
    pub(super) fn tensor(&mut self, i: usize) -> Result<TensorId, FormatError> {
        match self.made(i)?.clone() {
            Made::Known(mut known) if known.shape.is_empty() => {
                known.shape.push(1);
                self.constant(&format!("input_{i}"), &known)
            }
            _ => self.tensor_or_scalar(i),
        }
    }

    /// Input `i`, where a scalar is not a line of one number.
    pub(super) fn tensor_or_scalar(&mut self, i: usize) -> Result<TensorId, FormatError> {
        match self.made(i)?.clone() {
            Made::Tensor(id) => Ok(id),
            Made::Known(known) => self.constant(&format!("input_{i}"), &known),
        }
    }

    /// Input `i`, which must be known at import.
    pub(super) fn known(&self, i: usize, what: &str) -> Result<Known, FormatError> {
        match self.made(i)? {
            Made::Known(known) => Ok(known.clone()),
            Made::Tensor(_) => {
                Err(self.unsupported(format!("its {what} is computed while it runs"), "make it a constant"))
            }
        }
    }

    /// Input `i`, which must be floats that are known at import.
    pub(super) fn floats(&self, i: usize, what: &str) -> Result<(Vec<usize>, Vec<f32>), FormatError> {
        let known = self.known(i, what)?;
        let values = known.as_floats().map(<[f32]>::to_vec);
        Ok((
            known.shape,
            values.ok_or_else(|| self.malformed(format!("its {what} is not of floats")))?,
        ))
    }

    /// Input `i`, which must be integers that are known at import.
    pub(super) fn ints(&self, i: usize, what: &str) -> Result<Vec<i64>, FormatError> {
        let known = self.known(i, what)?;
        let values = known.as_ints().map(<[i64]>::to_vec);
        values.ok_or_else(|| self.malformed(format!("its {what} is not of integers")))
    }

    /// Extents of a tensor.
    pub(super) fn dims(&self, tensor: TensorId) -> Vec<usize> {
        self.graph.tensor(tensor).ty.shape.dims().to_vec()
    }

    /// `[N, H, W, C]` of a tensor.
    pub(super) fn image(&self, tensor: TensorId) -> Result<[usize; 4], FormatError> {
        let ty = &self.graph.tensor(tensor).ty;
        ty.shape
            .nhwc()
            .ok_or_else(|| self.malformed(format!("its input is {ty}, expected [N,H,W,C]")))
    }

    /// `axis` of a tensor of `rank` dimensions, negative ones counted from the end.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize, FormatError> {
        let from_start = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(from_start)
            .ok()
            .filter(|&a| a < rank)
            .ok_or_else(|| self.malformed(format!("{axis} is no dimension of a tensor of rank {rank}")))
    }

    /// Adds a weight, called after the node.
    pub(super) fn weight(&mut self, role: &str, shape: Vec<usize>, values: Vec<f32>) -> Result<TensorId, FormatError> {
        self.constant(role, &Known::floats(shape, values))
    }

    /// Adds integers that count elements, called after the node.
    pub(super) fn indices(&mut self, role: &str, values: Vec<i64>) -> Result<TensorId, FormatError> {
        self.constant(role, &Known::ints(vec![values.len()], values))
    }

    fn constant(&mut self, role: &str, known: &Known) -> Result<TensorId, FormatError> {
        let data = known
            .constant()
            .ok_or_else(|| self.malformed(format!("its {role} does not fill its shape")))?;
        let name = self.graph.fresh_name(&format!("{}/{role}", self.node.name));
        Ok(self.graph.constant(name, data))
    }

    /// Adds the node that makes the output.
    pub(super) fn output(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> Result<Vec<TensorId>, FormatError> {
        let name = self.node.name.clone();
        self.add(&name, op.into(), inputs)
    }

    /// Adds a node on the way to the output.
    pub(super) fn part(&mut self, part: &str, op: impl Into<Op>, inputs: &[TensorId]) -> Result<TensorId, FormatError> {
        let name = format!("{}/{part}", self.node.name);
        Ok(self.add(&name, op.into(), inputs)?[0])
    }

    fn add(&mut self, name: &str, op: Op, inputs: &[TensorId]) -> Result<Vec<TensorId>, FormatError> {
        let name = self.graph.fresh_name(name);
        self.graph.add_many(name, op, inputs).map_err(|e| match e {
            GraphError::Infer { source, .. } => self.malformed(source.to_string()),
            other => invalid(other),
        })
    }

    /// An integer attribute.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        match self.attribute(name)? {
            attribute::Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// A truth value; false where it is not stated.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.flag_or(name, false)
    }

    /// A truth value, with what holds where it is not stated.
    pub(super) fn flag_or(&self, name: &str, otherwise: bool) -> bool {
        match self.attribute(name) {
            Some(attribute::Value::Bool(value)) => *value,
            _ => otherwise,
        }
    }

    /// A float attribute.
    pub(super) fn float(&self, name: &str) -> Option<f32> {
        match self.attribute(name)? {
            attribute::Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// A text attribute.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.attribute(name)? {
            attribute::Value::Text(value) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }

    /// A list of integers; empty where it is not stated.
    pub(super) fn list(&self, name: &str) -> &[i64] {
        match self.attribute(name) {
            Some(attribute::Value::List(list)) => &list.ints,
            _ => &[],
        }
    }

    fn attribute(&self, name: &str) -> Option<&attribute::Value> {
        self.node.attributes.get(name)?.value.as_ref()
    }
}

//! The graph being built, and what the names of the file mean in it.

mod border;
mod constants;
mod layouts;

use std::collections::{HashMap, HashSet};

use ir::ops::Split;
use ir::{Constant, Graph, Op, Quantization, Tensor, TensorId, TensorType};

use super::Node;
use crate::FormatError;
use crate::onnx::layout::Layout;
use crate::onnx::{fold_size, invalid, malformed, proto, tensor};

/// A tensor of the graph in one of two layouts, or in both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    stated: Option<TensorId>,
    last: Option<TensorId>,
}

impl Held {
    pub fn stated(id: TensorId) -> Self {
        Held {
            stated: Some(id),
            last: None,
        }
    }

    pub fn in_layout(id: TensorId, layout: Layout) -> Self {
        match layout {
            Layout::Stated => Held::stated(id),
            Layout::ChannelsLast => Held {
                stated: None,
                last: Some(id),
            },
        }
    }
}

/// What a name of the file stands for.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A constant that is not in the graph until an operator reads it.
    Known(Constant),
    /// What is stored behind a `Dequantize`: quantized integers, or half-precision numbers without a scale.
    Stored(Constant, Option<Quantization>),
    /// What a node makes, or an input.
    Made(Held),
}

/// The graph being built.
pub(super) struct Importer<'f> {
    pub graph: Graph,
    pub values: HashMap<&'f str, Value>,
    /// Constants in the graph, by name and layout in the file.
    constants: HashMap<(&'f str, Layout), TensorId>,
    /// Stored integers in the graph by name, and what they are dequantized to.
    stored: HashMap<&'f str, (TensorId, TensorId)>,
    /// Declared types by name.
    declared: HashMap<&'f str, &'f proto::Type>,
    names: HashSet<String>,
    node_names: HashSet<String>,
    next: HashMap<String, usize>,
    /// The nodes of the graph that make tensors.
    made_by: HashMap<TensorId, usize>,
    /// Tensors that are another one in the other layout.
    views: HashSet<TensorId>,
    /// What a stored value is called in the file before it is dequantized.
    pub stored_names: HashMap<&'f str, &'f str>,
    /// Values that the file makes by a transpose to channels last: at the border they are meant so.
    pub before_transpose: HashSet<&'f str>,
    /// Values that are zeros and ones, for the file's truth values.
    pub truths: HashSet<&'f str>,
    /// Truth values that say where a value is above a number.
    pub above: HashMap<&'f str, (&'f str, f32)>,
    /// Elements that may still be folded.
    pub room: usize,
    /// The version of each domain's operators.
    pub versions: HashMap<String, i64>,
}

impl<'f> Importer<'f> {
    pub fn new(graph: &'f proto::Graph) -> Self {
        let declared = graph.value_info.iter().chain(&graph.output);
        Importer {
            graph: Graph::new(graph.name.clone()),
            values: HashMap::new(),
            constants: HashMap::new(),
            stored: HashMap::new(),
            declared: declared
                .filter_map(|v| Some((v.name.as_str(), v.ty.as_ref()?)))
                .collect(),
            names: HashSet::new(),
            node_names: HashSet::new(),
            next: HashMap::new(),
            made_by: HashMap::new(),
            views: HashSet::new(),
            stored_names: HashMap::new(),
            truths: HashSet::new(),
            above: HashMap::new(),
            before_transpose: HashSet::new(),
            room: fold_size::ROOM,
            versions: HashMap::new(),
        }
    }

    /// The name of a node: its own, or that of its first output.
    pub fn node_name(proto: &proto::Node) -> String {
        if proto.name.is_empty() {
            proto
                .output
                .iter()
                .find(|name| !name.is_empty())
                .unwrap_or(&proto.op_type)
                .clone()
        } else {
            proto.name.clone()
        }
    }

    /// `name`, or the first free of `name_1`, `name_2`, … .
    fn unique(&mut self, name: &str) -> String {
        free(&mut self.names, &mut self.next, name)
    }

    pub fn value(&self, node: &Node<'_>, i: usize) -> Result<&Value, FormatError> {
        let name = node
            .input(i)
            .ok_or_else(|| node.malformed(format!("has no input {i}")))?;
        self.values
            .get(name)
            .ok_or_else(|| node.malformed(format!("reads `{name}`, which nothing provides")))
    }

    /// The type of an input as the file states it.
    pub fn ty(&self, node: &Node<'_>, i: usize) -> Result<TensorType, FormatError> {
        Ok(match self.value(node, i)? {
            Value::Known(constant) | Value::Stored(constant, _) => constant.ty(),
            Value::Made(held) => self.held_type(*held),
        })
    }

    /// The node that makes a tensor.
    pub fn producer(&self, id: TensorId) -> Option<&ir::Node> {
        self.made_by.get(&id).map(|&i| &self.graph.nodes()[i])
    }

    /// Parts of a tensor that the file does not name.
    pub fn split(&mut self, node: &Node<'f>, what: &str, op: Split, x: TensorId) -> Result<Vec<TensorId>, FormatError> {
        let name = format!("{}/{what}", node.first_output()?);
        let op = Op::Split(op);
        let node = free(&mut self.node_names, &mut self.next, &name);
        let types = self.infer(&node, &op, &[x])?;
        let mut outputs = Vec::new();
        for (i, ty) in types.into_iter().enumerate() {
            let name = self.unique(&format!("{name}{i}"));
            outputs.push(self.graph.push_tensor(Tensor {
                name,
                ty,
                quantization: None,
                data: None,
            }));
        }
        self.push(ir::Node {
            name: node,
            op,
            inputs: vec![x],
            outputs: outputs.clone(),
        });
        Ok(outputs)
    }

    fn push(&mut self, node: ir::Node) {
        let at = self.graph.nodes().len();
        self.made_by.extend(node.outputs.iter().map(|&o| (o, at)));
        self.graph.push_node(node);
    }

    /// Adds a node with one output that the file does not have.
    pub fn append(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        inputs: &[TensorId],
        q: Option<Quantization>,
    ) -> Result<TensorId, FormatError> {
        let op = op.into();
        let node = free(&mut self.node_names, &mut self.next, name);
        let ty = self.infer(&node, &op, inputs)?.swap_remove(0);
        let name = self.unique(name);
        let output = self.graph.push_tensor(Tensor {
            name,
            ty,
            quantization: q,
            data: None,
        });
        self.push(ir::Node {
            name: node,
            op,
            inputs: inputs.to_vec(),
            outputs: vec![output],
        });
        Ok(output)
    }

    /// A step on the way to the output of a node.
    pub fn inner(
        &mut self,
        node: &Node<'f>,
        what: &str,
        op: impl Into<Op>,
        inputs: &[TensorId],
    ) -> Result<TensorId, FormatError> {
        let name = format!("{}/{what}", node.asked_output()?);
        self.append(&name, op, inputs, None)
    }

    fn infer(&self, node: &str, op: &Op, inputs: &[TensorId]) -> Result<Vec<TensorType>, FormatError> {
        let types: Vec<&TensorType> = inputs.iter().map(|&i| &self.graph.tensor(i).ty).collect();
        let fail = |source| {
            invalid(ir::GraphError::Infer {
                node: node.to_owned(),
                op: op.name(),
                source,
            })
        };
        let made = op.infer(&types).map_err(fail)?;
        let fits = |ty: &TensorType| i32::try_from(ty.shape.elements()).is_ok();
        match made.iter().find(|ty| !fits(ty)) {
            Some(ty) => Err(malformed(
                format!("node `{node}`"),
                format!("makes {ty}, too large to be counted in 32 bits"),
            )),
            None => Ok(made),
        }
    }

    /// Adds the node of the graph that stands for `node`; outputs that nobody asks for are named after it.
    pub fn add(
        &mut self,
        node: &Node<'f>,
        op: impl Into<Op>,
        inputs: &[TensorId],
        outputs: &[Option<&'f str>],
    ) -> Result<Vec<TensorId>, FormatError> {
        let op = op.into();
        let types = self.infer(&node.name, &op, inputs)?;
        let name = free(&mut self.node_names, &mut self.next, &node.name);
        let mut made = Vec::new();
        for (i, ty) in types.into_iter().enumerate() {
            let base = outputs
                .get(i)
                .copied()
                .flatten()
                .map_or_else(|| format!("{name}:{i}"), str::to_owned);
            let name = self.unique(&base);
            made.push(self.graph.push_tensor(Tensor {
                name,
                ty,
                quantization: None,
                data: None,
            }));
        }
        self.push(ir::Node {
            name,
            op,
            inputs: inputs.to_vec(),
            outputs: made.clone(),
        });
        Ok(made)
    }

    /// [`Importer::add`] for the usual node: one output, which becomes the value of that name.
    pub fn put(
        &mut self,
        node: &Node<'f>,
        op: impl Into<Op>,
        inputs: &[TensorId],
        layout: Layout,
    ) -> Result<TensorId, FormatError> {
        let output = node.first_output()?;
        let made = self.add(node, op, inputs, &[Some(output)])?;
        let id = made[0];
        self.set(output, id, layout)?;
        Ok(id)
    }

    pub fn set(&mut self, name: &'f str, id: TensorId, layout: Layout) -> Result<(), FormatError> {
        match self.values.insert(name, Value::Made(Held::in_layout(id, layout))) {
            None => Ok(()),
            Some(_) => Err(malformed(format!("value `{name}`"), "is made twice")),
        }
    }

    /// A further name for a value.
    pub fn alias(&mut self, node: &Node<'f>, i: usize) -> Result<(), FormatError> {
        let value = self.value(node, i)?.clone();
        self.values.insert(node.first_output()?, value);
        Ok(())
    }

    /// The declared type of a value, its open leading dimension 1.
    pub fn declared(&self, name: &str) -> Option<TensorType> {
        let tensor = self.declared.get(name)?.tensor.as_ref()?;
        let dims = tensor.shape.as_ref()?.dim.iter().enumerate();
        let dims = dims.map(|(i, d)| d.value.filter(|&v| v > 0).or((i == 0).then_some(1)));
        let shape = tensor::shape(&dims.collect::<Option<Vec<i64>>>()?)?;
        Some(TensorType::new(tensor::element(tensor.element)?, shape))
    }
}

/// `name`, or `name_1`, `name_2`, … : the first that is free.
fn free(taken: &mut HashSet<String>, next: &mut HashMap<String, usize>, name: &str) -> String {
    if taken.insert(name.to_owned()) {
        return name.to_owned();
    }
    let next = next.entry(name.to_owned()).or_insert(1);
    loop {
        let candidate = format!("{name}_{next}");
        *next += 1;
        if taken.insert(candidate.clone()) {
            return candidate;
        }
    }
}

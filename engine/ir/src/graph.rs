//! The graph: tensors and nodes in arenas, with typed ids and unique, stable names.

use crate::uses::{Kept, Uses};
use crate::{Constant, ElementType, GraphError, InferError, Op, Quantization, Stated, TensorType};

/// A tensor of one graph. Ids do not outlive [`Graph::apply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub(crate) u32);

/// A node of one graph. Ids do not outlive [`Graph::apply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl TensorId {
    /// Position in [`Graph::tensors`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl NodeId {
    /// Position in [`Graph::nodes`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A value: graph input, constant, or what a node makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Unique in the graph; kept by passes and exporters.
    pub name: String,
    /// Element type and shape.
    pub ty: TensorType,
    /// How stored integers map to real numbers; `None` for float tensors and plain integers.
    pub quantization: Option<Quantization>,
    /// The data of a constant.
    pub data: Option<Constant>,
}

impl Tensor {
    /// Whether the tensor holds quantized integers.
    pub fn is_quantized(&self) -> bool {
        self.quantization.is_some() && !self.ty.element.is_float()
    }

    /// Whether blocks of neighbours have scales of their own ([`Quantization::block`]).
    pub fn has_blocks(&self) -> bool {
        self.quantization.as_ref().is_some_and(|q| q.block.is_some())
    }
}

/// One operator applied to tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique in the graph.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// What it reads, in the operator's order; optional trailing inputs are left out.
    pub inputs: Vec<TensorId>,
    /// What it writes.
    pub outputs: Vec<TensorId>,
}

impl Node {
    /// The only (or first) output.
    pub fn output(&self) -> TensorId {
        self.outputs[0]
    }
}

/// A network. Nodes are in topological order; every change goes through [`Graph::apply`] or the builder methods.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// What the network is called.
    pub name: String,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<TensorId>,
    pub(crate) outputs: Vec<TensorId>,
    pub(crate) kept: Kept,
    /// What is said of the inputs, as many as there are or none.
    pub(crate) stated: Vec<Stated>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Graph {
            name: name.into(),
            ..Graph::default()
        }
    }

    /// All tensors; [`TensorId::index`] is the position.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// All nodes in topological order; [`NodeId::index`] is the position.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The ids of all nodes in topological order.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// The ids of all tensors.
    pub fn tensor_ids(&self) -> impl Iterator<Item = TensorId> + use<> {
        (0..self.tensors.len() as u32).map(TensorId)
    }

    /// The tensors that a caller feeds.
    pub fn inputs(&self) -> &[TensorId] {
        &self.inputs
    }

    /// The tensors that a caller reads.
    pub fn outputs(&self) -> &[TensorId] {
        &self.outputs
    }

    /// A tensor.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.index()]
    }

    /// A tensor, to change its quantization or data in place; [`Graph::verify`] says whether it still fits.
    pub fn tensor_mut(&mut self, id: TensorId) -> &mut Tensor {
        self.kept.forget_names();
        &mut self.tensors[id.index()]
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// A node, to change its attributes in place; [`Graph::verify`] says whether it still fits.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.kept.forget();
        &mut self.nodes[id.index()]
    }

    /// The data of a constant tensor.
    pub fn constant_data(&self, id: TensorId) -> Option<&Constant> {
        self.tensor(id).data.as_ref()
    }

    /// The tensor called `name`.
    pub fn find(&self, name: &str) -> Option<TensorId> {
        self.kept.find(name, &self.tensors)
    }

    /// Who makes and who reads each tensor.
    pub fn uses(&self) -> &Uses {
        self.kept.uses(&self.tensors, &self.nodes)
    }

    /// The node that makes `tensor`; `None` for inputs and constants.
    pub fn producer(&self, tensor: TensorId) -> Option<NodeId> {
        self.uses().producer(tensor)
    }

    /// The nodes that read `tensor`, in topological order, each once.
    pub fn consumers(&self, tensor: TensorId) -> impl Iterator<Item = NodeId> + '_ {
        self.uses().readers(tensor).iter().copied()
    }

    /// The only reader of `tensor`, when there is exactly one and the graph does not return the tensor itself.
    pub fn only_consumer(&self, tensor: TensorId) -> Option<NodeId> {
        let mut readers = self.consumers(tensor);
        let first = readers.next()?;
        (readers.next().is_none() && !self.outputs.contains(&tensor)).then_some(first)
    }

    /// `base`, or `base_1`, `base_2`, … : the first that no tensor and no node has.
    pub fn fresh_name(&self, base: &str) -> String {
        let (tensors, nodes) = (&self.tensors, &self.nodes);
        let taken = |name: &str| self.kept.is_tensor(name, tensors, nodes) || self.kept.is_node(name, tensors, nodes);
        if !taken(base) {
            return base.to_owned();
        }
        // More numbers than names: one of them is free.
        let limit = self.tensors.len() + self.nodes.len() + 1;
        let mut candidates = (1..=limit).map(|i| format!("{base}_{i}"));
        candidates
            .find(|name| !taken(name))
            .unwrap_or_else(|| format!("{base}_{limit}"))
    }

    /// Adds a tensor that the caller feeds.
    pub fn input(&mut self, name: impl Into<String>, ty: TensorType) -> TensorId {
        let id = self.push_tensor(Tensor {
            name: name.into(),
            ty,
            quantization: None,
            data: None,
        });
        self.inputs.push(id);
        if !self.stated.is_empty() {
            self.stated.push(Stated::default());
        }
        id
    }

    /// Adds a constant.
    pub fn constant(&mut self, name: impl Into<String>, data: Constant) -> TensorId {
        self.push_tensor(Tensor {
            name: name.into(),
            ty: data.ty(),
            quantization: None,
            data: Some(data.dense()),
        })
    }

    /// Adds a tensor that a node added later will make.
    pub fn push_tensor(&mut self, tensor: Tensor) -> TensorId {
        let id = TensorId(self.tensors.len() as u32);
        self.kept.add_tensor(id, &tensor);
        self.tensors.push(tensor);
        id
    }

    /// Adds a node after all others; its outputs are named after it and typed by inference.
    ///
    /// # Errors
    /// The inputs do not fit the operator.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let outputs = self.add_many(name, op, inputs)?;
        outputs
            .first()
            .copied()
            .ok_or(GraphError::Text("an operator without outputs".into()))
    }

    /// Like [`Graph::add`], for operators with several outputs (`name`, `name:1`, …).
    pub fn add_many(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: &[TensorId],
    ) -> Result<Vec<TensorId>, GraphError> {
        let (name, op) = (name.into(), op.into());
        let types: Vec<&TensorType> = inputs.iter().map(|&i| &self.tensor(i).ty).collect();
        let inferred = op.infer(&types).map_err(|source| GraphError::Infer {
            node: name.clone(),
            op: op.name(),
            source,
        })?;
        let outputs = inferred
            .into_iter()
            .enumerate()
            .map(|(i, ty)| {
                let name = if i == 0 { name.clone() } else { format!("{name}:{i}") };
                self.push_tensor(Tensor {
                    name,
                    ty,
                    quantization: None,
                    data: None,
                })
            })
            .collect::<Vec<_>>();
        self.push_node(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
        });
        Ok(outputs)
    }

    /// Adds a complete node after all others, its output tensors included already.
    pub fn push_node(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        self.kept.add_node(id, &node);
        self.nodes.push(node);
        id
    }

    /// Declares what the caller reads.
    pub fn set_outputs(&mut self, outputs: &[TensorId]) {
        self.outputs = outputs.to_vec();
    }

    /// The part that computes `outputs` where the activations `inputs` are given instead of computed; tensors keep their names.
    ///
    /// Inputs of the result are `inputs`, in this order, read or not.
    ///
    /// # Errors
    /// The outputs need an input of the graph that is not among `inputs`, or the graph has a cycle.
    pub fn part(&self, inputs: &[TensorId], outputs: &[TensorId]) -> Result<Graph, GraphError> {
        let mut part = self.clone();
        part.kept.forget();
        for node in &mut part.nodes {
            for output in &mut node.outputs {
                if inputs.contains(output) {
                    // Whoever needs another output of the node still computes it, and nobody reads this one.
                    let mut unread = part.tensors[output.index()].clone();
                    unread.name += " (computed)";
                    *output = TensorId(part.tensors.len() as u32);
                    part.tensors.push(unread);
                }
            }
        }
        part.inputs = inputs.to_vec();
        part.outputs = outputs.to_vec();
        part.stated.clear();
        for (i, input) in inputs.iter().enumerate() {
            if let Some(known) = self.inputs.iter().position(|known| known == input) {
                part.state(i, self.stated(known));
            }
        }
        part.normalize()?;
        part.verify()?;
        Ok(part)
    }

    /// Number of trained values: the elements of all constants that nodes read as data (shape constants are attributes).
    pub fn parameters(&self) -> usize {
        self.tensors
            .iter()
            .filter_map(|t| t.data.as_ref())
            .map(Constant::len)
            .sum()
    }

    /// Multiply–accumulate operations for one sample.
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|n| self.node_macs(n)).sum()
    }

    /// Multiply–accumulate operations of one node for one sample.
    pub fn node_macs(&self, node: &Node) -> u64 {
        let types: Vec<&TensorType> = node.inputs.iter().map(|&i| &self.tensor(i).ty).collect();
        node.op.macs(&types, &self.tensor(node.output()).ty)
    }

    /// How many nodes move elements from one order of dimensions into another.
    pub fn transposes(&self) -> usize {
        self.nodes.iter().filter(|n| matches!(n.op, Op::Transpose(_))).count()
    }

    /// Sorts nodes topologically (stable), drops what no output needs, and renumbers the ids.
    ///
    /// Inputs are kept even when nothing reads them.
    pub fn normalize(&mut self) -> Result<(), GraphError> {
        self.kept.forget();
        let uses = self.uses();
        let mut needed = vec![false; self.nodes.len()];
        let makers = |ids: &[TensorId]| ids.iter().filter_map(|&id| uses.producer(id)).collect::<Vec<_>>();
        let mut stack = makers(&self.outputs);
        while let Some(id) = stack.pop() {
            if !std::mem::replace(&mut needed[id.index()], true) {
                stack.extend(makers(&self.node(id).inputs));
            }
        }
        let roots: Vec<NodeId> = self.node_ids().filter(|id| needed[id.index()]).collect();
        let order = self.sorted(&roots)?;
        let mut slots: Vec<Option<Node>> = std::mem::take(&mut self.nodes).into_iter().map(Some).collect();
        self.nodes = order.into_iter().filter_map(|id| slots[id.index()].take()).collect();
        self.drop_unused_tensors();
        self.kept.forget();
        Ok(())
    }

    /// These nodes and what they need, each behind what it needs and otherwise in this order.
    pub(crate) fn sorted(&self, roots: &[NodeId]) -> Result<Vec<NodeId>, GraphError> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            Unseen,
            Entered,
            Placed,
        }
        let uses = self.uses();
        let mut state = vec![State::Unseen; self.nodes.len()];
        let mut order = Vec::with_capacity(roots.len());
        for &root in roots {
            let mut work = vec![(root, false)];
            while let Some((id, done)) = work.pop() {
                if done {
                    state[id.index()] = State::Placed;
                    order.push(id);
                } else if state[id.index()] == State::Unseen {
                    state[id.index()] = State::Entered;
                    work.push((id, true));
                    for maker in self.node(id).inputs.iter().rev().filter_map(|&t| uses.producer(t)) {
                        if state[maker.index()] == State::Entered {
                            return Err(GraphError::Cycle {
                                node: self.node(maker).name.clone(),
                            });
                        }
                        work.push((maker, false));
                    }
                }
            }
        }
        Ok(order)
    }

    /// Exchanges the names of two tensors.
    pub(crate) fn swap_names(&mut self, a: TensorId, b: TensorId) {
        let name = std::mem::take(&mut self.tensors[a.index()].name);
        self.tensors[a.index()].name = std::mem::replace(&mut self.tensors[b.index()].name, name);
    }

    /// Whether a node has this name.
    pub(crate) fn has_node(&self, name: &str) -> bool {
        self.kept.is_node(name, &self.tensors, &self.nodes)
    }

    fn drop_unused_tensors(&mut self) {
        let mut used = vec![false; self.tensors.len()];
        let referenced = self
            .inputs
            .iter()
            .chain(&self.outputs)
            .chain(self.nodes.iter().flat_map(|n| n.inputs.iter().chain(&n.outputs)));
        referenced.for_each(|t| used[t.index()] = true);
        let mut renumbered = vec![TensorId(u32::MAX); self.tensors.len()];
        let mut kept = Vec::new();
        for (i, tensor) in std::mem::take(&mut self.tensors).into_iter().enumerate() {
            if used[i] {
                renumbered[i] = TensorId(kept.len() as u32);
                kept.push(tensor);
            }
        }
        self.tensors = kept;
        let all = self.inputs.iter_mut().chain(&mut self.outputs);
        let all = all.chain(
            self.nodes
                .iter_mut()
                .flat_map(|n| n.inputs.iter_mut().chain(&mut n.outputs)),
        );
        all.for_each(|t| *t = renumbered[t.index()]);
    }

    /// Constants by element type, in bytes.
    pub fn weight_bytes(&self) -> Vec<(ElementType, usize)> {
        let constants = || self.tensors.iter().filter(|t| t.data.is_some());
        ElementType::NAMES
            .iter()
            .map(|&(e, _)| (e, constants().filter(|t| t.ty.element == e).map(|t| t.ty.bytes()).sum()))
            .filter(|&(_, n)| n > 0)
            .collect()
    }
}

impl From<(&Node, InferError)> for GraphError {
    fn from((node, source): (&Node, InferError)) -> Self {
        GraphError::Infer {
            node: node.name.clone(),
            op: node.op.name(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Add, Function, Split};

    #[test]
    fn a_part_computes_only_what_is_not_given() {
        let mut g = Graph::new("split");
        let x = g.input("x", TensorType::f32([1, 4]));
        let relu = g.add("relu", Function::Relu, &[x]).unwrap();
        let halves = g.add_many("split", Split { axis: 1, parts: 2 }, &[relu]).unwrap();
        let sum = g.add("sum", Add::default(), &halves).unwrap();
        g.set_outputs(&[sum]);

        let names = |g: &Graph| g.nodes().iter().map(|n| n.name.clone()).collect::<Vec<_>>();
        let after = g.part(&halves, &[sum]).unwrap();
        assert_eq!(names(&after), ["sum"]);
        assert_eq!(after.inputs().len(), 2);
        // One half is given, the other still comes from the split.
        let mixed = g.part(&[relu, halves[0]], &[sum]).unwrap();
        assert_eq!(names(&mixed), ["split", "sum"]);
        let before = g.part(&[x], &[relu]).unwrap();
        assert_eq!(names(&before), ["relu"]);
        assert!(g.part(&[halves[0]], &[sum]).is_err(), "the other half needs x");
    }
}

//! Who makes and who reads each tensor, and which names are taken: kept by a graph, so that asking costs nothing.
//!
//! Both are made when they are first asked for, follow what is added to the graph, and are forgotten when nodes or names change in
//! another way.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::{Node, NodeId, Tensor, TensorId};

/// The producer and the readers of each tensor, by position.
#[derive(Debug, Clone, Default)]
pub struct Uses {
    producer: Vec<Option<NodeId>>,
    readers: Vec<Vec<NodeId>>,
}

impl Uses {
    fn of(tensors: usize, nodes: &[Node]) -> Self {
        let mut uses = Uses {
            producer: vec![None; tensors],
            readers: vec![Vec::new(); tensors],
        };
        for (i, node) in nodes.iter().enumerate() {
            uses.add(NodeId(i as u32), node);
        }
        uses
    }

    /// The node that makes a tensor; the first, should there be several.
    pub fn producer(&self, tensor: TensorId) -> Option<NodeId> {
        self.producer[tensor.index()]
    }

    /// The nodes that read a tensor, each once, in the order in which they came.
    pub fn readers(&self, tensor: TensorId) -> &[NodeId] {
        &self.readers[tensor.index()]
    }

    fn add_tensor(&mut self) {
        self.producer.push(None);
        self.readers.push(Vec::new());
    }

    fn add(&mut self, id: NodeId, node: &Node) {
        for output in &node.outputs {
            self.producer[output.index()].get_or_insert(id);
        }
        for &input in &node.inputs {
            self.read(input, id);
        }
    }

    /// Notes what a node reads; all of it, before another node's.
    fn read(&mut self, tensor: TensorId, reader: NodeId) {
        let readers = &mut self.readers[tensor.index()];
        if readers.last() != Some(&reader) {
            readers.push(reader);
        }
    }

    /// Notes that a node reads one more tensor.
    pub(crate) fn read_too(&mut self, tensor: TensorId, reader: NodeId) {
        let readers = &mut self.readers[tensor.index()];
        if !readers.contains(&reader) {
            readers.push(reader);
        }
    }

    /// Forgets all readers of a tensor, and returns them.
    pub(crate) fn take_readers(&mut self, tensor: TensorId) -> Vec<NodeId> {
        std::mem::take(&mut self.readers[tensor.index()])
    }

    /// Forgets a node that is taken out.
    pub(crate) fn remove(&mut self, id: NodeId, node: &Node) {
        for input in &node.inputs {
            let readers = &mut self.readers[input.index()];
            if let Some(at) = readers.iter().position(|&reader| reader == id) {
                readers.remove(at);
            }
        }
        for output in &node.outputs {
            let producer = &mut self.producer[output.index()];
            *producer = producer.filter(|&p| p != id);
        }
    }
}

/// How many tensors and nodes have each name, and the first tensor of it.
#[derive(Debug, Clone, Default)]
struct Names {
    tensors: HashMap<String, (u32, TensorId)>,
    nodes: HashMap<String, u32>,
}

impl Names {
    fn add_tensor(&mut self, id: TensorId, name: &str) {
        self.tensors.entry(name.to_owned()).or_insert((0, id)).0 += 1;
    }

    fn add_node(&mut self, name: &str) {
        *self.nodes.entry(name.to_owned()).or_default() += 1;
    }
}

/// What a graph keeps beside its nodes. It is no part of what the graph is: all are equal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    uses: OnceLock<Uses>,
    names: OnceLock<Names>,
}

impl PartialEq for Kept {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Kept {
    pub fn uses(&self, tensors: &[Tensor], nodes: &[Node]) -> &Uses {
        self.uses.get_or_init(|| Uses::of(tensors.len(), nodes))
    }

    pub fn uses_mut(&mut self, tensors: &[Tensor], nodes: &[Node]) -> &mut Uses {
        self.uses(tensors, nodes);
        self.uses.get_mut().expect("it was made")
    }

    fn names(&self, tensors: &[Tensor], nodes: &[Node]) -> &Names {
        self.names.get_or_init(|| {
            let mut names = Names::default();
            for (i, tensor) in tensors.iter().enumerate() {
                names.add_tensor(TensorId(i as u32), &tensor.name);
            }
            for node in nodes {
                names.add_node(&node.name);
            }
            names
        })
    }

    pub fn is_node(&self, name: &str, tensors: &[Tensor], nodes: &[Node]) -> bool {
        self.names(tensors, nodes).nodes.contains_key(name)
    }

    pub fn is_tensor(&self, name: &str, tensors: &[Tensor], nodes: &[Node]) -> bool {
        self.names(tensors, nodes).tensors.contains_key(name)
    }

    /// The tensor of that name. Names are not made for one question.
    pub fn find(&self, name: &str, tensors: &[Tensor]) -> Option<TensorId> {
        if let Some(names) = self.names.get() {
            return names.tensors.get(name).map(|&(_, id)| id);
        }
        let found = tensors.iter().position(|t| t.name == name);
        found.map(|i| TensorId(i as u32))
    }

    pub fn add_tensor(&mut self, id: TensorId, tensor: &Tensor) {
        if let Some(uses) = self.uses.get_mut() {
            uses.add_tensor();
        }
        if let Some(names) = self.names.get_mut() {
            names.add_tensor(id, &tensor.name);
        }
    }

    pub fn add_node(&mut self, id: NodeId, node: &Node) {
        if let Some(uses) = self.uses.get_mut() {
            uses.add(id, node);
        }
        if let Some(names) = self.names.get_mut() {
            names.add_node(&node.name);
        }
    }

    /// Notes that a tensor's name is free again.
    pub fn free_tensor(&mut self, name: &str) {
        if let Some(names) = self.names.get_mut()
            && let Some((count, _)) = names.tensors.get_mut(name)
        {
            *count -= 1;
            if *count == 0 {
                names.tensors.remove(name);
            }
        }
    }

    /// Notes that a node's name is free again.
    pub fn free_node(&mut self, name: &str) {
        if let Some(names) = self.names.get_mut()
            && let Some(count) = names.nodes.get_mut(name)
        {
            *count -= 1;
            if *count == 0 {
                names.nodes.remove(name);
            }
        }
    }

    /// Names of tensors may change.
    pub fn forget_names(&mut self) {
        self.names = OnceLock::new();
    }

    /// Anything may change.
    pub fn forget(&mut self) {
        *self = Kept::default();
    }
}

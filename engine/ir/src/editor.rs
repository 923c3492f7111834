//! A graph while many patches are applied to it: each costs as much as it changes, and not as much as the graph has.
//!
//! Nodes keep their ids; those that are taken out stay as empty places. Which node comes before which is said by keys: a new node
//! stands just before the first node that needs it, where sorting the graph would put it.

use std::collections::BTreeMap;

use crate::ops::Identity;
use crate::patch::Change;
use crate::{Graph, GraphError, Node, NodeId, TensorId};

/// Between the keys of neighbours, at first.
const GAP: u64 = 1 << 32;

/// The position of a node.
pub(crate) type Key = u64;

/// See the module.
pub(crate) struct Editor {
    graph: Graph,
    /// Where each node stands; `None` for those that are taken out.
    keys: Vec<Option<Key>>,
    order: BTreeMap<Key, NodeId>,
}

impl Editor {
    /// An editor of a graph whose nodes are in topological order.
    pub fn new(graph: Graph) -> Self {
        let mut editor = Editor {
            keys: Vec::new(),
            order: BTreeMap::new(),
            graph,
        };
        let ids: Vec<NodeId> = editor.graph.node_ids().collect();
        editor.place(&ids);
        editor
    }

    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The first node from a position on.
    pub fn at_or_after(&self, key: Key) -> Option<(Key, NodeId)> {
        self.order.range(key..).next().map(|(&key, &id)| (key, id))
    }

    /// The graph, sorted and verified.
    pub fn finish(self) -> Result<Graph, GraphError> {
        let mut graph = self.graph;
        let mut nodes: Vec<Option<Node>> = std::mem::take(&mut graph.nodes).into_iter().map(Some).collect();
        graph.nodes = self.order.values().filter_map(|id| nodes[id.index()].take()).collect();
        graph.normalize()?;
        graph.verify()?;
        Ok(graph)
    }

    /// Gives all nodes that there are these positions, in this order.
    fn place(&mut self, ids: &[NodeId]) {
        self.keys = vec![None; self.graph.nodes.len()];
        self.order.clear();
        for (i, &id) in ids.iter().enumerate() {
            let key = (i as u64 + 1) * GAP;
            self.keys[id.index()] = Some(key);
            self.order.insert(key, id);
        }
    }

    /// Applies a change; the result is the first position that has a new node.
    pub fn apply(&mut self, change: Change) -> Result<Option<Key>, GraphError> {
        let Change {
            base,
            tensors,
            nodes,
            replace,
            remove,
        } = change;
        for mut tensor in tensors {
            tensor.name = self.graph.fresh_name(&tensor.name);
            self.graph.push_tensor(tensor);
        }
        let mut sorted = true;
        let mut loose = Vec::new();
        for (old, new) in replace {
            sorted &= self.redirect(old, new);
            if new.index() >= base {
                self.graph.swap_names(old, new);
            }
            loose.push(old);
        }
        for id in remove {
            if self.keys[id.index()].is_some() {
                loose.extend(self.take_out(id));
            }
        }
        let mut added = Vec::new();
        for mut node in nodes {
            if self.graph.has_node(&node.name) {
                node.name = self.graph.fresh_name(&node.name);
            }
            loose.extend(&node.outputs);
            added.push(self.graph.push_node(node));
            self.keys.push(None);
        }
        self.drop_unused(loose, &added);
        added.retain(|id| !self.graph.node(*id).outputs.is_empty());
        if sorted && self.insert(&added) {
            return Ok(added.iter().filter_map(|id| self.keys[id.index()]).min());
        }
        self.sort(&added)?;
        Ok(Some(0))
    }

    /// Everything that reads `old` reads `new`. Says whether nodes still stand in order.
    fn redirect(&mut self, old: TensorId, new: TensorId) -> bool {
        let Graph {
            tensors,
            nodes,
            outputs,
            kept,
            ..
        } = &mut self.graph;
        let uses = kept.uses_mut(tensors, nodes);
        let made = uses.producer(new).and_then(|id| self.keys[id.index()]);
        let mut sorted = true;
        for reader in uses.take_readers(old) {
            for input in nodes[reader.index()].inputs.iter_mut().filter(|id| **id == old) {
                *input = new;
            }
            uses.read_too(new, reader);
            sorted &= made < self.keys[reader.index()];
        }
        outputs.iter_mut().filter(|id| **id == old).for_each(|id| *id = new);
        sorted
    }

    /// Takes a node out; the result are the tensors that it read and made.
    fn take_out(&mut self, id: NodeId) -> Vec<TensorId> {
        if let Some(key) = self.keys[id.index()].take() {
            self.order.remove(&key);
        }
        let empty = Node {
            name: String::new(),
            op: Identity {}.into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        let graph = &mut self.graph;
        graph.uses();
        let node = std::mem::replace(&mut graph.nodes[id.index()], empty);
        graph.kept.free_node(&node.name);
        graph.kept.uses_mut(&graph.tensors, &graph.nodes).remove(id, &node);
        [node.inputs, node.outputs].concat()
    }

    /// Takes out what nothing needs, from these tensors backwards.
    fn drop_unused(&mut self, mut loose: Vec<TensorId>, added: &[NodeId]) {
        while let Some(tensor) = loose.pop() {
            let graph = &mut self.graph;
            let uses = graph.kept.uses(&graph.tensors, &graph.nodes);
            if !uses.readers(tensor).is_empty() || graph.outputs.contains(&tensor) {
                continue;
            }
            if let Some(maker) = uses.producer(tensor) {
                let node = &graph.nodes[maker.index()];
                let read = |id: &TensorId| !uses.readers(*id).is_empty() || graph.outputs.contains(id);
                let placed = self.keys[maker.index()].is_some() || added.contains(&maker);
                if placed && !node.outputs.iter().any(read) {
                    loose.extend(self.take_out(maker));
                }
            } else if !graph.inputs.contains(&tensor) {
                // Nobody can name it any more; its data need not stay till the end.
                let name = std::mem::take(&mut graph.tensors[tensor.index()].name);
                if !name.is_empty() {
                    graph.kept.free_tensor(&name);
                }
                graph.tensors[tensor.index()].data = None;
            }
        }
    }

    /// Puts new nodes before the first that needs them, or at the end; not where the others would have to move.
    fn insert(&mut self, added: &[NodeId]) -> bool {
        let is_new = |id: &NodeId| added.contains(id);
        let mut placed: Vec<NodeId> = Vec::new();
        let mut dependents: Vec<Key> = Vec::new();
        for id in added {
            for &output in &self.graph.node(*id).outputs {
                let readers = self.graph.uses().readers(output).iter().filter(|id| !is_new(id));
                dependents.extend(readers.filter_map(|id| self.keys[id.index()]));
            }
        }
        dependents.sort_unstable();
        dependents.dedup();
        let roots: Vec<(Option<Key>, NodeId)> = dependents
            .iter()
            .map(|&key| (Some(key), self.order[&key]))
            .chain(added.iter().map(|&id| (None, id)))
            .collect();
        for (before, root) in roots {
            let group = self.needed(root, added, &placed);
            if group.is_empty() {
                continue;
            }
            let low = match before {
                Some(key) => self.order.range(..key).next_back(),
                None => self.order.last_key_value(),
            };
            let low = low.map_or(0, |(&key, _)| key);
            let high = before.unwrap_or(low + GAP * (group.len() as u64 + 1));
            let step = (high - low) / (group.len() as u64 + 1);
            if step == 0 {
                return false;
            }
            for (i, &id) in group.iter().enumerate() {
                let key = low + step * (i as u64 + 1);
                let makers = self.graph.node(id).inputs.iter();
                let mut makers = makers.filter_map(|&input| self.graph.uses().producer(input));
                if makers.any(|maker| self.keys[maker.index()].is_none_or(|made| made >= key)) {
                    return false;
                }
                self.keys[id.index()] = Some(key);
                self.order.insert(key, id);
            }
            placed.extend(group);
        }
        true
    }

    /// The new nodes that `root` needs and that have no place yet, in the order in which it needs them; itself, if it is new.
    fn needed(&self, root: NodeId, added: &[NodeId], placed: &[NodeId]) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut work = vec![(root, false)];
        while let Some((id, done)) = work.pop() {
            if done {
                if added.contains(&id) && !found.contains(&id) {
                    found.push(id);
                }
                continue;
            }
            let other = id != root && !added.contains(&id);
            if other || placed.contains(&id) || found.contains(&id) {
                continue;
            }
            work.push((id, true));
            let inputs = self.graph.node(id).inputs.iter().rev();
            work.extend(inputs.filter_map(|&input| Some((self.graph.uses().producer(input)?, false))));
        }
        found
    }

    /// Sorts all nodes as [`Graph::normalize`] does, new ones last as far as may be.
    fn sort(&mut self, added: &[NodeId]) -> Result<(), GraphError> {
        let old = self.order.values().copied().filter(|id| !added.contains(id));
        let roots: Vec<NodeId> = old.chain(added.iter().copied()).collect();
        let order = self.graph.sorted(&roots)?;
        self.place(&order);
        Ok(())
    }
}

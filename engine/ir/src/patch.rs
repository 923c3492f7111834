//! Patches: a pass looks at a graph and describes a replacement; the engine applies it and verifies the result.
//!
//! The shape follows tract's model patches: build the new nodes beside the old graph, then say which old tensor each
//! new one takes the place of. What nothing reads any more disappears.

use crate::{Constant, Graph, GraphError, InferError, Node, NodeId, Op, Quantization, Tensor, TensorId, TensorType};

/// A description of a change. Ids of the patched graph may be used freely; new tensors get ids after them.
#[derive(Debug, Clone)]
pub struct Patch {
    base: usize,
    types: Vec<TensorType>,
    tensors: Vec<Tensor>,
    nodes: Vec<Node>,
    replace: Vec<(TensorId, TensorId)>,
    remove: Vec<NodeId>,
}

impl Patch {
    /// An empty patch of `graph`.
    pub fn new(graph: &Graph) -> Self {
        Patch {
            base: graph.tensors.len(),
            types: graph.tensors.iter().map(|t| t.ty.clone()).collect(),
            tensors: Vec::new(),
            nodes: Vec::new(),
            replace: Vec::new(),
            remove: Vec::new(),
        }
    }

    /// Adds a tensor; its name is made unique when the patch is applied.
    pub fn tensor(&mut self, tensor: Tensor) -> TensorId {
        let id = TensorId((self.base + self.tensors.len()) as u32);
        self.types.push(tensor.ty.clone());
        self.tensors.push(tensor);
        id
    }

    /// Adds a constant.
    pub fn constant(&mut self, name: impl Into<String>, data: Constant) -> TensorId {
        self.tensor(Tensor {
            name: name.into(),
            ty: data.ty(),
            quantization: None,
            data: Some(data.dense()),
        })
    }

    /// Adds a node with one output, named like it and typed by inference.
    pub fn node(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: &[TensorId],
    ) -> Result<TensorId, InferError> {
        self.quantized_node(name, op, inputs, None)
    }

    /// Like [`Patch::node`], with the quantization of its output.
    pub fn quantized_node(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: &[TensorId],
        quantization: Option<Quantization>,
    ) -> Result<TensorId, InferError> {
        let (name, op) = (name.into(), op.into());
        let types: Vec<&TensorType> = inputs.iter().map(|i| &self.types[i.index()]).collect();
        let mut inferred = op.infer(&types)?;
        if inferred.len() != 1 {
            return Err(InferError::Inputs {
                expected: "a node with one output",
                got: inferred.len(),
            });
        }
        let output = self.tensor(Tensor {
            name: name.clone(),
            ty: inferred.remove(0),
            quantization,
            data: None,
        });
        self.nodes.push(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            outputs: vec![output],
        });
        Ok(output)
    }

    /// Everything that reads `old`, graph outputs included, reads `new` instead. `new` takes over the name of `old`
    /// when it is a tensor of this patch, so that names stay stable.
    pub fn replace(&mut self, old: TensorId, new: TensorId) {
        self.replace.push((old, new));
    }

    /// Drops a node whose outputs nothing reads after the replacements.
    pub fn remove(&mut self, node: NodeId) {
        self.remove.push(node);
    }

    /// Whether the patch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.replace.is_empty() && self.remove.is_empty()
    }
}

impl Graph {
    /// Applies a patch made for this graph: adds, rewires, removes what nothing needs, sorts and verifies.
    ///
    /// All ids change. On an error the graph is unchanged.
    pub fn apply(&mut self, patch: Patch) -> Result<(), GraphError> {
        let mut next = self.clone();
        let old_nodes = next.nodes.len();
        for mut tensor in patch.tensors {
            tensor.name = next.fresh_name(&tensor.name);
            next.tensors.push(tensor);
        }
        let mut keep = vec![true; old_nodes];
        patch.remove.iter().for_each(|n| keep[n.index()] = false);
        for (old, new) in &patch.replace {
            let redirect = |t: &mut TensorId| {
                if t == old {
                    *t = *new;
                }
            };
            // Only what stood before is rewired: a new node may read the tensor that it replaces.
            next.nodes
                .iter_mut()
                .for_each(|n| n.inputs.iter_mut().for_each(redirect));
            next.outputs.iter_mut().for_each(redirect);
            if new.index() >= patch.base {
                let stable = std::mem::take(&mut next.tensors[old.index()].name);
                let stable = std::mem::replace(&mut next.tensors[new.index()].name, stable);
                next.tensors[old.index()].name = if stable.is_empty() {
                    format!("{}:replaced", next.tensors[new.index()].name)
                } else {
                    stable
                };
            }
        }
        let mut kept = keep.into_iter();
        next.nodes.retain(|_| kept.next().unwrap_or(true));
        for mut node in patch.nodes {
            if next.nodes.iter().any(|n| n.name == node.name) {
                node.name = next.fresh_name(&node.name);
            }
            next.nodes.push(node);
        }
        next.normalize()?;
        next.verify()?;
        *self = next;
        Ok(())
    }
}

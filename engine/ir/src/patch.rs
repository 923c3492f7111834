//! Patches: a pass looks at a graph and describes a replacement; the engine applies it and verifies the result.
//!
//! The shape follows tract's model patches: build the new nodes beside the old graph, then say which old tensor each
//! new one takes the place of. What nothing reads any more disappears.

use crate::editor::Editor;
use crate::{Constant, Graph, GraphError, InferError, Node, NodeId, Op, Quantization, Tensor, TensorId, TensorType};

/// A description of a change of a graph. Its ids may be used freely; new tensors get ids after them.
#[derive(Debug, Clone)]
pub struct Patch<'g> {
    graph: &'g Graph,
    change: Change,
}

/// A patch that has let go of the graph that it was made for, and can be applied to it.
#[derive(Debug, Clone)]
pub struct Change {
    pub(crate) base: usize,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) replace: Vec<(TensorId, TensorId)>,
    pub(crate) remove: Vec<NodeId>,
}

impl<'g> Patch<'g> {
    /// An empty patch of `graph`.
    pub fn new(graph: &'g Graph) -> Self {
        Patch {
            graph,
            change: Change {
                base: graph.tensors.len(),
                tensors: Vec::new(),
                nodes: Vec::new(),
                replace: Vec::new(),
                remove: Vec::new(),
            },
        }
    }

    /// The change that is described.
    pub fn done(self) -> Change {
        self.change
    }

    fn ty(&self, id: TensorId) -> &TensorType {
        match id.index().checked_sub(self.change.base) {
            Some(new) => &self.change.tensors[new].ty,
            None => &self.graph.tensor(id).ty,
        }
    }

    /// Adds a tensor; its name is made unique when the patch is applied.
    pub fn tensor(&mut self, tensor: Tensor) -> TensorId {
        let id = TensorId((self.change.base + self.change.tensors.len()) as u32);
        self.change.tensors.push(tensor);
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
        let outputs = self.made(name.into(), op.into(), inputs, quantization)?;
        match outputs.as_slice() {
            &[output] => Ok(output),
            others => Err(InferError::Inputs {
                expected: "a node with one output",
                got: others.len(),
            }),
        }
    }

    /// Adds a node with any number of outputs: the first is named like it, the others with their position behind.
    pub fn nodes(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: &[TensorId],
    ) -> Result<Vec<TensorId>, InferError> {
        self.made(name.into(), op.into(), inputs, None)
    }

    fn made(
        &mut self,
        name: String,
        op: Op,
        inputs: &[TensorId],
        quantization: Option<Quantization>,
    ) -> Result<Vec<TensorId>, InferError> {
        let types: Vec<&TensorType> = inputs.iter().map(|&id| self.ty(id)).collect();
        let inferred = op.infer(&types)?;
        let named = |(i, ty): (usize, TensorType)| {
            self.tensor(Tensor {
                name: if i == 0 { name.clone() } else { format!("{name}:{i}") },
                ty,
                quantization: quantization.clone(),
                data: None,
            })
        };
        let outputs: Vec<TensorId> = inferred.into_iter().enumerate().map(named).collect();
        self.change.nodes.push(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
        });
        Ok(outputs)
    }

    /// Everything that reads `old`, graph outputs included, reads `new` instead. `new` takes over the name of `old`
    /// when it is a tensor of this patch, so that names stay stable.
    pub fn replace(&mut self, old: TensorId, new: TensorId) {
        self.change.replace.push((old, new));
    }

    /// Drops a node whose outputs nothing reads after the replacements.
    pub fn remove(&mut self, node: NodeId) {
        self.change.remove.push(node);
    }

    /// Whether the patch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.change.nodes.is_empty() && self.change.replace.is_empty() && self.change.remove.is_empty()
    }
}

impl Graph {
    /// Applies a change that was described for this graph: adds, rewires, removes what nothing needs, sorts and verifies.
    ///
    /// All ids change. On an error the graph is unchanged.
    pub fn apply(&mut self, change: Change) -> Result<(), GraphError> {
        let mut editor = Editor::new(self.clone());
        editor.apply(change)?;
        *self = editor.finish()?;
        Ok(())
    }
}

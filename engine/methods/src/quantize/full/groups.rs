//! Which activations share a scale, and what it is.

use ir::ops::IntegerRule;
use ir::{Constant, ElementType, Graph, Node, Op, QuantParams, TensorId};

use crate::quantize::QuantizeError;
use crate::quantize::range::{NARROWEST, Range, TensorRanges, WIDEST};
use crate::quantize::width::Width;

/// The inputs of a node that hold real numbers; indices are none.
pub(super) fn moved_inputs(graph: &Graph, node: &Node) -> Vec<TensorId> {
    let real = |id: &TensorId| graph.tensor(*id).ty.element == ElementType::F32;
    node.inputs.iter().copied().filter(real).collect()
}

/// Tensors that share scale and zero point (a union–find forest over tensor positions).
pub(super) struct Groups {
    width: Width,
    parent: Vec<usize>,
    dictated: Vec<Option<QuantParams>>,
}

impl Groups {
    pub(super) fn of(graph: &Graph, width: Width) -> Self {
        let n = graph.tensors().len();
        let mut groups = Groups {
            width,
            parent: (0..n).collect(),
            dictated: vec![None; n],
        };
        for node in graph.nodes() {
            if let IntegerRule::Dictated(params) = width.rule(&node.op) {
                groups.dictated[node.output().index()] = Some(params);
            }
        }
        for node in graph.nodes().iter().filter(|n| width.rule(&n.op) == IntegerRule::Same) {
            let output = node.output().index();
            for other in node.outputs.iter().skip(1).map(|t| t.index()) {
                groups.join(output, other);
            }
            let moved = moved_inputs(graph, node);
            for input in moved.iter().map(|t| t.index()) {
                // One input that is dictated dictates the output; beside others it is converted instead.
                if moved.len() == 1 || groups.dictated[groups.root(input)].is_none() {
                    groups.join(output, input);
                }
            }
        }
        groups
    }

    fn root(&self, mut i: usize) -> usize {
        while self.parent[i] != i {
            i = self.parent[i];
        }
        i
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        match (self.dictated[a], self.dictated[b]) {
            (Some(x), Some(y)) if x != y => {}
            (x, y) => {
                self.dictated[a] = x.or(y);
                self.parent[b] = a;
            }
        }
    }

    /// The parameters of every float tensor, from the union of the ranges in its group.
    pub(super) fn params(
        &self,
        graph: &Graph,
        ranges: &TensorRanges,
    ) -> Result<Vec<Option<QuantParams>>, QuantizeError> {
        let n = graph.tensors().len();
        let mut union: Vec<Option<Range>> = vec![None; n];
        let mut moved = Vec::new();
        let moves = |node| matches!(graph.node(node).op, Op::Transpose(_) | Op::Reshape(_) | Op::Gather(_));
        // Constants that nodes read as activations are measured; weights get parameters of their own kind later.
        let is_weight = |id: TensorId| {
            graph
                .consumers(id)
                .all(|c| graph.node(c).op.weight_axis().is_some() && graph.node(c).inputs[0] != id)
        };
        for id in graph.tensor_ids() {
            let tensor = graph.tensor(id);
            if tensor.ty.element != ElementType::F32 || (tensor.data.is_some() && is_weight(id)) {
                continue;
            }
            let range = match tensor.data.as_ref().and_then(Constant::as_f32) {
                Some(values) => Range::of(values).ok_or_else(|| QuantizeError::NotFinite {
                    tensor: tensor.name.clone(),
                })?,
                None if self.dictated[self.root(id.index())].is_some() => continue,
                None => match ranges.get(&tensor.name) {
                    Some(&range) => range,
                    // Put in when the network was laid out: it has the range of what is moved to it, or from it.
                    None if graph.producer(id).into_iter().chain(graph.consumers(id)).any(moves) => {
                        moved.push(id);
                        continue;
                    }
                    None => {
                        return Err(QuantizeError::NoRange {
                            tensor: tensor.name.clone(),
                        });
                    }
                },
            };
            let slot = &mut union[self.root(id.index())];
            *slot = Some(slot.map_or(range, |r| r.union(range)));
        }
        if let Some(&id) = moved.iter().find(|id| union[self.root(id.index())].is_none()) {
            return Err(QuantizeError::NoRange {
                tensor: graph.tensor(id).name.clone(),
            });
        }
        self.widen_for_softmax(graph, &mut union);
        let params = |i: usize| {
            let root = self.root(i);
            self.dictated[root].or_else(|| self.width.params(union[root]?))
        };
        let params: Vec<Option<QuantParams>> = (0..n).map(params).collect();
        let wide = graph.tensors().iter().zip(&params).find_map(|(tensor, params)| {
            let step = params.as_ref()?.scale.get();
            (step > WIDEST).then(|| QuantizeError::TooWide {
                tensor: tensor.name.clone(),
                step,
            })
        });
        wide.map_or(Ok(params), Err)
    }

    /// LiteRT's softmax aborts on steps of 2⁻²⁶ and less. The exponentials of what lies within a few of them are the same.
    fn widen_for_softmax(&self, graph: &Graph, union: &mut [Option<Range>]) {
        for node in graph.nodes() {
            let Op::Softmax(softmax) = &node.op else { continue };
            let slot = &mut union[self.root(node.inputs[0].index())];
            let least = 255.0 / (f32::from(1_u16 << 12) * f32::from(1_u16 << 12)) / softmax.beta.abs().max(NARROWEST);
            *slot = slot.map(|range| range.at_least(least));
        }
    }
}

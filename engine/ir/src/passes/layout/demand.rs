//! What the readers of a tensor ask for: the order in which it had best be stored.

use super::order::Order;
use crate::ops::Reads;
use crate::{Graph, Node, Op, TensorId};

/// What all readers of a tensor together ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Demand {
    /// None of them minds.
    Any,
    /// All that mind ask for this.
    One(Order),
    /// They ask for different orders.
    Mixed,
}

impl Demand {
    fn join(&mut self, other: Demand) {
        let joined = match (std::mem::replace(self, Demand::Any), other) {
            (Demand::Any, x) | (x, Demand::Any) => x,
            (Demand::One(a), Demand::One(b)) if a == b => Demand::One(a),
            _ => Demand::Mixed,
        };
        *self = joined;
    }
}

/// The readers of each tensor: how many there are, and what they ask for.
#[derive(Debug)]
pub(super) struct Demands {
    demands: Vec<Demand>,
    readers: Vec<usize>,
}

impl Demands {
    /// Walks the graph backwards. Outputs of the graph ask for nothing: a transpose that reaches them stands last.
    pub(super) fn of(graph: &Graph) -> Self {
        let n = graph.tensors().len();
        let mut all = Demands {
            demands: vec![Demand::Any; n],
            readers: vec![0; n],
        };
        for node in graph.nodes().iter().rev() {
            for (i, &input) in node.inputs.iter().enumerate() {
                let demand = all.by(graph, node, i);
                all.demands[input.index()].join(demand);
                all.readers[input.index()] += 1;
            }
        }
        all
    }

    pub(super) fn readers(&self, id: TensorId) -> usize {
        self.readers[id.index()]
    }

    /// The one order that is asked for.
    pub(super) fn one(&self, id: TensorId) -> Option<&Order> {
        match &self.demands[id.index()] {
            Demand::One(order) => Some(order),
            Demand::Any | Demand::Mixed => None,
        }
    }

    /// What one node asks for in its input number `i`.
    fn by(&self, graph: &Graph, node: &Node, i: usize) -> Demand {
        let rank = |id: TensorId| graph.tensor(id).ty.shape.rank();
        let behind = || self.demands[node.output().index()].clone();
        match (node.op.reads(), &node.op) {
            (_, Op::Transpose(op)) => match behind() {
                Demand::One(order) => Demand::One(order.before(&op.perm)),
                other => other,
            },
            // What lets any order through asks for what is asked of it.
            (Reads::Function | Reads::Place | Reads::Named, _) => behind(),
            (Reads::Broadcast, _) if rank(node.inputs[i]) == rank(node.output()) => behind(),
            (Reads::Broadcast | Reads::Moved | Reads::Combined, _) => Demand::Any,
            (Reads::Stated, _) => Demand::One(Order::stated(rank(node.inputs[i]))),
        }
    }
}

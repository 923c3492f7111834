//! Additive masks: constants that are added to scores before a softmax, so low that nothing is left of what they hide.
//!
//! Causal attention adds minus infinity, the least float or −1e9 to the scores of what comes later. Only the softmax behind it sees these
//! numbers, and to it all that are low enough are one.

use crate::ops::{Add, Sub};
use crate::{Constant, Graph, InferError, NodeId, Op, Patch, TensorId};

/// What stands for minus infinity: scores can be added to it, and to a softmax it is the same.
const HIDDEN: f32 = f32::MIN / 2.0;

/// A sum of scores and a constant, of which nothing but softmaxes learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masked {
    /// The constant is added to what is computed.
    pub constant: TensorId,
    /// The scores.
    pub scores: TensorId,
    /// The sum.
    pub sum: TensorId,
    /// Whether the constant is subtracted.
    pub subtracted: bool,
}

/// The sum that a node is; `None` for other nodes, and where something else than a softmax reads it.
pub fn masked(graph: &Graph, id: NodeId) -> Option<Masked> {
    let node = graph.node(id);
    let (Op::Add(Add { activation }) | Op::Sub(Sub { activation })) = &node.op else {
        return None;
    };
    let &[a, b] = node.inputs.as_slice() else { return None };
    let subtracted = matches!(node.op, Op::Sub(_));
    let constant = |id: TensorId| graph.constant_data(id).is_some_and(|data| data.as_f32().is_some());
    let (scores, constant) = match (constant(a), constant(b)) {
        (false, true) => (a, b),
        (true, false) if !subtracted => (b, a),
        _ => return None,
    };
    (activation.is_none() && only_softmax(graph, node.output())).then_some(Masked {
        constant,
        scores,
        sum: node.output(),
        subtracted,
    })
}

/// Whether a tensor reaches softmaxes and nothing else, moved or with more added to it on the way.
pub fn only_softmax(graph: &Graph, tensor: TensorId) -> bool {
    let mut open = vec![tensor];
    let mut softmaxes = 0;
    while let Some(tensor) = open.pop() {
        if graph.outputs().contains(&tensor) {
            return false;
        }
        for reader in graph.consumers(tensor) {
            let reader = graph.node(reader);
            match &reader.op {
                Op::Softmax(_) => softmaxes += 1,
                Op::Reshape(_) | Op::Identity(_) | Op::Dropout(_) | Op::Add(_) => open.push(reader.output()),
                Op::Sub(_) if reader.inputs[0] == tensor => open.push(reader.output()),
                _ => return false,
            }
        }
    }
    softmaxes > 0
}

/// Minus infinity in a mask becomes a finite number that hides as well, so that every value before the softmax is one.
pub fn finite_mask(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let Some(found) = masked(graph, id) else {
        return Ok(None);
    };
    let (name, data) = (&graph.tensor(found.constant).name, graph.constant_data(found.constant));
    let hidden = if found.subtracted {
        f32::INFINITY
    } else {
        f32::NEG_INFINITY
    };
    let Some(values) = data
        .and_then(Constant::as_f32)
        .filter(|values| values.contains(&hidden))
    else {
        return Ok(None);
    };
    let finite = values.iter().map(|&v| match v {
        v if v != hidden => v,
        v if v < 0.0 => HIDDEN,
        _ => -HIDDEN,
    });
    let node = graph.node(id);
    let shape = graph.tensor(found.constant).ty.shape.clone();
    let mut patch = Patch::new(graph);
    let mask = patch.constant(
        name.clone(),
        Constant::f32(shape, finite.collect()).expect("as many as before"),
    );
    let inputs: Vec<TensorId> = node
        .inputs
        .iter()
        .map(|&i| if i == found.constant { mask } else { i })
        .collect();
    let sum = patch.node(node.name.clone(), node.op.clone(), &inputs)?;
    patch.replace(node.output(), sum);
    patch.remove(id);
    Ok(Some(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorType;
    use crate::ops::{Reshape, Softmax};

    /// Scores and a mask, then a softmax; `seen` returns the sum as well.
    fn attention(mask: f32, seen: bool) -> Graph {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 1, 2, 2]));
        let m = g.constant("m", Constant::f32([2, 2], vec![0.0, mask, 0.0, 0.0]).unwrap());
        let sum = g.add("sum", Add::default(), &[m, x]).unwrap();
        let flat = g.add("flat", Reshape { shape: vec![1, 2, 2] }, &[sum]).unwrap();
        let y = g.add("y", Softmax { beta: 1.0 }, &[flat]).unwrap();
        let outputs = if seen { vec![y, sum] } else { vec![y] };
        g.set_outputs(&outputs);
        g
    }

    #[test]
    fn minus_infinity_before_a_softmax_becomes_a_number() {
        let mut g = attention(f32::NEG_INFINITY, false);
        crate::passes::lower(&mut g).unwrap();
        let sum = g.nodes().iter().find(|n| n.name == "sum").unwrap();
        let mask = g.constant_data(sum.inputs[0]).and_then(Constant::as_f32).unwrap();
        assert_eq!(mask, [0.0, HIDDEN, 0.0, 0.0]);
        // Scores do not make it infinite again.
        assert!((HIDDEN - 1e30).is_finite());
    }

    #[test]
    fn what_others_read_is_no_mask() {
        let find = |g: &Graph| g.node_ids().find_map(|id| masked(g, id));
        let found = attention(-1e9, false);
        assert_eq!(
            find(&found).map(|m| found.tensor(m.constant).name.clone()),
            Some("m".into())
        );
        assert_eq!(find(&attention(-1e9, true)), None);
        let mut seen = attention(f32::NEG_INFINITY, true);
        let before = seen.clone();
        crate::passes::lower(&mut seen).unwrap();
        assert_eq!(seen, before);
    }
}

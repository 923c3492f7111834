//! Columns of a table that differ by orders of magnitude: what brings them to one scale must come before the quantization.
//!
//! An integer tensor has one scale. Beside a column of thousands, one of ones is a single step of it: nothing is left of the small
//! column, whatever a normalization inside the network does afterwards. So where the caller feeds floats, such a normalization is
//! computed in floats, and its result is quantized.

use std::collections::HashSet;

use ir::ops::Activation;
use ir::{Constant, Graph, Node, NodeId, Op, TensorId};

/// Columns whose factors differ by more than this share no scale of 8 bits.
const MOST_SPREAD: f32 = 8.0;

/// The nodes that bring the columns of inputs to one scale: additions and multiplications of constants that stand directly behind
/// an input, one of them with factors that differ by more than [`MOST_SPREAD`].
pub fn brought_to_one_scale(graph: &Graph) -> HashSet<NodeId> {
    graph.inputs().iter().flat_map(|&input| chain(graph, input)).collect()
}

fn chain(graph: &Graph, input: TensorId) -> Vec<NodeId> {
    let (mut nodes, mut needed, mut at) = (Vec::new(), 0, input);
    while let Some((id, constant)) = only_reader(graph, at) {
        let node = graph.node(id);
        nodes.push(id);
        let scales = matches!(node.op, Op::Mul(_) | Op::Div(_));
        // What is shifted behind the factors belongs to them.
        if (scales && spread(constant) > MOST_SPREAD) || (!scales && needed > 0) {
            needed = nodes.len();
        }
        at = node.output();
    }
    nodes.truncate(needed);
    // Something must be left to compute in integers.
    let end = nodes.last().map(|&id| graph.node(id).output());
    if end.is_some_and(|end| graph.outputs().contains(&end)) {
        nodes.clear();
    }
    nodes
}

/// The one node that reads `id`, and the constant that it adds or multiplies.
fn only_reader(graph: &Graph, id: TensorId) -> Option<(NodeId, &Constant)> {
    let mut readers = graph.consumers(id);
    let (reader, None) = (readers.next()?, readers.next()) else {
        return None;
    };
    let node: &Node = graph.node(reader);
    let plain = match &node.op {
        Op::Add(op) => op.activation == Activation::None,
        Op::Sub(op) => op.activation == Activation::None,
        Op::Mul(op) => op.activation == Activation::None,
        Op::Div(op) => op.activation == Activation::None,
        _ => false,
    };
    let other = node.inputs.iter().find(|&&input| input != id)?;
    let constant = graph.constant_data(*other).filter(|c| matches!(c, Constant::F32(_)))?;
    (plain && !graph.outputs().contains(&id)).then_some((reader, constant))
}

/// The largest factor over the smallest that is not 0.
fn spread(factors: &Constant) -> f32 {
    let sizes = || factors.as_f32().unwrap_or_default().iter().map(|v| v.abs());
    let largest = sizes().fold(0.0, f32::max);
    let smallest = sizes().filter(|&v| v > 0.0).fold(f32::INFINITY, f32::min);
    largest / smallest
}

#[cfg(test)]
mod tests {
    use ir::TensorType;
    use ir::ops::{Function, Mul, Sub};

    use super::*;

    fn normalized(factors: [f32; 2]) -> Graph {
        let mut graph = Graph::new("table");
        let x = graph.input("x", TensorType::f32([1, 2]));
        let mean = graph.constant("mean", Constant::f32([1, 2], vec![3.0, 40_000.0]).unwrap());
        let scale = graph.constant("scale", Constant::f32([1, 2], factors.to_vec()).unwrap());
        let y = graph.add("centred", Sub::default(), &[x, mean]).unwrap();
        let y = graph.add("scaled", Mul::default(), &[y, scale]).unwrap();
        let y = graph.add("y", Function::Relu, &[y]).unwrap();
        graph.set_outputs(&[y]);
        graph
    }

    #[test]
    fn what_makes_columns_comparable_is_found() {
        let found = |factors| {
            let graph = normalized(factors);
            let mut names: Vec<_> = brought_to_one_scale(&graph)
                .iter()
                .map(|&id| graph.node(id).name.clone())
                .collect();
            names.sort();
            names
        };
        assert_eq!(found([1.0, 1e-5]), ["centred", "scaled"]);
        assert_eq!(found([1.0, 0.5]), [""; 0]);
    }
}

//! The border of a network: inputs and outputs that are only seen through transposes become channels-last themselves.

use super::order::moves_nothing;
use crate::{Graph, Node, Op, SampleAxis, Shape, TensorId};

const TO_LAST: [usize; 4] = [0, 2, 3, 1];
const TO_FIRST: [usize; 4] = [0, 3, 1, 2];

/// Whether a node permutes four dimensions in this way, be it by a reshape where no element moves.
fn permutes(graph: &Graph, node: &Node, perm: [usize; 4]) -> bool {
    let from = graph.tensor(node.inputs[0]).ty.shape.dims();
    match &node.op {
        Op::Transpose(op) => op.perm == perm,
        Op::Reshape(op) => {
            from.len() == perm.len()
                && moves_nothing(&perm, from)
                && perm.iter().map(|&p| from[p]).eq(op.shape.iter().copied())
        }
        _ => false,
    }
}

/// Turns inputs around that are read by transposes to channels-last alone, and outputs that a transpose to channels-first makes.
/// Names stay where they are seen.
pub(super) fn turn(graph: &mut Graph) {
    for (i, input) in graph.inputs.clone().into_iter().enumerate() {
        if turn_input(graph, input) {
            let mut stated = graph.stated(i);
            if let SampleAxis::At(axis) = &mut stated.samples {
                *axis = TO_FIRST[*axis];
            }
            stated.channels_first = true;
            graph.state(i, stated);
        }
    }
    for i in 0..graph.outputs.len() {
        turn_output(graph, i);
    }
}

/// Says whether it did.
fn turn_input(graph: &mut Graph, input: TensorId) -> bool {
    let readers: Vec<&Node> = graph.nodes.iter().filter(|n| n.inputs.contains(&input)).collect();
    let through: Vec<TensorId> = readers.iter().map(|n| n.output()).collect();
    let seen = |id: &TensorId| graph.outputs.contains(id);
    if readers.is_empty()
        || seen(&input)
        || through.iter().any(seen)
        || !readers.iter().all(|node| permutes(graph, node, TO_LAST))
    {
        return false;
    }
    let tensor = &mut graph.tensors[input.index()];
    let dims = tensor.ty.shape.dims();
    tensor.ty.shape = Shape(TO_LAST.map(|p| dims[p]).to_vec());
    if let Some(quantization) = &mut tensor.quantization {
        let moved = |axis| TO_LAST.iter().position(|&p| p == axis);
        quantization.axis = quantization.axis.and_then(moved);
    }
    graph.nodes.retain(|n| !through.contains(&n.output()));
    let reads = graph.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut());
    reads.filter(|id| through.contains(id)).for_each(|id| *id = input);
    graph.kept.forget();
    true
}

fn turn_output(graph: &mut Graph, i: usize) {
    let output = graph.outputs[i];
    let Some(node) = graph.producer(output).map(|id| graph.node(id)) else {
        return;
    };
    let stored = node.inputs[0];
    let made = graph.producer(stored).is_some();
    if !made || graph.outputs.contains(&stored) || !permutes(graph, node, TO_FIRST) {
        return;
    }
    let name = std::mem::take(&mut graph.tensors[output.index()].name);
    let inner = std::mem::replace(&mut graph.tensors[stored.index()].name, name);
    graph.tensors[output.index()].name = inner;
    graph.outputs[i] = stored;
    graph.kept.forget_names();
}

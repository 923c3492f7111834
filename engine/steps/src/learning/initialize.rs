//! Random weights for a network, or for a layer of it.

use ir::{Constant, Graph, Op as Operator, TensorId};
use methods::layers;

/// Draws the weights of all layers; norms change nothing.
pub fn initialize(graph: &mut Graph, seed: u64) {
    for (i, layer) in layers(graph).into_iter().enumerate() {
        draw(graph, layer.weights, layer.columns, seed, i as u64);
    }
    let mut ones: Vec<TensorId> = Vec::new();
    for node in graph.nodes() {
        match node.op {
            // Gamma and variance.
            Operator::BatchNorm(_) => ones.extend([node.inputs[1], node.inputs[4]]),
            Operator::LayerNorm(_) => ones.push(node.inputs[1]),
            _ => {}
        }
    }
    for id in ones {
        let shape = graph.tensor(id).ty.shape.clone();
        let values = vec![1.0; shape.elements()];
        graph.tensor_mut(id).data = Constant::f32(shape, values);
    }
}

/// Draws the values of a constant of which `sum` come together in an output.
pub fn draw(graph: &mut Graph, weights: TensorId, sum: usize, seed: u64, stream: u64) {
    let shape = graph.tensor(weights).ty.shape.clone();
    let mut values = vec![0.0; shape.elements()];
    learn::he_normal(seed, stream, sum, &mut values);
    graph.tensor_mut(weights).data = Constant::f32(shape, values);
}

//! Dynamic-range quantization: weights are stored as 8-bit integers, activations stay floats.
//!
//! The runtime quantizes each sample's activations on the fly, multiplies integers, and scales the result back.
//! No calibration is needed. Source: TensorFlow Lite post-training dynamic-range quantization.

use std::collections::HashSet;

use ir::{Constant, Graph, TensorId};

use super::grid::{Grid, Plan, WeightType};
use super::{Granularity, QuantizeError, weights};

/// Quantizes the weights of convolutions and fully connected layers that have at least `min_elements`.
///
/// The bias and all other constants stay floats. A weight tensor that any other kind of node reads stays float too.
pub fn dynamic(
    graph: &Graph,
    granularity: Granularity,
    min_elements: usize,
    plan: &Plan,
) -> Result<Graph, QuantizeError> {
    let mut out = graph.clone();
    let mut done: HashSet<TensorId> = HashSet::new();
    for node in graph.nodes() {
        let Some(channel) = weights::channel_axis(&node.op) else {
            continue;
        };
        let id = node.inputs[1];
        let Some(Constant::F32(values)) = graph.constant_data(id) else {
            continue;
        };
        let only_weights = graph.consumers(id).all(|n| {
            let n = graph.node(n);
            n.inputs.iter().filter(|&&t| t == id).count() == 1
                && n.inputs[1] == id
                && weights::channel_axis(&n.op) == Some(channel)
        });
        if values.len() < min_elements || !only_weights || !done.insert(id) {
            continue;
        }
        let kind = plan.kind(&node.name);
        if kind == WeightType::Float {
            continue;
        }
        let grid = plan.grids.get(&node.name).cloned();
        let grid = grid.unwrap_or_else(|| Grid::widest(&node.op, values.view(), granularity, kind, |_| 0.0));
        let (data, quantization) = weights::quantized(values.view(), &grid);
        let tensor = out.tensor_mut(id);
        tensor.ty = data.ty();
        tensor.data = Some(data);
        tensor.quantization = Some(quantization);
    }
    out.verify()?;
    Ok(out)
}

//! Dynamic-range quantization: weights are stored as 8-bit integers, activations stay floats.
//!
//! The runtime quantizes each sample's activations on the fly, multiplies integers, and scales the result back.
//! With scales for blocks of weights, or groups of channels, which its integer kernels do not have, a layer computes in floats from weights that
//! are dequantized before.
//! No calibration is needed. Source: TensorFlow Lite post-training dynamic-range quantization.

use std::collections::HashSet;

use ir::ops::Dequantize;
use ir::{Constant, Graph, Node, Op, Quantization, Tensor, TensorId};

use super::grid::{Grid, Plan, WeightType};
use super::{Granularity, QuantizeError, weights};

/// Quantizes the weights of convolutions and fully connected layers that have at least `min_elements`.
///
/// The bias and all other constants stay floats. A weight tensor that any other kind of node reads, or that is returned,
/// stays float too.
pub fn dynamic(
    graph: &Graph,
    granularity: Granularity,
    min_elements: usize,
    block: Option<usize>,
    plan: &Plan,
) -> Result<Graph, QuantizeError> {
    let mut out = graph.clone();
    let mut done: HashSet<TensorId> = HashSet::new();
    // Weights that are dequantized before their layer computes.
    let mut stored = Vec::new();
    for node in graph.nodes() {
        let Some(channel) = node.op.weight_axis() else {
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
                && n.op.weight_axis() == Some(channel)
        });
        let only_weights = only_weights && !graph.outputs().contains(&id);
        if values.len() < min_elements || !only_weights || !done.insert(id) {
            continue;
        }
        let kind = plan.kind(&node.name);
        if kind == WeightType::Float {
            continue;
        }
        if let Some(block) =
            block.filter(|&b| kind == WeightType::Int4 && weights::has_blocks(&node.op, values.shape(), b))
        {
            let (data, quantization) = weights::in_blocks(values.view(), block, kind.limit());
            stored.push((id, data, quantization));
            continue;
        }
        let grid = plan.grids.get(&node.name).cloned();
        let grid = grid.unwrap_or_else(|| Grid::widest(&node.op, values.view(), granularity, kind, |_| 0.0));
        let (data, quantization) = weights::quantized(values.view(), &grid);
        if matches!(&node.op, Op::Conv2d(conv) if conv.groups > 1) {
            stored.push((id, data, quantization));
            continue;
        }
        let tensor = out.tensor_mut(id);
        tensor.ty = data.ty();
        tensor.data = Some(data);
        tensor.quantization = Some(quantization);
    }
    for (id, data, quantization) in stored {
        dequantized(&mut out, id, data, quantization);
    }
    out.normalize()?;
    out.verify()?;
    Ok(out)
}

/// Stores integers in place of a constant, and computes it from them.
fn dequantized(graph: &mut Graph, id: TensorId, data: Constant, quantization: Quantization) {
    let real = graph.tensor_mut(id);
    real.data = None;
    let name = real.name.clone();
    let stored = graph.push_tensor(Tensor {
        name: format!("{name}/stored"),
        ty: data.ty(),
        quantization: Some(quantization),
        data: Some(data),
    });
    graph.push_node(Node {
        name,
        op: Dequantize {}.into(),
        inputs: vec![stored],
        outputs: vec![id],
    });
}

//! Batch norms measured again on samples.

use ir::{Constant, Graph, NodeId, Op};
use report::EffectRow;

use super::{Walk, channel_sums};
use crate::StepError;

/// The batch norms of a graph, in order.
pub fn norms(graph: &Graph) -> Vec<NodeId> {
    let is_norm = |id: &NodeId| matches!(graph.node(*id).op, Op::BatchNorm(_));
    graph.node_ids().filter(is_norm).collect()
}

/// Sets mean and variance of one batch norm to those of its input. Norms before it must have been measured.
///
/// # Errors
/// A sample cannot be read.
pub fn remeasure(graph: &mut Graph, id: NodeId, walk: &mut Walk<'_>) -> Result<EffectRow, StepError> {
    let node = graph.node(id).clone();
    let channels = graph.tensor(node.inputs[3]).ty.shape.elements();
    let sums = walk.each(graph, Some(id), node.inputs[0], |_, values| {
        channel_sums(values, channels)
    })?;
    let count: usize = sums.iter().map(|(_, n)| n).sum();
    let total = |c: usize, k: usize| sums.iter().map(|(s, _)| s[c][k]).sum::<f64>() / count.max(1) as f64;
    let means: Vec<f64> = (0..channels).map(|c| total(c, 0)).collect();
    let variances = (0..channels).map(|c| (total(c, 1) - means[c] * means[c]).max(0.0) as f32);
    let variances = Constant::f32([channels], variances.collect());
    let old = graph
        .constant_data(node.inputs[3])
        .and_then(Constant::as_f32)
        .unwrap_or_default()
        .to_vec();
    let moved = old
        .iter()
        .zip(&means)
        .fold(0.0f64, |m, (&a, b)| m.max((f64::from(a) - b).abs()));
    let means = Constant::f32([channels], means.into_iter().map(|m| m as f32).collect());
    graph.tensor_mut(node.inputs[3]).data = means;
    graph.tensor_mut(node.inputs[4]).data = variances;
    Ok(EffectRow {
        layer: node.name,
        tensor: "mean and variance".into(),
        requested: "as measured".into(),
        actual: format!("means moved by up to {moved:.2e}"),
        took_effect: true,
        reason: None,
    })
}

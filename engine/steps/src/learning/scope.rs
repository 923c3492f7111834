//! Which constants of a network learn: those of the selected layers, with the norms and other trained constants behind them.

use std::collections::{HashMap, HashSet};

use ir::{Graph, NodeId, Op, TensorId};
use methods::{Layer, layers, patterns};

use super::params::{Part, Training};
use crate::StepError;

/// The names of the constants that learn.
pub(super) fn trained(graph: &Graph, training: &Training) -> Result<HashSet<String>, StepError> {
    let layers = layers(graph);
    let mut chosen = patterns::selected(&training.layers, &training.exclude, &layers, graph)?;
    if training.train == Part::Head {
        let behind = behind_last_pooling(graph).ok_or_else(|| {
            StepError::Params(
                "train: head is what lies behind the last pooling, and the model has none; name `layers`".into(),
            )
        })?;
        for (chosen, layer) in chosen.iter_mut().zip(&layers) {
            *chosen &= behind.contains(&layer.node);
        }
        if !chosen.contains(&true) {
            return Err(StepError::Params(
                "train: no layer with weights lies behind the last pooling; name `layers`".into(),
            ));
        }
    }
    let everything = training.layers.is_empty() && training.exclude.is_empty() && training.train == Part::All;
    let learns: HashMap<NodeId, bool> = layers.iter().zip(&chosen).map(|(l, &c)| (l.node, c)).collect();
    let mut names = HashSet::new();
    for id in graph.node_ids() {
        let node = graph.node(id);
        let floats = node.inputs.iter().filter(|&&t| {
            let tensor = graph.tensor(t);
            tensor.data.is_some() && tensor.ty.element.is_float()
        });
        let on = match owner(graph, id, &layers) {
            Some(owner) => learns.get(&owner).copied().unwrap_or(false),
            None => everything,
        };
        if on {
            names.extend(floats.map(|&t| graph.tensor(t).name.clone()));
        }
    }
    Ok(names)
}

/// The layer that a node belongs to: itself, or the nearest that its first input comes from.
fn owner(graph: &Graph, id: NodeId, layers: &[Layer]) -> Option<NodeId> {
    let mut at = Some(id);
    while let Some(id) = at {
        if layers.iter().any(|layer| layer.node == id) {
            return Some(id);
        }
        at = graph.node(id).inputs.first().and_then(|&t| graph.producer(t));
    }
    None
}

/// The nodes behind the last pooling, itself excluded.
fn behind_last_pooling(graph: &Graph) -> Option<HashSet<NodeId>> {
    let pools = |op: &Op| {
        matches!(
            op,
            Op::Mean(_) | Op::AveragePool2d(_) | Op::MaxPool2d(_) | Op::ReduceSum(_) | Op::ReduceMax(_)
        )
    };
    let last = graph.node_ids().filter(|&id| pools(&graph.node(id).op)).last()?;
    let mut seen: HashSet<TensorId> = graph.node(last).outputs.iter().copied().collect();
    let mut nodes = HashSet::new();
    for id in graph.node_ids() {
        let node = graph.node(id);
        if node.inputs.iter().any(|t| seen.contains(t)) {
            seen.extend(&node.outputs);
            nodes.insert(id);
        }
    }
    Some(nodes)
}

//! The scores of a network's groups, from weights or from what calibration samples show.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ir::ops::{Activation, Reads};
use ir::{NodeId, Op, TensorId};
use methods::Layer;
use methods::shrink::{Group, Member, Norm, by_layer, fpgm, input_units, noise, norms, sensitivities};

use super::{Job, Method};
use crate::StepError;
use crate::sampling::{LayerProblems, Samples, Walk};

impl Job<'_> {
    /// By group and unit.
    pub(super) fn scores(&self, samples: Option<&Samples<'_>>) -> Result<Vec<Vec<f64>>, StepError> {
        let samples = || samples.ok_or(StepError::Port("data"));
        match self.params.method {
            Method::L1 => self.by_layer(|m| Ok(norms(&m.layer.matrix(self.graph)?, Norm::L1))),
            Method::L2 => self.by_layer(|m| Ok(norms(&m.layer.matrix(self.graph)?, Norm::L2))),
            Method::Fpgm => self.by_layer(|m| Ok(fpgm(&m.layer.matrix(self.graph)?))),
            Method::Apoz => self.by_activation(samples()?, |v| f64::from(u8::from(v > 0.0))),
            Method::MeanActivation => self.by_activation(samples()?, |v| f64::from(v.abs())),
            Method::Sensitivity => self.sensitivities(samples()?),
            Method::Random => {
                let draw = |(g, group): (usize, &Group)| noise(group.units.len(), self.params.seed, g as u64);
                Ok(self.groups.iter().enumerate().map(draw).collect())
            }
        }
    }

    /// The mean of the scores that the layers of a group give to a unit, each layer's divided by their mean.
    fn by_layer(&self, score: impl Fn(&Member) -> Result<Vec<f64>, StepError>) -> Result<Vec<Vec<f64>>, StepError> {
        self.groups.iter().map(|group| by_layer(group, &score)).collect()
    }

    /// [`Job::by_layer`] with the mean over samples and positions of what `read` makes of each channel's activations.
    fn by_activation(
        &self,
        samples: &Samples<'_>,
        read: impl Fn(f32) -> f64 + Sync,
    ) -> Result<Vec<Vec<f64>>, StepError> {
        let makers = self.groups.iter().flat_map(Group::makers);
        // A layer may make channels of several groups.
        let layers: BTreeMap<NodeId, &Layer> = makers.map(|m| (m.layer.node, &m.layer)).collect();
        let tensors: Vec<TensorId> = layers.keys().map(|&node| self.activated(node)).collect();
        let mean = |(values, layer): (&Cow<'_, [f32]>, &&Layer)| {
            let mut sums = vec![0.0; layer.rows];
            for pixel in values.chunks(layer.rows) {
                sums.iter_mut().zip(pixel).for_each(|(sum, &v)| *sum += read(v));
            }
            let positions = (values.len() / layer.rows).max(1) as f64;
            sums.into_iter().map(|sum| sum / positions).collect::<Vec<f64>>()
        };
        let mut sums: BTreeMap<NodeId, Vec<f64>> = layers.iter().map(|(&id, l)| (id, vec![0.0; l.rows])).collect();
        let mut way = Walk::new(samples).way(self.graph, None, &tensors)?;
        for batch in samples.batches() {
            let of_sample = |_, values: &[Cow<'_, [f32]>]| values.iter().zip(layers.values()).map(mean).collect();
            let seen: Vec<Vec<Vec<f64>>> = way.pass(batch, of_sample)?;
            for own in seen {
                let pairs = sums.values_mut().flatten().zip(own.into_iter().flatten());
                pairs.for_each(|(sum, v)| *sum += v);
            }
        }
        let mean = |sum: &f64| sum / samples.len() as f64;
        self.by_layer(|member| Ok(sums[&member.layer.node].iter().map(mean).collect()))
    }

    /// Where the activations of a layer's channels are looked at: after the first activation function that follows, past batch norms and additions.
    fn activated(&self, layer: NodeId) -> TensorId {
        let units = |tensor: TensorId| {
            let rank = self.graph.tensor(tensor).ty.shape.rank();
            self.channels.along(tensor, rank.saturating_sub(1))
        };
        let mut at = layer;
        loop {
            let node = self.graph.node(at);
            if activates(&node.op) {
                break;
            }
            let next = self.graph.only_consumer(node.output());
            let next = next.filter(|&id| {
                let reader = self.graph.node(id);
                let alone = matches!(
                    reader.op,
                    Op::BatchNorm(_) | Op::Add(_) | Op::Identity(_) | Op::Dropout(_)
                );
                (alone || activates(&reader.op)) && units(reader.output()) == units(node.output())
            });
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        self.graph.node(at).output()
    }

    /// The error in all layers that read a unit, each as a share of that layer's output.
    fn sensitivities(&self, samples: &Samples<'_>) -> Result<Vec<Vec<f64>>, StepError> {
        let mut layer_problems = LayerProblems::new(samples, self.graph, self.params.damping);
        let mut scores = vec![None; self.channels.units()];
        for layer in methods::layers(self.graph) {
            let columns = input_units(self.graph, &self.channels, &layer);
            let units: Vec<_> = self
                .groups
                .iter()
                .flat_map(|g| &g.units)
                .filter(|u| columns.contains(&Some(**u)))
                .collect();
            if units.is_empty() {
                continue;
            }
            let posed = layer_problems.of(self.graph, &layer, true)?;
            let Some(posed) = posed else { continue };
            let own = |unit| (0..columns.len()).filter(|&c| columns[c] == Some(unit)).collect();
            let lists: Vec<Vec<usize>> = units.iter().map(|&&unit| own(unit)).collect();
            for (group, problem) in posed.problems.iter().enumerate() {
                let rows = (0..layer.rows).filter(|&r| layer.group(r) == group);
                let rows: Vec<&[f64]> = rows.map(|r| posed.rows[r].as_slice()).collect();
                let errors = sensitivities(problem, &rows, layer.columns, &lists, self.params.reconstruct)?;
                for (unit, error) in units.iter().zip(errors) {
                    *scores[unit.index()].get_or_insert(0.0) += error / posed.problems.len() as f64;
                }
            }
        }
        let of = |group: &Group| {
            let score = |unit: &methods::shrink::Unit| {
                scores[unit.index()].ok_or_else(|| {
                    let name = group.makers().next().map_or("", |m| &m.layer.name);
                    StepError::Params(format!(
                        "layer `{name}`: no convolution and no fully connected layer reads its channels, sensitivity says nothing of them; exclude it, or use another method"
                    ))
                })
            };
            group.units.iter().map(score).collect()
        };
        self.groups.iter().map(of).collect()
    }
}

/// Whether an operator ends in a function of each element alone: an activation.
fn activates(op: &Op) -> bool {
    let fused = |activation: &Activation| *activation != Activation::None;
    match op {
        Op::Conv2d(op) => fused(&op.activation),
        Op::TransposeConv2d(op) => fused(&op.activation),
        Op::FullyConnected(op) => fused(&op.activation),
        Op::Add(op) => fused(&op.activation),
        op => op.reads() == Reads::Function,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_looked_at_past_batch_norms_and_additions() {
        let graph = crate::tests::fixtures::network();
        let params =
            serde_json::from_value(serde_json::json!({ "model": "m", "sparsity": 0.5, "multiple": 1 })).unwrap();
        let job = Job::new(&params, &graph).unwrap();
        let seen = |name: &str| {
            let node = graph.node_ids().find(|&id| graph.node(id).name == name).unwrap();
            graph.tensor(job.activated(node)).name.clone()
        };
        assert_eq!((seen("a"), seen("point")), ("a".into(), "sum".into()));
    }
}

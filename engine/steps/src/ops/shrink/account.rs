//! What became of each layer, and why.

use ir::Graph;
use methods::Layer;
use methods::shrink::{Cost, Group, output_units};
use report::EffectRow;

use super::{Job, Target};
use crate::StepError;
use crate::contract::parameters::Scope;

impl Job<'_> {
    /// A row for each layer: its width and shape before and after, its scores, what is tied to it; then the sums.
    ///
    /// # Errors
    /// A layer is not as wide as planned.
    pub(super) fn account(
        &self,
        scores: &[Vec<f64>],
        kept: &[usize],
        gone: &[bool],
        small: &Graph,
    ) -> Result<Vec<EffectRow>, StepError> {
        let mut effect = Vec::new();
        for layer in methods::layers(self.graph) {
            let shape = |graph: &Graph| graph.tensor(layer.weights).ty.shape.clone();
            let units = output_units(self.graph, &self.channels, &layer);
            let planned = units.iter().filter(|u| u.is_none_or(|u| !gone[u.index()])).count();
            let made = self.channels.ty(self.graph, self.graph.node(layer.node).output(), gone);
            let width = small.tensor(small.node(layer.node).output()).ty.shape.0.last().copied();
            if width != Some(planned) || made.shape.0.last() != width.as_ref() {
                return Err(StepError::NoEffect(format!(
                    "layer `{}`: {planned} channels were to be left, there are {width:?}; this is a bug, please report it",
                    layer.name
                )));
            }
            let own = |group: &Group| group.members.iter().any(|m| m.layer.weights == layer.weights);
            let groups: Vec<usize> = (0..self.groups.len()).filter(|&g| own(&self.groups[g])).collect();
            let requested = match (self.target, self.params.scope) {
                _ if groups.is_empty() => "as it was".to_owned(),
                (Target::Sparsity(share), Scope::Layer) => {
                    let share = groups.iter().find_map(|&g| self.overrides[g]).unwrap_or(share);
                    format!("{:.1} % fewer, in multiples of {}", 100.0 * share, self.params.multiple)
                }
                _ => "a share of the whole".to_owned(),
            };
            let reason = if groups.is_empty() {
                self.why_not(&layer)
            } else {
                let told: Vec<String> = groups
                    .iter()
                    .map(|&g| self.told(g, &layer, &scores[g], kept[g]))
                    .collect();
                told.join("; ")
            };
            effect.push(EffectRow {
                layer: layer.name.clone(),
                tensor: "channels".into(),
                requested,
                actual: format!(
                    "{} → {planned}, weights {} → {}",
                    layer.rows,
                    shape(self.graph),
                    shape(small)
                ),
                took_effect: true,
                reason: Some(reason),
            });
        }
        for (name, cost) in [
            ("parameters", Cost::Parameters),
            ("MACs", Cost::Macs),
            ("bytes", Cost::Bytes),
        ] {
            effect.push(self.sum(name, cost, small)?);
        }
        Ok(effect)
    }

    /// The scores of a group and what a layer shares it with.
    fn told(&self, group: usize, layer: &Layer, scores: &[f64], kept: usize) -> String {
        let mut sorted = scores.to_vec();
        sorted.sort_by(f64::total_cmp);
        let lost = sorted.len() - kept;
        let range = |part: &[f64]| match part {
            [] => "none".to_owned(),
            part => format!("{:.3}..{:.3}", part[0], part[part.len() - 1]),
        };
        let others = self.groups[group]
            .members
            .iter()
            .filter(|m| m.layer.weights != layer.weights);
        let others: Vec<&str> = others.map(|m| m.layer.name.as_str()).collect();
        let tied = match others.as_slice() {
            [] => String::new(),
            names => format!(", tied to {}", names.join(", ")),
        };
        format!(
            "scores of lost channels {}, of kept ones {}{tied}",
            range(&sorted[..lost]),
            range(&sorted[lost..])
        )
    }

    /// Why a layer's channels stay.
    pub(super) fn why_not(&self, layer: &Layer) -> String {
        let axis = usize::from(layer.groups > 1 && layer.run == 1) * 3;
        if let Some((_, reason)) = self.spared.iter().find(|(name, _)| *name == layer.name) {
            reason.clone()
        } else if let Some(reason) = self.channels.reason(layer.weights, axis) {
            reason.to_owned()
        } else {
            "its channels can only go together".into()
        }
    }

    /// What the network as a whole has less of.
    fn sum(&self, name: &str, cost: Cost, small: &Graph) -> Result<EffectRow, StepError> {
        let before = self
            .channels
            .cost(self.graph, cost, &vec![false; self.channels.units()]);
        let after = match cost {
            Cost::Parameters => small.parameters() as u64,
            Cost::Macs => small.macs(),
            Cost::Bytes => small.weight_bytes().iter().map(|(_, n)| *n as u64).sum(),
        };
        let share = after as f64 / before.max(1) as f64;
        let (requested, took_effect) = match self.target {
            Target::Budget(asked, limit) if asked == cost => {
                (format!("at most {:.1} %", 100.0 * limit), share <= limit)
            }
            _ => ("fewer".into(), true),
        };
        let actual = format!("{before} → {after} ({:.1} %)", 100.0 * share);
        if !took_effect {
            return Err(StepError::NoEffect(format!(
                "{name}: asked for {requested}, has {actual}; this is a bug, please report it"
            )));
        }
        Ok(EffectRow {
            layer: "all".into(),
            tensor: name.into(),
            requested,
            actual,
            took_effect,
            reason: None,
        })
    }
}

//! `subnet`: find the network within a network that fits a budget.
//!
//! Every layer may keep some of its channels; which widths together hurt least is the question. Each width of each layer alone is tried and measured; then widths are put
//! together that keep the network within all limits, taking damages to add up (`additive`), or by one threshold for all layers (`threshold`, as FastNAS of
//! NVIDIA's Model Optimizer). Several such networks are cut out, their batch norms measured again, and the best of them on held-out samples is what
//! the step makes; `finetune` or `distill` heals it. Within a layer channels with the least weights go first.
//!
//! ```yaml
//! half: { subnet: { model: base, data: train, macs: 0.5 } }
//! healed: { distill: { model: half, teacher: base, data: train, epochs: 6 } }
//! ```

use ir::Graph;
use methods::patterns;
use methods::shrink::{Channels, Choice, Cost, Group, Norm, Search, Width, by_layer, groups, norms as filter_norms};
use recipe::{ArtifactKind, Port, kind};
use report::EffectRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output, demand_floats};
use crate::sampling::trial::default_count;
use crate::sampling::{Samples, Walk, norms, remeasure};

/// How widths are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Damages of layers add up. A layer's damage is the error of the network's scores.
    #[default]
    Additive,
    /// Each layer is as narrow as one threshold for all allows. A layer's damage is the share of right answers that is lost, or the error without labels.
    Threshold,
}

/// Parameters of `subnet`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Subnet {
    /// The float model to search in. Batch norms that are still there are measured again in each candidate.
    pub model: Port<kind::Model>,
    /// Samples to measure with. Never those it is tested on.
    pub data: Port<kind::Dataset>,
    /// The share of multiply–accumulates that stays, at most. Several limits hold together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub macs: Option<f64>,
    /// The share of parameters that stays, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub parameters: Option<f64>,
    /// The share of the bytes of weights that stays, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub bytes: Option<f64>,
    /// How widths are put together.
    #[serde(default)]
    pub method: Method,
    /// Widths that are tried are multiples of this.
    #[serde(default = "default_multiple")]
    #[schemars(range(min = 1, max = 256))]
    pub multiple: usize,
    /// Widths that are tried of each layer, at most, evenly spread.
    #[serde(default = "default_choices")]
    #[schemars(range(min = 2, max = 64))]
    pub choices: usize,
    /// Only these layers, and those tied to them: names with `*` and `?`, or `op:` and an operator. All, if empty.
    #[serde(default)]
    pub layers: Vec<String>,
    /// Not these layers, nor those tied to them.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// How many samples are used, at most; half of them measure batch norms, half of them damages.
    #[serde(default = "default_count")]
    #[schemars(range(min = 2))]
    pub count: usize,
    /// Seed of the draw of samples.
    #[serde(default)]
    pub seed: u64,
}

fn default_multiple() -> usize {
    8
}

fn default_choices() -> usize {
    16
}

impl Subnet {
    fn limits(&self) -> Vec<(Cost, f64)> {
        let limits = [
            (Cost::Macs, self.macs),
            (Cost::Parameters, self.parameters),
            (Cost::Bytes, self.bytes),
        ];
        limits
            .into_iter()
            .filter_map(|(cost, share)| Some((cost, share?)))
            .collect()
    }
}

fn name(cost: Cost) -> &'static str {
    match cost {
        Cost::Macs => "MACs",
        Cost::Parameters => "parameters",
        Cost::Bytes => "bytes",
    }
}

/// The op.
pub struct SubnetOp;

impl Op for SubnetOp {
    type Params = Subnet;
    const NAME: &'static str = "subnet";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Finds the network within a network that fits a budget of MACs, parameters or bytes.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EFFORT: u32 = 100;
    const EXAMPLE: &'static str = "half: { subnet: { model: base, data: train, macs: 0.5 } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model"];
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data")];

    fn check(params: &Subnet, _ports: &[&str]) -> Result<(), String> {
        let limits = params.limits();
        if limits.is_empty() {
            return Err("say what may stay, at most: a share of macs, parameters or bytes, or several of them".into());
        }
        match limits.iter().find(|(_, share)| !(*share > 0.0 && *share < 1.0)) {
            Some((_, share)) => Err(format!(
                "{share} is no share of a network to search for; say one between 0 and 1"
            )),
            None => Ok(()),
        }
    }

    fn foresee(params: &Subnet, inputs: &Outlook) -> Result<Facts, String> {
        demand_floats::<Self>(inputs)?;
        let facts = inputs.facts("model");
        if let Some(network) = &facts.network {
            network.choose(&params.layers, &params.exclude)?;
        }
        Ok(facts.narrowed(Self::NAME, params))
    }

    fn run(params: &Subnet, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let graph = inputs.one("model")?.model()?;
        let dataset = inputs.one("data")?.dataset()?;
        let samples = Samples::draw(&dataset, params.count, params.seed, context)?;
        let (measure, held) = samples.held_out(0.5);
        let channels = Channels::of(&graph);
        let (groups, spared) = chosen(params, &graph, &channels)?;
        let score = |m: &methods::shrink::Member| Ok::<_, StepError>(filter_norms(&m.layer.matrix(&graph)?, Norm::L2));
        let scores = groups
            .iter()
            .map(|group| by_layer(group, score))
            .collect::<Result<Vec<_>, _>>()?;
        let choice = Choice {
            graph: &graph,
            channels: &channels,
            groups: &groups,
            scores: &scores,
            multiple: params.multiple,
        };
        let trial = Trial {
            choice: &choice,
            method: params.method,
            measure: &measure,
            held: &held,
            right: held.right(&graph)?,
        };
        let widths = trial.widths(params.choices, context)?;
        let limits = params.limits();
        let search = Search::new(choice.clone(), widths.clone(), &limits)?;
        let mut candidates: Vec<(&str, Vec<usize>)> = match params.method {
            Method::Threshold => vec![("one threshold", search.threshold())],
            Method::Additive => [("added up", 1.0), ("roots added up", 0.5), ("squares added up", 2.0)]
                .map(|(name, power)| (name, search.additive(power)))
                .to_vec(),
        };
        candidates.dedup_by(|a, b| a.1 == b.1);
        let mut best: Option<(f64, Graph, &str, Vec<usize>)> = None;
        let count = candidates.len();
        for (how, kept) in candidates {
            let small = trial.cut(&kept)?;
            let error = held.distance(&graph, &small)?;
            context.log(&format!("{how}: error of the scores {:.2} %", 100.0 * error));
            if best.as_ref().is_none_or(|(least, ..)| error < *least) {
                best = Some((error, small, how, kept));
            }
        }
        let Some((error, small, how, kept)) = best else {
            return Err(StepError::NoEffect(
                "no network was found; this is a bug, please report it".into(),
            ));
        };
        let found = format!("{how}, the best of {count}; error of the scores {:.2} %", 100.0 * error);
        let effect = account(&choice, &widths, &kept, &small, &limits, &spared, &found)?;
        for row in &effect {
            context.log(&format!("{}: {} {}", row.layer, row.tensor, row.actual));
        }
        Output::model(small, effect)
    }
}

/// Layers that are left out, with the reason.
type Spared = Vec<(String, String)>;

/// The groups to search among, and layers that are left out with the reason.
fn chosen(params: &Subnet, graph: &Graph, channels: &Channels) -> Result<(Vec<Group>, Spared), StepError> {
    if graph.tensors().iter().any(ir::Tensor::is_quantized) {
        let problem = "model: is quantized; search in the float model, then quantize what was found";
        return Err(StepError::Params(problem.into()));
    }
    let layers = methods::layers(graph);
    patterns::selected(&params.layers, &params.exclude, &layers, graph)?;
    let wanted = patterns::matching("layers", &params.layers, &layers, graph)?;
    let excluded = patterns::matching("exclude", &params.exclude, &layers, graph)?;
    let (mut groups_left, mut spared) = (Vec::new(), Vec::new());
    for group in groups(graph, channels) {
        let hits = |flags: &[bool]| {
            let hit = |member: &methods::shrink::Member| {
                layers
                    .iter()
                    .zip(flags)
                    .any(|(l, &on)| on && l.weights == member.layer.weights)
            };
            group.members.iter().any(hit)
        };
        if hits(&excluded) || !(params.layers.is_empty() || hits(&wanted)) {
            let names = group.members.iter().map(|m| m.layer.name.clone());
            spared.extend(names.map(|name| (name, "it, or a layer tied to it, is not among those chosen".to_owned())));
        } else {
            groups_left.push(group);
        }
    }
    if groups_left.is_empty() {
        return Err(StepError::Params(
            "no layer can lose channels; name others in `layers`, or exclude fewer".into(),
        ));
    }
    Ok((groups_left, spared))
}

/// What tries widths.
struct Trial<'a> {
    choice: &'a Choice<'a>,
    method: Method,
    measure: &'a Samples<'a>,
    held: &'a Samples<'a>,
    /// Right answers of the whole network on the held-out samples; `None` without labels.
    right: Option<usize>,
}

impl Trial<'_> {
    /// The network with so many units in each group, its batch norms measured again.
    fn cut(&self, kept: &[usize]) -> Result<Graph, StepError> {
        let mut small = self
            .choice
            .channels
            .without(self.choice.graph, &self.choice.gone(kept))?;
        let mut walk = Walk::new(self.measure);
        for id in norms(&small) {
            remeasure(&mut small, id, &mut walk)?;
        }
        small.verify()?;
        Ok(small)
    }

    fn damage(&self, small: &Graph) -> Result<f64, StepError> {
        let whole = self.choice.graph;
        match (self.method, self.right) {
            (Method::Threshold, Some(right)) => {
                let now = self.held.right(small)?.unwrap_or(0);
                Ok((right as f64 - now as f64) / self.held.len() as f64)
            }
            _ => self.held.distance(whole, small),
        }
    }

    /// Of each group the widths to choose from, each tried with all other groups whole.
    fn widths(&self, choices: usize, context: &Context<'_>) -> Result<Vec<Vec<Width>>, StepError> {
        let Choice { groups, multiple, .. } = *self.choice;
        let all: Vec<usize> = groups.iter().map(|g| g.units.len()).collect();
        let of = |group: &Group| -> Vec<usize> {
            let (step, most) = (group.step(multiple), group.units.len());
            let narrower: Vec<usize> = (step..most).step_by(step).collect();
            // Evenly spread, the narrowest among them.
            let take = narrower.len().min(choices - 1);
            let mut picked: Vec<usize> = (0..take).map(|i| narrower[i * narrower.len() / take]).collect();
            picked.push(most);
            picked.reverse();
            picked
        };
        let plan: Vec<Vec<usize>> = groups.iter().map(of).collect();
        let total: usize = plan.iter().map(|widths| widths.len() - 1).sum();
        let mut done = 0;
        let mut tried = Vec::new();
        for (g, widths) in plan.into_iter().enumerate() {
            let mut own = Vec::new();
            for kept in widths {
                let damage = if kept == all[g] {
                    0.0
                } else {
                    context.check_cancelled()?;
                    context.progress(done, total as u64);
                    done += 1;
                    let mut narrow = all.clone();
                    narrow[g] = kept;
                    self.damage(&self.cut(&narrow)?)?
                };
                own.push(Width { kept, damage });
            }
            tried.push(own);
        }
        Ok(tried)
    }
}

/// What became of each layer, and of the whole.
fn account(
    choice: &Choice<'_>,
    widths: &[Vec<Width>],
    kept: &[usize],
    small: &Graph,
    limits: &[(Cost, f64)],
    spared: &[(String, String)],
    found: &str,
) -> Result<Vec<EffectRow>, StepError> {
    let row = |layer: &str, tensor: &str, requested: String, actual: String| EffectRow {
        layer: layer.into(),
        tensor: tensor.into(),
        requested,
        actual,
        took_effect: true,
        reason: None,
    };
    let mut effect = Vec::new();
    for ((group, widths), &kept) in choice.groups.iter().zip(widths).zip(kept) {
        let names: Vec<&str> = group.members.iter().map(|m| m.layer.name.as_str()).collect();
        let each = group.makers().flat_map(|m| &m.rows).map(Vec::len).max().unwrap_or(1);
        let damage = widths.iter().find(|w| w.kept == kept).map_or(0.0, |w| w.damage);
        effect.push(EffectRow {
            reason: Some(format!("alone it costs {:.2} %", 100.0 * damage)),
            ..row(
                &names.join(", "),
                "channels",
                format!("one of {} widths", widths.len()),
                format!("{} → {}", group.units.len() * each, kept * each),
            )
        });
    }
    for (layer, reason) in spared {
        effect.push(EffectRow {
            reason: Some(reason.clone()),
            ..row(layer, "channels", "as it was".into(), "as it was".into())
        });
    }
    effect.push(row("all", "widths", "the least damage".into(), found.into()));
    let none = vec![false; choice.channels.units()];
    for cost in [Cost::Parameters, Cost::Macs, Cost::Bytes] {
        let before = choice.channels.cost(choice.graph, cost, &none);
        let after = match cost {
            Cost::Parameters => small.parameters() as u64,
            Cost::Macs => small.macs(),
            Cost::Bytes => small.weight_bytes().iter().map(|(_, n)| *n as u64).sum(),
        };
        let share = after as f64 / before.max(1) as f64;
        let limit = limits
            .iter()
            .find(|(limited, _)| *limited == cost)
            .map(|(_, share)| *share);
        let asked = limit.map_or("fewer".to_owned(), |limit| format!("at most {:.1} %", 100.0 * limit));
        let actual = format!("{before} → {after} ({:.1} %)", 100.0 * share);
        if limit.is_some_and(|limit| share > limit) {
            return Err(StepError::NoEffect(format!(
                "{}: asked for {asked}, has {actual}; this is a bug, please report it",
                name(cost)
            )));
        }
        effect.push(row("all", name(cost), asked, actual));
    }
    Ok(effect)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::tests::fixtures::{network, run};

    #[test]
    fn a_network_within_its_limits_is_found_by_both_methods() {
        let base = network();
        for method in ["additive", "threshold"] {
            let params = json!({ "macs": 0.7, "parameters": 0.8, "multiple": 1, "method": method, "count": 40 });
            let (small, output) = run(2, "subnet", params, &[("model", &base)], Some(40)).unwrap();
            assert!(small.macs() as f64 <= 0.7 * base.macs() as f64, "{method}");
            assert!(small.parameters() as f64 <= 0.8 * base.parameters() as f64, "{method}");
            assert_eq!(small.tensor(small.outputs()[0]).ty, base.tensor(base.outputs()[0]).ty);
            let Some(report::Document::Model(summary)) = output.document else {
                panic!("a model's summary");
            };
            assert!(
                summary
                    .effect
                    .iter()
                    .any(|row| row.tensor == "MACs" && row.requested == "at most 70.0 %")
            );
        }
    }

    #[test]
    fn budgets_that_cannot_be_are_refused() {
        let refused = |params| crate::tests::fixtures::refused("subnet", params, Some(20));
        insta::assert_snapshot!(refused(json!({})), @"say what may stay, at most: a share of macs, parameters or bytes, or several of them");
        insta::assert_snapshot!(refused(json!({ "macs": 1.0 })), @"1 is no share of a network to search for; say one between 0 and 1");
        assert!(refused(json!({ "macs": 0.01, "multiple": 1 })).contains("of the network cannot be reached"));
    }
}

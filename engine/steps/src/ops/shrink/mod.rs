//! `shrink`: take whole channels out, so that layers become smaller.
//!
//! A network with half of its channels is a smaller network for every runtime: no sparse format, no special kernel. Channels get a score and those
//! of least score go; what other layers know of them (residual additions, concatenations, depthwise convolutions, groups, flattened columns)
//! goes with them, and what cannot be cut stays, with the reason. Before anything is repaired, the step proves on a few inputs that the small network computes what
//! the original one computes with those channels at zero. `reconstruct` then moves the weights that read the remaining channels, so that each layer's output comes
//! near what it was; `reestimate-bn` can follow. Channels that are outputs of the network (a final classifier's) stay.
//!
//! ```yaml
//! small: { shrink: { model: base, data: train, method: sensitivity, macs: 0.5, reconstruct: true } }
//! ```

mod account;
mod proof;
mod repair;
mod scores;
#[cfg(test)]
mod tests;

use methods::patterns;
use methods::shrink::{self as channels, Channels, Choice, Cost, Group};
use recipe::{ArtifactKind, Port, kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::parameters::{Override, Scope};
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output, demand_floats};
use crate::sampling::{Samples, default_count, default_damping};

/// How channels are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The sum of the magnitudes of a filter's weights.
    #[default]
    L1,
    /// The root of the sum of their squares.
    L2,
    /// Distance to the other filters of the layer: those near the geometric median can be replaced by the others.
    Fpgm,
    /// The share of activations above zero on calibration samples (few: a high average percentage of zeros). Needs `data`.
    Apoz,
    /// The mean magnitude of the activations. Needs `data`.
    MeanActivation,
    /// The error that its loss makes in the layers that read the channel, after their repair if `reconstruct` is on. Needs `data`.
    Sensitivity,
    /// Chosen at random: what a method has to beat.
    Random,
}

impl Method {
    fn looks_at_data(self) -> bool {
        matches!(self, Method::Apoz | Method::MeanActivation | Method::Sensitivity)
    }
}

/// Parameters of `shrink`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Shrink {
    /// The float model to shrink. Batch norms stay, for `reestimate-bn`.
    pub model: Port<kind::Model>,
    /// Samples for scores that look at activations, and for `reconstruct`. Never those it is tested on.
    pub data: Option<Port<kind::Dataset>>,
    /// How channels are scored.
    #[serde(default)]
    pub method: Method,
    /// The share of channels that goes. Excludes `macs`, `parameters` and `bytes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sparsity: Option<f64>,
    /// The share of multiply–accumulates that stays, at most.
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
    /// What shares it: every layer loses the same share of its channels, or the model as a whole those of least score.
    #[serde(default)]
    pub scope: Scope,
    /// Widths of layers become multiples of this, to the nearest: kernels for 8 channels at a time gain nothing from 7.
    #[serde(default = "default_multiple")]
    #[schemars(range(min = 1, max = 256))]
    pub multiple: usize,
    /// Only the channels of these layers, and of those tied to them: names with `*` and `?`, or `op:` and an operator. All, if empty.
    #[serde(default)]
    pub layers: Vec<String>,
    /// Not the channels of these layers, nor of those tied to them.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Other sparsities for some layers; the last that matches counts.
    #[serde(default)]
    pub overrides: Vec<Override>,
    /// Move the weights that read the remaining channels by least squares, layer by layer; kept only if the error on held-out samples falls. Needs `data`.
    #[serde(default)]
    pub reconstruct: bool,
    /// How many samples are used, at most.
    #[serde(default = "default_count")]
    #[schemars(range(min = 1))]
    pub count: usize,
    /// Share of the Hessian's diagonal that is added to it; more keeps weights closer to what they were.
    #[serde(default = "default_damping")]
    #[schemars(range(min = 0.000_001, max = 1.0))]
    pub damping: f64,
    /// Seed of the draw of samples, and of `random`.
    #[serde(default)]
    pub seed: u64,
}

fn default_multiple() -> usize {
    8
}

/// How much is to go.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Sparsity(f64),
    Budget(Cost, f64),
}

impl Target {
    /// Whether nothing has to go.
    fn is_met(self) -> bool {
        matches!(self, Target::Sparsity(0.0) | Target::Budget(_, 1.0))
    }
}

/// Whether some layer of a network can lose channels.
pub fn can_narrow(graph: &ir::Graph) -> bool {
    !channels::groups(graph, &Channels::of(graph)).is_empty()
}

impl Shrink {
    fn target(&self) -> Result<Target, String> {
        let targets = [
            self.sparsity.map(Target::Sparsity),
            self.macs.map(|share| Target::Budget(Cost::Macs, share)),
            self.parameters.map(|share| Target::Budget(Cost::Parameters, share)),
            self.bytes.map(|share| Target::Budget(Cost::Bytes, share)),
        ];
        let mut given = targets.into_iter().flatten();
        match (given.next(), given.next()) {
            (None, _) => Err("say how much to shrink: sparsity, or what may stay of macs, parameters or bytes".into()),
            (Some(_), Some(_)) => Err("sparsity, macs, parameters and bytes exclude each other: keep one".into()),
            (Some(Target::Budget(_, share)), None) if !(share > 0.0 && share <= 1.0) => Err(format!(
                "{share} of the network is no network; say a share above 0, at most 1"
            )),
            (Some(target), None) => Ok(target),
        }
    }
}

/// The network with the groups that may lose channels.
struct Job<'a> {
    params: &'a Shrink,
    target: Target,
    graph: &'a ir::Graph,
    channels: Channels,
    groups: Vec<Group>,
    /// By group, where it differs from the target.
    overrides: Vec<Option<f64>>,
    /// Groups that stay, by the name of a layer, with the reason.
    spared: Vec<(String, String)>,
}

impl<'a> Job<'a> {
    fn new(params: &'a Shrink, graph: &'a ir::Graph) -> Result<Self, StepError> {
        let target = params.target().map_err(StepError::Params)?;
        if graph.tensors().iter().any(ir::Tensor::is_quantized) {
            let problem = "model: is quantized; shrink the float model, then quantize the small one";
            return Err(StepError::Params(problem.into()));
        }
        let layers = methods::layers(graph);
        patterns::selected(&params.layers, &params.exclude, &layers, graph)?;
        let wanted = patterns::matching("layers", &params.layers, &layers, graph)?;
        let excluded = patterns::matching("exclude", &params.exclude, &layers, graph)?;
        let mut overridden = Vec::new();
        for change in &params.overrides {
            overridden.push((
                patterns::matching("overrides.layers", &change.layers, &layers, graph)?,
                change.sparsity,
            ));
        }
        let channels = Channels::of(graph);
        let (mut groups, mut overrides, mut spared) = (Vec::new(), Vec::new(), Vec::new());
        for group in channels::groups(graph, &channels) {
            let hits = |flags: &[bool]| {
                let mut names = group.members.iter().map(|m| &m.layer);
                names.find(|l| {
                    layers
                        .iter()
                        .zip(flags)
                        .any(|(other, &hit)| hit && other.weights == l.weights)
                })
            };
            let reason = if let Some(layer) = hits(&excluded) {
                format!("`{}` is excluded", layer.name)
            } else if !params.layers.is_empty() && hits(&wanted).is_none() {
                "not among `layers`".into()
            } else {
                let change = overridden.iter().rev().find(|(flags, _)| hits(flags).is_some());
                overrides.push(change.map(|(_, sparsity)| *sparsity));
                groups.push(group);
                continue;
            };
            spared.extend(group.members.iter().map(|m| (m.layer.name.clone(), reason.clone())));
        }
        let job = Job {
            params,
            target,
            graph,
            channels,
            groups,
            overrides,
            spared,
        };
        if job.groups.is_empty() && !job.target.is_met() {
            let reasons: Vec<String> = layers
                .iter()
                .map(|l| format!("`{}`: {}", l.name, job.why_not(l)))
                .collect();
            return Err(StepError::Params(format!(
                "no layer can lose channels; {}",
                reasons.join("; ")
            )));
        }
        Ok(job)
    }

    /// How many units each group keeps.
    fn kept(&self, scores: &[Vec<f64>]) -> Result<(Vec<usize>, Vec<bool>), StepError> {
        let choice = Choice {
            graph: self.graph,
            channels: &self.channels,
            groups: &self.groups,
            scores,
            multiple: self.params.multiple,
        };
        let even = vec![1.0; self.groups.len()];
        let kept = match (self.target, self.params.scope) {
            (Target::Sparsity(share), Scope::Layer) => {
                let shares: Vec<f64> = self.overrides.iter().map(|o| o.unwrap_or(share)).collect();
                choice.shares(&shares)
            }
            (Target::Sparsity(share), Scope::Global) => {
                let units: usize = self.groups.iter().map(|g| g.units.len()).sum();
                choice.ranked((share * units as f64).round() as usize, &even)
            }
            (Target::Budget(cost, share), Scope::Layer) => choice.within(cost, share, channels::Scope::Group, &even)?,
            (Target::Budget(cost, share), Scope::Global) => {
                // Errors can be weighed against what they save; other scores only say what is less within a layer.
                let prices = match self.params.method {
                    Method::Sensitivity => choice.prices(cost),
                    _ => even,
                };
                choice.within(cost, share, channels::Scope::Global, &prices)?
            }
        };
        let gone = choice.gone(&kept);
        if !gone.contains(&true) && !self.target.is_met() {
            return Err(StepError::NoEffect(format!(
                "no layer loses a channel: the nearest multiples of {} are the widths that there are; ask for more, or set `multiple: 1`",
                self.params.multiple
            )));
        }
        Ok((kept, gone))
    }
}

/// The op.
pub struct ShrinkOp;

impl Op for ShrinkOp {
    type Params = Shrink;
    const NAME: &'static str = "shrink";
    const REVISION: u32 = 3;
    const SUMMARY: &'static str = "Takes whole channels out, so that layers become smaller.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EFFORT: u32 = 10;
    const EXAMPLE: &'static str = "small: { shrink: { model: base, method: l1, sparsity: 0.5 } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model"];
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data")];

    fn check(params: &Shrink, ports: &[&str]) -> Result<(), String> {
        let target = params.target()?;
        let data = ports.contains(&"data");
        let name = serde_json::to_string(&params.method)
            .unwrap_or_default()
            .replace('"', "");
        match (params.method.looks_at_data(), params.reconstruct, data) {
            (true, _, false) => return Err(format!("method {name} needs `data`: name a dataset step")),
            (_, true, false) => return Err("reconstruct needs `data`: name a dataset step".into()),
            (false, false, true) => {
                return Err(format!(
                    "method {name} does not look at `data`: remove it, or add `reconstruct: true`"
                ));
            }
            _ => {}
        }
        if !params.overrides.is_empty() && (params.scope == Scope::Global || !matches!(target, Target::Sparsity(_))) {
            return Err("only `sparsity` with scope layer has a share to override: use exclude".into());
        }
        let shares = params
            .sparsity
            .into_iter()
            .chain(params.overrides.iter().map(|o| o.sparsity));
        for share in shares {
            methods::prune::Sparsity::new(share)
                .map_err(|_| format!("sparsity: {share} is not in 0..1; at 1 no channel would be left"))?;
        }
        if params.overrides.iter().any(|change| change.layers.is_empty()) {
            return Err("overrides: one names no layers; list some, or remove it".into());
        }
        Ok(())
    }

    fn idle(params: &Shrink, ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        let mut idle = Vec::new();
        if !ports.contains(&"data") {
            idle.push(("count", "methods that look at data, and reconstruct"));
        }
        if params.method != Method::Sensitivity && !params.reconstruct {
            idle.push(("damping", "method sensitivity, and reconstruct"));
        }
        idle
    }

    fn foresee(params: &Shrink, inputs: &Outlook) -> Result<Facts, String> {
        demand_floats::<Self>(inputs)?;
        let facts = inputs.facts("model");
        if let Some(network) = &facts.network {
            network.choose(&params.layers, &params.exclude)?;
            for change in &params.overrides {
                network.demand_layers("overrides.layers", &change.layers)?;
            }
        }
        Ok(facts.narrowed(Self::NAME, params))
    }

    fn run(params: &Shrink, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let graph = inputs.one("model")?.model()?;
        let job = Job::new(params, &graph)?;
        let dataset = inputs
            .optional("data")
            .map(crate::contract::Artifact::dataset)
            .transpose()?;
        let samples = match &dataset {
            Some(dataset) => Some(Samples::draw(dataset, params.count, params.seed, context)?.held_out(0.25)),
            None => None,
        };
        let scores = job.scores(samples.as_ref().map(|(samples, _)| samples))?;
        let (kept, gone) = job.kept(&scores)?;
        let mut small = job.channels.without(&graph, &gone)?;
        let proof = job.prove(&small, &gone, dataset.as_deref(), context)?;
        let mut effect = job.account(&scores, &kept, &gone, &small)?;
        effect.push(proof);
        if let (true, Some((samples, held))) = (params.reconstruct, &samples) {
            let (repaired, row) = job.repaired(&small, &gone, samples, held, context)?;
            small = repaired;
            effect.push(row);
        }
        for row in &effect {
            let reason = row.reason.as_deref().map(|r| format!(" ({r})")).unwrap_or_default();
            context.log(&format!("{}: {} {}{reason}", row.layer, row.tensor, row.actual));
        }
        Output::model(small, effect)
    }
}

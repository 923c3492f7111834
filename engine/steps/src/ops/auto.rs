//! `auto`: the smallest quantized model whose measured drop stays within a bound.
//!
//! Each layer's error under each weight type is measured alone ([`sensitivity`](crate::ops::sensitivity)). A greedy chain then makes the
//! layers smaller one after the other, those first that add the least error for the bytes they save; how far one can go down the chain is found by
//! bisection, quantizing the model and measuring its drop on samples kept aside. At the total error of that place the cheapest
//! combination is found exactly ([`methods::choice`]), and taken if its measured drop holds too.
//!
//! ```yaml
//! small: { auto: { model: base, ranges: ranges, data: train, weights: [int8, int4], drop: 0.01 } }
//! ```

use std::collections::BTreeMap;

use ir::Graph;
use methods::choice::{self, Choice};
use methods::quantize::{Granularity, Plan, Scheme, Settings, WeightType, check_model};
use methods::{Layer, layers};
use models::{KernelSet, timing};
use recipe::{ArtifactKind, Port, kind};
use report::EffectRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::parameters::named_once;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output, Ranges, demand_floats};
use crate::sampling::Samples;
use crate::sampling::probe::Probe;
use crate::sampling::reconstruction::{RoundingMethod, quantized};
use crate::sampling::treatment::Treatment;

/// Parameters of `auto`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Auto {
    /// The float model; it is folded first.
    pub model: Port<kind::Model>,
    /// Ranges of its activations, made by `calibrate` from the same model.
    pub ranges: Port<kind::Ranges>,
    /// Samples to choose with. Never those it is tested on.
    pub data: Port<kind::Dataset>,
    /// What weights may become, layer by layer.
    #[serde(default = "default_weights")]
    pub weights: Vec<WeightType>,
    /// How much worse the result may be on samples kept aside: in accuracy where they have labels, otherwise in decisions that are the
    /// float model's. 0.01 is one point.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub drop: f64,
    /// The most bytes that weights may take; where the smallest model within the drop is larger, the step fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The most bit operations that one sample may take: multiply–accumulates × bits of the weight × bits of the input (8, or 32 where weights
    /// stay float). Where the smallest model within the drop takes more, the step fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_operations: Option<u64>,
    /// The most milliseconds that one sample may take: the median of the runs that `benchmark` makes, on the machine where the step runs. Where the
    /// smallest model within the drop takes longer, the step fails. A result holds on the machine that was timed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<f64>,
    /// How weights are rounded.
    #[serde(default)]
    pub rounding: RoundingMethod,
    /// How many weight scales a convolution has.
    #[serde(default)]
    pub per: Granularity,
    /// How many samples sensitivities, and rounding `gptq`, are taken from, at most.
    #[serde(default = "crate::sampling::probe::default_count")]
    #[schemars(range(min = 1))]
    pub count: usize,
    /// How many further samples the drop is measured on, at most.
    #[serde(default = "default_held_out")]
    #[schemars(range(min = 1))]
    pub held_out: usize,
    /// `gptq`: share of the Hessian's diagonal that is added to it; more keeps weights closer to what they were.
    #[serde(default = "crate::sampling::default_damping")]
    #[schemars(range(min = 0.000_001, max = 1.0))]
    pub damping: f64,
    /// Seed of the draw.
    #[serde(default)]
    pub seed: u64,
}

fn default_weights() -> Vec<WeightType> {
    vec![WeightType::Int8, WeightType::Int4]
}

fn default_held_out() -> usize {
    1000
}

/// The op.
pub struct AutoOp;

impl Op for AutoOp {
    type Params = Auto;
    const NAME: &'static str = "auto";
    const REVISION: u32 = 2;
    const SUMMARY: &'static str = "Finds the smallest quantized model whose measured drop stays within a bound.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EFFORT: u32 = 100;
    const EXAMPLE: &'static str = "small: { auto: { model: base, ranges: ranges, data: train, drop: 0.01 } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model"];
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data")];

    fn measures_machine(params: &Auto) -> bool {
        params.latency.is_some()
    }

    fn check(params: &Auto, _ports: &[&str]) -> Result<(), String> {
        if params.weights.is_empty() {
            return Err("weights: none to choose from; name some of float, int8, int4".into());
        }
        named_once("weights", &params.weights)?;
        for (key, limit) in [("bytes", params.bytes), ("bit-operations", params.bit_operations)] {
            if limit == Some(0) {
                return Err(format!("{key}: no model takes none; allow more, or remove it"));
            }
        }
        if params.latency.is_some_and(|limit| limit.is_nan() || limit <= 0.0) {
            return Err("latency: no model takes no time; give milliseconds, such as 5".into());
        }
        Ok(())
    }

    fn idle(params: &Auto, _ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        match params.rounding {
            RoundingMethod::Nearest => vec![("damping", "rounding gptq")],
            RoundingMethod::Gptq => Vec::new(),
        }
    }

    fn foresee(params: &Auto, inputs: &Outlook) -> Result<Facts, String> {
        demand_floats::<Self>(inputs)?;
        inputs.demand_own_ranges()?;
        let facts = inputs.facts("model");
        let network = inputs.network("model", true);
        if let (Some(network), Some(limit), false) = (&network, params.bytes, facts.narrower) {
            let narrowest = params.weights.iter().map(|weights| weights.bits()).min().unwrap_or(0);
            let of = |layer: &Layer| (layer.len() as u64 * u64::from(narrowest)).div_ceil(8);
            let least: u64 = layers(&network.graph).iter().map(of).sum();
            if least > limit {
                return Err(format!(
                    "bytes: with {narrowest} bits for every weight the model still has {least} bytes of them, more than {limit}; allow more, or prune or shrink the model first"
                ));
            }
        }
        if let (Some(network), Some(limit), false) = (&network, params.bit_operations, facts.narrower) {
            let bits = |weights: &WeightType| u64::from(weights.bits()) * input_bits(*weights);
            let narrowest = params.weights.iter().map(bits).min().unwrap_or(0);
            let graph = &network.graph;
            let of = |layer: &Layer| graph.node_macs(graph.node(layer.node)) * narrowest;
            let least: u64 = layers(graph).iter().map(of).sum();
            if least > limit {
                return Err(format!(
                    "bit-operations: with the narrowest of `weights` the model still takes {least}, more than {limit}; allow more, or shrink the model first"
                ));
            }
        }
        Ok(Facts {
            arithmetic: None,
            folded: true,
            network,
            ..facts
        })
    }

    fn run(params: &Auto, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = inputs.one("model")?.model()?;
        let ranges: Ranges = inputs.one("ranges")?.json("ranges.json")?;
        let dataset = inputs.one("data")?.dataset()?;
        let drawn = Samples::draw(&dataset, params.count + params.held_out, params.seed, context)?;
        let share = params.held_out as f64 / (params.count + params.held_out) as f64;
        let (samples, held) = drawn.held_out(share);
        let settings = params.settings();
        check_model(&model, &settings)?;
        let prepared = models::prepared(&model)?;
        let search = Search {
            params,
            settings,
            ranges,
            layers: layers(&prepared),
            samples,
            probe: Probe::new(&prepared, &held)?,
            context,
        };
        search.run(&prepared)
    }
}

impl Auto {
    /// What is asked of every combination.
    fn settings(&self) -> Settings {
        Settings {
            granularity: self.per,
            ..Settings::of(Scheme::Int8)
        }
    }
}

/// Bits of a layer's input beside weights of a type.
fn input_bits(weights: WeightType) -> u64 {
    if weights == WeightType::Float { 32 } else { 8 }
}

struct Search<'a> {
    params: &'a Auto,
    settings: Settings,
    ranges: Ranges,
    layers: Vec<Layer>,
    samples: Samples<'a>,
    /// The float model on the samples kept aside.
    probe: Probe<'a>,
    context: &'a Context<'a>,
}

/// A combination that was tried.
struct Trial {
    choices: Vec<usize>,
    bytes: u64,
    drop: f64,
    graph: Graph,
}

impl Search<'_> {
    fn run(&self, prepared: &Graph) -> Result<Output, StepError> {
        let items = self.items(prepared)?;
        let mut choices: Vec<usize> = items.iter().map(|options| choice::start(options)).collect();
        let chain = choice::steps(&items);
        let mut places = vec![choices.clone()];
        for (item, option) in chain {
            choices[item] = option;
            places.push(choices.clone());
        }
        let first = self.attempt(prepared, &items, &places[0])?;
        if first.drop > self.params.drop {
            return Err(StepError::Params(format!(
                "drop: {} is not reached: with every layer as precise as `weights` allows the drop on {} samples is {:.4}; allow more, add float to weights, or calibrate with other samples",
                self.params.drop,
                self.probe.len(),
                first.drop
            )));
        }
        // The last place of the chain that holds: drops rise along it, but for noise.
        let (mut best, mut low, mut high) = (first, 0, places.len());
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            let trial = self.attempt(prepared, &items, &places[middle])?;
            if trial.drop <= self.params.drop {
                (best, low) = (trial, middle);
            } else {
                high = middle;
            }
        }
        let error = |choices: &[usize]| -> f64 { items.iter().zip(choices).map(|(o, &c)| o[c].error).sum() };
        if let Some(exact) = choice::cheapest(&items, error(&best.choices))
            && bytes(&items, &exact) < best.bytes
        {
            let trial = self.attempt(prepared, &items, &exact)?;
            if trial.drop <= self.params.drop {
                best = trial;
            }
        }
        if let Some(limit) = self.params.bytes.filter(|&limit| best.bytes > limit) {
            return Err(StepError::Params(format!(
                "bytes: the smallest model within the drop of {} has {} bytes of weights, more than {limit}; allow more bytes or a greater drop, or prune or shrink the model first",
                self.params.drop, best.bytes
            )));
        }
        let operations = self.bit_operations(prepared, &best.choices);
        if let Some(limit) = self.params.bit_operations.filter(|&limit| operations > limit) {
            return Err(StepError::Params(format!(
                "bit-operations: the smallest model within the drop of {} takes {operations}, more than {limit}; allow more or a greater drop, or shrink the model first",
                self.params.drop
            )));
        }
        self.check_latency(&best.graph)?;
        let effect = self.effect(&items, &best, operations);
        Output::model(best.graph, effect)
    }

    /// The options of each layer: bytes, and the error at the output when it alone is treated.
    fn items(&self, prepared: &Graph) -> Result<Vec<Vec<Choice>>, StepError> {
        let probe = Probe::new(prepared, &self.samples)?;
        let mut items = Vec::new();
        for (done, layer) in self.layers.iter().enumerate() {
            self.context.progress(done as u64, self.layers.len() as u64);
            let option = |&weights: &WeightType| {
                let error = match Treatment::of(weights) {
                    None => 0.0,
                    Some(treatment) => probe.row(layer, treatment, self.params.per, Some(&self.ranges))?.noise,
                };
                let cost = (layer.len() as u64 * u64::from(weights.bits())).div_ceil(8);
                Ok(Choice { cost, error })
            };
            items.push(
                self.params
                    .weights
                    .iter()
                    .map(option)
                    .collect::<Result<Vec<_>, StepError>>()?,
            );
        }
        Ok(items)
    }

    /// Quantizes by a combination and measures what it costs.
    fn attempt(&self, prepared: &Graph, items: &[Vec<Choice>], choices: &[usize]) -> Result<Trial, StepError> {
        let types: BTreeMap<String, WeightType> = self
            .layers
            .iter()
            .zip(choices)
            .map(|(layer, &choice)| (layer.name.clone(), self.params.weights[choice]))
            .collect();
        let plan = Plan {
            types,
            ..Plan::default()
        };
        let samples = (self.params.rounding == RoundingMethod::Gptq).then_some((&self.samples, self.params.damping));
        let ranges = Some(&self.ranges.tensors);
        let (graph, _) = quantized(prepared.clone(), ranges, &self.settings, plan, samples)?;
        let drop = self.probe.drop(&graph)?;
        let trial = Trial {
            bytes: bytes(items, choices),
            choices: choices.to_vec(),
            drop,
            graph,
        };
        self.context
            .log(&format!("{} bytes of weights: drop {:.4}", trial.bytes, trial.drop));
        Ok(trial)
    }

    /// Multiply–accumulates of the layers × bits of both factors. Source of the measure: Yao et al. 2021, *HAWQ-V3*, §4.
    fn bit_operations(&self, prepared: &Graph, choices: &[usize]) -> u64 {
        let of = |(layer, &choice): (&Layer, &usize)| {
            let weights = self.params.weights[choice];
            prepared.node_macs(prepared.node(layer.node)) * u64::from(weights.bits()) * input_bits(weights)
        };
        self.layers.iter().zip(choices).map(of).sum()
    }

    /// Whether a model is as fast as was asked. What was measured is said, and not kept.
    fn check_latency(&self, graph: &Graph) -> Result<(), StepError> {
        let Some(limit) = self.params.latency else {
            return Ok(());
        };
        let (machine, instruments) = (self.context.machine, self.context.instruments());
        let figures = timing::time(graph, timing::PROTOCOL, KernelSet::default(), machine, instruments)?;
        let median = figures.timings.steady.median;
        self.context.log(&format!("median {median:.3} ms"));
        if median > limit {
            return Err(StepError::Params(format!(
                "latency: the smallest model within the drop of {} takes {median:.3} ms here, more than {limit}; allow more or a greater drop, or shrink the model first",
                self.params.drop
            )));
        }
        Ok(())
    }

    fn effect(&self, items: &[Vec<Choice>], best: &Trial, operations: u64) -> Vec<EffectRow> {
        let names: Vec<String> = self.params.weights.iter().map(ToString::to_string).collect();
        let row = |((layer, &choice), options): ((&Layer, &usize), &Vec<Choice>)| EffectRow {
            layer: layer.name.clone(),
            tensor: "weights".into(),
            requested: names.join(" or "),
            actual: names[choice].clone(),
            took_effect: true,
            reason: Some(format!(
                "error when it alone is treated: {:.4} %",
                100.0 * options[choice].error
            )),
        };
        let mut rows: Vec<EffectRow> = self.layers.iter().zip(&best.choices).zip(items).map(row).collect();
        rows.push(EffectRow {
            layer: "all".into(),
            tensor: "weights".into(),
            requested: format!("drop of at most {}", self.params.drop),
            actual: format!("{:.4} on {} samples kept aside", best.drop, self.probe.len()),
            took_effect: best.drop <= self.params.drop,
            reason: Some(format!("{} bytes of weights, {operations} bit operations", best.bytes)),
        });
        rows
    }
}

fn bytes(items: &[Vec<Choice>], choices: &[usize]) -> u64 {
    items
        .iter()
        .zip(choices)
        .map(|(options, &choice)| options[choice].cost)
        .sum()
}

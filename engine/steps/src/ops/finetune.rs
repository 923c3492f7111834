//! `finetune`: train a network further, on samples of one's own.
//!
//! The network sees the samples batch by batch, and its weights move against the gradient of the loss: a little, since they are nearly right. That heals what
//! pruning, clustering or removed channels cost, and adapts a network to other data. A part of the samples is held out, and the best epoch on these is kept.
//!
//! With `prune` the least weights become zero on a schedule while the others learn to do without them; with `keep` zeros and shared values stay what they are.
//!
//! ```yaml
//! tuned: { finetune: { model: base, data: train, epochs: 2 } }
//! sparse: { finetune: { model: base, data: train, epochs: 2, prune: { sparsity: 0.8 } } }
//! ```

use std::collections::HashSet;

use ir::Graph;
use methods::{layers, patterns};
use recipe::{ArtifactKind, Port, kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::parameters::Scope;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output};
use crate::learning::params::training_params;
use crate::learning::{self, Extra, Kept, Schedule};

training_params! {
    /// Parameters of `finetune`.
    pub struct Finetune, learning_rate = 1e-4 {
        /// The float model to train further.
        model: Port<kind::Model>,
        /// Samples with labels. Never those it is tested on.
        data: Port<kind::Dataset>,
        /// Samples to find the best epoch with, instead of a part of `data`.
        validation: Option<Port<kind::Dataset>>,
        /// What stays while the model learns.
        #[serde(default)]
        keep: Vec<Kept>,
        /// The least weights become zero, on a schedule.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prune: Option<Pruning>,
    }
}

/// How sparsity rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rise {
    /// Fast at first, slowly at the end: `s = s_f + (s_i − s_f)(1 − p)³`.
    #[default]
    Polynomial,
    /// All at once, at the beginning of the schedule.
    Constant,
}

/// Pruning while learning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pruning {
    /// The share of weights that are zero at the end.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sparsity: f64,
    /// The share of weights that are zero at the beginning of the schedule.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub from: f64,
    /// How it rises.
    #[serde(default)]
    pub schedule: Rise,
    /// The exponent of a polynomial rise.
    #[serde(default = "default_power")]
    #[schemars(range(min = 1.0, max = 10.0))]
    pub power: f64,
    /// Where in training the schedule begins, as a share of all steps.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub begin: f64,
    /// Where it ends; the mask stays from there on.
    #[serde(default = "default_end")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub end: f64,
    /// Steps from one update to the next; without, as many as make 32 updates, at most 100. Lowered where the schedule is shorter; the update
    /// at the end always happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub every: Option<u64>,
    /// What shares the sparsity.
    #[serde(default)]
    pub scope: Scope,
    /// Only these layers, as in `layers`. All that learn, if empty.
    #[serde(default)]
    pub layers: Vec<String>,
    /// Not these layers, as in `layers`.
    #[serde(default)]
    pub exclude: Vec<String>,
}

fn default_power() -> f64 {
    3.0
}

fn default_end() -> f64 {
    0.75
}

impl Pruning {
    fn schedule(&self, model: &Graph) -> Result<Schedule, StepError> {
        let layers = layers(model);
        let chosen = patterns::selected(&self.layers, &self.exclude, &layers, model)?;
        let weights = layers.iter().zip(chosen).filter(|(_, chosen)| *chosen);
        let weights: HashSet<String> = weights.map(|(l, _)| model.tensor(l.weights).name.clone()).collect();
        Ok(Schedule {
            weights,
            pruning: learn::Pruning {
                parameters: Vec::new(),
                from: self.from,
                to: self.sparsity,
                power: match self.schedule {
                    Rise::Polynomial => self.power,
                    Rise::Constant => 0.0,
                },
                begin: self.begin,
                end: self.end,
                every: self.every,
                global: self.scope == Scope::Global,
            },
        })
    }
}

/// The op.
pub struct FinetuneOp;

impl Op for FinetuneOp {
    type Params = Finetune;
    const NAME: &'static str = "finetune";
    const REVISION: u32 = 1;
    const LEARNS: bool = true;
    const SUMMARY: &'static str =
        "Trains a network further; prunes it on a schedule meanwhile, or keeps its zeros and clusters.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EXAMPLE: &'static str = "tuned: { finetune: { model: base, data: train, epochs: 2 } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model"];
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data"), ("model", "validation")];

    fn check(params: &Finetune, _ports: &[&str]) -> Result<(), String> {
        if let Some(prune) = &params.prune {
            if prune.end < prune.begin {
                return Err(format!(
                    "prune.end: {} lies before prune.begin, {}: the schedule cannot finish",
                    prune.end, prune.begin
                ));
            }
            methods::prune::Sparsity::new(prune.sparsity).map_err(|error| format!("prune: {error}"))?;
            if prune.from > prune.sparsity {
                return Err("prune.from: is above prune.sparsity; weights that are zero do not come back".into());
            }
            if params.keep.contains(&Kept::Values) {
                return Err("keep: values cannot be kept while prune takes some away; prune first".into());
            }
        }
        params.training().check()
    }

    fn idle(params: &Finetune, ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        let mut idle = params.training().idle(ports);
        if params
            .prune
            .as_ref()
            .is_some_and(|prune| prune.schedule == Rise::Constant)
        {
            idle.push(("prune.power", "schedule polynomial"));
        }
        idle
    }

    fn foresee(params: &Finetune, inputs: &Outlook) -> Result<Facts, String> {
        let facts = learning::foresee::<Self>(&params.training(), inputs)?;
        if let (Some(prune), Some(network)) = (&params.prune, &facts.network) {
            let chosen = network.choose(&prune.layers, &prune.exclude);
            chosen.map_err(|problem| format!("prune: {problem}"))?;
        }
        Ok(facts)
    }

    fn run(params: &Finetune, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = inputs.one("model")?.model()?;
        let pruning = params.prune.as_ref().map(|p| p.schedule(&model)).transpose()?;
        let extra = Extra {
            keep: params.keep.clone(),
            pruning,
            ..Extra::default()
        };
        learning::train(&model, &params.training(), extra, inputs, context)
    }
}

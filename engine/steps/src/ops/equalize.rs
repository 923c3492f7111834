//! `equalize`: give the channels between two layers equal ranges, without changing what the network computes.
//!
//! One scale for a whole tensor is set by its widest channel; in a network with channels of very different size the small ones
//! are rounded to nothing. Cross-layer equalization divides a channel's weights by a factor and multiplies the next layer's by it; `absorb`
//! then moves what every activation exceeds from one bias into the next. Each change is kept only if it lowers the error that 8-bit integers
//! with one scale a tensor make on held-out samples.
//!
//! ```yaml
//! even: { equalize: { model: base, data: train, count: 500 } }
//! ```

use ir::Graph;
use methods::absorb;
use methods::equalize::equalize;
use methods::quantize::{Granularity, Plan, Scheme, Settings};
use recipe::{ArtifactKind, Port, kind};
use report::EffectRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Inputs, Op, Output};
use crate::sampling::reconstruction::quantized;
use crate::sampling::trial::{Trial, default_count};
use crate::sampling::{Samples, Walk, channel_sums};

/// Parameters of `equalize`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Equalize {
    /// The float model; it is folded first.
    pub model: Port<kind::Model>,
    /// Samples; a quarter of them is held out, and the change has to prove itself on those. Never those it is tested on.
    pub data: Port<kind::Dataset>,
    /// Move the share of biases that no activation falls below into the next layer too, which narrows the ranges between the two.
    #[serde(default = "yes")]
    pub absorb: bool,
    /// How many samples are used, at most.
    #[serde(default = "default_count")]
    #[schemars(range(min = 1))]
    pub count: usize,
    /// Seed of the draw.
    #[serde(default)]
    pub seed: u64,
}

fn yes() -> bool {
    true
}

/// The op.
pub struct EqualizeOp;

impl Op for EqualizeOp {
    type Params = Equalize;
    const NAME: &'static str = "equalize";
    const REVISION: u32 = 3;
    const SUMMARY: &'static str = "Gives the channels between two layers equal ranges; kept only if it helps.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EFFORT: u32 = 3;
    const EXAMPLE: &'static str = "even: { equalize: { model: base, data: train, count: 500 } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model"];
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data")];
    const FOLDS: bool = true;

    fn run(params: &Equalize, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let graph = models::prepared(inputs.one("model")?.model()?.as_ref())?;
        let dataset = inputs.one("data")?.dataset()?;
        let samples = Samples::draw(&dataset, params.count, params.seed, context)?;
        let (samples, held) = samples.held_out(0.25);
        // What the change is for: integers with one scale a tensor.
        let error = |changed: &Graph| held.distance(&graph, &integers(changed, &samples)?);
        let plain = error(&graph)?;

        let mut equal = graph.clone();
        let pairs = equalize(&mut equal)?;
        equal.verify()?;
        context.log(&format!("{} pairs of layers have equal ranges", pairs.len()));
        let trial = Trial {
            before: plain,
            after: error(&equal)?,
        };
        let mut effect: Vec<EffectRow> = pairs.iter().map(equalized).collect();
        let better = trial.better(graph.clone(), equal, &mut effect, context);
        if !params.absorb {
            return Output::model(better, effect);
        }

        let (absorbed, mut moved) = absorbed(&better, &samples)?;
        context.log(&format!("{} layers take over biases of the layer before", moved.len()));
        let trial = Trial {
            before: plain.min(trial.after),
            after: error(&absorbed)?,
        };
        let better = trial.better(better, absorbed, &mut moved, context);
        effect.extend(moved);
        Output::model(better, effect)
    }
}

fn equalized(pair: &methods::equalize::Pair) -> EffectRow {
    let (before, after) = pair.spread;
    EffectRow {
        layer: pair.first.clone(),
        tensor: "weights".into(),
        requested: format!("ranges equal to {}", pair.second),
        actual: format!("widest channel {after:.1} × the narrowest, before {before:.1} ×"),
        took_effect: true,
        reason: None,
    }
}

/// The model with high biases moved on, layer by layer, by what samples show of each layer before its activation.
fn absorbed(graph: &Graph, samples: &Samples<'_>) -> Result<(Graph, Vec<EffectRow>), StepError> {
    let mut out = graph.clone();
    let mut effect = Vec::new();
    let mut pairs = absorb::pairs(graph);
    pairs.sort_by_key(|(first, _)| first.node);
    let mut walk = Walk::new(samples);
    for (first, second) in pairs {
        let bare = absorb::without_activation(&out, &first);
        let output = bare.node(first.node).output();
        let rows = first.rows;
        // Sums of values and of squares over the positions of each sample.
        let sums = walk.each(&bare, Some(first.node), output, |_, values| channel_sums(values, rows))?;
        let shifts = absorb::high_biases(&sums, rows);
        let moved = shifts.iter().filter(|&&s| s > 0.0).count();
        if moved == 0 {
            continue;
        }
        absorb::absorb(&mut out, &first, &second, &shifts)?;
        effect.push(EffectRow {
            layer: first.name.clone(),
            tensor: "bias".into(),
            requested: format!("what no activation falls below moves to {}", second.name),
            actual: format!(
                "{moved} of {rows} channels, by up to {:.2e}",
                shifts.iter().copied().fold(0.0, f64::max)
            ),
            took_effect: true,
            reason: None,
        });
    }
    out.verify()?;
    Ok((out, effect))
}

/// The model in 8-bit integers with one scale a tensor, as far as its operators have integer forms.
fn integers(graph: &Graph, samples: &Samples<'_>) -> Result<Graph, StepError> {
    let settings = Settings {
        granularity: Granularity::Tensor,
        allow_float: graph.nodes().iter().map(|node| node.name.clone()).collect(),
        ..Settings::of(Scheme::Int8)
    };
    let ranges = samples.ranges(graph)?;
    let (integers, _) = quantized(graph.clone(), Some(&ranges.tensors), &settings, Plan::default(), None)?;
    Ok(integers)
}

//! `equalize`: give the channels between two layers equal ranges, without changing what the network computes.
//!
//! One scale for a whole tensor is set by its widest channel; in a network with channels of very different size the small ones
//! are rounded to nothing. Cross-layer equalization divides a channel's weights by a factor and multiplies the next layer's by it. The change is kept
//! only if it lowers the error that 8-bit weights with one scale a tensor make on held-out samples.
//!
//! ```yaml
//! even: { equalize: { model: base, data: train, count: 500 } }
//! ```

use ir::{Constant, Graph};
use methods::{equalize::equalize, layers};
use recipe::{ArtifactKind, Port, kind};
use report::EffectRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gather::Samples;
use crate::op::{Context, Inputs, Op, Output};
use crate::{StepError, models};

/// Parameters of `equalize`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Equalize {
    /// The float model; it is folded first.
    pub model: Port<kind::Model>,
    /// Samples on which the change has to prove itself. Never those it is tested on.
    pub data: Port<kind::Dataset>,
    /// How many samples are used, at most.
    #[serde(default = "default_count")]
    #[schemars(range(min = 1))]
    pub count: usize,
    /// Seed of the draw.
    #[serde(default)]
    pub seed: u64,
}

pub(crate) fn default_count() -> usize {
    500
}

/// The op.
pub struct EqualizeOp;

impl Op for EqualizeOp {
    type Params = Equalize;
    const NAME: &'static str = "equalize";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Gives the channels between two layers equal ranges; kept only if it helps.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EXAMPLE: &'static str = "even: { equalize: { model: base, data: train, count: 500 } }";

    fn run(params: &Equalize, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let graph = models::prepared(inputs.one("model")?.model()?.as_ref())?;
        let dataset = inputs.one("data")?.dataset()?;
        let samples = Samples::draw(&dataset, params.count, params.seed, context)?;
        let mut equal = graph.clone();
        let pairs = equalize(&mut equal)?;
        equal.verify()?;
        let before = samples.distance(&graph, &rounded(&graph)?)?;
        let after = samples.distance(&graph, &rounded(&equal)?)?;
        let kept = after < before && !pairs.is_empty();
        let verdict = verdict(kept, before, after);
        context.log(&format!("{} pairs of layers; {verdict}", pairs.len()));
        let row = |pair: &methods::equalize::Pair| EffectRow {
            layer: pair.first.clone(),
            tensor: "weights".into(),
            requested: format!("ranges equal to {}", pair.second),
            actual: format!(
                "widest channel {:.1} × the narrowest, before {:.1} ×",
                pair.spread.1, pair.spread.0
            ),
            took_effect: kept,
            reason: Some(verdict.clone()),
        };
        let effect = pairs.iter().map(row).collect();
        models::output(if kept { equal } else { graph }, effect)
    }
}

/// What a change did to the error on held-out samples, in words.
pub(crate) fn verdict(kept: bool, before: f64, after: f64) -> String {
    format!(
        "error on held-out samples {:.4} % → {:.4} %: {}",
        100.0 * before,
        100.0 * after,
        if kept { "kept" } else { "not kept" }
    )
}

/// The model with weights as 8 bits and one scale a tensor would have them, in floats.
fn rounded(graph: &Graph) -> Result<Graph, StepError> {
    let mut out = graph.clone();
    for layer in layers(graph) {
        let Some(Constant::F32(values)) = graph.constant_data(layer.weights) else {
            continue;
        };
        let peak = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        if peak > 0.0 {
            let step = peak / 127.0;
            let values = values.map(|&w| (w / step).round() * step);
            out.tensor_mut(layer.weights).data = Some(Constant::F32(values.into_shared()));
        }
    }
    out.verify()?;
    Ok(out)
}

//! `reestimate-bn`: measure the means and variances of batch norms again.
//!
//! A batch norm's statistics belong to the weights that it was trained with. After pruning they describe activations that no longer exist; measured again on
//! calibration samples, layer by layer, they repair much of the damage. The change is kept only if it lowers the error on held-out
//! samples. Source: Sun et al. 2019, *Hybrid 8-bit Floating Point Training*, §3 (batch norm re-tuning); Hubara et al. 2021, *Accurate Post Training Quantization*.
//!
//! ```yaml
//! repaired: { reestimate-bn: { model: pruned, reference: base, data: train } }
//! ```

use ir::Op as Operator;
use recipe::{ArtifactKind, Port, kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output, demand_floats};
use crate::sampling::trial::{Trial, default_count};
use crate::sampling::{Samples, Walk, norms, remeasure};

/// Parameters of `reestimate-bn`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReestimateBn {
    /// The model to repair, with its batch norms (not folded).
    pub model: Port<kind::Model>,
    /// The model that it was made from.
    pub reference: Port<kind::Model>,
    /// Samples; a quarter of them is held out. Never those it is tested on.
    pub data: Port<kind::Dataset>,
    /// How many samples are used, at most.
    #[serde(default = "default_count")]
    #[schemars(range(min = 1))]
    pub count: usize,
    /// Seed of the draw.
    #[serde(default)]
    pub seed: u64,
}

/// The op.
pub struct ReestimateBnOp;

impl Op for ReestimateBnOp {
    type Params = ReestimateBn;
    const NAME: &'static str = "reestimate-bn";
    const REVISION: u32 = 2;
    const SUMMARY: &'static str = "Measures the statistics of batch norms again; kept only if it helps.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EFFORT: u32 = 5;
    const EXAMPLE: &'static str = "repaired: { reestimate-bn: { model: base, reference: base, data: train } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model", "reference"];
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data"), ("reference", "data")];

    fn foresee(_params: &ReestimateBn, inputs: &Outlook) -> Result<Facts, String> {
        demand_floats::<Self>(inputs)?;
        if let Some(model) = inputs.one("model").filter(|model| model.facts.folded) {
            return Err(format!(
                "model: `{}` has no batch norms left, they are folded into other layers; repair a step before that, or use correct-bias",
                model.step
            ));
        }
        let facts = inputs.facts("model");
        let norms = facts.network.as_ref().is_none_or(|network| {
            let mut nodes = network.graph.nodes().iter();
            nodes.any(|node| matches!(node.op, Operator::BatchNorm(_)))
        });
        if norms {
            Ok(facts)
        } else {
            Err("model: the network has no batch norms; use correct-bias".into())
        }
    }

    fn run(params: &ReestimateBn, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let (model, reference) = (inputs.one("model")?.model()?, inputs.one("reference")?.model()?);
        let norms = norms(&model);
        if norms.is_empty() {
            let problem = "model: has no batch norms; `fold`, and steps that fold, merge them into other layers: repair before that, or use correct-bias";
            return Err(StepError::Params(problem.into()));
        }
        let dataset = inputs.one("data")?.dataset()?;
        let samples = Samples::draw(&dataset, params.count, params.seed, context)?;
        let (samples, held) = samples.held_out(0.25);
        let mut repaired = model.as_ref().clone();
        let mut walk = Walk::new(&samples);
        let mut effect = Vec::new();
        for (done, &id) in norms.iter().enumerate() {
            context.progress(done as u64, norms.len() as u64);
            effect.push(remeasure(&mut repaired, id, &mut walk)?);
        }
        repaired.verify()?;
        let trial = Trial {
            before: held.distance(&reference, &model)?,
            after: held.distance(&reference, &repaired)?,
        };
        trial.settle(model.as_ref().clone(), repaired, effect, context)
    }
}

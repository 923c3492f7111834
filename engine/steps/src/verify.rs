//! `verify`: two models on the same samples, compared number by number.
//!
//! Accuracy can hide a wrong conversion; outputs cannot. Quantized outputs are compared as the real numbers they mean. With
//! `per-layer`, every tensor that both models have under one name is compared too, and the first that departs stands out.
//!
//! ```yaml
//! same: { verify: { model: int8, reference: base, data: test, count: 100, per-layer: true } }
//! ```

use std::collections::HashMap;

use measure::AgreementTally;
use recipe::{ArtifactKind, Port, kind};
use report::Document;
use runtime::{Executable, Options, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::feed::Feeder;
use crate::op::{Context, Inputs, Op, Output};
use crate::{StepError, models};

/// Parameters of `verify`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Verify {
    /// The model in question, or the file it was exported to.
    pub model: Port<kind::ModelOrFile>,
    /// What it should agree with.
    pub reference: Port<kind::ModelOrFile>,
    /// Samples that both are given; labels are not needed.
    pub data: Port<kind::Dataset>,
    /// Use only the first samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub count: Option<usize>,
    /// Compare every tensor that both models have under one name.
    #[serde(default)]
    pub per_layer: bool,
    /// Fail where an output differs by more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_abs_error: Option<f64>,
    /// Fail where fewer decisions agree, as a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_top1: Option<f64>,
}

/// The op.
pub struct VerifyOp;

impl Op for VerifyOp {
    type Params = Verify;
    const NAME: &'static str = "verify";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Compares two models on the same samples, number by number.";
    const PRODUCES: ArtifactKind = ArtifactKind::Agreement;
    const EXAMPLE: &'static str = "same: { verify: { model: int8, reference: base, data: test, per-layer: true } }";

    fn run(params: &Verify, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let (model, reference) = (
            models::graph_of(inputs.one("model")?)?,
            models::graph_of(inputs.one("reference")?)?,
        );
        let dataset = inputs.one("data")?.dataset()?;
        let order: Vec<usize> = (0..params.count.unwrap_or(usize::MAX).min(dataset.data.len())).collect();
        let options = || Options {
            observable: params.per_layer,
            observe_all: params.per_layer,
            ..Options::default()
        };
        let (candidate, original) = (
            Executable::new(&model, options())?,
            Executable::new(&reference, options())?,
        );
        let (candidate_feed, original_feed) = (
            Feeder::new(&candidate, &dataset)?.only(&order),
            Feeder::new(&original, &dataset)?.only(&order),
        );
        let mut tally = AgreementTally::new();
        if params.per_layer {
            for i in 0..order.len() {
                context.check_cancelled()?;
                let expected = observed(&original, &original_feed, i)?;
                let known: HashMap<&str, &[f32]> = expected.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
                for (name, values) in &observed(&candidate, &candidate_feed, i)? {
                    if let Some(expected) = known.get(name.as_str()).filter(|e| e.len() == values.len()) {
                        tally.add_layer(name, expected, values)?;
                    }
                }
                context.progress(i as u64, order.len() as u64);
            }
        }
        let real = |executable: &Executable, value: Value<'_>| dequantized(executable, value);
        let expected = original_feed.map(context, |_, o| real(&original, o.get(0)))?;
        let found = candidate_feed.map(context, |_, o| real(&candidate, o.get(0)))?;
        for (expected, found) in expected.iter().zip(&found) {
            tally.add(expected, found)?;
        }
        let name = inputs
            .all("reference")
            .first()
            .map_or("reference", |r| r.variant.as_str());
        let agreement = tally.finish(name)?;
        let error = agreement.closeness.max_abs_error;
        context.log(&format!("max abs error {error:.3e} over {} samples", agreement.samples));
        if let Some(limit) = params.max_abs_error.filter(|&limit| error > limit) {
            return Err(StepError::NoEffect(format!(
                "outputs differ by up to {error:e}, allowed are {limit:e}"
            )));
        }
        if let (Some(limit), Some(share)) = (params.min_top1, agreement.top1)
            && share < limit
        {
            let problem = format!(
                "{:.2} % of the decisions agree, asked for are {:.2} %",
                100.0 * share,
                100.0 * limit
            );
            return Err(StepError::NoEffect(problem));
        }
        Ok(Output::document(
            ArtifactKind::Agreement,
            Document::Agreement(agreement),
        ))
    }
}

type Observed = Vec<(String, Vec<f32>)>;

fn observed(executable: &Executable, feeder: &Feeder<'_>, i: usize) -> Result<Observed, StepError> {
    let mut input = executable.input_buffers();
    feeder.feed(i, &mut input);
    let mut seen = Vec::new();
    executable.run_observed(&mut executable.workspace(), &input.values(), &mut |name, values| {
        seen.push((name.to_owned(), values.to_vec()));
    })?;
    Ok(seen)
}

/// The real numbers that the first output means.
pub fn dequantized(executable: &Executable, value: Value<'_>) -> Vec<f32> {
    let params = executable
        .outputs()
        .first()
        .and_then(|o| o.quantization.as_ref())
        .and_then(ir::Quantization::whole);
    let real = |q: i32| params.map_or(q as f32, |p| p.dequantize(q));
    match value {
        Value::F32(v) => v.to_vec(),
        Value::I8(v) => v.iter().map(|&q| real(q.into())).collect(),
        Value::U8(v) => v.iter().map(|&q| real(q.into())).collect(),
        Value::I16(v) => v.iter().map(|&q| real(q.into())).collect(),
        Value::I32(v) => v.iter().map(|&q| real(q)).collect(),
    }
}

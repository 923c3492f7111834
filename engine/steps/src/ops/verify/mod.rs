//! `verify`: two models on the same samples, compared number by number.
//!
//! Accuracy can hide a wrong conversion; outputs cannot. Quantized outputs are compared as the real numbers they mean. With
//! `per-layer`, the layers are compared too, paired by their names or by what they are, and the first that departs is named.
//!
//! ```yaml
//! same: { verify: { model: int8, reference: base, data: test, count: 100, per-layer: true } }
//! ```

pub mod comparison;
mod layer_pairs;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use data::LoadedDataset;
use ir::Graph;
use measure::AgreementTally;
use models::second_opinion::{self, SecondOpinion};
use recipe::{ArtifactKind, Port, kind};
use report::Document;
use runtime::{Executable, Options, Outputs, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output};
use crate::sampling::Feeder;

/// What runs the model in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyRuntime {
    /// Our own runtime.
    #[default]
    Own,
    /// tract, an independent engine, on the model written to ONNX: a second opinion on float models. It computes no integers; of an
    /// integer model it is given the real numbers that weights and biases mean.
    Tract,
}

impl VerifyRuntime {
    // Takes a reference for `skip_serializing_if`.
    fn is_own(&self) -> bool {
        *self == VerifyRuntime::Own
    }
}

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
    /// Compare the layers too: those of one name, and in order those of one kind and shape.
    #[serde(default)]
    pub per_layer: bool,
    /// A layer departs where its signal-to-noise ratio is less than this, in dB: 60 between float models, else 10, unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub departs_below: Option<f64>,
    /// What runs the model; the reference runs in our own runtime.
    #[serde(default, skip_serializing_if = "VerifyRuntime::is_own")]
    pub runtime: VerifyRuntime,
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
    const REVISION: u32 = 3;
    const SUMMARY: &'static str = "Compares two models on the same samples, number by number.";
    const PRODUCES: ArtifactKind = ArtifactKind::Agreement;
    const EFFORT: u32 = 3;
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data"), ("reference", "data")];
    const EXAMPLE: &'static str = "same: { verify: { model: int8, reference: base, data: test, per-layer: true } }";

    fn check(params: &Verify, _ports: &[&str]) -> Result<(), String> {
        match params.max_abs_error.filter(|limit| *limit < 0.0) {
            Some(limit) => Err(format!("max-abs-error: {limit} is below 0, where no error is")),
            None => Ok(()),
        }
    }

    fn idle(params: &Verify, _ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        if params.per_layer {
            Vec::new()
        } else {
            vec![("departs-below", "per-layer: true")]
        }
    }

    fn foresee(_params: &Verify, inputs: &Outlook) -> Result<Facts, String> {
        inputs.demand_runnable(&["model", "reference"])?;
        if let (Some(model), Some(reference)) = (inputs.one("model"), inputs.one("reference"))
            && let (Some(found), Some(expected)) = (&model.facts.network, &reference.facts.network)
            && let (Some(found), Some(expected)) = (found.scores(), expected.scores())
            && found != expected
        {
            return Err(format!(
                "reference: `{}` gives {expected} numbers for a sample and `{}` gives {found}; compare models that say the same",
                reference.step, model.step
            ));
        }
        Ok(Facts::default())
    }

    fn run(params: &Verify, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let (model, reference) = (
            inputs.one("model")?.model_or_file()?,
            inputs.one("reference")?.model_or_file()?,
        );
        let dataset = inputs.one("data")?.dataset()?;
        let order: Vec<usize> = (0..params.count.unwrap_or(usize::MAX).min(dataset.data.len())).collect();
        let (candidate, original) = (
            Executable::new(&model, Options::default())?,
            Executable::new(&reference, Options::default())?,
        );
        let (candidate_feed, original_feed) = (
            Feeder::new(&candidate, &dataset)?.only(&order),
            Feeder::new(&original, &dataset)?.only(&order),
        );
        let mut tally = AgreementTally::new();
        if params.per_layer {
            by_layer(&model, &reference, &dataset, &order, &mut tally, context)?;
        }
        let real = |feed: &Feeder<'_>, executable: &Executable, o: &Outputs<'_>| {
            dequantized(executable, feed.of_sample(0, o.get(0)))
        };
        let second = match params.runtime {
            VerifyRuntime::Own => None,
            VerifyRuntime::Tract => {
                let floats = second_opinion::in_floats(&model)?;
                if matches!(floats, Cow::Owned(_)) {
                    context.log(
                        "warning: tract computes no integers: it is given the real numbers that the model's integers mean, and \
                         computes in floats; that verifies the weights and the structure, not the rounding of activations",
                    );
                }
                Some(SecondOpinion::new(&floats)?)
            }
        };
        for part in original_feed.parts() {
            let expected = original_feed.pass(part.clone(), context, |_, o| real(&original_feed, &original, o))?;
            let found = match &second {
                None => candidate_feed.pass(part, context, |_, o| real(&candidate_feed, &candidate, o))?,
                Some(second) => {
                    let mut found = opinions(second, &candidate_feed, part, context)?;
                    if candidate.batch() > 1 {
                        // The sample lies in all places of the batch: the first is read.
                        let wanted = expected.iter().map(Vec::len);
                        found
                            .iter_mut()
                            .zip(wanted)
                            .for_each(|(found, len)| found.truncate(len));
                    }
                    found
                }
            };
            for (expected, found) in expected.iter().zip(&found) {
                tally.add(expected, found)?;
            }
        }
        let name = inputs
            .all("reference")
            .first()
            .map_or("reference", |r| r.variant.as_str());
        let mut agreement = tally.finish(name)?;
        if params.per_layer {
            let exact = layer_pairs::plain(&model) && layer_pairs::plain(&reference);
            agreement = agreement.with_departure(params.departs_below.unwrap_or(if exact { 60.0 } else { 10.0 }));
            if let Some(layer) = &agreement.departs {
                context.log(&format!("the first layer that departs is {layer}"));
            }
        }
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

/// What a second engine makes of a part of the samples.
fn opinions(
    second: &SecondOpinion,
    feeder: &Feeder<'_>,
    part: Range<usize>,
    context: &Context<'_>,
) -> Result<Vec<Vec<f32>>, StepError> {
    part.map(|i| {
        context.check_cancelled()?;
        context.progress(i as u64, feeder.len() as u64);
        Ok(second.run(&feeder.floats(i)?)?)
    })
    .collect()
}

/// Adds what every pair of layers makes of the samples.
fn by_layer(
    model: &Graph,
    reference: &Graph,
    dataset: &LoadedDataset,
    order: &[usize],
    tally: &mut AgreementTally,
    context: &Context<'_>,
) -> Result<(), StepError> {
    let options = Options {
        observable: true,
        observe_all: true,
        ..Options::default()
    };
    let (model, reference) = (layer_pairs::comparable(model)?, layer_pairs::comparable(reference)?);
    let pairs = layer_pairs::pairs(&model, &reference);
    let (candidate, original) = (Executable::new(&model, options)?, Executable::new(&reference, options)?);
    let (candidate_feed, original_feed) = (
        Feeder::new(&candidate, dataset)?.only(order),
        Feeder::new(&original, dataset)?.only(order),
    );
    for i in 0..order.len() {
        context.check_cancelled()?;
        let expected: HashMap<String, Vec<f32>> = observed(&original, &original_feed, i)?.into_iter().collect();
        for (name, values) in &observed(&candidate, &candidate_feed, i)? {
            let against = pairs.get(name);
            if let Some((against, expected)) = against.and_then(|against| expected.get_key_value(against)) {
                tally.add_layer(name, against, expected, values)?;
            }
        }
        context.progress(i as u64, order.len() as u64);
    }
    candidate_feed.check()
}

type Observed = Vec<(String, Vec<f32>)>;

fn observed(executable: &Executable, feeder: &Feeder<'_>, i: usize) -> Result<Observed, StepError> {
    let mut input = executable.input_buffers();
    feeder.feed(i, &mut input)?;
    let mut seen = Vec::new();
    executable.run_observed(&mut executable.workspace(), &input.values(), &mut |name, values| {
        seen.push((name.to_owned(), values.to_vec()));
    })?;
    Ok(seen)
}

/// The real numbers that the first output means.
pub fn dequantized(executable: &Executable, value: Value<'_>) -> Vec<f32> {
    let first = executable.outputs().first();
    first.map_or_else(Vec::new, |port| real_numbers(port, value))
}

/// The real numbers that an output means.
pub(crate) fn real_numbers(port: &runtime::Port, value: Value<'_>) -> Vec<f32> {
    let params = port.quantization.as_ref().and_then(ir::Quantization::whole);
    let real = |q: i32| params.map_or(q as f32, |p| p.dequantize(q));
    match value {
        Value::F32(v) => v.to_vec(),
        Value::I8(v) => v.iter().map(|&q| real(q.into())).collect(),
        Value::U8(v) => v.iter().map(|&q| real(q.into())).collect(),
        Value::I16(v) => v.iter().map(|&q| real(q.into())).collect(),
        Value::I32(v) => v.iter().map(|&q| real(q)).collect(),
        Value::I64(v) => v.iter().map(|&q| q as f32).collect(),
    }
}

//! `calibrate`: run a float model on samples and choose a range for every activation.
//!
//! Integer quantization has 256 values for each tensor; the range says which real numbers they stand for. Too narrow, and
//! large activations are clipped; too wide, and small ones lose precision. The methods weigh the two differently.
//!
//! ```yaml
//! ranges: { calibrate: { model: base, data: train, fraction: 0.08, stratified: true, seed: 7, method: minmax } }
//! ```

use data::{Amount, Sampling, Sharing};
use recipe::{ArtifactKind, Port, kind};
use report::{CalibrationSummary, Document};
use runtime::{Executable, Options};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::parameters::named_once;
use crate::contract::{Arithmetic, Context, Facts, Inputs, Op, Outlook, Output, Ranges};
use crate::sampling::Feeder;
use crate::sampling::activation_ranges::{self, Choice, Method};

/// Parameters of `calibrate`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Calibrate {
    /// The float model; it is folded first, as `quantize` folds it.
    pub model: Port<kind::Model>,
    /// Samples like those that the model will see. Never those it is tested on.
    pub data: Port<kind::Dataset>,
    /// How a range is chosen.
    #[serde(default)]
    pub method: Method,
    /// Use this many samples. Excludes `fraction`; without either, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub count: Option<usize>,
    /// Use this share of the samples. Excludes `count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub fraction: Option<f64>,
    /// Use only samples of these classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Draw so that every class keeps its share.
    #[serde(default = "yes")]
    pub stratified: bool,
    /// Seed of the draw.
    #[serde(default)]
    pub seed: u64,
    /// `percentile`: the share of values, in percent, that the range holds.
    #[serde(default = "default_percentile")]
    #[schemars(range(min = 50.0, max = 100.0))]
    pub percentile: f64,
    /// `moving-average`: weight of the ranges seen before; 0.99 in Jacob et al.
    #[serde(default = "default_momentum")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub momentum: f64,
}

fn yes() -> bool {
    true
}

fn default_percentile() -> f64 {
    99.99
}

fn default_momentum() -> f64 {
    0.99
}

/// Whether a number is another one than was there.
fn differs(number: f64, from: f64) -> bool {
    number.to_bits() != from.to_bits()
}

/// The op.
pub struct CalibrateOp;

impl Op for CalibrateOp {
    type Params = Calibrate;
    const NAME: &'static str = "calibrate";
    const REVISION: u32 = 2;
    const SUMMARY: &'static str = "Chooses a range for every activation of a model from samples.";
    const PRODUCES: ArtifactKind = ArtifactKind::Ranges;
    const EFFORT: u32 = 5;
    const EXAMPLE: &'static str = "ranges: { calibrate: { model: base, data: train, count: 500, method: minmax } }";
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data")];

    fn check(params: &Calibrate, _ports: &[&str]) -> Result<(), String> {
        match (params.count, params.fraction) {
            (Some(_), Some(_)) => Err("count and fraction exclude each other: keep one".into()),
            (None, Some(0.0)) => Err("fraction 0 leaves no samples to calibrate with".into()),
            _ if params.classes.is_some() => named_once("classes", params.classes.as_deref().unwrap_or_default()),
            _ if params.method != Method::MovingAverage && differs(params.momentum, default_momentum()) => {
                Err("momentum is for method moving-average: remove it, or change the method".into())
            }
            _ if params.method != Method::Percentile && differs(params.percentile, default_percentile()) => {
                Err("percentile is for method percentile: remove it, or change the method".into())
            }
            _ => Ok(()),
        }
    }

    fn foresee(params: &Calibrate, inputs: &Outlook) -> Result<Facts, String> {
        inputs.demand("model", (Self::NAME, "one whose activations are floats"), |found| {
            found != Arithmetic::Integer
        })?;
        if let (Some(classes), Some(samples)) = (&params.classes, inputs.facts("data").samples) {
            samples.demand_classes("classes", classes)?;
        }
        Ok(Facts {
            origin: inputs.facts("model").origin,
            network: inputs.network("model", true),
            ..Facts::default()
        })
    }

    fn idle(params: &Calibrate, _ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        let mut idle = Vec::new();
        if params.method != Method::MovingAverage {
            idle.push(("momentum", "method moving-average"));
        }
        if params.method != Method::Percentile {
            idle.push(("percentile", "method percentile"));
        }
        if params.count.is_none() && params.fraction.is_none() {
            idle.push(("stratified", "a draw: count or fraction"));
        }
        idle
    }

    fn run(params: &Calibrate, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = methods::quantize::widened(inputs.one("model")?.model()?.as_ref())?;
        let model = models::prepared(&model)?;
        let dataset = inputs.one("data")?.dataset()?;
        let drawn = draw(params, &dataset.data)?;
        let executable = Executable::new(
            &model,
            Options {
                observable: true,
                ..Options::default()
            },
        )?;
        let feeder = Feeder::new(&executable, &dataset)?.only(&drawn.indices);
        let samples = crate::sampling::digest(&dataset, &drawn.indices)?;
        let facts = serde_json::json!({ "network": models::identity(&model)?, "samples": samples });
        let choice = Choice {
            method: params.method,
            percentile: params.percentile,
            momentum: params.momentum,
        };
        let seen = activation_ranges::observe(&executable, &feeder, choice, Some(facts), context)?;

        let mut warnings = drawn.warnings;
        warnings.extend(seen.unstable());
        for warning in &warnings {
            context.log(&format!("warning: {warning}"));
        }
        let summary = CalibrationSummary {
            method: choice.to_string(),
            samples: drawn.indices.len() as u64,
            population: dataset.data.len() as u64,
            per_class: drawn.per_class,
            warnings,
        };
        context.log(&format!(
            "{} tensors over {} samples",
            seen.ranges.len(),
            drawn.indices.len()
        ));
        let ranges = Ranges {
            summary: summary.clone(),
            tensors: seen.ranges,
        };
        let bytes = serde_json::to_vec_pretty(&ranges).map_err(|e| StepError::Encode(e.to_string()))?;
        Ok(Output {
            kind: ArtifactKind::Ranges,
            blobs: vec![("ranges.json".into(), bytes)],
            decoded: None,
            document: Some(Document::Calibration(summary)),
        })
    }
}

struct Draw {
    indices: Vec<usize>,
    per_class: Vec<(String, u64)>,
    warnings: Vec<String>,
}

fn draw(params: &Calibrate, dataset: &data::Dataset) -> Result<Draw, StepError> {
    let labels = dataset.labels.as_deref();
    let class_index = |name: &String| {
        let found = dataset.classes.iter().position(|c| c == name);
        found.map(|i| i as u32).ok_or_else(|| {
            StepError::Params(format!(
                "classes: the data has no class `{name}`; it has {}",
                dataset.classes.join(", ")
            ))
        })
    };
    let classes = params
        .classes
        .as_ref()
        .map(|names| names.iter().map(class_index).collect())
        .transpose()?;
    let amount = match (params.count, params.fraction) {
        (Some(count), _) => Amount::Count(count),
        (None, Some(fraction)) => Amount::Fraction(fraction),
        (None, None) => Amount::All,
    };
    let sharing = if params.stratified && labels.is_some() {
        Sharing::Stratified
    } else {
        Sharing::Uniform
    };
    let drawn = data::sample::sample(
        dataset.len(),
        labels,
        &Sampling {
            amount,
            seed: params.seed,
            sharing,
            classes,
        },
    )?;
    if drawn.indices.is_empty() {
        return Err(StepError::Params("no samples to calibrate with".into()));
    }
    let mut per_class = Vec::new();
    let mut warnings = Vec::new();
    if let Some(labels) = labels {
        let mut counts = vec![0u64; dataset.classes.len()];
        drawn.indices.iter().for_each(|&i| {
            if let Some(count) = counts.get_mut(labels[i] as usize) {
                *count += 1;
            }
        });
        let missing: Vec<&str> = dataset
            .classes
            .iter()
            .zip(&counts)
            .filter(|&(_, &n)| n == 0)
            .map(|(c, _)| c.as_str())
            .collect();
        if !missing.is_empty() {
            let (n, all) = (missing.len(), dataset.classes.len());
            warnings.push(format!(
                "{n} of {all} classes are not among the samples: {}",
                data::sample::shortened(&missing)
            ));
        }
        per_class = dataset.classes.iter().cloned().zip(counts).collect();
    }
    Ok(Draw {
        indices: drawn.indices,
        per_class,
        warnings,
    })
}

//! `sensitivity`: what each layer bears.
//!
//! Each layer is treated alone, all others staying as they were, and the network's scores are compared with those of the
//! untreated network. The layers that suffer most are the ones to spare; the edit that spares them is part of the result.
//!
//! ```yaml
//! bears: { sensitivity: { model: base, data: train, treatments: [int4, { prune: 0.5 }] } }
//! ```

use methods::quantize::Granularity;
use methods::{Layer, layers, patterns};
use recipe::{ArtifactKind, Port, kind};
use report::{Document, SensitivityRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output, Ranges, demand_floats};
use crate::sampling::Samples;
use crate::sampling::probe::{Probe, default_count};
use crate::sampling::treatment::Treatment;

/// Parameters of `sensitivity`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sensitivity {
    /// The float model; it is folded first.
    pub model: Port<kind::Model>,
    /// Samples to run. Never those it is tested on.
    pub data: Port<kind::Dataset>,
    /// Ranges of its activations: with them `int8` and `int4` round a layer's input too.
    pub ranges: Option<Port<kind::Ranges>>,
    /// What is done to each layer in turn.
    #[serde(default = "default_treatments")]
    pub treatments: Vec<Treatment>,
    /// How many weight scales a convolution has.
    #[serde(default)]
    pub per: Granularity,
    /// Only these layers: names with `*` and `?`, or `op:` and an operator. All, if empty.
    #[serde(default)]
    pub layers: Vec<String>,
    /// Not these layers, as in `layers`.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// How many samples are used, at most.
    #[serde(default = "default_count")]
    #[schemars(range(min = 1))]
    pub count: usize,
    /// Seed of the draw.
    #[serde(default)]
    pub seed: u64,
}

fn default_treatments() -> Vec<Treatment> {
    vec![Treatment::Int8, Treatment::Int4]
}

/// The op.
pub struct SensitivityOp;

impl Op for SensitivityOp {
    type Params = Sensitivity;
    const NAME: &'static str = "sensitivity";
    const REVISION: u32 = 2;
    const SUMMARY: &'static str = "Measures what each layer bears when it alone is treated.";
    const PRODUCES: ArtifactKind = ArtifactKind::Sensitivity;
    const EFFORT: u32 = 100;
    const EXAMPLE: &'static str =
        "bears: { sensitivity: { model: base, data: train, treatments: [int4, { prune: 0.5 }] } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model"];
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data")];

    fn check(params: &Sensitivity, _ports: &[&str]) -> Result<(), String> {
        if params.treatments.is_empty() {
            return Err("treatments: none; name some, such as int8, int4, { prune: 0.5 } or { cluster: 16 }".into());
        }
        let wrong = params.treatments.iter().find_map(|t| t.check().err());
        let mut numbered = params.treatments.iter().enumerate();
        if numbered.any(|(at, treatment)| params.treatments[..at].contains(treatment)) {
            return Err("treatments: one stands twice; remove it".into());
        }
        wrong.map_or(Ok(()), |error| Err(format!("treatments: {error}")))
    }

    fn idle(params: &Sensitivity, _ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        let rounds = params
            .treatments
            .iter()
            .any(|t| matches!(t, Treatment::Int8 | Treatment::Int4));
        if rounds {
            Vec::new()
        } else {
            vec![
                ("per", "treatments int8 and int4"),
                ("ranges", "treatments int8 and int4"),
            ]
        }
    }

    fn foresee(params: &Sensitivity, inputs: &Outlook) -> Result<Facts, String> {
        demand_floats::<Self>(inputs)?;
        inputs.demand_own_ranges()?;
        if let Some(network) = inputs.network("model", true) {
            network.choose(&params.layers, &params.exclude)?;
        }
        Ok(Facts::default())
    }

    fn run(params: &Sensitivity, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let graph = models::prepared(inputs.one("model")?.model()?.as_ref())?;
        let ranges = inputs
            .optional("ranges")
            .map(|r| r.json::<Ranges>("ranges.json"))
            .transpose()?;
        let dataset = inputs.one("data")?.dataset()?;
        let samples = Samples::draw(&dataset, params.count, params.seed, context)?;
        let all = layers(&graph);
        let chosen = patterns::selected(&params.layers, &params.exclude, &all, &graph)?;
        let chosen: Vec<&Layer> = all.iter().zip(chosen).filter(|(_, c)| *c).map(|(l, _)| l).collect();
        let probe = Probe::new(&graph, &samples)?;
        let mut rows = Vec::new();
        let todo = (chosen.len() * params.treatments.len()) as u64;
        for layer in &chosen {
            for &treatment in &params.treatments {
                context.progress(rows.len() as u64, todo);
                rows.push(probe.row(layer, treatment, params.per, ranges.as_ref())?);
            }
        }
        let suggestions = params.treatments.iter().filter_map(|&t| suggestion(t, &rows)).collect();
        let worst = rows.iter().max_by(|a, b| a.noise.total_cmp(&b.noise));
        if let Some(worst) = worst {
            context.log(&format!(
                "most sensitive: {} under {}, error {:.3} %",
                worst.layer,
                worst.treatment,
                100.0 * worst.noise
            ));
        }
        let found = report::Sensitivity {
            samples: samples.len() as u64,
            accuracy: probe.accuracy(),
            rows,
            suggestions,
        };
        Ok(Output::document(
            ArtifactKind::Sensitivity,
            Document::Sensitivity(found),
        ))
    }
}

/// The edit that spares the fewest layers which together make more than half of the error.
fn suggestion(treatment: Treatment, rows: &[SensitivityRow]) -> Option<(String, String)> {
    let name = treatment.to_string();
    let mut own: Vec<&SensitivityRow> = rows.iter().filter(|row| row.treatment == name).collect();
    let total: f64 = own.iter().map(|row| row.noise).sum();
    own.sort_by(|a, b| b.noise.total_cmp(&a.noise));
    let mut sum = 0.0;
    let worst: Vec<String> = own
        .iter()
        .take_while(|row| {
            let needed = sum <= total / 2.0;
            sum += row.noise;
            needed
        })
        .map(|row| format!("\"{}\"", row.layer))
        .collect();
    // Where no layer stands out, there is nothing to spare.
    if total == 0.0 || worst.len() * 2 > own.len() {
        return None;
    }
    let list = worst.join(", ");
    let edit = match treatment {
        Treatment::Int8 => format!("quantize: {{ …, rules: [{{ layers: [{list}], weights: float }}] }}"),
        Treatment::Int4 => {
            format!("quantize: {{ …, weights: int4, rules: [{{ layers: [{list}], weights: int8 }}] }}")
        }
        Treatment::Prune(share) => format!("prune: {{ …, sparsity: {share}, exclude: [{list}] }}"),
        Treatment::Cluster(clusters) => format!("cluster: {{ …, clusters: {clusters}, exclude: [{list}] }}"),
    };
    Some((name, edit))
}

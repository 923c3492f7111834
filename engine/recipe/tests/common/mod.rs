//! A vocabulary that mimics the ops of the program, for tests of recipes.
#![allow(
    dead_code,
    reason = "each test binary uses a part; the parameters exist for their schemas"
)]

use recipe::{
    ArtifactKind, Instance, OpSpec, Overrides, Paint, Port, Ports, Recipe, SourceRef, kind, load, render_all,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Import {
    from: SourceRef,
    #[serde(default)]
    format: Option<ModelFormat>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ModelFormat {
    Keras,
    Onnx,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Dataset {
    source: SourceRef,
    #[serde(default)]
    format: DataFormat,
    split: Option<String>,
    /// Channel means to subtract.
    #[serde(default)]
    mean: Vec<f64>,
    /// Height and width to resize to.
    resize: Option<(u32, u32)>,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum DataFormat {
    #[default]
    Auto,
    Cifar10,
    Idx,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Calibrate {
    /// The model to observe.
    model: Port<kind::Model>,
    /// The samples to run it on.
    data: Port<kind::Dataset>,
    /// How ranges are chosen.
    #[serde(default)]
    method: Method,
    /// Part of the samples to use.
    #[serde(default = "whole")]
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    fraction: f64,
    /// Classes to take samples from; all if empty.
    #[serde(default)]
    classes: Vec<String>,
    /// Seed of the choice.
    #[serde(default)]
    seed: u32,
}

fn whole() -> f64 {
    1.0
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Method {
    /// The least and greatest value.
    #[default]
    Minmax,
    /// Kullback-Leibler divergence.
    Kl,
    /// Quantiles of the values.
    Percentile {
        /// The upper quantile in percent.
        #[schemars(range(min = 50, max = 100))]
        upper: f64,
    },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Quantize {
    /// The model to quantize.
    model: Port<kind::Model>,
    /// Ranges of its activations, needed for integer schemes.
    ranges: Option<Port<kind::Ranges>>,
    /// What becomes an integer.
    #[serde(default)]
    scheme: Scheme,
    /// One scale per output channel instead of one per tensor.
    #[serde(default = "yes")]
    per_channel: bool,
}

fn yes() -> bool {
    true
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Scheme {
    /// Weights as half floats.
    Float16,
    /// Weights as int8, activations as floats.
    DynamicInt8,
    /// Everything as int8.
    #[default]
    Int8,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Prune {
    model: Port<kind::Model>,
    #[serde(default)]
    method: PruneMethod,
    /// Fraction of the weights that become zero.
    #[schemars(range(min = 0, max = 1))]
    sparsity: f64,
    #[serde(default)]
    schedule: Schedule,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum PruneMethod {
    #[default]
    Magnitude,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Schedule {
    #[default]
    Constant,
    Polynomial,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Cluster {
    model: Port<kind::Model>,
    #[schemars(range(min = 2, max = 256))]
    clusters: u32,
    #[serde(default)]
    init: Init,
    #[serde(default)]
    per: Per,
    #[serde(default)]
    seed: u64,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
enum Init {
    #[default]
    #[serde(rename = "kmeans++")]
    KmeansPlusPlus,
    #[serde(rename = "linear")]
    Linear,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Per {
    #[default]
    Tensor,
    Channel,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Export {
    model: Port<kind::Model>,
    format: FileFormat,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum FileFormat {
    Tflite,
    Onnx,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Evaluate {
    model: Port<kind::ModelOrFile>,
    data: Port<kind::Dataset>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Benchmark {
    model: Port<kind::ModelOrFile>,
    #[serde(default)]
    warmup: u32,
    #[serde(default)]
    #[schemars(range(min = 1))]
    runs: u32,
    #[serde(default)]
    threads: u8,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Verify {
    reference: Port<kind::ModelOrFile>,
    candidate: Port<kind::ModelOrFile>,
    data: Port<kind::Dataset>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Report {
    compare: Ports<kind::Any>,
    baseline: Option<Port<kind::Model>>,
    title: Option<String>,
}

/// The ops.
pub fn vocabulary() -> Vec<OpSpec> {
    use ArtifactKind::{Agreement, Benchmark as Bench, Dataset as Data, File, Metrics, Model, Ranges, Report as Rep};
    vec![
        OpSpec::of::<Import>("import", "Reads a trained network.", Model),
        OpSpec::of::<Dataset>("dataset", "Reads samples with labels.", Data),
        OpSpec::of::<Calibrate>("calibrate", "Observes the ranges of activations.", Ranges)
            .with_example("ranges: { calibrate: { model: base, data: train, method: minmax } }"),
        OpSpec::of::<Quantize>("quantize", "Stores numbers with fewer bits.", Model)
            .with_example("int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }"),
        OpSpec::of::<Prune>("prune", "Sets the smallest weights to zero.", Model).with_figures(&["parameters", "macs"]),
        OpSpec::of::<Cluster>("cluster", "Lets weights share a few values.", Model),
        OpSpec::of::<Export>("export", "Writes a file for other runtimes.", File).with_figures(&["bytes", "zip-bytes"]),
        OpSpec::of::<Evaluate>("evaluate", "Measures quality on a dataset.", Metrics).with_figures(&[
            "accuracy",
            "samples",
            "per-class.*.f1",
        ]),
        OpSpec::of::<Benchmark>("benchmark", "Measures latency and memory.", Bench).with_figures(&["median-ms"]),
        OpSpec::of::<Verify>("verify", "Compares two models on the same inputs.", Agreement),
        OpSpec::of::<Report>("report", "Renders what was measured.", Rep),
    ]
}

/// The lab of the design document.
pub const LAB: &str = r#"# yaml-language-server: $schema=../schemas/recipe.schema.json
schema: pipeline/v1
name: resnet8-lab
params: { seed: 7 }
axes:
  sparsity: [0.2, 0.4, 0.5]
  fraction: [0.01, 0.08, 0.3, 0.8]
sources:
  weights: { file: models/resnet8.h5 }
  cifar:
    fetch: ["https://example.org/cifar-10-binary.tar.gz"]
    sha256: c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd
    size: 170052171
steps:
  base:     { import: { from: weights, format: keras } }
  train:    { dataset: { source: cifar, format: cifar10, split: train } }
  test:     { dataset: { source: cifar, format: cifar10, split: test } }
  fp16:     { quantize: { model: base, scheme: float16 } }
  dynamic:  { quantize: { model: base, scheme: dynamic-int8 } }
  ranges:   { calibrate: { model: base, data: train, fraction: $fraction, seed: $seed, method: minmax } }
  int8:     { quantize: { model: base, ranges: ranges, scheme: int8 } }
  skewed:   { calibrate: { model: base, data: train, classes: [dog], method: minmax } }
  imbint8:  { quantize: { model: base, ranges: skewed, scheme: int8 } }
  pruned:   { prune: { model: base, method: magnitude, sparsity: $sparsity, schedule: constant } }
  clust:    { cluster: { model: base, clusters: 8, init: kmeans++, per: channel, seed: $seed } }
  small:    { quantize: { model: { each: [pruned, clust] }, scheme: dynamic-int8 } }
  tflite:   { export: { model: { each: [base, fp16, dynamic, int8, small] }, format: tflite } }
  quality:  { evaluate: { model: { each: [base, fp16, dynamic, int8, imbint8, small] }, data: test } }
  speed:    { benchmark: { model: tflite, warmup: 10, runs: 100, threads: 1 }, resources: { exclusive: true } }
  report:   { report: { compare: [quality, speed, tflite], baseline: base } }
expect:
  - { metric: quality.accuracy, at: { model: int8, fraction: 0.8 }, drop-from: { model: base }, le: 0.01 }
  - { metric: tflite.zip-bytes, at: { model: small, sparsity: 0.5 }, le: 60000 }
"#;

/// A recipe with these sections below its head and the steps `base` and `data`.
pub fn with(steps: &str) -> String {
    format!(
        "schema: pipeline/v1
name: test
sources: {{ w: {{ file: w.h5 }} }}
steps:
  base: {{ import: {{ from: w }} }}
  data: {{ dataset: {{ source: w }} }}
{steps}"
    )
}

/// The recipe of a text that is right.
pub fn sound(text: &str) -> Recipe {
    sound_with(text, &Overrides::default())
}

/// The recipe of a text that is right, with overrides.
pub fn sound_with(text: &str, overrides: &Overrides) -> Recipe {
    match load("labs/recipe.yaml", text.as_bytes(), &vocabulary(), overrides) {
        Ok(recipe) => recipe,
        Err(complaints) => panic!("{}", render_all(&complaints, Paint::Plain)),
    }
}

/// All complaints about a text that is wrong.
pub fn complaints(text: &str) -> String {
    complaints_with(text, &Overrides::default())
}

/// All complaints about a text and overrides that are wrong together.
pub fn complaints_with(text: &str, overrides: &Overrides) -> String {
    match load("recipe.yaml", text.as_bytes(), &vocabulary(), overrides) {
        Ok(_) => "nothing to complain about".into(),
        Err(complaints) => render_all(&complaints, Paint::Plain),
    }
}

/// The names of all instances, one a line.
pub fn ids(instances: &[Instance]) -> String {
    instances
        .iter()
        .map(|instance| instance.id.to_string())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The instance of that name.
pub fn instance<'i>(instances: &'i [Instance], id: &str) -> &'i Instance {
    instances
        .iter()
        .find(|instance| instance.id.as_str() == id)
        .unwrap_or_else(|| panic!("no {id} in {}", ids(instances)))
}

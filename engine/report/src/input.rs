//! What a report is made of: facts of the recipe, and one document per measured variant and step.
//!
//! A [`ReportInput`] is the whole of it: it is written beside the report as `record.json`, and the same input renders the
//! same bytes.

use measure::{Agreement, Benchmark, Direction, Figure, Metrics, Quality, Sizes, TensorBytes, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::questions::Question;
use crate::sensitivity::Sensitivity;

/// Everything that a report says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReportInput {
    /// Heading of the report.
    pub title: String,
    /// What was run.
    pub recipe: RecipeFacts,
    /// Name of the variant that the others are compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// The axis whose values are repeats of one thing, such as seeds: shown as mean and standard deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
    /// The documents, in the order in which variants shall appear.
    pub entries: Vec<Entry>,
    /// The questions to answer; when empty, those that the entries allow ([`Question::defaults`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
}

/// What was run, as far as someone needs to know to run it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RecipeFacts {
    /// Name of the recipe.
    pub name: String,
    /// Digest of the resolved recipe, with its algorithm: `sha256:ab12…`.
    pub digest: String,
    /// The command that made this report.
    pub command: String,
    /// Values of the recipe's params, the seed among them, as name and text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<(String, String)>,
    /// Names of the recipe's axes: of coordinates, those that are no choice of a step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub axes: Vec<String>,
    /// Version of this program.
    pub tool_version: String,
}

/// One document about one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entry {
    /// Name of the variant: `int8-0.8`. Documents of equal name stand in one row.
    pub variant: String,
    /// The step that made the document.
    pub step: String,
    /// Where on the axes and `each` choices the variant lies, as name and value: `model` = `int8`, `fraction` = `0.8`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coordinates: Vec<(String, String)>,
    /// What was found.
    pub document: Document,
}

/// What a step found about a variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Document {
    /// Decisions on a dataset.
    Metrics(Metrics),
    /// What other tasks than classification are judged by.
    Quality(Quality),
    /// Latency and memory.
    Benchmark(Benchmark),
    /// Bytes, raw and packed.
    Sizes(Sizes),
    /// Closeness to another model.
    Agreement(Agreement),
    /// What the model consists of, and whether the request took effect.
    Model(ModelSummary),
    /// What ranges were taken from.
    Calibration(CalibrationSummary),
    /// What each layer bears.
    Sensitivity(Sensitivity),
}

impl Document {
    /// What the document is, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Metrics(_) => "metrics",
            Self::Quality(_) => "quality",
            Self::Benchmark(_) => "benchmark",
            Self::Sizes(_) => "sizes",
            Self::Agreement(_) => "agreement",
            Self::Model(_) => "model",
            Self::Calibration(_) => "calibration",
            Self::Sensitivity(_) => "sensitivity",
        }
    }

    /// The named numbers in it, as gates and tables call them.
    pub fn figures(&self) -> Vec<Figure> {
        match self {
            Self::Metrics(metrics) => metrics.figures(),
            Self::Quality(quality) => quality.figures(),
            Self::Benchmark(benchmark) => benchmark.figures(),
            Self::Sizes(sizes) => sizes.figures(),
            Self::Agreement(agreement) => agreement.figures(),
            Self::Model(model) => model.figures(),
            Self::Calibration(calibration) => calibration.figures(),
            Self::Sensitivity(sensitivity) => sensitivity.figures(),
        }
    }

    /// The figure of this name, if the document has it.
    pub fn figure(&self, name: &str) -> Option<Figure> {
        let of_class = || match self {
            Self::Metrics(metrics) => metrics.figure_of_class(name),
            Self::Quality(quality) => quality.figure_of_part(name),
            _ => None,
        };
        let mut figures = self.figures().into_iter();
        figures.find(|figure| figure.name == name).or_else(of_class)
    }

    /// What there is in place of a figure that the document does not have.
    pub fn instead_of(&self, name: &str) -> String {
        let (what, names): (_, Vec<String>) = match self {
            Self::Quality(quality) if name.starts_with(&quality.prefix()) => (
                "its parts are",
                quality.parts.iter().map(|part| part.name.clone()).collect(),
            ),
            Self::Metrics(metrics) if name.starts_with("per-class.") => (
                "the classes are",
                metrics.per_class.iter().map(|c| c.name.clone()).collect(),
            ),
            _ => ("it has", self.figures().into_iter().map(|figure| figure.name).collect()),
        };
        format!(
            "{what} {}",
            if names.is_empty() {
                "none".into()
            } else {
                names.join(", ")
            }
        )
    }
}

/// What a model consists of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModelSummary {
    /// Weights and biases, counted as elements.
    pub parameters: u64,
    /// Multiply–accumulates for one sample; `None` where the graph holds operators that are not counted.
    pub macs: Option<u64>,
    /// Nodes of the graph.
    pub layers: u64,
    /// Stored tensors by element type.
    pub tensors: Vec<TensorBytes>,
    /// What the last step asked for and what became of it; empty for a model as imported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effect: Vec<EffectRow>,
    /// How the last step trained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
}

impl ModelSummary {
    /// Names of all numbers that there may be.
    pub const FIGURES: &[&str] = &["parameters", "macs", "best-epoch", "validation-accuracy"];

    /// The named numbers: `parameters`, where known `macs`, and of a trained model the best epoch and its `validation-accuracy`.
    pub fn figures(&self) -> Vec<Figure> {
        let count = |name: &str, value: u64| Figure::new(name, value as f64, Unit::Count, Direction::Lower);
        let mut figures = vec![count("parameters", self.parameters)];
        figures.extend(self.macs.map(|macs| count("macs", macs)));
        if let Some(training) = &self.training {
            figures.push(count("best-epoch", training.best));
            let accuracy = training.best_epoch().and_then(|epoch| epoch.validation_accuracy);
            let figure = |share| Figure::new("validation-accuracy", share, Unit::Ratio, Direction::Higher);
            figures.extend(accuracy.map(figure));
        }
        figures
    }
}

/// How a model was trained: the learning curve, and which epoch's model it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Training {
    /// The epochs, in order.
    pub epochs: Vec<LearningEpoch>,
    /// Epochs that were planned; fewer took place where none was better for long.
    pub planned: u64,
    /// The number of the epoch whose model was kept, from 1.
    pub best: u64,
    /// Samples that were learned from.
    pub samples: u64,
    /// Samples that the best epoch was found with.
    pub held_out: u64,
}

impl Training {
    /// The epoch whose model was kept.
    pub fn best_epoch(&self) -> Option<&LearningEpoch> {
        self.epochs.get(usize::try_from(self.best).ok()?.checked_sub(1)?)
    }
}

/// What an epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LearningEpoch {
    /// The learning rate of its last step.
    pub rate: f64,
    /// Mean loss while learning.
    pub loss: f64,
    /// Share of right answers while learning.
    pub accuracy: f64,
    /// Mean loss on the held-out samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// Share of right answers on the held-out samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
}

/// Proof of effect: one thing that was asked for, and what was found in the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EffectRow {
    /// The node concerned.
    pub layer: String,
    /// Its tensor, or the role of it: `weights`, `bias`, `output`.
    pub tensor: String,
    /// What was asked for: `i8`.
    pub requested: String,
    /// What is there: `i8`, `f32`.
    pub actual: String,
    /// Whether the request took effect here.
    pub took_effect: bool,
    /// Why not, or how: `per channel, 16 scales`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What calibration ranges were taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CalibrationSummary {
    /// How ranges were chosen: `minmax`.
    pub method: String,
    /// Samples seen.
    pub samples: u64,
    /// Samples there were to choose from.
    pub population: u64,
    /// Samples seen of each class, as name and count.
    pub per_class: Vec<(String, u64)>,
    /// What is doubtful about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl CalibrationSummary {
    /// Names of all numbers that there may be.
    pub const FIGURES: &[&str] = &["calibration-samples"];

    /// The named numbers: `calibration-samples`.
    pub fn figures(&self) -> Vec<Figure> {
        vec![Figure::new(
            "calibration-samples",
            self.samples as f64,
            Unit::Count,
            Direction::Neutral,
        )]
    }
}

/// The outcome of one expectation of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Verdict {
    /// What was expected, in words: `quality.accuracy of int8-0.8 drops from base by at most 0.01`.
    pub name: String,
    /// Where the recipe says so: `recipe.yaml:31:5`.
    pub place: String,
    /// How it went.
    pub outcome: Outcome,
    /// The number found and the limit, or why there is none.
    pub message: String,
}

/// How an expectation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// It could not be judged: a step that it needs failed.
    Error,
    /// It was not judged: a step that it needs was left out of this run.
    Skipped,
}

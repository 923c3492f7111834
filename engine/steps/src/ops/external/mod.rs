//! `external`: a program of the user's own, for what this one does not measure, read or make.
//!
//! The program runs in a folder of its own, which holds nothing but what the step names: `files` under their paths, and under `inputs/NAME/` the files that
//! each input is stored as (`model.tflite` of an export; `samples-00000.npy`, `labels.npy`, `targets.npy` of a dataset). It sees the variables of
//! `environment`, `PATH`, and nothing else. What it leaves under the path that `outputs` names is the result: a model file, a dataset in any form that is
//! recognized (`.npz`, class folders), or numbers:
//!
//! ```json
//! { "word-error-rate": { "value": 0.12, "better": "lower" }, "accuracy": 0.91, "samples": 200 }
//! ```
//!
//! ```yaml
//! score: { external: { run: [python3, score.py], files: [score.py], inputs: { model: tflite, data: test }, outputs: { metrics: metrics.json } } }
//! radar: { external: { run: [python3, read.py], files: [read.py, radar.bin], outputs: { dataset: samples.npz } } }
//! ```
//!
//! The key holds the content of everything that is named, so the program runs again when one of them changes, and not otherwise: what it reads beside that
//! (its interpreter, libraries, the network) is the user's to keep still. Commands run with `--allow-external` alone.

mod program;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::time::Duration;

use indexmap::IndexMap;
use measure::{Direction, Figure, Quality, Score, Unit};
use recipe::{ArtifactKind, FileRefs, NamedPorts, kind};
use report::Document;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::program::{Folder, Program};
use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output};
use crate::ops::dataset::{self, Stopping};

/// Parameters of `external`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct External {
    /// The program with its arguments; paths are those in its folder.
    #[schemars(length(min = 1))]
    pub run: Vec<String>,
    /// What it is given, each under a name of its own: `{ model: tflite, data: test }`. The files of an input lie in `inputs/NAME/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<NamedPorts<kind::Any>>,
    /// Files that it needs, by their paths from the recipe's folder: itself, and what it reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<FileRefs>,
    /// The files that it leaves.
    pub outputs: Outputs,
    /// Variables of its environment with their values; there are no others but `PATH`, `HOME` and `TMPDIR`, of which the last two are its folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Seconds after which it is stopped.
    #[serde(default = "ten_minutes")]
    #[schemars(range(min = 1))]
    pub time_limit: u64,
}

fn ten_minutes() -> u64 {
    600
}

/// What a program leaves: one of these, under a path in its folder.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Outputs {
    /// A JSON object of numbers by name: plain ones, of which more is better, or `{ value: …, better: lower }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
    /// Samples: a folder or file that is recognized, as the model takes them, in one split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// A model file that is recognized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl Outputs {
    /// The path, and what lies there.
    fn one(&self) -> Result<(ArtifactKind, &str), String> {
        let Outputs {
            metrics,
            dataset,
            model,
        } = self;
        let given = [
            (ArtifactKind::Metrics, metrics),
            (ArtifactKind::Dataset, dataset),
            (ArtifactKind::Model, model),
        ];
        let mut given = given
            .into_iter()
            .filter_map(|(kind, path)| Some((kind, path.as_deref()?)));
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            _ => Err("outputs: name one of metrics, dataset and model with its path; a step makes one thing".into()),
        }
    }
}

/// The op.
pub struct ExternalOp;

impl Op for ExternalOp {
    type Params = External;
    const NAME: &'static str = "external";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Runs a program of the user's own, with --allow-external, and takes what it leaves: numbers, a dataset or a model.";
    const PRODUCES: ArtifactKind = ArtifactKind::Metrics;
    const EXAMPLE: &'static str = "score: { external: { run: [python3, score.py], files: [score.py], inputs: { model: tflite, data: test }, outputs: { metrics: metrics.json } } }";
    const FIGURES: &'static [&'static str] = &["*"];
    const MAKES: Option<(&'static str, &'static [(&'static str, ArtifactKind)])> = Some((
        "outputs",
        &[
            ("metrics", ArtifactKind::Metrics),
            ("dataset", ArtifactKind::Dataset),
            ("model", ArtifactKind::Model),
        ],
    ));

    fn check(params: &External, _ports: &[&str]) -> Result<(), String> {
        if params.run.first().is_none_or(String::is_empty) {
            return Err("run: is empty; name the program with its arguments, as in [python3, score.py]".into());
        }
        let (_, path) = params.outputs.one()?;
        if !is_inside(path) {
            return Err(format!("outputs: `{path}` is not a path within the program's folder"));
        }
        let wrong = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
        match params.environment.keys().find(wrong) {
            Some(name) => Err(format!("environment: `{name}` is no name of a variable")),
            None => Ok(()),
        }
    }

    fn foresee(_params: &External, _inputs: &Outlook) -> Result<Facts, String> {
        // What a program makes is not known before it has run.
        Ok(Facts::default())
    }

    fn run(params: &External, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        if !context.programs {
            return Err(StepError::Params(format!(
                "runs `{}`, a command of the recipe's; pass --allow-external if you trust it",
                params.run.join(" ")
            )));
        }
        let program = Program {
            command: &params.run,
            environment: &params.environment,
            limit: Duration::from_secs(params.time_limit),
        };
        let folder = Folder::new()?;
        for (parameter, source) in &inputs.sources {
            for entry in &source.files {
                if entry.name.is_empty() {
                    return Err(StepError::Params(format!(
                        "{parameter}: `{}` is a folder; name its files",
                        source.name
                    )));
                }
                let name = if is_inside(&source.name) {
                    &source.name
                } else {
                    &entry.name
                };
                let bytes = std::fs::read(&entry.path).map_err(|error| StepError::File {
                    path: source.name.clone(),
                    problem: error.to_string(),
                })?;
                folder.put(name, &bytes, true)?;
            }
        }
        for (port, given) in &inputs.ports {
            for labelled in given {
                for name in labelled.artifact.names() {
                    context.check_cancelled()?;
                    folder.put(&format!("inputs/{port}/{name}"), &labelled.artifact.blob(name)?, false)?;
                }
            }
        }
        program.run(&folder, context)?;
        let (kind, name) = params.outputs.one().map_err(StepError::Params)?;
        let path = folder.left(name, &program)?;
        let bytes = || {
            std::fs::read(&path).map_err(|error| StepError::File {
                path: name.to_owned(),
                problem: error.to_string(),
            })
        };
        match kind {
            ArtifactKind::Dataset => {
                let entry = data::Entry {
                    path: path.clone(),
                    name: name.to_owned(),
                    place: name.to_owned(),
                };
                let tree = data::Tree::open_named([entry])?;
                let (dataset, report) = data::load(&tree, &data::Spec::default(), &Stopping(context))?;
                dataset::stored(dataset, &report, data::Transforms::default(), context)
            }
            ArtifactKind::Model => {
                let whole = |weights: &formats::onnx::ExternalData| {
                    Err(format!(
                        "`{}` lies beside it; leave a model that is one file",
                        weights.location
                    ))
                };
                Output::model(
                    models::read(&bytes()?, name, models::ReadOptions::default(), &whole)?,
                    Vec::new(),
                )
            }
            _ => {
                let quality = metrics(&bytes()?, name)?;
                Ok(Output::document(ArtifactKind::Metrics, Document::Quality(quality)))
            }
        }
    }
}

/// Whether a path stays in the folder that it starts from.
fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// A number as a program writes it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(f64),
    Told(Told),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    value: f64,
    #[serde(default)]
    better: Better,
}

/// Which way a number improves.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Better {
    #[default]
    Higher,
    Lower,
    Neither,
}

/// The numbers in a program's file.
fn metrics(bytes: &[u8], file: &str) -> Result<Quality, StepError> {
    let refuse = |problem: String| StepError::File {
        path: file.to_owned(),
        problem,
    };
    let expected = "an object of numbers expected, such as { \"accuracy\": 0.91 }";
    let object: IndexMap<String, serde_json::Value> =
        serde_json::from_slice(bytes).map_err(|error| refuse(format!("{error}; {expected}")))?;
    let mut scores = Vec::with_capacity(object.len());
    for (name, value) in object {
        let is_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(refuse(format!(
                "`{name}` is no name of a number: letters, digits, `-`, `_` and `.` expected"
            )));
        }
        let number = serde_json::from_value(value.clone()).map_err(|_| {
            refuse(format!(
                "`{name}` is {value}; a number expected, or {{ \"value\": 0.1, \"better\": \"lower\" }}"
            ))
        })?;
        let (value, better) = match number {
            Number::Plain(value) => (value, Better::Higher),
            Number::Told(Told { value, better }) => (value, better),
        };
        let direction = match better {
            Better::Higher => Direction::Higher,
            Better::Lower => Direction::Lower,
            Better::Neither => Direction::Neutral,
        };
        let figure = Figure::new(name, value, Unit::Plain, direction);
        scores.push(Score { figure, interval: None });
    }
    if scores.is_empty() {
        return Err(refuse(format!("holds no number; {expected}")));
    }
    Ok(Quality {
        task: None,
        samples: 0,
        arithmetic: String::new(),
        scores,
        per: "part".to_owned(),
        parts: Vec::new(),
        curves: Vec::new(),
        notes: vec!["Found by a program of the recipe's own.".to_owned()],
    })
}

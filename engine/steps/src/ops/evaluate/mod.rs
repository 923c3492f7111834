//! `evaluate`: run a model over a labelled dataset and judge what it says: decisions, numbers, rankings or pixels, by the task.
//!
//! The model runs in the arithmetic that its tensors say: an int8 model's accuracy is that of its integers, computed as
//! LiteRT's reference kernels compute them, not a simulation in floats. Which samples were decided rightly is kept, so that reports and gates tell two
//! classifiers apart by the samples that changed. Other tasks than classification see the real numbers that integer outputs mean.
//!
//! ```yaml
//! quality: { evaluate: { model: { each: [base, int8] }, data: test } }
//! errors: { evaluate: { model: int8, data: sounds, task: anomaly, normal: [normal] } }
//! pose: { evaluate: { model: int8, data: people, task: keypoints, keypoints: { each: xyv, within: 0.5, of: [left-hip, right-shoulder] } } }
//! faces: { evaluate: { model: int8, data: faces, task: similarity } }
//! ```

mod heads;
mod judged;
mod points;
#[cfg(test)]
mod tests;

use data::{LoadedDataset, Targets};
use measure::{Judgement, Metrics, Outcomes, Tally, Task};
use models::KernelSet;
use recipe::{ArtifactKind, Port, SourceRef, kind};
use report::Document;
use runtime::{Executable, Outputs, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::StepError;
use crate::contract::parameters::named_once;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output, SampleFacts, SourceFiles};
use crate::sampling::Feeder;

/// Parameters of `evaluate`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Evaluate {
    /// What is judged: a model, or the file it was exported to.
    pub model: Port<kind::ModelOrFile>,
    /// Labelled samples.
    pub data: Port<kind::Dataset>,
    /// Which kernels run it; integer models give the same bits with either.
    #[serde(default)]
    pub kernels: KernelSet,
    /// What the model is for. The labels tell: one class a sample is classification, several are multilabel, numbers regression, masks segmentation, boxes detection; `anomaly`
    /// and `similarity` (of classes) and `keypoints` (of numbers) have to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// `multilabel`, `anomaly`, `segmentation` of one class: from which score on it is found. By default 0.5 behind a sigmoid and 0 elsewhere; of anomalies the
    /// one with the best F-beta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// `multilabel`, `anomaly`: how many times as much sensitivity counts as precision in F-beta; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub beta: Option<f64>,
    /// `anomaly`: how unusual a sample is. By default the mean squared error of its reconstruction, where the model gives one, or else its only output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<AnomalyScore>,
    /// `anomaly`: the classes that are not unusual. May be left out where exactly one is called `normal`, `good` or `ok`, or where classes are the numbers 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal: Option<Vec<String>>,
    /// `anomaly`: the false positive rate up to which the partial AUC goes; 0.1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub max_fpr: Option<f64>,
    /// `keypoints`: how points are told, how far a right one may be off, and what that is measured in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keypoints: Option<points::Keypoints>,
    /// `detection`: how the outputs say where objects are, where their shapes do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<heads::Head>,
    /// `detection`: a `.npy` file of anchors, `[N, 4]` floats: middle and size as shares of the input, `[y, x, height, width]`. The outputs then are offsets from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchors: Option<SourceRef>,
}

/// How unusual a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AnomalyScore {
    /// The mean squared difference between the model's input and its output, an autoencoder's.
    Mse,
    /// The mean absolute difference between the two.
    Mae,
    /// The model's only output: the greater, the more unusual.
    Output,
}

/// The op.
pub struct EvaluateOp;

impl Op for EvaluateOp {
    type Params = Evaluate;
    const NAME: &'static str = "evaluate";
    const REVISION: u32 = 3;
    const SUMMARY: &'static str = "Judges a model by labelled samples: decisions, several labels, numbers, anomalies, pixels, boxes, points, embeddings.";
    const PRODUCES: ArtifactKind = ArtifactKind::Metrics;
    const EFFORT: u32 = 10;
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data")];
    const EXAMPLE: &'static str = "quality: { evaluate: { model: { each: [base, int8] }, data: test } }";

    fn check(params: &Evaluate, _ports: &[&str]) -> Result<(), String> {
        if params.normal.is_some() {
            named_once("normal", params.normal.as_deref().unwrap_or_default())?;
        }
        params.task.map_or(Ok(()), |task| fits(params, task))
    }

    fn foresee(params: &Evaluate, inputs: &Outlook) -> Result<Facts, String> {
        inputs.demand_runnable(&["model"])?;
        let (Some(model), Some(data)) = (inputs.one("model"), inputs.one("data")) else {
            return Ok(Facts::default());
        };
        let task = match (params.task, data.facts.labels) {
            (Some(task), Some(labels)) if labels != judged::labels(task) => {
                return Err(format!(
                    "task: {} needs samples that are labelled with {}, those of `{}` are with {}",
                    task.name(),
                    judged::labels(task).words(),
                    data.step,
                    labels.words()
                ));
            }
            (asked, labels) => asked.or(labels.map(judged::task)),
        };
        if let Some(task) = task {
            fits(params, task)?;
        }
        if let Some(task) = task.filter(|&task| task != Task::Detection)
            && !inputs.source("anchors").is_empty()
        {
            return Err(format!(
                "anchors: is for the task detection, this one is {}; remove it",
                task.name()
            ));
        }
        if let Some(samples) = &data.facts.samples {
            demand_labels(params, task, &data.step, samples)?;
            if let (Some(Task::Classification), Some(network)) = (task, &model.facts.network)
                && let Some(scores @ 2..) = network.scores()
            {
                class_names(&samples.look.classes, scores).map_err(|error| {
                    format!(
                        "data: {error}; give the model another head, or choose `classes` and `renumber` in the dataset step"
                    )
                })?;
            }
        }
        if let Some(drawn) = &data.facts.drawn
            && let Some(seen) = model.facts.learned.iter().find(|seen| drawn.tests_with(seen))
        {
            return Err(format!(
                "data: `{}` was made with samples to test with, those of `{}`, and would be judged by them; calibrate, train and choose with others",
                model.step, seen.step
            ));
        }
        Ok(Facts::default())
    }

    fn run(params: &Evaluate, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let graph = inputs.one("model")?.model_or_file()?;
        let dataset = inputs.one("data")?.dataset()?;
        let task = task(params, &dataset)?;
        let executable = Executable::new(&graph, params.kernels.into())?;
        let feeder = Feeder::new(&executable, &dataset)?;
        let document = match task {
            Task::Classification => Document::Metrics(classified(&graph, &executable, &feeder, &dataset, context)?),
            Task::Multilabel
            | Task::Regression
            | Task::Anomaly
            | Task::Segmentation
            | Task::Detection
            | Task::Keypoints
            | Task::Similarity => {
                let anchors = inputs
                    .sources
                    .get("anchors")
                    .map(anchors)
                    .transpose()?
                    .unwrap_or_default();
                let judge = judged::Judge {
                    params,
                    graph: &graph,
                    executable: &executable,
                    feeder: &feeder,
                    dataset: &dataset,
                    context,
                    anchors: &anchors,
                };
                let quality = judge.quality(task)?;
                if let Some(score) = quality.scores.first() {
                    let (name, value) = (&score.figure.name, score.figure.value);
                    context.log(&format!("{name} {value:.4} of {} samples", quality.samples));
                }
                Document::Quality(quality)
            }
        };
        Ok(Output::document(ArtifactKind::Metrics, document))
    }
}

/// Refuses parameters that are for another task.
fn fits(params: &Evaluate, task: Task) -> Result<(), String> {
    let (anomaly, multilabel) = (task == Task::Anomaly, task == Task::Multilabel);
    let detection = task == Task::Detection;
    let thresholds = anomaly || multilabel || task == Task::Segmentation;
    for (key, given, fits, of) in [
        (
            "threshold",
            params.threshold.is_some(),
            thresholds,
            "multilabel, anomaly and segmentation",
        ),
        (
            "beta",
            params.beta.is_some(),
            anomaly || multilabel,
            "multilabel and anomaly",
        ),
        ("score", params.score.is_some(), anomaly, "anomaly"),
        ("normal", params.normal.is_some(), anomaly, "anomaly"),
        ("max-fpr", params.max_fpr.is_some(), anomaly, "anomaly"),
        ("head", params.head.is_some(), detection, "detection"),
        (
            "keypoints",
            params.keypoints.is_some(),
            task == Task::Keypoints,
            "keypoints",
        ),
    ] {
        if given && !fits {
            return Err(format!(
                "{key}: is for the task {of}, this one is {}; remove it",
                task.name()
            ));
        }
    }
    Ok(())
}

/// Refuses samples without labels, and classes that they are not of.
fn demand_labels(params: &Evaluate, task: Option<Task>, step: &str, samples: &SampleFacts) -> Result<(), String> {
    if samples.labels().is_none() {
        return Err(format!(
            "data: those of `{step}` have no labels; evaluate compares with them what the model says"
        ));
    }
    if let (Some(Task::Anomaly), Some(normal)) = (task, &params.normal) {
        samples.demand_classes("normal", normal)?;
        if samples.look.classes.iter().all(|class| normal.contains(class)) {
            return Err("normal: names all classes, and nothing is left to be unusual".into());
        }
    }
    Ok(())
}

/// What the recipe says that the model is for, or what the labels show.
fn task(params: &Evaluate, dataset: &LoadedDataset) -> Result<Task, StepError> {
    let data = &dataset.data;
    let shown = match (&data.targets, &data.labels) {
        (Some(Targets::Sets(_)), _) => Some(Task::Multilabel),
        (Some(Targets::Numbers { .. }), _) => Some(Task::Regression),
        (Some(Targets::Masks(_)), _) => Some(Task::Segmentation),
        (Some(Targets::Boxes(_)), _) => Some(Task::Detection),
        (None, Some(_)) => Some(Task::Classification),
        (None, None) => None,
    };
    let wrong = |problem: String| Err(StepError::Params(problem));
    match (params.task, shown) {
        (_, None) => wrong("the dataset has no labels; evaluate compares with them what the model says".into()),
        (None, Some(shown)) => Ok(shown),
        (Some(asked), Some(shown)) if judged::labels(asked) == judged::labels(shown) => Ok(asked),
        (Some(asked), Some(shown)) => wrong(format!(
            "task: {} needs samples that are labelled with {}, these are with {}; leave `task` out for {}",
            asked.name(),
            judged::labels(asked).words(),
            judged::labels(shown).words(),
            shown.name()
        )),
    }
}

/// The anchors in a file.
fn anchors(source: &SourceFiles) -> Result<Vec<[f32; 4]>, StepError> {
    let wrong = |problem: String| StepError::File {
        path: source.name.clone(),
        problem,
    };
    let [file] = source.files.as_slice() else {
        return Err(wrong("one .npy file of anchors expected".into()));
    };
    let bytes = std::fs::read(&file.path).map_err(|error| wrong(error.to_string()))?;
    let (shape, values) = data::npy::read(bytes, &source.name)?.into_parts();
    if shape.len() != 2 || shape[1] != 4 {
        return Err(wrong(format!(
            "an array of shape {shape:?} found, anchors [N, 4] expected"
        )));
    }
    Ok(values.to_f32().as_chunks().0.to_vec())
}

/// Counts a classifier's decisions. A single score decides between two classes: the second from 0.5 on behind a sigmoid, and above 0 elsewhere.
fn classified(
    graph: &ir::Graph,
    executable: &Executable,
    feeder: &Feeder<'_>,
    dataset: &LoadedDataset,
    context: &Context<'_>,
) -> Result<Metrics, StepError> {
    let labels = dataset.data.labels.as_deref().unwrap_or_default();
    let scores = feeder.len_of_sample(0);
    let half = if judged::is_probability(graph, 0) { 0.5 } else { 0.0 };
    let single = scores == 1 && dataset.data.classes.len() == 2;
    let classes = class_names(&dataset.data.classes, if single { 2 } else { scores })?;
    let mut tally = Tally::new(classes);
    let judgement = |sample: usize, outputs: &Outputs<'_>| {
        let (number, label) = (sample as u64, labels[sample] as usize);
        match feeder.of_sample(0, outputs.get(0)) {
            score if single => Judgement::of(number, label, &[half, feeder.real_of_sample(0, score)[0]]),
            Value::F32(v) => Judgement::of(number, label, v),
            Value::I8(v) => Judgement::of(number, label, v),
            Value::U8(v) => Judgement::of(number, label, v),
            Value::I16(v) => Judgement::of(number, label, v),
            Value::I32(v) => Judgement::of(number, label, v),
            Value::I64(v) => Judgement::of(number, label, v),
        }
    };
    let mut right = Vec::with_capacity(labels.len());
    feeder.each(context, judgement, |judged| {
        let judged = judged?;
        right.push(judged.is_right());
        tally.count(judged)?;
        Ok(())
    })?;
    let metrics = Metrics {
        outcomes: Some(Outcomes::of(samples_digest(dataset, labels)?, right)),
        ..tally.finish(executable.arithmetic())?
    };
    context.log(&format!(
        "accuracy {:.2} % of {}",
        100.0 * metrics.accuracy,
        metrics.samples
    ));
    Ok(metrics)
}

/// What the decisions of several models are compared by: the digest of the samples as they are fed, and of their labels.
fn samples_digest(dataset: &LoadedDataset, labels: &[u32]) -> Result<String, StepError> {
    let all: Vec<usize> = (0..dataset.data.len()).collect();
    let labels: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
    let both = [crate::sampling::digest(dataset, &all)?.into_bytes(), labels].concat();
    Ok(models::hex(&Sha256::digest(both)))
}

/// The names of the classes, one a score; a model with more scores than the data has classes (a background class,
/// a subset of ImageNet) gets numbers for the rest.
fn class_names(known: &[String], scores: usize) -> Result<Vec<String>, StepError> {
    if scores < known.len() {
        let problem = format!("the model gives {scores} scores, the data has {} classes", known.len());
        return Err(StepError::Params(problem));
    }
    Ok((0..scores)
        .map(|i| known.get(i).cloned().unwrap_or_else(|| format!("class {i}")))
        .collect())
}

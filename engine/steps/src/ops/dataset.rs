//! `dataset`: samples and labels from files, archives or folders.
//!
//! The samples that are kept are drawn first and decoded then; the result holds them as stored (bytes for images), with the
//! transform that turns a value into a model's input beside them.
//!
//! ```yaml
//! train: { dataset: { source: cifar, split: train, fraction: 0.1, stratified: true, seed: 7 } }
//! ```

use std::sync::Arc;

use data::{Color, Format, Layout, LoadedDataset, OnError, Resize, Spec, Split, Transform};
use recipe::{ArtifactKind, SourceRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Inputs, Op, Output};

/// Parameters of `dataset`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dataset {
    /// The source that holds the samples.
    pub source: SourceRef,
    /// How the files are laid out.
    #[serde(default)]
    pub format: Format,
    /// Which part: `train`, `test`, `all`, or the name of a folder such as `val`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Keep only samples of these classes; labels keep their numbers unless `renumber` says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Number the `classes` 0, 1, … in the order in which they stand here, as a model trained on them alone knows them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renumber: bool,
    /// Keep this many samples. Excludes `fraction`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub count: Option<usize>,
    /// Keep this share of the samples. Excludes `count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub fraction: Option<f64>,
    /// Seed of the draw. A larger draw with the same seed contains the smaller one.
    #[serde(default)]
    pub seed: u64,
    /// Draw so that every class keeps its share.
    #[serde(default)]
    pub stratified: bool,
    /// What to do with images that do not decode.
    #[serde(default)]
    pub on_error: OnError,
    /// Resize every image, before `crop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// Cut `[height, width]` out of the middle of every image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<[u32; 2]>,
    /// Colour of the images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
    /// Order of the axes in stored arrays; samples are channels-last afterwards.
    #[serde(default)]
    pub layout: Layout,
    /// What happens to each value before a model sees it: `[{ sub: [127] }, { div: [128] }]`.
    #[serde(default)]
    pub transform: Transform,
}

impl Dataset {
    fn spec(&self) -> Spec {
        Spec {
            format: self.format,
            split: self.split.clone(),
            classes: self.classes.clone(),
            count: self.count,
            fraction: self.fraction,
            seed: self.seed,
            stratified: self.stratified,
            on_error: self.on_error,
            resize: self.resize,
            crop: self.crop,
            color: self.color,
            layout: self.layout,
        }
    }
}

/// The op.
pub struct DatasetOp;

impl Op for DatasetOp {
    type Params = Dataset;
    const NAME: &'static str = "dataset";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Reads samples and labels from files, archives or folders.";
    const PRODUCES: ArtifactKind = ArtifactKind::Dataset;
    const EXAMPLE: &'static str = "test: { dataset: { source: cifar, split: test } }";

    fn check(params: &Dataset, _ports: &[&str]) -> Result<(), String> {
        if params.renumber && params.classes.is_none() {
            return Err("renumber: numbers the classes listed under `classes`; list them, or remove it".into());
        }
        params.spec().check().map_err(|e| e.to_string())
    }

    fn run(params: &Dataset, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let tree = data::Tree::open_named(inputs.source("source")?.files.iter().cloned())?;
        context.check_cancelled()?;
        let (mut dataset, report) = data::load(&tree, &params.spec())?;
        if let Some(classes) = params.classes.as_ref().filter(|_| params.renumber) {
            dataset.renumber(classes);
        }
        let shape: Vec<String> = report.sample_shape.iter().map(ToString::to_string).collect();
        context.log(&format!(
            "{} of {} samples, each {}",
            report.loaded,
            report.available,
            shape.join("×")
        ));
        for (name, problem) in &dataset.skipped {
            context.log(&format!("skipped {name}: {problem}"));
        }
        for warning in &report.warnings {
            context.log(&format!("warning: {warning}"));
        }
        let mut blobs: Vec<(String, Vec<u8>)> = data::blob::to_blobs(&dataset)
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes))
            .collect();
        let transform = serde_json::to_vec(&params.transform).map_err(|e| StepError::Encode(e.to_string()))?;
        blobs.push(("transform.json".into(), transform));
        let decoded = Arc::new(LoadedDataset {
            data: dataset,
            transform: params.transform.clone(),
        });
        Ok(Output {
            kind: ArtifactKind::Dataset,
            blobs,
            decoded: Some(decoded),
            document: None,
        })
    }
}

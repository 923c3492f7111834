//! `dataset`: samples and labels from files, archives or folders.
//!
//! The samples that are kept are drawn first and decoded then, piece by piece of a few MiB, so that memory does not grow with their
//! number. The result holds them as stored (bytes for images), with the transform that turns a value into a model's input beside them.
//!
//! ```yaml
//! train: { dataset: { source: cifar, split: train, fraction: 0.1, stratified: true, seed: 7 } }
//! pets: { dataset: { source: pets, split: test, resize: [224, 224], normalize: imagenet } }
//! cats: { dataset: { source: cats-and-dogs, split: test, test-share: 0.2, on-error: skip, resize: [96, 96] } }
//! chosen: { dataset: { source: cifar, split: train, part: { from: 0.9 } } }
//! flowers: { dataset: { source: flowers, format: list, list: { train: train.csv, test: test.csv }, images: "jpg/{name}.jpg" } }
//! weights: { dataset: { source: people, list: people.csv, columns: { input: [age, height], target: weight } } }
//! cars: { dataset: { source: cars, list: { val: annotations.json }, resize: [300, 300] } }
//! pairs: { dataset: { source: pairs, inputs: { left: images_a, right: images_b }, transform: { left: [{ div: 255 }] } } }
//! streets: { dataset: { source: streets, split: val, masks: "masks/{name}.png", resize: [256, 512] } }
//! ```

use std::sync::Arc;

use data::transform::Operation;
use data::{
    ClassNames, Color, Columns, DataError, Field, Format, InputArrays, Labels, Layout, Lists, LoadedDataset, OnError,
    Part, Resize, Shelf, Spec, Spectrogram, Split, Stored, Transform, Transforms,
};
use recipe::{ArtifactKind, SourceRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::parameters::named_once;
use crate::contract::{Context, Drawn, Facts, Inputs, LabelKind, Op, Outlook, Output, SampleFacts, SourceFiles};

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
    /// Data without splits: this share of each class is the split `test`, the rest `train`; which samples these are depends on nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test_share: Option<f64>,
    /// Keep only this part of the split, to divide it: `{ to: 0.8 }` and `{ from: 0.8 }` have no sample in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
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
    /// `numpy`: the arrays that a sample consists of, by the inputs that they are for: `[left, right]`, or `{ left: images_a, right: images_b }` where arrays are
    /// called otherwise. Arrays without a customary name (`x`, `images`, …) are for the inputs of their names in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<InputArrays>,
    /// Files of labels in the data, by name or by split: `annotations/trainval.txt`, `{ train: a.csv, test: b.csv }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<Lists>,
    /// `list`: where the images lie, such as `images/{name}.jpg`; without it they are found by their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// `list`: what its columns mean, `[name, label, _]` or `{ name: Filename, class: Breed }`; a header or the cells may show it. Beside `name`, `label` (a number),
    /// `class` and `split` there are `target` (a number to be estimated), `classes` (several), `mask`, and `input` (a number of the sample itself, where rows are
    /// samples): `{ input: [age, height], target: weight }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// `list`: the number of the first class.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first_label: i64,
    /// `list`, `idx`, `numpy`: what classes are called that the data only number, in label order: names, or a file in the data with a name a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_names: Option<ClassNames>,
    /// What samples are labelled with, where the data do not show it: one class, several `classes`, `numbers`, a `mask`, `boxes`.
    #[serde(default, skip_serializing_if = "is_auto")]
    pub labels: Labels,
    /// `image-folder`, `list`: how the mask of an image is called, such as `masks/{name}.png`; the nearest in the data is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<String>,
    /// The values of a mask's pixels in the order of the classes, such as `[0, 255]`. Without it a value is the number of its class; 255 stands for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_values: Option<Vec<u8>>,
    /// What the name of a file says, without its ending: `{class}_{index}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `audio`: which sounds are the test split, by what `name` finds in their names: `index < 5`, `speaker = theo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// `audio`: how sounds become log-mel spectrograms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectrogram: Option<Spectrogram>,
    /// What happens to each value before a model sees it: `[{ sub: 127 }, { div: [128, 128, 127] }]`; by input where there are several: `{ image: [{ div: 255 }] }`.
    #[serde(default)]
    pub transform: Transforms,
    /// A transform by its name. Excludes `transform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<Normalize>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn is_auto(labels: &Labels) -> bool {
    *labels == Labels::Auto
}

/// Transforms that many networks were trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Normalize {
    /// torchvision's for ImageNet: `(x / 255 − (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)`.
    Imagenet,
    /// To 0..1: `x / 255`.
    Unit,
    /// To −1..1: `x / 127.5 − 1`, Keras' for MobileNets.
    Symmetric,
}

impl Normalize {
    fn transform(self) -> Transform {
        match self {
            Self::Imagenet => Transform::torchvision(vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]),
            Self::Unit => Transform {
                operations: vec![Operation::Div(vec![255.0])],
            },
            Self::Symmetric => Transform::keras_tf(),
        }
    }
}

impl Dataset {
    fn spec(&self) -> Spec {
        Spec {
            format: self.format,
            split: self.split.clone(),
            test_share: self.test_share,
            part: self.part,
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
            inputs: self.inputs.clone(),
            list: self.list.clone(),
            images: self.images.clone(),
            columns: self.columns.clone(),
            first_label: self.first_label,
            class_names: self.class_names.clone(),
            labels: self.labels,
            masks: self.masks.clone(),
            mask_values: self.mask_values.clone(),
            name: self.name.clone(),
            test: self.test.clone(),
            spectrogram: self.spectrogram,
        }
    }

    /// What samples are labelled with, where the recipe tells.
    fn known_labels(&self) -> Option<LabelKind> {
        match self.labels {
            Labels::Auto if self.masks.is_some() => Some(LabelKind::Masks),
            Labels::Auto => {
                let columns = self.columns.as_ref()?;
                let shown = [
                    ("mask", LabelKind::Masks),
                    ("target", LabelKind::Numbers),
                    ("classes", LabelKind::Sets),
                    ("class", LabelKind::Class),
                ];
                shown
                    .into_iter()
                    .find(|(meaning, _)| columns.have(meaning))
                    .map(|(_, labels)| labels)
            }
            Labels::Class => Some(LabelKind::Class),
            Labels::Classes => Some(LabelKind::Sets),
            Labels::Numbers => Some(LabelKind::Numbers),
            Labels::Mask => Some(LabelKind::Masks),
            Labels::Boxes => Some(LabelKind::Boxes),
        }
    }

    /// What the samples in the files will be.
    fn look(&self, files: &SourceFiles) -> Result<SampleFacts, StepError> {
        let tree = data::Tree::open_named(files.files.iter().cloned())?;
        let mut look = data::look(&tree, &self.spec())?;
        if self.mask_values.is_some() && look.labels != Some(Labels::Mask) {
            return Err(StepError::Data(DataError::Setting {
                key: "mask-values",
                why: "the samples have no masks; name them with `masks`, or remove it".into(),
            }));
        }
        let transform = self.transform();
        if let Some(shape) = &look.shape {
            let fits = transform.fit(shape, &look.inputs).map_err(|problem| match problem {
                DataError::Setting { why, .. } if self.normalize.is_some() => {
                    DataError::Setting { key: "normalize", why }
                }
                other => other,
            });
            fits?;
        }
        if let Some(classes) = self.classes.as_ref().filter(|_| self.renumber) {
            look.range = look.range.map(|[least, most]| {
                if least == most {
                    [0, 0]
                } else {
                    [0, classes.len().saturating_sub(1) as u32]
                }
            });
            look.classes.clone_from(classes);
        }
        Ok(SampleFacts { look, transform })
    }

    fn transform(&self) -> Transforms {
        self.normalize
            .map_or_else(|| self.transform.clone(), |normalize| normalize.transform().into())
    }
}

/// The shelf of a step that may be stopped between two pieces.
pub(super) struct Stopping<'a>(pub &'a Context<'a>);

impl Shelf for Stopping<'_> {
    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<Arc<dyn Stored>, String> {
        self.0.check_cancelled().map_err(|stop| stop.to_string())?;
        self.0.shelf.put(name, bytes)
    }
}

/// The op.
pub struct DatasetOp;

impl Op for DatasetOp {
    type Params = Dataset;
    const NAME: &'static str = "dataset";
    const REVISION: u32 = 2;
    const SUMMARY: &'static str = "Reads samples and labels from files, archives or folders.";
    const PRODUCES: ArtifactKind = ArtifactKind::Dataset;
    const EFFORT: u32 = 3;
    const EXAMPLE: &'static str = "test: { dataset: { source: cifar, split: test } }";

    fn check(params: &Dataset, _ports: &[&str]) -> Result<(), String> {
        if params.renumber && params.classes.is_none() {
            return Err("renumber: numbers the classes listed under `classes`; list them, or remove it".into());
        }
        if params.normalize.is_some() && !params.transform.is_identity() {
            return Err("normalize: excludes `transform`; give one of them".into());
        }
        if let Some(classes) = &params.classes {
            named_once("classes", classes)?;
        }
        params.transform.check().map_err(|e| e.to_string())?;
        params.spec().check().map_err(|e| e.to_string())
    }

    fn idle(params: &Dataset, _ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        let mut idle = Vec::new();
        if params.count.is_none() && params.fraction.is_none() {
            idle.push(("stratified", "a draw: count or fraction"));
        }
        idle
    }

    fn foresee(params: &Dataset, inputs: &Outlook) -> Result<Facts, String> {
        let Part { from, to } = params.part.unwrap_or_default();
        let drawn = Drawn {
            step: String::new(),
            files: inputs.source("source").to_vec(),
            split: params.split.clone(),
            test_share: params.test_share,
            part: [from, to],
            classes: params.classes.clone(),
        };
        let facts = Facts {
            labels: params.known_labels(),
            drawn: Some(Arc::new(drawn)),
            ..Facts::default()
        };
        let Some(files) = inputs.files("source") else {
            return Ok(facts);
        };
        Ok(match params.look(files) {
            Ok(kept) => Facts {
                labels: kept.labels(),
                samples: Some(Arc::new(kept)),
                ..facts
            },
            // What the recipe asks of sound data, and they do not have.
            Err(StepError::Data(
                problem @ (DataError::Setting { .. } | DataError::Split { .. } | DataError::UnknownClass { .. }),
            )) => return Err(problem.to_string()),
            Err(problem) => Facts {
                unread: Some(problem.to_string()),
                ..facts
            },
        })
    }

    fn run(params: &Dataset, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let tree = data::Tree::open_named(inputs.source("source")?.files.iter().cloned())?;
        context.check_cancelled()?;
        let shelf = Stopping(context);
        let (mut dataset, report) = data::load(&tree, &params.spec(), &shelf)?;
        if let Some(classes) = params.classes.as_ref().filter(|_| params.renumber) {
            dataset.renumber(classes);
        }
        let transform = params.transform();
        transform.fit(&report.sample_shape, &dataset.inputs)?;
        stored(dataset, &report, transform, context)
    }
}

/// A loaded dataset as the output of a step, with what there is to say of it in the log.
pub(super) fn stored(
    dataset: data::Dataset,
    report: &data::Report,
    transform: Transforms,
    context: &Context<'_>,
) -> Result<Output, StepError> {
    let shape: Vec<String> = report.sample_shape.iter().map(ToString::to_string).collect();
    let shape = if dataset.inputs.is_empty() {
        shape.join("×")
    } else {
        Field::listed(&dataset.inputs)
    };
    context.log(&format!(
        "{} of {} samples, each {}",
        report.loaded, report.available, shape
    ));
    for (name, problem) in &dataset.skipped {
        context.log(&format!("skipped {name}: {problem}"));
    }
    for warning in &report.warnings {
        context.log(&format!("warning: {warning}"));
    }
    let mut blobs: Vec<(String, Vec<u8>)> = data::blob::to_blobs(&dataset, &report.names)
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect();
    let written = serde_json::to_vec(&transform).map_err(|e| StepError::Encode(e.to_string()))?;
    blobs.push(("transform.json".into(), written));
    let decoded = Arc::new(LoadedDataset {
        data: dataset,
        transform,
    });
    Ok(Output {
        kind: ArtifactKind::Dataset,
        blobs,
        decoded: Some(decoded),
        document: None,
    })
}

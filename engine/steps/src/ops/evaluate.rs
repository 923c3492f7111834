//! `evaluate`: run a model over a labelled dataset and count its decisions.
//!
//! The model runs in the arithmetic that its tensors say: an int8 model's accuracy is that of its integers, computed as
//! LiteRT's reference kernels compute them, not a simulation in floats.
//!
//! ```yaml
//! quality: { evaluate: { model: { each: [base, int8] }, data: test } }
//! ```

use measure::Tally;
use models::KernelSet;
use recipe::{ArtifactKind, Port, kind};
use report::Document;
use runtime::{Executable, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Inputs, Op, Output};
use crate::sampling::Feeder;

/// Parameters of `evaluate`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Evaluate {
    /// The classifier: a model, or the file it was exported to.
    pub model: Port<kind::ModelOrFile>,
    /// Labelled samples.
    pub data: Port<kind::Dataset>,
    /// Which kernels run it; integer models give the same bits with either.
    #[serde(default)]
    pub kernels: KernelSet,
}

/// The op.
pub struct EvaluateOp;

impl Op for EvaluateOp {
    type Params = Evaluate;
    const NAME: &'static str = "evaluate";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Counts a classifier's decisions on labelled samples.";
    const PRODUCES: ArtifactKind = ArtifactKind::Metrics;
    const EXAMPLE: &'static str = "quality: { evaluate: { model: { each: [base, int8] }, data: test } }";

    fn run(params: &Evaluate, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let graph = inputs.one("model")?.model_or_file()?;
        let dataset = inputs.one("data")?.dataset()?;
        let executable = Executable::new(&graph, params.kernels.into())?;
        let labels = dataset.data.labels.as_deref();
        let labels = labels
            .ok_or_else(|| StepError::Params("the dataset has no labels; evaluate counts right and wrong".into()))?;
        let feeder = Feeder::new(&executable, &dataset)?;
        let outputs = executable.outputs();
        let scores = outputs.first().map_or(0, |o| o.ty.shape.elements());
        let classes = class_names(&dataset.data.classes, scores)?;
        // Each sample's tally is a count, so that the merged result does not depend on the order of the threads.
        let parts = feeder.map(context, |sample, values| {
            let mut part = Tally::new(classes.clone());
            let label = labels[sample] as usize;
            match values.get(0) {
                Value::F32(v) => part.add_scores(label, v),
                Value::I8(v) => part.add_scores(label, v),
                Value::U8(v) => part.add_scores(label, v),
                Value::I16(v) => part.add_scores(label, v),
                Value::I32(v) => part.add_scores(label, v),
            }
            .map(|()| part)
        })?;
        let mut tally = Tally::new(classes.clone());
        for part in parts {
            tally.merge(&part?)?;
        }
        let metrics = tally.finish(executable.arithmetic())?;
        context.log(&format!(
            "accuracy {:.2} % of {}",
            100.0 * metrics.accuracy,
            metrics.samples
        ));
        Ok(Output::document(ArtifactKind::Metrics, Document::Metrics(metrics)))
    }
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

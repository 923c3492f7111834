//! `evaluate`: run a model over a labelled dataset and count its decisions.
//!
//! The model runs in the arithmetic that its tensors say: an int8 model's accuracy is that of its integers, computed as
//! LiteRT's reference kernels compute them, not a simulation in floats.
//!
//! ```yaml
//! quality: { evaluate: { model: { each: [base, int8] }, data: test } }
//! ```

use ir::Place;
use measure::{Judgement, Tally};
use models::KernelSet;
use recipe::{ArtifactKind, Port, kind};
use report::Document;
use runtime::{Executable, Outputs, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output};
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
    const REVISION: u32 = 2;
    const SUMMARY: &'static str = "Counts a classifier's decisions on labelled samples.";
    const PRODUCES: ArtifactKind = ArtifactKind::Metrics;
    const EFFORT: u32 = 10;
    const EXAMPLE: &'static str = "quality: { evaluate: { model: { each: [base, int8] }, data: test } }";

    fn foresee(_params: &Evaluate, inputs: &Outlook) -> Result<Facts, String> {
        inputs.demand_runnable(&["model"])?;
        Ok(Facts::default())
    }

    fn run(params: &Evaluate, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let graph = inputs.one("model")?.model_or_file()?;
        let dataset = inputs.one("data")?.dataset()?;
        let executable = Executable::new(&graph, params.kernels.into())?;
        let labels = dataset.data.labels.as_deref();
        let labels = labels
            .ok_or_else(|| StepError::Params("the dataset has no labels; evaluate counts right and wrong".into()))?;
        let feeder = Feeder::new(&executable, &dataset)?;
        let outputs = executable.outputs();
        let scores = outputs.first().map_or(0, |o| match o.samples {
            Place::Along(0) => o.ty.shape.elements() / executable.batch(),
            _ => o.ty.shape.elements(),
        });
        let classes = class_names(&dataset.data.classes, scores)?;
        let mut tally = Tally::new(classes);
        let judgement = |sample: usize, outputs: &Outputs<'_>| {
            let (number, label) = (sample as u64, labels[sample] as usize);
            match feeder.of_sample(0, outputs.get(0)) {
                Value::F32(v) => Judgement::of(number, label, v),
                Value::I8(v) => Judgement::of(number, label, v),
                Value::U8(v) => Judgement::of(number, label, v),
                Value::I16(v) => Judgement::of(number, label, v),
                Value::I32(v) => Judgement::of(number, label, v),
            }
        };
        feeder.each(context, judgement, |judged| {
            tally.count(judged?)?;
            Ok(())
        })?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use data::{Dataset, LoadedDataset, Samples, Transform, Values};
    use ir::ops::Softmax;
    use ir::{Graph, TensorType};

    use super::*;
    use crate::contract::Artifact;
    use crate::tests::fixtures::run_on;

    /// Five scores out of five numbers.
    fn softmax() -> Graph {
        let mut graph = Graph::new("softmax");
        let x = graph.input("x", TensorType::f32([1, 5]));
        let y = graph.add("y", Softmax::default(), &[x]).unwrap();
        graph.set_outputs(&[y]);
        graph
    }

    /// What evaluation finds on more samples than pass at once; `change` may spoil their values.
    fn evaluated(threads: usize, change: impl FnOnce(&mut [f32])) -> Result<measure::Metrics, String> {
        let mut values: Vec<f32> = (0..1500 * 5).map(|i| (i * 37 % 101) as f32 / 50.0).collect();
        change(&mut values);
        let data = Dataset {
            samples: Samples::new(vec![1500, 5], Values::F32(values)).unwrap(),
            labels: Some((0..1500).map(|i| i % 5).collect()),
            classes: (0..5).map(|i| format!("class {i}")).collect(),
            skipped: Vec::new(),
        };
        let transform = Transform::default();
        let dataset = Arc::new(LoadedDataset { data, transform });
        let dataset = Artifact::new(ArtifactKind::Dataset, BTreeMap::new(), Some(dataset));
        let output = run_on(threads, "evaluate", &softmax(), dataset).map_err(|e| e.to_string())?;
        match output.document {
            Some(Document::Metrics(metrics)) => Ok(metrics),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_sample_counts_once_whatever_the_number_of_threads() {
        let metrics = evaluated(1, |_| ()).unwrap();
        assert_eq!(metrics.samples, 1500);
        assert!(metrics.per_class.iter().all(|class| class.support == 300));
        assert_eq!(evaluated(3, |_| ()).unwrap(), metrics);
    }

    #[test]
    fn a_sample_that_holds_no_numbers_is_named() {
        let spoil = |values: &mut [f32]| values[1200 * 5..1201 * 5].fill(f32::NAN);
        insta::assert_snapshot!(evaluated(2, spoil).unwrap_err(), @"sample 1200: value 0 is NaN; every sample must hold finite numbers");
    }
}

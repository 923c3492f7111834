//! What `evaluate` finds and refuses, task by task.

use std::collections::BTreeMap;
use std::sync::Arc;

use data::{Dataset, LoadedDataset, Samples, Transforms, Values};
use ir::ops::{Function, Softmax};
use ir::{Graph, TensorType};
use serde_json::json;

use super::*;
use crate::contract::Artifact;
use crate::tests::fixtures::{run_on, run_with_params};

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
        inputs: Vec::new(),
        labels: Some((0..1500).map(|i| i % 5).collect()),
        targets: None,
        classes: (0..5).map(|i| format!("class {i}")).collect(),
        skipped: Vec::new(),
    };
    let transform = Transforms::default();
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
    let outcomes = metrics.outcomes.as_ref().unwrap();
    assert_eq!(outcomes.samples, 1500);
    assert_eq!(outcomes.correct(), metrics.confusion.correct());
}

#[test]
fn outcomes_pair_on_the_same_samples_alone() {
    let of = |change: fn(&mut [f32])| evaluated(2, change).unwrap().outcomes.unwrap();
    let (one, other) = (of(|_| ()), of(|values| values[7] += 1.0));
    assert!(measure::Paired::of(&one, &one).is_some_and(|paired| paired.worse + paired.better == 0));
    assert_eq!(measure::Paired::of(&one, &other), None);
}

#[test]
fn a_sample_that_holds_no_numbers_is_named() {
    let spoil = |values: &mut [f32]| values[1200 * 5..1201 * 5].fill(f32::NAN);
    insta::assert_snapshot!(evaluated(2, spoil).unwrap_err(), @"sample 1200: value 0 is NaN; every sample must hold finite numbers");
}

/// What is judged on samples with these labels.
fn judged(graph: &Graph, data: Dataset, params: serde_json::Value) -> Result<measure::Quality, String> {
    let transform = Transforms::default();
    let dataset = Arc::new(LoadedDataset { data, transform });
    let dataset = Artifact::new(ArtifactKind::Dataset, BTreeMap::new(), Some(dataset));
    match run_with_params(2, "evaluate", params, graph, dataset)
        .map_err(|e| e.to_string())?
        .document
    {
        Some(Document::Quality(quality)) => Ok(quality),
        other => panic!("{other:?}"),
    }
}

fn samples(shape: &[usize], values: Vec<f32>) -> Dataset {
    Dataset {
        samples: Samples::new(shape.to_vec(), Values::F32(values)).unwrap(),
        inputs: Vec::new(),
        labels: None,
        targets: None,
        classes: Vec::new(),
        skipped: Vec::new(),
    }
}

fn figure(quality: &measure::Quality, name: &str) -> f64 {
    quality
        .figures()
        .into_iter()
        .find(|figure| figure.name == name)
        .unwrap()
        .value
}

/// Gives what it is given, or only the sigmoid of it.
fn same(shape: &[usize], sigmoid: bool) -> Graph {
    let mut graph = Graph::new("same");
    let x = graph.input("x", TensorType::f32(shape));
    let function = if sigmoid { Function::Sigmoid } else { Function::Abs };
    let y = graph.add("y", function, &[x]).unwrap();
    graph.set_outputs(&[y]);
    graph
}

#[test]
fn a_single_score_decides_between_two_classes() {
    for (sigmoid, scores) in [(true, vec![-2.0, 0.5, -0.1, 3.0]), (false, vec![0.0, 0.5, 0.0, 3.0])] {
        let data = Dataset {
            labels: Some(vec![0, 1, 1, 1]),
            classes: ["no", "yes"].map(String::from).to_vec(),
            ..samples(&[4, 1], scores)
        };
        let transform = Transforms::default();
        let dataset = Arc::new(LoadedDataset { data, transform });
        let dataset = Artifact::new(ArtifactKind::Dataset, BTreeMap::new(), Some(dataset));
        let output = run_on(1, "evaluate", &same(&[1, 1], sigmoid), dataset).unwrap();
        let Some(Document::Metrics(metrics)) = output.document else {
            panic!("{:?}", output.document)
        };
        assert_eq!(metrics.accuracy, 0.75, "{sigmoid}");
    }
}

#[test]
fn numbers_are_judged_by_their_errors() {
    let names = vec!["height".to_owned(), "weight".to_owned()];
    let numbers = |values: Vec<f32>, names: Vec<String>| Dataset {
        targets: Some(Targets::Numbers { names, values }),
        ..samples(&[2, 2], vec![1.0, 2.0, 3.0, 5.0])
    };
    let graph = same(&[1, 2], false);
    let found = judged(&graph, numbers(vec![1.0, 2.0, 4.0, 3.0], names.clone()), json!({})).unwrap();
    assert_eq!((found.task, figure(&found, "mae")), (Some(Task::Regression), 0.75));
    assert_eq!(found.figure_of_part("per-output.weight.mae").unwrap().value, 1.0);
    let refused = |names: &[&str], values: Vec<f32>, params| {
        judged(
            &graph,
            numbers(values, names.iter().map(ToString::to_string).collect()),
            params,
        )
        .unwrap_err()
    };
    insta::assert_snapshot!(refused(&["age"], vec![1.0, 2.0], json!({})), @"the model gives 2 numbers for a sample, the dataset has 1: targets (age)");
    insta::assert_snapshot!(refused(&["a", "b"], vec![0.0; 4], json!({"task": "classification"})), @"task: classification needs samples that are labelled with one class each, these are with numbers; leave `task` out for regression");
    insta::assert_snapshot!(judged(&graph, samples(&[1, 2], vec![1.0; 2]), json!({})).unwrap_err(), @"the dataset has no labels; evaluate compares with them what the model says");
}

#[test]
fn several_labels_are_decided_at_the_half_behind_a_sigmoid() {
    let data = || Dataset {
        targets: Some(Targets::Sets(vec![1, 0, 1, 1])),
        classes: vec!["cat".into(), "dog".into()],
        ..samples(&[2, 2], vec![2.0, -2.0, 1.0, -0.5])
    };
    let found = judged(&same(&[1, 2], true), data(), json!({})).unwrap();
    assert_eq!(
        (figure(&found, "accuracy"), figure(&found, "micro-sensitivity")),
        (0.5, 2.0 / 3.0)
    );
    let lower = judged(&same(&[1, 2], true), data(), json!({"threshold": 0.3})).unwrap();
    assert_eq!(figure(&lower, "accuracy"), 1.0);
}

#[test]
fn anomalies_are_ranked_by_the_error_of_their_reconstruction() {
    // The absolute value differs from what is below zero.
    let data = |classes: &[&str]| Dataset {
        labels: Some(vec![0, 0, 1, 1]),
        classes: classes.iter().map(ToString::to_string).collect(),
        ..samples(&[4, 2], vec![1.0, 2.0, 0.5, -0.5, -1.0, 1.0, -3.0, 1.0])
    };
    let graph = same(&[1, 2], false);
    let anomaly = |classes: &[&str], more: serde_json::Value| {
        let mut params = json!({"task": "anomaly"});
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        judged(&graph, data(classes), params)
    };
    let found = anomaly(&["good", "scratch"], json!({})).unwrap();
    assert_eq!((figure(&found, "roc-auc"), figure(&found, "threshold")), (1.0, 2.0));
    let mae = anomaly(&["a", "b"], json!({"normal": ["b"], "score": "mae"})).unwrap();
    assert_eq!(figure(&mae, "roc-auc"), 0.0);
    insta::assert_snapshot!(anomaly(&["a", "b"], json!({})).unwrap_err(), @"normal: say which of the classes a, b are not unusual, as in [a]");
    insta::assert_snapshot!(anomaly(&["good", "b"], json!({"score": "output"})).unwrap_err(), @"score: the model gives 2 numbers for a sample of 2; an anomaly's score is one number, or the error of a reconstruction as large as the sample");
    insta::assert_snapshot!(anomaly(&["good", "b"], json!({"normal": ["bad"]})).unwrap_err(), @"normal: there is no class `bad`; the classes are good, b");
}

#[test]
fn pixels_are_judged_by_their_overlap() {
    let mask = |shape: &[usize], values: Vec<u8>, classes: &[&str], pixels: Vec<f32>, of: &[usize]| Dataset {
        targets: Some(Targets::Masks(
            Samples::new(shape.to_vec(), Values::U8(values.into())).unwrap(),
        )),
        classes: classes.iter().map(ToString::to_string).collect(),
        ..samples(of, pixels)
    };
    // Two classes, one score each.
    let scores = vec![1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 2.0];
    let two = mask(&[1, 2, 2], vec![0, 1, 1, 255], &["road"], scores.clone(), &[1, 2, 2, 2]);
    let found = judged(&same(&[1, 2, 2, 2], false), two, json!({})).unwrap();
    assert_eq!(
        (figure(&found, "mean-iou"), figure(&found, "pixel-accuracy")),
        (0.5, 2.0 / 3.0)
    );
    assert_eq!(found.figure_of_part("per-class.road.iou").unwrap().value, 0.5);
    // One score, from a half on.
    let one = mask(
        &[1, 2, 2],
        vec![0, 1, 1, 1],
        &["no", "yes"],
        vec![-1.0, 2.0, 3.0, 0.1],
        &[1, 2, 2, 1],
    );
    assert_eq!(
        figure(&judged(&same(&[1, 2, 2, 1], true), one, json!({})).unwrap(), "mean-iou"),
        1.0
    );
    let other = mask(&[1, 2, 1], vec![0, 1], &["no", "yes"], scores, &[1, 2, 2, 2]);
    insta::assert_snapshot!(judged(&same(&[1, 2, 2, 2], false), other, json!({})).unwrap_err(), @"the model gives [2, 2, 2] for a sample, its mask is 2×1; set `resize` in the dataset step to the size that the model gives, or let the model end in a resize");
}

#[test]
fn parameters_of_another_task_are_refused() {
    let op = crate::find("evaluate").unwrap();
    let refused = op.complete(&json!({"task": "regression", "threshold": 0.5}), &["model", "data"]);
    insta::assert_snapshot!(refused.unwrap_err(), @"threshold: is for the task multilabel, anomaly and segmentation, this one is regression; remove it");
    let plain = op.complete(&json!({}), &["model", "data"]).unwrap();
    insta::assert_snapshot!(plain, @r#"{"kernels":"fast"}"#);
}

#[test]
fn boxes_are_judged_as_coco_does() {
    // The sample is what the detector says of it: two boxes of centre, size and the scores of two classes.
    let mut graph = Graph::new("boxes");
    let x = graph.input("x", TensorType::f32([1, 2, 6, 1]));
    let shape = vec![1, 2, 6];
    let y = graph.add("y", ir::ops::Reshape { shape }, &[x]).unwrap();
    graph.set_outputs(&[y]);
    let object = |class: u32, bounds: [f64; 4]| data::Boxed {
        class,
        bounds,
        area: bounds[2] * bounds[3],
        crowd: false,
    };
    let data = |second: [f64; 4]| Dataset {
        targets: Some(Targets::Boxes(vec![data::Boxes {
            size: [20.0, 60.0],
            objects: vec![object(1, [10.0, 0.0, 20.0, 10.0]), object(0, second)],
        }])),
        classes: vec!["cat".into(), "dog".into()],
        ..samples(
            &[1, 2, 6, 1],
            vec![2.0, 0.5, 2.0, 1.0, 0.0, 0.9, 5.0, 1.0, 1.0, 1.0, 0.75, 0.0],
        )
    };
    let found = judged(&graph, data([45.0, 5.0, 10.0, 10.0]), json!({})).unwrap();
    // Precision is `right / (right + wrong + ε)`, as pycocotools has it.
    let near = |quality: &measure::Quality, name: &str| (figure(quality, name) * 1e9).round() / 1e9;
    assert_eq!(
        (found.task, near(&found, "map"), near(&found, "mar-1")),
        (Some(Task::Detection), 1.0, 1.0)
    );
    let half = judged(
        &graph,
        data([0.0, 5.0, 10.0, 10.0]),
        json!({"head": {"kind": "yolo", "min-score": 0.1}}),
    )
    .unwrap();
    assert_eq!(
        (
            near(&half, "map50"),
            half.figure_of_part("per-class.cat.ap").unwrap().value
        ),
        (0.5, 0.0)
    );
}

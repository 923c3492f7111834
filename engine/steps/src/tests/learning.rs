//! Steps that train, on a small network and samples whose class shows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use data::{Dataset, LoadedDataset, Samples, Transforms, Values};
use ir::Graph;
use recipe::ArtifactKind;
use report::Document;
use serde_json::{Value, json};

use crate::contract::artifact::in_memory;
use crate::contract::{Artifact, Inputs, IntermediateResults, Key, Labelled, NothingKept, Output, Ranges};
use crate::tests::fixtures::{network, refused, values, weights, with_context, with_stops};
use crate::{StepError, find};

const CLASSES: usize = 5;

/// Images one of whose channels is brighter; which one, or none, is the class.
fn spots(count: usize) -> LoadedDataset {
    let pixel = |i: usize| {
        let (sample, channel) = (i / 144, i % 4);
        let noise = ((i * 2_654_435_761) >> 7) % 1000;
        noise as f32 / 1000.0 + if channel == sample % CLASSES { 1.5 } else { 0.0 }
    };
    let values = (0..count * 144).map(pixel).collect();
    let data = Dataset {
        samples: Samples::new(vec![count, 6, 6, 4], Values::F32(values)).unwrap(),
        inputs: Vec::new(),
        labels: Some((0..count).map(|i| (i % CLASSES) as u32).collect()),
        targets: None,
        classes: (0..CLASSES).map(|i| i.to_string()).collect(),
        skipped: Vec::new(),
    };
    LoadedDataset {
        data,
        transform: Transforms::default(),
    }
}

fn run(op: &str, params: Value, models: &[(&str, &Graph)], data: Option<LoadedDataset>) -> Result<Output, StepError> {
    on(2, op, params, models, data)
}

fn on(
    threads: usize,
    op: &str,
    params: Value,
    models: &[(&str, &Graph)],
    data: Option<LoadedDataset>,
) -> Result<Output, StepError> {
    whole(threads, op, params, models, data, None)
}

/// Trains with quantization in mind.
fn qat(params: Value, model: &Graph, ranges: &Ranges, data: LoadedDataset) -> Result<Output, StepError> {
    whole(2, "qat", params, &[("model", model)], Some(data), Some(ranges))
}

/// The share of samples whose class a model names.
fn accuracy(model: &Graph, data: &LoadedDataset) -> f64 {
    let right = with_context(2, |context| {
        let scores = crate::learning::scores_of(model, data, context).unwrap();
        let best = |s: &Vec<f32>| s.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i);
        let hits = scores.iter().enumerate().filter(|(i, s)| best(s) == Some(i % CLASSES));
        hits.count()
    });
    right as f64 / data.data.len() as f64
}

fn whole(
    threads: usize,
    op: &str,
    params: Value,
    models: &[(&str, &Graph)],
    data: Option<LoadedDataset>,
    ranges: Option<&Ranges>,
) -> Result<Output, StepError> {
    stopping(threads, op, params, models, data, ranges, (&NothingKept, &|| false))
}

/// What keeps the state of a training, and whether to stop it.
type Stops<'a> = (&'a dyn IntermediateResults, &'a (dyn Fn() -> bool + Sync));

fn stopping(
    threads: usize,
    op: &str,
    params: Value,
    models: &[(&str, &Graph)],
    data: Option<LoadedDataset>,
    ranges: Option<&Ranges>,
    (kept, stop): Stops<'_>,
) -> Result<Output, StepError> {
    let mut inputs = Inputs::default();
    let mut put = |port: &str, artifact: Artifact| {
        let labelled = Labelled {
            step: port.into(),
            variant: port.into(),
            coordinates: Vec::new(),
            artifact: Arc::new(artifact),
        };
        inputs.ports.insert(port.into(), vec![labelled]);
    };
    for (port, model) in models {
        let decoded = Arc::new((*model).clone());
        put(port, Artifact::new(ArtifactKind::Model, BTreeMap::new(), Some(decoded)));
    }
    if let Some(data) = data {
        put(
            "data",
            Artifact::new(ArtifactKind::Dataset, BTreeMap::new(), Some(Arc::new(data))),
        );
    }
    if let Some(ranges) = ranges {
        let bytes = serde_json::to_vec(ranges).unwrap();
        let blobs = BTreeMap::from([("ranges.json".to_owned(), in_memory(bytes))]);
        put("ranges", Artifact::new(ArtifactKind::Ranges, blobs, None));
    }
    let op = find(op).unwrap();
    let ports: Vec<&str> = inputs.ports.keys().map(String::as_str).collect();
    let params = op.complete(&params, &ports).map_err(StepError::Params)?;
    with_stops(threads, kept, stop, |context| op.run(params, &inputs, context))
}

fn graph(output: &Output) -> Graph {
    let graph = output.decoded.clone().unwrap().downcast::<Graph>().unwrap();
    graph.as_ref().clone()
}

fn curve(output: &Output) -> report::Training {
    match &output.document {
        Some(Document::Model(summary)) => summary.training.clone().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn quick() -> Value {
    json!({ "epochs": 6, "learning-rate": 0.01, "batch": 16 })
}

fn with(params: Value, more: Value) -> Value {
    let (Value::Object(mut params), Value::Object(more)) = (params, more) else {
        panic!("parameters are objects");
    };
    params.extend(more);
    Value::Object(params)
}

#[test]
fn a_network_is_trained_further_and_the_best_epoch_is_said() {
    let base = network();
    let output = run("finetune", quick(), &[("model", &base)], Some(spots(200))).unwrap();
    let curve = curve(&output);
    assert_eq!((curve.epochs.len(), curve.samples, curve.held_out), (6, 180, 20));
    assert!(curve.epochs[5].accuracy > 0.8, "{curve:?}");
    let best = curve.best_epoch().unwrap().validation_accuracy.unwrap();
    assert!(curve.epochs.iter().all(|e| e.validation_accuracy.unwrap() <= best));
    let figure = output.document.as_ref().unwrap().figure("validation-accuracy").unwrap();
    assert_eq!(figure.value, best);
    let trained = graph(&output);
    for name in weights(&base) {
        assert_ne!(values(&base, &name), values(&trained, &name), "{name}");
    }
}

#[test]
fn the_same_model_for_any_number_of_threads() {
    let base = network();
    let with_threads =
        |threads| graph(&on(threads, "finetune", quick(), &[("model", &base)], Some(spots(100))).unwrap());
    let one = with_threads(1);
    assert!(with_threads(2) == one && with_threads(5) == one);
}

#[test]
fn only_selected_layers_change() {
    let base = network();
    let params = with(quick(), json!({ "layers": ["dense", "point"] }));
    let trained = graph(&run("finetune", params, &[("model", &base)], Some(spots(60))).unwrap());
    for (name, moves) in [
        ("a/w", false),
        ("a/b", false),
        ("deep/w", false),
        ("point/w", true),
        ("dense/b", true),
    ] {
        assert_eq!(values(&base, name) != values(&trained, name), moves, "{name}");
    }
    let params = with(quick(), json!({ "train": "head" }));
    let trained = graph(&run("finetune", params, &[("model", &base)], Some(spots(60))).unwrap());
    assert_eq!(values(&base, "point/w"), values(&trained, "point/w"));
    assert_ne!(values(&base, "dense/w"), values(&trained, "dense/w"));
}

#[test]
fn pruning_on_a_schedule_reaches_its_sparsity_and_zeros_are_kept_afterwards() {
    let base = network();
    let params = with(quick(), json!({ "prune": { "sparsity": 0.5, "exclude": ["deep"] } }));
    let pruned = graph(&run("finetune", params, &[("model", &base)], Some(spots(100))).unwrap());
    let zeros = |graph: &Graph, name: &str| values(graph, name).iter().filter(|&&v| v == 0.0).count();
    for name in ["a/w", "point/w", "dense/w"] {
        assert_eq!(2 * zeros(&pruned, name), values(&pruned, name).len(), "{name}");
    }
    assert_eq!(zeros(&pruned, "deep/w"), 0);
    let params = with(quick(), json!({ "keep": ["zeros"] }));
    let kept = graph(&run("finetune", params, &[("model", &pruned)], Some(spots(100))).unwrap());
    for name in ["a/w", "point/w", "dense/w"] {
        let places = |graph: &Graph| values(graph, name).iter().map(|&v| v == 0.0).collect::<Vec<_>>();
        assert_eq!(places(&pruned), places(&kept), "{name}");
        assert_ne!(values(&pruned, name), values(&kept, name));
    }
}

#[test]
fn clusters_stay_clusters_while_their_values_learn() {
    let base = network();
    let clustered = run("cluster", json!({ "clusters": 8 }), &[("model", &base)], None).unwrap();
    let clustered = graph(&clustered);
    let params = with(quick(), json!({ "keep": ["zeros", "values"] }));
    let tuned = graph(&run("finetune", params, &[("model", &clustered)], Some(spots(100))).unwrap());
    let mut different = values(&tuned, "a/w");
    different.sort_by(f32::total_cmp);
    different.dedup();
    assert!(different.len() <= 8, "{different:?}");
    assert_ne!(values(&clustered, "a/w"), values(&tuned, "a/w"));
}

#[test]
fn a_head_of_other_classes_learns_what_a_teacher_says() {
    let base = network();
    let teacher = graph(&run("finetune", quick(), &[("model", &base)], Some(spots(100))).unwrap());
    let fresh = graph(&run("head", json!({ "classes": 3 }), &[("model", &base)], None).unwrap());
    assert_eq!(fresh.tensor(fresh.outputs()[0]).ty.shape.dims(), [1, 3]);
    assert!(fresh.find("dense/w").is_none() && fresh.find("a/w").is_some());
    let student = graph(&run("head", json!({}), &[("model", &base)], Some(spots(10))).unwrap());
    let models = [("model", &student), ("teacher", &teacher)];
    let output = run("distill", quick(), &models, Some(spots(200))).unwrap();
    assert!(curve(&output).best_epoch().unwrap().validation_accuracy.unwrap() > 0.6);
}

#[test]
fn half_precision_weights_learn_in_single_precision() {
    let base = network();
    let half = run("quantize", json!({ "scheme": "float16" }), &[("model", &base)], None);
    let half = graph(&half.unwrap());
    let tuned = graph(&run("finetune", quick(), &[("model", &half)], Some(spots(60))).unwrap());
    assert_eq!(
        tuned.tensor(tuned.find("a/w").unwrap()).ty.element,
        ir::ElementType::F32
    );
    assert_ne!(values(&tuned, "a/w"), values(&base, "a/w"));
}

#[test]
fn what_cannot_be_trained_is_refused_with_the_reason() {
    let base = network();
    let fails = |params: Value, data: LoadedDataset| match run("finetune", params, &[("model", &base)], Some(data)) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it is trained"),
    };
    let mut beyond = spots(20);
    beyond.data.labels.as_mut().unwrap()[3] = 5;
    insta::assert_snapshot!(fails(quick(), beyond), @"data: a sample is of class 5, and the model has 5 scores; give it another head, or choose `classes` and `renumber` in the dataset step");
    let mut one = spots(20);
    one.data.labels = Some(vec![2; 20]);
    insta::assert_snapshot!(fails(quick(), one), @"data: all samples are of class 2; there is nothing to tell apart");
    let mut none = spots(20);
    none.data.labels = None;
    insta::assert_snapshot!(fails(quick(), none), @"data: has no labels to learn from");
    let still = with(quick(), json!({ "learning-rate": 0.0 }));
    insta::assert_snapshot!(fails(still, spots(20)), @"learning-rate: at 0 nothing is learned; say more, such as 1e-4");
    let late = with(
        quick(),
        json!({ "prune": { "sparsity": 0.5, "begin": 0.9, "end": 0.5 } }),
    );
    insta::assert_snapshot!(fails(late, spots(20)), @"prune.end: 0.5 lies before prune.begin, 0.9: the schedule cannot finish");
    let wild = with(quick(), json!({ "learning-rate": 1e38, "optimizer": "sgd" }));
    assert!(fails(wild, spots(64)).starts_with("the loss is not finite in epoch "));
    assert!(refused("finetune", quick(), Some(10)).contains("data: has no labels to learn from"));
    let integers = run(
        "quantize",
        json!({ "scheme": "dynamic-int8", "min-elements": 1 }),
        &[("model", &base)],
        None,
    );
    let integers = graph(&integers.unwrap());
    let error = run("finetune", quick(), &[("model", &integers)], Some(spots(20)));
    assert!(error.is_err());
}

#[test]
fn quantization_aware_training_makes_the_integer_model_that_it_simulated() {
    let base = network();
    let tuned = graph(&run("finetune", quick(), &[("model", &base)], Some(spots(200))).unwrap());
    let data = spots(200);
    let all: Vec<usize> = (0..data.data.len()).collect();
    let prepared = models::prepared(&tuned).unwrap();
    let ranges = with_context(1, |context| {
        crate::sampling::activation_ranges::minmax(&prepared, &data, &all, context)
    })
    .unwrap();
    for (weights, least) in [("int8", 0.75), ("int4", 0.6)] {
        let params = json!({ "epochs": 2, "learning-rate": 1e-3, "batch": 16, "weights": weights });
        let output = qat(params, &tuned, &ranges, spots(200)).unwrap();
        let integer = graph(&output);
        assert!(integer.tensors().iter().any(ir::Tensor::is_quantized));
        let simulated = curve(&output).best_epoch().unwrap().validation_accuracy.unwrap();
        let found = accuracy(&integer, &data);
        assert!(
            found >= least && (found - simulated).abs() < 0.15,
            "{weights}: {found}, simulated {simulated}"
        );
    }
}

/// Keeps the last state of each training.
#[derive(Default)]
struct Last(Mutex<BTreeMap<String, Vec<u8>>>);

impl IntermediateResults for Last {
    fn recall(&self, key: &Key) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(&format!("{key:?}")).cloned()
    }

    fn keep(&self, key: &Key, bytes: &[u8], _: f64) -> Result<(), String> {
        self.0.lock().unwrap().insert(format!("{key:?}"), bytes.to_vec());
        Ok(())
    }
}

#[test]
fn a_training_that_is_stopped_at_any_step_ends_in_the_same_bits() {
    let base = network();
    let augment = json!([{ "flip": "horizontal" }, { "crop": { "pad": 1 } }, { "mixup": { "alpha": 0.4 } }]);
    let plain = with(quick(), json!({ "augment": augment, "patience": 5 }));
    let pruned = with(
        quick(),
        json!({ "prune": { "sparsity": 0.6, "every": 3 }, "optimizer": "sgd" }),
    );
    let taught = with(quick(), json!({ "augment": augment }));
    for (op, params) in [("finetune", plain), ("finetune", pruned), ("distill", taught)] {
        let models = [("model", &base), ("teacher", &base)];
        let models = &models[..if op == "distill" { 2 } else { 1 }];
        let whole = graph(&run(op, params.clone(), models, Some(spots(80))).unwrap());
        let kept = Last::default();
        // The trainer asks before each step; there are 5 in an epoch, 30 in all.
        let (mut salt, mut stops) = (7_u64, 0);
        let resumed = loop {
            salt = salt
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let left = AtomicU64::new((salt >> 33) % 11);
            let stop = || {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                    .is_err()
            };
            match stopping(2, op, params.clone(), models, Some(spots(80)), None, (&kept, &stop)) {
                Ok(output) => break graph(&output),
                Err(StepError::Cancelled) => stops += 1,
                Err(other) => panic!("{other}"),
            }
            assert!(stops < 200, "it never ends");
        };
        assert!(stops >= 3, "it was stopped {stops} times");
        assert!(resumed == whole, "{op}");
    }
}

#[test]
fn augmented_samples_are_learned_from_and_what_is_validated_with_is_not_changed() {
    let base = network();
    let params = with(
        quick(),
        json!({ "augment": [{ "cutout": { "size": 2 } }, { "crop": { "pad": 1 } }] }),
    );
    let changed = run("finetune", params.clone(), &[("model", &base)], Some(spots(200))).unwrap();
    let plain = run("finetune", quick(), &[("model", &base)], Some(spots(200))).unwrap();
    assert_ne!(graph(&changed), graph(&plain));
    assert!(curve(&changed).best_epoch().unwrap().validation_accuracy.unwrap() > 0.7);
    // With the weights held nearly still, validation sees what it saw without changes.
    let still = json!({ "epochs": 1, "learning-rate": 1e-9, "batch": 16 });
    let first = |params: Value| {
        let output = run("finetune", params, &[("model", &base)], Some(spots(200))).unwrap();
        let curve = curve(&output);
        (curve.epochs[0].loss, curve.epochs[0].validation_loss.unwrap())
    };
    let (loss, validation) = first(still.clone());
    let (changed_loss, changed_validation) = first(with(still, json!({ "augment": [{ "mixup": { "alpha": 1.0 } }] })));
    assert!((validation - changed_validation).abs() < 1e-4 && (loss - changed_loss).abs() > 1e-3);
}

#[test]
fn samples_are_not_changed_into_what_they_cannot_be() {
    let base = network();
    let fails = |op: &str, augment: Value| {
        let params = with(quick(), json!({ "augment": augment }));
        match run(op, params, &[("model", &base)], Some(spots(20))) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("it is trained"),
        }
    };
    insta::assert_snapshot!(fails("finetune", json!([{ "brightness": 0.1 }])), @"augment: brightness and contrast are for bytes, or floats in 0..1");
    insta::assert_snapshot!(fails("finetune", json!([{ "mixup": { "alpha": 7.0 } }])), @"augment: mixup.alpha is not in 0 < alpha ≤ 1");
}

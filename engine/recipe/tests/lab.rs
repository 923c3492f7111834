//! The lab of the design document: what each step expands to.

mod common;

use common::{LAB, complaints, ids, instance, sound, sound_with, vocabulary};
use recipe::{Findings, InstanceId, Outcome, Overrides, Source};
use serde_json::json;

#[test]
fn every_step_expands_over_what_it_depends_on() {
    let recipe = sound(LAB);
    let instances = recipe.instances().unwrap();
    let mut counts = indexmap::IndexMap::<&str, usize>::new();
    for instance in &instances {
        *counts.entry(&instance.step).or_default() += 1;
    }
    let counts: Vec<_> = counts.into_iter().collect();
    assert_eq!(
        counts,
        [
            ("base", 1),
            ("train", 1),
            ("test", 1),
            ("fp16", 1),
            ("dynamic", 1),
            ("ranges", 4),
            ("int8", 4),
            ("skewed", 1),
            ("imbint8", 1),
            ("pruned", 3),
            ("clust", 1),
            ("small", 4),
            ("tflite", 11),
            ("quality", 12),
            ("speed", 11),
            ("report", 1),
        ]
    );
}

#[test]
fn instances_are_named_after_their_coordinates() {
    let recipe = sound(LAB);
    let mut instances = recipe.instances().unwrap();
    instances.retain(|instance| ["int8", "small", "quality", "speed"].contains(&instance.step.as_str()));
    insta::assert_snapshot!(ids(&instances), @"
    int8[fraction=0.01]
    int8[fraction=0.08]
    int8[fraction=0.3]
    int8[fraction=0.8]
    small[model=pruned, sparsity=0.2]
    small[model=pruned, sparsity=0.4]
    small[model=pruned, sparsity=0.5]
    small[model=clust]
    quality[model=base]
    quality[model=fp16]
    quality[model=dynamic]
    quality[model=int8, fraction=0.01]
    quality[model=int8, fraction=0.08]
    quality[model=int8, fraction=0.3]
    quality[model=int8, fraction=0.8]
    quality[model=imbint8]
    quality[model=small, small.model=pruned, sparsity=0.2]
    quality[model=small, small.model=pruned, sparsity=0.4]
    quality[model=small, small.model=pruned, sparsity=0.5]
    quality[model=small, small.model=clust]
    speed[model=base]
    speed[model=fp16]
    speed[model=dynamic]
    speed[model=int8, fraction=0.01]
    speed[model=int8, fraction=0.08]
    speed[model=int8, fraction=0.3]
    speed[model=int8, fraction=0.8]
    speed[model=small, small.model=pruned, sparsity=0.2]
    speed[model=small, small.model=pruned, sparsity=0.4]
    speed[model=small, small.model=pruned, sparsity=0.5]
    speed[model=small, small.model=clust]
    ");
}

#[test]
fn instances_carry_parameters_inputs_and_sources() {
    let recipe = sound(LAB);
    let instances = recipe.instances().unwrap();
    let ranges = instance(&instances, "ranges[fraction=0.3]");
    assert_eq!(ranges.params, json!({"fraction": 0.3, "seed": 7, "method": "minmax"}));
    assert_eq!(ranges.coordinates["fraction"], json!(0.3));
    assert_eq!(ranges.op, "calibrate");
    let quality = instance(&instances, "quality[model=int8, fraction=0.3]");
    let inputs: Vec<_> = quality
        .inputs
        .iter()
        .map(|input| (input.port.as_str(), input.from[0].id.as_str()))
        .collect();
    assert_eq!(inputs, [("model", "int8[fraction=0.3]"), ("data", "test")]);
    let report = instance(&instances, "report");
    assert_eq!(report.inputs[0].from.len(), 12 + 11 + 11);
    assert!(report.inputs[0].gathers && !report.inputs[1].gathers);
    assert_eq!(
        instance(&instances, "train").sources,
        [("source".to_owned(), "cifar".to_owned())]
    );
    assert!(instance(&instances, "speed[model=base]").resources.exclusive);
}

#[test]
fn every_instance_comes_after_what_it_needs() {
    let recipe = sound(LAB);
    let instances = recipe.instances().unwrap();
    let mut seen = std::collections::HashSet::new();
    for instance in &instances {
        assert!(instance.needs().all(|needed| seen.contains(needed)), "{}", instance.id);
        seen.insert(&instance.id);
    }
    assert_eq!(seen.len(), instances.len());
}

#[test]
fn only_keeps_the_named_steps_and_what_they_need() {
    let only = Overrides {
        only: vec!["imbint8".into(), "fp16".into()],
        ..Overrides::default()
    };
    let recipe = sound_with(LAB, &only);
    insta::assert_snapshot!(ids(&recipe.instances().unwrap()), @"
    base
    train
    fp16
    skewed
    imbint8
    ");
}

#[test]
fn the_command_line_replaces_params_axes_and_sources() {
    let overrides = Overrides {
        set: vec![("seed".into(), "9".into())],
        axis: vec![("fraction".into(), vec!["1".into()])],
        sources: vec![("cifar".into(), "a".into()), ("cifar".into(), "/b".into())],
        only: vec!["ranges".into()],
    };
    let recipe = sound_with(LAB, &overrides);
    let instances = recipe.instances().unwrap();
    assert_eq!(instance(&instances, "ranges[fraction=1]").params["seed"], json!(9));
    assert_eq!(
        recipe.sources["cifar"].paths(),
        ["a", "/b"].map(std::path::PathBuf::from)
    );
    assert_eq!(
        recipe.sources["weights"].paths(),
        [std::path::PathBuf::from("labs/models/resnet8.h5")]
    );
    assert_ne!(recipe.digest, sound(LAB).digest);
}

#[test]
fn downloads_are_fixed_by_digest_and_size() {
    let recipe = sound(LAB);
    let Source::Fetch(remotes) = &recipe.sources["cifar"] else {
        panic!("a download")
    };
    let [remote] = remotes.as_slice() else {
        panic!("one file")
    };
    assert_eq!(
        (remote.urls.len(), remote.sha256[..2].to_vec(), remote.size),
        (1, vec![0xc4, 0xa3], 170_052_171)
    );
    assert_eq!(remote.name, "cifar-10-binary.tar.gz");
}

#[test]
fn gates_are_judged_on_the_instances_that_they_bind() {
    let recipe = sound(LAB);
    let instances = recipe.instances().unwrap();
    let verdicts = recipe
        .verdicts(&instances, |id: &InstanceId, metric: &str| {
            match (id.as_str(), metric) {
                ("quality[model=int8, fraction=0.8]", "accuracy") => Some(0.7561),
                ("quality[model=base]", "accuracy") => Some(0.7548),
                ("tflite[model=small, small.model=pruned, sparsity=0.5]", "zip-bytes") => Some(60_001.0),
                _ => None,
            }
        })
        .unwrap();
    let outcomes: Vec<_> = verdicts.iter().map(|verdict| verdict.outcome).collect();
    assert_eq!(outcomes, [Outcome::Met, Outcome::Missed]);
    let words: Vec<_> = verdicts.iter().map(|verdict| verdict.words.as_str()).collect();
    insta::assert_snapshot!(words.join("\n"), @"
    accuracy of quality[model=int8, fraction=0.8] is 0.7561, a drop of -0.0013 from 0.7548 of quality[model=base]; expected at most 0.01
    zip-bytes of tflite[model=small, small.model=pruned, sparsity=0.5] is 60001; expected at most 60000
    ");
}

#[test]
fn a_metric_that_is_not_known_is_no_pass() {
    let recipe = sound(LAB);
    let instances = recipe.instances().unwrap();
    for unknown in [None, Some(f64::NAN)] {
        let verdicts = recipe.verdicts(&instances, |_: &InstanceId, _: &str| unknown).unwrap();
        assert!(verdicts.iter().all(|verdict| verdict.outcome == Outcome::Unknown));
        insta::allow_duplicates! {
            insta::assert_snapshot!(verdicts[0].words, @"`accuracy` of quality[model=int8, fraction=0.8] is not known; expected at most 0.01");
        }
    }
}

/// Two accuracies a point apart, and the interval of that drop.
struct Found(Option<[f64; 2]>);

impl Findings for Found {
    fn number(&self, id: &InstanceId, _: &str) -> Option<f64> {
        Some(if id.as_str().contains("base") { 0.91 } else { 0.9 })
    }

    fn drop_interval(&self, _: &InstanceId, _: &InstanceId, _: &str, confidence: f64) -> Option<[f64; 2]> {
        assert_eq!(confidence, 0.95);
        self.0
    }
}

#[test]
fn a_drop_is_judged_by_the_far_end_of_its_interval() {
    let at = "at: { model: int8, fraction: 0.8 }, drop-from: { model: base }, le: 0.01";
    let recipe = sound(&LAB.replace(at, &format!("{at}, confidence: 0.95")));
    let instances = recipe.instances().unwrap();
    let judged = |interval| recipe.verdicts(&instances, Found(interval)).unwrap().remove(0);
    let [inside, beyond, unknown] = [Some([-0.002, 0.01]), Some([0.004, 0.016]), None].map(judged);
    assert_eq!(
        [inside.outcome, beyond.outcome, unknown.outcome],
        [Outcome::Met, Outcome::Missed, Outcome::Unknown]
    );
    assert_eq!(beyond.value, Some(0.016));
    insta::assert_snapshot!(beyond.words, @"accuracy of quality[model=int8, fraction=0.8] is 0.9, a drop of 0.01 from 0.91 of quality[model=base], with 95 % confidence between 0.00400 and 0.01600; expected at most 0.01");
    insta::assert_snapshot!(unknown.words, @"accuracy of quality[model=int8, fraction=0.8] is 0.9, a drop of 0.01 from 0.91 of quality[model=base], but the two were not judged on the same samples, so that the drop has no interval; expected at most 0.01");
}

#[test]
fn a_confidence_that_says_nothing_is_a_mistake() {
    let at = "{ metric: quality.accuracy, at: { model: int8, fraction: 0.8 }, drop-from: { model: base }, le: 0.01 }";
    for (entry, problem, help) in [
        (
            "{ metric: quality.accuracy, at: { model: base }, ge: 0.9, confidence: 0.95 }",
            "expect.confidence: there is no drop to be sure of",
            "add `drop-from`",
        ),
        (
            "{ metric: quality.accuracy, at: { model: int8 }, drop-from: { model: base }, le: 0.1, confidence: 95 }",
            "expect.confidence: 95 is not between 0 and 1",
            "write 0.95 for 95 %",
        ),
        (
            "{ metric: quality.samples, at: { model: int8 }, drop-from: { model: base }, le: 0.1, confidence: 0.95 }",
            "expect.confidence: this number has no interval of its drop",
            "of `accuracy` alone",
        ),
        (
            "{ metric: quality.accuracy, at: { model: int8 }, drop-from: { model: base }, eq: 0, confidence: 0.95 }",
            "expect.confidence: an interval is not exactly a number",
            "write `le` or `ge`",
        ),
    ] {
        let text = LAB.replace(at, entry);
        assert_ne!(text, LAB);
        let found = complaints(&text);
        assert!(found.contains(problem) && found.contains(help), "{entry}: {found}");
    }
}

#[test]
fn the_vocabulary_of_these_tests_is_checked_completely() {
    for op in vocabulary() {
        assert_eq!(op.unchecked_keywords(), Vec::<String>::new(), "{}", op.name);
    }
}

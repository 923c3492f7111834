//! Classification metrics against the Python libraries; `golden/classification.py` wrote the values and names versions.

use measure::{Metrics, Tally};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    labels: Vec<usize>,
    scores: Vec<Vec<i32>>,
    accuracy: f64,
    interval: [f64; 2],
    top5: Option<f64>,
    precision: Vec<f64>,
    sensitivity: Vec<f64>,
    specificity: Vec<f64>,
    f1: Vec<f64>,
    g_mean: Vec<f64>,
    mean: Expected,
    confusion: Vec<Vec<u64>>,
}

#[derive(Deserialize)]
struct Expected {
    precision: f64,
    sensitivity: f64,
    specificity: f64,
    f1: f64,
    g_mean: f64,
}

/// Sums of a few dozen doubles in another order differ in the last bits.
const ROUNDING: f64 = 1e-12;

fn evaluate(case: &Case) -> Metrics {
    let classes = (0..case.scores[0].len())
        .map(|class| format!("class {class}"))
        .collect();
    let mut tally = Tally::new(classes);
    for (&label, scores) in case.labels.iter().zip(&case.scores) {
        tally.add_scores(label, scores).expect("golden samples are well formed");
    }
    tally.finish("golden").expect("golden cases have samples")
}

#[test]
fn metrics_equal_those_of_the_python_libraries() {
    let golden: Golden =
        serde_json::from_str(include_str!("golden/classification.json")).expect("the golden file is JSON");
    assert_eq!(golden.cases.len(), 4);
    for case in &golden.cases {
        let found = evaluate(case);
        assert_eq!(found.confusion.counts(), case.confusion, "{}: confusion", case.name);
        assert_eq!(found.samples, case.labels.len() as u64, "{}: samples", case.name);
        let close = |what: &str, found: f64, expected: f64| {
            assert!(
                (found - expected).abs() <= ROUNDING,
                "{}: {what}: {found} is not {expected}",
                case.name
            );
        };
        close("accuracy", found.accuracy, case.accuracy);
        close("low", found.accuracy_interval.low, case.interval[0]);
        close("high", found.accuracy_interval.high, case.interval[1]);
        assert_eq!(found.top5.is_some(), case.top5.is_some(), "{}: top 5", case.name);
        close("top 5", found.top5.unwrap_or_default(), case.top5.unwrap_or_default());
        for (index, class) in found.per_class.iter().enumerate() {
            close("precision", class.precision, case.precision[index]);
            close("sensitivity", class.sensitivity, case.sensitivity[index]);
            close("specificity", class.specificity, case.specificity[index]);
            close("f1", class.f1, case.f1[index]);
            close("g-mean", class.g_mean, case.g_mean[index]);
        }
        close("mean precision", found.mean.precision, case.mean.precision);
        close("mean sensitivity", found.mean.sensitivity, case.mean.sensitivity);
        close("mean specificity", found.mean.specificity, case.mean.specificity);
        close("mean f1", found.mean.f1, case.mean.f1);
        close("mean g-mean", found.mean.g_mean, case.mean.g_mean);
        if let Some(binary) = &found.binary {
            close("binary precision", binary.precision, case.precision[1]);
            close("binary sensitivity", binary.sensitivity, case.sensitivity[1]);
        }
    }
}

#[test]
fn parts_merged_in_any_order_equal_the_whole() {
    let golden: Golden =
        serde_json::from_str(include_str!("golden/classification.json")).expect("the golden file is JSON");
    let case = &golden.cases[0];
    let part = |range: std::ops::Range<usize>| {
        let mut tally = Tally::new((0..10).map(|class| format!("class {class}")).collect());
        for sample in range {
            tally
                .add_scores(case.labels[sample], &case.scores[sample])
                .expect("golden samples are well formed");
        }
        tally
    };
    let mut whole = part(90..120);
    whole.merge(&part(0..50)).expect("equal classes");
    whole.merge(&part(50..90)).expect("equal classes");
    assert_eq!(whole.finish("golden"), Ok(evaluate(case)));
}

//! Metrics of every task against scikit-learn and pycocotools: `tests/conformance/metrics.py` wrote the files of `tests/golden/metrics`, with versions.

use measure::Quality;
use measure::tasks::detection::{self, Found, Image, Object};
use measure::tasks::keypoints::{self, Pose};
use measure::tasks::multilabel::{self, Decision};
use measure::tasks::ranking::{self, Detector};
use measure::tasks::segmentation::{self, PixelCounts};
use measure::tasks::{regression, similarity};
use serde_json::Value;

/// Sums of a few hundred doubles in another order differ in the last bits.
const ROUNDING: f64 = 1e-11;

fn cases(text: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(text).expect("the golden file is JSON");
    golden["cases"].as_array().expect("a list of cases").clone()
}

fn numbers(rows: &Value) -> Vec<f64> {
    match rows {
        Value::Array(rows) => rows.iter().flat_map(numbers).collect(),
        Value::Bool(yes) => vec![f64::from(u8::from(*yes))],
        number => vec![number.as_f64().expect("a number")],
    }
}

fn floats(rows: &Value) -> Vec<f32> {
    numbers(rows).into_iter().map(|value| value as f32).collect()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("c{i}")).collect()
}

fn width(rows: &Value) -> usize {
    rows[0].as_array().map_or(1, Vec::len)
}

/// Every number of the case that the quality has too must be equal, and `wanted` must be among them.
fn compare(case: &Value, found: &Quality, wanted: &[&str]) {
    for name in wanted {
        let figure = found.figures().into_iter().find(|figure| figure.name == *name);
        let value = figure.unwrap_or_else(|| panic!("{name} was not found")).value;
        let expected = case[name].as_f64().expect("a number");
        assert!(
            (value - expected).abs() <= ROUNDING,
            "{name}: {value} is not {expected}"
        );
    }
    for (number, values) in case["each"].as_object().into_iter().flatten() {
        let values = numbers(values);
        for (part, expected) in names(values.len()).iter().zip(values) {
            let name = format!("{}{part}.{number}", found.prefix());
            match found.figure_of_part(&name) {
                Some(figure) => assert!(
                    (figure.value - expected).abs() <= ROUNDING,
                    "{name}: {figure:?} is not {expected}"
                ),
                None => assert_eq!(found.parts.len(), 0, "{name} was not found"),
            }
        }
    }
    let known = |name: &str| Quality::FIGURES.contains(&name) || measure::Metrics::FIGURES.contains(&name);
    for figure in found.figures() {
        let name = figure
            .name
            .strip_suffix("-low")
            .or(figure.name.strip_suffix("-high"))
            .unwrap_or(&figure.name);
        assert!(known(&figure.name), "{}", figure.name);
        let interval = found
            .scores
            .iter()
            .find(|score| score.figure.name == name)
            .and_then(|score| score.interval);
        if let Some(interval) = interval {
            assert!(
                interval.low <= figure.value && figure.value <= interval.high,
                "{}",
                figure.name
            );
        }
    }
    for figure in found.parts.iter().flat_map(|part| &part.figures) {
        assert!(
            known(&format!("{}*.{}", found.prefix(), figure.name)),
            "{}",
            figure.name
        );
    }
}

#[test]
fn errors_of_numbers_equal_those_of_scikit_learn() {
    for case in cases(include_str!("../../../tests/golden/metrics/regression.json")) {
        let (targets, outputs) = (floats(&case["targets"]), floats(&case["outputs"]));
        let found = regression::quality(&targets, &outputs, &names(width(&case["targets"])), "float32");
        compare(&case, &found.expect("samples"), &["mae", "rmse", "r2"]);
    }
}

#[test]
fn rankings_equal_those_of_scikit_learn() {
    for mut case in cases(include_str!("../../../tests/golden/metrics/anomaly.json")) {
        let scores = floats(&case["scores"]);
        let positive: Vec<bool> = numbers(&case["positive"]).iter().map(|&is| is > 0.0).collect();
        let by = |threshold| Detector {
            most: case["most"].as_f64().expect("a share"),
            threshold,
            beta: case["beta"].as_f64().expect("a number"),
        };
        let found = ranking::quality(&scores, &positive, by(case["at"].as_f64()), "float32").expect("both kinds");
        compare(
            &case,
            &found,
            &["roc-auc", "partial-auc", "average-precision", "f-beta"],
        );
        let best = ranking::quality(&scores, &positive, by(None), "float32").expect("both kinds");
        case["f-beta"] = case["best"].clone();
        compare(&case, &best, &["f-beta"]);
    }
}

#[test]
fn numbers_of_many_labels_equal_those_of_scikit_learn() {
    for case in cases(include_str!("../../../tests/golden/metrics/multilabel.json")) {
        let truth: Vec<u8> = numbers(&case["truth"]).iter().map(|&is| is as u8).collect();
        let decision = Decision {
            threshold: 0.5,
            beta: case["beta"].as_f64().expect("a number"),
        };
        let classes = names(width(&case["truth"]));
        let found = multilabel::quality(&truth, &floats(&case["scores"]), &classes, decision, "float32");
        let wanted = [
            "f-beta",
            "average-precision",
            "roc-auc",
            "accuracy",
            "precision",
            "sensitivity",
            "micro-f-beta",
            "micro-precision",
            "micro-sensitivity",
            "micro-average-precision",
            "hamming-loss",
        ];
        compare(&case, &found.expect("samples"), &wanted);
    }
}

#[test]
fn overlaps_equal_those_of_scikit_learn() {
    for case in cases(include_str!("../../../tests/golden/metrics/segmentation.json")) {
        let classes = case["classes"].as_u64().expect("a count") as usize;
        let rows = |key: &str| {
            case[key]
                .as_array()
                .expect("rows")
                .iter()
                .map(numbers)
                .collect::<Vec<_>>()
        };
        let (masks, found) = (rows("masks"), rows("found"));
        let counts = masks.iter().zip(found).map(|(mask, found)| {
            let mask: Vec<u8> = mask.iter().map(|&label| label as u8).collect();
            PixelCounts::of(0, &mask, found.iter().map(|&class| class as usize), classes).expect("known classes")
        });
        let found = segmentation::quality(&counts.collect::<Vec<_>>(), &names(classes), "float32");
        compare(&case, &found.expect("pixels"), &["mean-iou", "dice", "pixel-accuracy"]);
    }
}

#[test]
fn distances_of_points_equal_those_of_numpy() {
    for case in cases(include_str!("../../../tests/golden/metrics/keypoints.json")) {
        let points = width(&case["visible"]);
        let of = |key: &str| numbers(&case[key]).as_chunks::<2>().0.to_vec();
        let (truth, found, visible, lengths) = (
            of("truth"),
            of("found"),
            numbers(&case["visible"]),
            numbers(&case["lengths"]),
        );
        let pose = |(sample, &length): (usize, &f64)| {
            let range = sample * points..(sample + 1) * points;
            Pose {
                truth: truth[range.clone()].to_vec(),
                found: found[range.clone()].to_vec(),
                visible: visible[range].iter().map(|&is| is > 0.0).collect(),
                length,
            }
        };
        let poses: Vec<Pose> = lengths.iter().enumerate().map(pose).collect();
        let within = case["within"].as_f64().expect("a share");
        let found = keypoints::quality(&poses, &names(points), within, "float32").expect("points");
        compare(&case, &found, &["pck", "mean-pck", "nme"]);
    }
}

#[test]
fn neighbours_equal_those_of_scikit_learn() {
    for case in cases(include_str!("../../../tests/golden/metrics/similarity.json")) {
        let classes: Vec<u32> = numbers(&case["classes"]).iter().map(|&class| class as u32).collect();
        let embeddings = floats(&case["embeddings"]);
        let found = similarity::quality(&embeddings, width(&case["embeddings"]), &classes, "float32").expect("pairs");
        compare(
            &case,
            &found,
            &["recall-at-1", "recall-at-5", "recall-at-10", "roc-auc"],
        );
    }
}

#[test]
fn precisions_of_boxes_equal_those_of_pycocotools() {
    for case in cases(include_str!("../../../tests/golden/metrics/detection.json")) {
        let classes = case["classes"].as_u64().expect("a count") as usize;
        let mut images = vec![Image::default(); case["images"].as_u64().expect("a count") as usize];
        let rows = |key: &str| {
            case[key]
                .as_array()
                .expect("rows")
                .iter()
                .map(numbers)
                .collect::<Vec<_>>()
        };
        for row in rows("truth") {
            images[row[0] as usize].objects.push(Object {
                class: row[1] as usize,
                bounds: [row[2], row[3], row[4], row[5]],
                area: row[6],
                crowd: row[7] > 0.0,
            });
        }
        for row in rows("found") {
            images[row[0] as usize].found.push(Found {
                class: row[1] as usize,
                bounds: [row[2], row[3], row[4], row[5]],
                score: row[6],
            });
        }
        let found = detection::quality(&images, &names(classes), "float32").expect("objects");
        let wanted = [
            "map",
            "map50",
            "map75",
            "map-small",
            "map-medium",
            "map-large",
            "mar-1",
            "mar-10",
            "mar-100",
        ];
        let wanted: Vec<&str> = wanted.into_iter().filter(|name| case.get(*name).is_some()).collect();
        assert!(wanted.len() >= 8, "{wanted:?}");
        compare(&case, &found, &wanted);
    }
}

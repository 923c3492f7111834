//! The verbs on single models and on the program itself.

use std::path::Path;

use crate::support::{Lab, shipped};

#[test]
fn a_model_is_converted_inspected_and_compared() {
    let lab = Lab::new();
    lab.call(&["convert", "digits.h5", "digits.tflite"]).expect(0);
    lab.call(&["convert", "digits.h5", "half.tflite", "--quantize", "float16"])
        .expect(0);
    let shown = lab.call(&["inspect", "digits.tflite"]).expect(0);
    assert!(shown.stdout.to_lowercase().contains("conv"), "{shown}");
    let json = lab.call(&["inspect", "digits.h5", "--json"]).expect(0);
    serde_json::from_str::<serde_json::Value>(&json.stdout).expect("inspect --json prints JSON");
    lab.call(&["verify", "digits.tflite", "digits.h5", "--max-abs-error", "1e-5"])
        .expect(0);
    lab.call(&["verify", "half.tflite", "digits.h5", "--max-abs-error", "1e-9"])
        .expect(1);
    lab.call(&["bench", "half.tflite", "--runs", "5"]).expect(0);
    let json = lab
        .call(&["bench", "half.tflite", "--runs", "5", "--ops", "--json"])
        .expect(0);
    let times: serde_json::Value = serde_json::from_str(&json.stdout).expect("bench --ops --json prints JSON");
    let shares = times["operators"].as_array().expect("a list of operators");
    let sum: f64 = shares.iter().filter_map(|operator| operator["share"].as_f64()).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{json}");
    let table = lab.call(&["bench", "half.tflite", "--runs", "5", "--ops"]).expect(0);
    assert!(table.stdout.contains("conv2d"), "{table}");
}

#[test]
fn sparse_weights_are_for_tflite_files() {
    let lab = Lab::new();
    lab.call(&["convert", "digits.h5", "digits.tflite", "--sparse"])
        .expect(0);
    let call = lab.call(&["convert", "digits.h5", "digits.onnx", "--sparse"]).expect(2);
    assert!(call.stderr.contains("--sparse is for .tflite files"), "{call}");
}

#[test]
fn four_bit_weights_take_less_room() {
    let lab = Lab::new();
    let size = |file: &str, options: &[&str]| {
        let call = ["convert", "digits.h5", file, "--quantize", "dynamic-int8"];
        lab.call(&[&call, options].concat()).expect(0);
        std::fs::metadata(lab.path(file)).expect("a file is written").len()
    };
    // One layer of 2,048 weights is large enough to be quantized.
    assert!(size("four.tflite", &["--int4"]) + 1000 < size("eight.tflite", &[]));
    let [eight, blocks] = [
        size("eight.onnx", &[]),
        size("blocks.onnx", &["--int4", "--block", "16"]),
    ];
    assert!(blocks < eight);
    let call = lab
        .call(&[
            "convert",
            "digits.h5",
            "x.tflite",
            "--quantize",
            "dynamic-int8",
            "--int4",
            "--block",
            "16",
        ])
        .expect(2);
    assert!(
        call.stderr
            .contains("--block is for --quantize dynamic-int8 and .onnx files"),
        "{call}"
    );
}

#[test]
fn a_model_is_converted_to_c() {
    let lab = Lab::new();
    lab.call(&["convert", "digits.h5", "digits.tflite"]).expect(0);
    lab.call(&["convert", "digits.tflite", "digits.c"]).expect(0);
    let (source, header) = (lab.read("digits.c"), lab.read("digits.h"));
    assert!(
        source.contains("0x54, 0x46, 0x4c, 0x33") || source.contains("0x54,0x46,0x4c,0x33"),
        "no TFL3 in {}",
        &source[..300]
    );
    assert!(header.contains("extern"), "{header}");
}

#[test]
fn a_file_that_is_missing_or_wrong_is_named() {
    let lab = Lab::new();
    let call = lab.call(&["inspect", "gone.h5"]);
    assert!(
        matches!(call.code, Some(2 | 4)) && call.stderr.contains("gone.h5"),
        "{call}"
    );
    let call = lab.call(&["inspect", "digits.npz"]);
    assert!(
        matches!(call.code, Some(1 | 2 | 4)) && call.stderr.contains("digits.npz"),
        "{call}"
    );
    let call = lab.call(&["convert", "digits.h5", "digits.onxx"]);
    assert!(
        matches!(call.code, Some(2)) && call.stderr.contains(".tflite"),
        "{call}"
    );
}

#[test]
fn the_shipped_recipes_are_sound() {
    let lab = Lab::new();
    for entry in std::fs::read_dir(shipped("recipes")).expect("a folder of the project") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let path = path.canonicalize().expect("it is there").display().to_string();
            let mut check = vec!["check", path.as_str()];
            if path.contains("efficientnet-lite0") {
                // What it starts from cannot be downloaded; some file is there, whose content tells nothing of the recipe.
                check.extend(["--source", "weights=digits.h5", "--source", "images=digits.h5"]);
            }
            if path.ends_with("transfer-learning.yaml") {
                check.extend(["--source", "weights=digits.h5"]);
            }
            if path.ends_with("efficientnet-lite0-compression.yaml") {
                check.extend(["--source", "calibration=digits.h5"]);
            }
            lab.call(&check).expect(0);
            check[0] = "graph";
            lab.call(&check).expect(0);
        }
    }
}

#[test]
fn a_starter_recipe_is_sound() {
    let lab = Lab::new();
    lab.call(&["init", "lab", "--model", "digits.h5", "--data", "digits.npz"])
        .expect(0);
    let recipes: Vec<String> = lab
        .files("lab")
        .into_keys()
        .filter(|name| Path::new(name).extension().is_some_and(|e| e == "yaml"))
        .collect();
    assert_eq!(recipes.len(), 1, "{recipes:?}");
    lab.call(&["check", &format!("lab/{}", recipes[0])]).expect(0);
    // What is there is not overwritten.
    let again = lab.call(&["init", "lab", "--model", "digits.h5", "--data", "digits.npz"]);
    assert_ne!(again.code, Some(0), "{again}");
}

#[test]
fn runs_are_compared() {
    let lab = Lab::with_steps("  quality: { evaluate: { model: native, data: test } }\n");
    lab.run(&[]);
    let same = lab
        .call(&["compare", "out", "out", "--fail-if-worse", "accuracy"])
        .expect(0);
    assert!(same.stdout.contains("figures are equal"), "{same}");
}

#[test]
fn events_are_one_json_object_a_line() {
    let lab = Lab::with_steps("");
    let call = lab
        .call(&["run", "recipe.yaml", "--out", "out", "--events", "-"])
        .expect(0);
    let events: Vec<serde_json::Value> = call
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event is JSON"))
        .collect();
    let finished = events.iter().filter(|event| event["event"] == "finished").count();
    assert_eq!((finished, &events[0]["event"]), (2, &"run-started".into()));
}

#[test]
fn quiet_runs_say_nothing() {
    let lab = Lab::with_steps("");
    let call = lab.call(&["run", "recipe.yaml", "--out", "out", "--quiet"]).expect(0);
    assert_eq!((call.stdout.as_str(), call.stderr.as_str()), ("", ""));
}

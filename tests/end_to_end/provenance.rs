//! Files that name the step that wrote them, and the way back to their sources.

use std::fs;

use crate::support::Lab;

const STEPS: &str = "
  small: { prune: { model: native, sparsity: 0.5 } }
  tflite: { export: { model: small } }
  onnx: { export: { model: small, format: onnx } }
  saved: { export: { model: small, format: saved-model } }
  report: { report: { compare: [tflite, onnx] } }
";

/// What `provenance --json` tells of a file.
fn traced(lab: &Lab, arguments: &[&str]) -> serde_json::Value {
    let call = lab.call(&[&["provenance", "--json"], arguments].concat()).expect(0);
    serde_json::from_str(&call.stdout).expect("JSON")
}

#[test]
fn every_file_leads_back_to_its_sources() {
    let lab = Lab::with_steps(STEPS);
    let run = lab.run(&[]);
    for (file, step) in [("small.tflite", "tflite"), ("small.onnx", "onnx"), ("small", "saved")] {
        let found = traced(&lab, &[&format!("out/{file}")]);
        let steps = found["steps"].as_array().expect("a list");
        let names: Vec<&str> = steps.iter().filter_map(|step| step["name"].as_str()).collect();
        assert_eq!(names, [step, "small", "native"], "{file}");
        let key = run.instance(step).key.as_deref();
        assert_eq!(steps[0]["key"].as_str(), key, "{file}");
        if step != "saved" {
            assert_eq!(found["named-key"].as_str(), key, "{file}");
        }
        let source = &steps[2]["inputs"]["from/0000/digits.h5"];
        assert_eq!(
            (source["from"].as_str(), source["source"].as_str()),
            (Some("source"), Some("network"))
        );
        assert_eq!(found["recipe"]["name"], "digits");
    }
    let beside: serde_json::Value = serde_json::from_str(&lab.read("out/small/saved_model.pb.json")).expect("JSON");
    assert_eq!(beside["pipeline.key"].as_str(), run.instance("saved").key.as_deref());

    // Without the record, the cache knows all but the names.
    fs::copy(lab.path("out/small.tflite"), lab.path("copy.tflite")).expect("copied");
    let found = traced(&lab, &["copy.tflite"]);
    let ops: Vec<&str> = found["steps"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|step| step["op"].as_str())
        .collect();
    assert_eq!(ops, ["export", "prune", "import"]);
    assert_eq!(found["steps"][2]["inputs"]["from/0000/digits.h5"]["from"], "source");
    let text = lab.call(&["provenance", "out/small.tflite"]).expect(0).stdout;
    assert!(
        text.contains("  input       model: small\n") && text.contains("  network: digits.h5, "),
        "{text}"
    );
}

#[test]
fn a_comment_in_the_recipe_changes_no_file() {
    let lab = Lab::with_steps(STEPS);
    lab.run(&[]);
    let before = lab.files("out");
    lab.edit("steps:", "steps:  # of the small network");
    lab.run(&[]);
    let after = lab.files("out");
    for file in [
        "small.tflite",
        "small.onnx",
        "small/saved_model.pb",
        "small/saved_model.pb.json",
    ] {
        assert_eq!(before[file], after[file], "{file}");
    }
}

#[test]
fn changed_and_strange_files_are_told_apart() {
    let lab = Lab::with_steps(STEPS);
    lab.run(&[]);
    let mut bytes = fs::read(lab.path("out/small.tflite")).expect("readable");
    bytes.extend([0; 16]);
    lab.write("out/changed.tflite", bytes);
    let call = lab.call(&["provenance", "out/changed.tflite"]).expect(1);
    assert!(
        call.stderr.contains("(tflite), but that wrote other bytes") && call.stderr.contains("changed afterwards"),
        "{call}"
    );
    let call = lab.call(&["provenance", "digits.h5"]).expect(4);
    assert!(
        call.stderr.contains("has no record of a step that wrote these bytes"),
        "{call}"
    );
    let call = lab
        .call(&["provenance", "digits.h5", "--record", "recipe.yaml"])
        .expect(2);
    assert!(call.stderr.contains("recipe.yaml: not the record of a run"), "{call}");

    let record = lab.read("out/record.json");
    lab.write(
        "record.json",
        record.replace(r#"\"sparsity\":0.5"#, r#"\"sparsity\":0.6"#),
    );
    let call = lab
        .call(&["provenance", "out/small.tflite", "--record", "record.json"])
        .expect(2);
    assert!(call.stderr.contains("small: the record has the key"), "{call}");
}

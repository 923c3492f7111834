//! The folder that a run leaves: what is in it belongs to that run, can be read by whoever takes it, and nothing else is touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::{DIGITS, Lab};

/// The folder of a recipe with one pruned model, its file, quality and report; `more` are further steps, `all` what is compared.
fn recipe(name: &str, sparsity: f32, more: &str, all: &str) -> String {
    format!(
        "{DIGITS}  {name}: {{ prune: {{ model: native, sparsity: {sparsity} }} }}
  file: {{ export: {{ model: {name} }} }}
  quality: {{ evaluate: {{ model: {name}, data: test }} }}
{more}  report: {{ report: {{ compare: [{all}] }} }}
"
    )
}

const BROKEN: &str = "  broken: { verify: { model: file, reference: native, data: test, max-abs-error: 0 } }\n";

fn names(lab: &Lab) -> Vec<String> {
    lab.files("out").into_keys().collect()
}

#[test]
fn a_failed_run_leaves_neither_the_report_nor_the_files_of_the_run_before() {
    let lab = Lab::with_recipe(&recipe("one", 0.1, "", "quality"));
    lab.run(&[]);
    assert!(names(&lab).contains(&"one.tflite".into()) && names(&lab).contains(&"report.md".into()));
    lab.write("recipe.yaml", recipe("two", 0.9, BROKEN, "quality, broken"));
    let run = lab.run_to(1, &["--keep-going"]);
    assert_eq!(names(&lab), ["expectations.xml", "record.json", "two.tflite"]);
    assert!(run.call.stdout.contains("one.tflite"), "{}", run.call);
}

#[test]
fn a_run_of_a_part_of_the_recipe_leaves_the_other_files() {
    let lab = Lab::with_recipe(&recipe("one", 0.1, "", "quality"));
    lab.run(&[]);
    let all = names(&lab);
    lab.run(&["--only", "quality"]);
    assert_eq!(names(&lab), all);
    lab.call(&["report", "recipe.yaml", "--out", "out"]).expect(0);
    assert_eq!(names(&lab), all);
    lab.run(&[]);
    assert_eq!(names(&lab), all);
}

#[test]
fn a_file_of_somebody_else_is_replaced_only_by_force() {
    let lab = Lab::with_recipe(&recipe("one", 0.1, "", "quality"));
    lab.write("out/one.tflite", "mine");
    lab.write("out/other.txt", "mine");
    let call = lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(4);
    assert!(call.stderr.contains("out: one.tflite: not written by a run"), "{call}");
    assert_eq!(names(&lab), ["one.tflite", "other.txt"]);
    lab.run(&["--force"]);
    assert!(lab.files("out")["one.tflite"].len() > 4);
    assert_eq!(lab.read("out/other.txt"), "mine");

    // What the user changed is the user's, and is neither replaced nor removed.
    lab.write("out/one.tflite", "mine again");
    lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(4);
    lab.write("recipe.yaml", recipe("two", 0.1, "", "quality"));
    lab.run(&[]);
    assert_eq!(lab.read("out/one.tflite"), "mine again");
}

#[test]
fn a_report_made_again_is_the_next_runs_to_replace() {
    let lab = Lab::with_recipe(&recipe("one", 0.1, "", "quality"));
    lab.run(&[]);
    let first = lab.read("out/report.md");
    lab.call(&["report", "out", "--baseline", "one"]).expect(0);
    assert_ne!(lab.read("out/report.md"), first);
    lab.run(&[]);
    assert_eq!(lab.read("out/report.md"), first);
    lab.write("out/report.md", "my notes");
    lab.call(&["report", "out"]).expect(4);
    assert_eq!(lab.read("out/report.md"), "my notes");
}

#[test]
fn nothing_is_written_or_emptied_through_a_link() {
    for (name, code) in [
        (".pipeline-writable", 0),
        ("one.tflite", 4),
        ("report.md", 4),
        ("record.json", 4),
        ("expectations.xml", 4),
    ] {
        let lab = Lab::with_recipe(&recipe("one", 0.1, "", "quality"));
        lab.write("victim", "precious");
        fs::create_dir(lab.path("out")).expect("writable");
        symlink(lab.path("victim"), lab.path("out").join(name)).expect("writable");
        lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(code);
        assert_eq!(lab.read("victim"), "precious", "{name}");
        lab.run(&["--force"]);
        assert_eq!(lab.read("victim"), "precious", "{name}");
    }
}

#[test]
fn a_link_in_the_place_of_a_folder_is_not_followed() {
    let lab = Lab::with_steps("  source: { export: { model: native, format: c-array } }\n");
    fs::create_dir_all(lab.path("elsewhere")).expect("writable");
    fs::create_dir(lab.path("out")).expect("writable");
    symlink(lab.path("elsewhere"), lab.path("out/native")).expect("writable");
    lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(4);
    lab.run(&["--force"]);
    assert_eq!(fs::read_dir(lab.path("elsewhere")).expect("readable").count(), 0);
    assert!(names(&lab).contains(&"native/model.c".into()), "{:?}", names(&lab));
}

#[test]
fn a_folder_in_the_place_of_a_file_is_never_taken_away() {
    let lab = Lab::with_recipe(&recipe("one", 0.1, "", "quality"));
    lab.write("out/one.tflite/precious", "mine");
    let call = lab.call(&["run", "recipe.yaml", "--out", "out", "--force"]).expect(4);
    assert!(
        call.stderr.contains("a folder is where a file is to be written"),
        "{call}"
    );
    assert_eq!(lab.read("out/one.tflite/precious"), "mine");
}

#[test]
fn what_killed_runs_left_half_written_is_gone_after_the_next() {
    let lab = Lab::with_recipe(&recipe("one", 0.1, "", "quality"));
    lab.write("out/.pipeline-aB3dE6", "half a file");
    lab.write("out/.pipeline-Zz9Yy8/0", "half a file");
    lab.write("cache/v1/tmp/.tmpAbCdEf", "half a blob");
    lab.write("out/.pipeline-notes.txt", "mine");
    lab.run(&[]);
    let hidden: Vec<String> = names(&lab).into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(hidden, [".pipeline-notes.txt"]);
    assert_eq!(fs::read_dir(lab.path("cache/v1/tmp")).expect("readable").count(), 0);
}

#[test]
fn every_format_is_read_back_from_the_folder() {
    let lab = Lab::with_steps(
        "  flat: { export: { model: native } }
  standard: { export: { model: native, format: onnx } }
  beside: { export: { model: native, format: onnx, external-data: true } }
  saved: { export: { model: native, format: saved-model } }
  source: { export: { model: native, format: c-array } }
  weights: { export: { model: native, format: safetensors } }
",
    );
    lab.run(&[]);
    for model in ["native.tflite", "native.onnx", "beside/native.onnx", "native"] {
        let model = format!("out/{model}");
        lab.call(&["inspect", &model]).expect(0);
        lab.call(&["verify", &model, "digits.h5", "--max-abs-error", "1e-4"])
            .expect(0);
    }
    assert!(
        names(&lab).contains(&"native/saved_model.pb".into()),
        "{:?}",
        names(&lab)
    );
    let dict = formats::torch::read(&lab.files("out")["native.safetensors"], None).expect("a state dict");
    assert!(!dict.tensors.is_empty());
    let compiled = Command::new("cc")
        .args(["-c", "model.c", "-o", "model.o"])
        // Its `.tflite` names another step than that beside it, so that all of it has a folder.
        .current_dir(lab.path("out/source/native"))
        .status();
    assert!(compiled.expect("the C compiler that the build needs").success());
}

#[test]
fn a_step_with_a_very_long_name_gets_its_file() {
    let name = "n".repeat(300);
    let lab = Lab::with_recipe(&recipe(&name, 0.1, "", "quality"));
    lab.run(&[]);
    let names = names(&lab);
    assert!(
        names.iter().any(|file| file.ends_with(".tflite") && file.len() < 255),
        "{names:?}"
    );
}

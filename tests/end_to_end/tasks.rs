//! Tasks beside classification, from files to gates and pages; and judgements by programs of the user's own.

use ir::ops::{Conv2d, FullyConnected};
use ir::{Constant, Graph, TensorType};
use schedule::Status;

use crate::support::{Lab, npy};

/// A network of one layer: `y = W x + b`.
fn linear(inputs: usize, outputs: usize, weights: &[f32], biases: &[f32]) -> Vec<u8> {
    let mut graph = Graph::new("linear");
    let x = graph.input("x", TensorType::f32([1, inputs]));
    let w = graph.constant(
        "w",
        Constant::f32([outputs, inputs], weights.to_vec()).expect("as many values"),
    );
    let b = graph.constant("b", Constant::f32([outputs], biases.to_vec()).expect("as many values"));
    let y = graph
        .add("dense", FullyConnected::default(), &[x, w, b])
        .expect("it fits");
    graph.set_outputs(&[y]);
    formats::tflite::write(&graph).expect("written")
}

/// A recipe with the network, the data and these steps.
fn recipe(data: &str, steps: &str) -> String {
    format!(
        "schema: pipeline/v1\nname: tasks\nsources:\n  network: {{ file: net.tflite }}\n  data: {{ file: {data} }}\nsteps:\n  base: {{ import: {{ from: network }} }}\n{steps}"
    )
}

/// Weights of made-up people by their age and height, in two splits.
fn people(lab: &Lab) {
    let row = |i: usize| {
        let (age, height) = ((i * 7 % 50) as f32, 1.0 + (i * 13 % 100) as f32 / 100.0);
        let weight = 0.25 * age + 40.0 * height - 5.0 + [0.5, -0.5, 0.0][i % 3];
        let split = if i.is_multiple_of(4) { "test" } else { "train" };
        format!("{age},{height},{weight},{split}\n")
    };
    lab.write(
        "people.csv",
        "age,height,weight,split\n".to_owned() + &(0..80).map(row).collect::<String>(),
    );
    lab.write("net.tflite", linear(2, 1, &[0.25, 40.0], &[-5.0]));
}

const REGRESSION: &str = "  train: { dataset: { source: data, split: train, list: people.csv, columns: { input: [age, height], target: weight, split: split } } }
  test: { dataset: { source: data, split: test, list: people.csv, columns: { input: [age, height], target: weight, split: split } } }
  ranges: { calibrate: { model: base, data: train } }
  int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }
  errors: { evaluate: { model: { each: [base, int8] }, data: test } }
  report: { report: { compare: [errors], baseline: base } }
expect:
  - { metric: errors.r2, at: { model: base }, ge: 0.99 }
  - { metric: errors.mae, at: { model: int8 }, le: 4 }
  - { metric: errors.mae-high, at: { model: base }, le: 0.5 }
";

#[test]
fn numbers_of_a_table_are_estimated_in_floats_and_integers() {
    let lab = Lab::with_recipe(&recipe("people.csv", REGRESSION));
    people(&lab);
    lab.run(&[]);
    let page = lab.read("out/report.md");
    assert!(
        page.contains("## Quality") && page.contains("mae") && page.contains("rmse"),
        "{page}"
    );
    let table = lab.read("out/metrics.csv");
    assert!(
        table
            .lines()
            .next()
            .is_some_and(|line| line.contains("mae,mae-low,mae-high")),
        "{table}"
    );

    lab.edit(
        "evaluate: { model: { each: [base, int8] }, data: test }",
        "evaluate: { model: { each: [base, int8] }, data: test, task: classification }",
    );
    let refused = lab.call(&["check", "recipe.yaml"]).expect(2);
    assert!(
        refused.stderr.contains(
            "task: classification needs samples that are labelled with one class each, those of `test` are with numbers"
        ),
        "{refused}"
    );
}

#[test]
fn a_target_that_is_no_number_is_named_with_its_line() {
    let lab = Lab::with_recipe(&recipe("people.csv", REGRESSION));
    people(&lab);
    let table = lab.read("people.csv").replacen("14,", "14,x", 1);
    lab.write("people.csv", table);
    let failed = lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(1);
    assert!(
        failed
            .stderr
            .contains("people.csv:4: `x1.26` is not a finite number; an input is expected"),
        "{failed}"
    );
}

#[test]
fn an_autoencoder_tells_what_it_cannot_reconstruct() {
    // It keeps the first two of four numbers; the last two of normal samples are zero.
    let weights = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0; 4], [0.0; 4]].concat();
    let lab = Lab::with_recipe(&recipe(
        "data",
        "  test: { dataset: { source: data, class-names: [normal, odd], transform: [{ div: 255 }] } }
  ranges: { calibrate: { model: base, data: test } }
  int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }
  detection: { evaluate: { model: { each: [base, int8] }, data: test, task: anomaly } }
  report: { report: { compare: [detection], baseline: base } }
expect:
  - { metric: detection.roc-auc, at: { model: base }, ge: 1 }
  - { metric: detection.partial-auc, at: { model: int8 }, ge: 0.9 }
",
    ));
    lab.write("net.tflite", linear(4, 4, &weights, &[0.0; 4]));
    let sample = |i: usize| {
        let odd = if i.is_multiple_of(3) { 40 + (i % 7) as u8 } else { 0 };
        [(i * 37 % 200) as u8, (i * 91 % 200) as u8, odd, 0]
    };
    lab.write(
        "data/x.npy",
        npy("(60, 4)", &(0..60).flat_map(sample).collect::<Vec<u8>>()),
    );
    let labels: Vec<u8> = (0..60).map(|i| u8::from(i % 3 == 0)).collect();
    lab.write("data/y.npy", npy("(60,)", &labels));
    lab.run(&[]);
    assert!(
        lab.files("out").contains_key("curve-roc.svg"),
        "{:?}",
        lab.files("out").keys()
    );
    assert!(lab.read("out/report.md").contains("curve-roc.png"));
}

#[test]
fn a_network_of_pixels_is_judged_by_overlap() {
    // Bright pixels are of class 1.
    let mut graph = Graph::new("pixels");
    let x = graph.input("x", TensorType::f32([1, 4, 4, 1]));
    let w = graph.constant(
        "w",
        Constant::f32([2, 1, 1, 1], vec![-1.0, 1.0]).expect("as many values"),
    );
    let b = graph.constant("b", Constant::f32([2], vec![0.5, -0.5]).expect("as many values"));
    let y = graph.add("conv", Conv2d::default(), &[x, w, b]).expect("it fits");
    graph.set_outputs(&[y]);
    let steps = "  test: { dataset: { source: data, class-names: [dark, bright], transform: [{ div: 255 }] } }
  ranges: { calibrate: { model: base, data: test } }
  int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }
  overlap: { evaluate: { model: { each: [base, int8] }, data: test } }
  report: { report: { compare: [overlap] } }
expect:
  - { metric: overlap.mean-iou, at: { model: base }, ge: 0.9, le: 0.999 }
  - { metric: overlap.per-class.bright.iou, at: { model: int8 }, ge: 0.8 }
";
    let lab = Lab::with_recipe(&recipe("data", steps));
    lab.write("net.tflite", formats::tflite::write(&graph).expect("written"));
    let pixels: Vec<u8> = (0..10 * 16).map(|i| (i * 53 % 256) as u8).collect();
    // Where the mask sees something else, and where it sees nothing.
    let mask = |(i, &pixel): (usize, &u8)| match i % 40 {
        0 => 255,
        1 => u8::from(pixel < 128),
        _ => u8::from(pixel >= 128),
    };
    lab.write("data/x.npy", npy("(10, 4, 4, 1)", &pixels));
    lab.write(
        "data/y.npy",
        npy("(10, 4, 4)", &pixels.iter().enumerate().map(mask).collect::<Vec<u8>>()),
    );
    lab.run(&[]);
    assert!(lab.read("out/report.md").contains("per-class") || lab.read("out/report.md").contains("bright"));
}

const SCORE: &str = "  test: { dataset: { source: data, split: test, list: people.csv, columns: { input: [age, height], target: weight, split: split } } }
  tflite: { export: { model: base } }
  score: { external: { run: [sh, score.sh], files: [score.sh], inputs: { model: tflite, data: test }, outputs: { metrics: metrics.json } } }
  report: { report: { compare: [score] } }
expect:
  - { metric: score.bytes, le: 100000 }
";

#[test]
fn a_program_of_the_users_own_makes_numbers_for_gates_and_reports() {
    let lab = Lab::with_recipe(&recipe("people.csv", SCORE));
    people(&lab);
    lab.write(
        "score.sh",
        "printf '{\"bytes\": {\"value\": %s, \"better\": \"lower\"}}' $(cat inputs/model/* | wc -c) > metrics.json\n",
    );
    let shown = lab.call(&["check", "recipe.yaml"]).expect(0);
    assert!(shown.stdout.contains("score runs: sh score.sh"), "{shown}");
    assert!(
        lab.call(&["plan", "recipe.yaml"])
            .expect(0)
            .stdout
            .contains("score runs: sh score.sh")
    );
    let refused = lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(4);
    assert!(
        refused.stderr.contains("--allow-external") && refused.stderr.contains("sh score.sh"),
        "{refused}"
    );

    let status = |run: &crate::support::Run| {
        let instance = run.record.instances.iter().find(|i| i.step == "score");
        instance.expect("the step is in the record").status
    };
    assert_eq!(status(&lab.run(&["--allow-external"])), Status::Ran);
    assert!(lab.read("out/report.md").contains("bytes"));
    assert_eq!(status(&lab.run(&["--allow-external"])), Status::Hit);
    lab.write("score.sh", "echo '{\"bytes\": 100001}' > metrics.json\n");
    let missed = lab.run_to(3, &["--allow-external"]);
    assert_eq!(status(&missed), Status::Ran);
    lab.write("score.sh", "echo cannot >&2; exit 7\n");
    let failed = lab
        .call(&["run", "recipe.yaml", "--out", "out", "--allow-external"])
        .expect(1);
    assert!(
        failed.stderr.contains("ended with exit code 7") && failed.stderr.contains("cannot"),
        "{failed}"
    );
    // The user's own configuration trusts a folder, which cannot trust itself.
    lab.write("score.sh", "echo '{\"bytes\": 1}' > metrics.json\n");
    let folder = lab.path("").canonicalize().expect("it is there").display().to_string();
    let trust = format!("[external]\ntrust = [\"{}\"]\n", folder.trim_end_matches('/'));
    let configured = |file: &str| {
        let mut command = lab.command(&["run", "recipe.yaml", "--out", "out"]);
        crate::support::Call::of(
            command
                .env("PIPELINE_CONFIG", file)
                .output()
                .expect("the program starts"),
        )
    };
    let elsewhere = tempfile::tempdir().expect("a folder");
    let file = elsewhere.path().join("config.toml");
    std::fs::write(&file, &trust).expect("writable");
    configured(&file.display().to_string()).expect(0);
    std::fs::write(&file, trust.replace("\"]", "-other\"]")).expect("writable");
    configured(&file.display().to_string()).expect(4);
    lab.write("config.toml", &trust);
    let inside = configured(&lab.path("config.toml").display().to_string()).expect(2);
    assert!(inside.stderr.contains("a folder cannot trust itself"), "{inside}");
    lab.write("pipeline.toml", &trust);
    let allowed = ["run", "recipe.yaml", "--out", "out", "--allow-external"];
    let beside = lab.call(&allowed).expect(2);
    assert!(beside.stderr.contains("a folder cannot trust itself"), "{beside}");
    std::fs::remove_file(lab.path("pipeline.toml")).expect("it is there");

    lab.edit("files: [score.sh]", "files: [gone.sh]");
    let missing = lab.call(&["check", "recipe.yaml"]).expect(2);
    assert!(missing.stderr.contains("gone.sh does not exist"), "{missing}");
}

#[test]
fn points_are_found_within_a_share_of_a_length() {
    // The network gives back what it is given: two points, the second of which is off by 2 in half of the samples.
    let eye = [
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
    .concat();
    let steps = "  test: { dataset: { source: data, list: points.csv, columns: { input: [a, b, c, d], target: [hip_x, hip_y, ear_x, ear_y] } } }
  ranges: { calibrate: { model: base, data: test } }
  int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }
  pose: { evaluate: { model: { each: [base, int8] }, data: test, task: keypoints, keypoints: { within: 0.1, of: [hip, ear] } } }
  report: { report: { compare: [pose], baseline: base } }
expect:
  - { metric: pose.pck, at: { model: base }, ge: 0.75, le: 0.75 }
  - { metric: pose.per-keypoint.hip.pck, at: { model: int8 }, ge: 1 }
  - { metric: pose.nme-high, at: { model: base }, le: 0.1 }
";
    let lab = Lab::with_recipe(&recipe("points.csv", steps));
    let row = |i: usize| {
        let off = if i.is_multiple_of(2) { 2 } else { 0 };
        format!("{i},{i},{},{i},{i},{i},{},{i}\n", i + 10 + off, i + 10)
    };
    let head = "a,b,c,d,hip_x,hip_y,ear_x,ear_y\n".to_owned();
    lab.write("points.csv", head + &(0..40).map(row).collect::<String>());
    lab.write("net.tflite", linear(4, 4, &eye, &[0.0; 4]));
    lab.run(&[]);
    assert!(lab.read("out/report.md").contains("pck"));

    lab.edit("of: [hip, ear]", "of: [hip, eye]");
    let refused = lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(1);
    assert!(
        refused.stderr.contains("there is no point `eye`; there are hip, ear"),
        "{refused}"
    );
    lab.edit("task: keypoints, ", "");
    let refused = lab.call(&["check", "recipe.yaml"]).expect(2);
    assert!(
        refused
            .stderr
            .contains("keypoints: is for the task keypoints, this one is regression"),
        "{refused}"
    );
}

#[test]
fn embeddings_bring_samples_of_one_class_together() {
    let steps = "  test: { dataset: { source: data, list: pairs.csv, columns: { input: [a, b], class: who } } }
  faces: { evaluate: { model: base, data: test, task: similarity } }
  report: { report: { compare: [faces] } }
expect:
  - { metric: faces.recall-at-1, ge: 1 }
  - { metric: faces.recall-at-1-low, ge: 0.8 }
  - { metric: faces.roc-auc, ge: 0.99 }
";
    let lab = Lab::with_recipe(&recipe("pairs.csv", steps));
    let row = |i: usize| match i % 2 {
        0 => format!("{},{},ann\n", i + 1, i % 3),
        _ => format!("{},{},bob\n", i % 3, i + 1),
    };
    lab.write(
        "pairs.csv",
        "a,b,who\n".to_owned() + &(8..48).map(row).collect::<String>(),
    );
    lab.write("net.tflite", linear(2, 2, &[1.0, 0.0, 0.0, 1.0], &[0.0; 2]));
    lab.run(&[]);
    assert!(lab.read("out/report.md").contains("recall-at-1"));
}

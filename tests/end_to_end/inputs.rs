//! Networks of several inputs: what is fed to each is found by its name, wherever samples go through a network.

use data::npy;
use ir::ops::{Activation, FullyConnected, Sub};
use ir::{Constant, Graph, TensorType};

use crate::support::Lab;

/// How a left and a right sample of two numbers differ, as scores of two classes; the right one is of a far greater range.
fn difference() -> Graph {
    let mut graph = Graph::new("difference");
    let inputs = ["right", "left"].map(|name| graph.input(name, TensorType::f32([1, 2])));
    let each = |graph: &mut Graph, i: usize, weights: [f32; 4]| {
        let w = graph.constant(
            format!("w{i}"),
            Constant::f32([2, 2], weights.to_vec()).expect("four values"),
        );
        let b = graph.constant(format!("b{i}"), Constant::f32([2], vec![0.0; 2]).expect("two values"));
        let dense = FullyConnected::default();
        graph
            .add(format!("dense{i}"), dense, &[inputs[i], w, b])
            .expect("it fits")
    };
    let (right, left) = (
        each(&mut graph, 0, [0.01, 0.0, 0.0, 0.01]),
        each(&mut graph, 1, [1.0, 0.0, 0.0, 1.0]),
    );
    let activation = Activation::None;
    let y = graph
        .add("scores", Sub { activation }, &[left, right])
        .expect("both are alike");
    graph.set_outputs(&[y]);
    graph
}

/// Forty pairs, in two splits: class 0 where the first number of `left` is further ahead.
fn pairs(lab: &Lab) {
    for (split, from) in [("train", 0), ("test", 40)] {
        let value = |i: usize, k: usize| {
            let i = i + from;
            ((i * i * (37 + k) + i * (19 * k * k + 5) + 57 * k) % 211) as f32 / 211.0
        };
        let left: Vec<f32> = (0..40).flat_map(|i| [value(i, 0), value(i, 1)]).collect();
        let right: Vec<f32> = (0..40)
            .flat_map(|i| [value(i, 2), value(i, 3)].map(|v| 100.0 * v))
            .collect();
        let label = |i: usize| {
            let score = |k: usize| left[2 * i + k] - right[2 * i + k] / 100.0;
            u8::from(score(1) > score(0))
        };
        lab.write(&format!("pairs/{split}/left.npy"), npy::write(&[40, 2], &left));
        lab.write(&format!("pairs/{split}/far.npy"), npy::write(&[40, 2], &right));
        lab.write(
            &format!("pairs/{split}/y.npy"),
            npy::write(&[40], &(0..40).map(label).collect::<Vec<_>>()),
        );
    }
}

const RECIPE: &str = "schema: pipeline/v1
name: pairs
sources:
  network: { file: net.tflite }
  pairs: { file: pairs }
steps:
  base: { import: { from: network } }
  train: { dataset: { source: pairs, split: train, inputs: { left: left, right: far } } }
  test: { dataset: { source: pairs, split: test, inputs: { left: left, right: far } } }
  ranges: { calibrate: { model: base, data: train } }
  int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }
  corrected: { correct-bias: { model: int8, reference: base, data: train } }
  tflite: { export: { model: int8 } }
  quality: { evaluate: { model: { each: [base, int8, tflite] }, data: test } }
  same: { verify: { model: tflite, reference: int8, data: test, max-abs-error: 0 } }
  opinion: { verify: { model: base, reference: base, data: test, runtime: tract } }
  times: { benchmark: { model: int8, runs: 3 } }
  report: { report: { compare: [quality, same], baseline: base } }
expect:
  - { metric: quality.accuracy, at: { model: base }, ge: 1 }
  - { metric: quality.accuracy, at: { model: int8 }, ge: 0.9 }
  - { metric: opinion.max-abs-error, le: 0.0001 }
";

fn lab(recipe: &str) -> Lab {
    let lab = Lab::with_recipe(recipe);
    lab.write("net.tflite", formats::tflite::write(&difference()).expect("written"));
    pairs(&lab);
    lab
}

#[test]
fn two_inputs_are_calibrated_evaluated_and_verified() {
    lab(RECIPE).run(&[]);
}

/// The first complaint of `check`.
fn complaint(lab: &Lab) -> String {
    let refused = lab.call(&["check", "recipe.yaml"]).expect(2);
    refused.stderr.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn check_says_which_input_nothing_is_for() {
    let lab = lab(&RECIPE.replace(", inputs: { left: left, right: far }", ""));
    insta::assert_snapshot!(complaint(&lab), @"error: ranges.calibrate: data: of `train`, for `base`: no part of the samples is for the input `right`; they have far 2, left 2, the model takes `right`, `left`: say which array is for which with `inputs` in the dataset step");
}

#[test]
fn learning_from_two_inputs_is_refused_by_name() {
    let tuned = "  tuned: { finetune: { model: base, data: train, epochs: 1 } }\n  times:";
    let lab = lab(&RECIPE.replace("  times:", tuned));
    insta::assert_snapshot!(complaint(&lab), @"error: tuned.finetune: model: has 2 inputs; only networks of one input learn");
}

#[test]
fn a_model_alone_takes_a_file_for_each_of_its_inputs() {
    let lab = lab(RECIPE);
    let (left, far) = ("pairs/train/left.npy", "pairs/train/far.npy");
    let convert = ["convert", "net.tflite", "int8.tflite", "--quantize", "int8"];
    let refused = lab.call(&[&convert[..], &["--calibrate", far]].concat()).expect(1);
    assert!(
        refused
            .stderr
            .contains("1 arrays for 2 inputs; the model takes right, left"),
        "{refused}"
    );
    lab.call(&[&convert[..], &["--calibrate", far, "--calibrate", left]].concat())
        .expect(0);
    let given = ["--input", far, "--input", left];
    lab.call(
        &[
            &["verify", "int8.tflite", "net.tflite", "--max-abs-error", "0.1"][..],
            &given,
        ]
        .concat(),
    )
    .expect(0);
    lab.call(&["verify", "int8.tflite", "int8.tflite", "--max-abs-error", "0"])
        .expect(0);
    lab.call(&[&["infer", "int8.tflite", "--output", "y.npy"][..], &given].concat())
        .expect(0);
}

//! Wrong recipes whose mistakes the files at hand, or the types of what steps make, tell before anything runs: parameters that do nothing, layers and
//! classes that are not there, shapes that do not fit, samples to test with that were learned from.

use std::fmt::Write as _;

use crate::support::{DIGITS, Lab};

/// What `check` says about each of some further steps, in one line; `run` must say the same and run nothing.
#[track_caller]
fn told(cases: &[&str]) -> String {
    let mut all = String::new();
    for case in cases {
        let lab = Lab::with_recipe(&format!("{DIGITS}{}\n", case.trim_end()));
        let checked = lab.call(&["check", "recipe.yaml"]);
        let run = lab.call(&["run", "recipe.yaml", "--out", "out"]);
        let text = lab.redacted(&checked.stderr);
        let first = text
            .lines()
            .find(|line| line.starts_with("error"))
            .unwrap_or("no mistakes");
        let _ = writeln!(all, "{}\n    {first}", case.trim());
        assert_eq!(text, lab.redacted(&run.stderr), "{case}");
        assert!(!lab.path("out").exists() && !lab.path("cache").exists(), "{case}");
    }
    all
}

#[test]
fn parameters_that_do_nothing() {
    insta::assert_snapshot!(told(&[
        "  x: { prune: { model: native, sparsity: 0.5, count: 10 } }",
        "  x: { prune: { model: native, sparsity: 0.5, adjust-others: true } }",
        "  x: { cluster: { model: native, clusters: 16, damping: 0.5 } }",
        "  x: { quantize: { model: native, scheme: float16, min-elements: 10 } }",
        "  x: { quantize: { model: native, scheme: dynamic-int8, allow-float: [\"op:softmax\"] } }",
        "  x: { quantize: { model: native, scheme: dynamic-int8, count: 10 } }",
        "  x: { calibrate: { model: native, data: test, stratified: true } }",
        "  x: { shrink: { model: native, sparsity: 0.5, count: 9 } }",
        "  x: { verify: { model: native, reference: native, data: test, departs-below: 20 } }",
        "  x: { finetune: { model: native, data: test, epochs: 3, hold-out: 0, patience: 1 } }",
        "  x: { finetune: { model: native, data: test, epochs: 1, patience: 4 } }",
        "  x: { finetune: { model: native, data: test, epochs: 1, loss: mean-squared-error, label-smoothing: 0.1 } }",
        "  x: { finetune: { model: native, data: test, epochs: 1, norms: frozen, bn-momentum: 0.5 } }",
        "  x: { finetune: { model: native, data: test, epochs: 1, prune: { sparsity: 0.5, schedule: constant, power: 2 } } }",
        "  x: { import: { from: network, prefix: module } }",
        "  x: { evaluate: { model: native, data: test, beta: 2 } }",
        "  x: { evaluate: { model: native, data: test, max-fpr: 0.2 } }",
        "  x: { dataset: { source: digits, split: train, stratified: true } }",
        "  x: { dataset: { source: digits, split: train, mask-values: [0, 255] } }",
    ]));
}

#[test]
fn a_parameter_of_one_method_may_stand_in_a_sweep_of_methods() {
    let sweep = "axes: { method: [minmax, percentile] }\nsteps:\n  ranges: { calibrate: { model: native, data: test, method: $method, percentile: 99.99 } }\n";
    let lab = Lab::with_recipe(&DIGITS.replace("steps:\n", sweep));
    lab.call(&["check", "recipe.yaml"]).expect(0);
}

#[test]
fn layers_that_are_not_there() {
    insta::assert_snapshot!(told(&[
        "  x: { prune: { model: native, sparsity: 0.5, layers: [gone] } }",
        "  x: { prune: { model: native, sparsity: 0.5, overrides: [{ layers: [gone], sparsity: 0.1 }] } }",
        "  x: { prune: { model: native, sparsity: 0.5, exclude: [\"*\"] } }",
        "  x: { cluster: { model: native, clusters: 16, layers: [\"conv_9*\"] } }",
        "  x: { sensitivity: { model: native, data: test, exclude: [gone] } }",
        "  x: { subnet: { model: native, data: test, macs: 0.5, layers: [gone] } }",
        "  x: { finetune: { model: native, data: test, epochs: 1, layers: [gone] } }",
        "  x: { finetune: { model: native, data: test, epochs: 1, prune: { sparsity: 0.5, layers: [gone] } } }",
        "  x: { head: { model: native, classes: 4, where: gone } }",
        "  r: { calibrate: { model: native, data: test } }\n  x: { quantize: { model: native, ranges: r, scheme: int8, allow-float: [gone] } }",
        "  x: { quantize: { model: native, scheme: dynamic-int8, rules: [{ layers: [gone], weights: int4 }] } }",
    ]));
}

#[test]
fn samples_that_do_not_fit() {
    insta::assert_snapshot!(told(&[
        "  d: { dataset: { source: digits, split: test, crop: [4, 4] } }\n  x: { evaluate: { model: native, data: d } }",
        "  d: { dataset: { source: digits, split: test, color: rgb } }\n  x: { calibrate: { model: native, data: d } }",
        "  d: { dataset: { source: digits, split: test, crop: [100, 100] } }",
        "  d: { dataset: { source: digits, split: test, transform: [{ sub: [1, 2, 3] }] } }",
        "  d: { dataset: { source: digits, split: dev } }",
        "  d: { dataset: { source: digits, split: test, classes: [cat] } }",
        "  d: { dataset: { source: digits, split: test, class-names: [a, b] } }",
        "  x: { calibrate: { model: native, data: test, classes: [horse] } }",
        "  x: { evaluate: { model: native, data: test, task: regression } }",
        "  x: { evaluate: { model: native, data: test, task: anomaly, normal: [good] } }",
        "  h: { head: { model: native, classes: 4 } }\n  x: { evaluate: { model: h, data: test } }",
        "  h: { head: { model: native, classes: 4 } }\n  x: { finetune: { model: h, data: test, epochs: 1 } }",
        "  h: { head: { model: native, classes: 4 } }\n  x: { distill: { model: native, teacher: h, data: test, epochs: 1 } }",
        "  h: { head: { model: native, classes: 4 } }\n  x: { verify: { model: h, reference: native, data: test } }",
        "  d: { dataset: { source: digits, split: test, classes: [\"3\"] } }\n  x: { finetune: { model: native, data: d, epochs: 1 } }",
        "  n: { import: { from: network, input-shape: [7, 7, 3] } }",
    ]));
}

#[test]
fn steps_that_cannot_work_together() {
    insta::assert_snapshot!(told(&[
        "  s: { shrink: { model: native, sparsity: 0.5 } }\n  r: { calibrate: { model: native, data: test } }\n  x: { quantize: { model: s, ranges: r, scheme: int8 } }",
        "  r: { calibrate: { model: native, data: test } }\n  q: { quantize: { model: native, ranges: r, scheme: int8 } }\n  x: { evaluate: { model: q, data: test } }",
        "  t: { finetune: { model: native, data: test, epochs: 1 } }\n  x: { evaluate: { model: t, data: test } }",
        "  x: { finetune: { model: native, data: test, validation: test, epochs: 1 } }",
        "  x: { correct-bias: { model: native, reference: native, data: test } }",
        "  r: { calibrate: { model: native, data: test } }\n  x: { auto: { model: native, ranges: r, data: test, drop: 0.01, bytes: 1 } }",
        "  r: { calibrate: { model: native, data: test } }\n  x: { sensitivity: { model: native, ranges: r, data: test, treatments: [{ prune: 0.5 }] } }",
        "  x: { quantize: { model: native, scheme: dynamic-int8, weights: float } }",
        "  x: { sensitivity: { model: native, data: test, treatments: [int8, int8] } }",
        "  q: { evaluate: { model: native, data: test } }\n  r: { report: { compare: [q], questions: [{ best-under: { bytes: 5 } }] } }",
        "  x: { distill: { model: native, teacher: native, data: test, epochs: 1, alpha: 0 } }",
    ]));
}

#[test]
fn axes_params_and_gates_without_a_use() {
    let recipe = |sections: &str, steps: &str| DIGITS.replace("steps:\n", &format!("{sections}steps:\n")) + steps;
    let complaint = |text: String| {
        let lab = Lab::with_recipe(&text);
        let call = lab.call(&["check", "recipe.yaml"]);
        lab.redacted(&call.stderr)
    };
    let quality = "  q: { evaluate: { model: native, data: test } }\n";
    let all = [
        complaint(recipe("axes: { s: [0.1, 0.2] }\n", "")),
        complaint(recipe("params: { seed: 7 }\n", "")),
        complaint(recipe("search: { budget: 2 }\n", "")),
        complaint(recipe(
            "",
            &format!("{quality}expect: [{{ metric: q.accuracy, ge: 0.9, le: 0.5 }}]\n"),
        )),
        complaint(recipe(
            "",
            &format!("{quality}expect: [{{ metric: q.accuracy, ge: -0.9 }}]\n"),
        )),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn what_cannot_be_read_is_found_by_check_and_told_by_the_step() {
    let lab = Lab::with_recipe(&format!("{DIGITS}  x: {{ import: {{ from: digits }} }}\n"));
    let call = lab.call(&["check", "recipe.yaml"]).expect(0);
    assert!(call.stderr.contains("warning: x.import: from: "), "{call}");
    lab.run_to(1, &["--keep-going"]);
}

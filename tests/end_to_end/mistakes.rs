//! Wrong recipes, each answered with all its mistakes, a place and a fix; exit code 2, nothing run.

use crate::support::{DIGITS, Lab};

/// What `check` says about a recipe; `run` must say the same and run nothing.
#[track_caller]
fn complaints(recipe: &str) -> String {
    let lab = Lab::with_recipe(recipe);
    let checked = lab.call(&["check", "recipe.yaml"]).expect(2);
    let run = lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(2);
    assert_eq!(checked.stderr, run.stderr);
    assert!(
        !lab.path("out").exists() && !lab.path("cache").exists(),
        "something ran"
    );
    lab.redacted(&checked.stderr)
}

#[track_caller]
fn in_steps(steps: &str) -> String {
    complaints(&format!("{DIGITS}{steps}"))
}

#[test]
fn all_mistakes_are_told_at_once() {
    insta::assert_snapshot!(in_steps("  small: { quantise: { model: native, scheme: float16 } }
  half: { quantize: { model: natve, shceme: float16 } }
  file: { export: { model: half, format: tflit } }
  quality: { evaluate: { model: native, data: native, top-k: yes } }
expect:
  - { metric: quality.accuracy, at: { model: gone }, ge: 0.5 }
"), @"
    error: small: unknown op `quantise`
     --> recipe.yaml:9:12
      |
    9 |   small: { quantise: { model: native, scheme: float16 } }
      |            ^^^^^^^^
      |
      = help: did you mean `quantize`?

    error: quantize.model: there is no step `natve`
      --> recipe.yaml:10:30
       |
    10 |   half: { quantize: { model: natve, shceme: float16 } }
       |                              ^^^^^
       |
       = help: did you mean `native`?

    error: quantize: unknown key `shceme`
      --> recipe.yaml:10:37
       |
    10 |   half: { quantize: { model: natve, shceme: float16 } }
       |                                     ^^^^^^
       |
       = help: did you mean `scheme`?

    error: export.format: the string `tflit` is not one of `tflite`, `onnx`, `c-array`, `saved-model`, `safetensors`
      --> recipe.yaml:11:42
       |
    11 |   file: { export: { model: half, format: tflit } }
       |                                          ^^^^^
       |
       = help: did you mean `tflite`?

    error: evaluate.data: `native` makes a model, not a dataset
      --> recipe.yaml:12:47
       |
    12 |   quality: { evaluate: { model: native, data: native, top-k: yes } }
       |                                               ^^^^^^ made by `import`
       |
       = help: steps that fit: `test`, `small`

    error: evaluate: unknown key `top-k`
      --> recipe.yaml:12:55
       |
    12 |   quality: { evaluate: { model: native, data: native, top-k: yes } }
       |                                                       ^^^^^
       |
       = help: known keys: `model`, `data`, `kernels`, `task`, `threshold`, `beta`, `score`, `normal`, `max-fpr`, `keypoints`, `head`, `anchors`

    6 mistakes
    ");
}

#[test]
fn tabs_are_named() {
    insta::assert_snapshot!(in_steps("\tsmall: { quantize: { model: native, scheme: float16 } }\n"), @"
    error: a tab in the indentation
     --> recipe.yaml:9:1
      |
    9 |     small: { quantize: { model: native, scheme: float16 } }
      | ^^^^
      |
      = help: indent with spaces; YAML does not allow tabs there
    ");
}

#[test]
fn duplicate_keys_are_named() {
    insta::assert_snapshot!(in_steps("  native: { import: { from: network } }\n"), @"
    error: `native` stands twice
     --> recipe.yaml:9:3
      |
    7 |   native: { import: { from: network } }
      |   ------ first here
    8 |   test: { dataset: { source: digits, split: test } }
    9 |   native: { import: { from: network } }
      |   ^^^^^^ again here
      |
      = help: a key may stand once in a mapping; rename or remove one of them
    ");
}

#[test]
fn a_cycle_is_shown_as_a_whole() {
    insta::assert_snapshot!(in_steps("  a: { fold: { model: c } }
  b: { fold: { model: a } }
  c: { fold: { model: b } }
"), @"
    error: steps `a`, `b`, `c` need each other in a circle
      --> recipe.yaml:9:23
       |
     9 |   a: { fold: { model: c } }
       |                       ^ `a` needs `c`
    10 |   b: { fold: { model: a } }
       |                       - `b` needs `a`
    11 |   c: { fold: { model: b } }
       |                       - `c` needs `b`
       |
       = help: a step can only use what comes before it; break the circle at one of these ports
    ");
}

#[test]
fn an_anchor_bomb_does_not_go_off() {
    let level = |n: usize| {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        format!("  a{n}: &a{n} [{list}]")
    };
    let levels: Vec<String> = (1..12).map(level).collect();
    let start = "schema: pipeline/v1\nname: bomb\nparams:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    let text = format!("{start}{}\n", levels.join("\n"));
    insta::assert_snapshot!(complaints(&text), @"
    error: aliases blow the recipe up to more than 200000 values
     --> recipe.yaml:9:12
      |
    9 |   a5: &a5 [*a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4]
      |            ^^^
      |
      = help: share values through `params` instead of anchors
    ");
}

#[test]
fn values_of_the_wrong_type_are_named() {
    insta::assert_snapshot!(in_steps("  ranges: { calibrate: { model: native, data: test, count: many, method: minmax } }
  speed: { benchmark: { model: native, runs: 0, warmup: -1 } }
  half: { quantize: { model: native, scheme: [float16] } }
"), @"
    error: calibrate.count: the string `many` is not an integer of at least 1
     --> recipe.yaml:9:60
      |
    9 |   ranges: { calibrate: { model: native, data: test, count: many, method: minmax } }
      |                                                            ^^^^

    error: benchmark.runs: `0` is not an integer of at least 1
      --> recipe.yaml:10:46
       |
    10 |   speed: { benchmark: { model: native, runs: 0, warmup: -1 } }
       |                                              ^

    error: benchmark.warmup: `-1` is not an integer of at least 0
      --> recipe.yaml:10:57
       |
    10 |   speed: { benchmark: { model: native, runs: 0, warmup: -1 } }
       |                                                         ^^

    error: quantize.scheme: a list is not one of `float16`, `dynamic-int8`, `int8`, `int16x8`
      --> recipe.yaml:11:46
       |
    11 |   half: { quantize: { model: native, scheme: [float16] } }
       |                                              ^^^^^^^^^

    4 mistakes
    ");
}

#[test]
fn what_an_op_refuses_is_found_before_anything_runs() {
    insta::assert_snapshot!(in_steps("  int8: { quantize: { model: native, scheme: int8 } }
  ranges: { calibrate: { model: native, data: test, count: 5, fraction: 0.5, method: minmax } }
  few: { dataset: { source: digits, count: 5, fraction: 0.5 } }
"), @"
    error: int8.quantize: scheme int8 needs `ranges`: add a calibrate step and name it here
     --> recipe.yaml:9:46
      |
    9 |   int8: { quantize: { model: native, scheme: int8 } }
      |                                              ^^^^

    error: ranges.calibrate: count and fraction exclude each other: keep one
      --> recipe.yaml:10:60
       |
    10 |   ranges: { calibrate: { model: native, data: test, count: 5, fraction: 0.5, method: minmax } }
       |                                                            ^

    error: few.dataset: count: excludes `fraction`; give one of them
      --> recipe.yaml:11:44
       |
    11 |   few: { dataset: { source: digits, count: 5, fraction: 0.5 } }
       |                                            ^

    3 mistakes
    ");
}

#[test]
fn no_recipe_at_all() {
    let lab = Lab::new();
    let call = lab.call(&["run", "nothing.yaml"]).expect(2);
    insta::assert_snapshot!(call.stderr, @"error: nothing.yaml: cannot read the recipe: No such file or directory (os error 2)");
    lab.write("recipe.yaml", "");
    let call = lab.call(&["check", "recipe.yaml"]).expect(2);
    insta::assert_snapshot!(call.stderr, @"
    error: the recipe is empty
     --> recipe.yaml:1:1
      |
    1 |
      | ^
      |
      = help: a recipe starts with `schema: pipeline/v1`, `name: …` and `steps: …`
    ");
    lab.write("recipe.yaml", [0xff, 0xfe, 0x00]);
    let call = lab.call(&["check", "recipe.yaml"]).expect(2);
    insta::assert_snapshot!(call.stderr, @"
    error: byte 0xff is not UTF-8
     --> recipe.yaml:1:1
      |
    1 |
      | ^
      |
      = help: save the recipe as UTF-8
    ");
}

#[test]
fn options_that_fit_nothing_are_named() {
    let lab = Lab::quickstart();
    let call = lab
        .call(&[
            "check",
            "recipe.yaml",
            "--set",
            "sed=8",
            "--axis",
            "fraction=1",
            "--only",
            "int9",
        ])
        .expect(2);
    insta::assert_snapshot!(call.stderr, @"
    error: the recipe has no axis `fraction`
     |
     = note: in `--axis fraction=1`

    error: the recipe has no step `int9`
     |
     = note: in `--only int9`
     = help: did you mean `int8`?

    error: the recipe has no param `sed`
     |
     = note: in `--set sed=8`
     = help: did you mean `seed`?

    3 mistakes
    ");
}

#[test]
fn parameters_that_do_nothing_or_cannot_be_are_found_before_anything_runs() {
    let cases = [
        (
            "calibrate: { model: native, data: test, momentum: 0.5 }",
            "momentum is for method moving-average",
        ),
        (
            "calibrate: { model: native, data: test, percentile: 99 }",
            "percentile is for method percentile",
        ),
        (
            "dataset: { source: digits, transform: [{ div: [0] }] }",
            "divides by zero",
        ),
        (
            "verify: { model: native, reference: native, data: test, max-abs-error: -1 }",
            "-1 is below 0",
        ),
    ];
    for (step, words) in cases {
        let lab = Lab::with_steps(&format!("  x: {{ {step} }}\n"));
        let call = lab.call(&["check", "recipe.yaml"]).expect(2);
        assert!(call.stderr.contains(words), "{step}: {call}");
    }
}

/// The first line of what `check` says about further steps.
#[track_caller]
fn first(steps: &str) -> String {
    let all = in_steps(steps);
    all.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn inputs_that_cannot_work_together_are_found_before_anything_runs() {
    let integers = "  ranges: { calibrate: { model: native, data: test } }
  int8: { quantize: { model: native, ranges: ranges, scheme: int8 } }
";
    let after = |steps: &str| first(&format!("{integers}{steps}"));
    insta::assert_snapshot!(after("  again: { quantize: { model: int8, scheme: float16 } }\n"), @"error: again.quantize: model: `int8` makes an integer model, and quantize takes a float model; name a step before the quantization");
    insta::assert_snapshot!(after("  pruned: { prune: { model: int8, sparsity: 0.5 } }\n"), @"error: pruned.prune: model: `int8` makes an integer model, and prune takes a float model; name a step before the quantization");
    insta::assert_snapshot!(after("  file: { export: { model: int8, format: safetensors } }\n"), @"error: file.export: model: `int8` makes an integer model, and export takes a float model with this format; name a step before the quantization");
    insta::assert_snapshot!(first("  folded: { fold: { model: native } }\n  repaired: { reestimate-bn: { model: folded, reference: native, data: test } }\n"), @"error: repaired.reestimate-bn: model: `folded` has no batch norms left, they are folded into other layers; repair a step before that, or use correct-bias");
    insta::assert_snapshot!(first("  weights: { export: { model: native, format: safetensors } }\n  quality: { evaluate: { model: weights, data: test } }\n"), @"error: quality.evaluate: model: `weights` writes weights alone, which nothing can run; name the model, or a .tflite, .onnx or SavedModel file");
    insta::assert_snapshot!(first("  other: { import: { from: network, format: onnx } }\n"), @"error: other.import: format: `digits.h5` has the name of another kind of file: remove it, or name another file");
    insta::assert_snapshot!(first("  pruned: { prune: { model: native, sparsity: 0.5, layers: [\"op:conv\"] } }\n"), @"error: pruned.prune: layers: `op:conv` names no operator; did you mean `op:conv2d`?");
    let quality = "  quality: { evaluate: { model: native, data: test } }\n";
    insta::assert_snapshot!(first(&format!("{quality}  report: {{ report: {{ compare: [quality], baseline: int8 }} }}\n")), @"error: report.report: baseline: no compared variant is named `int8`; there are native");
    insta::assert_snapshot!(first(&format!("{quality}expect:\n  - {{ metric: quality.accuracy, ge: 90 }}\n")), @"error: expect.ge: accuracy is a share between 0 and 1");
}

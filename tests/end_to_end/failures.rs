//! Steps that fail and expectations that are not met.

use schedule::Status;

use crate::support::{DIGITS, Lab, set};

/// `strict` fails: half precision differs from full precision by more than nothing.
const STRICT: &str = "  half: { quantize: { model: native, scheme: float16 } }
  strict: { verify: { model: half, reference: native, data: test, max-abs-error: 0.0 } }
  after: { report: { compare: [strict] } }
";

/// Does not depend on `strict`.
const OTHER: &str = "  file: { export: { model: half } }
  quality: { evaluate: { model: file, data: test } }
";

#[test]
fn a_failure_is_told_and_never_cached() {
    let lab = Lab::with_steps(STRICT);
    for _ in 0..2 {
        let run = lab.run_to(1, &[]);
        assert!(
            run.error("strict").contains("differ by up to"),
            "{}",
            run.error("strict")
        );
        assert!(run.call.stderr.contains("strict"), "{}", run.call);
        assert_eq!(run.with(Status::Skipped), set(["after"]));
    }
    lab.edit("max-abs-error: 0.0", "max-abs-error: 0.1");
    assert_eq!(lab.run(&[]).executed(), set(["strict", "after"]));
}

#[test]
fn a_model_that_is_too_slow_is_not_chosen() {
    let lab = Lab::with_steps(
        "  ranges: { calibrate: { model: native, data: test, count: 50 } }
  small: { auto: { model: native, ranges: ranges, data: test, drop: 1.0, count: 20, held-out: 20, latency: 0.00001 } }
",
    );
    let run = lab.run_to(1, &[]);
    let said = "latency: the smallest model within the drop of 1 takes ";
    assert!(run.error("small").starts_with(said), "{}", run.error("small"));
    lab.edit("latency: 0.00001", "latency: 0");
    let call = lab.call(&["check", "recipe.yaml"]).expect(2);
    assert!(call.stderr.contains("latency: no model takes no time"), "{call}");
    lab.edit("latency: 0", "latency: 60000");
    assert_eq!(lab.run(&[]).executed(), set(["small"]));
}

#[test]
fn other_branches_finish_under_keep_going() {
    let lab = Lab::with_steps(&format!("{STRICT}{OTHER}"));
    let run = lab.run_to(1, &["-k"]);
    assert_eq!(run.with(Status::Failed), set(["strict"]));
    assert_eq!(run.with(Status::Skipped), set(["after"]));
    assert_eq!(
        run.with(Status::Ran),
        set(["native", "test", "half", "file", "quality"])
    );
    assert!(
        lab.files("out").keys().any(|name| name.ends_with(".tflite")),
        "{:?}",
        lab.files("out").keys()
    );
}

#[test]
fn without_keep_going_the_first_failure_ends_the_run() {
    let lab = Lab::with_steps(STRICT);
    lab.run_to(1, &[]);
    lab.write("recipe.yaml", format!("{DIGITS}{STRICT}{OTHER}"));
    // With one thread at a time, whatever had not begun is skipped.
    let run = lab.run_to(1, &["-j1"]);
    assert_eq!(run.with(Status::Failed), set(["strict"]));
    assert!(run.with(Status::Skipped).contains("after"));
    assert_eq!(run.record.instances.len(), 7);
}

#[test]
fn an_expectation_that_is_not_met_has_its_own_exit_code() {
    let gates = "expect:
  - { metric: quality.accuracy, ge: 0.5 }
  - { metric: quality.accuracy, ge: 0.999 }
  - { metric: file.bytes, le: 10 }
";
    let lab = Lab::with_steps(&format!(
        "  half: {{ quantize: {{ model: native, scheme: float16 }} }}\n{OTHER}{gates}"
    ));
    let run = lab.run_to(3, &[]);
    let passed: Vec<bool> = run
        .record
        .expectations
        .iter()
        .map(|e| e.outcome == report::Outcome::Passed)
        .collect();
    assert_eq!(passed, [true, false, false]);
    assert!(
        run.call
            .stdout
            .contains("recipe.yaml:14:5: missed: accuracy of quality is"),
        "{}",
        run.call
    );
    // Gates are in no key: meeting them takes no work.
    lab.edit("0.999", "0.9");
    lab.edit("le: 10 ", "le: 1000000 ");
    assert_eq!(lab.run(&[]).executed(), set([]));
}

#[test]
fn a_gate_that_matches_nothing_is_a_mistake() {
    let lab = Lab::with_steps(
        "  quality: { evaluate: { model: native, data: test } }
expect:
  - { metric: qality.accuracy, ge: 0.5 }
  - { metric: quality.accuracy, at: { model: native }, ge: 0.5 }
  - { metric: quality.accuracy, at: { fraction: 1 }, ge: 0.5 }
",
    );
    let call = lab.call(&["check", "recipe.yaml"]).expect(2);
    insta::assert_snapshot!(call.stderr, @"
    error: expect.metric: the recipe has no step `qality`
      --> recipe.yaml:11:15
       |
    11 |   - { metric: qality.accuracy, ge: 0.5 }
       |               ^^^^^^^^^^^^^^^
       |
       = help: did you mean `quality`?

    error: expect.at: `quality` has no coordinate `model`
      --> recipe.yaml:12:5
       |
    12 |   - { metric: quality.accuracy, at: { model: native }, ge: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: `quality` has one instance and no coordinates

    error: expect.at: `quality` has no coordinate `fraction`
      --> recipe.yaml:13:5
       |
    13 |   - { metric: quality.accuracy, at: { fraction: 1 }, ge: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: `quality` has one instance and no coordinates

    3 mistakes
    ");
    assert!(!lab.path("out").exists());
}

#[test]
fn a_metric_that_a_step_does_not_find_is_no_success() {
    let lab = Lab::with_steps(
        "  quality: { evaluate: { model: native, data: test } }
expect:
  - { metric: quality.acuracy, ge: 0.5 }
",
    );
    let call = lab.call(&["run", "recipe.yaml", "--out", "out"]);
    assert!(matches!(call.code, Some(2 | 3)), "{call}");
    assert!(
        call.stdout.contains("acuracy") || call.stderr.contains("acuracy"),
        "{call}"
    );
}

//! What enters a key: each change of a recipe, of its files and of what is around it, and exactly what runs again for it.

use std::fs;

use crate::support::{Lab, set};

const RECIPE: &str = "\
schema: pipeline/v1
name: keys
params: { sparsity: 0.5 }
sources:
  network: { file: digits.h5 }
  digits: { file: digits.npz }
steps:
  native: { import: { from: network } }
  test: { dataset: { source: digits, split: test } }
  small: { prune: { model: native, sparsity: $sparsity } }
  file: { export: { model: small } }
  quality: { evaluate: { model: small, data: test } }
  report: { report: { compare: [quality, file] } }
expect:
  - { metric: quality.accuracy, ge: 0.1 }
";

/// A change of the recipe's text, what is passed, and what runs again.
struct Case {
    what: &'static str,
    from: &'static str,
    to: &'static str,
    arguments: &'static [&'static str],
    again: &'static [&'static str],
}

const fn edit(what: &'static str, from: &'static str, to: &'static str, again: &'static [&'static str]) -> Case {
    Case {
        what,
        from,
        to,
        arguments: &[],
        again,
    }
}

const fn option(what: &'static str, arguments: &'static [&'static str], again: &'static [&'static str]) -> Case {
    Case {
        what,
        from: "",
        to: "",
        arguments,
        again,
    }
}

const CASES: &[Case] = &[
    // What changes no result.
    edit("a comment", "steps:", "steps:  # what is done", &[]),
    edit("the spelling", "[quality, file]", "['quality', \"file\"]", &[]),
    edit("words about the recipe", "params:", "doc: for the test\nparams:", &[]),
    edit("a gate", "ge: 0.1", "ge: 0.2", &[]),
    edit(
        "the order of steps",
        "  file: { export: { model: small } }\n  quality: { evaluate: { model: small, data: test } }\n",
        "  quality: { evaluate: { model: small, data: test } }\n  file: { export: { model: small } }\n",
        &[],
    ),
    edit(
        "where a source lies",
        "file: digits.npz",
        "file: elsewhere/digits.npz",
        &[],
    ),
    option("threads", &["--jobs", "1"], &[]),
    option("the folder", &["--out", "other"], &[]),
    option(
        "a parameter that is what it was",
        &["--set", "sparsity=0.5"],
        &["report"],
    ),
    // What a report tells.
    edit("the recipe's name", "name: keys", "name: other", &["report"]),
    edit("the name of a step", "small", "tiny", &["report"]),
    // What a step computes, and what is made from it.
    edit(
        "a parameter",
        "split: test",
        "split: train",
        &["test", "quality", "report"],
    ),
    option(
        "a parameter of the recipe",
        &["--set", "sparsity=0.9"],
        &["small", "file", "quality", "report"],
    ),
    edit(
        "a parameter without an effect stops where results are equal",
        "from: network",
        "from: network, format: keras",
        &["native", "report"],
    ),
    edit(
        "the format of a file",
        "model: small } }\n  q",
        "model: small, format: onnx } }\n  q",
        &["file", "report"],
    ),
];

#[test]
fn each_change_runs_again_what_it_reaches_and_nothing_else() {
    let lab = Lab::with_recipe(RECIPE);
    fs::create_dir(lab.path("elsewhere")).expect("writable");
    fs::copy(lab.path("digits.npz"), lab.path("elsewhere/digits.npz")).expect("writable");
    for case in CASES {
        lab.write("recipe.yaml", RECIPE);
        lab.call(&["cache", "clear"]).expect(0);
        lab.run(&["--force"]);
        if !case.from.is_empty() {
            lab.edit(case.from, case.to);
        }
        let out = if case.arguments.contains(&"--out") {
            "other"
        } else {
            "out"
        };
        let mut arguments = vec!["run", "recipe.yaml"];
        if out == "out" {
            arguments.extend(["--out", "out"]);
        }
        arguments.extend(case.arguments);
        let call = lab.call(&arguments).expect(0);
        let record = lab.record(out);
        let ran = record.instances.iter().filter(|i| i.status == schedule::Status::Ran);
        let ran: std::collections::BTreeSet<&str> = ran.map(|i| i.id.as_str()).collect();
        assert_eq!(ran, case.again.iter().copied().collect(), "{}: {call}", case.what);
    }
}

#[test]
fn a_change_in_a_source_reaches_what_reads_it() {
    let lab = Lab::with_recipe(RECIPE);
    lab.run(&[]);
    let mut bytes = fs::read(lab.path("digits.npz")).expect("a source");
    // A comment at the end of the archive, which nobody reads.
    let length = bytes.len() - 2;
    bytes[length..].copy_from_slice(&4u16.to_le_bytes());
    bytes.extend(b"note");
    fs::write(lab.path("digits.npz"), bytes).expect("writable");
    assert_eq!(lab.run(&[]).executed(), set(["test"]));
}

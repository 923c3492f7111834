//! Every kind of mistake in a readable recipe, with the complaint it gets.

mod common;

use common::{complaints, complaints_with, with};
use recipe::Overrides;

#[test]
fn ten_mistakes_get_ten_complaints() {
    let text = "schema: pipeline/v2
name: my lab
stepps: {}
params: { seed: [[1]] }
axes: { sparsity: [0.2, 1.5], empty: [] }
sources: { w: { file: w.h5 } }
steps:
  base: { import: { from: weights } }
  p: { prune: { model: bse, sparsity: $sparsity, metod: magnitude } }
  q: { quantise: { model: base } }
";
    assert_eq!(complaints(text).matches("error: ").count(), 10);
    insta::assert_snapshot!(complaints(text), @"
    error: schema: the string `pipeline/v2` is not `pipeline/v1`
     --> recipe.yaml:1:9
      |
    1 | schema: pipeline/v2
      |         ^^^^^^^^^^^
      |
      = help: this program reads version 1 of the recipe language

    error: name: `my lab` is not a name
     --> recipe.yaml:2:7
      |
    2 | name: my lab
      |       ^^^^^^
      |
      = help: a name starts with a letter or `_` and goes on with letters, digits, `-` and `_`

    error: unknown key `stepps`
     --> recipe.yaml:3:1
      |
    3 | stepps: {}
      | ^^^^^^
      |
      = help: did you mean `steps`?

    error: params.seed: a list inside a list is not a scalar
     --> recipe.yaml:4:18
      |
    4 | params: { seed: [[1]] }
      |                  ^^^

    error: prune.sparsity: `1.5` is not a number from 0 to 1
     --> recipe.yaml:5:25
      |
    5 | axes: { sparsity: [0.2, 1.5], empty: [] }
      |                         ^^^
    ...
    9 |   p: { prune: { model: bse, sparsity: $sparsity, metod: magnitude } }
      |                                       --------- used as prune.sparsity

    error: axes.empty: an axis has at least one value
     --> recipe.yaml:5:38
      |
    5 | axes: { sparsity: [0.2, 1.5], empty: [] }
      |                                      ^^
      |
      = help: without a value no step on this axis would run

    error: import.from: there is no source `weights`
     --> recipe.yaml:8:27
      |
    8 |   base: { import: { from: weights } }
      |                           ^^^^^^^
      |
      = help: the recipe's sources: `w`

    error: prune.model: there is no step `bse`
     --> recipe.yaml:9:24
      |
    9 |   p: { prune: { model: bse, sparsity: $sparsity, metod: magnitude } }
      |                        ^^^
      |
      = help: did you mean `base`?

    error: prune: unknown key `metod`
     --> recipe.yaml:9:50
      |
    9 |   p: { prune: { model: bse, sparsity: $sparsity, metod: magnitude } }
      |                                                  ^^^^^
      |
      = help: did you mean `method`?

    error: q: unknown op `quantise`
      --> recipe.yaml:10:8
       |
    10 |   q: { quantise: { model: base } }
       |        ^^^^^^^^
       |
       = help: did you mean `quantize`?
    ");
}

#[test]
fn missing_sections() {
    insta::assert_snapshot!(complaints("params: {}\n"), @"
    error: `name` is missing
     --> recipe.yaml:1:1
      |
    1 | params: {}
      | ^
      |
      = help: add `name: my-recipe`

    error: `schema` is missing
     --> recipe.yaml:1:1
      |
    1 | params: {}
      | ^
      |
      = help: start the recipe with `schema: pipeline/v1`

    error: `steps` is missing
     --> recipe.yaml:1:1
      |
    1 | params: {}
      | ^
      |
      = help: a recipe has at least one step
    ");
    insta::assert_snapshot!(complaints("schema: pipeline/v1\nname: a\nsteps:\n"), @"
    error: a recipe has at least one step
     --> recipe.yaml:3:1
      |
    3 | steps:
      | ^^^^^
    ");
}

#[test]
fn sections_of_the_wrong_type() {
    let text = "schema: pipeline/v1\nname: 5\ndoc: []\nparams: [1]\naxes: 5\nsources: x\nsteps: [a]\nexpect: {}\n";
    insta::assert_snapshot!(complaints(text), @"
    error: name: `5` is not a string
     --> recipe.yaml:2:7
      |
    2 | name: 5
      |       ^

    error: doc: a list is not a string
     --> recipe.yaml:3:6
      |
    3 | doc: []
      |      ^^

    error: params: a list is not a mapping of names with values
     --> recipe.yaml:4:9
      |
    4 | params: [1]
      |         ^^^

    error: axes: `5` is not a mapping of names with lists of values
     --> recipe.yaml:5:7
      |
    5 | axes: 5
      |       ^

    error: sources: the string `x` is not a mapping of names with files or downloads
     --> recipe.yaml:6:10
      |
    6 | sources: x
      |          ^

    error: steps: a list is not a mapping of names with steps
     --> recipe.yaml:7:8
      |
    7 | steps: [a]
      |        ^^^

    error: expect: a mapping is not a list of expectations
     --> recipe.yaml:8:9
      |
    8 | expect: {}
      |         ^^
      |
      = help: start each one with `- `
    ");
}

#[test]
fn names() {
    let text =
        with("  8bit: { prune: { model: base, sparsity: 0 } }\n  a.b: { prune: { model: base, sparsity: 0 } }\n");
    insta::assert_snapshot!(complaints(&text), @"
    error: steps: `8bit` is not a name
     --> recipe.yaml:7:3
      |
    7 |   8bit: { prune: { model: base, sparsity: 0 } }
      |   ^^^^
      |
      = help: a name starts with a letter or `_` and goes on with letters, digits, `-` and `_`

    error: steps: `a.b` is not a name
     --> recipe.yaml:8:3
      |
    8 |   a.b: { prune: { model: base, sparsity: 0 } }
      |   ^^^
      |
      = help: a name starts with a letter or `_` and goes on with letters, digits, `-` and `_`
    ");
}

#[test]
fn steps_without_an_op() {
    insta::assert_snapshot!(complaints(&with("  a: {}\n  b: { when: true }\n  c: 5\n  d:\n")), @"
    error: a: a step has an op
     --> recipe.yaml:7:3
      |
    7 |   a: {}
      |   ^
      |
      = help: known ops: `import`, `dataset`, `calibrate`, `quantize`, `prune`, `cluster`, `export`, `evaluate`, `benchmark`, `verify`, `report`

    error: b: a step has an op
     --> recipe.yaml:8:3
      |
    8 |   b: { when: true }
      |   ^
      |
      = help: known ops: `import`, `dataset`, `calibrate`, `quantize`, `prune`, `cluster`, `export`, `evaluate`, `benchmark`, `verify`, `report`

    error: c: `5` is not a step
     --> recipe.yaml:9:6
      |
    9 |   c: 5
      |      ^
      |
      = help: a step is written `{ OP: { … } }`, such as `{ fold: { model: base } }`

    error: d: an empty value is not a step
      --> recipe.yaml:10:3
       |
    10 |   d:
       |   ^
       |
       = help: a step is written `{ OP: { … } }`, such as `{ fold: { model: base } }`
    ");
}

#[test]
fn two_ops_and_stray_keys() {
    let text = with("  a: { prune: { model: base, sparsity: 0 }, export: { model: base }, ressources: {} }\n");
    insta::assert_snapshot!(complaints(&text), @"
    error: a: a second op `export`
     --> recipe.yaml:7:45
      |
    7 |   a: { prune: { model: base, sparsity: 0 }, export: { model: base }, ressources: {} }
      |        ----- the first op                   ^^^^^^
      |
      = help: a step has exactly one op; make it a step of its own

    error: a: unknown key `ressources`
     --> recipe.yaml:7:70
      |
    7 |   a: { prune: { model: base, sparsity: 0 }, export: { model: base }, ressources: {} }
      |                                                                      ^^^^^^^^^^
      |
      = help: did you mean `resources`?
    ");
}

#[test]
fn unknown_op_and_parameter() {
    let text =
        with("  a: { quantise: { model: base } }\n  b: { zip: {} }\n  c: { prune: { model: base, sparsety: 0.5 } }\n");
    insta::assert_snapshot!(complaints(&text), @"
    error: a: unknown op `quantise`
     --> recipe.yaml:7:8
      |
    7 |   a: { quantise: { model: base } }
      |        ^^^^^^^^
      |
      = help: did you mean `quantize`?

    error: b: unknown op `zip`
     --> recipe.yaml:8:8
      |
    8 |   b: { zip: {} }
      |        ^^^
      |
      = help: known ops: `import`, `dataset`, `calibrate`, `quantize`, `prune`, `cluster`, `export`, `evaluate`, `benchmark`, `verify`, `report`

    error: prune: unknown key `sparsety`
     --> recipe.yaml:9:30
      |
    9 |   c: { prune: { model: base, sparsety: 0.5 } }
      |                              ^^^^^^^^
      |
      = help: did you mean `sparsity`?
    ");
}

#[test]
fn parameters_of_the_wrong_type() {
    let text = with(
        "  a: { prune: { model: base, sparsity: high, schedule: 5 } }
  b: { prune: { model: base, sparsity: '0.5' } }
  c: { cluster: { model: base, clusters: 8.0, seed: 007 } }
  d: { quantize: { model: base, per-channel: yes } }
  e: { calibrate: { model: base, data: data, classes: dog } }
  f: { report: { compare: [base], title: 5 } }
  g: { prune: [base] }
  h: { cluster: { model: base, clusters: 1_6 } }
  i: { dataset: { source: w, mean: [0.5, x], resize: [224] } }
  j: { cluster: { model: base, clusters: ~ } }
",
    );
    insta::assert_snapshot!(complaints(&text), @"
    error: prune.sparsity: the string `high` is not a number from 0 to 1
     --> recipe.yaml:7:40
      |
    7 |   a: { prune: { model: base, sparsity: high, schedule: 5 } }
      |                                        ^^^^

    error: prune.schedule: `5` is not one of `constant`, `polynomial`
     --> recipe.yaml:7:56
      |
    7 |   a: { prune: { model: base, sparsity: high, schedule: 5 } }
      |                                                        ^

    error: prune.sparsity: the string `0.5` is not a number from 0 to 1
     --> recipe.yaml:8:40
      |
    8 |   b: { prune: { model: base, sparsity: '0.5' } }
      |                                        ^^^^^
      |
      = help: write `0.5` without quotes, underscores or leading zeros

    error: cluster.clusters: `8.0` is not an integer from 2 to 256
     --> recipe.yaml:9:42
      |
    9 |   c: { cluster: { model: base, clusters: 8.0, seed: 007 } }
      |                                          ^^^
      |
      = help: write `8`

    error: cluster.seed: the string `007` is not an integer of at least 0
     --> recipe.yaml:9:53
      |
    9 |   c: { cluster: { model: base, clusters: 8.0, seed: 007 } }
      |                                                     ^^^
      |
      = help: write `7` without quotes, underscores or leading zeros

    error: quantize.per-channel: the string `yes` is not `true` or `false`
      --> recipe.yaml:10:46
       |
    10 |   d: { quantize: { model: base, per-channel: yes } }
       |                                              ^^^
       |
       = help: write `true`

    error: calibrate.classes: the string `dog` is not a list of strings
      --> recipe.yaml:11:55
       |
    11 |   e: { calibrate: { model: base, data: data, classes: dog } }
       |                                                       ^^^
       |
       = help: put it in brackets to make it a list

    error: report.title: `5` is not a string
      --> recipe.yaml:12:42
       |
    12 |   f: { report: { compare: [base], title: 5 } }
       |                                          ^
       |
       = help: put it in quotes to make it a string

    error: prune: a list is not a mapping with `model`, `method`, `sparsity`, `schedule`
      --> recipe.yaml:13:15
       |
    13 |   g: { prune: [base] }
       |               ^^^^^^

    error: cluster.clusters: the string `1_6` is not an integer from 2 to 256
      --> recipe.yaml:14:42
       |
    14 |   h: { cluster: { model: base, clusters: 1_6 } }
       |                                          ^^^
       |
       = help: write `16` without quotes, underscores or leading zeros

    error: dataset.mean: the string `x` is not a number
      --> recipe.yaml:15:42
       |
    15 |   i: { dataset: { source: w, mean: [0.5, x], resize: [224] } }
       |                                          ^

    error: dataset.resize: a list of 1 item is not a list of 2 items: an integer of at least 0, an integer of at least 0
      --> recipe.yaml:15:54
       |
    15 |   i: { dataset: { source: w, mean: [0.5, x], resize: [224] } }
       |                                                      ^^^^^

    error: cluster.clusters: an empty value is not an integer from 2 to 256
      --> recipe.yaml:16:42
       |
    16 |   j: { cluster: { model: base, clusters: ~ } }
       |                                          ^
    ");
}

#[test]
fn parameters_out_of_range() {
    let text = with(
        "  a: { prune: { model: base, sparsity: 1.5 } }
  b: { cluster: { model: base, clusters: 1 } }
  c: { calibrate: { model: base, data: data, fraction: 0, seed: -1 } }
  d: { benchmark: { model: base, threads: 300, runs: 0, warmup: 99999999999 } }
  e: { cluster: { model: base, clusters: 2, seed: .inf } }
",
    );
    insta::assert_snapshot!(complaints(&text), @"
    error: prune.sparsity: `1.5` is not a number from 0 to 1
     --> recipe.yaml:7:40
      |
    7 |   a: { prune: { model: base, sparsity: 1.5 } }
      |                                        ^^^

    error: cluster.clusters: `1` is not an integer from 2 to 256
     --> recipe.yaml:8:42
      |
    8 |   b: { cluster: { model: base, clusters: 1 } }
      |                                          ^

    error: calibrate.fraction: `0` is not a number above 0 and at most 1
     --> recipe.yaml:9:56
      |
    9 |   c: { calibrate: { model: base, data: data, fraction: 0, seed: -1 } }
      |                                                        ^

    error: calibrate.seed: `-1` is not an integer of at least 0
     --> recipe.yaml:9:65
      |
    9 |   c: { calibrate: { model: base, data: data, fraction: 0, seed: -1 } }
      |                                                                 ^^

    error: benchmark.threads: `300` is not an integer from 0 to 255
      --> recipe.yaml:10:43
       |
    10 |   d: { benchmark: { model: base, threads: 300, runs: 0, warmup: 99999999999 } }
       |                                           ^^^

    error: benchmark.runs: `0` is not an integer of at least 1
      --> recipe.yaml:10:54
       |
    10 |   d: { benchmark: { model: base, threads: 300, runs: 0, warmup: 99999999999 } }
       |                                                      ^

    error: benchmark.warmup: `99999999999` is not an integer of at least 0
      --> recipe.yaml:10:65
       |
    10 |   d: { benchmark: { model: base, threads: 300, runs: 0, warmup: 99999999999 } }
       |                                                                 ^^^^^^^^^^^
       |
       = help: at most 4294967295 fits here

    error: cluster.seed: the string `.inf` is not an integer of at least 0
      --> recipe.yaml:11:51
       |
    11 |   e: { cluster: { model: base, clusters: 2, seed: .inf } }
       |                                                   ^^^^
    ");
}

#[test]
fn choices() {
    let text = with(
        "  a: { quantize: { model: base, scheme: int7 } }
  b: { quantize: { model: base, scheme: Float16 } }
  c: { quantize: { model: base, scheme: 8 } }
  d: { calibrate: { model: base, data: data, method: percentil } }
  e: { calibrate: { model: base, data: data, method: { percentil: { upper: 99 } } } }
  f: { calibrate: { model: base, data: data, method: { percentile: { upper: 101, lower: 1 } } } }
  g: { calibrate: { model: base, data: data, method: percentile } }
  h: { calibrate: { model: base, data: data, method: [kl] } }
  i: { calibrate: { model: base, data: data, method: { percentile: { upper: 99.9 } } } }
",
    );
    insta::assert_snapshot!(complaints(&text), @"
    error: quantize.scheme: the string `int7` is not one of `float16`, `dynamic-int8`, `int8`
     --> recipe.yaml:7:41
      |
    7 |   a: { quantize: { model: base, scheme: int7 } }
      |                                         ^^^^
      |
      = help: did you mean `int8`?

    error: quantize.scheme: the string `Float16` is not one of `float16`, `dynamic-int8`, `int8`
     --> recipe.yaml:8:41
      |
    8 |   b: { quantize: { model: base, scheme: Float16 } }
      |                                         ^^^^^^^
      |
      = help: did you mean `float16`?

    error: quantize.scheme: `8` is not one of `float16`, `dynamic-int8`, `int8`
     --> recipe.yaml:9:41
      |
    9 |   c: { quantize: { model: base, scheme: 8 } }
      |                                         ^

    error: calibrate.method: the string `percentil` is not one of `minmax`, `kl`, or a mapping with `percentile`
      --> recipe.yaml:10:54
       |
    10 |   d: { calibrate: { model: base, data: data, method: percentil } }
       |                                                      ^^^^^^^^^
       |
       = help: write `{ percentile: … }`

    error: calibrate.method: unknown key `percentil`
      --> recipe.yaml:11:56
       |
    11 |   e: { calibrate: { model: base, data: data, method: { percentil: { upper: 99 } } } }
       |                                                        ^^^^^^^^^
       |
       = help: did you mean `percentile`?

    error: calibrate.method.percentile.upper: `101` is not a number from 50 to 100
      --> recipe.yaml:12:77
       |
    12 |   f: { calibrate: { model: base, data: data, method: { percentile: { upper: 101, lower: 1 } } } }
       |                                                                             ^^^

    error: calibrate.method.percentile: unknown key `lower`
      --> recipe.yaml:12:82
       |
    12 |   f: { calibrate: { model: base, data: data, method: { percentile: { upper: 101, lower: 1 } } } }
       |                                                                                  ^^^^^
       |
       = help: known keys: `upper`

    error: calibrate.method: the string `percentile` is not one of `minmax`, `kl`, or a mapping with `percentile`
      --> recipe.yaml:13:54
       |
    13 |   g: { calibrate: { model: base, data: data, method: percentile } }
       |                                                      ^^^^^^^^^^
       |
       = help: write `{ percentile: … }`

    error: calibrate.method: a list is not one of `minmax`, `kl`, or a mapping with `percentile`
      --> recipe.yaml:14:54
       |
    14 |   h: { calibrate: { model: base, data: data, method: [kl] } }
       |                                                      ^^^^
    ");
}

#[test]
fn missing_parameters_and_ports() {
    insta::assert_snapshot!(complaints(&with("  a: { prune: {} }\n  b: { prune: }\n  c: { import: {} }\n")), @"
    error: prune: `model` is missing
     --> recipe.yaml:7:8
      |
    7 |   a: { prune: {} }
      |        ^^^^^
      |
      = help: `model` is the name of a step that makes a model

    error: prune: `sparsity` is missing
     --> recipe.yaml:7:8
      |
    7 |   a: { prune: {} }
      |        ^^^^^
      |
      = help: `sparsity` is a number from 0 to 1

    error: prune: `model` is missing
     --> recipe.yaml:8:8
      |
    8 |   b: { prune: }
      |        ^^^^^
      |
      = help: `model` is the name of a step that makes a model

    error: prune: `sparsity` is missing
     --> recipe.yaml:8:8
      |
    8 |   b: { prune: }
      |        ^^^^^
      |
      = help: `sparsity` is a number from 0 to 1

    error: import: `from` is missing
     --> recipe.yaml:9:8
      |
    9 |   c: { import: {} }
      |        ^^^^^^
      |
      = help: `from` is the name of a source
    ");
}

#[test]
fn ports() {
    let text = with(
        "  a: { prune: { model: bas, sparsity: 0 } }
  b: { prune: { model: data, sparsity: 0 } }
  c: { prune: { model: w, sparsity: 0 } }
  d: { prune: { model: $base, sparsity: 0 } }
  e: { prune: { model: [base], sparsity: 0 } }
  f: { prune: { model: 5, sparsity: 0 } }
  g: { prune: { model: { eech: [base] }, sparsity: 0 } }
  h: { prune: { model: { each: [] }, sparsity: 0 } }
  i: { prune: { model: { each: [base, base, data, 7, nothing] }, sparsity: 0 } }
  j: { prune: { model: { each: base }, sparsity: 0 } }
  k: { report: { compare: { each: [base] } } }
  l: { report: { compare: [base, base] } }
  m: { report: { compare: [] } }
  n: { report: { compare: base, baseline: ~ } }
  o: { prune: { model: ~, sparsity: 0 } }
",
    );
    insta::assert_snapshot!(complaints(&text), @"
    error: prune.model: there is no step `bas`
     --> recipe.yaml:7:24
      |
    7 |   a: { prune: { model: bas, sparsity: 0 } }
      |                        ^^^
      |
      = help: did you mean `base`?

    error: prune.model: `data` makes a dataset, not a model
     --> recipe.yaml:8:24
      |
    8 |   b: { prune: { model: data, sparsity: 0 } }
      |                        ^^^^ made by `dataset`
      |
      = help: steps that fit: `base`, `a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, `i`, `j`, `o`

    error: prune.model: `w` is a source, not a step
     --> recipe.yaml:9:24
      |
    9 |   c: { prune: { model: w, sparsity: 0 } }
      |                        ^
      |
      = help: a step such as `dataset` or `import` reads a source

    error: prune.model: `$base` is not the name of a step
      --> recipe.yaml:10:24
       |
    10 |   d: { prune: { model: $base, sparsity: 0 } }
       |                        ^^^^^
       |
       = help: ports take no references; write `{ each: [a, b] }` to try several steps

    error: prune.model: a list is not the name of a step that makes a model
      --> recipe.yaml:11:24
       |
    11 |   e: { prune: { model: [base], sparsity: 0 } }
       |                        ^^^^^^
       |
       = help: write `{ each: [a, b] }` to run the step once for each of several steps

    error: prune.model: `5` is not the name of a step that makes a model
      --> recipe.yaml:12:24
       |
    12 |   f: { prune: { model: 5, sparsity: 0 } }
       |                        ^

    error: prune.model: a mapping here has the one key `each`
      --> recipe.yaml:13:26
       |
    13 |   g: { prune: { model: { eech: [base] }, sparsity: 0 } }
       |                          ^^^^
       |
       = help: write `{ each: [a, b] }` to run the step once for each of several steps

    error: prune.model.each: the list is empty
      --> recipe.yaml:14:32
       |
    14 |   h: { prune: { model: { each: [] }, sparsity: 0 } }
       |                                ^^
       |
       = help: name at least one step

    error: prune.model: `base` stands twice
      --> recipe.yaml:15:39
       |
    15 |   i: { prune: { model: { each: [base, base, data, 7, nothing] }, sparsity: 0 } }
       |                                       ^^^^

    error: prune.model: `data` makes a dataset, not a model
      --> recipe.yaml:15:45
       |
    15 |   i: { prune: { model: { each: [base, base, data, 7, nothing] }, sparsity: 0 } }
       |                                             ^^^^ made by `dataset`
       |
       = help: steps that fit: `base`, `a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, `i`, `j`, `o`

    error: prune.model: `7` is not the name of a step
      --> recipe.yaml:15:51
       |
    15 |   i: { prune: { model: { each: [base, base, data, 7, nothing] }, sparsity: 0 } }
       |                                                   ^

    error: prune.model: there is no step `nothing`
      --> recipe.yaml:15:54
       |
    15 |   i: { prune: { model: { each: [base, base, data, 7, nothing] }, sparsity: 0 } }
       |                                                      ^^^^^^^
       |
       = help: steps that fit: `base`, `a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, `i`, `j`, `o`

    error: prune.model.each: the string `base` is not a list of step names
      --> recipe.yaml:16:32
       |
    16 |   j: { prune: { model: { each: base }, sparsity: 0 } }
       |                                ^^^^

    error: report.compare: this port gathers all its steps at once
      --> recipe.yaml:17:27
       |
    17 |   k: { report: { compare: { each: [base] } } }
       |                           ^^^^^^^^^^^^^^^^
       |
       = help: write the list without `each`

    error: report.compare: `base` stands twice
      --> recipe.yaml:18:34
       |
    18 |   l: { report: { compare: [base, base] } }
       |                                  ^^^^

    error: report.compare: the list is empty
      --> recipe.yaml:19:27
       |
    19 |   m: { report: { compare: [] } }
       |                           ^^
       |
       = help: name at least one step

    error: prune.model: an empty value is not the name of a step that makes a model
      --> recipe.yaml:21:24
       |
    21 |   o: { prune: { model: ~, sparsity: 0 } }
       |                        ^
    ");
}

#[test]
fn cycles() {
    let text = with(
        "  a: { prune: { model: c, sparsity: 0 } }
  b: { prune: { model: a, sparsity: 0 } }
  c: { prune: { model: { each: [base, b] }, sparsity: 0 } }
  d: { prune: { model: d, sparsity: 0 } }
  e: { prune: { model: a, sparsity: 0 } }
",
    );
    insta::assert_snapshot!(complaints(&text), @"
    error: steps `a`, `b`, `c` need each other in a circle
     --> recipe.yaml:7:24
      |
    7 |   a: { prune: { model: c, sparsity: 0 } }
      |                        ^ `a` needs `c`
    8 |   b: { prune: { model: a, sparsity: 0 } }
      |                        - `b` needs `a`
    9 |   c: { prune: { model: { each: [base, b] }, sparsity: 0 } }
      |                                       - `c` needs `b`
      |
      = help: a step can only use what comes before it; break the circle at one of these ports

    error: step `d` needs itself
      --> recipe.yaml:10:24
       |
    10 |   d: { prune: { model: d, sparsity: 0 } }
       |                        ^
    ");
}

#[test]
fn lists_of_downloads() {
    let text = format!(
        "schema: pipeline/v1
name: test
sources:
  data:
    - {{ fetch: \"https://host/a.gz\", sha256: {digest}, size: 5 }}
    - {{ file: b.gz }}
    - {{ fetch: \"https://host/c.gz\", size: 5 }}
    - {{ fetch: \"https://host/e.gz\", file: e.gz, sha256: {digest}, size: 5 }}
    - d.gz
  none: []
steps:
  base: {{ import: {{ from: data }} }}
",
        digest = "0f".repeat(32)
    );
    insta::assert_snapshot!(complaints(&text), @r#"
    error: sources.data: a file in a list of downloads
     --> recipe.yaml:6:7
      |
    6 |     - { file: b.gz }
      |       ^^^^^^^^^^^^^^
      |
      = help: several local files are `{ file: [PATH, PATH] }`

    error: sources.data: `sha256` is missing
     --> recipe.yaml:7:7
      |
    7 |     - { fetch: "https://host/c.gz", size: 5 }
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: a download is fixed by its digest and size; `sha256` is the SHA-256 of the file, 64 hexadecimal digits

    error: sources.data: both `file` and `fetch`
     --> recipe.yaml:8:9
      |
    8 |     - { fetch: "https://host/e.gz", file: e.gz, sha256: 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f, size: 5 }
      |         ^^^^^                       ---- the file
      |
      = help: keep one; `--source NAME=PATH` replaces a download by a local file

    error: sources.data: the string `d.gz` is not a mapping with `file`, `fetch`, `sha256`, `size`, `doc`
     --> recipe.yaml:9:7
      |
    9 |     - d.gz
      |       ^^^^

    error: sources.none: a list is not a mapping with `file`, `fetch`, `sha256`, `size`, `doc`
      --> recipe.yaml:10:9
       |
    10 |   none: []
       |         ^^
    "#);
}

#[test]
fn references() {
    let text = "schema: pipeline/v1
name: test
params: { seed: x, again: $seed, limit: 1.5 }
axes: { sparsity: [0.5, 2, low] }
sources: { w: { file: $path } }
steps:
  base: { import: { from: $w } }
  a: { prune: { model: base, sparsity: $sparsety } }
  b: { prune: { model: base, sparsity: $sparsity } }
  c: { cluster: { model: base, clusters: 8, seed: $seed } }
  d: { prune: { model: base, sparsity: $limit } }
  e: { report: { compare: [base], title: $$limit } }
";
    insta::assert_snapshot!(complaints(text), @"
    error: cluster.seed: the string `x` is not an integer of at least 0
      --> recipe.yaml:3:17
       |
     3 | params: { seed: x, again: $seed, limit: 1.5 }
       |                 ^
    ...
    10 |   c: { cluster: { model: base, clusters: 8, seed: $seed } }
       |                                                   ----- used as cluster.seed

    error: params.again: a value cannot refer to another one
     --> recipe.yaml:3:27
      |
    3 | params: { seed: x, again: $seed, limit: 1.5 }
      |                           ^^^^^
      |
      = help: write the value itself, or `$$` for a literal `$`

    error: prune.sparsity: `1.5` is not a number from 0 to 1
      --> recipe.yaml:3:41
       |
     3 | params: { seed: x, again: $seed, limit: 1.5 }
       |                                         ^^^
    ...
    11 |   d: { prune: { model: base, sparsity: $limit } }
       |                                        ------ used as prune.sparsity

    error: prune.sparsity: `2` is not a number from 0 to 1
     --> recipe.yaml:4:25
      |
    4 | axes: { sparsity: [0.5, 2, low] }
      |                         ^
    ...
    9 |   b: { prune: { model: base, sparsity: $sparsity } }
      |                                        --------- used as prune.sparsity

    error: prune.sparsity: the string `low` is not a number from 0 to 1
     --> recipe.yaml:4:28
      |
    4 | axes: { sparsity: [0.5, 2, low] }
      |                            ^^^
    ...
    9 |   b: { prune: { model: base, sparsity: $sparsity } }
      |                                        --------- used as prune.sparsity

    error: sources.w: `$path` cannot refer to a param
     --> recipe.yaml:5:23
      |
    5 | sources: { w: { file: $path } }
      |                       ^^^^^
      |
      = help: sources are fixed; replace one on the command line with `--source NAME=PATH`

    error: import.from: there is no source `$w`
     --> recipe.yaml:7:27
      |
    7 |   base: { import: { from: $w } }
      |                           ^^
      |
      = help: did you mean `w`?

    error: `$sparsety` is neither a param nor an axis
     --> recipe.yaml:8:40
      |
    8 |   a: { prune: { model: base, sparsity: $sparsety } }
      |                                        ^^^^^^^^^
      |
      = help: did you mean `sparsity`?
    ");
}

#[test]
fn params_and_axes() {
    let text = "schema: pipeline/v1
name: test
params: { a: , b: { c: 1 }, d d: 1, both: 1 }
axes: { x: 1, y: [], z: [1, 2, 1], u: [{ a: 1 }], both: [1], v: [[1, [2]]] }
steps: {}
";
    insta::assert_snapshot!(complaints(text), @"
    error: params.a: an empty value is not a scalar or a list of scalars
     --> recipe.yaml:3:11
      |
    3 | params: { a: , b: { c: 1 }, d d: 1, both: 1 }
      |           ^

    error: params.b: a mapping is not a scalar or a list of scalars
     --> recipe.yaml:3:19
      |
    3 | params: { a: , b: { c: 1 }, d d: 1, both: 1 }
      |                   ^^^^^^^^

    error: params: `d d` is not a name
     --> recipe.yaml:3:29
      |
    3 | params: { a: , b: { c: 1 }, d d: 1, both: 1 }
      |                             ^^^
      |
      = help: a name starts with a letter or `_` and goes on with letters, digits, `-` and `_`

    error: axes.x: `1` is not a list of values
     --> recipe.yaml:4:12
      |
    4 | axes: { x: 1, y: [], z: [1, 2, 1], u: [{ a: 1 }], both: [1], v: [[1, [2]]] }
      |            ^
      |
      = help: put the values in brackets: `[0.2, 0.5]`

    error: axes.y: an axis has at least one value
     --> recipe.yaml:4:18
      |
    4 | axes: { x: 1, y: [], z: [1, 2, 1], u: [{ a: 1 }], both: [1], v: [[1, [2]]] }
      |                  ^^
      |
      = help: without a value no step on this axis would run

    error: axes.z: `1` stands twice
     --> recipe.yaml:4:32
      |
    4 | axes: { x: 1, y: [], z: [1, 2, 1], u: [{ a: 1 }], both: [1], v: [[1, [2]]] }
      |                          -     ^
      |                          |
      |                          first here

    error: axes.u: a mapping is not a scalar or a list of scalars
     --> recipe.yaml:4:40
      |
    4 | axes: { x: 1, y: [], z: [1, 2, 1], u: [{ a: 1 }], both: [1], v: [[1, [2]]] }
      |                                        ^^^^^^^^

    error: `both` is a param and an axis
     --> recipe.yaml:4:51
      |
    3 | params: { a: , b: { c: 1 }, d d: 1, both: 1 }
      |                                     ---- the param
    4 | axes: { x: 1, y: [], z: [1, 2, 1], u: [{ a: 1 }], both: [1], v: [[1, [2]]] }
      |                                                   ^^^^
      |
      = help: `$name` must stand for one of them; rename the other

    error: axes.v: a list inside a list is not a scalar
     --> recipe.yaml:4:70
      |
    4 | axes: { x: 1, y: [], z: [1, 2, 1], u: [{ a: 1 }], both: [1], v: [[1, [2]]] }
      |                                                                      ^^^

    error: a recipe has at least one step
     --> recipe.yaml:5:1
      |
    5 | steps: {}
      | ^^^^^
    ");
}

#[test]
fn sources() {
    let text = "schema: pipeline/v1
name: test
sources:
  a: w.h5
  b: {}
  c: { file: w.h5, sha256: abc }
  d: { file: w.h5, fetch: https://example.org/w.h5 }
  e: { fetch: https://example.org/w.h5 }
  f: { fetch: [example.org/w.h5, https://example.org/], sha256: 12ag, size: big }
  g: { file: [] }
  h: { file: [a, 5] }
  i: { fiel: w.h5 }
  j: { fetch: https://example.org/w.h5, sha256: 1234567812345678, size: -1 }
steps:
  base: { import: { from: base } }
  x: { import: { from: wieghts } }
";
    insta::assert_snapshot!(complaints(text), @"
    error: sources.a: the string `w.h5` is not a mapping with `file`, `fetch`, `sha256`, `size`, `doc`
     --> recipe.yaml:4:6
      |
    4 |   a: w.h5
      |      ^^^^

    error: sources.b: neither `file` nor `fetch`
     --> recipe.yaml:5:6
      |
    5 |   b: {}
      |      ^^
      |
      = help: write `{ file: PATH }` or `{ fetch: URL, sha256: HEX, size: BYTES }`

    error: sources.c: `sha256` belongs to `fetch`
     --> recipe.yaml:6:20
      |
    6 |   c: { file: w.h5, sha256: abc }
      |                    ^^^^^^
      |
      = help: a file is hashed when it is read; remove the key

    error: sources.d: both `file` and `fetch`
     --> recipe.yaml:7:20
      |
    7 |   d: { file: w.h5, fetch: https://example.org/w.h5 }
      |        ----        ^^^^^
      |        |
      |        the file
      |
      = help: keep one; `--source NAME=PATH` replaces a download by a local file

    error: sources.e: `sha256` is missing
     --> recipe.yaml:8:6
      |
    8 |   e: { fetch: https://example.org/w.h5 }
      |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: a download is fixed by its digest and size; `sha256` is the SHA-256 of the file, 64 hexadecimal digits

    error: sources.e: `size` is missing
     --> recipe.yaml:8:6
      |
    8 |   e: { fetch: https://example.org/w.h5 }
      |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: a download is fixed by its digest and size; `size` is the length of the file in bytes

    error: sources.f.fetch: `example.org/w.h5` is not the address of a file
     --> recipe.yaml:9:16
      |
    9 |   f: { fetch: [example.org/w.h5, https://example.org/], sha256: 12ag, size: big }
      |                ^^^^^^^^^^^^^^^^
      |
      = help: an address starts with `https://`, `http://` or `file://` and ends with a file name

    error: sources.f.fetch: `https://example.org/` is not the address of a file
     --> recipe.yaml:9:34
      |
    9 |   f: { fetch: [example.org/w.h5, https://example.org/], sha256: 12ag, size: big }
      |                                  ^^^^^^^^^^^^^^^^^^^^
      |
      = help: an address starts with `https://`, `http://` or `file://` and ends with a file name

    error: sources.f.sha256: not 64 hexadecimal digits but the string `12ag`
     --> recipe.yaml:9:65
      |
    9 |   f: { fetch: [example.org/w.h5, https://example.org/], sha256: 12ag, size: big }
      |                                                                 ^^^^ 4 characters

    error: sources.f.size: the string `big` is not a number of bytes
     --> recipe.yaml:9:77
      |
    9 |   f: { fetch: [example.org/w.h5, https://example.org/], sha256: 12ag, size: big }
      |                                                                             ^^^

    error: sources.g.file: the list is empty
      --> recipe.yaml:10:14
       |
    10 |   g: { file: [] }
       |              ^^

    error: sources.h.file: `5` is not a string
      --> recipe.yaml:11:18
       |
    11 |   h: { file: [a, 5] }
       |                  ^

    error: sources.i: unknown key `fiel`
      --> recipe.yaml:12:8
       |
    12 |   i: { fiel: w.h5 }
       |        ^^^^
       |
       = help: did you mean `file`?

    error: sources.j.sha256: not 64 hexadecimal digits but `1234567812345678`
      --> recipe.yaml:13:49
       |
    13 |   j: { fetch: https://example.org/w.h5, sha256: 1234567812345678, size: -1 }
       |                                                 ^^^^^^^^^^^^^^^^ 16 characters
       |
       = help: put the digest in quotes

    error: sources.j.size: `-1` is not a number of bytes
      --> recipe.yaml:13:73
       |
    13 |   j: { fetch: https://example.org/w.h5, sha256: 1234567812345678, size: -1 }
       |                                                                         ^^

    error: import.from: there is no source `base`
      --> recipe.yaml:15:27
       |
    15 |   base: { import: { from: base } }
       |                           ^^^^
       |
       = help: `base` is a step; a source is an entry of `sources`

    error: import.from: there is no source `wieghts`
      --> recipe.yaml:16:24
       |
    16 |   x: { import: { from: wieghts } }
       |                        ^^^^^^^
       |
       = help: the recipe's sources: `a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, `i`, `j`
    ");
}

#[test]
fn resources() {
    let text = with(
        "  a: { prune: { model: base, sparsity: 0 }, resources: { exclusive: 1, threads: 0, memory: lots, gpu: 1 } }
  b: { prune: { model: base, sparsity: 0 }, resources: exclusive }
",
    );
    insta::assert_snapshot!(complaints(&text), @"
    error: a.resources.exclusive: `1` is not `true` or `false`
     --> recipe.yaml:7:69
      |
    7 |   a: { prune: { model: base, sparsity: 0 }, resources: { exclusive: 1, threads: 0, memory: lots, gpu: 1 } }
      |                                                                     ^

    error: a.resources.threads: `0` is not an integer of at least 1
     --> recipe.yaml:7:81
      |
    7 |   a: { prune: { model: base, sparsity: 0 }, resources: { exclusive: 1, threads: 0, memory: lots, gpu: 1 } }
      |                                                                                 ^

    error: a.resources.memory: the string `lots` is not a size: a number of bytes, or a number with B, kB, MB, GB, KiB, MiB or GiB
     --> recipe.yaml:7:92
      |
    7 |   a: { prune: { model: base, sparsity: 0 }, resources: { exclusive: 1, threads: 0, memory: lots, gpu: 1 } }
      |                                                                                            ^^^^

    error: a.resources: unknown key `gpu`
     --> recipe.yaml:7:98
      |
    7 |   a: { prune: { model: base, sparsity: 0 }, resources: { exclusive: 1, threads: 0, memory: lots, gpu: 1 } }
      |                                                                                                  ^^^
      |
      = help: known keys: `exclusive`, `threads`, `memory`

    error: b.resources: the string `exclusive` is not a mapping with `exclusive`, `threads`, `memory`
     --> recipe.yaml:8:56
      |
    8 |   b: { prune: { model: base, sparsity: 0 }, resources: exclusive }
      |                                                        ^^^^^^^^^
    ");
}

#[test]
fn conditions() {
    let text = "schema: pipeline/v1
name: test
params: { deep: false, text: x }
axes: { f: [0.1, 0.2] }
sources: { w: { file: w.h5 } }
steps:
  base: { import: { from: w }, when: $f > }
  a: { import: { from: w }, when: \"$g > 0.5 and $deep\" }
  b: { import: { from: w }, when: $f and $deep }
  c: { import: { from: w }, when: 'not $text' }
  d: { import: { from: w }, when: [1] }
  e:
    import: { from: w }
    when: >
      $f == small
  f: { import: { from: w }, when: $text = 'x' }
";
    insta::assert_snapshot!(complaints(text), @r#"
    error: base.when: a value is missing at the end
     --> recipe.yaml:7:42
      |
    7 |   base: { import: { from: w }, when: $f > }
      |                                          ^
      |
      = help: such as `0.5`, `'text'` or `$name`

    error: `$g` is neither a param nor an axis
     --> recipe.yaml:8:36
      |
    8 |   a: { import: { from: w }, when: "$g > 0.5 and $deep" }
      |                                    ^^
      |
      = help: params and axes: `deep`, `text`, `f`

    error: b.when: a number is not a condition
     --> recipe.yaml:9:35
      |
    9 |   b: { import: { from: w }, when: $f and $deep }
      |                                   ^^
      |
      = help: compare it with something, as in `$fraction > 0.5`

    error: c.when: text is not a condition
      --> recipe.yaml:10:40
       |
    10 |   c: { import: { from: w }, when: 'not $text' }
       |                                        ^^^^^
       |
       = help: compare it with something, as in `$fraction > 0.5`

    error: d.when: a list is not a condition, such as `$fraction > 0.5`
      --> recipe.yaml:11:35
       |
    11 |   d: { import: { from: w }, when: [1] }
       |                                   ^^^

    error: e.when: `small` means nothing here
      --> recipe.yaml:15:13
       |
    15 |       $f == small
       |             ^^^^^
       |
       = help: write `'small'` for text, `$small` for a param or an axis

    error: f.when: `=` does not compare
      --> recipe.yaml:16:41
       |
    16 |   f: { import: { from: w }, when: $text = 'x' }
       |                                         ^
       |
       = help: write `==`
    "#);
}

#[test]
fn removed_instances_on_a_plain_port() {
    let text = "schema: pipeline/v1
name: test
params: { deep: false }
axes: { sparsity: [0.2, 0.5] }
sources: { w: { file: w.h5 } }
steps:
  base: { import: { from: w } }
  some: { prune: { model: base, sparsity: $sparsity }, when: $sparsity > 0.3 }
  none: { prune: { model: base, sparsity: 0.5 }, when: $deep }
  a: { export: { model: some, format: onnx } }
  b: { export: { model: none, format: onnx } }
  c: { report: { compare: none } }
  d: { report: { compare: [some, none] } }
  e: { export: { model: { each: [some, none] }, format: onnx } }
";
    insta::assert_snapshot!(complaints(text), @"
    error: export.model: `some[sparsity=0.2]` is removed by a `when`
      --> recipe.yaml:10:25
       |
     8 |   some: { prune: { model: base, sparsity: $sparsity }, when: $sparsity > 0.3 }
       |   ---- the step
     9 |   none: { prune: { model: base, sparsity: 0.5 }, when: $deep }
    10 |   a: { export: { model: some, format: onnx } }
       |                         ^^^^
       |
       = help: give `a` the same `when`, or write `{ each: [some] }` to use what is left

    error: export.model: `none` is removed by a `when`
      --> recipe.yaml:11:25
       |
     9 |   none: { prune: { model: base, sparsity: 0.5 }, when: $deep }
       |   ---- the step
    10 |   a: { export: { model: some, format: onnx } }
    11 |   b: { export: { model: none, format: onnx } }
       |                         ^^^^
       |
       = help: give `b` the same `when`, or write `{ each: [none] }` to use what is left

    error: report.compare: no instance of these steps is left
      --> recipe.yaml:12:27
       |
    12 |   c: { report: { compare: none } }
       |                           ^^^^
       |
       = help: a `when` removed them all; give this step the same `when`
    ");
}

#[test]
fn an_axis_named_like_a_port_that_fans_out() {
    let text = "schema: pipeline/v1
name: test
axes: { model: [0.2, 0.5] }
sources: { w: { file: w.h5 } }
steps:
  base: { import: { from: w } }
  p: { prune: { model: { each: [base] }, sparsity: $model } }
";
    insta::assert_snapshot!(complaints(text), @"
    error: `each` makes `model` a coordinate, and `$model` is an axis of the step
     --> recipe.yaml:7:24
      |
    7 |   p: { prune: { model: { each: [base] }, sparsity: $model } }
      |                        ^^^^^^^^^^^^^^^^
      |
      = help: rename the axis `model`
    ");
}

#[test]
fn too_many_instances() {
    let many = (1..60).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let text = format!(
        "schema: pipeline/v1
name: test
axes:
  a: [{many}]
  b: [{many}]
  c: [{many}]
sources: {{ w: {{ file: w.h5 }} }}
steps:
  base: {{ import: {{ from: w }} }}
  p: {{ cluster: {{ model: base, clusters: 8, seed: $a }}, when: $b > 0 and $c > 0 }}
"
    );
    insta::assert_snapshot!(complaints(&text), @"
    error: with `p` the recipe has more than 100000 instances
      --> recipe.yaml:10:3
       |
    10 |   p: { cluster: { model: base, clusters: 8, seed: $a }, when: $b > 0 and $c > 0 }
       |   ^
       |
       = help: shorten an axis, or split the recipe
    ");
}

#[test]
fn gates() {
    let text = format!(
        "{}expect:
  - {{ metric: qualty.accuracy, ge: 1 }}
  - {{ metric: accuracy, ge: 1 }}
  - {{ metric: q.acuracy, ge: 1 }}
  - {{ metric: q.per-class.dog.accuracy, ge: 1 }}
  - {{ metric: q.per-class.dog.f1, ge: 1 }}
  - {{ metric: data.samples, ge: 1 }}
  - {{ metrik: q.accuracy, ge: 1 }}
  - {{ metric: q.accuracy, at: {{ model: a }} }}
  - {{ metric: q.accuracy, at: a, ge: high }}
  - {{ metric: q.accuracy, at: {{ model: [] }}, ge: $limit }}
  - 5
",
        with("  q: { evaluate: { model: base, data: data } }\n")
    );
    insta::assert_snapshot!(complaints(&text), @"
    error: expect.metric: the recipe has no step `qualty`
     --> recipe.yaml:9:15
      |
    9 |   - { metric: qualty.accuracy, ge: 1 }
      |               ^^^^^^^^^^^^^^^
      |
      = help: the recipe's steps: `base`, `data`, `q`

    error: expect.metric: `accuracy` is not a step and a number
      --> recipe.yaml:10:15
       |
    10 |   - { metric: accuracy, ge: 1 }
       |               ^^^^^^^^
       |
       = help: write it as in `quality.accuracy`

    error: expect.metric: a step with `evaluate` finds no `acuracy`
      --> recipe.yaml:11:15
       |
    11 |   - { metric: q.acuracy, ge: 1 }
       |               ^^^^^^^^^
       |
       = help: did you mean `accuracy`?

    error: expect.metric: a step with `evaluate` finds no `per-class.dog.accuracy`
      --> recipe.yaml:12:15
       |
    12 |   - { metric: q.per-class.dog.accuracy, ge: 1 }
       |               ^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: it finds: `accuracy`, `samples`, `per-class.*.f1`

    error: expect.metric: a step with `dataset` finds no numbers
      --> recipe.yaml:14:15
       |
    14 |   - { metric: data.samples, ge: 1 }
       |               ^^^^^^^^^^^^
       |
       = help: name a step such as `evaluate`, `benchmark` or `compress`

    error: expect: unknown key `metrik`
      --> recipe.yaml:15:7
       |
    15 |   - { metrik: q.accuracy, ge: 1 }
       |       ^^^^^^
       |
       = help: did you mean `metric`?

    error: expect.at: `q` has no coordinate `model`
      --> recipe.yaml:16:5
       |
    16 |   - { metric: q.accuracy, at: { model: a } }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: `q` has one instance and no coordinates

    error: expect: a bound is missing
      --> recipe.yaml:16:5
       |
    16 |   - { metric: q.accuracy, at: { model: a } }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: add `le`, `ge`, `lt`, `gt` or `eq` with a number

    error: expect.at: the string `a` is not a mapping of coordinates, such as `{ model: int8, fraction: 0.8 }`
      --> recipe.yaml:17:31
       |
    17 |   - { metric: q.accuracy, at: a, ge: high }
       |                               ^

    error: expect.ge: the string `high` is not a number
      --> recipe.yaml:17:38
       |
    17 |   - { metric: q.accuracy, at: a, ge: high }
       |                                      ^^^^

    error: `$limit` is neither a param nor an axis
      --> recipe.yaml:18:50
       |
    18 |   - { metric: q.accuracy, at: { model: [] }, ge: $limit }
       |                                                  ^^^^^^

    error: expect: `5` is not a mapping with `metric`, `at`, `drop-from`, `le`, `ge`, `lt`, `gt`, `eq`, `confidence`
      --> recipe.yaml:19:5
       |
    19 |   - 5
       |     ^
    ");
}

#[test]
fn gates_that_match_nothing() {
    let text = "schema: pipeline/v1
name: test
axes: { sparsity: [0.2, 0.5] }
sources: { w: { file: w.h5 } }
steps:
  base: { import: { from: w } }
  data: { dataset: { source: w } }
  pruned: { prune: { model: base, sparsity: $sparsity } }
  q: { evaluate: { model: { each: [base, pruned] }, data: data } }
expect:
  - { metric: q.accuracy, at: { modle: base }, ge: 0.5 }
  - { metric: q.accuracy, at: { model: prund }, ge: 0.5 }
  - { metric: q.accuracy, at: { sparsity: 0.3 }, ge: 0.5 }
  - { metric: q.accuracy, at: { model: base, sparsity: 0.5 }, ge: 0.5 }
  - { metric: q.accuracy, drop-from: { model: pruned }, le: 0.5 }
  - { metric: q.accuracy, drop-from: { model: float }, le: 0.5 }
  - { metric: q.accuracy, at: { sparsity: $sparsity }, ge: 0.5 }
";
    insta::assert_snapshot!(complaints(text), @"
    error: expect.at: `q` has no coordinate `modle`
      --> recipe.yaml:11:5
       |
    11 |   - { metric: q.accuracy, at: { modle: base }, ge: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `model`?

    error: expect.at: `q` has nothing at model=prund
      --> recipe.yaml:12:5
       |
    12 |   - { metric: q.accuracy, at: { model: prund }, ge: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `pruned`?

    error: expect.at: `q` has nothing at sparsity=0.3
      --> recipe.yaml:13:5
       |
    13 |   - { metric: q.accuracy, at: { sparsity: 0.3 }, ge: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: values of `sparsity`: `0.2`, `0.5`

    error: expect.at: no instance of `q` stands at all of these coordinates
      --> recipe.yaml:14:5
       |
    14 |   - { metric: q.accuracy, at: { model: base, sparsity: 0.5 }, ge: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: such as q[model=base], q[model=pruned, sparsity=0.2], q[model=pruned, sparsity=0.5]

    error: expect: `drop-from` fits 2 instances, not one
      --> recipe.yaml:15:5
       |
    15 |   - { metric: q.accuracy, drop-from: { model: pruned }, le: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ for q[model=base]
       |
       = help: add coordinates to tell them apart: q[model=pruned, sparsity=0.2], q[model=pruned, sparsity=0.5]

    error: expect.drop-from: `q` has nothing at model=float
      --> recipe.yaml:16:5
       |
    16 |   - { metric: q.accuracy, drop-from: { model: float }, le: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: values of `model`: `base`, `pruned`

    error: expect: `$sparsity` is an axis, which has several values
      --> recipe.yaml:17:43
       |
    17 |   - { metric: q.accuracy, at: { sparsity: $sparsity }, ge: 0.5 }
       |                                           ^^^^^^^^^
       |
       = help: write one of its values, or leave the coordinate out to expect it of all
    ");
    let last = text.rfind("  - ").unwrap();
    insta::assert_snapshot!(complaints(&text[..last]), @"
    error: expect.at: `q` has no coordinate `modle`
      --> recipe.yaml:11:5
       |
    11 |   - { metric: q.accuracy, at: { modle: base }, ge: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `model`?

    error: expect.at: `q` has nothing at model=prund
      --> recipe.yaml:12:5
       |
    12 |   - { metric: q.accuracy, at: { model: prund }, ge: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `pruned`?

    error: expect.at: `q` has nothing at sparsity=0.3
      --> recipe.yaml:13:5
       |
    13 |   - { metric: q.accuracy, at: { sparsity: 0.3 }, ge: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: values of `sparsity`: `0.2`, `0.5`

    error: expect.at: no instance of `q` stands at all of these coordinates
      --> recipe.yaml:14:5
       |
    14 |   - { metric: q.accuracy, at: { model: base, sparsity: 0.5 }, ge: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: such as q[model=base], q[model=pruned, sparsity=0.2], q[model=pruned, sparsity=0.5]

    error: expect: `drop-from` fits 2 instances, not one
      --> recipe.yaml:15:5
       |
    15 |   - { metric: q.accuracy, drop-from: { model: pruned }, le: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ for q[model=base]
       |
       = help: add coordinates to tell them apart: q[model=pruned, sparsity=0.2], q[model=pruned, sparsity=0.5]

    error: expect.drop-from: `q` has nothing at model=float
      --> recipe.yaml:16:5
       |
    16 |   - { metric: q.accuracy, drop-from: { model: float }, le: 0.5 }
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: values of `model`: `base`, `pruned`
    ");
}

#[test]
fn options() {
    let text = "schema: pipeline/v1
name: test
params: { seed: 7, deep: true, method: kl }
axes: { sparsity: [0.2, 0.5] }
sources: { w: { file: w.h5 } }
steps:
  base: { import: { from: w } }
  p: { prune: { model: base, sparsity: $sparsity } }
  c: { cluster: { model: base, clusters: 8, seed: $seed } }
";
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let values = |name: &str, values: &[&str]| (name.to_owned(), values.iter().map(|v| (*v).to_owned()).collect());
    let overrides = Overrides {
        set: vec![
            pair("sead", "9"),
            pair("seed", "x"),
            pair("deep", "no"),
            pair("sparsity", "1"),
            pair("method", "["),
        ],
        axis: vec![
            values("sparsty", &["1"]),
            values("seed", &["1"]),
            values("sparsity", &["0.1", "low"]),
        ],
        sources: vec![("weights".into(), "x".into())],
        only: vec!["prune".into(), "bse".into()],
    };
    insta::assert_snapshot!(complaints_with(text, &overrides), @"
    error: the recipe has no axis `seed`
     |
     = note: in `--axis seed=1`
     = help: `seed` is set with `--set`

    error: axis `sparsity` holds a number, not a string
     |
     = note: in `--axis sparsity=0.1,low`

    error: the recipe has no axis `sparsty`
     |
     = note: in `--axis sparsty=1`
     = help: did you mean `sparsity`?

    error: the recipe has no step `bse`
     |
     = note: in `--only bse`
     = help: did you mean `base`?

    error: the recipe has no step `prune`
     |
     = note: in `--only prune`
     = help: the recipe's steps: `base`, `p`, `c`

    error: param `deep` is a boolean, not a string
     --> recipe.yaml:3:26
      |
    3 | params: { seed: 7, deep: true, method: kl }
      |                          ---- the value in the recipe
      |
      = note: in `--set deep=no`

    error: `[` is not a YAML scalar or list
     |
     = note: in `--set method=[`
     = help: quote the text

    error: the recipe has no param `sead`
     |
     = note: in `--set sead=9`
     = help: did you mean `seed`?

    error: param `seed` is a number, not a string
     --> recipe.yaml:3:17
      |
    3 | params: { seed: 7, deep: true, method: kl }
      |                 - the value in the recipe
      |
      = note: in `--set seed=x`

    error: the recipe has no param `sparsity`
     |
     = note: in `--set sparsity=1`
     = help: `sparsity` is set with `--axis`

    error: the recipe has no source `weights`
     |
     = note: in `--source weights=x`
     = help: the recipe's sources: `w`
    ");
    let overrides = Overrides {
        set: vec![pair("seed", "-1")],
        axis: vec![values("sparsity", &["2", "2"])],
        ..Overrides::default()
    };
    insta::assert_snapshot!(complaints_with(text, &overrides), @"
    error: axes.sparsity: `2` stands twice
     |
     = note: in `--axis sparsity=2,2`
     = note: `--axis sparsity=2,2`: first here

    error: cluster.seed: `-1` is not an integer of at least 0
     --> recipe.yaml:9:51
      |
    9 |   c: { cluster: { model: base, clusters: 8, seed: $seed } }
      |                                                   ----- used as cluster.seed
      |
      = note: in `--set seed=-1`
    ");
    let overrides = Overrides {
        axis: vec![values("sparsity", &["2"])],
        ..Overrides::default()
    };
    insta::assert_snapshot!(complaints_with(text, &overrides), @"
    error: prune.sparsity: `2` is not a number from 0 to 1
     --> recipe.yaml:8:40
      |
    8 |   p: { prune: { model: base, sparsity: $sparsity } }
      |                                        --------- used as prune.sparsity
      |
      = note: in `--axis sparsity=2`
    ");
}

#[test]
fn a_search_says_how_many_points_and_by_what_they_are_judged() {
    let search = |text: &str| {
        complaints(&format!(
            "schema: pipeline/v1\nname: a\nparams: {{ n: 1 }}\naxes: {{ s: [0.1, 0.2] }}\nsearch: {text}\nsources: {{ w: {{ file: w.h5 }} }}\nsteps:\n  base: {{ import: {{ from: w }} }}\n  p: {{ prune: {{ model: base, sparsity: $s }} }}\n"
        ))
    };
    let first = |text: &str| search(text).lines().next().unwrap_or_default().to_owned();
    insta::assert_snapshot!(first("{ by: p.macs }"), @"error: search: `budget` is missing");
    insta::assert_snapshot!(first("{ budget: 0 }"), @"error: search.budget: `0` is not an integer of at least 1");
    insta::assert_snapshot!(first("{ budget: 1, bye: p.macs }"), @"error: search: unknown key `bye`");
    insta::assert_snapshot!(first("{ budget: 1, by: macs }"), @"error: search.by: `macs` is not a step and a number");
    insta::assert_snapshot!(first("{ budget: 1, by: q.macs }"), @"error: search.by: the recipe has no step `q`");
    insta::assert_snapshot!(first("{ budget: 1, halving: { params: [] } }"), @"error: search: `halving` needs `by`");
    insta::assert_snapshot!(first("{ budget: 1, where: [{ metric: p.macs, le: 1 }] }"), @"error: search: `where` needs `halving`");
    insta::assert_snapshot!(first("{ budget: 1, by: p.macs, where: [{ metric: p.mac, le: 1 }], halving: { params: [] } }"), @"error: expect.metric: a step with `prune` finds no `mac`");
    insta::assert_snapshot!(first("{ budget: 1, by: p.macs, halving: { factor: 1, params: [] } }"), @"error: search.halving.factor: `1` is not an integer of at least 2");
    insta::assert_snapshot!(first("{ budget: 1, by: p.macs, halving: { params: [{ m: 2 }] } }"), @"error: search.halving.params: unknown key `m`");
    assert_eq!(
        search("{ budget: 1, by: p.macs, seed: 2, halving: { params: [{ n: 2 }] } }"),
        "nothing to complain about"
    );
}

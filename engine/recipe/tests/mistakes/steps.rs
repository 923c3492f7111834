//! Steps: their ops and ports.

use crate::common::{complaints, with};

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

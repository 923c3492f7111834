//! What is referred to: params, axes and variants.

use crate::common::complaints;

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

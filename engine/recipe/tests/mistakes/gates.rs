//! Conditions and expectations.

use crate::common::{complaints, with};

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
    // What one line gets wrong does not hide what others do.
    let last = text.rfind("  - ").unwrap();
    let fewer = complaints(&text[..last]);
    assert!(complaints(text).starts_with(fewer.trim_end()), "{fewer}");
}

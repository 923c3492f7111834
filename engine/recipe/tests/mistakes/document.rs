//! The recipe as a whole: its sections and names.

use crate::common::{complaints, with};

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

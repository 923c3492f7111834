//! Texts that are not readable YAML, or not quite: one clear complaint each.

mod common;

use std::fmt::Write;

use common::{complaints, vocabulary};
use recipe::{Overrides, Paint, load, parse, render_all};

#[test]
fn tabs() {
    insta::assert_snapshot!(complaints("schema: pipeline/v1\nname: a\nsteps:\n\tbase: { import: { from: w } }\n"), @"
    error: a tab in the indentation
     --> recipe.yaml:4:1
      |
    4 |     base: { import: { from: w } }
      | ^^^^
      |
      = help: indent with spaces; YAML does not allow tabs there
    ");
    insta::assert_snapshot!(complaints("schema: pipeline/v1\nsteps:\n  base:\n  \timport: { from: w }\n"), @"
    error: a tab in the indentation
     --> recipe.yaml:4:3
      |
    4 |       import: { from: w }
      |   ^^^^
      |
      = help: indent with spaces; YAML does not allow tabs there
    ");
}

#[test]
fn duplicate_keys_are_all_reported() {
    insta::assert_snapshot!(complaints("schema: pipeline/v1\nname: a\nname: b\nsteps:\n  x: { fold: {}, fold: {} }\n"), @"
    error: `name` stands twice
     --> recipe.yaml:3:1
      |
    2 | name: a
      | ---- first here
    3 | name: b
      | ^^^^ again here
      |
      = help: a key may stand once in a mapping; rename or remove one of them

    error: x: unknown op `fold`
     --> recipe.yaml:5:8
      |
    5 |   x: { fold: {}, fold: {} }
      |        ^^^^
      |
      = help: known ops: `import`, `dataset`, `calibrate`, `quantize`, `prune`, `cluster`, `export`, `evaluate`, `benchmark`, `verify`, `report`

    error: `fold` stands twice
     --> recipe.yaml:5:18
      |
    5 |   x: { fold: {}, fold: {} }
      |        ----      ^^^^ again here
      |        |
      |        first here
      |
      = help: a key may stand once in a mapping; rename or remove one of them
    ");
}

#[test]
fn billion_laughs() {
    let mut text = "a0: &a0 [lol, lol]\n".to_owned();
    for level in 1..40 {
        writeln!(text, "a{level}: &a{level} [*a{0}, *a{0}]", level - 1).unwrap();
    }
    insta::assert_snapshot!(complaints(&text), @"
    error: aliases blow the recipe up to more than 200000 values
      --> recipe.yaml:16:12
       |
    16 | a15: &a15 [*a14, *a14]
       |            ^^^^
       |
       = help: share values through `params` instead of anchors
    ");
}

#[test]
fn self_reference() {
    insta::assert_snapshot!(complaints("steps: &a [*a]\n"), @"
    error: an alias inside its own anchor
     --> recipe.yaml:1:12
      |
    1 | steps: &a [*a]
      |            ^^
      |
      = help: share values through `params` instead of anchors
    ");
}

#[test]
fn unknown_alias() {
    insta::assert_snapshot!(complaints("name: *nobody\n"), @"
    error: an alias without an anchor
     --> recipe.yaml:1:7
      |
    1 | name: *nobody
      |       ^
      |
      = help: quote the text if it is meant to start with `*`
    ");
}

#[test]
fn merge_keys() {
    insta::assert_snapshot!(complaints("x: &x { a: 1 }\nname: a\nparams: { <<: *x, b: 2 }\n"), @"
    error: `schema` is missing
     --> recipe.yaml:1:1
      |
    1 | x: &x { a: 1 }
      | ^
      |
      = help: start the recipe with `schema: pipeline/v1`

    error: `steps` is missing
     --> recipe.yaml:1:1
      |
    1 | x: &x { a: 1 }
      | ^
      |
      = help: a recipe has at least one step

    error: unknown key `x`
     --> recipe.yaml:1:1
      |
    1 | x: &x { a: 1 }
      | ^
      |
      = help: known keys: `schema`, `name`, `doc`, `params`, `axes`, `search`, `sources`, `steps`, `expect`

    error: merge keys (`<<`) are not part of a recipe
     --> recipe.yaml:3:11
      |
    3 | params: { <<: *x, b: 2 }
      |           ^^
      |
      = help: write the keys out, or share values through `params`
    ");
}

#[test]
fn depth() {
    insta::assert_snapshot!(complaints(&format!("name: {}{}\n", "[".repeat(300), "]".repeat(300))), @"
    error: nested deeper than 48 levels
     --> recipe.yaml:1:262
      |
    1 | ...[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]...
      |                                                                    ^
      |
      = help: is a bracket left open?
    ");
    let mut block = String::new();
    for level in 0..100 {
        writeln!(block, "{}a:", " ".repeat(level)).unwrap();
    }
    insta::assert_snapshot!(complaints(&block), @"
    error: nested deeper than 48 levels
      --> recipe.yaml:49:49
       |
    49 | ...                   a:
       |                       ^
       |
       = help: is a bracket left open?
    ");
}

#[test]
fn size() {
    let text = format!("name: [{}]\n", "1, ".repeat(300_000));
    let message = complaints(&text);
    assert!(
        message.starts_with("error: a recipe holds at most 200000 values"),
        "{message:.300}"
    );
}

#[test]
fn emptiness() {
    insta::assert_snapshot!(complaints(""), @"
    error: the recipe is empty
     --> recipe.yaml:1:1
      |
    1 |
      | ^
      |
      = help: a recipe starts with `schema: pipeline/v1`, `name: …` and `steps: …`
    ");
    insta::assert_snapshot!(complaints("# only a comment\n"), @"
    error: the recipe is empty
     --> recipe.yaml:1:18
      |
    1 | # only a comment
      |                 ^
      |
      = help: a recipe starts with `schema: pipeline/v1`, `name: …` and `steps: …`
    ");
    insta::assert_snapshot!(complaints("---\n"), @"
    error: the recipe is empty
     --> recipe.yaml:1:4
      |
    1 | ---
      |    ^
      |
      = help: a recipe starts with `schema: pipeline/v1`, `name: …` and `steps: …`
    ");
}

#[test]
fn several_documents() {
    insta::assert_snapshot!(complaints("name: a\n---\nname: b\n"), @"
    error: a second document starts here
     --> recipe.yaml:3:1
      |
    3 | name: b
      | ^
      |
      = help: a recipe is one document; split it into two files
    ");
}

#[test]
fn no_mapping() {
    insta::assert_snapshot!(complaints("- a\n- b\n"), @"
    error: a recipe is a mapping, not a list
     --> recipe.yaml:1:1
      |
    1 | - a
      | ^
      |
      = help: a recipe starts with `schema: pipeline/v1`, `name: …` and `steps: …`
    ");
    insta::assert_snapshot!(complaints("hello\n"), @"
    error: a recipe is a mapping, not the string `hello`
     --> recipe.yaml:1:1
      |
    1 | hello
      | ^^^^^
      |
      = help: a recipe starts with `schema: pipeline/v1`, `name: …` and `steps: …`
    ");
}

#[test]
fn broken_syntax() {
    insta::assert_snapshot!(complaints("name: [a, b\nsteps: {}\n"), @"
    error: not readable as YAML: illegal placement of ':' indicator
     --> recipe.yaml:2:6
      |
    2 | steps: {}
      |      ^
    ");
    insta::assert_snapshot!(complaints("name: \"a\nb: c\n"), @"
    error: not readable as YAML: invalid indentation in multiline quoted scalar
     --> recipe.yaml:2:1
      |
    2 | b: c
      | ^
    ");
    insta::assert_snapshot!(complaints("a: b: c\n"), @"
    error: not readable as YAML: mapping values are not allowed in this context
     --> recipe.yaml:1:5
      |
    1 | a: b: c
      |     ^
    ");
    insta::assert_snapshot!(complaints("name: a\n  steps: b\n"), @"
    error: not readable as YAML: mapping values are not allowed in this context
     --> recipe.yaml:2:8
      |
    2 |   steps: b
      |        ^
    ");
    insta::assert_snapshot!(complaints("name: @a\n"), @"
    error: not readable as YAML: unexpected character: `@'
     --> recipe.yaml:1:7
      |
    1 | name: @a
      |       ^
    ");
    insta::assert_snapshot!(complaints("name: }\n"), @"
    error: not readable as YAML: misplaced bracket
     --> recipe.yaml:1:7
      |
    1 | name: }
      |       ^
    ");
    insta::assert_snapshot!(complaints("? [a]\n: b\n? {c: d}\n: e\n~: f\n"), @"
    error: `name` is missing
     --> recipe.yaml:1:1
      |
    1 | ? [a]
      | ^
      |
      = help: add `name: my-recipe`

    error: `schema` is missing
     --> recipe.yaml:1:1
      |
    1 | ? [a]
      | ^
      |
      = help: start the recipe with `schema: pipeline/v1`

    error: `steps` is missing
     --> recipe.yaml:1:1
      |
    1 | ? [a]
      | ^
      |
      = help: a recipe has at least one step

    error: a key must be a word
     --> recipe.yaml:1:3
      |
    1 | ? [a]
      |   ^

    error: a key must be a word
     --> recipe.yaml:3:3
      |
    3 | ? {c: d}
      |   ^

    error: a key must be a word
     --> recipe.yaml:5:1
      |
    5 | ~: f
      | ^
    ");
    insta::assert_snapshot!(complaints("name: !odd a\n"), @"
    error: not readable as YAML: unsupported tag `!odd`
     --> recipe.yaml:1:12
      |
    1 | name: !odd a
      |            ^
    ");
    insta::assert_snapshot!(complaints("name: !!python/object:os.system a\n"), @"
    error: not readable as YAML: unsupported tag `!!python/object:os.system`
     --> recipe.yaml:1:33
      |
    1 | name: !!python/object:os.system a
      |                                 ^
    ");
}

#[test]
fn not_utf8() {
    let complaint = load(
        "recipe.yaml",
        b"schema: pipeline/v1\nname: caf\xe9\n",
        &vocabulary(),
        &Overrides::default(),
    );
    insta::assert_snapshot!(render_all(&complaint.unwrap_err(), Paint::Plain), @"
    error: byte 0xe9 is not UTF-8
     --> recipe.yaml:2:10
      |
    2 | name: caf
      |          ^
      |
      = help: save the recipe as UTF-8
    ");
    let utf16 = [0xff, 0xfe, b'n', 0, b'a', 0];
    let complaint = load("recipe.yaml", &utf16, &vocabulary(), &Overrides::default());
    insta::assert_snapshot!(render_all(&complaint.unwrap_err(), Paint::Plain), @"
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
fn a_byte_order_mark_and_windows_lines_are_fine() {
    let text = format!("\u{feff}{}", common::LAB).replace('\n', "\r\n");
    assert_eq!(complaints(&text), "nothing to complain about");
}

#[test]
fn anchors_share_values_within_reason() {
    let text = common::with("  a: { prune: &p { model: base, sparsity: 0.5 } }\n  b: { prune: *p }\n");
    assert_eq!(complaints(&text), "nothing to complain about");
    assert!(parse("recipe.yaml", &text).is_ok());
}

//! Steps → instances: joins, names of coordinates, conditions, literal dollars.

mod common;

use common::{ids, instance, sound};
use serde_json::json;

const HEAD: &str = "schema: pipeline/v1
name: test
params: { deep: true, limit: 0.3 }
axes: { sparsity: [0.2, 0.5], seed: [1, 2] }
sources: { w: { file: w.h5 } }
steps:
  base: { import: { from: w } }
  data: { dataset: { source: w } }
";

fn instances_of(steps: &str, of: &str) -> String {
    let mut instances = sound(&format!("{HEAD}{steps}")).instances().unwrap();
    instances.retain(|instance| of.split(' ').any(|step| step == instance.step));
    ids(&instances)
}

#[test]
fn inputs_that_share_an_axis_are_joined_on_it() {
    let steps = "
  pruned: { prune: { model: base, sparsity: $sparsity } }
  clust: { cluster: { model: pruned, clusters: 8, seed: $seed } }
  check: { verify: { reference: pruned, candidate: clust, data: data } }
";
    insta::assert_snapshot!(instances_of(steps, "check"), @"
    check[sparsity=0.2, seed=1]
    check[sparsity=0.2, seed=2]
    check[sparsity=0.5, seed=1]
    check[sparsity=0.5, seed=2]
    ");
}

#[test]
fn inputs_on_different_axes_are_crossed() {
    let steps = "
  pruned: { prune: { model: base, sparsity: $sparsity } }
  clust: { cluster: { model: base, clusters: 8, seed: $seed } }
  check: { verify: { reference: pruned, candidate: clust, data: data } }
";
    insta::assert_snapshot!(instances_of(steps, "check"), @"
    check[sparsity=0.2, seed=1]
    check[sparsity=0.2, seed=2]
    check[sparsity=0.5, seed=1]
    check[sparsity=0.5, seed=2]
    ");
}

#[test]
fn an_axis_in_the_text_is_joined_with_the_inputs() {
    let steps = "
  pruned: { prune: { model: base, sparsity: $sparsity } }
  again: { prune: { model: pruned, sparsity: $sparsity } }
";
    insta::assert_snapshot!(instances_of(steps, "again"), @"
    again[sparsity=0.2]
    again[sparsity=0.5]
    ");
}

#[test]
fn choices_of_one_each_are_joined_too() {
    let steps = "
  pruned: { prune: { model: base, sparsity: $sparsity } }
  small: { quantize: { model: { each: [base, pruned] } } }
  file: { export: { model: small, format: tflite } }
  check: { verify: { reference: small, candidate: file, data: data } }
";
    insta::assert_snapshot!(instances_of(steps, "check"), @"
    check[model=base]
    check[model=pruned, sparsity=0.2]
    check[model=pruned, sparsity=0.5]
    ");
}

#[test]
fn inherited_coordinates_give_way_to_the_steps_own() {
    let steps = "
  a: { quantize: { model: { each: [base] } } }
  b: { quantize: { model: { each: [a] } } }
  c: { quantize: { model: { each: [b, a] } } }
  d: { quantize: { model: c } }
  e: { verify: { reference: b, candidate: a, data: data } }
  f: { quantize: { model: { each: [base] } } }
  g: { verify: { reference: a, candidate: f, data: data } }
";
    insta::assert_snapshot!(instances_of(steps, "a b c d e g"), @"
    a[model=base]
    b[model=a, a.model=base]
    c[model=b, b.model=a, a.model=base]
    c[model=a, a.model=base]
    d[model=b, b.model=a, a.model=base]
    d[model=a, a.model=base]
    e[model=a, a.model=base]
    g[model=base, f.model=base]
    ");
}

#[test]
fn an_axis_named_like_a_port_is_renamed_where_the_port_fans_out() {
    let text = "schema: pipeline/v1
name: test
axes: { model: [0.2, 0.5] }
sources: { w: { file: w.h5 } }
steps:
  base: { import: { from: w } }
  pruned: { prune: { model: base, sparsity: $model } }
  small: { quantize: { model: { each: [base, pruned] } } }
";
    insta::assert_snapshot!(ids(&sound(text).instances().unwrap()), @"
    base
    pruned[model=0.2]
    pruned[model=0.5]
    small[model=base]
    small[model=pruned, pruned.model=0.2]
    small[model=pruned, pruned.model=0.5]
    ");
}

#[test]
fn a_false_condition_removes_instances_from_each_and_gathering_ports() {
    let steps = "
  pruned: { prune: { model: base, sparsity: $sparsity }, when: $sparsity > $limit and $deep }
  never: { prune: { model: base, sparsity: 0 }, when: not $deep }
  file: { export: { model: { each: [base, pruned, never] }, format: tflite } }
  same: { export: { model: pruned, format: tflite }, when: $sparsity > $limit }
  also: { export: { model: never, format: tflite }, when: false }
  report: { report: { compare: [file, pruned, never] } }
";
    insta::assert_snapshot!(instances_of(steps, "pruned never file same also report"), @"
    pruned[sparsity=0.5]
    file[model=base]
    file[model=pruned, sparsity=0.5]
    same[sparsity=0.5]
    report
    ");
    let instances = sound(&format!("{HEAD}{steps}")).instances().unwrap();
    let gathered: Vec<_> = instance(&instances, "report").inputs[0]
        .from
        .iter()
        .map(|from| from.id.to_string())
        .collect();
    assert_eq!(
        gathered,
        [
            "file[model=base]",
            "file[model=pruned, sparsity=0.5]",
            "pruned[sparsity=0.5]"
        ]
    );
}

#[test]
fn a_condition_alone_expands_over_its_axes() {
    insta::assert_snapshot!(instances_of("  q: { quantize: { model: base }, when: $seed != 2 }\n", "q"), @"q[seed=1]");
}

#[test]
fn references_keep_their_types_and_dollars_can_be_literal() {
    let text = "schema: pipeline/v1
name: test
params: { title: 'seven', money: '$$5', classes: [dog, cat], one: dog }
sources: { w: { file: w.h5 } }
steps:
  base: { import: { from: w } }
  data: { dataset: { source: w } }
  a: { report: { compare: base, title: $title } }
  b: { report: { compare: base, title: $$title } }
  c: { report: { compare: base, title: costs $title } }
  d: { report: { compare: base, title: $money } }
  e: { calibrate: { model: base, data: data, classes: $classes } }
  f: { calibrate: { model: base, data: data, classes: [$one, $$one] } }
";
    let instances = sound(text).instances().unwrap();
    let param = |id: &str| instance(&instances, id).params.clone();
    assert_eq!(param("a"), json!({"title": "seven"}));
    assert_eq!(param("b"), json!({"title": "$title"}));
    assert_eq!(param("c"), json!({"title": "costs $title"}));
    assert_eq!(param("d"), json!({"title": "$$5"}));
    assert_eq!(param("e"), json!({"classes": ["dog", "cat"]}));
    assert_eq!(param("f"), json!({"classes": ["dog", "$one"]}));
}

#[test]
fn values_that_differ_only_in_type_are_different_points() {
    let text = "schema: pipeline/v1
name: test
axes: { title: ['1', 'true', 'a, b', plain] }
sources: { w: { file: w.h5 } }
steps:
  base: { import: { from: w } }
  r: { report: { compare: base, title: $title } }
";
    insta::assert_snapshot!(ids(&sound(text).instances().unwrap()), @r#"
    base
    r[title="1"]
    r[title="true"]
    r[title="a, b"]
    r[title=plain]
    "#);
}

#[test]
fn a_thousand_steps_resolve() {
    use std::fmt::Write;
    let mut text = HEAD.to_owned();
    for n in 0..250 {
        let model = if n == 0 {
            "base".to_owned()
        } else {
            format!("p{}", n - 1)
        };
        write!(
            text,
            "  p{n}: {{ prune: {{ model: {model}, sparsity: $sparsity }} }}
  q{n}: {{ quantize: {{ model: p{n}, scheme: int8 }} }}
  t{n}: {{ export: {{ model: {{ each: [p{n}, q{n}] }}, format: tflite }} }}
  e{n}: {{ evaluate: {{ model: t{n}, data: data }} }}
"
        )
        .unwrap();
    }
    assert_eq!(sound(&text).instances().unwrap().len(), 2 + 250 * (2 + 2 + 4 + 4));
}

//! The JSON schema for editors, and the reference pages.

mod common;

use common::{LAB, vocabulary, with};
use recipe::{doc_markdown, json_schema};
use serde_json::Value;

/// What the schema says about a recipe's text.
fn verdict(text: &str) -> Result<(), String> {
    let schema = json_schema(&vocabulary());
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let recipe: Value = serde_yaml::from_str(text).unwrap();
    validator
        .validate(&recipe)
        .map_err(|error| format!("{}: {error}", error.instance_path()))
}

#[test]
fn the_schema_is_a_schema() {
    jsonschema::draft202012::meta::validate(&json_schema(&vocabulary())).unwrap();
}

#[test]
fn the_lab_is_valid() {
    verdict(LAB).unwrap();
    verdict(&with(
        "  a: { prune: { model: base, sparsity: 0.5 }, when: $x > 1, doc: why }\n",
    ))
    .unwrap();
    verdict(&with(
        "  a: { calibrate: { model: base, data: data, method: { percentile: { upper: $u } } } }\n",
    ))
    .unwrap();
}

#[test]
fn broken_recipes_are_not() {
    for (good, bad) in [
        ("schema: pipeline/v1", "schema: pipeline/v2"),
        ("name: resnet8-lab", "nam: resnet8-lab"),
        ("name: resnet8-lab", "name: resnet8 lab"),
        ("scheme: float16", "scheme: float17"),
        ("clusters: 8", "clusters: 1000"),
        ("clusters: 8", "clusters: many"),
        ("clusters: 8", "clusters: 8, centroids: 8"),
        ("clusters: 8, ", ""),
        ("seed: $seed }", "seed: $ }"),
        ("model: { each: [pruned, clust] }", "model: [pruned, clust]"),
        ("model: { each: [pruned, clust] }", "model: { all: [pruned, clust] }"),
        ("prune: { model: base, method", "prume: { model: base, method"),
        ("exclusive: true", "exclusive: sometimes"),
        ("sparsity: [0.2, 0.4, 0.5]", "sparsity: 0.2"),
        ("size: 170052171", "length: 170052171"),
        ("le: 0.01", "limit: 0.01"),
        ("sha256: c4a3", "sha256: xxxx"),
    ] {
        assert!(LAB.contains(good), "{good}");
        assert!(verdict(&LAB.replace(good, bad)).is_err(), "{bad}");
    }
    assert!(
        verdict(&with(
            "  a: { prune: { model: base, sparsity: 0 }, export: { model: base, format: onnx } }\n"
        ))
        .is_err()
    );
    assert!(verdict(&with("  a: { when: true }\n")).is_err());
    assert!(
        verdict(&with(
            "  a: { calibrate: { model: base, data: data, method: { percentile: { uper: 9 } } } }\n"
        ))
        .is_err()
    );
}

#[test]
fn fields_keep_their_words() {
    let schema = json_schema(&vocabulary());
    let text = |pointer: &str| {
        schema
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(
        text("/$defs/quantize/properties/scheme/description"),
        "What becomes an integer."
    );
    assert_eq!(
        text("/$defs/quantize/properties/model/description"),
        "The model to quantize."
    );
    assert_eq!(
        text("/$defs/step/properties/quantize/description"),
        "Stores numbers with fewer bits."
    );
    assert_eq!(
        schema.pointer("/$defs/quantize/properties/per-channel/default"),
        Some(&Value::Bool(true))
    );
}

#[test]
fn reference_pages() {
    let page = |name: &str| doc_markdown(vocabulary().iter().find(|op| op.name == name).unwrap());
    insta::assert_snapshot!(page("quantize"), @"
    # quantize

    Stores numbers with fewer bits.

    Makes a model.

    ```yaml
    steps:
      int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }
    ```

    ## Inputs

    | name | takes | required | |
    |---|---|---|---|
    | `model` | the name of a step that makes a model | yes | The model to quantize. |
    | `ranges` | the name of a step that makes ranges | no | Ranges of its activations, needed for integer schemes. |

    ## Parameters

    | name | value | default | |
    |---|---|---|---|
    | `scheme` | one of `float16`, `dynamic-int8`, `int8` | `int8` | What becomes an integer.<br>`float16`: Weights as half floats.<br>`dynamic-int8`: Weights as int8, activations as floats.<br>`int8`: Everything as int8. |
    | `per-channel` | `true` or `false` | `true` | One scale per output channel instead of one per tensor. |
    ");
    insta::assert_snapshot!(page("calibrate"), @"
    # calibrate

    Observes the ranges of activations.

    Makes ranges.

    ```yaml
    steps:
      ranges: { calibrate: { model: base, data: train, method: minmax } }
    ```

    ## Inputs

    | name | takes | required | |
    |---|---|---|---|
    | `model` | the name of a step that makes a model | yes | The model to observe. |
    | `data` | the name of a step that makes a dataset | yes | The samples to run it on. |

    ## Parameters

    | name | value | default | |
    |---|---|---|---|
    | `method` | one of `minmax`, `kl`, or a mapping with `percentile` | `minmax` | How ranges are chosen.<br>`minmax`: The least and greatest value.<br>`kl`: Kullback-Leibler divergence. |
    | `method.percentile` | a mapping with `upper` | required | Quantiles of the values. |
    | `method.percentile.upper` | a number from 50 to 100 | required | The upper quantile in percent. |
    | `fraction` | a number above 0 and at most 1 | `1.0` | Part of the samples to use. |
    | `classes` | a list of strings | `[]` | Classes to take samples from; all if empty. |
    | `seed` | an integer of at least 0 | `0` | Seed of the choice. |
    ");
    let numbers = page("evaluate");
    let numbers = numbers.lines().skip_while(|line| *line != "## Numbers");
    insta::assert_snapshot!(numbers.collect::<Vec<_>>().join("\n"), @"
    ## Numbers

    For `expect` and `search`, after the step's name and a dot: `accuracy`, `samples`, `per-class.*.f1`.
    ");
    insta::assert_snapshot!(page("report"), @"
    # report

    Renders what was measured.

    Makes a report.

    ## Inputs

    | name | takes | required | |
    |---|---|---|---|
    | `compare` | a list of steps that make any artifact | yes |  |
    | `baseline` | the name of a step that makes a model | no |  |

    ## Parameters

    | name | value | default | |
    |---|---|---|---|
    | `title` | a string |  |  |
    ");
}

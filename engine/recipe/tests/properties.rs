//! Properties that hold for any recipe.

mod common;

use common::{LAB, sound, vocabulary};
use proptest::prelude::*;
use recipe::{Overrides, Paint, canonical, load, render_all};

const CALIBRATE: [&str; 5] = [
    "model: base",
    "data: train",
    "fraction: $fraction",
    "seed: 7",
    "method: { percentile: { upper: 99 } }",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_keys_does_not_change_canonical_parameters(order in Just(CALIBRATE.to_vec()).prop_shuffle()) {
        let params = |entries: &[&str]| {
            let text = format!(
                "schema: pipeline/v1
name: test
axes: {{ fraction: [0.5] }}
sources: {{ w: {{ file: w.h5 }} }}
steps:
  base: {{ import: {{ from: w }} }}
  train: {{ dataset: {{ source: w }} }}
  ranges: {{ calibrate: {{ {} }} }}
",
                entries.join(", ")
            );
            let instances = sound(&text).instances().unwrap();
            canonical(&instances.last().unwrap().params).unwrap()
        };
        prop_assert_eq!(params(&order), params(&CALIBRATE));
    }

    #[test]
    fn canonical_text_reads_back_as_the_same_value(number in any::<f64>().prop_filter("finite", |n| n.is_finite()), text in ".*") {
        let value = serde_json::json!({"n": number, "t": text});
        let back: serde_json::Value = serde_json::from_str(&canonical(&value).unwrap()).unwrap();
        prop_assert_eq!(back["n"].as_f64(), Some(number));
        prop_assert_eq!(&back["t"], &value["t"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_the_reader_panic(edits in prop::collection::vec((0..LAB.len(), 0_usize..12, edit()), 1..6)) {
        let mut bytes = LAB.as_bytes().to_vec();
        for (at, length, insert) in edits {
            let at = at.min(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, insert);
        }
        if let Err(complaints) = load("recipe.yaml", &bytes, &vocabulary(), &Overrides::default()) {
            prop_assert!(!complaints.is_empty());
            prop_assert!(!render_all(&complaints, Paint::Plain).is_empty());
            for complaint in &complaints {
                prop_assert!(complaint.to_string().starts_with("recipe.yaml:"));
            }
        }
    }
}

/// What is put into the text: syntax, names that mean something, or any bytes.
fn edit() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\n",
        "  ",
        "\t",
        "\"",
        "'",
        "#",
        "&a ",
        "*a",
        "$seed",
        "$sparsity",
        "~",
        "-",
        "|",
        "each: ",
        "when: ",
        "base",
        "int8",
        "1e999",
        "0x",
        "é",
        "\u{feff}",
        "<<: ",
        "!!x ",
        "---\n",
        "steps:\n",
        "expect:\n",
    ];
    prop_oneof![
        prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ]
}

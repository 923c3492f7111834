//! Settings that contradict each other, and their written forms.

use super::*;

fn complaint(json: &str) -> String {
    let spec: Spec = serde_json::from_str(json).expect("well-formed");
    spec.check().expect_err("should be refused").to_string()
}

#[test]
fn contradictions_are_named() {
    insta::assert_snapshot!(complaint(r#"{"count": 3, "fraction": 0.5}"#), @"count: excludes `fraction`; give one of them");
    insta::assert_snapshot!(complaint(r#"{"count": 0}"#), @"count: 0 samples asked for; give at least 1, or leave it out for all");
    insta::assert_snapshot!(complaint(r#"{"fraction": 1.5}"#), @"fraction: 1.5 is not in 0 < fraction ≤ 1");
    insta::assert_snapshot!(complaint(r#"{"test-share": 1.0}"#), @"test-share: 1 is not in 0 < share < 1");
    insta::assert_snapshot!(complaint(r#"{"classes": []}"#), @"classes: empty list; name at least one class, or leave it out for all");
    insta::assert_snapshot!(complaint(r#"{"resize": {"method": "bicubic"}}"#), @"resize: give `shorter: N` or `to: [height, width]`");
    insta::assert_snapshot!(complaint(r#"{"resize": {"shorter": 256, "to": [2, 3]}}"#), @"resize: `shorter` excludes `to`; give one of them");
    insta::assert_snapshot!(complaint(r#"{"crop": [224, 0]}"#), @"crop: side of 0 pixels is not in 1..=16384");
}

#[test]
fn settings_of_lists_are_checked_before_the_data_are_there() {
    insta::assert_snapshot!(complaint(r#"{"format": "list", "columns": ["_", "id"]}"#), @"columns: none of name, label, class, split, target, classes, mask, input is among them");
    insta::assert_snapshot!(complaint(r#"{"format": "list", "columns": ["label", "label"]}"#), @"columns: `label` stands twice");
    insta::assert_snapshot!(complaint(r#"{"format": "list", "columns": {"names": "a"}}"#), @"columns: `names` is no meaning of a column; there are name, label, class, split, target, classes, mask, input");
    insta::assert_snapshot!(complaint(r#"{"format": "list", "images": "a/{file}.jpg"}"#), @"images: lacks `{name}`: write it where the listed name stands, as in images/{name}.jpg");
    insta::assert_snapshot!(complaint(r#"{"format": "cifar10", "first-label": 1}"#), @"first-label: says how label files are read; set `format: list`, or remove it");
    insta::assert_snapshot!(complaint(r#"{"format": "cifar10", "class-names": ["a"]}"#), @"class-names: names classes that are numbers, as those of `idx`, `numpy` and `list`; these data name theirs");
    insta::assert_snapshot!(complaint(r#"{"format": "image-folder", "name": "{class}_{index}"}"#), @"name: is read of listed images and of sounds; set `format: list` or `format: audio`, or remove it");
}

#[test]
fn a_new_size_may_be_written_as_a_pair() {
    let read = |json: &str| serde_json::from_str::<Resize>(json).expect("well-formed");
    assert_eq!(read("[224, 200]"), read(r#"{"to": [224, 200], "method": "bilinear"}"#));
    assert!(serde_json::from_str::<Resize>(r#"{"longer": 3}"#).is_err());
}

#[test]
fn splits_have_aliases_and_custom_names() {
    let split = |name: &str| Split::from(name.to_owned());
    assert_eq!(split("training"), Split::Train);
    assert_eq!(split("t10k"), Split::Test);
    assert_eq!(split("val"), Split::Named("val".into()));
    assert_eq!(serde_json::to_string(&split("val")).expect("plain"), "\"val\"");
}

#[test]
fn a_spec_survives_its_json_form() {
    let json = r#"{"format":"image-folder","split":"val","count":100,"seed":7,"stratified":true,"on-error":"skip","resize":{"shorter":256,"method":"tf-bilinear"},"crop":[224,224],"color":"rgb","layout":"auto"}"#;
    let spec: Spec = serde_json::from_str(json).expect("known keys");
    assert_eq!(serde_json::to_string(&spec).expect("plain"), json);
    assert!(
        serde_json::from_str::<Spec>(r#"{"shuffle": true}"#).is_err(),
        "unknown keys are refused"
    );
}

//! Samples of several arrays, one for each input of a model.

mod common;

use common::{load, refused, values, zip};
use data::{Field, Values, npy};

fn field(name: &str, shape: &[usize]) -> Field {
    Field {
        name: name.to_owned(),
        shape: shape.to_vec(),
    }
}

/// Three samples of two pictures, with numbers beside them, in two splits.
fn arrays() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("left.npy", npy::write(&[3, 2, 1], &[1u8, 2, 3, 4, 5, 6])),
        ("ages.npy", npy::write(&[3], &[0.5f32, 1.5, 2.5])),
        ("y.npy", npy::write(&[3], &[0i32, 1, 0])),
    ]
}

#[test]
fn arrays_without_a_customary_name_are_for_the_inputs_of_theirs() {
    let (dataset, report) = load(zip(&arrays()), "{}").expect("two inputs");
    assert_eq!(dataset.inputs, [field("ages", &[]), field("left", &[2, 1, 1])]);
    assert_eq!(
        values(&dataset),
        Values::F32(vec![0.5, 1.0, 2.0, 1.5, 3.0, 4.0, 2.5, 5.0, 6.0])
    );
    assert_eq!((dataset.labels, report.loaded), (Some(vec![0, 1, 0]), 3));
    let (some, _) = load(zip(&arrays()), r#"{"count": 1, "seed": 3}"#).expect("one of them");
    assert_eq!((some.samples.shape(), some.inputs.len()), (&[1, 3][..], 2));
}

#[test]
fn the_recipe_says_which_array_is_for_which_input() {
    let bytes = |name| (name, npy::write(&[2, 2], &[1u8, 2, 3, 4]));
    let files = zip(&[bytes("x.npy"), bytes("z.npy"), ("y.npy", npy::write(&[2], &[1u8, 0]))]);
    // Of bytes alone samples stay bytes.
    let (dataset, _) = load(files.clone(), r#"{"inputs": {"a": "z", "b": "x"}}"#).expect("two inputs");
    assert_eq!(dataset.inputs, [field("a", &[2]), field("b", &[2])]);
    assert_eq!(values(&dataset), Values::U8(vec![1, 2, 1, 2, 3, 4, 3, 4].into()));
    let (one, _) = load(files, r#"{"inputs": ["z"]}"#).expect("one array");
    assert_eq!((one.inputs.len(), one.samples.sample_shape()), (0, &[2][..]));
}

#[test]
fn splits_stand_in_names_and_folders() {
    let of = |value: u8| npy::write(&[1, 1], &[value]);
    let named = zip(&[
        ("left_train.npy", of(1)),
        ("right_train.npy", of(2)),
        ("left_test.npy", of(3)),
        ("right_test.npy", of(4)),
    ]);
    let in_folders = zip(&[
        ("train/left.npy", of(1)),
        ("train/right.npy", of(2)),
        ("test/left.npy", of(3)),
        ("test/right.npy", of(4)),
    ]);
    for files in [named, in_folders] {
        let (test, report) = load(files, r#"{"split": "test"}"#).expect("two inputs");
        assert_eq!(values(&test), Values::U8(vec![3, 4].into()));
        assert_eq!(report.splits, ["train", "test"]);
    }
}

#[test]
fn pictures_are_turned_and_numbers_are_not() {
    let files = zip(&[
        ("picture.npy", npy::write(&[1, 2, 1, 2], &[1u8, 2, 10, 20])),
        ("numbers.npy", npy::write(&[1, 3], &[7u8, 8, 9])),
    ]);
    let (dataset, _) = load(files, r#"{"layout": "chw"}"#).expect("two inputs");
    assert_eq!(dataset.inputs, [field("numbers", &[3]), field("picture", &[1, 2, 2])]);
    assert_eq!(values(&dataset), Values::U8(vec![7, 8, 9, 1, 10, 2, 20].into()));
}

#[test]
fn arrays_that_make_no_samples_are_refused() {
    let mut shorter = arrays();
    shorter[1].1 = npy::write(&[2], &[0.5f32, 1.5]);
    insta::assert_snapshot!(refused(zip(&shorter), "{}"), @"left.npy: 3 samples found, 2 in ages.npy");
    insta::assert_snapshot!(refused(zip(&arrays()), r#"{"resize": [4, 4]}"#), @"resize: is for samples of one array, these have one for each of ages, left; store them as the model takes them, or remove it");
    insta::assert_snapshot!(refused(zip(&arrays()), r#"{"inputs": ["left", "agse"]}"#), @"inputs: no array `agse` in each split of the data, which have ages, left, y; did you mean `ages`?");
    insta::assert_snapshot!(refused(zip(&arrays()), r#"{"inputs": {"a": "left", "b": "left"}}"#), @"inputs: the array `left` stands twice; each is for one input");
    insta::assert_snapshot!(refused(zip(&arrays()), r#"{"inputs": ["left"], "format": "idx"}"#), @"inputs: names arrays; set `format: numpy`, or remove it");
}

//! Files with the wrong bytes: broken models, pictures that are none, sets without samples.

use std::fs;

use models::ReadOptions;

use crate::support::{Lab, Run, npy, shipped};

/// The digits network with the first bytes of one weight replaced.
fn with_weight(value: f32) -> Vec<u8> {
    let mut file = fs::read(shipped("recipes/models/digits.h5")).expect("a file of the project");
    let graph = models::read(&file, "digits.h5", ReadOptions::default(), &|_| {
        Err("no other files".into())
    })
    .expect("it can be read");
    // Biases, scales and means are stored as the graph holds them; kernels are transposed.
    let vectors = graph
        .tensors()
        .iter()
        .filter_map(|t| Some(t.data.as_ref()?.to_le_bytes()));
    let at = vectors
        .filter(|bytes| bytes.len() >= 32)
        .find_map(|bytes| file.windows(bytes.len()).position(|w| w == bytes));
    let at = at.expect("a vector of the network is in its file");
    file[at..at + 4].copy_from_slice(&value.to_le_bytes());
    file
}

fn import_of(bytes: &[u8]) -> Run {
    let lab = Lab::with_steps("");
    lab.write("digits.h5", bytes);
    lab.run_to(1, &["-k"])
}

#[test]
fn a_weight_that_is_not_a_number_is_named() {
    insta::assert_snapshot!(import_of(&with_weight(f32::NAN)).error("native"), @"
    digits.h5: keras: 1 problem with the weights:
      stem_bn/moving_mean: 1 of 16 values are not finite (the first, NaN, at 0); the training that made them diverged
    ");
    insta::assert_snapshot!(import_of(&with_weight(f32::INFINITY)).error("native"), @"
    digits.h5: keras: 1 problem with the weights:
      stem_bn/moving_mean: 1 of 16 values are not finite (the first, inf, at 0); the training that made them diverged
    ");
}

#[test]
fn a_cut_off_model_is_refused_wherever_it_ends() {
    let file = fs::read(shipped("recipes/models/digits.h5")).expect("a file of the project");
    insta::assert_snapshot!(import_of(&file[..file.len() / 2]).error("native"), @"digits.h5: keras: weights of layer `pixels`: unexpected end of data at offset 77712 (need 704 bytes, have 0)");
    insta::assert_snapshot!(import_of(&file[..100]).error("native"), @"digits.h5: keras: the root group: attributes cannot be read: unexpected end of data at offset 96 (need 16 bytes, have 4)");
    insta::assert_snapshot!(import_of(b"").error("native"), @"digits.h5: not a Keras (.h5, .keras), ONNX (.onnx), PyTorch (.pth, .safetensors) or TensorFlow Lite (.tflite) file, the formats that are recognized");
}

#[test]
fn a_file_of_another_kind_is_refused_with_the_kinds_that_are_known() {
    insta::assert_snapshot!(import_of(b"PK\x03\x04 is no model").error("native"), @"digits.h5: not a Keras (.h5, .keras), ONNX (.onnx), PyTorch (.pth, .safetensors) or TensorFlow Lite (.tflite) file, the formats that are recognized");
}

#[test]
fn a_layer_that_is_not_read_is_named() {
    let lab = Lab::with_steps("");
    fs::copy(
        shipped("tests/golden/keras/keras3/rare_rectifiers.h5"),
        lab.path("digits.h5"),
    )
    .expect("a file of the project");
    let run = lab.run_to(1, &["-k"]);
    let error = run.error("native");
    assert!(
        error.contains("`threshold`") && error.contains("use a threshold of 0"),
        "{error}"
    );
}

/// Two classes of pictures, one of them with a file that is no picture.
fn pictures(options: &str) -> Lab {
    let lab = Lab::with_recipe(&format!(
        "schema: pipeline/v1
name: pictures
sources: {{ images: {{ file: images }} }}
steps:
  all: {{ dataset: {{ source: images, split: all{options} }} }}
"
    ));
    let picture = fs::read(shipped("engine/data/tests/golden/jpeg.jpg")).expect("a file of the project");
    for name in ["images/cat/1.jpg", "images/cat/2.jpg", "images/dog/1.jpg"] {
        lab.write(name, &picture);
    }
    lab.write("images/dog/2.jpg", "no picture");
    lab.write("images/dog/3.jpg", &picture[..picture.len() / 2]);
    lab
}

#[test]
fn pictures_that_do_not_decode_fail_by_name() {
    let run = pictures("").run_to(1, &[]);
    insta::assert_snapshot!(run.error("all"), @"dog/2.jpg: no JPEG, PNG, GIF, BMP, WebP or TIFF by its first bytes (and 1 more of 5 images fail); repair or remove it, or set `on-error: skip`");
}

#[test]
fn pictures_that_do_not_decode_can_be_skipped() {
    let run = pictures(", on-error: skip").run(&[]);
    insta::assert_snapshot!(run.instance("all").log.join("\n"), @"
    3 of 5 samples, each 24×40×3
    skipped dog/2.jpg: no JPEG, PNG, GIF, BMP, WebP or TIFF by its first bytes
    skipped dog/3.jpg: JPEG does not decode: I/O errors Not enough bytes, expected 162 but found 160

    warning: 2 of 5 files do not decode and were left out
    ");
}

#[test]
fn an_empty_class_folder_is_noticed() {
    let lab = pictures(", on-error: skip");
    fs::create_dir_all(lab.path("images/owl")).expect("a writable folder");
    let run = lab.run(&[]);
    insta::assert_snapshot!(run.instance("all").log.join("\n"), @"
    3 of 5 samples, each 24×40×3
    skipped owl: class folder holds no sample
    skipped dog/2.jpg: no JPEG, PNG, GIF, BMP, WebP or TIFF by its first bytes
    skipped dog/3.jpg: JPEG does not decode: I/O errors Not enough bytes, expected 162 but found 160

    warning: 2 of 5 files do not decode and were left out
    ");
}

#[test]
fn a_folder_without_samples_is_refused() {
    let lab = pictures("");
    fs::remove_dir_all(lab.path("images")).expect("it is there");
    fs::create_dir_all(lab.path("images")).expect("a writable folder");
    let run = lab.run_to(1, &[]);
    let error = run.error("all");
    assert!(
        error.contains("fits no known format; expected CIFAR batches"),
        "{error}"
    );
}

#[test]
fn calibration_without_samples_is_refused() {
    let lab = Lab::with_recipe(
        "schema: pipeline/v1
name: empty
sources:
  network: { file: digits.h5 }
  nothing: { file: x.npy }
steps:
  native: { import: { from: network } }
  none: { dataset: { source: nothing, split: all } }
  ranges: { calibrate: { model: native, data: none, method: minmax } }
",
    );
    lab.write("x.npy", npy("(0, 8, 8, 1)", &[]));
    let run = lab.run_to(1, &[]);
    let failed = run
        .record
        .instances
        .iter()
        .find_map(|i| Some((&i.id, i.error.as_ref()?)));
    let (id, error) = failed.expect("something failed");
    insta::assert_snapshot!(lab.redacted(&format!("{id}: {error}")), @"none: x.npy: zero samples; the files hold none");
}

#[test]
fn calibration_with_a_class_that_is_not_there_is_refused() {
    let lab =
        Lab::with_steps("  ranges: { calibrate: { model: native, data: test, classes: [eleven], method: minmax } }\n");
    let call = lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(2);
    let complaint =
        "ranges.calibrate: classes: the data have no class `eleven`; there are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9";
    assert!(call.stderr.contains(complaint), "{call}");
}

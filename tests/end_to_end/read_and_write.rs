//! Keras files through `infer`: what Keras computed is what the program computes, with either set of kernels, before and
//! after conversion.

use crate::support::{Lab, shipped};

#[test]
fn inference_takes_and_gives_numpy_files() {
    let lab = Lab::new();
    // Two samples: all paper, all ink.
    let head = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 8, 8, 1), }";
    let mut x = [b"\x93NUMPY\x01\x00v\x00", format!("{head:<117}\n").as_bytes()].concat();
    x.extend([0.0f32, 16.0].iter().flat_map(|v| v.to_le_bytes().repeat(64)));
    lab.write("x.npy", &x);
    lab.call(&["convert", "digits.h5", "digits.tflite"]).expect(0);
    let infer = |model: &str, kernels: &str| {
        lab.call(&[
            "infer",
            model,
            "--input",
            "x.npy",
            "--output",
            "y.npy",
            "--kernels",
            kernels,
        ])
        .expect(0);
        let bytes = std::fs::read(lab.path("y.npy")).expect("infer wrote it");
        assert!(String::from_utf8_lossy(&bytes[..128]).contains("(2, 10)"));
        let values = &bytes[bytes.len() - 80..];
        values
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect::<Vec<f32>>()
    };
    let expected = infer("digits.h5", "reference");
    for (sample, sum) in expected.chunks_exact(10).map(|p| p.iter().sum::<f32>()).enumerate() {
        assert!(
            (sum - 1.0).abs() < 1e-5,
            "probabilities of sample {sample} sum to {sum}"
        );
    }
    for (model, kernels) in [
        ("digits.h5", "fast"),
        ("digits.tflite", "reference"),
        ("digits.tflite", "fast"),
    ] {
        let apart = infer(model, kernels)
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(apart < 1e-5, "{model}, {kernels}: {apart}");
    }
}

#[test]
fn a_keras_configuration_takes_weights_in_either_layout() {
    for dialect in ["keras2", "keras3"] {
        let lab = Lab::new();
        let golden =
            |name: &str| std::fs::read(shipped(&format!("tests/golden/keras/{dialect}/{name}"))).expect("a golden");
        for name in ["split.json", "split.weights.h5", "split.weights-legacy.h5"] {
            lab.write(name, golden(name));
        }
        for (weights, model) in [
            ("split.weights.h5", "new.tflite"),
            ("split.weights-legacy.h5", "old.tflite"),
        ] {
            lab.call(&["convert", "split.json", model, "--weights", weights])
                .expect(0);
        }
        lab.write(
            "recipe.yaml",
            "schema: pipeline/v1\nname: split\nsources:\n  weights: { file: split.weights.h5 }\nsteps:\n  \
             model: { import: { from: weights, architecture: split.json } }\n  tflite: { export: { model: model } }\n",
        );
        lab.run(&[]);
        let files = lab.files("out");
        let written = files
            .iter()
            .find(|(path, _)| path.ends_with(".tflite"))
            .expect("an export")
            .1;
        let [new, old] = ["new.tflite", "old.tflite"].map(|name| std::fs::read(lab.path(name)).expect("converted"));
        // A file of a recipe names its step besides.
        let graph = |bytes: &[u8]| formats::tflite::read(bytes).expect("a model");
        assert!(
            graph(&new) == graph(written),
            "{dialect}: the recipe wrote another model"
        );
        assert!(old == new, "{dialect}: the layouts differ");
    }
}

#[test]
fn a_keras_configuration_refuses_what_is_for_state_dicts() {
    let lab = Lab::new();
    for name in ["split.json", "split.weights.h5"] {
        let bytes = std::fs::read(shipped(&format!("tests/golden/keras/keras3/{name}"))).expect("a golden");
        lab.write(name, bytes);
    }
    lab.write(
        "recipe.yaml",
        "schema: pipeline/v1\nname: split\nsources:\n  weights: { file: split.weights.h5 }\nsteps:\n  \
         model: { import: { from: weights, architecture: split.json, prefix: net. } }\n",
    );
    let run = lab.run_to(1, &[]);
    assert!(
        run.error("model").contains("for state dicts of PyTorch"),
        "{}",
        run.error("model")
    );
}

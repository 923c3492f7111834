//! ONNX files as results: written, read back, compared with what they were made from, and worth as much.

use crate::support::Lab;

/// The shipped network as float, half-precision and integer ONNX files.
const FORMS: &str = "  train: { dataset: { source: digits, split: train } }
  float16: { quantize: { model: native, scheme: float16 } }
  ranges: { calibrate: { model: native, data: train, count: 200, seed: 7, method: minmax } }
  int8: { quantize: { model: native, ranges: ranges, scheme: int8 } }
  onnx: { export: { model: { each: [native, float16, int8] }, format: onnx } }
  quality: { evaluate: { model: { each: [native, float16, int8] }, data: test } }
  filed: { evaluate: { model: onnx, data: test } }
  float-file: { export: { model: native, format: onnx } }
  float-same: { verify: { model: float-file, reference: native, data: test, max-abs-error: 0.00001 } }
  half-file: { export: { model: float16, format: onnx } }
  half-same: { verify: { model: half-file, reference: float16, data: test, max-abs-error: 0.00001 } }
  int8-file: { export: { model: int8, format: onnx } }
  int8-same: { verify: { model: int8-file, reference: int8, data: test, max-abs-error: 0 } }
  second: { verify: { model: float-file, reference: native, data: test, count: 100, runtime: tract, max-abs-error: 0.00001 } }
expect:
  - { metric: filed.accuracy, at: { model: native }, ge: 0.97 }
  - { metric: filed.accuracy, at: { model: float16 }, drop-from: { model: native }, le: 0.002 }
  - { metric: filed.accuracy, at: { model: int8 }, drop-from: { model: native }, le: 0.01 }
";

#[test]
fn a_network_is_written_to_onnx_in_three_forms_that_are_worth_what_it_is() {
    let lab = Lab::with_steps(FORMS);
    let run = lab.run(&[]);
    let accuracy = |id: &str| {
        let instance = run.record.instances.iter().find(|i| i.id == id);
        let instance = instance.unwrap_or_else(|| panic!("{id} is not among {:?}", run.record.instances));
        let metrics = instance
            .document
            .as_ref()
            .expect("an evaluation has a document")
            .figures();
        let figure = metrics.into_iter().find(|figure| figure.name == "accuracy");
        figure.expect("it has an accuracy").value
    };
    // The integers of the file are those of the model: every decision is the same.
    for form in ["native", "float16", "int8"] {
        let (model, file) = (format!("quality[model={form}]"), format!("filed[model={form}]"));
        assert_eq!(accuracy(&model), accuracy(&file), "{form}");
    }
    let files = lab.files("out");
    let size = |form: &str| {
        let found = files.iter().find(|(path, _)| path.ends_with(&format!("{form}.onnx")));
        found
            .unwrap_or_else(|| panic!("no {form}.onnx among {:?}", files.keys()))
            .1
            .len()
    };
    assert!(
        size("float16") < size("native"),
        "{} {}",
        size("float16"),
        size("native")
    );
    assert!(size("int8") < size("native"), "{} {}", size("int8"), size("native"));
}

#[test]
fn weights_may_lie_beside_the_file() {
    let lab = Lab::with_steps(
        "  beside: { export: { model: native, format: onnx, external-data: true } }\n  \
         same: { verify: { model: beside, reference: native, data: test, max-abs-error: 0.00001 } }\n",
    );
    lab.run(&[]);
    let files = lab.files("out");
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let find = |ending: &str| {
        *names
            .iter()
            .find(|n| n.ends_with(ending))
            .unwrap_or_else(|| panic!("{ending}: {names:?}"))
    };
    let (model, weights) = (find(".onnx"), find(".weights"));
    assert!(files[model].len() < files[weights].len(), "{names:?}");
    // What the folder holds can be read again, and what `convert` writes is the same.
    lab.call(&[
        "verify",
        &format!("out/{model}"),
        "digits.h5",
        "--max-abs-error",
        "1e-5",
    ])
    .expect(0);
    lab.call(&["convert", "digits.h5", "new/digits.onnx", "--external-data"])
        .expect(4);
    std::fs::create_dir(lab.path("new")).unwrap();
    lab.call(&["convert", "digits.h5", "new/digits.onnx", "--external-data"])
        .expect(0);
    assert!(lab.files("new").get(weights) == Some(&files[weights]));
    lab.call(&["verify", "new/digits.onnx", "digits.h5", "--max-abs-error", "1e-5"])
        .expect(0);
}

/// A script in the place of TensorRT's tool, which is nowhere in CI.
#[cfg(unix)]
#[test]
fn an_engine_is_built_and_timed_where_there_is_trtexec() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    let convert = [
        "convert",
        "digits.h5",
        "digits.onnx",
        "--profile",
        "tensorrt",
        "--verbose",
    ];
    let call = lab.call(&convert).expect(0);
    assert!(call.stderr.contains("`trtexec --onnx=model.onnx"), "{call}");
    let run = |script: &str| {
        lab.write("tools/trtexec", format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(lab.path("tools/trtexec"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut path = std::ffi::OsString::from(lab.path("tools"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        crate::support::Call::of(lab.command(&convert).env("PATH", path).output().expect("it starts")).expect(0)
    };
    let timed = run("test -s model.onnx && echo \"[I] Latency: min = 0.1 ms, median = 0.2 ms ($*)\"");
    assert!(
        timed
            .stderr
            .contains("trtexec: latency min = 0.1 ms, median = 0.2 ms (--onnx=model.onnx"),
        "{timed}"
    );
    assert!(timed.stderr.contains("--shapes="), "{timed}");
    let refused = run("echo '[E] Error[9]: no GPU'; exit 1");
    assert!(
        refused
            .stderr
            .contains("warning: trtexec made no engine: [E] Error[9]: no GPU"),
        "{refused}"
    );
}

#[test]
fn the_first_layer_that_departs_is_named_across_formats() {
    let lab = Lab::new();
    lab.call(&["convert", "digits.h5", "digits.onnx"]).expect(0);
    lab.call(&["convert", "digits.h5", "int8.tflite", "--quantize", "dynamic-int8"])
        .expect(0);
    let same = lab
        .call(&["verify", "digits.onnx", "digits.h5", "--per-layer"])
        .expect(0);
    assert!(!same.stdout.contains("departs"), "{same}");
    // Asked for more than 8-bit weights can give, the first layer with weights is not good enough.
    let drifted = lab
        .call(&[
            "verify",
            "int8.tflite",
            "digits.onnx",
            "--per-layer",
            "--departs-below",
            "300",
        ])
        .expect(0);
    assert!(drifted.stdout.contains("the first layer that departs is"), "{drifted}");
}

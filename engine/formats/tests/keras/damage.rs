//! Files that are refused, and what mutated ones do.

use formats::keras::{self, ImportOptions};
use formats::{FormatError, store};
use ir::Graph;
use serde_json::Value;

use crate::{bytes, fixtures, import};

/// `split`, its configuration edited.
fn edited(edit: impl FnOnce(&mut Value), options: &ImportOptions) -> Result<Graph, FormatError> {
    let mut json: Value = serde_json::from_slice(&bytes("keras2/split.json")).unwrap();
    edit(&mut json);
    keras::read_config_and_weights_with(&json.to_string(), &bytes("keras2/split.weights-legacy.h5"), options)
}

fn layer<'a>(json: &'a mut Value, name: &str) -> &'a mut Value {
    let layers = json["config"]["layers"].as_array_mut().unwrap();
    layers.iter_mut().find(|l| l["config"]["name"] == name).unwrap()
}

#[test]
fn an_open_input_size_is_asked_for_and_taken() {
    let open = |json: &mut Value| {
        layer(json, "image")["config"]["batch_input_shape"] = serde_json::json!([null, null, null, 3]);
    };
    insta::assert_snapshot!(edited(open, &ImportOptions::default()).unwrap_err(), @"keras: layer `image`: the input shape is [?,?,3]; give the size of one sample as the option `input_shape` ([height, width, channels]), or save the model with a fixed size");
    let options = |shape: &[usize]| ImportOptions {
        input_shape: Some(shape.to_vec()),
        ..ImportOptions::default()
    };
    let graph = edited(open, &options(&[16, 16, 3])).unwrap();
    assert_eq!(graph.tensor(graph.inputs()[0]).ty.to_string(), "f32[1,16,16,3]");
    insta::assert_snapshot!(edited(open, &options(&[16, 16, 4])).unwrap_err(), @"keras: layer `image`: the given input shape [16, 16, 4] does not fit the declared [?,?,3]");
}

#[test]
fn every_weight_that_does_not_fit_is_listed() {
    let wider = |json: &mut Value| {
        layer(json, "conv1")["config"]["kernel_size"] = serde_json::json!([5, 5]);
        layer(json, "conv_pw_1")["config"]["use_bias"] = Value::Bool(true);
        layer(json, "conv_preds")["config"]["use_bias"] = Value::Bool(false);
    };
    insta::assert_snapshot!(edited(wider, &ImportOptions::default()).unwrap_err(), @"
    keras: 3 problems with the weights:
      conv_preds: `conv_preds/bias:0` [5] fits no weight of Conv2D
      conv1/kernel: `conv1/kernel:0` has the shape [3, 3, 3, 4], expected [5, 5, 3, 4]
      conv_pw_1/bias: missing, expected [6]
    ");
}

#[test]
fn what_would_be_misread_is_refused() {
    let refusal = |edit: &dyn Fn(&mut Value)| edited(edit, &ImportOptions::default()).unwrap_err().to_string();
    let argument = |name: &'static str, key: &'static str, value: Value| {
        refusal(&move |json: &mut Value| layer(json, name)["config"][key] = value.clone())
    };
    insta::assert_snapshot!(argument("conv1", "data_format", "channels_first".into()), @r#"keras: layer `conv1` (Conv2D): `data_format` = "channels_first" is not supported; rebuild the model with data_format="channels_last" and its kernels unchanged"#);
    insta::assert_snapshot!(argument("conv1", "rotation", 3.into()), @"keras: layer `conv1` (Conv2D): the arguments `rotation` are not supported; their meaning is unknown, so the result could be wrong; leave them out");
    insta::assert_snapshot!(argument("conv1_bn", "axis", 1.into()), @"keras: layer `conv1_bn` (BatchNormalization): `axis` = 1 is not supported; normalize along the channels, the last dimension (axis=-1)");
    insta::assert_snapshot!(argument("conv1", "padding", "full".into()), @r#"keras: layer `conv1` (Conv2D): `padding` is "full", expected same or valid"#);
    insta::assert_snapshot!(refusal(&|json| layer(json, "conv1_bn")["inbound_nodes"][0][0][3] = serde_json::json!({"training": true})), @"keras: layer `conv1_bn`: is called with `training` = true; save the model for inference, without call arguments");
    insta::assert_snapshot!(refusal(&|json| layer(json, "conv1_bn")["inbound_nodes"][0][0][0] = "conv2".into()), @"keras: layer `conv1_bn`: no layer of the model is named `conv2`");
    insta::assert_snapshot!(refusal(&|json| layer(json, "conv1_bn")["inbound_nodes"][0][0][0] = "conv1_relu".into()), @"keras: layer `conv1_bn`: is never reached: it reads a call that does not exist, or its own output");
    insta::assert_snapshot!(refusal(&|json| json["class_name"] = "MyModel".into()), @"keras: model_config: the model is a `MyModel`; only sequential and functional models can be rebuilt from a file; wrap a subclassed model in one");
}

#[test]
fn weights_that_are_not_finite_are_named_and_may_be_allowed() {
    // The kernel of the last layer is where its values are: contiguous, little-endian.
    let graph = import("keras3/dense.h5").unwrap();
    let kernel = graph
        .constant_data(graph.find("unbiased/kernel").unwrap())
        .unwrap()
        .as_f32()
        .unwrap();
    let (first, features) = (kernel[0].to_le_bytes(), 64);
    let mut file = bytes("keras3/dense.h5");
    let next = kernel[features].to_le_bytes();
    let at = file.windows(8).position(|w| w[..4] == first && w[4..] == next).unwrap();
    file[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    insta::assert_snapshot!(keras::read(&file).unwrap_err(), @"
    keras: 1 problem with the weights:
      unbiased/kernel: 1 of 320 values are not finite (the first, NaN, at 0); the training that made them diverged
    ");
    let allow = ImportOptions {
        allow_non_finite: true,
        ..ImportOptions::default()
    };
    assert!(keras::read_with(&file, &allow).is_ok());
}

#[test]
fn imported_graphs_are_stored_and_read_back() {
    for (file, _) in fixtures() {
        if let Ok(graph) = import(&file) {
            let blobs = store::to_blobs(&graph).unwrap();
            assert_eq!(store::from_blobs(&blobs[0].1, &blobs[1].1).unwrap(), graph, "{file}");
        }
    }
}

/// A linear congruential generator: the same mutations on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }
}

#[test]
fn mutated_files_are_read_or_refused_within_bounded_memory() {
    const ROUNDS: usize = 1500;
    let files = [
        "keras3/nested.h5",
        "keras2/shared.h5",
        "keras1.2/sequential.h5",
        "keras3/split.weights.h5",
    ];
    let mut random = Random(7);
    for file in files {
        let original = bytes(file);
        for _ in 0..ROUNDS {
            let mut mutated = original.clone();
            for _ in 0..=random.below(6) {
                // Structure stands at the front and in small numbers, so half of the edits go there.
                let span = if random.below(2) == 0 {
                    mutated.len().min(4096)
                } else {
                    mutated.len()
                };
                let at = random.below(span);
                match random.below(4) {
                    0 => mutated[at] ^= 1 << random.below(8),
                    1 => mutated[at] = 0xff,
                    2 => {
                        let (from, n) = (random.below(mutated.len()), random.below(64));
                        let run: Vec<u8> = mutated[from..].iter().take(n).copied().collect();
                        let run = &run[..run.len().min(mutated.len() - at)];
                        mutated[at..at + run.len()].copy_from_slice(run);
                    }
                    _ => mutated[at] = random.below(256) as u8,
                }
            }
            if random.below(8) == 0 {
                mutated.truncate(random.below(mutated.len()));
            }
            let read = if file.contains("split") {
                let json = String::from_utf8(bytes("keras3/split.json")).unwrap();
                keras::read_config_and_weights_with(&json, &mutated, &ImportOptions::default())
            } else {
                keras::read(&mutated)
            };
            if let Ok(graph) = read {
                graph.verify().unwrap();
            }
        }
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
        let peak: usize = peak.trim().trim_end_matches(" kB").trim().parse().unwrap();
        assert!(peak < 1 << 20, "peak of {peak} kB");
    }
}

#[test]
fn mutated_configurations_are_read_or_refused() {
    let weights = bytes("keras3/split.weights.h5");
    let original = bytes("keras3/split.json");
    let mut random = Random(11);
    let words: [&[u8]; 10] = [
        b"null",
        b"-1",
        b"99999999",
        b"[]",
        b"{}",
        b"\"\"",
        b"1e30",
        b"true",
        b"0",
        b"\"same\"",
    ];
    for _ in 0..1500 {
        let mut json = original.clone();
        for _ in 0..=random.below(3) {
            // A number, somewhere, becomes another word.
            let from = random.below(json.len());
            let Some(at) = json[from..].iter().position(u8::is_ascii_digit) else {
                continue;
            };
            json.splice(from + at..=from + at, words[random.below(words.len())].iter().copied());
        }
        if let Ok(graph) = keras::read_config_and_weights(&String::from_utf8(json).unwrap(), &weights) {
            graph.verify().unwrap();
        }
    }
}

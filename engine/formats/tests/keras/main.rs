//! The Keras fixtures, imported: shapes as Keras computed them, names, parameters, refusals; and what mutated files do.
//!
//! Numbers are compared where there is a runtime; here it is structure.

mod damage;
mod layers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use formats::FormatError;
use formats::keras;
use ir::{Graph, GraphText};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/keras")
}

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn import(file: &str) -> Result<Graph, FormatError> {
    if file.contains("/split.") {
        let json = file
            .rsplit_once('/')
            .map(|(version, _)| format!("{version}/split.json"))
            .unwrap();
        return keras::read_config_and_weights(&String::from_utf8(bytes(&json)).unwrap(), &bytes(file));
    }
    keras::read(&bytes(file))
}

/// `keras3/nested.h5` and so on, with the entry of the manifest.
fn fixtures() -> Vec<(String, Value)> {
    let manifest: Value = serde_json::from_slice(&bytes("manifest.json")).unwrap();
    let mut all = Vec::new();
    for (version, entry) in manifest.as_object().unwrap() {
        for fixture in entry["fixtures"].as_object().unwrap().values() {
            let files = fixture["files"].as_array().unwrap().iter().filter_map(Value::as_str);
            let files = files.filter(|f| Path::new(f).extension().is_some_and(|e| e == "h5"));
            all.extend(files.map(|f| (format!("{version}/{f}"), fixture.clone())));
        }
    }
    assert!(all.len() > 80, "the manifest lists {} files", all.len());
    all
}

/// Shapes in the order of `x`, or of `x0`, `x1`, …, `x10`, with one sample instead of the fixture's.
fn shapes(by_name: &Value) -> Vec<Vec<usize>> {
    let numbered = |name: &str| name[1..].parse::<usize>().unwrap_or(0);
    let named: BTreeMap<usize, &Value> = by_name
        .as_object()
        .unwrap()
        .iter()
        .map(|(k, v)| (numbered(k), v))
        .collect();
    let dims = |v: &Value| {
        v.as_array()
            .unwrap()
            .iter()
            .map(|d| d.as_u64().unwrap() as usize)
            .collect::<Vec<_>>()
    };
    named.into_values().map(|v| [&[1], &dims(v)[1..]].concat()).collect()
}

#[test]
fn every_fixture_has_the_shapes_that_keras_computed_or_is_refused() {
    let mut refused = Vec::new();
    for (file, entry) in fixtures() {
        let graph = match import(&file) {
            Ok(graph) => graph,
            Err(e) => {
                let message = e.to_string();
                refused.push(format!("{file}: {}", message.split(" known ").next().unwrap()));
                continue;
            }
        };
        let dims = |ids: &[ir::TensorId]| {
            ids.iter()
                .map(|&i| graph.tensor(i).ty.shape.0.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(dims(graph.inputs()), shapes(&entry["inputs"]), "{file}");
        assert_eq!(dims(graph.outputs()), shapes(&entry["outputs"]), "{file}");
    }
    insta::assert_snapshot!(refused.join("\n"), @r#"
    keras2/rare_activations.h5: keras: layer `as_softsign` (Activation): the activation "softsign" is not supported;
    keras2/rare_rectifiers.h5: keras: layer `threshold` (ReLU): `threshold` = 0.5 is not supported; use a threshold of 0
    keras3/rare_activations.h5: keras: layer `as_softsign` (Activation): the activation "softsign" is not supported;
    keras3/rare_rectifiers.h5: keras: layer `threshold` (ReLU): `threshold` = 0.5 is not supported; use a threshold of 0
    "#);
}

#[test]
fn parameters_are_as_many_as_keras_counts() {
    let counts = [
        ("keras1.2/layers.h5", 141),
        ("keras1.2/residual.h5", 321),
        ("keras1.2/sequential.h5", 409),
        ("keras2.1/nested.h5", 301),
        ("keras2.2/mobilenet_v1.h5", 259),
        ("keras2/mobilenet_v2.h5", 569),
        ("keras2/residual.h5", 1457),
        ("keras2/shared.h5", 277),
        ("keras2/transposed.h5", 408),
        ("keras3/autoencoder_dense.h5", 1628),
        ("keras3/convolutions.h5", 708),
        ("keras3/depthwise.h5", 302),
        ("keras3/nested.h5", 193),
        ("keras3/shared.h5", 277),
        ("keras3/split.weights.h5", 427),
        ("keras3/unet.h5", 282),
    ];
    for (file, parameters) in counts {
        assert_eq!(import(file).unwrap().parameters(), parameters, "{file}");
    }
}

/// The text of a graph but for its name, which the versions choose differently.
fn text(file: &str) -> GraphText {
    let mut graph = import(file).unwrap();
    graph.name = "network".into();
    GraphText::of(&graph)
}

#[test]
fn the_versions_of_keras_write_the_same_network() {
    for name in [
        "convolutions",
        "depthwise",
        "transposed",
        "mobilenet_v1",
        "residual",
        "merges",
        "pooling",
        "nested",
        "transformer",
    ] {
        assert_eq!(
            text(&format!("keras2/{name}.h5")),
            text(&format!("keras3/{name}.h5")),
            "{name}"
        );
    }
}

#[test]
fn one_file_or_configuration_and_weights_in_either_layout_are_one_network() {
    for version in ["keras2", "keras3"] {
        let legacy = import(&format!("{version}/split.weights-legacy.h5")).unwrap();
        assert_eq!(legacy, import(&format!("{version}/split.weights.h5")).unwrap());
    }
}

/// One line per tensor that is no constant's and per node.
fn outline(graph: &Graph) -> String {
    let ty = |id: &ir::TensorId| graph.tensor(*id).ty.to_string();
    let names = |ids: &[ir::TensorId]| {
        ids.iter()
            .map(|&i| graph.tensor(i).name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut lines: Vec<String> = graph
        .inputs()
        .iter()
        .map(|i| format!("{}: {}", graph.tensor(*i).name, ty(i)))
        .collect();
    for node in graph.nodes() {
        lines.push(format!(
            "{} = {}({}): {}",
            node.name,
            node.op.name(),
            names(&node.inputs),
            ty(&node.outputs[0])
        ));
    }
    lines.push(format!("→ {}", names(graph.outputs())));
    lines.join("\n")
}

#[test]
fn shared_layers_and_models_share_weights_and_have_names_of_their_own() {
    insta::assert_snapshot!(outline(&import("keras3/shared.h5").unwrap()), @"
    left: f32[1,6,6,2]
    right: f32[1,6,6,2]
    twice = conv2d(left, twice/kernel, twice/bias): f32[1,6,6,3]
    twice_1 = conv2d(right, twice/kernel, twice/bias): f32[1,6,6,3]
    tower/re_lu = relu(twice): f32[1,6,6,3]
    tower/max_pooling2d = max_pool2d(tower/re_lu): f32[1,3,3,3]
    tower_1/re_lu = relu(twice_1): f32[1,6,6,3]
    tower_1/max_pooling2d = max_pool2d(tower_1/re_lu): f32[1,3,3,3]
    concatenate = concat(tower/max_pooling2d, tower_1/max_pooling2d): f32[1,3,3,6]
    flatten = reshape(concatenate): f32[1,54]
    joined = fully_connected(flatten, joined/kernel, joined/bias): f32[1,4]
    difference = sub(tower/max_pooling2d, tower_1/max_pooling2d): f32[1,3,3,3]
    → joined, difference
    ");
    assert_eq!(
        outline(&import("keras2/shared.h5").unwrap()),
        outline(&import("keras3/shared.h5").unwrap())
    );
}

#[test]
fn nested_models_become_paths() {
    insta::assert_snapshot!(outline(&import("keras3/nested.h5").unwrap()), @"
    image: f32[1,8,8,3]
    stem/conv2d = conv2d(image, stem/conv2d/kernel, stem/conv2d/bias): f32[1,8,8,4]
    stem/re_lu = relu(stem/conv2d): f32[1,8,8,4]
    block/inner/depthwise_conv2d = depthwise_conv2d(stem/re_lu, block/inner/depthwise_conv2d/depthwise_kernel, block/inner/depthwise_conv2d/bias): f32[1,8,8,4]
    block/batch_normalization = batch_norm(block/inner/depthwise_conv2d, block/batch_normalization/gamma, block/batch_normalization/beta, block/batch_normalization/moving_mean, block/batch_normalization/moving_variance): f32[1,8,8,4]
    block/add = add(stem/re_lu, block/batch_normalization): f32[1,8,8,4]
    global_average_pooling2d = mean(block/add): f32[1,4]
    dense = fully_connected(global_average_pooling2d, dense/kernel, dense/bias): f32[1,5]
    → dense
    ");
    insta::assert_snapshot!(outline(&import("keras2.1/nested.h5").unwrap()), @"
    input_2: f32[1,8,8,3]
    sequential_1/conv2d_1 = conv2d(input_2, sequential_1/conv2d_1/kernel, sequential_1/conv2d_1/bias): f32[1,8,8,4]
    sequential_1/leaky_re_lu_1 = leaky_relu(sequential_1/conv2d_1): f32[1,8,8,4]
    block/conv2d_2 = conv2d(sequential_1/leaky_re_lu_1, block/conv2d_2/kernel, block/conv2d_2/bias): f32[1,8,8,4]
    block/batch_normalization_1 = batch_norm(block/conv2d_2, block/batch_normalization_1/gamma, block/batch_normalization_1/beta, block/batch_normalization_1/moving_mean, block/batch_normalization_1/moving_variance): f32[1,8,8,4]
    block_1/conv2d_2 = conv2d(block/batch_normalization_1, block/conv2d_2/kernel, block/conv2d_2/bias): f32[1,8,8,4]
    block_1/batch_normalization_1 = batch_norm(block_1/conv2d_2, block/batch_normalization_1/gamma, block/batch_normalization_1/beta, block/batch_normalization_1/moving_mean, block/batch_normalization_1/moving_variance): f32[1,8,8,4]
    global_max_pooling2d_1/max_pool2d = max_pool2d(block_1/batch_normalization_1): f32[1,1,1,4]
    global_max_pooling2d_1 = reshape(global_max_pooling2d_1/max_pool2d): f32[1,4]
    dense_1 = fully_connected(global_max_pooling2d_1, dense_1/kernel, dense_1/bias): f32[1,5]
    → dense_1
    ");
}

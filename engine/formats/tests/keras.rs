//! The Keras fixtures, imported: shapes as Keras computed them, names, parameters, refusals; and what mutated files do.
//!
//! Numbers are compared where there is a runtime; here it is structure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use formats::keras::{self, ImportOptions};
use formats::{FormatError, store};
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

#[test]
fn one_layer_becomes_several_nodes_where_no_operator_does_it_alone() {
    insta::assert_snapshot!(outline(&import("keras3/depthwise.h5").unwrap()), @"
    image: f32[1,9,7,3]
    same = depthwise_conv2d(image, same/depthwise_kernel, same/bias): f32[1,9,7,3]
    multiplied = depthwise_conv2d(image, multiplied/depthwise_kernel, multiplied/bias): f32[1,5,4,6]
    multiplied/relu = relu(multiplied): f32[1,5,4,6]
    valid = depthwise_conv2d(image, valid/depthwise_kernel): f32[1,8,5,3]
    dilated = depthwise_conv2d(image, dilated/depthwise_kernel, dilated/bias): f32[1,9,7,3]
    separable/depthwise = depthwise_conv2d(image, separable/depthwise_kernel): f32[1,9,7,3]
    separable = conv2d(separable/depthwise, separable/pointwise_kernel, separable/bias): f32[1,9,7,4]
    separable_multiplied/depthwise = depthwise_conv2d(image, separable_multiplied/depthwise_kernel): f32[1,4,3,6]
    separable_multiplied = conv2d(separable_multiplied/depthwise, separable_multiplied/pointwise_kernel, separable_multiplied/bias): f32[1,4,3,4]
    separable_multiplied/relu = relu(separable_multiplied): f32[1,4,3,4]
    separable_unbiased/depthwise = depthwise_conv2d(image, separable_unbiased/depthwise_kernel): f32[1,7,5,3]
    separable_unbiased = conv2d(separable_unbiased/depthwise, separable_unbiased/pointwise_kernel): f32[1,7,5,4]
    → same, multiplied/relu, valid, dilated, separable, separable_multiplied/relu, separable_unbiased
    ");
    insta::assert_snapshot!(outline(&import("keras2/preprocessing.h5").unwrap()), @"
    image: f32[1,4,4,3]
    rescaling/scale = mul(image, rescaling/factor): f32[1,4,4,3]
    rescaling = add(rescaling/scale, rescaling/offset): f32[1,4,4,3]
    stated/scale = mul(rescaling, stated/factor): f32[1,4,4,3]
    stated = add(stated/scale, stated/offset): f32[1,4,4,3]
    adapted/scale = mul(rescaling, adapted/factor): f32[1,4,4,3]
    adapted = add(adapted/scale, adapted/offset): f32[1,4,4,3]
    concatenate = concat(stated, adapted): f32[1,4,4,6]
    → concatenate
    ");
}

#[test]
fn hard_sigmoid_is_that_of_the_keras_that_wrote_the_file() {
    let slope = |file: &str| {
        let graph = import(file).unwrap();
        let slope = graph.nodes().iter().find_map(|n| match &n.op {
            ir::Op::Function(ir::ops::Function::HardSigmoid { alpha, .. }) => Some(*alpha),
            _ => None,
        });
        slope.unwrap()
    };
    assert_eq!(slope("keras2/squeeze_excite.h5"), 0.2);
    assert_eq!(slope("keras3/squeeze_excite.h5"), 1.0 / 6.0);
}

#[test]
fn attention_is_one_matrix_product_for_each_head() {
    let graph = import("keras3/transformer.keras").unwrap();
    assert_eq!(graph, import("keras3/transformer.h5").unwrap());
    let lines = outline(&graph);
    let of = |layer: &str| {
        lines
            .lines()
            .filter(|l| l.starts_with(layer))
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(of("self_attention"), @"
    self_attention/query = fully_connected(layer_normalization, self_attention/query/kernel, self_attention/query/bias): f32[1,6,6]
    self_attention/query_heads = reshape(self_attention/query): f32[1,6,2,3]
    self_attention/query_by_head = transpose(self_attention/query_heads): f32[1,2,6,3]
    self_attention/key = fully_connected(layer_normalization, self_attention/key/kernel, self_attention/key/bias): f32[1,6,6]
    self_attention/key_heads = reshape(self_attention/key): f32[1,6,2,3]
    self_attention/key_by_head = transpose(self_attention/key_heads): f32[1,2,6,3]
    self_attention/value = fully_connected(layer_normalization, self_attention/value/kernel, self_attention/value/bias): f32[1,6,8]
    self_attention/value_heads = reshape(self_attention/value): f32[1,6,2,4]
    self_attention/value_by_head = transpose(self_attention/value_heads): f32[1,2,6,4]
    self_attention/products = mat_mul(self_attention/query_by_head, self_attention/key_by_head): f32[1,2,6,6]
    self_attention/scores = mul(self_attention/products, self_attention/factor): f32[1,2,6,6]
    self_attention/softmax = softmax(self_attention/scores): f32[1,2,6,6]
    self_attention/mixed = mat_mul(self_attention/softmax, self_attention/value_by_head): f32[1,2,6,4]
    self_attention/rows = transpose(self_attention/mixed): f32[1,6,2,4]
    self_attention/merged = reshape(self_attention/rows): f32[1,6,8]
    self_attention = fully_connected(self_attention/merged, self_attention/attention_output/kernel, self_attention/attention_output/bias): f32[1,6,8]
    ");
    insta::assert_snapshot!(of("cross_attention"), @"
    cross_attention/query = fully_connected(average_pooling1d, cross_attention/query/kernel): f32[1,3,5]
    cross_attention/query_heads = reshape(cross_attention/query): f32[1,3,1,5]
    cross_attention/query_by_head = transpose(cross_attention/query_heads): f32[1,1,3,5]
    cross_attention/key = fully_connected(dense_2/tanh, cross_attention/key/kernel): f32[1,6,5]
    cross_attention/key_heads = reshape(cross_attention/key): f32[1,6,1,5]
    cross_attention/key_by_head = transpose(cross_attention/key_heads): f32[1,1,6,5]
    cross_attention/value = fully_connected(layer_normalization_2, cross_attention/value/kernel): f32[1,6,5]
    cross_attention/value_heads = reshape(cross_attention/value): f32[1,6,1,5]
    cross_attention/value_by_head = transpose(cross_attention/value_heads): f32[1,1,6,5]
    cross_attention/products = mat_mul(cross_attention/query_by_head, cross_attention/key_by_head): f32[1,1,3,6]
    cross_attention/scores = mul(cross_attention/products, cross_attention/factor): f32[1,1,3,6]
    cross_attention/softmax = softmax(cross_attention/scores): f32[1,1,3,6]
    cross_attention/mixed = mat_mul(cross_attention/softmax, cross_attention/value_by_head): f32[1,1,3,5]
    cross_attention/rows = transpose(cross_attention/mixed): f32[1,3,1,5]
    cross_attention/merged = reshape(cross_attention/rows): f32[1,3,5]
    cross_attention = fully_connected(cross_attention/merged, cross_attention/attention_output/kernel): f32[1,3,7]
    ");
    insta::assert_snapshot!(of("layer_norm"), @"
    layer_normalization = layer_norm(sequence, layer_normalization/gamma, layer_normalization/beta): f32[1,6,8]
    layer_normalization_1 = layer_norm(add, layer_normalization_1/gamma): f32[1,6,8]
    layer_normalization_2 = layer_norm(add_1, layer_normalization_2/gamma, layer_normalization_2/beta): f32[1,6,8]
    ");
}

/// A model of one attention layer over `x` and `z`, called as `node` says.
fn attention(node: &Value, config: &Value) -> String {
    let input = |name: &str| {
        let config = serde_json::json!({"name": name, "batch_shape": [null, 5, 4]});
        serde_json::json!({"class_name": "InputLayer", "name": name, "config": config, "inbound_nodes": []})
    };
    let mut config = config.clone();
    config["name"] = "a".into();
    let layer =
        serde_json::json!({"class_name": "MultiHeadAttention", "name": "a", "config": config, "inbound_nodes": [node]});
    let network = serde_json::json!({
        "name": "network",
        "layers": [input("x"), input("z"), layer],
        "input_layers": [["x", 0, 0], ["z", 0, 0]],
        "output_layers": [["a", 0, 0]],
    });
    let json = serde_json::json!({"class_name": "Functional", "config": network});
    keras::read_config_and_weights(&json.to_string(), &bytes("keras3/pooling.h5"))
        .unwrap_err()
        .to_string()
}

#[test]
fn masks_of_attention_are_refused_by_name() {
    let tensor =
        |name: &str| serde_json::json!({"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}});
    let (x, z) = (tensor("x"), tensor("z"));
    let plain = serde_json::json!({"num_heads": 2, "key_dim": 3});
    let by_name = |more: Value| {
        let mut named = serde_json::json!({"value": z, "key": z, "training": false, "use_causal_mask": false});
        for (key, value) in more.as_object().unwrap() {
            named[key.as_str()] = value.clone();
        }
        attention(&serde_json::json!({"args": [x], "kwargs": named}), &plain)
    };
    insta::assert_snapshot!(by_name(serde_json::json!({})).lines().next().unwrap(), @"keras: 8 problems with the weights:");
    insta::assert_snapshot!(by_name(serde_json::json!({"use_causal_mask": true})), @"keras: layer `a`: is called with `use_causal_mask` = true; save the model for inference, without call arguments");
    insta::assert_snapshot!(by_name(serde_json::json!({"attention_mask": z})).split("__").next().unwrap(), @r#"keras: layer `a`: is called with `attention_mask` = {"class_name":""#);
    insta::assert_snapshot!(by_name(serde_json::json!({"return_attention_scores": true})), @"keras: layer `a`: is called with `return_attention_scores` = true; save the model for inference, without call arguments");
    let called = |args: Value| attention(&serde_json::json!({"args": args, "kwargs": {}}), &plain);
    insta::assert_snapshot!(called(serde_json::json!([x, z, null, null, z])), @"keras: layer `a`: is called with a mask; call it with query, value and key alone");
    insta::assert_snapshot!(called(serde_json::json!([x])), @"keras: layer `a`: is called without `value`");
    insta::assert_snapshot!(called(serde_json::json!([x, [z, z]])).split('{').next().unwrap(), @"keras: layer `a`: its `value` is [");
    let keras_2 = serde_json::json!([["x", 0, 0, {"value": ["z", 0, 0], "use_causal_mask": true}]]);
    insta::assert_snapshot!(attention(&keras_2, &plain), @"keras: layer `a`: is called with `use_causal_mask` = true; save the model for inference, without call arguments");
    let node = serde_json::json!([["x", 0, 0, {"value": ["z", 0, 0]}]]);
    let gated = serde_json::json!({"num_heads": 2, "key_dim": 3, "use_gate": true, "use_bias": false});
    insta::assert_snapshot!(attention(&node, &gated), @"keras: layer `a` (MultiHeadAttention): the arguments `use_gate` are not supported; their meaning is unknown, so the result could be wrong; leave them out");
    let axes = serde_json::json!({"num_heads": 2, "key_dim": 3, "attention_axes": [1, 2]});
    insta::assert_snapshot!(attention(&node, &axes), @"keras: layer `a` (MultiHeadAttention): `attention_axes` = [1,2] is not supported; attend over the sequence, dimension 1");
}

#[test]
fn layer_norms_run_over_the_last_dimensions() {
    let norm = |config: Value| sequential(&serde_json::json!([null, 5, 4]), &[("LayerNormalization", config)]);
    let bare = |axis: Value| norm(serde_json::json!({"axis": axis, "center": false, "scale": false, "epsilon": 0.1}));
    let op = |axis: Value| bare(axis).unwrap().nodes()[0].op.clone();
    let over = |axis| ir::Op::from(ir::ops::LayerNorm { axis, epsilon: 0.1 });
    assert_eq!(op(serde_json::json!(-1)), over(2));
    assert_eq!(op(serde_json::json!([2, 1])), over(1));
    insta::assert_snapshot!(bare(serde_json::json!([1])).unwrap_err(), @"keras: layer `l0` (LayerNormalization): `axis` = [1] is not supported; normalize over the last dimensions of a sample (axis=-1)");
    insta::assert_snapshot!(bare(serde_json::json!([0, 1, 2])).unwrap_err(), @"keras: layer `l0` (LayerNormalization): `axis` = [0,1,2] is not supported; normalize over the last dimensions of a sample (axis=-1)");
    insta::assert_snapshot!(norm(serde_json::json!({"rms_scaling": true})).unwrap_err(), @"keras: layer `l0` (LayerNormalization): `rms_scaling` = true is not supported; normalize by mean and variance (rms_scaling=False)");
    insta::assert_snapshot!(norm(serde_json::json!({"axis": [1, 2]})).unwrap_err(), @"
    keras: 2 problems with the weights:
      l0/gamma: missing, expected [5, 4]
      l0/beta: missing, expected [5, 4]
    ");
}

/// A sequential model of layers that need no weights, or lack them.
fn sequential(input: &Value, layers: &[(&str, Value)]) -> Result<Graph, FormatError> {
    let layer = |(i, (class, config)): (usize, &(&str, Value))| {
        let mut config = config.clone();
        config["name"] = format!("l{i}").into();
        serde_json::json!({"class_name": class, "config": config})
    };
    let mut all = vec![serde_json::json!({"class_name": "InputLayer", "config": {"name": "x", "batch_shape": input}})];
    all.extend(layers.iter().enumerate().map(layer));
    let json = serde_json::json!({"class_name": "Sequential", "config": {"name": "network", "layers": all}});
    keras::read_config_and_weights(&json.to_string(), &bytes("keras3/pooling.h5"))
}

#[test]
fn sequences_are_images_of_one_row() {
    let layers = [
        ("ZeroPadding1D", serde_json::json!({"padding": [1, 2]})),
        ("UpSampling1D", serde_json::json!({"size": 2})),
        ("Cropping1D", serde_json::json!({"cropping": [0, 1]})),
        ("MaxPooling1D", serde_json::json!({"pool_size": [2], "padding": "same"})),
        ("GlobalMaxPooling1D", serde_json::json!({"keepdims": true})),
        ("GlobalAveragePooling1D", serde_json::json!({})),
    ];
    let graph = sequential(&serde_json::json!([null, 10, 4]), &layers).unwrap();
    insta::assert_snapshot!(outline(&graph), @"
    x: f32[1,10,4]
    l0 = pad(x): f32[1,13,4]
    l1/expand = reshape(l0): f32[1,1,13,4]
    l1/resize = resize(l1/expand): f32[1,1,26,4]
    l1 = reshape(l1/resize): f32[1,26,4]
    l2 = slice(l1): f32[1,25,4]
    l3/expand = reshape(l2): f32[1,1,25,4]
    l3/max_pool2d = max_pool2d(l3/expand): f32[1,1,13,4]
    l3 = reshape(l3/max_pool2d): f32[1,13,4]
    l4/expand = reshape(l3): f32[1,1,13,4]
    l4/max_pool2d = max_pool2d(l4/expand): f32[1,1,1,4]
    l4 = reshape(l4/max_pool2d): f32[1,1,4]
    l5 = mean(l4): f32[1,4]
    → l5
    ");
    let convolution = [(
        "Conv1D",
        serde_json::json!({"filters": 6, "kernel_size": [3], "padding": "causal"}),
    )];
    let missing = sequential(&serde_json::json!([null, 10, 4]), &convolution).unwrap_err();
    insta::assert_snapshot!(missing, @"
    keras: 2 problems with the weights:
      l0/kernel: missing, expected [3, 4, 6]
      l0/bias: missing, expected [6]
    ");
}

#[test]
fn preprocessing_and_composed_activations_become_operators() {
    let layers = [
        ("RandomFlip", serde_json::json!({"mode": "horizontal"})),
        ("CenterCrop", serde_json::json!({"height": 5, "width": 6})),
        (
            "Resizing",
            serde_json::json!({"height": 4, "width": 4, "interpolation": "bilinear"}),
        ),
        ("ReLU", serde_json::json!({"max_value": 4.0, "negative_slope": 0.1})),
        ("Activation", serde_json::json!({"activation": "selu"})),
        ("Softmax", serde_json::json!({"axis": 2})),
    ];
    let graph = sequential(&serde_json::json!([null, 8, 8, 3]), &layers).unwrap();
    insta::assert_snapshot!(outline(&graph), @"
    x: f32[1,8,8,3]
    l0 = identity(x): f32[1,8,8,3]
    l1 = slice(l0): f32[1,5,6,3]
    l2 = resize(l1): f32[1,4,4,3]
    l3/leaky_relu = leaky_relu(l2): f32[1,4,4,3]
    l3 = minimum(l3/leaky_relu, l3/max_value): f32[1,4,4,3]
    l4/elu = elu(l3): f32[1,4,4,3]
    l4 = mul(l4/elu, l4/selu_scale): f32[1,4,4,3]
    l5/transpose = transpose(l4): f32[1,4,3,4]
    l5/softmax = softmax(l5/transpose): f32[1,4,3,4]
    l5 = transpose(l5/softmax): f32[1,4,4,3]
    → l5
    ");
}

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

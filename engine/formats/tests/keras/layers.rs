//! Layers that become other operators than one of their name.

use formats::{FormatError, keras};
use ir::Graph;
use serde_json::Value;

use crate::{bytes, import, outline};

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

//! What compression steps promise together: zeros and clusters survive, threads change nothing, bad requests are answered.

use methods::quantize::{Range, Scheme};
use models::FileOptions;
use serde_json::{Value, json};

use crate::contract::Ranges;
use crate::ops::cluster::distinct;
use crate::ops::quantize::{Quantize, quantize};
use crate::sampling::reconstruction::RoundingMethod;
use crate::tests::fixtures::{network, noise, prepared, refused, run, run_with, values, weights, with_context};

fn ranges() -> Ranges {
    let graph = prepared();
    let float = graph.tensors().iter().filter(|t| t.data.is_none());
    Ranges {
        summary: report::CalibrationSummary {
            method: "made up".into(),
            samples: 1,
            population: 1,
            per_class: vec![],
            warnings: vec![],
        },
        tensors: float.map(|t| (t.name.clone(), Range { min: -8.0, max: 8.0 })).collect(),
    }
}

fn quantized(model: &ir::Graph, params: Value) -> ir::Graph {
    let params: Quantize = serde_json::from_value(params).unwrap();
    let needed = ranges();
    let ranges = (params.scheme == Scheme::Int8).then_some(&needed);
    if params.rounding == RoundingMethod::Nearest {
        return quantize(model, ranges, &params, None).unwrap().0;
    }
    let data = noise(40);
    with_context(2, |context| {
        let samples = crate::sampling::Samples::draw(&data, 40, 0, context).unwrap();
        quantize(model, ranges, &params, Some(&samples)).unwrap().0
    })
}

const SCHEMES: [&str; 4] = [
    r#"{ "scheme": "int8" }"#,
    r#"{ "scheme": "int8", "per": "tensor" }"#,
    r#"{ "scheme": "int8", "weights": "int4", "rounding": "gptq" }"#,
    r#"{ "scheme": "dynamic-int8", "min-elements": 1 }"#,
];

#[test]
fn zeros_survive_clustering_and_every_quantization_and_export() {
    let pruning = [
        json!({ "sparsity": 0.5 }),
        json!({ "sparsity": 0.5, "scope": "global" }),
        json!({ "sparsity": 0.5, "method": "random" }),
        json!({ "pattern": "2:4" }),
        json!({ "block": 2, "sparsity": 0.5 }),
        json!({ "sparsity": 0.5, "method": "second-order" }),
        json!({ "sparsity": 0.5, "method": "second-order", "scope": "global" }),
        json!({ "pattern": "2:4", "method": "second-order" }),
        json!({ "block": 4, "sparsity": 0.5, "method": "second-order" }),
    ];
    for params in pruning {
        let samples = (params["method"] == "second-order").then_some(40);
        let (pruned, _) = run(2, "prune", params.clone(), &[("model", &network())], samples).unwrap();
        let clustering = json!({ "clusters": 6, "method": "hessian" });
        let (clustered, _) = run(2, "cluster", clustering, &[("model", &pruned)], Some(40)).unwrap();
        for model in [&pruned, &clustered] {
            for scheme in SCHEMES {
                let integer = quantized(model, serde_json::from_str(scheme).unwrap());
                let file = formats::tflite::read(&formats::tflite::write(&integer).unwrap()).unwrap();
                for name in weights(&prepared()) {
                    let (before, after) = (values(&pruned, &name), values(&file, &name));
                    let lost = before
                        .iter()
                        .zip(&after)
                        .filter(|(b, a)| **b == 0.0 && **a != 0.0)
                        .count();
                    assert_eq!(lost, 0, "{params} {scheme} {name}");
                }
            }
        }
    }
}

#[test]
fn the_sparsity_asked_for_is_there() {
    let overrides = json!([{ "layers": ["op:fully_connected"], "sparsity": 0.0 }]);
    for (method, samples) in [("magnitude", None), ("second-order", Some(40))] {
        let params = json!({ "sparsity": 0.5, "method": method, "exclude": ["a"], "overrides": overrides });
        let (pruned, _) = run(1, "prune", params, &[("model", &network())], samples).unwrap();
        let share = |name: &str| {
            let values = values(&pruned, name);
            values.iter().filter(|v| **v == 0.0).count() as f64 / values.len() as f64
        };
        assert_eq!(
            (share("a/w"), share("deep/w"), share("point/w"), share("dense/w")),
            (0.0, 0.5, 0.5, 0.0)
        );
    }
}

#[test]
fn clusters_survive_quantization() {
    for per in ["tensor", "channel", "scaled"] {
        for (method, samples) in [("nearest", None), ("hessian", Some(40))] {
            let params = json!({ "clusters": 6, "per": per, "method": method });
            let (clustered, _) = run(2, "cluster", params, &[("model", &network())], samples).unwrap();
            let integer = quantized(&clustered, json!({ "scheme": "int8" }));
            for layer in methods::layers(&prepared()) {
                let weights = layer.matrix(&clustered).unwrap();
                let most = weights.rows().into_iter().map(|r| distinct(r.iter().copied())).max();
                let whole = distinct(weights.iter().copied());
                let name = format!("{}/w", layer.name);
                let codes = distinct(values(&integer, &name).into_iter());
                match per {
                    "tensor" => assert!(whole <= 6 && codes <= 6, "{method} {name}: {whole} {codes}"),
                    "channel" => assert!(most <= Some(6), "{method} {name}"),
                    // A scale a channel takes the channels' scales out; fully connected layers have but one.
                    _ => assert!(
                        most <= Some(6) && (codes <= 6 || layer.name == "dense"),
                        "{method} {name}: {codes}"
                    ),
                }
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    let steps = [
        (
            "prune",
            json!({ "sparsity": 0.5, "method": "second-order", "scope": "global" }),
        ),
        ("prune", json!({ "pattern": "2:4", "method": "second-order" })),
        (
            "cluster",
            json!({ "clusters": 4, "method": "hessian", "per": "channel" }),
        ),
        ("cluster", json!({ "clusters": 4, "method": "hessian" })),
        ("equalize", json!({})),
        (
            "quantize",
            json!({ "scheme": "dynamic-int8", "min-elements": 1, "weights": "int4", "rounding": "gptq" }),
        ),
    ];
    for (op, params) in steps {
        let model = network();
        let [one, three] = [1, 3].map(|n| run(n, op, params.clone(), &[("model", &model)], Some(50)).unwrap().1);
        assert!(one.blobs == three.blobs, "{op} {params}");
    }
}

#[test]
fn rounding_by_reconstruction_keeps_outputs_better_than_nearest() {
    let model = network();
    let error = |rounding: &str| {
        let params = json!({ "scheme": "dynamic-int8", "min-elements": 1, "weights": "int4", "rounding": rounding });
        let samples = (rounding == "gptq").then_some(200);
        let (graph, _) = run(2, "quantize", params, &[("model", &model)], samples).unwrap();
        let data = noise(60);
        with_context(2, |context| {
            let samples = crate::sampling::Samples::draw(&data, 60, 1, context).unwrap();
            samples.distance(&prepared(), &graph).unwrap()
        })
    };
    let (nearest, gptq) = (error("nearest"), error("gptq"));
    assert!(gptq < 0.5 * nearest, "{gptq} against {nearest}");
}

#[test]
fn a_repair_is_kept_only_if_it_helps() {
    // Biases that are off are set right.
    let mut off = prepared();
    let bias = off.find("point/b").unwrap();
    off.tensor_mut(bias).data = ir::Constant::f32([8], vec![1.0; 8]);
    let ports = [("model", &off), ("reference", &network())];
    let (corrected, output) = run(1, "correct-bias", json!({}), &ports, Some(80)).unwrap();
    let found = values(&corrected, "point/b");
    let wanted = values(&prepared(), "point/b");
    assert!(
        found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-3),
        "{found:?} {wanted:?}"
    );
    let Some(report::Document::Model(summary)) = output.document else {
        panic!("a model has a summary")
    };
    assert!(summary.effect.iter().all(|row| row.took_effect));

    // Nothing to gain: the model stays as it is, and the table says so.
    let ports = [("model", &network()), ("reference", &network())];
    let (same, output) = run(1, "correct-bias", json!({}), &ports, Some(80)).unwrap();
    assert_eq!(values(&same, "point/b"), wanted);
    let Some(report::Document::Model(summary)) = output.document else {
        panic!("a model has a summary")
    };
    assert!(summary.effect.iter().all(|row| !row.took_effect));
}

#[test]
fn rules_leave_layers_float_or_give_them_fewer_bits() {
    let rules =
        json!([{ "layers": ["dense"], "weights": "float" }, { "layers": ["op:depthwise*"], "weights": "int4" }]);
    let q = quantized(&network(), json!({ "scheme": "int8", "rules": rules }));
    let of = |name: &str| q.tensor(q.find(name).unwrap()).ty.element;
    assert_eq!((of("dense/w"), of("a/w")), (ir::ElementType::F32, ir::ElementType::I8));
    assert!(values(&q, "deep/w").iter().all(|v| v.abs() <= 7.0));
    assert!(values(&q, "a/w").iter().any(|v| v.abs() > 7.0));
}

#[test]
fn four_bit_weights_read_back_the_same_from_files_that_pack_them() {
    for params in [
        json!({ "scheme": "int8", "weights": "int4" }),
        json!({ "scheme": "dynamic-int8", "weights": "int4", "min-elements": 1 }),
    ] {
        let q = quantized(&network(), params.clone());
        let [plain, packed] = [false, true].map(|packed| models::tflite(&q, packed).unwrap());
        assert!(packed.len() < plain.len(), "{params}");
        let [plain, packed] = [plain, packed].map(|bytes| formats::tflite::read(&bytes).unwrap());
        assert_eq!(plain, packed, "{params}");
    }
    let q = quantized(&network(), json!({ "scheme": "int8", "weights": "int4" }));
    let [plain, packed] = [false, true].map(|packed_int4| {
        let options = FileOptions {
            packed_int4,
            ..FileOptions::default()
        };
        models::onnx(&q, options).unwrap()
    });
    assert!(packed.len() < plain.len());
    let [plain, packed] = [plain, packed].map(|bytes| formats::onnx::read(&bytes).unwrap());
    assert_eq!(plain, packed);
}

#[test]
fn layers_that_are_not_pruned_make_up_for_those_before_them() {
    let (start, _) = run(
        1,
        "prune",
        json!({ "sparsity": 0.1, "layers": ["dense"] }),
        &[("model", &network())],
        None,
    )
    .unwrap();
    let pruned = |adjust: bool| {
        let params =
            json!({ "sparsity": 0.5, "method": "second-order", "layers": ["a", "deep"], "adjust-others": adjust });
        run(1, "prune", params, &[("model", &start)], Some(60)).unwrap().0
    };
    let [still, moved] = [false, true].map(pruned);
    assert_eq!(values(&still, "dense/w"), values(&start, "dense/w"));
    assert_ne!(values(&moved, "dense/w"), values(&start, "dense/w"));
    let zeros = |model: &ir::Graph| values(model, "dense/w").iter().map(|&w| w == 0.0).collect::<Vec<_>>();
    assert_eq!(zeros(&moved), zeros(&start));
    let data = noise(60);
    with_context(1, |context| {
        let samples = crate::sampling::Samples::draw(&data, 60, 0, context).unwrap();
        let [still, moved] = [&still, &moved].map(|model| samples.distance(&prepared(), model).unwrap());
        assert!(moved < 0.8 * still, "{moved} {still}");
    });
}

#[test]
fn blocks_of_four_bit_weights_are_nearer_and_stay_so_in_onnx_files() {
    let params = json!({ "scheme": "dynamic-int8", "weights": "int4", "min-elements": 1 });
    let mut with_blocks = params.clone();
    with_blocks["block"] = json!(4);
    let [whole, blocks] = [params, with_blocks].map(|params| quantized(&network(), params));
    let data = noise(40);
    with_context(1, |context| {
        let samples = crate::sampling::Samples::draw(&data, 40, 0, context).unwrap();
        let [by_channel, by_block] = [&whole, &blocks].map(|q| samples.distance(&prepared(), q).unwrap());
        assert!(by_block < 0.9 * by_channel, "{by_block} {by_channel}");

        let file = models::onnx(&blocks, FileOptions::default()).unwrap();
        let read = formats::onnx::read(&file).unwrap();
        // The depthwise convolution quantizes its inputs here, which the file does not say.
        assert!(samples.distance(&blocks, &read).unwrap() < 1e-6);
        let in_blocks = |t: &&ir::Tensor| t.quantization.as_ref().is_some_and(|q| q.block == Some(4));
        // That convolution has one input channel an output, and no blocks.
        assert_eq!(read.tensors().iter().filter(in_blocks).count(), 3);
    });
    insta::assert_snapshot!(models::tflite(&blocks, false).unwrap_err(), @"tflite: tensor `a/w/stored`: has scales for blocks, which not all kernels of LiteRT look at; write an .onnx file, or quantize without `block`");
    insta::assert_snapshot!(refused("quantize", json!({ "scheme": "dynamic-int8", "block": 4 }), None), @"block is for scheme dynamic-int8 with weights int4: remove it, or change them");
    insta::assert_snapshot!(refused("quantize", json!({ "scheme": "dynamic-int8", "weights": "int4", "block": 1 }), None), @"block: a block has 2 weights at least; remove it for a scale a channel");
    let rounded = json!({ "scheme": "dynamic-int8", "weights": "int4", "block": 4, "rounding": "gptq" });
    insta::assert_snapshot!(refused("quantize", rounded, Some(9)), @"rounding gptq has a scale a channel, not a block: remove block, or the rounding");
}

#[test]
fn pruned_weights_are_stored_without_zeros_where_a_file_gets_smaller() {
    let params = json!({ "sparsity": 0.9, "scope": "global" });
    let (pruned, _) = run(1, "prune", params, &[("model", &network())], None).unwrap();
    let sparse = models::tflite_sparse(&pruned, false).unwrap();
    let dense = models::tflite(&pruned, false).unwrap();
    assert!(!sparse.tensors.is_empty() && sparse.bytes.len() < dense.len());
    let [read, same] = [&sparse.bytes, &dense].map(|bytes| formats::tflite::read(bytes).unwrap());
    assert_eq!(read, same);

    let options = FileOptions {
        sparse: true,
        ..FileOptions::default()
    };
    let said = std::cell::RefCell::new(Vec::new());
    let log = |line: &str| said.borrow_mut().push(line.to_owned());
    let format = |format| models::files(&pruned, format, options, &log);
    let files = format(models::FileFormat::Tflite).unwrap();
    assert_eq!(files[0].1, sparse.bytes);
    let lines = said.take();
    let last = &sparse.tensors[0];
    let line = format!(
        "{}: {} bytes stored sparsely in {}",
        last.name, last.dense_bytes, last.sparse_bytes
    );
    assert!(lines.contains(&line), "{lines:?}");
    insta::assert_snapshot!(format(models::FileFormat::Onnx).unwrap_err(), @"sparse: is for TensorFlow Lite files; remove it, or write format: tflite");
    insta::assert_snapshot!(format(models::FileFormat::CArray).unwrap_err(), @"sparse: runtimes on microcontrollers have no operator that unpacks sparse weights; remove it, or write format: tflite");
}

fn sensitivity(params: Value) -> report::Sensitivity {
    match output("sensitivity", params, 60).document {
        Some(report::Document::Sensitivity(found)) => found,
        _ => panic!("sensitivity makes a table"),
    }
}

/// What an op makes of the network, noise and made-up ranges.
fn output(op: &str, params: Value, samples: usize) -> crate::Output {
    run_with(2, op, params, &[("model", &network())], Some(samples), Some(&ranges())).unwrap()
}

#[test]
fn a_layer_alone_suffers_as_its_treatment_says() {
    let treatments = json!(["int8", "int4", { "prune": 0.5 }, { "cluster": 2 }, { "prune": 0.0 }]);
    let found = sensitivity(json!({ "treatments": treatments }));
    assert_eq!(found.rows.len(), 4 * 5);
    let error = |layer: &str, treatment: &str| {
        let is = |r: &&report::SensitivityRow| r.layer == layer && r.treatment == treatment;
        found.rows.iter().find(is).unwrap().noise
    };
    for layer in ["a", "deep", "point", "dense"] {
        assert!(error(layer, "int8") < error(layer, "int4"), "{layer}");
        assert!(error(layer, "cluster 2") > 0.0 && error(layer, "prune 0.5") > 0.0);
        assert_eq!(error(layer, "prune 0"), 0.0);
    }
    // The error of one layer alone is that of a network pruned in this layer alone.
    let params = json!({ "sparsity": 0.5, "layers": ["point"] });
    let (pruned, _) = run(1, "prune", params, &[("model", &network())], None).unwrap();
    let data = noise(60);
    let distance = with_context(1, |context| {
        let samples = crate::sampling::Samples::draw(&data, 60, 0, context).unwrap();
        samples.distance(&prepared(), &pruned).unwrap()
    });
    assert!((error("point", "prune 0.5") / distance - 1.0).abs() < 1e-6);
}

#[test]
fn auto_takes_no_more_bits_than_the_drop_demands() {
    let bits = |drop: f64| {
        let params = json!({ "drop": drop, "weights": ["float", "int8", "int4"], "count": 40, "held-out": 60 });
        let output = output("auto", params, 100);
        let Some(report::Document::Model(summary)) = output.document else {
            panic!("a model has a summary")
        };
        assert!(summary.effect.iter().all(|row| row.took_effect));
        let layers = summary.effect.iter().filter(|row| row.layer != "all");
        layers.map(|row| row.actual.clone()).collect::<Vec<_>>()
    };
    // Any drop goes: all layers take the fewest bits. Where few decisions may change, some take more.
    assert_eq!(bits(1.0), ["int4"; 4]);
    assert_ne!(bits(0.1), ["int4"; 4]);
}

#[test]
fn bad_requests_are_answered() {
    insta::assert_snapshot!(refused("sensitivity", json!({ "treatments": [] }), Some(9)), @"treatments: none; name some, such as int8, int4, { prune: 0.5 } or { cluster: 16 }");
    insta::assert_snapshot!(refused("sensitivity", json!({ "treatments": [{ "prune": 1.0 }] }), Some(9)), @"treatments: sparsity: 1 is not in 0..1; at 1 no weight would be left");
    insta::assert_snapshot!(refused("auto", json!({ "drop": 0.1, "weights": [] }), Some(9)), @"weights: none to choose from; name some of float, int8, int4");
    let params = json!({ "drop": 1.0, "bytes": 10, "count": 9, "held-out": 9 });
    let too_large = run_with(1, "auto", params, &[("model", &network())], Some(18), Some(&ranges()));
    insta::assert_snapshot!(too_large.err().unwrap(), @"bytes: the smallest model within the drop of 1 has 232 bytes of weights, more than 10; allow more bytes or a greater drop, or prune or shrink the model first");
    let params = json!({ "drop": 1.0, "bit-operations": 1000, "count": 9, "held-out": 9 });
    let too_slow = run_with(1, "auto", params, &[("model", &network())], Some(18), Some(&ranges()));
    // 15304 multiply–accumulates of 4 by 8 bits.
    insta::assert_snapshot!(too_slow.err().unwrap(), @"bit-operations: the smallest model within the drop of 1 takes 489728, more than 1000; allow more or a greater drop, or shrink the model first");
    insta::assert_snapshot!(refused("prune", json!({ "sparsity": 1.0 }), None), @"sparsity: 1 is not in 0..1; at 1 no weight would be left");
    insta::assert_snapshot!(refused("prune", json!({ "pattern": "4:2" }), None), @"pattern: 4:2 would keep 4 of each 2 neighbours; keep at least 1, and fewer than there are, as 2:4 does");
    insta::assert_snapshot!(refused("prune", json!({}), None), @"say how much to prune: sparsity, or a pattern like 2:4");
    insta::assert_snapshot!(refused("prune", json!({ "sparsity": 0.5, "method": "second-order" }), None), @"method second-order needs `data`: name a dataset step");
    insta::assert_snapshot!(refused("prune", json!({ "sparsity": 0.5, "exclude": ["*"] }), None), @"exclude: every layer is excluded; nothing is left to do");
    insta::assert_snapshot!(refused("prune", json!({ "sparsity": 0.5, "layers": ["conv9"] }), None), @"layers: `conv9` matches no layer with weights; there are a (op:conv2d), deep (op:depthwise_conv2d), point (op:conv2d), dense (op:fully_connected)");
    insta::assert_snapshot!(refused("cluster", json!({ "clusters": 1 }), None), @"clusters: 1; at least 2 are needed, and at most 256");
    insta::assert_snapshot!(refused("cluster", json!({ "clusters": 4, "method": "hessian" }), None), @"method hessian needs `data`: name a dataset step");
    insta::assert_snapshot!(refused("quantize", json!({ "scheme": "dynamic-int8", "rounding": "gptq" }), None), @"rounding gptq needs `data`: name a dataset step");
    // More clusters than weights: every weight keeps its value.
    let (same, _) = run(
        1,
        "cluster",
        json!({ "clusters": 256, "layers": ["point"] }),
        &[("model", &network())],
        None,
    )
    .unwrap();
    assert_eq!(same, prepared());
}

#[test]
fn a_flattened_image_costs_no_transpose_in_a_file() {
    // As PyTorch flattens: channels first.
    let mut g = ir::Graph::new("flat");
    let x = g.input("x", ir::TensorType::f32([1, 6, 6, 4]));
    let first = g
        .add("first", ir::ops::Transpose { perm: vec![0, 3, 1, 2] }, &[x])
        .unwrap();
    let flat = g
        .add("flat", ir::ops::Reshape { shape: vec![1, 144] }, &[first])
        .unwrap();
    let values = (0..3 * 144).map(|i| ((i * 37 % 101) as f32 - 50.0) / 100.0).collect();
    let w = g.constant("w", ir::Constant::f32([3, 144], values).unwrap());
    let y = g.add("y", ir::ops::FullyConnected::default(), &[flat, w]).unwrap();
    g.set_outputs(&[y]);
    let (float, ranges) = with_context(1, |context| {
        let data = noise(20);
        let samples = crate::sampling::Samples::draw(&data, 20, 0, context).unwrap();
        let ranges = samples.ranges(&models::prepared(&g).unwrap()).unwrap();
        let file = formats::tflite::read(&models::tflite(&g, false).unwrap()).unwrap();
        assert!(samples.distance(&g, &file).unwrap() < 1e-12);
        (file, ranges)
    });
    let params: Quantize = serde_json::from_value(json!({ "scheme": "int8" })).unwrap();
    let (integer, _) = quantize(&g, Some(&ranges), &params, None).unwrap();
    assert_eq!((g.transposes(), float.transposes(), integer.transposes()), (1, 0, 0));
    with_context(1, |context| {
        let data = noise(20);
        let samples = crate::sampling::Samples::draw(&data, 20, 0, context).unwrap();
        assert!(samples.distance(&g, &integer).unwrap() < 1e-3);
    });
}

//! TFLite files: every operator is read back as it was written.

use formats::tflite::{self, WriteOptions};
use ir::ops::{self, Activation, Function, Padding};
use ir::{Constant, ElementType, Graph, Op, Quantization, Scale, Tensor, TensorId, TensorType, passes};

/// What TFLite does not have; passes replace it before a file is written.
fn is_lowered_first(op: &Op) -> bool {
    if let Op::Recurrent(op) = op {
        let cell = matches!(op.cell, ops::Cell::Simple | ops::Cell::Lstm) && op.gate == Function::Sigmoid;
        return !cell || op.reverse || op.last_cell;
    }
    matches!(
        op,
        Op::BatchNorm(_)
            | Op::LayerNorm(_)
            | Op::Function(Function::Swish | Function::HardSigmoid { .. } | Function::Softplus | Function::Mish)
    )
}

fn round_trip(graph: &Graph) -> Graph {
    let bytes = tflite::write(graph).unwrap();
    assert_eq!(tflite::write(graph).unwrap(), bytes, "equal graphs make equal bytes");
    tflite::read(&bytes).unwrap()
}

/// Padding that TFLite cannot say comes back as a node of its own; folding undoes it.
fn folded(mut graph: Graph) -> Graph {
    passes::fold(&mut graph).unwrap();
    graph
}

#[test]
fn every_example_of_every_operator_is_read_back() {
    for example in Op::examples() {
        let mut graph = example.graph().unwrap();
        graph.settle_samples();
        if matches!(example.op, Op::Dropout(_) | Op::Identity(_)) {
            let read = round_trip(&graph);
            assert!(matches!(read.nodes()[0].op, Op::Reshape(_)), "another name of an input");
            continue;
        }
        if is_lowered_first(&example.op) {
            let error = tflite::write(&graph).unwrap_err().to_string();
            assert!(
                error.contains(example.op.name()) && error.contains("fold and lower"),
                "{error}"
            );
            continue;
        }
        if matches!(example.op, Op::Function(Function::Erf)) {
            insta::assert_snapshot!(tflite::write(&graph).unwrap_err(), @"tflite: node `y`: TFLite has no operator erf; it has erf as a part of gelu, x/2·(1 + erf(x/√2)), only; make that one layer");
            continue;
        }
        if matches!(example.op, Op::Quantize(_) | Op::Dequantize(_)) {
            // Without the scales that a quantized network has.
            assert!(tflite::write(&graph).is_err(), "{example:?}");
            continue;
        }
        let read = round_trip(&graph);
        if let Op::Recurrent(_) = example.op {
            // The weights of each gate are put together again under a name of their own.
            let constants = |g: &Graph| -> Vec<Option<Constant>> {
                let inputs = g.nodes()[0].inputs.iter();
                inputs.map(|&id| g.constant_data(id).cloned()).collect()
            };
            assert_eq!(read.nodes()[0].op, example.op);
            assert_eq!(constants(&read), constants(&graph));
            continue;
        }
        let same = read == graph || (read.nodes().len() > 1 && folded(read.clone()) == graph);
        assert!(same, "{example:?}\n{read:#?}");
    }
}

#[test]
fn lowered_operators_can_be_written() {
    for example in Op::examples().into_iter().filter(|e| is_lowered_first(&e.op)) {
        let mut graph = example.graph().unwrap();
        let last = graph
            .add("last", ops::Function::Relu, graph.outputs().to_vec().as_slice())
            .unwrap();
        graph.set_outputs(&[last]);
        passes::fold(&mut graph).unwrap();
        passes::lower(&mut graph).unwrap();
        assert_eq!(
            round_trip(&graph).nodes().len(),
            graph.nodes().len(),
            "{}",
            example.op.name()
        );
    }
}

fn scale(value: f32) -> Scale {
    Scale::new(value).unwrap()
}

fn quantized(graph: &mut Graph, id: TensorId, step: f32, zero_point: i32) {
    graph.tensor_mut(id).quantization = Some(Quantization::per_tensor(scale(step), zero_point));
}

/// Float input, integer convolution by channel with padding that needs a `Pad`, fully connected, float output.
fn integer_network() -> Graph {
    let mut g = Graph::new("integer");
    let x = g.input("x", TensorType::f32([1, 6, 6, 2]));
    let q = g.add("x_int8", ops::Quantize { to: ElementType::I8 }, &[x]).unwrap();
    quantized(&mut g, q, 0.05, -3);
    let w = g.constant(
        "w",
        Constant::i8([3, 3, 3, 2], (0..54).map(|v| v - 27).collect()).unwrap(),
    );
    g.tensor_mut(w).quantization = Some(Quantization::per_axis(vec![scale(0.01), scale(0.02), scale(0.03)], 0));
    let b = g.constant("b", Constant::i32([3], vec![5, -6, 7]).unwrap());
    let steps = vec![scale(0.0005), scale(0.001), scale(0.0015)];
    g.tensor_mut(b).quantization = Some(Quantization::per_axis(steps, 0));
    let conv = ops::Conv2d {
        stride: [2, 2],
        padding: Padding::all(1),
        ..ops::Conv2d::default()
    };
    let c = g
        .add(
            "conv",
            ops::Conv2d {
                activation: Activation::Relu,
                ..conv
            },
            &[q, w, b],
        )
        .unwrap();
    quantized(&mut g, c, 0.1, -128);
    let f = g.add("flat", ops::Reshape { shape: vec![1, 27] }, &[c]).unwrap();
    quantized(&mut g, f, 0.1, -128);
    let v = g.constant(
        "v",
        Constant::i8([4, 27], (0..108).map(|v| (v % 50) - 25).collect()).unwrap(),
    );
    quantized(&mut g, v, 0.02, 0);
    let d = g.add("dense", ops::FullyConnected::default(), &[f, v]).unwrap();
    quantized(&mut g, d, 0.2, 4);
    let s = g.add("softmax_int8", ops::Softmax::default(), &[d]).unwrap();
    quantized(&mut g, s, 1.0 / 256.0, -128);
    let y = g.add("y", ops::Dequantize {}, &[s]).unwrap();
    g.set_outputs(&[y]);
    g.verify().unwrap();
    g
}

#[test]
fn an_integer_network_is_read_back_with_its_scales() {
    let graph = integer_network();
    let read = round_trip(&graph);
    assert_eq!(read.nodes().len(), graph.nodes().len() + 1);
    for tensor in graph.tensors() {
        assert_eq!(read.tensor(read.find(&tensor.name).unwrap()), tensor);
    }
    let pad = read.tensor(read.find("conv/pad").unwrap());
    assert_eq!(
        pad.quantization,
        graph.tensor(graph.find("x_int8").unwrap()).quantization
    );
    assert_eq!(round_trip(&read), read, "what was normalized once stays");
}

#[test]
fn half_precision_and_dynamic_range_weights_are_read_back() {
    let mut g = Graph::new("halves");
    let x = g.input("x", TensorType::f32([1, 2, 4]));
    let halves = TensorType::new(ElementType::F16, [3, 4]);
    let stored = g.constant("w/half", Constant::from_le_bytes(&halves, &[0x3c; 24]).unwrap());
    let w = g.add("w", ops::Dequantize {}, &[stored]).unwrap();
    let y = g.add("y", ops::FullyConnected::default(), &[x, w]).unwrap();
    let v = g.constant("v", Constant::i8([2, 3], vec![1, -2, 3, -4, 5, -6]).unwrap());
    quantized(&mut g, v, 0.5, 0);
    let z = g
        .add(
            "z",
            ops::FullyConnected {
                activation: Activation::Relu,
            },
            &[y, v],
        )
        .unwrap();
    g.set_outputs(&[z, y]);
    assert_eq!(round_trip(&g), g);
}

#[test]
fn a_transposed_convolution_as_pytorch_pads_it_is_cropped() {
    let mut g = Graph::new("up");
    let x = g.input("x", TensorType::f32([1, 4, 4, 1]));
    let w = g.constant("w", Constant::f32([1, 3, 3, 1], vec![0.5; 9]).unwrap());
    let op = ops::TransposeConv2d {
        stride: [2, 2],
        padding: Padding::all(1),
        output_padding: [1, 1],
        activation: Activation::None,
    };
    let y = g.add("y", op, &[x, w]).unwrap();
    g.set_outputs(&[y]);
    let read = round_trip(&g);
    let names: Vec<_> = read.nodes().iter().map(|n| (n.name.as_str(), n.op.name())).collect();
    assert_eq!(names, [("y/whole", "transpose_conv2d"), ("y", "slice")]);
    assert_eq!(read.tensor(read.outputs()[0]).ty, TensorType::f32([1, 8, 8, 1]));
}

#[test]
fn a_max_pool_is_padded_with_the_least_number() {
    let mut g = Graph::new("pool");
    let x = g.input("x", TensorType::new(ElementType::I8, [1, 8, 8, 2]));
    quantized(&mut g, x, 0.5, 10);
    let pool = ops::MaxPool2d {
        kernel: [3, 3],
        stride: [2, 2],
        padding: Padding::all(1),
        activation: Activation::None,
    };
    let y = g.add("y", pool, &[x]).unwrap();
    quantized(&mut g, y, 0.5, 10);
    g.set_outputs(&[y]);
    let read = round_trip(&g);
    let Op::Pad(pad) = &read.nodes()[0].op else {
        panic!("{:?}", read.nodes())
    };
    assert_eq!(pad.mode, ops::PadMode::Value((-128.0 - 10.0) * 0.5));
    assert_eq!(read.tensor(read.outputs()[0]).ty, g.tensor(y).ty);
}

#[test]
fn an_embedding_is_read_back() {
    let mut g = Graph::new("embedding");
    let x = g.input("x", TensorType::new(ElementType::I32, [1, 4]));
    let table = g.constant("table", Constant::f32([6, 3], vec![0.5; 18]).unwrap());
    let y = g.add("y", ops::Gather { axis: 0 }, &[table, x]).unwrap();
    g.set_outputs(&[y]);
    assert_eq!(round_trip(&g), g);
}

#[test]
fn inputs_keep_their_order_and_stand_first() {
    let mut g = Graph::new("two");
    let c = g.constant("c", Constant::f32([3], vec![1.0, 2.0, 3.0]).unwrap());
    let b = g.input("b", TensorType::f32([1, 3]));
    let a = g.input("a", TensorType::f32([1, 3]));
    let s = g.add("s", ops::Sub::default(), &[a, b]).unwrap();
    let y = g.add("y", ops::Mul::default(), &[s, c]).unwrap();
    g.set_outputs(&[y, s]);
    let read = round_trip(&g);
    let names = |ids: &[TensorId]| ids.iter().map(|&i| read.tensor(i).name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(read.inputs()), names(read.outputs())),
        (vec!["b".into(), "a".into()], vec!["y".into(), "s".into()])
    );
    assert_eq!(
        read.tensors().iter().map(|t| t.name.as_str()).collect::<Vec<_>>(),
        ["b", "a", "c", "s", "y"]
    );
}

#[test]
fn a_builtin_that_is_not_in_the_ir_is_carried_through() {
    // A builtin of no attributes, as a foreign file would hold it.
    let mut g = Graph::new("carried");
    let x = g.input("x", TensorType::f32([1, 3]));
    let file = tflite::write(&{
        let mut h = g.clone();
        let y = h.add("y", ops::Function::Relu, &[x]).unwrap();
        h.set_outputs(&[y]);
        h
    })
    .unwrap();
    // RELU (19) becomes ZEROS_LIKE (93) in both fields that hold the code.
    let old: [u8; 4] = 19i32.to_le_bytes();
    let at = file.windows(4).position(|w| w == old).unwrap();
    let mut changed = file.clone();
    changed[at] = 93;
    let deprecated = file.iter().enumerate().position(|(i, &b)| b == 19 && i != at).unwrap();
    changed[deprecated] = 93;
    let read = tflite::read(&changed).unwrap();
    let Op::Custom(op) = &read.nodes()[0].op else {
        panic!("{:?}", read.nodes())
    };
    assert_eq!((op.domain.as_str(), op.name.as_str()), ("tflite-builtin", "ZEROS_LIKE"));
    assert_eq!(op.outputs, ["f32[1,3]"]);
    assert_eq!(round_trip(&read), read);
}

#[test]
fn metadata_and_description_are_written() {
    let options = WriteOptions {
        metadata: vec![("recipe".into(), b"resnet8-lab".to_vec())],
        description: Some("eight layers".into()),
        ..WriteOptions::default()
    };
    let bytes = tflite::write_with(&integer_network(), &options).unwrap();
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|w| w == text);
    assert!(holds(b"recipe") && holds(b"resnet8-lab") && holds(b"eight layers"));
    // FULLY_CONNECTED and CONV_2D on 8-bit integers came with 1.14.0; nothing here is newer.
    assert!(holds(b"min_runtime_version") && holds(b"1.14.0\0\0\0\0\0\0\0\0\0\0"));
    assert!(holds(b"provenance") && holds(b"pipeline "));
    assert!(holds(b"serving_default"));
}

#[test]
fn what_tflite_cannot_hold_is_named() {
    let write = |op: Op| {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 8, 8, 2]));
        let y = g.add("y", op, &[x]).unwrap();
        g.set_outputs(&[y]);
        tflite::write(&g).unwrap_err()
    };
    let pool = ops::AveragePool2d {
        kernel: [3, 3],
        stride: [2, 2],
        padding: Padding::all(1),
        activation: Activation::None,
    };
    insta::assert_snapshot!(write(pool.into()), @"tflite: node `y`: an average pool with Padding { top: 1, bottom: 1, left: 1, right: 1 } is neither SAME nor VALID, and TFLite has no other; use SAME or VALID padding");
    insta::assert_snapshot!(write(ops::Function::Elu { alpha: 0.5 }.into()), @"tflite: node `y`: TFLite has elu with alpha 1 only, not 0.5; train with alpha 1, or replace it by another activation");
    insta::assert_snapshot!(write(ops::Function::Swish.into()), @"tflite: node `y`: TFLite has no operator swish; fold and lower the graph first, which replaces it");
    let unknown = ops::Custom {
        domain: "tflite-builtin".into(),
        name: "MYSTERY".into(),
        attributes: vec![],
        outputs: vec!["f32[1]".into()],
    };
    insta::assert_snapshot!(write(unknown.into()), @"tflite: node `y`: no builtin operator is named MYSTERY");
}

#[test]
fn an_invalid_graph_is_not_written() {
    let mut g = Graph::new("g");
    let x = g.push_tensor(Tensor {
        name: "x".into(),
        ty: TensorType::f32([1]),
        quantization: None,
        data: None,
    });
    g.set_outputs(&[x]);
    insta::assert_snapshot!(tflite::write(&g).unwrap_err(), @"tflite: node `(graph outputs)`: input `x` is never produced (not an input, a constant or an output of a node)");
}

/// A convolution and a fully connected layer, nine of ten weights zero.
fn pruned() -> Graph {
    let mut g = Graph::new("pruned");
    let x = g.input("x", TensorType::f32([1, 8, 8, 16]));
    let weights = |count: usize| {
        (0..count)
            .map(|i| if i % 10 == 0 { i as f32 + 1.0 } else { 0.0 })
            .collect()
    };
    let w = g.constant("w", Constant::f32([8, 3, 3, 16], weights(1152)).unwrap());
    let b = g.constant("b", Constant::f32([8], vec![0.5; 8]).unwrap());
    let y = g.add("y", ops::Conv2d::default(), &[x, w, b]).unwrap();
    let flat = g.add("flat", ops::Reshape { shape: vec![1, 288] }, &[y]).unwrap();
    let v = g.constant("v", Constant::f32([10, 288], weights(2880)).unwrap());
    let z = g.add("z", ops::FullyConnected::default(), &[flat, v]).unwrap();
    g.set_outputs(&[z]);
    g
}

#[test]
fn sparse_weights_are_read_back_dense() {
    let graph = pruned();
    let dense = tflite::write(&graph).unwrap();
    let sparse = tflite::write_sparse(&graph, &WriteOptions::default()).unwrap();
    assert_eq!(tflite::read(&sparse.bytes).unwrap(), tflite::read(&dense).unwrap());
    let names: Vec<&str> = sparse.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["w", "v"]);
    let promised: usize = sparse.tensors.iter().map(|t| t.dense_bytes - t.sparse_bytes).sum();
    let saved = dense.len() - sparse.bytes.len();
    // But for one code of an operator, and bytes that align buffers.
    assert!(
        saved + 64 > promised && promised > 10_000,
        "{saved} saved, {promised} promised"
    );
    let since = |bytes: &[u8]| bytes.windows(6).any(|w| w == b"2.2.0\0");
    assert!(since(&sparse.bytes) && !since(&dense));
}

#[test]
fn weights_that_would_not_be_smaller_or_not_load_stay_dense() {
    let sparse = |graph: &Graph| {
        let written = tflite::write_sparse(graph, &WriteOptions::default()).unwrap();
        written.tensors.iter().map(|t| t.name.clone()).collect::<Vec<_>>()
    };
    let mut full = pruned();
    let w = full.find("w").unwrap();
    full.tensor_mut(w).data = Constant::f32([8, 3, 3, 16], vec![1.0; 1152]);
    assert_eq!(sparse(&full), ["v"]);
    // Integer weights of float layers: LiteRT's default kernels refuse the convolution.
    let mut dynamic = pruned();
    for name in ["w", "v"] {
        let id = dynamic.find(name).unwrap();
        let tensor = dynamic.tensor_mut(id);
        let values = tensor.data.as_ref().and_then(Constant::as_f32).unwrap();
        let bytes = values.iter().map(|&v| i8::from(v != 0.0)).collect();
        tensor.data = Constant::i8(tensor.ty.shape.clone(), bytes);
        tensor.ty = tensor.ty.with_element(ElementType::I8);
        tensor.quantization = Some(Quantization::per_tensor(Scale::new(0.5).unwrap(), 0));
    }
    assert_eq!(sparse(&dynamic), ["v"]);
    // What is an output, too, is not only weights.
    let mut shown = pruned();
    let outputs = [shown.find("z").unwrap(), shown.find("v").unwrap()];
    shown.set_outputs(&outputs);
    assert_eq!(sparse(&shown), ["w"]);
}

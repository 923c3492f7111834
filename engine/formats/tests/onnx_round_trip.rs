//! ONNX files: every operator is read back as it was written.

use formats::onnx::{self, Profile, WriteOptions};
use ir::ops::{self, Activation, Function, IntegerRule, Padding};
use ir::{Constant, ElementType, Graph, Op, Quantization, Scale, Tensor, TensorId, TensorType, passes};

fn round_trip(graph: &Graph) -> Graph {
    let bytes = onnx::write(graph).unwrap();
    assert_eq!(onnx::write(graph).unwrap(), bytes, "equal graphs make equal bytes");
    assert!(onnx::recognize(&bytes));
    onnx::read(&bytes).unwrap()
}

/// A graph as text, without what a file does not say: the order of tensors, and leading extents of 1 of constants.
fn described(graph: &Graph) -> String {
    let name = |id: &TensorId| graph.tensor(*id).name.clone();
    let names = |ids: &[TensorId]| ids.iter().map(name).collect::<Vec<_>>().join(" ");
    let mut lines = vec![format!("in {} out {}", names(graph.inputs()), names(graph.outputs()))];
    for node in graph.nodes() {
        let (inputs, outputs) = (names(&node.inputs), names(&node.outputs));
        lines.push(format!("{} = {:?} {inputs} -> {outputs}", node.name, node.op));
    }
    let mut tensors: Vec<&Tensor> = graph.tensors().iter().collect();
    tensors.sort_by_key(|t| t.name.clone());
    for t in tensors {
        let leading = |d: &usize| t.data.is_some() && *d == 1;
        let dims: Vec<usize> = t.ty.shape.dims().iter().copied().skip_while(leading).collect();
        let data = t.data.as_ref().map(Constant::to_le_bytes);
        lines.push(format!(
            "{} {} {dims:?} {:?} {data:?}",
            t.name, t.ty.element, t.quantization
        ));
    }
    lines.join("\n")
}

fn folded(mut graph: Graph) -> Graph {
    passes::fold(&mut graph).unwrap();
    graph
}

/// What comes back in other terms: see `formats::onnx`.
fn in_other_terms(op: &Op) -> bool {
    match op {
        // Weights of recurrent layers are in the file's order, and transposes around them.
        // A choice is a sum of products unless a branch may be infinite.
        Op::Function(Function::Rsqrt) | Op::Recurrent(_) | Op::Select(_) => true,
        Op::ArgMax(op) => op.to == ElementType::I32,
        Op::Function(Function::Gelu { approximate }) => *approximate,
        Op::Softmax(op) => op.beta != 1.0,
        Op::Pad(op) => op.mode == ops::PadMode::Symmetric,
        _ => false,
    }
}

#[test]
fn every_example_of_every_operator_is_read_back() {
    for example in Op::examples() {
        let graph = example.graph().unwrap();
        if matches!(example.op, Op::Quantize(_) | Op::Dequantize(_)) {
            // Without the scales that a quantized network has.
            assert!(onnx::write(&graph).is_err(), "{example:?}");
            continue;
        }
        let read = round_trip(&graph);
        let constant_weights = matches!(example.op, Op::MatMul(_)) && !example.constants.is_empty();
        // A single index is a slice, whose dimension is dropped.
        let single = matches!(example.op, Op::Gather(_)) && example.constants.iter().any(|c| c.shape.rank() == 0);
        if in_other_terms(&example.op) || constant_weights || single {
            let types = |g: &Graph| g.outputs().iter().map(|&o| g.tensor(o).clone()).collect::<Vec<_>>();
            assert_eq!(types(&read), types(&graph), "{example:?}");
            continue;
        }
        let same = described(&read) == described(&graph) || described(&folded(read.clone())) == described(&graph);
        assert!(same, "{}\n{}", described(&graph), described(&folded(read)));
    }
}

fn scale(value: f32) -> Scale {
    Scale::new(value).unwrap()
}

fn quantized(graph: &mut Graph, id: TensorId, step: f32, zero_point: i32) {
    graph.tensor_mut(id).quantization = Some(Quantization::per_tensor(scale(step), zero_point));
}

/// Float input, integer convolution by channel, max pool, fully connected, softmax, float output.
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
    let steps = [0.01f32, 0.02, 0.03].map(|s| scale(s * 0.05)).to_vec();
    g.tensor_mut(b).quantization = Some(Quantization::per_axis(steps, 0));
    let conv = ops::Conv2d {
        padding: Padding::all(1),
        activation: Activation::Relu,
        ..ops::Conv2d::default()
    };
    let c = g.add("conv", conv, &[q, w, b]).unwrap();
    quantized(&mut g, c, 0.1, -128);
    let pool = ops::MaxPool2d {
        kernel: [2, 2],
        stride: [2, 2],
        padding: Padding::NONE,
        activation: Activation::None,
    };
    let p = g.add("pool", pool, &[c]).unwrap();
    quantized(&mut g, p, 0.1, -128);
    let mean = ops::Mean {
        axes: vec![1, 2],
        keep_dims: false,
    };
    let m = g.add("mean", mean, &[p]).unwrap();
    quantized(&mut g, m, 0.03, -100);
    let v = g.constant(
        "v",
        Constant::i8([4, 3], (0..12).map(|v| (v % 50) - 5).collect()).unwrap(),
    );
    quantized(&mut g, v, 0.02, 0);
    let d = g.add("dense", ops::FullyConnected::default(), &[m, v]).unwrap();
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
    let (graph, read) = (integer_network(), round_trip(&integer_network()));
    let names = |g: &Graph| g.nodes().iter().map(|n| n.op.name()).collect::<Vec<_>>();
    // The real numbers at the end have a node of their own, for the sake of their name.
    assert_eq!(names(&folded(read.clone())), names(&graph));
    for tensor in graph.tensors() {
        let id = read
            .find(&tensor.name)
            .unwrap_or_else(|| panic!("{} is gone\n{}", tensor.name, described(&read)));
        assert_eq!(read.tensor(id), tensor);
    }
}

#[test]
fn tensorrt_gets_symmetric_activations_and_float_biases() {
    let options = WriteOptions {
        profile: Profile::TensorRt,
        ..WriteOptions::default()
    };
    let read = onnx::read(&onnx::write_with(&integer_network(), &options).unwrap()).unwrap();
    let zero_points = read
        .tensors()
        .iter()
        .filter_map(|t| t.quantization.as_ref())
        .flat_map(|q| &q.zero_points);
    assert!(zero_points.clone().count() > 5 && zero_points.clone().all(|&z| z == 0));
    // The bias is stored in floats; this reader makes integers of it again.
    assert!(read.find("b").is_none());
    let bias = read.tensor(read.find("b/int32").unwrap());
    let first = bias.quantization.as_ref().unwrap().channel(0).unwrap();
    let real = first.dequantize(bias.data.as_ref().unwrap().as_i32().unwrap()[0]);
    assert!((real - 5.0 * 0.0005).abs() <= first.scale.get(), "{real}");
    // -128..127 about -128 in steps of 0.1 is 0..25.5, and 25.5 in 127 steps.
    let conv = read
        .tensor(read.find("conv").unwrap())
        .quantization
        .as_ref()
        .unwrap()
        .whole()
        .unwrap();
    assert!((conv.scale.get() - 25.5 / 127.0).abs() < 1e-6, "{conv:?}");
}

#[test]
fn half_precision_weights_stay_so() {
    let mut g = Graph::new("halves");
    let x = g.input("x", TensorType::f32([1, 4, 4, 2]));
    let halves = TensorType::new(ElementType::F16, [3, 1, 1, 2]);
    let stored = g.constant("w/half", Constant::from_le_bytes(&halves, &[0x3c; 12]).unwrap());
    let w = g.add("w", ops::Dequantize {}, &[stored]).unwrap();
    let y = g.add("y", ops::Conv2d::default(), &[x, w]).unwrap();
    g.set_outputs(&[y]);
    assert_eq!(described(&round_trip(&g)), described(&g));
}

#[test]
fn dynamic_range_weights_come_back_behind_a_dequantize() {
    let mut g = Graph::new("dynamic");
    let x = g.input("x", TensorType::f32([1, 3]));
    let v = g.constant("v", Constant::i8([2, 3], vec![1, -2, 3, -4, 5, -6]).unwrap());
    quantized(&mut g, v, 0.5, 0);
    let y = g.add("y", ops::FullyConnected::default(), &[x, v]).unwrap();
    g.set_outputs(&[y]);
    let read = round_trip(&g);
    let ops: Vec<_> = read.nodes().iter().map(|n| n.op.name()).collect();
    assert_eq!(ops, ["dequantize", "fully_connected"]);
    assert_eq!(read.tensor(read.find("v").unwrap()), g.tensor(v));
}

#[test]
fn unsigned_borders_are_kept() {
    let mut g = Graph::new("unsigned");
    let x = g.input("x", TensorType::new(ElementType::U8, [1, 2, 2, 1]));
    quantized(&mut g, x, 0.5, 128);
    let q = g.add("q", ops::Quantize { to: ElementType::I8 }, &[x]).unwrap();
    quantized(&mut g, q, 0.5, 0);
    let r = g.add("r", ops::Function::Relu, &[q]).unwrap();
    quantized(&mut g, r, 0.25, -128);
    let y = g.add("y", ops::Quantize { to: ElementType::U8 }, &[r]).unwrap();
    quantized(&mut g, y, 0.25, 0);
    g.set_outputs(&[y]);
    let read = round_trip(&g);
    let ty = |id: TensorId| read.tensor(id).ty.to_string();
    assert_eq!(
        (ty(read.inputs()[0]), ty(read.outputs()[0])),
        ("u8[1,2,2,1]".into(), "u8[1,2,2,1]".into())
    );
    let ops: Vec<_> = read.nodes().iter().map(|n| n.op.name()).collect();
    assert_eq!(ops, ["quantize", "relu", "quantize"]);
}

#[test]
fn an_unknown_operator_is_carried_through() {
    let mut g = Graph::new("carried");
    let x = g.input("x", TensorType::f32([1, 4]));
    let example = ops::Custom {
        domain: "com.example".into(),
        name: "Mystery".into(),
        // Inputs `x`, none, `x`; no attributes.
        attributes: vec![0x0a, 1, b'x', 0x0a, 0, 0x0a, 1, b'x'],
        outputs: vec!["f32[1,2]".into()],
    };
    let y = g.add("y", example, &[x, x]).unwrap();
    g.set_outputs(&[y]);
    assert_eq!(described(&round_trip(&g)), described(&g));
}

#[test]
fn flattening_into_a_layer_keeps_the_order_of_the_graph() {
    let mut g = Graph::new("flat");
    let x = g.input("x", TensorType::f32([1, 2, 3, 4]));
    let r = g.add("r", ops::Function::Relu, &[x]).unwrap();
    let f = g.add("f", ops::Reshape { shape: vec![1, 24] }, &[r]).unwrap();
    let w = g.constant("w", Constant::f32([2, 24], (0..48u8).map(f32::from).collect()).unwrap());
    let y = g.add("y", ops::FullyConnected::default(), &[f, w]).unwrap();
    g.set_outputs(&[y]);
    assert_eq!(described(&round_trip(&g)), described(&g));
}

#[test]
fn what_onnx_cannot_hold_is_named() {
    let write = |op: Op, dims: [usize; 4]| {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32(dims));
        let y = g.add("y", op, &[x]).unwrap();
        g.set_outputs(&[y]);
        onnx::write(&g).unwrap_err()
    };
    let custom = ops::Custom {
        domain: "tflite-builtin".into(),
        name: "Mystery".into(),
        attributes: vec![],
        outputs: vec!["f32[1]".into()],
    };
    insta::assert_snapshot!(write(custom.into(), [1, 1, 1, 1]), @"onnx: node `y`: operator Mystery of tflite-builtin has no place in an ONNX file; export to the format that it comes from");
    insta::assert_snapshot!(write(ops::Quantize { to: ElementType::I8 }.into(), [1, 1, 1, 1]), @"onnx: node `y`: `y` is i8 without a scale; only quantized integers and floats are written");
}

/// `graph` between quantized inputs and quantized outputs, in scales that its operator allows; constants are asymmetric but for weights.
fn in_integers(graph: &Graph) -> Graph {
    let mut g = Graph::new("integers");
    let node = &graph.nodes()[0];
    let weighted = node.op.weight_axis().is_some();
    let mut inputs = Vec::new();
    for (i, &id) in node.inputs.iter().enumerate() {
        let old = graph.tensor(id);
        let elements = 0..old.ty.shape.elements();
        let id = match &old.data {
            Some(data) if data.element() != ElementType::F32 => g.constant(old.name.clone(), data.clone()),
            Some(_) if weighted && i == 2 => {
                let steps = elements.map(|v| v as i32 - 3).collect();
                let bias = g.constant(old.name.clone(), Constant::i32(old.ty.shape.clone(), steps).unwrap());
                quantized(&mut g, bias, 0.05 * 0.05, 0);
                bias
            }
            Some(_) => {
                let values = elements.map(|v| (v % 50) as i8 - 20).collect();
                let constant = g.constant(old.name.clone(), Constant::i8(old.ty.shape.clone(), values).unwrap());
                quantized(&mut g, constant, 0.05, if weighted { 0 } else { -3 });
                constant
            }
            None => {
                let x = g.input(old.name.clone(), old.ty.clone());
                if old.ty.element == ElementType::F32 {
                    let to = ops::Quantize { to: ElementType::I8 };
                    let x = g.add(format!("{}_int8", old.name), to, &[x]).unwrap();
                    quantized(&mut g, x, 0.05, -3);
                    x
                } else {
                    x
                }
            }
        };
        inputs.push(id);
    }
    let made = g.add_many("made", node.op.clone(), &inputs).unwrap();
    let mut outputs = Vec::new();
    for made in made {
        match node.op.integer_rule(ElementType::I8) {
            IntegerRule::Same => quantized(&mut g, made, 0.05, -3),
            IntegerRule::Dictated(p) => quantized(&mut g, made, p.scale.get(), p.zero_point),
            IntegerRule::Weighted { .. } | IntegerRule::Free => quantized(&mut g, made, 0.1, 7),
            IntegerRule::None(why) => panic!("{}: {why}", node.op.name()),
        }
        let name = g.tensor(made).name.replace("made", "y");
        outputs.push(g.add(name, ops::Dequantize {}, &[made]).unwrap());
    }
    g.set_outputs(&outputs);
    g
}

/// The operators of a graph that compute with floats, or move them.
fn in_floats(graph: &Graph) -> Vec<&'static str> {
    let border = |op: &Op| matches!(op, Op::Quantize(_) | Op::Dequantize(_));
    let nodes = graph.nodes().iter().filter(|n| !border(&n.op));
    let floats = nodes.filter(|n| !graph.tensor(n.output()).is_quantized());
    floats.map(|n| n.op.name()).collect()
}

#[test]
fn every_operator_with_an_integer_form_is_read_back_in_integers() {
    for example in Op::examples() {
        if example.op.integer_rule(ElementType::I8).refused().is_err() {
            continue;
        }
        let graph = in_integers(&example.graph().unwrap());
        graph.verify().unwrap();
        let read = round_trip(&graph);
        assert_eq!(in_floats(&read), [""; 0], "{}", described(&read));
        let computed = |g: &Graph| g.nodes().iter().filter(|n| !n.op.moves()).count();
        assert!(computed(&read) >= computed(&graph), "{}", described(&read));
    }
}

#[test]
fn a_clamp_that_is_fused_into_an_integer_pool_stays_there() {
    let mut g = Graph::new("pool");
    let x = g.input("x", TensorType::f32([1, 4, 4, 2]));
    let pool = ops::MaxPool2d {
        kernel: [2, 2],
        stride: [2, 2],
        padding: Padding::NONE,
        activation: Activation::Relu6,
    };
    let y = g.add("y", pool.clone(), &[x]).unwrap();
    g.set_outputs(&[y]);
    let read = round_trip(&in_integers(&g));
    assert_eq!(in_floats(&read), [""; 0], "{}", described(&read));
    assert!(
        read.nodes().iter().any(|n| n.op == pool.clone().into()),
        "{}",
        described(&read)
    );
}

#[test]
fn parts_of_a_split_keep_its_scale_or_are_converted_from_it() {
    let mut g = Graph::new("parts");
    let x = g.input("x", TensorType::f32([1, 6]));
    let q = g.add("q", ops::Quantize { to: ElementType::I8 }, &[x]).unwrap();
    quantized(&mut g, q, 0.05, -3);
    let real = g.add("real", ops::Dequantize {}, &[q]).unwrap();
    let parts = g.add_many("parts", ops::Split { axis: 1, parts: 3 }, &[real]).unwrap();
    let mut outputs = vec![parts[2]];
    for (part, name, step) in [(parts[0], "same", 0.05), (parts[1], "other", 0.1)] {
        let made = g.add(name, ops::Quantize { to: ElementType::I8 }, &[part]).unwrap();
        quantized(&mut g, made, step, -3);
        outputs.push(g.add(format!("{name}/y"), ops::Dequantize {}, &[made]).unwrap());
    }
    g.set_outputs(&outputs);
    let read = round_trip(&g);
    assert_eq!(in_floats(&read), [""; 0], "{}", described(&read));
    let quantizers = read.nodes().iter().filter(|n| matches!(n.op, Op::Quantize(_)));
    let from: Vec<_> = quantizers.map(|n| read.tensor(n.inputs[0]).ty.element).collect();
    assert_eq!(from, [ElementType::F32, ElementType::I8], "{}", described(&read));
}

/// The products of matrices of a graph that are computed in integers.
fn integer_products(graph: &Graph) -> Vec<ops::MatMul> {
    let integer = |n: &&ir::Node| {
        n.inputs
            .iter()
            .chain(&n.outputs)
            .all(|&id| graph.tensor(id).is_quantized())
    };
    let product = |n: &ir::Node| match &n.op {
        Op::MatMul(op) => Some(op.clone()),
        _ => None,
    };
    graph.nodes().iter().filter(integer).filter_map(product).collect()
}

#[test]
fn every_integer_product_of_matrices_is_read_back_as_one() {
    let products = Op::examples().into_iter().filter(|e| matches!(e.op, Op::MatMul(_)));
    for example in products {
        let graph = in_integers(&example.graph().unwrap());
        let read = round_trip(&graph);
        let mut wanted = integer_products(&graph);
        if !example.constants.is_empty() {
            // Constants are stored as they are multiplied.
            wanted[0].adjoint_b = false;
        }
        assert_eq!(integer_products(&read), wanted, "{}", described(&read));
    }
}

#[test]
fn what_moves_integers_on_their_way_to_a_product_is_no_reason_for_floats() {
    let mut g = Graph::new("heads");
    let x = g.input("x", TensorType::f32([1, 6, 8]));
    let q = g.add("x_int8", ops::Quantize { to: ElementType::I8 }, &[x]).unwrap();
    quantized(&mut g, q, 0.05, -3);
    let real = g.add("real", ops::Dequantize {}, &[q]).unwrap();
    let split = ops::Reshape {
        shape: vec![1, 6, 2, 4],
    };
    let split = g.add("split", split, &[real]).unwrap();
    let turn = |perm: [usize; 4]| ops::Transpose { perm: perm.to_vec() };
    let queries = g.add("queries", turn([0, 2, 1, 3]), &[split]).unwrap();
    let keys = g.add("keys", turn([0, 2, 3, 1]), &[split]).unwrap();
    let scores = g.add("scores", ops::MatMul::default(), &[queries, keys]).unwrap();
    let made = g.add("made", ops::Quantize { to: ElementType::I8 }, &[scores]).unwrap();
    quantized(&mut g, made, 0.1, 7);
    let y = g.add("y", ops::Dequantize {}, &[made]).unwrap();
    g.set_outputs(&[y]);
    assert_eq!(integer_products(&g), []);
    let read = round_trip(&g);
    assert_eq!(integer_products(&read).len(), 1, "{}", described(&read));
    let floats = read.nodes().iter().filter(|n| !read.tensor(n.output()).is_quantized());
    assert_eq!(floats.map(|n| n.op.name()).collect::<Vec<_>>(), ["dequantize"]);
}

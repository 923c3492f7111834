//! Small model in, small model out.

use std::collections::BTreeMap;

use ir::ops::{Concat, Conv2d, Div, FullyConnected, Function, Softmax};
use ir::{Constant, ElementType, Graph, Op, TensorType};
use methods::quantize::{Range, Width};
use report::CalibrationSummary;

use super::*;

/// Ranges −1..3 for every activation of the prepared model.
fn ranges(model: &Graph) -> Ranges {
    let prepared = models::prepared(model).unwrap();
    let float = prepared.tensors().iter().filter(|t| t.data.is_none());
    let tensors: BTreeMap<_, _> = float.map(|t| (t.name.clone(), Range { min: -1.0, max: 3.0 })).collect();
    let summary = CalibrationSummary {
        method: "made up".into(),
        samples: 1,
        population: 1,
        per_class: vec![],
        warnings: vec![],
    };
    Ranges { summary, tensors }
}

fn params(scheme: Scheme) -> Quantize {
    serde_json::from_value(serde_json::json!({ "scheme": scheme })).unwrap()
}

fn int8(model: &Graph, change: impl FnOnce(&mut Quantize)) -> Result<(Graph, Vec<Effect>), StepError> {
    let mut params = params(Scheme::Int8);
    change(&mut params);
    quantize(model, Some(&ranges(model)), &params, None)
}

/// Nodes with their operators and the element types of their outputs, a line each.
fn lines(graph: &Graph) -> String {
    let line = |n: &ir::Node| {
        let output = graph.tensor(n.output());
        let scale = output.quantization.as_ref().and_then(ir::Quantization::whole);
        let scale = scale
            .map(|q| format!(" {:.5} {}", q.scale.get(), q.zero_point))
            .unwrap_or_default();
        format!("{} = {} {}{scale}", output.name, n.op.name(), output.ty.element)
    };
    graph.nodes().iter().map(line).collect::<Vec<_>>().join("\n")
}

fn classifier() -> Graph {
    let mut g = Graph::new("classifier");
    let x = g.input("x", TensorType::f32([1, 2, 2, 1]));
    let w = g.constant(
        "conv/kernel",
        Constant::f32([2, 2, 2, 1], vec![1.0, -2.0, 0.5, 0.0, 0.1, 0.1, 0.1, 0.127]).unwrap(),
    );
    let conv = g.add("conv", Conv2d::default(), &[x, w]).unwrap();
    let relu = g.add("relu", Function::Relu, &[conv]).unwrap();
    let flat = g.add("flat", ir::ops::Reshape { shape: vec![1, 2] }, &[relu]).unwrap();
    let w = g.constant("dense/kernel", Constant::f32([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap());
    let dense = g.add("dense", FullyConnected::default(), &[flat, w]).unwrap();
    let p = g.add("p", Softmax::default(), &[dense]).unwrap();
    g.set_outputs(&[p]);
    g
}

#[test]
fn a_classifier_becomes_integers_between_float_edges() {
    let (q, effect) = int8(&classifier(), |_| {}).unwrap();
    insta::assert_snapshot!(lines(&q), @r"
    x_int8 = quantize i8 0.01569 -64
    relu = conv2d i8 0.01569 -64
    flat = reshape i8 0.01569 -64
    dense = fully_connected i8 0.01569 -64
    p_int8 = softmax i8 0.00391 -128
    p = dequantize f32
    ");
    assert!(effect.iter().all(|row| row.took_effect));
    let bias = q.tensor(q.find("conv/bias").unwrap());
    assert_eq!(bias.data.as_ref().unwrap().as_i32().unwrap(), [0, 0]);
    assert_eq!(bias.quantization.as_ref().unwrap().axis, Some(0));
    let kernel = q.tensor(q.find("conv/kernel").unwrap());
    assert_eq!(
        kernel.data.as_ref().unwrap().as_i8().unwrap(),
        [64, -127, 32, 0, 100, 100, 100, 127]
    );
}

#[test]
fn edges_can_be_bytes() {
    let (q, _) = int8(&classifier(), |p| {
        (p.input, p.output) = (EdgeType::Uint8, EdgeType::Int8);
    })
    .unwrap();
    let (input, output) = (q.tensor(q.inputs()[0]), q.tensor(q.outputs()[0]));
    assert_eq!((input.ty.element, input.name.as_str()), (ElementType::U8, "x"));
    assert_eq!(input.quantization.as_ref().unwrap().zero_points, [64]);
    assert_eq!((output.ty.element, output.name.as_str()), (ElementType::I8, "p"));
}

#[test]
fn a_dictated_scale_that_meets_others_is_converted() {
    let mut g = Graph::new("g");
    let x = g.input("x", TensorType::f32([1, 4]));
    let s = g.add("s", Function::Sigmoid, &[x]).unwrap();
    let c = g.add("c", Concat { axis: 1 }, &[x, s]).unwrap();
    g.set_outputs(&[c]);
    insta::assert_snapshot!(lines(&int8(&g, |_| {}).unwrap().0), @r"
    x_int8 = quantize i8 0.01569 -64
    s = sigmoid i8 0.00391 -128
    s/rescaled = quantize i8 0.01569 -64
    c_int8 = concat i8 0.01569 -64
    c = dequantize f32
    ");
}

fn quotient() -> Graph {
    let mut g = Graph::new("g");
    let (x, y) = (
        g.input("x", TensorType::f32([1, 4])),
        g.input("y", TensorType::f32([1, 4])),
    );
    let d = g.add("d", Div::default(), &[x, y]).unwrap();
    let r = g.add("r", ir::ops::Function::Tanh, &[d]).unwrap();
    g.set_outputs(&[r]);
    g
}

#[test]
fn a_layer_that_would_stay_float_is_an_error_that_names_it() {
    let error = int8(&quotient(), |_| {}).unwrap_err();
    insta::assert_snapshot!(error, @r"
    1 tensors did not become what was asked for:
      d output: asked for i8, is f32 (div: TFLite has no signed 8-bit division)
      list the layers under allow-float (`--allow-float`) to accept this
    ");
    let (q, _) = int8(&quotient(), |p| p.allow_float = vec!["d".into()]).unwrap();
    insta::assert_snapshot!(lines(&q), @r"
    d = div f32
    d_int8 = quantize i8 0.01569 -64
    r_int8 = tanh i8 0.00781 0
    r = dequantize f32
    ");
}

/// A norm between two layers, as a file has it that knows no such operator.
fn normed() -> Graph {
    let mut g = Graph::new("g");
    let x = g.input("x", TensorType::f32([1, 3, 2]));
    let w = g.constant("w", Constant::f32([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap());
    let before = g.add("before", FullyConnected::default(), &[x, w]).unwrap();
    let scale = g.constant("scale", Constant::f32([2], vec![1.0, 0.5]).unwrap());
    let bias = g.constant("bias", Constant::f32([2], vec![0.25, 0.5]).unwrap());
    let norm = ir::ops::LayerNorm { axis: 2, epsilon: 1e-5 };
    let norm = g.add("norm", norm, &[before, scale, bias]).unwrap();
    let after = g.add("after", FullyConnected::default(), &[norm, w]).unwrap();
    g.set_outputs(&[after]);
    ir::passes::lower(&mut g).unwrap();
    g
}

#[test]
fn what_is_put_in_takes_no_name_of_a_later_layer() {
    let mut g = normed();
    let id = g.node_ids().find(|&id| g.node(id).name == "after").unwrap();
    g.node_mut(id).name = "before_1".into();
    let output = g.outputs()[0];
    g.tensor_mut(output).name = "before_1".into();
    let (q, _) = int8(&g, |_| {}).unwrap();
    q.verify().unwrap();
    assert_eq!(q.tensor(q.outputs()[0]).name, "before_1");
}

#[test]
fn a_norm_stays_float_as_a_whole_and_is_named() {
    let (q, effect) = int8(&normed(), |_| {}).unwrap();
    insta::assert_snapshot!(lines(&q), @r"
    x_int8 = quantize i8 0.01569 -64
    before = fully_connected i8 0.01569 -64
    before_1 = dequantize f32
    norm/mean = mean f32
    norm/centred = sub f32
    norm/squares = mul f32
    norm/variance = mean f32
    norm/guarded = add f32
    norm/rsqrt = rsqrt f32
    norm/normalized = mul f32
    norm/scaled = mul f32
    norm = add f32
    norm_int8 = quantize i8 0.01569 -64
    after_int8 = fully_connected i8 0.01569 -64
    after = dequantize f32
    ");
    insta::assert_snapshot!(said(&effect).join("\n"),
        @"warning: 1 layer stays float (layer_norm: its variance needs the range of floats): norm");
    // ONNX has the operator, and it is read back between the same borders.
    let file = models::onnx(&q, models::FileOptions::default()).unwrap();
    let ops: Vec<_> = formats::onnx::read(&file)
        .unwrap()
        .nodes()
        .iter()
        .map(|n| n.op.name())
        .collect();
    let norm = ["dequantize", "layer_norm", "quantize", "fully_connected"];
    assert!(ops.windows(4).any(|four| four == norm), "{ops:?}");
}

#[test]
fn a_norm_that_may_not_be_float_is_an_error() {
    insta::assert_snapshot!(int8(&normed(), |p| p.allow_float = Vec::new()).unwrap_err(), @r"
    1 tensors did not become what was asked for:
      norm output: asked for i8, is f32 (layer_norm: its variance needs the range of floats)
      list the layers under allow-float (`--allow-float`) to accept this
    ");
    for pattern in ["norm", "no*", "op:layer_*"] {
        int8(&normed(), |p| p.allow_float = vec![pattern.into()]).unwrap();
    }
}

#[test]
fn integers_around_a_float_norm_compute_nearly_what_floats_do() {
    let model = models::prepared(&normed()).unwrap();
    let samples: Vec<f32> = vec![0.9, -0.4, 0.3, 0.2, -0.1, 0.5];
    let computed = |graph: &Graph| {
        let executable = runtime::Executable::new(graph, runtime::Options::default()).unwrap();
        let mut workspace = executable.workspace();
        executable
            .run(&mut workspace, &[runtime::Value::F32(&samples)])
            .unwrap();
        match executable.output(&workspace, 0) {
            runtime::Value::F32(values) => values.to_vec(),
            other => panic!("{other:?}"),
        }
    };
    let mut wide = ranges(&model);
    for name in ["before", "after", "norm"] {
        wide.tensors.insert(name.into(), Range { min: -6.0, max: 6.0 });
    }
    let (q, _) = quantize(&model, Some(&wide), &params(Scheme::Int8), None).unwrap();
    for (integer, real) in computed(&q).iter().zip(computed(&model)) {
        assert!((integer - real).abs() < 0.2, "{integer} instead of {real}");
    }
}

#[test]
fn what_moves_values_has_their_range() {
    let mut g = Graph::new("g");
    let x = g.input("x", TensorType::f32([1, 2, 3, 4]));
    let perm = vec![0, 2, 1, 3];
    let turned = g.add("turned", ir::ops::Transpose { perm }, &[x]).unwrap();
    let y = g.add("y", ir::ops::Function::Relu, &[turned]).unwrap();
    g.set_outputs(&[y]);
    // Laid out, the transpose is behind the clamp, and what it reads is no tensor that calibration saw.
    let (q, _) = int8(&g, |_| {}).unwrap();
    insta::assert_snapshot!(lines(&q), @r"
    x_int8 = quantize i8 0.01569 -64
    y/stored = relu i8 0.01569 -64
    y_1 = transpose i8 0.01569 -64
    y = dequantize f32
    ");
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let model = classifier();
    insta::assert_snapshot!(quantize(&model, None, &params(Scheme::Int8), None).unwrap_err(),
        @"scheme int8 needs `ranges`: add a calibrate step and name it here");
    insta::assert_snapshot!(quantize(&model, Some(&ranges(&model)), &params(Scheme::Float16), None).unwrap_err(),
        @"scheme float16 takes no `ranges`: remove them, or use scheme int8");
    let other = Ranges {
        tensors: BTreeMap::new(),
        ..ranges(&model)
    };
    insta::assert_snapshot!(quantize(&model, Some(&other), &params(Scheme::Int8), None).unwrap_err(),
        @"tensor `x`: has no calibrated range; calibrate this very model (same architecture, same folding)");
    let (half, _) = quantize(&model, None, &params(Scheme::Float16), None).unwrap();
    // Half precision is widened first.
    assert!(quantize(&half, None, &params(Scheme::DynamicInt8), None).is_ok());
    insta::assert_snapshot!(int8(&model, |p| p.allow_float = vec!["denes".into()]).unwrap_err(),
        @"allow-float: no layer is named `denes`");
    insta::assert_snapshot!(int8(&model, |p| p.allow_float = vec!["op:layernorm".into()]).unwrap_err(),
        @"allow-float: no operator is named `layernorm`");
}

fn int16x8(model: &Graph, change: impl FnOnce(&mut Quantize)) -> Result<(Graph, Vec<Effect>), StepError> {
    let mut params = params(Scheme::Int16x8);
    change(&mut params);
    quantize(model, Some(&ranges(model)), &params, None)
}

#[test]
fn sixteen_bits_are_symmetric_and_biases_have_sixty_four() {
    let (q, effect) = int16x8(&classifier(), |p| p.output = EdgeType::Int16).unwrap();
    insta::assert_snapshot!(lines(&q), @r"
    x_int16 = quantize i16 0.00009 0
    relu = conv2d i16 0.00009 0
    flat = reshape i16 0.00009 0
    dense = fully_connected i16 0.00009 0
    p = softmax i16 0.00003 0
    ");
    assert!(effect.iter().all(|row| row.took_effect));
    assert_eq!(
        (effect[0].requested.as_str(), effect[1].requested.as_str()),
        ("i16", "i8")
    );
    let bias = q.tensor(q.find("conv/bias").unwrap());
    assert_eq!(bias.ty.element, ElementType::I64);
    let kernel = q.tensor(q.find("conv/kernel").unwrap());
    assert_eq!(kernel.ty.element, ElementType::I8);
    let file = formats::tflite::write(&q).unwrap();
    assert_eq!(formats::tflite::read(&file).unwrap().tensors(), q.tensors());
    let refused = formats::onnx::write(&q).unwrap_err().to_string();
    assert!(refused.contains("write a .tflite file"), "{refused}");
}

#[test]
fn sixteen_bits_compute_nearly_what_floats_do() {
    let model = models::prepared(&classifier()).unwrap();
    let (q, _) = int16x8(&model, |_| {}).unwrap();
    let output = |graph: &Graph| {
        let executable = runtime::Executable::new(graph, runtime::Options::default()).unwrap();
        let mut workspace = executable.workspace();
        executable
            .run(&mut workspace, &[runtime::Value::F32(&[0.05, -0.02, 0.1, 0.2])])
            .unwrap();
        match executable.output(&workspace, 0) {
            runtime::Value::F32(values) => values.to_vec(),
            other => panic!("{other:?}"),
        }
    };
    for (wide, real) in output(&q).iter().zip(output(&model)) {
        assert!((wide - real).abs() < 0.002, "{wide} instead of {real}");
    }
}

#[test]
fn what_has_eight_bits_only_is_named_under_sixteen() {
    let mut g = Graph::new("g");
    let x = g.input("x", TensorType::f32([1, 4]));
    let h = g.add("h", ir::ops::Function::HardSwish, &[x]).unwrap();
    let s = g.add("s", Function::Sigmoid, &[h]).unwrap();
    g.set_outputs(&[s]);
    insta::assert_snapshot!(int16x8(&g, |_| {}).unwrap_err(), @r"
    1 tensors did not become what was asked for:
      h output: asked for i16, is f32 (hard_swish: TFLite has it in 8 bits, not in 16)
      list the layers under allow-float (`--allow-float`) to accept this
    ");
    let (q, _) = int16x8(&g, |p| p.allow_float = vec!["h".into()]).unwrap();
    insta::assert_snapshot!(lines(&q), @r"
    h = hard_swish f32
    h_int16 = quantize i16 0.00009 0
    s_int16 = sigmoid i16 0.00003 0
    s = dequantize f32
    ");
    insta::assert_snapshot!(int16x8(&g, |p| p.input = EdgeType::Uint8).unwrap_err(),
        @"scheme int16x8 has no uint8 inputs and outputs: take float or int16");
    insta::assert_snapshot!(int8(&g, |p| p.output = EdgeType::Int16).unwrap_err(),
        @"scheme int8 has no int16 inputs and outputs: take float, int8 or uint8");
}

#[test]
fn small_weights_stay_float_under_dynamic_range_and_the_proof_says_so() {
    let mut settings = params(Scheme::DynamicInt8);
    settings.min_elements = 5;
    let (q, effect) = quantize(&classifier(), None, &settings, None).unwrap();
    assert_eq!(q.tensor(q.find("conv/kernel").unwrap()).ty.element, ElementType::I8);
    assert_eq!(q.tensor(q.find("dense/kernel").unwrap()).ty.element, ElementType::F32);
    assert_eq!(effect[1].reason.as_deref(), Some("4 elements, fewer than 5"));
}

#[test]
fn every_example_with_an_integer_form_becomes_integers_that_run() {
    for (scheme, width) in [(Scheme::Int8, Width::Bits8), (Scheme::Int16x8, Width::Bits16)] {
        for example in Op::examples() {
            let graph = example.graph().unwrap();
            let computed = [ElementType::F32, ElementType::I32];
            let floats = graph.tensors().iter().all(|t| computed.contains(&t.ty.element));
            let prepared = models::prepared(&graph).unwrap();
            let integer = prepared.nodes().iter().all(|n| width.rule(&n.op).refused().is_ok());
            if !floats || !integer || prepared.nodes().is_empty() {
                continue;
            }
            let quantized = quantize(&graph, Some(&ranges(&graph)), &params(scheme), None);
            let (q, effect) = quantized.unwrap_or_else(|e| panic!("{:?}: {e}", example.op));
            assert!(effect.iter().all(|row| row.took_effect), "{:?}", example.op);
            let reached = |n: &ir::Node| q.tensor(n.output()).ty.element == width.element();
            assert!(q.nodes().iter().any(reached), "{:?}", example.op);
            runtime::Executable::new(&q, runtime::Options::default())
                .unwrap_or_else(|e| panic!("{:?}: {e}", example.op));
        }
    }
}

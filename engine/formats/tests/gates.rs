//! What runtimes would refuse is not written: the error names the node and the reason.

use formats::{onnx, tensorflow, tflite};
use ir::ops::{
    Activation, Add, Concat, Conv2d, Custom, DepthwiseConv2d, Dequantize, Function, Identity, MatMul, Mean, Padding,
    Quantize, Resize, Softmax, Split,
};
use ir::{Constant, ElementType, Graph, Quantization, Scale, TensorId, TensorType};

#[expect(clippy::unnecessary_wraps, reason = "as tensors hold it")]
fn scale(step: f32, zero_point: i32) -> Option<Quantization> {
    Some(Quantization::per_tensor(Scale::new(step).unwrap(), zero_point))
}

fn input(graph: &mut Graph, element: ElementType, dims: &[usize], quantization: Option<Quantization>) -> TensorId {
    let x = graph.input("x", TensorType::new(element, dims));
    graph.tensor_mut(x).quantization = quantization;
    x
}

/// A convolution of two channels to two, in these types.
fn convolution(x: ElementType, weights: Constant, zero_points: [i32; 2], bias: Option<Constant>) -> Graph {
    let mut graph = Graph::new("g");
    let integer = x != ElementType::F32;
    let x = input(&mut graph, x, &[1, 4, 4, 2], if integer { scale(0.5, 1) } else { None });
    let stored = !matches!(weights, Constant::F32(_));
    let w = graph.constant("w", weights);
    if stored {
        let mut scales = Quantization::per_axis(vec![Scale::new(0.25).unwrap(); 2], 0);
        scales.zero_points = zero_points.to_vec();
        graph.tensor_mut(w).quantization = Some(scales);
    }
    let mut inputs = vec![x, w];
    inputs.extend(bias.map(|bias| graph.constant("b", bias)));
    let y = graph.add("conv", Conv2d::default(), &inputs).unwrap();
    graph.tensor_mut(y).quantization = if integer { scale(0.5, 1) } else { None };
    graph.set_outputs(&[y]);
    graph
}

fn bytes() -> Constant {
    Constant::i8([2, 1, 1, 2], vec![1, 2, 3, 4]).unwrap()
}

fn integers() -> Constant {
    Constant::i32([2], vec![0, 1]).unwrap()
}

#[track_caller]
fn refused(graph: &Graph) -> String {
    tflite::write(graph).unwrap_err().to_string()
}

#[test]
fn litert_asks_for_a_bias_in_the_type_of_the_accumulator() {
    let sound = convolution(ElementType::I8, bytes(), [0, 0], Some(integers()));
    tflite::write(&sound).unwrap();
    insta::assert_snapshot!(refused(&convolution(ElementType::I8, bytes(), [0, 0], None)), @"tflite: node `conv`: LiteRT would not run its CONV_2D: it needs a bias; lower the graph first, which adds zeros");
    insta::assert_snapshot!(refused(&convolution(ElementType::F32, bytes(), [0, 0], None)), @"tflite: node `conv`: LiteRT would not run its CONV_2D: it needs a bias; lower the graph first, which adds zeros");
    let floats = Constant::f32([2], vec![0.0; 2]).unwrap();
    insta::assert_snapshot!(refused(&convolution(ElementType::I8, bytes(), [0, 0], Some(floats))), @"tflite: node `conv`: LiteRT would not run its CONV_2D: `b` is f32, it takes i32; compute it in 32-bit floats, or write another format");
}

#[test]
fn integer_weights_are_symmetric() {
    insta::assert_snapshot!(refused(&convolution(ElementType::I8, bytes(), [0, 7], Some(integers()))), @"tflite: node `conv`: LiteRT would not run its CONV_2D: the weights `w` have zero points other than 0; quantize the float model with this program");
}

#[test]
fn kernels_are_asked_for_their_types() {
    let mut graph = Graph::new("g");
    let x = input(&mut graph, ElementType::I32, &[1, 4], None);
    let y = graph.add("y", Function::Exp, &[x]).unwrap();
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refused(&graph), @"tflite: node `y`: LiteRT would not run its EXP: `y` is i32, it takes f32, i16, i8; compute it in 32-bit floats, or write another format");

    let mut graph = Graph::new("g");
    let stored = graph.constant("stored", integers());
    graph.tensor_mut(stored).quantization = scale(0.5, 0);
    let x = graph.input("x", TensorType::f32([1, 2]));
    let bias = graph.add("bias", Dequantize {}, &[stored]).unwrap();
    let y = graph.add("y", Add::default(), &[x, bias]).unwrap();
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refused(&graph), @"tflite: node `bias`: LiteRT would not run its DEQUANTIZE: `stored` is i32, it takes f16, i8, u8, i16; compute it in 32-bit floats, or write another format");
    ir::passes::lower(&mut graph).unwrap();
    tflite::write(&graph).unwrap();
}

#[test]
fn scales_are_those_that_kernels_can_do_with() {
    let quantized = |step: f32| {
        let mut graph = Graph::new("g");
        let x = graph.input("x", TensorType::f32([1, 4]));
        let y = graph.add("y", Quantize { to: ElementType::I8 }, &[x]).unwrap();
        graph.tensor_mut(y).quantization = scale(step, 0);
        graph.set_outputs(&[y]);
        graph
    };
    tflite::write(&quantized(0.1)).unwrap();
    insta::assert_snapshot!(refused(&quantized(1.3e36)), @"tflite: node `y`: LiteRT would not run its QUANTIZE: a step of `y` is 1.3e36, sound are 1e-12 to 1e6; look for a constant or a sample far beyond the others");

    // The reference kernel aborts the process.
    let mut graph = Graph::new("g");
    let x = input(&mut graph, ElementType::I8, &[1, 4], scale(1e-9, 0));
    let y = graph.add("y", Softmax { beta: 1.0 }, &[x]).unwrap();
    graph.tensor_mut(y).quantization = scale(1.0 / 256.0, -128);
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refused(&graph), @"tflite: node `y`: LiteRT would not run its SOFTMAX: a step of 1e-9 is too small to be told apart; quantize the float model with this program");
    graph.tensor_mut(x).quantization = scale(0.1, 0);
    tflite::write(&graph).unwrap();
    graph.tensor_mut(y).quantization = scale(0.01, 0);
    insta::assert_snapshot!(refused(&graph), @"tflite: node `y`: LiteRT would not run its SOFTMAX: `y` has the step 1e-2 and zero point 0, it makes 3.90625e-3 and -128; quantize the float model with this program");
}

#[test]
fn joined_bytes_share_a_scale() {
    let mut graph = Graph::new("g");
    let x = input(&mut graph, ElementType::I8, &[1, 4], scale(0.5, 0));
    let y = graph.add("y", Concat { axis: 1 }, &[x, x]).unwrap();
    graph.tensor_mut(y).quantization = scale(0.25, 0);
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refused(&graph), @"tflite: node `y`: LiteRT would not run its CONCATENATION: `x` and `y` have other scales; quantize the float model with this program");
}

#[test]
fn groups_have_no_dynamic_range() {
    let mut graph = Graph::new("g");
    let x = graph.input("x", TensorType::f32([1, 4, 4, 4]));
    let w = graph.constant("w", bytes());
    graph.tensor_mut(w).quantization = scale(0.25, 0);
    let b = graph.constant("b", Constant::f32([2], vec![0.0; 2]).unwrap());
    let grouped = Conv2d {
        groups: 2,
        ..Conv2d::default()
    };
    let y = graph.add("conv", grouped, &[x, w, b]).unwrap();
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refused(&graph), @"tflite: node `conv`: LiteRT would not run its CONV_2D: it has no groups with float activations and integer weights; leave the layer in floats");
}

#[test]
fn products_of_many_dimensions_are_refused() {
    let mut graph = Graph::new("g");
    let x = graph.input("x", TensorType::f32([1, 2, 2, 2, 2, 2]));
    let y = graph.add("y", MatMul::default(), &[x, x]).unwrap();
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refused(&graph), @"tflite: node `y`: LiteRT would not run its BATCH_MATMUL: `x` has 6 dimensions, it takes 2 to 5; reshape it");
}

/// An operator of ONNX that is carried, written for this version of the operators (`NodeProto.input`, and the version in field 1000).
fn guest(name: &str, version: u8) -> Graph {
    let mut graph = Graph::new("g");
    let x = graph.input("x", TensorType::f32([1, 4]));
    let abs = graph.add("abs", Function::Abs, &[x]).unwrap();
    let op = Custom {
        domain: "ai.onnx".into(),
        name: name.into(),
        attributes: [&[0x0a, 1][..], b"x", &[0xc0, 0x3e, version]].concat(),
        outputs: vec!["f32[1,4]".into()],
    };
    let guest = graph.add("guest", op, &[abs]).unwrap();
    let mean = Mean {
        axes: vec![1],
        keep_dims: true,
    };
    let mean = graph.add("mean", mean, &[guest]).unwrap();
    let parts = graph.add_many("parts", Split { axis: 1, parts: 2 }, &[guest]).unwrap();
    graph.set_outputs(&[mean, parts[0], parts[1]]);
    graph
}

/// The version of the standard operators that a file states (`ModelProto.opset_import`).
fn opset(bytes: &[u8]) -> u8 {
    let at = bytes.windows(4).rposition(|w| w[..3] == [0x42, 2, 0x10]).unwrap();
    bytes[at + 3]
}

#[test]
fn what_is_carried_decides_the_version_of_an_onnx_file() {
    // `Softsign` is as old as the format, `Gelu` came with version 20.
    assert_eq!(opset(&onnx::write(&guest("Softsign", 13)).unwrap()), 17);
    let newer = onnx::write(&guest("Gelu", 20)).unwrap();
    assert_eq!(opset(&newer), 20);
    // The axes of a mean are an input by then, the parts of a split an attribute.
    let read = onnx::read(&newer).unwrap();
    assert!(read.nodes().iter().any(|n| n.name == "mean") && read.outputs().len() == 3);
    let refused = |graph: &Graph| onnx::write(graph).unwrap_err().to_string();
    insta::assert_snapshot!(refused(&guest("Hardmax", 11)), @"onnx: node `guest`: Hardmax of version 11 of the operators has no place beside the others; convert the model that it comes from with `onnx.version_converter`");
    insta::assert_snapshot!(refused(&guest("Invented", 17)), @"onnx: node `guest`: Invented of version 17 of the operators has no place beside the others; convert the model that it comes from with `onnx.version_converter`");
}

#[test]
fn onnx_operators_are_asked_for_their_types() {
    let mut graph = Graph::new("g");
    let x = input(&mut graph, ElementType::I32, &[1, 4], None);
    let y = graph.add("y", Function::Exp, &[x]).unwrap();
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(onnx::write(&graph).unwrap_err(), @"onnx: node `y` (Exp): input `x` is int32, it takes double, float, float16; compute it in 32-bit floats, or write another format");
}

#[test]
fn tensorflow_operators_are_asked_for_their_types() {
    let mut graph = Graph::new("g");
    let x = input(&mut graph, ElementType::I32, &[1, 4], None);
    let y = graph.add("y", Function::Exp, &[x]).unwrap();
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(tensorflow::write(&graph).unwrap_err(), @"tensorflow: node `y` (Exp): computes with type 3; compute it in 32-bit floats, or write another format");
    // Integers that are moved are written as what they are.
    let mut graph = Graph::new("g");
    let x = input(&mut graph, ElementType::I32, &[1, 4], None);
    let y = graph.add("y", Identity {}, &[x]).unwrap();
    graph.set_outputs(&[y]);
    let files = tensorflow::Files {
        graph: tensorflow::write(&graph).unwrap(),
        ..Default::default()
    };
    drop(files);
}

#[test]
fn a_depthwise_convolution_is_padded_before_it() {
    let mut graph = Graph::new("g");
    let x = graph.input("x", TensorType::f32([1, 6, 6, 2]));
    let w = graph.constant("w", Constant::f32([1, 3, 3, 2], vec![1.0; 18]).unwrap());
    let b = graph.constant("b", Constant::f32([2], vec![1.0; 2]).unwrap());
    // What PyTorch does; `SAME` would pad the end only.
    let op = DepthwiseConv2d {
        stride: [2, 2],
        padding: Padding::all(1),
        activation: Activation::Relu6,
        ..DepthwiseConv2d::default()
    };
    let y = graph.add("y", op, &[x, w, b]).unwrap();
    graph.set_outputs(&[y]);
    let written = tensorflow::write(&graph).unwrap();
    let holds = |text: &[u8]| written.windows(text.len()).any(|w| w == text);
    assert!(holds(b"DepthwiseConv2dNative") && holds(b"VALID") && holds(b"Pad") && !holds(b"EXPLICIT"));
}

#[test]
fn nearest_pixels_survive_a_file_whatever_the_sizes() {
    for (from, to) in [(3, 7), (7, 3), (5, 9), (10, 14), (29, 41), (41, 29)] {
        for coordinates in [ir::ops::Coordinates::Asymmetric, ir::ops::Coordinates::HalfPixel] {
            let mut graph = Graph::new("g");
            let x = graph.input("x", TensorType::f32([1, from, from, 1]));
            let op = Resize {
                size: [to, to],
                interpolation: ir::ops::Interpolation::Nearest,
                coordinates,
            };
            let y = graph.add("y", op, &[x]).unwrap();
            graph.set_outputs(&[y]);
            let read = onnx::read(&onnx::write(&graph).unwrap()).unwrap();
            assert_eq!(read.tensor(read.outputs()[0]).ty, graph.tensor(y).ty, "{from} to {to}");
        }
    }
}

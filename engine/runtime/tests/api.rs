//! What a caller sees: ports, values, refusals, observation, many samples.

use ir::ops::{
    Activation, Add, Cast, Conv2d, Coordinates, Custom, Dequantize, FullyConnected, Function, Gather, Identity,
    Interpolation, Padding, Quantize, Reshape, Resize, Softmax, Split,
};
use ir::{Constant, ElementType, Graph, Op, QuantParams, Quantization, Scale, TensorType};
use runtime::{Executable, Hooks, Kernels, Options, Value, map_samples};

const REFERENCE: Options = Options {
    kernels: Kernels::Reference,
    isa: None,
    observable: true,
    observe_all: true,
};

/// `relu(w·x + b)` of two features, then the two halves of the result.
fn layered() -> Graph {
    let mut graph = Graph::new("layered");
    let x = graph.input("x", TensorType::f32([1, 2]));
    let w = graph.constant("w", Constant::f32([2, 2], vec![1.0, 2.0, 3.0, -4.0]).unwrap());
    let b = graph.constant("b", Constant::f32([2], vec![0.5, 0.25]).unwrap());
    let y = graph.add("y", FullyConnected::default(), &[x, w, b]).unwrap();
    let r = graph.add("r", Function::Relu, &[y]).unwrap();
    let shaped = graph.add("shaped", Reshape { shape: vec![1, 1, 2] }, &[r]).unwrap();
    let halves = graph.add_many("half", Split { axis: 2, parts: 2 }, &[shaped]).unwrap();
    graph.set_outputs(&[halves[1], halves[0], shaped]);
    graph
}

fn run(graph: &Graph, options: Options, inputs: &[Value<'_>]) -> Vec<Vec<f32>> {
    let executable = Executable::new(graph, options).unwrap();
    let mut workspace = executable.workspace();
    executable.run(&mut workspace, inputs).unwrap();
    let floats = |value| match value {
        Value::F32(v) => v.to_vec(),
        Value::I8(v) => v.iter().map(|&q| q.into()).collect(),
        Value::U8(v) => v.iter().map(|&q| q.into()).collect(),
        Value::I16(v) => v.iter().map(|&q| q.into()).collect(),
        Value::I32(v) => v.iter().map(|&q| q as f32).collect(),
        Value::I64(v) => v.iter().map(|&q| q as f32).collect(),
    };
    (0..executable.outputs().len())
        .map(|i| floats(executable.output(&workspace, i)))
        .collect()
}

fn refusal(graph: &Graph) -> String {
    Executable::new(graph, Options::default()).unwrap_err().to_string()
}

#[test]
fn a_number_that_picks_an_entry_that_is_not_there_is_refused() {
    let mut graph = Graph::new("words");
    let x = graph.input("words", TensorType::f32([1, 2]));
    let table = graph.constant("table", Constant::f32([3, 1], vec![5.0, 6.0, 7.0]).unwrap());
    let whole = graph.add("whole", Cast { to: ElementType::I32 }, &[x]).unwrap();
    let y = graph.add("embedding", Gather { axis: 0 }, &[table, whole]).unwrap();
    graph.set_outputs(&[y]);
    assert_eq!(
        run(&graph, Options::default(), &[Value::F32(&[2.0, 0.5])]),
        [vec![7.0, 5.0]]
    );
    let executable = Executable::new(&graph, Options::default()).unwrap();
    for (words, at) in [([1.0, 3.0], "value 1 is 3"), ([-1.0, 0.0], "value 0 is -1")] {
        let refused = executable.run(&mut executable.workspace(), &[Value::F32(&words)]);
        assert_eq!(
            refused.unwrap_err().to_string(),
            format!("input `words`: {at}, but `embedding` picks by it from entries 0 to 2")
        );
    }
}

#[test]
fn a_small_network_gives_the_numbers_worked_out_by_hand() {
    let x = Value::F32(&[1.0, 1.0]);
    assert_eq!(
        run(&layered(), Options::default(), &[x]),
        [vec![0.0], vec![3.5], vec![3.5, 0.0]]
    );
    assert_eq!(run(&layered(), REFERENCE, &[x]), [vec![0.0], vec![3.5], vec![3.5, 0.0]]);
}

#[test]
fn observers_see_every_activation_in_order() {
    for kernels in [Kernels::Reference, Kernels::Fast] {
        let executable = Executable::new(&layered(), Options { kernels, ..REFERENCE }).unwrap();
        let mut lines = Vec::new();
        let observe = &mut |name: &str, values: &[f32]| lines.push(format!("{name} {values:?}"));
        executable
            .run_observed(&mut executable.workspace(), &[Value::F32(&[1.0, 1.0])], observe)
            .unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(lines.join("\n"), @r"
            x [1.0, 1.0]
            y [3.5, -0.75]
            r [3.5, 0.0]
            shaped [3.5, 0.0]
            half [3.5]
            half:1 [0.0]
            ");
        }
    }
}

#[test]
fn an_executable_that_was_not_made_for_observers_refuses_them() {
    let executable = Executable::new(&layered(), Options::default()).unwrap();
    let input = executable.input_buffers();
    let refused = executable
        .run_observed(&mut executable.workspace(), &input.values(), &mut |_, _| ())
        .unwrap_err();
    insta::assert_snapshot!(refused, @"the executable is not observable; set `observable` in its options");
}

#[test]
fn wrong_inputs_and_workspaces_are_refused() {
    let executable = Executable::new(&layered(), Options::default()).unwrap();
    let mut workspace = executable.workspace();
    let mut refused = |inputs: &[Value<'_>]| executable.run(&mut workspace, inputs).unwrap_err().to_string();
    insta::assert_snapshot!(refused(&[]), @"0 inputs were given, the model has 1");
    insta::assert_snapshot!(refused(&[Value::F32(&[0.0; 3])]), @"input `x` was given 3 f32 values, expected f32[1,2]");
    insta::assert_snapshot!(refused(&[Value::I8(&[0; 2])]), @"input `x` was given 2 i8 values, expected f32[1,2]");
    let other = Executable::new(&layered(), Options::default()).unwrap();
    let refused = other.run(&mut workspace, &[Value::F32(&[0.0; 2])]).unwrap_err();
    insta::assert_snapshot!(refused, @"the workspace belongs to another executable; make one with `Executable::workspace`");
}

#[test]
fn what_no_kernel_computes_is_refused_by_node() {
    let mut graph = Graph::new("custom");
    let x = graph.input("x", TensorType::f32([1, 4]));
    let op = Custom {
        domain: "tflite".into(),
        name: "Mystery".into(),
        attributes: vec![],
        outputs: vec!["f32[1,4]".into()],
    };
    let y = graph.add("puzzle", op, &[x]).unwrap();
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refusal(&graph), @"node `puzzle` (custom): `Mystery` of domain `tflite` is an operator of unknown meaning; it can be stored, not executed");

    let mut graph = Graph::new("no scale");
    let x = graph.input("x", TensorType::new(ElementType::I8, [1, 4]));
    let y = graph.add("y", Function::Relu, &[x]).unwrap();
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refusal(&graph), @"node `y` (relu): tensor `x` is i8[1,4] without one scale and zero point for all of it");

    let mut graph = Graph::new("mixed");
    let x = graph.input("x", TensorType::f32([1, 4]));
    let q = graph.input("q", TensorType::new(ElementType::U8, [1, 4]));
    let y = graph.add("sum", Add::default(), &[x, q]).unwrap();
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refusal(&graph), @"node `sum` (add): there is no kernel for inputs of f32, u8, expected f32, i8 or i16 for all of them");

    let mut graph = Graph::new("halves");
    let x = graph.input("x", TensorType::new(ElementType::F16, [1, 4]));
    let y = graph.add("y", Identity {}, &[x]).unwrap();
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refusal(&graph), @"input `x` is f16[1,4], expected f32, i8, u8 or i32 elements");
}

#[test]
fn an_integer_softmax_with_another_scale_is_refused() {
    let mut graph = Graph::new("softmax");
    let x = graph.input("x", TensorType::new(ElementType::I8, [1, 4]));
    let y = graph.add("y", Softmax::default(), &[x]).unwrap();
    for (tensor, scale) in [(x, 0.1), (y, 0.5)] {
        graph.tensor_mut(tensor).quantization = Some(Quantization::per_tensor(Scale::new(scale).unwrap(), 0));
    }
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refusal(&graph), @"node `y` (softmax): its output has scale 0.5 and zero point 0, the integer kernel makes 1/256 and -128");
}

#[test]
fn operators_that_move_values_refuse_to_change_their_scale() {
    let mut graph = Graph::new("moved");
    let x = graph.input("x", TensorType::new(ElementType::I8, [1, 4]));
    let y = graph.add("y", Reshape { shape: vec![4] }, &[x]).unwrap();
    for (tensor, scale) in [(x, 0.1), (y, 0.5)] {
        graph.tensor_mut(tensor).quantization = Some(Quantization::per_tensor(Scale::new(scale).unwrap(), 0));
    }
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refusal(&graph), @"node `y` (reshape): `x` has another scale or zero point than `y`, but the operator only moves values; put a quantize node between");
}

/// A dilation of 4096 pads a picture of 3 × 3 to 8195 × 8195 where the output shall be as large.
#[test]
fn a_border_out_of_proportion_is_not_laid_out() {
    let mut graph = Graph::new("wide");
    let x = graph.input("x", TensorType::f32([1, 3, 3, 1]));
    let w = graph.constant(
        "w",
        Constant::f32([1, 3, 3, 1], (1..=9).map(|v| v as f32).collect()).unwrap(),
    );
    let wide = Conv2d {
        dilation: [4096, 4096],
        padding: Padding::all(4096),
        ..Conv2d::default()
    };
    let y = graph.add("y", wide, &[x, w]).unwrap();
    graph.set_outputs(&[y]);
    let executable = Executable::new(&graph, Options::default()).unwrap();
    assert!(executable.memory().arena < 1 << 10);
    // Only the middle of the kernel meets the picture.
    let picture: Vec<f32> = (0..9).map(|v| v as f32).collect();
    let scaled: Vec<f32> = picture.iter().map(|v| 5.0 * v).collect();
    assert_eq!(run(&graph, Options::default(), &[Value::F32(&picture)]), [scaled]);
}

#[test]
fn activations_beyond_the_limit_are_refused() {
    let mut graph = Graph::new("vast");
    let x = graph.input("x", TensorType::f32([1, 2, 2, 1]));
    let vast = Resize {
        size: [1 << 16, 1 << 16],
        interpolation: Interpolation::Bilinear,
        coordinates: Coordinates::HalfPixel,
    };
    let y = graph.add("y", vast, &[x]).unwrap();
    graph.set_outputs(&[y]);
    insta::assert_snapshot!(refusal(&graph), @"one sample needs 17179869184 bytes of activations, at most 4294967296 are allowed; is the file's shape right?");
}

#[test]
fn an_unknown_instruction_set_is_refused() {
    let Some(isa) = kernels::fast::Isa::ALL.into_iter().find(|isa| !isa.is_available()) else {
        assert!(kernels::fast::Isa::detect().is_available());
        return;
    };
    let refused = Executable::new(
        &layered(),
        Options {
            isa: Some(isa),
            ..Options::default()
        },
    )
    .unwrap_err()
    .to_string();
    assert!(refused.starts_with("this processor has no "), "{refused}");
}

#[test]
fn inputs_and_constants_can_be_outputs() {
    let mut graph = Graph::new("through");
    let x = graph.input("x", TensorType::f32([1, 2]));
    let c = graph.constant("c", Constant::f32([1, 1], vec![7.0]).unwrap());
    let same = graph.add("same", Identity {}, &[x]).unwrap();
    graph.set_outputs(&[x, c, same, x]);
    let found = run(&graph, Options::default(), &[Value::F32(&[1.0, 2.0])]);
    assert_eq!(found, [vec![1.0, 2.0], vec![7.0], vec![1.0, 2.0], vec![1.0, 2.0]]);
}

#[test]
fn half_precision_weights_are_widened_once() {
    let mut graph = Graph::new("halves");
    let x = graph.input("x", TensorType::f32([1, 2]));
    let half =
        ir::Constant::from_le_bytes(&TensorType::new(ElementType::F16, [1, 2]), &[0x00, 0x3c, 0x00, 0xc0]).unwrap();
    let stored = graph.constant("w/half", half);
    let w = graph.add("w", Dequantize {}, &[stored]).unwrap();
    let y = graph.add("y", FullyConnected::default(), &[x, w]).unwrap();
    graph.set_outputs(&[y]);
    let executable = Executable::new(
        &graph,
        Options {
            observable: true,
            ..Options::default()
        },
    )
    .unwrap();
    assert_eq!(executable.arithmetic(), "float32 with float16 weights");
    assert_eq!(executable.memory().weights, 8);
    let mut names = Vec::new();
    let mut workspace = executable.workspace();
    let inputs = [Value::F32(&[3.0, 1.0])];
    executable
        .run_observed(&mut workspace, &inputs, &mut |name, _| names.push(name.to_owned()))
        .unwrap();
    assert_eq!(executable.output(&workspace, 0), Value::F32(&[1.0]));
    assert_eq!(names, ["x", "y"]);
}

#[test]
fn integers_are_observed_as_the_numbers_they_mean() {
    let mut graph = Graph::new("edge");
    let x = graph.input("x", TensorType::f32([1, 2]));
    let q = graph.add("q", Quantize { to: ElementType::I8 }, &[x]).unwrap();
    graph.tensor_mut(q).quantization = Some(Quantization::per_tensor(Scale::new(0.5).unwrap(), 3));
    let y = graph.add("y", Dequantize {}, &[q]).unwrap();
    graph.set_outputs(&[y]);
    let mut seen = Vec::new();
    let executable = Executable::new(&graph, REFERENCE).unwrap();
    let observe = &mut |name: &str, values: &[f32]| seen.push((name.to_owned(), values.to_vec()));
    executable
        .run_observed(&mut executable.workspace(), &[Value::F32(&[0.6, -4.0])], observe)
        .unwrap();
    assert_eq!(seen[1], ("q".to_owned(), vec![0.5, -4.0]));
    assert_eq!(seen.len(), 3);
    let port = &Executable::new(&graph, Options::default()).unwrap().outputs()[0].clone();
    assert_eq!((port.name.as_str(), port.ty.to_string().as_str()), ("y", "f32[1,2]"));
}

#[test]
fn byte_edges_are_converted_exactly() {
    let mut graph = Graph::new("bytes");
    let x = graph.input("x", TensorType::new(ElementType::U8, [1, 4]));
    let inner = graph.add("inner", Quantize { to: ElementType::I8 }, &[x]).unwrap();
    let y = graph.add("y", Quantize { to: ElementType::U8 }, &[inner]).unwrap();
    for (tensor, zero_point) in [(x, 131), (inner, 3), (y, 131)] {
        let params = QuantParams {
            scale: Scale::new(0.25).unwrap(),
            zero_point,
        };
        graph.tensor_mut(tensor).quantization = Some(Quantization::per_tensor(params.scale, params.zero_point));
    }
    graph.set_outputs(&[y, inner]);
    let found = run(&graph, Options::default(), &[Value::U8(&[0, 127, 128, 255])]);
    assert_eq!(found, [vec![0.0, 127.0, 128.0, 255.0], vec![-128.0, -1.0, 0.0, 127.0]]);
}

#[test]
fn samples_come_back_in_order_whatever_the_number_of_threads() {
    let executable = Executable::new(&layered(), Options::default()).unwrap();
    let (reported, silent) = (std::sync::atomic::AtomicU64::new(0), &|| false);
    let progress = |done: u64, _| {
        reported.fetch_max(done, std::sync::atomic::Ordering::Relaxed);
    };
    let hooks = Hooks {
        progress: &progress,
        cancelled: silent,
    };
    let results = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let feed = |i: usize, buffers: &mut runtime::InputBuffers| {
            buffers.f32(0).fill(i as f32);
            Ok::<_, runtime::RuntimeError>(())
        };
        let read =
            |i: usize, outputs: &runtime::Outputs<'_>| (i, outputs.get(1).len(), format!("{:?}", outputs.get(1)));
        pool.install(|| map_samples(&executable, 300, feed, read, hooks))
            .unwrap()
    };
    let one = results(1);
    assert_eq!(one[299], (299, 1, "F32([897.5])".to_owned()));
    assert_eq!(one, results(3));
    assert_eq!(reported.into_inner(), 300);
}

#[test]
fn a_cancelled_run_stops() {
    let executable = Executable::new(&layered(), Options::default()).unwrap();
    let hooks = Hooks {
        progress: &|_, _| (),
        cancelled: &|| true,
    };
    let feed = |_: usize, _: &mut runtime::InputBuffers| Ok::<_, runtime::RuntimeError>(());
    let stopped = map_samples(&executable, 5, feed, |_, _| (), hooks).unwrap_err();
    assert_eq!(stopped, runtime::RuntimeError::Cancelled);
    let none: Vec<()> = map_samples(&executable, 0, feed, |_, _| (), hooks).unwrap();
    assert!(none.is_empty());
}

#[test]
fn a_sample_that_cannot_be_fed_ends_the_run() {
    let executable = Executable::new(&layered(), Options::default()).unwrap();
    let hooks = Hooks {
        progress: &|_, _| (),
        cancelled: &|| false,
    };
    let feed = |i: usize, _: &mut runtime::InputBuffers| {
        let gone = runtime::RuntimeError::Isa(format!("sample {i}"));
        if i == 3 { Err(gone) } else { Ok(()) }
    };
    let stopped = map_samples(&executable, 5, feed, |_, _| (), hooks).unwrap_err();
    assert_eq!(stopped, runtime::RuntimeError::Isa("sample 3".into()));
}

#[test]
fn buffers_are_reused_along_a_chain() {
    let mut graph = Graph::new("chain");
    let mut x = graph.input("x", TensorType::f32([1, 8, 8, 4]));
    for i in 0..10 {
        let weights = Constant::f32([4, 3, 3, 4], vec![0.01; 144]).unwrap();
        let w = graph.constant(format!("w{i}"), weights);
        let op = Conv2d {
            padding: Padding::all(1),
            activation: Activation::Relu,
            ..Conv2d::default()
        };
        x = graph.add(format!("y{i}"), op, &[x, w]).unwrap();
    }
    graph.set_outputs(&[x]);
    let memory = Executable::new(&graph, REFERENCE).unwrap().memory();
    assert_eq!(memory.weights, 10 * 144 * 4);
    assert_eq!(memory.arena, 2 * 8 * 8 * 4 * 4);
}

#[test]
fn a_recurrent_layer_computes_the_same_step_by_step() {
    let layers = Op::examples().into_iter().filter(|e| matches!(e.op, Op::Recurrent(_)));
    let mut compared = 0;
    for example in layers {
        let graph = example.graph().unwrap();
        let elements = graph.tensor(graph.inputs()[0]).ty.shape.elements();
        let x: Vec<f32> = (0..elements).map(|i| ((i * 7 + 3) % 11) as f32 / 5.5 - 1.0).collect();
        let [mut unrolled, mut lowered] = [graph.clone(), graph.clone()];
        ir::passes::unroll(&mut unrolled).unwrap();
        ir::passes::lower(&mut lowered).unwrap();
        assert!(unrolled.nodes().iter().all(|node| !matches!(node.op, Op::Recurrent(_))));
        let of = |graph: &Graph, kernels| {
            let options = Options {
                kernels,
                ..Options::default()
            };
            run(graph, options, &[Value::F32(&x)]).remove(0)
        };
        let expected = of(&graph, Kernels::Reference);
        for other in [&graph, &unrolled, &lowered] {
            for kernels in [Kernels::Reference, Kernels::Fast] {
                for (found, expected) in of(other, kernels).iter().zip(&expected) {
                    assert!(
                        (found - expected).abs() < 1e-6,
                        "{found} is not {expected}: {:?}",
                        example.op
                    );
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 300, "{compared}");
}

#[test]
fn numbers_change_their_type() {
    use ir::ops::Cast;
    let mut graph = Graph::new("g");
    let x = graph.input("x", TensorType::f32([1, 5]));
    let whole = graph.add("whole", Cast { to: ElementType::I32 }, &[x]).unwrap();
    let byte = graph.add("byte", Cast { to: ElementType::U8 }, &[whole]).unwrap();
    let back = graph.add("back", Cast { to: ElementType::F32 }, &[byte]).unwrap();
    graph.set_outputs(&[whole, back]);
    let values = [1.9, -1.9, 300.0, -0.0, f32::NAN];
    let made = run(&graph, Options::default(), &[Value::F32(&values)]);
    assert_eq!(
        made,
        [vec![1.0, -1.0, 300.0, 0.0, 0.0], vec![1.0, 0.0, 255.0, 0.0, 0.0]]
    );
}

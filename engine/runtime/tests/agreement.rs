//! The fast plan and the plain one: equal bits in integers, equal up to the order of sums in floats, on every
//! instruction set that this machine has.

mod support;

use ir::ops::{Activation, Concat, Function, IntegerRule, Pad, PadMode, Slice};
use ir::{Constant, ElementType, Graph, Op, Quantization, Scale, Tensor, TensorType};
use kernels::fast::Isa;
use runtime::{Executable, InputBuffers, Kernels, Options, RuntimeError, Value};
use support::{Kind, Net, noise, scaled};

const REFERENCE: Options = Options {
    kernels: Kernels::Reference,
    isa: None,
    observable: false,
    observe_all: false,
};

/// The fast options of every instruction set, with and without observers.
fn fast() -> impl Iterator<Item = Options> {
    let options = |observable| {
        move |isa| Options {
            kernels: Kernels::Fast,
            isa: Some(isa),
            observable,
            observe_all: observable,
        }
    };
    Isa::available()
        .map(options(false))
        .chain(Isa::available().map(options(true)))
}

fn fill(executable: &Executable, seed: u32) -> InputBuffers {
    let mut buffers = executable.input_buffers();
    for (i, port) in executable.inputs().iter().enumerate() {
        let noise = noise(seed + i as u32, port.ty.shape.elements());
        match port.ty.element {
            ElementType::F32 => buffers.f32(i).iter_mut().zip(noise).for_each(|(to, x)| *to = x),
            ElementType::I8 => buffers
                .i8(i)
                .iter_mut()
                .zip(noise)
                .for_each(|(to, x)| *to = (x * 128.0) as i8),
            ElementType::U8 => buffers
                .u8(i)
                .iter_mut()
                .zip(noise)
                .for_each(|(to, x)| *to = (x * 128.0 + 128.0) as u8),
            // Indices of entries that there are.
            ElementType::I32 => {
                let entries = port.entries.as_ref().map_or(8, |entries| entries.count as i32);
                buffers
                    .i32(i)
                    .iter_mut()
                    .zip(noise)
                    .for_each(|(to, x)| *to = ((x * 8.0) as i32).rem_euclid(entries));
            }
            other => panic!("no test feeds {other}"),
        }
    }
    buffers
}

/// The outputs for one sample, as floats.
fn outputs(graph: &Graph, options: Options, seed: u32) -> Result<Vec<Vec<f32>>, RuntimeError> {
    let executable = Executable::new(graph, options)?;
    let mut workspace = executable.workspace();
    // A first run with other numbers: nothing of it may be left in buffers and borders.
    for seed in [seed + 77, seed] {
        executable.run(&mut workspace, &fill(&executable, seed).values())?;
    }
    let floats = |value| match value {
        Value::F32(v) => v.to_vec(),
        Value::I8(v) => v.iter().map(|&q| q.into()).collect(),
        Value::U8(v) => v.iter().map(|&q| q.into()).collect(),
        Value::I16(v) => v.iter().map(|&q| q.into()).collect(),
        Value::I32(v) => v.iter().map(|&q| q as f32).collect(),
        Value::I64(v) => v.iter().map(|&q| q as f32).collect(),
    };
    Ok((0..executable.outputs().len())
        .map(|i| floats(executable.output(&workspace, i)))
        .collect())
}

/// Checks all fast plans of `graph` against the plain one, within `tolerance`.
fn check(graph: &Graph, tolerance: f32) {
    let expected = outputs(graph, REFERENCE, 1).unwrap();
    for options in fast() {
        let found = outputs(graph, options, 1).unwrap();
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(expected.len(), found.len());
            let error = expected
                .iter()
                .zip(found)
                .map(|(a, b)| if a.to_bits() == b.to_bits() { 0.0 } else { (a - b).abs() })
                // A difference that is not a number is no small one.
                .fold(0.0, |max, x| if x <= max { max } else { x });
            assert!(
                error <= tolerance,
                "{}, {options:?}: {error} is more than {tolerance}",
                graph.name
            );
        }
    }
}

/// What the order of sums of `n` products of numbers up to 1 can change, twice: once a side.
fn rounding(n: f32) -> f32 {
    2.0 * n * n * f32::EPSILON / 2.0
}

#[test]
fn every_float_operator_agrees() {
    for example in Op::examples() {
        if matches!(example.op, Op::Custom(_)) {
            continue;
        }
        let mut graph = example.graph().unwrap();
        let types = graph
            .inputs()
            .iter()
            .chain(graph.outputs())
            .copied()
            .collect::<Vec<_>>();
        for id in types {
            if graph.tensor(id).ty.element == ElementType::I8 {
                graph.tensor_mut(id).quantization = Some(scaled(0.01, 3));
            }
        }
        let node = &graph.nodes()[0];
        let n = graph.macs() as f32 / graph.tensor(node.output()).ty.shape.elements() as f32;
        // Functions with an exponential in them are approximations, whose bounds are tested where they are; of the rest, operators that
        // sum no products are computed in the same order: nothing may differ.
        let approximate = match example.op {
            Op::Softmax(_) | Op::Recurrent(_) => true,
            Op::Function(function) => matches!(
                function,
                Function::Elu { .. }
                    | Function::Sigmoid
                    | Function::Tanh
                    | Function::Swish
                    | Function::Gelu { .. }
                    | Function::Exp
                    | Function::Log
                    | Function::Erf
                    | Function::Softplus
                    | Function::Mish
            ),
            _ => false,
        };
        check(&graph, rounding(n) + if approximate { 1e-6 } else { 0.0 });
    }
}

/// The example in integers, quantized anyhow.
fn integer(example: &ir::ops::Example) -> Graph {
    let float = example.graph().unwrap();
    let (mut graph, node) = (Graph::new(format!("integer {}", example.op.name())), &float.nodes()[0]);
    let (weighted, axis) = (
        example.op.weight_axis().is_some(),
        example.op.weight_axis().unwrap_or(0),
    );
    let mut inputs = Vec::new();
    for (i, &id) in node.inputs.iter().enumerate() {
        let Tensor { name, ty, data, .. } = float.tensor(id).clone();
        let values: Vec<f32> = noise(i as u32, ty.shape.elements()).collect();
        inputs.push(match (data.is_some(), weighted, i) {
            (_, _, _) if ty.element == ElementType::I32 => graph.input(name, ty),
            (false, _, _) => {
                let id = graph.input(name, ty.with_element(ElementType::I8));
                graph.tensor_mut(id).quantization = Some(scaled(0.05, 3));
                id
            }
            (true, true, 2) => {
                let bias = values.iter().map(|x| (x * 500.0) as i32).collect();
                graph.constant(name, Constant::i32(ty.shape, bias).unwrap())
            }
            (true, _, _) => {
                let stored = values.iter().map(|x| (x * 127.0) as i8).collect();
                let scales = (0..ty.shape.0[axis.min(ty.shape.rank() - 1)])
                    .map(|c| Scale::new(0.002 + 0.001 * c as f32).unwrap());
                let by_channel = Quantization::per_axis(scales.collect(), axis);
                let id = graph.constant(name, Constant::i8(ty.shape, stored).unwrap());
                graph.tensor_mut(id).quantization = Some(if weighted { by_channel } else { scaled(0.05, 3) });
                id
            }
        });
    }
    let outputs = graph.add_many("y", example.op.clone(), &inputs).unwrap();
    for &output in &outputs {
        graph.tensor_mut(output).quantization = Some(match example.op.integer_rule(ElementType::I8) {
            IntegerRule::Dictated(params) => scaled(params.scale.get(), params.zero_point),
            IntegerRule::Weighted { .. } => scaled(0.07, -5),
            IntegerRule::Free => scaled(0.03, 10),
            IntegerRule::Same | IntegerRule::None(_) => scaled(0.05, 3),
        });
    }
    graph.set_outputs(&outputs);
    graph
}

#[test]
fn every_integer_operator_gives_the_same_bits() {
    let mut refused = Vec::new();
    for example in Op::examples() {
        if matches!(
            example.op,
            Op::Custom(_) | Op::Dequantize(_) | Op::Cast(_) | Op::ArgMax(_)
        ) {
            continue;
        }
        let graph = integer(&example);
        if let Err(RuntimeError::Unsupported { op, .. }) = Executable::new(&graph, REFERENCE) {
            refused.push(op);
        } else {
            check(&graph, 0.0);
        }
    }
    refused.dedup();
    assert_eq!(
        refused,
        [
            "recurrent",
            "batch_norm",
            "layer_norm",
            "reduce_sum",
            "pow",
            "select",
            "hard_sigmoid",
            "swish",
            "exp",
            "log",
            "sqrt",
            "rsqrt",
            "neg",
            "abs",
            "sin",
            "cos",
            "floor",
            "ceil",
            "round",
            "sign",
            "erf",
            "softplus",
            "mish"
        ]
    );
}

/// Blocks of all kinds: shared inputs, borders of several widths, sums of sums, a gate, moved elements.
fn blocks(kind: Kind) -> Graph {
    let (mut net, x) = Net::new(kind, [1, 13, 11, 3]);
    let stem = net.conv(x, 17, 3, 2, Activation::Relu);
    let wide = net.conv(stem, 17, 5, 1, Activation::None);
    let narrow = net.conv(stem, 17, 1, 1, Activation::None);
    let both = net.add(wide, narrow, Activation::None);
    let sum = net.add(both, stem, Activation::Relu6);
    let deep = net.depthwise(sum, 1, 1, Activation::Relu);
    let doubled = net.depthwise(deep, 2, 2, Activation::None);
    let slice = Slice {
        begin: vec![0, 0, 0, 3],
        end: vec![1, 4, 3, 34],
        stride: vec![1, 1, 1, 2],
    };
    let part = net.moved(slice, &[doubled]);
    let joined = net.moved(Concat { axis: 3 }, &[doubled, part]);
    let padded = net.moved(
        Pad {
            before: vec![0, 1, 0, 0],
            after: vec![0, 1, 1, 0],
            mode: PadMode::Zero,
        },
        &[joined],
    );
    let pooled = net.average_pool(padded);
    let last = net.conv(pooled, 33, 3, 1, Activation::ReluN1To1);
    let half = net.max_pool(last);
    let scores = net.classifier(half, 7);
    net.finish(&[scores, sum, last])
}

/// No layer amplifies: its weights add up to 1 at most. Each adds its own rounding, and a sum adds those of both sides.
fn network_tolerance(graph: &Graph) -> f32 {
    let nodes = graph.nodes().iter();
    let products = |node| graph.node_macs(node) as f32 / graph.tensor(node.output()).ty.shape.elements() as f32;
    // Values stay below 8: the input is in −1..1, biases are below 0.1, three sums at most double.
    nodes
        .map(|node| 8.0 * 8.0 * (2.0 * products(node) + 2.0) * f32::EPSILON)
        .sum()
}

#[test]
fn networks_agree_in_float() {
    for graph in [blocks(Kind::Float), support::resnet8(Kind::Float)] {
        check(&graph, network_tolerance(&graph));
    }
}

#[test]
fn networks_give_the_same_bits_in_integers() {
    for graph in [
        blocks(Kind::Integer),
        support::resnet8(Kind::Integer),
        support::mobilenet(Kind::Integer),
    ] {
        check(&graph, 0.0);
    }
}

#[test]
fn networks_give_the_same_bits_in_dynamic_range() {
    for mut graph in [blocks(Kind::Hybrid), support::resnet8(Kind::Hybrid)] {
        check(&graph, 1e-6);
        // All but the softmax at the end, whose exponentials are approximations.
        let softmax = graph.nodes().iter().find(|node| matches!(node.op, Op::Softmax(_)));
        let logits = softmax.expect("a classifier ends in it").inputs[0];
        let outputs: Vec<_> = graph.outputs().iter().skip(1).copied().chain([logits]).collect();
        graph.set_outputs(&outputs);
        check(&graph, 0.0);
    }
}

/// Explicit padding before windows of all kinds, as it is in files that come from PyTorch by way of TFLite.
fn padded(kind: Kind) -> Graph {
    let (mut net, x) = Net::new(kind, [1, 12, 10, 3]);
    let around = |margin: usize| Pad {
        before: vec![0, margin, margin, 0],
        after: vec![0, margin, margin, 0],
        mode: PadMode::Zero,
    };
    let pad = net.moved(around(1), &[x]);
    let stem = net.conv(pad, 9, 3, 2, Activation::Relu);
    let pad = net.moved(around(2), &[stem]);
    let deep = net.depthwise(pad, 1, 1, Activation::None);
    // Two readers, of which one is no window.
    let shared = net.moved(around(1), &[deep]);
    let wide = net.conv(shared, 9, 3, 1, Activation::None);
    let both = net.add(wide, shared, Activation::None);
    let least = Pad {
        mode: PadMode::Value(f32::MIN),
        ..around(1)
    };
    let pad = net.moved(least, &[both]);
    let pooled = net.max_pool(pad);
    let scores = net.classifier(pooled, 5);
    net.finish(&[scores])
}

#[test]
fn padding_goes_into_windows_and_nothing_changes() {
    check(&padded(Kind::Float), network_tolerance(&padded(Kind::Float)));
    check(&padded(Kind::Integer), 0.0);
    check(&padded(Kind::Hybrid), 0.0);
    let executable = Executable::new(&padded(Kind::Float), Options::default()).unwrap();
    let pads: Vec<String> = executable
        .describe()
        .into_iter()
        .filter(|row| row.op == "pad")
        .map(|row| row.kernel)
        .collect();
    let gone = pads
        .iter()
        .map(|kernel| kernel == "part of its readers")
        .collect::<Vec<_>>();
    assert_eq!(gone, [true, true, false, true], "{pads:?}");
}

/// An inverted residual so wide that it is computed in bands, with padding of its own before the depthwise convolution or not.
fn expanded(kind: Kind, stride: usize, explicit: bool) -> Graph {
    let (mut net, x) = Net::new(kind, [1, 64, 64, 3]);
    let wide = net.conv(x, 96, 1, 1, Activation::Relu6);
    let read = if explicit {
        let around = Pad {
            before: vec![0, 1, 1, 0],
            after: vec![0, 1, 1, 0],
            mode: PadMode::Zero,
        };
        net.moved(around, &[wide])
    } else {
        wide
    };
    let deep = net.depthwise(read, 1, stride, Activation::Relu);
    let narrow = net.conv(deep, 5, 1, 1, Activation::None);
    net.finish(&[narrow])
}

#[test]
fn wide_expansions_are_computed_in_bands_and_nothing_changes() {
    for (stride, explicit) in [(1, false), (2, false), (2, true)] {
        let float = expanded(Kind::Float, stride, explicit);
        check(&float, network_tolerance(&float));
        check(&expanded(Kind::Integer, stride, explicit), 0.0);
        for kind in [Kind::Float, Kind::Integer] {
            let executable = Executable::new(&expanded(kind, stride, explicit), Options::default()).unwrap();
            assert_eq!(executable.describe()[0].kernel, "part of its readers", "{kind:?}");
        }
    }
}

#[test]
fn observers_of_both_plans_see_the_same_tensors() {
    let seen = |graph: &Graph, options: Options| {
        let observed = Options {
            observable: true,
            observe_all: true,
            ..options
        };
        let executable = Executable::new(graph, observed).unwrap();
        let mut seen = Vec::new();
        let inputs = fill(&executable, 4);
        let observe = &mut |name: &str, values: &[f32]| seen.push((name.to_owned(), values.to_vec()));
        executable
            .run_observed(&mut executable.workspace(), &inputs.values(), observe)
            .unwrap();
        seen
    };
    for make in [blocks, support::resnet8, support::mobilenet] {
        let (integer, float) = (make(Kind::Integer), make(Kind::Float));
        let expected = seen(&integer, REFERENCE);
        assert_eq!(expected.len(), 1 + integer.nodes().len());
        let names = |seen: &[(String, Vec<f32>)]| seen.iter().map(|(n, v)| (n.clone(), v.len())).collect::<Vec<_>>();
        for options in fast() {
            assert_eq!(seen(&integer, options), expected);
            assert_eq!(names(&seen(&float, options)), names(&expected));
        }
    }
}

#[test]
fn the_plan_says_what_runs_where() {
    let plan = |kind, observable| {
        let options = Options {
            isa: Some(Isa::Scalar),
            observable,
            ..Options::default()
        };
        let executable = Executable::new(&support::resnet8(kind), options).unwrap();
        let rows = executable.describe();
        let text: Vec<String> = rows.iter().map(|row| format!("{}: {}", row.node, row.kernel)).collect();
        format!("{}\n{}", executable.arithmetic(), text.join("\n"))
    };
    insta::assert_snapshot!(plan(Kind::Float, false), @r"
    float32
    conv2d0: fast scalar
    conv2d1: fast scalar
    conv2d2: part of `add3`
    add3: fast scalar, with `conv2d2`
    conv2d4: fast scalar
    conv2d5: fast scalar
    conv2d6: part of `add7`
    add7: fast scalar, with `conv2d6`
    conv2d8: fast scalar
    conv2d9: fast scalar
    conv2d10: part of `add11`
    add11: fast scalar, with `conv2d10`
    mean12: fast scalar
    reshape13: alias
    fully_connected14: fast scalar
    softmax15: fast scalar
    ");
    insta::assert_snapshot!(plan(Kind::Integer, false), @r"
    int8, LiteRT reference rounding
    conv2d0: fast scalar
    conv2d1: fast scalar
    conv2d2: fast scalar
    add3: fast scalar
    conv2d4: fast scalar
    conv2d5: fast scalar
    conv2d6: fast scalar
    add7: fast scalar
    conv2d8: fast scalar
    conv2d9: fast scalar
    conv2d10: fast scalar
    add11: fast scalar
    mean12: fast scalar
    reshape13: alias
    fully_connected14: fast scalar
    softmax15: fast scalar
    ");
    assert!(!plan(Kind::Float, true).contains("part of"));
    assert!(plan(Kind::Hybrid, false).starts_with("float32 with dynamic int8 weights"));
}

/// `x · sigmoid(x)`, the gate on either side.
fn swish(element: ElementType) -> Graph {
    let mut graph = Graph::new("swish");
    let x = graph.input("x", TensorType::new(element, [1, 3, 5, 7]));
    let gate = graph.add("gate", Function::Sigmoid, &[x]).unwrap();
    let y = graph.add("y", ir::ops::Mul::default(), &[x, gate]).unwrap();
    let again = graph.add("again", Function::Sigmoid, &[y]).unwrap();
    let z = graph.add("z", ir::ops::Mul::default(), &[again, y]).unwrap();
    if element == ElementType::I8 {
        for tensor in [x, y, z] {
            graph.tensor_mut(tensor).quantization = Some(scaled(0.04, -3));
        }
        for tensor in [gate, again] {
            graph.tensor_mut(tensor).quantization = Some(scaled(1.0 / 256.0, -128));
        }
    }
    graph.set_outputs(&[z]);
    graph
}

#[test]
fn a_product_with_a_gate_of_the_same_number_is_one_function() {
    check(&swish(ElementType::F32), 1e-6);
    check(&swish(ElementType::I8), 0.0);
    for element in [ElementType::F32, ElementType::I8] {
        let executable = Executable::new(&swish(element), Options::default()).unwrap();
        let rows = executable.describe();
        assert_eq!(rows[0].kernel, "part of its readers");
        assert_eq!(executable.steps().filter(|step| !step.is_conversion).count(), 2);
    }
}

#[test]
fn a_product_and_a_sum_by_channel_are_one_kernel() {
    let mut graph = Graph::new("affine");
    let x = graph.input("x", TensorType::new(ElementType::F32, [1, 4, 3, 5]));
    let constant = |seed: u32| Constant::f32([1, 1, 1, 5], noise(seed, 5).collect()).unwrap();
    let (scale, offset) = (
        graph.constant("scale", constant(1)),
        graph.constant("offset", constant(2)),
    );
    let product = graph.add("product", ir::ops::Mul::default(), &[scale, x]).unwrap();
    let sum = ir::ops::Add {
        activation: Activation::Relu,
    };
    let y = graph.add("sum", sum, &[product, offset]).unwrap();
    graph.set_outputs(&[y]);
    check(&graph, 0.0);
    let executable = Executable::new(&graph, Options::default()).unwrap();
    assert_eq!(executable.describe()[0].kernel, "part of its readers");
}

#[test]
fn an_integer_constant_is_added_as_bytes() {
    let mut graph = Graph::new("constant");
    let x = graph.input("x", TensorType::new(ElementType::I8, [1, 3, 3, 4]));
    let c = graph.constant("c", Constant::i8([1, 3, 3, 4], (-90..90).step_by(5).collect()).unwrap());
    let y = graph.add("y", ir::ops::Add::default(), &[x, c]).unwrap();
    for tensor in [x, c, y] {
        graph.tensor_mut(tensor).quantization = Some(scaled(0.1, -3));
    }
    graph.set_outputs(&[y]);
    check(&graph, 0.0);
}

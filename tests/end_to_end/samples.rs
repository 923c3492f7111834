//! How samples meet a model's inputs: the order of their axes, batches of a fixed size, inputs and outputs that count no samples,
//! numbers that are none, and answers that no longer depend on the sample.

use ir::ops::{Add, Conv2d, FullyConnected, Function, Identity, Mean, Reshape, Transpose};
use ir::{Constant, ElementType, Graph, TensorId, TensorType};

use crate::support::Lab;

/// A NumPy file of floats.
fn floats(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let sides = shape.iter().fold(String::new(), |all, side| all + &format!("{side}, "));
    let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sides}), }}");
    let mut file = [b"\x93NUMPY\x01\x00v\x00", format!("{head:<117}\n").as_bytes()].concat();
    file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    file
}

/// The shape, as NumPy writes it, and the numbers of such a file.
fn numbers(lab: &Lab, name: &str) -> (String, Vec<f32>) {
    let bytes = std::fs::read(lab.path(name)).expect("it was written");
    let head = String::from_utf8_lossy(&bytes[10..128]).into_owned();
    let shape = head.split_once("'shape': ").expect("a header").1;
    let values = bytes[128..].as_chunks::<4>().0;
    let end = shape.find(')').expect("a tuple") + 1;
    (
        shape[..end].to_owned(),
        values.iter().map(|&b| f32::from_le_bytes(b)).collect(),
    )
}

fn made_up(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect()
}

fn constant(graph: &mut Graph, name: &str, dims: &[usize]) -> TensorId {
    let n = dims.iter().product();
    graph.constant(name, Constant::f32(dims, made_up(n)).expect("as many values"))
}

/// A convolution over images of 4×5 pixels in 3 channels, `batch` at once.
fn images(batch: usize) -> Graph {
    let mut graph = Graph::new("images");
    let x = graph.input("x", TensorType::f32([batch, 4, 5, 3]));
    let w = constant(&mut graph, "w", &[2, 2, 2, 3]);
    let b = constant(&mut graph, "b", &[2]);
    let y = graph.add("conv", Conv2d::default(), &[x, w, b]).expect("it fits");
    let (axes, keep_dims) = (vec![1, 2], false);
    let y = graph.add("mean", Mean { axes, keep_dims }, &[y]).expect("it fits");
    graph.set_outputs(&[y]);
    graph
}

/// `infer` on one array.
fn infer(lab: &Lab, model: &str, more: &[&str]) -> crate::support::Call {
    let arguments = ["infer", model, "--input", "x.npy", "--output", "y.npy"];
    lab.call(&[&arguments[..], more].concat())
}

/// The images of [`images`], channels last, and the same channels first.
fn both_orders(n: usize) -> (Vec<f32>, Vec<f32>) {
    let last = made_up(n * 60);
    let first = last
        .chunks_exact(60)
        .flat_map(|image| (0..3).flat_map(move |c| (0..20).map(move |pixel| image[pixel * 3 + c])));
    (last.clone(), first.collect())
}

#[test]
fn images_channels_first_are_named_and_read_when_asked() {
    let lab = Lab::new();
    lab.write("net.tflite", formats::tflite::write(&images(1)).expect("written"));
    let (last, first) = both_orders(2);
    lab.write("x.npy", floats(&[2, 4, 5, 3], &last));
    infer(&lab, "net.tflite", &[]).expect(0);
    let expected = numbers(&lab, "y.npy");
    assert_eq!(expected.0, "(2, 2)");

    lab.write("x.npy", floats(&[2, 3, 4, 5], &first));
    let refused = infer(&lab, "net.tflite", &[]).expect(1);
    assert!(refused.stderr.contains("channels first"), "{refused}");
    assert!(refused.stderr.contains("--layout chw"), "{refused}");
    infer(&lab, "net.tflite", &["--layout", "chw"]).expect(0);
    assert_eq!(numbers(&lab, "y.npy"), expected);

    let int8 = [
        "convert",
        "net.tflite",
        "int8.tflite",
        "--quantize",
        "int8",
        "--calibrate",
        "x.npy",
    ];
    let refused = lab.call(&int8).expect(1);
    assert!(refused.stderr.contains("channels first"), "{refused}");
    lab.call(&[&int8[..], &["--layout", "chw"]].concat()).expect(0);
    let turned = std::fs::read(lab.path("int8.tflite")).expect("written");
    lab.write("x.npy", floats(&[2, 4, 5, 3], &last));
    lab.call(&int8).expect(0);
    assert!(turned == std::fs::read(lab.path("int8.tflite")).expect("written"));
}

#[test]
fn the_order_in_which_an_onnx_file_states_its_input_is_taken_too() {
    let lab = Lab::new();
    lab.write("net.onnx", formats::onnx::write(&images(1)).expect("written"));
    let (last, first) = both_orders(2);
    let int8 = [
        "convert",
        "net.onnx",
        "int8.tflite",
        "--quantize",
        "int8",
        "--calibrate",
        "x.npy",
    ];
    let mut made = Vec::new();
    for (shape, values) in [([2, 4, 5, 3], last), ([2, 3, 4, 5], first)] {
        lab.write("x.npy", floats(&shape, &values));
        infer(&lab, "net.onnx", &[]).expect(0);
        lab.call(&int8).expect(0);
        made.push((
            numbers(&lab, "y.npy"),
            std::fs::read(lab.path("int8.tflite")).expect("written"),
        ));
    }
    assert!(made[0] == made[1], "{:?} {:?}", made[0].0, made[1].0);
}

#[test]
fn a_recipe_takes_images_in_the_order_of_the_model_and_names_another() {
    let (_, first) = both_orders(4);
    let recipe = |model: &str| {
        format!(
            "schema: pipeline/v1\nname: order\nsources:\n  network: {{ file: {model} }}\n  images: {{ file: x.npy }}\nsteps:\n  \
             net: {{ import: {{ from: network }} }}\n  data: {{ dataset: {{ source: images, format: numpy }} }}\n  \
             ranges: {{ calibrate: {{ model: net, data: data }} }}\n"
        )
    };
    let lab = Lab::with_recipe(&recipe("net.onnx"));
    lab.write("x.npy", floats(&[4, 3, 4, 5], &first));
    lab.write("net.onnx", formats::onnx::write(&images(1)).expect("written"));
    lab.write("net.tflite", formats::tflite::write(&images(1)).expect("written"));
    lab.run(&[]);
    lab.write("recipe.yaml", recipe("net.tflite"));
    let refused = lab.call(&["run", "recipe.yaml", "--out", "out"]).expect(2);
    assert!(refused.stderr.contains("say `layout: chw`"), "{refused}");
    lab.edit("format: numpy", "format: numpy, layout: chw");
    lab.run(&[]);
}

#[test]
fn a_fixed_batch_is_fed_whole_and_gives_what_each_sample_gives() {
    let lab = Lab::new();
    let (last, _) = both_orders(6);
    lab.write("x.npy", floats(&[6, 4, 5, 3], &last));
    lab.write("one.tflite", formats::tflite::write(&images(1)).expect("written"));
    infer(&lab, "one.tflite", &[]).expect(0);
    let expected = numbers(&lab, "y.npy");
    for (name, bytes) in [
        ("three.onnx", formats::onnx::write(&images(3)).expect("written")),
        ("three.tflite", formats::tflite::write(&images(3)).expect("written")),
    ] {
        lab.write(name, bytes);
        infer(&lab, name, &[]).expect(0);
        let found = numbers(&lab, "y.npy");
        assert_eq!(found.0, expected.0, "{name}");
        // Sums of floats have another order in a batch.
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(
            found.1.iter().zip(&expected.1).all(near),
            "{name}: {found:?} {expected:?}"
        );
        let int8 = [
            "convert",
            name,
            "int8.tflite",
            "--quantize",
            "int8",
            "--calibrate",
            "x.npy",
        ];
        lab.call(&int8).expect(0);
        infer(&lab, "int8.tflite", &[]).expect(0);
        assert_eq!(numbers(&lab, "y.npy").0, "(6, 2)");
    }
    lab.write("x.npy", floats(&[4, 4, 5, 3], &last[..240]));
    let refused = infer(&lab, "three.onnx", &[]).expect(1);
    assert!(refused.stderr.contains("takes 3 at once"), "{refused}");
}

#[test]
fn an_input_may_count_no_samples() {
    let mut graph = Graph::new("wave");
    let x = graph.input("x", TensorType::f32([24]));
    let shape = vec![1, 6, 4];
    let frames = graph.add("frames", Reshape { shape }, &[x]).expect("it fits");
    let w = constant(&mut graph, "w", &[3, 4]);
    let scores = graph
        .add("scores", FullyConnected::default(), &[frames, w])
        .expect("it fits");
    let (axes, keep_dims) = (vec![0, 1], false);
    let y = graph.add("mean", Mean { axes, keep_dims }, &[scores]).expect("it fits");
    graph.set_outputs(&[y]);
    let lab = Lab::new();
    lab.write("wave.tflite", formats::tflite::write(&graph).expect("written"));
    lab.write("x.npy", floats(&[24], &made_up(24)));
    infer(&lab, "wave.tflite", &[]).expect(0);
    let (shape, one) = numbers(&lab, "y.npy");
    assert_eq!(shape, "(3,)");
    lab.call(&[
        "convert",
        "wave.tflite",
        "int8.tflite",
        "--quantize",
        "int8",
        "--calibrate",
        "x.npy",
    ])
    .expect(0);
    lab.call(&["convert", "wave.tflite", "wave"]).expect(0);
    infer(&lab, "wave", &[]).expect(0);
    assert_eq!(numbers(&lab, "y.npy"), (shape, one.clone()));
    // Two of them, one after the other.
    lab.write("x.npy", floats(&[2, 24], &made_up(24).repeat(2)));
    infer(&lab, "wave.tflite", &[]).expect(0);
    assert_eq!(numbers(&lab, "y.npy"), ("(2, 3)".to_owned(), one.repeat(2)));
}

#[test]
fn outputs_are_written_whole_along_the_dimension_that_counts_samples() {
    // Time first, and the rows of all samples in one matrix.
    let mut graph = Graph::new("sequence");
    let x = graph.input("x", TensorType::f32([1, 3, 2]));
    let r = graph.add("r", Function::Relu, &[x]).expect("it fits");
    let perm = vec![1, 0, 2];
    let time = graph.add("time", Transpose { perm }, &[r]).expect("it fits");
    let shape = vec![3, 2];
    let rows = graph.add("rows", Reshape { shape }, &[r]).expect("it fits");
    let anchors = constant(&mut graph, "anchors", &[5, 4]);
    graph.set_outputs(&[time, rows, anchors]);
    let lab = Lab::new();
    lab.write("net.tflite", formats::tflite::write(&graph).expect("written"));
    lab.write("net.onnx", formats::onnx::write(&graph).expect("written"));
    let values: Vec<f32> = (1..=12u8).map(f32::from).collect();
    lab.write("x.npy", floats(&[2, 3, 2], &values));
    for model in ["net.tflite", "net.onnx"] {
        let outputs = ["--output", "rows.npy", "--output", "anchors.npy"];
        infer(&lab, model, &outputs).expect(0);
        let order = [1, 2, 7, 8, 3, 4, 9, 10, 5, 6, 11, 12u8].map(f32::from).to_vec();
        assert_eq!(numbers(&lab, "y.npy"), ("(3, 2, 2)".to_owned(), order), "{model}");
        assert_eq!(
            numbers(&lab, "rows.npy"),
            ("(6, 2)".to_owned(), values.clone()),
            "{model}"
        );
        assert_eq!(
            numbers(&lab, "anchors.npy"),
            ("(5, 4)".to_owned(), made_up(20)),
            "{model}"
        );
    }
}

#[test]
fn constants_and_inputs_are_outputs_in_every_file() {
    let mut graph = Graph::new("odd");
    let x = graph.input("x", TensorType::f32([1, 4]));
    let w = constant(&mut graph, "w", &[2, 4]);
    let y = graph.add("y", FullyConnected::default(), &[x, w]).expect("it fits");
    let same = graph.add("same", Identity {}, &[x]).expect("it fits");
    let anchors = constant(&mut graph, "anchors", &[1, 3]);
    graph.set_outputs(&[y, same, anchors]);
    let lab = Lab::new();
    lab.write("net.onnx", formats::onnx::write(&graph).expect("written"));
    lab.write("x.npy", floats(&[1, 4], &made_up(4)));
    let all = ["--output", "same.npy", "--output", "anchors.npy"];
    infer(&lab, "net.onnx", &all).expect(0);
    let expected = ["y.npy", "same.npy", "anchors.npy"].map(|name| numbers(&lab, name));
    assert_eq!(expected[1].1, made_up(4));
    assert_eq!(expected[2].1, made_up(3));
    for to in ["again.onnx", "net.tflite"] {
        lab.call(&["convert", "net.onnx", to]).expect(0);
        infer(&lab, to, &all).expect(0);
        assert_eq!(
            ["y.npy", "same.npy", "anchors.npy"].map(|name| numbers(&lab, name)),
            expected,
            "{to}"
        );
    }
    for scheme in ["float16", "dynamic-int8"] {
        lab.call(&["convert", "net.onnx", "small.tflite", "--quantize", scheme])
            .expect(0);
        infer(&lab, "small.tflite", &all).expect(0);
        assert_eq!(numbers(&lab, "anchors.npy").1, made_up(3), "{scheme}");
    }
}

/// A dense layer on rows of two numbers, one of its weights replaced.
fn with_weight(weight: f32) -> Graph {
    let mut graph = Graph::new("dense");
    let x = graph.input("x", TensorType::f32([1, 2]));
    let w = graph.constant("w", Constant::f32([2, 2], vec![0.5, weight, -1.0, 2.0]).expect("four"));
    let b = graph.constant(
        "mask",
        Constant::f32([1, 2], vec![0.0, f32::NEG_INFINITY]).expect("two"),
    );
    let y = graph.add("y", FullyConnected::default(), &[x, w]).expect("it fits");
    let y = graph.add("r", Function::Relu, &[y]).expect("it fits");
    let y = graph.add("masked", Add::default(), &[y, b]).expect("it fits");
    graph.set_outputs(&[y]);
    graph
}

#[test]
fn weights_that_are_no_numbers_are_refused_or_kept_as_asked() {
    for broken in [f32::NAN, f32::INFINITY] {
        let lab = Lab::new();
        lab.write("net.onnx", formats::onnx::write(&with_weight(broken)).expect("written"));
        lab.write(
            "net.tflite",
            formats::tflite::write(&with_weight(broken)).expect("written"),
        );
        for model in ["net.onnx", "net.tflite"] {
            let refused = lab.call(&["convert", model, "out.tflite"]).expect(1);
            assert!(
                refused
                    .stderr
                    .contains("`w`: 1 of 4 values are infinite or not a number"),
                "{refused}"
            );
            let kept = lab
                .call(&["convert", model, "out.tflite", "--allow-non-finite"])
                .expect(0);
            assert!(kept.stderr.contains("warning"), "{kept}");
            let quantize = [
                "convert",
                model,
                "q.tflite",
                "--allow-non-finite",
                "--quantize",
                "dynamic-int8",
            ];
            let refused = lab.call(&quantize).expect(1);
            assert!(refused.stderr.contains("`w`"), "{refused}");
        }
    }
    // A mask may be infinite.
    let lab = Lab::new();
    lab.write("net.onnx", formats::onnx::write(&with_weight(1.0)).expect("written"));
    lab.call(&["convert", "net.onnx", "out.tflite"]).expect(0);
}

#[test]
fn a_sample_that_is_no_number_is_named_by_its_number() {
    let lab = Lab::with_recipe(
        "schema: pipeline/v1\nname: nan\nsources:\n  network: { file: digits.h5 }\n  data: { file: arrays }\nsteps:\n  \
         net: { import: { from: network } }\n  data: { dataset: { source: data, format: numpy } }\n  \
         quality: { evaluate: { model: net, data: data } }\n  ranges: { calibrate: { model: net, data: data } }\n",
    );
    let mut values = made_up(5 * 64);
    values[3 * 64 + 7] = f32::NAN;
    std::fs::create_dir(lab.path("arrays")).expect("a new folder");
    lab.write("arrays/x.npy", floats(&[5, 8, 8, 1], &values));
    lab.write("arrays/y.npy", crate::support::npy("(5,)", &[0, 1, 2, 3, 4]));
    let run = lab.run_to(1, &["--keep-going"]);
    for step in ["quality", "ranges"] {
        assert!(
            run.error(step).contains("sample 3: value 7"),
            "{step}: {}",
            run.error(step)
        );
    }
}

#[test]
fn an_integer_network_that_answers_one_thing_always_is_a_failure() {
    // The first of two columns decides; the second is so large that nothing is left of the first.
    let mut graph = Graph::new("columns");
    let x = graph.input("x", TensorType::f32([1, 2]));
    let w = graph.constant("w", Constant::f32([1, 2], vec![1.0, 0.0]).expect("two"));
    let y = graph.add("y", FullyConnected::default(), &[x, w]).expect("it fits");
    graph.set_outputs(&[y]);
    let lab = Lab::new();
    lab.write("net.tflite", formats::tflite::write(&graph).expect("written"));
    let int8 = [
        "convert",
        "net.tflite",
        "int8.tflite",
        "--quantize",
        "int8",
        "--calibrate",
        "x.npy",
    ];
    let rows = |wide: f32| -> Vec<f32> {
        (0..50u8)
            .flat_map(|i| [f32::from(i) / 50.0, wide * f32::from(i % 7)])
            .collect()
    };
    lab.write("x.npy", floats(&[50, 2], &rows(20_000.0)));
    let refused = lab.call(&int8).expect(1);
    assert!(
        refused
            .stderr
            .contains("`y` is the same for all 50 calibration samples"),
        "{refused}"
    );
    assert!(!lab.path("int8.tflite").exists());
    lab.write("x.npy", floats(&[50, 2], &rows(0.1)));
    let made = lab.call(&int8).expect(0);
    assert!(made.stderr.contains("dB signal to noise"), "{made}");
}

#[test]
fn tract_is_given_the_real_numbers_of_an_integer_model() {
    let lab = Lab::with_steps(
        "  train: { dataset: { source: digits, split: train } }
  ranges: { calibrate: { model: native, data: train, count: 100 } }
  int8: { quantize: { model: native, ranges: ranges, scheme: int8 } }
  tract: { verify: { model: int8, reference: native, data: test, count: 50, runtime: tract, min-top1: 0.95 } }
",
    );
    lab.run(&[]);
    lab.write("x.npy", floats(&[4, 8, 8, 1], &made_up(256)));
    lab.call(&[
        "convert",
        "digits.h5",
        "int8.tflite",
        "--quantize",
        "int8",
        "--calibrate",
        "x.npy",
    ])
    .expect(0);
    let said = lab
        .call(&["verify", "int8.tflite", "digits.h5", "--runtime", "tract"])
        .expect(0);
    assert!(said.stderr.contains("tract computes no integers"), "{said}");
}

#[test]
fn a_type_without_numbers_cannot_be_fed() {
    let mut graph = Graph::new("index");
    let x = graph.input("x", TensorType::new(ElementType::I64, [1, 2]));
    graph.set_outputs(&[x]);
    let lab = Lab::new();
    lab.write("net.onnx", formats::onnx::write(&graph).expect("written"));
    lab.write("x.npy", floats(&[1, 2], &made_up(2)));
    let refused = infer(&lab, "net.onnx", &[]).expect(1);
    assert!(refused.stderr.contains("i64"), "{refused}");
}

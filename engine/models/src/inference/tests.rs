//! Arrays through small graphs.

use ir::{Op, Quantization, Scale, TensorType, ops};

use super::*;

fn relu() -> Graph {
    let mut graph = Graph::new("relu");
    let x = graph.input("x", TensorType::new(ElementType::F32, [1, 2, 1]));
    let y = graph.add("y", ops::Function::Relu, &[x]).unwrap();
    graph.set_outputs(&[y]);
    graph
}

/// Bytes of step 0.5 and zero point -128 in, the real numbers that they mean out.
fn dequantize() -> Graph {
    let mut graph = Graph::new("dequantize");
    let x = graph.input("x", TensorType::new(ElementType::I8, [1, 2]));
    graph.tensor_mut(x).quantization = Some(Quantization::per_tensor(Scale::new(0.5).unwrap(), -128));
    let y = graph.add("y", Op::Dequantize(ops::Dequantize {}), &[x]).unwrap();
    graph.set_outputs(&[y]);
    graph
}

fn run(graph: &Graph, array: Vec<u8>, quantize: bool) -> Result<Array, String> {
    let edges = Edges {
        quantize,
        ..Edges::default()
    };
    let results = infer(graph, KernelSet::Reference, vec![("x.npy".into(), array)], edges);
    results
        .map_err(|e| e.to_string())
        .map(|mut all| npy::read(all.remove(0), "y.npy").unwrap())
}

#[test]
fn samples_go_through_in_their_order() {
    let result = run(
        &relu(),
        npy::write(&[3, 2], &[1.0_f32, -1.0, 2.0, -2.0, -3.0, 3.0]),
        false,
    )
    .unwrap();
    assert_eq!(result.shape(), [3, 2, 1]);
    assert_eq!(result.data(), &Data::F32(vec![1.0, 0.0, 2.0, 0.0, 0.0, 3.0]));
}

#[test]
fn one_sample_needs_no_sample_axis_and_integers_are_exact_floats() {
    let result = run(&relu(), npy::write(&[2, 1], &[7_u8, 255]), false).unwrap();
    assert_eq!(
        (result.shape(), result.data()),
        (&[1, 2, 1][..], &Data::F32(vec![7.0, 255.0]))
    );
}

#[test]
fn floats_are_quantized_only_when_asked() {
    let floats = || npy::write(&[1, 2], &[0.0_f32, 1.5]);
    insta::assert_snapshot!(run(&dequantize(), floats(), false).unwrap_err(), @"x.npy: holds float32, input `x` takes i8; --quantize converts");
    assert_eq!(
        run(&dequantize(), floats(), true).unwrap().data(),
        &Data::F32(vec![0.0, 1.5])
    );
    let stored = npy::write(&[1, 2], &[-128_i8, -125]);
    assert_eq!(
        run(&dequantize(), stored, false).unwrap().data(),
        &Data::F32(vec![0.0, 1.5])
    );
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    insta::assert_snapshot!(run(&relu(), npy::write(&[3, 5], &[0.0_f32; 15]), false).unwrap_err(), @"x.npy: samples are [3, 5], the model's input `x` is [2, 1]");
    insta::assert_snapshot!(infer(&relu(), KernelSet::Fast, Vec::new(), Edges::default()).unwrap_err(), @"0 arrays for 1 inputs; the model takes x");
}

#[test]
fn noise_is_shaped_for_the_model_and_always_the_same() {
    let (one, two) = (noise(&relu(), 4).unwrap(), noise(&relu(), 4).unwrap());
    assert_eq!(
        one.data.samples.to_values().unwrap(),
        two.data.samples.to_values().unwrap()
    );
    assert_eq!(one.data.samples.shape(), [4, 2, 1]);
    let Values::F32(values) = one.data.samples.to_values().unwrap() else {
        panic!("noise is floats")
    };
    assert!(values.iter().all(|v| (0.0..1.0).contains(v)) && values[0] != values[1]);
}

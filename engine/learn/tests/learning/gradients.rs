//! Gradients of every operator against central differences in double precision, and the fast kernels against the plain ones.

use ir::ops::Example;
use ir::{Graph, Op};
use kernels::fast::Isa;
use learn::{LearnError, Norms, Program};

use crate::common::{self, Case};

/// Operators that nothing can be learned through.
const REFUSED: [&str; 5] = ["quantize", "dequantize", "custom", "recurrent", "select"];

/// One graph for each output of each example.
fn examples() -> Vec<(String, Graph)> {
    let mut all = Vec::new();
    for (i, example) in Op::examples().into_iter().enumerate() {
        let Example { op, .. } = &example;
        // What it makes, or reads, are integers.
        if let Op::Cast(_) | Op::ArgMax(_) = op {
            continue;
        }
        let graph = example.graph().unwrap();
        for &output in graph.outputs() {
            let part = graph.part(graph.inputs(), &[output]).unwrap();
            all.push((format!("{} (example {i})", op.name()), part));
        }
    }
    all
}

fn name(example: &str) -> &str {
    example.split(' ').next().unwrap()
}

#[test]
fn every_operator_has_the_gradient_that_differences_show() {
    for (name_of, graph) in examples() {
        if REFUSED.contains(&name(&name_of)) {
            continue;
        }
        for norms in [Norms::Live, Norms::Frozen] {
            Case::new(&name_of, &graph, norms).check_differences();
        }
    }
}

#[test]
fn operators_without_a_gradient_are_refused_by_node_name() {
    for (name_of, graph) in examples().iter().filter(|(n, _)| REFUSED.contains(&name(n))) {
        let case = Case::new(name_of, graph, Norms::Live);
        match case.program::<f32>(Isa::detect()) {
            Err(LearnError::NoGradient { node, .. }) => assert_eq!(node, "y", "{name_of}"),
            Err(other) => panic!("{name_of}: {other}"),
            Ok(_) => panic!("{name_of} is not refused"),
        }
    }
}

#[test]
fn fast_kernels_have_the_gradients_of_plain_ones_on_every_instruction_set() {
    for (name_of, graph) in examples().iter().chain(&common::shapes()) {
        if REFUSED.contains(&name(name_of)) {
            continue;
        }
        let case = Case::new(name_of, graph, Norms::Live);
        let plain = case.gradients::<f64>(Isa::Scalar);
        for isa in Isa::available() {
            let fast = case.gradients::<f32>(isa);
            assert_eq!(fast.len(), plain.len(), "{name_of}");
            for ((constant, fast), (_, plain)) in fast.iter().zip(&plain) {
                let scale = plain.iter().fold(0.1, |m: f64, x| m.max(x.abs()));
                for (i, (&f, &p)) in fast.iter().zip(plain).enumerate() {
                    assert!(
                        (f - p).abs() <= 2e-5 * scale,
                        "{name_of}, {isa:?}: gradient of {constant}[{i}] is {f}, plain {p}"
                    );
                }
            }
        }
    }
}

#[test]
fn predictions_are_those_of_the_runtime() {
    for (name_of, graph) in examples().iter().chain(&common::shapes()) {
        if REFUSED.contains(&name(name_of)) {
            continue;
        }
        let case = Case::new(name_of, graph, Norms::Live);
        let options = runtime::Options {
            kernels: runtime::Kernels::Reference,
            ..runtime::Options::default()
        };
        let executable = runtime::Executable::new(graph, options).unwrap();
        let mut workspace = executable.workspace();
        let floats: Vec<Vec<f32>> = case
            .inputs
            .iter()
            .map(|x| x.iter().map(|&x| x as f32).collect())
            .collect();
        for (s, predicted) in case.predictions(Isa::detect()).iter().enumerate() {
            if executable.inputs().iter().any(|p| p.ty.element != ir::ElementType::F32) {
                continue;
            }
            let sample = |x: &'_ Vec<f32>| {
                let len = x.len() / common::SAMPLES;
                s * len..(s + 1) * len
            };
            let values: Vec<_> = floats.iter().map(|x| runtime::Value::F32(&x[sample(x)])).collect();
            executable.run(&mut workspace, &values).unwrap();
            let runtime::Value::F32(expected) = executable.output(&workspace, 0) else {
                panic!("{name_of} has no float output");
            };
            for (e, p) in expected.iter().zip(predicted) {
                assert!(
                    (e - p).abs() <= 1e-5 * e.abs().max(1.0),
                    "{name_of}: {p}, the runtime has {e}"
                );
            }
        }
    }
}

#[test]
fn the_same_bits_on_every_instruction_set_that_fuses_multiplication_and_addition() {
    for (name_of, graph) in examples().iter().chain(&common::shapes()) {
        if REFUSED.contains(&name(name_of)) {
            continue;
        }
        let case = Case::new(name_of, graph, Norms::Live);
        let fusing = Isa::available().filter(|isa| isa.fuses());
        let all: Vec<_> = fusing.map(|isa| (isa, case.gradients::<f32>(isa))).collect();
        for (isa, gradients) in &all {
            assert!(*gradients == all[0].1, "{name_of}: {isa:?} and {:?} differ", all[0].0);
        }
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    for (name_of, graph) in &common::shapes() {
        let case = Case::new(name_of, graph, Norms::Live);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| case.gradients::<f32>(Isa::detect()))
        };
        let alone = with(1);
        assert!([2, 5].map(with).iter().all(|g| *g == alone), "{name_of}");
    }
}

#[test]
fn a_batch_that_does_not_fit_is_refused_with_one_that_does() {
    let (_, graph) = &common::shapes()[0];
    let settings = learn::Settings {
        batch: 64,
        trained: &|_| true,
        norms: &|_| Norms::Live,
        input_gradients: false,
        isa: Isa::detect(),
        memory: 300_000,
    };
    match Program::<f32>::new(graph, &settings) {
        Err(LearnError::Memory { fits, .. }) => {
            assert!((1..64).contains(&fits));
            let smaller = learn::Settings {
                batch: fits,
                ..settings
            };
            assert!(Program::<f32>::new(graph, &smaller).is_ok());
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("300 kB are enough"),
    }
}

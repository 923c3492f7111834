//! What the golden tests share: reading arrays, running a graph on samples, and the distance between two results.
//!
//! The goldens are float32 and so are we; what differs is the order of sums and the approximations of exp and tanh. The
//! distance allowed is [`TOLERANCE`] times the largest magnitude of the output (at least 1): a few dozen float32
//! roundings, far below what a wrong padding, axis or argument would make.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ir::{ElementType, Graph};
use runtime::{Executable, Kernels, Options, Value};

/// Allowed distance, relative to the largest magnitude of the output.
const TOLERANCE: f32 = 4e-6;

/// An array: its shape and its numbers.
type Array = (Vec<usize>, Vec<f32>);

/// Arrays of the fixture named `prefix`, or `prefix0`, `prefix1`, …: the shape and the numbers of each.
fn arrays(all: &BTreeMap<String, data::npy::Array>, prefix: &str) -> Vec<Array> {
    let names = std::iter::once(prefix.to_owned()).chain((0..).map(|i| format!("{prefix}{i}")));
    let skip = usize::from(!all.contains_key(prefix));
    let found: Vec<_> = names.skip(skip).map_while(|name| all.get(&name)).collect();
    found
        .iter()
        .map(|array| (array.shape().to_vec(), array.data().to_f32()))
        .collect()
}

/// All outputs for all samples, output by output.
fn run(graph: &Graph, kernels: Kernels, inputs: &[Array]) -> Vec<Vec<f32>> {
    let executable = Executable::new(
        graph,
        Options {
            kernels,
            ..Options::default()
        },
    )
    .expect("an imported graph runs");
    let mut workspace = executable.workspace();
    let mut outputs = vec![Vec::new(); executable.outputs().len()];
    let whole = |v: &[f32]| v.iter().map(|&x| x as i32).collect::<Vec<i32>>();
    let integers: Vec<Vec<i32>> = inputs.iter().map(|(_, v)| whole(v)).collect();
    let samples = inputs[0].0[0];
    for sample in 0..samples {
        let of_sample = |i: usize| {
            let part = inputs[i].1.len() / samples;
            let range = sample * part..(sample + 1) * part;
            match executable.inputs()[i].ty.element {
                ElementType::I32 => Value::I32(&integers[i][range]),
                _ => Value::F32(&inputs[i].1[range]),
            }
        };
        let values: Vec<Value<'_>> = (0..inputs.len()).map(of_sample).collect();
        executable
            .run(&mut workspace, &values)
            .expect("the fixture's inputs fit");
        for (i, output) in outputs.iter_mut().enumerate() {
            let Value::F32(values) = executable.output(&workspace, i) else {
                panic!("an output that is not f32")
            };
            output.extend_from_slice(values);
        }
    }
    outputs
}

/// How far two arrays are apart, relative to the largest magnitude.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len(), "number of elements");
    let magnitude = expected.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    // NaN anywhere is infinitely far.
    let apart = |(a, b): (&f32, &f32)| {
        if a.is_nan() || b.is_nan() {
            f32::INFINITY
        } else {
            (a - b).abs()
        }
    };
    found.iter().zip(expected).map(apart).fold(0.0, f32::max) / magnitude
}

/// Compares what `graph` and its prepared form compute, by the fast and by the plain kernels, with the arrays of an `.npz`
/// file. Returns the number of outputs that were compared; those that are apart are added to `apart`.
pub fn compare(name: &str, graph: &Graph, npz: &Path, apart: &mut Vec<String>) -> usize {
    let npz = fs::read(npz).expect("the arrays of a fixture");
    let all = data::npy::read_npz(npz, "the fixture")
        .expect("arrays")
        .into_iter()
        .collect();
    let (inputs, expected) = (arrays(&all, "x"), arrays(&all, "y"));
    let prepared = models::prepared(graph).expect("an imported graph can be prepared");
    let mut compared = 0;
    for (form, graph) in [("imported", graph), ("prepared", &prepared)] {
        for kernels in [Kernels::Reference, Kernels::Fast] {
            let found = run(graph, kernels, &inputs);
            assert_eq!(found.len(), expected.len(), "{name}: outputs");
            for (i, (found, (_, expected))) in found.iter().zip(&expected).enumerate() {
                let distance = distance(found, expected);
                if distance > TOLERANCE {
                    apart.push(format!("{name}, output {i}, {form}, {kernels:?}: {distance:e}"));
                }
                compared += 1;
            }
        }
    }
    compared
}

/// Compares what two graphs with the same inputs compute from made-up values.
#[allow(dead_code, reason = "not every golden test has two graphs to compare")]
pub fn compare_graphs(name: &str, graph: &Graph, other: &Graph, apart: &mut Vec<String>) {
    let made_up = |k: usize| ((k * 37 + 11) % 64) as f32 / 16.0 - 1.9;
    let inputs: Vec<Array> = graph
        .inputs()
        .iter()
        .map(|&id| {
            let shape = &graph.tensor(id).ty.shape;
            (shape.0.clone(), (0..shape.elements()).map(made_up).collect())
        })
        .collect();
    let [expected, found] = [graph, other].map(|graph| run(graph, Kernels::Reference, &inputs));
    assert_eq!(found.len(), expected.len(), "{name}: outputs");
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let same_gaps = found.iter().zip(expected).all(|(a, b)| a.is_nan() == b.is_nan());
        let [found, expected] =
            [found, expected].map(|v| v.iter().copied().filter(|v| v.is_finite()).collect::<Vec<_>>());
        let distance = distance(&found, &expected);
        if distance > TOLERANCE || !same_gaps {
            apart.push(format!("{name}, output {i}: {distance:e}"));
        }
    }
}

/// Fails with the outputs that are apart.
pub fn assert_none(apart: &[String], compared: usize) {
    assert!(
        apart.is_empty(),
        "{} of {compared} are apart:\n{}",
        apart.len(),
        apart.join("\n")
    );
}

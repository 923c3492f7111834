//! Every Keras fixture computes what Keras computed from the same file: as imported and as prepared for export, with the
//! fast and with the plain kernels.
//!
//! The goldens are float32 and so are we; what differs is the order of sums and the approximations of exp and tanh. The
//! distance allowed is [`TOLERANCE`] times the largest magnitude of the output (at least 1): a few dozen float32
//! roundings, far below what a wrong padding, axis or argument would make.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use formats::FormatError;
use ir::Graph;
use runtime::{Executable, Kernels, Options, Value};
use serde::Deserialize;

/// Allowed distance, relative to the largest magnitude of the output.
const TOLERANCE: f32 = 4e-6;

/// Fixtures that are refused by name: an LSTM, softplus, a rectifier with a threshold.
const REFUSED: [&str; 3] = ["recurrent", "rare_activations", "rare_rectifiers"];

/// The manifest of the fixtures: what this test needs of it.
#[derive(Deserialize)]
struct Layout {
    fixtures: BTreeMap<String, Fixture>,
}

#[derive(Deserialize)]
struct Fixture {
    files: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/keras")
}

/// The graphs that a fixture's files hold: one, or several where the same weights are stored in several layouts.
fn graphs(folder: &Path, files: &[String]) -> Result<Vec<Graph>, FormatError> {
    let read = |name: &String| fs::read(folder.join(name)).expect("a file of the manifest");
    match files {
        [config, weights @ ..] if config.ends_with(".json") => {
            let config = String::from_utf8(read(config)).expect("a configuration is text");
            weights
                .iter()
                .map(|file| formats::keras::read_config_and_weights(&config, &read(file)))
                .collect()
        }
        [] => panic!("a fixture without files in {}", folder.display()),
        whole => whole.iter().map(|file| formats::keras::read(&read(file))).collect(),
    }
}

/// Arrays of the fixture named `prefix`, or `prefix0`, `prefix1`, …: the shape and the numbers of each.
fn arrays(all: &BTreeMap<String, data::npy::Array>, prefix: &str) -> Vec<(Vec<usize>, Vec<f32>)> {
    let names = std::iter::once(prefix.to_owned()).chain((0..).map(|i| format!("{prefix}{i}")));
    let skip = usize::from(!all.contains_key(prefix));
    let found: Vec<_> = names.skip(skip).map_while(|name| all.get(&name)).collect();
    found
        .iter()
        .map(|array| (array.shape().to_vec(), array.data().to_f32()))
        .collect()
}

/// All outputs for all samples, output by output.
fn run(graph: &Graph, kernels: Kernels, inputs: &[(Vec<usize>, Vec<f32>)]) -> Vec<Vec<f32>> {
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
    let samples = inputs[0].0[0];
    for sample in 0..samples {
        let part = |values: &'_ [f32]| values.len() / samples;
        let values: Vec<Value<'_>> = inputs
            .iter()
            .map(|(_, v)| Value::F32(&v[sample * part(v)..(sample + 1) * part(v)]))
            .collect();
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

#[test]
fn every_fixture_computes_what_keras_computed() {
    let manifest = fs::read(folder().join("manifest.json")).expect("the manifest");
    let layouts: BTreeMap<String, Layout> = serde_json::from_slice(&manifest).expect("the manifest");
    let mut compared = 0;
    let mut apart = Vec::new();
    for (layout, Layout { fixtures }) in &layouts {
        let folder = folder().join(layout);
        for (name, fixture) in fixtures {
            let npz = fs::read(folder.join(format!("{name}.npz"))).expect("a file of the manifest");
            let all = data::npy::read_npz(npz, name).expect("arrays").into_iter().collect();
            let (inputs, expected) = (arrays(&all, "x"), arrays(&all, "y"));
            let read = graphs(&folder, &fixture.files);
            if REFUSED.contains(&name.as_str()) {
                assert!(read.is_err(), "{layout}/{name} is read now: take it out of the list");
                continue;
            }
            let graphs = read.unwrap_or_else(|error| panic!("{layout}/{name}: {error}"));
            for graph in graphs {
                let prepared = steps::models::prepared(&graph).expect("an imported graph can be prepared");
                for (form, graph) in [("imported", &graph), ("prepared", &prepared)] {
                    for kernels in [Kernels::Reference, Kernels::Fast] {
                        let found = run(graph, kernels, &inputs);
                        assert_eq!(found.len(), expected.len(), "{layout}/{name}: outputs");
                        for (i, (found, (_, expected))) in found.iter().zip(&expected).enumerate() {
                            let distance = distance(found, expected);
                            if distance > TOLERANCE {
                                apart.push(format!(
                                    "{layout}/{name}, output {i}, {form}, {kernels:?}: {distance:e}"
                                ));
                            }
                            compared += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(
        apart.is_empty(),
        "{} of {compared} are apart:\n{}",
        apart.len(),
        apart.join("\n")
    );
    assert!(compared > 400, "{compared}");
}

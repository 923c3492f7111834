//! Every SavedModel fixture computes what TensorFlow computed: as imported and as prepared for export, with the fast and with
//! the plain kernels.

#[path = "golden/compare.rs"]
mod compare;

use std::fs;
use std::path::Path;

use data::Tree;
use formats::tensorflow::{Files, GRAPH, INDEX, ImportOptions, SHARDS};

fn files(path: &Path) -> Files {
    let tree = Tree::open(&[path.to_owned()]).expect("an archive");
    let read = |name: &str| tree.read(name).expect("a file of a SavedModel").into_owned();
    Files {
        graph: read(GRAPH),
        index: Some(read(INDEX)),
        shards: tree.names().filter(|name| name.starts_with(SHARDS)).map(read).collect(),
    }
}

#[test]
fn every_fixture_computes_what_tensorflow_computed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tensorflow");
    let (mut compared, mut apart) = (0, Vec::new());
    for entry in fs::read_dir(folder).expect("the fixtures") {
        let path = entry.expect("a fixture").path();
        if path.extension().is_none_or(|extension| extension != "zip") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let graph = formats::tensorflow::read(&files(&path), &ImportOptions::default());
        let graph = graph.unwrap_or_else(|error| panic!("{name}: {error}"));
        compared += compare::compare(&name, &graph, &path.with_extension("npz"), &mut apart);
    }
    compare::assert_none(&apart, compared);
    assert!(compared >= 40, "{compared}");
}

#[test]
fn what_the_converter_made_computes_what_tensorflow_computed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tensorflow");
    let (mut compared, mut apart) = (0, Vec::new());
    for entry in fs::read_dir(folder).expect("the fixtures") {
        let path = entry.expect("a fixture").path();
        if path.extension().is_none_or(|extension| extension != "tflite") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let graph = formats::tflite::read(&fs::read(&path).expect("a fixture"));
        let graph = graph.unwrap_or_else(|error| panic!("{name}: {error}"));
        compared += compare::compare(&name, &graph, &path.with_extension("npz"), &mut apart);
    }
    compare::assert_none(&apart, compared);
    assert!(compared >= 4, "{compared}");
}

/// Writes a graph and reads the file again.
fn rewritten(graph: &ir::Graph) -> Result<ir::Graph, formats::FormatError> {
    let files = Files {
        graph: formats::tensorflow::write(graph)?,
        ..Files::default()
    };
    formats::tensorflow::read(&files, &ImportOptions::default())
}

#[test]
fn written_networks_compute_what_they_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/keras/keras3");
    let (mut compared, mut apart) = (0, Vec::new());
    for entry in fs::read_dir(folder).expect("the fixtures") {
        let path = entry.expect("a fixture").path();
        if path.extension().is_none_or(|extension| extension != "h5") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let Ok(graph) = formats::keras::read(&fs::read(&path).expect("a fixture")) else {
            continue;
        };
        // One input keeps its place; several are ordered by name.
        if graph.inputs().len() > 1 || graph.outputs().len() > 1 {
            continue;
        }
        let graph = rewritten(&graph).unwrap_or_else(|error| panic!("{name}: {error}"));
        compared += compare::compare(&name, &graph, &path.with_extension("npz"), &mut apart);
    }
    compare::assert_none(&apart, compared);
    assert!(compared >= 70, "{compared}");
}

#[test]
fn every_operator_is_written_and_read_back_or_refused_by_name() {
    let (mut refused, mut apart) = (Vec::new(), Vec::new());
    let mut compared = 0;
    for example in ir::Op::examples() {
        let graph = example.graph().expect("an example is a graph");
        let floats = graph
            .inputs()
            .iter()
            .chain(graph.outputs())
            .all(|&id| graph.tensor(id).ty.element == ir::ElementType::F32);
        match rewritten(&graph) {
            // Made-up indices would point nowhere.
            Ok(_) if !floats => {}
            Ok(read) => {
                compare::compare_graphs(&format!("{:?}", example.op), &graph, &read, &mut apart);
                compared += 1;
            }
            Err(error) => refused.push((example.op.name(), error.to_string())),
        }
    }
    compare::assert_none(&apart, compared);
    refused.dedup_by_key(|(name, _)| *name);
    let names: Vec<_> = refused.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["depthwise_conv2d", "arg_max", "quantize", "dequantize", "custom"],
        "{refused:#?}"
    );
}

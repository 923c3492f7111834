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

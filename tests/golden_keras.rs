//! Every Keras fixture computes what Keras computed from the same file: as imported and as prepared for export, with the
//! fast and with the plain kernels.

#[path = "golden/compare.rs"]
mod compare;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use formats::FormatError;
use ir::Graph;
use serde::Deserialize;

/// Fixtures that are refused by name: softsign, a rectifier with a threshold.
const REFUSED: [&str; 2] = ["rare_activations", "rare_rectifiers"];

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
        [config, weights @ ..] if Path::new(config).extension().is_some_and(|end| end == "json") => {
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

#[test]
fn every_fixture_computes_what_keras_computed() {
    let manifest = fs::read(folder().join("manifest.json")).expect("the manifest");
    let layouts: BTreeMap<String, Layout> = serde_json::from_slice(&manifest).expect("the manifest");
    let (mut compared, mut apart) = (0, Vec::new());
    for (layout, Layout { fixtures }) in &layouts {
        let folder = folder().join(layout);
        for (name, fixture) in fixtures {
            let read = graphs(&folder, &fixture.files);
            if REFUSED.contains(&name.as_str()) {
                assert!(read.is_err(), "{layout}/{name} is read now: take it out of the list");
                continue;
            }
            let graphs = read.unwrap_or_else(|error| panic!("{layout}/{name}: {error}"));
            for graph in graphs {
                let npz = folder.join(format!("{name}.npz"));
                compared += compare::compare(&format!("{layout}/{name}"), &graph, &npz, &mut apart);
            }
        }
    }
    compare::assert_none(&apart, compared);
    assert!(compared > 400, "{compared}");
}

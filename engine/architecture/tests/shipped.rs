//! The architectures that ship: each is read without complaint and has the parameters and multiply–adds that were published.

use std::path::PathBuf;

use architecture::{Architecture, File, Options};

fn shipped() -> Vec<(String, Architecture)> {
    let recipes = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let folders =
        ["architectures", "labs/architectures"].map(|folder| std::fs::read_dir(recipes.join(folder)).unwrap());
    let mut paths: Vec<PathBuf> = folders
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(path).unwrap();
        let file = File {
            name: name.clone(),
            bytes,
        };
        let parsed = Architecture::parse(&file, &[]);
        (name.clone(), parsed.unwrap_or_else(|wrong| panic!("{name}: {wrong:?}")))
    };
    paths.iter().map(read).collect()
}

#[test]
fn parameters_and_multiply_adds_are_those_published() {
    let all = shipped();
    assert!(all.len() > 15, "{}", all.len());
    for (name, architecture) in all {
        assert!(
            !architecture.published.is_empty(),
            "{name} says nothing of what is published"
        );
        for published in &architecture.published {
            let options = Options {
                params: published.params.clone(),
                ..Options::default()
            };
            let built = architecture.build(&options).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(!published.source.is_empty(), "{name}");
            let near = |what: &str, ours: f64, theirs: f64, within: f64| {
                let off = (ours - theirs).abs() / theirs;
                assert!(
                    off <= within,
                    "{name} {:?}: {ours} {what}, published {theirs}",
                    published.params
                );
            };
            if let Some(parameters) = published.parameters {
                // A figure in millions has two digits.
                let within = if parameters % 1e5 == 0.0 { 0.012 } else { 0.0 };
                near("parameters", built.parameters as f64, parameters, within);
            }
            if let Some(macs) = published.macs {
                near("MACs", built.graph.macs() as f64, macs, published.within);
            }
        }
    }
}

#[test]
fn every_network_is_written_out_and_read_back() {
    for (name, architecture) in shipped() {
        let graph = architecture.build(&Options::default()).unwrap().graph;
        let text = architecture::write(&graph).unwrap_or_else(|e| panic!("{name}: {e}"));
        let file = File {
            name: name.clone(),
            bytes: text.into_bytes(),
        };
        let again = Architecture::parse(&file, &[]).unwrap_or_else(|wrong| panic!("{name}: {wrong:?}"));
        let weights = architecture::state_dict(&graph);
        let options = Options {
            weights: Some(&weights),
            ..Options::default()
        };
        let read = again.build(&options).unwrap_or_else(|e| panic!("{name}: {e}")).graph;
        assert_eq!(ir::GraphText::of(&read), ir::GraphText::of(&graph), "{name}");
        assert_eq!(architecture::state_dict(&read), weights, "{name}");
    }
}

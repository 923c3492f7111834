//! The files of a SavedModel, found in a source that is a folder or an archive.

use data::Entry;
use formats::tensorflow::{self, Files, GRAPH, INDEX, ImportOptions, SHARDS};
use ir::Graph;

use crate::ModelError;

/// Whether a source is a folder, or by its name an archive.
pub fn holds_files(file: &Entry) -> bool {
    let archive = [".tar", ".tar.gz", ".tgz", ".zip"];
    file.name.is_empty() || file.path.is_dir() || archive.iter().any(|end| file.name.ends_with(end))
}

/// Reads a SavedModel out of a folder or archive, at its top or in the only folder that has one.
pub fn read(file: &Entry, options: &ImportOptions) -> Result<Graph, ModelError> {
    let tree = data::Tree::open_named([file.clone()])?;
    let mut found = tree.names().filter(|name| name.rsplit('/').next() == Some(GRAPH));
    let Some(graph) = found.next() else {
        let known = format!("holds no {GRAPH}; the folder of a TensorFlow SavedModel was expected");
        return Err(unreadable(file, known));
    };
    if let Some(other) = found.next() {
        return Err(unreadable(
            file,
            format!("holds several models: {graph}, {other}; give one of them"),
        ));
    }
    let folder = graph.strip_suffix(GRAPH).unwrap_or_default();
    let inside = |name: &str| Some(tree.read(&format!("{folder}{name}")).ok()?.into_owned());
    let shards = tree
        .names()
        .filter_map(|name| name.strip_prefix(folder))
        .filter(|name| name.starts_with(SHARDS));
    let files = Files {
        graph: tree.read(graph)?.into_owned(),
        index: inside(INDEX),
        shards: shards.filter_map(inside).collect(),
    };
    tensorflow::read(&files, options).map_err(|e| unreadable(file, e.to_string()))
}

fn unreadable(file: &Entry, problem: String) -> ModelError {
    ModelError::File {
        path: file.place.clone(),
        problem,
    }
}

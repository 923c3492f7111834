//! TensorFlow SavedModels: `saved_model.pb` and the variables beside it.
//!
//! | file | owns |
//! |---|---|
//! | `proto` | the messages, declared by hand |
//! | `bundle` | the files of variables |
//! | `flatten` | functions inlined; the operations that outputs depend on, in order |
//! | `checkpoint` | which stored array belongs to which variable |
//! | `known` | values that are known at import, and arithmetic on them |
//! | `build` | operations → graph |
//! | `operators` | one function per group of operators, and the registry |
//! | `write` | graph → frozen SavedModel |
//!
//! What runs is a signature, `serving_default` unless another is named. Saving, restoring, training and assertions play no part in
//! it. Inputs and outputs are called after the signature's keys, nodes after the file's.

mod build;
mod bundle;
mod call;
mod checkpoint;
mod flatten;
mod known;
mod operators;
mod proto;
mod write;

pub use write::write;

use ir::Graph;
use prost::Message;

use crate::{Format, FormatError};

/// The files of a SavedModel.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// `saved_model.pb`.
    pub graph: Vec<u8>,
    /// `variables/variables.index`; absent where nothing is variable.
    pub index: Option<Vec<u8>>,
    /// `variables/variables.data-…`, in order.
    pub shards: Vec<Vec<u8>>,
}

/// What a caller may decide about an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The signature to read; `serving_default`, or the only one, where none is named.
    pub signature: Option<String>,
    /// The dimensions of one sample (without the batch), for a signature that leaves some of them open.
    pub input_shape: Option<Vec<usize>>,
}

/// The signature of models that are served.
const DEFAULT: &str = "serving_default";

/// Name of the graph in a folder.
pub const GRAPH: &str = "saved_model.pb";
/// Name of the index of variables in a folder.
pub const INDEX: &str = "variables/variables.index";
/// Names of files of values begin so.
pub const SHARDS: &str = "variables/variables.data-";

/// Reads a signature of a SavedModel.
///
/// # Errors
/// See [`FormatError`]; nodes, variables and signatures are named.
pub fn read(files: &Files, options: &ImportOptions) -> Result<Graph, FormatError> {
    let model = proto::SavedModel::decode(files.graph.as_slice())
        .map_err(|e| malformed(GRAPH, format!("is not a SavedModel ({e})")))?;
    let serving = |m: &&proto::MetaGraph| {
        m.info
            .as_ref()
            .is_some_and(|info| info.tags.iter().any(|t| t == "serve"))
    };
    let meta = model.meta_graphs.iter().find(serving).or(model.meta_graphs.first());
    let meta = meta.ok_or_else(|| malformed(GRAPH, "holds no graph"))?;
    let graph = meta.graph.as_ref().ok_or_else(|| malformed(GRAPH, "holds no graph"))?;
    let mut flat = flatten::Flat::new(graph);
    let restore = meta.saver.as_ref().map_or("", |saver| &saver.restore_op_name);
    let variables = checkpoint::Variables::read(&mut flat, restore, files)?;
    build::graph(flat, variables, &meta.signatures, options)
}

/// The operators that [`read`] knows, sorted.
pub fn known_operators() -> Vec<&'static str> {
    operators::known()
}

fn malformed(place: impl Into<String>, problem: impl Into<String>) -> FormatError {
    FormatError::malformed(Format::TensorFlow, place, problem)
}

fn unsupported(place: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> FormatError {
    FormatError::unsupported(Format::TensorFlow, place, problem, fix)
}

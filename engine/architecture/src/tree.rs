//! An architecture as written: modules and layers, every value still a node that knows its place.

use std::sync::Arc;

use indexmap::IndexMap;
use recipe::Place;
use recipe::SourceText;
use recipe::yaml::{Key, Node};
use serde_json::Value;

/// A module made of other modules.
#[derive(Debug, Clone)]
pub(crate) struct Module {
    /// What it is for.
    pub doc: String,
    /// Names with defaults; a null default is no default.
    pub params: Vec<(Key, Node)>,
    /// Whether the input is added to the output: a truth value or an expression.
    pub residual: Option<Node>,
    /// What it is made of, in order.
    pub layers: Vec<Layer>,
    /// The text that places refer to.
    pub source: Arc<SourceText>,
    /// Whether it ships with the program: mistakes inside are shown where the module is used.
    pub shipped: bool,
}

/// Modules by name.
pub(crate) type Modules = IndexMap<String, Module>;

/// One layer of a module or of the network.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    /// Its name: a segment of the path.
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    /// What it is.
    pub kind: LayerKind,
    /// What it reads, where that is not the output of the layer before it.
    pub from: Option<Vec<(String, Place)>>,
    /// Whether it is there: a truth value or an expression. A layer that is not there passes its input on.
    pub when: Option<Node>,
    /// How often it stands one after another, as `NAME.0`, `NAME.1`, ….
    pub repeat: Option<Repeat>,
}

/// What a layer is.
#[derive(Debug, Clone)]
pub(crate) enum LayerKind {
    /// A module with parameters.
    Apply {
        module: String,
        place: Place,
        params: Vec<(Key, Node)>,
    },
    /// Layers with names below this one.
    Group(Vec<Layer>),
    /// A table of blocks.
    Blocks(Blocks),
}

/// How often, and which repeats differ.
#[derive(Debug, Clone)]
pub(crate) struct Repeat {
    pub count: Node,
    /// Parameters of single repeats.
    pub overrides: Vec<(Key, Vec<(Key, Node)>)>,
}

/// A table of blocks: stages, each a list of `[module, out, stride, repeat, { more params }]`.
#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    /// How blocks are called: text with `{stage}`, `{block}` (in the stage) and `{index}` (in the table). Empty for a layer
    /// that is one block.
    pub names: String,
    /// What `{index}` starts at.
    pub first: usize,
    /// Parameters of all blocks whose module has them, unless the row says otherwise.
    pub defaults: Vec<(Key, Node)>,
    pub stages: Vec<Vec<Block>>,
}

/// A row of a table of blocks.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub module: String,
    pub place: Place,
    pub out: Option<Node>,
    /// Of the first repeat; the others have stride 1.
    pub stride: Option<Node>,
    pub repeat: Option<Node>,
    pub params: Vec<(Key, Node)>,
}

/// What is published of a network, for tests: the file says where.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Parameters of the architecture that the figures are for.
    pub params: IndexMap<String, Value>,
    /// Trained values.
    pub parameters: Option<f64>,
    /// Multiply–accumulates.
    pub macs: Option<f64>,
    /// How far multiply–accumulates may be from ours, as a share: some count batch norms, too.
    pub within: f64,
    /// Where the figures come from.
    pub source: String,
}

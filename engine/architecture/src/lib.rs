//! Architectures: networks as readable YAML, made into IR graphs and back.
//!
//! A network is a tree of modules, each either basic (`conv2d`, `linear`, `relu`; one Rust file each in `basic/`) or made of
//! others, in YAML: in the architecture file, in a folder `modules/` beside it, or in the library that ships (`library/`). The
//! tree's path names are the names of the state dict, so that weights find their places without a script per network.
//!
//! ```yaml
//! architecture: small
//! input: { data: [3, 32, 32] }          # channels first, as the framework states it; the batch is implied
//! modules:
//!   unit:
//!     params: { out: , stride: 1 }       # a null default: the parameter must be given
//!     residual: "= stride == 1 and in == out"
//!     layers:
//!       conv: { conv2d: { out: $out, kernel: 3, stride: $stride, padding: 1, bias: false } }
//!       bn: batch_norm
//!       relu: relu
//! network:
//!   stem: { unit: { out: 16 } }
//!   body: { unit: { out: "= in * 2", stride: 2 }, repeat: 3, overrides: { 1: { stride: 1 } } }
//!   pool: global_avg_pool
//!   flat: flatten
//!   head: { linear: { out: 10 } }
//! ```
//!
//! # Layers
//!
//! A layer is the name of a module, `{ MODULE: { parameters } }`, a mapping of layers (a group: names and nothing else), a list
//! `[MODULE, out, stride, repeat, { more }]`, or a table of such lists: `{ blocks: [[…], …], names: "xif{stage}_{block}" }`.
//! A group of a single layer that is named like a module is written `{ layers: { … } }`. Beside the module stand:
//!
//! - `from`: what it reads, by the names of layers before it in the same mapping; `in` is the input of the mapping, `name.1` the
//!   second output of a layer (`name:1` too). Without it a layer reads what the one before it makes.
//! - `when`: a truth value or an expression. A layer that is not there passes its input on.
//! - `repeat`, with `overrides` of parameters by number, `first` or `last`: the repeats are `NAME.0`, `NAME.1`, ….
//!
//! `$name` as a whole scalar is a parameter; a scalar that starts with `=` is an expression, computed where it is written: there
//! `in`, `height`, `width` and `tokens` speak of the layer's input; in `residual` and in defaults, of the module's.
//!
//! # Layout
//!
//! The file speaks channels-first, the graph is channels-last: an input `[C, H, W]` becomes `[1, H, W, C]`, and weights are
//! permuted when they are placed. Flattening an image keeps the framework's order of features, by a transpose if need be.
//!
//! This crate reads no files; callers hand over texts and weights.

mod basic;
mod builder;
mod doc;
mod expression;
mod instantiate;
mod library;
mod parse;
mod scope;
mod state;
mod tree;
mod weights;
mod write;

pub use doc::{first_sentence, module_names, page};
pub use instantiate::{ArchitectureError, Built, Options};
pub use parse::{Architecture, File};
pub use state::state_dict;
pub use tree::Published;
pub use weights::{Mismatch, Rename, RenameError, renamed};
pub use write::{WriteError, write};

//! Recipes: YAML to resolved steps, with diagnostics.
//!
//! ```text
//! text ── parse ──► RawRecipe ── resolve ──► Recipe ── instances ──► [Instance]
//!         one spanned tree        names and values        axes, each, when
//!                                 checked at once         expanded
//! ```
//!
//! This crate knows the language of recipes and nothing of what ops do: the vocabulary ([`OpSpec`]) is handed in, made from
//! the parameter structs of the ops. Every mistake becomes a [`Diagnostic`] that points into the text, and all mistakes
//! are reported together: the checks of `resolve` do not stop at the first one, and what one mistake makes doubtful is
//! left out rather than complained about twice.
//!
//! # The language in short
//!
//! - A step is `name: { OP: { … } }`, and may carry `when`, `resources` and `doc` beside its op.
//! - A port names a step; `{ each: [a, b] }` runs the step once for each; a port that gathers takes a list.
//! - `$name` as a whole scalar is a param, or each value of an axis in turn. Every other `$` is literal text; the text
//!   `$name` itself is written `$$name`.
//! - A step expands over the axes that it mentions and over whatever its inputs stand at. Inputs are joined on the axes
//!   and choices they share. A coordinate is named after its axis or port; where an inherited one would clash with
//!   another, it is prefixed with the step that it comes from (`small.model`).
//! - A false `when` removes instances; `each` and gathering ports pass over them, a plain port that needs one is a mistake.
//!
//! # Writing a vocabulary
//!
//! Parameter structs may use numbers, strings, booleans, options, lists, tuples, nested structs and externally tagged
//! enums (the serde default: `method: minmax` or `method: { percentile: { … } }`). Ranges come from
//! `#[schemars(range(…))]`. Unknown keys are refused everywhere, with or without `deny_unknown_fields`.
//! [`OpSpec::unchecked_keywords`] lists what a schema says beyond that; a test keeps it empty.

mod bindings;
mod canonical;
mod check;
mod diagnostic;
mod editor;
mod expand;
mod expectation;
mod expression;
mod fields;
mod graph;
mod instance;
mod metric;
mod name;
mod overrides;
mod raw;
mod recipe;
mod reference;
mod resources;
mod rule;
mod search;
mod shape;
mod source;
mod step;
pub mod suggest;
mod unused;
mod vocabulary;
pub mod yaml;

pub use canonical::{CanonicalError, canonical};
pub use check::check_params;
pub use diagnostic::{Complaints, Diagnostic, Paint, Place, SourceText, Span, render_all};
pub use editor::json_schema;
pub use expectation::{Expectation, Findings, Gate, Outcome, Relation, Verdict};
pub use instance::{Coordinates, Input, InputFrom, Instance, InstanceId};
pub use overrides::Overrides;
pub use raw::{RawRecipe, SCHEMA, decode, parse};
pub use recipe::{Recipe, load, resolve};
pub use reference::{doc_markdown, params_markdown};
pub use resources::Resources;
pub use rule::Rule;
pub use search::{GridPoint, Search};
pub use source::{Remote, Source};
pub use step::{Step, StepPort};
pub use vocabulary::{
    ArtifactKind, FileRef, FileRefs, Kinds, NamedPorts, OpSpec, Port, PortSpec, Ports, SourceRef, SourceSpec, kind,
};

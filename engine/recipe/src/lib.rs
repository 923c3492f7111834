//! Recipes: YAML to resolved steps, with diagnostics.

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
mod name;
mod overrides;
mod raw;
mod recipe;
mod reference;
mod resources;
mod shape;
mod source;
mod step;
mod suggest;
mod vocabulary;
mod yaml;

pub use canonical::{CanonicalError, canonical};
pub use diagnostic::{Diagnostic, Paint, Place, SourceText, Span, render_all};
pub use editor::json_schema;
pub use expectation::{Expectation, Gate, Outcome, Relation, Verdict};
pub use instance::{Coordinates, Input, InputFrom, Instance, InstanceId};
pub use overrides::Overrides;
pub use raw::{RawRecipe, SCHEMA, decode, parse};
pub use recipe::{Recipe, load, resolve};
pub use reference::doc_markdown;
pub use resources::Resources;
pub use source::Source;
pub use step::{Step, StepPort};
pub use vocabulary::{ArtifactKind, Kinds, OpSpec, Port, PortSpec, Ports, SourceRef, SourceSpec, kind};

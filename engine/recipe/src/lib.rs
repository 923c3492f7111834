//! Recipes: YAML to resolved steps, with diagnostics.

mod bindings;
mod check;
mod diagnostic;
mod expression;
mod fields;
mod instance;
mod name;
mod overrides;
mod raw;
mod resources;
mod shape;
mod source;
mod step;
mod suggest;
mod vocabulary;
mod yaml;

pub use diagnostic::{Diagnostic, Paint, Place, SourceText, Span, render_all};
pub use instance::{Coordinates, Input, InputFrom, Instance, InstanceId};
pub use overrides::Overrides;
pub use raw::{RawRecipe, SCHEMA, decode, parse};
pub use resources::Resources;
pub use source::Source;
pub use step::{Step, StepPort};
pub use vocabulary::{ArtifactKind, Kinds, OpSpec, Port, PortSpec, Ports, SourceRef, SourceSpec, kind};

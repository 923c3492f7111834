//! Recipes: YAML to resolved steps, with diagnostics.

mod diagnostic;
mod instance;
mod resources;
mod source;
mod vocabulary;

pub use diagnostic::{Diagnostic, Paint, Place, SourceText, Span, render_all};
pub use instance::{Coordinates, Input, InputFrom, Instance, InstanceId};
pub use resources::Resources;
pub use source::Source;
pub use vocabulary::{ArtifactKind, Kinds, OpSpec, Port, PortSpec, Ports, SourceRef, SourceSpec, kind};

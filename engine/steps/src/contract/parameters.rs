//! Parameters that several ops have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What shares the sparsity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every layer reaches it.
    #[default]
    Layer,
    /// The model reaches it: layers that can spare more weights lose more.
    Global,
}

/// Another sparsity for some layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Override {
    /// Which layers, as in `layers`.
    pub layers: Vec<String>,
    /// Their sparsity.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sparsity: f64,
}

/// Refuses an empty list of names, and a name that stands twice.
///
/// # Errors
/// The parameter `key`, and what to do.
pub fn named_once<T: PartialEq + std::fmt::Display>(key: &str, names: &[T]) -> Result<(), String> {
    if names.is_empty() {
        return Err(format!("{key}: the list is empty; name one at least, or leave it out"));
    }
    let again = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
    again.map_or(Ok(()), |(_, name)| {
        Err(format!("{key}: `{name}` stands twice; remove one"))
    })
}

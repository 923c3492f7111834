//! Instances: steps at one point of the axes and `each` choices they depend on.

use std::{fmt, sync::Arc};

use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{ArtifactKind, Resources, Span};

/// Coordinates by name: the value of an axis, or the step that an `each` chose.
pub type Coordinates = IndexMap<String, Value>;

/// The name of an instance, unique in a recipe: `int8[fraction=0.8]`, or the step's name where there are no coordinates.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// The name of `step` at `coordinates`.
    pub fn new(step: &str, coordinates: &Coordinates) -> Self {
        if coordinates.is_empty() {
            return Self(step.into());
        }
        let list: Vec<_> = coordinates
            .iter()
            .map(|(name, value)| format!("{name}={}", word(value)))
            .collect();
        Self(format!("{step}[{}]", list.join(", ")).into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl Serialize for InstanceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What a port of an instance receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The name of the port.
    pub port: String,
    /// Whether the port gathers ([`Ports`](crate::Ports)) or takes one ([`Port`](crate::Port)).
    pub gathers: bool,
    /// The instances, exactly one unless the port gathers.
    pub from: Vec<InputFrom>,
}

/// One instance that a port receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFrom {
    /// The instance.
    pub id: InstanceId,
    /// The step it belongs to.
    pub step: String,
    /// What it makes.
    pub kind: ArtifactKind,
}

/// A step at one point of its axes, ready to be given a key and run.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// The unique name.
    pub id: InstanceId,
    /// The step's name in the recipe.
    pub step: String,
    /// The op.
    pub op: &'static str,
    /// What it makes.
    pub produces: ArtifactKind,
    /// Where it stands.
    pub coordinates: Coordinates,
    /// The parameters with references substituted and ports and sources removed; defaults are not filled in.
    pub params: Value,
    /// What its ports receive, in the order of the op's ports. A port that was not filled is not listed.
    pub inputs: Vec<Input>,
    /// Parameter names with the sources they name.
    pub sources: Vec<(String, String)>,
    /// What the step asks of the machine.
    pub resources: Resources,
    /// The step's name in the recipe's text.
    pub span: Span,
}

impl Instance {
    /// The instances this one needs, ports in order.
    pub fn needs(&self) -> impl Iterator<Item = &InstanceId> {
        self.inputs.iter().flat_map(|input| &input.from).map(|from| &from.id)
    }
}

/// A value as it is written in a coordinate: strings bare unless they would read as something else.
pub(crate) fn word(value: &Value) -> String {
    match value {
        Value::String(text) if reads_as_itself(text) => text.clone(),
        other => other.to_string(),
    }
}

fn reads_as_itself(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.' | '/'))
        && !matches!(text, "true" | "false" | "null")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(coordinates: Value) -> String {
        let coordinates: Coordinates = serde_json::from_value(coordinates).unwrap();
        InstanceId::new("int8", &coordinates).to_string()
    }

    #[test]
    fn names_show_the_coordinates_in_order() {
        assert_eq!(id(json!({})), "int8");
        assert_eq!(
            id(json!({"model": "base", "fraction": 0.8})),
            "int8[model=base, fraction=0.8]"
        );
    }

    #[test]
    fn values_of_different_types_have_different_names() {
        assert_eq!(
            id(json!({"a": "1", "b": 1, "c": "true", "d": true})),
            r#"int8[a="1", b=1, c="true", d=true]"#
        );
        assert_eq!(
            id(json!({"a": "x, b=1", "b": [1, "x"]})),
            r#"int8[a="x, b=1", b=[1,"x"]]"#
        );
    }
}

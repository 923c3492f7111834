//! YAML as a tree of nodes that know where they were written.
//!
//! One parse feeds everything: later checks point into the text through the nodes' places. What the YAML crate accepts
//! loosely is fixed here: only `true` and `false` are booleans, `017` and `1_000` are strings, merge keys are refused, a
//! key may stand once. Aliases are followed within limits.

mod error;
mod read;

use serde_json::{Number, Value};

use crate::{diagnostic::Place, name};

pub use read::read;
pub(crate) use read::scalar;

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// What was written.
    pub value: Yaml,
    /// Where it was written.
    pub place: Place,
}

/// The values of YAML's JSON schema.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the variants are named after what they hold")]
pub enum Yaml {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The key of a mapping and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Where it was written.
    pub place: Place,
}

impl Node {
    /// The name in a whole-scalar `$name`.
    pub fn reference(&self) -> Option<&str> {
        match &self.value {
            Yaml::String(text) => name::referenced(text),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Yaml::String(text) => Some(text),
            _ => None,
        }
    }

    /// What the node is, for messages: "`0.5`", "the string `x`", "a list".
    pub fn found(&self) -> String {
        match &self.value {
            Yaml::Null => "an empty value".into(),
            Yaml::Bool(value) => format!("`{value}`"),
            Yaml::Number(value) => format!("`{value}`"),
            Yaml::String(text) => format!("the string `{}`", shortened(text)),
            Yaml::List(_) => "a list".into(),
            Yaml::Map(_) => "a mapping".into(),
        }
    }

    /// The names of all references in the node, in order of appearance.
    pub fn references(&self) -> Vec<(&str, &Place)> {
        let mut found = Vec::new();
        self.visit(&mut |node| found.extend(node.reference().map(|name| (name, &node.place))));
        found
    }

    /// The value, with references replaced by what `lookup` knows. An unknown reference becomes null; checks come first.
    pub fn to_value(&self, lookup: &impl Fn(&str) -> Option<Value>) -> Value {
        match &self.value {
            Yaml::Null => Value::Null,
            Yaml::Bool(value) => Value::Bool(*value),
            Yaml::Number(value) => Value::Number(value.clone()),
            Yaml::String(text) => match name::referenced(text) {
                Some(name) => lookup(name).unwrap_or_default(),
                None => Value::String(name::literal(text).into()),
            },
            Yaml::List(items) => items.iter().map(|item| item.to_value(lookup)).collect(),
            Yaml::Map(entries) => {
                let field = |(key, value): &(Key, Self)| (key.name.clone(), value.to_value(lookup));
                Value::Object(entries.iter().map(field).collect())
            }
        }
    }

    /// The value of a node without references.
    pub fn plain(&self) -> Value {
        self.to_value(&|_| None)
    }

    fn visit<'n>(&'n self, f: &mut impl FnMut(&'n Self)) {
        f(self);
        match &self.value {
            Yaml::List(items) => items.iter().for_each(|item| item.visit(f)),
            Yaml::Map(entries) => entries.iter().for_each(|(_, value)| value.visit(f)),
            Yaml::Null | Yaml::Bool(_) | Yaml::Number(_) | Yaml::String(_) => {}
        }
    }
}

/// The first line of a text, cut to a length that fits into a message.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > SHOWN || line.len() < text.trim_end().len() {
        line.chars().take(SHOWN).chain(['…']).collect()
    } else {
        line.into()
    }
}

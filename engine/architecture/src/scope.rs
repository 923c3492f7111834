//! What names stand for where an expression is written, and values made of what was written.

use indexmap::IndexMap;
use recipe::suggest;
use recipe::yaml::{Node, Yaml};
use serde_json::Value;

use crate::expression::{Binding, Expression, Mistake};
use crate::parse::RESERVED;

/// The parameters of a module and the input of a layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// Parameters with their values.
    pub params: IndexMap<String, Binding>,
    /// Dimensions of the input in the graph's layout, the batch first; `None` where an earlier mistake hides them.
    pub input: Option<Vec<usize>>,
}

impl Scope {
    /// The same parameters with the input of another layer.
    pub fn with_input(&self, input: Option<Vec<usize>>) -> Self {
        Scope {
            params: self.params.clone(),
            input,
        }
    }

    /// What a name stands for; otherwise what could have been meant.
    pub fn lookup(&self, name: &str) -> Result<Binding, Option<String>> {
        if let Some(binding) = self.params.get(name) {
            return Ok(binding.clone());
        }
        if RESERVED.contains(&name) {
            let Some(dims) = &self.input else {
                return Ok(Binding::Hidden);
            };
            let value = match (name, dims.as_slice()) {
                ("in", [.., channels]) => Some(*channels),
                ("height", [_, height, _, _]) => Some(*height),
                ("width", [_, _, width, _]) => Some(*width),
                ("tokens", [_, tokens, _]) => Some(*tokens),
                _ => None,
            };
            let kind = if name == "tokens" {
                "a sequence of tokens"
            } else {
                "an image"
            };
            return match value {
                Some(value) => Ok(Binding::Value(Value::from(value))),
                None => Err(Some(format!("the input is not {kind}"))),
            };
        }
        let names = self.params.keys().map(String::as_str).chain(RESERVED);
        Err(suggest::help(name, "names", names))
    }

    /// The value of a node: references and expressions replaced by what they come to, at every depth. `None` where
    /// something hidden takes part.
    ///
    /// # Errors
    /// The node with the mistake, for its place, and the range in the text of its expression.
    pub fn resolve<'n>(&self, node: &'n Node) -> Result<Option<Node>, (&'n Node, Mistake)> {
        let value = match &node.value {
            Yaml::String(text) => match text.strip_prefix('=') {
                Some(expression) => self.expression(expression).map_err(|m| (node, m))?,
                None => match node.reference() {
                    Some(name) => match self.lookup(name) {
                        Ok(Binding::Value(value)) => Some(value),
                        Ok(Binding::Hidden) => None,
                        Err(help) => {
                            let mistake = Mistake {
                                range: 0..usize::MAX,
                                message: format!("`${name}` is not a parameter here"),
                                help,
                            };
                            return Err((node, mistake));
                        }
                    },
                    None => Some(node.plain()),
                },
            },
            Yaml::List(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for item in items {
                    resolved.push(self.resolve(item)?);
                }
                let all: Option<Vec<Node>> = resolved.into_iter().collect();
                return Ok(all.map(|items| Node {
                    value: Yaml::List(items),
                    place: node.place.clone(),
                }));
            }
            Yaml::Map(entries) => {
                let mut resolved = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    resolved.push(self.resolve(value)?.map(|value| (key.clone(), value)));
                }
                let all: Option<Vec<_>> = resolved.into_iter().collect();
                return Ok(all.map(|entries| Node {
                    value: Yaml::Map(entries),
                    place: node.place.clone(),
                }));
            }
            Yaml::Null | Yaml::Bool(_) | Yaml::Number(_) => return Ok(Some(node.clone())),
        };
        Ok(value.map(|value| node_of(&value, node)))
    }

    fn expression(&self, text: &str) -> Result<Option<Value>, Mistake> {
        Expression::parse(text)?.value(&|name| self.lookup(name))
    }
}

/// A value at the place of a node.
pub(crate) fn node_of(value: &Value, at: &Node) -> Node {
    let yaml = match value {
        Value::Null => Yaml::Null,
        Value::Bool(value) => Yaml::Bool(*value),
        Value::Number(number) => Yaml::Number(number.clone()),
        Value::String(text) => Yaml::String(text.clone()),
        Value::Array(items) => Yaml::List(items.iter().map(|item| node_of(item, at)).collect()),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| {
                let key = recipe::yaml::Key {
                    name: name.clone(),
                    place: at.place.clone(),
                };
                (key, node_of(value, at))
            });
            Yaml::Map(entries.collect())
        }
    };
    Node {
        value: yaml,
        place: at.place.clone(),
    }
}

//! What `$name` stands for: the params and axes of a recipe, after `--set` and `--axis`.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::Value;

use crate::{
    Overrides,
    diagnostic::{Complaints, Place},
    name, suggest,
    yaml::{self, Key, Node, Yaml},
};

/// The values of params and axes, with their places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bindings {
    params: IndexMap<String, Node>,
    axes: IndexMap<String, Vec<Node>>,
}

impl Bindings {
    /// Reads the sections `params` and `axes` and replaces what the command line overrides.
    pub fn of(
        complaints: &mut Complaints,
        params: &[(Key, Node)],
        axes: &[(Key, Node)],
        overrides: &Overrides,
    ) -> Self {
        let mut bindings = Self::default();
        for (key, node) in params {
            if is_named(complaints, "params", key) && is_plain(complaints, "params", key, node) {
                bindings.params.insert(key.name.clone(), node.clone());
            }
        }
        for (key, node) in axes {
            if let Some(param) = params.iter().find(|(param, _)| param.name == key.name) {
                complaints.push(
                    complaints
                        .at(key.place.clone(), format!("`{}` is a param and an axis", key.name))
                        .related(param.0.place.clone(), "the param")
                        .help("`$name` must stand for one of them; rename the other"),
                );
            } else if is_named(complaints, "axes", key)
                && let Some(values) = axis_values(complaints, key, node)
            {
                bindings.axes.insert(key.name.clone(), values);
            }
        }
        bindings.set(complaints, overrides);
        bindings.sweep(complaints, overrides);
        bindings
    }

    /// The values that `$name` may have: one for a param, all of them for an axis.
    pub fn candidates(&self, name: &str) -> Option<&[Node]> {
        match self.params.get(name) {
            Some(value) => Some(std::slice::from_ref(value)),
            None => self.axes.get(name).map(Vec::as_slice),
        }
    }

    /// The value of a param.
    pub fn param(&self, name: &str) -> Option<&Node> {
        self.params.get(name)
    }

    /// Whether `name` is an axis.
    pub fn is_axis(&self, name: &str) -> bool {
        self.axes.contains_key(name)
    }

    /// Names that `$` can stand before.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.params.keys().chain(self.axes.keys()).map(String::as_str)
    }

    /// The values of all params.
    pub fn params(&self) -> IndexMap<String, Value> {
        self.params
            .iter()
            .map(|(name, node)| (name.clone(), node.plain()))
            .collect()
    }

    /// The values of all axes.
    pub fn axes(&self) -> IndexMap<String, Vec<Value>> {
        self.axes
            .iter()
            .map(|(name, values)| (name.clone(), values.iter().map(Node::plain).collect()))
            .collect()
    }

    fn set(&mut self, complaints: &mut Complaints, overrides: &Overrides) {
        for (name, text) in &overrides.set {
            let place = Place::Option(format!("--set {name}={text}"));
            let Some(param) = self.params.get_mut(name) else {
                complaints.push(unknown(
                    complaints,
                    place,
                    "param",
                    name,
                    self.params.keys(),
                    self.axes.keys(),
                    "--axis",
                ));
                continue;
            };
            let Some(value) = yaml::scalar(text, &place).map(as_literal) else {
                complaints.push(
                    complaints
                        .at(place, format!("`{text}` is not a YAML scalar or list"))
                        .help("quote the text"),
                );
                continue;
            };
            if type_name(&value) == type_name(param) {
                *param = value;
            } else {
                complaints.push(
                    complaints
                        .at(
                            place,
                            format!("param `{name}` is {}, not {}", type_name(param), type_name(&value)),
                        )
                        .related(param.place.clone(), "the value in the recipe"),
                );
            }
        }
    }

    fn sweep(&mut self, complaints: &mut Complaints, overrides: &Overrides) {
        for (name, texts) in &overrides.axis {
            let place = Place::Option(format!("--axis {name}={}", texts.join(",")));
            let Some(axis) = self.axes.get(name) else {
                complaints.push(unknown(
                    complaints,
                    place,
                    "axis",
                    name,
                    self.axes.keys(),
                    self.params.keys(),
                    "--set",
                ));
                continue;
            };
            let key = Key {
                name: name.clone(),
                place: place.clone(),
            };
            let mut types: Vec<_> = axis.iter().map(type_name).collect();
            types.sort_unstable();
            types.dedup();
            let (mut values, mut sound) = (Vec::new(), true);
            for text in texts {
                match yaml::scalar(text, &place).map(as_literal) {
                    Some(value) if types.contains(&type_name(&value)) => values.push(value),
                    Some(value) => {
                        sound = false;
                        let message = format!("axis `{name}` holds {}, not {}", types.join(" or "), type_name(&value));
                        complaints.push(complaints.at(place.clone(), message));
                    }
                    None => {
                        sound = false;
                        complaints.push(complaints.at(place.clone(), format!("`{text}` is not a YAML scalar or list")));
                    }
                }
            }
            let list = Node {
                value: Yaml::List(values),
                place,
            };
            if sound && let Some(values) = axis_values(complaints, &key, &list) {
                self.axes.insert(name.clone(), values);
            }
        }
    }
}

/// Reports a name that does not follow the rule for names.
pub(crate) fn is_named(complaints: &mut Complaints, section: &str, key: &Key) -> bool {
    let good = name::is_name(&key.name);
    if !good {
        let message = format!("{section}: `{}` is not a name", yaml::shortened(&key.name));
        complaints.push(complaints.at(key.place.clone(), message).help(name::RULE));
    }
    good
}

fn axis_values(complaints: &mut Complaints, key: &Key, node: &Node) -> Option<Vec<Node>> {
    let Yaml::List(values) = &node.value else {
        let message = format!("axes.{}: {} is not a list of values", key.name, node.found());
        complaints.push(
            complaints
                .at(node.place.clone(), message)
                .help("put the values in brackets: `[0.2, 0.5]`"),
        );
        return None;
    };
    if values.is_empty() {
        complaints.push(
            complaints
                .at(
                    node.place.clone(),
                    format!("axes.{}: an axis has at least one value", key.name),
                )
                .help("without a value no step on this axis would run"),
        );
        return None;
    }
    let mut sound = true;
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        sound &= is_plain(complaints, "axes", key, value);
        let first = *seen.entry(value.plain().to_string()).or_insert(index);
        if first != index {
            sound = false;
            complaints.push(
                complaints
                    .at(
                        value.place.clone(),
                        format!("axes.{}: {} stands twice", key.name, value.found()),
                    )
                    .related(values[first].place.clone(), "first here"),
            );
        }
    }
    sound.then(|| values.clone())
}

/// Params and axes hold scalars and lists of scalars, and no references.
fn is_plain(complaints: &mut Complaints, section: &str, key: &Key, node: &Node) -> bool {
    let path = format!("{section}.{}", key.name);
    match &node.value {
        Yaml::Null | Yaml::Map(_) => {
            let message = format!("{path}: {} is not a scalar or a list of scalars", node.found());
            complaints.push(complaints.at(node.place.clone(), message));
            false
        }
        Yaml::List(items) => items.iter().all(|item| {
            let nested = matches!(item.value, Yaml::List(_));
            if nested {
                let message = format!("{path}: a list inside a list is not a scalar");
                complaints.push(complaints.at(item.place.clone(), message));
            }
            !nested && is_plain(complaints, section, key, item)
        }),
        Yaml::String(_) if node.reference().is_some() => {
            complaints.push(
                complaints
                    .at(
                        node.place.clone(),
                        format!("{path}: a value cannot refer to another one"),
                    )
                    .help("write the value itself, or `$$` for a literal `$`"),
            );
            false
        }
        Yaml::Bool(_) | Yaml::Number(_) | Yaml::String(_) => true,
    }
}

/// Text from the command line never refers: `--set path=$x` is the text `$x`.
fn as_literal(mut node: Node) -> Node {
    match &mut node.value {
        Yaml::String(text) if name::referenced(text).is_some() => text.insert(0, '$'),
        Yaml::List(items) => {
            for item in items {
                *item = as_literal(item.clone());
            }
        }
        _ => {}
    }
    node
}

fn type_name(node: &Node) -> &'static str {
    match node.value {
        Yaml::Null => "nothing",
        Yaml::Bool(_) => "a boolean",
        Yaml::Number(_) => "a number",
        Yaml::String(_) => "a string",
        Yaml::List(_) => "a list",
        Yaml::Map(_) => "a mapping",
    }
}

/// An override of something that the recipe does not have.
fn unknown<'n>(
    complaints: &Complaints,
    place: Place,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'n String>,
    others: impl Iterator<Item = &'n String>,
    other_option: &str,
) -> crate::Diagnostic {
    let mut others = others;
    let help = if others.any(|other| other == name) {
        Some(format!("`{name}` is set with `{other_option}`"))
    } else {
        let plural = if what == "axis" { "axes" } else { "params" };
        suggest::help(name, &format!("the recipe's {plural}"), known.map(String::as_str))
    };
    complaints
        .at(place, format!("the recipe has no {what} `{name}`"))
        .maybe_help(help)
}

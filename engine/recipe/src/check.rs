//! Checks of a node against the shape that an op's parameter has.
//!
//! References are checked through: every value that a param or axis can have must fit the place where `$name` stands; the
//! complaint points at the value and shows the place of use beside it.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    OpSpec, SourceText,
    bindings::Bindings,
    diagnostic::{Complaints, Diagnostic, Place},
    name,
    shape::{Choice, Fields, Shape, Shapes, written},
    suggest,
    yaml::{Key, Node, Yaml},
};

/// Everything that is wrong with `node` as the parameters of `spec`, by its struct's schema. `path` names it in messages.
///
/// For other languages than recipes that declare what they take by a struct: nothing refers to params or axes here.
pub fn check_params(spec: &OpSpec, path: &str, source: &Arc<SourceText>, node: &Node) -> Vec<Diagnostic> {
    let fields = Shapes::of(spec).fields;
    let checker = Checker {
        bindings: &Bindings::default(),
        complaints: &Complaints::new(source),
    };
    checker.check(path, node, &Shape::Struct(fields))
}

/// Checks nodes with the params and axes of one recipe in sight.
pub(crate) struct Checker<'a> {
    pub bindings: &'a Bindings,
    pub complaints: &'a Complaints,
}

impl Checker<'_> {
    /// Everything that is wrong with `node` as a value of `shape`. `path` names the parameter: `prune.sparsity`.
    pub fn check(&self, path: &str, node: &Node, shape: &Shape) -> Vec<Diagnostic> {
        if let Some(name) = node.reference() {
            return match self.bindings.candidates(name) {
                None => vec![self.unknown_reference(name, &node.place)],
                Some(values) => {
                    let wrong = values.iter().flat_map(|value| self.check(path, value, shape));
                    wrong
                        .map(|complaint| complaint.related(node.place.clone(), format!("used as {path}")))
                        .collect()
                }
            };
        }
        self.check_literal(path, node, shape)
    }

    /// A `$name` that nothing answers to.
    pub fn unknown_reference(&self, name: &str, place: &Place) -> Diagnostic {
        self.complaints
            .at(place.clone(), format!("`${name}` is neither a param nor an axis"))
            .maybe_help(suggest::help(name, "params and axes", self.bindings.names()))
    }

    fn check_literal(&self, path: &str, node: &Node, shape: &Shape) -> Vec<Diagnostic> {
        let fits = match (shape, &node.value) {
            (Shape::Any, _) => return self.unknown_inside(node),
            // Inputs stand at the top level of a step and are resolved there.
            (Shape::Optional(_) | Shape::Null, Yaml::Null)
            | (Shape::Bool, Yaml::Bool(_))
            | (Shape::Port(_) | Shape::Ports(_) | Shape::Source, _) => true,
            (Shape::Optional(inner), _) => return self.check(path, node, inner),
            (Shape::Integer(bounds), Yaml::Number(number)) => !number.is_f64() && bounds.contain(number),
            (Shape::Number(bounds), Yaml::Number(number)) => bounds.contain(number),
            (Shape::String { least }, Yaml::String(text)) => name::literal(text).chars().count() as u64 >= *least,
            (Shape::Choice(choices), _) => {
                let value = node.plain();
                choices.iter().any(|choice| choice.value == value)
            }
            (
                Shape::List {
                    items,
                    least,
                    most,
                    unique,
                },
                Yaml::List(nodes),
            ) => {
                let count = nodes.len() as u64;
                if count < *least || most.is_some_and(|most| count > most) {
                    return vec![self.mismatch(path, node, &counted(nodes), shape)];
                }
                let repeated = unique.then(|| self.repeated(path, nodes)).into_iter().flatten();
                return nodes
                    .iter()
                    .flat_map(|node| self.check(path, node, items))
                    .chain(repeated)
                    .collect();
            }
            (Shape::Tuple(shapes), Yaml::List(nodes)) => {
                if shapes.len() != nodes.len() {
                    return vec![self.mismatch(path, node, &counted(nodes), shape)];
                }
                return nodes
                    .iter()
                    .zip(shapes)
                    .flat_map(|(node, shape)| self.check(path, node, shape))
                    .collect();
            }
            (Shape::Struct(fields), Yaml::Map(entries)) => return self.check_fields(path, node, entries, fields),
            (Shape::OneOf(shapes), _) => return self.check_any(path, node, shapes, shape),
            _ => false,
        };
        if fits {
            Vec::new()
        } else {
            vec![self.mismatch(path, node, &node.found(), shape)]
        }
    }

    /// The fields of a mapping: unknown, missing and wrong ones.
    pub fn check_fields(&self, path: &str, node: &Node, entries: &[(Key, Node)], fields: &Fields) -> Vec<Diagnostic> {
        let mut wrong = Vec::new();
        for (key, value) in entries {
            match (fields.get(&key.name), &fields.others) {
                (Some(field), _) => wrong.extend(self.check(&format!("{path}.{}", key.name), value, &field.shape)),
                (None, Some(shape)) => wrong.extend(self.check(&format!("{path}.{}", key.name), value, shape)),
                (None, None) => wrong.push(self.unknown_field(path, key, fields)),
            }
        }
        for field in fields.list.iter().filter(|field| field.required) {
            if !is_meant(&field.name, entries) {
                wrong.push(self.missing_field(path, &node.place, &field.name, &field.shape));
            }
        }
        wrong
    }

    /// A key that names no field.
    pub fn unknown_field(&self, path: &str, key: &Key, fields: &Fields) -> Diagnostic {
        let names = fields.list.iter().map(|field| field.name.as_str());
        self.complaints
            .at(key.place.clone(), format!("{path}: unknown key `{}`", key.name))
            .maybe_help(suggest::help(&key.name, "known keys", names))
    }

    /// A required field that is not there.
    pub fn missing_field(&self, path: &str, place: &Place, name: &str, shape: &Shape) -> Diagnostic {
        self.complaints
            .at(place.clone(), format!("{path}: `{name}` is missing"))
            .help(format!("`{name}` is {}", shape.expected()))
    }

    fn check_any(&self, path: &str, node: &Node, shapes: &[Shape], whole: &Shape) -> Vec<Diagnostic> {
        let mut attempts = Vec::new();
        for shape in shapes {
            let wrong = self.check(path, node, shape);
            if wrong.is_empty() {
                return wrong;
            }
            attempts.push((shape, wrong));
        }
        // Variants with data are mappings of one key, which tells the variant.
        if let Yaml::Map(entries) = &node.value {
            let variants = || shapes.iter().filter_map(variant_key);
            if let [(key, _)] = &entries[..]
                && variants().next().is_some()
                && !variants().any(|name| name == key.name)
            {
                return vec![
                    self.complaints
                        .at(key.place.clone(), format!("{path}: unknown key `{}`", key.name))
                        .maybe_help(suggest::help(&key.name, "known keys", variants())),
                ];
            }
            attempts.retain(|(shape, _)| {
                variant_key(shape).is_none_or(|name| entries.iter().any(|(key, _)| key.name == name))
            });
        }
        attempts.retain(|(shape, _)| same_type(shape, &node.value));
        match (attempts.len(), attempts.pop()) {
            (1, Some((shape, wrong))) if !matches!(shape, Shape::Choice(_)) => wrong,
            _ => vec![self.mismatch(path, node, &node.found(), whole)],
        }
    }

    fn mismatch(&self, path: &str, node: &Node, found: &str, shape: &Shape) -> Diagnostic {
        let complaint = self.complaints.at(
            node.place.clone(),
            format!("{path}: {found} is not {}", shape.expected()),
        );
        complaint.maybe_help(fix(node, shape))
    }

    fn repeated(&self, path: &str, nodes: &[Node]) -> Vec<Diagnostic> {
        let values: Vec<_> = nodes
            .iter()
            .map(|node| node.to_value(&|name| Some(Value::from(name))))
            .collect();
        let again = (1..nodes.len()).filter(|&index| values[..index].contains(&values[index]));
        again
            .map(|index| {
                let message = format!("{path}: {} stands twice", nodes[index].found());
                self.complaints.at(nodes[index].place.clone(), message)
            })
            .collect()
    }

    fn unknown_inside(&self, node: &Node) -> Vec<Diagnostic> {
        let unknown = node
            .references()
            .into_iter()
            .filter(|(name, _)| self.bindings.candidates(name).is_none());
        unknown
            .map(|(name, place)| self.unknown_reference(name, place))
            .collect()
    }
}

fn counted(nodes: &[Node]) -> String {
    match nodes.len() {
        1 => "a list of 1 item".into(),
        count => format!("a list of {count} items"),
    }
}

/// The likely fix of a value that does not fit.
fn fix(node: &Node, shape: &Shape) -> Option<String> {
    match (shape, &node.value) {
        (Shape::Optional(inner), _) => fix(node, inner),
        (Shape::OneOf(shapes), value) => shapes.iter().find_map(|shape| fix(node, shape)).or_else(|| {
            let Yaml::String(text) = value else { return None };
            let variant = shapes
                .iter()
                .filter_map(variant_key)
                .find(|name| suggest::is_near(text, name))?;
            Some(format!("write `{{ {variant}: … }}`"))
        }),
        (Shape::Choice(choices), Yaml::String(text)) => {
            let names: Vec<_> = choices.iter().map(Choice::written).collect();
            let near = suggest::nearest(text, names.iter().map(String::as_str));
            near.map(|near| format!("did you mean `{near}`?"))
        }
        (Shape::Bool, Yaml::String(text)) => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" => Some("write `true`".into()),
            "no" | "off" | "n" => Some("write `false`".into()),
            _ => None,
        },
        (Shape::Integer(bounds), Yaml::Number(number)) => {
            if let Some(limit) = bounds.machine_limit(number) {
                return Some(format!("at most {limit} fits here"));
            }
            let number = number
                .as_f64()
                .filter(|number| number.fract() == 0.0 && number.abs() < 1e15)?;
            let whole = number as i64;
            node.found().contains('.').then(|| format!("write `{whole}`"))
        }
        (Shape::Integer(_) | Shape::Number(_), Yaml::String(text)) => {
            let digits: String = text.chars().filter(|&c| c != '_').collect();
            let number: f64 = digits.parse().ok().filter(|number: &f64| number.is_finite())?;
            Some(format!(
                "write `{}` without quotes, underscores or leading zeros",
                written(&number_value(number))
            ))
        }
        (Shape::String { .. }, Yaml::Number(_) | Yaml::Bool(_)) => Some("put it in quotes to make it a string".into()),
        (Shape::List { items, .. }, Yaml::Bool(_) | Yaml::Number(_) | Yaml::String(_)) => {
            same_type(items, &node.value).then(|| "put it in brackets to make it a list".into())
        }
        _ => None,
    }
}

fn number_value(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}

/// Whether an entry has that name, or a near one that has been reported as unknown.
pub(crate) fn is_meant(name: &str, entries: &[(Key, Node)]) -> bool {
    entries.iter().any(|(key, _)| suggest::is_near(&key.name, name))
}

/// The key that tells a variant with data from the others: the only field of its mapping.
fn variant_key(shape: &Shape) -> Option<&str> {
    match shape {
        Shape::Struct(Fields { list, others: None }) => match &list[..] {
            [only] if only.required => Some(&only.name),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the value is at least of the right type.
fn same_type(shape: &Shape, value: &Yaml) -> bool {
    match shape {
        Shape::Any | Shape::Port(_) | Shape::Ports(_) | Shape::Source => true,
        Shape::Null => matches!(value, Yaml::Null),
        Shape::Bool => matches!(value, Yaml::Bool(_)),
        Shape::Integer(_) | Shape::Number(_) => matches!(value, Yaml::Number(_)),
        Shape::String { .. } => matches!(value, Yaml::String(_)),
        Shape::Choice(choices) => choices.iter().any(|choice| {
            matches!(
                (&choice.value, value),
                (Value::String(_), Yaml::String(_))
                    | (Value::Bool(_), Yaml::Bool(_))
                    | (Value::Number(_), Yaml::Number(_))
            )
        }),
        Shape::List { .. } | Shape::Tuple(_) => matches!(value, Yaml::List(_)),
        Shape::Struct(_) => matches!(value, Yaml::Map(_)),
        Shape::OneOf(shapes) => shapes.iter().any(|shape| same_type(shape, value)),
        Shape::Optional(inner) => matches!(value, Yaml::Null) || same_type(inner, value),
    }
}

//! JSON schema → [`Shape`].

use serde_json::{Map, Number, Value};

use super::{Bounds, Choice, Field, Fields, Shape};
use crate::{
    OpSpec,
    vocabulary::{X_PORT, X_PORTS, X_SOURCE, kinds_of},
};

/// The shapes of an op's parameters.
#[derive(Debug)]
pub(crate) struct Shapes {
    /// The fields of the parameter struct.
    pub fields: Fields,
    /// Schema keywords, with their paths, that were not understood and are not checked.
    pub unsupported: Vec<String>,
}

/// Keywords that say nothing about values.
const ANNOTATIONS: [&str; 10] = [
    "$schema",
    "$defs",
    "title",
    "description",
    "default",
    "examples",
    "format",
    "deprecated",
    "readOnly",
    "writeOnly",
];

impl Shapes {
    /// Reads the schema of an op's parameter struct.
    pub fn of(op: &OpSpec) -> Self {
        let mut reader = Reader {
            root: op.schema.as_value(),
            open: Vec::new(),
            unsupported: Vec::new(),
        };
        let fields = match reader.shape(op.schema.as_value(), op.name) {
            Shape::Struct(fields) => fields,
            // A unit struct has no parameters.
            Shape::Null => Fields {
                list: Vec::new(),
                others: None,
            },
            _ => {
                reader
                    .unsupported
                    .push(format!("{}: parameters that are not a struct", op.name));
                Fields {
                    list: Vec::new(),
                    others: Some(Box::new(Shape::Any)),
                }
            }
        };
        Self {
            fields,
            unsupported: reader.unsupported,
        }
    }
}

struct Reader<'s> {
    root: &'s Value,
    /// References being followed; a type inside itself is not checked any deeper.
    open: Vec<&'s str>,
    unsupported: Vec<String>,
}

impl<'s> Reader<'s> {
    fn shape(&mut self, schema: &'s Value, path: &str) -> Shape {
        let Value::Object(schema) = schema else {
            if *schema != Value::Bool(true) {
                self.unsupported.push(format!("{path}: {schema}"));
            }
            return Shape::Any;
        };
        self.note_unsupported(schema, path);
        if let Some(kinds) = schema.get(X_PORT) {
            return Shape::Port(kinds_of(kinds));
        }
        if let Some(kinds) = schema.get(X_PORTS) {
            return Shape::Ports(kinds_of(kinds));
        }
        if schema.contains_key(X_SOURCE) {
            return Shape::Source;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            return self.follow(target, path);
        }
        for keyword in ["oneOf", "anyOf", "allOf"] {
            if let Some(Value::Array(branches)) = schema.get(keyword) {
                return self.branches(branches, path);
            }
        }
        if let Some(value) = schema.get("const") {
            let doc = schema
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .into();
            return Shape::Choice(vec![Choice {
                value: value.clone(),
                doc,
            }]);
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            let choices = values.iter().filter(|value| !value.is_null());
            let choice = |value: &Value| Choice {
                value: value.clone(),
                doc: String::new(),
            };
            let shape = Shape::Choice(choices.map(choice).collect());
            return if values.contains(&Value::Null) {
                optional(shape)
            } else {
                shape
            };
        }
        match schema.get("type") {
            Some(Value::String(name)) => self.typed(name, schema, path),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                let shapes = names.map(|name| self.typed(name, schema, path)).collect();
                union(shapes)
            }
            _ => Shape::Any,
        }
    }

    fn follow(&mut self, target: &'s str, path: &str) -> Shape {
        if self.open.contains(&target) {
            return Shape::Any;
        }
        let Some(schema) = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else {
            self.unsupported.push(format!("{path}: $ref {target}"));
            return Shape::Any;
        };
        self.open.push(target);
        let shape = self.shape(schema, path);
        self.open.pop();
        shape
    }

    fn branches(&mut self, branches: &'s [Value], path: &str) -> Shape {
        let shapes = branches.iter().map(|branch| match self.shape(branch, path) {
            // The words about a variant with data stand beside its mapping of one key.
            Shape::Struct(mut fields) => {
                if let [only] = &mut fields.list[..]
                    && only.doc.is_empty()
                {
                    only.doc = branch
                        .get("description")
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .into();
                }
                Shape::Struct(fields)
            }
            shape => shape,
        });
        union(shapes.collect())
    }

    fn typed(&mut self, name: &str, schema: &'s Map<String, Value>, path: &str) -> Shape {
        let length = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
        match name {
            "null" => Shape::Null,
            "boolean" => Shape::Bool,
            "integer" => Shape::Integer(bounds(schema)),
            "number" => Shape::Number(bounds(schema)),
            "string" => Shape::String {
                least: length("minLength").unwrap_or(0),
            },
            "array" => match schema.get("prefixItems") {
                Some(Value::Array(items)) => Shape::Tuple(items.iter().map(|item| self.shape(item, path)).collect()),
                _ => Shape::List {
                    items: Box::new(schema.get("items").map_or(Shape::Any, |items| self.shape(items, path))),
                    least: length("minItems").unwrap_or(0),
                    most: length("maxItems"),
                    unique: schema.get("uniqueItems") == Some(&Value::Bool(true)),
                },
            },
            "object" => Shape::Struct(self.fields(schema, path)),
            other => {
                self.unsupported.push(format!("{path}: type {other}"));
                Shape::Any
            }
        }
    }

    fn fields(&mut self, schema: &'s Map<String, Value>, path: &str) -> Fields {
        let required = |name: &str| {
            let names = schema.get("required").and_then(Value::as_array);
            names.is_some_and(|names| names.iter().any(|required| required == name))
        };
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let list = properties
            .map(|(name, schema)| Field {
                name: name.clone(),
                shape: self.shape(schema, &format!("{path}.{name}")),
                required: required(name),
                doc: schema
                    .get("description")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .into(),
                default: schema.get("default").filter(|value| !value.is_null()).cloned(),
            })
            .collect();
        let others = match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(schema) => Some(Box::new(self.shape(schema, path))),
            // Serde ignores what it does not know; a recipe does not.
            None if schema.contains_key("properties") => None,
            None => Some(Box::new(Shape::Any)),
        };
        Fields { list, others }
    }

    fn note_unsupported(&mut self, schema: &Map<String, Value>, path: &str) {
        const CHECKED: [&str; 22] = [
            "$ref",
            "oneOf",
            "anyOf",
            "const",
            "enum",
            "type",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "prefixItems",
            "minItems",
            "maxItems",
            "uniqueItems",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
            "minLength",
            X_PORT,
            X_PORTS,
        ];
        for (keyword, value) in schema {
            let single = keyword == "allOf" && value.as_array().is_some_and(|branches| branches.len() == 1);
            if !single
                && keyword != X_SOURCE
                && !CHECKED.contains(&keyword.as_str())
                && !ANNOTATIONS.contains(&keyword.as_str())
            {
                self.unsupported.push(format!("{path}: {keyword}"));
            }
        }
    }
}

/// The limits that a schema states, and those of the Rust integer that it was derived from.
fn bounds(schema: &Map<String, Value>) -> Bounds {
    let number = |keyword: &str| schema.get(keyword).and_then(Value::as_number).cloned();
    let (least, greatest) = match schema.get("format").and_then(Value::as_str) {
        Some("int8") => (i64::from(i8::MIN), Some(i8::MAX as u64)),
        Some("int16") => (i64::from(i16::MIN), Some(i16::MAX as u64)),
        Some("int32") => (i64::from(i32::MIN), Some(i32::MAX as u64)),
        Some("int64" | "int") => (i64::MIN, Some(i64::MAX as u64)),
        Some("uint8") => (0, Some(u64::from(u8::MAX))),
        Some("uint16") => (0, Some(u64::from(u16::MAX))),
        Some("uint32") => (0, Some(u64::from(u32::MAX))),
        _ => (i64::MIN, None),
    };
    let signed = (least != i64::MIN).then(|| Number::from(least));
    Bounds {
        minimum: number("minimum").or(signed),
        maximum: number("maximum").or(greatest.map(Number::from)),
        above: number("exclusiveMinimum"),
        below: number("exclusiveMaximum"),
        multiple_of: number("multipleOf"),
    }
}

/// A value of any of these shapes: choices are joined, nothing among them makes the rest optional.
fn union(shapes: Vec<Shape>) -> Shape {
    let mut nothing = false;
    let mut choices = Vec::new();
    let mut others = Vec::new();
    for shape in shapes {
        match shape {
            Shape::Null => nothing = true,
            Shape::Optional(inner) => {
                nothing = true;
                others.push(*inner);
            }
            Shape::Choice(list) => choices.extend(list),
            other => others.push(other),
        }
    }
    if !choices.is_empty() {
        others.insert(0, Shape::Choice(choices));
    }
    let shape = match (others.len(), others.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            others.push(last);
            Shape::OneOf(others)
        }
        (_, None) => return Shape::Null,
    };
    if nothing { optional(shape) } else { shape }
}

fn optional(shape: Shape) -> Shape {
    match shape {
        Shape::Optional(_) | Shape::Any | Shape::Null | Shape::Port(_) | Shape::Ports(_) | Shape::Source => shape,
        shape => Shape::Optional(Box::new(shape)),
    }
}

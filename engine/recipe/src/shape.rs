//! The shapes of parameters: a JSON schema as schemars writes it, understood.
//!
//! Schemas of parameter structs use a small part of JSON Schema. It is read here once into a closed enum, which checks,
//! messages and reference pages share. A keyword outside that part is remembered in [`Shapes::unsupported`], so that a test
//! over all ops finds a parameter that would go unchecked.

mod read;
mod words;

use serde_json::{Number, Value};

use crate::ArtifactKind;

pub(crate) use read::Shapes;
pub(crate) use words::{kind_words, written};

/// What a value may look like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Anything.
    Any,
    /// Nothing at all.
    Null,
    /// True or false.
    Bool,
    /// A whole number.
    Integer(Bounds),
    /// A number.
    Number(Bounds),
    /// Text of at least so many characters.
    String { least: u64 },
    /// One of some values.
    Choice(Vec<Choice>),
    /// Items of one shape.
    List {
        items: Box<Shape>,
        least: u64,
        most: Option<u64>,
        unique: bool,
    },
    /// Items each of their own shape.
    Tuple(Vec<Shape>),
    /// Named fields.
    Struct(Fields),
    /// A value of any of several shapes.
    OneOf(Vec<Shape>),
    /// A value, or nothing.
    Optional(Box<Shape>),
    /// The name of a step, or of several with `each`.
    Port(Vec<ArtifactKind>),
    /// The names of steps to gather.
    Ports(Vec<ArtifactKind>),
    /// The name of a source.
    Source,
}

/// The limits of a number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    pub minimum: Option<Number>,
    pub maximum: Option<Number>,
    pub above: Option<Number>,
    pub below: Option<Number>,
    pub multiple_of: Option<Number>,
}

/// One permitted value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub value: Value,
    pub doc: String,
}

/// The fields of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fields {
    pub list: Vec<Field>,
    /// The shape of values under other keys; `None` where there may be none.
    pub others: Option<Box<Shape>>,
}

/// A field of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub name: String,
    pub shape: Shape,
    pub required: bool,
    pub doc: String,
    pub default: Option<Value>,
}

impl Shape {
    /// The kinds of artifact that steps under names of the author's own may make, where the shape is that of such a mapping.
    pub fn named_ports(&self) -> Option<&[ArtifactKind]> {
        match self {
            Self::Struct(Fields { list, others: Some(of) }) if list.is_empty() => match &**of {
                Self::Port(kinds) => Some(kinds),
                _ => None,
            },
            Self::Optional(inner) => inner.named_ports(),
            _ => None,
        }
    }

    /// Whether it is that of a list of files.
    pub fn is_files(&self) -> bool {
        match self {
            Self::List { items, .. } => **items == Self::Source,
            Self::Optional(inner) => inner.is_files(),
            _ => false,
        }
    }

    /// Whether it declares inputs, not a parameter.
    pub fn is_input(&self) -> bool {
        matches!(self, Self::Port(_) | Self::Ports(_) | Self::Source) || self.named_ports().is_some() || self.is_files()
    }
}

impl Fields {
    /// The field of that name.
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.list.iter().find(|field| field.name == name)
    }
}

impl Bounds {
    /// Whether a number lies within the limits.
    pub fn contain(&self, number: &Number) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let against = |limit: &Option<Number>, good: &[std::cmp::Ordering]| {
            limit
                .as_ref()
                .is_none_or(|limit| good.contains(&compare(number, limit)))
        };
        against(&self.minimum, &[Greater, Equal])
            && against(&self.maximum, &[Less, Equal])
            && against(&self.above, &[Greater])
            && against(&self.below, &[Less])
            && self.multiple_of.as_ref().is_none_or(|unit| is_multiple(number, unit))
    }
}

/// Compares exactly where both are integers, else as `f64`.
pub(crate) fn compare(a: &Number, b: &Number) -> std::cmp::Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a
            .as_f64()
            .unwrap_or(f64::NAN)
            .total_cmp(&b.as_f64().unwrap_or(f64::NAN)),
    }
}

fn is_multiple(number: &Number, unit: &Number) -> bool {
    match (number.as_i128(), unit.as_i128()) {
        (Some(number), Some(unit)) => unit != 0 && number % unit == 0,
        _ => number
            .as_f64()
            .zip(unit.as_f64())
            .is_some_and(|(number, unit)| (number / unit).fract() == 0.0),
    }
}

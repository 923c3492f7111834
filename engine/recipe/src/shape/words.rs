//! Shapes in words, for messages and reference pages.

use serde_json::{Number, Value};

use super::{Bounds, Choice, Fields, Shape, compare};
use crate::ArtifactKind;

impl Shape {
    /// What is expected: "a number from 0 to 1", "one of `a` or `b`", "a list of integers".
    pub fn expected(&self) -> String {
        match self {
            Self::Any => "any value".into(),
            Self::Null => "nothing".into(),
            Self::Bool => "`true` or `false`".into(),
            Self::Integer(bounds) => format!("an integer{}", bounds.words()),
            Self::Number(bounds) => format!("a number{}", bounds.words()),
            Self::String { least: 0 } => "a string".into(),
            Self::String { .. } => "a string that is not empty".into(),
            Self::Choice(choices) => match &choices[..] {
                [only] => quoted(&only.value),
                choices => format!(
                    "one of {}",
                    choices.iter().map(|c| quoted(&c.value)).collect::<Vec<_>>().join(", ")
                ),
            },
            shape if shape.is_files() => "a list of files, by their paths from the recipe's folder".into(),
            shape if shape.named_ports().is_some() => "a mapping of names to the steps that they stand for".into(),
            Self::List {
                items,
                least,
                most,
                unique,
            } => {
                let different = if *unique { "different " } else { "" };
                format!("a list of {}{different}{}", count(*least, *most), items.several())
            }
            Self::Tuple(items) => {
                let items: Vec<_> = items.iter().map(Self::expected).collect();
                format!("a list of {} items: {}", items.len(), items.join(", "))
            }
            Self::Struct(fields) => fields.words(),
            Self::OneOf(shapes) => shapes.iter().map(Self::expected).collect::<Vec<_>>().join(", or "),
            Self::Optional(shape) => shape.expected(),
            Self::Port(kinds) => format!("the name of a step that makes {}", kind_words(kinds)),
            Self::Ports(kinds) => format!("a list of steps that make {}", kind_words(kinds)),
            Self::Source => "the name of a source".into(),
        }
    }

    fn several(&self) -> String {
        match self {
            Self::Any => "values".into(),
            Self::Bool => "`true` and `false`".into(),
            Self::Integer(bounds) => format!("integers{}", bounds.words()),
            Self::Number(bounds) => format!("numbers{}", bounds.words()),
            Self::String { .. } => "strings".into(),
            Self::Choice(choices) => choices.iter().map(|c| quoted(&c.value)).collect::<Vec<_>>().join(", "),
            other => format!("items, each {}", other.expected()),
        }
    }
}

impl Fields {
    fn words(&self) -> String {
        let names: Vec<_> = self.list.iter().map(|field| format!("`{}`", field.name)).collect();
        if names.is_empty() {
            return "a mapping".into();
        }
        format!("a mapping with {}", names.join(", "))
    }
}

impl Bounds {
    /// " from 0 to 1", " above 0 and at most 1", or nothing. The limits of the machine's integers are left unsaid.
    fn words(&self) -> String {
        let said = |limit: &Option<Number>| limit.as_ref().filter(|limit| !is_a_machine_limit(limit)).map(figure);
        let (least, most) = (said(&self.minimum), said(&self.maximum));
        let mut parts = Vec::new();
        match (&least, &most) {
            (Some(least), Some(most)) => parts.push(format!("from {least} to {most}")),
            (Some(least), None) => parts.push(format!("of at least {least}")),
            (None, _) => {}
        }
        parts.extend(said(&self.above).map(|above| format!("above {above}")));
        parts.extend(said(&self.below).map(|below| format!("below {below}")));
        if let (None, Some(most)) = (&least, &most) {
            parts.push(format!("{}at most {most}", if parts.is_empty() { "of " } else { "" }));
        }
        parts.extend(said(&self.multiple_of).map(|unit| format!("divisible by {unit}")));
        if parts.is_empty() {
            String::new()
        } else {
            format!(" {}", parts.join(" and "))
        }
    }

    /// The greatest value that fits into the machine's integer, where `number` exceeds it.
    pub fn machine_limit(&self, number: &Number) -> Option<&Number> {
        let limit = self.maximum.as_ref().filter(|limit| is_a_machine_limit(limit))?;
        compare(number, limit).is_gt().then_some(limit)
    }
}

impl Choice {
    /// The value as it is written in a recipe.
    pub fn written(&self) -> String {
        written(&self.value)
    }
}

/// A value as it is written in a recipe, on one line.
pub(crate) fn written(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        other => other.to_string(),
    }
}

/// "a model", "a model or file", "any artifact".
pub(crate) fn kind_words(kinds: &[ArtifactKind]) -> String {
    if kinds.len() == ArtifactKind::ALL.len() {
        return "any artifact".into();
    }
    let names: Vec<_> = kinds.iter().map(|kind| kind.with_article()).collect();
    names.join(" or ")
}

fn quoted(value: &Value) -> String {
    format!("`{}`", written(value))
}

fn count(least: u64, most: Option<u64>) -> String {
    match (least, most) {
        (0, None) => String::new(),
        (least, None) => format!("at least {least} "),
        (least, Some(most)) if least == most => format!("{least} "),
        (0, Some(most)) => format!("at most {most} "),
        (least, Some(most)) => format!("{least} to {most} "),
    }
}

/// A limit without the `.0` of a float.
fn figure(limit: &Number) -> String {
    let text = limit.to_string();
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

fn is_a_machine_limit(limit: &Number) -> bool {
    limit.as_i128().is_some_and(|limit| {
        [
            i64::MAX as i128,
            i32::MAX as i128,
            u32::MAX as i128,
            i64::MIN as i128,
            i32::MIN as i128,
        ]
        .contains(&limit)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(least: &Value, most: &Value, above: &Value) -> String {
        let limit = |value: &Value| value.as_number().cloned();
        let bounds = Bounds {
            minimum: limit(least),
            maximum: limit(most),
            above: limit(above),
            ..Bounds::default()
        };
        Shape::Number(bounds).expected()
    }

    #[test]
    fn limits_read_as_a_sentence() {
        let none = Value::Null;
        assert_eq!(words(&none, &none, &none), "a number");
        assert_eq!(words(&json!(0.0), &json!(1.0), &none), "a number from 0 to 1");
        assert_eq!(words(&json!(0.5), &none, &none), "a number of at least 0.5");
        assert_eq!(words(&none, &json!(1), &none), "a number of at most 1");
        assert_eq!(words(&none, &json!(1), &json!(0.0)), "a number above 0 and at most 1");
        assert_eq!(words(&json!(0), &json!(u32::MAX), &none), "a number of at least 0");
    }
}

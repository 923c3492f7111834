//! `when`: a condition over params and axes, decided before anything runs.
//!
//! ```text
//! or         = and { "or" and }
//! and        = not { "and" not }
//! not        = "not" not | comparison
//! comparison = value [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) value ]
//! value      = number | 'text' | "text" | true | false | $name | "(" or ")"
//! ```
//!
//! Numbers are compared with numbers, text and booleans only for equality; `and`, `or` and `not` take conditions.

mod parse;

use std::ops::Range;

use serde_json::{Number, Value};

use crate::shape::compare;

pub(crate) use parse::parse;

/// A condition with the byte ranges of its parts in the text of `when`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expression {
    pub kind: Kind,
    pub range: Range<usize>,
}

/// The forms of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Literal(Value),
    Name(String),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is wrong with an expression, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub range: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

/// The types of values in conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Bool,
    Number,
    Text,
    List,
}

impl Type {
    fn of(value: &Value) -> Self {
        match value {
            Value::Bool(_) => Self::Bool,
            Value::Number(_) => Self::Number,
            Value::Array(_) | Value::Object(_) => Self::List,
            Value::String(_) | Value::Null => Self::Text,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Bool => "a condition",
            Self::Number => "a number",
            Self::Text => "text",
            Self::List => "a list",
        }
    }
}

impl Expression {
    /// The names it mentions, with their ranges.
    pub fn names(&self) -> Vec<(&str, &Range<usize>)> {
        match &self.kind {
            Kind::Literal(_) => Vec::new(),
            Kind::Name(name) => vec![(name, &self.range)],
            Kind::Not(inner) => inner.names(),
            Kind::And(a, b) | Kind::Or(a, b) | Kind::Compare(_, a, b) => {
                a.names().into_iter().chain(b.names()).collect()
            }
        }
    }

    /// Everything wrong with the types, for values that `candidates` gives for each name.
    pub fn mistakes(&self, candidates: &impl Fn(&str) -> Vec<Value>) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let types = self.types(candidates, &mut mistakes);
        self.expect_condition(&types, &mut mistakes);
        mistakes
    }

    /// Decides the condition. Sound types ([`Self::mistakes`]) come first; a value of another type counts as false.
    pub fn holds(&self, lookup: &impl Fn(&str) -> Option<Value>) -> bool {
        self.value(lookup) == Value::Bool(true)
    }

    fn value(&self, lookup: &impl Fn(&str) -> Option<Value>) -> Value {
        match &self.kind {
            Kind::Literal(value) => value.clone(),
            Kind::Name(name) => lookup(name).unwrap_or_default(),
            Kind::Not(inner) => Value::Bool(!inner.holds(lookup)),
            Kind::And(a, b) => Value::Bool(a.holds(lookup) && b.holds(lookup)),
            Kind::Or(a, b) => Value::Bool(a.holds(lookup) || b.holds(lookup)),
            Kind::Compare(comparison, a, b) => Value::Bool(comparison.holds(&a.value(lookup), &b.value(lookup))),
        }
    }

    fn types(&self, candidates: &impl Fn(&str) -> Vec<Value>, mistakes: &mut Vec<Mistake>) -> Vec<Type> {
        match &self.kind {
            Kind::Literal(value) => vec![Type::of(value)],
            Kind::Name(name) => {
                let mut types: Vec<_> = candidates(name).iter().map(Type::of).collect();
                types.dedup();
                types
            }
            Kind::Not(inner) => {
                let types = inner.types(candidates, mistakes);
                inner.expect_condition(&types, mistakes);
                vec![Type::Bool]
            }
            Kind::And(a, b) | Kind::Or(a, b) => {
                for side in [a, b] {
                    let types = side.types(candidates, mistakes);
                    side.expect_condition(&types, mistakes);
                }
                vec![Type::Bool]
            }
            Kind::Compare(comparison, a, b) => {
                let (left, right) = (a.types(candidates, mistakes), b.types(candidates, mistakes));
                let mut pairs = left
                    .iter()
                    .flat_map(|left| right.iter().map(move |right| (*left, *right)));
                if let Some(complaint) = pairs.find_map(|(left, right)| comparison.complaint(left, right)) {
                    mistakes.push(Mistake {
                        range: self.range.clone(),
                        message: complaint,
                        help: None,
                    });
                }
                vec![Type::Bool]
            }
        }
    }

    fn expect_condition(&self, types: &[Type], mistakes: &mut Vec<Mistake>) {
        if let Some(other) = types.iter().find(|&&found| found != Type::Bool) {
            mistakes.push(Mistake {
                range: self.range.clone(),
                message: format!("{} is not a condition", other.words()),
                help: Some("compare it with something, as in `$fraction > 0.5`".into()),
            });
        }
    }
}

impl Comparison {
    fn complaint(self, left: Type, right: Type) -> Option<String> {
        match (self, left, right) {
            (_, Type::List, _) | (_, _, Type::List) => Some("lists cannot be compared".into()),
            (_, left, right) if left != right => Some(format!("{} compared with {}", left.words(), right.words())),
            (Self::Equal | Self::NotEqual, _, _) | (_, Type::Number, _) => None,
            (_, left, _) => Some(format!("{} has no order; compare with `==` or `!=`", left.words())),
        }
    }

    fn holds(self, left: &Value, right: &Value) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let order = match (left, right) {
            (Value::Number(left), Value::Number(right)) => Some(numeric(left, right)),
            (left, right) => (left == right).then_some(Equal),
        };
        match self {
            Self::Equal => order == Some(Equal),
            Self::NotEqual => order != Some(Equal),
            Self::Less => order == Some(Less),
            Self::LessOrEqual => matches!(order, Some(Less | Equal)),
            Self::Greater => order == Some(Greater),
            Self::GreaterOrEqual => matches!(order, Some(Greater | Equal)),
        }
    }
}

fn numeric(left: &Number, right: &Number) -> std::cmp::Ordering {
    // -0.0 and 0 are the same number to a reader.
    if left.as_f64() == right.as_f64() && (left.is_f64() || right.is_f64()) {
        return std::cmp::Ordering::Equal;
    }
    compare(left, right)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lookup(name: &str) -> Option<Value> {
        match name {
            "fraction" => Some(json!(0.3)),
            "method" => Some(json!("minmax")),
            "deep" => Some(json!(true)),
            "seed" => Some(json!(7)),
            "list" => Some(json!([1, 2])),
            _ => None,
        }
    }

    fn holds(text: &str) -> bool {
        let expression = parse(text).unwrap();
        assert_eq!(
            expression.mistakes(&|name| lookup(name).into_iter().collect()),
            [],
            "{text}"
        );
        expression.holds(&lookup)
    }

    fn wrong(text: &str) -> String {
        let mistakes = match parse(text) {
            Err(mistake) => vec![mistake],
            Ok(expression) => expression.mistakes(&|name| lookup(name).into_iter().collect()),
        };
        let show = |m: &Mistake| {
            let help = m.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            format!("{:?} {}{help}", &text[m.range.clone()], m.message)
        };
        mistakes.iter().map(show).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn conditions_are_decided() {
        for yes in [
            "true",
            "$deep",
            "$fraction > 0.1 and $fraction <= 0.3",
            "$method == 'minmax' or false",
            r#"$method != "kl""#,
            "not ($seed == 8)",
            "not not $deep",
            "$seed >= 7.0 and $seed == 7.0",
            "true or false and false",
            "-1 < 0",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in [
            "false",
            "not $deep",
            "$fraction < 0.3",
            "$deep == false",
            "(true or false) and false",
            "1e3 < 999",
        ] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn mistakes_point_at_their_part() {
        insta::assert_snapshot!(wrong("$fraction >"), @r#""" a value is missing at the end; such as `0.5`, `'text'` or `$name`"#);
        insta::assert_snapshot!(wrong("$method == minmax"), @r#""minmax" `minmax` means nothing here; write `'minmax'` for text, `$minmax` for a param or an axis"#);
        insta::assert_snapshot!(wrong("$fraction = 0.5"), @r#""=" `=` does not compare; write `==`"#);
        insta::assert_snapshot!(wrong("($fraction > 0.5"), @r#""(" a parenthesis is not closed; add `)`"#);
        insta::assert_snapshot!(wrong("$fraction > 0.5 $seed"), @r#""$seed" the condition should end here; join conditions with `and` or `or`"#);
        insta::assert_snapshot!(wrong("$fraction && true"), @r#""&&" `&` joins nothing here; write `and`"#);
        insta::assert_snapshot!(wrong("'open"), @r#""'open" a quotation mark is not closed; text stands between two quotation marks"#);
        insta::assert_snapshot!(wrong("1 < 2 < 3"), @r#""<" the condition should end here; join conditions with `and` or `or`"#);
        insta::assert_snapshot!(wrong("$ > 1"), @r#""$" `$` without a name; write `$name`, the name of a param or an axis"#);
        insta::assert_snapshot!(wrong(""), @r#""" a value is missing at the end; such as `0.5`, `'text'` or `$name`"#);
        insta::assert_snapshot!(wrong("é"), @r#""é" `é` means nothing here; write `'é'` for text, `$é` for a param or an axis"#);
        insta::assert_snapshot!(wrong("1.2.3 > 1"), @r#""1.2.3" not a number; numbers are written `3`, `-0.5` or `1e-3`"#);
        insta::assert_snapshot!(wrong("$fraction"), @r#""$fraction" a number is not a condition; compare it with something, as in `$fraction > 0.5`"#);
        insta::assert_snapshot!(wrong("$fraction == 'x' and not $seed"), @r#"
        "$fraction == 'x'" a number compared with text
        "$seed" a number is not a condition; compare it with something, as in `$fraction > 0.5`
        "#);
        insta::assert_snapshot!(wrong("$method < 'x' or $list == 1 or $deep"), @r#"
        "$method < 'x'" text has no order; compare with `==` or `!=`
        "$list == 1" lists cannot be compared
        "#);
    }

    #[test]
    fn depth_and_length_are_limited() {
        assert_eq!(wrong(&"(".repeat(400)), "\"(\" nested too deeply");
        assert_eq!(wrong(&"not ".repeat(400)), "\"not\" nested too deeply");
        assert!(wrong(&"true or ".repeat(10_000)).contains("too long"));
    }
}

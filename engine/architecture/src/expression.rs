//! Expressions: scalars that start with `=`, such as `"= kernel // 2"`.
//!
//! ```text
//! choice     = or [ "if" or "else" choice ]
//! or, and, not, comparison (== != < <= > >=), sum (+ -), product (* / // %), sign (-), as in Python
//! value      = number | 'text' | true | false | name | $name | function "(" choice { "," choice } ")" | "(" choice ")"
//! ```
//!
//! Names are the parameters in scope and what is known of the input: `in` (channels), `height`, `width`. Whole numbers
//! stay whole except under `/`; `//` and `%` round towards minus infinity. Unlike the conditions of recipes, which compare
//! declared values, these compute.

mod parse;

use std::ops::Range;

use serde_json::{Number, Value};

/// An expression with the byte range of its text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expression {
    pub kind: Kind,
    pub range: Range<usize>,
}

/// The forms of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Literal(Value),
    Name(String),
    Unary(Unary, Box<Expression>),
    Binary(Binary, Box<Expression>, Box<Expression>),
    Choice {
        then: Box<Expression>,
        condition: Box<Expression>,
        otherwise: Box<Expression>,
    },
    Call(Function, Vec<Expression>),
}

/// Operators before one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Minus,
    Not,
}

/// Operators between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
}

/// The functions by name.
pub(crate) const FUNCTIONS: [(&str, Function, &str); 8] = [
    ("min", Function::Min, "the least of its arguments"),
    ("max", Function::Max, "the greatest of its arguments"),
    (
        "round",
        Function::Round,
        "the nearest whole number, halves away from zero",
    ),
    ("ceil", Function::Ceil, "the next whole number above"),
    ("floor", Function::Floor, "the next whole number below"),
    ("int", Function::Int, "without its fraction"),
    ("abs", Function::Abs, "without its sign"),
    (
        "divisible",
        Function::Divisible,
        "`divisible(n, d)`: the multiple of `d` nearest to `n`, at least `d` and at least 0.9·n, as MobileNets scale channels",
    ),
];

/// What can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Min,
    Max,
    Round,
    Ceil,
    Floor,
    Int,
    Abs,
    Divisible,
}

/// What is wrong with an expression, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub range: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Binding {
    /// A value.
    Value(Value),
    /// Something whose value an earlier mistake has hidden: no further complaints about it.
    Hidden,
}

/// A number as computed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Num {
    Whole(i64),
    Real(f64),
}

impl Num {
    fn real(self) -> f64 {
        match self {
            Num::Whole(n) => n as f64,
            Num::Real(x) => x,
        }
    }

    fn value(self) -> Option<Value> {
        match self {
            Num::Whole(n) => Some(n.into()),
            Num::Real(x) => Number::from_f64(x).map(Value::Number),
        }
    }
}

impl Expression {
    /// Reads the text after the `=`.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        parse::parse(text)
    }

    /// The value; `None` where a hidden name takes part.
    ///
    /// # Errors
    /// An unknown name, operands of the wrong type, a division by zero, a result that no number holds.
    pub fn value(&self, lookup: &impl Fn(&str) -> Result<Binding, Option<String>>) -> Result<Option<Value>, Mistake> {
        match &self.kind {
            Kind::Literal(value) => Ok(Some(value.clone())),
            Kind::Name(name) => match lookup(name) {
                Ok(Binding::Value(value)) => Ok(Some(value)),
                Ok(Binding::Hidden) => Ok(None),
                Err(help) => Err(Mistake {
                    help,
                    ..self.mistake(format!("`{name}` is not known here"))
                }),
            },
            Kind::Unary(Unary::Not, inner) => Ok(inner.condition(lookup)?.map(|holds| Value::Bool(!holds))),
            Kind::Unary(Unary::Minus, inner) => match inner.number(lookup)? {
                None => Ok(None),
                Some(Num::Whole(n)) => self.number_value(n.checked_neg().map(Num::Whole)),
                Some(Num::Real(x)) => self.number_value(Some(Num::Real(-x))),
            },
            Kind::Binary(op, a, b) => self.binary(*op, a, b, lookup),
            Kind::Choice {
                then,
                condition,
                otherwise,
            } => match condition.condition(lookup)? {
                None => Ok(None),
                Some(true) => then.value(lookup),
                Some(false) => otherwise.value(lookup),
            },
            Kind::Call(function, args) => self.call(*function, args, lookup),
        }
    }

    /// The truth of a condition; `None` where a hidden name takes part.
    pub fn condition(
        &self,
        lookup: &impl Fn(&str) -> Result<Binding, Option<String>>,
    ) -> Result<Option<bool>, Mistake> {
        match self.value(lookup)? {
            None => Ok(None),
            Some(Value::Bool(holds)) => Ok(Some(holds)),
            Some(other) => Err(self.mistake(format!("{} is not a condition, which is true or false", shown(&other)))),
        }
    }

    fn number(&self, lookup: &impl Fn(&str) -> Result<Binding, Option<String>>) -> Result<Option<Num>, Mistake> {
        let Some(value) = self.value(lookup)? else {
            return Ok(None);
        };
        let number = match &value {
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Some(Num::Whole(whole)),
                None => number.as_f64().map(Num::Real),
            },
            _ => None,
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(self.mistake(format!("{} is not a number", shown(&value)))),
        }
    }

    fn binary(
        &self,
        op: Binary,
        a: &Expression,
        b: &Expression,
        lookup: &impl Fn(&str) -> Result<Binding, Option<String>>,
    ) -> Result<Option<Value>, Mistake> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match op {
            Binary::Or | Binary::And => {
                let (a, b) = (a.condition(lookup)?, b.condition(lookup)?);
                let joined = a.zip(b).map(|(a, b)| if op == Binary::Or { a || b } else { a && b });
                return Ok(joined.map(Value::Bool));
            }
            Binary::Equal | Binary::NotEqual => {
                let both = a.value(lookup)?.zip(b.value(lookup)?);
                return Ok(both.map(|(a, b)| {
                    let equal = match (a.as_f64(), b.as_f64()) {
                        (Some(a), Some(b)) => a == b,
                        _ => a == b,
                    };
                    Value::Bool(equal == (op == Binary::Equal))
                }));
            }
            _ => {}
        }
        let Some((a, b)) = a.number(lookup)?.zip(b.number(lookup)?) else {
            return Ok(None);
        };
        let order = a.real().partial_cmp(&b.real());
        let truth = |holds: bool| Ok(Some(Value::Bool(holds)));
        let both = |whole: fn(i64, i64) -> Option<i64>, real: fn(f64, f64) -> f64| match (a, b) {
            (Num::Whole(a), Num::Whole(b)) => whole(a, b).map(Num::Whole),
            _ => Some(Num::Real(real(a.real(), b.real()))),
        };
        let divides = matches!(op, Binary::Divide | Binary::FloorDivide | Binary::Remainder);
        if divides && b.real() == 0.0 {
            return Err(self.mistake("a division by zero"));
        }
        let number = match op {
            Binary::Less => return truth(order == Some(Less)),
            Binary::LessOrEqual => return truth(matches!(order, Some(Less | Equal))),
            Binary::Greater => return truth(order == Some(Greater)),
            Binary::GreaterOrEqual => return truth(matches!(order, Some(Greater | Equal))),
            Binary::Add => both(i64::checked_add, |a, b| a + b),
            Binary::Subtract => both(i64::checked_sub, |a, b| a - b),
            Binary::Multiply => both(i64::checked_mul, |a, b| a * b),
            Binary::Divide => Some(Num::Real(a.real() / b.real())),
            Binary::FloorDivide => both(floor_divide, |a, b| (a / b).floor()),
            Binary::Remainder => both(
                |a, b| {
                    floor_divide(a, b)?
                        .checked_mul(b)
                        .and_then(|whole| a.checked_sub(whole))
                },
                |a, b| a - (a / b).floor() * b,
            ),
            Binary::Or | Binary::And | Binary::Equal | Binary::NotEqual => None,
        };
        self.number_value(number)
    }

    fn call(
        &self,
        function: Function,
        args: &[Expression],
        lookup: &impl Fn(&str) -> Result<Binding, Option<String>>,
    ) -> Result<Option<Value>, Mistake> {
        let mut numbers = Vec::with_capacity(args.len());
        for arg in args {
            match arg.number(lookup)? {
                Some(number) => numbers.push(number),
                None => return Ok(None),
            }
        }
        let arity = match function {
            Function::Min | Function::Max => 1..=usize::MAX,
            Function::Divisible => 2..=2,
            _ => 1..=1,
        };
        if !arity.contains(&numbers.len()) {
            return Err(self.mistake(format!("takes {} argument(s), got {}", arity.start(), numbers.len())));
        }
        let first = numbers[0];
        let better = |keep: fn(f64, f64) -> bool| {
            let pick = |best: Num, &next: &Num| if keep(best.real(), next.real()) { best } else { next };
            Some(numbers.iter().fold(first, pick))
        };
        let whole = |round: fn(f64) -> f64| match first {
            Num::Whole(_) => Some(first),
            Num::Real(x) => to_whole(round(x)),
        };
        let number = match function {
            Function::Min => better(|best, next| best <= next),
            Function::Max => better(|best, next| best >= next),
            Function::Round => whole(f64::round),
            Function::Ceil => whole(f64::ceil),
            Function::Floor => whole(f64::floor),
            Function::Int => whole(f64::trunc),
            Function::Abs => match first {
                Num::Whole(n) => n.checked_abs().map(Num::Whole),
                Num::Real(x) => Some(Num::Real(x.abs())),
            },
            Function::Divisible => match numbers[1] {
                Num::Whole(divisor) if divisor > 0 => divisible(first.real(), divisor),
                _ => return Err(self.mistake("the divisor is not a whole number above zero")),
            },
        };
        self.number_value(number)
    }

    fn number_value(&self, number: Option<Num>) -> Result<Option<Value>, Mistake> {
        match number.and_then(Num::value) {
            Some(value) => Ok(Some(value)),
            None => Err(self.mistake("the result is too large")),
        }
    }

    fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake {
            range: self.range.clone(),
            message: message.into(),
            help: None,
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
        other => format!("`{other}`"),
    }
}

fn floor_divide(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    let inexact = a.checked_rem(b)? != 0;
    Some(if inexact && (a < 0) != (b < 0) {
        quotient - 1
    } else {
        quotient
    })
}

fn to_whole(x: f64) -> Option<Num> {
    (x.abs() < 9e15).then_some(Num::Whole(x as i64))
}

/// Source: `_make_divisible` of the reference MobileNet code.
fn divisible(n: f64, divisor: i64) -> Option<Num> {
    let d = divisor as f64;
    let near = (((n + d / 2.0) / d).floor() * d).max(d);
    to_whole(if near < 0.9 * n { near + d } else { near })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lookup(name: &str) -> Result<Binding, Option<String>> {
        match name {
            "in" => Ok(Binding::Value(json!(16))),
            "kernel" => Ok(Binding::Value(json!(5))),
            "width" => Ok(Binding::Value(json!(0.75))),
            "act" => Ok(Binding::Value(json!("relu6"))),
            "hidden" => Ok(Binding::Hidden),
            _ => Err(Some("did you mean `in`?".into())),
        }
    }

    fn value(text: &str) -> String {
        match Expression::parse(text).and_then(|e| e.value(&lookup)) {
            Ok(Some(value)) => value.to_string(),
            Ok(None) => "hidden".into(),
            Err(m) => {
                let help = m.help.map(|h| format!("; {h}")).unwrap_or_default();
                format!("{:?} {}{help}", &text[m.range], m.message)
            }
        }
    }

    #[test]
    fn expressions_are_computed_as_python_would() {
        for (text, expected) in [
            ("kernel // 2", "2"),
            ("-kernel // 2", "-3"),
            ("-7 % 3", "2"),
            ("7 / 2", "3.5"),
            ("2 + 3 * 4 - 1", "13"),
            ("(2 + 3) * 4", "20"),
            ("in == 16 and not kernel == 3", "true"),
            ("$in * 6", "96"),
            ("kernel if in > 8 else 1", "5"),
            ("1 if false else 2 if false else 3", "3"),
            ("act == 'relu6' or false", "true"),
            ("divisible(32 * width, 8)", "24"),
            ("divisible(16 * 0.35, 8)", "8"),
            ("divisible(11, 8)", "16"),
            ("max(1, 2.5, -3)", "2.5"),
            ("ceil(2 * 1.1)", "3"),
            ("round(2.5)", "3"),
            ("1e-3 * 1000", "1.0"),
            ("hidden + 1", "hidden"),
            ("in == 16.0", "true"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_point_at_their_words() {
        insta::assert_snapshot!(value("kernal // 2"), @r#""kernal" `kernal` is not known here; did you mean `in`?"#);
        insta::assert_snapshot!(value("kernel // 0"), @r#""kernel // 0" a division by zero"#);
        insta::assert_snapshot!(value("act + 1"), @r#""act" `"relu6"` is not a number"#);
        insta::assert_snapshot!(value("not kernel"), @r#""kernel" `5` is not a condition, which is true or false"#);
        insta::assert_snapshot!(value("1 +"), @r#""" a value is missing at the end"#);
        insta::assert_snapshot!(value("(1 + 2"), @r#""(" a parenthesis is not closed; add `)`"#);
        insta::assert_snapshot!(value("1 2"), @r#""2" the expression should end here"#);
        insta::assert_snapshot!(value("a = b"), @r#""=" `=` means nothing here; write `==` to compare"#);
        insta::assert_snapshot!(value("sqrt(2)"), @r#""sqrt" there is no function `sqrt`; functions: `min`, `max`, `round`, `ceil`, `floor`, `int`, `abs`, `divisible`"#);
        insta::assert_snapshot!(value("9223372036854775807 + 1"), @r#""9223372036854775807 + 1" the result is too large"#);
        assert!(value(&"(".repeat(100)).contains("nested too deeply"));
        assert!(value(&"-".repeat(100_000)).contains("too long"));
    }
}

//! Text → [`Expression`], by recursive descent.

use std::ops::Range;

use recipe::suggest;
use serde_json::{Number, Value};

use super::{Binary, Expression, FUNCTIONS, Kind, Mistake, Unary};

/// Levels of parentheses, signs and choices.
const MAX_DEPTH: usize = 32;
/// Words and symbols of one expression.
const MAX_TOKENS: usize = 500;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Value(Value),
    Word(String),
    Symbol(&'static str),
}

/// Longer symbols first.
const SYMBOLS: [&str; 16] = [
    "==", "!=", "<=", ">=", "//", "<", ">", "+", "-", "*", "/", "%", "(", ")", ",", "$",
];

/// Words that are operators or values.
const RESERVED: [&str; 7] = ["and", "or", "not", "if", "else", "true", "false"];

/// Binary operators, the loosest first.
const LEVELS: [&[(&str, Binary)]; 5] = [
    &[("or", Binary::Or)],
    &[("and", Binary::And)],
    &[
        ("==", Binary::Equal),
        ("!=", Binary::NotEqual),
        ("<=", Binary::LessOrEqual),
        (">=", Binary::GreaterOrEqual),
        ("<", Binary::Less),
        (">", Binary::Greater),
    ],
    &[("+", Binary::Add), ("-", Binary::Subtract)],
    &[
        ("*", Binary::Multiply),
        ("//", Binary::FloorDivide),
        ("/", Binary::Divide),
        ("%", Binary::Remainder),
    ],
];

/// The level of `not`: looser than comparisons, tighter than `and`.
const NOT_LEVEL: usize = 2;

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expression, Mistake> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        end: text.len(),
        depth: 0,
    };
    let expression = parser.choice()?;
    match parser.tokens.get(parser.next) {
        None => Ok(expression),
        Some((_, range)) => Err(mistake(range.clone(), "the expression should end here", None)),
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn choice(&mut self) -> Result<Expression, Mistake> {
        let then = self.level(0)?;
        if self.take("if").is_none() {
            return Ok(then);
        }
        let condition = self.level(0)?;
        let Some(range) = self.take("else") else {
            return Err(self.missing("`else` is missing"));
        };
        let otherwise = self.deeper(&range, Self::choice)?;
        let range = then.range.start..otherwise.range.end;
        let kind = Kind::Choice {
            then: Box::new(then),
            condition: Box::new(condition),
            otherwise: Box::new(otherwise),
        };
        Ok(Expression { kind, range })
    }

    fn level(&mut self, level: usize) -> Result<Expression, Mistake> {
        let Some(operators) = LEVELS.get(level) else {
            return self.sign();
        };
        if level == NOT_LEVEL
            && let Some(range) = self.take("not")
        {
            let inner = self.deeper(&range, |parser| parser.level(NOT_LEVEL))?;
            return Ok(unary(Unary::Not, range, inner));
        }
        let mut left = self.level(level + 1)?;
        while let Some(op) = operators.iter().find_map(|(text, op)| self.take(text).map(|_| *op)) {
            let right = self.level(level + 1)?;
            let range = left.range.start..right.range.end;
            left = Expression {
                kind: Kind::Binary(op, Box::new(left), Box::new(right)),
                range,
            };
        }
        Ok(left)
    }

    fn sign(&mut self) -> Result<Expression, Mistake> {
        let Some(range) = self.take("-") else {
            return self.atom();
        };
        let inner = self.deeper(&range, Self::sign)?;
        Ok(unary(Unary::Minus, range, inner))
    }

    fn atom(&mut self) -> Result<Expression, Mistake> {
        let Some((token, range)) = self.tokens.get(self.next).cloned() else {
            return Err(self.missing("a value is missing at the end"));
        };
        self.next += 1;
        match token {
            Token::Value(value) => Ok(Expression {
                kind: Kind::Literal(value),
                range,
            }),
            Token::Symbol("(") => {
                let inner = self.deeper(&range, Self::choice)?;
                match self.take(")") {
                    Some(close) => Ok(Expression {
                        range: range.start..close.end,
                        ..inner
                    }),
                    None => Err(mistake(range, "a parenthesis is not closed", Some("add `)`".into()))),
                }
            }
            Token::Symbol("$") => match self.tokens.get(self.next) {
                Some((Token::Word(name), word)) if word.start == range.end => {
                    let name = name.clone();
                    let range = range.start..word.end;
                    self.next += 1;
                    Ok(Expression {
                        kind: Kind::Name(name),
                        range,
                    })
                }
                _ => Err(mistake(range, "`$` without a name", None)),
            },
            Token::Word(word) if word == "true" || word == "false" => Ok(Expression {
                kind: Kind::Literal(Value::Bool(word == "true")),
                range,
            }),
            Token::Word(word) if !RESERVED.contains(&word.as_str()) => match self.take("(") {
                None => Ok(Expression {
                    kind: Kind::Name(word),
                    range,
                }),
                Some(open) => self.call(&word, range, &open),
            },
            Token::Word(_) | Token::Symbol(_) => Err(mistake(range, "a value is missing before this", None)),
        }
    }

    fn call(&mut self, name: &str, range: Range<usize>, open: &Range<usize>) -> Result<Expression, Mistake> {
        let function = FUNCTIONS.iter().find(|(known, ..)| *known == name);
        let Some((_, function, _)) = function else {
            let names = FUNCTIONS.iter().map(|(name, ..)| *name);
            let help = suggest::help(name, "functions", names);
            return Err(mistake(range, &format!("there is no function `{name}`"), help));
        };
        let mut args = vec![self.deeper(open, Self::choice)?];
        while self.take(",").is_some() {
            args.push(self.deeper(open, Self::choice)?);
        }
        match self.take(")") {
            Some(close) => Ok(Expression {
                kind: Kind::Call(*function, args),
                range: range.start..close.end,
            }),
            None => Err(mistake(
                open.clone(),
                "a parenthesis is not closed",
                Some("add `)`".into()),
            )),
        }
    }

    fn deeper(
        &mut self,
        range: &Range<usize>,
        inner: impl FnOnce(&mut Self) -> Result<Expression, Mistake>,
    ) -> Result<Expression, Mistake> {
        if self.depth == MAX_DEPTH {
            return Err(mistake(range.clone(), "nested too deeply", None));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn missing(&self, message: &str) -> Mistake {
        mistake(self.end..self.end, message, None)
    }

    /// Steps over a symbol or word.
    fn take(&mut self, wanted: &str) -> Option<Range<usize>> {
        let (token, range) = self.tokens.get(self.next)?;
        let here = match token {
            Token::Symbol(symbol) => *symbol == wanted,
            Token::Word(word) => word == wanted,
            Token::Value(_) => false,
        };
        here.then(|| {
            self.next += 1;
            range.clone()
        })
    }
}

fn unary(op: Unary, before: Range<usize>, inner: Expression) -> Expression {
    let range = before.start..inner.range.end;
    Expression {
        kind: Kind::Unary(op, Box::new(inner)),
        range,
    }
}

fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Mistake> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let start = text.len() - rest.len();
        if tokens.len() == MAX_TOKENS {
            return Err(mistake(
                start..start + first.len_utf8(),
                "the expression is too long",
                None,
            ));
        }
        let (token, length) =
            token(rest, first).map_err(|(length, message, help)| mistake(start..start + length, &message, help))?;
        tokens.push((token, start..start + length));
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

type Wrong = (usize, String, Option<String>);

fn token(rest: &str, first: char) -> Result<(Token, usize), Wrong> {
    if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
        return Ok((Token::Symbol(symbol), symbol.len()));
    }
    let wrong = |message: String, help: Option<&str>| Err((first.len_utf8(), message, help.map(str::to_owned)));
    match first {
        '\'' | '"' => match rest[1..].find(first) {
            Some(length) => Ok((Token::Value(rest[1..=length].into()), length + 2)),
            None => wrong("a quotation mark is not closed".into(), None),
        },
        '0'..='9' | '.' => {
            let length = number_length(rest);
            let number = number(&rest[..length]);
            let number = number.ok_or_else(|| (length, "not a number".to_owned(), None))?;
            Ok((Token::Value(Value::Number(number)), length))
        }
        first if first.is_alphabetic() || first == '_' => {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            let length = end.unwrap_or(rest.len());
            Ok((Token::Word(rest[..length].to_owned()), length))
        }
        '=' => wrong("`=` means nothing here".into(), Some("write `==` to compare")),
        other => wrong(format!("`{other}` means nothing here"), None),
    }
}

fn number_length(text: &str) -> usize {
    let mut previous = ' ';
    let end = text.char_indices().find(|&(_, c)| {
        let sign = matches!(c, '+' | '-') && matches!(previous, 'e' | 'E');
        previous = c;
        !(sign || c.is_ascii_alphanumeric() || c == '.')
    });
    end.map_or(text.len(), |(index, _)| index)
}

fn number(text: &str) -> Option<Number> {
    match text.parse::<i64>() {
        Ok(whole) => Some(whole.into()),
        Err(_) => text.parse::<f64>().ok().and_then(Number::from_f64),
    }
}

fn mistake(range: Range<usize>, message: &str, help: Option<String>) -> Mistake {
    Mistake {
        range,
        message: message.into(),
        help,
    }
}

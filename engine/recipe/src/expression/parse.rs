//! Text → [`Expression`], by recursive descent.

use std::ops::Range;

use serde_json::{Number, Value};

use super::{Comparison, Expression, Kind, Mistake};
use crate::name;

/// Levels of parentheses and `not`.
const MAX_DEPTH: usize = 32;
/// Words and symbols of one condition.
const MAX_TOKENS: usize = 500;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Value(Value),
    Name(String),
    Not,
    And,
    Or,
    Compare(Comparison),
    Open,
    Close,
}

/// Reads a condition.
pub(crate) fn parse(text: &str) -> Result<Expression, Mistake> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        end: text.len(),
        depth: 0,
    };
    let expression = parser.or()?;
    match parser.peek() {
        None => Ok(expression),
        Some((_, range)) => Err(mistake(
            range,
            "the condition should end here",
            "join conditions with `and` or `or`",
        )),
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn or(&mut self) -> Result<Expression, Mistake> {
        let mut left = self.and()?;
        while self.take(&Token::Or).is_some() {
            let right = self.and()?;
            left = join(left, right, Kind::Or);
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, Mistake> {
        let mut left = self.not()?;
        while self.take(&Token::And).is_some() {
            let right = self.not()?;
            left = join(left, right, Kind::And);
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expression, Mistake> {
        let Some(range) = self.take(&Token::Not) else {
            return self.comparison();
        };
        let inner = self.deeper(&range, Self::not)?;
        let range = range.start..inner.range.end;
        Ok(Expression {
            kind: Kind::Not(Box::new(inner)),
            range,
        })
    }

    fn comparison(&mut self) -> Result<Expression, Mistake> {
        let left = self.value()?;
        let Some((Token::Compare(comparison), _)) = self.peek() else {
            return Ok(left);
        };
        self.next += 1;
        let right = self.value()?;
        Ok(join(left, right, |left, right| Kind::Compare(comparison, left, right)))
    }

    fn value(&mut self) -> Result<Expression, Mistake> {
        let Some((token, range)) = self.peek() else {
            return Err(mistake(
                self.end..self.end,
                "a value is missing at the end",
                "such as `0.5`, `'text'` or `$name`",
            ));
        };
        self.next += 1;
        let kind = match token {
            Token::Value(value) => Kind::Literal(value),
            Token::Name(name) => Kind::Name(name),
            Token::Open => {
                let inner = self.deeper(&range, Self::or)?;
                let Some(close) = self.take(&Token::Close) else {
                    return Err(mistake(range, "a parenthesis is not closed", "add `)`"));
                };
                return Ok(Expression {
                    range: range.start..close.end,
                    ..inner
                });
            }
            Token::Not | Token::And | Token::Or | Token::Compare(_) | Token::Close => {
                return Err(mistake(
                    range,
                    "a value is missing before this",
                    "such as `0.5`, `'text'` or `$name`",
                ));
            }
        };
        Ok(Expression { kind, range })
    }

    fn deeper(
        &mut self,
        range: &Range<usize>,
        inner: impl FnOnce(&mut Self) -> Result<Expression, Mistake>,
    ) -> Result<Expression, Mistake> {
        if self.depth == MAX_DEPTH {
            return Err(Mistake {
                range: range.clone(),
                message: "nested too deeply".into(),
                help: None,
            });
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn peek(&self) -> Option<(Token, Range<usize>)> {
        self.tokens.get(self.next).cloned()
    }

    fn take(&mut self, wanted: &Token) -> Option<Range<usize>> {
        let (token, range) = self.tokens.get(self.next)?;
        (token == wanted).then(|| {
            self.next += 1;
            range.clone()
        })
    }
}

fn join(
    left: Expression,
    right: Expression,
    kind: impl FnOnce(Box<Expression>, Box<Expression>) -> Kind,
) -> Expression {
    let range = left.range.start..right.range.end;
    Expression {
        kind: kind(Box::new(left), Box::new(right)),
        range,
    }
}

fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Mistake> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let start = text.len() - rest.len();
        let (token, length) =
            token(rest, first).map_err(|(length, message, help)| mistake(start..start + length, &message, &help))?;
        tokens.push((token, start..start + length));
        if tokens.len() > MAX_TOKENS {
            return Err(mistake(
                start..start + length,
                "the condition is too long",
                "split the step in two",
            ));
        }
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// The first token of `rest` and its length, or the length of what is wrong, the message and the help.
fn token(rest: &str, first: char) -> Result<(Token, usize), (usize, String, String)> {
    const SYMBOLS: [(&str, Token); 8] = [
        ("==", Token::Compare(Comparison::Equal)),
        ("!=", Token::Compare(Comparison::NotEqual)),
        ("<=", Token::Compare(Comparison::LessOrEqual)),
        (">=", Token::Compare(Comparison::GreaterOrEqual)),
        ("<", Token::Compare(Comparison::Less)),
        (">", Token::Compare(Comparison::Greater)),
        ("(", Token::Open),
        (")", Token::Close),
    ];
    if let Some((symbol, token)) = SYMBOLS.into_iter().find(|(symbol, _)| rest.starts_with(symbol)) {
        return Ok((token, symbol.len()));
    }
    let wrong = |length: usize, message: &str, help: &str| Err((length, message.to_owned(), help.to_owned()));
    match first {
        '\'' | '"' => match rest[1..].find(first) {
            Some(length) => Ok((Token::Value(rest[1..=length].into()), length + 2)),
            None => wrong(
                rest.len(),
                "a quotation mark is not closed",
                "text stands between two quotation marks",
            ),
        },
        '$' => {
            let length = 1 + word_length(&rest[1..]);
            let name = &rest[1..length];
            if name::is_name(name) {
                Ok((Token::Name(name.into()), length))
            } else {
                wrong(
                    length,
                    "`$` without a name",
                    "write `$name`, the name of a param or an axis",
                )
            }
        }
        '0'..='9' | '-' | '+' | '.' => {
            let length = number_length(rest);
            match number(&rest[..length]) {
                Some(number) => Ok((Token::Value(Value::Number(number)), length)),
                None => wrong(
                    length.max(1),
                    "not a number",
                    "numbers are written `3`, `-0.5` or `1e-3`",
                ),
            }
        }
        first if first.is_alphabetic() || first == '_' => {
            let length = word_length(rest).max(first.len_utf8());
            match &rest[..length] {
                "true" => Ok((Token::Value(true.into()), length)),
                "false" => Ok((Token::Value(false.into()), length)),
                "not" => Ok((Token::Not, length)),
                "and" => Ok((Token::And, length)),
                "or" => Ok((Token::Or, length)),
                word => wrong(
                    length,
                    &format!("`{word}` means nothing here"),
                    &format!("write `'{word}'` for text, `${word}` for a param or an axis"),
                ),
            }
        }
        '=' => wrong(1, "`=` does not compare", "write `==`"),
        '&' => wrong(word_of('&', rest), "`&` joins nothing here", "write `and`"),
        '|' => wrong(word_of('|', rest), "`|` joins nothing here", "write `or`"),
        '!' => wrong(1, "`!` negates nothing here", "write `not`"),
        other => wrong(
            other.len_utf8(),
            &format!("`{other}` means nothing here"),
            "conditions compare values: `$a > 0.5`",
        ),
    }
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
        .unwrap_or(text.len())
}

fn word_of(symbol: char, text: &str) -> usize {
    text.len() - text.trim_start_matches(symbol).len()
}

fn number_length(text: &str) -> usize {
    let mut previous = ' ';
    let end = text.char_indices().find(|&(index, c)| {
        let sign = matches!(c, '+' | '-') && (index == 0 || matches!(previous, 'e' | 'E'));
        previous = c;
        !(sign || c.is_ascii_alphanumeric() || c == '.' || c == '_')
    });
    end.map_or(text.len(), |(index, _)| index)
}

fn number(text: &str) -> Option<Number> {
    match text.parse::<i64>() {
        Ok(integer) => Some(integer.into()),
        Err(_) => text.parse::<f64>().ok().and_then(Number::from_f64),
    }
}

fn mistake(range: Range<usize>, message: &str, help: &str) -> Mistake {
    Mistake {
        range,
        message: message.into(),
        help: Some(help.into()),
    }
}

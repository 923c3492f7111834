//! Text → [`Node`] tree, through the YAML crate's spanned values.

use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use serde_yaml::{DuplicateKeyPolicy, Location, MergeKeyPolicy, NonFiniteFloatPolicy, Options, Spanned};

use super::{Key, Node, Yaml, error};
use crate::diagnostic::{Complaints, Diagnostic, Place, SourceText, Span};

/// Levels of nesting that a recipe may have.
pub(super) const MAX_DEPTH: usize = 48;
/// Nodes that a recipe may have once aliases are followed.
pub(super) const MAX_NODES: usize = 200_000;

/// Parses one document. Mistakes that leave a readable tree (a key that stands twice, a merge key) go to `complaints`.
pub fn read(source: &Arc<SourceText>, complaints: &mut Complaints) -> Result<Node, Box<Diagnostic>> {
    let raw: Raw = serde_yaml::from_str_with_options(&source.text, options())
        .map_err(|failure| Box::new(error::explain(&failure, source)))?;
    Ok(Lowering {
        complaints,
        text: &source.text,
    }
    .node(raw))
}

/// Parses the value of a command-line option: a scalar, or a list in brackets. `None` where it is neither.
pub(crate) fn scalar(text: &str, place: &Place) -> Option<Node> {
    let raw: Raw = serde_yaml::from_str_with_options(text, options()).ok()?;
    let source = Arc::new(SourceText {
        name: String::new(),
        text: text.to_owned(),
    });
    let mut complaints = Complaints::new(&source);
    let mut node = Lowering {
        complaints: &mut complaints,
        text,
    }
    .node(raw);
    if !complaints.is_empty() {
        return None;
    }
    node.place = place.clone();
    match &mut node.value {
        Yaml::Map(_) => return None,
        Yaml::List(items) => items.iter_mut().for_each(|item| item.place = place.clone()),
        Yaml::Null | Yaml::Bool(_) | Yaml::Number(_) | Yaml::String(_) => {}
    }
    Some(node)
}

fn options() -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: MAX_NODES,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

/// A node as the YAML crate delivers it.
#[derive(Deserialize)]
#[serde(transparent)]
struct Raw(Spanned<RawValue>);

enum RawValue {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<RawValue, E> {
        Number::from_f64(value)
            .map(RawValue::Number)
            .ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<RawValue, E> {
        Ok(RawValue::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<RawValue, E> {
        Ok(RawValue::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(RawValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawValue, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(RawValue::Map(map))
    }
}

/// Turns the crate's tree into ours: byte spans instead of locations, text keys that stand once.
struct Lowering<'a> {
    complaints: &'a mut Complaints,
    text: &'a str,
}

impl Lowering<'_> {
    fn node(&mut self, Raw(raw): Raw) -> Node {
        let span = span_of(&raw.referenced, self.text);
        let (value, span) = match raw.value {
            RawValue::Null => (Yaml::Null, Span::new(span.start.min(self.text.len()), span.end)),
            RawValue::Bool(value) => (Yaml::Bool(value), span),
            RawValue::Number(value) => (Yaml::Number(value), span),
            RawValue::String(value) => (Yaml::String(value), span),
            RawValue::List(items) => {
                let items: Vec<_> = items.into_iter().map(|item| self.node(item)).collect();
                let span = self.container(span, items.last().map(|item| &item.place), b']');
                (Yaml::List(items), span)
            }
            RawValue::Map(entries) => {
                let entries = self.entries(entries);
                let span = self.container(span, entries.last().map(|(_, value)| &value.place), b'}');
                (Yaml::Map(entries), span)
            }
        };
        Node {
            value,
            place: span.into(),
        }
    }

    fn entries(&mut self, raw: Vec<(Raw, Raw)>) -> Vec<(Key, Node)> {
        let mut entries: Vec<(Key, Node)> = Vec::with_capacity(raw.len());
        let mut places = std::collections::HashMap::with_capacity(raw.len());
        for (Raw(key), value) in raw {
            let place = Place::from(span_of(&key.referenced, self.text));
            let mut value = self.node(value);
            let name = match key.value {
                RawValue::String(name) => name,
                RawValue::Number(number) => number.to_string(),
                RawValue::Bool(value) => value.to_string(),
                RawValue::Null | RawValue::List(_) | RawValue::Map(_) => {
                    self.complaints.push(self.complaints.at(place, "a key must be a word"));
                    continue;
                }
            };
            if name == "<<" {
                self.complaints.push(
                    self.complaints
                        .at(place, "merge keys (`<<`) are not part of a recipe")
                        .help("write the keys out, or share values through `params`"),
                );
                continue;
            }
            if let Some(first) = places.get(&name) {
                self.complaints.push(
                    self.complaints
                        .at(place, format!("`{name}` stands twice"))
                        .label("again here")
                        .related(Place::clone(first), "first here")
                        .help("a key may stand once in a mapping; rename or remove one of them"),
                );
                continue;
            }
            if matches!(value.value, Yaml::Null) && !self.is_written(&value.place) {
                value.place = place.clone();
            }
            places.insert(name.clone(), place.clone());
            entries.push((Key { name, place }, value));
        }
        entries
    }

    /// Whether a null stands in the text, as `~` or `null`, rather than being left out.
    fn is_written(&self, place: &Place) -> bool {
        match place {
            Place::Recipe(span) => self
                .text
                .get(span.start..)
                .is_some_and(|rest| rest.starts_with(['~', 'n', 'N'])),
            Place::Option(_) => true,
        }
    }

    /// The span of a list or mapping: an alias, up to the closing bracket on the same line, or the first character.
    fn container(&self, span: Span, last: Option<&Place>, close: u8) -> Span {
        let bytes = self.text.as_bytes();
        let first = Span::new(span.start, self.text.ceil_char_boundary(span.start + 1));
        if !matches!(bytes.get(span.start), Some(b'[' | b'{')) {
            return if span.end > first.end { span } else { first };
        }
        let inner = match last {
            Some(Place::Recipe(last)) => last.end.max(span.start + 1),
            Some(Place::Option(_)) | None => span.start + 1,
        };
        let rest = bytes.get(inner..).unwrap_or_default();
        match rest.iter().position(|&byte| byte == close) {
            Some(gap) if !bytes[span.start..inner + gap].contains(&b'\n') => Span::new(span.start, inner + gap + 1),
            _ => first,
        }
    }
}

/// The byte range of a location. Where the parser knows only line and column, nothing wide at that position.
pub(super) fn span_of(location: &Location, text: &str) -> Span {
    if let Some(start) = location.span().byte_offset() {
        let start = start as usize;
        return Span::new(start, start + location.span().byte_len().unwrap_or_default() as usize);
    }
    let line = (location.line() as usize).saturating_sub(1);
    let start = text.split_inclusive('\n').take(line).map(str::len).sum::<usize>();
    let column = (location.column() as usize).saturating_sub(1);
    let rest = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
    let offset = rest.char_indices().nth(column).map_or(rest.len(), |(offset, _)| offset);
    Span::new(start + offset, start + offset)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn tree(text: &str) -> Node {
        let source = Arc::new(SourceText {
            name: "recipe.yaml".into(),
            text: text.into(),
        });
        read(&source, &mut Complaints::new(&source)).unwrap()
    }

    /// Every node beside the text its place covers.
    fn places(text: &str) -> String {
        fn list(node: &Node, text: &str, out: &mut String) {
            if let Place::Recipe(span) = &node.place {
                writeln!(out, "{} = {:?}", node.found(), &text[span.start..span.end]).unwrap();
            }
            match &node.value {
                Yaml::List(items) => items.iter().for_each(|item| list(item, text, out)),
                Yaml::Map(entries) => entries.iter().for_each(|(key, value)| {
                    write!(out, "{}: ", key.name).unwrap();
                    list(value, text, out);
                }),
                _ => {}
            }
        }
        let mut out = String::new();
        list(&tree(text), text, &mut out);
        out
    }

    #[test]
    fn places_cover_what_was_written() {
        let text = "plain: word # comment\nquoted: \"a b\"\nflow: { a: [1, 2.5], b: }\nblock:\n  - true\n  - ä: ö\nempty:\nfold: >\n  x\n  y\n";
        insta::assert_snapshot!(places(text), @r#"
        a mapping = "p"
        plain: the string `word` = "word"
        quoted: the string `a b` = "\"a b\""
        flow: a mapping = "{ a: [1, 2.5], b: }"
        a: a list = "[1, 2.5]"
        `1` = "1"
        `2.5` = "2.5"
        b: an empty value = "b"
        block: a list = "-"
        `true` = "true"
        a mapping = "ä"
        ä: the string `ö` = "ö"
        empty: an empty value = "empty"
        fold: the string `x y` = "x\n  y\n"
        "#);
    }

    #[test]
    fn scalars_are_read_strictly() {
        let text = "[no, on, yes, TRUE, true, 017, 1_000, 0x10, 1e-3, 12:30:45, 2024-01-01, ~, .inf, '5', -3]";
        insta::assert_snapshot!(tree(text).plain(), @r#"["no","on","yes",true,true,"017","1_000",16,0.001,"12:30:45","2024-01-01",null,".inf","5",-3]"#);
    }

    #[test]
    fn aliases_repeat_values_and_point_at_their_use() {
        let text = "a: &x [1, 2]\nb: *x\n";
        insta::assert_snapshot!(places(text), @r#"
        a mapping = "a"
        a: a list = "[1, 2]"
        `1` = "1"
        `2` = "2"
        b: a list = "*x"
        `1` = "*x"
        `2` = "*x"
        "#);
    }

    #[test]
    fn option_values_are_scalars_or_lists() {
        let place = Place::Option("--set x".into());
        let read = |text| scalar(text, &place).map(|node| node.plain().to_string());
        assert_eq!(read("0.5").as_deref(), Some("0.5"));
        assert_eq!(read("[1, a]").as_deref(), Some(r#"[1,"a"]"#));
        assert_eq!(read("").as_deref(), Some("null"));
        assert_eq!(read("{a: 1}"), None);
        assert_eq!(read("a: 1"), None);
        assert_eq!(read("[1"), None);
    }
}

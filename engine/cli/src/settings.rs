//! `pipeline.toml` beside a recipe: what holds for a project and not for a recipe.
//!
//! ```toml
//! [remote-cache]
//! url = "https://cache.example.org/team"
//! mode = "read-only"
//! ```
//!
//! Of TOML, tables, texts and lists of texts on one line are read, which is all that such files may hold; anything else is a mistake of its line.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use crate::exit::{Exit, Failure, OrExit};
use crate::trust::TRUST;

/// Name of the file.
const FILE: &str = "pipeline.toml";

/// What the file may say.
const KNOWN: [&str; 2] = ["remote-cache.url", "remote-cache.mode"];

/// What stands in the file, by names such as `remote-cache.url`, with the places.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, (Vec<String>, String)>);

impl Settings {
    /// The settings beside a recipe; none where there is no file.
    pub fn beside(recipe: &Path) -> Result<Settings, Failure> {
        Self::read(&recipe.parent().unwrap_or(Path::new("")).join(FILE), &KNOWN)
    }

    /// The settings in a file that may hold these; none where there is no file.
    pub fn read(path: &Path, known: &[&str]) -> Result<Settings, Failure> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Settings::default()),
            read => read.with_context(|| format!("{}: cannot read the settings", path.display())),
        };
        parse(&text.or_exit(Exit::Invalid)?, &path.display().to_string(), known)
            .map_err(|problem| anyhow!(problem))
            .or_exit(Exit::Invalid)
    }

    /// A setting of one text, and where it stands.
    pub fn get(&self, name: &str) -> Option<(&str, &str)> {
        let (values, place) = self.all(name)?;
        Some((values.first()?.as_str(), place))
    }

    /// A setting of several texts, and where it stands.
    pub fn all(&self, name: &str) -> Option<(&[String], &str)> {
        self.0
            .get(name)
            .map(|(values, place)| (values.as_slice(), place.as_str()))
    }
}

fn parse(text: &str, file: &str, known: &[&str]) -> Result<Settings, String> {
    let mut table = String::new();
    let mut settings = BTreeMap::new();
    for (i, line) in text.lines().enumerate() {
        let place = format!("{file}:{}", i + 1);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (head, value) = line
            .split_once('=')
            .map_or((line, None), |(name, value)| (name.trim(), Some(value.trim())));
        if let Some(value) = value {
            let name = if table.is_empty() {
                head.to_owned()
            } else {
                format!("{table}.{head}")
            };
            if !known.contains(&name.as_str()) {
                return Err(if name == TRUST {
                    format!(
                        "{place}: `{name}` is for the user's own configuration, ~/.config/pipeline/config.toml: a folder cannot trust itself"
                    )
                } else {
                    format!("{place}: `{name}` is no setting; there are {}", known.join(" and "))
                });
            }
            let read = match name.as_str() {
                TRUST => texts_of(value).ok_or("a list of texts in quotes, such as [\"/home/ann/labs\"]"),
                _ => text_of(value)
                    .map(|text| vec![text])
                    .ok_or("a text in quotes, such as \"read-only\""),
            };
            let value = read.map_err(|wanted| format!("{place}: {name}: expected {wanted}"))?;
            if settings.insert(name.clone(), (value, place.clone())).is_some() {
                return Err(format!("{place}: `{name}` is set twice; keep one"));
            }
        } else {
            let name = comment_removed(head)
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            let name = name.ok_or_else(|| format!("{place}: expected [TABLE] or NAME = \"TEXT\", found `{line}`"))?;
            name.trim().clone_into(&mut table);
        }
    }
    Ok(Settings(settings))
}

/// A TOML string on one line, with nothing but a comment after it.
fn text_of(value: &str) -> Option<String> {
    let (text, rest) = quoted(value)?;
    comment_removed(rest).is_empty().then_some(text)
}

/// A TOML array of strings on one line, with nothing but a comment after it.
fn texts_of(value: &str) -> Option<Vec<String>> {
    let mut rest = value.strip_prefix('[')?.trim_start();
    let mut texts = Vec::new();
    loop {
        if let Some(end) = rest.strip_prefix(']') {
            return comment_removed(end).is_empty().then_some(texts);
        }
        let (text, behind) = quoted(rest)?;
        texts.push(text);
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None => behind.starts_with(']').then_some(behind)?,
        };
    }
}

/// The text in quotes at the start, and what comes behind.
fn quoted(value: &str) -> Option<(String, &str)> {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (text, rest) = value[1..].split_once(quote)?;
    // Escapes have no use in what is set here.
    let plain = !(quote == '"' && text.contains('\\'));
    plain.then(|| (text.to_owned(), rest))
}

fn comment_removed(text: &str) -> &str {
    text.split('#').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_texts_are_read() {
        let text =
            "# of the team\n\n[remote-cache]  # shared\nurl = \"https://host/a#b\" # or none\nmode = 'read-only'\n";
        let settings = parse(text, "pipeline.toml", &KNOWN).unwrap();
        assert_eq!(
            settings.get("remote-cache.url"),
            Some(("https://host/a#b", "pipeline.toml:4"))
        );
        assert_eq!(
            settings.get("remote-cache.mode"),
            Some(("read-only", "pipeline.toml:5"))
        );
        let dotted = parse("remote-cache.url = \"file:///x\"", "p", &KNOWN).unwrap();
        assert_eq!(dotted.get("remote-cache.url"), Some(("file:///x", "p:1")));
        assert_eq!(parse("", "p", &KNOWN), Ok(Settings::default()));
        let trusted = parse("[external]\ntrust = [ \"/a b\", '/c', ] # mine", "p", &[TRUST]).unwrap();
        let folders = ["/a b", "/c"].map(String::from);
        assert_eq!(trusted.all(TRUST), Some((&folders[..], "p:2")));
    }

    #[test]
    fn mistakes_have_a_place() {
        let problem = |text: &str| parse(text, "pipeline.toml", &KNOWN).unwrap_err();
        insta::assert_snapshot!(problem("[external]\ntrust = [\"/x\"]"), @"pipeline.toml:2: `external.trust` is for the user's own configuration, ~/.config/pipeline/config.toml: a folder cannot trust itself");
        for odd in [
            "trust = \"/x\"",
            "trust = [\"/x\" \"/y\"]",
            "trust = [/x]",
            "trust = [\"/x\"",
        ] {
            let refused = parse(&format!("[external]\n{odd}"), "config.toml", &[TRUST]).unwrap_err();
            assert!(refused.contains("a list of texts in quotes"), "{odd}: {refused}");
        }
        insta::assert_snapshot!(problem("[remote-cache]\nurl = true"), @r#"pipeline.toml:2: remote-cache.url: expected a text in quotes, such as "read-only""#);
        insta::assert_snapshot!(problem("[remote-cache]\nurls = \"x\""), @"pipeline.toml:2: `remote-cache.urls` is no setting; there are remote-cache.url and remote-cache.mode");
        insta::assert_snapshot!(problem("remote cache"), @r#"pipeline.toml:1: expected [TABLE] or NAME = "TEXT", found `remote cache`"#);
        for odd in [
            "[remote-cache]\nurl = \"a\" \"b\"",
            "[remote-cache]\nurl = \"a",
            "[remote-cache]\nurl = \"\\u0041\"",
        ] {
            assert!(problem(odd).contains("in quotes"), "{odd}");
        }
        assert!(problem("[remote-cache]\nmode=\"a\"\nmode=\"b\"").contains("twice"));
    }
}

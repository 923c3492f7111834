//! `pipeline.toml` beside a recipe: what holds for a project and not for a recipe.
//!
//! ```toml
//! [remote-cache]
//! url = "https://cache.example.org/team"
//! mode = "read-only"
//! ```
//!
//! Of TOML, tables and texts are read, which is all that the file may hold; anything else is a mistake of its line.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use crate::exit::{Exit, Failure, OrExit};

/// Name of the file.
const FILE: &str = "pipeline.toml";

/// What the file may say.
const KNOWN: [&str; 2] = ["remote-cache.url", "remote-cache.mode"];

/// What stands in the file, by names such as `remote-cache.url`, with the places.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, (String, String)>);

impl Settings {
    /// The settings beside a recipe; none where there is no file.
    pub fn beside(recipe: &Path) -> Result<Settings, Failure> {
        let path = recipe.parent().unwrap_or(Path::new("")).join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Settings::default()),
            read => read.with_context(|| format!("{}: cannot read the settings", path.display())),
        };
        parse(&text.or_exit(Exit::Invalid)?, &path.display().to_string())
            .map_err(|problem| anyhow!(problem))
            .or_exit(Exit::Invalid)
    }

    /// A setting and where it stands.
    pub fn get(&self, name: &str) -> Option<(&str, &str)> {
        self.0.get(name).map(|(value, place)| (value.as_str(), place.as_str()))
    }
}

fn parse(text: &str, file: &str) -> Result<Settings, String> {
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
            if !KNOWN.contains(&name.as_str()) {
                return Err(format!(
                    "{place}: `{name}` is no setting; there are {}",
                    KNOWN.join(" and ")
                ));
            }
            let value = text_of(value)
                .ok_or_else(|| format!("{place}: {name}: expected a text in quotes, such as \"read-only\""))?;
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
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (text, rest) = value[1..].split_once(quote)?;
    // Escapes have no use in what is set here.
    let plain = !(quote == '"' && text.contains('\\'));
    (plain && comment_removed(rest).is_empty()).then(|| text.to_owned())
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
        let settings = parse(text, "pipeline.toml").unwrap();
        assert_eq!(
            settings.get("remote-cache.url"),
            Some(("https://host/a#b", "pipeline.toml:4"))
        );
        assert_eq!(
            settings.get("remote-cache.mode"),
            Some(("read-only", "pipeline.toml:5"))
        );
        let dotted = parse("remote-cache.url = \"file:///x\"", "p").unwrap();
        assert_eq!(dotted.get("remote-cache.url"), Some(("file:///x", "p:1")));
        assert_eq!(parse("", "p"), Ok(Settings::default()));
    }

    #[test]
    fn mistakes_have_a_place() {
        let problem = |text: &str| parse(text, "pipeline.toml").unwrap_err();
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

//! Complaints: what is wrong, where, what was expected, and what it could have been.
//!
//! A [`Diagnostic`] carries the text it points into, so it can be printed anywhere. Its [`Display`](fmt::Display) is one
//! line, `recipe.yaml:12:9: …`; [`Diagnostic::render`] shows the source line with carets.

use std::{fmt, ops::Range, sync::Arc};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::rule::Rule;

/// The text of a recipe and the name it is shown under.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceText {
    /// The path as the user wrote it.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl SourceText {
    /// The one-based line and column (in characters) of a byte offset.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

/// A byte range of the recipe's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes `start..end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The range, moved onto character boundaries of `text` and at least one character long where there is one.
    pub fn in_text(self, text: &str) -> Range<usize> {
        let start = text.floor_char_boundary(self.start);
        let end = text.ceil_char_boundary(self.end.max(start));
        if end > start || start == text.len() {
            start..end
        } else {
            start..text.ceil_char_boundary(start + 1)
        }
    }
}

/// Where something was written: in the recipe, or on the command line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// An option of the command line, as written: `--set sead=3`.
    Option(String),
    /// A range of the recipe's text.
    Recipe(Span),
}

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        Self::Recipe(span)
    }
}

/// Whether rendered diagnostics carry terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Text alone.
    Plain,
    /// Text with ANSI escapes.
    Coloured,
}

/// One complaint about a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    message: String,
    place: Place,
    label: String,
    related: Vec<(Place, String)>,
    help: Option<String>,
    remark: bool,
    rule: Rule,
    source: Arc<SourceText>,
}

impl Diagnostic {
    /// A complaint about `place`: lower case, what is wrong and what was expected.
    pub fn new(source: &Arc<SourceText>, place: impl Into<Place>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            place: place.into(),
            label: String::new(),
            related: Vec::new(),
            help: None,
            remark: false,
            rule: Rule::Recipe,
            source: Arc::clone(source),
        }
    }

    /// A warning: worth a look, and no reason to refuse the recipe.
    #[must_use]
    pub fn as_remark(mut self) -> Self {
        self.remark = true;
        self
    }

    /// Says what it is about, where that is not the text of the recipe.
    #[must_use]
    pub fn of(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    /// Adds words beside the carets.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds another place that takes part in the mistake.
    #[must_use]
    pub fn related(mut self, place: impl Into<Place>, label: impl Into<String>) -> Self {
        self.related.push((place.into(), label.into()));
        self
    }

    /// Adds the likely fix.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the likely fix if there is one.
    #[must_use]
    pub fn maybe_help(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it is wrong.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it is about.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Whether it is a warning.
    pub fn is_remark(&self) -> bool {
        self.remark
    }

    /// The likely fix.
    pub fn fix(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Other places that take part, with what they have to do with it.
    pub fn others(&self) -> &[(Place, String)] {
        &self.related
    }

    /// The text that it points into.
    pub fn source(&self) -> &SourceText {
        &self.source
    }

    /// The one-based line and column, where the place is in the recipe.
    pub fn position(&self) -> Option<(usize, usize)> {
        match &self.place {
            Place::Option(_) => None,
            Place::Recipe(span) => Some(self.source.position(span.start)),
        }
    }

    /// The complaint with its source lines, carets and help.
    pub fn render(&self, paint: Paint) -> String {
        let level = if self.remark { Level::WARNING } else { Level::ERROR };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        let mut annotations = Vec::new();
        let mut notes = Vec::new();
        match &self.place {
            Place::Recipe(span) => {
                let annotation = AnnotationKind::Primary.span(span.in_text(&self.source.text));
                annotations.push(if self.label.is_empty() {
                    annotation
                } else {
                    annotation.label(self.label.as_str())
                });
            }
            Place::Option(option) if self.label.is_empty() => notes.push(format!("in `{option}`")),
            Place::Option(option) => notes.push(format!("in `{option}`: {}", self.label)),
        }
        for (place, label) in &self.related {
            match place {
                Place::Recipe(span) => annotations.push(
                    AnnotationKind::Context
                        .span(span.in_text(&self.source.text))
                        .label(label.as_str()),
                ),
                Place::Option(option) => notes.push(format!("`{option}`: {label}")),
            }
        }
        if !annotations.is_empty() {
            let snippet = Snippet::source(self.source.text.as_str()).path(self.source.name.as_str());
            group = group.element(snippet.annotations(annotations));
        }
        for note in &notes {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = match paint {
            Paint::Plain => Renderer::plain(),
            Paint::Coloured => Renderer::styled(),
        };
        renderer.render(&[group])
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Option(option) => write!(f, "{option}: ")?,
            Place::Recipe(span) => {
                let (line, column) = self.source.position(span.start);
                write!(f, "{}:{line}:{column}: ", self.source.name)?;
            }
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// All complaints as one text, in the order of their places, with a blank line between them.
pub fn render_all(diagnostics: &[Diagnostic], paint: Paint) -> String {
    diagnostics
        .iter()
        .map(|diagnostic| diagnostic.render(paint))
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// The complaints gathered so far about one recipe.
pub struct Complaints {
    source: Arc<SourceText>,
    list: Vec<Diagnostic>,
}

impl Complaints {
    /// No complaints yet.
    pub fn new(source: &Arc<SourceText>) -> Self {
        Self {
            source: Arc::clone(source),
            list: Vec::new(),
        }
    }

    /// A complaint to complete and [`push`](Self::push).
    pub fn at(&self, place: impl Into<Place>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(&self.source, place, message)
    }

    /// The recipe's text.
    pub fn text(&self) -> &str {
        &self.source.text
    }

    /// Adds a complaint.
    pub fn push(&mut self, complaint: Diagnostic) {
        self.list.push(complaint);
    }

    /// Adds complaints.
    pub fn extend(&mut self, complaints: impl IntoIterator<Item = Diagnostic>) {
        self.list.extend(complaints);
    }

    /// The number of complaints so far.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is nothing to complain about.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All complaints by place, the command line first, each one once.
    pub fn in_order(mut self) -> Vec<Diagnostic> {
        self.list
            .sort_by(|a, b| a.place.cmp(&b.place).then_with(|| a.message.cmp(&b.message)));
        self.list.dedup();
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Arc<SourceText> {
        Arc::new(SourceText {
            name: "recipe.yaml".into(),
            text: text.into(),
        })
    }

    #[test]
    fn positions_count_characters() {
        let source = source("a: 1\näö: 2\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(source.text.find(": 2").unwrap()), (2, 3));
    }

    #[test]
    fn places_outside_the_text_and_inside_characters_are_shown_too() {
        for text in ["", "\n", "äö", "a\r\nb"] {
            let source = source(text);
            for start in 0..6 {
                for end in 0..6 {
                    let complaint = Diagnostic::new(&source, Span::new(start, end), "wrong").label("here");
                    assert!(
                        complaint.render(Paint::Plain).contains("wrong"),
                        "{text:?} {start} {end}"
                    );
                    assert!(complaint.to_string().starts_with("recipe.yaml:"));
                }
            }
        }
    }

    #[test]
    fn colours_are_the_callers_choice() {
        let complaint = Diagnostic::new(&source("seed: x"), Span::new(6, 7), "not a number");
        assert!(!complaint.render(Paint::Plain).contains('\u{1b}'));
        assert!(complaint.render(Paint::Coloured).contains('\u{1b}'));
    }

    #[test]
    fn a_complaint_shows_places_help_and_options() {
        let source = source("seed: x\nuse: $seed\n");
        let complaint = Diagnostic::new(&source, Span::new(6, 7), "`x` is not a number")
            .label("a string")
            .related(Span::new(13, 18), "used here")
            .related(Place::Option("--set seed=x".into()), "overridden")
            .help("write 7");
        insta::assert_snapshot!(complaint.render(Paint::Plain), @"
        error: `x` is not a number
         --> recipe.yaml:1:7
          |
        1 | seed: x
          |       ^ a string
        2 | use: $seed
          |      ----- used here
          |
          = note: `--set seed=x`: overridden
          = help: write 7
        ");
        insta::assert_snapshot!(complaint, @"recipe.yaml:1:7: `x` is not a number; write 7");
    }
}

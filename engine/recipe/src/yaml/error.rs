//! What the YAML parser refuses, in this crate's words.

use std::sync::Arc;

use serde_yaml::{Error, budget::BudgetBreach};

use super::read::{MAX_DEPTH, MAX_NODES, span_of};
use crate::diagnostic::{Diagnostic, SourceText, Span};

/// The complaint for a text that is not readable YAML.
pub(super) fn explain(error: &Error, source: &Arc<SourceText>) -> Diagnostic {
    let error = error.without_snippet();
    let span = error
        .location()
        .map(|location| span_of(&location, &source.text))
        .unwrap_or_default();
    if let Some(tab) = tab_before(&source.text, span.start) {
        return Diagnostic::new(source, tab, "a tab in the indentation")
            .help("indent with spaces; YAML does not allow tabs there");
    }
    let (message, help) = words(error);
    Diagnostic::new(source, span, message).maybe_help(help.map(str::to_owned))
}

/// The first tab of the indentation of the line at `offset`, or of the line before it, where the parser stopped.
fn tab_before(text: &str, offset: usize) -> Option<Span> {
    let offset = text.floor_char_boundary(offset);
    let line = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let previous = text[..line.saturating_sub(1)]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    [line, previous].into_iter().find_map(|start| {
        let blank = text[start..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t'));
        let tab = blank.collect::<Vec<_>>().iter().position(|&byte| byte == b'\t')?;
        Some(Span::new(start + tab, start + tab + 1))
    })
}

fn too_deep() -> (String, Option<&'static str>) {
    (
        format!("nested deeper than {MAX_DEPTH} levels"),
        Some("is a bracket left open?"),
    )
}

fn words(error: &Error) -> (String, Option<&'static str>) {
    const SHARE: &str = "share values through `params` instead of anchors";
    match error {
        Error::AliasError { error, .. } => words(error),
        Error::MultipleDocuments { .. } => (
            "a second document starts here".into(),
            Some("a recipe is one document; split it into two files"),
        ),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::Budget {
            breach: BudgetBreach::AliasAnchorRatio { .. } | BudgetBreach::Aliases { .. },
            ..
        } => (
            format!("aliases blow the recipe up to more than {MAX_NODES} values"),
            Some(SHARE),
        ),
        Error::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => too_deep(),
        Error::Budget {
            breach: BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. },
            ..
        } => (format!("a recipe holds at most {MAX_NODES} values"), None),
        Error::RecursiveReferencesRequireWeakTypes { .. } => ("an alias inside its own anchor".into(), Some(SHARE)),
        Error::UnknownAnchor { .. } => (
            "an alias without an anchor".into(),
            Some("quote the text if it is meant to start with `*`"),
        ),
        Error::TaggedScalarCannotDeserializeIntoString { .. } => (
            "a tag that recipes do not know".into(),
            Some("quote the text if it is meant to start with `!`"),
        ),
        other => {
            let text = other.to_string();
            if text.contains("recursion limit") {
                return too_deep();
            }
            let first = text.lines().next().unwrap_or_default();
            let bare = first.split(" at line ").next().unwrap_or(first);
            (
                format!("not readable as YAML: {}", bare.trim_start_matches("error: ")),
                None,
            )
        }
    }
}

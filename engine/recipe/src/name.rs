//! Names in recipes: steps, params, axes, sources.

/// What a name must look like, for messages.
pub(crate) const RULE: &str = "a name starts with a letter or `_` and goes on with letters, digits, `-` and `_`";

/// Whether `text` can name a step, a param, an axis or a source.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// The name in a whole-scalar reference `$name`.
pub(crate) fn referenced(text: &str) -> Option<&str> {
    text.strip_prefix('$').filter(|name| is_name(name))
}

/// The text that a string scalar stands for: `$$name` is the literal text `$name`, everything else is itself.
pub(crate) fn literal(text: &str) -> &str {
    match text.strip_prefix('$') {
        Some(rest) if rest.starts_with('$') && is_name(rest.trim_start_matches('$')) => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_or_snake_identifiers() {
        for name in ["a", "int8", "per_channel", "drop-from", "_x"] {
            assert!(is_name(name), "{name}");
        }
        for other in ["", "8bit", "-a", "a.b", "a b", "a=1", "a[0]", "a,b", "$a", "é"] {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn only_a_whole_scalar_is_a_reference() {
        assert_eq!(referenced("$seed"), Some("seed"));
        for text in ["$", "$$seed", "$a b", "x$seed", "${seed}", "$8"] {
            assert_eq!(referenced(text), None, "{text}");
        }
    }

    #[test]
    fn a_doubled_dollar_writes_a_literal_one() {
        assert_eq!(literal("$$seed"), "$seed");
        assert_eq!(literal("$$$seed"), "$$seed");
        for text in ["$$", "$$ 5", "costs $5", "$HOME/x"] {
            assert_eq!(literal(text), text);
        }
    }
}

//! Weights by path names: what a state dict's keys are called in the network, and what does not fit.

use std::fmt;

use indexmap::IndexMap;
use ir::{Constant, ElementType};
use regex_lite::Regex;

/// A rule that renames keys of a state dict.
#[derive(Debug, Clone)]
pub struct Rename {
    from: Regex,
    to: String,
}

/// Why keys cannot be renamed as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// A rule that is not a regular expression.
    #[error("rename: `{rule}` is not a regular expression: {problem}")]
    Rule {
        /// As written.
        rule: String,
        /// What is wrong.
        problem: String,
    },
    /// Two keys with one new name.
    #[error("rename: `{first}` and `{second}` are both called `{name}` after renaming; make the rules tell them apart")]
    Collision {
        /// A key of the file.
        first: String,
        /// Another one.
        second: String,
        /// Their common name.
        name: String,
    },
    /// A prefix that no key has.
    #[error("prefix: no key starts with `{prefix}`; the first is `{first}`")]
    Prefix {
        /// As asked for.
        prefix: String,
        /// A key of the file.
        first: String,
    },
}

impl Rename {
    /// A rule: every match of the regular expression `from` is replaced by `to`, where `$1` is the first group.
    pub fn new(from: &str, to: &str) -> Result<Self, RenameError> {
        let from = Regex::new(from).map_err(|e| RenameError::Rule {
            rule: from.to_owned(),
            problem: e.to_string(),
        })?;
        Ok(Rename {
            from,
            to: to.to_owned(),
        })
    }
}

/// The weights under their new names: those that start with `prefix` without it, then each rule in turn.
pub fn renamed(
    weights: IndexMap<String, Constant>,
    prefix: &str,
    rules: &[Rename],
) -> Result<IndexMap<String, Constant>, RenameError> {
    let first = weights.keys().next().cloned().unwrap_or_default();
    let mut names: IndexMap<String, String> = IndexMap::new();
    let mut all = IndexMap::new();
    for (key, value) in weights {
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        let mut name = rest.to_owned();
        for rule in rules {
            name = rule.from.replace_all(&name, rule.to.as_str()).into_owned();
        }
        if let Some(first) = names.insert(name.clone(), key.clone()) {
            return Err(RenameError::Collision {
                first,
                second: key,
                name,
            });
        }
        all.insert(name, value);
    }
    if all.is_empty() && !prefix.is_empty() {
        return Err(RenameError::Prefix {
            prefix: prefix.to_owned(),
            first,
        });
    }
    Ok(all)
}

/// What does not fit between a state dict and a network: all of it at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mismatch {
    /// Keys that the network needs, with their shapes.
    pub missing: Vec<(String, Vec<usize>)>,
    /// Keys that the network does not know, with their shapes.
    pub unexpected: Vec<(String, Vec<usize>)>,
    /// Keys with the shape in the file and the shape that the network needs.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Keys with the element type in the file and the one that the network needs.
    pub mistyped: Vec<(String, ElementType, ElementType)>,
    /// Keys with values that are infinite or not a number.
    pub not_finite: Vec<String>,
}

impl Mismatch {
    /// Whether everything fits.
    pub fn is_empty(&self) -> bool {
        let Mismatch {
            missing,
            unexpected,
            misshapen,
            mistyped,
            not_finite,
        } = self;
        let typed = mistyped.is_empty() && not_finite.is_empty();
        typed && missing.is_empty() && unexpected.is_empty() && misshapen.is_empty()
    }

    /// The unexpected key most like a missing one, of the same shape if there is one at all.
    fn near(&self, key: &str, shape: &[usize]) -> Option<&str> {
        let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
        let likeness = |other: &str| strsim::normalized_damerau_levenshtein(key, other);
        let candidates = self
            .unexpected
            .iter()
            .filter(|(other, s)| s == shape && last(other) == last(key));
        let best = candidates.max_by(|(a, _), (b, _)| likeness(a).total_cmp(&likeness(b)));
        best.map(|(other, _)| other.as_str())
            .filter(|other| likeness(other) > 0.3)
    }
}

/// Comparing names takes time: for a file of another network the first few tell enough.
const COMPARED: usize = 20;
/// Lines of a message.
const SHOWN: usize = 40;

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        for (key, found, wanted) in &self.misshapen {
            lines.push(format!("{key}: is {found:?}, the architecture needs {wanted:?}"));
        }
        // Comparing names takes time: for a file of another network the first few tell enough.
        for (i, (key, shape)) in self.missing.iter().enumerate() {
            let near = if i < COMPARED { self.near(key, shape) } else { None };
            let near = near.map(|near| format!("; is it `{near}`?")).unwrap_or_default();
            lines.push(format!("{key}: {shape:?} is missing{near}"));
        }
        for (key, shape) in &self.unexpected {
            lines.push(format!("{key}: {shape:?} is not part of the architecture"));
        }
        for (key, found, wanted) in &self.mistyped {
            lines.push(format!("{key}: holds {found}, the architecture needs {wanted}"));
        }
        for key in &self.not_finite {
            lines.push(format!("{key}: holds values that are infinite or not a number"));
        }
        let rest = lines.len().saturating_sub(SHOWN);
        let count = lines.len();
        lines.truncate(SHOWN);
        if rest > 0 {
            lines.push(format!("… and {rest} more"));
        }
        write!(
            f,
            "{count} of the weights do not fit ({} missing, {} unexpected, {} of another shape); `rename` and `prefix` translate names:\n  {}",
            self.missing.len(),
            self.unexpected.len(),
            self.misshapen.len(),
            lines.join("\n  ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(names: &[&str]) -> IndexMap<String, Constant> {
        let one = Constant::f32([1], vec![0.0]).unwrap();
        names.iter().map(|name| ((*name).to_owned(), one.clone())).collect()
    }

    #[test]
    fn rules_apply_in_turn_after_the_prefix() {
        let rules = [
            Rename::new(r"^_blocks\.(\d+)\.", "blocks.$1.").unwrap(),
            Rename::new("_bn(\\d)", "bn$1").unwrap(),
        ];
        let all = renamed(weights(&["net._blocks.3._bn1.bias", "head.x"]), "net.", &rules).unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["blocks.3.bn1.bias"]);
    }

    #[test]
    fn rules_that_cannot_be_followed_are_named() {
        insta::assert_snapshot!(Rename::new("(", "").unwrap_err(), @"rename: `(` is not a regular expression: found open group without closing ')'");
        let rule = [Rename::new("[ab]", "x").unwrap()];
        insta::assert_snapshot!(renamed(weights(&["a", "b"]), "", &rule).unwrap_err(), @"rename: `a` and `b` are both called `x` after renaming; make the rules tell them apart");
        insta::assert_snapshot!(renamed(weights(&["a.w"]), "model.", &[]).unwrap_err(), @"prefix: no key starts with `model.`; the first is `a.w`");
    }

    #[test]
    fn a_mismatch_lists_everything_with_near_names() {
        let mismatch = Mismatch {
            missing: vec![
                ("stem.conv.weight".into(), vec![8, 3, 3, 3]),
                ("head.bias".into(), vec![10]),
            ],
            unexpected: vec![
                ("stem.cnv.weight".into(), vec![8, 3, 3, 3]),
                ("fc.bias".into(), vec![1000]),
            ],
            misshapen: vec![("head.weight".into(), vec![1000, 8], vec![10, 8])],
            mistyped: vec![("stem.bn.weight".into(), ElementType::I64, ElementType::F32)],
            not_finite: vec!["stem.bn.bias".into()],
        };
        insta::assert_snapshot!(mismatch, @"
        7 of the weights do not fit (2 missing, 2 unexpected, 1 of another shape); `rename` and `prefix` translate names:
          head.weight: is [1000, 8], the architecture needs [10, 8]
          stem.conv.weight: [8, 3, 3, 3] is missing; is it `stem.cnv.weight`?
          head.bias: [10] is missing
          stem.cnv.weight: [8, 3, 3, 3] is not part of the architecture
          fc.bias: [1000] is not part of the architecture
          stem.bn.weight: holds i64, the architecture needs f32
          stem.bn.bias: holds values that are infinite or not a number
        ");
    }
}

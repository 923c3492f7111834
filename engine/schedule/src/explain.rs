//! Why an instance has to run, computed from the same actions as its key.

use cache::{Action, BlobRef, Lookup, MissReason, Store, compare};

use crate::error::EngineError;
use crate::plan::Plan;

/// Whether an instance would run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Staleness {
    /// Its result is in the cache.
    Fresh,
    /// It has not run before.
    New,
    /// Parts of its key changed since the last run.
    Changed(Vec<String>),
    /// Its key is as it was, but the cache has lost the result.
    Lost(String),
    /// Something that it needs has to run first, so that its key is not known yet.
    Unknown(Vec<String>),
}

/// The answer to `pipeline explain`.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The instance.
    pub id: String,
    /// Whether it would run, and why.
    pub staleness: Staleness,
    /// What its key is made of; `None` while an input is not known.
    pub action: Option<Action>,
}

/// What would run and why, without running anything.
pub(crate) fn explain(plan: &Plan, store: &Store) -> Result<Vec<Explanation>, EngineError> {
    let mut contents: Vec<Option<BlobRef>> = Vec::with_capacity(plan.nodes.len());
    let mut explanations = Vec::new();
    for node in &plan.nodes {
        let id = node.instance.id.to_string();
        let unknown: Vec<String> = node
            .needs
            .iter()
            .filter(|&&d| contents[d].is_none())
            .map(|&d| plan.nodes[d].instance.id.to_string())
            .collect();
        if !unknown.is_empty() {
            contents.push(None);
            explanations.push(Explanation {
                id,
                staleness: Staleness::Unknown(unknown),
                action: None,
            });
            continue;
        }
        let action = plan.action(node, &contents)?;
        let (content, staleness) = match store.lookup(&action.key())? {
            Lookup::Hit(record) => (Some(record.content()), Staleness::Fresh),
            Lookup::Miss { reason } => (None, why_missing(store, &plan.facts.name, &id, &action, &reason)?),
        };
        contents.push(content);
        explanations.push(Explanation {
            id,
            staleness,
            action: Some(action),
        });
    }
    Ok(explanations)
}

/// Compares an action that the store has no result of with what ran last under that name.
pub(crate) fn why_missing(
    store: &Store,
    recipe: &str,
    id: &str,
    action: &Action,
    reason: &MissReason,
) -> Result<Staleness, EngineError> {
    Ok(match store.last_action(recipe, id)? {
        None => Staleness::New,
        Some(last) => {
            let differences = compare(&last, action);
            if differences.is_empty() {
                Staleness::Lost(reason.to_string())
            } else {
                Staleness::Changed(differences.iter().map(ToString::to_string).collect())
            }
        }
    })
}

impl std::fmt::Display for Staleness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Staleness::Fresh => f.write_str("in the cache"),
            Staleness::New => f.write_str("has not run before"),
            Staleness::Changed(differences) => write!(f, "changed: {}", shortened(differences, "; ")),
            Staleness::Lost(reason) => f.write_str(reason),
            Staleness::Unknown(inputs) => write!(f, "waits for {}", shortened(inputs, ", ")),
        }
    }
}

/// A list for one line: a report may wait for hundreds.
fn shortened(all: &[String], separator: &str) -> String {
    const SHOWN: usize = 4;
    if all.len() <= SHOWN + 1 {
        return all.join(separator);
    }
    format!("{}{separator}… ({} in all)", all[..SHOWN].join(separator), all.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_counted_and_short_ones_shown() {
        let names = |n: usize| (0..n).map(|i| format!("s{i}")).collect::<Vec<_>>();
        assert_eq!(Staleness::Unknown(names(5)).to_string(), "waits for s0, s1, s2, s3, s4");
        assert_eq!(
            Staleness::Unknown(names(151)).to_string(),
            "waits for s0, s1, s2, s3, … (151 in all)"
        );
    }
}

//! Why an instance has to run, computed from the same actions as its key.

use cache::{Action, Lookup, Store, compare};

use crate::engine::EngineError;

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

/// Compares an action with what the cache knows.
pub(crate) fn staleness(store: &Store, recipe: &str, id: &str, action: &Action) -> Result<Staleness, EngineError> {
    let reason = match store.lookup(&action.key())? {
        Lookup::Hit(_) => return Ok(Staleness::Fresh),
        Lookup::Miss { reason } => reason,
    };
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

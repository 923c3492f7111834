//! What differs between two actions, in the words of a recipe: why a step runs again.
//!
//! Computed from the same fields as the key: two actions without a difference have the same key, and the other way round.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::action::Action;
use crate::digest::{BlobRef, Digest};

/// One reason why two actions have different keys. `None` is absent.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// Another op.
    Op {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// The op's behaviour was changed by an update of the program.
    Revision {
        /// Before.
        old: u32,
        /// Now.
        new: u32,
    },
    /// A parameter. A subtree that exists on one side only is one difference.
    Param {
        /// Such as `schedule.steps[2]`; empty for the parameters as a whole.
        path: String,
        /// Before.
        old: Option<Value>,
        /// Now.
        new: Option<Value>,
    },
    /// The same parameter values in another spelling (the texts enter keys as they are).
    ParamSpelling {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// The content at an input port.
    Input {
        /// Port path.
        port: String,
        /// Before.
        old: Option<BlobRef>,
        /// Now.
        new: Option<BlobRef>,
    },
    /// A declared environment variable.
    Environment {
        /// Name.
        name: String,
        /// Before.
        old: Option<String>,
        /// Now.
        new: Option<String>,
    },
    /// The machine that the result holds for.
    Host {
        /// Before.
        old: Option<String>,
        /// Now.
        new: Option<String>,
    },
}

/// The differences between two actions; none exactly if their keys are equal.
pub fn compare(old: &Action, new: &Action) -> Vec<Difference> {
    let Action {
        op,
        revision,
        params,
        inputs,
        environment,
        host,
    } = old;
    let mut found = Vec::new();
    if *op != new.op {
        found.push(Difference::Op {
            old: op.clone(),
            new: new.op.clone(),
        });
    }
    if *revision != new.revision {
        found.push(Difference::Revision {
            old: *revision,
            new: new.revision,
        });
    }
    if *params != new.params {
        compare_params(params, &new.params, &mut found);
    }
    for (port, old, new) in changes(inputs, &new.inputs) {
        found.push(Difference::Input { port, old, new });
    }
    for (name, old, new) in changes(environment, &new.environment) {
        found.push(Difference::Environment { name, old, new });
    }
    if *host != new.host {
        found.push(Difference::Host {
            old: host.clone(),
            new: new.host.clone(),
        });
    }
    found
}

/// The keys at which two maps differ, in order.
fn changes<V: Clone + PartialEq>(
    old: &BTreeMap<String, V>,
    new: &BTreeMap<String, V>,
) -> Vec<(String, Option<V>, Option<V>)> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| (key.clone(), old.get(key).cloned(), new.get(key).cloned()))
        .collect()
}

fn compare_params(old: &str, new: &str, found: &mut Vec<Difference>) {
    let before = found.len();
    if let (Ok(old), Ok(new)) = (serde_json::from_str::<Value>(old), serde_json::from_str::<Value>(new)) {
        compare_values("", Some(&old), Some(&new), found);
    }
    if found.len() == before {
        found.push(Difference::ParamSpelling {
            old: old.to_owned(),
            new: new.to_owned(),
        });
    }
}

fn compare_values(path: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Difference>) {
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                compare_values(&path, old.get(key), new.get(key), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for i in 0..old.len().max(new.len()) {
                compare_values(&format!("{path}[{i}]"), old.get(i), new.get(i), found);
            }
        }
        (old, new) if old == new => {}
        (old, new) => found.push(Difference::Param {
            path: path.to_owned(),
            old: old.cloned(),
            new: new.cloned(),
        }),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Op { old, new } => write!(f, "op: {old} → {new}"),
            Difference::Revision { old, new } => write!(f, "revision of the op: {old} → {new}"),
            Difference::Param { path, old, new } => {
                let place = if path.is_empty() {
                    "params".to_owned()
                } else {
                    format!("param {path}")
                };
                write_change(f, &place, old.as_ref(), new.as_ref())
            }
            Difference::ParamSpelling { old, new } => write!(f, "params, in spelling only: {old} → {new}"),
            Difference::Input { port, old, new } => {
                let short = |blob: &BlobRef| Digest::short(&blob.digest);
                write_change(
                    f,
                    &format!("input {port}"),
                    old.as_ref().map(short),
                    new.as_ref().map(short),
                )
            }
            Difference::Environment { name, old, new } => {
                write_change(f, &format!("environment {name}"), old.as_ref(), new.as_ref())
            }
            Difference::Host { old, new } => write_change(f, "host", old.as_ref(), new.as_ref()),
        }
    }
}

fn write_change<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    place: &str,
    old: Option<T>,
    new: Option<T>,
) -> fmt::Result {
    match (old, new) {
        (Some(old), Some(new)) => write!(f, "{place}: {old} → {new}"),
        (Some(old), None) => write!(f, "{place}: removed (was {old})"),
        (None, Some(new)) => write!(f, "{place}: added ({new})"),
        (None, None) => write!(f, "{place}: unchanged"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action() -> Action {
        Action {
            op: "calibrate".to_owned(),
            revision: 3,
            params: r#"{"classes":["dog"],"method":"minmax","range":{"fraction":0.3}}"#.to_owned(),
            inputs: BTreeMap::from([
                ("data".to_owned(), BlobRef::of(b"1")),
                ("model".to_owned(), BlobRef::of(b"2")),
            ]),
            environment: BTreeMap::from([("ARITHMETIC".to_owned(), "reference".to_owned())]),
            host: None,
        }
    }

    fn words(old: &Action, new: &Action) -> String {
        compare(old, new)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn equal_actions_have_no_difference() {
        assert_eq!(compare(&action(), &action()), []);
    }

    #[test]
    fn every_field_is_told_in_words() {
        let new = Action {
            op: "quantize".to_owned(),
            revision: 4,
            params: r#"{"classes":["dog","cat"],"range":{"fraction":0.8},"seed":7}"#.to_owned(),
            inputs: BTreeMap::from([
                ("data".to_owned(), BlobRef::of(b"3")),
                ("ranges".to_owned(), BlobRef::of(b"2")),
            ]),
            environment: BTreeMap::from([("ARITHMETIC".to_owned(), "xnnpack".to_owned())]),
            host: Some("bench-1".to_owned()),
        };
        insta::assert_snapshot!(words(&action(), &new), @r#"
        op: calibrate → quantize
        revision of the op: 3 → 4
        param classes[1]: added ("cat")
        param method: removed (was "minmax")
        param range.fraction: 0.3 → 0.8
        param seed: added (7)
        input data: 6b86b273ff34 → 4e07408562be
        input model: removed (was d4735e3a265e)
        input ranges: added (d4735e3a265e)
        environment ARITHMETIC: reference → xnnpack
        host: added (bench-1)
        "#);
    }

    #[test]
    fn equal_values_in_another_spelling_are_a_difference_because_keys_differ() {
        let (mut old, mut new) = (action(), action());
        old.params = r#"{"a":1,"b":2}"#.to_owned();
        new.params = r#"{"b":2,"a":1}"#.to_owned();
        insta::assert_snapshot!(words(&old, &new), @r#"params, in spelling only: {"a":1,"b":2} → {"b":2,"a":1}"#);
        assert_ne!(old.key(), new.key());
    }

    #[test]
    fn params_that_are_not_json_are_compared_as_text() {
        let (old, mut new) = (action(), action());
        new.params = "{".to_owned();
        assert_eq!(compare(&old, &new).len(), 1);
    }
}

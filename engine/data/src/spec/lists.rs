//! Settings of label files: which there are, what their columns mean, what the classes are called.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::tree::Tree;

/// Label files by their names in the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Lists {
    /// One file for all samples.
    One(String),
    /// A file for each split: `{ train: trainval.txt, test: test.txt }`.
    Splits(BTreeMap<String, String>),
}

/// What the columns of a label file mean: `name` of the image, `label` (a number), `class` (its name), `split`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Columns {
    /// The meaning of each column in order; other words are passed over: `[name, label, _, _]`.
    Positions(Vec<String>),
    /// Columns by their headers or keys: `{ name: Filename, class: Breed }`.
    Named(BTreeMap<String, String>),
}

/// What the classes are called, in label order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ClassNames {
    /// A file in the data, a name a line.
    File(String),
    /// The names themselves.
    Names(Vec<String>),
}

impl ClassNames {
    /// The names.
    pub(crate) fn read(&self, tree: &Tree) -> Result<Vec<String>, DataError> {
        let lines = match self {
            Self::Names(names) => return Ok(names.clone()),
            Self::File(file) => tree.read(file)?,
        };
        let text = String::from_utf8_lossy(&lines);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(lines.map(str::to_owned).collect())
    }
}

/// The meanings that columns have.
const MEANINGS: [&str; 4] = ["name", "label", "class", "split"];

impl Columns {
    /// Finds meanings that there are not or that stand twice.
    pub(super) fn check(&self) -> Result<(), DataError> {
        let wrong = |why: String| Err(DataError::Setting { key: "columns", why });
        let meanings = MEANINGS.join(", ");
        match self {
            Self::Positions(roles) => {
                let known: Vec<&String> = roles.iter().filter(|role| MEANINGS.contains(&role.as_str())).collect();
                let twice = known.iter().enumerate().find(|(at, role)| known[..*at].contains(role));
                match twice {
                    _ if known.is_empty() => wrong(format!("none of {meanings} is among them")),
                    Some((_, role)) => wrong(format!("`{role}` stands twice")),
                    None => Ok(()),
                }
            }
            Self::Named(by_role) => match by_role.keys().find(|role| !MEANINGS.contains(&role.as_str())) {
                Some(role) => wrong(format!("`{role}` is no meaning of a column; there are {meanings}")),
                None => Ok(()),
            },
        }
    }
}

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

/// What the columns of a label file mean: `name` of the image, `label` (a number), `class` (its name), `split`; `target` (a number to be estimated), `classes`
/// (several names in one cell, or a column of 0 and 1 for each), `mask` (the name of its image), `input` (a number of the sample itself). Several columns may be
/// `target`, `classes` and `input`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Columns {
    /// The meaning of each column in order; other words are passed over: `[name, label, _, _]`.
    Positions(Vec<String>),
    /// Columns by their headers or keys: `{ name: Filename, class: Breed }`, `{ input: [age, height], target: weight }`.
    Named(BTreeMap<String, Headers>),
}

/// Columns by their headers or keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Headers {
    /// One column.
    One(String),
    /// Several columns of one meaning, in this order.
    Several(Vec<String>),
}

impl Headers {
    /// The headers in order.
    pub(crate) fn all(&self) -> &[String] {
        match self {
            Self::One(header) => std::slice::from_ref(header),
            Self::Several(headers) => headers,
        }
    }
}

/// What the samples are labelled with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Labels {
    /// What the data show: columns of a list by their meaning and content, arrays by their shape and values.
    #[default]
    Auto,
    /// One class each.
    Class,
    /// Any number of classes each.
    Classes,
    /// Numbers to be estimated.
    Numbers,
    /// A class for each pixel.
    Mask,
    /// Boxes around objects.
    Boxes,
}

impl Labels {
    /// Whether nothing is said.
    pub(crate) fn is_auto(&self) -> bool {
        *self == Self::Auto
    }

    /// The name used in recipes.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Class => "class",
            Self::Classes => "classes",
            Self::Numbers => "numbers",
            Self::Mask => "mask",
            Self::Boxes => "boxes",
        }
    }
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
const MEANINGS: [&str; 8] = ["name", "label", "class", "split", "target", "classes", "mask", "input"];
/// Those that several columns may have.
const OF_SEVERAL: [&str; 3] = ["target", "classes", "input"];

impl Columns {
    /// Whether a column has this meaning.
    pub fn have(&self, meaning: &str) -> bool {
        match self {
            Self::Positions(roles) => roles.iter().any(|role| role == meaning),
            Self::Named(by_role) => by_role.contains_key(meaning),
        }
    }

    /// Finds meanings that there are not or that stand twice.
    pub(super) fn check(&self) -> Result<(), DataError> {
        let wrong = |why: String| Err(DataError::Setting { key: "columns", why });
        let meanings = MEANINGS.join(", ");
        match self {
            Self::Positions(roles) => {
                let known: Vec<&String> = roles.iter().filter(|role| MEANINGS.contains(&role.as_str())).collect();
                let again = |&(at, role): &(usize, &&String)| {
                    known[..at].contains(role) && !OF_SEVERAL.contains(&role.as_str())
                };
                let twice = known.iter().enumerate().find(again);
                match twice {
                    _ if known.is_empty() => wrong(format!("none of {meanings} is among them")),
                    Some((_, role)) => wrong(format!("`{role}` stands twice")),
                    None => Ok(()),
                }
            }
            Self::Named(by_role) => {
                if let Some(role) = by_role.keys().find(|role| !MEANINGS.contains(&role.as_str())) {
                    return wrong(format!("`{role}` is no meaning of a column; there are {meanings}"));
                }
                let other = |(role, headers): &(&String, &Headers)| match headers.all().len() {
                    0 => true,
                    1 => false,
                    _ => !OF_SEVERAL.contains(&role.as_str()),
                };
                by_role.iter().find(other).map_or(Ok(()), |(role, headers)| {
                    let count = headers.all().len();
                    wrong(format!("`{role}` is the meaning of one column, {count} are named"))
                })
            }
        }
    }
}

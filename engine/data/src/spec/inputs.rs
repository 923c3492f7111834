//! Which array of the data is for which input of a model.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// The inputs that arrays are for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum InputArrays {
    /// Arrays that are called as the inputs: `[left, right]`.
    Same(Vec<String>),
    /// The array by the input: `{ left: images_a, right: images_b }`.
    Named(BTreeMap<String, String>),
}

impl InputArrays {
    /// Each input with its array.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let (same, named) = match self {
            Self::Same(names) => (Some(names), None),
            Self::Named(pairs) => (None, Some(pairs)),
        };
        let same = same.into_iter().flatten().map(|name| (name.as_str(), name.as_str()));
        let named = named.into_iter().flatten();
        same.chain(named.map(|(input, array)| (input.as_str(), array.as_str())))
    }

    /// Finds arrays that are for two inputs, and inputs that stand twice.
    pub(super) fn check(&self) -> Result<(), DataError> {
        let wrong = |why: String| Err(DataError::Setting { key: "inputs", why });
        let pairs: Vec<_> = self.pairs().collect();
        let again = pairs
            .iter()
            .enumerate()
            .find(|(at, (_, array))| pairs[..*at].iter().any(|(_, other)| other == array));
        match again {
            _ if pairs.is_empty() => wrong("empty; name the array for each input of the model, or remove it".into()),
            Some((_, (_, array))) => wrong(format!("the array `{array}` stands twice; each is for one input")),
            None => Ok(()),
        }
    }
}

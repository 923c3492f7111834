//! What the command line changes about a recipe.

use std::path::PathBuf;

use serde_json::json;
use sha2::{Digest, Sha256};

/// The options that replace parts of a recipe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--set NAME=VALUE`: params; the value is a YAML scalar of the type in the recipe.
    pub set: Vec<(String, String)>,
    /// `--axis NAME=A,B`: the values of an axis.
    pub axis: Vec<(String, Vec<String>)>,
    /// `--source NAME=PATH`: files or folders instead of a source; several of the same name give several paths.
    pub sources: Vec<(String, PathBuf)>,
    /// `--only STEP`: just these steps and what they need.
    pub only: Vec<String>,
}

impl Overrides {
    /// SHA-256 of what a recipe computes, in canonical form, and of these options: names what was asked for, in records and
    /// reports. Where sources lie does not enter; records name them by their contents.
    pub(crate) fn digest(&self, content: &str) -> [u8; 32] {
        let asked = json!([content, self.set, self.axis, self.only]);
        Sha256::digest(asked.to_string()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_override_but_the_place_of_a_source_changes_the_digest() {
        let name = || "a".to_owned();
        let all = [
            Overrides::default(),
            Overrides {
                set: vec![(name(), "1".into())],
                ..Overrides::default()
            },
            Overrides {
                axis: vec![(name(), vec!["1".into()])],
                ..Overrides::default()
            },
            Overrides {
                axis: vec![(name(), vec!["1".into(), "2".into()])],
                ..Overrides::default()
            },
            Overrides {
                only: vec![name()],
                ..Overrides::default()
            },
        ];
        let digests: std::collections::HashSet<_> = all.iter().map(|overrides| overrides.digest("text")).collect();
        assert_eq!(digests.len(), all.len());
        assert_ne!(all[0].digest("text"), all[0].digest("text2"));
        let elsewhere = Overrides {
            sources: vec![(name(), "1".into())],
            ..Overrides::default()
        };
        assert_eq!(elsewhere.digest("text"), all[0].digest("text"));
    }
}

//! The last action of each step instance, so that a miss can be explained by what changed since.
//!
//! Hints, not truth: one small file per recipe and instance, not synced; an unreadable one counts as absent.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::digest::Digest;
use crate::error::{At, CacheError};
use crate::store::Store;

/// Content of a file under `runs`. The names are there for people who look, and to tell a collision from a match.
#[derive(PartialEq, Serialize, Deserialize)]
struct Last {
    recipe: String,
    instance: String,
    action: Action,
}

impl Store {
    /// Remembers `action` as the last one of the instance `instance` (such as `quantize[sparsity=0.5]`) of `recipe`.
    pub fn remember_last(&self, recipe: &str, instance: &str, action: &Action) -> Result<(), CacheError> {
        let path = self.last_path(recipe, instance);
        let last = Last {
            recipe: recipe.to_owned(),
            instance: instance.to_owned(),
            action: action.clone(),
        };
        let mut bytes = serde_json::to_vec_pretty(&last)
            .map_err(std::io::Error::from)
            .writing(&path)?;
        bytes.push(b'\n');
        if self.layout.bytes(&path)?.is_some_and(|old| old == bytes) {
            return Ok(());
        }
        self.layout.replace(&path, &bytes)
    }

    /// The action last remembered for the instance of the recipe. Compare it with the current one by [`crate::compare`].
    pub fn last_action(&self, recipe: &str, instance: &str) -> Result<Option<Action>, CacheError> {
        let bytes = self.layout.bytes(&self.last_path(recipe, instance))?;
        let last = bytes.and_then(|bytes| serde_json::from_slice::<Last>(&bytes).ok());
        Ok(last
            .filter(|last| last.recipe == recipe && last.instance == instance)
            .map(|last| last.action))
    }

    fn last_path(&self, recipe: &str, instance: &str) -> PathBuf {
        let name = Digest::of(format!("{}:{recipe}{instance}", recipe.len()).as_bytes());
        self.layout.runs().join(format!("{name}.json"))
    }
}

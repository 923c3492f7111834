//! Intermediate results of steps, kept in the store as actions without inputs. They are large and serve steps that run: no remote sees them.

use std::collections::BTreeMap;

use cache::{Action, Lookup, Record, Store};
use steps::contract::{IntermediateResults, Key};

/// The one blob of a record.
const BLOB: &str = "data";

/// Intermediate results in the store.
pub struct Intermediates<'a>(pub &'a Store);

impl Intermediates<'_> {
    fn put(&self, action: Action, bytes: &[u8], seconds: f64) -> Result<(), cache::CacheError> {
        let record = Record {
            kind: action.op.clone(),
            blobs: BTreeMap::from([(BLOB.to_owned(), self.0.put(bytes)?)]),
            notes: serde_json::Value::Null,
            action,
            seconds,
        };
        self.0.publish(&record.action.key(), &record)
    }
}

impl IntermediateResults for Intermediates<'_> {
    fn recall(&self, key: &Key) -> Option<Vec<u8>> {
        let Ok(Lookup::Hit(record)) = self.0.lookup(&action(key).ok()?.key()) else {
            return None;
        };
        // A damaged blob leaves the store when it is read: it is made and kept again.
        self.0.read(record.blobs.get(BLOB)?).ok()
    }

    fn keep(&self, key: &Key, bytes: &[u8], seconds: f64) -> Result<(), String> {
        self.put(action(key)?, bytes, seconds)
            .map_err(|problem| problem.to_string())
    }
}

fn action(key: &Key) -> Result<Action, String> {
    Ok(Action {
        op: key.what.to_owned(),
        revision: key.revision,
        params: recipe::canonical(&key.facts).map_err(|problem| problem.to_string())?,
        inputs: BTreeMap::new(),
        environment: BTreeMap::new(),
        host: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_under_its_own_key_only_and_damage_makes_it_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let kept = Intermediates(&store);
        let key = |layer: u32, revision: u32| Key {
            what: "hessian",
            revision,
            facts: serde_json::json!({ "layer": layer }),
        };
        assert_eq!(kept.recall(&key(1, 1)), None);
        kept.keep(&key(1, 1), b"first", 0.5).unwrap();
        assert_eq!(kept.recall(&key(1, 1)), Some(b"first".to_vec()));
        assert_eq!((kept.recall(&key(2, 1)), kept.recall(&key(1, 2))), (None, None));

        let path = store.path(&cache::Digest::of(b"first"));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"worse").unwrap();
        assert_eq!(kept.recall(&key(1, 1)), None);
        kept.keep(&key(1, 1), b"first", 0.5).unwrap();
        assert_eq!(kept.recall(&key(1, 1)), Some(b"first".to_vec()));
    }
}

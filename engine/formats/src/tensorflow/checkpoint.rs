//! Which stored array belongs to which variable: as TensorFlow finds out, by reading the part of the graph that restores them.
//!
//! There `AssignVariableOp(variable, RestoreV2(file, names, …):i)` says that the variable is stored under `names[i]`.

use std::collections::{BTreeMap, HashMap};

use super::flatten::{Flat, Primitive};
use super::known::{Known, dims};
use super::proto::{BundleEntry, attribute};
use super::{Files, bundle, malformed};
use crate::FormatError;

/// The variables of a SavedModel. Values are decoded when they are asked for: optimizer state never is.
pub(super) struct Variables<'a> {
    keys: HashMap<Primitive, String>,
    entries: BTreeMap<String, BundleEntry>,
    shards: &'a [Vec<u8>],
}

impl<'a> Variables<'a> {
    /// Reads the index, and what `restore` (a node, or a function that it calls) assigns.
    pub(super) fn read(flat: &mut Flat<'_>, restore: &str, files: &'a Files) -> Result<Self, FormatError> {
        let (entries, shards) = match &files.index {
            Some(index) => bundle::index(index)?,
            None => (BTreeMap::new(), 0),
        };
        if shards > files.shards.len() {
            let problem = format!(
                "names {shards} data files, {} are there; give the whole folder of the SavedModel",
                files.shards.len()
            );
            return Err(malformed("variables.index", problem));
        }
        let mut keys = HashMap::new();
        for assignment in flat.body(restore)? {
            if !matches!(flat.node(assignment).op.as_str(), "AssignVariableOp" | "Assign") {
                continue;
            }
            let [variable, value] = flat.inputs(assignment)?[..] else {
                continue;
            };
            let restored = flat.node(value.node);
            if restored.op != "RestoreV2" {
                continue;
            }
            let names = flat.inputs(value.node)?.get(1).map(|names| flat.node(names.node));
            let names = names.and_then(|node| match node.attributes.get("value")?.value.as_ref()? {
                attribute::Value::Tensor(names) => Some(&names.texts),
                _ => None,
            });
            if let Some(name) = names.and_then(|names| names.get(value.output)) {
                keys.insert(variable.node, String::from_utf8_lossy(name).into_owned());
            }
        }
        Ok(Variables {
            keys,
            entries,
            shards: &files.shards,
        })
    }

    /// The value of a variable; `name` is what messages call it.
    pub(super) fn value(&self, variable: Primitive, name: &str) -> Result<Known, FormatError> {
        let place = format!("variable `{name}`");
        let key = self
            .keys
            .get(&variable)
            .ok_or_else(|| malformed(&place, "is restored nowhere in the graph"))?;
        let entry = self
            .entries
            .get(key)
            .ok_or_else(|| malformed(&place, format!("`{key}` is not in variables.index")))?;
        let shard = usize::try_from(entry.shard).ok().and_then(|i| self.shards.get(i));
        let shard =
            shard.ok_or_else(|| malformed(&place, format!("lies in data file {}, which is not there", entry.shard)))?;
        let bytes = bundle::values(name, entry, shard)?;
        let known = dims(entry.shape.as_ref()).and_then(|shape| Known::of_bytes(entry.dtype, shape, bytes));
        known.ok_or_else(|| {
            malformed(
                place,
                "is of a type that weights do not have, or not as long as its shape says",
            )
        })
    }
}

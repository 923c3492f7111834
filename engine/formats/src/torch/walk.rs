//! From the nodes of a pickle to named tensors: state dicts, checkpoints that hold one under a key, whole modules.
//!
//! A pickle is a graph that may share and contain itself. It is walked as a tree, with a budget of visits and a limit of depth,
//! so that a few bytes that describe a billion paths end in an error.

use std::collections::HashSet;

use super::pickle::{Id, Node, Pickle};
use super::tensor::{self, Found, View};
use crate::{Format, FormatError};

/// Keys under which checkpoints hold a state dict, in the order in which they are looked for.
const KEYS: [&str; 11] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "state_dict_ema",
    "model_ema",
];

/// Prefixes that wrappers put before every name: `DataParallel`, `torch.compile`.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// Attributes of a module that hold its parts: their names are not part of a path.
const TRANSPARENT: [&str; 3] = ["_parameters", "_buffers", "_modules"];

const MAX_VISITS: usize = 2_000_000;
const MAX_DEPTH: usize = 64;

/// Tensors with their names.
type Named<'p> = Vec<(String, View<'p>)>;

/// Tensors with their names, and where they were.
pub(super) struct Taken<'p> {
    pub tensors: Vec<(String, View<'p>)>,
    /// The entry that they were under, where none was asked for.
    pub key: Option<&'static str>,
    /// Other entries with tensors of the same names.
    pub others: Vec<String>,
}

/// The tensors of a pickle with their names.
pub(super) fn tensors<'p>(pickle: &'p Pickle<'_>, key: Option<&str>) -> Result<Taken<'p>, FormatError> {
    let mut walker = Walker {
        pickle,
        visits: 0,
        found: Vec::new(),
    };
    if let Some(key) = key {
        let held = entry(pickle, pickle.root, key);
        let held = held.ok_or_else(|| no_key(pickle, key))?;
        return Ok(Taken {
            tensors: unwrapped(walker.collect(held)?),
            key: None,
            others: Vec::new(),
        });
    }
    let (key, tensors) = walker.walk_root()?;
    let tensors = unwrapped(tensors);
    let others = key.map_or_else(Vec::new, |key| walker.alike(key, &tensors));
    Ok(Taken { tensors, key, others })
}

/// Names without what wrappers put before all of them.
fn unwrapped<V>(mut found: Vec<(String, V)>) -> Vec<(String, V)> {
    for wrapper in WRAPPERS {
        if !found.is_empty() && found.iter().all(|(name, _)| name.starts_with(wrapper)) {
            for (name, _) in &mut found {
                name.drain(..wrapper.len());
            }
        }
    }
    found
}

fn no_key(pickle: &Pickle<'_>, key: &str) -> FormatError {
    let keys: Vec<&str> = entries(pickle, pickle.root)
        .filter_map(|(k, _)| pickle.text(k))
        .take(20)
        .collect();
    let problem = format!("there is no key `{key}` at the top; there are {}", keys.join(", "));
    FormatError::malformed(Format::Torch, "checkpoint", problem)
}

/// What a dictionary, or an object that behaves like one, holds.
fn entries<'p>(pickle: &'p Pickle<'_>, id: Id) -> impl Iterator<Item = (Id, Id)> + 'p {
    let held: &[(Id, Id)] = match pickle.node(id) {
        Node::Dict(entries) => entries,
        Node::Object(object) => &object.items,
        _ => &[],
    };
    held.iter().copied()
}

fn entry(pickle: &Pickle<'_>, id: Id, key: &str) -> Option<Id> {
    entries(pickle, id)
        .find(|(k, _)| pickle.text(*k) == Some(key))
        .map(|(_, value)| value)
}

struct Walker<'p, 'a> {
    pickle: &'p Pickle<'a>,
    visits: usize,
    found: Vec<(String, View<'p>)>,
}

impl<'p> Walker<'p, '_> {
    /// The state dict under one of the usual keys, and the key; without one, every tensor there is.
    fn walk_root(&mut self) -> Result<(Option<&'static str>, Named<'p>), FormatError> {
        for key in KEYS {
            if let Some(held) = entry(self.pickle, self.pickle.root, key)
                && !matches!(tensor::tensor(self.pickle, held), Found::Tensor(_))
            {
                let found = self.collect(held)?;
                if !found.is_empty() {
                    return Ok((Some(key), found));
                }
            }
        }
        Ok((None, self.collect(self.pickle.root)?))
    }

    /// The entries beside `key` that hold most of the names of `taken`: other states of the same network.
    fn alike(&mut self, key: &str, taken: &[(String, View<'p>)]) -> Vec<String> {
        let names: HashSet<&str> = taken.iter().map(|(name, _)| name.as_str()).collect();
        let mut others = Vec::new();
        for (other, held) in entries(self.pickle, self.pickle.root) {
            let Some(other) = self.pickle.text(other).filter(|&other| other != key) else {
                continue;
            };
            // What cannot be read here is no state to offer.
            let found = unwrapped(self.collect(held).unwrap_or_default());
            let known = found.iter().filter(|(name, _)| names.contains(name.as_str())).count();
            if 2 * known > names.len() {
                others.push(other.to_owned());
            }
        }
        others
    }

    fn collect(&mut self, id: Id) -> Result<Vec<(String, View<'p>)>, FormatError> {
        self.found.clear();
        self.walk(id, "", 0)?;
        Ok(std::mem::take(&mut self.found))
    }

    fn walk(&mut self, id: Id, path: &str, depth: usize) -> Result<(), FormatError> {
        self.visits += 1;
        if self.visits > MAX_VISITS {
            let problem = format!("describes more than {MAX_VISITS} values; it repeats itself, as no state dict does");
            return Err(FormatError::malformed(Format::Torch, "pickle", problem));
        }
        if depth > MAX_DEPTH {
            // Whatever lies deeper, or contains itself, is not a parameter of a module.
            return Ok(());
        }
        match tensor::tensor(self.pickle, id) {
            Found::Tensor(view) => {
                self.found.push((path.to_owned(), view));
                return Ok(());
            }
            Found::Refused(problem) => {
                let fix = "save the model's state dict of plain tensors with torch.save(model.state_dict(), PATH)";
                return Err(FormatError::unsupported(
                    Format::Torch,
                    format!("tensor `{path}`"),
                    problem,
                    fix,
                ));
            }
            Found::Other => {}
        }
        let pickle = self.pickle;
        match pickle.node(id) {
            Node::Dict(entries) => self.walk_entries(entries, path, depth)?,
            Node::List(items) | Node::Tuple(items) => self.walk_items(items, path, depth)?,
            Node::Object(object) => {
                self.walk_entries(&object.items, path, depth)?;
                self.walk_items(&object.list, path, depth)?;
                // The state of an `OrderedDict` that holds parameters says nothing of them (`_metadata`).
                if let (Some(state), true) = (object.state, object.items.is_empty()) {
                    self.walk(state, path, depth + 1)?;
                }
            }
            Node::None
            | Node::Bool(_)
            | Node::Int(_)
            | Node::Opaque
            | Node::Text(_)
            | Node::Global(..)
            | Node::Persistent(_) => {}
        }
        Ok(())
    }

    fn walk_entries(&mut self, entries: &'p [(Id, Id)], path: &str, depth: usize) -> Result<(), FormatError> {
        for &(key, value) in entries {
            let name = match self.pickle.node(key) {
                Node::Text(text) if TRANSPARENT.contains(&&**text) => {
                    self.walk(value, path, depth + 1)?;
                    continue;
                }
                Node::Text(text) => text.to_string(),
                Node::Int(number) => number.to_string(),
                _ => continue,
            };
            self.walk(value, &joined(path, &name), depth + 1)?;
        }
        Ok(())
    }

    fn walk_items(&mut self, items: &'p [Id], path: &str, depth: usize) -> Result<(), FormatError> {
        for (i, &item) in items.iter().enumerate() {
            self.walk(item, &joined(path, &i.to_string()), depth + 1)?;
        }
        Ok(())
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

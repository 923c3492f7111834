//! Mappings with a known set of keys: sources, resources, expectations.

use crate::{
    check::is_meant,
    diagnostic::{Complaints, Place},
    suggest,
    yaml::{Key, Node, Yaml},
};

/// The entries of a mapping whose unknown keys have been reported.
pub(crate) struct Fields<'n> {
    entries: &'n [(Key, Node)],
    /// The whole mapping.
    pub place: &'n Place,
}

impl<'n> Fields<'n> {
    /// Reads `node` as a mapping with some of the keys `known`; `path` says what it is in messages.
    pub fn of(complaints: &mut Complaints, path: &str, node: &'n Node, known: &[&str]) -> Option<Self> {
        let Yaml::Map(entries) = &node.value else {
            let keys = suggest::one_of(known).unwrap_or_default();
            let message = format!("{path}: {} is not a mapping with {keys}", node.found());
            complaints.push(complaints.at(node.place.clone(), message));
            return None;
        };
        for (key, _) in entries {
            if !known.contains(&key.name.as_str()) {
                complaints.push(
                    complaints
                        .at(key.place.clone(), format!("{path}: unknown key `{}`", key.name))
                        .maybe_help(suggest::help(&key.name, "known keys", known.iter().copied())),
                );
            }
        }
        Some(Self {
            entries,
            place: &node.place,
        })
    }

    /// Whether a key is there, or a slip of it that has been reported.
    pub fn means(&self, name: &str) -> bool {
        is_meant(name, self.entries)
    }

    /// The value under a key.
    pub fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, value)| value)
    }

    /// The entry under a key.
    pub fn entry(&self, name: &str) -> Option<&'n (Key, Node)> {
        self.entries.iter().find(|(key, _)| key.name == name)
    }
}

/// Reports a value that is not what it should be.
pub(crate) fn mismatch(complaints: &mut Complaints, path: &str, node: &Node, expected: &str) {
    complaints.push(complaints.at(
        node.place.clone(),
        format!("{path}: {} is not {expected}", node.found()),
    ));
}

/// The text of a string, or a complaint.
pub(crate) fn text<'n>(complaints: &mut Complaints, path: &str, node: &'n Node) -> Option<&'n str> {
    let text = node.as_str();
    if text.is_none() {
        mismatch(complaints, path, node, "a string");
    }
    text
}

/// The strings of a list, or of a single string; anything else is a complaint.
pub(crate) fn texts<'n>(complaints: &mut Complaints, path: &str, node: &'n Node) -> Option<Vec<(&'n str, &'n Place)>> {
    match &node.value {
        Yaml::String(text) => Some(vec![(text, &node.place)]),
        Yaml::List(items) if items.is_empty() => {
            complaints.push(complaints.at(node.place.clone(), format!("{path}: the list is empty")));
            None
        }
        Yaml::List(items) => {
            let texts: Vec<_> = items
                .iter()
                .filter_map(|item| Some((text(complaints, path, item)?, &item.place)))
                .collect();
            (texts.len() == items.len()).then_some(texts)
        }
        _ => {
            mismatch(complaints, path, node, "a string or a list of strings");
            None
        }
    }
}

//! Params and axes that nothing mentions: they decide nothing.

use std::collections::HashSet;

use crate::{
    RawRecipe, Rule,
    diagnostic::{Complaints, Diagnostic},
    yaml::{Node, Yaml},
};

/// Remarks about axes that no step mentions, and params that nothing mentions.
pub(crate) fn unused(complaints: &Complaints, raw: &RawRecipe) -> Vec<Diagnostic> {
    let mut mentioned = HashSet::new();
    for (_, node) in raw.steps.iter().chain(&raw.sources) {
        mentions(node, &mut mentioned);
    }
    let in_steps = mentioned.clone();
    for node in raw.expect.iter().chain(&raw.search) {
        mentions(node, &mut mentioned);
    }
    let axes = raw.axes.iter().filter(|(key, _)| !in_steps.contains(&key.name));
    let axes = axes.map(|(key, _)| {
        let message = format!("axes.{}: no step mentions the axis", key.name);
        let help = format!("write `${}` where its values belong, or remove it", key.name);
        complaints
            .at(key.place.clone(), message)
            .help(help)
            .as_remark()
            .of(Rule::Unused)
    });
    let params = raw.params.iter().filter(|(key, _)| !mentioned.contains(&key.name));
    let params = params.map(|(key, _)| {
        let message = format!("params.{}: nothing mentions the param", key.name);
        let help = format!("write `${}` where its value belongs, or remove it", key.name);
        complaints
            .at(key.place.clone(), message)
            .help(help)
            .as_remark()
            .of(Rule::Unused)
    });
    axes.chain(params).collect()
}

/// The names behind a `$` in all texts: references, and those in expressions.
fn mentions(node: &Node, names: &mut HashSet<String>) {
    match &node.value {
        Yaml::Null | Yaml::Bool(_) | Yaml::Number(_) => {}
        Yaml::String(text) => {
            for rest in text.split('$').skip(1) {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
                names.insert(rest[..end.unwrap_or(rest.len())].to_owned());
            }
        }
        Yaml::List(items) => items.iter().for_each(|item| mentions(item, names)),
        Yaml::Map(entries) => entries.iter().for_each(|(_, item)| mentions(item, names)),
    }
}

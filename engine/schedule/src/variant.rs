//! The names under which reports show instances: several about one model share a row.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use recipe::{ArtifactKind, Instance};
use serde_json::Value;

use crate::plan::Node;

/// The name under which reports show an instance: a model by its step and place, a measurement by the model it is about.
pub(crate) fn variant(instance: &Instance, positions: &HashMap<&str, usize>, nodes: &[Node]) -> String {
    let makes_model = matches!(
        instance.produces,
        ArtifactKind::Model | ArtifactKind::Ranges | ArtifactKind::Dataset
    );
    let subject = instance
        .inputs
        .iter()
        .find(|i| !i.gathers && matches!(i.port.as_str(), "model" | "file"));
    let subject = subject.and_then(|i| nodes.get(*positions.get(i.from.first()?.id.as_str())?));
    match subject {
        Some(model) if !makes_model => model.variant.clone(),
        _ => {
            // An axis that the step's name mentions stands there: `pruned-s-int8` becomes `pruned-0.5-int8`.
            let mut words: Vec<String> = instance.step.split('-').map(str::to_owned).collect();
            for (axis, value) in &instance.coordinates {
                match words.iter_mut().find(|word| *word == axis) {
                    Some(word) => *word = plain(value),
                    None => words.push(plain(value)),
                }
            }
            words.join("-")
        }
    }
}

/// Ranges that one model is quantized with are about that model, so that a report shows both in one row.
pub(crate) fn name_ranges(nodes: &mut [Node]) {
    let mut users: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (i, node) in nodes.iter().enumerate() {
        if node.instance.produces == ArtifactKind::Model {
            let ranges = node
                .needs
                .iter()
                .filter(|&&d| nodes[d].instance.produces == ArtifactKind::Ranges);
            for &d in ranges {
                users.entry(d).or_default().insert(i);
            }
        }
    }
    for (ranges, models) in users {
        if let (Some(&only), 1) = (models.first(), models.len()) {
            let name = nodes[only].variant.clone();
            nodes[ranges].variant = name;
        }
    }
}

/// A value as people write it: a text without its quotes.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

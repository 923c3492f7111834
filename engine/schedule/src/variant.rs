//! The names under which reports show instances: several about one model share a row.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use recipe::{ArtifactKind, Instance};
use serde_json::Value;

/// The names under which reports show instances, which stand in topological order: a model by its step and place, a measurement by
/// the model it is about.
pub fn variants(instances: &[Instance]) -> Vec<String> {
    let positions: HashMap<&str, usize> = instances.iter().enumerate().map(|(i, n)| (n.id.as_str(), i)).collect();
    let mut names: Vec<String> = Vec::with_capacity(instances.len());
    for instance in instances {
        let name = name(instance, &positions, &names);
        names.push(name);
    }
    name_ranges(instances, &positions, &mut names);
    names
}

fn name(instance: &Instance, positions: &HashMap<&str, usize>, names: &[String]) -> String {
    let makes_model = matches!(
        instance.produces,
        ArtifactKind::Model | ArtifactKind::Ranges | ArtifactKind::Dataset
    );
    let subject = instance
        .inputs
        .iter()
        .find(|i| !i.gathers && matches!(i.port.as_str(), "model" | "file"));
    let subject = subject.and_then(|i| names.get(*positions.get(i.from.first()?.id.as_str())?));
    match subject {
        Some(model) if !makes_model => model.clone(),
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
fn name_ranges(instances: &[Instance], positions: &HashMap<&str, usize>, names: &mut [String]) {
    let mut users: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (i, instance) in instances.iter().enumerate() {
        if instance.produces == ArtifactKind::Model {
            let needs = instance.needs().filter_map(|id| positions.get(id.as_str()));
            for &d in needs.filter(|&&d| instances[d].produces == ArtifactKind::Ranges) {
                users.entry(d).or_default().insert(i);
            }
        }
    }
    for (ranges, models) in users {
        if let (Some(&only), 1) = (models.first(), models.len()) {
            let name = names[only].clone();
            names[ranges] = name;
        }
    }
}

/// A value as people write it: a text without its quotes.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

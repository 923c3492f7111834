//! Which stored array belongs to which layer.
//!
//! Files of whole models list the arrays of each outermost layer; those of a nested model stand in one list under variable names
//! that usually, but not always, contain the names of its layers. So they are matched by name where every name fits exactly
//! one layer, and otherwise by position, as Keras itself does. Shapes are checked when a layer takes its weights.

use std::collections::{BTreeMap, HashMap};

use super::config::{Layer, Model};
use super::hdf5::{Stored, StoredWeights};
use super::{layer_place, layers, malformed};
use crate::FormatError;

/// One weight that a layer has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// What it is called in graphs: `kernel`.
    pub role: &'static str,
    /// What else files call it.
    pub aliases: &'static [&'static str],
    /// Whether it is trained: trained weights are stored before the others.
    pub trained: bool,
    /// Whether files may lack it, since inference needs none.
    pub idle: bool,
    /// The layer inside the layer that holds it, as files by object call it; empty for the layer itself.
    pub object: &'static str,
}

impl Slot {
    /// A trained weight.
    pub(super) const fn trained(role: &'static str, aliases: &'static [&'static str]) -> Self {
        Slot {
            role,
            aliases,
            trained: true,
            idle: false,
            object: "",
        }
    }

    /// The same weight, held by a layer inside the layer: the role is `part/kernel` then.
    pub(super) const fn of(self, object: &'static str) -> Self {
        Slot { object, ..self }
    }

    /// A statistic.
    pub(super) const fn statistic(role: &'static str, aliases: &'static [&'static str]) -> Self {
        Slot {
            trained: false,
            ..Slot::trained(role, aliases)
        }
    }

    /// A counter that only training uses.
    pub(super) const fn counter(role: &'static str) -> Self {
        Slot {
            idle: true,
            ..Slot::statistic(role, &[])
        }
    }
}

/// The arrays of each layer by role; the layer is known by its path.
#[derive(Debug, Default)]
pub(super) struct Assigned {
    arrays: HashMap<String, BTreeMap<&'static str, Stored>>,
    /// What could not be matched, a line each.
    pub problems: Vec<String>,
}

impl Assigned {
    /// Hands a weight over; a second request finds nothing.
    pub(super) fn take(&mut self, path: &str, role: &str) -> Option<Stored> {
        self.arrays.get_mut(path)?.remove(role)
    }

    /// The shape of a weight that has not been taken.
    pub(super) fn shape(&self, path: &str, role: &str) -> Option<&[usize]> {
        Some(self.arrays.get(path)?.get(role)?.shape.as_slice())
    }

    fn put(&mut self, path: &str, slot: Slot, stored: Stored) {
        self.arrays
            .entry(path.to_owned())
            .or_default()
            .insert(slot.role, stored);
    }
}

/// Matches the arrays of a file with the layers of a model.
pub(super) fn assign(model: &Model, weights: StoredWeights) -> Result<Assigned, FormatError> {
    let mut assigned = Assigned::default();
    match weights {
        StoredWeights::ByLayer(groups) => {
            for (name, stored) in groups.into_iter().filter(|(_, stored)| !stored.is_empty()) {
                match model.layers.iter().find(|l| l.name == name) {
                    Some(layer) => group(layer, stored, &mut assigned)?,
                    None => assigned
                        .problems
                        .push(format!("{name}: the file has weights for it, but no such layer")),
                }
            }
        }
        StoredWeights::ByObject(mut objects) => {
            by_object(model, "", &mut objects, &mut assigned)?;
            let left = objects
                .keys()
                .map(|path| format!("{path}: the file has weights for it, but no layer stands there"));
            assigned.problems.extend(left);
        }
    }
    Ok(assigned)
}

/// The weights of a layer in the order of files: trained ones first; a frozen layer's are none of them trained.
///
/// Source: `_legacy_weights` in Keras' `legacy_h5_format.py`.
fn slots(layer: &Layer) -> Result<Vec<(&Layer, Slot)>, FormatError> {
    fn collect<'a>(
        layer: &'a Layer,
        frozen: bool,
        trained: &mut Vec<(&'a Layer, Slot)>,
        rest: &mut Vec<(&'a Layer, Slot)>,
    ) -> Result<(), FormatError> {
        let frozen = frozen || !layer.trainable;
        if let Some(model) = &layer.model {
            return model.layers.iter().try_for_each(|l| collect(l, frozen, trained, rest));
        }
        let mut all = layers::slots(layer)?;
        all.sort_by_key(|s| !s.trained);
        for slot in all {
            let list = if slot.trained && !frozen {
                &mut *trained
            } else {
                &mut *rest
            };
            list.push((layer, slot));
        }
        Ok(())
    }
    let (mut trained, mut rest) = (Vec::new(), Vec::new());
    collect(layer, false, &mut trained, &mut rest)?;
    trained.append(&mut rest);
    Ok(trained)
}

fn group(layer: &Layer, stored: Vec<Stored>, assigned: &mut Assigned) -> Result<(), FormatError> {
    let slots = slots(layer)?;
    let nested = layer.model.is_some();
    let by_name: Vec<Option<usize>> = stored.iter().map(|s| match_name(s, &slots, nested)).collect();
    let mut taken = vec![false; slots.len()];
    let unique = by_name
        .iter()
        .flatten()
        .all(|&i| !std::mem::replace(&mut taken[i], true));
    let complete = (0..slots.len()).all(|i| taken[i] || slots[i].1.idle);
    // A part inside a wrapper may have a name of its own.
    let same_end = |s: &Stored, l: &Layer, slot: Slot| slot.role.rsplit('/').next() == Some(role(s, l));
    let placed = |s: &Stored, l: &Layer, slot: Slot| fits(s, l, slot) || same_end(s, l, slot);
    let in_order = stored.len() == slots.len() && stored.iter().zip(&slots).all(|(s, (l, slot))| placed(s, l, *slot));
    if unique && complete && by_name.iter().all(Option::is_some) {
        for (stored, i) in stored.into_iter().zip(by_name.into_iter().flatten()) {
            assigned.put(&slots[i].0.path, slots[i].1, stored);
        }
    } else if in_order {
        for (stored, (layer, slot)) in stored.into_iter().zip(slots) {
            assigned.put(&layer.path, slot, stored);
        }
    } else {
        // Give what fits, so that the layers themselves name what they miss.
        let mut taken = vec![false; slots.len()];
        for (stored, i) in stored.into_iter().zip(by_name) {
            match i.filter(|&i| !std::mem::replace(&mut taken[i], true)) {
                Some(i) => assigned.put(&slots[i].0.path, slots[i].1, stored),
                None => assigned.problems.push(format!(
                    "{}: `{}` {:?} fits no weight of {}",
                    layer.path, stored.name, stored.shape, layer.class
                )),
            }
        }
    }
    Ok(())
}

/// What a variable is in its layer: `conv/kernel:0` and, in Keras 1, `conv_W:0`.
fn role<'a>(stored: &'a Stored, layer: &Layer) -> &'a str {
    let last = stored.name.rsplit('/').next().unwrap_or_default();
    let last = last.rsplit_once(':').map_or(last, |(name, _)| name);
    let prefix = last
        .strip_prefix(layer.name.as_str())
        .and_then(|rest| rest.strip_prefix('_'));
    match prefix.unwrap_or(last) {
        "W" => "kernel",
        "b" => "bias",
        "running_mean" => "moving_mean",
        // Misnamed by Keras 1: it is the variance.
        "running_std" => "moving_variance",
        "alphas" => "alpha",
        role => role,
    }
}

fn fits(stored: &Stored, layer: &Layer, slot: Slot) -> bool {
    if slot.role.contains('/') {
        let name = stored
            .name
            .rsplit_once(':')
            .map_or(stored.name.as_str(), |(name, _)| name);
        // A part inside a wrapper is called after the layer that was wrapped: `forward_lstm/lstm_cell/kernel`.
        let wrapped = slot.role.split_once('/').is_some_and(|(part, role)| {
            let mut above = name.split('/').rev();
            above.next() == Some(role) && above.any(|c| c.strip_prefix(part).is_some_and(|rest| rest.starts_with('_')))
        });
        let whole = name.strip_suffix(slot.role);
        return wrapped || whole.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
    }
    let role = role(stored, layer);
    role == slot.role || slot.aliases.contains(&role)
}

/// The slot whose role and layer a variable's name states; the longest match of the path wins, a tie matches nothing.
fn match_name(stored: &Stored, slots: &[(&Layer, Slot)], nested: bool) -> Option<usize> {
    let matched = |layer: &Layer, slot: Slot| {
        let around = stored.name.split('/').rev().skip(slot.role.split('/').count());
        layer
            .path
            .split('/')
            .rev()
            .zip(around)
            .take_while(|(a, b)| a == b)
            .count()
    };
    let candidates = slots
        .iter()
        .enumerate()
        .filter(|(_, (layer, slot))| fits(stored, layer, *slot));
    let scored: Vec<(usize, usize)> = candidates
        .map(|(i, (layer, slot))| (matched(layer, *slot), i))
        .collect();
    let best = *scored.iter().max()?;
    let ties = scored.iter().filter(|(score, _)| *score == best.0).count();
    (ties == 1 && (best.0 > 0 || !nested)).then_some(best.1)
}

/// `layers/conv2d`, `layers/conv2d_1`, …: classes in the order of the model's layers. Source: `saving_lib.py` of Keras 3.
fn by_object(
    model: &Model,
    prefix: &str,
    objects: &mut BTreeMap<String, Vec<Stored>>,
    assigned: &mut Assigned,
) -> Result<(), FormatError> {
    let mut count: HashMap<String, usize> = HashMap::new();
    for layer in &model.layers {
        let class = snake_case(&layer.class);
        let n = count.entry(class.clone()).or_default();
        let key = if *n == 0 { class } else { format!("{class}_{n}") };
        *n += 1;
        // Keras 2.12 and 3 call the list of layers differently.
        let containers = ["layers", "_layer_checkpoint_dependencies"];
        if let Some(inner) = &layer.model {
            let found = |c: &str| objects.keys().any(|k| k.starts_with(&format!("{prefix}{c}/{key}/")));
            if let Some(container) = containers.iter().find(|c| found(c)) {
                by_object(inner, &format!("{prefix}{container}/{key}/"), objects, assigned)?;
            }
            continue;
        }
        let slots = slots_by_object(layer)?;
        let mut held: Vec<&str> = slots.iter().map(|slot| slot.object).collect();
        held.dedup();
        for object in held {
            let slots: Vec<Slot> = slots.iter().copied().filter(|slot| slot.object == object).collect();
            // Keras 2 writes `_query_dense` where Keras 3 writes `query_dense`.
            let inner = |path: &String| match object {
                "" => vec![path.clone()],
                _ => vec![format!("{path}/{object}"), format!("{path}/_{object}")],
            };
            let paths = containers.iter().map(|c| format!("{prefix}{c}/{key}"));
            let path = paths.flat_map(|path| inner(&path)).find(|p| objects.contains_key(p));
            let Some((path, stored)) = path.and_then(|p| objects.remove_entry(&p)) else {
                continue;
            };
            if stored.len() > slots.len() {
                let problem = format!(
                    "{path} holds {} arrays, but {} has {} weights there",
                    stored.len(),
                    layer.class,
                    slots.len()
                );
                return Err(malformed(layer_place(&layer.path), problem));
            }
            for (stored, slot) in stored.into_iter().zip(slots) {
                assigned.put(&layer.path, slot, stored);
            }
        }
    }
    Ok(())
}

fn slots_by_object(layer: &Layer) -> Result<Vec<Slot>, FormatError> {
    let mut all = layers::slots(layer)?;
    all.sort_by_key(|s| !s.trained);
    Ok(all)
}

/// `DepthwiseConv2D` → `depthwise_conv2d`, `PReLU` → `p_re_lu`. Source: `to_snake_case` in `keras/src/utils/naming.py`:
/// `(.)([A-Z][a-z]+)` → `\1_\2`, then `([a-z])([A-Z])` → `\1_\2`, lower case.
pub(super) fn snake_case(class: &str) -> String {
    let chars: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut words = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let starts_word = c.is_ascii_uppercase() && chars.get(i + 1).is_some_and(char::is_ascii_lowercase);
        let after_lower = c.is_ascii_uppercase() && i > 0 && chars[i - 1].is_ascii_lowercase();
        if i > 0 && (starts_word || after_lower) {
            words.push('_');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_become_keys_as_in_keras() {
        let pairs = [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("PReLU", "p_re_lu"),
            ("ReLU", "re_lu"),
            ("BatchNormalization", "batch_normalization"),
            ("ELU", "elu"),
        ];
        for (class, key) in pairs {
            assert_eq!(snake_case(class), key);
        }
    }

    /// A sequential model `outer` that holds `inner`: dense, batch normalization, dense.
    fn nested(frozen: &str) -> Model {
        let layer = |class: &str, name: &str| {
            let config = serde_json::json!({"name": name, "units": 2, "trainable": name != frozen});
            serde_json::json!({"class_name": class, "config": config})
        };
        let layers = [
            layer("Dense", "a"),
            layer("BatchNormalization", "b"),
            layer("Dense", "c"),
        ];
        let inner = serde_json::json!({"class_name": "Sequential", "config": {"name": "inner", "layers": layers}});
        let outer = serde_json::json!({"class_name": "Sequential", "config": {"name": "outer", "layers": [inner]}});
        super::super::config::parse(&outer.to_string(), Some("2.2.4")).unwrap()
    }

    fn assigned(frozen: &str, names: &[&str]) -> (Vec<String>, Vec<String>) {
        let stored = names.iter().map(|name| Stored {
            name: (*name).to_owned(),
            shape: vec![2],
            values: Ok(vec![0.0; 2]),
        });
        let weights = StoredWeights::ByLayer(vec![("inner".to_owned(), stored.collect())]);
        let mut found = assign(&nested(frozen), weights).unwrap();
        let mut lines = Vec::new();
        for (path, roles) in [
            ("inner/a", &["kernel", "bias"][..]),
            ("inner/b", &["gamma", "moving_mean"]),
            ("inner/c", &["kernel"]),
        ] {
            for role in roles {
                let name = found.take(path, role).map_or("nothing".to_owned(), |s| s.name);
                lines.push(format!("{path}/{role} = {name}"));
            }
        }
        (lines, found.problems)
    }

    #[test]
    fn variables_named_after_other_layers_are_matched_by_position_trained_ones_first() {
        let names = [
            "u/kernel:0",
            "u/bias:0",
            "v/gamma:0",
            "v/beta:0",
            "w/kernel:0",
            "w/bias:0",
            "v/moving_mean:0",
            "v/moving_variance:0",
        ];
        let (lines, problems) = assigned("", &names);
        insta::assert_snapshot!(lines.join("\n"), @"
        inner/a/kernel = u/kernel:0
        inner/a/bias = u/bias:0
        inner/b/gamma = v/gamma:0
        inner/b/moving_mean = v/moving_mean:0
        inner/c/kernel = w/kernel:0
        ");
        assert!(problems.is_empty());
    }

    #[test]
    fn a_frozen_layers_weights_come_after_the_trained_ones() {
        let names = [
            "v/gamma:0",
            "v/beta:0",
            "w/kernel:0",
            "w/bias:0",
            "u/kernel:0",
            "u/bias:0",
            "v/moving_mean:0",
            "v/moving_variance:0",
        ];
        let (lines, problems) = assigned("a", &names);
        insta::assert_snapshot!(lines.join("\n"), @"
        inner/a/kernel = u/kernel:0
        inner/a/bias = u/bias:0
        inner/b/gamma = v/gamma:0
        inner/b/moving_mean = v/moving_mean:0
        inner/c/kernel = w/kernel:0
        ");
        assert!(problems.is_empty());
    }

    #[test]
    fn names_that_fit_go_before_position() {
        let names = [
            "c/kernel:0",
            "c/bias:0",
            "b/gamma:0",
            "b/beta:0",
            "inner/a/kernel:0",
            "inner/a/bias:0",
            "b/moving_mean:0",
            "b/moving_variance:0",
        ];
        let (lines, problems) = assigned("", &names);
        insta::assert_snapshot!(lines.join("\n"), @"
        inner/a/kernel = inner/a/kernel:0
        inner/a/bias = inner/a/bias:0
        inner/b/gamma = b/gamma:0
        inner/b/moving_mean = b/moving_mean:0
        inner/c/kernel = c/kernel:0
        ");
        assert!(problems.is_empty());
    }

    #[test]
    fn variables_that_fit_neither_way_are_reported() {
        let (_, problems) = assigned("", &["u/gamma:0", "u/kernel:0"]);
        insta::assert_snapshot!(problems.join("\n"), @"
        inner: `u/gamma:0` [2] fits no weight of Sequential
        inner: `u/kernel:0` [2] fits no weight of Sequential
        ");
    }

    #[test]
    fn weights_of_a_layer_inside_a_layer_are_found_under_either_name() {
        for mark in ["", "_"] {
            let config = serde_json::json!({"name": "a", "use_bias": false});
            let layer = serde_json::json!({"class_name": "MultiHeadAttention", "config": config});
            let json = serde_json::json!({"class_name": "Sequential", "config": {"name": "m", "layers": [layer]}});
            let model = super::super::config::parse(&json.to_string(), Some("3.0")).unwrap();
            let objects = ["query_dense", "key_dense", "value_dense", "output_dense"].map(|object| {
                let stored = Stored {
                    name: object.to_owned(),
                    shape: vec![2],
                    values: Ok(vec![0.0; 2]),
                };
                (format!("layers/multi_head_attention/{mark}{object}"), vec![stored])
            });
            let mut found = assign(&model, StoredWeights::ByObject(objects.into())).unwrap();
            assert_eq!(found.take("a", "query/kernel").unwrap().name, "query_dense");
            assert_eq!(found.take("a", "attention_output/kernel").unwrap().name, "output_dense");
            assert_eq!(found.problems, [""; 0]);
        }
    }
}

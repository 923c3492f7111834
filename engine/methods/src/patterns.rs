//! Which layers a step is about: patterns over the names of layers and their operators.
//!
//! A pattern is a layer's name, in which `*` stands for any characters and `?` for one, or `op:` and the name of an operator
//! (`op:depthwise_conv2d`). A pattern that matches no layer is an error: a typing mistake must not turn a step into nothing.

use crate::{Layer, MethodError};
use ir::Graph;

/// Whether a pattern matches a layer.
fn matches(pattern: &str, layer: &Layer, graph: &Graph) -> bool {
    match pattern.strip_prefix("op:") {
        Some(op) => glob(op, graph.node(layer.node).op.name()),
        None => glob(pattern, &layer.name),
    }
}

/// Which layers the patterns match; `key` is the parameter, for messages.
pub fn matching(key: &str, patterns: &[String], layers: &[Layer], graph: &Graph) -> Result<Vec<bool>, MethodError> {
    let mut chosen = vec![false; layers.len()];
    for pattern in patterns {
        let hits: Vec<usize> = (0..layers.len())
            .filter(|&i| matches(pattern, &layers[i], graph))
            .collect();
        if hits.is_empty() {
            let known: Vec<String> = layers
                .iter()
                .map(|l| format!("{} (op:{})", l.name, graph.node(l.node).op.name()))
                .collect();
            return Err(MethodError::NoSuchLayer {
                key: key.to_owned(),
                pattern: pattern.clone(),
                known: known.join(", "),
            });
        }
        for i in hits {
            chosen[i] = true;
        }
    }
    Ok(chosen)
}

/// The layers that `wanted` matches (all, if it is empty) and `exclude` does not.
///
/// # Errors
/// A pattern matches nothing, or nothing is left.
pub fn selected(
    wanted: &[String],
    exclude: &[String],
    layers: &[Layer],
    graph: &Graph,
) -> Result<Vec<bool>, MethodError> {
    let mut chosen = if wanted.is_empty() {
        vec![true; layers.len()]
    } else {
        matching("layers", wanted, layers, graph)?
    };
    let excluded = matching("exclude", exclude, layers, graph)?;
    chosen.iter_mut().zip(excluded).for_each(|(c, e)| *c &= !e);
    if chosen.contains(&true) {
        Ok(chosen)
    } else if layers.is_empty() {
        Err(MethodError::NoLayers)
    } else {
        Err(MethodError::AllExcluded)
    }
}

/// Whether `name` is what `pattern` describes.
pub fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // reachable[i]: the pattern so far can match the first i characters.
    let mut reachable = vec![false; name.len() + 1];
    reachable[0] = true;
    for p in pattern {
        if p == '*' {
            (1..reachable.len()).for_each(|i| reachable[i] |= reachable[i - 1]);
        } else {
            for i in (1..reachable.len()).rev() {
                reachable[i] = reachable[i - 1] && (p == '?' || p == name[i - 1]);
            }
            reachable[0] = false;
        }
    }
    reachable[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("conv*", "conv2d_1", true),
            ("*_1", "conv2d_1", true),
            ("conv?d", "conv2d", true),
            ("conv", "conv2d", false),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xaxxbc", false),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern, name), fits, "{pattern} {name}");
        }
    }
}

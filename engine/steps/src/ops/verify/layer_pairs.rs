//! Which layers of two models are the same: by name, and where formats name them otherwise, by what they are and their order.
//!
//! Both models are folded and lowered first, so that a batch norm or an activation is a layer of its own in neither. Names that
//! both have make pairs. Of the rest, the longest common sequence of operators with equal output shapes pairs up; borders between
//! floats and integers count for none.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use ir::{ElementType, Graph, GraphError, Node, Op, Shape, Tensor};

/// Names of the candidate's tensors with those of the reference's.
pub(crate) type Pairs = HashMap<String, String>;

/// A model in the form whose layers are compared.
///
/// # Errors
/// A graph that cannot be folded.
pub(crate) fn comparable(model: &Graph) -> Result<Cow<'_, Graph>, GraphError> {
    if plain(model) {
        models::prepared(model).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(model))
    }
}

/// Whether a model computes in floats with float weights.
pub(crate) fn plain(model: &Graph) -> bool {
    let other = |t: &Tensor| t.is_quantized() || t.ty.element == ElementType::F16;
    !model.tensors().iter().any(other)
}

/// A layer to find a partner for.
struct Layer<'g> {
    name: &'g str,
    op: &'static str,
    shape: &'g Shape,
}

/// The layers of two models in their comparable forms.
pub(crate) fn pairs(candidate: &Graph, reference: &Graph) -> Pairs {
    let (candidate, reference) = (layers(candidate), layers(reference));
    let known: HashMap<&str, &Layer<'_>> = reference.iter().map(|layer| (layer.name, layer)).collect();
    let same = |layer: &Layer<'_>| known.get(layer.name).is_some_and(|other| other.shape == layer.shape);
    let named: HashSet<&str> = candidate.iter().filter(|l| same(l)).map(|l| l.name).collect();
    let rest = |layers: Vec<Layer<'_>>| -> Vec<(String, &'static str, Shape)> {
        let rest = layers.into_iter().filter(|layer| !named.contains(layer.name));
        rest.map(|layer| (layer.name.to_owned(), layer.op, layer.shape.clone()))
            .collect()
    };
    let mut pairs: Pairs = named
        .iter()
        .map(|name| ((*name).to_owned(), (*name).to_owned()))
        .collect();
    let (candidate, reference) = (rest(candidate), rest(reference));
    let alike = |a: usize, b: usize| (candidate[a].1, &candidate[a].2) == (reference[b].1, &reference[b].2);
    for (a, b) in common(candidate.len(), reference.len(), alike) {
        pairs.insert(candidate[a].0.clone(), reference[b].0.clone());
    }
    pairs
}

fn layers(graph: &Graph) -> Vec<Layer<'_>> {
    let computes = |node: &&Node| !matches!(node.op, Op::Quantize(_) | Op::Dequantize(_));
    let nodes = graph.nodes().iter().filter(computes);
    nodes
        .flat_map(|node| {
            node.outputs.iter().map(|&id| {
                let Tensor { name, ty, .. } = graph.tensor(id);
                Layer {
                    name,
                    op: node.op.name(),
                    shape: &ty.shape,
                }
            })
        })
        .collect()
}

/// Positions of a longest common sequence of two lists of these lengths.
fn common(candidates: usize, references: usize, alike: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    // longest[a][b]: how many pairs the lists have from a and b on.
    let mut longest = vec![vec![0_u32; references + 1]; candidates + 1];
    for a in (0..candidates).rev() {
        for b in (0..references).rev() {
            longest[a][b] = if alike(a, b) {
                longest[a + 1][b + 1] + 1
            } else {
                longest[a + 1][b].max(longest[a][b + 1])
            };
        }
    }
    let (mut a, mut b, mut pairs) = (0, 0, Vec::new());
    while a < candidates && b < references {
        if alike(a, b) {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if longest[a + 1][b] >= longest[a][b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use ir::TensorType;
    use ir::ops::Function;

    use super::*;

    /// A chain of these functions, named after their places.
    fn chain(names: &[(&str, Op)]) -> Graph {
        let mut graph = Graph::new("chain");
        let mut at = graph.input("x", TensorType::f32([1, 4]));
        for (name, op) in names {
            at = graph.add(*name, op.clone(), &[at]).unwrap();
        }
        graph.set_outputs(&[at]);
        graph
    }

    #[test]
    fn layers_of_one_name_are_pairs_and_the_others_follow_in_order() {
        let ours = chain(&[
            ("a", Function::Abs.into()),
            ("StatefulCall:0", Function::Exp.into()),
            ("c", Function::Neg.into()),
        ]);
        let theirs = chain(&[
            ("a", Function::Abs.into()),
            ("/exp/Exp_output_0", Function::Exp.into()),
            ("more", Function::Abs.into()),
            ("end", Function::Neg.into()),
        ]);
        let pairs = pairs(&ours, &theirs);
        let mut pairs: Vec<_> = pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        pairs.sort_unstable();
        assert_eq!(
            pairs,
            [("StatefulCall:0", "/exp/Exp_output_0"), ("a", "a"), ("c", "end")]
        );
    }

    #[test]
    fn a_layer_without_a_partner_has_none() {
        let pairs = pairs(
            &chain(&[("a", Function::Abs.into())]),
            &chain(&[("b", Function::Exp.into())]),
        );
        assert!(pairs.is_empty(), "{pairs:?}");
    }
}

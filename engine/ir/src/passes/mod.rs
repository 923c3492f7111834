//! Passes: each looks for one pattern and returns a patch; [`run`] applies it and looks again.
//!
//! A pass never changes what a network computes, beyond the rounding of its constants.

mod batch_norm;
mod dilate;
mod fuse_activation;
mod fuse_pad;
mod identity;
mod layout;
mod lower;
mod masks;
mod moments;
mod pool;
mod raise;
mod recurrent;

pub use dilate::{DEALT, GATHERED};
pub use layout::{Interface, channels_last, channels_last_with};
pub use masks::{Masked, masked, only_softmax};

use crate::editor::Editor;
use crate::{Graph, GraphError, InferError, NodeId, Patch};

/// Looks at one node: what to replace, or `None` when the pattern is not there.
pub type Rule = for<'g> fn(&'g Graph, NodeId) -> Result<Option<Patch<'g>>, InferError>;

/// The rules of [`fold`], by name.
pub const FOLD: &[(&str, Rule)] = &[
    ("remove-identity", identity::remove_identity),
    ("remove-repetition", identity::remove_repetition),
    ("fuse-pad", fuse_pad::fuse_pad),
    ("fold-affine", batch_norm::fold_affine),
    ("fuse-activation", fuse_activation::fuse_activation),
];

/// The rules of [`lower`], by name.
pub const LOWER: &[(&str, Rule)] = &[
    ("batch-norm-to-mul-add", batch_norm::batch_norm_to_mul_add),
    ("layer-norm-to-means", lower::layer_norm),
    ("function-to-others", lower::function),
    ("div-by-constant-to-mul", lower::div_by_constant),
    ("bias-of-convolutions", lower::conv_bias),
    ("average-pool-padding", pool::padded_average),
    ("integers-to-constants", lower::dequantized_constant),
    ("finite-masks", masks::finite_mask),
    ("recurrent-to-unidirectional", recurrent::unidirectional),
];

/// The rules of [`lower_norms`], by name.
const LOWER_NORMS: &[(&str, Rule)] = &[("layer-norm-to-means", lower::layer_norm)];

/// The rules of [`unroll`], by name.
const UNROLL: &[(&str, Rule)] = &[("recurrent-to-steps", recurrent::unroll)];

/// The rules of [`raise`], by name.
pub const RAISE: &[(&str, Rule)] = &[
    ("means-to-layer-norm", raise::layer_norm),
    ("moments-to-layer-norm", moments::layer_norm),
];

/// The rules of [`dilate`], by name.
const DILATE: &[(&str, Rule)] = &[("batches-to-dilation", dilate::dilate)];

/// How often a rule was applied, in the order of the rules; those that never were are left out.
pub type Applied = Vec<(&'static str, usize)>;

/// Removes what inference does not need and merges batch norms, zero padding and clamps into their neighbours.
///
/// Folding is idempotent, and keeps the name of every tensor that remains.
pub fn fold(graph: &mut Graph) -> Result<Applied, GraphError> {
    run(graph, FOLD)
}

/// Expresses operators that TFLite does not have by those that it has. What computes with integers stays as it is, but for a bias that
/// LiteRT asks for.
pub fn lower(graph: &mut Graph) -> Result<Applied, GraphError> {
    run(graph, LOWER)
}

/// The part of [`lower`] that is about norms by the sample's own statistics: for networks whose other operators are integers already.
pub fn lower_norms(graph: &mut Graph) -> Result<Applied, GraphError> {
    run(graph, LOWER_NORMS)
}

/// Expresses recurrent layers by what they compute in each of their steps, for formats and arithmetics without such layers.
pub fn unroll(graph: &mut Graph) -> Result<Applied, GraphError> {
    run(graph, UNROLL)
}

/// Puts operators together that are spelled out in parts: what [`lower`] did to norms, and files that know none.
pub fn raise(graph: &mut Graph) -> Result<Applied, GraphError> {
    run(graph, RAISE)
}

/// Makes dilated convolutions of those that a file spells out by images of pixels that lie apart.
pub fn dilate(graph: &mut Graph) -> Result<Applied, GraphError> {
    run(graph, DILATE)
}

/// Applies each rule wherever it matches until none does, walking over the nodes as often as it takes: twice, mostly.
pub fn run(graph: &mut Graph, rules: &[(&'static str, Rule)]) -> Result<Applied, GraphError> {
    if !matches(graph, rules)? {
        return Ok(Applied::new());
    }
    let mut sorted = graph.clone();
    sorted.normalize()?;
    let mut editor = Editor::new(sorted);
    let mut counts = vec![0; rules.len()];
    loop {
        let before: usize = counts.iter().sum();
        for (count, (_, rule)) in counts.iter_mut().zip(rules) {
            loop {
                let found = walk(&mut editor, *rule)?;
                *count += found;
                if found == 0 {
                    break;
                }
            }
        }
        if counts.iter().sum::<usize>() == before {
            *graph = editor.finish()?;
            let names = rules.iter().map(|(name, _)| *name);
            return Ok(names.zip(counts).filter(|&(_, n)| n > 0).collect());
        }
    }
}

/// Looks at every node once, and again at what a patch made; the number of patches.
fn walk(editor: &mut Editor, rule: Rule) -> Result<usize, GraphError> {
    let (mut found, mut position) = (0, 0);
    while let Some((key, id)) = editor.at_or_after(position) {
        match look(editor.graph(), rule, id)? {
            None => position = key + 1,
            Some(patch) => {
                let change = patch.done();
                let first = editor.apply(change)?;
                position = first.map_or(key, |first| first.min(key));
                found += 1;
            }
        }
    }
    Ok(found)
}

fn matches(graph: &Graph, rules: &[(&'static str, Rule)]) -> Result<bool, GraphError> {
    for (_, rule) in rules {
        for id in graph.node_ids() {
            if look(graph, *rule, id)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn look(graph: &Graph, rule: Rule, id: NodeId) -> Result<Option<Patch<'_>>, GraphError> {
    rule(graph, id).map_err(|e| GraphError::from((graph.node(id), e)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Add, BatchNorm, Concat, Conv2d, Dropout, Function, LayerNorm, Mul};
    use crate::{Constant, TensorId, TensorType};

    fn f32s(dims: &[usize], value: f32) -> Constant {
        Constant::f32(dims, vec![value; dims.iter().product()]).unwrap()
    }

    fn conv(g: &mut Graph, name: &str, x: TensorId) -> TensorId {
        let weights = g.constant(format!("{name}/weights"), f32s(&[2, 1, 1, 2], 0.5));
        g.add(name, Conv2d::default(), &[x, weights]).unwrap()
    }

    fn norm(g: &mut Graph, name: &str, x: TensorId) -> TensorId {
        let parts = [0, 1, 2, 3].map(|i| g.constant(format!("{name}/{i}"), f32s(&[2], 1.0 + i as f32)));
        let inputs = [&[x], &parts[..]].concat();
        g.add(name, BatchNorm { epsilon: 1e-3 }, &inputs).unwrap()
    }

    /// Blocks of two branches whose nodes stand among each other, with every kind of function in them.
    fn network() -> Graph {
        let mut g = Graph::new("branches");
        let mut x = g.input("x", TensorType::f32([1, 3, 3, 2]));
        let functions = Function::all();
        for (i, function) in functions.into_iter().enumerate() {
            let name = |part: &str| format!("{i}/{part}");
            let long = conv(&mut g, &name("long"), x);
            let short = conv(&mut g, &name("short"), x);
            let long = norm(&mut g, &name("long/norm"), long);
            let short = norm(&mut g, &name("short/norm"), short);
            let long = g.add(name("relu"), Function::Relu, &[long]).unwrap();
            let short = g.add(name("drop"), Dropout { rate: 0.5 }, &[short]).unwrap();
            let factor = g.constant(name("factor"), f32s(&[2], 0.25));
            let long = conv(&mut g, &name("last"), long);
            let short = norm(&mut g, &name("norm"), short);
            let long = g.add(name("scaled"), Mul::default(), &[long, factor]).unwrap();
            let short = g.add(name("function"), function, &[short]).unwrap();
            let sum = g.add(name("sum"), Add::default(), &[long, short]).unwrap();
            let gate = g.add(name("gate"), Function::Swish, &[sum]).unwrap();
            let scale = g.constant(name("scale"), f32s(&[2], 1.5));
            let layer = LayerNorm { axis: 3, epsilon: 1e-5 };
            let normed = g.add(name("layer"), layer, &[sum, scale]).unwrap();
            let both = g.add(name("both"), Concat { axis: 3 }, &[gate, normed]).unwrap();
            let weights = g.constant(name("mix/weights"), f32s(&[2, 1, 1, 4], 0.1));
            x = g.add(name("mix"), Conv2d::default(), &[both, weights]).unwrap();
        }
        g.set_outputs(&[x]);
        g
    }

    /// The first match anywhere, applied and sorted and verified before the next is looked for.
    fn one_after_the_other(graph: &mut Graph, rules: &[(&'static str, Rule)]) {
        loop {
            let before = graph.clone();
            for (_, rule) in rules {
                let first = |graph: &Graph| {
                    let found = graph.node_ids().find_map(|id| rule(graph, id).unwrap());
                    found.map(Patch::done)
                };
                while let Some(change) = first(graph) {
                    graph.apply(change).unwrap();
                }
            }
            if *graph == before {
                return;
            }
        }
    }

    #[test]
    fn patches_together_make_what_they_make_one_after_the_other() {
        for rules in [FOLD, LOWER, RAISE] {
            let (mut together, mut single) = (network(), network());
            run(&mut together, rules).unwrap();
            one_after_the_other(&mut single, rules);
            let names = |g: &Graph| g.nodes().iter().map(|n| n.name.clone()).collect::<Vec<_>>();
            assert_eq!(names(&together), names(&single));
            assert_eq!(together, single);
        }
        let mut graph = network();
        assert!(lower(&mut graph).unwrap().len() > 2 && fold(&mut graph).unwrap().len() > 1);
    }
}

//! Passes: each looks for one pattern and returns a patch; [`run`] applies it and looks again.
//!
//! A pass never changes what a network computes, beyond the rounding of its constants.

mod batch_norm;
mod fuse_activation;
mod fuse_pad;
mod identity;
mod layout;
mod lower;
mod masks;
mod moments;
mod raise;

pub use layout::{Interface, channels_last, channels_last_with};
pub use masks::{Masked, masked};

use crate::{Graph, GraphError, InferError, NodeId, Patch};

/// Looks at one node: what to replace, or `None` when the pattern is not there.
pub type Rule = fn(&Graph, NodeId) -> Result<Option<Patch>, InferError>;

/// The rules of [`fold`], by name.
pub const FOLD: &[(&str, Rule)] = &[
    ("remove-identity", identity::remove_identity),
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
    ("integers-to-constants", lower::dequantized_constant),
    ("finite-masks", masks::finite_mask),
];

/// The rules of [`lower_norms`], by name.
const LOWER_NORMS: &[(&str, Rule)] = &[("layer-norm-to-means", lower::layer_norm)];

/// The rules of [`raise`], by name.
pub const RAISE: &[(&str, Rule)] = &[
    ("means-to-layer-norm", raise::layer_norm),
    ("moments-to-layer-norm", moments::layer_norm),
];

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

/// Puts operators together that are spelled out in parts: what [`lower`] did to norms, and files that know none.
pub fn raise(graph: &mut Graph) -> Result<Applied, GraphError> {
    run(graph, RAISE)
}

/// Applies each rule wherever it matches until none does.
pub fn run(graph: &mut Graph, rules: &[(&'static str, Rule)]) -> Result<Applied, GraphError> {
    let mut counts = vec![0; rules.len()];
    loop {
        let before: usize = counts.iter().sum();
        for (count, (_, rule)) in counts.iter_mut().zip(rules) {
            while let Some(patch) = first_match(graph, *rule)? {
                graph.apply(patch)?;
                *count += 1;
            }
        }
        if counts.iter().sum::<usize>() == before {
            let names = rules.iter().map(|(name, _)| *name);
            return Ok(names.zip(counts).filter(|&(_, n)| n > 0).collect());
        }
    }
}

fn first_match(graph: &Graph, rule: Rule) -> Result<Option<Patch>, GraphError> {
    for id in graph.node_ids() {
        if let Some(patch) = rule(graph, id).map_err(|e| GraphError::from((graph.node(id), e)))? {
            return Ok(Some(patch));
        }
    }
    Ok(None)
}

//! A graph's constants as a state dict: the names they have, laid out as PyTorch does.

use indexmap::IndexMap;
use ir::{Constant, Graph, Op};

/// The constants of a graph by name, permuted into PyTorch's layout where the operator that reads them says what they are:
/// convolutions `OHWI` → `OIHW`, depthwise `1HWO` → `O1HW`, transposed `OHWI` → `IOHW`; the others as they are.
///
/// For a graph that [`crate::Architecture::build`] made, this gives back the weights that went in, whatever has been done to their
/// values since; what folding has merged stays merged.
pub fn state_dict(graph: &Graph) -> IndexMap<String, Constant> {
    let mut dict = IndexMap::new();
    for id in graph.tensor_ids() {
        let tensor = graph.tensor(id);
        let Some(data) = &tensor.data else { continue };
        let reader = graph.consumers(id).map(|node| graph.node(node)).next();
        let laid_out = reader.and_then(|node| {
            let at = node.inputs.iter().position(|input| *input == id)?;
            data.permuted(&layout(&node.op, at, data.dims().len()))
        });
        dict.insert(tensor.name.clone(), laid_out.unwrap_or_else(|| data.clone()));
    }
    dict
}

/// The dimensions of an operator's constant in the order that PyTorch has them.
pub(crate) fn layout(op: &Op, input: usize, rank: usize) -> Vec<usize> {
    match (op, input, rank) {
        (Op::Conv2d(_), 1, 4) => vec![0, 3, 1, 2],
        (Op::DepthwiseConv2d(_) | Op::TransposeConv2d(_), 1, 4) => vec![3, 0, 1, 2],
        _ => (0..rank).collect(),
    }
}

/// The permutation that undoes another one.
pub(crate) fn inverse(axes: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; axes.len()];
    for (i, &axis) in axes.iter().enumerate() {
        inverse[axis] = i;
    }
    inverse
}

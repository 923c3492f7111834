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
        let weights_of = graph.consumers(id).map(|node| graph.node(node)).find(|node| node.inputs.get(1) == Some(&id));
        let axes: Option<[usize; 4]> = weights_of.and_then(|node| match &node.op {
            Op::Conv2d(_) => Some([0, 3, 1, 2]),
            Op::DepthwiseConv2d(_) | Op::TransposeConv2d(_) => Some([3, 0, 1, 2]),
            _ => None,
        });
        let laid_out = axes.and_then(|axes| data.permuted(&axes));
        dict.insert(tensor.name.clone(), laid_out.unwrap_or_else(|| data.clone()));
    }
    dict
}

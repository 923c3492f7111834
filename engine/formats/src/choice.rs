//! When a choice may be a sum of products with zeros and ones, which integers have, and when it must be a choice.

use ir::ops::{Div, Function, Reads};
use ir::{Constant, Graph, Op, TensorId};

/// Whether a constant holds what is infinite or no number, which is not told from itself by a difference.
pub(crate) fn is_infinite(graph: &Graph, id: TensorId) -> bool {
    let values = graph.constant_data(id).and_then(Constant::as_f32);
    values.is_some_and(|values| values.iter().any(|v| !v.is_finite()))
}

/// Whether a tensor may hold what times 0 is not 0: it comes, number by number, from a function that is infinite or no number somewhere.
///
/// Layers that mix numbers are not looked behind: what is infinite there is so in all of their outputs, chosen or not.
pub(crate) fn unbounded(graph: &Graph, id: TensorId) -> bool {
    let (mut open, mut seen) = (vec![id], std::collections::HashSet::new());
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        if let Some(values) = graph.constant_data(id).and_then(Constant::as_f32) {
            if values.iter().any(|v| !v.is_finite()) {
                return true;
            }
            continue;
        }
        let Some(node) = graph.producer(id).map(|node| graph.node(node)) else {
            continue;
        };
        match &node.op {
            Op::Function(Function::Exp | Function::Log | Function::Sqrt | Function::Rsqrt) | Op::Pow(_) => return true,
            Op::Div(Div { activation: _ }) => {
                let divisor = graph.constant_data(node.inputs[1]).and_then(Constant::as_f32);
                if divisor.is_none_or(|values| values.contains(&0.0)) {
                    return true;
                }
                open.push(node.inputs[0]);
            }
            op => match op.reads() {
                Reads::Function | Reads::Place | Reads::Broadcast | Reads::Named | Reads::Moved => {
                    open.extend(&node.inputs);
                }
                Reads::Combined | Reads::Stated => {}
            },
        }
    }
    false
}

//! Operators that change nothing disappear.

use crate::{Graph, InferError, NodeId, Op, Patch};

/// `y = identity(x)`, also dropout, a reshape to the same shape and a transpose that keeps the order: readers of `y` read `x`.
///
/// A graph output that is a graph input, a constant or another output keeps its identity, so that its name survives.
#[expect(clippy::unnecessary_wraps, reason = "the signature of every rule")]
pub fn remove_identity(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let node = graph.node(id);
    let (input, output) = (node.inputs[0], node.output());
    let nothing = match &node.op {
        Op::Identity(_) | Op::Dropout(_) => true,
        Op::Reshape(_) => graph.tensor(input).ty == graph.tensor(output).ty,
        Op::Transpose(t) => t.perm.iter().enumerate().all(|(i, &p)| i == p),
        _ => false,
    };
    let named = graph.producer(input).is_none() || graph.outputs().contains(&input);
    if !nothing || (graph.outputs().contains(&output) && named) {
        return Ok(None);
    }
    let mut patch = Patch::new(graph);
    patch.replace(output, input);
    patch.remove(id);
    Ok(Some(patch))
}

#[cfg(test)]
mod tests {
    use crate::ops::{Dropout, Function, Identity};
    use crate::{Graph, TensorType};

    #[test]
    fn dropout_disappears_and_a_bare_output_stays() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 4]));
        let a = g.add("a", Function::Relu, &[x]).unwrap();
        let b = g.add("b", Dropout { rate: 0.5 }, &[a]).unwrap();
        let c = g.add("c", Identity {}, &[x]).unwrap();
        g.set_outputs(&[b, c]);
        assert_eq!(super::super::fold(&mut g).unwrap(), [("remove-identity", 1)]);
        let names: Vec<_> = g.nodes().iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["a", "c"]);
    }
}

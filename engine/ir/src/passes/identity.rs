//! Operators that change nothing disappear.

use crate::ops::{Activation, Reads};
use crate::{Constant, Graph, InferError, NodeId, Op, Patch, TensorId};

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

/// `y = x · 1`, where the ones only repeat `x`: readers that broadcast to the same shape without them read `x`.
#[expect(clippy::unnecessary_wraps, reason = "the signature of every rule")]
pub fn remove_repetition(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let node = graph.node(id);
    let Op::Mul(op) = &node.op else { return Ok(None) };
    let ones = |id: TensorId| {
        let values = graph.constant_data(id).and_then(Constant::as_f32);
        values.is_some_and(|values| values.iter().all(|&v| v == 1.0))
    };
    let (x, y) = match node.inputs[..] {
        [x, one] if ones(one) && !ones(x) => (x, node.output()),
        [one, x] if ones(one) && !ones(x) => (x, node.output()),
        _ => return Ok(None),
    };
    if op.activation != Activation::None || graph.outputs().contains(&y) || graph.tensor(y).is_quantized() {
        return Ok(None);
    }
    let mut readers = graph.consumers(y).peekable();
    if readers.peek().is_none() {
        return Ok(None);
    }
    for reader in readers {
        let reader = graph.node(reader);
        let inputs = reader.inputs.iter().map(|&input| if input == y { x } else { input });
        let types: Vec<_> = inputs.map(|input| &graph.tensor(input).ty).collect();
        let same = graph.tensor(x).ty == graph.tensor(y).ty || reader.op.reads() == Reads::Broadcast;
        let made = reader.op.infer(&types).ok();
        if !same || made.as_deref() != Some(&[graph.tensor(reader.output()).ty.clone()]) {
            return Ok(None);
        }
    }
    let mut patch = Patch::new(graph);
    patch.replace(y, x);
    patch.remove(id);
    Ok(Some(patch))
}

#[cfg(test)]
mod tests {
    use crate::ops::{Div, Dropout, Function, Identity, Mul};
    use crate::{Constant, Graph, TensorType};

    #[test]
    fn repetitions_disappear_where_readers_broadcast_by_themselves() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 4]));
        let norm = g.input("norm", TensorType::f32([1, 1]));
        let ones = g.constant("ones", Constant::f32([1, 4], vec![1.0; 4]).unwrap());
        let all = g.add("all", Mul::default(), &[norm, ones]).unwrap();
        let mut kept = g.clone();
        let y = g.add("y", Div::default(), &[x, all]).unwrap();
        g.set_outputs(&[y]);
        assert_eq!(super::super::fold(&mut g).unwrap(), [("remove-repetition", 1)]);
        assert_eq!(g.nodes().len(), 1);
        // A function of one tensor needs them all.
        let root = kept.add("root", Function::Sqrt, &[all]).unwrap();
        kept.set_outputs(&[root]);
        super::super::fold(&mut kept).unwrap();
        assert_eq!(kept.nodes().len(), 2);
    }

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

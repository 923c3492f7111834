//! A clamp after an operator that can clamp becomes part of it.

use crate::ops::Activation;
use crate::{Graph, InferError, Node, NodeId, Op, Patch};

/// `relu(conv(x))` becomes `conv(x)` with `activation: relu`, when nothing else reads the convolution's result.
///
/// The fused node keeps the producer's name; its output takes the name of the clamp's output.
pub fn fuse_activation(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let clamp = graph.node(id);
    let Op::Function(function) = clamp.op else {
        return Ok(None);
    };
    let Some(activation) = function.clamp() else {
        return Ok(None);
    };
    let Some(before) = graph
        .producer(clamp.inputs[0])
        .filter(|_| graph.only_consumer(clamp.inputs[0]) == Some(id))
    else {
        return Ok(None);
    };
    let mut node: Node = graph.node(before).clone();
    match node.op.fused_mut() {
        Some(slot) if *slot == Activation::None => *slot = activation,
        _ => return Ok(None),
    }
    let mut patch = Patch::new(graph);
    let fused = patch.node(node.name, node.op, &node.inputs)?;
    patch.replace(clamp.output(), fused);
    patch.remove(before);
    patch.remove(id);
    Ok(Some(patch))
}

#[cfg(test)]
mod tests {
    use crate::ops::{Activation, Add, Function};
    use crate::{Graph, Op, TensorType};

    #[test]
    fn a_clamp_is_fused_only_where_nothing_else_reads() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 4]));
        let shared = g.add("shared", Add::default(), &[x, x]).unwrap();
        let r = g.add("r", Function::Relu, &[shared]).unwrap();
        let alone = g.add("alone", Add::default(), &[r, shared]).unwrap();
        let r6 = g.add("r6", Function::Relu6, &[alone]).unwrap();
        g.set_outputs(&[r6]);
        assert_eq!(super::super::fold(&mut g).unwrap(), [("fuse-activation", 1)]);
        let ops: Vec<_> = g.nodes().iter().map(|n| (n.name.as_str(), n.op.name())).collect();
        assert_eq!(ops, [("shared", "add"), ("r", "relu"), ("alone", "add")]);
        assert_eq!(
            g.nodes()[2].op,
            Op::Add(Add {
                activation: Activation::Relu6
            })
        );
        assert_eq!(g.tensor(g.outputs()[0]).name, "r6");
    }
}

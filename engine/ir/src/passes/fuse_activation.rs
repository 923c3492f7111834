//! A clamp after an operator that can clamp becomes part of it.

use crate::ops::Activation;
use crate::{Graph, InferError, Node, NodeId, Op, Patch};

/// `relu(conv(x))` becomes `conv(x)` with `activation: relu`, when nothing else reads the convolution's result.
///
/// The fused node keeps the producer's name; its output takes the name of the clamp's output.
pub fn fuse_activation(graph: &Graph, id: NodeId) -> Result<Option<Patch>, InferError> {
    let clamp = graph.node(id);
    let activation = match clamp.op {
        Op::Relu(_) => Activation::Relu,
        Op::Relu6(_) => Activation::Relu6,
        Op::ReluN1To1(_) => Activation::ReluN1To1,
        _ => return Ok(None),
    };
    let Some(before) = graph
        .producer(clamp.inputs[0])
        .filter(|_| graph.only_consumer(clamp.inputs[0]) == Some(id))
    else {
        return Ok(None);
    };
    let mut node: Node = graph.node(before).clone();
    match slot(&mut node.op) {
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

/// The fused activation of an operator that has one.
fn slot(op: &mut Op) -> Option<&mut Activation> {
    match op {
        Op::Conv2d(o) => Some(&mut o.activation),
        Op::DepthwiseConv2d(o) => Some(&mut o.activation),
        Op::TransposeConv2d(o) => Some(&mut o.activation),
        Op::FullyConnected(o) => Some(&mut o.activation),
        Op::MaxPool2d(o) => Some(&mut o.activation),
        Op::AveragePool2d(o) => Some(&mut o.activation),
        Op::Add(o) => Some(&mut o.activation),
        Op::Sub(o) => Some(&mut o.activation),
        Op::Mul(o) => Some(&mut o.activation),
        Op::Div(o) => Some(&mut o.activation),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::{Activation, Add, Relu, Relu6};
    use crate::{Graph, Op, TensorType};

    #[test]
    fn a_clamp_is_fused_only_where_nothing_else_reads() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 4]));
        let shared = g.add("shared", Add::default(), &[x, x]).unwrap();
        let r = g.add("r", Relu {}, &[shared]).unwrap();
        let alone = g.add("alone", Add::default(), &[r, shared]).unwrap();
        let r6 = g.add("r6", Relu6 {}, &[alone]).unwrap();
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

//! Operators that files spell out in parts, put together again.

use crate::ops::{Activation, Add, Div, Function, LayerNorm, Mean, Mul, Pow, Sub};
use crate::{Constant, ElementType, Graph, InferError, Node, NodeId, Op, Patch, TensorId};

/// `(x − mean(x)) / √(mean((x − mean(x))²) + epsilon) · scale + bias` becomes a `layer_norm`, where the means are taken over the last
/// dimensions. Scale and bias may be missing.
///
/// The forms of this: those of [`super::lower`], of ONNX files older than `LayerNormalization`, and of TensorFlow's squared difference.
pub fn layer_norm(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let Some(core) = Core::at(graph, id) else {
        return Ok(None);
    };
    let dims = graph.tensor(core.input).ty.shape.dims()[core.axis..].to_vec();
    let (mut last, mut parts) = (id, vec![id]);
    let mut scale = None;
    if let Some((next, factor)) = by_constant(
        graph,
        last,
        &dims,
        |op| matches!(op, Op::Mul(op) if *op == Mul::default()),
    ) {
        scale = Some(factor);
        last = next;
        parts.push(next);
    }
    let mut bias = None;
    if let Some((next, offset)) = by_constant(
        graph,
        last,
        &dims,
        |op| matches!(op, Op::Add(op) if *op == Add::default()),
    ) {
        bias = Some(offset);
        last = next;
        parts.push(next);
    }
    let name = graph.node(last).name.clone();
    let mut patch = Patch::new(graph);
    let ones = || Constant::f32(dims.clone(), vec![1.0; dims.iter().product()]).expect("as many as elements");
    let mut stored = |what: &str, data: Spread| match data {
        Spread::Stored(id) => id,
        Spread::Made(data) => patch.constant(format!("{name}/{what}"), data),
    };
    let mut inputs = vec![
        core.input,
        stored("scale", scale.unwrap_or_else(|| Spread::Made(ones()))),
    ];
    inputs.extend(bias.map(|bias| stored("bias", bias)));
    let op = LayerNorm {
        axis: core.axis,
        epsilon: core.epsilon,
    };
    let norm = patch.node(name.clone(), op, &inputs)?;
    patch.replace(graph.node(last).output(), norm);
    for part in parts {
        patch.remove(part);
    }
    Ok(Some(patch))
}

/// A norm without scale and bias.
struct Core {
    input: TensorId,
    axis: usize,
    epsilon: f32,
}

impl Core {
    /// The norm whose last step is `id`.
    fn at(graph: &Graph, id: NodeId) -> Option<Self> {
        let node = graph.node(id);
        let &[a, b] = node.inputs.as_slice() else { return None };
        match node.op {
            Op::Mul(Mul {
                activation: Activation::None,
            }) => [(a, b), (b, a)]
                .into_iter()
                .find_map(|(centred, factor)| Core::of(graph, centred, inverse_root(graph, factor)?)),
            Op::Div(Div {
                activation: Activation::None,
            }) => Core::of(graph, a, root(graph, b)?),
            _ => None,
        }
    }

    /// `guarded` is the variance of what `centred` was before its mean was taken from it, and epsilon.
    fn of(graph: &Graph, centred: TensorId, guarded: TensorId) -> Option<Self> {
        let (input, axis) = deviation(graph, centred)?;
        let sum = made_by(graph, guarded)?;
        let (
            Op::Add(Add {
                activation: Activation::None,
            }),
            &[a, b],
        ) = (&sum.op, sum.inputs.as_slice())
        else {
            return None;
        };
        let (variance, epsilon) = match (single(graph, a), single(graph, b)) {
            (None, Some(epsilon)) => (a, epsilon),
            (Some(epsilon), None) => (b, epsilon),
            _ => return None,
        };
        let (squares, over) = mean(graph, variance)?;
        let of = deviation(graph, squared(graph, squares)?)?;
        let real = graph.tensor(input).ty.element == ElementType::F32;
        (real && over == axis && of == (input, axis)).then_some(Core { input, axis, epsilon })
    }
}

pub(super) fn made_by(graph: &Graph, id: TensorId) -> Option<&Node> {
    graph.producer(id).map(|node| graph.node(node))
}

/// The value of a constant with one element.
pub(super) fn single(graph: &Graph, id: TensorId) -> Option<f32> {
    match graph.constant_data(id)?.as_f32()? {
        [value] => Some(*value),
        _ => None,
    }
}

/// What a mean is taken of, and the first of the last dimensions, over which it is taken.
pub(super) fn mean(graph: &Graph, id: TensorId) -> Option<(TensorId, usize)> {
    let node = made_by(graph, id)?;
    let Op::Mean(Mean { axes, keep_dims: true }) = &node.op else {
        return None;
    };
    let rank = graph.tensor(node.inputs[0]).ty.shape.rank();
    let axis = rank.checked_sub(axes.len()).filter(|_| !axes.is_empty())?;
    (axis..rank)
        .all(|a| axes.contains(&a))
        .then_some((node.inputs[0], axis))
}

/// `x` and the dimension, where `id` is `x − mean(x)`.
pub(super) fn deviation(graph: &Graph, id: TensorId) -> Option<(TensorId, usize)> {
    let node = made_by(graph, id)?;
    let Op::Sub(Sub {
        activation: Activation::None,
    }) = node.op
    else {
        return None;
    };
    let (of, axis) = mean(graph, node.inputs[1])?;
    (of == node.inputs[0]).then_some((of, axis))
}

/// `x`, where `id` is `x²`.
pub(super) fn squared(graph: &Graph, id: TensorId) -> Option<TensorId> {
    let node = made_by(graph, id)?;
    let &[a, b] = node.inputs.as_slice() else { return None };
    let square = match node.op {
        Op::Mul(Mul {
            activation: Activation::None,
        }) => a == b,
        Op::Pow(Pow {}) => single(graph, b) == Some(2.0),
        _ => false,
    };
    square.then_some(a)
}

/// `x`, where `id` is `√x`.
fn root(graph: &Graph, id: TensorId) -> Option<TensorId> {
    let node = made_by(graph, id)?;
    match node.op {
        Op::Function(Function::Sqrt) => Some(node.inputs[0]),
        Op::Pow(_) if single(graph, node.inputs[1]) == Some(0.5) => Some(node.inputs[0]),
        _ => None,
    }
}

/// `x`, where `id` is `1/√x`.
pub(super) fn inverse_root(graph: &Graph, id: TensorId) -> Option<TensorId> {
    let node = made_by(graph, id)?;
    match node.op {
        Op::Function(Function::Rsqrt) => Some(node.inputs[0]),
        Op::Pow(_) if single(graph, node.inputs[1]) == Some(-0.5) => Some(node.inputs[0]),
        Op::Div(Div {
            activation: Activation::None,
        }) if single(graph, node.inputs[0]) == Some(1.0) => root(graph, node.inputs[1]),
        _ => None,
    }
}

/// A constant with a value for each element of the normalized dimensions.
pub(super) enum Spread {
    /// It is there.
    Stored(TensorId),
    /// It was broadcast.
    Made(Constant),
}

/// The only reader of a node's result, where that combines it with a constant that is broadcast over the normalized dimensions.
fn by_constant(graph: &Graph, id: NodeId, dims: &[usize], wanted: impl Fn(&Op) -> bool) -> Option<(NodeId, Spread)> {
    let from = graph.node(id).output();
    let next = graph.only_consumer(from)?;
    let node = graph.node(next);
    let &[a, b] = node.inputs.as_slice() else { return None };
    let constant = if a == from { b } else { a };
    if !wanted(&node.op) || graph.tensor(node.output()).ty != graph.tensor(from).ty {
        return None;
    }
    Some((next, spread(graph, constant, dims)?))
}

/// A constant, with a value for each element of the normalized dimensions.
pub(super) fn spread(graph: &Graph, constant: TensorId, dims: &[usize]) -> Option<Spread> {
    let data = graph.constant_data(constant)?;
    if data.dims() == dims && data.element() == ElementType::F32 {
        return Some(Spread::Stored(constant));
    }
    let own: Vec<usize> = data.dims().iter().copied().skip_while(|&d| d == 1).collect();
    let values = data.as_f32().filter(|_| dims.ends_with(&own))?;
    let spread = values.iter().copied().cycle().take(dims.iter().product()).collect();
    Some(Spread::Made(Constant::f32(dims, spread)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorType;
    use crate::passes::{lower, raise};

    fn f32s(dims: &[usize], value: f32) -> Constant {
        Constant::f32(dims, vec![value; dims.iter().product()]).unwrap()
    }

    fn ops(graph: &Graph) -> Vec<&'static str> {
        graph.nodes().iter().map(|n| n.op.name()).collect()
    }

    #[test]
    fn a_lowered_norm_is_put_together_again() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 3, 4]));
        let (scale, bias) = (
            g.constant("scale", f32s(&[4], 2.0)),
            g.constant("bias", f32s(&[4], 0.5)),
        );
        let norm = LayerNorm { axis: 2, epsilon: 1e-5 };
        let y = g.add("norm", norm, &[x, scale, bias]).unwrap();
        let z = g.add("plain", LayerNorm { axis: 1, epsilon: 1e-6 }, &[y, scale]);
        assert!(z.is_err(), "a scale of other dimensions");
        g.set_outputs(&[y]);
        let mut again = g.clone();
        lower(&mut again).unwrap();
        assert_eq!(raise(&mut again).unwrap(), [("means-to-layer-norm", 1)]);
        assert_eq!(again.nodes(), g.nodes());
        assert_eq!(raise(&mut again).unwrap(), []);
    }

    /// As PyTorch writes it for ONNX before version 17; `over` is the dimension of the second mean.
    fn of_old_files(over: usize) -> Graph {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 3, 4]));
        let mean = |axis| Mean {
            axes: vec![axis],
            keep_dims: true,
        };
        let m = g.add("m", mean(2), &[x]).unwrap();
        let c = g.add("c", Sub::default(), &[x, m]).unwrap();
        let two = g.constant("two", f32s(&[], 2.0));
        let s = g.add("s", Pow {}, &[c, two]).unwrap();
        let v = g.add("v", mean(over), &[s]).unwrap();
        let epsilon = g.constant("epsilon", f32s(&[], 1e-5));
        let guarded = g.add("guarded", Add::default(), &[epsilon, v]).unwrap();
        let deviation = g.add("deviation", Function::Sqrt, &[guarded]).unwrap();
        let normalized = g.add("normalized", Div::default(), &[c, deviation]).unwrap();
        let scale = g.constant("scale", f32s(&[1, 1, 1], 2.0));
        let y = g.add("y", Mul::default(), &[scale, normalized]).unwrap();
        g.set_outputs(&[y]);
        g
    }

    #[test]
    fn a_norm_by_a_root_and_a_quotient_is_one() {
        let mut g = of_old_files(2);
        raise(&mut g).unwrap();
        assert_eq!(ops(&g), ["layer_norm"]);
        let node = &g.nodes()[0];
        assert_eq!((node.name.as_str(), node.inputs.len()), ("y", 2));
        assert_eq!(g.constant_data(node.inputs[1]).unwrap().as_f32().unwrap(), [2.0; 4]);
    }

    #[test]
    fn means_over_different_dimensions_are_no_norm() {
        let mut g = of_old_files(1);
        let before = ops(&g);
        assert_eq!(raise(&mut g).unwrap(), []);
        assert_eq!(ops(&g), before);
    }
}

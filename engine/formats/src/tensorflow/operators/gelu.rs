//! GELU, which TensorFlow has no operator for, found by its parts.

use ir::ops::{Function, Op};
use ir::{Graph, TensorId};

/// `x` and the operator, where `a · b` is `gelu(x)`: `½·x · erfc(−x/√2)` as Keras 3 writes it, `½·x · (1 + erf(x/√2))` as
/// `tf.nn.gelu` does.
pub(super) fn found(graph: &Graph, a: TensorId, b: TensorId) -> Option<(TensorId, Function)> {
    let half = |half: TensorId, share: TensorId| {
        let x = scaled(graph, half, 0.5)?;
        (argument(graph, share)? == x).then_some((x, Function::Gelu { approximate: false }))
    };
    half(a, b).or_else(|| half(b, a))
}

/// `x`, where `share` is `1 + erf(x/√2)` or `1 − erf(−x/√2)`.
fn argument(graph: &Graph, share: TensorId) -> Option<TensorId> {
    let (op, inputs) = made_by(graph, share)?;
    let &[a, b] = inputs else { return None };
    let (erf, sign) = match op {
        Op::Add(_) if is(graph, a, 1.0) => (b, 1.0),
        Op::Add(_) if is(graph, b, 1.0) => (a, 1.0),
        Op::Sub(_) if is(graph, a, 1.0) => (b, -1.0),
        _ => return None,
    };
    let (Op::Function(Function::Erf), &[argument]) = made_by(graph, erf)? else {
        return None;
    };
    let root = std::f32::consts::FRAC_1_SQRT_2;
    if sign > 0.0 {
        return scaled(graph, argument, root);
    }
    let negative = scaled(graph, argument, root)?;
    match made_by(graph, negative)? {
        (Op::Function(Function::Neg), &[x]) => Some(x),
        _ => None,
    }
}

/// `x`, where `id` is `x · factor`, or `x` divided by its inverse.
fn scaled(graph: &Graph, id: TensorId, factor: f32) -> Option<TensorId> {
    let (op, inputs) = made_by(graph, id)?;
    let &[a, b] = inputs else { return None };
    match op {
        Op::Mul(_) if is(graph, a, factor) => Some(b),
        Op::Mul(_) if is(graph, b, factor) => Some(a),
        Op::Div(_) if is(graph, b, 1.0 / factor) => Some(a),
        _ => None,
    }
}

fn made_by(graph: &Graph, id: TensorId) -> Option<(&Op, &[TensorId])> {
    let node = graph.node(graph.producer(id)?);
    Some((&node.op, &node.inputs))
}

/// Whether `id` is one constant number, within a rounding or two of `value`.
fn is(graph: &Graph, id: TensorId, value: f32) -> bool {
    let stored = graph.constant_data(id).and_then(|data| data.as_f32());
    matches!(stored, Some(&[stored]) if (stored - value).abs() <= 4.0 * f32::EPSILON * value.abs())
}

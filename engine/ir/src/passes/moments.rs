//! Layer norms that are spelled out as one product and one sum, put together again.

use super::raise::{Spread, deviation, inverse_root, made_by, mean, single, spread, squared};
use crate::ops::{Activation, Add, Function, LayerNorm, Mul, Sub};
use crate::{Constant, ElementType, Graph, InferError, NodeId, Op, Patch, TensorId};

/// `x · m + (bias − mean(x) · m)` with `m = scale / √(variance + epsilon)` becomes a `layer_norm`, where mean and variance are taken over the
/// last dimensions. Scale and bias may be missing.
///
/// Keras 3 and `tf.nn.batch_normalization` write norms so, the former with `−mean(x)` as a node of its own.
pub fn layer_norm(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let Some(norm) = Norm::at(graph, id) else {
        return Ok(None);
    };
    let node = graph.node(id);
    let dims = graph.tensor(norm.input).ty.shape.dims()[norm.axis..].to_vec();
    let ones = || Constant::f32(dims.clone(), vec![1.0; dims.iter().product()]).map(Spread::Made);
    let scale = norm.scale.map_or_else(ones, |id| spread(graph, id, &dims));
    let bias = norm.bias.map(|id| spread(graph, id, &dims));
    let (Some(scale), None | Some(Some(_))) = (scale, &bias) else {
        return Ok(None);
    };
    let mut patch = Patch::new(graph);
    let mut stored = |what: &str, data: Spread| match data {
        Spread::Stored(id) => id,
        Spread::Made(data) => patch.constant(format!("{}/{what}", node.name), data),
    };
    let mut inputs = vec![norm.input, stored("scale", scale)];
    inputs.extend(bias.flatten().map(|bias| stored("bias", bias)));
    let op = LayerNorm {
        axis: norm.axis,
        epsilon: norm.epsilon,
    };
    let made = patch.node(node.name.clone(), op, &inputs)?;
    patch.replace(node.output(), made);
    patch.remove(id);
    Ok(Some(patch))
}

/// What a norm is made of; scale and bias are constants.
struct Norm {
    input: TensorId,
    axis: usize,
    epsilon: f32,
    scale: Option<TensorId>,
    bias: Option<TensorId>,
}

impl Norm {
    /// The norm whose last step is `id`.
    fn at(graph: &Graph, id: NodeId) -> Option<Self> {
        let (a, b) = sum(graph, graph.node(id).output())?;
        [(a, b), (b, a)].into_iter().find_map(|(scaled, offset)| {
            let (c, d) = product(graph, scaled)?;
            [(c, d), (d, c)]
                .into_iter()
                .find_map(|(input, factor)| Norm::of(graph, input, factor, offset))
        })
    }

    fn of(graph: &Graph, input: TensorId, factor: TensorId, offset: TensorId) -> Option<Self> {
        let (guarded, scale) = match inverse_root(graph, factor) {
            Some(guarded) => (guarded, None),
            None => either(product(graph, factor)?, |root, scale| {
                graph.constant_data(scale)?;
                Some((inverse_root(graph, root)?, Some(scale)))
            })?,
        };
        let (variance, epsilon) = either(sum(graph, guarded)?, |variance, epsilon| {
            Some((variance, single(graph, epsilon)?))
        })?;
        let (squares, over) = mean(graph, variance)?;
        let of = deviation(graph, squared(graph, squares)?)?;
        let (average, bias) = centre(graph, offset, factor)?;
        let real = graph.tensor(input).ty.element == ElementType::F32;
        let same = of == (input, over) && mean(graph, average) == Some(of);
        (real && same).then_some(Norm {
            input,
            axis: over,
            epsilon,
            scale,
            bias,
        })
    }
}

/// The mean and the bias, where `id` is `bias − mean · factor`.
fn centre(graph: &Graph, id: TensorId, factor: TensorId) -> Option<(TensorId, Option<TensorId>)> {
    let times = |id: TensorId| either(product(graph, id)?, |a, b| (b == factor).then_some(a));
    let negative = |id: TensorId| {
        let node = made_by(graph, times(id)?)?;
        matches!(node.op, Op::Function(Function::Neg)).then(|| node.inputs[0])
    };
    if let Some(mean) = negative(id) {
        return Some((mean, None));
    }
    if let Some(parts) = sum(graph, id) {
        return either(parts, |mean, bias| {
            graph.constant_data(bias)?;
            Some((negative(mean)?, Some(bias)))
        });
    }
    let node = made_by(graph, id)?;
    let (Op::Sub(op), &[bias, mean]) = (&node.op, node.inputs.as_slice()) else {
        return None;
    };
    graph.constant_data(bias).filter(|_| *op == Sub::default())?;
    Some((times(mean)?, Some(bias)))
}

/// What `f` finds of a pair in either order.
fn either<T>((a, b): (TensorId, TensorId), f: impl Fn(TensorId, TensorId) -> Option<T>) -> Option<T> {
    f(a, b).or_else(|| f(b, a))
}

fn sum(graph: &Graph, id: TensorId) -> Option<(TensorId, TensorId)> {
    let node = made_by(graph, id)?;
    match (&node.op, node.inputs.as_slice()) {
        (
            Op::Add(Add {
                activation: Activation::None,
            }),
            &[a, b],
        ) => Some((a, b)),
        _ => None,
    }
}

fn product(graph: &Graph, id: TensorId) -> Option<(TensorId, TensorId)> {
    let node = made_by(graph, id)?;
    match (&node.op, node.inputs.as_slice()) {
        (
            Op::Mul(Mul {
                activation: Activation::None,
            }),
            &[a, b],
        ) => Some((a, b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorType;
    use crate::ops::{Function, Mean};
    use crate::passes::raise;

    fn f32s(dims: &[usize], value: f32) -> Constant {
        Constant::f32(dims, vec![value; dims.iter().product()]).unwrap()
    }

    /// As Keras 3 writes it; `centred` is what the offset is made of: `x`'s mean, or another.
    fn spelled_out(scale: bool, bias: bool, other_mean: bool) -> Graph {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 3, 4]));
        let mean = |axis| Mean {
            axes: vec![axis],
            keep_dims: true,
        };
        let m = g.add("m", mean(2), &[x]).unwrap();
        let c = g.add("c", Sub::default(), &[x, m]).unwrap();
        let s = g.add("s", Mul::default(), &[c, c]).unwrap();
        let v = g.add("v", mean(2), &[s]).unwrap();
        let epsilon = g.constant("epsilon", f32s(&[1], 1e-3));
        let guarded = g.add("guarded", Add::default(), &[v, epsilon]).unwrap();
        let mut factor = g.add("root", Function::Rsqrt, &[guarded]).unwrap();
        if scale {
            let gamma = g.constant("gamma", f32s(&[1, 1, 4], 2.0));
            factor = g.add("factor", Mul::default(), &[factor, gamma]).unwrap();
        }
        let centre = if other_mean {
            g.add("n", mean(1), &[x]).unwrap()
        } else {
            m
        };
        let negative = g.add("negative", Function::Neg, &[centre]).unwrap();
        let mut offset = g.add("shift", Mul::default(), &[negative, factor]).unwrap();
        if bias {
            let beta = g.constant("beta", f32s(&[4], 0.5));
            offset = g.add("offset", Add::default(), &[offset, beta]).unwrap();
        }
        let scaled = g.add("scaled", Mul::default(), &[x, factor]).unwrap();
        let y = g.add("y", Add::default(), &[scaled, offset]).unwrap();
        g.set_outputs(&[y]);
        g
    }

    #[test]
    fn a_norm_by_its_moments_is_one_with_and_without_scale_and_bias() {
        for (scale, bias) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut g = spelled_out(scale, bias, false);
            assert_eq!(raise(&mut g).unwrap(), [("moments-to-layer-norm", 1)]);
            let [node] = g.nodes() else { panic!("{:?}", g.nodes()) };
            assert_eq!((node.name.as_str(), node.op.name()), ("y", "layer_norm"));
            let values = |i: usize| g.constant_data(node.inputs[i]).unwrap().as_f32().unwrap();
            assert_eq!(values(1), [if scale { 2.0 } else { 1.0 }; 4]);
            assert_eq!(node.inputs.len(), if bias { 3 } else { 2 });
            if bias {
                assert_eq!(values(2), [0.5; 4]);
            }
        }
    }

    #[test]
    fn an_offset_by_another_mean_is_no_norm() {
        let mut g = spelled_out(true, true, true);
        assert_eq!(raise(&mut g).unwrap(), []);
    }
}

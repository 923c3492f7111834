//! Batch norms disappear into the layer before them, or become a multiplication and an addition; so do multiplications and
//! additions of one constant per channel, as which some exporters write batch norms and biases.
//!
//! With `s = gamma / √(variance + epsilon)`, `bn(w·x + b) = (s·w)·x + (s·(b − mean) + beta)`.
//! Source: Jacob et al. 2018, §3.2. The arithmetic is done in double precision and rounded once.

use ndarray::Axis;

use crate::ops::{Activation, Add, BatchNorm, Mul, Sub};
use crate::{Constant, Graph, InferError, NodeId, Op, Patch, TensorId};

/// Factor and offset for each channel: `bn(x) = scale·x + offset`.
fn norm(graph: &Graph, id: NodeId) -> Option<(Vec<f64>, Vec<f64>)> {
    let node = graph.node(id);
    let Op::BatchNorm(BatchNorm { epsilon }) = node.op else {
        return None;
    };
    let values = |i: usize| graph.constant_data(node.inputs[i])?.as_f32();
    let (gamma, beta, mean, variance) = (values(1)?, values(2)?, values(3)?, values(4)?);
    let scale: Vec<f64> = gamma
        .iter()
        .zip(variance)
        .map(|(&g, &v)| f64::from(g) / (f64::from(v) + f64::from(epsilon)).sqrt())
        .collect();
    let offset = beta
        .iter()
        .zip(mean)
        .zip(&scale)
        .map(|((&b, &m), &s)| f64::from(b) - f64::from(m) * s)
        .collect();
    Some((scale, offset))
}

/// `activation(scale·x + offset)`, a factor and an offset for each channel.
struct Affine {
    input: TensorId,
    scale: Vec<f64>,
    offset: Vec<f64>,
    activation: Activation,
}

/// What a batch norm, or a multiplication or addition of a constant per channel, does.
fn affine(graph: &Graph, id: NodeId) -> Option<Affine> {
    let node = graph.node(id);
    if let Some((scale, offset)) = norm(graph, id) {
        return Some(Affine {
            input: node.inputs[0],
            scale,
            offset,
            activation: Activation::None,
        });
    }
    let (Op::Mul(Mul { activation }) | Op::Add(Add { activation }) | Op::Sub(Sub { activation })) = node.op else {
        return None;
    };
    let &[a, b] = node.inputs.as_slice() else { return None };
    let (input, constant) = match (graph.constant_data(a), graph.constant_data(b)) {
        (None, Some(constant)) => (a, constant),
        (Some(constant), None) if !matches!(node.op, Op::Sub(_)) => (b, constant),
        _ => return None,
    };
    let ty = &graph.tensor(input).ty;
    let (&channels, outer) = ty.shape.dims().split_last()?;
    let is_per_channel = match constant.dims().split_last() {
        Some((&last, rest)) => {
            rest.len() <= outer.len() && rest.iter().all(|&d| d == 1) && (last == channels || last == 1)
        }
        None => true,
    };
    if !is_per_channel || graph.tensor(node.output()).ty != *ty {
        return None;
    }
    let values = constant.as_f32()?;
    let each: Vec<f64> = (0..channels)
        .map(|c| f64::from(values[if values.len() == 1 { 0 } else { c }]))
        .collect();
    let (scale, offset) = match node.op {
        Op::Mul(_) => (each, vec![0.0; channels]),
        Op::Add(_) => (vec![1.0; channels], each),
        _ => (vec![1.0; channels], each.into_iter().map(|v| -v).collect()),
    };
    Some(Affine {
        input,
        scale,
        offset,
        activation,
    })
}

/// `scale·conv(x) + offset` becomes a convolution with scaled weights and another bias, when nothing else reads the
/// convolution's result.
pub fn fold_affine(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let Some(Affine {
        input,
        scale,
        offset,
        activation,
    }) = affine(graph, id)
    else {
        return Ok(None);
    };
    let norm = graph.node(id);
    let Some(before) = graph.producer(input).filter(|_| graph.only_consumer(input) == Some(id)) else {
        return Ok(None);
    };
    let layer = graph.node(before);
    let mut op = layer.op.clone();
    let Some(axis) = op.weight_axis() else { return Ok(None) };
    match op.fused_mut() {
        Some(clamp) if *clamp == Activation::None => *clamp = activation,
        _ => return Ok(None),
    }
    let Some(Constant::F32(weights)) = graph.constant_data(layer.inputs[1]) else {
        return Ok(None);
    };
    let old_bias = match layer.inputs.get(2) {
        Some(&b) => match graph.constant_data(b).and_then(Constant::as_f32) {
            Some(values) => values.to_vec(),
            None => return Ok(None),
        },
        None => vec![0.0; scale.len()],
    };
    let mut scaled = weights.to_owned();
    for (mut channel, &s) in scaled.axis_iter_mut(Axis(axis)).zip(&scale) {
        channel.mapv_inplace(|w| (f64::from(w) * s) as f32);
    }
    let bias: Vec<f32> = old_bias
        .iter()
        .zip(&scale)
        .zip(&offset)
        .map(|((&b, &s), &o)| (f64::from(b) * s + o) as f32)
        .collect();

    let mut patch = Patch::new(graph);
    let named = |i: usize, fallback: String| layer.inputs.get(i).map_or(fallback, |&t| graph.tensor(t).name.clone());
    let weights = patch.constant(
        named(1, format!("{}/kernel", layer.name)),
        Constant::F32(scaled.into_shared()),
    );
    let shape = [bias.len()];
    let bias = Constant::f32(shape, bias).expect("one bias a channel");
    let bias = patch.constant(named(2, format!("{}/bias", layer.name)), bias);
    if graph.only_consumer(layer.inputs[1]) == Some(before) {
        patch.replace(layer.inputs[1], weights);
    }
    let folded = patch.node(layer.name.clone(), op, &[layer.inputs[0], weights, bias])?;
    patch.replace(norm.output(), folded);
    patch.remove(before);
    patch.remove(id);
    Ok(Some(patch))
}

/// A batch norm with no layer to fold into becomes `x · scale + offset`.
pub fn batch_norm_to_mul_add(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let Some((scale, offset)) = norm(graph, id) else {
        return Ok(None);
    };
    let norm = graph.node(id);
    let vector = |values: Vec<f64>| {
        Constant::f32([values.len()], values.into_iter().map(|v| v as f32).collect()).expect("one value a channel")
    };
    let mut patch = Patch::new(graph);
    let scale = patch.constant(format!("{}/scale", norm.name), vector(scale));
    let offset = patch.constant(format!("{}/offset", norm.name), vector(offset));
    let scaled = patch.node(format!("{}/mul", norm.name), Mul::default(), &[norm.inputs[0], scale])?;
    let shifted = patch.node(norm.name.clone(), Add::default(), &[scaled, offset])?;
    patch.replace(norm.output(), shifted);
    patch.remove(id);
    Ok(Some(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorType;
    use crate::ops::FullyConnected;

    fn dense_then_norm() -> Graph {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 2]));
        let w = g.constant("w", Constant::f32([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap());
        let dense = g.add("dense", FullyConnected::default(), &[x, w]).unwrap();
        let vector = |v: [f32; 2]| Constant::f32([2], v.to_vec()).unwrap();
        let gamma = g.constant("gamma", vector([2.0, 1.0]));
        let beta = g.constant("beta", vector([0.5, 0.0]));
        let mean = g.constant("mean", vector([1.0, -1.0]));
        let variance = g.constant("variance", vector([3.0, 0.0]));
        let norm = g
            .add(
                "norm",
                BatchNorm { epsilon: 1.0 },
                &[dense, gamma, beta, mean, variance],
            )
            .unwrap();
        g.set_outputs(&[norm]);
        g
    }

    #[test]
    fn a_batch_norm_folds_into_the_layer_before_it() {
        let mut g = dense_then_norm();
        assert_eq!(super::super::fold(&mut g).unwrap(), [("fold-affine", 1)]);
        let [node] = g.nodes() else { panic!("{:?}", g.nodes()) };
        assert_eq!(node.name, "dense");
        // s = 2/√4 = 1 and 1/√1 = 1
        assert_eq!(
            g.constant_data(node.inputs[1]).unwrap().as_f32().unwrap(),
            [1.0, 2.0, 3.0, 4.0]
        );
        assert_eq!(g.constant_data(node.inputs[2]).unwrap().as_f32().unwrap(), [-0.5, 1.0]);
        assert_eq!(g.tensor(node.inputs[1]).name, "w");
        assert_eq!(g.tensor(node.output()).name, "norm");
    }

    #[test]
    fn a_batch_norm_behind_a_branch_becomes_mul_and_add() {
        let mut g = dense_then_norm();
        let (dense, norm) = (g.find("dense").unwrap(), g.find("norm").unwrap());
        g.set_outputs(&[norm, dense]);
        assert!(super::super::fold(&mut g).unwrap().is_empty());
        assert_eq!(super::super::lower(&mut g).unwrap(), [("batch-norm-to-mul-add", 1)]);
        let ops: Vec<_> = g.nodes().iter().map(|n| n.op.name()).collect();
        assert_eq!(ops, ["fully_connected", "mul", "add"]);
    }

    #[test]
    fn factors_and_summands_of_channels_fold_and_leave_their_clamp() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 2]));
        let w = g.constant("w", Constant::f32([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap());
        let dense = g.add("dense", FullyConnected::default(), &[x, w]).unwrap();
        let factor = g.constant("factor", Constant::f32([2], vec![2.0, 10.0]).unwrap());
        let scaled = g.add("scaled", Mul::default(), &[factor, dense]).unwrap();
        let summand = g.constant("summand", Constant::f32([1], vec![1.0]).unwrap());
        let relu = Activation::Relu;
        let shifted = g.add("shifted", Sub { activation: relu }, &[scaled, summand]).unwrap();
        g.set_outputs(&[shifted]);
        super::super::fold(&mut g).unwrap();
        let [node] = g.nodes() else { panic!("{:?}", g.nodes()) };
        assert_eq!(node.op, Op::FullyConnected(FullyConnected { activation: relu }));
        let data = |i: usize| g.constant_data(node.inputs[i]).unwrap().as_f32().unwrap();
        assert_eq!((data(1), data(2)), (&[2.0, 4.0, 30.0, 40.0][..], &[-1.0, -1.0][..]));
    }

    #[test]
    fn a_constant_that_is_subtracted_from_stays() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 2]));
        let w = g.constant("w", Constant::f32([2, 2], vec![1.0; 4]).unwrap());
        let dense = g.add("dense", FullyConnected::default(), &[x, w]).unwrap();
        let one = g.constant("one", Constant::f32([1], vec![1.0]).unwrap());
        let rest = g.add("rest", Sub::default(), &[one, dense]).unwrap();
        g.set_outputs(&[rest]);
        assert!(super::super::fold(&mut g).unwrap().is_empty());
    }
}

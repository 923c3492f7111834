//! Batch norms disappear into the layer before them, or become a multiplication and an addition.
//!
//! With `s = gamma / √(variance + epsilon)`, `bn(w·x + b) = (s·w)·x + (s·(b − mean) + beta)`.
//! Source: Jacob et al. 2018, §3.2. The arithmetic is done in double precision and rounded once.

use ndarray::Axis;

use crate::ops::{Activation, Add, BatchNorm, Mul};
use crate::{Constant, Graph, InferError, NodeId, Op, Patch};

/// Factor and offset for each channel: `bn(x) = scale·x + offset`.
fn affine(graph: &Graph, id: NodeId) -> Option<(Vec<f64>, Vec<f64>)> {
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

/// `batch_norm(conv(x))` becomes a convolution with scaled weights and another bias, when nothing else reads the
/// convolution's result.
pub fn fold_batch_norm(graph: &Graph, id: NodeId) -> Result<Option<Patch>, InferError> {
    let Some((scale, offset)) = affine(graph, id) else {
        return Ok(None);
    };
    let norm = graph.node(id);
    let Some(before) = graph
        .producer(norm.inputs[0])
        .filter(|_| graph.only_consumer(norm.inputs[0]) == Some(id))
    else {
        return Ok(None);
    };
    let layer = graph.node(before);
    // The dimension of the weights that runs over output channels.
    let axis = match &layer.op {
        Op::Conv2d(c) if c.activation == Activation::None => 0,
        Op::TransposeConv2d(c) if c.activation == Activation::None => 0,
        Op::FullyConnected(c) if c.activation == Activation::None => 0,
        Op::DepthwiseConv2d(c) if c.activation == Activation::None => 3,
        _ => return Ok(None),
    };
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
    let folded = patch.node(layer.name.clone(), layer.op.clone(), &[layer.inputs[0], weights, bias])?;
    patch.replace(norm.output(), folded);
    patch.remove(before);
    patch.remove(id);
    Ok(Some(patch))
}

/// A batch norm with no layer to fold into becomes `x · scale + offset`.
pub fn batch_norm_to_mul_add(graph: &Graph, id: NodeId) -> Result<Option<Patch>, InferError> {
    let Some((scale, offset)) = affine(graph, id) else {
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
        assert_eq!(super::super::fold(&mut g).unwrap(), [("fold-batch-norm", 1)]);
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
}

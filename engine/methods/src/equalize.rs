//! Cross-layer equalization: neighbouring layers share the ranges of the channels between them.
//!
//! Where `y = W₂·f(W₁·x)` and `f` commutes with positive factors (ReLU, pooling, nothing at all), channel `i` of the first layer can be
//! divided by any `s > 0` and the same input of the second multiplied by it. With `s = √(r₁/r₂)` both have the range
//! `√(r₁·r₂)`, which leaves one scale for a whole tensor more steps for the small channels. Repeated until ranges are equal.
//! Source: Nagel et al. 2019, *Data-Free Quantization Through Weight Equalization and Bias Correction*, §4.1.

use ir::ops::{Activation, Function};
use ir::{Graph, Op, TensorId};
use ndarray::Array2;

use crate::{Layer, MethodError, layers};

/// Rounds over all pairs; chains of layers need several.
const ROUNDS: usize = 40;

/// A pair of layers with equalized channels between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The layer that writes the channels.
    pub first: String,
    /// The layer that reads them.
    pub second: String,
    /// How many times wider the widest channel of the first layer is than its narrowest, before and after.
    pub spread: (f64, f64),
}

/// Equalizes every pair of neighbours; what the network computes stays the same.
///
/// # Errors
/// A weight is infinite or not a number.
pub fn equalize(graph: &mut Graph) -> Result<Vec<Pair>, MethodError> {
    let layers = layers(graph);
    let pairs: Vec<(usize, usize)> = neighbours(graph, &layers)
        .into_iter()
        .map(|(first, second, _)| (first, second))
        .collect();
    let spread = |graph: &Graph, first: usize| -> Result<f64, MethodError> {
        let ranges = row_ranges(&layers[first].matrix(graph)?);
        let used = || ranges.iter().copied().filter(|&r| r > 0.0);
        Ok(used().fold(0.0, f64::max) / used().fold(f64::INFINITY, f64::min))
    };
    let before: Vec<f64> = pairs.iter().map(|p| spread(graph, p.0)).collect::<Result<_, _>>()?;
    for _ in 0..ROUNDS {
        let mut greatest = 1.0f64;
        for &(first, second) in &pairs {
            greatest = greatest.max(balance(graph, &layers[first], &layers[second])?);
        }
        if greatest < 1.0 + 1e-3 {
            break;
        }
    }
    let named = |(&(first, second), before): (&(usize, usize), f64)| {
        Ok(Pair {
            first: layers[first].name.clone(),
            second: layers[second].name.clone(),
            spread: (before, spread(graph, first)?),
        })
    };
    pairs.iter().zip(before).map(named).collect()
}

/// Neighbours with nothing between them but what commutes with positive factors, and whether it commutes with adding a constant too.
pub(crate) fn neighbours(graph: &Graph, layers: &[Layer]) -> Vec<(usize, usize, bool)> {
    let mut found = Vec::new();
    for (at, first) in layers.iter().enumerate() {
        let node = graph.node(first.node);
        let activation = match &node.op {
            Op::Conv2d(op) => op.activation,
            Op::DepthwiseConv2d(op) => op.activation,
            Op::FullyConnected(op) => op.activation,
            _ => continue,
        };
        let linear = matches!(activation, Activation::None | Activation::Relu);
        // A bias that is computed, or read by others, cannot be scaled.
        let biased = node
            .inputs
            .get(2)
            .is_none_or(|&b| first.bias == Some(b) && alone(graph, b));
        if !linear || !biased || !alone(graph, first.weights) {
            continue;
        }
        let reader = reader(graph, node.output());
        let second = reader.and_then(|(id, direct)| Some((layers.iter().position(|l| l.node == id)?, direct)));
        let second = second.filter(|&(s, _)| alone(graph, layers[s].weights) && fits(graph, first, &layers[s]));
        found.extend(second.map(|(second, direct)| (at, second, direct)));
    }
    found
}

fn alone(graph: &Graph, tensor: TensorId) -> bool {
    graph.consumers(tensor).count() == 1
}

/// The only node that reads a tensor, past those that commute with positive factors, and whether these commute with adding a constant.
fn reader(graph: &Graph, mut tensor: TensorId) -> Option<(ir::NodeId, bool)> {
    let mut direct = true;
    loop {
        let id = graph.only_consumer(tensor)?;
        let node = graph.node(id);
        let activation = match &node.op {
            Op::Function(Function::Relu) => Activation::Relu,
            Op::MaxPool2d(op) => op.activation,
            Op::AveragePool2d(op) => op.activation,
            Op::Mean(_) | Op::Identity(_) | Op::Dropout(_) => Activation::None,
            _ => return (node.inputs[0] == tensor).then_some((id, direct)),
        };
        match activation {
            Activation::None => {}
            Activation::Relu => direct = false,
            _ => return None,
        }
        tensor = node.output();
    }
}

/// Whether the inputs of `second` are the channels of `first`, one to one.
fn fits(graph: &Graph, first: &Layer, second: &Layer) -> bool {
    match &graph.node(second.node).op {
        Op::Conv2d(op) => op.groups == 1 && second.run == first.rows,
        Op::DepthwiseConv2d(_) => second.rows == first.rows && second.groups == first.rows,
        Op::FullyConnected(_) => second.run == first.rows,
        _ => false,
    }
}

/// Balances one pair; the greatest factor that was applied (at least 1).
fn balance(graph: &mut Graph, first: &Layer, second: &Layer) -> Result<f64, MethodError> {
    let (mut w1, mut w2) = (first.matrix(graph)?, second.matrix(graph)?);
    let mut bias = first.bias(graph);
    let by_row = matches!(graph.node(second.node).op, Op::DepthwiseConv2d(_));
    let r1 = row_ranges(&w1);
    let r2 = if by_row {
        row_ranges(&w2)
    } else {
        input_ranges(&w2, second.run)
    };
    let mut greatest = 1.0f64;
    for i in 0..first.rows {
        if r1[i] == 0.0 || r2[i] == 0.0 {
            continue;
        }
        let s = (r1[i] / r2[i]).sqrt();
        greatest = greatest.max(s).max(1.0 / s);
        let s = s as f32;
        w1.row_mut(i).mapv_inplace(|w| w / s);
        if let Some(bias) = &mut bias {
            bias[i] /= s;
        }
        if by_row {
            w2.row_mut(i).mapv_inplace(|w| w * s);
        } else {
            let columns = (i..second.columns).step_by(second.run);
            columns.for_each(|c| w2.column_mut(c).mapv_inplace(|w| w * s));
        }
    }
    first.set_matrix(graph, &w1);
    second.set_matrix(graph, &w2);
    if let Some(bias) = bias {
        first.set_bias(graph, bias);
    }
    Ok(greatest)
}

fn row_ranges(w: &Array2<f32>) -> Vec<f64> {
    let range = |row: ndarray::ArrayView1<'_, f32>| row.iter().fold(0.0f64, |m, &v| m.max(f64::from(v).abs()));
    w.rows().into_iter().map(range).collect()
}

fn input_ranges(w: &Array2<f32>, run: usize) -> Vec<f64> {
    let mut ranges = vec![0.0f64; run];
    for ((_, column), &v) in w.indexed_iter() {
        ranges[column % run] = ranges[column % run].max(f64::from(v).abs());
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::{Constant, TensorType, ops};

    /// A 1×1 convolution with ReLU, a depthwise one with ReLU, and another 1×1: all pairs commute.
    fn chain(activation: Activation) -> Graph {
        let mut g = Graph::new("chain");
        let x = g.input("x", TensorType::f32([1, 2, 2, 2]));
        let w = |g: &mut Graph, name: &str, shape: &[usize], values: &[f32]| {
            g.constant(name, Constant::f32(shape, values.to_vec()).unwrap())
        };
        let w1 = w(&mut g, "w1", &[3, 1, 1, 2], &[8.0, -4.0, 0.5, 0.25, 1.0, 1.0]);
        let b1 = w(&mut g, "b1", &[3], &[1.0, -1.0, 0.5]);
        let a = g
            .add(
                "a",
                ops::Conv2d {
                    activation,
                    ..ops::Conv2d::default()
                },
                &[x, w1, b1],
            )
            .unwrap();
        let w2 = w(&mut g, "w2", &[1, 1, 1, 3], &[0.5, 8.0, 1.0]);
        let b2 = w(&mut g, "b2", &[3], &[0.0, 0.25, 0.0]);
        let b = g
            .add(
                "b",
                ops::DepthwiseConv2d {
                    activation,
                    ..ops::DepthwiseConv2d::default()
                },
                &[a, w2, b2],
            )
            .unwrap();
        let w3 = w(&mut g, "w3", &[1, 1, 1, 3], &[1.0, 2.0, -16.0]);
        let c = g.add("c", ops::Conv2d::default(), &[b, w3]).unwrap();
        g.set_outputs(&[c]);
        g
    }

    /// The chain on one pixel, by its formula.
    fn run(g: &Graph, x: [f32; 2]) -> f32 {
        let v = |name: &str| {
            g.constant_data(g.find(name).unwrap())
                .unwrap()
                .as_f32()
                .unwrap()
                .to_vec()
        };
        let (w1, b1, w2, b2, w3) = (v("w1"), v("b1"), v("w2"), v("b2"), v("w3"));
        let channel = |i: usize| {
            let a = (w1[2 * i] * x[0] + w1[2 * i + 1] * x[1] + b1[i]).max(0.0);
            (w2[i] * a + b2[i]).max(0.0) * w3[i]
        };
        (0..3).map(channel).sum()
    }

    #[test]
    fn outputs_stay_and_ranges_become_equal() {
        let before = chain(Activation::Relu);
        let mut after = before.clone();
        let pairs = equalize(&mut after).unwrap();
        assert_eq!(pairs.len(), 2);
        for x in [[1.0, 2.0], [-1.0, 0.5], [3.0, -2.0], [0.0, 0.0]] {
            let (a, b) = (run(&before, x), run(&after, x));
            assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "{a} {b}");
        }
        let layers = layers(&after);
        let [w1, w2, w3] = [0, 1, 2].map(|i| layers[i].matrix(&after).unwrap());
        for ((a, b), c) in row_ranges(&w1).iter().zip(row_ranges(&w2)).zip(input_ranges(&w3, 3)) {
            assert!((a / b - 1.0).abs() < 0.01 && (b / c - 1.0).abs() < 0.01, "{a} {b} {c}");
        }
        assert!(pairs[0].spread.1 < pairs[0].spread.0);
    }

    #[test]
    fn a_clamp_that_does_not_commute_ends_a_chain() {
        let mut graph = chain(Activation::Relu6);
        let before = graph.clone();
        assert_eq!(equalize(&mut graph).unwrap(), []);
        assert_eq!(graph, before);
    }
}

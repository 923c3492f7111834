//! Absorption of high biases: what every activation of a channel exceeds moves into the next layer's bias.
//!
//! Where `y = W₂·relu(h) + b₂` and `h ≥ c` for (almost) every input, `relu(h) = relu(h − c) + c`: the first layer's bias gives up `c ≥ 0`,
//! the second takes `W₂·c`, and the range between the two is narrower. `c` is the mean of `h` less three standard deviations, where that is positive.
//! Source: Nagel et al. 2019, *Data-Free Quantization Through Weight Equalization and Bias Correction*, §4.1.3; there the
//! statistics are those of batch norms, here those of samples.

use ir::ops::{Activation, Padding};
use ir::{Graph, Op};

use crate::equalize::neighbours;
use crate::{Layer, MethodError};

/// Neighbours between which a constant may move: the second reads every value of the first and no padding.
pub fn pairs(graph: &Graph) -> Vec<(Layer, Layer)> {
    let layers = crate::layers(graph);
    let whole = |layer: &Layer| {
        let biased = layer.bias.is_some();
        biased
            && match &graph.node(layer.node).op {
                Op::Conv2d(op) => op.padding == Padding::NONE,
                Op::DepthwiseConv2d(op) => op.padding == Padding::NONE,
                Op::FullyConnected(_) => true,
                _ => false,
            }
    };
    let fits = |&(first, second, direct): &(usize, usize, bool)| {
        direct && layers[first].bias.is_some() && whole(&layers[second])
    };
    let found = neighbours(graph, &layers).into_iter().filter(fits);
    found
        .map(|(first, second, _)| (layers[first].clone(), layers[second].clone()))
        .collect()
}

/// The graph with the activation of a layer taken away; nodes and ids are the same.
pub fn without_activation(graph: &Graph, layer: &Layer) -> Graph {
    let mut out = graph.clone();
    match &mut out.node_mut(layer.node).op {
        Op::Conv2d(op) => op.activation = Activation::None,
        Op::DepthwiseConv2d(op) => op.activation = Activation::None,
        Op::FullyConnected(op) => op.activation = Activation::None,
        _ => {}
    }
    out
}

/// What each channel's values exceed: mean less three standard deviations, or 0; from sums of values and of squares, and their count, by sample.
pub fn high_biases(sums: &[(Vec<[f64; 2]>, usize)], channels: usize) -> Vec<f64> {
    let count = sums.iter().map(|(_, n)| n).sum::<usize>().max(1) as f64;
    let moment = |channel: usize, k: usize| sums.iter().map(|(s, _)| s[channel][k]).sum::<f64>() / count;
    let high = |channel| {
        let mean = moment(channel, 0);
        let deviation = (moment(channel, 1) - mean * mean).max(0.0).sqrt();
        (mean - 3.0 * deviation).max(0.0)
    };
    (0..channels).map(high).collect()
}

/// Moves `shifts`, one for each channel of `first`, into the bias of `second`.
///
/// # Errors
/// A weight is infinite or not a number.
pub fn absorb(graph: &mut Graph, first: &Layer, second: &Layer, shifts: &[f64]) -> Result<(), MethodError> {
    let weights = second.matrix(graph)?;
    let by_row = matches!(graph.node(second.node).op, Op::DepthwiseConv2d(_));
    if let Some(bias) = first.bias(graph) {
        let less = bias.iter().zip(shifts).map(|(&b, s)| (f64::from(b) - s) as f32);
        first.set_bias(graph, less.collect());
    }
    if let Some(bias) = second.bias(graph) {
        let more = |(row, &b): (usize, &f32)| {
            let taken: f64 = (0..second.columns)
                .map(|c| f64::from(weights[[row, c]]) * shifts[if by_row { row } else { c % second.run }])
                .sum();
            (f64::from(b) + taken) as f32
        };
        let more = bias.iter().enumerate().map(more).collect();
        second.set_bias(graph, more);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::{Constant, TensorType, ops};

    #[test]
    fn outputs_stay_where_activations_are_above_what_moves() {
        let mut g = Graph::new("two");
        let x = g.input("x", TensorType::f32([1, 1, 1, 1]));
        let constant = |g: &mut Graph, name: &str, shape: &[usize], values: &[f32]| {
            g.constant(name, Constant::f32(shape, values.to_vec()).unwrap())
        };
        let (w, b) = (
            constant(&mut g, "w1", &[2, 1, 1, 1], &[1.0, -1.0]),
            constant(&mut g, "b1", &[2], &[5.0, 0.25]),
        );
        let relu = ops::Conv2d {
            activation: Activation::Relu,
            ..ops::Conv2d::default()
        };
        let a = g.add("a", relu, &[x, w, b]).unwrap();
        let (w, b) = (
            constant(&mut g, "w2", &[1, 1, 1, 2], &[2.0, 3.0]),
            constant(&mut g, "b2", &[1], &[1.0]),
        );
        let y = g.add("y", ops::Conv2d::default(), &[a, w, b]).unwrap();
        g.set_outputs(&[y]);

        // Inputs of ±1: the first channel is 4 to 6, the second −0.75 to 1.25.
        let (first, second) = pairs(&g).remove(0);
        let sums = [
            (vec![[4.0, 16.0], [1.25, 1.5625]], 1),
            (vec![[6.0, 36.0], [-0.75, 0.5625]], 1),
        ];
        assert_eq!(high_biases(&sums, 2), [2.0, 0.0]);
        absorb(&mut g, &first, &second, &[2.0, 0.0]).unwrap();
        let values = |name: &str| {
            g.constant_data(g.find(name).unwrap())
                .unwrap()
                .as_f32()
                .unwrap()
                .to_vec()
        };
        // y(1) = 2·6 + 3·0 + 1 = 13 before; now 2·(1 + 3) + 3·0 + 5.
        assert_eq!((values("b1"), values("b2")), (vec![3.0, 0.25], vec![5.0]));
        assert_eq!(2.0 * (1.0 + values("b1")[0]) + values("b2")[0], 13.0);
    }

    #[test]
    fn padding_keeps_a_pair_apart() {
        let mut g = Graph::new("padded");
        let x = g.input("x", TensorType::f32([1, 2, 2, 1]));
        let mut at = x;
        for (name, padding) in [("a", ops::Padding::default()), ("b", ops::Padding::all(1))] {
            let w = g.constant(format!("{name}/w"), Constant::f32([1, 1, 1, 1], vec![1.0]).unwrap());
            let b = g.constant(format!("{name}/b"), Constant::f32([1], vec![9.0]).unwrap());
            let op = ops::Conv2d {
                padding,
                ..ops::Conv2d::default()
            };
            at = g.add(name, op, &[at, w, b]).unwrap();
        }
        g.set_outputs(&[at]);
        assert!(pairs(&g).is_empty());
    }
}

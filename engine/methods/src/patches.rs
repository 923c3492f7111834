//! The inputs of a layer as rows: for each output position, the values that its weights are multiplied with.
//!
//! Neighbouring positions see almost the same, so that a draw of some positions of every sample tells as much as all of them.

use ir::{Graph, Op};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Layer;

/// How the rows of a layer's inputs are cut out of its input tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Patches {
    input: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    before: [usize; 2],
    output: [usize; 2],
    groups: usize,
    constant: bool,
}

impl Patches {
    /// The patches of a layer; `None` where its output is no product of patches and weights (transposed convolutions).
    pub fn of(graph: &Graph, layer: &Layer) -> Option<Self> {
        let node = graph.node(layer.node);
        let dims = graph.tensor(node.inputs[0]).ty.shape.dims().to_vec();
        let weights = graph.tensor(layer.weights).ty.shape.dims().to_vec();
        let output = || {
            let dims = graph.tensor(node.output()).ty.shape.dims();
            [dims[1], dims[2]]
        };
        let constant = layer.bias.is_some();
        Some(match &node.op {
            Op::Conv2d(conv) => Patches {
                input: [dims[1], dims[2], dims[3]],
                kernel: [weights[1], weights[2]],
                stride: conv.stride,
                dilation: conv.dilation,
                before: [conv.padding.top, conv.padding.left],
                output: output(),
                groups: conv.groups,
                constant,
            },
            Op::DepthwiseConv2d(conv) => Patches {
                input: [dims[1], dims[2], dims[3]],
                kernel: [weights[1], weights[2]],
                stride: conv.stride,
                dilation: conv.dilation,
                before: [conv.padding.top, conv.padding.left],
                output: output(),
                groups: layer.groups,
                constant,
            },
            // The last dimension holds the inputs; those before it are positions.
            Op::FullyConnected(_) => Patches {
                input: [dims.iter().rev().skip(1).product(), 1, *dims.last()?],
                kernel: [1, 1],
                stride: [1, 1],
                dilation: [1, 1],
                before: [0, 0],
                output: [dims.iter().rev().skip(1).product(), 1],
                groups: 1,
                constant,
            },
            _ => return None,
        })
    }

    /// Columns of a row, the 1 of the bias included.
    pub fn columns(&self) -> usize {
        self.kernel[0] * self.kernel[1] * (self.input[2] / self.groups) + usize::from(self.constant)
    }

    /// Groups of output channels; each has rows of its own.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Output positions that are cut out of one sample, at most `limit`: all of them, or a draw that depends on `sample` alone.
    pub fn positions(&self, sample: u64, limit: usize) -> Vec<usize> {
        let all = self.output[0] * self.output[1];
        if all <= limit {
            return (0..all).collect();
        }
        let mut generator = ChaCha8Rng::seed_from_u64(sample);
        // One position out of each of `limit` equal stretches.
        let stretch = |i: usize| (i * all / limit, (i + 1) * all / limit);
        let draw = |i| {
            let (start, end) = stretch(i);
            start + (generator.next_u64() % (end - start) as u64) as usize
        };
        (0..limit).map(draw).collect()
    }

    /// Appends the rows of one group at some positions; zeros stand for padding.
    pub fn rows(&self, input: &[f32], group: usize, positions: &[usize], to: &mut Vec<f32>) {
        let [height, width, channels] = self.input;
        let own = channels / self.groups;
        for &position in positions {
            let (y, x) = (position / self.output[1], position % self.output[1]);
            for ky in 0..self.kernel[0] {
                let row = (y * self.stride[0] + ky * self.dilation[0]).checked_sub(self.before[0]);
                for kx in 0..self.kernel[1] {
                    let column = (x * self.stride[1] + kx * self.dilation[1]).checked_sub(self.before[1]);
                    match (row.filter(|&r| r < height), column.filter(|&c| c < width)) {
                        (Some(r), Some(c)) => {
                            let start = (r * width + c) * channels + group * own;
                            to.extend_from_slice(&input[start..start + own]);
                        }
                        _ => to.extend(std::iter::repeat_n(0.0, own)),
                    }
                }
            }
            if self.constant {
                to.push(1.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers;

    #[test]
    fn rows_times_weights_are_the_output_of_the_operator() {
        // The plain formula of a convolution on one small input, asymmetric padding and groups included.
        let mut graph = Graph::new("conv");
        let x = graph.input("x", ir::TensorType::f32([1, 3, 4, 4]));
        let op = ir::ops::Conv2d {
            stride: [2, 1],
            dilation: [1, 2],
            groups: 2,
            padding: ir::ops::Padding {
                top: 1,
                bottom: 0,
                left: 0,
                right: 1,
            },
            ..ir::ops::Conv2d::default()
        };
        let weights: Vec<f32> = (0..16).map(|i| i as f32 - 7.0).collect();
        let w = graph.constant("w", ir::Constant::f32([2, 2, 2, 2], weights).unwrap());
        let b = graph.constant("b", ir::Constant::f32([2], vec![0.5, -0.5]).unwrap());
        let y = graph.add("y", op, &[x, w, b]).unwrap();
        graph.set_outputs(&[y]);
        let layer = layers(&graph).remove(0);
        let patches = Patches::of(&graph, &layer).unwrap();
        assert_eq!((patches.columns(), patches.groups()), (9, 2));

        let input: Vec<f32> = (0..48).map(|i| ((i * 5) % 11) as f32).collect();
        let at = |y: isize, x: isize, c: usize| {
            let inside = (0..3).contains(&y) && (0..4).contains(&x);
            if inside {
                input[(y as usize * 4 + x as usize) * 4 + c]
            } else {
                0.0
            }
        };
        let matrix = layer.matrix(&graph).unwrap();
        for group in 0..2 {
            let mut rows = Vec::new();
            let positions = patches.positions(0, 1000);
            assert_eq!(positions.len(), 2 * 3);
            patches.rows(&input, group, &positions, &mut rows);
            for (p, row) in rows.chunks(9).enumerate() {
                let (oy, ox) = ((p / 3) as isize, (p % 3) as isize);
                let mut expected = [0.5, -0.5][group];
                let mut got = row[8] * expected;
                for k in 0..8 {
                    let (ky, kx, c) = ((k / 4) as isize, (k / 2 % 2) as isize, k % 2);
                    expected += at(oy * 2 + ky - 1, ox + kx * 2, group * 2 + c) * matrix[[group, k]];
                    got += row[k] * matrix[[group, k]];
                }
                assert_eq!(got, expected);
            }
        }
    }

    #[test]
    fn a_draw_of_positions_depends_on_the_sample_alone() {
        let patches = Patches {
            input: [32, 32, 1],
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            before: [0, 0],
            output: [32, 32],
            groups: 1,
            constant: false,
        };
        let draw = patches.positions(7, 100);
        assert_eq!(draw, patches.positions(7, 100));
        assert_ne!(draw, patches.positions(8, 100));
        assert!(draw.len() == 100 && draw.is_sorted() && draw[99] < 1024);
    }
}

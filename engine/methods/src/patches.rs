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

    /// The rows at some positions, by group; zeros stand for padding.
    pub fn rows(&self, input: &[f32], positions: &[usize]) -> Vec<Vec<f32>> {
        let (columns, own, taps) = (self.columns(), self.input[2] / self.groups, self.taps());
        let seen = |&position: &usize| (0..taps).map(move |tap| self.pixel(position, tap));
        let pixels: Vec<Option<usize>> = positions.iter().flat_map(seen).collect();
        let of_group = |group: usize| {
            let mut rows = vec![0.0; positions.len() * columns];
            for (row, pixels) in rows.chunks_exact_mut(columns).zip(pixels.chunks_exact(taps)) {
                for (cells, pixel) in row.chunks_exact_mut(own).zip(pixels) {
                    let Some(pixel) = pixel else { continue };
                    let from = &input[pixel + group * own..][..own];
                    // A call for a single number, as in depthwise convolutions, would cost more than the number.
                    match cells {
                        [cell] => *cell = from[0],
                        cells => cells.copy_from_slice(from),
                    }
                }
                if self.constant {
                    row[columns - 1] = 1.0;
                }
            }
            rows
        };
        (0..self.groups).map(of_group).collect()
    }

    /// The mean row of each group over all positions.
    pub fn means(&self, input: &[f32]) -> Vec<Vec<f64>> {
        let (channels, own) = (self.input[2], self.input[2] / self.groups);
        let positions = self.output[0] * self.output[1];
        let mut means = vec![Vec::with_capacity(self.columns()); self.groups];
        for tap in 0..self.taps() {
            let mut sums = vec![0.0f64; channels];
            for pixel in (0..positions).filter_map(|position| self.pixel(position, tap)) {
                let values = &input[pixel..pixel + channels];
                sums.iter_mut().zip(values).for_each(|(sum, &v)| *sum += f64::from(v));
            }
            let of_group = means.iter_mut().zip(sums.chunks_exact(own));
            of_group.for_each(|(means, sums)| means.extend(sums.iter().map(|sum| sum / positions as f64)));
        }
        means.iter_mut().filter(|_| self.constant).for_each(|row| row.push(1.0));
        means
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Where the channels start that an output position sees through one cell of the kernel; `None` for padding.
    fn pixel(&self, position: usize, tap: usize) -> Option<usize> {
        let [height, width, channels] = self.input;
        let at = [position / self.output[1], position % self.output[1]];
        let cell = [tap / self.kernel[1], tap % self.kernel[1]];
        let seen = |i: usize| (at[i] * self.stride[i] + cell[i] * self.dilation[i]).checked_sub(self.before[i]);
        let (row, column) = (seen(0).filter(|&r| r < height)?, seen(1).filter(|&c| c < width)?);
        Some((row * width + column) * channels)
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
        let positions = patches.positions(0, 1000);
        assert_eq!(positions.len(), 2 * 3);
        let rows = patches.rows(&input, &positions);
        for (group, (rows, means)) in rows.iter().zip(patches.means(&input)).enumerate() {
            for (column, mean) in means.into_iter().enumerate() {
                let sum: f32 = rows.chunks(9).map(|row| row[column]).sum();
                assert!((f64::from(sum) / 6.0 - mean).abs() < 1e-6);
            }
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

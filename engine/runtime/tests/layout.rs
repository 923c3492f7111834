//! The layout pass: random channels-first graphs compute the same before and after it.

mod support;

use ir::ops::{self, Activation, Padding};
use ir::passes::{Interface, channels_last_with};
use ir::{Constant, Graph, Op, TensorId, TensorType};
use kernels::reference;
use proptest::prelude::*;
use runtime::{Executable, Kernels, Options, Value};
use support::noise;

const TO_LAST: [usize; 4] = [0, 2, 3, 1];
const TO_FIRST: [usize; 4] = [0, 3, 1, 2];
/// Tensors stay below this many elements.
const MOST: usize = 4000;

/// A channels-first graph under construction, as an importer states it.
struct Net {
    graph: Graph,
    pool: Vec<TensorId>,
    constants: u32,
}

impl Net {
    fn new(input: [usize; 4]) -> Self {
        let mut graph = Graph::new("net");
        let x = graph.input("x", TensorType::f32(input));
        Net {
            graph,
            pool: vec![x],
            constants: 0,
        }
    }

    fn dims(&self, id: TensorId) -> Vec<usize> {
        self.graph.tensor(id).ty.shape.0.clone()
    }

    fn constant(&mut self, dims: &[usize]) -> TensorId {
        self.constants += 1;
        let n = dims.iter().product();
        let scale = 1.0 / (n as f32).sqrt();
        let values = noise(self.constants, n).map(|x| x * scale.max(0.2)).collect();
        let name = format!("c{}", self.constants);
        self.graph.constant(name, Constant::f32(dims, values).unwrap())
    }

    fn add(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> Option<TensorId> {
        let (op, n) = (op.into(), self.graph.nodes().len());
        let y = self.graph.add(format!("{}{n}", op.name()), op, inputs).ok()?;
        let elements = self.graph.tensor(y).ty.shape.elements();
        (elements > 0 && elements <= MOST).then_some(y)
    }

    /// A channels-last operator between two transposes.
    fn wrapped(&mut self, x: TensorId, op: impl Into<Op>, constants: &[TensorId]) -> Option<TensorId> {
        let inner = self.add(ops::Transpose { perm: TO_LAST.into() }, &[x])?;
        let inputs: Vec<TensorId> = std::iter::once(inner).chain(constants.iter().copied()).collect();
        let y = self.add(op, &inputs)?;
        self.add(ops::Transpose { perm: TO_FIRST.into() }, &[y])
    }

    fn conv(&mut self, x: TensorId, out: usize, kernel: usize) -> Option<TensorId> {
        let channels = *self.dims(x).get(1)?;
        let w = self.constant(&[out, kernel, kernel, channels]);
        let padding = Padding::all(kernel / 2);
        self.wrapped(
            x,
            ops::Conv2d {
                padding,
                ..ops::Conv2d::default()
            },
            &[w],
        )
    }

    fn batch_norm(&mut self, x: TensorId) -> Option<TensorId> {
        let channels = *self.dims(x).get(1)?;
        let ones = Constant::f32([channels], vec![1.0; channels])?;
        let [gamma, beta, mean] = [0; 3].map(|_| self.constant(&[channels]));
        let variance = self.graph.constant(format!("v{}", self.constants), ones);
        self.wrapped(x, ops::BatchNorm { epsilon: 0.1 }, &[gamma, beta, mean, variance])
    }

    fn reshape(&mut self, x: TensorId, shape: &[usize]) -> Option<TensorId> {
        self.add(ops::Reshape { shape: shape.into() }, &[x])
    }

    fn shuffle(&mut self, x: TensorId, groups: usize) -> Option<TensorId> {
        let [n, c, h, w] = self.dims(x).try_into().ok()?;
        if c % groups != 0 {
            return None;
        }
        let split = self.reshape(x, &[n, groups, c / groups, h, w])?;
        let swapped = self.add(
            ops::Transpose {
                perm: vec![0, 2, 1, 3, 4],
            },
            &[split],
        )?;
        self.reshape(swapped, &[n, c, h, w])
    }

    /// Squeeze and excite, the squeezed image as an image (convolutions) or as a vector (linear layers).
    fn squeeze_excite(&mut self, x: TensorId, image: bool) -> Option<TensorId> {
        let [n, c, _, _] = self.dims(x).try_into().ok()?;
        let axes = vec![2, 3];
        let squeezed = self.add(ops::Mean { axes, keep_dims: image }, &[x])?;
        let gate = if image {
            let inner = self.conv(squeezed, 2, 1)?;
            let inner = self.add(ops::Function::Relu, &[inner])?;
            self.conv(inner, c, 1)?
        } else {
            let w = self.constant(&[c, c]);
            let y = self.add(ops::FullyConnected::default(), &[squeezed, w])?;
            self.reshape(y, &[n, c, 1, 1])?
        };
        let gate = self.add(ops::Function::Sigmoid, &[gate])?;
        self.add(ops::Mul::default(), &[x, gate])
    }

    fn linear(&mut self, x: TensorId, out: usize) -> Option<TensorId> {
        let features = *self.dims(x).last()?;
        let (w, b) = (self.constant(&[out, features]), self.constant(&[out]));
        self.add(ops::FullyConnected::default(), &[x, w, b])
    }

    fn matmul(&mut self, x: TensorId, out: usize) -> Option<TensorId> {
        let features = *self.dims(x).last()?;
        let w = self.constant(&[features, out]);
        self.add(ops::MatMul::default(), &[x, w])
    }

    /// Attention of a tensor with itself, two heads where the features allow it.
    fn attention(&mut self, x: TensorId) -> Option<TensorId> {
        let [n, tokens, features] = self.dims(x).try_into().ok()?;
        let heads = if features % 2 == 0 { 2 } else { 1 };
        let split = self.reshape(x, &[n, tokens, heads, features / heads])?;
        let q = self.add(ops::Transpose { perm: vec![0, 2, 1, 3] }, &[split])?;
        let k = self.add(ops::Transpose { perm: vec![0, 2, 3, 1] }, &[split])?;
        let scores = self.add(ops::MatMul::default(), &[q, k])?;
        let weights = self.add(ops::Softmax::default(), &[scores])?;
        let mixed = self.add(ops::MatMul::default(), &[weights, q])?;
        let back = self.add(ops::Transpose { perm: vec![0, 2, 1, 3] }, &[mixed])?;
        self.reshape(back, &[n, tokens, features])
    }

    /// One random step; `None` where it does not fit the tensors that there are.
    fn step(&mut self, [kind, which, a, b]: [u8; 4]) -> Option<()> {
        let pick = |n: u8| self.pool[self.pool.len() - 1 - usize::from(n) % self.pool.len().min(4)];
        let (x, other) = (pick(which), pick(a));
        let dims = self.dims(x);
        let rank = dims.len();
        let (a, b) = (usize::from(a), usize::from(b));
        let axis = a % rank.max(1);
        let y = match kind % 26 {
            0 | 1 => self.conv(x, 1 + a % 6, 1 + 2 * (b % 2))?,
            2 => {
                let channels = *dims.get(1)?;
                let w = self.constant(&[1, 3, 3, channels]);
                let padding = Padding::all(1);
                let op = ops::DepthwiseConv2d {
                    padding,
                    stride: [1 + a % 2; 2],
                    ..ops::DepthwiseConv2d::default()
                };
                self.wrapped(x, op, &[w])?
            }
            3 => self.batch_norm(x)?,
            4 => self.add(ops::Function::Relu, &[x])?,
            5 => self.add(ops::Function::Neg, &[x])?,
            6 => self.add(
                ops::Add {
                    activation: Activation::Relu6,
                },
                &[x, other],
            )?,
            7 => self.add(ops::Sub::default(), &[other, x])?,
            8 => {
                // Any dimensions may be 1, and those in front left out.
                let kept: Vec<usize> = (0..rank).map(|i| if b >> i & 1 == 1 { dims[i] } else { 1 }).collect();
                let c = self.constant(&kept[a % (rank + 1)..]);
                let operands = if b >= 128 { [c, x] } else { [x, c] };
                self.add(ops::Mul::default(), &operands)?
            }
            9 => self.add(ops::Concat { axis }, &[x, other])?,
            10 => {
                let parts = [2, 3][b % 2];
                let name = format!("split{}", self.graph.nodes().len());
                let all = self.graph.add_many(name, ops::Split { axis, parts }, &[x]).ok()?;
                self.pool.extend(&all);
                return Some(());
            }
            11 => {
                let begin: Vec<usize> = dims.iter().map(|&d| b % d.div_ceil(2)).collect();
                let stride = (0..rank).map(|i| 1 + (a >> i & 1)).collect();
                self.add(
                    ops::Slice {
                        begin,
                        end: dims,
                        stride,
                    },
                    &[x],
                )?
            }
            12 => {
                let before = (0..rank).map(|i| a >> i & 1).collect();
                let after = (0..rank).map(|i| if i == 0 { 0 } else { b >> i & 1 }).collect();
                let mode = [ops::PadMode::Zero, ops::PadMode::Value(0.5)][b % 2];
                self.add(ops::Pad { before, after, mode }, &[x])?
            }
            13 => {
                let axes = (1..rank).filter(|i| a >> i & 1 == 1).collect();
                self.add(
                    ops::Mean {
                        axes,
                        keep_dims: b % 2 == 0,
                    },
                    &[x],
                )?
            }
            14 => {
                let axes = (1..rank).filter(|i| a >> i & 1 == 1).collect();
                self.add(
                    ops::ReduceMax {
                        axes,
                        keep_dims: b % 2 == 0,
                    },
                    &[x],
                )?
            }
            15 if b % 2 == 0 => self.wrapped(x, ops::Softmax::default(), &[])?,
            15 => self.add(ops::Softmax::default(), &[x])?,
            16 => {
                let op = ops::Resize {
                    size: [1 + a % 5, 1 + b % 5],
                    interpolation: ops::Interpolation::Bilinear,
                    coordinates: ops::Coordinates::HalfPixel,
                };
                self.wrapped(x, op, &[])?
            }
            17 => {
                // Neighbouring dimensions are merged, or one is split.
                let mut shape = dims.clone();
                match b % 5 {
                    0 => shape = vec![dims[0], dims[1..].iter().product()],
                    1 if axis + 1 < rank => {
                        shape[axis] *= shape.remove(axis + 1);
                    }
                    2 if dims.get(axis)? % 2 == 0 => {
                        shape[axis] /= 2;
                        shape.insert(axis, 2);
                    }
                    3 => shape.insert(axis, 1),
                    _ => shape = [dims[..1].to_vec(), vec![dims[1..].iter().product(), 1]].concat(),
                }
                self.reshape(x, &shape)?
            }
            18 => {
                let mut perm: Vec<usize> = (0..rank).collect();
                perm.rotate_left(a % rank.max(1));
                perm.swap(0, b % rank.max(1));
                self.add(ops::Transpose { perm }, &[x])?
            }
            19 => self.linear(x, 1 + a % 7)?,
            20 => self.matmul(x, 1 + a % 7)?,
            21 => {
                let flat = self.reshape(x, &[1, dims.iter().product()])?;
                let flat = if b % 2 == 0 {
                    self.add(ops::Function::Relu, &[flat])?
                } else {
                    flat
                };
                if a % 2 == 0 {
                    self.linear(flat, 5)?
                } else {
                    self.matmul(flat, 5)?
                }
            }
            22 => self.shuffle(x, 2 + a % 2)?,
            23 => self.squeeze_excite(x, a % 2 == 0)?,
            24 if rank == 4 => {
                // Pixels become tokens.
                let tokens = self.reshape(x, &[dims[0], dims[1], dims[2] * dims[3]])?;
                let tokens = self.add(ops::Transpose { perm: vec![0, 2, 1] }, &[tokens])?;
                let scale = self.constant(&[dims[1]]);
                let norm = ops::LayerNorm { axis: 2, epsilon: 1.0 };
                let tokens = self.add(norm, &[tokens, scale])?;
                self.attention(tokens)?
            }
            24 => self.attention(x)?,
            _ => {
                let name = format!("i{}", self.graph.nodes().len());
                let indices = (0..=b % 4).map(|i| ((i * 3 + a) % dims[axis]) as i32).collect();
                let indices = Constant::i32([1 + b % 4], indices)?;
                let indices = self.graph.constant(name, indices);
                self.add(ops::Gather { axis }, &[x, indices])?
            }
        };
        self.pool.push(y);
        Some(())
    }

    fn finish(mut self) -> Graph {
        let last = self.pool.len() - self.pool.len().min(2);
        let made = |id: &TensorId| self.graph.producer(*id).is_some();
        let outputs: Vec<TensorId> = self.pool[last..].iter().copied().filter(made).collect();
        self.graph.set_outputs(&outputs);
        self.graph.normalize().unwrap();
        self.graph.verify().unwrap();
        self.graph
    }
}

fn moved(dims: &[usize], perm: [usize; 4], values: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    reference::transpose(dims, &perm, values, &mut out);
    out
}

/// The outputs for an input that is given channels-first, whatever the graph takes.
fn outputs(graph: &Graph, stated: &[usize]) -> Vec<Vec<f32>> {
    let options = Options {
        kernels: Kernels::Reference,
        ..Options::default()
    };
    let executable = Executable::new(graph, options).unwrap();
    let values: Vec<f32> = noise(9, stated.iter().product()).collect();
    let turned = executable.inputs()[0].ty.shape.dims() != stated;
    let values = if turned {
        moved(stated, TO_LAST, &values)
    } else {
        values
    };
    let mut workspace = executable.workspace();
    executable.run(&mut workspace, &[Value::F32(&values)]).unwrap();
    let output = |i| match executable.output(&workspace, i) {
        Value::F32(v) => v.to_vec(),
        other => panic!("{other:?} instead of floats"),
    };
    (0..executable.outputs().len()).map(output).collect()
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4 * (1.0 + a.abs()))
}

/// Checks both forms of the pass, and returns the graph that it makes of inputs and outputs that may turn.
fn check(graph: &Graph, stated: [usize; 4]) -> Graph {
    let expected = outputs(graph, &stated);
    let [as_stated, turned] = [Interface::AsStated, Interface::ChannelsLast].map(|interface| {
        let mut after = graph.clone();
        channels_last_with(&mut after, interface).unwrap();
        assert!(after.transposes() <= graph.transposes());
        let name = |graph: &Graph, ids: &[TensorId]| -> Vec<String> {
            ids.iter().map(|&id| graph.tensor(id).name.clone()).collect()
        };
        assert_eq!(name(&after, after.inputs()), name(graph, graph.inputs()));
        assert_eq!(name(&after, after.outputs()), name(graph, graph.outputs()));
        for (i, (a, b)) in expected.iter().zip(outputs(&after, &stated)).enumerate() {
            let before = graph.tensor(graph.outputs()[i]).ty.shape.dims();
            let now = after.tensor(after.outputs()[i]).ty.shape.dims();
            let may_turn = interface == Interface::ChannelsLast && before.len() == 4;
            let equal = before == now && close(a, &b);
            let last = may_turn && now == TO_LAST.map(|p| before[p]) && close(&moved(before, TO_LAST, a), &b);
            assert!(equal || last, "output {i}, {interface:?}: {a:?}\n{b:?}");
        }
        after
    });
    assert_eq!(as_stated.inputs().len(), turned.inputs().len());
    turned
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1500),..ProptestConfig::default() })]

    #[test]
    fn random_graphs_compute_the_same(steps in prop::collection::vec(any::<[u8; 4]>(), 1..14)) {
        let mut net = Net::new([1, 6, 4, 5]);
        for step in steps {
            net.step(step);
        }
        let graph = net.finish();
        if !graph.nodes().is_empty() {
            check(&graph, [1, 6, 4, 5]);
        }
    }
}

#[test]
fn an_ordinary_network_ends_without_transposes() {
    let input = [1, 3, 8, 10];
    let mut net = Net::new(input);
    let build = |net: &mut Net| -> Option<TensorId> {
        let x = net.pool[0];
        // Normalization of the input, stated channels-first.
        let mean = net.constant(&[3, 1, 1]);
        let x = net.add(ops::Sub::default(), &[x, mean])?;
        let stem = net.conv(x, 8, 3)?;
        let stem = net.batch_norm(stem)?;
        let stem = net.add(ops::Function::Relu, &[stem])?;
        let inner = net.conv(stem, 8, 3)?;
        let sum = net.add(ops::Add::default(), &[inner, stem])?;
        let gated = net.squeeze_excite(sum, true)?;
        let gated = net.squeeze_excite(gated, false)?;
        let wide = net.add(ops::Concat { axis: 1 }, &[gated, stem])?;
        let shuffled = net.shuffle(wide, 2)?;
        let halves = net
            .graph
            .add_many("halves", ops::Split { axis: 1, parts: 2 }, &[shuffled])
            .ok()?;
        let branch = net.conv(halves[1], 8, 1)?;
        let joined = net.add(ops::Concat { axis: 1 }, &[halves[0], branch])?;
        let shuffled = net.shuffle(joined, 4)?;
        let last = net.conv(shuffled, 4, 1)?;
        let flat = net.reshape(last, &[1, 4 * 8 * 10])?;
        let flat = net.add(ops::Function::Relu6, &[flat])?;
        net.linear(flat, 10)
    };
    let y = build(&mut net).unwrap();
    net.pool = vec![y];
    let after = check(&net.finish(), input);
    assert_eq!(after.transposes(), 0);
    assert_eq!(after.tensor(after.inputs()[0]).ty.to_string(), "f32[1,8,10,3]");
}

#[test]
fn a_vision_transformer_keeps_the_transposes_of_its_heads_alone() {
    let input = [1, 3, 8, 8];
    let mut net = Net::new(input);
    let build = |net: &mut Net| -> Option<TensorId> {
        let w = net.constant(&[6, 4, 4, 3]);
        let patches = ops::Conv2d {
            stride: [4, 4],
            ..ops::Conv2d::default()
        };
        let patches = net.wrapped(net.pool[0], patches, &[w])?;
        let tokens = net.reshape(patches, &[1, 6, 4])?;
        let tokens = net.add(ops::Transpose { perm: vec![0, 2, 1] }, &[tokens])?;
        let attended = net.attention(tokens)?;
        let sum = net.add(ops::Add::default(), &[attended, tokens])?;
        let pooled = net.add(
            ops::Mean {
                axes: vec![1],
                keep_dims: false,
            },
            &[sum],
        )?;
        net.linear(pooled, 3)
    };
    let y = build(&mut net).unwrap();
    net.pool = vec![y];
    let after = check(&net.finish(), input);
    // Into heads, which queries, keys (swapped by the product) and values share here, and out of them.
    assert_eq!(after.transposes(), 2);
}

//! Graphs with made-up samples, and the gradients of a made-up loss.

use std::ops::Range;

use ir::ops::{Add, BatchNorm, Concat, Conv2d, DepthwiseConv2d, FullyConnected, Function, Mean, Mul, Padding};
use ir::{Constant, ElementType, Graph, TensorId, TensorType};
use kernels::fast::Isa;
use learn::{LearnError, Norms, Outcome, Program, Settings};

/// Samples of a batch: more than one shard has.
pub const SAMPLES: usize = 11;

/// Numbers that no pattern is in.
pub fn numbers(n: usize, range: Range<f64>) -> Vec<f64> {
    let mut state = std::f64::consts::FRAC_1_PI;
    let next = |_| {
        state = (state * 997.0 + 0.271_828).fract();
        range.start + (range.end - range.start) * state
    };
    (0..n).map(next).collect()
}

/// A graph, samples for it and the weights of a loss.
pub struct Case<'g> {
    name: &'g str,
    graph: &'g Graph,
    norms: Norms,
    pub inputs: Vec<Vec<f64>>,
}

type Gradients = Vec<(String, Vec<f64>)>;

impl<'g> Case<'g> {
    pub fn new(name: &'g str, graph: &'g Graph, norms: Norms) -> Self {
        let positive = ["log", "sqrt", "rsqrt", "pow", "div"]
            .iter()
            .any(|p| name.starts_with(p));
        let range = if positive { 0.4..2.0 } else { -1.9..2.1 };
        let inputs = graph.inputs().iter().enumerate().map(|(i, &id)| {
            let ty = &graph.tensor(id).ty;
            let count = SAMPLES * ty.shape.elements();
            if ty.element == ElementType::F32 {
                numbers(count + i, range.clone())[i..].to_vec()
            } else {
                (0..count).map(|k| (k % 2) as f64).collect()
            }
        });
        Case {
            name,
            graph,
            norms,
            inputs: inputs.collect(),
        }
    }

    pub fn program<T: learn::Number>(&self, isa: Isa) -> Result<Program<T>, LearnError> {
        Program::new(
            self.graph,
            &Settings {
                batch: SAMPLES,
                trained: &|_| true,
                norms: &|_| self.norms,
                input_gradients: true,
                isa,
                memory: usize::MAX,
            },
        )
    }

    fn learn<T: learn::Number>(program: &mut Program<T>, inputs: &[Vec<f64>]) -> f64 {
        let feed = |s: usize, port: usize, to: &mut [T]| {
            let from = &inputs[port][s * to.len()..];
            to.iter_mut().zip(from).for_each(|(to, &x)| *to = T::of(x));
        };
        let judge = |s: usize, y: &[T], d: &mut [T]| {
            let weights = numbers((s + 1) * y.len(), -1.0..1.0);
            let mut loss = 0.0;
            for ((y, d), w) in y.iter().zip(d).zip(&weights[s * y.len()..]) {
                loss += w * y.double();
                *d = T::of(*w);
            }
            Outcome {
                loss,
                ..Outcome::default()
            }
        };
        program.learn(SAMPLES, &|s| s as u64 * 7919, &feed, &judge).loss
    }

    /// The gradients of all inputs and constants.
    pub fn gradients<T: learn::Number>(&self, isa: Isa) -> Gradients {
        let mut program = self.program::<T>(isa).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        Self::learn(&mut program, &self.inputs);
        let double = |x: &[T]| x.iter().map(|x| x.double()).collect::<Vec<f64>>();
        let inputs = (0..self.inputs.len()).map(|i| (format!("input {i}"), double(&program.input_gradient(i))));
        let mut all: Gradients = inputs.collect();
        let trained: Vec<(usize, String)> = program.trained().map(|(i, n)| (i, n.to_owned())).collect();
        for (index, name) in trained {
            all.push((name, double(program.gradient(index))));
        }
        all
    }

    /// What the network makes of each sample, as inference does.
    pub fn predictions(&self, isa: Isa) -> Vec<Vec<f32>> {
        let mut program = self.program::<f32>(isa).unwrap();
        let feed = |s: usize, port: usize, to: &mut [f32]| {
            let from = &self.inputs[port][s * to.len()..];
            to.iter_mut().zip(from).for_each(|(to, &x)| *to = x as f32);
        };
        let seen = std::sync::Mutex::new(vec![Vec::new(); SAMPLES]);
        let judge = |s: usize, y: &[f32], _: &mut [f32]| {
            seen.lock().unwrap()[s] = y.to_vec();
            Outcome::default()
        };
        program.predict(SAMPLES, &feed, &judge);
        seen.into_inner().unwrap()
    }

    /// Compares every gradient with central differences.
    pub fn check_differences(&self) {
        const STEP: f64 = 1e-5;
        let gradients = self.gradients::<f64>(Isa::Scalar);
        let mut program = self.program::<f64>(Isa::Scalar).unwrap();
        let check = |what: &str, at: usize, found: f64, up: f64, down: f64, scale: f64| {
            let expected = (up - down) / (2.0 * STEP);
            assert!(
                (found - expected).abs() <= 1e-6 * scale.max(expected.abs()).max(0.1),
                "{}: gradient of {what}[{at}] is {found}, differences show {expected}",
                self.name
            );
        };
        let scale = |g: &[f64]| g.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        let mut inputs = self.inputs.clone();
        for (i, (what, gradient)) in gradients.iter().take(inputs.len()).enumerate() {
            // Indices have no gradient.
            let floats = self.graph.tensor(self.graph.inputs()[i]).ty.element == ElementType::F32;
            for k in (0..if floats { gradient.len() } else { 0 }).step_by(3) {
                let x = inputs[i][k];
                inputs[i][k] = x + STEP;
                let up = Self::learn(&mut program, &inputs);
                inputs[i][k] = x - STEP;
                let down = Self::learn(&mut program, &inputs);
                inputs[i][k] = x;
                check(what, k, gradient[k], up, down, scale(gradient));
            }
        }
        for (name, gradient) in &gradients[inputs.len()..] {
            let index = program.find(name).unwrap();
            for k in 0..gradient.len() {
                let x = program.values(index)[k];
                let mut moved = |to: f64| {
                    program.values_mut(index)[k] = to;
                    program.prepare();
                    Self::learn(&mut program, &self.inputs)
                };
                let (up, down) = (moved(x + STEP), moved(x - STEP));
                moved(x);
                check(name, k, gradient[k], up, down, scale(gradient));
            }
        }
    }
}

struct Builder(Graph);

impl Builder {
    fn constant(&mut self, name: &str, dims: &[usize], range: Range<f64>) -> TensorId {
        let values = numbers(dims.iter().product(), range);
        let data = Constant::f32(dims, values.into_iter().map(|x| x as f32).collect()).unwrap();
        self.0.constant(name, data)
    }

    fn norm(&mut self, name: &str, x: TensorId, channels: usize) -> TensorId {
        let parts = [
            ("gamma", 0.5..1.5),
            ("beta", -0.5..0.5),
            ("mean", -0.5..0.5),
            ("variance", 0.5..2.0),
        ];
        let constants = parts.map(|(part, range)| self.constant(&format!("{name}/{part}"), &[channels], range));
        let [a, b, c, d] = constants;
        self.0.add(name, BatchNorm { epsilon: 1e-3 }, &[x, a, b, c, d]).unwrap()
    }

    fn conv(&mut self, name: &str, op: Conv2d, x: TensorId, weights: &[usize]) -> TensorId {
        let w = self.constant(&format!("{name}/w"), weights, -0.4..0.4);
        self.0.add(name, op, &[x, w]).unwrap()
    }
}

/// Networks and layers of shapes that fast kernels take apart: strides, dilations, groups, a residual, depthwise layers, concatenation.
pub fn shapes() -> Vec<(String, Graph)> {
    let mut all = vec![("network".to_owned(), network())];
    let pad = Padding::all(1);
    let cases = [
        ([1, 9, 8, 5], [7, 3, 3, 5], [2, 2], [1, 1], pad, 1),
        ([1, 9, 8, 5], [7, 3, 3, 5], [2, 3], [2, 2], pad, 1),
        ([1, 9, 8, 6], [9, 3, 2, 2], [1, 2], [2, 1], pad, 3),
        ([1, 6, 6, 20], [35, 1, 1, 20], [2, 2], [1, 1], Padding::NONE, 1),
        ([1, 5, 5, 40], [70, 1, 1, 40], [1, 1], [1, 1], Padding::NONE, 1),
        ([1, 4, 4, 3], [5, 2, 2, 3], [3, 3], [1, 1], Padding::all(3), 1),
        ([1, 12, 11, 17], [33, 5, 5, 17], [1, 1], [1, 1], Padding::all(2), 1),
    ];
    for (input, weights, stride, dilation, padding, groups) in cases {
        let mut b = Builder(Graph::new("conv"));
        let x = b.0.input("x", TensorType::f32(input));
        let op = Conv2d {
            stride,
            dilation,
            padding,
            groups,
            ..Conv2d::default()
        };
        let y = b.conv("y", op, x, &weights);
        b.0.set_outputs(&[y]);
        all.push((
            format!("conv {input:?} {weights:?} stride {stride:?} dilation {dilation:?}"),
            b.0,
        ));
    }
    for (channels, multiplier, stride, padding) in [
        (5, 1, [1, 1], pad),
        (35, 1, [2, 2], pad),
        (16, 1, [2, 1], Padding::same([9, 8], [3, 3], [2, 1], [1, 1])),
        (3, 4, [1, 1], pad),
        (4, 1, [1, 1], Padding::all(4)),
    ] {
        let mut b = Builder(Graph::new("depthwise"));
        let x = b.0.input("x", TensorType::f32([1, 9, 8, channels]));
        let w = b.constant("w", &[1, 3, 3, channels * multiplier], -0.5..0.5);
        let bias = b.constant("b", &[channels * multiplier], -0.5..0.5);
        let op = DepthwiseConv2d {
            stride,
            dilation: [1, 1],
            padding,
            activation: ir::ops::Activation::None,
        };
        let y = b.0.add("y", op, &[x, w, bias]).unwrap();
        b.0.set_outputs(&[y]);
        all.push((format!("depthwise {channels}×{multiplier} stride {stride:?}"), b.0));
    }
    all
}

/// A residual, a depthwise layer, a concatenation, a gate, live norms with rectifiers.
fn network() -> Graph {
    let mut b = Builder(Graph::new("network"));
    let x = b.0.input("x", TensorType::f32([1, 8, 8, 3]));
    let same = || Conv2d {
        padding: Padding::all(1),
        ..Conv2d::default()
    };
    let stem = b.conv("stem", same(), x, &[12, 3, 3, 3]);
    let stem = b.norm("stem/norm", stem, 12);
    let stem = b.0.add("stem/relu", Function::Relu, &[stem]).unwrap();
    let w = b.constant("dw/w", &[1, 3, 3, 12], -0.5..0.5);
    let op = DepthwiseConv2d {
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding::all(1),
        activation: ir::ops::Activation::None,
    };
    let dw = b.0.add("dw", op, &[stem, w]).unwrap();
    let dw = b.norm("dw/norm", dw, 12);
    let dw = b.0.add("dw/relu6", Function::Relu6, &[dw]).unwrap();
    let sum = b.0.add("sum", Add::default(), &[dw, stem]).unwrap();
    let sum = b.0.add("sum/relu", Function::Relu, &[sum]).unwrap();
    let gate = b.0.add("gate", Mul::default(), &[sum, stem]).unwrap();
    let both = b.0.add("both", Concat { axis: 3 }, &[gate, dw]).unwrap();
    let down = Conv2d {
        stride: [2, 2],
        ..same()
    };
    let down = b.conv("down", down, both, &[20, 3, 3, 24]);
    let down = b.norm("down/norm", down, 20);
    let mean = Mean {
        axes: vec![1, 2],
        keep_dims: false,
    };
    let mean = b.0.add("mean", mean, &[down]).unwrap();
    let w = b.constant("fc/w", &[10, 20], -0.5..0.5);
    let bias = b.constant("fc/b", &[10], -0.5..0.5);
    let y = b.0.add("fc", FullyConnected::default(), &[mean, w, bias]).unwrap();
    b.0.set_outputs(&[y]);
    b.0
}

//! Twenty steps of training against PyTorch's: losses, first gradients, and where the weights end. `tests/golden/learning/generate.py` wrote them, and says how
//! weights and samples are drawn.

use std::collections::BTreeMap;
use std::ops::Range;

use ir::ops::{
    Add, AveragePool2d, BatchNorm, Concat, Conv2d, DepthwiseConv2d, FullyConnected, Function, LayerNorm, MatMul,
    MaxPool2d, Mean, Padding, Softmax,
};
use ir::{Constant, Graph, Op, TensorId, TensorType};
use kernels::fast::Isa;
use learn::{Loss, Moments, Move, Norms, Number, Optimizer, Outcome, Program, Settings, Target};
use serde_json::Value;

use crate::common::numbers;

const BATCH: usize = 12;
const LOSS: Loss = Loss::CrossEntropy { smoothing: 0.1 };

/// A network whose weights are drawn in the order of their names in the script.
struct Network {
    graph: Graph,
    drawn: usize,
    /// Weights, drawn before the network is built, as the script does.
    weights: BTreeMap<String, TensorId>,
}

impl Network {
    fn new(name: &str, input: &[usize]) -> (Self, TensorId) {
        let mut graph = Graph::new(name);
        let x = graph.input("x", TensorType::f32(input));
        let network = Network {
            graph,
            drawn: 0,
            weights: BTreeMap::new(),
        };
        (network, x)
    }

    fn draw(&mut self, name: &str, dims: &[usize], range: Range<f64>) {
        let skip = 7 * self.drawn;
        self.drawn += 1;
        let values = numbers(dims.iter().product::<usize>() + skip, range);
        let data = Constant::f32(dims, values[skip..].iter().map(|&v| v as f32).collect()).unwrap();
        let id = self.graph.constant(name, data);
        self.weights.insert(name.into(), id);
    }

    /// Convolutions `(name, out, kernel, in)`.
    fn draw_conv(&mut self, name: &str, out: usize, k: usize, into: usize) {
        self.draw(&format!("{name}/w"), &[out, k, k, into], -0.4..0.4);
    }

    fn draw_norm(&mut self, name: &str, channels: usize) {
        self.draw(&format!("{name}/gamma"), &[channels], 0.5..1.5);
        self.draw(&format!("{name}/beta"), &[channels], -0.5..0.5);
    }

    fn draw_dense(&mut self, name: &str, out: usize, into: usize) {
        self.draw(&format!("{name}/w"), &[out, into], -0.5..0.5);
        self.draw(&format!("{name}/b"), &[out], -0.5..0.5);
    }

    fn add(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> TensorId {
        let name = self.graph.fresh_name("node");
        self.graph.add(name, op, inputs).unwrap()
    }

    fn with_weights(&self, name: &str, x: TensorId) -> Vec<TensorId> {
        let bias = self.weights.get(&format!("{name}/b")).copied();
        [x, self.weights[&format!("{name}/w")]]
            .into_iter()
            .chain(bias)
            .collect()
    }

    fn conv(&mut self, name: &str, x: TensorId, stride: usize, pad: usize) -> TensorId {
        let op = Conv2d {
            stride: [stride; 2],
            padding: Padding::all(pad),
            ..Conv2d::default()
        };
        let inputs = self.with_weights(name, x);
        self.add(op, &inputs)
    }

    fn depthwise(&mut self, name: &str, x: TensorId, stride: usize) -> TensorId {
        let op = DepthwiseConv2d {
            stride: [stride; 2],
            dilation: [1, 1],
            padding: Padding::all(1),
            activation: ir::ops::Activation::None,
        };
        let inputs = self.with_weights(name, x);
        self.add(op, &inputs)
    }

    fn norm(&mut self, name: &str, x: TensorId) -> TensorId {
        let channels = *self.graph.tensor(x).ty.shape.dims().last().unwrap();
        let statistics = [("mean", 0.0), ("variance", 1.0)].map(|(part, value)| {
            let data = Constant::f32([channels], vec![value; channels]).unwrap();
            self.graph.constant(format!("{name}/{part}"), data)
        });
        let [gamma, beta] = ["gamma", "beta"].map(|part| self.weights[&format!("{name}/{part}")]);
        self.add(
            BatchNorm { epsilon: 1e-3 },
            &[x, gamma, beta, statistics[0], statistics[1]],
        )
    }

    fn dense(&mut self, name: &str, x: TensorId) -> TensorId {
        let inputs = self.with_weights(name, x);
        self.add(FullyConnected::default(), &inputs)
    }

    fn mean(&mut self, axes: &[usize], x: TensorId) -> TensorId {
        let op = Mean {
            axes: axes.to_vec(),
            keep_dims: false,
        };
        self.add(op, &[x])
    }

    fn finish(mut self, output: TensorId) -> Graph {
        self.graph.set_outputs(&[output]);
        self.graph
    }
}

fn residual() -> Graph {
    let (mut n, x) = Network::new("residual", &[1, 8, 8, 3]);
    n.draw_conv("stem", 8, 3, 3);
    n.draw_norm("stem", 8);
    n.draw_conv("a", 8, 3, 8);
    n.draw_norm("a", 8);
    n.draw_conv("b", 12, 3, 8);
    n.draw_norm("b", 12);
    n.draw_conv("s", 12, 1, 8);
    n.draw_dense("fc", 5, 12);
    let y = n.conv("stem", x, 1, 1);
    let y = n.norm("stem", y);
    let x = n.add(Function::Relu, &[y]);
    let y = n.conv("a", x, 1, 1);
    let y = n.norm("a", y);
    let y = n.add(Add::default(), &[y, x]);
    let x = n.add(Function::Relu, &[y]);
    let y = n.conv("b", x, 2, 1);
    let y = n.norm("b", y);
    let s = n.conv("s", x, 2, 0);
    let y = n.add(Add::default(), &[y, s]);
    let y = n.add(Function::Relu, &[y]);
    let y = n.mean(&[1, 2], y);
    let y = n.dense("fc", y);
    n.finish(y)
}

fn mobile() -> Graph {
    let (mut n, x) = Network::new("mobile", &[1, 8, 8, 3]);
    n.draw_conv("stem", 8, 3, 3);
    n.draw_norm("stem", 8);
    n.draw("d/w", &[1, 3, 3, 8], -0.5..0.5);
    n.draw_norm("d", 8);
    n.draw_conv("p", 16, 1, 8);
    n.draw_norm("p", 16);
    n.draw("e/w", &[1, 3, 3, 16], -0.5..0.5);
    n.draw_norm("e", 16);
    n.draw_dense("fc", 5, 16);
    let y = n.conv("stem", x, 1, 1);
    let y = n.norm("stem", y);
    let y = n.add(Function::Relu6, &[y]);
    let y = n.depthwise("d", y, 1);
    let y = n.norm("d", y);
    let y = n.add(Function::Relu6, &[y]);
    let y = n.conv("p", y, 1, 0);
    let y = n.norm("p", y);
    let y = n.add(Function::HardSwish, &[y]);
    let y = n.depthwise("e", y, 2);
    let y = n.norm("e", y);
    let y = n.add(Function::Swish, &[y]);
    let y = n.mean(&[1, 2], y);
    let y = n.dense("fc", y);
    n.finish(y)
}

fn branches() -> Graph {
    let (mut n, x) = Network::new("branches", &[1, 8, 8, 3]);
    for (name, out, k, into) in [("a", 6, 3, 3), ("b", 4, 1, 3), ("c", 8, 3, 10)] {
        n.draw_conv(name, out, k, into);
        n.draw(&format!("{name}/b"), &[out], -0.5..0.5);
    }
    n.draw_dense("fc", 5, 8);
    let a = n.conv("a", x, 1, 1);
    let a = n.add(Function::Relu, &[a]);
    let b = n.conv("b", x, 1, 0);
    let b = n.add(Function::Tanh, &[b]);
    let y = n.add(Concat { axis: 3 }, &[a, b]);
    let pool = MaxPool2d {
        kernel: [2, 2],
        stride: [2, 2],
        padding: Padding::NONE,
        activation: ir::ops::Activation::None,
    };
    let y = n.add(pool, &[y]);
    let y = n.conv("c", y, 1, 1);
    let y = n.add(Function::LeakyRelu { alpha: 0.1 }, &[y]);
    let pool = AveragePool2d {
        kernel: [2, 2],
        stride: [2, 2],
        padding: Padding::NONE,
        activation: ir::ops::Activation::None,
    };
    let y = n.add(pool, &[y]);
    let y = n.mean(&[1, 2], y);
    let y = n.dense("fc", y);
    n.finish(y)
}

fn attention() -> Graph {
    let (mut n, x) = Network::new("attention", &[1, 7, 6]);
    n.draw_dense("in", 8, 6);
    n.draw("ln/scale", &[8], 0.5..1.5);
    n.draw("ln/bias", &[8], -0.5..0.5);
    for name in ["q", "k", "v"] {
        n.draw_dense(name, 8, 8);
    }
    n.draw_dense("up", 16, 8);
    n.draw_dense("down", 8, 16);
    n.draw_dense("fc", 5, 8);
    let x = n.dense("in", x);
    let norm = LayerNorm { axis: 2, epsilon: 1e-3 };
    let (scale, bias) = (n.weights["ln/scale"], n.weights["ln/bias"]);
    let y = n.add(norm, &[x, scale, bias]);
    let [q, k, v] = ["q", "k", "v"].map(|name| n.dense(name, y));
    let turned = MatMul {
        adjoint_a: false,
        adjoint_b: true,
    };
    let y = n.add(turned, &[q, k]);
    let y = n.add(Softmax { beta: 1.0 }, &[y]);
    let y = n.add(MatMul::default(), &[y, v]);
    let x = n.add(Add::default(), &[x, y]);
    let y = n.dense("up", x);
    let y = n.add(Function::Gelu { approximate: false }, &[y]);
    let y = n.dense("down", y);
    let x = n.add(Add::default(), &[x, y]);
    let y = n.mean(&[1], x);
    let y = n.dense("fc", y);
    n.finish(y)
}

fn program<T: Number>(graph: &Graph, isa: Isa) -> Program<T> {
    let settings = Settings {
        batch: BATCH,
        trained: &|_| true,
        norms: &|_| Norms::Live,
        input_gradients: false,
        isa,
        memory: usize::MAX,
    };
    Program::new(graph, &settings).unwrap()
}

/// The mean loss of the batch; gradients stay in the program.
fn step<T: Number>(program: &mut Program<T>, samples: &[f64]) -> f64 {
    let feed = |s: usize, _: usize, to: &mut [T]| {
        for (to, &x) in to.iter_mut().zip(&samples[s * samples.len() / BATCH..]) {
            *to = T::of(f64::from(x as f32));
        }
    };
    let judge = |s: usize, y: &[T], d: &mut [T]| -> Outcome { LOSS.judge(y, Target::Class(s % y.len()), BATCH, d) };
    program.learn(BATCH, &|s| s as u64, &feed, &judge).loss / BATCH as f64
}

fn adam(decoupled: bool) -> Optimizer {
    Optimizer::Adam {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        decoupled,
    }
}

const NESTEROV: Optimizer = Optimizer::Sgd {
    momentum: 0.9,
    nesterov: true,
};

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs().max(1.0),
        "{what}: {found}, PyTorch has {expected}"
    );
}

#[test]
fn twenty_steps_are_those_of_pytorch() {
    let goldens = golden(include_str!("../../../../tests/golden/learning/networks.json"));
    for graph in [residual(), mobile(), branches(), attention()] {
        let elements = graph.tensor(graph.inputs()[0]).ty.shape.elements();
        let samples = numbers(BATCH * elements, -1.0..1.0);
        for (name, optimizer, rate, decay) in [
            ("adam", adam(false), 1e-2, 0.0),
            ("adamw", adam(true), 1e-2, 0.1),
            ("sgd", NESTEROV, 5e-2, 1e-3),
        ] {
            let golden = &goldens[&graph.name][name];
            let mut exact = program::<f64>(&graph, Isa::Scalar);
            let loss = step(&mut exact, &samples);
            close(
                &format!("{}: loss", graph.name),
                loss,
                number(&golden["losses"][0]),
                1e-12,
            );
            for (index, name) in exact.trained() {
                let gradient = exact.gradient(index);
                let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
                let weights = numbers(gradient.len(), -1.0..1.0);
                let seen: f64 = gradient.iter().zip(weights).map(|(g, w)| g * w).sum();
                for (found, expected) in [norm, seen]
                    .into_iter()
                    .zip(golden["gradients"][name].as_array().unwrap())
                {
                    close(
                        &format!("{}: gradient of {name}", graph.name),
                        found,
                        number(expected),
                        1e-10,
                    );
                }
            }
            for isa in Isa::available() {
                let mut fast = program::<f32>(&graph, isa);
                let trained: Vec<(usize, String)> = fast.trained().map(|(i, n)| (i, n.to_owned())).collect();
                let mut moments: Vec<Moments> = trained
                    .iter()
                    .map(|(i, _)| Moments::new(fast.values(*i).len(), optimizer))
                    .collect();
                for (k, expected) in golden["losses"].as_array().unwrap().iter().enumerate() {
                    let loss = step(&mut fast, &samples);
                    let what = format!("{} by {name} on {isa:?}, loss of step {k}", graph.name);
                    close(&what, loss, number(expected), 2e-5);
                    for ((index, _), moments) in trained.iter().zip(&mut moments) {
                        let movement = Move {
                            optimizer,
                            step: k as u64 + 1,
                            rate,
                            decay,
                            scale: 1.0,
                            isa,
                        };
                        let (gradient, values) = fast.gradient_and_values(*index);
                        movement.apply(values, gradient, moments);
                    }
                    fast.prepare();
                }
                // What the loss does not depend on (the bias of keys, which softmax takes away) has only rounding for a gradient, and Adam goes where that leads.
                let matters = |name: &str| number(&golden["gradients"][name][0]) > 1e-12;
                for (index, tensor) in trained.iter().filter(|(_, name)| matters(name)) {
                    let square: f64 = fast.values(*index).iter().map(|&v| f64::from(v) * f64::from(v)).sum();
                    let what = format!("{} by {name} on {isa:?}, norm of {tensor}", graph.name);
                    close(&what, square.sqrt(), number(&golden["norms"][tensor]), 1e-3);
                }
            }
        }
    }
}

#[test]
fn three_steps_on_two_numbers_are_those_of_pytorch() {
    let goldens = golden(include_str!("../../../../tests/golden/learning/optimizers.json"));
    let sgd = Optimizer::Sgd {
        momentum: 0.9,
        nesterov: false,
    };
    for (name, optimizer, decay) in [
        ("sgd", sgd, 0.0),
        ("nesterov", NESTEROV, 0.0),
        ("adam", adam(false), 0.0),
        ("adam-decay", adam(false), 0.1),
        ("adamw-decay", adam(true), 0.1),
    ] {
        for isa in Isa::available() {
            let mut values = [1.0, -2.0];
            let mut moments = Moments::new(2, optimizer);
            for step in 1..=3 {
                let movement = Move {
                    optimizer,
                    step,
                    rate: 0.1,
                    decay,
                    scale: 1.0,
                    isa,
                };
                let gradient: Vec<f32> = values.iter().map(|w| 2.0 * w + 0.5).collect();
                movement.apply(&mut values, &gradient, &mut moments);
            }
            for (found, expected) in values.iter().zip(goldens[name].as_array().unwrap()) {
                close(name, f64::from(*found), number(expected), 1e-6);
            }
        }
    }
}

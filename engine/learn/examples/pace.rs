//! Images a second in training: forwards, backwards and Adam on batches of 32, for two small networks and any number of threads.
//!
//! `cargo run --release -p learn --example pace -- 1 2`
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::time::Instant;

use ir::ops::{Add, BatchNorm, Conv2d, DepthwiseConv2d, FullyConnected, Function, Mean, Padding};
use ir::{Constant, Graph, Op, TensorId, TensorType};
use kernels::fast::Isa;
use learn::{Loss, Moments, Move, Norms, Optimizer, Program, Settings, Target};

const BATCH: usize = 32;
const STEPS: usize = 30;

struct Network {
    graph: Graph,
    salt: u32,
}

impl Network {
    fn constant(&mut self, name: &str, dims: &[usize], scale: f32) -> TensorId {
        let mut next = || {
            self.salt = self.salt.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((self.salt >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
        };
        let values = (0..dims.iter().product()).map(|_| next()).collect();
        let data = Constant::f32(dims, values).expect("as many values as elements");
        self.graph.constant(name, data)
    }

    fn norm(&mut self, name: &str, x: TensorId, rectifier: Option<Op>) -> TensorId {
        let channels = *self.graph.tensor(x).ty.shape.dims().last().expect("channels");
        let full = |value: f32| Constant::f32([channels], vec![value; channels]).expect("as many values");
        let parts = [("gamma", 1.0), ("beta", 0.0), ("mean", 0.0), ("variance", 1.0)];
        let [a, b, c, d] = parts.map(|(part, value)| self.graph.constant(format!("{name}/{part}"), full(value)));
        let y = self.add(&format!("{name}/norm"), BatchNorm { epsilon: 1e-3 }, &[x, a, b, c, d]);
        match rectifier {
            Some(op) => self.add(&format!("{name}/act"), op, &[y]),
            None => y,
        }
    }

    fn add(&mut self, name: &str, op: impl Into<Op>, inputs: &[TensorId]) -> TensorId {
        self.graph.add(name, op, inputs).expect("a layer that fits")
    }

    fn conv(&mut self, name: &str, x: TensorId, out: usize, k: usize, stride: usize) -> TensorId {
        let dims = self.graph.tensor(x).ty.shape.dims().to_vec();
        let fan = (k * k * dims[3]) as f32;
        let w = self.constant(&format!("{name}/w"), &[out, k, k, dims[3]], (6.0 / fan).sqrt());
        let op = Conv2d {
            stride: [stride; 2],
            padding: Padding::same([dims[1], dims[2]], [k; 2], [stride; 2], [1, 1]),
            ..Conv2d::default()
        };
        self.add(name, op, &[x, w])
    }

    fn depthwise(&mut self, name: &str, x: TensorId, stride: usize) -> TensorId {
        let dims = self.graph.tensor(x).ty.shape.dims().to_vec();
        let w = self.constant(&format!("{name}/w"), &[1, 3, 3, dims[3]], 0.8);
        let op = DepthwiseConv2d {
            stride: [stride; 2],
            dilation: [1, 1],
            padding: Padding::same([dims[1], dims[2]], [3; 2], [stride; 2], [1, 1]),
            activation: ir::ops::Activation::None,
        };
        self.add(name, op, &[x, w])
    }

    fn head(mut self, x: TensorId, classes: usize) -> Graph {
        let mean = Mean {
            axes: vec![1, 2],
            keep_dims: false,
        };
        let mean = self.add("mean", mean, &[x]);
        let inputs = self.graph.tensor(mean).ty.shape.elements();
        let (w, b) = (
            self.constant("fc/w", &[classes, inputs], 0.1),
            self.constant("fc/b", &[classes], 0.0),
        );
        let y = self.add("fc", FullyConnected::default(), &[mean, w, b]);
        self.graph.set_outputs(&[y]);
        self.graph
    }
}

/// ResNet-8 for 32×32 images, as MLPerf Tiny has it.
fn resnet8() -> Graph {
    let mut n = Network {
        graph: Graph::new("ResNet-8"),
        salt: 1,
    };
    let x = n.graph.input("x", TensorType::f32([1, 32, 32, 3]));
    let mut x = n.conv("stem", x, 16, 3, 1);
    x = n.norm("stem", x, Some(Function::Relu.into()));
    for (i, (channels, stride)) in [(16, 1), (32, 2), (64, 2)].into_iter().enumerate() {
        let y = n.conv(&format!("{i}a"), x, channels, 3, stride);
        let y = n.norm(&format!("{i}a"), y, Some(Function::Relu.into()));
        let y = n.conv(&format!("{i}b"), y, channels, 3, 1);
        let y = n.norm(&format!("{i}b"), y, None);
        if stride > 1 {
            x = n.conv(&format!("{i}s"), x, channels, 1, stride);
        }
        let sum = n.add(&format!("{i}sum"), Add::default(), &[x, y]);
        x = n.add(&format!("{i}relu"), Function::Relu, &[sum]);
    }
    n.head(x, 10)
}

/// MobileNetV1 with a quarter of the channels for 96×96 images, as MLPerf Tiny has it.
fn mobilenet() -> Graph {
    let mut n = Network {
        graph: Graph::new("MobileNetV1-0.25 96×96"),
        salt: 2,
    };
    let x = n.graph.input("x", TensorType::f32([1, 96, 96, 3]));
    let mut x = n.conv("stem", x, 8, 3, 2);
    x = n.norm("stem", x, Some(Function::Relu6.into()));
    let layers = [
        (16, 1),
        (32, 2),
        (32, 1),
        (64, 2),
        (64, 1),
        (128, 2),
        (128, 1),
        (128, 1),
        (128, 1),
        (128, 1),
        (128, 1),
        (256, 2),
        (256, 1),
    ];
    for (i, (channels, stride)) in layers.into_iter().enumerate() {
        x = n.depthwise(&format!("{i}d"), x, stride);
        x = n.norm(&format!("{i}d"), x, Some(Function::Relu6.into()));
        x = n.conv(&format!("{i}p"), x, channels, 1, 1);
        x = n.norm(&format!("{i}p"), x, Some(Function::Relu6.into()));
    }
    n.head(x, 2)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    for graph in [resnet8(), mobilenet()] {
        for &threads in if threads.is_empty() { &[1, 2][..] } else { &threads } {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            let (pace, loss) = pool.install(|| pace(&graph))?;
            println!(
                "{:24} {threads} threads {pace:8.0} images/s, loss {loss:.6}",
                graph.name
            );
        }
    }
    Ok(())
}

/// Images a second in the median step, and the last loss.
fn pace(graph: &Graph) -> Result<(f64, f64), learn::LearnError> {
    let isa = Isa::detect();
    let settings = Settings {
        batch: BATCH,
        trained: &|_| true,
        norms: &|_| Norms::Live,
        input_gradients: false,
        isa,
        memory: usize::MAX,
    };
    let mut program = Program::<f32>::new(graph, &settings)?;
    let trained: Vec<usize> = program.trained().map(|(index, _)| index).collect();
    let mut moments: Vec<Moments> = trained
        .iter()
        .map(|&i| Moments::new(program.values(i).len(), Optimizer::ADAM))
        .collect();
    let feed = |s: usize, _: usize, to: &mut [f32]| {
        for (i, x) in to.iter_mut().enumerate() {
            *x = ((i * 31 + s * 17 + i * i % 97) % 255) as f32 / 128.0 - 1.0;
        }
    };
    let loss = Loss::CrossEntropy { smoothing: 0.0 };
    let judge = |s: usize, y: &[f32], d: &mut [f32]| loss.judge(y, Target::Class(s % y.len()), BATCH, d);
    let mut times = Vec::new();
    let mut last = 0.0;
    for step in 1..=STEPS {
        let start = Instant::now();
        last = program.learn(BATCH, &|s| s as u64, &feed, &judge).loss / BATCH as f64;
        for (&index, moments) in trained.iter().zip(&mut moments) {
            let movement = Move {
                optimizer: Optimizer::ADAM,
                step: step as u64,
                rate: 1e-3,
                decay: 0.0,
                scale: 1.0,
                isa,
            };
            let (gradient, values) = program.gradient_and_values(index);
            movement.apply(values, gradient, moments);
        }
        program.prepare();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok((BATCH as f64 / times[STEPS / 2], last))
}

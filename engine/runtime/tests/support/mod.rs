//! Networks in all three arithmetics, with made-up weights.
//!
//! Weights of a sum of `n` products are at most `1/n` and activations are quantized in steps of 1/64, so that values keep
//! their size through the layers: errors of one layer are not amplified by the next.
#![allow(dead_code, reason = "each test and example uses a part")]

use ir::ops::{
    Activation, Add, AveragePool2d, Conv2d, DepthwiseConv2d, FullyConnected, MaxPool2d, Mean, Padding, Reshape, Softmax,
};
use ir::{Constant, ElementType, Graph, Op, Quantization, Scale, TensorId, TensorType};

/// Which arithmetic the network is made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Float,
    Integer,
    /// Dynamic range.
    Hybrid,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Float, Kind::Integer, Kind::Hybrid];
}

/// Whole-tensor quantization.
pub fn scaled(scale: f32, zero_point: i32) -> Quantization {
    Quantization::per_tensor(Scale::new(scale).unwrap(), zero_point)
}

/// Numbers in −1..1 that look random and are the same everywhere.
pub fn noise(seed: u32, n: usize) -> impl Iterator<Item = f32> {
    (0..n as u32).map(move |i| {
        let mut x = (i ^ seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
        x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
        (x ^ (x >> 16)) as i32 as f32 / 2_147_483_648.0
    })
}

/// A graph under construction.
pub struct Net {
    pub graph: Graph,
    kind: Kind,
    layers: u32,
}

impl Net {
    pub fn new(kind: Kind, input: [usize; 4]) -> (Self, TensorId) {
        let mut graph = Graph::new("net");
        let element = if kind == Kind::Integer {
            ElementType::I8
        } else {
            ElementType::F32
        };
        let x = graph.input("x", TensorType::new(element, input));
        let mut net = Net { graph, kind, layers: 0 };
        net.quantize(x, 3);
        (net, x)
    }

    fn quantize(&mut self, id: TensorId, zero_point: i32) {
        if self.kind == Kind::Integer {
            self.graph.tensor_mut(id).quantization = Some(scaled(1.0 / 64.0, zero_point));
        }
    }

    /// Weights, scales along `axis`, and a bias.
    fn constants(&mut self, shape: &[usize], axis: usize, n: usize) -> [TensorId; 2] {
        self.layers += 1;
        let (seed, channels) = (self.layers, shape[axis]);
        let weights: Vec<f32> = noise(seed, shape.iter().product()).collect();
        let bias: Vec<f32> = noise(seed + 1000, channels).map(|x| 0.1 * x).collect();
        let step = 1.0 / (127.0 * n as f32);
        let scales: Vec<Scale> = (0..channels)
            .map(|c| Scale::new(step * (1.0 - 0.5 * c as f32 / channels as f32)).unwrap())
            .collect();
        let name = |what: &str| format!("{what}{seed}");
        let weights = if self.kind == Kind::Float {
            let scaled = weights.iter().map(|w| w / n as f32).collect();
            self.graph
                .constant(name("w"), Constant::f32(shape.to_vec(), scaled).unwrap())
        } else {
            let stored = weights.iter().map(|w| (w * 127.0) as i8).collect();
            let id = self
                .graph
                .constant(name("w"), Constant::i8(shape.to_vec(), stored).unwrap());
            self.graph.tensor_mut(id).quantization = Some(Quantization::per_axis(scales.clone(), axis));
            id
        };
        let bias = if self.kind == Kind::Integer {
            let stored = bias
                .iter()
                .zip(&scales)
                .map(|(b, s)| (b * 64.0 / s.get()) as i32)
                .collect();
            Constant::i32([channels], stored)
        } else {
            Constant::f32([channels], bias)
        };
        [weights, self.graph.constant(name("b"), bias.unwrap())]
    }

    fn add_node(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> TensorId {
        let op = op.into();
        let name = format!("{}{}", op.name(), self.graph.nodes().len());
        self.graph.add(name, op, inputs).unwrap()
    }

    /// A convolution of `kernel²` taps with TensorFlow's padding.
    pub fn conv(&mut self, x: TensorId, out: usize, kernel: usize, stride: usize, activation: Activation) -> TensorId {
        let [_, h, w, c] = self.graph.tensor(x).ty.shape.nhwc().unwrap();
        let padding = Padding::same([h, w], [kernel; 2], [stride; 2], [1, 1]);
        let [weights, bias] = self.constants(&[out, kernel, kernel, c], 0, kernel * kernel * c);
        let op = Conv2d {
            stride: [stride; 2],
            padding,
            activation,
            ..Conv2d::default()
        };
        let y = self.add_node(op, &[x, weights, bias]);
        self.quantize(y, -7);
        y
    }

    pub fn depthwise(&mut self, x: TensorId, multiplier: usize, stride: usize, activation: Activation) -> TensorId {
        let [_, h, w, c] = self.graph.tensor(x).ty.shape.nhwc().unwrap();
        let padding = Padding::same([h, w], [3; 2], [stride; 2], [1, 1]);
        let [weights, bias] = self.constants(&[1, 3, 3, c * multiplier], 3, 9);
        let op = DepthwiseConv2d {
            stride: [stride; 2],
            padding,
            activation,
            ..DepthwiseConv2d::default()
        };
        let y = self.add_node(op, &[x, weights, bias]);
        self.quantize(y, 5);
        y
    }

    pub fn add(&mut self, a: TensorId, b: TensorId, activation: Activation) -> TensorId {
        let y = self.add_node(Add { activation }, &[a, b]);
        self.quantize(y, -100);
        y
    }

    /// A node that keeps the scale of its input.
    pub fn moved(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> TensorId {
        let quantization = self.graph.tensor(inputs[0]).quantization.clone();
        let y = self.add_node(op, inputs);
        self.graph.tensor_mut(y).quantization = quantization;
        y
    }

    pub fn max_pool(&mut self, x: TensorId) -> TensorId {
        let op = MaxPool2d {
            kernel: [2, 2],
            stride: [2, 2],
            padding: Padding::NONE,
            activation: Activation::None,
        };
        self.moved(op, &[x])
    }

    pub fn average_pool(&mut self, x: TensorId) -> TensorId {
        let op = AveragePool2d {
            kernel: [3, 3],
            stride: [1, 1],
            padding: Padding::all(1),
            activation: Activation::None,
        };
        self.moved(op, &[x])
    }

    /// Mean over the image, fully connected layer, softmax.
    pub fn classifier(&mut self, x: TensorId, classes: usize) -> TensorId {
        let c = self.graph.tensor(x).ty.shape.nhwc().unwrap()[3];
        let mean = self.add_node(
            Mean {
                axes: vec![1, 2],
                keep_dims: true,
            },
            &[x],
        );
        self.quantize(mean, 0);
        let flat = self.moved(Reshape { shape: vec![1, c] }, &[mean]);
        let [weights, bias] = self.constants(&[classes, c], 0, c);
        let logits = self.add_node(FullyConnected::default(), &[flat, weights, bias]);
        self.quantize(logits, 0);
        let scores = self.add_node(Softmax::default(), &[logits]);
        if self.kind == Kind::Integer {
            self.graph.tensor_mut(scores).quantization = Some(scaled(1.0 / 256.0, -128));
        }
        scores
    }

    pub fn finish(mut self, outputs: &[TensorId]) -> Graph {
        self.graph.set_outputs(outputs);
        self.graph.verify().unwrap();
        self.graph
    }
}

/// The residual network of MLPerf Tiny: 32×32 pixels, three stages.
pub fn resnet8(kind: Kind) -> Graph {
    let (mut net, x) = Net::new(kind, [1, 32, 32, 3]);
    let mut x = net.conv(x, 16, 3, 1, Activation::Relu);
    for (channels, stride) in [(16, 1), (32, 2), (64, 2)] {
        let inner = net.conv(x, channels, 3, stride, Activation::Relu);
        let outer = net.conv(inner, channels, 3, 1, Activation::None);
        let shortcut = if stride == 1 {
            x
        } else {
            net.conv(x, channels, 1, stride, Activation::None)
        };
        x = net.add(shortcut, outer, Activation::Relu);
    }
    let scores = net.classifier(x, 10);
    net.finish(&[scores])
}

/// MobileNetV1 with a quarter of the channels, 96×96 pixels, two classes.
pub fn mobilenet(kind: Kind) -> Graph {
    let (mut net, x) = Net::new(kind, [1, 96, 96, 3]);
    let mut x = net.conv(x, 8, 3, 2, Activation::Relu);
    let blocks = [
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
    for (channels, stride) in blocks {
        x = net.depthwise(x, 1, stride, Activation::Relu);
        x = net.conv(x, channels, 1, 1, Activation::Relu);
    }
    let scores = net.classifier(x, 2);
    net.finish(&[scores])
}

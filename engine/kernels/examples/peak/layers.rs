//! The layers of three networks that are deployed a lot.

use kernels::fast::{Border, FloatConv, FloatDepthwise, IntConv, IntDepthwise, Isa, Plane, View, ViewMut};
use kernels::quantized::{Activation, LinearParams, Quantization, Rounding};
use kernels::shape::{Conv2dShape, DepthwiseConv2dShape};
use std::fmt;
use std::hint::black_box;

pub struct Network {
    pub name: &'static str,
    pub layers: Vec<Layer>,
}

pub struct Layer {
    pub kind: Kind,
    /// Height and width of the input.
    pub size: usize,
    pub input: usize,
    pub output: usize,
    pub kernel: usize,
    pub stride: usize,
    /// How often the network has it.
    pub times: u32,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Conv,
    Depthwise,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            size,
            input,
            output,
            kernel,
            stride,
            times,
        } = self;
        let kind = match kind {
            Kind::Conv => "conv",
            Kind::Depthwise => "depthwise",
        };
        write!(f, "{kind} {size}² {input}→{output} {kernel}×{kernel}/{stride} ×{times}")
    }
}

fn conv(size: usize, input: usize, output: usize, kernel: usize, stride: usize, times: u32) -> Layer {
    Layer {
        kind: Kind::Conv,
        size,
        input,
        output,
        kernel,
        stride,
        times,
    }
}

fn depthwise(size: usize, channels: usize, stride: usize, times: u32) -> Layer {
    Layer {
        kind: Kind::Depthwise,
        size,
        input: channels,
        output: channels,
        kernel: 3,
        stride,
        times,
    }
}

pub fn networks() -> Vec<Network> {
    vec![
        Network {
            name: "resnet8 32×32",
            layers: vec![
                conv(32, 3, 16, 3, 1, 1),
                conv(32, 16, 16, 3, 1, 2),
                conv(32, 16, 32, 3, 2, 1),
                conv(16, 32, 32, 3, 1, 1),
                conv(32, 16, 32, 1, 2, 1),
                conv(16, 32, 64, 3, 2, 1),
                conv(8, 64, 64, 3, 1, 1),
                conv(16, 32, 64, 1, 2, 1),
            ],
        },
        Network {
            name: "mobilenetv1-0.25 96×96",
            layers: vec![
                conv(96, 3, 8, 3, 2, 1),
                depthwise(48, 8, 1, 1),
                conv(48, 8, 16, 1, 1, 1),
                depthwise(48, 16, 2, 1),
                conv(24, 16, 32, 1, 1, 1),
                depthwise(24, 32, 1, 1),
                conv(24, 32, 32, 1, 1, 1),
                depthwise(24, 32, 2, 1),
                conv(12, 32, 64, 1, 1, 1),
                depthwise(12, 64, 1, 1),
                conv(12, 64, 64, 1, 1, 1),
                depthwise(12, 64, 2, 1),
                conv(6, 64, 128, 1, 1, 1),
                depthwise(6, 128, 1, 5),
                conv(6, 128, 128, 1, 1, 5),
                depthwise(6, 128, 2, 1),
                conv(3, 128, 256, 1, 1, 1),
                depthwise(3, 256, 1, 1),
                conv(3, 256, 256, 1, 1, 1),
            ],
        },
        Network {
            name: "mobilenetv2 224×224",
            layers: vec![
                conv(224, 3, 32, 3, 2, 1),
                depthwise(112, 32, 1, 1),
                conv(112, 32, 16, 1, 1, 1),
                conv(112, 16, 96, 1, 1, 1),
                depthwise(112, 96, 2, 1),
                conv(56, 96, 24, 1, 1, 1),
                conv(56, 24, 144, 1, 1, 2),
                depthwise(56, 144, 1, 1),
                conv(56, 144, 24, 1, 1, 1),
                depthwise(56, 144, 2, 1),
                conv(28, 144, 32, 1, 1, 1),
                conv(28, 32, 192, 1, 1, 3),
                depthwise(28, 192, 1, 2),
                conv(28, 192, 32, 1, 1, 2),
                depthwise(28, 192, 2, 1),
                conv(14, 192, 64, 1, 1, 1),
                conv(14, 64, 384, 1, 1, 4),
                depthwise(14, 384, 1, 4),
                conv(14, 384, 64, 1, 1, 3),
                conv(14, 384, 96, 1, 1, 1),
                conv(14, 96, 576, 1, 1, 3),
                depthwise(14, 576, 1, 2),
                conv(14, 576, 96, 1, 1, 2),
                depthwise(14, 576, 2, 1),
                conv(7, 576, 160, 1, 1, 1),
                conv(7, 160, 960, 1, 1, 3),
                depthwise(7, 960, 1, 3),
                conv(7, 960, 160, 1, 1, 2),
                conv(7, 960, 320, 1, 1, 1),
                conv(7, 320, 1280, 1, 1, 1),
            ],
        },
    ]
}

impl Layer {
    /// Multiplications.
    pub fn products(&self) -> usize {
        let out = self.size.div_ceil(self.stride);
        let inputs = match self.kind {
            Kind::Conv => self.input,
            Kind::Depthwise => 1,
        };
        out * out * self.kernel * self.kernel * inputs * self.output
    }

    fn shape(&self) -> Conv2dShape {
        let out = self.size.div_ceil(self.stride);
        let pad = ((out - 1) * self.stride + self.kernel).saturating_sub(self.size) / 2;
        Conv2dShape {
            batch: 1,
            in_h: self.size,
            in_w: self.size,
            in_c: self.input,
            out_h: out,
            out_w: out,
            out_c: self.output,
            k_h: self.kernel,
            k_w: self.kernel,
            stride_h: self.stride,
            stride_w: self.stride,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: pad,
            pad_left: pad,
            groups: 1,
        }
    }

    fn depthwise_shape(&self) -> DepthwiseConv2dShape {
        let shape = self.shape();
        DepthwiseConv2dShape {
            batch: shape.batch,
            in_h: shape.in_h,
            in_w: shape.in_w,
            in_c: shape.in_c,
            out_h: shape.out_h,
            out_w: shape.out_w,
            multiplier: 1,
            k_h: shape.k_h,
            k_w: shape.k_w,
            stride_h: shape.stride_h,
            stride_w: shape.stride_w,
            dilation_h: shape.dilation_h,
            dilation_w: shape.dilation_w,
            pad_top: shape.pad_top,
            pad_left: shape.pad_left,
        }
    }

    fn planes(&self) -> (Plane, Plane) {
        let shape = self.shape();
        let input = Plane::dense(shape.in_h, shape.in_w, shape.in_c).with_border(Border::of_conv(&shape));
        (input, Plane::dense(shape.out_h, shape.out_w, shape.out_c))
    }

    /// The layer in `f32` with ReLU6.
    pub fn float(&self, isa: Isa) -> Box<dyn FnMut()> {
        let (input, output) = self.planes();
        let data: Vec<f32> = (0..input.len()).map(|i| (i % 17) as f32 - 8.0).collect();
        let mut to = vec![0.0; output.len()];
        let clamp = Activation::Relu6.clamp_f32();
        match self.kind {
            Kind::Conv => {
                let shape = self.shape();
                let weights: Vec<f32> = (0..shape.weights_len()).map(|i| (i % 13) as f32 / 13.0 - 0.5).collect();
                let conv = FloatConv::new(isa, &shape, &weights, None, clamp);
                Box::new(move || {
                    conv.run(
                        View::new(&input, black_box(&data)),
                        ViewMut::new(&output, &mut to),
                        None,
                    );
                })
            }
            Kind::Depthwise => {
                let shape = self.depthwise_shape();
                let weights: Vec<f32> = (0..shape.weights_len()).map(|i| (i % 13) as f32 / 13.0 - 0.5).collect();
                let conv = FloatDepthwise::new(isa, &shape, &weights, None, clamp);
                Box::new(move || conv.run(View::new(&input, black_box(&data)), ViewMut::new(&output, &mut to)))
            }
        }
    }

    /// The layer in `int8` with ReLU6.
    pub fn int(&self, isa: Isa) -> Box<dyn FnMut()> {
        let (input, output) = self.planes();
        let data: Vec<u8> = (0..input.len()).map(|i| (i * 7919 % 256) as u8).collect();
        let mut to = vec![0; output.len()];
        let scales = [0.003];
        let quantization = (Quantization::new(0.05, -128), Quantization::new(0.03, -128));
        let params = LinearParams::new(
            quantization.0,
            &scales,
            quantization.1,
            self.output,
            Activation::Relu6,
            Rounding::Double,
        );
        match self.kind {
            Kind::Conv => {
                let shape = self.shape();
                let weights: Vec<i8> = (0..shape.weights_len()).map(|i| (i * 31 % 255) as i8).collect();
                let conv = IntConv::new(isa, &shape, &params, &weights, None);
                Box::new(move || conv.run(View::new(&input, black_box(&data)), ViewMut::new(&output, &mut to)))
            }
            Kind::Depthwise => {
                let shape = self.depthwise_shape();
                let weights: Vec<i8> = (0..shape.weights_len()).map(|i| (i * 31 % 255) as i8).collect();
                let conv = IntDepthwise::new(isa, &shape, &params, &weights, None);
                Box::new(move || conv.run(View::new(&input, black_box(&data)), ViewMut::new(&output, &mut to)))
            }
        }
    }
}

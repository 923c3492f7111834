//! 16-bit activations.

use super::support::{Draw, extra_border, framed, widen, written};
use super::{conv, depthwise};
use crate::fast::{
    Border, Isa, Plane, ShortConv, ShortDense, ShortDepthwise, ShortTransposeConv, View, border_of_transpose_conv,
};
use crate::quantized::{Activation, LinearParams, Quantization, Rounding};
use crate::reference;
use crate::shape::{FullyConnectedShape, TransposeConv2dShape};
use proptest::prelude::*;

/// Parameters with factors from far below to above 1.
fn params(draw: &mut Draw, channels: usize, rounding: Rounding) -> LinearParams {
    let one = Quantization::new(1.0, 0);
    let scales: Vec<f32> = draw.floats(channels).iter().map(|x| (x * 12.0 - 12.0).exp2()).collect();
    LinearParams::new_i16(one, &scales, one, channels, Activation::Relu6, rounding)
}

fn wide(biases: &[i32]) -> Vec<i64> {
    biases.iter().map(|&b| i64::from(b) * 3).collect()
}

proptest! {
    #[test]
    fn convolutions_equal_the_reference(
        shape in conv::shapes(),
        extra in extra_border(),
        around in extra_border(),
        reduced: bool,
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let rounding = if reduced { Rounding::Reduced } else { Rounding::Double };
        let params = params(&mut draw, shape.out_c, rounding);
        let (image, weights) = (draw.shorts(shape.input_len()), draw.bytes(shape.weights_len()));
        let bias = wide(&draw.biases(shape.out_c));
        let mut expected = vec![0; shape.output_len()];
        reference::conv2d_i16(&shape, &params, &image, &weights, Some(&bias), &mut expected);
        let (input, output) = conv::planes(&shape, extra, around);
        let buffer = framed(&input, &image, 0);
        for isa in Isa::available() {
            let conv = ShortConv::new(isa, &shape, &params, &weights, Some(&bias));
            let found = written(&output, [0, 99], |to| {
                let (mut bytes, mut sums) = (vec![0; 2 * input.len()], vec![0; 2 * shape.output_len()]);
                conv.run(View::new(&input, &buffer), &mut bytes, &mut sums, to);
            });
            prop_assert_eq!(&found, &expected, "{:?}", isa);
        }
    }

    #[test]
    fn depthwise_convolutions_equal_the_reference(
        shape in depthwise::shapes(),
        extra in extra_border(),
        around in extra_border(),
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let params = params(&mut draw, shape.out_c(), Rounding::Reduced);
        let (image, weights) = (draw.shorts(shape.input_len()), draw.bytes(shape.weights_len()));
        let bias = wide(&draw.biases(shape.out_c()));
        let mut expected = vec![0; shape.output_len()];
        reference::depthwise_conv2d_i16(&shape, &params, &image, &weights, Some(&bias), &mut expected);
        let (input, output) = depthwise::planes(&shape, extra, around);
        let buffer = framed(&input, &image, 0);
        for isa in Isa::available() {
            let conv = ShortDepthwise::new(isa, &shape, &params, &weights, Some(&bias)).unwrap();
            let found = written(&output, [0, 99], |to| {
                let mut scratch = vec![0.0; input.len() + 2 * shape.output_len()];
                conv.run(View::new(&input, &buffer), &mut scratch, to);
            });
            prop_assert_eq!(&found, &expected, "{:?}", isa);
        }
    }

    #[test]
    fn fully_connected_layers_equal_the_reference(
        (rows, in_features, out_features) in (1..4_usize, 1..90_usize, 1..90_usize),
        seed: u64,
    ) {
        let shape = FullyConnectedShape { rows, in_features, out_features };
        let mut draw = Draw::new(seed);
        let params = params(&mut draw, out_features, Rounding::Float);
        let (input, weights) = (draw.shorts(shape.input_len()), draw.bytes(shape.weights_len()));
        let bias = wide(&draw.biases(out_features));
        let mut expected = vec![0; shape.output_len()];
        reference::fully_connected_i16(&shape, &params, &input, &weights, Some(&bias), &mut expected);
        for isa in Isa::available() {
            let mut found = vec![0; expected.len()];
            let layer = ShortDense::new(isa, &shape, &params, &weights, Some(&bias));
            layer.run(&input, &mut vec![0; 2 * input.len()], &mut vec![0; 2 * expected.len()], &mut found);
            prop_assert_eq!(&found, &expected, "{:?}", isa);
        }
    }

    #[test]
    fn transposed_convolutions_equal_the_reference(
        (in_h, in_w, in_c, out_c) in (1..6_usize, 1..6_usize, 1..9_usize, 1..40_usize),
        (kernel, stride) in (1..5_usize, 1..4_usize),
        around in extra_border(),
        seed: u64,
    ) {
        let shape = TransposeConv2dShape {
            batch: 1, in_h, in_w, in_c,
            out_h: (in_h - 1) * stride + kernel, out_w: (in_w - 1) * stride + kernel, out_c,
            k_h: kernel, k_w: kernel, stride_h: stride, stride_w: stride, pad_top: 0, pad_left: 0,
        };
        let mut draw = Draw::new(seed);
        let params = params(&mut draw, out_c, Rounding::Reduced);
        let (image, weights) = (draw.shorts(shape.input_len()), draw.bytes(shape.weights_len()));
        let bias = wide(&draw.biases(out_c));
        let mut expected = vec![0; shape.output_len()];
        reference::transpose_conv2d_i16(&shape, &params, &image, &weights, Some(&bias), &mut expected);
        let input = Plane::dense(in_h, in_w, in_c).with_border(widen(border_of_transpose_conv(&shape).unwrap(), Border::NONE));
        let output = Plane::dense(shape.out_h, shape.out_w, out_c).with_border(around);
        let buffer = framed(&input, &image, 0);
        for isa in Isa::available() {
            let conv = ShortTransposeConv::new(isa, &shape, &params, &weights, Some(&bias)).unwrap();
            let found = written(&output, [0, 99], |to| {
                let (mut bytes, mut sums) = (vec![0; 2 * input.len()], vec![0; 2 * shape.output_len()]);
                conv.run(View::new(&input, &buffer), &mut bytes, &mut sums, to);
            });
            prop_assert_eq!(&found, &expected, "{:?}", isa);
        }
    }
}

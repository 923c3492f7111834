//! Dynamic-range kernels.

use super::conv::{planes, shapes};
use super::depthwise;
use super::support::{Draw, extra_border, framed, written};
use crate::fast::{HybridConv, HybridDense, HybridDepthwise, Isa, View};
use crate::quantized::Activation;
use crate::reference;
use crate::shape::FullyConnectedShape;
use proptest::prelude::*;

proptest! {
    #[test]
    fn convolutions_equal_the_reference(
        shape in shapes(),
        extra in extra_border(),
        around in extra_border(),
        one_scale: bool,
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let clamp = Activation::Relu6.clamp_f32();
        let (image, weights) = (draw.floats(shape.input_len()), draw.bytes(shape.weights_len()));
        let (bias, scales) = (draw.floats(shape.out_c), draw.floats(if one_scale { 1 } else { shape.out_c }));
        let (mut expected, mut scratch) = (vec![0.0; shape.output_len()], vec![0; shape.input_len()]);
        reference::conv2d_hybrid(&shape, &scales, clamp, &image, &weights, Some(&bias), &mut scratch, &mut expected);
        let (input, output) = planes(&shape, extra, around);
        let buffer = framed(&input, &image, 0.0);
        for isa in Isa::available() {
            let conv = HybridConv::new(isa, &shape, &scales, clamp, &weights, Some(&bias));
            let actual = written(&output, [0.0, 99.0], |to| {
                conv.run(View::new(&input, &buffer), &mut vec![0; input.len()], to);
            });
            prop_assert_eq!(&actual, &expected, "{:?}", isa);
        }
    }

    #[test]
    fn depthwise_convolutions_equal_the_reference(
        shape in depthwise::shapes(),
        extra in extra_border(),
        around in extra_border(),
        one_scale: bool,
        nothing: bool,
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let clamp = Activation::Relu6.clamp_f32();
        let (mut image, weights) = (draw.floats(shape.input_len()), draw.bytes(shape.weights_len()));
        if nothing {
            image.fill(0.0);
        }
        let (bias, scales) = (draw.floats(shape.out_c()), draw.floats(if one_scale { 1 } else { shape.out_c() }));
        let (mut expected, mut scratch) = (vec![0.0; shape.output_len()], vec![0; shape.input_len()]);
        reference::depthwise_conv2d_hybrid(&shape, &scales, clamp, &image, &weights, Some(&bias), &mut scratch, &mut expected);
        let (input, output) = depthwise::planes(&shape, extra, around);
        let buffer = framed(&input, &image, 0.0);
        for isa in Isa::available() {
            let conv = HybridDepthwise::new(isa, &shape, &scales, clamp, &weights, Some(&bias)).unwrap();
            let actual = written(&output, [0.0, 99.0], |to| {
                conv.run(View::new(&input, &buffer), &mut vec![0.0; input.len()], to);
            });
            prop_assert_eq!(&actual, &expected, "{:?}", isa);
        }
    }

    #[test]
    fn fully_connected_layers_equal_the_reference(
        (rows, in_features, out_features) in (prop_oneof![8 => 1..4_usize, 1 => 60..70_usize], 1..90_usize, 1..90_usize),
        zero_row: bool,
        seed: u64,
    ) {
        let shape = FullyConnectedShape { rows, in_features, out_features };
        let mut draw = Draw::new(seed);
        let clamp = Activation::None.clamp_f32();
        let (mut input, weights) = (draw.floats(shape.input_len()), draw.bytes(shape.weights_len()));
        if zero_row {
            input[..in_features].fill(0.0);
        }
        let scales = draw.floats(out_features);
        let (mut expected, mut scratch) = (vec![0.0; shape.output_len()], vec![0; in_features]);
        reference::fully_connected_hybrid(&shape, &scales, clamp, &input, &weights, None, &mut scratch, &mut expected);
        for isa in Isa::available() {
            let mut actual = vec![0.0; shape.output_len()];
            let layer = HybridDense::new(isa, &shape, &scales, clamp, &weights, None);
            layer.run(&input, &mut vec![0; layer.scratch()], &mut actual);
            prop_assert_eq!(&actual, &expected, "{:?}", isa);
        }
    }
}

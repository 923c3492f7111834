//! Depthwise convolutions.

use super::support::{Draw, biased, extra_border, framed, widen, written};
use crate::fast::{Border, FloatDepthwise, IntDepthwise, Isa, Plane, View};
use crate::quantized::{Activation, Rounding};
use crate::reference;
use crate::shape::DepthwiseConv2dShape;
use proptest::prelude::*;

/// Depthwise convolutions: square kernels of the specialized sizes as often as others, narrow and wide images.
pub(super) fn shapes() -> impl Strategy<Value = DepthwiseConv2dShape> {
    let kernels = prop_oneof![Just((3_usize, 3_usize)), Just((5, 5)), (1..6_usize, 1..6_usize),];
    let sizes = (1..6_usize, 1..20_usize, kernels, 1..4_usize, 1..4_usize);
    let steps = (
        prop_oneof![2 => Just(1_usize), 1 => Just(2)],
        prop_oneof![2 => Just(1_usize), 1 => Just(2)],
        0..3_usize,
        0..3_usize,
    );
    let channels = prop_oneof![
        4 => (1..71_usize, Just(1_usize)),
        1 => (1..5_usize, 2..5_usize),
    ];
    (sizes, steps, channels).prop_map(
        |(sizes, (dilation_h, dilation_w, pad_top, pad_left), (in_c, multiplier))| {
            let (out_h, out_w, (k_h, k_w), stride_h, stride_w) = sizes;
            let reach_h = (out_h - 1) * stride_h + (k_h - 1) * dilation_h + 1;
            let reach_w = (out_w - 1) * stride_w + (k_w - 1) * dilation_w + 1;
            DepthwiseConv2dShape {
                batch: 1,
                // A window may end beyond the input, or before its end.
                in_h: reach_h.saturating_sub(pad_top).saturating_sub(pad_left % 2).max(1) + stride_h / 2,
                in_w: reach_w.saturating_sub(pad_left).saturating_sub(pad_top % 2).max(1),
                in_c,
                out_h,
                out_w,
                multiplier,
                k_h,
                k_w,
                stride_h,
                stride_w,
                dilation_h,
                dilation_w,
                pad_top,
                pad_left,
            }
        },
    )
}

pub(super) fn planes(shape: &DepthwiseConv2dShape, extra: Border, around: Border) -> (Plane, Plane) {
    let border = widen(Border::of_depthwise(shape), extra);
    let input = Plane::dense(shape.in_h, shape.in_w, shape.in_c).with_border(border);
    (
        input,
        Plane::dense(shape.out_h, shape.out_w, shape.out_c()).with_border(around),
    )
}

proptest! {
    #[test]
    fn integer_depthwise_convolutions_equal_the_reference(
        shape in shapes(),
        extra in extra_border(),
        around in extra_border(),
        rounding in prop_oneof![4 => Just(Rounding::Double), 1 => Just(Rounding::Single)],
        with_bias: bool,
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let params = draw.linear(shape.out_c(), rounding);
        let (image, weights) = (draw.bytes(shape.input_len()), draw.bytes(shape.weights_len()));
        let bias = with_bias.then(|| draw.biases(shape.out_c()));
        let mut expected = vec![0; shape.output_len()];
        reference::depthwise_conv2d_i8(&shape, &params, &image, &weights, bias.as_deref(), &mut expected);

        let (input, output) = planes(&shape, extra, around);
        let buffer = framed(&input, &biased(&image), (params.input_zero_point + 128) as u8);
        for isa in Isa::available() {
            let conv = IntDepthwise::new(isa, &shape, &params, &weights, bias.as_deref());
            let actual = written(&output, [0, 99], |to| conv.run(View::new(&input, &buffer), to));
            prop_assert_eq!(&actual, &biased(&expected), "{:?}", isa);
        }
    }

    #[test]
    fn float_depthwise_convolutions_are_as_close_to_the_reference_as_two_orders_of_summation(
        shape in shapes(),
        extra in extra_border(),
        around in extra_border(),
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let (image, weights) = (draw.floats(shape.input_len()), draw.floats(shape.weights_len()));
        let bias = draw.floats(shape.out_c());
        let clamp = Activation::ReluN1To1.clamp_f32();
        let mut expected = vec![0.0; shape.output_len()];
        reference::depthwise_conv2d_f32(&shape, clamp, &image, &weights, Some(&bias), &mut expected);

        // See the tests of convolutions.
        let terms = (shape.k_h * shape.k_w + 2) as f32;
        let tolerance = terms * terms * f32::EPSILON;
        let (input, output) = planes(&shape, extra, around);
        let buffer = framed(&input, &image, 0.0);
        for isa in Isa::available() {
            let conv = FloatDepthwise::new(isa, &shape, &weights, Some(&bias), clamp);
            let actual = written(&output, [0.0, 99.0], |to| conv.run(View::new(&input, &buffer), to));
            for (actual, expected) in actual.iter().zip(&expected) {
                prop_assert!((actual - expected).abs() <= tolerance, "{:?}: {} is not {}", isa, actual, expected);
            }
        }
    }
}

//! Convolutions.

use super::support::{Draw, biased, extra_border, framed, widen, written};
use crate::fast::{Border, FloatConv, IntConv, Isa, Plane, View};
use crate::quantized::{Activation, Rounding};
use crate::reference;
use crate::shape::Conv2dShape;
use proptest::prelude::*;

/// Convolutions with everything that can vary, small enough for the plain loop.
pub(super) fn shapes() -> impl Strategy<Value = Conv2dShape> {
    let sizes = (1..8_usize, 1..14_usize, 1..4_usize, 1..4_usize, 1..4_usize, 1..4_usize);
    let steps = (1..3_usize, 1..3_usize, 0..3_usize, 0..3_usize);
    let channels = prop_oneof![
        3 => (Just(1_usize), 1..71_usize, 1..71_usize),
        1 => (2..4_usize, 1..8_usize, 1..24_usize),
    ];
    (sizes, steps, channels).prop_map(
        |(sizes, (dilation_h, dilation_w, pad_top, pad_left), (groups, group_in, group_out))| {
            let (out_h, out_w, k_h, k_w, stride_h, stride_w) = sizes;
            let reach_h = (out_h - 1) * stride_h + (k_h - 1) * dilation_h + 1;
            let reach_w = (out_w - 1) * stride_w + (k_w - 1) * dilation_w + 1;
            Conv2dShape {
                batch: 1,
                // A window may end beyond the input, or before its end.
                in_h: reach_h.saturating_sub(pad_top).saturating_sub(pad_left % 2).max(1) + stride_h / 2,
                in_w: reach_w.saturating_sub(pad_left).saturating_sub(pad_top % 2).max(1),
                in_c: groups * group_in,
                out_h,
                out_w,
                out_c: groups * group_out,
                k_h,
                k_w,
                stride_h,
                stride_w,
                dilation_h,
                dilation_w,
                pad_top,
                pad_left,
                groups,
            }
        },
    )
}

pub(super) fn planes(shape: &Conv2dShape, extra: Border, around: Border) -> (Plane, Plane) {
    let input = Plane::dense(shape.in_h, shape.in_w, shape.in_c).with_border(widen(Border::of_conv(shape), extra));
    (
        input,
        Plane::dense(shape.out_h, shape.out_w, shape.out_c).with_border(around),
    )
}

proptest! {
    #[test]
    fn integer_convolutions_equal_the_reference(
        shape in shapes(),
        extra in extra_border(),
        around in extra_border(),
        rounding in prop_oneof![4 => Just(Rounding::Double), 1 => Just(Rounding::Single), 1 => Just(Rounding::Float)],
        with_bias: bool,
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let params = draw.linear(shape.out_c, rounding);
        let (image, weights) = (draw.bytes(shape.input_len()), draw.bytes(shape.weights_len()));
        let bias = with_bias.then(|| draw.biases(shape.out_c));
        let mut expected = vec![0; shape.output_len()];
        reference::conv2d_i8(&shape, &params, &image, &weights, bias.as_deref(), &mut expected);

        let (input, output) = planes(&shape, extra, around);
        let buffer = framed(&input, &biased(&image), (params.input_zero_point + 128) as u8);
        for isa in Isa::available() {
            let conv = IntConv::new(isa, &shape, &params, &weights, bias.as_deref());
            let actual = written(&output, [0, 99], |to| conv.run(View::new(&input, &buffer), to));
            prop_assert_eq!(&actual, &biased(&expected), "{:?}", isa);
        }
    }

    #[test]
    fn float_convolutions_are_as_close_to_the_reference_as_two_orders_of_summation(
        shape in shapes(),
        extra in extra_border(),
        around in extra_border(),
        with_residual: bool,
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let (image, weights, bias) = (draw.floats(shape.input_len()), draw.floats(shape.weights_len()), draw.floats(shape.out_c));
        let residual = draw.floats(shape.output_len());
        let free = Activation::None.clamp_f32();
        let clamp = if seed.is_multiple_of(2) { free } else { Activation::Relu6.clamp_f32() };
        let mut expected = vec![0.0; shape.output_len()];
        reference::conv2d_f32(&shape, free, &image, &weights, Some(&bias), &mut expected);

        // Each of the n additions of a sum is wrong by half a unit in the last place of a partial sum, which is at most the sum
        // of magnitudes; all magnitudes here are at most 1.
        let terms = (shape.k_h * shape.k_w * shape.group_in_c() + 3) as f32;
        let tolerance = 2.0 * terms * terms * f32::EPSILON / 2.0;
        let (input, output) = planes(&shape, extra, around);
        let other = output.with_border(extra);
        let (buffer, residual_buffer) = (framed(&input, &image, 0.0), framed(&other, &residual, f32::NAN));
        for isa in Isa::available() {
            let conv = FloatConv::new(isa, &shape, &weights, Some(&bias), clamp);
            let actual = written(&output, [0.0, 99.0], |to| {
                conv.run(View::new(&input, &buffer), to, with_residual.then(|| View::new(&other, &residual_buffer)));
            });
            for ((actual, expected), residual) in actual.iter().zip(&expected).zip(&residual) {
                let expected = clamp.apply(if with_residual { expected + residual } else { *expected });
                prop_assert!((actual - expected).abs() <= tolerance, "{:?}: {} is not {}", isa, actual, expected);
            }
        }
    }
}

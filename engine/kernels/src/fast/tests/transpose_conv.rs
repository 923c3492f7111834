//! Transposed convolutions.

use super::support::{Draw, biased, extra_border, framed, widen, written};
use crate::fast::{
    FloatTransposeConv, HybridTransposeConv, IntTransposeConv, Isa, Plane, View, border_of_transpose_conv,
};
use crate::quantized::{Activation, Rounding};
use crate::reference;
use crate::shape::TransposeConv2dShape;
use proptest::prelude::*;

fn shapes() -> impl Strategy<Value = TransposeConv2dShape> {
    let sizes = (1..6_usize, 1..6_usize, 1..9_usize, 1..40_usize);
    let kernel = (1..6_usize, 1..6_usize, 1..4_usize, 1..4_usize);
    (sizes, kernel, (0..3_usize, 0..3_usize, 0..3_usize, 0..3_usize)).prop_map(
        |((in_h, in_w, in_c, out_c), (k_h, k_w, stride_h, stride_w), (top, left, less_h, less_w))| {
            let len = |input: usize, stride: usize, kernel: usize, pad: usize, less: usize| {
                ((input - 1) * stride + kernel).saturating_sub(pad + less).max(1)
            };
            TransposeConv2dShape {
                batch: 1,
                in_h,
                in_w,
                in_c,
                out_h: len(in_h, stride_h, k_h, top, less_h),
                out_w: len(in_w, stride_w, k_w, left, less_w),
                out_c,
                k_h,
                k_w,
                stride_h,
                stride_w,
                pad_top: top,
                pad_left: left,
            }
        },
    )
}

proptest! {
    #[test]
    fn transposed_convolutions_equal_the_reference(
        shape in shapes(),
        extra in extra_border(),
        around in extra_border(),
        seed: u64,
    ) {
        // Padding that leaves out more than the taps of a phase see has no fast kernel.
        prop_assume!(border_of_transpose_conv(&shape).is_some());
        let mut draw = Draw::new(seed);
        let input = Plane::dense(shape.in_h, shape.in_w, shape.in_c)
            .with_border(widen(border_of_transpose_conv(&shape).unwrap(), extra));
        let output = Plane::dense(shape.out_h, shape.out_w, shape.out_c).with_border(around);
        let clamp = Activation::Relu6.clamp_f32();
        let (image, weights, bias) = (
            draw.floats(shape.input_len()),
            draw.floats(shape.weights_len()),
            draw.floats(shape.out_c),
        );
        let mut expected = vec![0.0; shape.output_len()];
        reference::transpose_conv2d_f32(&shape, clamp, &image, &weights, Some(&bias), &mut expected);
        let n = (shape.k_h * shape.k_w * shape.in_c) as f32;
        let buffer = framed(&input, &image, 0.0);
        for isa in Isa::available() {
            let conv = FloatTransposeConv::new(isa, &shape, &weights, Some(&bias), clamp).unwrap();
            let found = written(&output, [0.0, 99.0], |to| conv.run(View::new(&input, &buffer), to));
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() <= (n + 1.0) * (n + 1.0) * f32::EPSILON, "{isa:?}");
            }
        }
        let (bytes, scales) = (draw.bytes(shape.weights_len()), draw.floats(shape.out_c));
        let mut expected = vec![0.0; shape.output_len()];
        let mut scratch = vec![0; shape.input_len()];
        reference::transpose_conv2d_hybrid(&shape, &scales, clamp, &image, &bytes, Some(&bias), &mut scratch, &mut expected);
        for isa in Isa::available() {
            let conv = HybridTransposeConv::new(isa, &shape, &scales, clamp, &bytes, Some(&bias));
            let found = written(&output, [0.0, 99.0], |to| {
                conv.run(View::new(&input, &buffer), &mut vec![0.0; input.len()], to);
            });
            prop_assert_eq!(&found, &expected, "{:?}", isa);
        }
        let params = draw.linear(shape.out_c, Rounding::Double);
        let (image, weights, bias) = (
            draw.bytes(shape.input_len()),
            draw.bytes(shape.weights_len()),
            draw.biases(shape.out_c),
        );
        let mut expected = vec![0; shape.output_len()];
        reference::transpose_conv2d_i8(&shape, &params, &image, &weights, Some(&bias), &mut expected);
        let buffer = framed(&input, &biased(&image), (params.input_zero_point + 128) as u8);
        for isa in Isa::available() {
            let conv = IntTransposeConv::new(isa, &shape, &params, &weights, Some(&bias)).unwrap();
            let found = written(&output, [0, 99], |to| conv.run(View::new(&input, &buffer), to));
            prop_assert_eq!(&found, &biased(&expected), "{:?}", isa);
        }
    }
}

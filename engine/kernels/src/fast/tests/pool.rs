//! Pooling.

use super::support::{Draw, biased, extra_border, framed, written};
use crate::fast::{self, Isa, Plane, View};
use crate::quantized::{Activation, Quantization};
use crate::reference::{self, MeanParams};
use crate::shape::{Pool2dShape, Reduce};
use proptest::prelude::*;

/// Windows that may hang over the image on all sides, or miss it.
fn shapes() -> impl Strategy<Value = Pool2dShape> {
    let image = (1..9_usize, 1..9_usize, 1..150_usize);
    let window = (1..5_usize, 1..5_usize, 1..4_usize, 1..4_usize, 0..4_usize, 0..4_usize);
    (image, (1..5_usize, 1..5_usize), window).prop_map(|((in_h, in_w, channels), (out_h, out_w), window)| {
        let (k_h, k_w, stride_h, stride_w, pad_top, pad_left) = window;
        Pool2dShape {
            batch: 1,
            in_h,
            in_w,
            channels,
            out_h,
            out_w,
            k_h,
            k_w,
            stride_h,
            stride_w,
            pad_top,
            pad_left,
        }
    })
}

proptest! {
    #[test]
    fn pools_equal_the_reference(shape in shapes(), extra in extra_border(), around in extra_border(), seed: u64) {
        let mut draw = Draw::new(seed);
        let (ints, floats) = (draw.bytes(shape.input_len()), draw.floats(shape.input_len()));
        let clamp = Activation::Relu6.clamp_i8(Quantization::new(0.1, -20));
        let clamp_f32 = Activation::ReluN1To1.clamp_f32();
        let mut expected = vec![vec![0; shape.output_len()]; 2];
        reference::max_pool2d_i8(&shape, clamp, &ints, &mut expected[0]);
        reference::average_pool2d_i8(&shape, clamp, &ints, &mut expected[1]);
        let mut expected_f32 = vec![vec![0.0; shape.output_len()]; 2];
        reference::max_pool2d_f32(&shape, clamp_f32, &floats, &mut expected_f32[0]);
        reference::average_pool2d_f32(&shape, clamp_f32, &floats, &mut expected_f32[1]);

        let shorts = draw.shorts(shape.input_len());
        let wide = Activation::Relu6.clamp_i16(Quantization::new(0.001, 0));
        let mut expected_shorts = vec![vec![0; shape.output_len()]; 2];
        reference::max_pool2d_i16(&shape, wide, &shorts, &mut expected_shorts[0]);
        reference::average_pool2d_i16(&shape, wide, &shorts, &mut expected_shorts[1]);

        let input = Plane::dense(shape.in_h, shape.in_w, shape.channels).with_border(extra);
        let short_buffer = framed(&input, &shorts, i16::MAX);
        let short = View::new(&input, &short_buffer);
        let output = Plane::dense(shape.out_h, shape.out_w, shape.channels).with_border(around);
        let (int_buffer, float_buffer) = (framed(&input, &biased(&ints), 255), framed(&input, &floats, 1e9));
        let (int, float) = (View::new(&input, &int_buffer), View::new(&input, &float_buffer));
        for isa in Isa::available() {
            let actual = [
                written(&output, [0, 99], |to| fast::max_pool_int(isa, &shape, clamp, int, to)),
                written(&output, [0, 99], |to| fast::average_pool_int(isa, &shape, clamp, int, to)),
            ];
            prop_assert_eq!(actual.map(Vec::from), [biased(&expected[0]), biased(&expected[1])]);
            let max = written(&output, [0.0, 99.0], |to| fast::max_pool_f32(isa, &shape, clamp_f32, float, to));
            let average = written(&output, [0.0, 99.0], |to| fast::average_pool_f32(isa, &shape, clamp_f32, float, to));
            prop_assert_eq!(&[max, average], &expected_f32[..]);
            let max = written(&output, [0, 99], |to| fast::max_pool_short(isa, &shape, wide, short, to));
            let average = written(&output, [0, 99], |to| fast::average_pool_short(isa, &shape, wide, short, to));
            prop_assert_eq!(&[max, average], &expected_shorts[..]);
        }
    }

    #[test]
    fn means_equal_the_reference(
        (height, width, channels) in (1..9_usize, 1..9_usize, 1..150_usize),
        extra in extra_border(),
        (scale, zero, to_zero) in (-3.0..3.0_f32, -128..128_i32, -128..128_i32),
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let plane = Plane::dense(height, width, channels).with_border(extra);
        let len = height * width * channels;
        let (ints, floats) = (draw.bytes(len), draw.floats(len));
        let reduce = Reduce::new(&[height, width, channels], &[0, 1]);
        let quantizations = (Quantization::new(scale.exp2(), zero), Quantization::new(1.0, to_zero));
        let params = MeanParams::new(quantizations.0, quantizations.1, height * width);
        let (mut expected, mut expected_f32) = (vec![0; channels], vec![0.0; channels]);
        reference::mean_i8(&reduce, &params, &ints, &mut expected);
        reference::mean_f32(&reduce, &floats, &mut expected_f32);
        let (int_buffer, float_buffer) = (framed(&plane, &biased(&ints), 255), framed(&plane, &floats, 1e9));
        for isa in Isa::available() {
            let (mut actual, mut actual_f32) = (vec![0; channels], vec![0.0; channels]);
            fast::global_mean_int(isa, &params, View::new(&plane, &int_buffer), &mut actual);
            fast::global_mean_f32(isa, View::new(&plane, &float_buffer), &mut actual_f32);
            prop_assert_eq!(&actual, &biased(&expected));
            prop_assert_eq!(&actual_f32, &expected_f32);
        }
    }
}

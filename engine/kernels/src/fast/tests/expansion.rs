//! Two convolutions in bands are the bits of one after the other.

use super::depthwise::{planes, shapes};
use super::support::{Draw, extra_border, framed, widen, written};
use crate::fast::{
    Border, ByteMap, FloatConv, FloatDepthwise, FloatExpansion, Gate, IntConv, IntDepthwise, IntExpansion, Isa, Plane,
    View, ViewMut, gated_f32,
};
use crate::quantized::{Activation, LinearParams, Quantization, Rounding};
use crate::shape::{Conv2dShape, DepthwiseConv2dShape};
use proptest::prelude::*;

/// A convolution of five channels whose output is what `depthwise` reads.
fn before(depthwise: &DepthwiseConv2dShape, kernel: usize) -> Conv2dShape {
    Conv2dShape {
        batch: 1,
        in_h: depthwise.in_h,
        in_w: depthwise.in_w,
        in_c: 5,
        out_h: depthwise.in_h,
        out_w: depthwise.in_w,
        out_c: depthwise.in_c,
        k_h: kernel,
        k_w: kernel,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: kernel / 2,
        pad_left: kernel / 2,
        groups: 1,
    }
}

/// The input of both, and the output, inside the borders.
fn ends(conv: &Conv2dShape, depthwise: &DepthwiseConv2dShape, extra: Border) -> (Plane, Plane) {
    let border = widen(Border::of_conv(conv), extra);
    let input = Plane::dense(conv.in_h, conv.in_w, conv.in_c).with_border(border);
    (
        input,
        Plane::dense(depthwise.out_h, depthwise.out_w, depthwise.in_c).with_border(extra),
    )
}

proptest! {
    #[test]
    fn floats_are_the_same_bits(
        depthwise in shapes().prop_filter("bands have no multiplier", |shape| shape.multiplier == 1),
        kernel in prop_oneof![Just(1_usize), Just(3)],
        extra in extra_border(),
        gated: bool,
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let conv = before(&depthwise, kernel);
        let (image, weights) = (draw.floats(conv.input_len()), draw.floats(conv.weights_len()));
        let (deep, bias) = (draw.floats(depthwise.weights_len()), draw.floats(depthwise.in_c));
        let clamp = Activation::Relu.clamp_f32();
        let (input, output) = ends(&conv, &depthwise, extra);
        let between = planes(&depthwise, Border::NONE, Border::NONE).0;
        let buffer = framed(&input, &image, 0.0);
        for isa in Isa::available() {
            let first = FloatConv::new(isa, &conv, &weights, Some(&bias), Activation::None.clamp_f32());
            let second = FloatDepthwise::new(isa, &depthwise, &deep, Some(&bias), clamp);
            let gate = gated.then_some((isa, Gate::Logistic, Activation::None.clamp_f32()));
            let mut wide = vec![0.0; between.len()];
            first.run(View::new(&input, &buffer), ViewMut::new(&between, &mut wide), None);
            if let Some((isa, gate, clamp)) = gate {
                let dense = wide.clone();
                gated_f32(isa, gate, clamp, View::new(&between, &dense), ViewMut::new(&between, &mut wide));
            }
            let expected = written(&output, [0.0, 99.0], |to| second.run(View::new(&between, &wide), to));
            let both = FloatExpansion::new((&conv, first), gate, (&depthwise, second)).unwrap();
            let found = written(&output, [0.0, 99.0], |to| both.run(View::new(&input, &buffer), &mut vec![f32::NAN; both.scratch()], to));
            prop_assert_eq!(found, expected, "{:?}", isa);
        }
    }

    #[test]
    fn integers_are_the_same(
        depthwise in shapes().prop_filter("bands have no multiplier", |shape| shape.multiplier == 1),
        kernel in prop_oneof![Just(1_usize), Just(3)],
        extra in extra_border(),
        mapped: bool,
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let conv = before(&depthwise, kernel);
        let (weights, deep) = (draw.bytes(conv.weights_len()), draw.bytes(depthwise.weights_len()));
        let image: Vec<u8> = draw.bytes(conv.input_len()).iter().map(|&q| q as u8).collect();
        let bias = draw.biases(depthwise.in_c);
        let scales = vec![1e-3; depthwise.in_c];
        let params = |from: i32, to: i32| {
            let [from, to] = [from, to].map(|zero| Quantization::new(1.0, zero));
            LinearParams::new(from, &scales, to, depthwise.in_c, Activation::None, Rounding::Double)
        };
        let (of_first, of_second) = (params(-3, 17), params(17, -128));
        let (input, output) = ends(&conv, &depthwise, extra);
        let between = planes(&depthwise, Border::NONE, Border::NONE).0;
        let buffer = framed(&input, &image, 125);
        let map = mapped.then(|| ByteMap::new(|q| q.saturating_add(5)));
        for isa in Isa::available() {
            let first = IntConv::new(isa, &conv, &of_first, &weights, Some(&bias));
            let second = IntDepthwise::new(isa, &depthwise, &of_second, &deep, Some(&bias));
            let mut wide = vec![145; between.len()];
            first.run(View::new(&input, &buffer), ViewMut::new(&between, &mut wide));
            if let Some(map) = &map {
                let dense = wide.clone();
                map.run(View::new(&between, &dense), ViewMut::new(&between, &mut wide));
            }
            let expected = written(&output, [0, 99], |to| second.run(View::new(&between, &wide), to));
            let both = IntExpansion::new((&conv, first), map.clone(), (&depthwise, second), &of_second).unwrap();
            let found = written(&output, [0, 99], |to| both.run(View::new(&input, &buffer), &mut vec![9; both.scratch()], to));
            prop_assert_eq!(found, expected, "{:?}", isa);
        }
    }
}

//! Sums, products and functions of one element.

use super::support::{Draw, biased, extra_border, framed, written};
use crate::fast::{self, Border, ByteMap, IntAdd, IntMul, Isa, Plane, View};
use crate::quantized::{Activation, Quantization};
use crate::reference::{self, AddParams, MulParams};
use crate::shape::Broadcast;
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
struct Case {
    a: Plane,
    b: Plane,
    to: Plane,
}

impl Case {
    fn broadcast(&self) -> Broadcast {
        let dims = |plane: &Plane| [plane.height, plane.width, plane.channels];
        Broadcast::new(&dims(&self.a), &dims(&self.b)).expect("the second image is of the same size or a pixel")
    }

    fn lens(&self) -> [usize; 2] {
        [self.a, self.b].map(|plane| plane.height * plane.width * plane.channels)
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let borders = prop_oneof![
        Just([Border::NONE; 3]),
        (extra_border(), extra_border(), extra_border()).prop_map(|(a, b, c)| [a, b, c]),
    ];
    (1..6_usize, 1..6_usize, 1..71_usize, any::<bool>(), borders).prop_map(
        |(height, width, channels, gate, borders)| {
            let image = Plane::dense(height, width, channels);
            let second = if gate { Plane::dense(1, 1, channels) } else { image };
            Case {
                a: image.with_border(borders[0]),
                b: second.with_border(borders[1]),
                to: image.with_border(borders[2]),
            }
        },
    )
}

fn quantizations() -> impl Strategy<Value = [Quantization; 3]> {
    let one = || (-12.0..4.0_f32, prop_oneof![Just(-128), Just(127), -128..128_i32]);
    (one(), one(), one()).prop_map(|(a, b, c)| [a, b, c].map(|(power, zero)| Quantization::new(power.exp2(), zero)))
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::None), Just(Activation::Relu), Just(Activation::Relu6)]
}

proptest! {
    #[test]
    fn integer_sums_differences_and_products_equal_the_reference(
        case in cases(),
        [a, b, c] in quantizations(),
        equal_scales: bool,
        activation in activations(),
        seed: u64,
    ) {
        let b = if equal_scales { Quantization::new(a.scale, b.zero_point) } else { b };
        let mut draw = Draw::new(seed);
        let images = case.lens().map(|len| draw.bytes(len));
        let buffers = [framed(&case.a, &biased(&images[0]), 7), framed(&case.b, &biased(&images[1]), 9)];
        let views = || (View::new(&case.a, &buffers[0]), View::new(&case.b, &buffers[1]));
        let (sum, product) = (AddParams::new(a, b, c, activation), MulParams::new(a, b, c, activation));
        let broadcast = case.broadcast();
        let mut expected = vec![vec![0; broadcast.output_len()]; 3];
        reference::add_i8(&broadcast, &sum, &images[0], &images[1], &mut expected[0]);
        reference::sub_i8(&broadcast, &sum, &images[0], &images[1], &mut expected[1]);
        reference::mul_i8(&broadcast, &product, &images[0], &images[1], &mut expected[2]);
        for isa in Isa::available() {
            let actual = [
                written(&case.to, [0, 99], |to| IntAdd::sum(isa, &sum).run(views().0, views().1, to)),
                written(&case.to, [0, 99], |to| IntAdd::difference(isa, &sum).run(views().0, views().1, to)),
                written(&case.to, [0, 99], |to| IntMul::new(isa, &product).run(views().0, views().1, to)),
            ];
            for (actual, expected) in actual.iter().zip(&expected) {
                prop_assert_eq!(actual, &biased(expected), "{:?}", isa);
            }
        }
    }

    #[test]
    fn float_sums_differences_products_and_clamps_equal_the_reference(
        case in cases(),
        activation in activations(),
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let clamp = activation.clamp_f32();
        let images = case.lens().map(|len| draw.floats(len));
        let buffers = [framed(&case.a, &images[0], 7.0), framed(&case.b, &images[1], 9.0)];
        let (a, b) = (View::new(&case.a, &buffers[0]), View::new(&case.b, &buffers[1]));
        let broadcast = case.broadcast();
        let mut expected = vec![vec![0.0; broadcast.output_len()]; 4];
        reference::add_f32(&broadcast, clamp, &images[0], &images[1], &mut expected[0]);
        reference::sub_f32(&broadcast, clamp, &images[0], &images[1], &mut expected[1]);
        reference::mul_f32(&broadcast, clamp, &images[0], &images[1], &mut expected[2]);
        reference::relu_f32(clamp, &images[0], &mut expected[3]);
        for isa in Isa::available() {
            prop_assert_eq!(&written(&case.to, [0.0, 99.0], |to| fast::add_f32(isa, clamp, a, b, to)), &expected[0]);
            prop_assert_eq!(&written(&case.to, [0.0, 99.0], |to| fast::sub_f32(isa, clamp, a, b, to)), &expected[1]);
            prop_assert_eq!(&written(&case.to, [0.0, 99.0], |to| fast::mul_f32(isa, clamp, a, b, to)), &expected[2]);
            prop_assert_eq!(&written(&case.to, [0.0, 99.0], |to| fast::clamp_f32(isa, clamp, a, to)), &expected[3]);
        }
    }
}

#[test]
fn a_table_is_the_function() {
    let plane = Plane::dense(16, 16, 1);
    let all: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    let function = |q: i8| q.saturating_mul(3);
    let buffer = biased(&all);
    let actual = written(&plane, [0, 99], |to| {
        ByteMap::new(function).run(View::new(&plane, &buffer), to);
    });
    assert_eq!(actual, biased(&all.iter().map(|&q| function(q)).collect::<Vec<_>>()));
}

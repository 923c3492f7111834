//! Sums, products and functions of one element.

use super::support::{Draw, biased, extra_border, framed, written};
use crate::fast::{self, Binary, Border, ByteMap, ByteZip, Isa, Meeting, Plane, ShortZip, View, ViewMut};
use crate::quantized::{Activation, ClampF32, Quantization};
use crate::reference::{self, AddParams, DivParams, MulParams, PReluParams, Unary};
use crate::shape::Broadcast;
use proptest::prelude::*;

/// Two operands and what they make, with the shapes as broadcasting sees them.
#[derive(Debug, Clone)]
struct Case {
    dims: [Vec<usize>; 2],
    a: Plane,
    b: Plane,
    to: Plane,
}

impl Case {
    fn broadcast(&self) -> Broadcast {
        Broadcast::new(&self.dims[0], &self.dims[1]).expect("the shapes broadcast")
    }

    fn meeting(&self) -> Meeting {
        Meeting::new(&self.dims[0], &self.dims[1]).expect("the shapes broadcast")
    }

    fn lens(&self) -> [usize; 2] {
        [self.a, self.b].map(|plane| plane.height * plane.width * plane.channels)
    }
}

/// The plane of a tensor, as whoever plans buffers has it: an image, or a row of pixels.
fn plane(dims: &[usize]) -> Plane {
    match *dims {
        [1, height, width, channels] => Plane::dense(height, width, channels),
        [.., channels] => Plane::dense(1, dims.iter().product::<usize>() / channels, channels),
        [] => Plane::dense(1, 1, 1),
    }
}

/// Images in borders, each of which may repeat along any axis.
fn images() -> impl Strategy<Value = Case> {
    let borders = prop_oneof![
        Just([Border::NONE; 3]),
        (extra_border(), extra_border(), extra_border()).prop_map(|(a, b, c)| [a, b, c]),
    ];
    let size = (1..6_usize, 1..6_usize, 1..71_usize);
    let repeats = prop_oneof![
        Just([false; 6]),
        Just([false, false, false, true, true, false]),
        Just([true, true, false, false, false, false]),
        any::<[bool; 6]>(),
    ];
    (size, repeats, borders).prop_map(|((height, width, channels), repeats, borders)| {
        let dims = |repeats: &[bool]| {
            let size = [height, width, channels];
            let kept = size
                .iter()
                .zip(repeats)
                .map(|(&size, &repeats)| if repeats { 1 } else { size });
            [1].into_iter().chain(kept).collect::<Vec<_>>()
        };
        let (a, b) = (dims(&repeats[..3]), dims(&repeats[3..]));
        let to: Vec<usize> = a.iter().zip(&b).map(|(&a, &b)| a.max(b)).collect();
        Case {
            a: plane(&a).with_border(borders[0]),
            b: plane(&b).with_border(borders[1]),
            to: plane(&to).with_border(borders[2]),
            dims: [a, b],
        }
    })
}

/// Tensors of other ranks, without borders.
fn tensors() -> impl Strategy<Value = Case> {
    let axis = || (1..6_usize, 0..4_u8);
    (proptest::collection::vec(axis(), 1..6), 0..3_usize).prop_map(|(axes, missing)| {
        let dims = |bit: u8| {
            let kept = axes
                .iter()
                .map(|&(size, repeats)| if repeats == bit { 1 } else { size });
            kept.collect::<Vec<_>>()
        };
        let (a, b) = (dims(1), dims(2));
        let to: Vec<usize> = a.iter().zip(&b).map(|(&a, &b)| a.max(b)).collect();
        let missing = b.iter().take(missing).take_while(|&&size| size == 1).count();
        let b = b[missing..].to_vec();
        Case {
            a: plane(&a),
            b: plane(&b),
            to: plane(&to),
            dims: [a, b],
        }
    })
}

fn cases() -> impl Strategy<Value = Case> {
    prop_oneof![images(), tensors()]
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
    fn functions_of_two_bytes_equal_the_reference(
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
        let (sum, product) = (AddParams::new(a, b, c, activation), MulParams::new(a, b, c, activation));
        let (quotient, slope) = (DivParams::new(a, b, c, activation), PReluParams::new(a, b, c));
        let (broadcast, meeting) = (case.broadcast(), case.meeting());
        let mut expected = vec![vec![0; broadcast.output_len()]; 7];
        let (x, y) = (&images[0], &images[1]);
        reference::add_i8(&broadcast, &sum, x, y, &mut expected[0]);
        reference::sub_i8(&broadcast, &sum, x, y, &mut expected[1]);
        reference::mul_i8(&broadcast, &product, x, y, &mut expected[2]);
        reference::minimum_i8(&broadcast, x, y, &mut expected[3]);
        reference::maximum_i8(&broadcast, x, y, &mut expected[4]);
        reference::div_i8(&broadcast, &quotient, x, y, &mut expected[5]);
        reference::prelu_i8(&broadcast, &slope, x, y, &mut expected[6]);
        for isa in Isa::available() {
            let kernels = [
                ByteZip::sum(isa, &meeting, &sum),
                ByteZip::difference(isa, &meeting, &sum),
                ByteZip::product(isa, &meeting, &product),
                ByteZip::minimum(isa, &meeting),
                ByteZip::maximum(isa, &meeting),
                ByteZip::table(isa, &meeting, |a, b| quotient.div(a, b)),
                ByteZip::table(isa, &meeting, |a, b| slope.apply(a, b)),
            ];
            for (kernel, expected) in kernels.iter().zip(&expected) {
                let found = written(&case.to, [0, 99], |to| {
                    kernel.run(View::new(&case.a, &buffers[0]), View::new(&case.b, &buffers[1]), to);
                });
                prop_assert_eq!(&found, &biased(expected), "{:?} {:?}", isa, kernel);
            }
        }
    }

    #[test]
    fn functions_of_two_shorts_equal_the_reference(
        case in cases(),
        [a, b, c] in quantizations(),
        activation in activations(),
        seed: u64,
    ) {
        let [a, b, c] = [a, b, c].map(|q| Quantization::new(q.scale / 256.0, 0));
        let mut draw = Draw::new(seed);
        let images = case.lens().map(|len| draw.shorts(len));
        let buffers = [framed(&case.a, &images[0], 7), framed(&case.b, &images[1], 9)];
        let (sum, product) = (AddParams::new_i16(a, b, c, activation), MulParams::new_i16(a, b, c, activation));
        let (broadcast, meeting) = (case.broadcast(), case.meeting());
        let mut expected = vec![vec![0; broadcast.output_len()]; 5];
        let (x, y) = (&images[0], &images[1]);
        reference::add_i16(&broadcast, &sum, x, y, &mut expected[0]);
        reference::sub_i16(&broadcast, &sum, x, y, &mut expected[1]);
        reference::mul_i16(&broadcast, &product, x, y, &mut expected[2]);
        reference::minimum_i16(&broadcast, x, y, &mut expected[3]);
        reference::maximum_i16(&broadcast, x, y, &mut expected[4]);
        for isa in Isa::available() {
            let kernels = [
                ShortZip::sum(isa, &meeting, &sum),
                ShortZip::difference(isa, &meeting, &sum),
                ShortZip::product(isa, &meeting, &product),
                ShortZip::minimum(isa, &meeting),
                ShortZip::maximum(isa, &meeting),
            ];
            for (kernel, expected) in kernels.iter().zip(&expected) {
                let found = written(&case.to, [0, 99], |to| {
                    kernel.run(View::new(&case.a, &buffers[0]), View::new(&case.b, &buffers[1]), to);
                });
                prop_assert_eq!(&found, expected, "{:?} {:?}", isa, kernel);
            }
        }
    }

    #[test]
    fn functions_of_two_floats_equal_the_reference(
        case in cases(),
        activation in activations(),
        seed: u64,
    ) {
        type Plain<'a> = &'a dyn Fn(&Broadcast, ClampF32, &[f32], &[f32], &mut [f32]);
        let plain: [(Binary, Plain<'_>); 8] = [
            (Binary::Add, &reference::add_f32),
            (Binary::Sub, &reference::sub_f32),
            (Binary::Mul, &reference::mul_f32),
            (Binary::Div, &reference::div_f32),
            (Binary::Minimum, &|shape, _, a, b, to| reference::minimum_f32(shape, a, b, to)),
            (Binary::Maximum, &|shape, _, a, b, to| reference::maximum_f32(shape, a, b, to)),
            (Binary::PRelu, &|shape, _, a, b, to| reference::prelu_f32(shape, a, b, to)),
            (Binary::Pow, &|shape, _, a, b, to| reference::pow_f32(shape, a, b, to)),
        ];
        let mut draw = Draw::new(seed);
        let mut images = case.lens().map(|len| draw.floats(len));
        images[1][0] = 2.0;
        let buffers = [framed(&case.a, &images[0], 7.0), framed(&case.b, &images[1], 9.0)];
        let (broadcast, meeting, clamp) = (case.broadcast(), case.meeting(), activation.clamp_f32());
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        for (function, plain) in plain {
            let mut expected = vec![0.0; broadcast.output_len()];
            plain(&broadcast, clamp, &images[0], &images[1], &mut expected);
            for isa in Isa::available() {
                let found = written(&case.to, [0_u32, 99], |mut to| {
                    let (plane, mut floats) = (*to.plane(), vec![0.0; to.data().len()]);
                    let (a, b) = (View::new(&case.a, &buffers[0]), View::new(&case.b, &buffers[1]));
                    fast::binary_f32(isa, function, clamp, &meeting, a, b, ViewMut::new(&plane, &mut floats));
                    let mut dense = vec![0.0; plane.height * plane.width * plane.channels];
                    View::new(&plane, &floats).copy_to(&mut dense);
                    to.copy_from(&bits(&dense));
                });
                prop_assert_eq!(&found, &bits(&expected), "{:?} {:?}", isa, function);
            }
        }
    }

    #[test]
    fn functions_of_one_float_are_the_same_everywhere_and_near_the_reference(
        case in images(),
        activation in activations(),
        alpha in -1.0..1.0_f32,
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let image: Vec<f32> = draw.floats(case.lens()[0]).iter().map(|x| x * 8.0).collect();
        let buffer = framed(&case.a, &image, 7.0);
        let x = || View::new(&case.a, &buffer);
        let to = case.a.with_border(case.to.border);
        let clamp = activation.clamp_f32();
        let mut expected = vec![vec![0.0; image.len()]; 2];
        reference::relu_f32(clamp, &image, &mut expected[0]);
        reference::unary_f32(Unary::LeakyRelu { alpha }, &image, &mut expected[1]);
        for isa in Isa::available() {
            prop_assert_eq!(&written(&to, [0.0, 99.0], |to| fast::clamp_f32(isa, clamp, x(), to)), &expected[0]);
            prop_assert_eq!(&written(&to, [0.0, 99.0], |to| fast::unary_f32(isa, Unary::LeakyRelu { alpha }, x(), to)), &expected[1]);
        }
        let exact = [
            Unary::HardSwish,
            Unary::HardSigmoid { slope: 0.2, offset: 0.5 },
            Unary::Neg,
            Unary::Abs,
            Unary::Sin,
            Unary::Cos,
            Unary::Floor,
            Unary::Ceil,
            Unary::Round,
            Unary::Sign,
        ];
        let near = [
            Unary::Logistic,
            Unary::Tanh,
            Unary::Elu { alpha },
            Unary::Gelu,
            Unary::GeluTanh,
            Unary::Swish,
            Unary::Exp,
            Unary::Erf,
            Unary::Softplus,
            Unary::Mish,
        ];
        for (function, tolerance) in exact.iter().map(|f| (*f, 0.0)).chain(near.iter().map(|f| (*f, 4e-7))) {
            let found: Vec<Vec<f32>> = Isa::available()
                .map(|isa| written(&to, [0.0, 99.0], |to| fast::unary_f32(isa, function, x(), to)))
                .collect();
            for other in &found {
                prop_assert_eq!(other, &found[0], "{:?}", function);
            }
            for (&x, &y) in image.iter().zip(&found[0]) {
                let exact = function.apply(x);
                let near = (y - exact).abs() <= tolerance * exact.abs().max(x.abs()).max(1.0);
                prop_assert!(near, "{function:?} of {x} is {y} instead of {exact}");
            }
        }
    }

    #[test]
    fn roots_and_logarithms_of_positive_numbers(seed: u64) {
        let plane = Plane::dense(3, 5, 7);
        let image: Vec<f32> = Draw::new(seed).floats(105).iter().map(|x| (x * 80.0).exp()).collect();
        for (function, tolerance) in [(Unary::Sqrt, 0.0), (Unary::Rsqrt, 0.0), (Unary::Log, 3e-7)] {
            for isa in Isa::available() {
                let found = written(&plane, [0.0, 99.0], |to| {
                    fast::unary_f32(isa, function, View::new(&plane, &image), to);
                });
                for (&x, &y) in image.iter().zip(&found) {
                    let exact = function.apply(x);
                    prop_assert!((y - exact).abs() <= tolerance * exact.abs(), "{function:?} of {x} is {y} instead of {exact}");
                }
            }
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

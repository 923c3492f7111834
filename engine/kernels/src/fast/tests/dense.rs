//! Fully connected layers.

use super::support::{Draw, biased};
use crate::fast::{FloatDense, IntDense, Isa};
use crate::quantized::{Activation, Rounding};
use crate::reference;
use crate::shape::FullyConnectedShape;
use proptest::prelude::*;

fn shapes() -> impl Strategy<Value = FullyConnectedShape> {
    (1..15_usize, 1..90_usize, 1..90_usize).prop_map(|(rows, in_features, out_features)| FullyConnectedShape {
        rows,
        in_features,
        out_features,
    })
}

proptest! {
    #[test]
    fn integer_layers_equal_the_reference(
        shape in shapes(),
        rounding in prop_oneof![Just(Rounding::Double), Just(Rounding::Single), Just(Rounding::Float)],
        with_bias: bool,
        seed: u64,
    ) {
        let mut draw = Draw::new(seed);
        let params = draw.linear(shape.out_features, rounding);
        let (input, weights) = (draw.bytes(shape.input_len()), draw.bytes(shape.weights_len()));
        let bias = with_bias.then(|| draw.biases(shape.out_features));
        let mut expected = vec![0; shape.output_len()];
        reference::fully_connected_i8(&shape, &params, &input, &weights, bias.as_deref(), &mut expected);
        for isa in Isa::available() {
            let mut actual = vec![0; shape.output_len()];
            IntDense::new(isa, &shape, &params, &weights, bias.as_deref()).run(&biased(&input), &mut actual);
            prop_assert_eq!(&actual, &biased(&expected), "{:?}", isa);
        }
    }

    #[test]
    fn float_layers_are_as_close_to_the_reference_as_two_orders_of_summation(shape in shapes(), seed: u64) {
        let mut draw = Draw::new(seed);
        let (input, weights) = (draw.floats(shape.input_len()), draw.floats(shape.weights_len()));
        let bias = draw.floats(shape.out_features);
        let clamp = Activation::Relu.clamp_f32();
        let mut expected = vec![0.0; shape.output_len()];
        reference::fully_connected_f32(&shape, clamp, &input, &weights, Some(&bias), &mut expected);
        // See the tests of convolutions.
        let terms = (shape.in_features + 2) as f32;
        let tolerance = terms * terms * f32::EPSILON;
        for isa in Isa::available() {
            let mut actual = vec![0.0; shape.output_len()];
            FloatDense::new(isa, &shape, &weights, Some(&bias), clamp).run(&input, &mut actual);
            for (actual, expected) in actual.iter().zip(&expected) {
                prop_assert!((actual - expected).abs() <= tolerance, "{:?}: {} is not {}", isa, actual, expected);
            }
        }
    }
}

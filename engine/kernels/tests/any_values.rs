//! No value makes an integer kernel panic: not the extremes of `i8`, nor scales that no sound model has.

use kernels::quantized::{Activation, LinearParams, Quantization, QuantizedMultiplier, Rounding};
use kernels::reference::{
    self, AddParams, DivParams, HardSwishParams, LeakyReluParams, MeanParams, MulParams, PReluParams, ReluParams,
    RequantizeParams, SoftmaxParams, Table, Unary,
};
use kernels::shape::{Broadcast, FullyConnectedShape, Reduce};
use proptest::prelude::*;

fn quantization() -> impl Strategy<Value = Quantization> {
    let scale = prop_oneof![
        4 => (-20.0_f32..5.0).prop_map(f32::exp),
        1 => prop::num::f32::ANY,
        1 => prop::sample::select(vec![f32::MIN_POSITIVE, f32::MAX, f32::from_bits(1), 0.0]),
    ];
    let zero_point = prop_oneof![-128..=127_i32, Just(-128), Just(127)];
    (scale, zero_point).prop_map(|(scale, zero_point)| Quantization::new(scale, zero_point))
}

fn values() -> impl Strategy<Value = Vec<i8>> {
    prop::collection::vec(prop_oneof![any::<i8>(), Just(i8::MIN), Just(i8::MAX)], 12)
}

fn activation() -> impl Strategy<Value = Activation> {
    prop::sample::select(vec![
        Activation::None,
        Activation::Relu,
        Activation::Relu6,
        Activation::ReluN1To1,
    ])
}

proptest! {
    #[test]
    fn products_and_sums(
        a in values(), b in values(), bias in any::<i32>(),
        qa in quantization(), qb in quantization(), qo in quantization(), activation in activation(),
    ) {
        let shape = Broadcast::new(&[12], &[12]).expect("equal shapes");
        let mut output = vec![0; 12];
        let add = AddParams::new(qa, qb, qo, activation);
        reference::add_i8(&shape, &add, &a, &b, &mut output);
        reference::sub_i8(&shape, &add, &a, &b, &mut output);
        reference::mul_i8(&shape, &MulParams::new(qa, qb, qo, activation), &a, &b, &mut output);
        reference::div_i8(&shape, &DivParams::new(qa, qb, qo, activation), &a, &b, &mut output);
        reference::prelu_i8(&shape, &PReluParams::new(qa, qb, qo), &a, &b, &mut output);
        let shape = FullyConnectedShape { rows: 1, in_features: 12, out_features: 1 };
        for rounding in [Rounding::Double, Rounding::Single, Rounding::Float] {
            let params = LinearParams::new(qa, &[qb.scale], qo, 1, activation, rounding);
            reference::fully_connected_i8(&shape, &params, &a, &b, Some(&[bias]), &mut output[..1]);
        }
    }

    #[test]
    fn functions_of_one_input(
        input in values(), qi in quantization(), qo in quantization(), activation in activation(),
        alpha in prop::num::f32::ANY,
    ) {
        let mut output = vec![0; 12];
        reference::relu_i8(&ReluParams::new(qi, qo, activation), &input, &mut output);
        reference::leaky_relu_i8(&LeakyReluParams::new(qi, qo, alpha), &input, &mut output);
        reference::hard_swish_i8(&HardSwishParams::new(qi, qo), &input, &mut output);
        reference::table_i8(&Table::new(qi, qo, |x| Unary::Gelu.apply(x)), &input, &mut output);
        reference::softmax_i8(4, &SoftmaxParams::new(qi, alpha), &input, &mut output);
        reference::requantize(&RequantizeParams::new(qi, qo), &input, &mut output);
        let shape = Reduce::new(&[3, 4], &[0]);
        reference::mean_i8(&shape, &MeanParams::new(qi, qo, shape.count()), &input, &mut output[..4]);
    }

    #[test]
    fn real_inputs(input in prop::collection::vec(prop::num::f32::ANY, 9), q in quantization()) {
        let mut output = vec![0_i8; 9];
        reference::quantize(q, &input, &mut output);
        reference::quantize_dynamic(&input, &mut output);
        reference::quantize_dynamic_symmetric(&input, &mut output);
    }

    /// Rounding twice is at most one off the exact product, which lies between its floor and its ceiling.
    #[test]
    fn both_integer_roundings_are_within_one_of_the_product(x in -(1 << 24)..1 << 24, real in 1e-9..100.0_f64) {
        let multiplier = QuantizedMultiplier::from_real(real);
        let exact = f64::from(x) * real;
        // 2^31 in the multiplier is a relative error of 2^-31 at most.
        let slack = exact.abs() / f64::from(1_u32 << 31);
        prop_assert!((f64::from(multiplier.apply_single(x)) - exact).abs() <= 0.5 + slack);
        prop_assert!((f64::from(multiplier.apply_double(x)) - exact).abs() <= 1.0 + slack);
    }
}

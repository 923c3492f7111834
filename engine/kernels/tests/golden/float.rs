//! Float operators.
//!
//! Sums in the order of LiteRT's loops round as they do, and so do single operations: those results are equal in
//! bits. What goes through an exponential is not: `LiteRT`'s comes from a mathematical library or from a polynomial
//! of its own, with errors of a few units in the last place. Tolerances are stated at the tests in such units
//! ([`ULP`]).

use kernels::quantized::Activation;
use kernels::reference::{self, Unary};
use kernels::shape::{Broadcast, Reduce};

use crate::file::{Case, cases};
use crate::linear::{conv_shape, depthwise_shape, fully_connected_shape, transpose_shape};
use crate::spatial::{pool_shape, resize_shape};

/// The distance of numbers around 1: two neighbours differ by half of it to all of it, relatively.
const ULP: f32 = f32::EPSILON;

/// Input, weights and bias.
fn tensors(case: &Case) -> (Vec<f32>, Vec<f32>, Option<Vec<f32>>) {
    (case.f32s("input"), case.f32s("weights"), case.f32_bias())
}

#[test]
fn convolutions_equal_litert() {
    for case in cases("conv2d_f32") {
        let shape = conv_shape(&case);
        let (input, weights, bias) = tensors(&case);
        let mut output = vec![0.0; shape.output_len()];
        let clamp = case.activation().clamp_f32();
        reference::conv2d_f32(&shape, clamp, &input, &weights, bias.as_deref(), &mut output);
        case.assert_f32_bits(&output);
    }
    for case in cases("depthwise_conv2d_f32") {
        let shape = depthwise_shape(&case);
        let (input, weights, bias) = tensors(&case);
        let mut output = vec![0.0; shape.output_len()];
        let clamp = case.activation().clamp_f32();
        reference::depthwise_conv2d_f32(&shape, clamp, &input, &weights, bias.as_deref(), &mut output);
        case.assert_f32_bits(&output);
    }
    for case in cases("transpose_conv2d_f32") {
        let shape = transpose_shape(&case);
        let (input, weights, bias) = tensors(&case);
        let mut output = vec![0.0; shape.output_len()];
        let clamp = case.activation().clamp_f32();
        reference::transpose_conv2d_f32(&shape, clamp, &input, &weights, bias.as_deref(), &mut output);
        case.assert_f32_bits(&output);
    }
}

#[test]
fn fully_connected_equals_litert() {
    for case in cases("fully_connected_f32") {
        let shape = fully_connected_shape(&case);
        let (input, weights, bias) = tensors(&case);
        let mut output = vec![0.0; shape.output_len()];
        let clamp = case.activation().clamp_f32();
        reference::fully_connected_f32(&shape, clamp, &input, &weights, bias.as_deref(), &mut output);
        case.assert_f32_bits(&output);
    }
}

#[test]
fn arithmetic_equals_litert() {
    for case in cases("binary_f32") {
        let shape = Broadcast::new(case.dims("a"), case.dims("b")).expect("the golden's shapes broadcast");
        let (a, b, clamp) = (case.f32s("a"), case.f32s("b"), case.activation().clamp_f32());
        let mut output = vec![0.0; shape.output_len()];
        match case.word("op") {
            "add" => reference::add_f32(&shape, clamp, &a, &b, &mut output),
            "sub" => reference::sub_f32(&shape, clamp, &a, &b, &mut output),
            "mul" => reference::mul_f32(&shape, clamp, &a, &b, &mut output),
            "div" => reference::div_f32(&shape, clamp, &a, &b, &mut output),
            "minimum" => reference::minimum_f32(&shape, &a, &b, &mut output),
            "maximum" => reference::maximum_f32(&shape, &a, &b, &mut output),
            other => panic!("unknown operator {other}"),
        }
        case.assert_f32_bits(&output);
    }
}

#[test]
fn pooling_mean_and_resizing_equal_litert() {
    for case in cases("average_pool2d_f32") {
        let shape = pool_shape(&case);
        let mut output = vec![0.0; shape.output_len()];
        reference::average_pool2d_f32(&shape, case.activation().clamp_f32(), &case.f32s("input"), &mut output);
        case.assert_f32_bits(&output);
    }
    for case in cases("max_pool2d_f32") {
        let shape = pool_shape(&case);
        let mut output = vec![0.0; shape.output_len()];
        reference::max_pool2d_f32(&shape, case.activation().clamp_f32(), &case.f32s("input"), &mut output);
        case.assert_f32_bits(&output);
    }
    for case in cases("mean_f32") {
        let shape = Reduce::new(case.dims("input"), &case.usizes("axes"));
        let mut output = vec![0.0; shape.output_len()];
        reference::mean_f32(&shape, &case.f32s("input"), &mut output);
        case.assert_f32_bits(&output);
    }
    for case in cases("resize_bilinear_f32") {
        let shape = resize_shape(&case);
        let mut output = vec![0.0; shape.output_len()];
        reference::resize_bilinear_f32(&shape, &case.f32s("input"), &mut output);
        case.assert_f32_bits(&output);
    }
}

/// The smooth functions are sums and products of a few factors: LiteRT's polynomials are within 8 units of the last
/// place of ours.
///
/// Below −9 LiteRT's logistic function leaves the 1 out of `1 / (1 + e^(−x))`: its result `y` is too large by `y²`.
/// The approximate GELU multiplies `x / 2` by `1 + tanh(…)`, which cancels: 8 units of its 1 remain.
#[test]
fn activations_are_close_to_litert() {
    for case in cases("unary_f32") {
        let input = case.f32s("input");
        let mut output = vec![0.0; input.len()];
        let function = match case.name.as_str() {
            "logistic" => Unary::Logistic,
            "tanh" => Unary::Tanh,
            "elu" => Unary::Elu { alpha: 1.0 },
            "gelu" => Unary::Gelu,
            "gelu_tanh" => Unary::GeluTanh,
            "hard_swish" => Unary::HardSwish,
            other => {
                match other {
                    "relu" => reference::relu_f32(Activation::Relu.clamp_f32(), &input, &mut output),
                    "relu6" => reference::relu_f32(Activation::Relu6.clamp_f32(), &input, &mut output),
                    "relu_n1_to_1" => reference::relu_f32(Activation::ReluN1To1.clamp_f32(), &input, &mut output),
                    "leaky_relu" => reference::unary_f32(Unary::LeakyRelu { alpha: 0.2 }, &input, &mut output),
                    "prelu" => {
                        let alpha = case.f32s("alpha");
                        let shape = Broadcast::new(case.dims("input"), case.dims("alpha")).expect("shapes broadcast");
                        reference::prelu_f32(&shape, &input, &alpha, &mut output);
                    }
                    _ => panic!("unknown function {other}"),
                }
                case.assert_f32_bits(&output);
                continue;
            }
        };
        reference::unary_f32(function, &input, &mut output);
        case.assert_f32(&output, |i, want| {
            let own = match function {
                Unary::Logistic => want * want,
                Unary::GeluTanh => 4.0 * ULP * input[i].abs(),
                _ => 0.0,
            };
            8.0 * ULP * want.abs() + own
        });
    }
}

/// Two exponentials' errors and the sum's.
#[test]
fn softmax_is_close_to_litert() {
    for case in cases("softmax_f32") {
        let input = case.f32s("input");
        let mut output = vec![0.0; input.len()];
        reference::softmax_f32(case.usize("depth"), case.f32("beta"), &input, &mut output);
        case.assert_f32(&output, |_, want| 4.0 * ULP * want.abs());
    }
}

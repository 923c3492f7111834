//! Operators on 16-bit activations.

use kernels::quantized::{LinearParams, Quantization, Rounding};
use kernels::reference::{self, AddParams, LeakyReluParams, MulParams, ReluParams, SigmoidParams, Softmax16Params};
use kernels::shape::Broadcast;

use crate::file::{Case, cases};
use crate::linear::{conv_shape, depthwise_shape, fully_connected_shape, transpose_shape};

fn params(case: &Case, channels: usize, rounding: Rounding) -> LinearParams {
    LinearParams::new_i16(
        case.quantization("input"),
        case.scales("weights"),
        case.quantization("output"),
        channels,
        case.activation(),
        rounding,
    )
}

fn linear(case: &Case, output: &mut [i16]) {
    let (input, weights, bias) = (case.i16s("input"), case.i8s("weights"), case.i64s("bias"));
    let bias = Some(bias.as_slice());
    if case.word("op") == "fully_connected" {
        let shape = fully_connected_shape(case);
        let params = params(case, shape.out_features, Rounding::Float);
        return reference::fully_connected_i16(&shape, &params, &input, &weights, bias, output);
    }
    let params = params(case, case.usize("out_c"), Rounding::Reduced);
    match case.word("op") {
        "conv2d" => reference::conv2d_i16(&conv_shape(case), &params, &input, &weights, bias, output),
        "depthwise_conv2d" => {
            reference::depthwise_conv2d_i16(&depthwise_shape(case), &params, &input, &weights, bias, output);
        }
        "transpose_conv2d" => {
            reference::transpose_conv2d_i16(&transpose_shape(case), &params, &input, &weights, bias, output);
        }
        other => panic!("unknown operator {other}"),
    }
}

fn binary(case: &Case, output: &mut [i16]) {
    let [a, b, out]: [Quantization; 3] = ["a", "b", "output"].map(|t| case.quantization(t));
    let shape = Broadcast::new(case.dims("a"), case.dims("b")).expect("the golden's shapes broadcast");
    let (left, right) = (case.i16s("a"), case.i16s("b"));
    let sum = AddParams::new_i16(a, b, out, case.activation());
    match case.word("op") {
        "add" => reference::add_i16(&shape, &sum, &left, &right, output),
        "sub" => reference::sub_i16(&shape, &sum, &left, &right, output),
        _ => {
            let params = MulParams::new_i16(a, b, out, case.activation());
            reference::mul_i16(&shape, &params, &left, &right, output);
        }
    }
}

fn unary(case: &Case, output: &mut [i16]) {
    let (x, input, out) = (
        case.i16s("input"),
        case.quantization("input"),
        case.quantization("output"),
    );
    match case.word("op") {
        "logistic" => reference::logistic_i16(&SigmoidParams::logistic(input), &x, output),
        "tanh" => reference::tanh_i16(&SigmoidParams::tanh(input), &x, output),
        "relu" => reference::relu_i16(&ReluParams::new_i16(input, out, case.activation()), &x, output),
        "leaky_relu" => reference::leaky_relu_i16(&LeakyReluParams::new(input, out, case.f32("alpha")), &x, output),
        "softmax" => {
            let params = Softmax16Params::new(input, case.f32("beta"));
            reference::softmax_i16(case.usize("depth"), &params, &x, output);
        }
        other => panic!("unknown operator {other}"),
    }
}

#[test]
fn sixteen_bits_equal_litert() {
    for case in cases("int16") {
        let mut output = vec![0; case.dims("output").iter().product()];
        if case.has("weights") {
            linear(&case, &mut output);
        } else if case.has("b") {
            binary(&case, &mut output);
        } else {
            unary(&case, &mut output);
        }
        case.assert_i16(&output);
    }
}

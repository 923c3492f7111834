//! Convolutions and fully connected layers.

use kernels::quantized::{LinearParams, Rounding};
use kernels::reference;
use kernels::shape::{Conv2dShape, DepthwiseConv2dShape, FullyConnectedShape, TransposeConv2dShape};

use crate::file::{Case, cases};

pub fn conv_shape(case: &Case) -> Conv2dShape {
    Conv2dShape {
        batch: case.usize("batch"),
        in_h: case.usize("in_h"),
        in_w: case.usize("in_w"),
        in_c: case.usize("in_c"),
        out_h: case.usize("out_h"),
        out_w: case.usize("out_w"),
        out_c: case.usize("out_c"),
        k_h: case.usize("k_h"),
        k_w: case.usize("k_w"),
        stride_h: case.usize("stride_h"),
        stride_w: case.usize("stride_w"),
        dilation_h: case.usize("dilation_h"),
        dilation_w: case.usize("dilation_w"),
        pad_top: case.usize("pad_top"),
        pad_left: case.usize("pad_left"),
        groups: case.usize("groups"),
    }
}

pub fn depthwise_shape(case: &Case) -> DepthwiseConv2dShape {
    DepthwiseConv2dShape {
        batch: case.usize("batch"),
        in_h: case.usize("in_h"),
        in_w: case.usize("in_w"),
        in_c: case.usize("in_c"),
        out_h: case.usize("out_h"),
        out_w: case.usize("out_w"),
        multiplier: case.usize("multiplier"),
        k_h: case.usize("k_h"),
        k_w: case.usize("k_w"),
        stride_h: case.usize("stride_h"),
        stride_w: case.usize("stride_w"),
        dilation_h: case.usize("dilation_h"),
        dilation_w: case.usize("dilation_w"),
        pad_top: case.usize("pad_top"),
        pad_left: case.usize("pad_left"),
    }
}

pub fn transpose_shape(case: &Case) -> TransposeConv2dShape {
    TransposeConv2dShape {
        batch: case.usize("batch"),
        in_h: case.usize("in_h"),
        in_w: case.usize("in_w"),
        in_c: case.usize("in_c"),
        out_h: case.usize("out_h"),
        out_w: case.usize("out_w"),
        out_c: case.usize("out_c"),
        k_h: case.usize("k_h"),
        k_w: case.usize("k_w"),
        stride_h: case.usize("stride_h"),
        stride_w: case.usize("stride_w"),
        pad_top: case.usize("pad_top"),
        pad_left: case.usize("pad_left"),
    }
}

pub fn fully_connected_shape(case: &Case) -> FullyConnectedShape {
    FullyConnectedShape {
        rows: case.usize("rows"),
        in_features: case.usize("in_features"),
        out_features: case.usize("out_features"),
    }
}

fn params(case: &Case, channels: usize, rounding: Rounding) -> LinearParams {
    let (input, output) = (case.quantization("input"), case.quantization("output"));
    LinearParams::new(
        input,
        case.scales("weights"),
        output,
        channels,
        case.activation(),
        rounding,
    )
}

#[test]
fn conv2d_i8_equals_litert() {
    for case in cases("conv2d_i8") {
        let shape = conv_shape(&case);
        let params = params(&case, shape.out_c, Rounding::Double);
        let mut output = vec![0; shape.output_len()];
        let bias = case.i32_bias();
        reference::conv2d_i8(
            &shape,
            &params,
            &case.i8s("input"),
            &case.i8s("weights"),
            bias.as_deref(),
            &mut output,
        );
        case.assert_i8(&output);
    }
}

#[test]
fn depthwise_conv2d_i8_equals_litert() {
    for case in cases("depthwise_conv2d_i8") {
        let shape = depthwise_shape(&case);
        let params = params(&case, shape.out_c(), Rounding::Double);
        let mut output = vec![0; shape.output_len()];
        let (input, weights, bias) = (case.i8s("input"), case.i8s("weights"), case.i32_bias());
        reference::depthwise_conv2d_i8(&shape, &params, &input, &weights, bias.as_deref(), &mut output);
        case.assert_i8(&output);
    }
}

#[test]
fn transpose_conv2d_i8_equals_litert() {
    for case in cases("transpose_conv2d_i8") {
        let shape = transpose_shape(&case);
        let params = params(&case, shape.out_c, Rounding::Double);
        let mut output = vec![0; shape.output_len()];
        let (input, weights, bias) = (case.i8s("input"), case.i8s("weights"), case.i32_bias());
        reference::transpose_conv2d_i8(&shape, &params, &input, &weights, bias.as_deref(), &mut output);
        case.assert_i8(&output);
    }
}

#[test]
fn fully_connected_i8_equals_litert() {
    for case in cases("fully_connected_i8") {
        let shape = fully_connected_shape(&case);
        let params = params(&case, shape.out_features, Rounding::Float);
        let mut output = vec![0; shape.output_len()];
        let (input, weights, bias) = (case.i8s("input"), case.i8s("weights"), case.i32_bias());
        reference::fully_connected_i8(&shape, &params, &input, &weights, bias.as_deref(), &mut output);
        case.assert_i8(&output);
    }
}

/// The finding that the choice of rounding per operator rests on: no other rounding gives these outputs.
#[test]
fn only_float_rounding_explains_fully_connected() {
    let differs = |rounding| {
        cases("fully_connected_i8").iter().any(|case| {
            let shape = fully_connected_shape(case);
            let mut output = vec![0; shape.output_len()];
            let params = params(case, shape.out_features, rounding);
            let (input, weights, bias) = (case.i8s("input"), case.i8s("weights"), case.i32_bias());
            reference::fully_connected_i8(&shape, &params, &input, &weights, bias.as_deref(), &mut output);
            output != case.i8s("output")
        })
    };
    assert!(differs(Rounding::Double));
    assert!(differs(Rounding::Single));
}

/// The same for convolutions.
#[test]
fn only_double_rounding_explains_convolution() {
    let differs = |rounding| {
        cases("conv2d_i8").iter().any(|case| {
            let shape = conv_shape(case);
            let mut output = vec![0; shape.output_len()];
            let params = params(case, shape.out_c, rounding);
            let (input, weights, bias) = (case.i8s("input"), case.i8s("weights"), case.i32_bias());
            reference::conv2d_i8(&shape, &params, &input, &weights, bias.as_deref(), &mut output);
            output != case.i8s("output")
        })
    };
    assert!(differs(Rounding::Single));
    assert!(differs(Rounding::Float));
}

#[test]
fn conv2d_hybrid_equals_litert() {
    for case in cases("conv2d_hybrid") {
        let shape = conv_shape(&case);
        let (input, weights, bias) = (case.f32s("input"), case.i8s("weights"), case.f32_bias());
        let mut scratch = vec![0; input.len() / shape.batch];
        let mut output = vec![0.0; shape.output_len()];
        reference::conv2d_hybrid(
            &shape,
            case.scales("weights"),
            case.activation().clamp_f32(),
            &input,
            &weights,
            bias.as_deref(),
            &mut scratch,
            &mut output,
        );
        case.assert_f32_bits(&output);
    }
}

#[test]
fn depthwise_conv2d_hybrid_equals_litert() {
    for case in cases("depthwise_conv2d_hybrid") {
        let shape = depthwise_shape(&case);
        let (input, weights, bias) = (case.f32s("input"), case.i8s("weights"), case.f32_bias());
        let mut scratch = vec![0; input.len() / shape.batch];
        let mut output = vec![0.0; shape.output_len()];
        reference::depthwise_conv2d_hybrid(
            &shape,
            case.scales("weights"),
            case.activation().clamp_f32(),
            &input,
            &weights,
            bias.as_deref(),
            &mut scratch,
            &mut output,
        );
        case.assert_f32_bits(&output);
    }
}

#[test]
fn fully_connected_hybrid_equals_litert() {
    for case in cases("fully_connected_hybrid") {
        let shape = fully_connected_shape(&case);
        let (input, weights, bias) = (case.f32s("input"), case.i8s("weights"), case.f32_bias());
        let mut scratch = vec![0; shape.in_features];
        let mut output = vec![0.0; shape.output_len()];
        reference::fully_connected_hybrid(
            &shape,
            case.scales("weights"),
            case.activation().clamp_f32(),
            &input,
            &weights,
            bias.as_deref(),
            &mut scratch,
            &mut output,
        );
        case.assert_f32_bits(&output);
    }
}

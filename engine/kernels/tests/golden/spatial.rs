//! Pooling, mean, resizing, and operators that only move elements.

use kernels::reference::{self, MeanParams};
use kernels::shape::{Pool2dShape, Reduce, Resize2dShape, ResizeCoordinates};

use crate::file::{Case, cases};

pub fn pool_shape(case: &Case) -> Pool2dShape {
    Pool2dShape {
        batch: case.usize("batch"),
        in_h: case.usize("in_h"),
        in_w: case.usize("in_w"),
        channels: case.usize("channels"),
        out_h: case.usize("out_h"),
        out_w: case.usize("out_w"),
        k_h: case.usize("k_h"),
        k_w: case.usize("k_w"),
        stride_h: case.usize("stride_h"),
        stride_w: case.usize("stride_w"),
        pad_top: case.usize("pad_top"),
        pad_left: case.usize("pad_left"),
    }
}

pub fn resize_shape(case: &Case) -> Resize2dShape {
    Resize2dShape {
        batch: case.usize("batch"),
        in_h: case.usize("in_h"),
        in_w: case.usize("in_w"),
        channels: case.usize("channels"),
        out_h: case.usize("out_h"),
        out_w: case.usize("out_w"),
        coordinates: match case.word("mode") {
            "asymmetric" => ResizeCoordinates::Asymmetric,
            "half_pixel" => ResizeCoordinates::HalfPixel,
            "align_corners" => ResizeCoordinates::AlignCorners,
            other => panic!("unknown mode {other}"),
        },
    }
}

#[test]
fn average_pool2d_i8_equals_litert() {
    for case in cases("average_pool2d_i8") {
        let shape = pool_shape(&case);
        let mut output = vec![0; shape.output_len()];
        let clamp = case.activation().clamp_i8(case.quantization("output"));
        reference::average_pool2d_i8(&shape, clamp, &case.i8s("input"), &mut output);
        case.assert_i8(&output);
    }
}

#[test]
fn max_pool2d_i8_equals_litert() {
    for case in cases("max_pool2d_i8") {
        let shape = pool_shape(&case);
        let mut output = vec![0; shape.output_len()];
        let clamp = case.activation().clamp_i8(case.quantization("output"));
        reference::max_pool2d_i8(&shape, clamp, &case.i8s("input"), &mut output);
        case.assert_i8(&output);
    }
}

#[test]
fn mean_i8_equals_litert() {
    for case in cases("mean_i8") {
        let shape = Reduce::new(case.dims("input"), &case.usizes("axes"));
        let params = MeanParams::new(case.quantization("input"), case.quantization("output"), shape.count());
        let mut output = vec![0; shape.output_len()];
        reference::mean_i8(&shape, &params, &case.i8s("input"), &mut output);
        case.assert_i8(&output);
    }
}

#[test]
fn resize_nearest_equals_litert() {
    for case in cases("resize_nearest_i8") {
        let shape = resize_shape(&case);
        let mut output = vec![0; shape.output_len()];
        reference::resize_nearest(&shape, &case.i8s("input"), &mut output);
        case.assert_i8(&output);
    }
}

#[test]
fn resize_bilinear_i8_equals_litert() {
    for case in cases("resize_bilinear_i8") {
        let shape = resize_shape(&case);
        let mut output = vec![0; shape.output_len()];
        reference::resize_bilinear_i8(&shape, &case.i8s("input"), &mut output);
        case.assert_i8(&output);
    }
}

#[test]
fn moves_equal_litert() {
    for case in cases("moves") {
        if case.name == "split" {
            let input = case.i8s("input");
            let (mut first, mut second) = (vec![0; input.len() / 2], vec![0; input.len() / 2]);
            reference::split(case.usize("outer"), &input, &mut [&mut first, &mut second]);
            assert_eq!((first, second), (case.i8s("first"), case.i8s("second")));
            continue;
        }
        let mut output = vec![0; case.i8s("output").len()];
        if case.name == "concat" {
            reference::concat(case.usize("outer"), &[&case.i8s("a"), &case.i8s("b")], &mut output);
            case.assert_i8(&output);
            continue;
        }
        let (input, dims, out_dims) = (case.i8s("input"), case.dims("input"), case.dims("output"));
        match case.name.as_str() {
            "transpose" => reference::transpose(dims, &case.usizes("permutation"), &input, &mut output),
            "pad" => {
                let value = case.word("value").parse().expect("a zero point");
                reference::pad(dims, &case.usizes("before"), out_dims, value, &input, &mut output);
            }
            "slice" | "strided_slice" => {
                let step: Vec<isize> = case
                    .word("step")
                    .split(' ')
                    .map(|step| step.parse().expect("a step"))
                    .collect();
                reference::slice(dims, &case.usizes("begin"), &step, out_dims, &input, &mut output);
            }
            other => panic!("unknown move {other}"),
        }
        case.assert_i8(&output);
    }
}

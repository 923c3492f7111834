//! Which elements of input and weights meet in which output element: the walks of the plain convolutions, for other uses of them.

use super::{conv2d, depthwise_conv2d, transpose_conv2d};
use crate::shape::{Conv2dShape, DepthwiseConv2dShape, TransposeConv2dShape};

/// Calls `visit(output, input, weight)` for every product of a convolution.
pub fn conv2d(shape: &Conv2dShape, mut visit: impl FnMut(usize, usize, usize)) {
    conv2d::for_each_output(shape, |out, at| {
        conv2d::for_each_tap(shape, at, |input, weight| visit(out, input, weight));
    });
}

/// Calls `visit(output, input, weight)` for every product of a depthwise convolution.
pub fn depthwise_conv2d(shape: &DepthwiseConv2dShape, mut visit: impl FnMut(usize, usize, usize)) {
    depthwise_conv2d::for_each_output(shape, |out, at| {
        depthwise_conv2d::for_each_tap(shape, at, |input, weight| visit(out, input, weight));
    });
}

/// Calls `visit(output, input, weight)` for every product of a transposed convolution.
pub fn transpose_conv2d(shape: &TransposeConv2dShape, mut visit: impl FnMut(usize, usize, usize)) {
    transpose_conv2d::for_each_output(shape, |out, at| {
        transpose_conv2d::for_each_tap(shape, at, |input, weight| visit(out, input, weight));
    });
}

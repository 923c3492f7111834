//! One-dimensional convolution and pooling: their two-dimensional operators on an image of one row.
//!
//! `[1,L,C]` becomes `[1,1,L,C]` and back, by the nodes `layer/expand` and the one called like the layer.

use ir::TensorId;
use ir::ops::{Activation, AveragePool2d, Conv2d, DepthwiseConv2d, MaxPool2d, Mean, Op, Padding, Reshape};

use super::super::attributes::Attributes;
use super::{Call, Kind, PaddingMode, activation, convolution, dense, none};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        classes: &["Conv1D"],
        slots: dense::slots,
        build: conv1d,
    },
    Kind {
        classes: &["DepthwiseConv1D"],
        slots: convolution::depthwise_slots,
        build: depthwise,
    },
    Kind {
        classes: &["SeparableConv1D"],
        slots: convolution::separable_slots,
        build: separable,
    },
    Kind {
        classes: &["MaxPooling1D", "MaxPool1D"],
        slots: none,
        build: max_pool,
    },
    Kind {
        classes: &["AveragePooling1D", "AvgPool1D"],
        slots: none,
        build: average_pool,
    },
    Kind {
        classes: &["GlobalAveragePooling1D", "GlobalAvgPool1D"],
        slots: none,
        build: global_average,
    },
    Kind {
        classes: &["GlobalMaxPooling1D", "GlobalMaxPool1D"],
        slots: none,
        build: global_max,
    },
];

/// `op` on the input as an image of one row; the result is a sequence again.
fn in_a_row(
    call: &mut Call<'_, '_>,
    part: &str,
    op: impl Into<Op>,
    weights: &[TensorId],
) -> Result<TensorId, FormatError> {
    let (input, [n, length, c]) = call.input_of_rank::<3>()?;
    let shape = vec![n, 1, length, c];
    let mut inputs = vec![call.part("expand", Reshape { shape }, &[input])?];
    inputs.extend(weights);
    let row = call.part(part, op, &inputs)?;
    let mut shape = call.dims(row);
    shape.remove(1);
    call.output(Reshape { shape }, &[row])
}

/// Where the window of a convolution over a row goes.
struct Window {
    kernel: usize,
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
}

impl Window {
    /// Causal padding is all on the left.
    fn of(call: &Call<'_, '_>) -> Result<Self, FormatError> {
        let attributes = call.attributes();
        attributes.channels_last()?;
        let (_, [_, length, _]) = call.input_of_rank::<3>()?;
        let kernel = attributes
            .single("kernel_size")?
            .ok_or_else(|| attributes.wrong("kernel_size", "a whole number"))?;
        let stride = [1, attributes.single("strides")?.unwrap_or(1)];
        let dilation = [1, attributes.single("dilation_rate")?.unwrap_or(1)];
        let padding = if attributes.text("padding", "valid")? == "causal" {
            Padding {
                left: (kernel - 1).saturating_mul(dilation[1]),
                ..Padding::NONE
            }
        } else {
            PaddingMode::of(attributes)?.explicit([1, length], [1, kernel], stride, dilation)
        };
        Ok(Window {
            kernel,
            stride,
            dilation,
            padding,
        })
    }
}

/// Kernel `LIO` → `O1LI`.
fn conv1d(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let attributes = call.attributes();
    let (window, (_, [_, _, c])) = (Window::of(call)?, call.input_of_rank::<3>()?);
    let (filters, groups) = (
        attributes.extent("filters", None)?,
        attributes.extent("groups", Some(1))?,
    );
    if c % groups != 0 || filters % groups != 0 {
        let problem = format!("{c} input channels and {filters} filters do not fall into {groups} groups");
        return Err(call.malformed(problem));
    }
    let (i, kernel) = (c / groups, window.kernel);
    let mut weights = vec![call.weight("kernel", &[kernel, i, filters], &[2, 0, 1], &[filters, 1, kernel, i])?];
    if attributes.flag("use_bias", true)? {
        weights.push(call.vector("bias", filters)?);
    }
    let op = Conv2d {
        stride: window.stride,
        dilation: window.dilation,
        padding: window.padding,
        groups,
        activation: Activation::None,
    };
    let conv = in_a_row(call, "conv2d", op, &weights)?;
    activation::argument(call, conv)
}

/// The operator of a depthwise layer, its kernel `LCM` → `11L(C·M)`, and how many channels it makes.
fn depthwise_parts(call: &mut Call<'_, '_>) -> Result<(DepthwiseConv2d, TensorId, usize), FormatError> {
    let attributes = call.attributes();
    let (window, (_, [_, _, c])) = (Window::of(call)?, call.input_of_rank::<3>()?);
    let multiplier = attributes.extent("depth_multiplier", Some(1))?;
    if attributes.extent("groups", Some(1))? != 1 {
        return Err(attributes.refuse(
            "groups",
            "a depthwise convolution has a group per channel; use groups=1",
        ));
    }
    let channels = c.saturating_mul(multiplier);
    let stored = [window.kernel, c, multiplier];
    let kernel = call.weight(
        "depthwise_kernel",
        &stored,
        &[0, 1, 2],
        &[1, 1, window.kernel, channels],
    )?;
    let op = DepthwiseConv2d {
        stride: window.stride,
        dilation: window.dilation,
        padding: window.padding,
        activation: Activation::None,
    };
    Ok((op, kernel, channels))
}

fn depthwise(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (op, kernel, channels) = depthwise_parts(call)?;
    let mut weights = vec![kernel];
    call.attributes().get("filters");
    if call.attributes().flag("use_bias", true)? {
        weights.push(call.vector("bias", channels)?);
    }
    let conv = in_a_row(call, "depthwise_conv2d", op, &weights)?;
    activation::argument(call, conv)
}

/// A depthwise convolution, then a pointwise one.
fn separable(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, [n, length, c]) = call.input_of_rank::<3>()?;
    let (op, kernel, channels) = depthwise_parts(call)?;
    let filters = call.attributes().extent("filters", None)?;
    let shape = vec![n, 1, length, c];
    let row = call.part("expand", Reshape { shape }, &[input])?;
    let middle = call.part("depthwise", op, &[row, kernel])?;
    let stored = [1, channels, filters];
    let pointwise = call.weight("pointwise_kernel", &stored, &[2, 0, 1], &[filters, 1, 1, channels])?;
    let mut inputs = vec![middle, pointwise];
    if call.attributes().flag("use_bias", true)? {
        inputs.push(call.vector("bias", filters)?);
    }
    let row = call.part("conv2d", Conv2d::default(), &inputs)?;
    let mut shape = call.dims(row);
    shape.remove(1);
    let conv = call.output(Reshape { shape }, &[row])?;
    activation::argument(call, conv)
}

/// Kernel, stride and padding of a pool over a row.
fn window(call: &Call<'_, '_>) -> Result<([usize; 2], [usize; 2], Padding), FormatError> {
    let attributes: &Attributes = call.attributes();
    attributes.channels_last()?;
    let (_, [_, length, _]) = call.input_of_rank::<3>()?;
    let size = attributes.single("pool_size")?.unwrap_or(2);
    let stride = [1, attributes.single("strides")?.unwrap_or(size)];
    let padding = PaddingMode::of(attributes)?.explicit([1, length], [1, size], stride, [1, 1]);
    Ok(([1, size], stride, padding))
}

fn max_pool(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (kernel, stride, padding) = window(call)?;
    let activation = Activation::None;
    in_a_row(
        call,
        "max_pool2d",
        MaxPool2d {
            kernel,
            stride,
            padding,
            activation,
        },
        &[],
    )
}

fn average_pool(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (kernel, stride, padding) = window(call)?;
    let activation = Activation::None;
    in_a_row(
        call,
        "average_pool2d",
        AveragePool2d {
            kernel,
            stride,
            padding,
            activation,
        },
        &[],
    )
}

fn global_average(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    call.attributes().channels_last()?;
    let (input, _) = call.input_of_rank::<3>()?;
    let keep_dims = call.attributes().flag("keepdims", false)?;
    call.output(
        Mean {
            axes: vec![1],
            keep_dims,
        },
        &[input],
    )
}

fn global_max(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    call.attributes().channels_last()?;
    let (input, [n, length, c]) = call.input_of_rank::<3>()?;
    let shape = vec![n, 1, length, c];
    let row = call.part("expand", Reshape { shape }, &[input])?;
    let kernel = [1, length];
    let pool = MaxPool2d {
        kernel,
        stride: kernel,
        padding: Padding::NONE,
        activation: Activation::None,
    };
    let pool = call.part("max_pool2d", pool, &[row])?;
    let shape = if call.attributes().flag("keepdims", false)? {
        vec![n, 1, c]
    } else {
        vec![n, c]
    };
    call.output(Reshape { shape }, &[pool])
}

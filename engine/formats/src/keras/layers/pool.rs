//! Two-dimensional pooling, windowed and global.

use ir::TensorId;
use ir::ops::{Activation, AveragePool2d, MaxPool2d, Mean, Padding, Reshape};

use super::{Call, Kind, PaddingMode, none};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        classes: &["MaxPooling2D", "MaxPool2D"],
        slots: none,
        build: max_pool,
    },
    Kind {
        classes: &["AveragePooling2D", "AvgPool2D"],
        slots: none,
        build: average_pool,
    },
    Kind {
        classes: &["GlobalAveragePooling2D", "GlobalAvgPool2D"],
        slots: none,
        build: global_average,
    },
    Kind {
        classes: &["GlobalMaxPooling2D", "GlobalMaxPool2D"],
        slots: none,
        build: global_max,
    },
];

/// Kernel, stride and padding; padding takes no part in an average, in Keras as in the operator.
fn window(call: &Call<'_, '_>) -> Result<([usize; 2], [usize; 2], Padding), FormatError> {
    let attributes = call.attributes();
    attributes.channels_last()?;
    let (_, [_, h, w, _]) = call.input_of_rank::<4>()?;
    let kernel = attributes.pair("pool_size", 1)?.unwrap_or([2, 2]);
    let stride = attributes.pair("strides", 1)?.unwrap_or(kernel);
    let padding = PaddingMode::of(attributes)?.explicit([h, w], kernel, stride, [1, 1]);
    Ok((kernel, stride, padding))
}

fn max_pool(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let ((kernel, stride, padding), input) = (window(call)?, call.input()?);
    let activation = Activation::None;
    call.output(
        MaxPool2d {
            kernel,
            stride,
            padding,
            activation,
        },
        &[input],
    )
}

fn average_pool(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let ((kernel, stride, padding), input) = (window(call)?, call.input()?);
    let activation = Activation::None;
    call.output(
        AveragePool2d {
            kernel,
            stride,
            padding,
            activation,
        },
        &[input],
    )
}

fn global_average(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    call.attributes().channels_last()?;
    let (input, _) = call.input_of_rank::<4>()?;
    let keep_dims = call.attributes().flag("keepdims", false)?;
    let axes = vec![1, 2];
    call.output(Mean { axes, keep_dims }, &[input])
}

/// A pool as large as the image, then, unless the dimensions are kept, a reshape.
fn global_max(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    call.attributes().channels_last()?;
    let (input, [n, h, w, c]) = call.input_of_rank::<4>()?;
    let pool = MaxPool2d {
        kernel: [h, w],
        stride: [h, w],
        padding: Padding::NONE,
        activation: Activation::None,
    };
    if call.attributes().flag("keepdims", false)? {
        return call.output(pool, &[input]);
    }
    let pool = call.part("max_pool2d", pool, &[input])?;
    call.output(Reshape { shape: vec![n, c] }, &[pool])
}

//! Convolutions, matrix products and batch norms.

use ir::TensorId;
use ir::ops::{Activation, BatchNorm, Conv2d, DepthwiseConv2d, FullyConnected, LayerNorm, MatMul, Op, TransposeConv2d};

use super::super::call::Call;
use super::window::padding;
use super::{Entry, channels_last, rows_and_columns};
use crate::FormatError;

pub(super) const ENTRIES: &[Entry] = &[
    (&["Conv2D"], conv),
    (&["DepthwiseConv2dNative"], depthwise),
    (&["Conv2DBackpropInput"], transpose_conv),
    (&["MatMul"], mat_mul),
    (&["BatchMatMul", "BatchMatMulV2"], batch_mat_mul),
    (&["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"], batch_norm),
];

/// A filter of four dimensions, which must be known.
fn filter(call: &Call<'_>, i: usize) -> Result<([usize; 4], Vec<f32>), FormatError> {
    let (shape, values) = call.floats(i, "filter")?;
    let shape = <[usize; 4]>::try_from(shape.as_slice())
        .map_err(|_| call.malformed(format!("its filter has shape {shape:?}, expected four dimensions")))?;
    Ok((shape, values))
}

/// `[kh, kw, a, b]` becomes `[b, kh, kw, a]`.
fn outermost(shape: [usize; 4], values: &[f32]) -> (Vec<usize>, Vec<f32>) {
    let [kh, kw, a, b] = shape;
    let inner = kh * kw * a;
    let values = (0..b)
        .flat_map(|o| (0..inner).map(move |i| values[i * b + o]))
        .collect();
    (vec![b, kh, kw, a], values)
}

fn conv(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    channels_last(call)?;
    let input = call.tensor(0)?;
    let [_, h, w, channels] = call.image(input)?;
    let (shape, values) = filter(call, 1)?;
    let (stride, dilation) = (rows_and_columns(call, "strides")?, rows_and_columns(call, "dilations")?);
    let padding = padding(call, [h, w], [shape[0], shape[1]], stride, dilation)?;
    let groups = channels.checked_div(shape[2]).unwrap_or(0);
    let (shape, values) = outermost(shape, &values);
    let weights = call.weight("filter", shape, values)?;
    let op = Conv2d {
        stride,
        dilation,
        padding,
        groups,
        activation: Activation::None,
    };
    call.output(op, &[input, weights])
}

fn depthwise(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    channels_last(call)?;
    let input = call.tensor(0)?;
    let [_, h, w, _] = call.image(input)?;
    let ([kh, kw, channels, multiplier], values) = filter(call, 1)?;
    let (stride, dilation) = (rows_and_columns(call, "strides")?, rows_and_columns(call, "dilations")?);
    let padding = padding(call, [h, w], [kh, kw], stride, dilation)?;
    let weights = call.weight("filter", vec![1, kh, kw, channels * multiplier], values)?;
    let op = DepthwiseConv2d {
        stride,
        dilation,
        padding,
        activation: Activation::None,
    };
    call.output(op, &[input, weights])
}

/// Inputs: the shape of the output, the filter `[kh, kw, O, I]`, the activations.
fn transpose_conv(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    channels_last(call)?;
    let sizes = call.ints(0, "output shape")?;
    let (shape, values) = filter(call, 1)?;
    let input = call.tensor(2)?;
    let [_, h, w, _] = call.image(input)?;
    let [kh, kw, out, channels] = shape;
    let stride = rows_and_columns(call, "strides")?;
    if rows_and_columns(call, "dilations")? != [1, 1] {
        return Err(call.unsupported("a dilated transposed convolution is not read", "dilate by 1"));
    }
    let size = match *sizes.as_slice() {
        [_, rows, columns, _] if rows > 0 && columns > 0 => [rows as usize, columns as usize],
        _ => return Err(call.malformed(format!("its output shape is {sizes:?}"))),
    };
    // The padding is that of the convolution from the output to the input.
    let padding = padding(call, size, [kh, kw], stride, [1, 1])?;
    let full = |input: usize, stride: usize, kernel: usize| input.saturating_sub(1) * stride + kernel;
    let whole = [full(h, stride[0], kh), full(w, stride[1], kw)];
    let totals = padding.totals();
    let extra = |i: usize| (size[i] + totals[i]).checked_sub(whole[i]);
    let (Some(rows), Some(columns)) = (extra(0), extra(1)) else {
        return Err(call.malformed(format!(
            "its output of {size:?} pixels is too small for an input of {h}×{w}"
        )));
    };
    // `[kh, kw, O, I]` → `[O, kh, kw, I]`.
    let at = |o: usize, k: usize, i: usize| values[(k * out + o) * channels + i];
    let ordered: Vec<f32> = (0..out)
        .flat_map(|o| (0..kh * kw).flat_map(move |k| (0..channels).map(move |i| (o, k, i))))
        .map(|(o, k, i)| at(o, k, i))
        .collect();
    let weights = call.weight("filter", vec![out, kh, kw, channels], ordered)?;
    let op = TransposeConv2d {
        stride,
        padding,
        output_padding: [rows, columns],
        activation: Activation::None,
    };
    call.output(op, &[input, weights])
}

fn mat_mul(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    if call.flag("transpose_a") {
        return Err(call.unsupported("its first factor is transposed", "transpose it before"));
    }
    dense(call, call.flag("transpose_b"))
}

/// The second factor is `[I,O]`, or `[O,I]` where it is transposed.
fn dense(call: &mut Call<'_>, transposed: bool) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let (shape, values) = call.floats(1, "second factor")?;
    let &[rows, columns] = shape.as_slice() else {
        return Err(call.malformed(format!(
            "its second factor has shape {shape:?}, expected two dimensions"
        )));
    };
    let weights = if transposed {
        call.weight("weights", shape, values)?
    } else {
        let values = (0..columns)
            .flat_map(|o| (0..rows).map(|i| values[i * columns + o]).collect::<Vec<_>>())
            .collect();
        call.weight("weights", vec![columns, rows], values)?
    };
    call.output(FullyConnected::default(), &[input, weights])
}

/// With weights it is a fully connected layer over the last dimension.
fn batch_mat_mul(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let weights = call.floats(1, "second factor").is_ok_and(|(shape, _)| shape.len() == 2);
    if weights && !call.flag("adj_x") {
        return dense(call, call.flag("adj_y"));
    }
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    let op = MatMul {
        adjoint_a: call.flag("adj_x"),
        adjoint_b: call.flag("adj_y"),
    };
    call.output(op, &[a, b])
}

/// The layer norm of Keras 2: rows reshaped to the channels of one sample, normalized by its statistics, with scales of 1 and offsets of 0.
/// Scale and offset of the layer follow as a product and a sum.
fn layer_norm(call: &mut Call<'_>) -> Result<Option<Vec<TensorId>>, FormatError> {
    let all = |i: usize, value: f32| {
        call.floats(i, "scale")
            .is_ok_and(|(_, v)| v.iter().all(|&v| v == value))
    };
    let of_a_batch = call.text("data_format") == Some("NCHW") && call.flag_or("is_training", true);
    if !of_a_batch || !all(1, 1.0) || !all(2, 0.0) {
        return Ok(None);
    }
    let input = call.tensor(0)?;
    let maker = call.graph().producer(input).map(|node| &call.graph().node(node).op);
    let (Some(Op::Reshape(_)), &[1, _, h, w]) = (maker, call.dims(input).as_slice()) else {
        return Ok(None);
    };
    let Some(n) = h.checked_mul(w).filter(|&n| n <= 1 << 24) else {
        return Ok(None);
    };
    let epsilon = call.float("epsilon").unwrap_or(1e-4);
    let scale = call.weight("scale", vec![h, w], vec![1.0; n])?;
    call.output(LayerNorm { axis: 2, epsilon }, &[input, scale]).map(Some)
}

/// Inputs: activations, scale, offset, mean, variance.
fn batch_norm(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    if let Some(made) = layer_norm(call)? {
        return Ok(made);
    }
    channels_last(call)?;
    if call.flag_or("is_training", true) {
        let fix = "save the model for inference (`model.export`, or `training=False`)";
        return Err(call.unsupported("it normalizes by the statistics of a batch", fix));
    }
    let input = call.tensor(0)?;
    let epsilon = call.float("epsilon").unwrap_or(1e-4);
    let mut inputs = vec![input];
    for (i, role) in [(1, "scale"), (2, "offset"), (3, "mean"), (4, "variance")] {
        let (shape, values) = call.floats(i, role)?;
        inputs.push(call.weight(role, shape, values)?);
    }
    call.output(BatchNorm { epsilon }, &inputs)
}

//! Pools, and the padding of everything that slides a window.

use ir::TensorId;
use ir::ops::{Activation, AveragePool2d, MaxPool2d, Padding};

use super::super::call::Call;
use super::{Entry, channels_last, rows_and_columns};
use crate::FormatError;

pub(super) const ENTRIES: &[Entry] = &[(&["MaxPool"], max_pool), (&["AvgPool"], average_pool)];

/// `SAME`, `VALID` or `EXPLICIT` in numbers.
pub(super) fn padding(
    call: &Call<'_>,
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> Result<Padding, FormatError> {
    match call.text("padding") {
        Some("SAME") => Ok(Padding::same(input, kernel, stride, dilation)),
        Some("VALID") => Ok(Padding::NONE),
        Some("EXPLICIT") => {
            let edges: Option<Vec<usize>> = call
                .list("explicit_paddings")
                .iter()
                .map(|&edge| usize::try_from(edge).ok())
                .collect();
            match edges.as_deref() {
                Some(&[0, 0, top, bottom, left, right, 0, 0]) => Ok(Padding {
                    top,
                    bottom,
                    left,
                    right,
                }),
                _ => Err(call.malformed(format!("explicit_paddings are {:?}", call.list("explicit_paddings")))),
            }
        }
        other => Err(call.malformed(format!("padding is {other:?}, expected SAME, VALID or EXPLICIT"))),
    }
}

fn pool(call: &mut Call<'_>) -> Result<(TensorId, [usize; 2], [usize; 2], Padding), FormatError> {
    channels_last(call)?;
    let input = call.tensor(0)?;
    let [_, h, w, _] = call.image(input)?;
    let (kernel, stride) = (rows_and_columns(call, "ksize")?, rows_and_columns(call, "strides")?);
    let padding = padding(call, [h, w], kernel, stride, [1, 1])?;
    Ok((input, kernel, stride, padding))
}

fn max_pool(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let (input, kernel, stride, padding) = pool(call)?;
    let op = MaxPool2d {
        kernel,
        stride,
        padding,
        activation: Activation::None,
    };
    call.output(op, &[input])
}

fn average_pool(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let (input, kernel, stride, padding) = pool(call)?;
    let op = AveragePool2d {
        kernel,
        stride,
        padding,
        activation: Activation::None,
    };
    call.output(op, &[input])
}

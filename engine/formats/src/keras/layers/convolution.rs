//! Two-dimensional convolutions: plain, depthwise, separable, transposed.

use ir::TensorId;
use ir::ops::{Activation, Conv2d, DepthwiseConv2d, Padding, TransposeConv2d};

use super::super::attributes::Attributes;
use super::super::weights::Slot;
use super::{Call, Kind, PaddingMode, activation, dense};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        classes: &["Conv2D"],
        slots: dense::slots,
        build: conv2d,
    },
    Kind {
        classes: &["DepthwiseConv2D"],
        slots: depthwise_slots,
        build: depthwise,
    },
    Kind {
        classes: &["SeparableConv2D"],
        slots: separable_slots,
        build: separable,
    },
    Kind {
        classes: &["Conv2DTranspose"],
        slots: dense::slots,
        build: transposed,
    },
];

const DEPTHWISE: Slot = Slot::trained("depthwise_kernel", &["kernel"]);

pub(super) fn depthwise_slots(attributes: &Attributes) -> Result<Vec<Slot>, FormatError> {
    let mut slots = dense::slots(attributes)?;
    slots[0] = DEPTHWISE;
    Ok(slots)
}

pub(super) fn separable_slots(attributes: &Attributes) -> Result<Vec<Slot>, FormatError> {
    let mut slots = depthwise_slots(attributes)?;
    slots.insert(1, Slot::trained("pointwise_kernel", &[]));
    Ok(slots)
}

/// Where a window goes: what all convolutions share.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    mode: PaddingMode,
}

impl Window {
    fn of(attributes: &Attributes) -> Result<Self, FormatError> {
        attributes.channels_last()?;
        Ok(Window {
            kernel: attributes
                .pair("kernel_size", 1)?
                .ok_or_else(|| attributes.wrong("kernel_size", "[rows, columns]"))?,
            stride: attributes.pair("strides", 1)?.unwrap_or([1, 1]),
            dilation: attributes.pair("dilation_rate", 1)?.unwrap_or([1, 1]),
            mode: PaddingMode::of(attributes)?,
        })
    }

    fn padding(&self, [_, h, w, _]: [usize; 4]) -> Padding {
        self.mode.explicit([h, w], self.kernel, self.stride, self.dilation)
    }
}

/// Adds the bias, unless switched off, to a convolution's inputs.
fn bias(call: &mut Call<'_, '_>, inputs: &mut Vec<TensorId>, n: usize) -> Result<(), FormatError> {
    if call.attributes().flag("use_bias", true)? {
        inputs.push(call.vector("bias", n)?);
    }
    Ok(())
}

/// Kernel `HWIO` → `OHWI`; with groups, `I` counts the channels of one group in both.
fn conv2d(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let attributes = call.attributes();
    let (input, dims) = call.input_of_rank::<4>()?;
    let window = Window::of(attributes)?;
    let (filters, groups) = (
        attributes.extent("filters", None)?,
        attributes.extent("groups", Some(1))?,
    );
    let ([kh, kw], [.., c]) = (window.kernel, dims);
    if c % groups != 0 || filters % groups != 0 {
        let problem = format!("{c} input channels and {filters} filters do not fall into {groups} groups");
        return Err(call.malformed(problem));
    }
    let i = c / groups;
    let mut inputs = vec![
        input,
        call.weight("kernel", &[kh, kw, i, filters], &[3, 0, 1, 2], &[filters, kh, kw, i])?,
    ];
    bias(call, &mut inputs, filters)?;
    let op = Conv2d {
        stride: window.stride,
        dilation: window.dilation,
        padding: window.padding(dims),
        groups,
        activation: Activation::None,
    };
    let conv = call.output(op, &inputs)?;
    activation::argument(call, conv)
}

/// The depthwise operator and its kernel `HWCM` → `1HW(CM)`, multiplier innermost in both.
fn depthwise_parts(
    call: &mut Call<'_, '_>,
    dims: [usize; 4],
) -> Result<(DepthwiseConv2d, TensorId, usize), FormatError> {
    let attributes = call.attributes();
    let window = Window::of(attributes)?;
    let multiplier = attributes.extent("depth_multiplier", Some(1))?;
    if attributes.extent("groups", Some(1))? != 1 {
        return Err(attributes.refuse(
            "groups",
            "a depthwise convolution has a group per channel; use groups=1",
        ));
    }
    let ([kh, kw], [.., c]) = (window.kernel, dims);
    let channels = c.saturating_mul(multiplier);
    let stored = [kh, kw, c, multiplier];
    let kernel = call.weight("depthwise_kernel", &stored, &[0, 1, 2, 3], &[1, kh, kw, channels])?;
    let op = DepthwiseConv2d {
        stride: window.stride,
        dilation: window.dilation,
        padding: window.padding(dims),
        activation: Activation::None,
    };
    Ok((op, kernel, channels))
}

fn depthwise(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, dims) = call.input_of_rank::<4>()?;
    let (op, kernel, channels) = depthwise_parts(call, dims)?;
    // Keras 2.9 wrote the arguments of its parent class too.
    call.attributes().get("filters");
    let mut inputs = vec![input, kernel];
    bias(call, &mut inputs, channels)?;
    let conv = call.output(op, &inputs)?;
    activation::argument(call, conv)
}

/// Two nodes, `layer/depthwise` and the pointwise convolution called like the layer.
fn separable(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, dims) = call.input_of_rank::<4>()?;
    let (op, kernel, channels) = depthwise_parts(call, dims)?;
    let filters = call.attributes().extent("filters", None)?;
    let middle = call.part("depthwise", op, &[input, kernel])?;
    let stored = [1, 1, channels, filters];
    let pointwise = call.weight("pointwise_kernel", &stored, &[3, 0, 1, 2], &[filters, 1, 1, channels])?;
    let mut inputs = vec![middle, pointwise];
    bias(call, &mut inputs, filters)?;
    let conv = call.output(Conv2d::default(), &inputs)?;
    activation::argument(call, conv)
}

/// Kernel `HWOI` → `OHWI`.
fn transposed(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let attributes = call.attributes();
    let (input, dims) = call.input_of_rank::<4>()?;
    let window = Window::of(attributes)?;
    if window.dilation != [1, 1] {
        return Err(attributes.refuse("dilation_rate", "transposed convolutions have no dilation"));
    }
    if attributes.extent("groups", Some(1))? != 1 {
        return Err(attributes.refuse("groups", "transposed convolutions have no groups"));
    }
    let filters = attributes.extent("filters", None)?;
    let ([kh, kw], [_, h, w, c]) = (window.kernel, dims);
    let extra = attributes.pair("output_padding", 0)?;
    let rows = deconvolve(&window, 0, h, extra);
    let columns = deconvolve(&window, 1, w, extra);
    let (Some(rows), Some(columns)) = (rows, columns) else {
        return Err(attributes.wrong("output_padding", "less than the stride"));
    };
    let mut inputs = vec![
        input,
        call.weight("kernel", &[kh, kw, filters, c], &[2, 0, 1, 3], &[filters, kh, kw, c])?,
    ];
    bias(call, &mut inputs, filters)?;
    let op = TransposeConv2d {
        stride: window.stride,
        padding: Padding {
            top: rows.before,
            bottom: rows.after,
            left: columns.before,
            right: columns.after,
        },
        output_padding: [rows.added, columns.added],
        activation: Activation::None,
    };
    let conv = call.output(op, &inputs)?;
    activation::argument(call, conv)
}

/// What a transposed convolution cuts off and adds along one dimension.
#[derive(Debug, PartialEq, Eq)]
struct Margins {
    before: usize,
    after: usize,
    added: usize,
}

/// The output extent is Keras' `deconv_output_length`; what TensorFlow cuts off to reach it is the SAME padding of the convolution
/// that this is the gradient of, the odd pixel at the end. `None` when the output would be empty or a stride apart from its input.
fn deconvolve(window: &Window, i: usize, input: usize, extra: Option<[usize; 2]>) -> Option<Margins> {
    let (kernel, stride) = (window.kernel[i], window.stride[i]);
    let full = (input.checked_sub(1)?).checked_mul(stride)?.checked_add(kernel)?;
    let output = match (window.mode, extra) {
        (PaddingMode::Same, None) => input.checked_mul(stride)?,
        (PaddingMode::Valid, None) => full.checked_add(stride.saturating_sub(kernel))?,
        (PaddingMode::Same, Some(extra)) => full.checked_add(extra[i])?.checked_sub(2 * (kernel / 2))?,
        (PaddingMode::Valid, Some(extra)) => full.checked_add(extra[i])?,
    };
    if extra.is_some_and(|e| e[i] >= stride) {
        return None;
    }
    let cut = match window.mode {
        PaddingMode::Same => full.saturating_sub(output),
        PaddingMode::Valid => 0,
    };
    Some(Margins {
        before: cut / 2,
        after: cut - cut / 2,
        added: output.saturating_sub(full),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn margins(kernel: usize, stride: usize, mode: PaddingMode, extra: Option<usize>) -> Option<(usize, usize, usize)> {
        let window = Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1, 1],
            mode,
        };
        deconvolve(&window, 0, 4, extra.map(|e| [e; 2])).map(|m| (m.before, m.after, m.added))
    }

    #[test]
    fn transposed_same_padding_reaches_the_input_times_the_stride() {
        assert_eq!(margins(3, 2, PaddingMode::Same, None), Some((0, 1, 0)));
        assert_eq!(margins(4, 2, PaddingMode::Same, None), Some((1, 1, 0)));
        assert_eq!(margins(2, 3, PaddingMode::Same, None), Some((0, 0, 1)));
    }

    #[test]
    fn output_padding_states_the_extent() {
        assert_eq!(margins(3, 2, PaddingMode::Same, Some(0)), Some((1, 1, 0)));
        assert_eq!(margins(3, 2, PaddingMode::Same, Some(1)), Some((0, 1, 0)));
        assert_eq!(margins(3, 2, PaddingMode::Valid, Some(1)), Some((0, 0, 1)));
        assert_eq!(margins(3, 2, PaddingMode::Valid, Some(2)), None);
    }

    #[test]
    fn a_kernel_smaller_than_the_stride_leaves_a_gap_at_the_end() {
        assert_eq!(margins(2, 3, PaddingMode::Valid, None), Some((0, 0, 1)));
    }
}

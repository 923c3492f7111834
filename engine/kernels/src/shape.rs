//! The geometry of the operators: sizes, strides, dilations and explicit padding, as plain numbers.
//!
//! Padding after the last row and column is not stored: it follows from the output size, and taps that fall
//! outside the input are skipped wherever they fall.

mod broadcast;
mod matmul;
mod recurrent;
mod reduce;

pub use broadcast::Broadcast;
pub use matmul::MatMulShape;
pub use recurrent::{RecurrentCell, RecurrentShape, States};
pub use reduce::Reduce;

/// A two-dimensional convolution, `NHWC` with `OHWI` weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the field names are the documentation; layouts are stated above"
)]
pub struct Conv2dShape {
    pub batch: usize,
    pub in_h: usize,
    pub in_w: usize,
    pub in_c: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub out_c: usize,
    pub k_h: usize,
    pub k_w: usize,
    pub stride_h: usize,
    pub stride_w: usize,
    pub dilation_h: usize,
    pub dilation_w: usize,
    pub pad_top: usize,
    pub pad_left: usize,
    /// Input and output channels fall into this many groups that do not see each other; divides both.
    pub groups: usize,
}

impl Conv2dShape {
    /// From the dimensions of input, weights and output; padding is that above and to the left.
    pub fn new(
        [[batch, in_h, in_w, in_c], [out_c, k_h, k_w, _], [_, out_h, out_w, _]]: [[usize; 4]; 3],
        [stride_h, stride_w]: [usize; 2],
        [dilation_h, dilation_w]: [usize; 2],
        [pad_top, pad_left]: [usize; 2],
        groups: usize,
    ) -> Self {
        Self {
            batch,
            in_h,
            in_w,
            in_c,
            out_h,
            out_w,
            out_c,
            k_h,
            k_w,
            stride_h,
            stride_w,
            dilation_h,
            dilation_w,
            pad_top,
            pad_left,
            groups,
        }
    }

    /// Elements of the input, `[batch, in_h, in_w, in_c]`.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_h * self.in_w * self.in_c
    }

    /// Elements of the weights, `[out_c, k_h, k_w, in_c / groups]`.
    pub fn weights_len(&self) -> usize {
        self.out_c * self.k_h * self.k_w * self.group_in_c()
    }

    /// Elements of the output, `[batch, out_h, out_w, out_c]`.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_h * self.out_w * self.out_c
    }

    /// Input channels that one output channel sees.
    pub fn group_in_c(&self) -> usize {
        self.in_c / self.groups
    }

    /// Output channels in a group.
    pub fn group_out_c(&self) -> usize {
        self.out_c / self.groups
    }
}

/// A depthwise convolution, `NHWC` with `1HWC` weights, where `C = in_c · multiplier`: output channel
/// `c · multiplier + m` sees input channel `c` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the field names are the documentation; layouts are stated above"
)]
pub struct DepthwiseConv2dShape {
    pub batch: usize,
    pub in_h: usize,
    pub in_w: usize,
    pub in_c: usize,
    pub out_h: usize,
    pub out_w: usize,
    /// Output channels per input channel.
    pub multiplier: usize,
    pub k_h: usize,
    pub k_w: usize,
    pub stride_h: usize,
    pub stride_w: usize,
    pub dilation_h: usize,
    pub dilation_w: usize,
    pub pad_top: usize,
    pub pad_left: usize,
}

impl DepthwiseConv2dShape {
    /// From the dimensions of input, weights and output; padding is that above and to the left.
    pub fn new(
        [[batch, in_h, in_w, in_c], [_, k_h, k_w, out_c], [_, out_h, out_w, _]]: [[usize; 4]; 3],
        [stride_h, stride_w]: [usize; 2],
        [dilation_h, dilation_w]: [usize; 2],
        [pad_top, pad_left]: [usize; 2],
    ) -> Self {
        Self {
            batch,
            in_h,
            in_w,
            in_c,
            out_h,
            out_w,
            multiplier: out_c / in_c.max(1),
            k_h,
            k_w,
            stride_h,
            stride_w,
            dilation_h,
            dilation_w,
            pad_top,
            pad_left,
        }
    }

    /// Elements of the input, `[batch, in_h, in_w, in_c]`.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_h * self.in_w * self.in_c
    }

    /// Output channels, `in_c · multiplier`.
    pub fn out_c(&self) -> usize {
        self.in_c * self.multiplier
    }

    /// Elements of the weights, `[1, k_h, k_w, out_c]`.
    pub fn weights_len(&self) -> usize {
        self.k_h * self.k_w * self.out_c()
    }

    /// Elements of the output, `[batch, out_h, out_w, out_c]`.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_h * self.out_w * self.out_c()
    }
}

/// A transposed convolution, `NHWC` with `OHWI` weights: every input pixel adds its multiple of the kernel to the
/// output at `(y · stride_h − pad_top, x · stride_w − pad_left)`; what falls outside the output is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the field names are the documentation; layouts are stated above"
)]
pub struct TransposeConv2dShape {
    pub batch: usize,
    pub in_h: usize,
    pub in_w: usize,
    pub in_c: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub out_c: usize,
    pub k_h: usize,
    pub k_w: usize,
    pub stride_h: usize,
    pub stride_w: usize,
    pub pad_top: usize,
    pub pad_left: usize,
}

impl TransposeConv2dShape {
    /// From the dimensions of input, weights and output; padding is that above and to the left.
    pub fn new(
        [[batch, in_h, in_w, in_c], [out_c, k_h, k_w, _], [_, out_h, out_w, _]]: [[usize; 4]; 3],
        [stride_h, stride_w]: [usize; 2],
        [pad_top, pad_left]: [usize; 2],
    ) -> Self {
        Self {
            batch,
            in_h,
            in_w,
            in_c,
            out_h,
            out_w,
            out_c,
            k_h,
            k_w,
            stride_h,
            stride_w,
            pad_top,
            pad_left,
        }
    }

    /// Elements of the input, `[batch, in_h, in_w, in_c]`.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_h * self.in_w * self.in_c
    }

    /// Elements of the weights, `[out_c, k_h, k_w, in_c]`.
    pub fn weights_len(&self) -> usize {
        self.out_c * self.k_h * self.k_w * self.in_c
    }

    /// Elements of the output, `[batch, out_h, out_w, out_c]`.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_h * self.out_w * self.out_c
    }
}

/// A fully connected layer: `[rows, in_features]` times the transpose of `OI` weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the field names are the documentation; layouts are stated above"
)]
pub struct FullyConnectedShape {
    /// Rows of the input: the batch and all leading dimensions.
    pub rows: usize,
    pub in_features: usize,
    pub out_features: usize,
}

impl FullyConnectedShape {
    /// From the dimensions of input and output, of which the last are features.
    pub fn new(input: &[usize], output: &[usize]) -> Self {
        let last = |dims: &[usize]| dims.last().copied().unwrap_or(1);
        let in_features = last(input);
        Self {
            rows: input.iter().product::<usize>() / in_features.max(1),
            in_features,
            out_features: last(output),
        }
    }

    /// Elements of the input, `[rows, in_features]`.
    pub fn input_len(&self) -> usize {
        self.rows * self.in_features
    }

    /// Elements of the weights, `[out_features, in_features]`.
    pub fn weights_len(&self) -> usize {
        self.out_features * self.in_features
    }

    /// Elements of the output, `[rows, out_features]`.
    pub fn output_len(&self) -> usize {
        self.rows * self.out_features
    }
}

/// A pooling window sliding over `NHWC`; channels do not mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the field names are the documentation; layouts are stated above"
)]
pub struct Pool2dShape {
    pub batch: usize,
    pub in_h: usize,
    pub in_w: usize,
    pub channels: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub k_h: usize,
    pub k_w: usize,
    pub stride_h: usize,
    pub stride_w: usize,
    pub pad_top: usize,
    pub pad_left: usize,
}

impl Pool2dShape {
    /// Elements of the input, `[batch, in_h, in_w, channels]`.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_h * self.in_w * self.channels
    }

    /// Elements of the output, `[batch, out_h, out_w, channels]`.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_h * self.out_w * self.channels
    }
}

/// A change of height and width of `NHWC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the field names are the documentation; layouts are stated above"
)]
pub struct Resize2dShape {
    pub batch: usize,
    pub in_h: usize,
    pub in_w: usize,
    pub channels: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub coordinates: ResizeCoordinates,
}

/// Which input coordinate an output coordinate means, along an axis of `in` and `out` pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResizeCoordinates {
    /// `x · in / out`: the corner of the first pixel is fixed. TensorFlow 1's default.
    #[default]
    Asymmetric,
    /// `(x + 1/2) · in / out − 1/2`: pixels are areas. TensorFlow 2's, PyTorch's and ONNX's default.
    HalfPixel,
    /// `x · (in − 1) / (out − 1)`: the first and last pixel are fixed.
    AlignCorners,
}

impl Resize2dShape {
    /// Elements of the input, `[batch, in_h, in_w, channels]`.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_h * self.in_w * self.channels
    }

    /// Elements of the output, `[batch, out_h, out_w, channels]`.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_h * self.out_w * self.channels
    }
}

/// The input coordinate that tap `k` of a window reads for output coordinate `out`, or `None` in the padding.
pub(crate) fn tap(out: usize, stride: usize, k: usize, dilation: usize, pad: usize, len: usize) -> Option<usize> {
    (out * stride + k * dilation).checked_sub(pad).filter(|&at| at < len)
}

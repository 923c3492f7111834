//! What sliding-window operators share: explicit padding, output extents, fused activations.

use serde::{Deserialize, Serialize};

use crate::InferError;

/// Rows and columns of padding on each side. Explicit, since frameworks disagree: PyTorch pads symmetrically,
/// TensorFlow's `SAME` puts the odd one at the bottom and right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// No padding: TensorFlow's `VALID`.
    pub const NONE: Padding = Padding {
        top: 0,
        bottom: 0,
        left: 0,
        right: 0,
    };

    /// The same number of rows and columns on every side, as PyTorch's `padding=n`.
    pub const fn all(n: usize) -> Self {
        Padding {
            top: n,
            bottom: n,
            left: n,
            right: n,
        }
    }

    /// TensorFlow's `SAME`: output extent is `ceil(input / stride)`, the odd pixel goes to the bottom and right.
    ///
    /// Source: `ComputePaddingWithOffset` in TensorFlow Lite's `padding.h`.
    pub fn same(input: [usize; 2], kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> Self {
        let total = |i: usize| {
            let effective = (kernel[i].max(1) - 1) * dilation[i] + 1;
            ((input[i].div_ceil(stride[i].max(1)).max(1) - 1) * stride[i] + effective).saturating_sub(input[i])
        };
        let (rows, columns) = (total(0), total(1));
        Padding {
            top: rows / 2,
            bottom: rows - rows / 2,
            left: columns / 2,
            right: columns - columns / 2,
        }
    }

    /// Rows in all, columns in all.
    pub const fn totals(self) -> [usize; 2] {
        [self.top + self.bottom, self.left + self.right]
    }
}

/// A clamp fused into the operator before it; in integer graphs it narrows the output range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// No clamp.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x, -1), 1)`.
    ReluN1To1,
}

impl Activation {
    /// Least and greatest value let through.
    pub const fn range(self) -> (f32, f32) {
        match self {
            Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Relu6 => (0.0, 6.0),
            Activation::ReluN1To1 => (-1.0, 1.0),
        }
    }

    /// For `skip_serializing_if`.
    pub(crate) fn is_none(&self) -> bool {
        *self == Activation::None
    }
}

/// Output rows and columns of a window sliding over a padded input:
/// `(input + padding − ((kernel − 1)·dilation + 1)) / stride + 1`.
pub(crate) fn output(
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
) -> Result<[usize; 2], InferError> {
    let totals = padding.totals();
    let extent = |i: usize| {
        if stride[i] == 0 || dilation[i] == 0 || kernel[i] == 0 {
            let problem = format!("stride {stride:?}, dilation {dilation:?} and kernel {kernel:?} must be at least 1");
            return Err(InferError::Attribute {
                attribute: "stride",
                problem,
            });
        }
        let window = (kernel[i] - 1).saturating_mul(dilation[i]).saturating_add(1);
        let padded = input[i].saturating_add(totals[i]);
        let problem = || {
            format!(
                "a window of {window} does not fit {padded} padded pixels (input {}, padding {})",
                input[i], totals[i]
            )
        };
        let room = padded.checked_sub(window).ok_or_else(|| InferError::Attribute {
            attribute: "padding",
            problem: problem(),
        })?;
        Ok(room / stride[i] + 1)
    };
    Ok([extent(0)?, extent(1)?])
}

/// `[1, 1]`, the default of stride and dilation.
pub(crate) fn ones() -> [usize; 2] {
    [1, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_at_stride_two_is_asymmetric() {
        let p = Padding::same([32, 33], [3, 3], [2, 2], [1, 1]);
        assert_eq!(
            p,
            Padding {
                top: 0,
                bottom: 1,
                left: 1,
                right: 1
            }
        );
        assert_eq!(output([32, 33], [3, 3], [2, 2], [1, 1], p).unwrap(), [16, 17]);
    }

    #[test]
    fn a_window_larger_than_its_input_is_refused() {
        let e = output([2, 2], [3, 3], [1, 1], [1, 1], Padding::NONE).unwrap_err();
        insta::assert_snapshot!(e, @"padding: a window of 3 does not fit 2 padded pixels (input 2, padding 0)");
    }
}

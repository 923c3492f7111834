//! `max_pool` and `avg_pool`.

use ir::ops::{self, Padding};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use super::sizes::{Pad, Pair, none, yes};
use crate::builder::{Outcome, Site};

/// The greatest value of each window, as PyTorch's `MaxPool2d`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MaxPool {
    /// Rows and columns of the window.
    kernel: Pair,
    /// Rows and columns from one window to the next; the window's size if it is left out.
    #[serde(default)]
    stride: Option<Pair>,
    /// Pixels around the image; they take no part in the result.
    #[serde(default = "none")]
    padding: Pad,
    /// Whether windows that lie inside the image only in part count too, as PyTorch's `ceil_mode`.
    #[serde(default)]
    ceil: bool,
}

/// The mean of each window, as PyTorch's `AvgPool2d`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AvgPool {
    /// Rows and columns of the window.
    kernel: Pair,
    /// Rows and columns from one window to the next; the window's size if it is left out.
    #[serde(default)]
    stride: Option<Pair>,
    /// Zeros around the image.
    #[serde(default = "none")]
    padding: Pad,
    /// Whether the padding counts as pixels of value 0, as PyTorch's `count_include_pad`. Padding `same` never counts.
    #[serde(default = "yes")]
    count_padding: bool,
}

impl Module for MaxPool {
    const NAME: &'static str = "max_pool";
    const EXAMPLE: &'static str = "pool: { max_pool: { kernel: 3, stride: 2, padding: 1 } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let [h, w, _] = site.image()?;
        let kernel = self.kernel.get();
        let stride = self.stride.unwrap_or(self.kernel).get();
        let mut padding = self.padding.resolve([h, w], kernel, stride, [1, 1]);
        if self.ceil {
            padding.bottom += overhang(h, padding.top, padding.bottom, kernel[0], stride[0]);
            padding.right += overhang(w, padding.left, padding.right, kernel[1], stride[1]);
        }
        let op = ops::MaxPool2d {
            kernel,
            stride,
            padding,
            activation: ops::Activation::None,
        };
        let input = site.input();
        Ok(vec![site.add(op, &[input])?])
    }
}

/// Pixels to add so that a last window that starts inside the image, or in the padding before it, is whole.
///
/// Source: `pooling_output_shape` in PyTorch's `Pool.h`.
fn overhang(size: usize, before: usize, after: usize, kernel: usize, stride: usize) -> usize {
    let padded = size.saturating_add(before).saturating_add(after);
    let Some(room) = padded.checked_sub(kernel).filter(|_| stride > 0) else {
        return 0;
    };
    let windows = room.div_ceil(stride);
    if windows * stride >= size + before {
        return 0;
    }
    (windows * stride + kernel).saturating_sub(padded)
}

impl Module for AvgPool {
    const NAME: &'static str = "avg_pool";
    const EXAMPLE: &'static str = "pool: { avg_pool: { kernel: 2 } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let [h, w, _] = site.image()?;
        let kernel = self.kernel.get();
        let stride = self.stride.unwrap_or(self.kernel).get();
        let mut padding = self.padding.resolve([h, w], kernel, stride, [1, 1]);
        let mut input = site.input();
        if self.count_padding && padding != Padding::NONE && !matches!(self.padding, Pad::Named(_)) {
            let op = ops::Pad {
                before: vec![0, padding.top, padding.left, 0],
                after: vec![0, padding.bottom, padding.right, 0],
                mode: ops::PadMode::Zero,
            };
            input = site.part("pad", op, &[input])?;
            padding = Padding::NONE;
        }
        let op = ops::AveragePool2d {
            kernel,
            stride,
            padding,
            activation: ops::Activation::None,
        };
        Ok(vec![site.add(op, &[input])?])
    }
}

#[cfg(test)]
mod tests {
    use super::overhang;

    #[test]
    fn a_last_window_counts_only_if_it_starts_inside() {
        assert_eq!(overhang(109, 0, 0, 3, 2), 0, "109 = 54 · 2 + 1");
        assert_eq!(overhang(54, 0, 0, 3, 2), 1);
        assert_eq!(overhang(4, 0, 0, 2, 3), 1);
        assert_eq!(overhang(3, 0, 0, 1, 3), 0, "the next window would start outside");
        assert_eq!(overhang(2, 0, 0, 3, 2), 0, "refused by the operator");
    }
}

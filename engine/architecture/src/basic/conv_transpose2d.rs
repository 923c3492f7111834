//! `conv_transpose2d`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use super::sizes::{Pad, Pair, none, one, yes};
use crate::builder::{Outcome, Role, Site};

/// Transposed 2-D convolution, which enlarges an image. Weights `weight` `[in, out, rows, columns]` and `bias` `[out]`, as PyTorch's
/// `ConvTranspose2d` with one group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConvTranspose2d {
    /// Output channels.
    #[schemars(range(min = 1))]
    out: usize,
    /// Rows and columns of the kernel.
    kernel: Pair,
    /// Output rows and columns from one input pixel to the next.
    #[serde(default = "one")]
    stride: Pair,
    /// Output rows and columns cut off on each side.
    #[serde(default = "none")]
    padding: Pad,
    /// Output rows and columns added at the bottom and right.
    #[serde(default = "zero")]
    output_padding: Pair,
    /// Whether a trained value is added to every output channel.
    #[serde(default = "yes")]
    bias: bool,
}

fn zero() -> Pair {
    Pair::Both(0)
}

impl Module for ConvTranspose2d {
    const NAME: &'static str = "conv_transpose2d";
    const EXAMPLE: &'static str = "up: { conv_transpose2d: { out: 16, kernel: 2, stride: 2 } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let [height, width, channels] = site.image()?;
        let (kernel, stride) = (self.kernel.get(), self.stride.get());
        let padding = self.padding.resolve([height, width], kernel, stride, [1, 1]);
        let shape = [channels, self.out, kernel[0], kernel[1]];
        // IOHW of the file, OHWI of the graph.
        let mut inputs = vec![site.input(), site.weight("weight", &shape, &[1, 2, 3, 0])?];
        if self.bias {
            inputs.push(site.vector("bias", self.out, Role::Trained, 0.0)?);
        }
        let op = ops::TransposeConv2d {
            stride,
            padding,
            output_padding: self.output_padding.get(),
            activation: ops::Activation::None,
        };
        Ok(vec![site.add(op, &inputs)?])
    }
}

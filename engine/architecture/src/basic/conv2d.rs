//! `conv2d`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use super::sizes::{Pad, Pair, none, one, yes};
use crate::builder::{Outcome, Refusal, Role, Site};

/// 2-D convolution. Weights `weight` `[out, in/groups, rows, columns]` and `bias` `[out]`, as PyTorch's `Conv2d`. With as many groups
/// as input channels it is a depthwise convolution.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Conv2d {
    /// Output channels.
    #[schemars(range(min = 1))]
    out: usize,
    /// Rows and columns of the kernel.
    #[serde(default = "one")]
    kernel: Pair,
    /// Rows and columns from one window to the next.
    #[serde(default = "one")]
    stride: Pair,
    /// Zeros around the image.
    #[serde(default = "none")]
    padding: Pad,
    /// Rows and columns from one element of the kernel to the next.
    #[serde(default = "one")]
    dilation: Pair,
    /// Input and output channels fall into this many independent groups.
    #[serde(default = "single")]
    #[schemars(range(min = 1))]
    groups: usize,
    /// Whether a trained value is added to every output channel.
    #[serde(default = "yes")]
    bias: bool,
}

fn single() -> usize {
    1
}

impl Module for Conv2d {
    const NAME: &'static str = "conv2d";
    const EXAMPLE: &'static str = "conv: { conv2d: { out: 16, kernel: 3, stride: 2, padding: 1, bias: false } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let [height, width, channels] = site.image()?;
        let (kernel, stride, dilation) = (self.kernel.get(), self.stride.get(), self.dilation.get());
        if !channels.is_multiple_of(self.groups) || !self.out.is_multiple_of(self.groups) {
            let problem = format!(
                "{channels} input and {} output channels do not fall into {} groups",
                self.out, self.groups
            );
            return Err(Refusal::new(problem));
        }
        let padding = self.padding.resolve([height, width], kernel, stride, dilation);
        let shape = [self.out, channels / self.groups, kernel[0], kernel[1]];
        let depthwise = self.groups == channels && self.groups > 1;
        // OIHW of the file; in the graph OHWI, or 1HWO of a depthwise convolution, whose I is 1.
        let axes = if depthwise { [1, 2, 3, 0] } else { [0, 2, 3, 1] };
        let mut inputs = vec![site.input(), site.weight("weight", &shape, &axes)?];
        if self.bias {
            inputs.push(site.vector("bias", self.out, Role::Trained, 0.0)?);
        }
        let output = if depthwise {
            let op = ops::DepthwiseConv2d {
                stride,
                dilation,
                padding,
                ..ops::DepthwiseConv2d::default()
            };
            site.add(op, &inputs)?
        } else {
            let op = ops::Conv2d {
                stride,
                dilation,
                padding,
                groups: self.groups,
                ..ops::Conv2d::default()
            };
            site.add(op, &inputs)?
        };
        Ok(vec![output])
    }
}

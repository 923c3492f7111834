//! Depthwise 2-D convolution.

use serde::{Deserialize, Serialize};

use super::window::{self, Activation, Padding, ones};
use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity, bias, nhwc, shape_error};
use crate::{InferError, TensorType};

/// Each input channel convolved alone: output channel `i·multiplier + m` sees input channel `i` only.
///
/// Inputs: activations `[N,H,W,I]`, weights `[1,kh,kw,I·multiplier]`, optional bias `[I·multiplier]`.
/// The multiplier is what the shapes say. Specification: TFLite `DEPTHWISE_CONV_2D`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthwiseConv2d {
    /// Rows and columns from one window to the next.
    #[serde(default = "ones")]
    pub stride: [usize; 2],
    /// Rows and columns from one kernel element to the next.
    #[serde(default = "ones")]
    pub dilation: [usize; 2],
    /// Zeros around the input.
    #[serde(default)]
    pub padding: Padding,
    /// Clamp of the output.
    #[serde(default, skip_serializing_if = "Activation::is_none")]
    pub activation: Activation,
}

impl Default for DepthwiseConv2d {
    fn default() -> Self {
        DepthwiseConv2d {
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::NONE,
            activation: Activation::None,
        }
    }
}

impl Operator for DepthwiseConv2d {
    const NAME: &'static str = "depthwise_conv2d";
    const READS: Reads = Reads::Stated;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 2..=3, "activations, weights and an optional bias")?;
        let [n, h, w, c] = nhwc("input", inputs[0])?;
        let fits = |&[one, _, _, o]: &[usize; 4]| one == 1 && c > 0 && o % c == 0;
        let [_, kh, kw, o] = inputs[1].shape.nhwc().filter(fits).ok_or_else(|| {
            shape_error(
                "weights",
                format!("[1,kh,kw,O] with O a multiple of the {c} input channels"),
                inputs[1],
            )
        })?;
        bias(inputs, o)?;
        let [oh, ow] = window::output([h, w], [kh, kw], self.stride, self.dilation, self.padding)?;
        Ok(vec![TensorType::new(inputs[0].element, [n, oh, ow, o])])
    }

    fn macs(&self, inputs: &[&TensorType], output: &TensorType) -> u64 {
        let window = inputs
            .get(1)
            .and_then(|w| w.shape.nhwc())
            .map_or(0, |[_, kh, kw, _]| kh * kw);
        (output.shape.elements() * window) as u64
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        Some(&mut self.activation)
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::both(IntegerRule::Weighted { axis: 3 })
    }

    fn examples() -> Vec<Example> {
        let same = Padding::same([5, 6], [3, 3], [2, 2], [1, 1]);
        vec![
            Example::new(
                DepthwiseConv2d {
                    padding: Padding::all(1),
                    ..DepthwiseConv2d::default()
                },
                &[&[1, 4, 4, 3]],
                &[&[1, 3, 3, 3], &[3]],
            ),
            Example::new(
                DepthwiseConv2d {
                    stride: [2, 2],
                    padding: same,
                    activation: Activation::Relu6,
                    ..DepthwiseConv2d::default()
                },
                &[&[1, 5, 6, 2]],
                &[&[1, 3, 3, 4], &[4]],
            ),
            Example::new(
                DepthwiseConv2d {
                    dilation: [2, 2],
                    ..DepthwiseConv2d::default()
                },
                &[&[1, 7, 7, 2]],
                &[&[1, 3, 3, 2], &[2]],
            ),
        ]
    }
}

//! Transposed 2-D convolution.

use serde::{Deserialize, Serialize};

use super::window::{Activation, Padding, ones};
use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity, bias, nhwc, shape_error};
use crate::{InferError, TensorType};

/// The gradient of a convolution used as an operator: input pixel `(y, x)` adds `in · weights[o, ky, kx, :]` to output pixel
/// `(y·stride + ky − top, x·stride + kx − left)`.
///
/// Inputs: activations `[N,H,W,I]`, weights `[O,kh,kw,I]`, optional bias `[O]`. Output rows:
/// `(H − 1)·stride + kh − top − bottom + output_padding`. Specification: TFLite `TRANSPOSE_CONV`, ONNX `ConvTranspose`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransposeConv2d {
    /// Output rows and columns from one input pixel to the next.
    #[serde(default = "ones")]
    pub stride: [usize; 2],
    /// Output rows and columns cut off on each side.
    #[serde(default)]
    pub padding: Padding,
    /// Output rows and columns added at the bottom and right.
    #[serde(default)]
    pub output_padding: [usize; 2],
    /// Clamp of the output.
    #[serde(default, skip_serializing_if = "Activation::is_none")]
    pub activation: Activation,
}

impl Operator for TransposeConv2d {
    const NAME: &'static str = "transpose_conv2d";
    const READS: Reads = Reads::Stated;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 2..=3, "activations, weights and an optional bias")?;
        let [n, h, w, c] = nhwc("input", inputs[0])?;
        let fits = |&[_, kh, kw, i]: &[usize; 4]| i == c && kh > 0 && kw > 0;
        let [o, kh, kw, _] = inputs[1]
            .shape
            .nhwc()
            .filter(fits)
            .ok_or_else(|| shape_error("weights", format!("[O,kh,kw,{c}]"), inputs[1]))?;
        bias(inputs, o)?;
        let cut = self.padding.totals();
        let extent = |input: usize, kernel: usize, i: usize| {
            let full = input
                .saturating_sub(1)
                .saturating_mul(self.stride[i])
                .saturating_add(kernel)
                .saturating_add(self.output_padding[i]);
            full.checked_sub(cut[i])
                .filter(|&e| e > 0 && input > 0)
                .ok_or_else(|| InferError::Attribute {
                    attribute: "padding",
                    problem: format!("cuts {} of {full} output pixels, nothing would remain", cut[i]),
                })
        };
        Ok(vec![TensorType::new(
            inputs[0].element,
            [n, extent(h, kh, 0)?, extent(w, kw, 1)?, o],
        )])
    }

    fn macs(&self, inputs: &[&TensorType], _output: &TensorType) -> u64 {
        let channels = inputs[0].shape.0.last().copied().unwrap_or(1).max(1);
        (inputs[0].shape.elements() / channels * inputs.get(1).map_or(0, |w| w.shape.elements())) as u64
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        Some(&mut self.activation)
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::both(IntegerRule::Weighted { axis: 0 })
    }

    fn examples() -> Vec<Example> {
        let plain = TransposeConv2d {
            stride: [2, 2],
            padding: Padding::NONE,
            output_padding: [0, 0],
            activation: Activation::None,
        };
        let same = TransposeConv2d {
            padding: Padding {
                top: 0,
                bottom: 1,
                left: 0,
                right: 1,
            },
            ..plain.clone()
        };
        vec![
            Example::new(plain, &[&[1, 3, 3, 2]], &[&[4, 2, 2, 2], &[4]]),
            Example::new(same, &[&[1, 4, 3, 2]], &[&[3, 3, 3, 2], &[3]]),
        ]
    }
}

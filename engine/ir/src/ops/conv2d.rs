//! 2-D convolution.

use serde::{Deserialize, Serialize};

use super::window::{self, Activation, Padding, ones};
use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity, bias, nhwc, shape_error};
use crate::{InferError, TensorType};

/// `out[y, x, o] = act(bias[o] + Σ in[y·stride + ky·dilation − top, x·stride + kx·dilation − left, i] · weights[o, ky, kx, i])`.
///
/// Inputs: activations `[N,H,W,I]`, weights `[O,kh,kw,I/groups]`, optional bias `[O]`. Output `[N,H',W',O]`.
/// Specification: ONNX `Conv`, TFLite `CONV_2D`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Rows and columns from one window to the next.
    #[serde(default = "ones")]
    pub stride: [usize; 2],
    /// Rows and columns from one kernel element to the next.
    #[serde(default = "ones")]
    pub dilation: [usize; 2],
    /// Zeros around the input.
    #[serde(default)]
    pub padding: Padding,
    /// Input and output channels fall into this many independent groups.
    #[serde(default = "one")]
    pub groups: usize,
    /// Clamp of the output.
    #[serde(default, skip_serializing_if = "Activation::is_none")]
    pub activation: Activation,
}

fn one() -> usize {
    1
}

impl Default for Conv2d {
    fn default() -> Self {
        Conv2d {
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::NONE,
            groups: 1,
            activation: Activation::None,
        }
    }
}

impl Operator for Conv2d {
    const NAME: &'static str = "conv2d";
    const READS: Reads = Reads::Stated;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 2..=3, "activations, weights and an optional bias")?;
        let [n, h, w, c] = nhwc("input", inputs[0])?;
        let [o, kh, kw, per_group] = inputs[1]
            .shape
            .nhwc()
            .ok_or_else(|| shape_error("weights", "[O,kh,kw,I/groups]", inputs[1]))?;
        if self.groups == 0 || per_group.checked_mul(self.groups) != Some(c) || o % self.groups != 0 {
            let expected = format!(
                "[O,kh,kw,{c}/{}] for {c} input channels in {} groups",
                self.groups, self.groups
            );
            return Err(shape_error("weights", expected, inputs[1]));
        }
        bias(inputs, o)?;
        let [oh, ow] = window::output([h, w], [kh, kw], self.stride, self.dilation, self.padding)?;
        Ok(vec![TensorType::new(inputs[0].element, [n, oh, ow, o])])
    }

    fn macs(&self, inputs: &[&TensorType], output: &TensorType) -> u64 {
        let window = inputs.get(1).map_or(0, |w| {
            w.shape.elements() / w.shape.0.first().copied().unwrap_or(1).max(1)
        });
        (output.shape.elements() * window) as u64
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        Some(&mut self.activation)
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::both(IntegerRule::Weighted { axis: 0 })
    }

    fn examples() -> Vec<Example> {
        let same = Padding::same([5, 6], [3, 3], [2, 2], [1, 1]);
        vec![
            Example::new(Conv2d::default(), &[&[1, 4, 4, 3]], &[&[2, 1, 1, 3], &[2]]),
            Example::new(
                Conv2d {
                    stride: [2, 2],
                    padding: same,
                    activation: Activation::Relu6,
                    ..Conv2d::default()
                },
                &[&[1, 5, 6, 3]],
                &[&[4, 3, 3, 3], &[4]],
            ),
            Example::new(
                Conv2d {
                    dilation: [2, 1],
                    padding: Padding::all(1),
                    ..Conv2d::default()
                },
                &[&[1, 7, 5, 2]],
                &[&[3, 3, 2, 2], &[3]],
            ),
            Example::new(
                Conv2d {
                    groups: 2,
                    activation: Activation::Relu,
                    ..Conv2d::default()
                },
                &[&[1, 3, 3, 4]],
                &[&[6, 2, 2, 2], &[6]],
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_other_channels_are_refused() {
        let e = Conv2d::default()
            .infer(&[&TensorType::f32([1, 4, 4, 3]), &TensorType::f32([8, 3, 3, 4])])
            .unwrap_err();
        insta::assert_snapshot!(e, @"weights is f32[8,3,3,4], expected [O,kh,kw,3/1] for 3 input channels in 1 groups");
    }

    #[test]
    fn macs_count_every_window() {
        let (x, w) = (TensorType::f32([1, 4, 4, 3]), TensorType::f32([8, 3, 3, 3]));
        let op = Conv2d {
            padding: Padding::all(1),
            ..Conv2d::default()
        };
        let out = op.infer(&[&x, &w]).unwrap().remove(0);
        assert_eq!(op.macs(&[&x, &w], &out), 4 * 4 * 8 * 27);
    }
}

//! Fully connected layer.

use serde::{Deserialize, Serialize};

use super::window::Activation;
use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity, bias, shape_error};
use crate::{InferError, TensorType};

/// `out[…, o] = act(bias[o] + Σ in[…, i] · weights[o, i])`, over the last dimension.
///
/// Inputs: activations `[…,I]`, weights `[O,I]`, optional bias `[O]`. Output `[…,O]`.
/// Specification: TFLite `FULLY_CONNECTED` (with `keep_num_dims`), ONNX `Gemm`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullyConnected {
    /// Clamp of the output.
    #[serde(default, skip_serializing_if = "Activation::is_none")]
    pub activation: Activation,
}

impl Operator for FullyConnected {
    const NAME: &'static str = "fully_connected";
    const READS: Reads = Reads::Stated;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 2..=3, "activations, weights and an optional bias")?;
        let features = inputs[0]
            .shape
            .0
            .last()
            .copied()
            .ok_or_else(|| shape_error("input", "[…,I]", inputs[0]))?;
        let [o, i] = inputs[1].shape.dims() else {
            return Err(shape_error("weights", format!("[O,{features}]"), inputs[1]));
        };
        if *i != features {
            return Err(shape_error("weights", format!("[O,{features}]"), inputs[1]));
        }
        bias(inputs, *o)?;
        let mut shape = inputs[0].shape.clone();
        if let Some(last) = shape.0.last_mut() {
            *last = *o;
        }
        Ok(vec![TensorType {
            element: inputs[0].element,
            shape,
        }])
    }

    fn macs(&self, inputs: &[&TensorType], output: &TensorType) -> u64 {
        (output.shape.elements() * inputs[0].shape.0.last().copied().unwrap_or(0)) as u64
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        Some(&mut self.activation)
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::both(IntegerRule::Weighted { axis: 0 })
    }

    fn examples() -> Vec<Example> {
        vec![
            Example::new(FullyConnected::default(), &[&[1, 5]], &[&[3, 5], &[3]]),
            Example::new(
                FullyConnected {
                    activation: Activation::Relu,
                },
                &[&[1, 7]],
                &[&[2, 7], &[2]],
            ),
        ]
    }
}

//! Batch normalization with fixed statistics.

use serde::{Deserialize, Serialize};

use super::integer::LOWER_FIRST;
use super::{Example, IntegerForms, Operator, Reads, arity, shape_error};
use crate::{InferError, TensorType};

/// `out[…, c] = (in[…, c] − mean[c]) · gamma[c] / √(variance[c] + epsilon) + beta[c]`, over the last dimension.
///
/// Inputs: activations `[…,C]`, then gamma, beta, mean and variance, each `[C]`. Folded into the convolution before it
/// wherever there is one. Source: Ioffe and Szegedy 2015; ONNX `BatchNormalization`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f32,
}

impl Operator for BatchNorm {
    const NAME: &'static str = "batch_norm";
    const READS: Reads = Reads::Stated;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 5..=5, "activations, gamma, beta, mean and variance")?;
        let channels = inputs[0]
            .shape
            .0
            .last()
            .copied()
            .ok_or_else(|| shape_error("input", "[…,C]", inputs[0]))?;
        match inputs[1..].iter().find(|t| t.shape.dims() != [channels]) {
            Some(t) => Err(shape_error("gamma, beta, mean or variance", format!("[{channels}]"), t)),
            None => Ok(vec![inputs[0].clone()]),
        }
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::none(LOWER_FIRST)
    }

    fn examples() -> Vec<Example> {
        vec![Example::new(
            BatchNorm { epsilon: 1e-3 },
            &[&[1, 3, 3, 4]],
            &[&[4], &[4], &[4], &[4]],
        )]
    }
}

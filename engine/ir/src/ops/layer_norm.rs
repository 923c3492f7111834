//! Layer normalization.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, Operator, Reads, arity, shape_error};
use crate::{InferError, TensorType};

/// `(x − mean) / √(variance + epsilon) · scale + bias`, mean and variance taken over the dimensions from `axis` on.
///
/// Inputs: activations, scale and optional bias, both of the shape of the normalized dimensions. The variance is the biased one.
/// Source: Ba et al. 2016; ONNX `LayerNormalization`. TFLite has no such operator: it is lowered to means and products.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    /// The first normalized dimension; the last one for a norm over channels or features.
    pub axis: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Operator for LayerNorm {
    const NAME: &'static str = "layer_norm";
    const READS: Reads = Reads::Stated;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 2..=3, "activations, scale and an optional bias")?;
        let normalized = inputs[0].shape.dims().get(self.axis..).filter(|dims| !dims.is_empty());
        let normalized = normalized.ok_or_else(|| InferError::Attribute {
            attribute: "axis",
            problem: format!("{} is not a dimension of {}", self.axis, inputs[0]),
        })?;
        match inputs[1..].iter().find(|t| t.shape.dims() != normalized) {
            Some(t) => Err(shape_error("scale or bias", crate::Shape::from(normalized), t)),
            None => Ok(vec![inputs[0].clone()]),
        }
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::none("its variance needs the range of floats")
    }

    fn examples() -> Vec<Example> {
        let over = |axis| LayerNorm { axis, epsilon: 1e-5 };
        vec![
            Example::new(over(2), &[&[1, 5, 24]], &[&[24], &[24]]),
            Example::new(over(1), &[&[1, 3, 4]], &[&[3, 4]]),
            Example::new(over(3), &[&[1, 2, 3, 6]], &[&[6], &[6]]),
        ]
    }
}

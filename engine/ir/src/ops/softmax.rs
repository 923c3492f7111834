//! Softmax.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, Operator, Reads, arity};
use crate::{InferError, TensorType};

/// `exp(beta·x[i]) / Σ exp(beta·x[j])` over the last dimension. Specification: TFLite `SOFTMAX`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softmax {
    /// Factor of the exponent.
    #[serde(default = "one")]
    pub beta: f32,
}

fn one() -> f32 {
    1.0
}

impl Default for Softmax {
    fn default() -> Self {
        Softmax { beta: 1.0 }
    }
}

impl Operator for Softmax {
    const NAME: &'static str = "softmax";
    const READS: Reads = Reads::Stated;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        Ok(vec![inputs[0].clone()])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::dictated(256.0, -128)
    }

    fn examples() -> Vec<Example> {
        vec![Example::new(Softmax::default(), &[&[1, 10]], &[])]
    }
}

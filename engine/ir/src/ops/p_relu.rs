//! The rectifier with a trained slope.

use serde::{Deserialize, Serialize};

use super::integer::ONLY_8_BITS;
use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity, shape_error};
use crate::{InferError, TensorType};

/// `x` where positive, `alpha·x` elsewhere, with a trained `alpha`.
///
/// Inputs: activations, alpha (broadcast against a sample's dimensions). Specification: TFLite `PRELU`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PRelu {}

impl Operator for PRelu {
    const NAME: &'static str = "p_relu";
    const READS: Reads = Reads::Broadcast;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 2..=2, "activations and alpha")?;
        match inputs[0].shape.broadcast(&inputs[1].shape) {
            Some(shape) if shape == inputs[0].shape => Ok(vec![inputs[0].clone()]),
            _ => Err(shape_error(
                "alpha",
                format!("a shape that broadcasts to {}", inputs[0].shape),
                inputs[1],
            )),
        }
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::only8(IntegerRule::Free, ONLY_8_BITS)
    }

    fn examples() -> Vec<Example> {
        vec![Example::new(PRelu {}, &[&[1, 3, 2, 5]], &[&[1, 1, 5]])]
    }
}

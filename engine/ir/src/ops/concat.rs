//! Concatenation.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity, shape_error};
use crate::{InferError, TensorType};

/// The inputs one after another along `axis`. Specification: TFLite `CONCATENATION`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// The dimension that grows.
    pub axis: usize,
}

impl Operator for Concat {
    const NAME: &'static str = "concat";
    const READS: Reads = Reads::Named;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=usize::MAX, "one tensor or more")?;
        let mut out = inputs[0].clone();
        if self.axis >= out.shape.rank() {
            return Err(InferError::Attribute {
                attribute: "axis",
                problem: format!("{} is not a dimension of {out}", self.axis),
            });
        }
        for ty in &inputs[1..] {
            let fits = ty.shape.rank() == out.shape.rank()
                && ty.element == out.element
                && (0..out.shape.rank()).all(|i| i == self.axis || ty.shape.0[i] == out.shape.0[i]);
            if !fits {
                return Err(shape_error(
                    "a further input",
                    format!("like {} but for dimension {}", inputs[0], self.axis),
                    ty,
                ));
            }
            out.shape.0[self.axis] = out.shape.0[self.axis].saturating_add(ty.shape.0[self.axis]);
        }
        Ok(vec![out])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::both(IntegerRule::Same)
    }

    fn examples() -> Vec<Example> {
        vec![
            Example::new(Concat { axis: 3 }, &[&[1, 3, 3, 4], &[1, 3, 3, 2]], &[]),
            Example::new(Concat { axis: 1 }, &[&[1, 3, 4], &[1, 2, 4], &[1, 1, 4]], &[]),
        ]
    }
}

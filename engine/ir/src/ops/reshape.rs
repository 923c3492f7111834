//! Reshape; also flatten and squeeze.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity};
use crate::{InferError, Shape, TensorType};

/// The same elements in the same row-major order under other dimensions. Specification: TFLite `RESHAPE`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The new dimensions, the sample dimension (1) first.
    pub shape: Vec<usize>,
}

impl Operator for Reshape {
    const NAME: &'static str = "reshape";
    const READS: Reads = Reads::Moved;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        let shape = Shape(self.shape.clone());
        if shape.elements() != inputs[0].shape.elements() {
            let problem = format!(
                "{shape} has {} elements, but {} has {}",
                shape.elements(),
                inputs[0],
                inputs[0].shape.elements()
            );
            return Err(InferError::Attribute {
                attribute: "shape",
                problem,
            });
        }
        Ok(vec![TensorType {
            element: inputs[0].element,
            shape,
        }])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::both(IntegerRule::Same)
    }

    fn examples() -> Vec<Example> {
        vec![Example::new(Reshape { shape: vec![1, 18] }, &[&[1, 3, 3, 2]], &[])]
    }
}

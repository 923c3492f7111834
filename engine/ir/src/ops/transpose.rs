//! Transpose.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity};
use crate::{InferError, Shape, TensorType};

/// Dimension `i` of the output is dimension `perm[i]` of the input. Specification: TFLite `TRANSPOSE`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transpose {
    /// A permutation of the dimensions.
    pub perm: Vec<usize>,
}

impl Operator for Transpose {
    const NAME: &'static str = "transpose";
    const READS: Reads = Reads::Moved;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        let mut sorted = self.perm.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..inputs[0].shape.rank()) {
            let problem = format!(
                "{:?} is not a permutation of the dimensions of {}",
                self.perm, inputs[0]
            );
            return Err(InferError::Attribute {
                attribute: "perm",
                problem,
            });
        }
        let shape = self.perm.iter().map(|&p| inputs[0].shape.0[p]).collect();
        Ok(vec![TensorType {
            element: inputs[0].element,
            shape: Shape(shape),
        }])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::both(IntegerRule::Same)
    }

    fn examples() -> Vec<Example> {
        vec![Example::new(
            Transpose { perm: vec![0, 3, 1, 2] },
            &[&[1, 3, 4, 2]],
            &[],
        )]
    }
}

//! Split into equal parts.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity};
use crate::{InferError, TensorType};

/// `parts` equal pieces along `axis`, one output each. Specification: TFLite `SPLIT`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The dimension that is cut.
    pub axis: usize,
    /// How many pieces.
    pub parts: usize,
}

impl Operator for Split {
    const NAME: &'static str = "split";
    const READS: Reads = Reads::Named;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        let mut part = inputs[0].clone();
        match part.shape.0.get_mut(self.axis) {
            Some(d) if self.parts > 0 && *d % self.parts == 0 => *d /= self.parts,
            _ => {
                let problem = format!(
                    "{} equal parts along dimension {} of {}",
                    self.parts, self.axis, inputs[0]
                );
                return Err(InferError::Attribute {
                    attribute: "parts",
                    problem: format!("cannot cut {problem}"),
                });
            }
        }
        Ok(vec![part; self.parts])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::both(IntegerRule::Same)
    }

    fn examples() -> Vec<Example> {
        vec![Example::new(Split { axis: 3, parts: 2 }, &[&[1, 3, 3, 4]], &[])]
    }
}

//! A choice between two tensors, element by element.

use serde::{Deserialize, Serialize};

use super::integer::FLOATS_ONLY;
use super::{Example, IntegerForms, Operator, Reads, arity, shape_error};
use crate::{InferError, TensorType};

/// `a` where the condition is not 0, else `b`, all three broadcast; what is not chosen has no effect, even if it is infinite or no number.
///
/// Float only. Specification: TFLite `SELECT_V2`, ONNX `Where`, both of truth values.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Select {}

impl Operator for Select {
    const NAME: &'static str = "select";
    const READS: Reads = Reads::Stated;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 3..=3, "a condition and two tensors")?;
        let wrong = |i: usize| {
            let expected = format!("a shape that broadcasts with {} before it", inputs[0].shape);
            shape_error("input", expected, inputs[i])
        };
        let shape = inputs[0].shape.broadcast(&inputs[1].shape).ok_or_else(|| wrong(1))?;
        let shape = shape.broadcast(&inputs[2].shape).ok_or_else(|| wrong(2))?;
        Ok(vec![TensorType {
            element: inputs[1].element,
            shape,
        }])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::none(FLOATS_ONLY)
    }

    fn examples() -> Vec<Example> {
        vec![
            Example::new(Select {}, &[&[1, 3, 4], &[1, 3, 4], &[1, 3, 4]], &[]),
            Example::new(Select {}, &[&[1, 3, 1], &[1, 1, 4], &[1, 1, 1]], &[]),
            Example::new(Select {}, &[&[1, 3, 4]], &[&[4], &[1]]),
        ]
    }
}

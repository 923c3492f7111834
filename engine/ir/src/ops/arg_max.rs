//! Where the greatest element is: the class of each pixel, or of the whole.

use serde::{Deserialize, Serialize};

use super::quantize::element;
use super::{Example, IntegerForms, Operator, Reads, arity};
use crate::{ElementType, InferError, TensorType};

/// The place of the greatest element along `axis`, counted from 0; of several the first. The dimension disappears.
///
/// Stored integers of one scale come in the order of what they stand for, so that quantized values are compared as they are.
/// Specification: TFLite `ARG_MAX`, ONNX `ArgMax` without `select_last_index`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgMax {
    /// The dimension that disappears.
    pub axis: usize,
    /// The type of the places: `i64` or `i32`.
    #[serde(with = "element")]
    pub to: ElementType,
}

impl Operator for ArgMax {
    const NAME: &'static str = "arg_max";
    const READS: Reads = Reads::Combined;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        if !matches!(self.to, ElementType::I32 | ElementType::I64) {
            return Err(InferError::Attribute {
                attribute: "to",
                problem: format!("{} is not i64 or i32", self.to),
            });
        }
        let mut dims = inputs[0].shape.0.clone();
        if dims.get(self.axis).is_none_or(|&extent| extent == 0) {
            return Err(InferError::Attribute {
                attribute: "axis",
                problem: format!("{} is no dimension of {} with an element", self.axis, inputs[0]),
            });
        }
        dims.remove(self.axis);
        Ok(vec![TensorType::new(self.to, dims)])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::none("its integers mean themselves")
    }

    fn examples() -> Vec<Example> {
        let example = |axis, to, input: &[usize]| Example::new(ArgMax { axis, to }, &[input], &[]);
        vec![
            example(1, ElementType::I64, &[1, 7]),
            example(3, ElementType::I32, &[1, 3, 2, 5]),
            example(1, ElementType::I64, &[1, 4, 3]),
        ]
    }
}

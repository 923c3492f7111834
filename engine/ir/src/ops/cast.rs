//! Conversion of numbers from one type to another.

use serde::{Deserialize, Serialize};

use super::quantize::element;
use super::{Example, IntegerForms, Operator, Reads, arity};
use crate::{ElementType, InferError, TensorType};

/// The same number in another type: a float that becomes an integer loses its fraction, and what lies outside the type becomes its nearest end.
///
/// The integers mean themselves, not steps of a scale: see [`super::Quantize`]. Specification: TFLite `CAST`, ONNX `Cast`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    /// `f32`, `i64`, `i32`, `i16`, `i8` or `u8`.
    #[serde(with = "element")]
    pub to: ElementType,
}

impl Operator for Cast {
    const NAME: &'static str = "cast";
    const READS: Reads = Reads::Place;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        match self.to {
            ElementType::F32
            | ElementType::I64
            | ElementType::I32
            | ElementType::I16
            | ElementType::I8
            | ElementType::U8 => Ok(vec![inputs[0].with_element(self.to)]),
            ElementType::F16 | ElementType::Bool => Err(InferError::Attribute {
                attribute: "to",
                problem: format!("{} is not f32, i64, i32, i16, i8 or u8", self.to),
            }),
        }
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::none("its integers mean themselves")
    }

    fn examples() -> Vec<Example> {
        let from = |element| Example {
            op: Cast { to: ElementType::F32 }.into(),
            activations: vec![TensorType::new(element, [1, 3, 2])],
            constants: vec![],
        };
        vec![
            Example::new(Cast { to: ElementType::I32 }, &[&[1, 7]], &[]),
            from(ElementType::I32),
        ]
    }
}

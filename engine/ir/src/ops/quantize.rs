//! The borders between float and integer arithmetic.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, Operator, Reads, arity};
use crate::{ElementType, InferError, TensorType};

/// Real numbers to stored integers (`round(x / scale) + zero point`), or from one quantization to another.
///
/// The output tensor's quantization says how. Specification: TFLite `QUANTIZE`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantize {
    /// `i8`, `u8` or `i16`.
    #[serde(with = "element")]
    pub to: ElementType,
}

impl Operator for Quantize {
    const NAME: &'static str = "quantize";
    const READS: Reads = Reads::Place;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        if self.to.quantized_range().is_none() {
            return Err(InferError::Attribute {
                attribute: "to",
                problem: format!("{} is not i8, u8 or i16", self.to),
            });
        }
        Ok(vec![inputs[0].with_element(self.to)])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::none("it is a border between float and integer already")
    }

    fn examples() -> Vec<Example> {
        vec![Example::new(Quantize { to: ElementType::I8 }, &[&[1, 3, 3, 2]], &[])]
    }
}

/// Stored integers (or half-precision numbers) to 32-bit real numbers. Specification: TFLite `DEQUANTIZE`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dequantize {}

impl Operator for Dequantize {
    const NAME: &'static str = "dequantize";
    const READS: Reads = Reads::Place;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        Ok(vec![inputs[0].with_element(ElementType::F32)])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::none("it is a border between float and integer already")
    }

    fn examples() -> Vec<Example> {
        let stored = TensorType::new(ElementType::I8, [1, 3, 3, 2]);
        vec![Example {
            op: Dequantize {}.into(),
            activations: vec![stored],
            constants: vec![],
        }]
    }
}

/// Element types by their text names.
pub(super) mod element {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::ElementType;

    pub fn serialize<S: Serializer>(element: &ElementType, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(element)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<ElementType, D::Error> {
        let name = String::deserialize(d)?;
        let found = ElementType::NAMES.iter().find(|(_, n)| *n == name);
        found
            .map(|(t, _)| *t)
            .ok_or_else(|| serde::de::Error::custom(format!("`{name}` is not an element type such as i8")))
    }
}

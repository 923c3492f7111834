//! Operators that this program does not know.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, Operator, Reads};
use crate::{InferError, TensorType};

/// An unknown operator, carried from a format to one that can hold it, and refused by name where it would have to be executed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custom {
    /// Where the operator is defined: `tflite`, an ONNX domain.
    pub domain: String,
    /// Its name there.
    pub name: String,
    /// Its attributes as the format stores them.
    #[serde(default)]
    pub attributes: Vec<u8>,
    /// The declared types of its outputs, since nothing can infer them.
    pub outputs: Vec<String>,
}

impl Operator for Custom {
    const NAME: &'static str = "custom";
    const READS: Reads = Reads::Stated;

    fn infer(&self, _inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        let parse = |text: &String| {
            text.parse().map_err(|problem| InferError::Attribute {
                attribute: "outputs",
                problem,
            })
        };
        self.outputs.iter().map(parse).collect()
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::none("an operator of unknown meaning")
    }

    fn examples() -> Vec<Example> {
        let op = Custom {
            domain: "tflite".into(),
            name: "Mystery".into(),
            attributes: vec![1, 2],
            outputs: vec!["f32[1,4]".into()],
        };
        vec![Example::new(op, &[&[1, 8]], &[])]
    }
}

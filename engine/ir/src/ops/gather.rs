//! Picking slices by index: embeddings, class tokens, permuted channels.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity, shape_error};
use crate::{ElementType, InferError, Shape, TensorType};

/// `out[…, i…, …] = in[…, indices[i…], …]` along `axis`.
///
/// Inputs: values and indices (`i32` or `i64`), either constant or computed. Output: the values' dimensions with
/// `axis` replaced by the dimensions of the indices, none for a single index. Indices count from 0; what lies outside is
/// taken as the nearest index that there is. Specification: TFLite `GATHER`, ONNX `Gather`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gather {
    /// The dimension that is indexed.
    pub axis: usize,
}

impl Operator for Gather {
    const NAME: &'static str = "gather";
    const READS: Reads = Reads::Moved;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 2..=2, "values and indices")?;
        let (values, indices) = (inputs[0], inputs[1]);
        if !matches!(indices.element, ElementType::I32 | ElementType::I64) {
            return Err(shape_error("indices", "i32 or i64 elements", indices));
        }
        let dims = values.shape.dims();
        if dims.get(self.axis).is_none_or(|&extent| extent == 0) {
            return Err(InferError::Attribute {
                attribute: "axis",
                problem: format!("{} is not a dimension of {values} with an element to pick", self.axis),
            });
        }
        let shape = [&dims[..self.axis], indices.shape.dims(), &dims[self.axis + 1..]].concat();
        Ok(vec![TensorType {
            element: values.element,
            shape: Shape(shape),
        }])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::both(IntegerRule::Same)
    }

    fn examples() -> Vec<Example> {
        let indices = |dims: &[usize]| TensorType::new(ElementType::I32, dims);
        let example = |axis, activations, constants| Example {
            op: Gather { axis }.into(),
            activations,
            constants,
        };
        vec![
            example(3, vec![TensorType::f32([1, 3, 2, 4])], vec![indices(&[5])]),
            example(1, vec![TensorType::f32([1, 4, 3])], vec![indices(&[])]),
            example(2, vec![TensorType::f32([1, 6, 3]), indices(&[1, 4])], vec![]),
            example(1, vec![TensorType::f32([1, 5, 2]), indices(&[1, 3, 2])], vec![]),
        ]
    }
}

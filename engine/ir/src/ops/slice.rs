//! Strided slice.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity};
use crate::{InferError, Shape, TensorType};

/// `in[begin[0]..end[0] by stride[0], …]`. Specification: TFLite `STRIDED_SLICE` with plain bounds; cropping is a slice too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// First index along each dimension.
    pub begin: Vec<usize>,
    /// One past the last index along each dimension.
    pub end: Vec<usize>,
    /// Step along each dimension.
    pub stride: Vec<usize>,
}

impl Operator for Slice {
    const NAME: &'static str = "slice";
    const READS: Reads = Reads::Named;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        let dims = inputs[0].shape.dims();
        let fits = [&self.begin, &self.end, &self.stride]
            .iter()
            .all(|v| v.len() == dims.len())
            && (0..dims.len()).all(|i| self.begin[i] < self.end[i] && self.end[i] <= dims[i] && self.stride[i] > 0);
        if !fits {
            let problem = format!(
                "{:?} to {:?} by {:?} is not inside {}",
                self.begin, self.end, self.stride, inputs[0]
            );
            return Err(InferError::Attribute {
                attribute: "begin",
                problem,
            });
        }
        let shape = (0..dims.len())
            .map(|i| (self.end[i] - self.begin[i]).div_ceil(self.stride[i]))
            .collect();
        Ok(vec![TensorType {
            element: inputs[0].element,
            shape: Shape(shape),
        }])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::both(IntegerRule::Same)
    }

    fn examples() -> Vec<Example> {
        let whole = vec![1; 4];
        vec![
            Example::new(
                Slice {
                    begin: vec![0, 1, 1, 0],
                    end: vec![1, 3, 4, 2],
                    stride: whole,
                },
                &[&[1, 4, 4, 2]],
                &[],
            ),
            Example::new(
                Slice {
                    begin: vec![0, 0, 1, 0],
                    end: vec![1, 4, 4, 2],
                    stride: vec![1, 2, 2, 1],
                },
                &[&[1, 4, 4, 2]],
                &[],
            ),
        ]
    }
}

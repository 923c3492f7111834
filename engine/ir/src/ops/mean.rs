//! Mean over dimensions; global average pooling.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Example, Operator, arity};
use crate::{InferError, Shape, TensorType};

/// The mean over `axes`. Global average pooling is the mean over `[1, 2]`. Specification: TFLite `MEAN`, ONNX `ReduceMean`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    /// The dimensions that disappear, ascending.
    pub axes: Vec<usize>,
    /// Keep them with extent 1.
    #[serde(default)]
    pub keep_dims: bool,
}

impl Operator for Mean {
    const NAME: &'static str = "mean";

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        let rank = inputs[0].shape.rank();
        if self.axes.iter().any(|&a| a >= rank) || !self.axes.is_sorted_by(|a, b| a < b) {
            let problem = format!("{:?} are not ascending dimensions of {}", self.axes, inputs[0]);
            return Err(InferError::Attribute {
                attribute: "axes",
                problem,
            });
        }
        let dims = inputs[0]
            .shape
            .0
            .iter()
            .enumerate()
            .filter_map(|(i, &d)| match self.axes.contains(&i) {
                false => Some(d),
                true if self.keep_dims => Some(1),
                true => None,
            });
        Ok(vec![TensorType {
            element: inputs[0].element,
            shape: Shape(dims.collect()),
        }])
    }

    fn examples() -> Vec<Example> {
        vec![
            Example::new(
                Mean {
                    axes: vec![1, 2],
                    keep_dims: false,
                },
                &[&[1, 4, 4, 3]],
                &[],
            ),
            Example::new(
                Mean {
                    axes: vec![1, 2],
                    keep_dims: true,
                },
                &[&[1, 7, 5, 6]],
                &[],
            ),
        ]
    }
}

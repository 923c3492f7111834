//! Reductions over dimensions: mean (global average pooling), sum, greatest and least element.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity};
use crate::{InferError, Shape, TensorType};

/// Declares a reduction: the dimensions in `axes` disappear, or stay with extent 1.
macro_rules! reduction {
    ($(#[$doc:meta])* $name:ident $text:literal; $integer:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The dimensions that disappear, ascending.
            pub axes: Vec<usize>,
            /// Keep them with extent 1.
            #[serde(default)]
            pub keep_dims: bool,
        }

        impl Operator for $name {
            const NAME: &'static str = $text;
            const READS: Reads = Reads::Combined;

            fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
                arity(inputs, 1..=1, "one tensor")?;
                Ok(vec![reduced(inputs[0], &self.axes, self.keep_dims)?])
            }

            fn integer(&self) -> IntegerForms {
                $integer
            }

            fn examples() -> Vec<Example> {
                let example = |axes: &[usize], keep_dims, input: &[usize]| {
                    Example::new($name { axes: axes.to_vec(), keep_dims }, &[input], &[])
                };
                vec![
                    example(&[1, 2], false, &[1, 4, 4, 3]),
                    example(&[1, 2], true, &[1, 7, 5, 6]),
                    example(&[2], true, &[1, 3, 5]),
                    example(&[1, 3], false, &[1, 2, 3, 4]),
                ]
            }
        }
    };
}

reduction! {
    /// The mean over `axes`. Global average pooling is the mean over `[1, 2]`. Specification: TFLite `MEAN`, ONNX `ReduceMean`.
    Mean "mean"; IntegerForms::both(IntegerRule::Free)
}
reduction! {
    /// The sum over `axes`. Specification: TFLite `SUM`, ONNX `ReduceSum`.
    ReduceSum "reduce_sum"; IntegerForms::none("sums are computed in floats only; a mean has an integer form")
}
reduction! {
    /// The greatest element over `axes`. Specification: TFLite `REDUCE_MAX`, ONNX `ReduceMax`.
    ReduceMax "reduce_max"; IntegerForms::both(IntegerRule::Same)
}
reduction! {
    /// The least element over `axes`. Specification: TFLite `REDUCE_MIN`, ONNX `ReduceMin`.
    ReduceMin "reduce_min"; IntegerForms::both(IntegerRule::Same)
}

fn reduced(input: &TensorType, axes: &[usize], keep_dims: bool) -> Result<TensorType, InferError> {
    let rank = input.shape.rank();
    if axes.iter().any(|&a| a >= rank) || !axes.is_sorted_by(|a, b| a < b) {
        return Err(InferError::Attribute {
            attribute: "axes",
            problem: format!("{axes:?} are not ascending dimensions of {input}"),
        });
    }
    let dims = input.shape.0.iter().enumerate();
    let dims = dims.filter_map(|(i, &d)| match axes.contains(&i) {
        false => Some(d),
        true if keep_dims => Some(1),
        true => None,
    });
    Ok(TensorType {
        element: input.element,
        shape: Shape(dims.collect()),
    })
}

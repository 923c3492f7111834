//! Max and average pooling.

use serde::{Deserialize, Serialize};

use super::window::{self, Activation, Padding};
use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity, nhwc};
use crate::{InferError, TensorType};

macro_rules! pool {
    ($(#[$doc:meta])* $name:ident $text:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Rows and columns of the window.
            pub kernel: [usize; 2],
            /// Rows and columns from one window to the next.
            pub stride: [usize; 2],
            /// Pixels around the input; they take no part in the result.
            #[serde(default)]
            pub padding: Padding,
            /// Clamp of the output.
            #[serde(default, skip_serializing_if = "Activation::is_none")]
            pub activation: Activation,
        }

        impl Operator for $name {
            const NAME: &'static str = $text;
            const READS: Reads = Reads::Stated;

            fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
                arity(inputs, 1..=1, "one tensor")?;
                let [n, h, w, c] = nhwc("input", inputs[0])?;
                let [oh, ow] = window::output([h, w], self.kernel, self.stride, [1, 1], self.padding)?;
                Ok(vec![TensorType::new(inputs[0].element, [n, oh, ow, c])])
            }

            fn fused_mut(&mut self) -> Option<&mut Activation> {
                Some(&mut self.activation)
            }

            fn integer(&self) -> IntegerForms {
                IntegerForms::both(IntegerRule::Same)
            }

            fn examples() -> Vec<Example> {
                let same = Padding::same([5, 5], [3, 3], [2, 2], [1, 1]);
                let valid = $name { kernel: [2, 2], stride: [2, 2], padding: Padding::NONE, activation: Activation::None };
                vec![
                    Example::new($name { kernel: [3, 3], padding: same, ..valid.clone() }, &[&[1, 5, 5, 3]], &[]),
                    Example::new(valid, &[&[1, 4, 4, 3]], &[]),
                ]
            }
        }
    };
}

pool! {
    /// The greatest value of each window. Specification: TFLite `MAX_POOL_2D`.
    MaxPool2d "max_pool2d"
}
pool! {
    /// The mean of each window's pixels inside the image (padding is not counted). Specification: TFLite `AVERAGE_POOL_2D`.
    AveragePool2d "average_pool2d"
}

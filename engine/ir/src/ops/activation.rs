//! Elementwise functions of one tensor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Example, Family, Operator, arity, shape_error};
use crate::{InferError, TensorType};

/// Declares an elementwise function: same type out as in.
macro_rules! elementwise {
    ($(#[$doc:meta])* $name:ident $text:literal $({ $($(#[$fdoc:meta])* $field:ident: $ty:ty = $example:expr),* $(,)? })?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($($(#[$fdoc])* pub $field: $ty),*)? }

        impl Operator for $name {
            const NAME: &'static str = $text;
            const FAMILY: Family = Family::Function;

            fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
                arity(inputs, 1..=1, "one tensor")?;
                Ok(vec![inputs[0].clone()])
            }

            fn examples() -> Vec<Example> {
                vec![Example::new($name { $($($field: $example),*)? }, &[&[1, 3, 2, 5]], &[])]
            }
        }
    };
}
pub(super) use elementwise;

elementwise! {
    /// `max(x, 0)`.
    Relu "relu"
}
elementwise! {
    /// `min(max(x, 0), 6)`.
    Relu6 "relu6"
}
elementwise! {
    /// `min(max(x, -1), 1)`.
    ReluN1To1 "relu_n1_to1"
}
elementwise! {
    /// `x` where positive, `alpha·x` elsewhere.
    LeakyRelu "leaky_relu" {
        /// Slope for negative values.
        alpha: f32 = 0.3
    }
}
elementwise! {
    /// `x` where positive, `alpha·(exp(x) − 1)` elsewhere. TFLite has `alpha` = 1 only.
    Elu "elu" {
        /// The negative of the limit towards −∞.
        alpha: f32 = 1.0
    }
}
elementwise! {
    /// `x · min(max(x + 3, 0), 6) / 6`. Source: Howard et al. 2019, MobileNetV3.
    HardSwish "hard_swish"
}
elementwise! {
    /// `min(max(alpha·x + beta, 0), 1)`: Keras 3, PyTorch and ONNX HardSwish use 1/6 and 1/2, Keras 2 uses 0.2 and 1/2.
    HardSigmoid "hard_sigmoid" {
        /// Slope.
        alpha: f32 = 0.2,
        /// Value at 0.
        beta: f32 = 0.5,
    }
}
elementwise! {
    /// `1 / (1 + exp(−x))`.
    Sigmoid "sigmoid"
}
elementwise! {
    /// `tanh(x)`.
    Tanh "tanh"
}
elementwise! {
    /// `x / (1 + exp(−x))`, also called SiLU.
    Swish "swish"
}
elementwise! {
    /// `x·Φ(x)`; exactly `x/2·(1 + erf(x/√2))`, or by `tanh` when approximate. Source: Hendrycks and Gimpel 2016.
    Gelu "gelu" {
        /// Use the `tanh` form.
        approximate: bool = false
    }
}

/// `x` where positive, `alpha·x` elsewhere, with a trained `alpha`.
///
/// Inputs: activations, alpha (broadcast against a sample's dimensions). Specification: TFLite `PRELU`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PRelu {}

impl Operator for PRelu {
    const NAME: &'static str = "p_relu";
    const FAMILY: Family = Family::Broadcast;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 2..=2, "activations and alpha")?;
        match inputs[0].shape.broadcast(&inputs[1].shape) {
            Some(shape) if shape == inputs[0].shape => Ok(vec![inputs[0].clone()]),
            _ => Err(shape_error(
                "alpha",
                format!("a shape that broadcasts to {}", inputs[0].shape),
                inputs[1],
            )),
        }
    }

    fn examples() -> Vec<Example> {
        vec![Example::new(PRelu {}, &[&[1, 3, 2, 5]], &[&[1, 1, 5]])]
    }
}

//! Elementwise functions of two tensors, with NumPy broadcasting.

use serde::{Deserialize, Serialize};

use super::integer::FLOATS_ONLY;
use super::window::Activation;
use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity, shape_error};
use crate::{InferError, TensorType};

macro_rules! binary {
    ($(#[$doc:meta])* $name:ident $text:literal $($activation:ident)?; $integer:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(
                /// Clamp of the output.
                #[serde(default, skip_serializing_if = "Activation::is_none")]
                pub $activation: Activation,
            )?
        }

        impl Operator for $name {
            const NAME: &'static str = $text;
            const READS: Reads = Reads::Broadcast;

            fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
                arity(inputs, 2..=2, "two tensors")?;
                let shape = inputs[0].shape.broadcast(&inputs[1].shape);
                let shape = shape.ok_or_else(|| shape_error("second input", format!("a shape that broadcasts with {}", inputs[0].shape), inputs[1]))?;
                Ok(vec![TensorType { element: inputs[0].element, shape }])
            }

            $(
                fn fused_mut(&mut self) -> Option<&mut Activation> {
                    Some(&mut self.$activation)
                }
            )?

            fn integer(&self) -> IntegerForms {
                $integer
            }

            fn examples() -> Vec<Example> {
                vec![
                    Example::new($name::default(), &[&[1, 3, 3, 4], &[1, 3, 3, 4]], &[]),
                    Example::new($name::default(), &[&[1, 3, 3, 4], &[1, 1, 1, 4]], &[]),
                    Example::new($name::default(), &[&[1, 3, 3, 4]], &[&[4]]),
                ]
            }
        }
    };
}

binary! {
    /// `a + b`.
    Add "add" activation; IntegerForms::both(IntegerRule::Free)
}
binary! {
    /// `a − b`.
    Sub "sub" activation; IntegerForms::both(IntegerRule::Free)
}
binary! {
    /// `a · b`.
    Mul "mul" activation; IntegerForms::both(IntegerRule::Free)
}
binary! {
    /// `a / b`. Float only.
    Div "div" activation; IntegerForms::none("TFLite has no signed 8-bit division")
}
binary! {
    /// `a^b`; not a number for a negative `a` and a fraction `b`. Float only. Specification: TFLite `POW`, ONNX `Pow`.
    Pow "pow"; IntegerForms::none(FLOATS_ONLY)
}
binary! {
    /// The lesser of `a` and `b`.
    Minimum "minimum"; IntegerForms::both(IntegerRule::Same)
}
binary! {
    /// The greater of `a` and `b`.
    Maximum "maximum"; IntegerForms::both(IntegerRule::Same)
}

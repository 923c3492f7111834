//! Operators that change nothing at inference.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity};
use crate::{InferError, TensorType};

macro_rules! same {
    ($(#[$doc:meta])* $name:ident $text:literal { $($(#[$fdoc:meta])* $field:ident: $ty:ty = $example:expr)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty)? }

        impl Operator for $name {
            const NAME: &'static str = $text;
            const READS: Reads = Reads::Place;

            fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
                arity(inputs, 1..=1, "one tensor")?;
                Ok(vec![inputs[0].clone()])
            }

            fn integer(&self) -> IntegerForms {
                IntegerForms::both(IntegerRule::Same)
            }

            fn examples() -> Vec<Example> {
                vec![Example::new($name { $($field: $example)? }, &[&[1, 3, 3, 2]], &[])]
            }
        }
    };
}

same! {
    /// Its input.
    Identity "identity" {}
}
same! {
    /// Its input: dropping happens only in training. Kept on import, removed by folding.
    Dropout "dropout" {
        /// The share of elements dropped in training.
        rate: f32 = 0.5
    }
}

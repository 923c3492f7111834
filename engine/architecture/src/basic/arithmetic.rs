//! `add`, `mul`, `sub`: two or more tensors into one, elementwise.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;
use std::ops::RangeInclusive;

use super::Module;
use crate::builder::{Outcome, Site};

macro_rules! arithmetic {
    ($($(#[$doc:meta])* $name:ident $text:literal $inputs:expr, $example:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {}

        impl Module for $name {
            const NAME: &'static str = $text;
            const INPUTS: RangeInclusive<usize> = $inputs;
            const EXAMPLE: &'static str = $example;

            fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
                let inputs = site.inputs.clone();
                let (last, earlier) = inputs.split_last().expect("two inputs at least");
                let mut sum = earlier[0];
                for (i, &next) in earlier.iter().enumerate().skip(1) {
                    sum = site.part(&i.to_string(), ops::$name::default(), &[sum, next])?;
                }
                Ok(vec![site.add(ops::$name::default(), &[sum, *last])?])
            }
        }
    )*};
}

arithmetic! {
    /// The sum of what it reads.
    Add "add" 2..=usize::MAX, "add: { add: {}, from: [bn2, downsample] }";
    /// The product of what it reads: an image with a value for each channel, for example, as squeeze-and-excitation scales.
    Mul "mul" 2..=usize::MAX, "scale: { mul: {}, from: [in, gate] }";
    /// The first minus the second.
    Sub "sub" 2..=2, "difference: { sub: {}, from: [a, b] }";
}

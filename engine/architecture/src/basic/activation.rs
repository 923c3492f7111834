//! Activation functions: one module each, and `activation`, which takes its kind as a parameter.

use ir::ops::{self, Function};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Basic, Module};
use crate::builder::{Outcome, Site};

macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident $text:literal => $op:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields)]
            struct $name {}

            impl Module for $name {
                const NAME: &'static str = $text;
                const EXAMPLE: &'static str = concat!("act: ", $text);

                fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
                    let input = site.input();
                    Ok(vec![site.add($op, &[input])?])
                }
            }
        )*

        /// The functions without parameters.
        #[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
        enum Kind {
            $(#[serde(rename = $text)] $name,)*
            /// Nothing.
            #[serde(rename = "none")]
            None,
        }

        impl Module for Activation {
            const NAME: &'static str = "activation";
            const EXAMPLE: &'static str = "act: { activation: { kind: $act } }";

            fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
                match self.kind {
                    $(Kind::$name => $name {}.build(site),)*
                    Kind::None => Ok(vec![site.input()]),
                }
            }
        }

        /// A module for each function.
        pub(super) fn modules() -> Vec<Basic> {
            vec![$(Basic::of::<$name>(),)* Basic::of::<LeakyRelu>(), Basic::of::<Elu>()]
        }
    };
}

/// An activation function by name, for modules that take it as a parameter. `none` is none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Activation {
    /// Which function.
    kind: Kind,
}

plain! {
    /// `max(x, 0)`.
    Relu "relu" => Function::Relu;
    /// `min(max(x, 0), 6)`.
    Relu6 "relu6" => Function::Relu6;
    /// `x · relu6(x + 3) / 6`, as PyTorch's `Hardswish`.
    HardSwish "hard_swish" => Function::HardSwish;
    /// `relu6(x + 3) / 6`, as PyTorch's `Hardsigmoid`.
    HardSigmoid "hard_sigmoid" => Function::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };
    /// `1 / (1 + exp(−x))`.
    Sigmoid "sigmoid" => Function::Sigmoid;
    /// `tanh(x)`.
    Tanh "tanh" => Function::Tanh;
    /// `x · sigmoid(x)`, also called SiLU.
    Swish "swish" => Function::Swish;
    /// `x · Φ(x)`, exactly.
    Gelu "gelu" => Function::Gelu { approximate: false };
    /// `x · Φ(x)` by `tanh`, as PyTorch's `GELU(approximate="tanh")`.
    GeluTanh "gelu_tanh" => Function::Gelu { approximate: true };
    /// `ln(1 + exp(x))`, as PyTorch's `Softplus`.
    Softplus "softplus" => Function::Softplus;
    /// `x · tanh(softplus(x))`, as PyTorch's `Mish`.
    Mish "mish" => Function::Mish;
    /// Probabilities over the channels or features.
    Softmax "softmax" => ops::Softmax { beta: 1.0 };
}

/// `x` where positive, `slope · x` elsewhere, as PyTorch's `LeakyReLU`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LeakyRelu {
    /// Slope for negative values.
    #[serde(default = "hundredth")]
    slope: f32,
}

fn hundredth() -> f32 {
    0.01
}

impl Module for LeakyRelu {
    const NAME: &'static str = "leaky_relu";
    const EXAMPLE: &'static str = "act: { leaky_relu: { slope: 0.1 } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let input = site.input();
        Ok(vec![site.add(Function::LeakyRelu { alpha: self.slope }, &[input])?])
    }
}

/// `x` where positive, `alpha · (exp(x) − 1)` elsewhere, as PyTorch's `ELU`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Elu {
    /// The negative of the limit towards −∞.
    #[serde(default = "unit")]
    alpha: f32,
}

fn unit() -> f32 {
    1.0
}

impl Module for Elu {
    const NAME: &'static str = "elu";
    const EXAMPLE: &'static str = "act: elu";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let input = site.input();
        Ok(vec![site.add(Function::Elu { alpha: self.alpha }, &[input])?])
    }
}

//! Functions of a number, applied to each element of one tensor: activations, exponentials, roots.
//!
//! To add one: an entry in [`functions!`] and its [`Function::integer`] form here. The compiler then asks for its formula and
//! derivative (`kernels::reference::Unary`), the kernel that computes it (`runtime::lower::unary`), how each format says it
//! (`formats::functions`), and what TFLite has in its place if it does not (`passes::lower`).

use serde::de::VariantAccess;
use serde::{Deserialize, Serialize, Serializer};

use super::integer::{FLOATS_ONLY, LOWER_FIRST, ONLY_8_BITS};
use super::{Activation, Example, IntegerForms, IntegerRule, Op, arity};
use crate::{InferError, TensorType};

/// Declares the functions: documentation, variant, name in the text form, parameters with an example of each.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $text:literal $({ $($(#[$fdoc:meta])* $field:ident: $ty:ty = $example:expr),* $(,)? })?;)*) => {
        /// A function of a number.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum Function {
            $($(#[$doc])* $name $({ $($(#[$fdoc])* $field: $ty),* })?),*
        }

        impl Function {
            /// The names of all functions.
            pub const NAMES: &'static [&'static str] = &[$($text),*];

            /// The name in the text form.
            pub const fn name(self) -> &'static str {
                match self { $(Function::$name { .. } => $text),* }
            }

            /// Each function once, with made-up parameters.
            pub fn all() -> Vec<Function> {
                vec![$(Function::$name $({ $($field: $example),* })?),*]
            }

            /// What stands under the name in the text form.
            pub(super) fn read<'de, A: VariantAccess<'de>>(name: &str, parameters: A) -> Result<Self, A::Error> {
                match name {
                    $($text => {
                        #[derive(Deserialize)]
                        #[serde(deny_unknown_fields)]
                        struct Parameters { $($($field: $ty),*)? }
                        let Parameters { $($($field),*)? } = parameters.newtype_variant()?;
                        Ok(Function::$name $({ $($field),* })?)
                    })*
                    _ => Err(serde::de::Error::unknown_variant(name, Op::NAMES)),
                }
            }
        }

        impl Serialize for Function {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                match *self {
                    $(Function::$name $({ $($field),* })? => {
                        #[derive(Serialize)]
                        struct Parameters { $($($field: $ty),*)? }
                        s.serialize_newtype_variant("Op", 0, $text, &Parameters { $($($field),*)? })
                    })*
                }
            }
        }
    };
}

functions! {
    /// `max(x, 0)`.
    Relu "relu";
    /// `min(max(x, 0), 6)`.
    Relu6 "relu6";
    /// `min(max(x, -1), 1)`.
    ReluN1To1 "relu_n1_to1";
    /// `x` where positive, `alpha·x` elsewhere.
    LeakyRelu "leaky_relu" {
        /// Slope for negative values.
        alpha: f32 = 0.3
    };
    /// `x` where positive, `alpha·(exp(x) − 1)` elsewhere. TFLite has `alpha` = 1 only.
    Elu "elu" {
        /// The negative of the limit towards −∞.
        alpha: f32 = 1.0
    };
    /// `x · min(max(x + 3, 0), 6) / 6`. Source: Howard et al. 2019, MobileNetV3.
    HardSwish "hard_swish";
    /// `min(max(alpha·x + beta, 0), 1)`: Keras 3, PyTorch and ONNX HardSwish use 1/6 and 1/2, Keras 2 uses 0.2 and 1/2.
    HardSigmoid "hard_sigmoid" {
        /// Slope.
        alpha: f32 = 0.2,
        /// Value at 0.
        beta: f32 = 0.5,
    };
    /// `1 / (1 + exp(−x))`.
    Sigmoid "sigmoid";
    /// `tanh(x)`.
    Tanh "tanh";
    /// `x / (1 + exp(−x))`, also called SiLU.
    Swish "swish";
    /// `x·Φ(x)`; exactly `x/2·(1 + erf(x/√2))`, or by `tanh` when approximate. Source: Hendrycks and Gimpel 2016.
    Gelu "gelu" {
        /// Use the `tanh` form.
        approximate: bool = false
    };
    /// `e^x`. Specification: TFLite `EXP`, ONNX `Exp`.
    Exp "exp";
    /// The natural logarithm: −∞ at 0, not a number below. Specification: TFLite `LOG`, ONNX `Log`.
    Log "log";
    /// `√x`, not a number below 0. Specification: TFLite `SQRT`, ONNX `Sqrt`.
    Sqrt "sqrt";
    /// `1 / √x`: ∞ at 0, not a number below. Specification: TFLite `RSQRT`; ONNX says `Reciprocal` of `Sqrt`.
    Rsqrt "rsqrt";
    /// `−x`. Specification: TFLite `NEG`, ONNX `Neg`.
    Neg "neg";
    /// `|x|`. Specification: TFLite `ABS`, ONNX `Abs`.
    Abs "abs";
    /// The sine of an angle in radians. Specification: TFLite `SIN`, ONNX `Sin`.
    Sin "sin";
    /// The cosine of an angle in radians. Specification: TFLite `COS`, ONNX `Cos`.
    Cos "cos";
    /// The greatest whole number that is not above `x`. Specification: TFLite `FLOOR`, ONNX `Floor`.
    Floor "floor";
    /// The least whole number that is not below `x`. Specification: TFLite `CEIL`, ONNX `Ceil`.
    Ceil "ceil";
    /// The nearest whole number, the even one of two. Specification: TFLite `ROUND`, ONNX `Round`.
    Round "round";
    /// 1 above zero, −1 below, zero itself. Specification: TFLite `SIGN`, ONNX `Sign`.
    Sign "sign";
    /// The error function `2/√π · ∫₀ˣ e^(−t²) dt`. Specification: ONNX `Erf`. TFLite has it as part of [`Function::Gelu`] only.
    Erf "erf";
    /// `ln(1 + e^x)`. Specification: ONNX `Softplus`.
    Softplus "softplus";
    /// `x · tanh(ln(1 + e^x))`. Source: Misra 2019; ONNX `Mish`.
    Mish "mish";
}

impl Function {
    /// The clamp that the function is, if it is one: what operators can have fused.
    pub const fn clamp(self) -> Option<Activation> {
        match self {
            Function::Relu => Some(Activation::Relu),
            Function::Relu6 => Some(Activation::Relu6),
            Function::ReluN1To1 => Some(Activation::ReluN1To1),
            Function::LeakyRelu { .. }
            | Function::Elu { .. }
            | Function::HardSwish
            | Function::HardSigmoid { .. }
            | Function::Sigmoid
            | Function::Tanh
            | Function::Swish
            | Function::Gelu { .. }
            | Function::Exp
            | Function::Log
            | Function::Sqrt
            | Function::Rsqrt
            | Function::Neg
            | Function::Abs
            | Function::Sin
            | Function::Cos
            | Function::Floor
            | Function::Ceil
            | Function::Round
            | Function::Sign
            | Function::Erf
            | Function::Softplus
            | Function::Mish => None,
        }
    }

    /// What its integer forms ask of scales.
    pub(super) fn integer(self) -> IntegerForms {
        match self {
            Function::Relu | Function::Relu6 | Function::LeakyRelu { .. } => IntegerForms::both(IntegerRule::Free),
            Function::ReluN1To1 | Function::HardSwish | Function::Elu { alpha: 1.0 } => {
                IntegerForms::only8(IntegerRule::Free, ONLY_8_BITS)
            }
            Function::Elu { .. } => IntegerForms::none("TFLite has ELU with alpha 1 only"),
            Function::Gelu { .. } => {
                IntegerForms::only8(IntegerRule::Free, "it is computed in 8 bits or floats, not in 16 bits")
            }
            Function::Sigmoid => IntegerForms::dictated(256.0, -128),
            Function::Tanh => IntegerForms::dictated(128.0, 0),
            Function::HardSigmoid { .. } | Function::Swish | Function::Softplus | Function::Mish => {
                IntegerForms::none(LOWER_FIRST)
            }
            Function::Exp
            | Function::Log
            | Function::Sqrt
            | Function::Rsqrt
            | Function::Neg
            | Function::Abs
            | Function::Sin
            | Function::Cos
            | Function::Floor
            | Function::Ceil
            | Function::Round
            | Function::Sign
            | Function::Erf => IntegerForms::none(FLOATS_ONLY),
        }
    }

    /// The type of the output: that of the input.
    #[expect(clippy::unused_self, reason = "as every operator")]
    pub(super) fn infer(self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        Ok(vec![inputs[0].clone()])
    }

    /// Each function once, on the same input.
    pub(super) fn examples() -> Vec<Example> {
        let example = |function| Example::new(Op::Function(function), &[&[1, 3, 2, 5]], &[]);
        Function::all().into_iter().map(example).collect()
    }
}

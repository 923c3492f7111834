//! Elementwise mathematical functions of one tensor, which transformers and normalizations are made of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::elementwise;
use super::{Example, Family, Operator, arity};
use crate::{InferError, TensorType};

elementwise! {
    /// `e^x`. Specification: TFLite `EXP`, ONNX `Exp`.
    Exp "exp"
}
elementwise! {
    /// The natural logarithm: −∞ at 0, not a number below. Specification: TFLite `LOG`, ONNX `Log`.
    Log "log"
}
elementwise! {
    /// `√x`, not a number below 0. Specification: TFLite `SQRT`, ONNX `Sqrt`.
    Sqrt "sqrt"
}
elementwise! {
    /// `1 / √x`: ∞ at 0, not a number below. Specification: TFLite `RSQRT`; ONNX says `Reciprocal` of `Sqrt`.
    Rsqrt "rsqrt"
}
elementwise! {
    /// `−x`. Specification: TFLite `NEG`, ONNX `Neg`.
    Neg "neg"
}
elementwise! {
    /// `|x|`. Specification: TFLite `ABS`, ONNX `Abs`.
    Abs "abs"
}
elementwise! {
    /// The error function `2/√π · ∫₀ˣ e^(−t²) dt`. Specification: ONNX `Erf`. TFLite has it as part of [`super::Gelu`] only.
    Erf "erf"
}

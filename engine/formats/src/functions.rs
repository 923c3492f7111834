//! How each format says a function of a number: one row a function, which readers and writers share.
//!
//! A new function gets a row here; the compiler asks for it. What a format has under one name, with the function's parameters as
//! attributes of the same names, needs no more.

use ir::ops::Function;

/// 1 where a number is above 0, else 0: the smallest normal number times this is above 1.
pub(crate) const STEP: Function = Function::HardSigmoid {
    alpha: f32::MAX,
    beta: 0.0,
};

/// The row of a function.
pub(crate) struct Spelling {
    pub onnx: Onnx,
    pub tflite: Tflite,
    pub tensorflow: TensorFlow,
    /// What Keras calls it; the first is the name that its documentation has.
    pub keras: &'static [&'static str],
}

/// A function in ONNX.
pub(crate) enum Onnx {
    /// The operator of this name.
    Operator(&'static str),
    /// `Clip` between two numbers.
    Clip(f32, f32),
    /// `x` times `Sigmoid`.
    Swish,
    /// Products, a sum, and `Erf` or `Tanh`.
    Gelu { approximate: bool },
    /// `Reciprocal` of `Sqrt`.
    Rsqrt,
    /// `x` times `Tanh` of `Softplus`; `Mish` came with opset 18.
    Mish,
}

/// A function in TensorFlow Lite.
pub(crate) enum Tflite {
    /// The builtin operator of this name.
    Operator(&'static str),
    /// None, but `ir::passes::lower` has put others in its place.
    Lowered,
    /// None: the problem, and what helps.
    Missing(String, &'static str),
}

/// A function in TensorFlow.
pub(crate) enum TensorFlow {
    /// The operator of this name.
    Operator(&'static str),
    /// A minimum and a maximum.
    Clip,
    /// A sum, `Relu6` and products.
    HardSwish,
    /// Products, a sum, and `Erf` or `Tanh`.
    Gelu { approximate: bool },
    /// None; some are lowered as for TensorFlow Lite before it comes to that.
    Missing,
}

/// How the formats say a function.
pub(crate) fn spelling(function: Function) -> Spelling {
    match function {
        Function::Relu => Spelling {
            onnx: Onnx::Operator("Relu"),
            tflite: Tflite::Operator("RELU"),
            tensorflow: TensorFlow::Operator("Relu"),
            keras: &["relu"],
        },
        Function::Relu6 => Spelling {
            onnx: Onnx::Clip(0.0, 6.0),
            tflite: Tflite::Operator("RELU6"),
            tensorflow: TensorFlow::Operator("Relu6"),
            keras: &["relu6"],
        },
        Function::ReluN1To1 => Spelling {
            onnx: Onnx::Clip(-1.0, 1.0),
            tflite: Tflite::Operator("RELU_N1_TO_1"),
            tensorflow: TensorFlow::Clip,
            keras: &[],
        },
        Function::LeakyRelu { .. } => Spelling {
            onnx: Onnx::Operator("LeakyRelu"),
            tflite: Tflite::Operator("LEAKY_RELU"),
            tensorflow: TensorFlow::Operator("LeakyRelu"),
            keras: &["leaky_relu"],
        },
        Function::Elu { alpha } => Spelling {
            onnx: Onnx::Operator("Elu"),
            tflite: if alpha == 1.0 {
                Tflite::Operator("ELU")
            } else {
                let problem = format!("TFLite has elu with alpha 1 only, not {alpha}");
                Tflite::Missing(problem, "train with alpha 1, or replace it by another activation")
            },
            tensorflow: if alpha == 1.0 {
                TensorFlow::Operator("Elu")
            } else {
                TensorFlow::Missing
            },
            keras: &["elu"],
        },
        Function::HardSwish => Spelling {
            onnx: Onnx::Operator("HardSwish"),
            tflite: Tflite::Operator("HARD_SWISH"),
            tensorflow: TensorFlow::HardSwish,
            keras: &["hard_swish", "hard_silu"],
        },
        Function::HardSigmoid { .. } => Spelling {
            onnx: Onnx::Operator("HardSigmoid"),
            tflite: Tflite::Lowered,
            tensorflow: TensorFlow::Missing,
            keras: &["hard_sigmoid"],
        },
        Function::Sigmoid => Spelling {
            onnx: Onnx::Operator("Sigmoid"),
            tflite: Tflite::Operator("LOGISTIC"),
            tensorflow: TensorFlow::Operator("Sigmoid"),
            keras: &["sigmoid"],
        },
        Function::Tanh => Spelling {
            onnx: Onnx::Operator("Tanh"),
            tflite: Tflite::Operator("TANH"),
            tensorflow: TensorFlow::Operator("Tanh"),
            keras: &["tanh"],
        },
        Function::Swish => Spelling {
            onnx: Onnx::Swish,
            tflite: Tflite::Lowered,
            tensorflow: TensorFlow::Missing,
            keras: &["silu", "swish"],
        },
        Function::Gelu { approximate } => Spelling {
            onnx: Onnx::Gelu { approximate },
            tflite: Tflite::Operator("GELU"),
            tensorflow: TensorFlow::Gelu { approximate },
            keras: &["gelu"],
        },
        Function::Exp => Spelling {
            onnx: Onnx::Operator("Exp"),
            tflite: Tflite::Operator("EXP"),
            tensorflow: TensorFlow::Operator("Exp"),
            keras: &[],
        },
        Function::Log => Spelling {
            onnx: Onnx::Operator("Log"),
            tflite: Tflite::Operator("LOG"),
            tensorflow: TensorFlow::Operator("Log"),
            keras: &[],
        },
        Function::Sqrt => Spelling {
            onnx: Onnx::Operator("Sqrt"),
            tflite: Tflite::Operator("SQRT"),
            tensorflow: TensorFlow::Operator("Sqrt"),
            keras: &[],
        },
        Function::Rsqrt => Spelling {
            onnx: Onnx::Rsqrt,
            tflite: Tflite::Operator("RSQRT"),
            tensorflow: TensorFlow::Operator("Rsqrt"),
            keras: &[],
        },
        Function::Neg => Spelling {
            onnx: Onnx::Operator("Neg"),
            tflite: Tflite::Operator("NEG"),
            tensorflow: TensorFlow::Operator("Neg"),
            keras: &[],
        },
        Function::Abs => Spelling {
            onnx: Onnx::Operator("Abs"),
            tflite: Tflite::Operator("ABS"),
            tensorflow: TensorFlow::Operator("Abs"),
            keras: &[],
        },
        Function::Sin => Spelling {
            onnx: Onnx::Operator("Sin"),
            tflite: Tflite::Operator("SIN"),
            tensorflow: TensorFlow::Operator("Sin"),
            keras: &[],
        },
        Function::Cos => Spelling {
            onnx: Onnx::Operator("Cos"),
            tflite: Tflite::Operator("COS"),
            tensorflow: TensorFlow::Operator("Cos"),
            keras: &[],
        },
        Function::Floor => Spelling {
            onnx: Onnx::Operator("Floor"),
            tflite: Tflite::Operator("FLOOR"),
            tensorflow: TensorFlow::Operator("Floor"),
            keras: &[],
        },
        Function::Ceil => Spelling {
            onnx: Onnx::Operator("Ceil"),
            tflite: Tflite::Operator("CEIL"),
            tensorflow: TensorFlow::Operator("Ceil"),
            keras: &[],
        },
        Function::Round => Spelling {
            onnx: Onnx::Operator("Round"),
            tflite: Tflite::Operator("ROUND"),
            tensorflow: TensorFlow::Operator("Round"),
            keras: &[],
        },
        Function::Sign => Spelling {
            onnx: Onnx::Operator("Sign"),
            tflite: Tflite::Operator("SIGN"),
            tensorflow: TensorFlow::Operator("Sign"),
            keras: &[],
        },
        Function::Erf => Spelling {
            onnx: Onnx::Operator("Erf"),
            tflite: Tflite::Missing(
                "TFLite has no operator erf".to_owned(),
                "it has erf as a part of gelu, x/2·(1 + erf(x/√2)), only; make that one layer",
            ),
            tensorflow: TensorFlow::Operator("Erf"),
            keras: &[],
        },
        Function::Softplus => Spelling {
            onnx: Onnx::Operator("Softplus"),
            tflite: Tflite::Lowered,
            tensorflow: TensorFlow::Operator("Softplus"),
            keras: &["softplus"],
        },
        Function::Mish => Spelling {
            onnx: Onnx::Mish,
            tflite: Tflite::Lowered,
            tensorflow: TensorFlow::Missing,
            keras: &["mish"],
        },
    }
}

/// The function without parameters that has this spelling.
pub(crate) fn find(spelled: impl Fn(&Spelling) -> bool) -> Option<Function> {
    let mut plain = Function::all().into_iter().filter(|&f| parameters(f).is_empty());
    plain.find(|&f| spelled(&spelling(f)))
}

/// The numbers that a function depends on, by the names that they have in every format.
pub(crate) fn parameters(function: Function) -> Vec<(&'static str, f32)> {
    match function {
        Function::LeakyRelu { alpha } | Function::Elu { alpha } => vec![("alpha", alpha)],
        Function::HardSigmoid { alpha, beta } => vec![("alpha", alpha), ("beta", beta)],
        Function::Relu
        | Function::Relu6
        | Function::ReluN1To1
        | Function::HardSwish
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
        | Function::Mish => vec![],
    }
}

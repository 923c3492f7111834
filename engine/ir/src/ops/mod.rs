//! The operators: a closed list of plain structs.
//!
//! To add one: a file (or an entry in its family's file) with the struct, its [`Operator`] implementation and examples,
//! and one line in [`operators!`] below. The compiler and the list-wide tests of the other crates name what is missing.

mod activation;
mod batch_norm;
mod binary;
mod concat;
mod conv2d;
mod custom;
mod depthwise_conv2d;
mod example;
mod fully_connected;
mod gather;
mod identity;
mod layer_norm;
mod math;
mod matmul;
mod pad;
mod pool;
mod quantize;
mod reduce;
mod reshape;
mod resize;
mod slice;
mod softmax;
mod split;
mod transpose;
mod transpose_conv2d;
mod window;

pub use activation::{
    Elu, Gelu, HardSigmoid, HardSwish, LeakyRelu, PRelu, Relu, Relu6, ReluN1To1, Sigmoid, Swish, Tanh,
};
pub use batch_norm::BatchNorm;
pub use binary::{Add, Div, Maximum, Minimum, Mul, Pow, Sub};
pub use concat::Concat;
pub use conv2d::Conv2d;
pub use custom::Custom;
pub use depthwise_conv2d::DepthwiseConv2d;
pub use example::Example;
pub use fully_connected::FullyConnected;
pub use gather::Gather;
pub use identity::{Dropout, Identity};
pub use layer_norm::LayerNorm;
pub use math::{Abs, Erf, Exp, Log, Neg, Rsqrt, Sqrt};
pub use matmul::MatMul;
pub use pad::{Pad, PadMode};
pub use pool::{AveragePool2d, MaxPool2d};
pub use quantize::{Dequantize, Quantize};
pub use reduce::{Mean, ReduceMax, ReduceMin, ReduceSum};
pub use reshape::Reshape;
pub use resize::{Coordinates, Interpolation, Resize};
pub use slice::Slice;
pub use softmax::Softmax;
pub use split::Split;
pub use transpose::Transpose;
pub use transpose_conv2d::TransposeConv2d;
pub use window::{Activation, Padding};

use crate::{InferError, TensorType};

/// Where an element of an operator's output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// From the element at the same place of the one input, by a function of a number.
    Function,
    /// From the elements of all inputs that broadcasting brings to its place.
    Broadcast,
    /// From others too, or from elsewhere.
    Other,
}

/// What every operator says of itself.
pub trait Operator {
    /// The name in the text form, `snake_case`.
    const NAME: &'static str;

    /// Where an element of the output comes from.
    const FAMILY: Family = Family::Other;

    /// The types of the outputs, from those of the inputs.
    ///
    /// # Errors
    /// The inputs do not fit; the error says which and what would.
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError>;

    /// Multiply–accumulate operations for one sample.
    fn macs(&self, inputs: &[&TensorType], output: &TensorType) -> u64 {
        let _ = (inputs, output);
        0
    }

    /// Small applications of the operator, the strange beside the ordinary, for list-wide tests.
    fn examples() -> Vec<Example>
    where
        Self: Sized;
}

macro_rules! operators {
    ($($op:ident),* $(,)?) => {
        /// An operator with its attributes.
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Op { $(#[doc = concat!("See [`struct@", stringify!($op), "`].")] $op($op)),* }

        $(impl From<$op> for Op { fn from(op: $op) -> Self { Op::$op(op) } })*

        impl Op {
            /// The names of all operators.
            pub const NAMES: &'static [&'static str] = &[$(<$op as Operator>::NAME),*];

            /// The name in the text form.
            pub const fn name(&self) -> &'static str {
                match self { $(Op::$op(_) => <$op as Operator>::NAME),* }
            }

            /// Where an element of the output comes from.
            pub const fn family(&self) -> Family {
                match self { $(Op::$op(_) => <$op as Operator>::FAMILY),* }
            }

            /// The types of the outputs, from those of the inputs.
            pub fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
                match self { $(Op::$op(op) => op.infer(inputs)),* }
            }

            /// Multiply–accumulate operations for one sample.
            pub fn macs(&self, inputs: &[&TensorType], output: &TensorType) -> u64 {
                match self { $(Op::$op(op) => op.macs(inputs, output)),* }
            }

            /// The examples of every operator.
            pub fn examples() -> Vec<Example> {
                let mut all = Vec::new();
                $(all.extend(<$op as Operator>::examples());)*
                all
            }
        }
    };
}

operators! {
    Conv2d, DepthwiseConv2d, TransposeConv2d, FullyConnected, MatMul, BatchNorm, LayerNorm,
    Relu, Relu6, ReluN1To1, LeakyRelu, PRelu, Elu, HardSwish, HardSigmoid, Sigmoid, Tanh, Swish, Gelu, Softmax,
    Exp, Log, Sqrt, Rsqrt, Neg, Abs, Erf,
    MaxPool2d, AveragePool2d, Mean, ReduceSum, ReduceMax, ReduceMin,
    Add, Sub, Mul, Div, Pow, Minimum, Maximum,
    Concat, Split, Slice, Gather, Pad, Reshape, Transpose, Resize,
    Quantize, Dequantize, Dropout, Identity, Custom,
}

/// Checks the number of inputs.
fn arity(
    inputs: &[&TensorType],
    range: std::ops::RangeInclusive<usize>,
    expected: &'static str,
) -> Result<(), InferError> {
    if range.contains(&inputs.len()) {
        Ok(())
    } else {
        Err(InferError::Inputs {
            expected,
            got: inputs.len(),
        })
    }
}

/// `[N, H, W, C]` of an input.
fn nhwc(input: &'static str, ty: &TensorType) -> Result<[usize; 4], InferError> {
    ty.shape.nhwc().ok_or_else(|| shape_error(input, "[N,H,W,C]", ty))
}

fn shape_error(input: &'static str, expected: impl ToString, got: &TensorType) -> InferError {
    InferError::Shape {
        input,
        expected: expected.to_string(),
        got: got.to_string(),
    }
}

/// Checks an optional bias of `n` values.
fn bias(inputs: &[&TensorType], n: usize) -> Result<(), InferError> {
    match inputs.get(2) {
        Some(b) if b.shape.dims() != [n] => Err(shape_error("bias", format!("[{n}], one value an output channel"), b)),
        _ => Ok(()),
    }
}

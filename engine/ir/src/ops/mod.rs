//! The operators: a closed list of plain structs.
//!
//! To add one: a file (or an entry in its family's file) with the struct, its [`Operator`] implementation and examples,
//! and one line in [`operators!`] below; a function of a number is an entry in `function.rs`. The compiler and the list-wide
//! tests of the other crates name what is missing.

mod arg_max;
mod batch_norm;
mod binary;
mod cast;
mod concat;
mod conv2d;
mod custom;
mod depthwise_conv2d;
mod example;
mod fully_connected;
mod function;
mod gather;
mod identity;
mod integer;
mod layer_norm;
mod matmul;
mod p_relu;
mod pad;
mod pool;
mod quantize;
mod recurrent;
mod reduce;
mod reshape;
mod resize;
mod select;
mod slice;
mod softmax;
mod split;
mod transpose;
mod transpose_conv2d;
mod window;

pub use arg_max::ArgMax;
pub use batch_norm::BatchNorm;
pub use binary::{Add, Div, Maximum, Minimum, Mul, Pow, Sub};
pub use cast::Cast;
pub use concat::Concat;
pub use conv2d::Conv2d;
pub use custom::Custom;
pub use depthwise_conv2d::DepthwiseConv2d;
pub use example::Example;
pub use fully_connected::FullyConnected;
pub use function::Function;
pub use gather::Gather;
pub use identity::{Dropout, Identity};
pub use integer::{IntegerForms, IntegerRule};
pub use layer_norm::LayerNorm;
pub use matmul::MatMul;
pub use p_relu::PRelu;
pub use pad::{Pad, PadMode};
pub use pool::{AveragePool2d, MaxPool2d};
pub use quantize::{Dequantize, Quantize};
pub use recurrent::{Cell, Recurrent};
pub use reduce::{Mean, ReduceMax, ReduceMin, ReduceSum};
pub use reshape::Reshape;
pub use resize::{Coordinates, Interpolation, Resize};
pub use select::Select;
pub use slice::Slice;
pub use softmax::Softmax;
pub use split::Split;
pub use transpose::Transpose;
pub use transpose_conv2d::TransposeConv2d;
pub use window::{Activation, Padding};

use std::fmt;

use serde::de::{EnumAccess, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ElementType, InferError, TensorType};

/// Where the elements of an operator's output come from, and with it which orders of dimensions it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// The element at the same place of the one input, by a function of a number: any order.
    Function,
    /// The element at the same place of the one input, as it is or in another type: any order.
    Place,
    /// The elements of all inputs that broadcasting brings to the place: any order that they share.
    Broadcast,
    /// Elements along dimensions that attributes name, and that the output has too: any order.
    Named,
    /// Elements that lie elsewhere in the output: some other orders are as good as the stated one.
    Moved,
    /// All elements along some dimensions: some other orders are as good as the stated one.
    Combined,
    /// Images or rows, in the stated order.
    Stated,
}

/// What every operator says of itself.
pub trait Operator {
    /// The name in the text form, `snake_case`.
    const NAME: &'static str;

    /// Where the elements of the output come from.
    const READS: Reads;

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

    /// The activation that is fused into the operator, of those that have one.
    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    /// What its integer forms ask of scales.
    fn integer(&self) -> IntegerForms;

    /// Small applications of the operator, the strange beside the ordinary, for list-wide tests.
    fn examples() -> Vec<Example>
    where
        Self: Sized;
}

macro_rules! operators {
    ($($op:ident),* $(,)?) => {
        /// An operator with its attributes.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op {
            $(#[doc = concat!("See [`struct@", stringify!($op), "`].")] $op($op),)*
            /// See [`enum@Function`].
            Function(Function),
        }

        $(impl From<$op> for Op { fn from(op: $op) -> Self { Op::$op(op) } })*

        /// The names of all operators that are no functions.
        const STRUCTS: &[&str] = &[$(<$op as Operator>::NAME),*];

        impl Op {
            /// The name in the text form.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Op::$op(_) => <$op as Operator>::NAME,)*
                    Op::Function(function) => function.name(),
                }
            }

            /// Where the elements of the output come from.
            pub const fn reads(&self) -> Reads {
                match self {
                    $(Op::$op(_) => <$op as Operator>::READS,)*
                    Op::Function(_) => Reads::Function,
                }
            }

            /// The fused activation, to set it; `None` for operators that have none.
            pub fn fused_mut(&mut self) -> Option<&mut Activation> {
                match self {
                    $(Op::$op(op) => op.fused_mut(),)*
                    Op::Function(_) => None,
                }
            }

            /// What integer arithmetic asks of the scales where activations have this type.
            pub fn integer_rule(&self, activations: ElementType) -> IntegerRule {
                let forms = match self {
                    $(Op::$op(op) => op.integer(),)*
                    Op::Function(function) => function.integer(),
                };
                forms.of(activations)
            }

            /// The types of the outputs, from those of the inputs.
            pub fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
                match self {
                    $(Op::$op(op) => op.infer(inputs),)*
                    Op::Function(function) => function.infer(inputs),
                }
            }

            /// Multiply–accumulate operations for one sample.
            pub fn macs(&self, inputs: &[&TensorType], output: &TensorType) -> u64 {
                match self {
                    $(Op::$op(op) => op.macs(inputs, output),)*
                    Op::Function(_) => 0,
                }
            }

            /// The examples of every operator.
            pub fn examples() -> Vec<Example> {
                let mut all = Vec::new();
                $(all.extend(<$op as Operator>::examples());)*
                all.extend(Function::examples());
                all
            }
        }

        impl Serialize for Op {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Op::$op(op) => s.serialize_newtype_variant("Op", 0, self.name(), op),)*
                    Op::Function(function) => function.serialize(s),
                }
            }
        }

        impl<'de> Visitor<'de> for Named {
            type Value = Op;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an operator by its name")
            }

            fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Op, A::Error> {
                let (name, attributes) = data.variant::<String>()?;
                match name.as_str() {
                    $(<$op as Operator>::NAME => attributes.newtype_variant().map(Op::$op),)*
                    name => Function::read(name, attributes).map(Op::Function),
                }
            }
        }
    };
}

impl Op {
    /// The names of all operators.
    pub const NAMES: &'static [&'static str] = &{
        let (mut names, mut i) = ([""; STRUCTS.len() + Function::NAMES.len()], 0);
        while i < names.len() {
            names[i] = if i < STRUCTS.len() {
                STRUCTS[i]
            } else {
                Function::NAMES[i - STRUCTS.len()]
            };
            i += 1;
        }
        names
    };

    /// Whether values only move, or change their type: nothing is computed with them.
    pub const fn moves(&self) -> bool {
        match self.reads() {
            Reads::Place | Reads::Named | Reads::Moved => true,
            Reads::Function | Reads::Broadcast | Reads::Combined | Reads::Stated => false,
        }
    }

    /// The fused activation; `None` for operators that have none.
    pub fn fused(&self) -> Option<Activation> {
        self.clone().fused_mut().copied()
    }

    /// The dimension of the weights (input 1) that runs over output channels; `None` for operators without weights.
    pub fn weight_axis(&self) -> Option<usize> {
        match self.integer_rule(ElementType::I8) {
            IntegerRule::Weighted { axis } => Some(axis),
            IntegerRule::Free | IntegerRule::Same | IntegerRule::Dictated(_) | IntegerRule::None(_) => None,
        }
    }
}

operators! {
    Conv2d, DepthwiseConv2d, TransposeConv2d, FullyConnected, MatMul, Recurrent, BatchNorm, LayerNorm, PRelu,
    Softmax,
    MaxPool2d, AveragePool2d, Mean, ReduceSum, ReduceMax, ReduceMin, ArgMax,
    Add, Sub, Mul, Div, Pow, Minimum, Maximum, Select,
    Concat, Split, Slice, Gather, Pad, Reshape, Transpose, Resize,
    Quantize, Dequantize, Cast, Dropout, Identity, Custom,
}

/// Reads the text form: the name of an operator with its attributes.
struct Named;

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_enum("Op", Op::NAMES, Named)
    }
}

impl From<Function> for Op {
    fn from(function: Function) -> Self {
        Op::Function(function)
    }
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

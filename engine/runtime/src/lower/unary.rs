//! Functions of one number: rectifiers and smooth activations, and in integers requantization too.

use ir::Op;
use ir::ops::Function;
use kernels::reference::{
    self, HardSwishParams, LeakyReluParams, ReluParams, RequantizeParams, SigmoidParams, Table, Unary,
};

use super::{Arithmetic, Context, Lowered, activation};
use crate::RuntimeError;

/// A kernel from `i8` to `i8`, element by element.
pub(crate) type IntegerMap = Box<dyn Fn(&[i8], &mut [i8]) + Send + Sync>;

pub(super) fn lower(context: &Context<'_>, function: Function) -> Result<Vec<Lowered>, RuntimeError> {
    match context.plain()? {
        Arithmetic::Integer => {
            let map = integer_map(context)?;
            return Ok(Lowered::new(Box::new(move |args| map(args.get(0), args.output()))));
        }
        Arithmetic::Integer16 => {
            let map = wide_map(context, function)?;
            return Ok(Lowered::new(Box::new(move |args| map(args.get(0), args.output()))));
        }
        Arithmetic::Float | Arithmetic::Hybrid => {}
    }
    if let Some(clamp) = function.clamp() {
        let clamp = activation(clamp).clamp_f32();
        return Ok(Lowered::new(Box::new(move |args| {
            reference::relu_f32(clamp, args.get(0), args.output());
        })));
    }
    let formula = formula(function);
    Ok(Lowered::new(Box::new(move |args| {
        reference::unary_f32(formula, args.get(0), args.output());
    })))
}

/// What computes a function in floats, and its derivative.
pub fn formula(function: Function) -> Unary {
    match function {
        Function::Relu => Unary::Relu,
        Function::Relu6 => Unary::Relu6,
        Function::ReluN1To1 => Unary::ReluN1To1,
        Function::LeakyRelu { alpha } => Unary::LeakyRelu { alpha },
        Function::Elu { alpha } => Unary::Elu { alpha },
        Function::HardSwish => Unary::HardSwish,
        Function::HardSigmoid { alpha, beta } => Unary::HardSigmoid {
            slope: alpha,
            offset: beta,
        },
        Function::Sigmoid => Unary::Logistic,
        Function::Tanh => Unary::Tanh,
        Function::Swish => Unary::Swish,
        Function::Gelu { approximate: false } => Unary::Gelu,
        Function::Gelu { approximate: true } => Unary::GeluTanh,
        Function::Exp => Unary::Exp,
        Function::Log => Unary::Log,
        Function::Sqrt => Unary::Sqrt,
        Function::Rsqrt => Unary::Rsqrt,
        Function::Neg => Unary::Neg,
        Function::Abs => Unary::Abs,
        Function::Sin => Unary::Sin,
        Function::Cos => Unary::Cos,
        Function::Floor => Unary::Floor,
        Function::Ceil => Unary::Ceil,
        Function::Round => Unary::Round,
        Function::Sign => Unary::Sign,
        Function::Erf => Unary::Erf,
        Function::Softplus => Unary::Softplus,
        Function::Mish => Unary::Mish,
    }
}

/// A kernel from `i16` to `i16`, element by element.
pub(crate) type WideMap = Box<dyn Fn(&[i16], &mut [i16]) + Send + Sync>;

/// The kernel of a function of 16-bit integers.
///
/// # Errors
/// There is none for the function, or the tensors have no scales, or zero points.
pub(crate) fn wide_map(context: &Context<'_>, function: Function) -> Result<WideMap, RuntimeError> {
    context.has_form()?;
    context.symmetric()?;
    let (input, output) = (context.input_quantization(0)?, context.output_quantization()?);
    Ok(match function {
        Function::Relu | Function::Relu6 | Function::ReluN1To1 => {
            let clamp = function.clamp().unwrap_or_default();
            let params = ReluParams::new_i16(input, output, activation(clamp));
            Box::new(move |x, y| reference::relu_i16(&params, x, y))
        }
        Function::LeakyRelu { alpha } => {
            let params = LeakyReluParams::new(input, output, alpha);
            Box::new(move |x, y| reference::leaky_relu_i16(&params, x, y))
        }
        Function::Sigmoid => {
            context.unit_i16()?;
            let params = SigmoidParams::logistic(input);
            Box::new(move |x, y| reference::logistic_i16(&params, x, y))
        }
        Function::Tanh => {
            context.unit_i16()?;
            let params = SigmoidParams::tanh(input);
            Box::new(move |x, y| reference::tanh_i16(&params, x, y))
        }
        Function::Elu { .. }
        | Function::HardSwish
        | Function::HardSigmoid { .. }
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
        | Function::Mish => return Err(context.types("f32")),
    })
}

/// The integer kernel of a function of one number, or of a conversion from one scale to another.
///
/// # Errors
/// There is none for the operator, or the tensors have no scales.
pub(crate) fn integer_map(context: &Context<'_>) -> Result<IntegerMap, RuntimeError> {
    let (input, output) = (context.input_quantization(0)?, context.output_quantization()?);
    let function = match &context.node.op {
        Op::Function(function) => *function,
        Op::Quantize(_) => {
            let params = RequantizeParams::new(input, output);
            return Ok(Box::new(move |x, y| reference::requantize(&params, x, y)));
        }
        _ => return Err(context.unsupported("it is no function of one number")),
    };
    context.has_form()?;
    Ok(match function {
        Function::Relu | Function::Relu6 | Function::ReluN1To1 => {
            let clamp = function.clamp().unwrap_or_default();
            let params = ReluParams::new(input, output, activation(clamp));
            Box::new(move |x, y| reference::relu_i8(&params, x, y))
        }
        Function::LeakyRelu { alpha } => {
            let params = LeakyReluParams::new(input, output, alpha);
            Box::new(move |x, y| reference::leaky_relu_i8(&params, x, y))
        }
        Function::HardSwish => {
            let params = HardSwishParams::new(input, output);
            Box::new(move |x, y| reference::hard_swish_i8(&params, x, y))
        }
        Function::Sigmoid | Function::Tanh | Function::Elu { .. } | Function::Gelu { .. } => {
            let formula = formula(function);
            let table = Table::new(input, output, |x| formula.apply(x));
            Box::new(move |x, y| reference::table_i8(&table, x, y))
        }
        Function::HardSigmoid { .. }
        | Function::Swish
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
        | Function::Mish => return Err(context.types("f32")),
    })
}

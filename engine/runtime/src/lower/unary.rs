//! Functions of one number: rectifiers and smooth activations, and in integers requantization too.

use ir::Op;
use kernels::reference::{
    self, HardSwishParams, LeakyReluParams, ReluParams, RequantizeParams, SigmoidParams, Table, Unary,
};

use super::{Arithmetic, Context, Lowered, activation};
use crate::RuntimeError;

/// A kernel from `i8` to `i8`, element by element.
pub(crate) type IntegerMap = Box<dyn Fn(&[i8], &mut [i8]) + Send + Sync>;

pub(super) fn lower(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    match context.plain()? {
        Arithmetic::Integer => {
            let map = integer_map(context)?;
            return Ok(Lowered::new(Box::new(move |args| map(args.get(0), args.output()))));
        }
        Arithmetic::Integer16 => return wide(context),
        Arithmetic::Float | Arithmetic::Hybrid => {}
    }
    if let Some(clamp) = rectifier(&context.node.op) {
        let clamp = activation(clamp).clamp_f32();
        return Ok(Lowered::new(Box::new(move |args| {
            reference::relu_f32(clamp, args.get(0), args.output());
        })));
    }
    if let Op::LeakyRelu(op) = &context.node.op {
        let alpha = op.alpha;
        return Ok(Lowered::new(Box::new(move |args| {
            reference::leaky_relu_f32(alpha, args.get(0), args.output());
        })));
    }
    let function = smooth(context)?;
    Ok(Lowered::new(Box::new(move |args| {
        reference::unary_f32(function, args.get(0), args.output());
    })))
}

/// The kernel of a function of 16-bit integers.
fn wide(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    context.symmetric()?;
    let (input, output) = (context.input_quantization(0)?, context.output_quantization()?);
    Ok(match &context.node.op {
        Op::Relu(_) | Op::Relu6(_) => {
            let clamp = rectifier(&context.node.op).unwrap_or_default();
            let params = ReluParams::new_i16(input, output, activation(clamp));
            Lowered::new(Box::new(move |args| {
                reference::relu_i16(&params, args.get(0), args.output());
            }))
        }
        Op::LeakyRelu(op) => {
            let params = LeakyReluParams::new(input, output, op.alpha);
            Lowered::new(Box::new(move |args| {
                reference::leaky_relu_i16(&params, args.get(0), args.output());
            }))
        }
        Op::Sigmoid(_) => {
            context.unit_i16()?;
            let params = SigmoidParams::logistic(input);
            Lowered::new(Box::new(move |args| {
                reference::logistic_i16(&params, args.get(0), args.output());
            }))
        }
        Op::Tanh(_) => {
            context.unit_i16()?;
            let params = SigmoidParams::tanh(input);
            Lowered::new(Box::new(move |args| {
                reference::tanh_i16(&params, args.get(0), args.output());
            }))
        }
        _ => {
            context.not_wide()?;
            return Err(context.types("f32"));
        }
    })
}

/// The integer kernel of a function of one number.
///
/// # Errors
/// There is none for the operator, or the tensors have no scales.
pub(crate) fn integer_map(context: &Context<'_>) -> Result<IntegerMap, RuntimeError> {
    let (input, output) = (context.input_quantization(0)?, context.output_quantization()?);
    if let Some(clamp) = rectifier(&context.node.op) {
        let params = ReluParams::new(input, output, activation(clamp));
        return Ok(Box::new(move |x, y| reference::relu_i8(&params, x, y)));
    }
    Ok(match &context.node.op {
        Op::LeakyRelu(op) => {
            let params = LeakyReluParams::new(input, output, op.alpha);
            Box::new(move |x, y| reference::leaky_relu_i8(&params, x, y))
        }
        Op::HardSwish(_) => {
            let params = HardSwishParams::new(input, output);
            Box::new(move |x, y| reference::hard_swish_i8(&params, x, y))
        }
        Op::Quantize(_) => {
            let params = RequantizeParams::new(input, output);
            Box::new(move |x, y| reference::requantize(&params, x, y))
        }
        Op::HardSigmoid(_)
        | Op::Swish(_)
        | Op::Exp(_)
        | Op::Log(_)
        | Op::Sqrt(_)
        | Op::Rsqrt(_)
        | Op::Neg(_)
        | Op::Abs(_)
        | Op::Erf(_) => {
            context.float_only()?;
            return Err(context.types("f32"));
        }
        _ => {
            let function = smooth(context)?;
            let table = Table::new(input, output, |x| function.apply(x));
            Box::new(move |x, y| reference::table_i8(&table, x, y))
        }
    })
}

/// The range of a rectifier.
pub(crate) fn rectifier(op: &Op) -> Option<ir::ops::Activation> {
    match op {
        Op::Relu(_) => Some(ir::ops::Activation::Relu),
        Op::Relu6(_) => Some(ir::ops::Activation::Relu6),
        Op::ReluN1To1(_) => Some(ir::ops::Activation::ReluN1To1),
        _ => None,
    }
}

fn smooth(context: &Context<'_>) -> Result<Unary, RuntimeError> {
    Ok(match &context.node.op {
        Op::Sigmoid(_) => Unary::Logistic,
        Op::Tanh(_) => Unary::Tanh,
        Op::Swish(_) => Unary::Swish,
        Op::HardSwish(_) => Unary::HardSwish,
        Op::Elu(op) => Unary::Elu { alpha: op.alpha },
        Op::Gelu(op) if op.approximate => Unary::GeluTanh,
        Op::Gelu(_) => Unary::Gelu,
        Op::HardSigmoid(op) => Unary::HardSigmoid {
            slope: op.alpha,
            offset: op.beta,
        },
        Op::Exp(_) => Unary::Exp,
        Op::Log(_) => Unary::Log,
        Op::Sqrt(_) => Unary::Sqrt,
        Op::Rsqrt(_) => Unary::Rsqrt,
        Op::Neg(_) => Unary::Neg,
        Op::Abs(_) => Unary::Abs,
        Op::Erf(_) => Unary::Erf,
        _ => return Err(context.unsupported("it is no function of one number")),
    })
}

//! Functions of one number: rectifiers and smooth activations.

use ir::ops::{Elu, Gelu, HardSigmoid, LeakyRelu};
use kernels::reference::{self, HardSwishParams, LeakyReluParams, ReluParams, Table, Unary};

use super::{Arithmetic, Context, Lowered, activation};
use crate::RuntimeError;

pub(super) fn relu(context: &Context<'_>, clamp: ir::ops::Activation) -> Result<Vec<Lowered>, RuntimeError> {
    if context.plain()? == Arithmetic::Float {
        let clamp = activation(clamp).clamp_f32();
        return Ok(Lowered::new(Box::new(move |args| {
            reference::relu_f32(clamp, args.get(0), args.output());
        })));
    }
    let (input, output) = (context.input_quantization(0)?, context.output_quantization()?);
    let params = ReluParams::new(input, output, activation(clamp));
    Ok(Lowered::new(Box::new(move |args| {
        reference::relu_i8(&params, args.get(0), args.output());
    })))
}

pub(super) fn leaky_relu(context: &Context<'_>, op: &LeakyRelu) -> Result<Vec<Lowered>, RuntimeError> {
    let alpha = op.alpha;
    if context.plain()? == Arithmetic::Float {
        return Ok(Lowered::new(Box::new(move |args| {
            reference::leaky_relu_f32(alpha, args.get(0), args.output());
        })));
    }
    let params = LeakyReluParams::new(context.input_quantization(0)?, context.output_quantization()?, alpha);
    Ok(Lowered::new(Box::new(move |args| {
        reference::leaky_relu_i8(&params, args.get(0), args.output());
    })))
}

pub(super) fn hard_swish(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    if context.plain()? == Arithmetic::Float {
        return smooth(context, Unary::HardSwish);
    }
    let params = HardSwishParams::new(context.input_quantization(0)?, context.output_quantization()?);
    Ok(Lowered::new(Box::new(move |args| {
        reference::hard_swish_i8(&params, args.get(0), args.output());
    })))
}

pub(super) fn elu(context: &Context<'_>, op: &Elu) -> Result<Vec<Lowered>, RuntimeError> {
    smooth(context, Unary::Elu { alpha: op.alpha })
}

pub(super) fn gelu(context: &Context<'_>, op: &Gelu) -> Result<Vec<Lowered>, RuntimeError> {
    smooth(context, if op.approximate { Unary::GeluTanh } else { Unary::Gelu })
}

pub(super) fn hard_sigmoid(context: &Context<'_>, op: &HardSigmoid) -> Result<Vec<Lowered>, RuntimeError> {
    context.float_only()?;
    smooth(
        context,
        Unary::HardSigmoid {
            slope: op.alpha,
            offset: op.beta,
        },
    )
}

pub(super) fn swish(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    context.float_only()?;
    smooth(context, Unary::Swish)
}

/// A function computed number by number in float, by table in integers.
pub(super) fn smooth(context: &Context<'_>, function: Unary) -> Result<Vec<Lowered>, RuntimeError> {
    if context.plain()? == Arithmetic::Float {
        return Ok(Lowered::new(Box::new(move |args| {
            reference::unary_f32(function, args.get(0), args.output());
        })));
    }
    let (input, output) = (context.input_quantization(0)?, context.output_quantization()?);
    let table = Table::new(input, output, |x| function.apply(x));
    Ok(Lowered::new(Box::new(move |args| {
        reference::table_i8(&table, args.get(0), args.output());
    })))
}

//! Functions of two tensors, with broadcasting.

use ir::ops::Activation;
use kernels::quantized::ClampF32;
use kernels::reference::{self, AddParams, DivParams, MulParams, PReluParams};
use kernels::shape::Broadcast;

use super::{Arithmetic, Context, Lowered, activation};
use crate::RuntimeError;

type FloatKernel = fn(&Broadcast, ClampF32, &[f32], &[f32], &mut [f32]);

pub(super) fn add(context: &Context<'_>, fused: Activation) -> Result<Vec<Lowered>, RuntimeError> {
    let arithmetic = context.plain()?;
    if arithmetic == Arithmetic::Float {
        return float(context, fused, reference::add_f32);
    }
    let (shape, params) = (broadcast(context)?, add_params(context, fused)?);
    if arithmetic == Arithmetic::Integer16 {
        return Ok(Lowered::new(Box::new(move |args| {
            reference::add_i16(&shape, &params, args.get(0), args.get(1), args.output());
        })));
    }
    Ok(Lowered::new(Box::new(move |args| {
        reference::add_i8(&shape, &params, args.get(0), args.get(1), args.output());
    })))
}

pub(super) fn sub(context: &Context<'_>, fused: Activation) -> Result<Vec<Lowered>, RuntimeError> {
    let arithmetic = context.plain()?;
    if arithmetic == Arithmetic::Float {
        return float(context, fused, reference::sub_f32);
    }
    let (shape, params) = (broadcast(context)?, add_params(context, fused)?);
    if arithmetic == Arithmetic::Integer16 {
        return Ok(Lowered::new(Box::new(move |args| {
            reference::sub_i16(&shape, &params, args.get(0), args.get(1), args.output());
        })));
    }
    Ok(Lowered::new(Box::new(move |args| {
        reference::sub_i8(&shape, &params, args.get(0), args.get(1), args.output());
    })))
}

pub(super) fn mul(context: &Context<'_>, fused: Activation) -> Result<Vec<Lowered>, RuntimeError> {
    let arithmetic = context.plain()?;
    if arithmetic == Arithmetic::Float {
        return float(context, fused, reference::mul_f32);
    }
    let (shape, params) = (broadcast(context)?, mul_params(context, fused)?);
    if arithmetic == Arithmetic::Integer16 {
        return Ok(Lowered::new(Box::new(move |args| {
            reference::mul_i16(&shape, &params, args.get(0), args.get(1), args.output());
        })));
    }
    Ok(Lowered::new(Box::new(move |args| {
        reference::mul_i8(&shape, &params, args.get(0), args.get(1), args.output());
    })))
}

pub(super) fn div(context: &Context<'_>, fused: Activation) -> Result<Vec<Lowered>, RuntimeError> {
    if context.plain()? == Arithmetic::Float {
        return float(context, fused, reference::div_f32);
    }
    context.not_wide()?;
    let (a, b) = (context.input_quantization(0)?, context.input_quantization(1)?);
    let params = DivParams::new(a, b, context.output_quantization()?, activation(fused));
    let shape = broadcast(context)?;
    Ok(Lowered::new(Box::new(move |args| {
        reference::div_i8(&shape, &params, args.get(0), args.get(1), args.output());
    })))
}

pub(super) fn pow(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    context.float_only()?;
    let shape = broadcast(context)?;
    Ok(Lowered::new(Box::new(move |args| {
        reference::pow_f32(&shape, args.get(0), args.get(1), args.output());
    })))
}

/// A choice of floats by a third tensor.
pub(crate) fn select(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    context.float_only()?;
    let out = context.out_dims();
    let shape = |i: usize| {
        let shape = Broadcast::new(out, context.dims(i));
        shape.ok_or_else(|| context.unsupported("the shapes of its inputs do not broadcast"))
    };
    let shapes = [shape(0)?, shape(1)?, shape(2)?];
    Ok(Lowered::new(Box::new(move |args| {
        reference::select_f32(&shapes, args.get(0), args.get(1), args.get(2), args.output());
    })))
}

pub(super) fn minimum(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = broadcast(context)?;
    Ok(match context.plain()? {
        Arithmetic::Float => Lowered::new(Box::new(move |args| {
            reference::minimum_f32(&shape, args.get(0), args.get(1), args.output());
        })),
        Arithmetic::Integer16 => Lowered::new(Box::new(move |args| {
            reference::minimum_i16(&shape, args.get(0), args.get(1), args.output());
        })),
        Arithmetic::Integer | Arithmetic::Hybrid => Lowered::new(Box::new(move |args| {
            reference::minimum_i8(&shape, args.get(0), args.get(1), args.output());
        })),
    })
}

pub(super) fn maximum(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = broadcast(context)?;
    Ok(match context.plain()? {
        Arithmetic::Float => Lowered::new(Box::new(move |args| {
            reference::maximum_f32(&shape, args.get(0), args.get(1), args.output());
        })),
        Arithmetic::Integer16 => Lowered::new(Box::new(move |args| {
            reference::maximum_i16(&shape, args.get(0), args.get(1), args.output());
        })),
        Arithmetic::Integer | Arithmetic::Hybrid => Lowered::new(Box::new(move |args| {
            reference::maximum_i8(&shape, args.get(0), args.get(1), args.output());
        })),
    })
}

pub(super) fn prelu(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = broadcast(context)?;
    if context.plain()? == Arithmetic::Float {
        return Ok(Lowered::new(Box::new(move |args| {
            reference::prelu_f32(&shape, args.get(0), args.get(1), args.output());
        })));
    }
    context.not_wide()?;
    let (input, alpha) = (context.input_quantization(0)?, context.input_quantization(1)?);
    let params = PReluParams::new(input, alpha, context.output_quantization()?);
    Ok(Lowered::new(Box::new(move |args| {
        reference::prelu_i8(&shape, &params, args.get(0), args.get(1), args.output());
    })))
}

fn float(context: &Context<'_>, fused: Activation, kernel: FloatKernel) -> Result<Vec<Lowered>, RuntimeError> {
    let (shape, clamp) = (broadcast(context)?, activation(fused).clamp_f32());
    Ok(Lowered::new(Box::new(move |args| {
        kernel(&shape, clamp, args.get(0), args.get(1), args.output());
    })))
}

/// What brings the two inputs of an integer sum or difference to the output's scale.
pub(crate) fn add_params(context: &Context<'_>, fused: Activation) -> Result<AddParams, RuntimeError> {
    let (a, b) = (context.input_quantization(0)?, context.input_quantization(1)?);
    let (output, fused) = (context.output_quantization()?, activation(fused));
    if context.plain()? == Arithmetic::Integer16 {
        context.symmetric()?;
        return Ok(AddParams::new_i16(a, b, output, fused));
    }
    Ok(AddParams::new(a, b, output, fused))
}

/// What brings an integer product to the output's scale.
pub(crate) fn mul_params(context: &Context<'_>, fused: Activation) -> Result<MulParams, RuntimeError> {
    let (a, b) = (context.input_quantization(0)?, context.input_quantization(1)?);
    let (output, fused) = (context.output_quantization()?, activation(fused));
    if context.plain()? == Arithmetic::Integer16 {
        context.symmetric()?;
        return Ok(MulParams::new_i16(a, b, output, fused));
    }
    Ok(MulParams::new(a, b, output, fused))
}

fn broadcast(context: &Context<'_>) -> Result<Broadcast, RuntimeError> {
    Broadcast::new(context.dims(0), context.dims(1))
        .ok_or_else(|| context.unsupported("the shapes of its inputs do not broadcast"))
}

//! The borders between float and integer arithmetic, and from one quantization to another.

use ir::ElementType;
use kernels::quantized::Integer;
use kernels::reference::{self, RequantizeParams};

use super::{Context, Lowered};
use crate::RuntimeError;
use crate::buffer::Scalar;

pub(super) fn quantize(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    match (context.input(0).ty.element, context.output().ty.element) {
        (ElementType::F32, ElementType::I8) => from_float::<i8>(context),
        (ElementType::F32, ElementType::U8) => from_float::<u8>(context),
        (ElementType::F32, ElementType::I16) => from_float::<i16>(context),
        (ElementType::I16, ElementType::I16) => between::<i16, i16>(context),
        (ElementType::I16, ElementType::I8) => between::<i16, i8>(context),
        (ElementType::I8, ElementType::I16) => between::<i8, i16>(context),
        (ElementType::I8, ElementType::I8) => between::<i8, i8>(context),
        (ElementType::I8, ElementType::U8) => between::<i8, u8>(context),
        (ElementType::U8, ElementType::I8) => between::<u8, i8>(context),
        (ElementType::U8, ElementType::U8) => between::<u8, u8>(context),
        (from, to) => Err(context.unsupported(format!(
            "there is no kernel from {from} to {to}, expected f32, i8 or u8 to i8 or u8, or f32, i8 or i16 to i8 or i16"
        ))),
    }
}

pub(super) fn dequantize(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    match context.input(0).ty.element {
        ElementType::I8 => to_float::<i8>(context),
        ElementType::U8 => to_float::<u8>(context),
        ElementType::I16 => to_float::<i16>(context),
        ElementType::F16 => {
            Err(context.unsupported("its input is not a constant; f16 values are stored, not computed"))
        }
        other => Err(context.types(&format!("i8, u8 or i16 instead of {other}"))),
    }
}

fn from_float<T: Integer + Scalar>(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    let quantization = context.output_quantization()?;
    Ok(Lowered::new(Box::new(move |args| {
        reference::quantize::<T>(quantization, args.get(0), args.output());
    })))
}

fn to_float<T: Integer + Scalar>(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    let quantization = context.input_quantization(0)?;
    Ok(Lowered::new(Box::new(move |args| {
        reference::dequantize::<T>(quantization, args.get(0), args.output());
    })))
}

fn between<I: Integer + Scalar, O: Integer + Scalar>(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    let params = RequantizeParams::new(context.input_quantization(0)?, context.output_quantization()?);
    Ok(Lowered::new(Box::new(move |args| {
        reference::requantize::<I, O>(&params, args.get(0), args.output());
    })))
}

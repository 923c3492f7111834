//! Between number formats and between the forms of a tensor.

use ir::ElementType;
use kernels::fast::{self, Border, ByteMap, Isa, Lookup, Plane, Stored, View, ViewMut};
use kernels::quantized::Integer;
use kernels::reference::{self, RequantizeParams};

use super::elementwise::byte_map;
use super::{first, images};
use crate::RuntimeError;
use crate::buffer::{Scalar, Store};
use crate::lower::{Context, Lowered};
use crate::program::Run;

pub(super) fn quantize(context: &Context<'_>, isa: Isa) -> Result<Option<Lowered>, RuntimeError> {
    let reads = vec![first(context, Border::NONE)];
    let quantization = context.output_quantization()?;
    let run = match (context.input(0).ty.element, context.output().ty.element) {
        (ElementType::F32, ElementType::I8) => runs(move |x, y: &mut [u8]| fast::quantize(isa, quantization, x, y)),
        (ElementType::F32, ElementType::U8) => {
            runs(move |x, y: &mut [u8]| fast::quantize_stored(isa, quantization, x, y))
        }
        (ElementType::F32, ElementType::I16) => {
            runs(move |x, y: &mut [i16]| fast::quantize_stored(isa, quantization, x, y))
        }
        (ElementType::I8, ElementType::I8) => byte_map(context)?,
        (from, to) => return between(context, from, to),
    };
    Ok(Some(images(reads, run)))
}

/// From one quantization to another, by a table of the plain kernel's results. Signed bytes are held as `q + 128`.
fn between(context: &Context<'_>, from: ElementType, to: ElementType) -> Result<Option<Lowered>, RuntimeError> {
    let params = RequantizeParams::new(context.input_quantization(0)?, context.output_quantization()?);
    let signed = |byte: u8| (byte ^ 0x80) as i8;
    let run: Run = match (from, to) {
        (ElementType::I8, ElementType::U8) => bytes(ByteMap::of_bytes(|byte| one(&params, signed(byte)))),
        (ElementType::U8, ElementType::I8) => bytes(ByteMap::of_bytes(|byte| one::<_, i8>(&params, byte) as u8 ^ 0x80)),
        (ElementType::U8, ElementType::U8) => bytes(ByteMap::of_bytes(|byte| one(&params, byte))),
        (ElementType::I8, ElementType::I16) => looked_up(Lookup::new(|byte: u8| one::<_, i16>(&params, signed(byte)))),
        (ElementType::I16, ElementType::I8) => looked_up(Lookup::new(|q: i16| one::<_, i8>(&params, q) as u8 ^ 0x80)),
        (ElementType::I16, ElementType::I16) => looked_up(Lookup::new(|q: i16| one::<_, i16>(&params, q))),
        _ => return Ok(None),
    };
    Ok(Some(images(vec![first(context, Border::NONE)], run)))
}

fn one<I: Integer, O: Integer>(params: &RequantizeParams, q: I) -> O {
    let mut result = [O::LOWEST];
    reference::requantize(params, &[q], &mut result);
    result[0]
}

fn bytes(map: ByteMap) -> Run {
    Box::new(move |args| map.run(args.view(0), args.output_view()))
}

fn looked_up<I: Scalar + Stored, O: Scalar>(table: Lookup<I, O>) -> Run {
    Box::new(move |args| table.run(args.view(0), args.output_view()))
}

/// A kernel of dense stretches on images.
fn runs<I: Scalar, O: Scalar>(kernel: impl Fn(&[I], &mut [O]) + Send + Sync + 'static) -> Run {
    Box::new(move |args| {
        let (input, mut output) = (args.view(0), args.output_view());
        each_run(input, &mut output, &kernel);
    })
}

pub(super) fn dequantize(context: &Context<'_>, isa: Isa) -> Result<Option<Lowered>, RuntimeError> {
    let quantization = context.input_quantization(0)?;
    let run = match context.input(0).ty.element {
        ElementType::I8 => runs(move |x: &[u8], y| fast::dequantize(isa, quantization, x, y)),
        ElementType::U8 => runs(move |x: &[u8], y| fast::dequantize_stored(isa, quantization, x, y)),
        ElementType::I16 => runs(move |x: &[i16], y| fast::dequantize_stored(isa, quantization, x, y)),
        _ => return Ok(None),
    };
    Ok(Some(images(vec![first(context, Border::NONE)], run)))
}

/// What brings values from one form into another.
pub(crate) fn convert(from: Store, to: Store) -> Run {
    match (from, to) {
        (Store::I8, Store::U8) => Box::new(|args| {
            let (input, mut output) = (args.view(0), args.output_view());
            each_run(input, &mut output, fast::to_bytes);
        }),
        (Store::U8, Store::I8) => Box::new(|args| {
            let (input, mut output) = (args.view(0), args.output_view());
            each_run(input, &mut output, fast::from_bytes);
        }),
        (_, store) => crate::buffer::for_store!(store, T => Box::new(|args| {
            let (input, mut output) = (args.view::<T>(0), args.output_view::<T>());
            each_run(input, &mut output, |x, y| y.copy_from_slice(x));
        })),
    }
}

/// Calls `visit` for corresponding stretches of two images: the whole of them, or their rows.
fn each_run<I: Copy, O: Copy>(input: View<'_, I>, output: &mut ViewMut<'_, O>, mut visit: impl FnMut(&[I], &mut [O])) {
    let (from, to) = (input.plane(), output.plane());
    let whole = from.is_contiguous() && to.is_contiguous();
    let run = |plane: &Plane| {
        if whole {
            Plane::dense(1, plane.height * plane.width, plane.channels).rows()
        } else {
            plane.rows()
        }
    };
    let skip = |plane: &Plane| if whole { plane.at(0, 0) } else { 0 };
    let (skip_from, skip_to) = (skip(from), skip(to));
    for (from, to) in run(from).zip(run(to)) {
        let (from, to) = (
            from.start + skip_from..from.end + skip_from,
            to.start + skip_to..to.end + skip_to,
        );
        visit(&input.data()[from], &mut output.data()[to]);
    }
}

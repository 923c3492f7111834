//! Operators that move elements without looking at them, and resizing.

use ir::ElementType;
use ir::ops::{Concat, Coordinates, Gather, Interpolation, Pad, PadMode, Resize, Slice, Split, Transpose};
use kernels::reference;
use kernels::shape::{Resize2dShape, ResizeCoordinates};

use super::{Arithmetic, Context, Lowered};
use crate::RuntimeError;
use crate::buffer::{Scalar, for_store};
use crate::program::Run;

/// Inputs of a concatenation that need no list on the heap.
const FEW: usize = 16;

pub(super) fn copy(context: &Context<'_>) -> Result<Vec<Lowered>, RuntimeError> {
    Ok(for_store!(context.store()?, T => Lowered::new(Box::new(|args| {
        reference::reshape::<T>(args.get(0), args.output());
    }))))
}

pub(super) fn concat(context: &Context<'_>, op: &Concat) -> Result<Vec<Lowered>, RuntimeError> {
    let outer = context.dims(0)[..op.axis].iter().product();
    Ok(for_store!(context.store()?, T => Lowered::new(concatenate::<T>(outer))))
}

fn concatenate<T: Scalar>(outer: usize) -> Run {
    Box::new(move |args| {
        let n = args.len();
        if n <= FEW {
            let inputs: [&[T]; FEW] = std::array::from_fn(|i| args.find(i).unwrap_or_default());
            reference::concat(outer, &inputs[..n], args.output());
        } else {
            let inputs: Vec<&[T]> = (0..n).map(|i| args.get(i)).collect();
            reference::concat(outer, &inputs, args.output());
        }
    })
}

/// Each part is a slice.
pub(super) fn split(context: &Context<'_>, op: &Split) -> Result<Vec<Lowered>, RuntimeError> {
    let (dims, size) = (context.dims(0), context.out_dims());
    let store = context.store()?;
    let part = |i: usize| {
        let mut begin = vec![0; dims.len()];
        begin[op.axis] = i * size[op.axis];
        Lowered::part(
            i,
            for_store!(store, T => cut::<T>(dims, begin, vec![1; dims.len()], size)),
        )
    };
    Ok((0..op.parts).map(part).collect())
}

pub(super) fn slice(context: &Context<'_>, op: &Slice) -> Result<Vec<Lowered>, RuntimeError> {
    let (dims, size) = (context.dims(0), context.out_dims());
    let step: Vec<isize> = op.stride.iter().map(|&s| s as isize).collect();
    let run = for_store!(context.store()?, T => cut::<T>(dims, op.begin.clone(), step, size));
    Ok(Lowered::new(run))
}

fn cut<T: Scalar>(dims: &[usize], begin: Vec<usize>, step: Vec<isize>, size: &[usize]) -> Run {
    let (dims, size) = (dims.to_vec(), size.to_vec());
    Box::new(move |args| reference::slice::<T>(&dims, &begin, &step, &size, args.get(0), args.output()))
}

pub(super) fn gather(context: &Context<'_>, op: &Gather) -> Result<Vec<Lowered>, RuntimeError> {
    let indices = context.input(1);
    let far = match indices.ty.element {
        ElementType::I32 => false,
        ElementType::I64 => true,
        other => {
            let problem = format!(
                "there is no kernel for indices `{}` of {other}, expected i32 or i64",
                indices.name
            );
            return Err(context.unsupported(problem));
        }
    };
    let (outer, inner) = context.dims(0).split_at(op.axis);
    let (outer, inner) = (outer.iter().product(), inner[1..].iter().product());
    Ok(for_store!(context.store()?, T => Lowered::new(Box::new(move |args| {
        if far {
            reference::gather::<T, i64>(outer, inner, args.get(0), args.get(1), args.output());
        } else {
            reference::gather::<T, i32>(outer, inner, args.get(0), args.get(1), args.output());
        }
    }))))
}

pub(super) fn transpose(context: &Context<'_>, op: &Transpose) -> Result<Vec<Lowered>, RuntimeError> {
    let (dims, perm) = (context.dims(0).to_vec(), op.perm.clone());
    Ok(for_store!(context.store()?, T => Lowered::new(Box::new(move |args| {
        reference::transpose::<T>(&dims, &perm, args.get(0), args.output());
    }))))
}

pub(super) fn pad(context: &Context<'_>, op: &Pad) -> Result<Vec<Lowered>, RuntimeError> {
    let store = context.store()?;
    let value = match op.mode {
        PadMode::Zero => stored(context, 0.0)?,
        PadMode::Value(value) => stored(context, value)?,
        PadMode::Reflect => return Ok(for_store!(store, T => Lowered::new(mirror::<T>(context, op, 1)))),
        PadMode::Symmetric => return Ok(for_store!(store, T => Lowered::new(mirror::<T>(context, op, 0)))),
    };
    let (dims, before, out_dims) = (context.dims(0).to_vec(), op.before.clone(), context.out_dims().to_vec());
    Ok(for_store!(store, T => Lowered::new(Box::new(move |args| {
        reference::pad::<T>(&dims, &before, &out_dims, T::of(value), args.get(0), args.output());
    }))))
}

/// A real number as it is stored in the output: itself, or quantized.
pub(crate) fn stored(context: &Context<'_>, value: f32) -> Result<f32, RuntimeError> {
    let output = context.output();
    if !output.is_quantized() {
        return Ok(value);
    }
    let params = output.quantization.as_ref().and_then(ir::Quantization::whole);
    let params = params.ok_or_else(|| context.unsupported(format!("`{}` has no single scale", output.name)))?;
    let bytes = context.bytes && output.ty.element == ElementType::I8;
    let bias = if bytes { 128 } else { 0 };
    Ok((params.quantize(value, output.ty.element) + bias) as f32)
}

/// Padding by reflection; the mirror stands `edge` half-elements outside: 1 leaves the edge out of the image, 0 repeats it.
///
/// Where each output element comes from is found once. Source: `reference_ops` of `MIRROR_PAD` (`kernels/mirror_pad.cc`).
fn mirror<T: Scalar>(context: &Context<'_>, op: &Pad, edge: usize) -> Run {
    let (dims, out_dims) = (context.dims(0), context.out_dims());
    let reflected = |axis: usize, at: usize| {
        let (before, size) = (op.before[axis], dims[axis]);
        if at < before {
            before - at - 1 + edge
        } else if at < before + size {
            at - before
        } else {
            (2 * size - 1 - edge) - (at - before)
        }
    };
    let elements = out_dims.iter().product();
    let from: Vec<usize> = (0..elements)
        .map(|mut flat| {
            let (mut source, mut stride) = (0, 1);
            for axis in (0..dims.len()).rev() {
                source += reflected(axis, flat % out_dims[axis]) * stride;
                flat /= out_dims[axis];
                stride *= dims[axis];
            }
            source
        })
        .collect();
    Box::new(move |args| {
        let input: &[T] = args.get(0);
        for (to, &from) in args.output().iter_mut().zip(&from) {
            *to = input[from];
        }
    })
}

pub(super) fn resize(context: &Context<'_>, op: &Resize) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = resize_shape(context, op)?;
    Ok(match op.interpolation {
        Interpolation::Nearest => for_store!(context.store()?, T => Lowered::new(Box::new(move |args| {
            reference::resize_nearest::<T>(&shape, args.get(0), args.output());
        }))),
        Interpolation::Bilinear if context.plain()? == Arithmetic::Float => Lowered::new(Box::new(move |args| {
            reference::resize_bilinear_f32(&shape, args.get(0), args.output());
        })),
        Interpolation::Bilinear if context.plain()? == Arithmetic::Integer16 => Lowered::new(Box::new(move |args| {
            reference::resize_bilinear_i16(&shape, args.get(0), args.output());
        })),
        Interpolation::Bilinear => Lowered::new(Box::new(move |args| {
            reference::resize_bilinear_i8(&shape, args.get(0), args.output());
        })),
    })
}

/// The geometry of a resizing node.
pub(crate) fn resize_shape(context: &Context<'_>, op: &Resize) -> Result<Resize2dShape, RuntimeError> {
    let ([batch, in_h, in_w, channels], [_, out_h, out_w, _]) = (context.nhwc(0)?, context.out_nhwc()?);
    Ok(Resize2dShape {
        batch,
        in_h,
        in_w,
        channels,
        out_h,
        out_w,
        coordinates: match op.coordinates {
            Coordinates::HalfPixel => ResizeCoordinates::HalfPixel,
            Coordinates::AlignCorners => ResizeCoordinates::AlignCorners,
            Coordinates::Asymmetric => ResizeCoordinates::Asymmetric,
        },
    })
}

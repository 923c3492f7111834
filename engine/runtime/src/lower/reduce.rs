//! Operators that look at several values of one tensor, and normalization: pooling, reductions, softmax, batch and layer norm.

use ir::ElementType;
use ir::ops::{
    ArgMax, AveragePool2d, BatchNorm, LayerNorm, MaxPool2d, Mean, Padding, ReduceMax, ReduceMin, ReduceSum, Softmax,
};
use kernels::reference::{self, BatchNormParams, MeanParams, Softmax16Params, SoftmaxParams};
use kernels::shape::{Pool2dShape, Reduce};

use super::{Arithmetic, Context, Lowered, activation};
use crate::RuntimeError;
use crate::buffer::{Scalar, Store, for_store};
use crate::program::Run;

pub(super) fn max_pool(context: &Context<'_>, op: &MaxPool2d) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = pool_shape(context, op.kernel, op.stride, op.padding)?;
    if context.plain()? == Arithmetic::Float {
        let clamp = activation(op.activation).clamp_f32();
        return Ok(Lowered::new(Box::new(move |args| {
            reference::max_pool2d_f32(&shape, clamp, args.get(0), args.output());
        })));
    }
    let output = context.output_quantization()?;
    if context.plain()? == Arithmetic::Integer16 {
        let clamp = activation(op.activation).clamp_i16(output);
        return Ok(Lowered::new(Box::new(move |args| {
            reference::max_pool2d_i16(&shape, clamp, args.get(0), args.output());
        })));
    }
    let clamp = activation(op.activation).clamp_i8(output);
    Ok(Lowered::new(Box::new(move |args| {
        reference::max_pool2d_i8(&shape, clamp, args.get(0), args.output());
    })))
}

pub(super) fn average_pool(context: &Context<'_>, op: &AveragePool2d) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = pool_shape(context, op.kernel, op.stride, op.padding)?;
    if context.plain()? == Arithmetic::Float {
        let clamp = activation(op.activation).clamp_f32();
        return Ok(Lowered::new(Box::new(move |args| {
            reference::average_pool2d_f32(&shape, clamp, args.get(0), args.output());
        })));
    }
    let output = context.output_quantization()?;
    if context.plain()? == Arithmetic::Integer16 {
        let clamp = activation(op.activation).clamp_i16(output);
        return Ok(Lowered::new(Box::new(move |args| {
            reference::average_pool2d_i16(&shape, clamp, args.get(0), args.output());
        })));
    }
    let clamp = activation(op.activation).clamp_i8(output);
    Ok(Lowered::new(Box::new(move |args| {
        reference::average_pool2d_i8(&shape, clamp, args.get(0), args.output());
    })))
}

/// The geometry of a pooling node.
pub(crate) fn pool_shape(
    context: &Context<'_>,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
) -> Result<Pool2dShape, RuntimeError> {
    let ([batch, in_h, in_w, channels], [_, out_h, out_w, _]) = (context.nhwc(0)?, context.out_nhwc()?);
    let ([k_h, k_w], [stride_h, stride_w]) = (kernel, stride);
    Ok(Pool2dShape {
        batch,
        in_h,
        in_w,
        channels,
        out_h,
        out_w,
        k_h,
        k_w,
        stride_h,
        stride_w,
        pad_top: padding.top,
        pad_left: padding.left,
    })
}

pub(super) fn mean(context: &Context<'_>, op: &Mean) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = Reduce::new(context.dims(0), &op.axes);
    if context.plain()? == Arithmetic::Float {
        return Ok(Lowered::new(Box::new(move |args| {
            reference::mean_f32(&shape, args.get(0), args.output());
        })));
    }
    let (input, output) = (context.input_quantization(0)?, context.output_quantization()?);
    let params = MeanParams::new(input, output, shape.count());
    if context.plain()? == Arithmetic::Integer16 {
        context.symmetric()?;
        return Ok(Lowered::new(Box::new(move |args| {
            reference::mean_i16(&shape, &params, args.get(0), args.output());
        })));
    }
    Ok(Lowered::new(Box::new(move |args| {
        reference::mean_i8(&shape, &params, args.get(0), args.output());
    })))
}

pub(super) fn sum(context: &Context<'_>, op: &ReduceSum) -> Result<Vec<Lowered>, RuntimeError> {
    context.float_only()?;
    let shape = Reduce::new(context.dims(0), &op.axes);
    Ok(Lowered::new(Box::new(move |args| {
        reference::reduce_sum_f32(&shape, args.get(0), args.output());
    })))
}

pub(super) fn max(context: &Context<'_>, op: &ReduceMax) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = Reduce::new(context.dims(0), &op.axes);
    Ok(match context.plain()? {
        Arithmetic::Float => extremum(shape, reference::reduce_max_f32),
        Arithmetic::Integer16 => extremum(shape, reference::reduce_max_i16),
        Arithmetic::Integer | Arithmetic::Hybrid => extremum(shape, reference::reduce_max_i8),
    })
}

pub(super) fn min(context: &Context<'_>, op: &ReduceMin) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = Reduce::new(context.dims(0), &op.axes);
    Ok(match context.plain()? {
        Arithmetic::Float => extremum(shape, reference::reduce_min_f32),
        Arithmetic::Integer16 => extremum(shape, reference::reduce_min_i16),
        Arithmetic::Integer | Arithmetic::Hybrid => extremum(shape, reference::reduce_min_i8),
    })
}

fn extremum<T: Scalar>(shape: Reduce, kernel: fn(&Reduce, &[T], &mut [T])) -> Vec<Lowered> {
    Lowered::new(Box::new(move |args| kernel(&shape, args.get(0), args.output())))
}

/// A loop for each type of elements and of places.
pub(crate) fn arg_max(context: &Context<'_>, op: &ArgMax) -> Result<Vec<Lowered>, RuntimeError> {
    fn run<T: Scalar + PartialOrd>(extent: usize, inner: usize, to: ElementType) -> Run {
        if to == ElementType::I32 {
            return Box::new(move |args| {
                reference::arg_max::<T, i32>(extent, inner, args.get(0), args.output(), |k| k as i32);
            });
        }
        Box::new(move |args| reference::arg_max::<T, i64>(extent, inner, args.get(0), args.output(), |k| k as i64))
    }
    let element = context.input(0).ty.element;
    let store = Store::of(element).ok_or_else(|| context.unsupported(format!("there is no kernel for {element}")))?;
    let (extent, inner) = (
        context.dims(0)[op.axis],
        context.dims(0)[op.axis + 1..].iter().product(),
    );
    let to = op.to;
    Ok(Lowered::new(for_store!(store, T => run::<T>(extent, inner, to))))
}

pub(super) fn softmax(context: &Context<'_>, op: &Softmax) -> Result<Vec<Lowered>, RuntimeError> {
    let depth = context.dims(0).last().copied().unwrap_or(1);
    if context.plain()? == Arithmetic::Float {
        let beta = op.beta;
        return Ok(Lowered::new(Box::new(move |args| {
            reference::softmax_f32(depth, beta, args.get(0), args.output());
        })));
    }
    if context.plain()? == Arithmetic::Integer16 {
        context.symmetric()?;
        context.unit_i16()?;
        let params = Softmax16Params::new(context.input_quantization(0)?, op.beta);
        return Ok(Lowered::new(Box::new(move |args| {
            reference::softmax_i16(depth, &params, args.get(0), args.output());
        })));
    }
    let output = context.output_quantization()?;
    if output.scale != 1.0 / 256.0 || output.zero_point != -128 {
        let problem = format!(
            "its output has scale {} and zero point {}, the integer kernel makes 1/256 and -128",
            output.scale, output.zero_point
        );
        return Err(context.unsupported(problem));
    }
    let params = SoftmaxParams::new(context.input_quantization(0)?, op.beta);
    Ok(Lowered::new(Box::new(move |args| {
        reference::softmax_i8(depth, &params, args.get(0), args.output());
    })))
}

pub(super) fn batch_norm(context: &Context<'_>, op: &BatchNorm) -> Result<Vec<Lowered>, RuntimeError> {
    let params = batch_norm_params(context, op)?;
    Ok(Lowered::new(Box::new(move |args| {
        reference::batch_norm_f32(&params, args.get(0), args.output());
    })))
}

/// What a batch normalization comes to.
pub(crate) fn batch_norm_params(context: &Context<'_>, op: &BatchNorm) -> Result<BatchNormParams, RuntimeError> {
    context.float_only()?;
    let statistic = |i: usize| {
        let name = &context.input(i).name;
        let constant = context.constant(i).and_then(ir::Constant::as_f32);
        constant.ok_or_else(|| context.unsupported(format!("`{name}` is not a constant")))
    };
    Ok(BatchNormParams::new(
        statistic(1)?,
        statistic(2)?,
        statistic(3)?,
        statistic(4)?,
        op.epsilon,
    ))
}

pub(super) fn layer_norm(context: &Context<'_>, op: &LayerNorm) -> Result<Vec<Lowered>, RuntimeError> {
    context.float_only()?;
    let epsilon = op.epsilon;
    Ok(Lowered::new(Box::new(move |args| {
        reference::layer_norm_f32(epsilon, args.get(0), args.get(1), args.find(2), args.output());
    })))
}

//! Pooling, elements that come together along axes, normalization, and resizing.

use ir::ops::{Activation, BatchNorm, LayerNorm, Resize, Softmax};
use ir::{Op, TensorId};
use kernels::fast::{self, Border, ByteSoftmax, FloatResize, Folding, IntResize, Isa, ShortSoftmax, View, ViewMut};
use kernels::quantized::ClampF32;
use kernels::reference::{BatchNormParams, MeanParams, Softmax16Params, SoftmaxParams};
use kernels::shape::Pool2dShape;

use super::{first, images};
use crate::RuntimeError;
use crate::buffer::Store;
use crate::lower::{self, Arithmetic, Context, Form, Lowered, Read, Scratch, activation};
use crate::program::Run;

pub(super) fn pool(context: &Context<'_>, isa: Isa) -> Result<Option<Lowered>, RuntimeError> {
    type Kernel<T, C> = fn(Isa, &Pool2dShape, C, View<'_, T>, ViewMut<'_, T>);
    let (max, kernel, stride, padding, fused) = match &context.node.op {
        Op::MaxPool2d(op) => (true, op.kernel, op.stride, op.padding, op.activation),
        Op::AveragePool2d(op) => (false, op.kernel, op.stride, op.padding, op.activation),
        _ => return Ok(None),
    };
    let shape = lower::pool_shape(context, kernel, stride, padding)?;
    if shape.batch != 1 {
        return Ok(None);
    }
    let reads = vec![first(context, Border::NONE)];
    let run: Run = if context.plain()? == Arithmetic::Integer16 {
        let kernel: Kernel<i16, _> = if max {
            fast::max_pool_short
        } else {
            fast::average_pool_short
        };
        let clamp = activation(fused).clamp_i16(context.output_quantization()?);
        Box::new(move |args| kernel(isa, &shape, clamp, args.view(0), args.output_view()))
    } else if context.plain()? == Arithmetic::Float {
        let kernel: Kernel<f32, ClampF32> = if max {
            fast::max_pool_f32
        } else {
            fast::average_pool_f32
        };
        let clamp = activation(fused).clamp_f32();
        Box::new(move |args| kernel(isa, &shape, clamp, args.view(0), args.output_view()))
    } else {
        context.same_scale()?;
        let kernel: Kernel<u8, _> = if max {
            fast::max_pool_int
        } else {
            fast::average_pool_int
        };
        let clamp = activation(fused).clamp_i8(context.output_quantization()?);
        Box::new(move |args| kernel(isa, &shape, clamp, args.view(0), args.output_view()))
    };
    Ok(Some(images(reads, run)))
}

/// Mean, sum and extremes over some axes.
pub(super) fn fold(context: &Context<'_>, isa: Isa, axes: &[usize]) -> Result<Option<Lowered>, RuntimeError> {
    if let (Op::Mean(op), &[1, height, width, _]) = (&context.node.op, context.dims(0))
        && op.axes == [1, 2]
        && context.plain()? != Arithmetic::Integer16
    {
        return image_mean(context, isa, height * width).map(Some);
    }
    let Some(folding) = Folding::new(context.dims(0), axes) else {
        return Ok(None);
    };
    let mut scratch = Vec::new();
    let run: Run = match (&context.node.op, context.plain()?) {
        (Op::Mean(_), Arithmetic::Float) => Box::new(move |args| folding.mean_f32(isa, args.get(0), args.output())),
        (Op::Mean(_), arithmetic) => {
            let (input, output) = (context.input_quantization(0)?, context.output_quantization()?);
            let count = context.input(0).ty.shape.elements() / folding.output_len();
            let params = MeanParams::new(input, output, count);
            scratch.push(Scratch::elements(Store::I32, folding.output_len()));
            if arithmetic == Arithmetic::Integer16 {
                Box::new(move |args| {
                    let input = args.get(0);
                    let (output, sums) = args.output_and_scratch();
                    folding.mean_shorts(isa, &params, input, sums, output);
                })
            } else {
                Box::new(move |args| {
                    let input = args.get(0);
                    let (output, sums) = args.output_and_scratch();
                    folding.mean_bytes(isa, &params, input, sums, output);
                })
            }
        }
        (Op::ReduceSum(_), Arithmetic::Float) => Box::new(move |args| folding.sum_f32(isa, args.get(0), args.output())),
        (Op::ReduceMax(_), Arithmetic::Float) => Box::new(move |args| folding.max_f32(isa, args.get(0), args.output())),
        (Op::ReduceMin(_), Arithmetic::Float) => Box::new(move |args| folding.min_f32(isa, args.get(0), args.output())),
        (Op::ReduceMax(_), Arithmetic::Integer) => {
            Box::new(move |args| folding.max(isa, u8::MIN, args.get(0), args.output()))
        }
        (Op::ReduceMin(_), Arithmetic::Integer) => {
            Box::new(move |args| folding.min(isa, u8::MAX, args.get(0), args.output()))
        }
        (Op::ReduceMax(_), Arithmetic::Integer16) => {
            Box::new(move |args| folding.max(isa, i16::MIN, args.get(0), args.output()))
        }
        (Op::ReduceMin(_), Arithmetic::Integer16) => {
            Box::new(move |args| folding.min(isa, i16::MAX, args.get(0), args.output()))
        }
        _ => return Ok(None),
    };
    Ok(Some(Lowered {
        scratch,
        ..rows(context, run)
    }))
}

/// The mean of an image that may have a border.
fn image_mean(context: &Context<'_>, isa: Isa, pixels: usize) -> Result<Lowered, RuntimeError> {
    let run: Run = if context.plain()? == Arithmetic::Float {
        Box::new(move |args| fast::global_mean_f32(isa, args.view(0), args.output()))
    } else {
        let (input, output) = (context.input_quantization(0)?, context.output_quantization()?);
        let params = MeanParams::new(input, output, pixels);
        Box::new(move |args| fast::global_mean_int(isa, &params, args.view(0), args.output()))
    };
    Ok(Lowered {
        form: Form::Bytes,
        ..images(vec![first(context, Border::NONE)], run)
    })
}

/// A kernel that reads all inputs and writes the output without borders.
fn rows(context: &Context<'_>, run: Run) -> Lowered {
    Lowered {
        form: Form::Bytes,
        ..images(
            context.node.inputs.iter().map(|&t| Read::new(t, Form::Bytes)).collect(),
            run,
        )
    }
}

pub(super) fn softmax(context: &Context<'_>, isa: Isa, op: &Softmax) -> Result<Option<Lowered>, RuntimeError> {
    let depth = context.dims(0).last().copied().unwrap_or(1);
    let run: Run = match context.plain()? {
        Arithmetic::Float => {
            let beta = op.beta;
            Box::new(move |args| fast::softmax_f32(isa, depth, beta, args.get(0), args.output()))
        }
        Arithmetic::Integer => {
            let kernel = ByteSoftmax::new(isa, &SoftmaxParams::new(context.input_quantization(0)?, op.beta));
            Box::new(move |args| kernel.run(depth, args.get(0), args.output()))
        }
        Arithmetic::Integer16 => {
            let kernel = ShortSoftmax::new(&Softmax16Params::new(context.input_quantization(0)?, op.beta));
            Box::new(move |args| kernel.run(depth, args.get(0), args.output()))
        }
        Arithmetic::Hybrid => return Ok(None),
    };
    Ok(Some(rows(context, run)))
}

pub(super) fn batch_norm(context: &Context<'_>, isa: Isa, op: &BatchNorm) -> Result<Option<Lowered>, RuntimeError> {
    let params = lower::batch_norm_params(context, op)?;
    let unbounded = ClampF32 {
        min: f32::NEG_INFINITY,
        max: f32::INFINITY,
    };
    Ok(Some(affine(isa, params, unbounded, context.node.inputs[0])))
}

fn affine(isa: Isa, params: BatchNormParams, clamp: ClampF32, x: TensorId) -> Lowered {
    images(
        vec![Read::new(x, Form::Image)],
        Box::new(move |args| fast::batch_norm_f32(isa, &params, clamp, args.view(0), args.output_view())),
    )
}

/// A sum with constants by channel of a product with constants by channel that nothing else reads: the batch norm that files spell out.
pub(crate) fn spelled_batch_norm(context: &Context<'_>, isa: Isa) -> Option<Lowered> {
    let Op::Add(add) = &context.node.op else {
        return None;
    };
    let graph = context.graph;
    let channels = context.out_dims().last().copied().unwrap_or(1);
    let by_channel = |id: TensorId| {
        let constant = context.folded.get(&id).or_else(|| graph.constant_data(id))?;
        let values = constant.as_f32()?;
        let last = constant.dims().last() == Some(&channels);
        (last && values.len() == channels && channels > 1).then(|| values.to_vec())
    };
    let either = |inputs: &[TensorId]| match *inputs {
        [a, b] => by_channel(b).map(|c| (a, c)).or_else(|| by_channel(a).map(|c| (b, c))),
        _ => None,
    };
    let found = either(&context.node.inputs).and_then(|(product, offset)| {
        let node = graph.node(graph.producer(product)?);
        let Op::Mul(mul) = &node.op else { return None };
        let alone = graph.only_consumer(product).is_some() && mul.activation == Activation::None;
        let (x, scale) = either(&node.inputs).filter(|_| alone)?;
        let same = graph.tensor(x).ty == graph.tensor(context.node.output()).ty;
        same.then_some((x, BatchNormParams { scale, offset }))
    });
    found.map(|(x, params)| affine(isa, params, activation(add.activation).clamp_f32(), x))
}

pub(super) fn layer_norm(context: &Context<'_>, isa: Isa, op: &LayerNorm) -> Lowered {
    let epsilon = op.epsilon;
    rows(
        context,
        Box::new(move |args| {
            fast::layer_norm_f32(isa, epsilon, args.get(0), args.get(1), args.find(2), args.output());
        }),
    )
}

/// Bilinear resizing.
pub(super) fn resize(context: &Context<'_>, isa: Isa, op: &Resize) -> Result<Option<Lowered>, RuntimeError> {
    let shape = lower::resize_shape(context, op)?;
    let run: Run = match context.plain()? {
        Arithmetic::Float => {
            let kernel = FloatResize::new(&shape);
            Box::new(move |args| kernel.run(isa, args.get(0), args.output()))
        }
        Arithmetic::Integer => {
            let kernel = IntResize::new(&shape);
            Box::new(move |args| kernel.run_bytes(isa, args.get(0), args.output()))
        }
        Arithmetic::Integer16 => {
            let kernel = IntResize::new(&shape);
            Box::new(move |args| kernel.run_shorts(isa, args.get(0), args.output()))
        }
        Arithmetic::Hybrid => return Ok(None),
    };
    Ok(Some(rows(context, run)))
}

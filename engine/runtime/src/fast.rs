//! From a node of the graph to the fast kernel that computes it, where there is one.
//!
//! | operator | float | integer | dynamic range |
//! |---|---|---|---|
//! | convolution, fully connected | yes, a following sum included | yes | yes |
//! | product of computed matrices | yes | | |
//! | depthwise convolution | yes | yes | |
//! | sum, difference, product of equal shapes or with one pixel | yes | yes | |
//! | rectifiers | yes | by table | |
//! | other functions of one number | | by table | |
//! | pooling, mean over the image | yes | yes | |
//! | quantize, dequantize | | yes | |
//! | moving elements | | the plain kernels, on bytes | |
//!
//! Everything else, 16-bit integers, and weights that are not constant, stays with the plain kernels.

use ir::ops::{Activation, Conv2d, DepthwiseConv2d, FullyConnected, Function, Interpolation, MatMul, Mean};
use ir::{Constant, ElementType, Op, TensorId};
use kernels::fast::{
    self, Border, ByteMap, FloatConv, FloatDense, FloatDepthwise, HybridConv, HybridDense, IntAdd, IntConv, IntDense,
    IntDepthwise, IntMul, Isa, Plane, View, ViewMut,
};
use kernels::quantized::ClampF32;
use kernels::reference::MeanParams;
use kernels::shape::{FullyConnectedShape, Pool2dShape};

use crate::RuntimeError;
use crate::buffer::Store;
use crate::lower::{self, Arithmetic, Context, Form, Lowered, Read, Scratch, activation};
use crate::program::{Run, image};

type FloatZip = fn(Isa, ClampF32, View<'_, f32>, View<'_, f32>, ViewMut<'_, f32>);

/// The fast kernel of a node, or `None` where there is none.
pub(crate) fn select(context: &Context<'_>, isa: Isa) -> Result<Option<Vec<Lowered>>, RuntimeError> {
    let node = context.node;
    let empty = |&t: &TensorId| context.graph.tensor(t).ty.shape.elements() == 0;
    let wide = |&t: &TensorId| context.graph.tensor(t).ty.element == ElementType::I16;
    if node.inputs.iter().chain(&node.outputs).any(|t| empty(t) || wide(t)) {
        return Ok(None);
    }
    let one = |lowered: Option<Lowered>| lowered.map(|l| vec![l]);
    Ok(match &node.op {
        Op::Conv2d(op) => one(conv(context, isa, op)?),
        Op::DepthwiseConv2d(op) => one(depthwise(context, isa, op)?),
        Op::FullyConnected(op) => one(fully_connected(context, isa, op)?),
        Op::MatMul(op) => one(mat_mul(context, isa, op)?),
        Op::Add(op) => one(zip(context, isa, op.activation, fast::add_f32)?),
        Op::Sub(op) => one(zip(context, isa, op.activation, fast::sub_f32)?),
        Op::Mul(op) => one(zip(context, isa, op.activation, fast::mul_f32)?),
        Op::Function(function) => one(unary(context, isa, *function)?),
        Op::MaxPool2d(_) | Op::AveragePool2d(_) => one(pool(context, isa)?),
        Op::Mean(op) => one(mean(context, isa, op)?),
        Op::Quantize(_) => one(quantize(context, isa)?),
        Op::Dequantize(_) => one(dequantize(context, isa)?),
        Op::Concat(_) | Op::Split(_) | Op::Slice(_) | Op::Pad(_) | Op::Transpose(_) => moved(context)?,
        Op::Resize(op) if op.interpolation == Interpolation::Nearest => moved(context)?,
        Op::TransposeConv2d(_)
        | Op::BatchNorm(_)
        | Op::LayerNorm(_)
        | Op::PRelu(_)
        | Op::ReduceSum(_)
        | Op::ReduceMax(_)
        | Op::ReduceMin(_)
        | Op::Gather(_)
        | Op::Pow(_)
        | Op::Softmax(_)
        | Op::Div(_)
        | Op::Minimum(_)
        | Op::Maximum(_)
        | Op::Resize(_)
        | Op::Reshape(_)
        | Op::Dropout(_)
        | Op::Identity(_)
        | Op::Custom(_) => None,
    })
}

/// A kernel that reads and writes images.
fn images(reads: Vec<Read>, run: Run) -> Lowered {
    Lowered {
        reads: Some(reads),
        output: 0,
        form: Form::Image,
        scratch: None,
        run,
    }
}

/// The first input, as an image in this border.
fn first(context: &Context<'_>, border: Border) -> Read {
    Read {
        tensor: context.node.inputs[0],
        form: Form::Image,
        border,
    }
}

/// Whether an image in this border takes memory in proportion to the image. A wide dilation asks for borders far larger than
/// a small image; the reference kernels need none.
fn in_proportion(border: Border, height: usize, width: usize) -> bool {
    let Border {
        top,
        bottom,
        left,
        right,
    } = border;
    let rows = height.saturating_add(top).saturating_add(bottom);
    let columns = width.saturating_add(left).saturating_add(right);
    let pixels = height.saturating_mul(width);
    rows.saturating_mul(columns) <= pixels.saturating_mul(16).saturating_add(64 * 64)
}

fn floats<'g>(context: &Context<'g>, i: usize) -> Option<&'g [f32]> {
    context.constant(i).and_then(Constant::as_f32)
}

/// Weights and bias of a layer, as its arithmetic has them; `None` unless they are constant.
enum Weights<'g> {
    Float(&'g [f32], Option<&'g [f32]>),
    Integer(&'g [i8], Option<&'g [i32]>),
    Hybrid(&'g [i8], Option<&'g [f32]>),
}

fn weights<'g>(context: &Context<'g>) -> Result<Option<Weights<'g>>, RuntimeError> {
    let arithmetic = context.weighted()?;
    let has_bias = context.node.inputs.len() > 2;
    if context.constant(0).is_some() || (has_bias && context.constant(2).is_none()) {
        return Ok(None);
    }
    let bytes = context.constant(1).and_then(Constant::as_i8);
    Ok(match arithmetic {
        Arithmetic::Float => floats(context, 1).map(|w| Weights::Float(w, floats(context, 2))),
        Arithmetic::Integer => bytes.map(|w| Weights::Integer(w, context.constant(2).and_then(Constant::as_i32))),
        Arithmetic::Hybrid => bytes.map(|w| Weights::Hybrid(w, floats(context, 2))),
        Arithmetic::Integer16 => None,
    })
}

fn conv(context: &Context<'_>, isa: Isa, op: &Conv2d) -> Result<Option<Lowered>, RuntimeError> {
    let shape = lower::conv_shape(context, op)?;
    let Some(weights) = weights(context)?.filter(|_| shape.batch == 1) else {
        return Ok(None);
    };
    let clamp = activation(op.activation).clamp_f32();
    let border = Border::of_conv(&shape);
    if !in_proportion(border, shape.in_h, shape.in_w) {
        return Ok(None);
    }
    let reads = vec![first(context, border)];
    Ok(Some(match weights {
        Weights::Float(weights, bias) => {
            let kernel = FloatConv::new(isa, &shape, weights, bias, clamp);
            images(
                reads,
                Box::new(move |args| kernel.run(args.view(0), args.output_view(), None)),
            )
        }
        Weights::Integer(weights, bias) => {
            let kernel = IntConv::new(isa, &shape, &lower::linear_params(context)?, weights, bias);
            images(
                reads,
                Box::new(move |args| kernel.run(args.view(0), args.output_view())),
            )
        }
        Weights::Hybrid(weights, bias) => {
            let scales = lower::weight_scales(context, shape.out_c)?;
            let kernel = HybridConv::new(isa, &shape, &scales, clamp, weights, bias);
            let run: Run = Box::new(move |args| {
                let input = args.view(0);
                let (output, scratch) = args.output_view_and_scratch();
                kernel.run(input, scratch, output);
            });
            Lowered {
                scratch: Some(Scratch::BytesOfFirstRead),
                ..images(reads, run)
            }
        }
    }))
}

/// A float convolution with the sum after it: `clamp(conv(x) + residual)`.
pub(crate) fn conv_with_residual(
    context: &Context<'_>,
    isa: Isa,
    op: &Conv2d,
    residual: TensorId,
    fused: Activation,
) -> Result<Option<Lowered>, RuntimeError> {
    let shape = lower::conv_shape(context, op)?;
    let Some(Weights::Float(weights, bias)) = weights(context)?.filter(|_| shape.batch == 1) else {
        return Ok(None);
    };
    let border = Border::of_conv(&shape);
    if !in_proportion(border, shape.in_h, shape.in_w) {
        return Ok(None);
    }
    let kernel = FloatConv::new(isa, &shape, weights, bias, activation(fused).clamp_f32());
    let reads = vec![first(context, border), Read::new(residual, Form::Image)];
    let run: Run = Box::new(move |args| {
        let (input, residual) = (args.view(0), args.view(1));
        kernel.run(input, args.output_view(), Some(residual));
    });
    Ok(Some(images(reads, run)))
}

fn depthwise(context: &Context<'_>, isa: Isa, op: &DepthwiseConv2d) -> Result<Option<Lowered>, RuntimeError> {
    let shape = lower::depthwise_shape(context, op)?;
    let Some(weights) = weights(context)?.filter(|_| shape.batch == 1) else {
        return Ok(None);
    };
    let border = Border::of_depthwise(&shape);
    if !in_proportion(border, shape.in_h, shape.in_w) {
        return Ok(None);
    }
    let reads = vec![first(context, border)];
    Ok(match weights {
        Weights::Float(weights, bias) => {
            let clamp = activation(op.activation).clamp_f32();
            let kernel = FloatDepthwise::new(isa, &shape, weights, bias, clamp);
            let run: Run = Box::new(move |args| kernel.run(args.view(0), args.output_view()));
            Some(images(reads, run))
        }
        Weights::Integer(weights, bias) => {
            let kernel = IntDepthwise::new(isa, &shape, &lower::linear_params(context)?, weights, bias);
            let run: Run = Box::new(move |args| kernel.run(args.view(0), args.output_view()));
            Some(images(reads, run))
        }
        Weights::Hybrid(_, _) => None,
    })
}

fn fully_connected(context: &Context<'_>, isa: Isa, op: &FullyConnected) -> Result<Option<Lowered>, RuntimeError> {
    let shape = lower::fully_connected_shape(context);
    let Some(weights) = weights(context)? else {
        return Ok(None);
    };
    let clamp = activation(op.activation).clamp_f32();
    let rows = |run: Run| Lowered {
        form: Form::Bytes,
        ..images(vec![Read::new(context.node.inputs[0], Form::Bytes)], run)
    };
    Ok(Some(match weights {
        Weights::Float(weights, bias) => {
            let kernel = FloatDense::new(isa, &shape, weights, bias, clamp);
            rows(Box::new(move |args| kernel.run(args.get(0), args.output())))
        }
        Weights::Integer(weights, bias) => {
            let kernel = IntDense::new(isa, &shape, &lower::linear_params(context)?, weights, bias);
            rows(Box::new(move |args| kernel.run(args.get(0), args.output())))
        }
        Weights::Hybrid(weights, bias) => {
            let scales = lower::weight_scales(context, shape.out_features)?;
            let kernel = HybridDense::new(isa, &shape, &scales, clamp, weights, bias);
            let run: Run = Box::new(move |args| {
                let input = args.get(0);
                let (output, scratch) = args.output_and_scratch();
                kernel.run(input, scratch, output);
            });
            Lowered {
                scratch: Some(Scratch::Elements(Store::U8, shape.in_features)),
                ..rows(run)
            }
        }
    }))
}

/// An operator on two images, the second of equal shape or one pixel.
fn zip(context: &Context<'_>, isa: Isa, fused: Activation, float: FloatZip) -> Result<Option<Lowered>, RuntimeError> {
    let [a, b] = [context.input(0), context.input(1)].map(|t| image(&t.ty.shape));
    let gate = (b.height, b.width, b.channels) == (1, 1, a.channels) && context.dims(0).len() == 4;
    if context.dims(0) != context.out_dims() || !(context.dims(0) == context.dims(1) || gate) {
        return Ok(None);
    }
    let reads = context.node.inputs.iter().map(|&t| Read::new(t, Form::Image)).collect();
    if context.plain()? == Arithmetic::Float {
        let clamp = activation(fused).clamp_f32();
        let run: Run = Box::new(move |args| float(isa, clamp, args.view(0), args.view(1), args.output_view()));
        return Ok(Some(images(reads, run)));
    }
    let run: Run = match &context.node.op {
        Op::Mul(_) => {
            let kernel = IntMul::new(isa, &lower::mul_params(context, fused)?);
            Box::new(move |args| kernel.run(args.view(0), args.view(1), args.output_view()))
        }
        op => {
            let params = lower::add_params(context, fused)?;
            let kernel = match op {
                Op::Sub(_) => IntAdd::difference(isa, &params),
                _ => IntAdd::sum(isa, &params),
            };
            Box::new(move |args| kernel.run(args.view(0), args.view(1), args.output_view()))
        }
    };
    Ok(Some(images(reads, run)))
}

fn unary(context: &Context<'_>, isa: Isa, function: Function) -> Result<Option<Lowered>, RuntimeError> {
    let reads = vec![first(context, Border::NONE)];
    if context.plain()? == Arithmetic::Integer {
        return Ok(Some(images(reads, byte_map(context)?)));
    }
    Ok(function.clamp().map(|clamp| {
        let clamp = activation(clamp).clamp_f32();
        images(
            reads,
            Box::new(move |args| fast::clamp_f32(isa, clamp, args.view(0), args.output_view())),
        )
    }))
}

/// A product with a constant matrix is a fully connected layer.
fn mat_mul(context: &Context<'_>, isa: Isa, op: &MatMul) -> Result<Option<Lowered>, RuntimeError> {
    if context.plain()? != Arithmetic::Float {
        return Ok(None);
    }
    let shape = lower::mat_mul_shape(context, op)?;
    let weights = context.constant(1).filter(|b| b.dims().len() == 2 && !op.adjoint_a);
    let weights = weights.and_then(|b| {
        if op.adjoint_b {
            Some(b.clone())
        } else {
            b.permuted(&[1, 0])
        }
    });
    if let Some(weights) = weights.as_ref().and_then(Constant::as_f32) {
        let dense = FullyConnectedShape {
            rows: shape.output_len() / shape.columns,
            in_features: shape.depth,
            out_features: shape.columns,
        };
        let kernel = FloatDense::new(isa, &dense, weights, None, activation(Activation::None).clamp_f32());
        let reads = vec![Read::new(context.node.inputs[0], Form::Dense)];
        return Ok(Some(Lowered {
            form: Form::Dense,
            ..images(reads, Box::new(move |args| kernel.run(args.get(0), args.output())))
        }));
    }
    let reads = context.node.inputs.iter().map(|&id| Read::new(id, Form::Dense));
    let scratch = fast::mat_mul_scratch(&shape);
    let run: Run = Box::new(move |args| {
        let (a, b) = (args.get(0), args.get(1));
        let (output, scratch) = args.output_and_scratch();
        fast::mat_mul_f32(isa, &shape, a, b, scratch, output);
    });
    Ok(Some(Lowered {
        form: Form::Dense,
        scratch: Some(Scratch::Elements(Store::F32, scratch)),
        ..images(reads.collect(), run)
    }))
}

/// Any integer function of one number, as a table of the plain kernel's results.
fn byte_map(context: &Context<'_>) -> Result<Run, RuntimeError> {
    let map = lower::integer_map(context)?;
    let kernel = ByteMap::new(|q| {
        let mut result = [0];
        map(&[q], &mut result);
        result[0]
    });
    Ok(Box::new(move |args| kernel.run(args.view(0), args.output_view())))
}

fn pool(context: &Context<'_>, isa: Isa) -> Result<Option<Lowered>, RuntimeError> {
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
    let run: Run = if context.plain()? == Arithmetic::Float {
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

fn mean(context: &Context<'_>, isa: Isa, op: &Mean) -> Result<Option<Lowered>, RuntimeError> {
    let &[1, height, width, _] = context.dims(0) else {
        return Ok(None);
    };
    if op.axes != [1, 2] {
        return Ok(None);
    }
    let run: Run = if context.plain()? == Arithmetic::Float {
        Box::new(move |args| fast::global_mean_f32(isa, args.view(0), args.output()))
    } else {
        let (input, output) = (context.input_quantization(0)?, context.output_quantization()?);
        let params = MeanParams::new(input, output, height * width);
        Box::new(move |args| fast::global_mean_int(isa, &params, args.view(0), args.output()))
    };
    Ok(Some(Lowered {
        form: Form::Bytes,
        ..images(vec![first(context, Border::NONE)], run)
    }))
}

fn quantize(context: &Context<'_>, isa: Isa) -> Result<Option<Lowered>, RuntimeError> {
    let reads = vec![first(context, Border::NONE)];
    Ok(match (context.input(0).ty.element, context.output().ty.element) {
        (ElementType::F32, ElementType::I8) => {
            let quantization = context.output_quantization()?;
            let run: Run = Box::new(move |args| {
                let (input, mut output) = (args.view(0), args.output_view());
                each_run(input, &mut output, |x, y| fast::quantize(isa, quantization, x, y));
            });
            Some(images(reads, run))
        }
        (ElementType::I8, ElementType::I8) => Some(images(reads, byte_map(context)?)),
        _ => None,
    })
}

fn dequantize(context: &Context<'_>, isa: Isa) -> Result<Option<Lowered>, RuntimeError> {
    if context.input(0).ty.element != ElementType::I8 {
        return Ok(None);
    }
    let quantization = context.input_quantization(0)?;
    let run: Run = Box::new(move |args| {
        let (input, mut output) = (args.view(0), args.output_view());
        each_run(input, &mut output, |x, y| fast::dequantize(isa, quantization, x, y));
    });
    Ok(Some(images(vec![first(context, Border::NONE)], run)))
}

/// The plain kernels that move elements, on bytes.
fn moved(context: &Context<'_>) -> Result<Option<Vec<Lowered>>, RuntimeError> {
    if context.input(0).ty.element != ElementType::I8 {
        return Ok(None);
    }
    let mut lowered = lower::lower(&Context {
        bytes: true,
        ..*context
    })?;
    for kernel in &mut lowered {
        let inputs = context.node.inputs.iter();
        kernel.reads = Some(inputs.map(|&t| Read::new(t, Form::Bytes)).collect());
        kernel.form = Form::Bytes;
    }
    Ok(Some(lowered))
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

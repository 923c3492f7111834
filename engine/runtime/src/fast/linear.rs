//! Sums of products: convolutions, fully connected layers, matrix products.

use ir::ops::{Activation, Conv2d, DepthwiseConv2d, FullyConnected, MatMul, TransposeConv2d};
use ir::{Constant, TensorId};
use kernels::fast::{
    self, Border, FloatConv, FloatDense, FloatDepthwise, FloatTransposeConv, HybridConv, HybridDense, HybridDepthwise,
    HybridTransposeConv, IntConv, IntDense, IntDepthwise, IntTransposeConv, Isa, ShortConv, ShortDense, ShortDepthwise,
    ShortTransposeConv,
};
use kernels::shape::{FullyConnectedShape, MatMulShape};

use super::{first, images};
use crate::RuntimeError;
use crate::buffer::Store;
use crate::lower::{self, Arithmetic, Context, Form, Lowered, Read, Scratch, activation};
use crate::program::Run;

/// Whether an image in this border takes memory in proportion to the image. A wide dilation asks for borders far larger than
/// a small image; the reference kernels need none.
pub(super) fn in_proportion(border: Border, height: usize, width: usize) -> bool {
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
pub(super) enum Weights<'g> {
    Float(&'g [f32], Option<&'g [f32]>),
    Integer(&'g [i8], Option<&'g [i32]>),
    Hybrid(&'g [i8], Option<&'g [f32]>),
    Short(&'g [i8], Option<Vec<i64>>),
}

pub(super) fn weights<'g>(context: &Context<'g>) -> Result<Option<Weights<'g>>, RuntimeError> {
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
        Arithmetic::Integer16 => match bytes {
            Some(weights) => Some(Weights::Short(weights, lower::wide_bias(context)?)),
            None => None,
        },
    })
}

pub(super) fn conv(context: &Context<'_>, isa: Isa, op: &Conv2d) -> Result<Option<Lowered>, RuntimeError> {
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
                scratch: vec![Scratch::of_first_read(Store::U8, 1)],
                ..images(reads, run)
            }
        }
        Weights::Short(weights, bias) => {
            if shape.k_h * shape.k_w * shape.group_in_c() > MOST_SHORT_PRODUCTS {
                return Ok(None);
            }
            let kernel = ShortConv::new(isa, &shape, &lower::linear_params(context)?, weights, bias.as_deref());
            let run: Run = Box::new(move |args| {
                let input = args.view(0);
                let (output, bytes, sums) = args.output_view_and_two();
                kernel.run(input, bytes, sums, output);
            });
            Lowered {
                scratch: halves(shape.output_len()),
                ..images(reads, run)
            }
        }
    }))
}

/// Most products of a byte and a weight whose sum fits 32 bits.
const MOST_SHORT_PRODUCTS: usize = (1 << 31) / (255 * 128);

/// What a layer of 16-bit activations needs: its input in halves, and the sums of both.
fn halves(outputs: usize) -> Vec<Scratch> {
    vec![
        Scratch::of_first_read(Store::U8, 2),
        Scratch::elements(Store::I32, 2 * outputs),
    ]
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

pub(super) fn depthwise(
    context: &Context<'_>,
    isa: Isa,
    op: &DepthwiseConv2d,
) -> Result<Option<Lowered>, RuntimeError> {
    let shape = lower::depthwise_shape(context, op)?;
    let Some(weights) = weights(context)?.filter(|_| shape.batch == 1) else {
        return Ok(None);
    };
    let border = Border::of_depthwise(&shape);
    if !in_proportion(border, shape.in_h, shape.in_w) {
        return Ok(None);
    }
    let reads = vec![first(context, border)];
    let clamp = activation(op.activation).clamp_f32();
    Ok(Some(match weights {
        Weights::Float(weights, bias) => {
            let kernel = FloatDepthwise::new(isa, &shape, weights, bias, clamp);
            let run: Run = Box::new(move |args| kernel.run(args.view(0), args.output_view()));
            images(reads, run)
        }
        Weights::Integer(weights, bias) => {
            let kernel = IntDepthwise::new(isa, &shape, &lower::linear_params(context)?, weights, bias);
            let run: Run = Box::new(move |args| kernel.run(args.view(0), args.output_view()));
            images(reads, run)
        }
        Weights::Hybrid(weights, bias) => {
            let scales = lower::weight_scales(context, shape.out_c())?;
            let Some(kernel) = HybridDepthwise::new(isa, &shape, &scales, clamp, weights, bias) else {
                return Ok(None);
            };
            let run: Run = Box::new(move |args| {
                let input = args.view(0);
                let (output, scratch) = args.output_view_and_scratch();
                kernel.run(input, scratch, output);
            });
            Lowered {
                scratch: vec![Scratch::of_first_read(Store::F32, 1)],
                ..images(reads, run)
            }
        }
        Weights::Short(weights, bias) => {
            let params = lower::linear_params(context)?;
            let Some(kernel) = ShortDepthwise::new(isa, &shape, &params, weights, bias.as_deref()) else {
                return Ok(None);
            };
            let run: Run = Box::new(move |args| {
                let input = args.view(0);
                let (output, scratch) = args.output_view_and_scratch();
                kernel.run(input, scratch, output);
            });
            Lowered {
                scratch: vec![Scratch {
                    elements: 2 * shape.output_len(),
                    ..Scratch::of_first_read(Store::F32, 1)
                }],
                ..images(reads, run)
            }
        }
    }))
}

pub(super) fn fully_connected(
    context: &Context<'_>,
    isa: Isa,
    op: &FullyConnected,
) -> Result<Option<Lowered>, RuntimeError> {
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
            let scratch = kernel.scratch();
            let run: Run = Box::new(move |args| {
                let input = args.get(0);
                let (output, scratch) = args.output_and_scratch();
                kernel.run(input, scratch, output);
            });
            Lowered {
                scratch: vec![Scratch::elements(Store::U8, scratch)],
                ..rows(run)
            }
        }
        Weights::Short(weights, bias) => {
            if shape.in_features > MOST_SHORT_PRODUCTS {
                return Ok(None);
            }
            let kernel = ShortDense::new(isa, &shape, &lower::linear_params(context)?, weights, bias.as_deref());
            let run: Run = Box::new(move |args| {
                let input = args.get(0);
                let (output, bytes, sums) = args.output_and_two();
                kernel.run(input, bytes, sums, output);
            });
            Lowered {
                scratch: halves(shape.output_len()),
                ..rows(run)
            }
        }
    }))
}

/// A product with a constant matrix is a fully connected layer.
pub(super) fn mat_mul(context: &Context<'_>, isa: Isa, op: &MatMul) -> Result<Option<Lowered>, RuntimeError> {
    let shape = lower::mat_mul_shape(context, op)?;
    if context.plain()? != Arithmetic::Float {
        return integer_mat_mul(context, isa, shape).map(Some);
    }
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
        scratch: vec![Scratch::elements(Store::F32, scratch)],
        ..images(reads.collect(), run)
    }))
}

fn integer_mat_mul(context: &Context<'_>, isa: Isa, shape: MatMulShape) -> Result<Lowered, RuntimeError> {
    let params = lower::mat_mul_params(context)?;
    let reads = context.node.inputs.iter().map(|&id| Read::new(id, Form::Bytes));
    let scratch = fast::mat_mul_int_scratch(&shape);
    let run: Run = Box::new(move |args| {
        let (a, b) = (args.get(0), args.get(1));
        let (output, scratch) = args.output_and_scratch();
        fast::mat_mul_int(isa, &shape, &params, a, b, scratch, output);
    });
    Ok(Lowered {
        form: Form::Bytes,
        scratch: vec![Scratch::elements(Store::I32, scratch)],
        ..images(reads.collect(), run)
    })
}

pub(super) fn transpose_conv(
    context: &Context<'_>,
    isa: Isa,
    op: &TransposeConv2d,
) -> Result<Option<Lowered>, RuntimeError> {
    let shape = lower::transpose_conv_shape(context, op)?;
    let (Some(weights), Some(border)) = (
        weights(context)?.filter(|_| shape.batch == 1),
        fast::border_of_transpose_conv(&shape),
    ) else {
        return Ok(None);
    };
    if !in_proportion(border, shape.in_h, shape.in_w) {
        return Ok(None);
    }
    let mut scratch = Vec::new();
    let run: Option<Run> = match weights {
        Weights::Float(weights, bias) => {
            let clamp = activation(op.activation).clamp_f32();
            let kernel = FloatTransposeConv::new(isa, &shape, weights, bias, clamp);
            kernel.map(|kernel| -> Run { Box::new(move |args| kernel.run(args.view(0), args.output_view())) })
        }
        Weights::Integer(weights, bias) => {
            let kernel = IntTransposeConv::new(isa, &shape, &lower::linear_params(context)?, weights, bias);
            kernel.map(|kernel| -> Run { Box::new(move |args| kernel.run(args.view(0), args.output_view())) })
        }
        Weights::Short(weights, bias) => {
            let params = lower::linear_params(context)?;
            let kernel = ShortTransposeConv::new(isa, &shape, &params, weights, bias.as_deref());
            scratch = halves(shape.output_len());
            kernel
                .filter(|_| shape.k_h * shape.k_w * shape.in_c <= MOST_SHORT_PRODUCTS)
                .map(|kernel| -> Run {
                    Box::new(move |args| {
                        let input = args.view(0);
                        let (output, bytes, sums) = args.output_view_and_two();
                        kernel.run(input, bytes, sums, output);
                    })
                })
        }
        Weights::Hybrid(weights, bias) => {
            let (scales, clamp) = (
                lower::weight_scales(context, shape.out_c)?,
                activation(op.activation).clamp_f32(),
            );
            let kernel = HybridTransposeConv::new(isa, &shape, &scales, clamp, weights, bias);
            scratch = vec![Scratch::of_first_read(Store::F32, 1)];
            Some(Box::new(move |args| {
                let input = args.view(0);
                let (output, scratch) = args.output_view_and_scratch();
                kernel.run(input, scratch, output);
            }))
        }
    };
    Ok(run.map(|run| Lowered {
        scratch,
        ..images(vec![first(context, border)], run)
    }))
}

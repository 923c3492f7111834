//! Sums of products: convolutions and fully connected layers, in float, integer and dynamic-range arithmetic, and matrix products
//! in float and integers.

use ir::ops::{Conv2d, DepthwiseConv2d, FullyConnected, MatMul, Padding, TransposeConv2d};
use ir::{Constant, ElementType};
use kernels::quantized::{LinearParams, Rounding};
use kernels::reference::{self, MatMulParams};
use kernels::shape::{Conv2dShape, DepthwiseConv2dShape, FullyConnectedShape, MatMulShape, TransposeConv2dShape};

use super::{Arithmetic, Context, Form, Lowered, Read, Scratch, activation};
use crate::RuntimeError;
use crate::buffer::Store;
use crate::program::Run;

pub(super) fn conv(context: &Context<'_>, op: &Conv2d) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = conv_shape(context, op)?;
    let clamp = activation(op.activation).clamp_f32();
    Ok(match context.weighted()? {
        Arithmetic::Float => Lowered::new(Box::new(move |args| {
            reference::conv2d_f32(&shape, clamp, args.get(0), args.get(1), args.find(2), args.output());
        })),
        Arithmetic::Integer => {
            let params = linear_params(context)?;
            Lowered::new(Box::new(move |args| {
                reference::conv2d_i8(&shape, &params, args.get(0), args.get(1), args.find(2), args.output());
            }))
        }
        Arithmetic::Integer16 => {
            let (params, bias) = (linear_params(context)?, wide_bias(context)?);
            wide(
                context,
                Box::new(move |args| {
                    let bias = bias.as_deref();
                    reference::conv2d_i16(&shape, &params, args.get(0), args.get(1), bias, args.output());
                }),
            )
        }
        Arithmetic::Hybrid => {
            let scales = weight_scales(context, shape.out_c)?;
            hybrid(
                shape.input_len() / shape.batch.max(1),
                Box::new(move |args| {
                    let (input, weights, bias) = (args.get(0), args.get(1), args.find(2));
                    let (output, scratch) = args.output_and_scratch();
                    reference::conv2d_hybrid(&shape, &scales, clamp, input, weights, bias, scratch, output);
                }),
            )
        }
    })
}

pub(super) fn depthwise(context: &Context<'_>, op: &DepthwiseConv2d) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = depthwise_shape(context, op)?;
    let clamp = activation(op.activation).clamp_f32();
    Ok(match context.weighted()? {
        Arithmetic::Float => Lowered::new(Box::new(move |args| {
            reference::depthwise_conv2d_f32(&shape, clamp, args.get(0), args.get(1), args.find(2), args.output());
        })),
        Arithmetic::Integer => {
            let params = linear_params(context)?;
            Lowered::new(Box::new(move |args| {
                reference::depthwise_conv2d_i8(&shape, &params, args.get(0), args.get(1), args.find(2), args.output());
            }))
        }
        Arithmetic::Integer16 => {
            let (params, bias) = (linear_params(context)?, wide_bias(context)?);
            wide(
                context,
                Box::new(move |args| {
                    let bias = bias.as_deref();
                    reference::depthwise_conv2d_i16(&shape, &params, args.get(0), args.get(1), bias, args.output());
                }),
            )
        }
        Arithmetic::Hybrid => {
            let scales = weight_scales(context, shape.out_c())?;
            hybrid(
                shape.input_len() / shape.batch.max(1),
                Box::new(move |args| {
                    let (input, weights, bias) = (args.get(0), args.get(1), args.find(2));
                    let (output, scratch) = args.output_and_scratch();
                    reference::depthwise_conv2d_hybrid(&shape, &scales, clamp, input, weights, bias, scratch, output);
                }),
            )
        }
    })
}

pub(super) fn transpose_conv(context: &Context<'_>, op: &TransposeConv2d) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = transpose_conv_shape(context, op)?;
    let clamp = activation(op.activation).clamp_f32();
    match context.weighted()? {
        Arithmetic::Float => Ok(Lowered::new(Box::new(move |args| {
            reference::transpose_conv2d_f32(&shape, clamp, args.get(0), args.get(1), args.find(2), args.output());
        }))),
        Arithmetic::Integer => {
            let params = linear_params(context)?;
            Ok(Lowered::new(Box::new(move |args| {
                reference::transpose_conv2d_i8(&shape, &params, args.get(0), args.get(1), args.find(2), args.output());
            })))
        }
        Arithmetic::Integer16 => {
            let (params, bias) = (linear_params(context)?, wide_bias(context)?);
            Ok(wide(
                context,
                Box::new(move |args| {
                    let bias = bias.as_deref();
                    reference::transpose_conv2d_i16(&shape, &params, args.get(0), args.get(1), bias, args.output());
                }),
            ))
        }
        Arithmetic::Hybrid => {
            let scales = weight_scales(context, shape.out_c)?;
            Ok(hybrid(
                shape.input_len() / shape.batch.max(1),
                Box::new(move |args| {
                    let (input, weights, bias) = (args.get(0), args.get(1), args.find(2));
                    let (output, scratch) = args.output_and_scratch();
                    reference::transpose_conv2d_hybrid(&shape, &scales, clamp, input, weights, bias, scratch, output);
                }),
            ))
        }
    }
}

/// The geometry of a transposed convolution.
pub(crate) fn transpose_conv_shape(
    context: &Context<'_>,
    op: &TransposeConv2d,
) -> Result<TransposeConv2dShape, RuntimeError> {
    Ok(TransposeConv2dShape::new(
        images(context)?,
        op.stride,
        corner(op.padding),
    ))
}

pub(super) fn fully_connected(context: &Context<'_>, op: &FullyConnected) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = fully_connected_shape(context);
    let clamp = activation(op.activation).clamp_f32();
    Ok(match context.weighted()? {
        Arithmetic::Float => Lowered::new(Box::new(move |args| {
            reference::fully_connected_f32(&shape, clamp, args.get(0), args.get(1), args.find(2), args.output());
        })),
        Arithmetic::Integer => {
            let params = linear_params(context)?;
            Lowered::new(Box::new(move |args| {
                reference::fully_connected_i8(&shape, &params, args.get(0), args.get(1), args.find(2), args.output());
            }))
        }
        Arithmetic::Integer16 => {
            let (params, bias) = (linear_params(context)?, wide_bias(context)?);
            wide(
                context,
                Box::new(move |args| {
                    let bias = bias.as_deref();
                    reference::fully_connected_i16(&shape, &params, args.get(0), args.get(1), bias, args.output());
                }),
            )
        }
        Arithmetic::Hybrid => {
            let scales = weight_scales(context, shape.out_features)?;
            hybrid(
                shape.in_features,
                Box::new(move |args| {
                    let (input, weights, bias) = (args.get(0), args.get(1), args.find(2));
                    let (output, scratch) = args.output_and_scratch();
                    reference::fully_connected_hybrid(&shape, &scales, clamp, input, weights, bias, scratch, output);
                }),
            )
        }
    })
}

/// What an integer product of matrices needs beside its shape.
pub(crate) fn mat_mul_params(context: &Context<'_>) -> Result<MatMulParams, RuntimeError> {
    let (a, b) = (context.input_quantization(0)?, context.input_quantization(1)?);
    Ok(MatMulParams::new(a, b, context.output_quantization()?))
}

pub(super) fn mat_mul(context: &Context<'_>, op: &MatMul) -> Result<Vec<Lowered>, RuntimeError> {
    let shape = mat_mul_shape(context, op)?;
    context.not_wide()?;
    if context.plain()? != Arithmetic::Float {
        let params = mat_mul_params(context)?;
        return Ok(Lowered::new(Box::new(move |args| {
            reference::mat_mul_i8(&shape, &params, args.get(0), args.get(1), args.output());
        })));
    }
    Ok(Lowered::new(Box::new(move |args| {
        reference::mat_mul_f32(&shape, args.get(0), args.get(1), args.output());
    })))
}

/// The geometry of a matrix product.
pub(crate) fn mat_mul_shape(context: &Context<'_>, op: &MatMul) -> Result<MatMulShape, RuntimeError> {
    MatMulShape::new(context.dims(0), context.dims(1), op.adjoint_a, op.adjoint_b)
        .ok_or_else(|| context.unsupported("its inputs are no matrices that fit"))
}

/// A dynamic-range kernel with room for `len` quantized activations.
fn hybrid(len: usize, run: Run) -> Vec<Lowered> {
    vec![Lowered {
        scratch: vec![Scratch::elements(Store::I8, len)],
        ..Lowered::part(0, run)
    }]
}

/// A kernel of 16-bit activations, which holds its bias.
fn wide(context: &Context<'_>, run: Run) -> Vec<Lowered> {
    let reads = context.node.inputs[..2]
        .iter()
        .map(|&t| Read::new(t, Form::Dense))
        .collect();
    vec![Lowered {
        reads: Some(reads),
        ..Lowered::part(0, run)
    }]
}

/// The bias of a layer with 16-bit activations: 64-bit integers, or 32-bit ones.
pub(crate) fn wide_bias(context: &Context<'_>) -> Result<Option<Vec<i64>>, RuntimeError> {
    if context.node.inputs.len() < 3 {
        return Ok(None);
    }
    match context.constant(2) {
        Some(Constant::I64(bias)) => Ok(Some(bias.iter().copied().collect())),
        Some(Constant::I32(bias)) => Ok(Some(bias.iter().map(|&b| b.into()).collect())),
        _ => Err(context.unsupported("the bias of a layer with 16-bit activations must be constant")),
    }
}

/// The geometry of a convolution node.
pub(crate) fn conv_shape(context: &Context<'_>, op: &Conv2d) -> Result<Conv2dShape, RuntimeError> {
    let pad = corner(op.padding);
    Ok(Conv2dShape::new(
        images(context)?,
        op.stride,
        op.dilation,
        pad,
        op.groups,
    ))
}

/// The geometry of a depthwise convolution node.
pub(crate) fn depthwise_shape(
    context: &Context<'_>,
    op: &DepthwiseConv2d,
) -> Result<DepthwiseConv2dShape, RuntimeError> {
    let pad = corner(op.padding);
    Ok(DepthwiseConv2dShape::new(images(context)?, op.stride, op.dilation, pad))
}

/// The geometry of a fully connected node.
pub(crate) fn fully_connected_shape(context: &Context<'_>) -> FullyConnectedShape {
    FullyConnectedShape::new(context.dims(0), context.out_dims())
}

/// The dimensions of input, weights and output.
fn images(context: &Context<'_>) -> Result<[[usize; 4]; 3], RuntimeError> {
    Ok([context.nhwc(0)?, context.nhwc(1)?, context.out_nhwc()?])
}

/// The padding that kernels are told: above and to the left.
fn corner(padding: Padding) -> [usize; 2] {
    [padding.top, padding.left]
}

/// What requantizes the sums of an integer node.
pub(crate) fn linear_params(context: &Context<'_>) -> Result<LinearParams, RuntimeError> {
    let channels = context.out_dims().last().copied().unwrap_or(1);
    let fused = context.node.op.fused().unwrap_or_default();
    let rounding = match &context.node.op {
        ir::Op::FullyConnected(_) => Rounding::Float,
        _ => Rounding::Double,
    };
    let scales = weight_scales(context, channels)?;
    let (input, output) = (context.input_quantization(0)?, context.output_quantization()?);
    if context.input(0).ty.element != ElementType::I16 {
        return Ok(LinearParams::new(
            input,
            &scales,
            output,
            channels,
            activation(fused),
            rounding,
        ));
    }
    context.symmetric()?;
    let narrow_bias = context
        .node
        .inputs
        .get(2)
        .is_some_and(|&b| context.graph.tensor(b).ty.element == ElementType::I32);
    let rounding = match rounding {
        Rounding::Double if !narrow_bias => Rounding::Reduced,
        other => other,
    };
    Ok(LinearParams::new_i16(
        input,
        &scales,
        output,
        channels,
        activation(fused),
        rounding,
    ))
}

/// The scales of symmetric weights: one, or one an output channel.
pub(crate) fn weight_scales(context: &Context<'_>, channels: usize) -> Result<Vec<f32>, RuntimeError> {
    let axis = context.node.op.weight_axis();
    let axis = axis.ok_or_else(|| context.unsupported("it is no sum of products"))?;
    let weights = context.input(1);
    let wrong = |what: &str| context.unsupported(format!("weights `{}` {what}", weights.name));
    let quantization = weights.quantization.as_ref();
    let quantization = quantization.ok_or_else(|| wrong("are integers without a scale"))?;
    if quantization.zero_points.iter().any(|&z| z != 0) {
        return Err(wrong(
            "have a zero point; only symmetric weights, with zero points of 0, are computed",
        ));
    }
    let count = quantization.scales.len();
    if quantization.axis.is_some_and(|a| a != axis) || (count != 1 && count != channels) {
        return Err(wrong(&format!(
            "have {count} scales along dimension {:?}, expected one, or {channels} along dimension {}",
            quantization.axis.unwrap_or_default(),
            axis
        )));
    }
    Ok(quantization.scales.iter().map(|s| s.get()).collect())
}

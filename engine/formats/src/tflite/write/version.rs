//! Which version of an operator a use of it needs: types and options that came later have later versions.
//!
//! Source: `GetBuiltinOperatorVersion` in LiteRT's `op_version.cc`.

use ir::ElementType::{self, Bool, F16, F32, I8, I16, I32, I64, U8};

use super::{Call, FileTensor};
use crate::tflite::builtin::Builtin;
use crate::tflite::schema::Options;

/// The version of the operator that `call` needs.
pub(super) fn version(call: &Call, tensors: &[FileTensor]) -> i32 {
    let find = |ids: &[i32], i: usize| {
        let index = ids.get(i).and_then(|&t| usize::try_from(t).ok());
        index.and_then(|t| tensors.get(t))
    };
    let output = find(&call.outputs, 0);
    let input = |i: usize| find(&call.inputs, i);
    let is = |i: usize, any: &[ElementType]| input(i).is_some_and(|t| any.contains(&t.ty.element));
    let dims = |i: usize| input(i).map_or(&[][..], |t| t.ty.shape.dims());
    let rank = |i: usize| dims(i).len();
    let scales = |t: Option<&FileTensor>| {
        let quantization = t.and_then(|t| t.quantization.as_ref());
        quantization.map_or_else(Vec::new, |q| q.scales.iter().map(|s| s.get()).collect())
    };
    let per_channel = |t: Option<&FileTensor>| scales(t).len() > 1;
    // Float activations on integer weights.
    let hybrid = is(0, &[F32]) && is(1, &[I8]);
    let broadcast = dims(0) != dims(1) && rank(0).max(rank(1)) > 4;
    let small = input(1).is_some_and(|t| t.packed);
    let (i8, i16) = (is(0, &[I8]), is(0, &[I16]));

    match (call.builtin, &call.options) {
        (Builtin::CONV_2D, _) => {
            let grouped = dims(0).last() != dims(1).last();
            first(&[
                (grouped, 6),
                (i16, 4),
                (small, 7),
                (i8, 3),
                (hybrid && per_channel(input(1)), 5),
                (hybrid, 2),
            ])
        }
        (Builtin::DEPTHWISE_CONV_2D, Options::DepthwiseConv2DOptions(o)) => {
            let dilated = [o.dilation_h_factor, o.dilation_w_factor] != [1, 1];
            first(&[
                (i16, 5),
                (small, 7),
                (hybrid && per_channel(input(1)), 6),
                (hybrid, 4),
                (i8, 3),
                (dilated, 2),
            ])
        }
        (Builtin::TRANSPOSE_CONV, Options::TransposeConvOptions(o)) => {
            let bias = call.inputs.len() == 4;
            first(&[(o.fused_activation_function != 0, 4), (bias, 3), (is(1, &[I8]), 2)])
        }
        (Builtin::FULLY_CONNECTED, Options::FullyConnectedOptions(o)) => {
            let asymmetric = hybrid && o.asymmetric_quantize_inputs;
            let keep = o.keep_num_dims;
            let hybrid_channels = hybrid && per_channel(input(1));
            first(&[
                (hybrid_channels, 12),
                (small, 10),
                (i16, 7),
                (keep, 5),
                (i8, 4),
                (asymmetric, 9),
                (hybrid, 3),
            ])
        }
        (Builtin::MUL, _) => {
            // The factor that scales the product back was once less than 1.
            let amplified = match [scales(input(0)), scales(input(1)), scales(output)].map(|s| s.first().copied()) {
                [Some(a), Some(b), Some(out)] => a * b / out >= 1.0,
                _ => false,
            };
            first(&[(is(0, &[I64]), 5), (i16, 4), (amplified, 3), (i8, 2)])
        }
        (Builtin::ADD, _) => first(&[(is(0, &[I64]), 4), (i16, 3), (i8, 2)]),
        (Builtin::SUB, _) => first(&[(i16, 5), (is(0, &[I64]), 4), (broadcast, 3), (i8, 2)]),
        (Builtin::DIV, _) => first(&[(broadcast, 2)]),
        (Builtin::MAXIMUM | Builtin::MINIMUM, _) => first(&[(i16, 4), (broadcast, 3), (i8, 2)]),
        (Builtin::TRANSPOSE, _) => {
            let rank = rank(0);
            first(&[
                (rank > 6, 8),
                (rank > 5, 6),
                (i16, 5),
                (rank > 4, 4),
                (is(0, &[Bool]), 3),
                (i8, 2),
            ])
        }
        (Builtin::SPLIT, _) => first(&[(is(1, &[I16]), 4), (is(1, &[I32]), 3), (is(1, &[I8]), 2)]),
        (Builtin::SLICE, _) => first(&[(rank(0) > 4, 5), (i16, 4), (i8, 2)]),
        (Builtin::STRIDED_SLICE, _) => first(&[(rank(0) > 4, 4), (is(0, &[Bool]), 3), (i8, 2)]),
        (Builtin::PAD | Builtin::PADV2, _) => first(&[(is(0, &[Bool]), 5), (rank(0) > 4, 4), (i16, 3), (i8, 2)]),
        (Builtin::DEQUANTIZE, _) => first(&[(is(0, &[I16, F16]), 3), (i8 && per_channel(input(0)), 5), (i8, 2)]),
        (Builtin::QUANTIZE, _) => {
            let wide = output.is_some_and(|t| t.ty.element == I16);
            first(&[(per_channel(output), 3), (wide, 2)])
        }
        (Builtin::RESIZE_BILINEAR, Options::ResizeBilinearOptions(o)) => {
            first(&[(i16, 4), (o.half_pixel_centers, 3), (i8, 2)])
        }
        (Builtin::RESIZE_NEAREST_NEIGHBOR, Options::ResizeNearestNeighborOptions(o)) => {
            first(&[(i16, 4), (o.half_pixel_centers || o.align_corners, 3), (i8, 2)])
        }
        (Builtin::BATCH_MATMUL, _) => first(&[(i16, 3), (i8, 2), (hybrid, 4)]),
        (Builtin::CAST, _) => {
            let any = |types: &[ElementType]| is(0, types) || output.is_some_and(|t| types.contains(&t.ty.element));
            first(&[(any(&[I16]), 3), (any(&[I8]), 2)])
        }
        (Builtin::GATHER, _) => first(&[(i16, 4), (is(0, &[Bool]), 3), (i8, 2)]),
        (Builtin::SUM | Builtin::ARG_MAX, _) => first(&[(i8, 2)]),
        (Builtin::EXP | Builtin::LOG | Builtin::SQRT, _) => first(&[(i8 || i16, 2)]),
        (Builtin::ABS, _) => first(&[(is(0, &[I32]), 5), (i16, 3), (is(0, &[I8, U8]), 2)]),
        (Builtin::RELU, _) => first(&[(i16, 3), (is(0, &[I8, U8]), 2)]),
        (Builtin::GELU, _) => first(&[(is(0, &[I8, U8]), 2)]),
        (Builtin::LEAKY_RELU, _) => first(&[(i16, 2)]),
        (
            Builtin::RELU6
            | Builtin::TANH
            | Builtin::LOGISTIC
            | Builtin::SOFTMAX
            | Builtin::MEAN
            | Builtin::REDUCE_MAX
            | Builtin::REDUCE_MIN
            | Builtin::RSQRT
            | Builtin::MIRROR_PAD
            | Builtin::CONCATENATION
            | Builtin::MAX_POOL_2D
            | Builtin::AVERAGE_POOL_2D,
            _,
        ) => first(&[(i16, 3), (i8, 2)]),
        _ => 1,
    }
}

/// The version of the first rule that holds, else 1.
fn first(rules: &[(bool, i32)]) -> i32 {
    rules
        .iter()
        .find(|(holds, _)| *holds)
        .map_or(1, |&(_, version)| version)
}

#[cfg(test)]
mod tests {
    use ir::{ElementType, Quantization, Scale, TensorType};

    use super::*;
    use crate::tflite::schema::{Conv2DOptions, FullyConnectedOptions, MulOptions};

    /// A tensor with so many scales.
    fn tensor(element: ElementType, dims: &[usize], scales: usize) -> FileTensor {
        let scale = Scale::new(0.5).unwrap();
        FileTensor {
            name: String::new(),
            ty: TensorType::new(element, dims),
            quantization: (scales > 0).then(|| Quantization::per_axis(vec![scale; scales], 0)),
            buffer: 0,
            packed: false,
            open: None,
            sparsity: None,
            variable: false,
        }
    }

    fn version_of(builtin: Builtin, options: impl Into<Options>, tensors: &[FileTensor]) -> i32 {
        let inputs = (0..tensors.len() as i32 - 1).collect();
        let outputs = vec![tensors.len() as i32 - 1];
        version(
            &Call {
                builtin,
                options: options.into(),
                inputs,
                outputs,
            },
            tensors,
        )
    }

    #[test]
    fn convolutions_are_told_apart_by_types_channels_and_scales() {
        let conv = |x, w, channels, scales| {
            let tensors = [
                tensor(x, &[1, 4, 4, 4], 1),
                tensor(w, &[2, 1, 1, channels], scales),
                tensor(x, &[1, 4, 4, 2], 1),
            ];
            version_of(Builtin::CONV_2D, Conv2DOptions::default(), &tensors)
        };
        assert_eq!(
            [conv(F32, F32, 4, 0), conv(F32, I8, 4, 1), conv(F32, I8, 4, 2)],
            [1, 2, 5]
        );
        assert_eq!(
            [conv(I8, I8, 4, 2), conv(I8, I8, 2, 2), conv(F32, F32, 2, 0)],
            [3, 6, 6]
        );
    }

    #[test]
    fn fully_connected_layers_are_told_apart_by_types_and_options() {
        let dense = |x, w, keep_num_dims, scales| {
            let tensors = [tensor(x, &[1, 4], 0), tensor(w, &[2, 4], scales), tensor(x, &[1, 2], 0)];
            let asymmetric_quantize_inputs = x != w;
            let options = FullyConnectedOptions {
                keep_num_dims,
                asymmetric_quantize_inputs,
                ..Default::default()
            };
            version_of(Builtin::FULLY_CONNECTED, options, &tensors)
        };
        assert_eq!(
            [
                dense(F32, F32, false, 0),
                dense(F32, F32, true, 0),
                dense(I8, I8, false, 1)
            ],
            [1, 5, 4]
        );
        assert_eq!([dense(F32, I8, false, 1), dense(F32, I8, false, 2)], [9, 12]);
    }

    #[test]
    fn a_product_that_is_amplified_needs_a_later_version() {
        let mul = |out: f32| {
            let mut tensors = [tensor(I8, &[1], 1), tensor(I8, &[1], 1), tensor(I8, &[1], 1)];
            tensors[2].quantization = Some(Quantization::per_tensor(Scale::new(out).unwrap(), 0));
            version_of(Builtin::MUL, MulOptions::default(), &tensors)
        };
        assert_eq!([mul(1.0), mul(0.25)], [2, 3]);
    }
}

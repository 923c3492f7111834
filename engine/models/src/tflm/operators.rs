//! What TensorFlow Lite Micro has of TensorFlow Lite's operators: the method of its resolver that adds one, and the element types
//! that its reference kernel takes.
//!
//! Source: `tensorflow/lite/micro/micro_mutable_op_resolver.h` and `tensorflow/lite/micro/kernels`, as in the package `tflite-micro`
//! of October 2026, in which each operator was tried with each type.

use formats::tflite::{Outline, OutlineOperator};
use ir::ElementType::{self, Bool, F32, I8, I16, I32, I64, U8};
use serde::Serialize;

/// An operator that the runtime has.
struct Known {
    /// The builtin's name.
    name: &'static str,
    /// `MicroMutableOpResolver::Add…`.
    method: &'static str,
    /// Which input counts.
    input: usize,
    /// The types that it may have.
    takes: &'static [ElementType],
}

const ANY: &[ElementType] = &[F32, I8, I16, I32, I64, U8, Bool];
const F: &[ElementType] = &[F32];
const F_8: &[ElementType] = &[F32, I8];
const F_8_16: &[ElementType] = &[F32, I8, I16];
const F_8_16_32: &[ElementType] = &[F32, I8, I16, I32];
const COMPARED: &[ElementType] = &[F32, I8, I32, I64];
const B: &[ElementType] = &[Bool];

const fn known(name: &'static str, method: &'static str, takes: &'static [ElementType]) -> Known {
    Known {
        name,
        method,
        input: 0,
        takes,
    }
}

const KNOWN: &[Known] = &[
    known("ABS", "Abs", F_8_16),
    known("ADD", "Add", F_8_16_32),
    known("ADD_N", "AddN", F_8),
    known("ARG_MAX", "ArgMax", F_8),
    known("ARG_MIN", "ArgMin", F_8),
    known("AVERAGE_POOL_2D", "AveragePool2D", F_8_16),
    known("BATCH_MATMUL", "BatchMatMul", F_8_16),
    known("BATCH_TO_SPACE_ND", "BatchToSpaceNd", F_8),
    known("BROADCAST_TO", "BroadcastTo", ANY),
    known("CAST", "Cast", &[F32, I8, I16, I32, Bool]),
    known("CEIL", "Ceil", F),
    known("CONCATENATION", "Concatenation", &[F32, I8, I16, I32, I64, Bool]),
    known("CONV_2D", "Conv2D", F_8_16),
    known("COS", "Cos", F),
    known("CUMSUM", "CumSum", F_8),
    known("DEPTH_TO_SPACE", "DepthToSpace", F_8),
    known("DEPTHWISE_CONV_2D", "DepthwiseConv2D", F_8_16),
    known("DEQUANTIZE", "Dequantize", &[I8, I16, U8]),
    known("DIV", "Div", &[F32, I8, I32]),
    known("ELU", "Elu", F_8),
    known("EQUAL", "Equal", &[F32, I8, I32, I64, Bool]),
    known("EXP", "Exp", F),
    known("EXPAND_DIMS", "ExpandDims", F_8_16),
    known("FLOOR", "Floor", F),
    known("FULLY_CONNECTED", "FullyConnected", F_8_16),
    known("FLOOR_MOD", "FloorMod", F),
    known("GATHER", "Gather", F_8),
    known("GATHER_ND", "GatherNd", F_8),
    known("GREATER", "Greater", &[F32, I8, I16, I32, I64]),
    known("GREATER_EQUAL", "GreaterEqual", COMPARED),
    known("HARD_SWISH", "HardSwish", F_8),
    known("L2_NORMALIZATION", "L2Normalization", F_8),
    known("L2_POOL_2D", "L2Pool2D", F),
    known("LEAKY_RELU", "LeakyRelu", F_8_16),
    known("LESS", "Less", COMPARED),
    known("LESS_EQUAL", "LessEqual", COMPARED),
    known("LOG", "Log", F),
    known("LOGICAL_AND", "LogicalAnd", B),
    known("LOGICAL_NOT", "LogicalNot", B),
    known("LOGICAL_OR", "LogicalOr", B),
    known("LOGISTIC", "Logistic", F_8_16),
    known("LOG_SOFTMAX", "LogSoftmax", F_8),
    known("MAXIMUM", "Maximum", &[F32, I8, I16, I32, I64]),
    known("MAX_POOL_2D", "MaxPool2D", F_8_16),
    known("MEAN", "Mean", F_8_16),
    known("MINIMUM", "Minimum", &[F32, I8, I16, I32, I64]),
    known("MIRROR_PAD", "MirrorPad", F_8),
    known("MUL", "Mul", F_8_16_32),
    known("NEG", "Neg", F),
    known("NOT_EQUAL", "NotEqual", &[F32, I8, I32, I64, Bool]),
    known("PACK", "Pack", &[F32, I8, I16, I32, I64]),
    known("PAD", "Pad", F_8_16_32),
    known("PADV2", "PadV2", F_8_16_32),
    known("PRELU", "Prelu", F_8),
    known("QUANTIZE", "Quantize", &[F32, I8, I16, I32, U8]),
    known("REDUCE_MAX", "ReduceMax", F_8),
    known("REDUCE_MIN", "ReduceMin", F_8),
    known("RELU", "Relu", F_8_16),
    known("RELU6", "Relu6", F_8_16),
    known("RESHAPE", "Reshape", ANY),
    known("RESIZE_BILINEAR", "ResizeBilinear", F_8),
    known("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor", F_8_16),
    known("REVERSE_V2", "ReverseV2", ANY),
    known("ROUND", "Round", F),
    known("RSQRT", "Rsqrt", F_8_16),
    Known {
        input: 1,
        ..known("SELECT_V2", "SelectV2", F_8_16)
    },
    known("SHAPE", "Shape", ANY),
    known("SIN", "Sin", F),
    known("SLICE", "Slice", &[F32, I8, I16, I32, Bool]),
    known("SOFTMAX", "Softmax", F_8_16),
    known("SPACE_TO_BATCH_ND", "SpaceToBatchNd", F_8),
    known("SPACE_TO_DEPTH", "SpaceToDepth", F_8),
    Known {
        input: 1,
        ..known("SPLIT", "Split", F_8_16_32)
    },
    known("SPLIT_V", "SplitV", F_8_16_32),
    known("SQRT", "Sqrt", F),
    known("SQUARE", "Square", F),
    known("SQUARED_DIFFERENCE", "SquaredDifference", F_8_16_32),
    known("SQUEEZE", "Squeeze", ANY),
    known("STRIDED_SLICE", "StridedSlice", &[F32, I8, I16, I32, Bool]),
    known("SUB", "Sub", F_8_16_32),
    known("SUM", "Sum", F_8_16),
    known("TANH", "Tanh", F_8_16),
    known("TRANSPOSE", "Transpose", F_8_16),
    Known {
        input: 2,
        ..known("TRANSPOSE_CONV", "TransposeConv", F_8_16)
    },
    known("UNPACK", "Unpack", F_8_16_32),
    known("ZEROS_LIKE", "ZerosLike", &[F32, I8, I32, I64]),
];

/// An operator that a model uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Used {
    /// The builtin's name: `CONV_2D`.
    pub name: String,
    /// The method of `MicroMutableOpResolver` that adds it: `AddConv2D`.
    pub method: String,
    /// How many of the model's operators it is.
    pub count: usize,
}

/// An operator that the runtime would refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lack {
    /// The operator's name.
    pub name: String,
    /// The tensor that it makes, by which a model's layers are found.
    pub output: String,
    /// Why.
    pub why: String,
    /// What helps.
    pub fix: String,
}

/// The operators of a file, each once, in order of first use; and those that the runtime lacks.
pub(super) fn survey(outline: &Outline) -> (Vec<Used>, Vec<Lack>) {
    let (mut used, mut lacking): (Vec<Used>, Vec<Lack>) = (Vec::new(), Vec::new());
    for operator in &outline.operators {
        match judge(operator, outline) {
            Ok(known) => match used.iter_mut().find(|used| used.name == known.name) {
                Some(used) => used.count += 1,
                None => used.push(Used {
                    name: known.name.to_owned(),
                    method: format!("Add{}", known.method),
                    count: 1,
                }),
            },
            Err((why, fix)) => lacking.push(Lack {
                name: operator.name.clone(),
                output: operator
                    .outputs
                    .first()
                    .map_or(String::new(), |&i| outline.tensors[i].name.clone()),
                why,
                fix: fix.to_owned(),
            }),
        }
    }
    (used, lacking)
}

fn judge(operator: &OutlineOperator, outline: &Outline) -> Result<&'static Known, (String, &'static str)> {
    let known = KNOWN
        .iter()
        .find(|known| !operator.custom && known.name == operator.name);
    let Some(known) = known else {
        return Err((
            "TensorFlow Lite Micro has no such operator".to_owned(),
            "replace the layer, or compute it outside of the model",
        ));
    };
    let tensor = |i: usize| super::input(operator, outline, i);
    let Some(input) = tensor(known.input) else {
        return Ok(known);
    };
    let (activations, weights) = match operator.name.as_str() {
        "CONV_2D" | "DEPTHWISE_CONV_2D" | "FULLY_CONNECTED" => (tensor(0), tensor(1)),
        "TRANSPOSE_CONV" => (tensor(2), tensor(1)),
        _ => (None, None),
    };
    if let (Some(activations), Some(weights)) = (activations, weights)
        && activations.element == Some(F32)
        && weights.element != Some(F32)
    {
        let why = format!(
            "its activations are f32 and its weights {}: hybrid models are not supported on TensorFlow Lite Micro",
            weights.type_name
        );
        return Err((why, "quantize with scheme: int8, or leave the model in floats"));
    }
    if !input.element.is_some_and(|element| known.takes.contains(&element)) {
        let names = |element: &ElementType| element.to_string();
        let takes: Vec<String> = known.takes.iter().map(names).collect();
        let why = format!("its kernel takes {}, not {}", takes.join(", "), input.type_name);
        let fix = if input.element == Some(ElementType::F16) {
            "float16 weights are unpacked by no kernel there: quantize with scheme: int8"
        } else {
            "quantize with another scheme, or leave the layer in floats"
        };
        return Err((why, fix));
    }
    Ok(known)
}

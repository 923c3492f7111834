//! Whether TensorFlow would load and run what is about to be written: each node against the operator's types, and against what its kernels
//! for the CPU and its graph optimizer take. What fails names the node, and nothing is written.

use std::collections::HashMap;

use super::super::proto::attribute::Value;
use super::super::proto::{NodeDef, dtype};
use super::super::unsupported;
use crate::FormatError;

/// The type of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The value of this attribute.
    Of(&'static str),
    /// Always this one.
    Is(i32),
}

/// An operator: types of inputs, the last of which may repeat, and of its outputs; whether it moves values of any type.
struct Operator {
    name: &'static str,
    inputs: &'static [Kind],
    output: Kind,
    moves: bool,
}

const T: Kind = Kind::Of("T");
const INT: Kind = Kind::Is(dtype::INT32);

const fn computes(name: &'static str, inputs: &'static [Kind]) -> Operator {
    let (output, moves) = (T, false);
    Operator {
        name,
        inputs,
        output,
        moves,
    }
}

const fn moves(name: &'static str, inputs: &'static [Kind], output: Kind) -> Operator {
    let moves = true;
    Operator {
        name,
        inputs,
        output,
        moves,
    }
}

/// Every operator that is written.
const OPERATORS: &[Operator] = &[
    computes("Abs", &[T]),
    computes("AddV2", &[T, T]),
    computes("AvgPool", &[T]),
    computes("BatchMatMulV2", &[T, T]),
    computes("BiasAdd", &[T, T]),
    computes("Ceil", &[T]),
    computes("Conv2D", &[T, T]),
    computes("Conv2DBackpropInput", &[INT, T, T]),
    computes("Cos", &[T]),
    computes("DepthwiseConv2dNative", &[T, T]),
    computes("Elu", &[T]),
    computes("Erf", &[T]),
    computes("Exp", &[T]),
    computes("Floor", &[T]),
    computes("LeakyRelu", &[T]),
    computes("Log", &[T]),
    computes("MatMul", &[T, T]),
    computes("Max", &[T, Kind::Of("Tidx")]),
    computes("MaxPool", &[T]),
    computes("Maximum", &[T, T]),
    computes("Mean", &[T, Kind::Of("Tidx")]),
    computes("Min", &[T, Kind::Of("Tidx")]),
    computes("Minimum", &[T, T]),
    computes("Mul", &[T, T]),
    computes("Neg", &[T]),
    computes("Pow", &[T, T]),
    computes("RealDiv", &[T, T]),
    computes("Relu", &[T]),
    computes("Relu6", &[T]),
    computes("ResizeBilinear", &[T, INT]),
    computes("ResizeNearestNeighbor", &[T, INT]),
    computes("Round", &[T]),
    computes("Rsqrt", &[T]),
    computes("Sigmoid", &[T]),
    computes("Sign", &[T]),
    computes("Sin", &[T]),
    computes("Softmax", &[T]),
    computes("Softplus", &[T]),
    computes("Sqrt", &[T]),
    computes("Sub", &[T, T]),
    computes("Sum", &[T, Kind::Of("Tidx")]),
    computes("Tanh", &[T]),
    moves("ArgMax", &[T, Kind::Of("Tidx")], Kind::Of("output_type")),
    moves("Cast", &[Kind::Of("SrcT")], Kind::Of("DstT")),
    moves("Const", &[], Kind::Of("dtype")),
    moves(
        "GatherV2",
        &[Kind::Of("Tparams"), Kind::Of("Tindices"), Kind::Of("Taxis")],
        Kind::Of("Tparams"),
    ),
    moves("Identity", &[T], T),
    moves("MirrorPad", &[T, Kind::Of("Tpaddings")], T),
    moves("Pad", &[T, Kind::Of("Tpaddings")], T),
    moves("PadV2", &[T, Kind::Of("Tpaddings"), T], T),
    moves("Placeholder", &[], Kind::Of("dtype")),
    moves("Reshape", &[T, Kind::Of("Tshape")], T),
    moves("SelectV2", &[Kind::Is(dtype::BOOL), T, T], T),
    moves("Shape", &[T], INT),
    moves("Split", &[INT, T], T),
    moves(
        "StridedSlice",
        &[T, Kind::Of("Index"), Kind::Of("Index"), Kind::Of("Index")],
        T,
    ),
    moves("Transpose", &[T, Kind::Of("Tperm")], T),
];

/// Checks nodes in their order.
pub(super) fn check(nodes: &[NodeDef]) -> Result<(), FormatError> {
    let mut made: HashMap<&str, i32> = HashMap::new();
    for node in nodes {
        let fail =
            |problem: String, fix: &str| Err(unsupported(format!("node `{}` ({})", node.name, node.op), problem, fix));
        let input = |i: usize| node.inputs.get(i).map(|name| name.split(':').next().unwrap_or(name));
        let kind = |kind: Kind| match kind {
            Kind::Is(kind) => Some(kind),
            Kind::Of(name) => match node.attributes.get(name).and_then(|a| a.value.as_ref()) {
                Some(Value::Type(kind)) => Some(*kind),
                _ => None,
            },
        };
        let wanted: Vec<Kind>;
        let (inputs, output, moves): (&[Kind], Kind, bool) = if node.op == "ConcatV2" {
            // As many values as there are, and the dimension.
            wanted = (1..node.inputs.len()).map(|_| T).chain([Kind::Of("Tidx")]).collect();
            (&wanted, T, true)
        } else {
            match OPERATORS.iter().find(|operator| operator.name == node.op) {
                Some(known) => (known.inputs, known.output, known.moves),
                None => return fail("TensorFlow's operator is not known here".into(), "report it"),
            }
        };
        if node.inputs.len() != inputs.len() {
            return fail(
                format!("has {} inputs, not {}", node.inputs.len(), inputs.len()),
                "report it",
            );
        }
        for (i, &wanted) in inputs.iter().enumerate() {
            let given = input(i).and_then(|name| made.get(name)).copied();
            if given.is_none() || given != kind(wanted) {
                let problem = format!(
                    "input `{}` is of type {given:?}, it takes {:?}",
                    node.inputs[i],
                    kind(wanted)
                );
                return fail(problem, "compute it in 32-bit floats, or write another format");
            }
        }
        let Some(output) = kind(output) else {
            return fail("states no type".into(), "report it");
        };
        let real = output == dtype::FLOAT
            || (output == dtype::INT32 && !matches!(node.op.as_str(), "Erf" | "Exp" | "Log" | "Tanh"));
        if !moves && !real {
            return fail(
                format!("computes with type {output}"),
                "compute it in 32-bit floats, or write another format",
            );
        }
        made.insert(&node.name, output);
        if node.op == "DepthwiseConv2dNative" && node.attributes.contains_key("explicit_paddings") {
            return fail(
                "TensorFlow aborts on explicit padding, once a bias is fused".into(),
                "report it",
            );
        }
    }
    Ok(())
}

//! Operators on tensors: see [`super::super::operation`] for how they come here.

mod shape;

use ir::TensorId;
use ir::ops::{
    Add, Concat, Div, Function, Identity, MatMul, Maximum, Mean, Minimum, Mul, Op, Pow, ReduceMax, ReduceMin,
    ReduceSum, Sub,
};
use serde_json::Value;

use super::super::attributes::Attributes;
use super::super::operation::{PREFIX, TENSOR};
use super::{Call, activation};
use crate::FormatError;
use crate::functions;
use shape::{expand, item, pad, reshape, split, squeeze, stack, transpose};

/// The operators that are read, but for functions of a number.
const KNOWN: [&str; 27] = [
    "Add",
    "Cast",
    "Clip",
    "Concatenate",
    "Divide",
    "ExpandDims",
    "GetItem",
    "Identity",
    "Matmul",
    "Max",
    "Maximum",
    "Mean",
    "Min",
    "Minimum",
    "Multiply",
    "Pad",
    "Power",
    "Reshape",
    "Softmax",
    "Split",
    "Square",
    "Squeeze",
    "Stack",
    "Subtract",
    "Sum",
    "Transpose",
    "TrueDivide",
];

/// Functions of a number that operators have under other names than activations.
const FUNCTIONS: [(&str, Function); 16] = [
    ("Absolute", Function::Abs),
    ("Sin", Function::Sin),
    ("Cos", Function::Cos),
    ("Floor", Function::Floor),
    ("Ceil", Function::Ceil),
    ("Round", Function::Round),
    ("Sign", Function::Sign),
    ("Exp", Function::Exp),
    ("Gelu", Function::Gelu { approximate: true }),
    ("Log", Function::Log),
    ("Negative", Function::Neg),
    ("Rsqrt", Function::Rsqrt),
    ("Sqrt", Function::Sqrt),
    ("Erf", Function::Erf),
    ("Elu", Function::Elu { alpha: 1.0 }),
    ("LeakyRelu", Function::LeakyRelu { alpha: 0.2 }),
];

/// Whether there is such an operator here.
pub(in super::super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name) || named_function(name).is_some()
}

/// The function of a number that an operator is.
fn named_function(name: &str) -> Option<Function> {
    let spelled = super::super::weights::snake_case(name);
    let listed = FUNCTIONS
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, function)| *function);
    listed.or_else(|| functions::find(|f| f.keras.contains(&spelled.as_str())))
}

/// The nodes of one operator; its outputs.
pub(in super::super) fn build(call: &mut Call<'_, '_>) -> Result<Vec<TensorId>, FormatError> {
    let attributes = call.attributes();
    let name = call.class().trim_start_matches(PREFIX);
    // Of the configuration alone, and without a meaning here.
    for idle in ["function", "name", "data_format", "constant_values", "message"] {
        attributes.get(idle);
    }
    let one = match name {
        "Add" => binary(call, Add::default())?,
        "Subtract" => binary(call, Sub::default())?,
        "Multiply" => binary(call, Mul::default())?,
        "TrueDivide" | "Divide" => binary(call, Div::default())?,
        "Maximum" => binary(call, Maximum {})?,
        "Minimum" => binary(call, Minimum {})?,
        "Power" => power(call)?,
        "Square" => {
            let x = tensor(call, &["#0", "x"])?;
            call.output(Mul::default(), &[x, x])?
        }
        "Matmul" => mat_mul(call)?,
        "Mean" => reduced(call, |axes, keep_dims| Mean { axes, keep_dims }.into())?,
        "Sum" => reduced(call, |axes, keep_dims| ReduceSum { axes, keep_dims }.into())?,
        "Max" => reduced(call, |axes, keep_dims| ReduceMax { axes, keep_dims }.into())?,
        "Min" => reduced(call, |axes, keep_dims| ReduceMin { axes, keep_dims }.into())?,
        "Cast" | "Identity" => identity(call)?,
        "Clip" => clip(call)?,
        "Softmax" => {
            let x = tensor(call, &["#0", "x", "logits"])?;
            activation::softmax(call, attributes, x, activation::Place::Layer)?
        }
        "Concatenate" => concatenate(call)?,
        "Stack" => stack(call)?,
        "Split" => return split(call),
        "Reshape" => reshape(call)?,
        "Transpose" => transpose(call)?,
        "ExpandDims" => expand(call)?,
        "Squeeze" => squeeze(call)?,
        "Pad" => pad(call)?,
        "GetItem" => item(call)?,
        other => function(call, other)?,
    };
    Ok(vec![one])
}

fn unknown(call: &Call<'_, '_>, name: &str) -> FormatError {
    let mut known: Vec<&str> = KNOWN.into_iter().chain(FUNCTIONS.map(|(name, _)| name)).collect();
    known.sort_unstable();
    call.unsupported(
        format!("the operator `{name}` is not read"),
        format!("operators that are read: {}", known.join(", ")),
    )
}

fn function(call: &mut Call<'_, '_>, name: &str) -> Result<TensorId, FormatError> {
    let attributes = call.attributes();
    let function = match name {
        "HardSigmoid" => Some(Function::HardSigmoid {
            alpha: 1.0 / 6.0,
            beta: 0.5,
        }),
        _ => named_function(name),
    };
    let Some(function) = function else {
        return Err(unknown(call, name));
    };
    let alpha = |key: &str, default: f32| attributes.number(key).map(|n| n.unwrap_or(default));
    let function = match function {
        // TensorFlow's own default is the exact one.
        Function::Gelu { .. } => Function::Gelu {
            approximate: attributes.flag("approximate", call.major() >= 3)?,
        },
        Function::Elu { .. } => Function::Elu {
            alpha: alpha("alpha", 1.0)?,
        },
        Function::LeakyRelu { .. } => Function::LeakyRelu {
            alpha: match attributes.number("negative_slope")? {
                Some(slope) => slope,
                None => alpha("alpha", 0.2)?,
            },
        },
        other => other,
    };
    let x = tensor(call, &["#0", "x", "features"])?;
    call.output(function, &[x])
}

/// The first of these arguments that there is.
fn argument<'a>(attributes: &'a Attributes, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| attributes.get(key))
}

fn position(value: &Value) -> Option<usize> {
    usize::try_from(value.get(TENSOR)?.as_u64()?).ok()
}

/// A computed tensor among the arguments.
fn tensor(call: &Call<'_, '_>, keys: &[&str]) -> Result<TensorId, FormatError> {
    let value = argument(call.attributes(), keys);
    let found = value.and_then(position).and_then(|i| call.inputs().get(i));
    found
        .copied()
        .ok_or_else(|| call.malformed(format!("`{}` is no tensor that is computed", keys[0])))
}

/// A list of computed tensors.
fn tensors(call: &Call<'_, '_>, keys: &[&str]) -> Result<Vec<TensorId>, FormatError> {
    let value = argument(call.attributes(), keys);
    let list = value.and_then(Value::as_array).cloned().unwrap_or_default();
    let ids = list
        .iter()
        .map(|v| position(v).and_then(|i| call.inputs().get(i)).copied());
    let ids = ids.collect::<Option<Vec<TensorId>>>().filter(|ids| !ids.is_empty());
    ids.ok_or_else(|| call.malformed("is called without a list of tensors"))
}

/// A computed tensor, or numbers as a constant.
fn operand(call: &mut Call<'_, '_>, keys: &[&str], part: &str) -> Result<TensorId, FormatError> {
    let attributes = call.attributes();
    let key = keys.iter().find(|key| attributes.get(key).is_some());
    let Some(key) = key else {
        return Err(call.malformed(format!("is called without `{}`", keys[0])));
    };
    if attributes.get(key).is_some_and(|v| position(v).is_some()) {
        return tensor(call, &[key]);
    }
    let values = attributes.numbers(key)?.unwrap_or_default();
    let mut shape = Vec::new();
    let mut level = attributes.get(key);
    while let Some(items) = level.and_then(Value::as_array) {
        shape.push(items.len());
        level = items.first();
    }
    if shape.is_empty() {
        shape.push(1);
    }
    call.constant(part, &shape, values)
}

const FIRST: [&str; 5] = ["#0", "x", "x1", "a", "input"];
const SECOND: [&str; 4] = ["#1", "y", "x2", "b"];

fn binary(call: &mut Call<'_, '_>, op: impl Into<Op>) -> Result<TensorId, FormatError> {
    let (a, b) = (operand(call, &FIRST, "a")?, operand(call, &SECOND, "b")?);
    call.output(op, &[a, b])
}

/// The usual exponents have operators of their own.
fn power(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let exponent = argument(call.attributes(), &SECOND).and_then(Value::as_f64);
    let x = operand(call, &FIRST, "a")?;
    match exponent {
        Some(1.0) => call.output(Identity {}, &[x]),
        Some(2.0) => call.output(Mul::default(), &[x, x]),
        Some(0.5) => call.output(Function::Sqrt, &[x]),
        Some(-0.5) => call.output(Function::Rsqrt, &[x]),
        _ => {
            let y = operand(call, &SECOND, "b")?;
            call.output(Pow {}, &[x, y])
        }
    }
}

fn mat_mul(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (a, b) = (operand(call, &FIRST, "a")?, operand(call, &SECOND, "b")?);
    let attributes = call.attributes();
    let op = MatMul {
        adjoint_a: attributes.flag("transpose_a", false)?,
        adjoint_b: attributes.flag("transpose_b", false)?,
    };
    call.output(op, &[a, b])
}

fn reduced(call: &mut Call<'_, '_>, make: impl Fn(Vec<usize>, bool) -> Op) -> Result<TensorId, FormatError> {
    let x = tensor(call, &["#0", "x", "input_tensor"])?;
    let (attributes, rank) = (call.attributes(), call.dims(x).len());
    let key = if attributes.get("axis").is_some() { "axis" } else { "#1" };
    let axes = match attributes.integers(key)? {
        None => (0..rank).collect(),
        Some(axes) => {
            let axes = axes.iter().map(|&axis| attributes.axis(key, axis, rank));
            let mut axes = axes.collect::<Result<Vec<_>, _>>()?;
            axes.sort_unstable();
            axes
        }
    };
    let keep_dims = attributes.flag("keepdims", false)?;
    call.output(make(axes, keep_dims), &[x])
}

/// Floats of any width are computed in 32 bits.
fn identity(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let attributes = call.attributes();
    let to = argument(attributes, &["dtype", "#1"])
        .and_then(Value::as_str)
        .unwrap_or("float32");
    if !to.trim_start_matches('b').starts_with("float") {
        return Err(attributes.refuse("dtype", "cast to floats"));
    }
    let x = tensor(call, &["#0", "x", "input"])?;
    call.output(Identity {}, &[x])
}

fn clip(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let x = tensor(call, &["#0", "x", "t"])?;
    let low = operand(call, &["x_min", "clip_value_min", "#1"], "low")?;
    let high = operand(call, &["x_max", "clip_value_max", "#2"], "high")?;
    let above = call.part("above", Maximum {}, &[x, low])?;
    call.output(Minimum {}, &[above, high])
}

fn concatenate(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let parts = tensors(call, &["#0", "xs", "values"])?;
    let axis = axis(call, "axis", -1, call.dims(parts[0]).len())?;
    call.output(Concat { axis }, &parts)
}

fn axis(call: &Call<'_, '_>, key: &str, default: i64, rank: usize) -> Result<usize, FormatError> {
    let attributes = call.attributes();
    let given = attributes.integers(key)?.and_then(|axes| axes.first().copied());
    attributes.axis(key, given.unwrap_or(default), rank)
}

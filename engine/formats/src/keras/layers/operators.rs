//! Operators on tensors: see [`super::super::operation`] for how they come here.

use ir::TensorId;
use ir::ops::{
    Add, Concat, Div, Function, Identity, MatMul, Maximum, Mean, Minimum, Mul, Op, Pad, PadMode, Pow, ReduceMax,
    ReduceMin, ReduceSum, Reshape, Slice, Split, Sub, Transpose,
};
use serde_json::Value;

use super::super::attributes::{Attributes, brief};
use super::super::operation::{PREFIX, TENSOR};
use super::{Call, activation};
use crate::FormatError;
use crate::functions;

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

/// Tensors along a new dimension.
fn stack(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let parts = tensors(call, &["#0", "x", "values"])?;
    let mut shape = call.dims(parts[0]);
    let axis = axis(call, "axis", 0, shape.len() + 1)?;
    shape.insert(axis, 1);
    let mut rows = Vec::new();
    for (i, &part) in parts.iter().enumerate() {
        let shape = shape.clone();
        rows.push(call.part(&format!("row{i}"), Reshape { shape }, &[part])?);
    }
    call.output(Concat { axis }, &rows)
}

/// Equal parts by their number, or pieces by where they begin (Keras) or how long they are (TensorFlow).
fn split(call: &mut Call<'_, '_>) -> Result<Vec<TensorId>, FormatError> {
    let x = tensor(call, &["#0", "x", "value"])?;
    let (attributes, dims) = (call.attributes(), call.dims(x));
    let axis = axis(call, "axis", 0, dims.len())?;
    let keys = ["indices_or_sections", "num_or_size_splits", "#1"];
    let key = keys
        .into_iter()
        .find(|key| attributes.get(key).is_some())
        .unwrap_or(keys[0]);
    let given = attributes
        .integers(key)?
        .ok_or_else(|| attributes.wrong(key, "a number of parts"))?;
    let is_list = attributes.get(key).is_some_and(Value::is_array);
    let mut ends = Vec::new();
    for &n in &given {
        let n = usize::try_from(n).ok().filter(|&n| n <= dims[axis]);
        let n = n.ok_or_else(|| attributes.wrong(key, "places or sizes inside the dimension"))?;
        ends.push(match (key, ends.last()) {
            ("num_or_size_splits", Some(&last)) => last + n,
            _ => n,
        });
    }
    if !is_list {
        let parts = ends[0];
        if parts == 0 || dims[axis] % parts != 0 {
            return Err(attributes.wrong(key, "a number of equal parts"));
        }
        return call.outputs(Split { axis, parts }, &[x]);
    }
    if ends.last() != Some(&dims[axis]) {
        ends.push(dims[axis]);
    }
    let (mut begin, mut parts) = (0, Vec::new());
    for (i, end) in ends.into_iter().enumerate() {
        if end < begin {
            return Err(attributes.wrong(key, "places in order"));
        }
        let mut slice = whole(&dims);
        (slice.begin[axis], slice.end[axis]) = (begin, end);
        parts.push(call.part(&format!("part{i}"), slice, &[x])?);
        begin = end;
    }
    Ok(parts)
}

fn whole(dims: &[usize]) -> Slice {
    Slice {
        begin: vec![0; dims.len()],
        end: dims.to_vec(),
        stride: vec![1; dims.len()],
    }
}

/// Extents with at most one open one; the samples are one here.
fn reshape(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let x = tensor(call, &["#0", "x", "tensor"])?;
    let (attributes, dims) = (call.attributes(), call.dims(x));
    let elements: usize = dims.iter().product();
    let keys = ["newshape", "shape", "#1"];
    let value = argument(attributes, &keys)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let wrong = || attributes.wrong("newshape", "extents that hold as many elements");
    let mut shape = Vec::new();
    let mut open = None;
    for (i, extent) in value.iter().enumerate() {
        match extent.as_i64() {
            Some(n) if n >= 0 => shape.push(usize::try_from(n).map_err(|_| wrong())?),
            // The samples, left open where they were.
            _ if i == 0 && value.len() > 1 && value[1..].iter().any(|v| v.as_i64() == Some(-1)) => shape.push(dims[0]),
            _ if open.is_none() => {
                open = Some(i);
                shape.push(1);
            }
            _ => return Err(wrong()),
        }
    }
    let known: usize = shape.iter().product();
    if let Some(i) = open
        && known > 0
    {
        shape[i] = elements / known;
    }
    if shape.is_empty() || shape.iter().product::<usize>() != elements {
        return Err(wrong());
    }
    call.output(Reshape { shape }, &[x])
}

fn transpose(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let x = tensor(call, &["#0", "x", "a"])?;
    let (attributes, rank) = (call.attributes(), call.dims(x).len());
    let key = ["axes", "perm", "#1"]
        .into_iter()
        .find(|key| attributes.get(key).is_some());
    let perm = match key {
        None => (0..rank).rev().collect(),
        Some(key) => {
            let axes = attributes.integers(key)?.unwrap_or_default();
            let axes = axes.iter().map(|&axis| attributes.axis(key, axis, rank));
            axes.collect::<Result<Vec<_>, _>>()?
        }
    };
    call.output(Transpose { perm }, &[x])
}

fn expand(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let x = tensor(call, &["#0", "x", "input"])?;
    let mut shape = call.dims(x);
    let key = if call.attributes().get("axis").is_some() {
        "axis"
    } else {
        "#1"
    };
    let axis = axis(call, key, -1, shape.len() + 1)?;
    shape.insert(axis, 1);
    call.output(Reshape { shape }, &[x])
}

fn squeeze(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let x = tensor(call, &["#0", "x", "input"])?;
    let (attributes, dims) = (call.attributes(), call.dims(x));
    let gone = match attributes.integers("axis")? {
        // The samples stay, whatever their number.
        None => (1..dims.len()).filter(|&i| dims[i] == 1).collect(),
        Some(axes) => {
            let axes = axes.iter().map(|&axis| attributes.axis("axis", axis, dims.len()));
            axes.collect::<Result<Vec<usize>, _>>()?
        }
    };
    if gone.iter().any(|&i| dims[i] != 1) {
        return Err(attributes.wrong("axis", "dimensions of extent 1"));
    }
    let shape = (0..dims.len()).filter(|i| !gone.contains(i)).map(|i| dims[i]).collect();
    call.output(Reshape { shape }, &[x])
}

fn pad(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let x = tensor(call, &["#0", "x", "tensor"])?;
    let (attributes, dims) = (call.attributes(), call.dims(x));
    let key = ["pad_width", "paddings", "#1"]
        .into_iter()
        .find(|key| attributes.get(key).is_some());
    let key = key.unwrap_or("pad_width");
    let widths = attributes.numbers(key)?.unwrap_or_default();
    let widths: Vec<usize> = widths.iter().map(|&w| w as usize).collect();
    if widths.len() != 2 * dims.len()
        || attributes
            .get(key)
            .is_none_or(|v| v.as_array().is_none_or(|v| v.len() != dims.len()))
    {
        return Err(attributes.wrong(key, "two widths for each dimension"));
    }
    let value = argument(attributes, &["constant_values"])
        .and_then(Value::as_f64)
        .unwrap_or(0.0);
    let mode = match attributes.text("mode", "constant")?.to_ascii_lowercase().as_str() {
        "constant" if value == 0.0 => PadMode::Zero,
        "constant" => PadMode::Value(value as f32),
        "reflect" => PadMode::Reflect,
        "symmetric" => PadMode::Symmetric,
        _ => return Err(attributes.refuse("mode", "pad by constant, reflect or symmetric")),
    };
    let (before, after) = widths.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip();
    call.output(Pad { before, after, mode }, &[x])
}

/// `x[…]`: ranges, single places, new dimensions, and `…` for all dimensions in between.
fn item(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let x = tensor(call, &["#0", "x", "tensor"])?;
    let (attributes, dims) = (call.attributes(), call.dims(x));
    let given = argument(attributes, &["#1", "slice_spec", "key"])
        .cloned()
        .unwrap_or_default();
    let keys = given.as_array().cloned().unwrap_or_else(|| vec![given]);
    let wrong = |key: &Value| {
        call.malformed(format!(
            "picks {}, expected a range or a place in a dimension of {dims:?}",
            brief(key)
        ))
    };
    let is_ellipsis = |key: &Value| {
        key.get("class_name").and_then(Value::as_str) == Some("__ellipsis__") || key.as_str() == Some("Ellipsis")
    };
    let named = keys.iter().filter(|key| !key.is_null() && !is_ellipsis(key)).count();
    let Some(between) = dims.len().checked_sub(named) else {
        return Err(wrong(&keys.clone().into()));
    };
    let (mut slice, mut shape, mut at) = (whole(&dims), Vec::new(), 0);
    for key in &keys {
        if key.is_null() {
            shape.push(1);
            continue;
        }
        if is_ellipsis(key) {
            shape.extend(&dims[at..at + between]);
            at += between;
            continue;
        }
        let extent = dims[at] as i64;
        let from_start = |n: i64| if n < 0 { n + extent } else { n };
        if let Some(place) = key.as_i64() {
            let place = usize::try_from(from_start(place)).ok().filter(|&p| p < dims[at]);
            let place = place.ok_or_else(|| wrong(key))?;
            (slice.begin[at], slice.end[at]) = (place, place + 1);
        } else {
            let range = key.get("config").unwrap_or(key);
            let bound = |name: &str, default: i64| match range.get(name) {
                None | Some(Value::Null) => Ok(default),
                Some(n) => n.as_i64().ok_or_else(|| wrong(key)),
            };
            let step = bound("step", 1)?;
            if !range.is_object() || step < 1 {
                return Err(wrong(key));
            }
            let [begin, end] =
                [bound("start", 0)?, bound("stop", extent)?].map(|n| from_start(n).clamp(0, extent) as usize);
            if end <= begin {
                return Err(wrong(key));
            }
            (slice.begin[at], slice.end[at], slice.stride[at]) = (begin, end, step as usize);
            shape.push((end - begin).div_ceil(step as usize));
        }
        at += 1;
    }
    shape.extend(&dims[at..]);
    let picked = (slice != whole(&dims)).then_some(slice);
    let kept = shape.len() == dims.len() && keys.iter().all(|key| !key.is_null() && !key.is_i64() && !key.is_u64());
    match (picked, kept) {
        (Some(slice), true) => call.output(slice, &[x]),
        (Some(slice), false) => {
            let part = call.part("picked", slice, &[x])?;
            call.output(Reshape { shape }, &[part])
        }
        (None, _) => call.output(Reshape { shape }, &[x]),
    }
}

//! Operators that move values without computing with them.

use ir::TensorId;
use ir::ops::{Concat, Pad, PadMode, Reshape, Slice, Split, Transpose};
use serde_json::Value;

use super::{Call, argument, axis, tensor, tensors};
use crate::FormatError;
use crate::keras::attributes::brief;

/// Tensors along a new dimension.
pub(super) fn stack(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
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
pub(super) fn split(call: &mut Call<'_, '_>) -> Result<Vec<TensorId>, FormatError> {
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
pub(super) fn reshape(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
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

pub(super) fn transpose(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
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

pub(super) fn expand(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
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

pub(super) fn squeeze(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
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

pub(super) fn pad(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
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
pub(super) fn item(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
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

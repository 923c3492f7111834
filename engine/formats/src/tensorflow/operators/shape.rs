//! Operators that move elements, and reductions.

use ir::ops::{
    Concat, Coordinates, Gather, Interpolation, Mean, Pad, PadMode, ReduceMax, ReduceMin, ReduceSum, Reshape, Resize,
    Slice, Split, Transpose,
};
use ir::{Op, TensorId};

use super::super::call::Call;
use super::super::known::resolve_shape;
use super::Entry;
use crate::FormatError;

pub(super) const ENTRIES: &[Entry] = &[
    (&["Reshape"], reshape),
    (&["Squeeze"], squeeze),
    (&["ExpandDims"], expand_dims),
    (&["Transpose"], transpose),
    (&["ConcatV2"], concat),
    (&["Split"], split),
    (&["Tile"], tile),
    (&["Slice"], slice),
    (&["StridedSlice"], strided_slice),
    (&["Pad", "PadV2"], pad),
    (&["MirrorPad"], mirror_pad),
    (&["Mean"], |call| {
        reduce(call, |axes, keep_dims| Mean { axes, keep_dims }.into())
    }),
    (&["Sum"], |call| {
        reduce(call, |axes, keep_dims| ReduceSum { axes, keep_dims }.into())
    }),
    (&["Max"], |call| {
        reduce(call, |axes, keep_dims| ReduceMax { axes, keep_dims }.into())
    }),
    (&["Min"], |call| {
        reduce(call, |axes, keep_dims| ReduceMin { axes, keep_dims }.into())
    }),
    (&["GatherV2"], gather),
    (&["ResizeBilinear"], |call| resize(call, Interpolation::Bilinear)),
    (&["ResizeNearestNeighbor"], |call| resize(call, Interpolation::Nearest)),
];

fn reshaped(call: &mut Call<'_>, input: TensorId, shape: Vec<usize>) -> Result<Vec<TensorId>, FormatError> {
    call.output(Reshape { shape }, &[input])
}

fn reshape(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let wanted = call.ints(1, "shape")?;
    let n = call.dims(input).iter().product();
    let shape = resolve_shape(&wanted, n).ok_or_else(|| call.malformed(format!("its shape is {wanted:?}")))?;
    reshaped(call, input, shape)
}

fn squeeze(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let mut shape = call.dims(input);
    let stated = call.list("squeeze_dims").to_vec();
    let mut axes = stated
        .iter()
        .map(|&a| call.axis(a, shape.len()))
        .collect::<Result<Vec<_>, _>>()?;
    if axes.is_empty() {
        // The sample dimension is 1 here, but is not always.
        axes = (1..shape.len()).filter(|&i| shape[i] == 1).collect();
    }
    axes.sort_unstable();
    for axis in axes.into_iter().rev() {
        if shape[axis] != 1 {
            return Err(call.malformed(format!("dimension {axis} of {shape:?} is not 1")));
        }
        shape.remove(axis);
    }
    reshaped(call, input, shape)
}

fn expand_dims(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let mut shape = call.dims(input);
    let [axis] = call.ints(1, "dimension")?[..] else {
        return Err(call.malformed("its dimension is not one number"));
    };
    let at = call.axis(axis, shape.len() + 1)?;
    shape.insert(at, 1);
    reshaped(call, input, shape)
}

fn transpose(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let rank = call.dims(input).len();
    let wanted = call.ints(1, "permutation")?;
    let perm = wanted
        .iter()
        .map(|&axis| call.axis(axis, rank))
        .collect::<Result<Vec<_>, _>>()?;
    if perm.iter().copied().eq(0..rank) {
        return Ok(vec![input]);
    }
    call.output(Transpose { perm }, &[input])
}

fn concat(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let Some(last) = call.len().checked_sub(1).filter(|&last| last > 0) else {
        return Err(call.malformed("joins nothing"));
    };
    let [axis] = call.ints(last, "dimension")?[..] else {
        return Err(call.malformed("its dimension is not one number"));
    };
    let inputs = (0..last).map(|i| call.tensor(i)).collect::<Result<Vec<_>, _>>()?;
    let axis = call.axis(axis, call.dims(inputs[0]).len())?;
    call.output(Concat { axis }, &inputs)
}

fn split(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let [axis] = call.ints(0, "dimension")?[..] else {
        return Err(call.malformed("its dimension is not one number"));
    };
    let input = call.tensor(1)?;
    let axis = call.axis(axis, call.dims(input).len())?;
    let parts = call.int("num_split").and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    call.output(Split { axis, parts }, &[input])
}

/// Copies one behind the other, along each dimension that has several.
fn tile(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let dims = call.dims(input);
    let copies = call.ints(1, "multiples")?;
    if copies.len() != dims.len() || copies.iter().any(|&n| !(1..=1 << 16).contains(&n)) {
        return Err(call.malformed(format!("multiples {copies:?} do not fit {dims:?}")));
    }
    let mut tiled = input;
    for (axis, &n) in copies.iter().enumerate().filter(|&(_, &n)| n > 1) {
        tiled = call.part(&format!("axis_{axis}"), Concat { axis }, &vec![tiled; n as usize])?;
    }
    Ok(vec![tiled])
}

fn slice(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let dims = call.dims(input);
    let (begin, size) = (call.ints(1, "begin")?, call.ints(2, "size")?);
    if begin.len() != dims.len() || size.len() != dims.len() {
        return Err(call.malformed(format!("begin {begin:?} and size {size:?} do not fit {dims:?}")));
    }
    let begin: Vec<usize> = begin.iter().map(|&b| b.max(0) as usize).collect();
    let end = begin.iter().zip(&size).zip(&dims);
    let end = end
        .map(|((&b, &n), &d)| if n < 0 { d } else { b.saturating_add(n as usize) })
        .collect();
    let stride = vec![1; dims.len()];
    call.output(Slice { begin, end, stride }, &[input])
}

fn strided_slice(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let dims = call.dims(input);
    let (begin, end, step) = (call.ints(1, "begin")?, call.ints(2, "end")?, call.ints(3, "strides")?);
    let mask = |name: &str, i: usize| call.int(name).unwrap_or(0) >> i & 1 == 1;
    if end.len() != begin.len() || step.len() != begin.len() || step.iter().any(|&s| s < 1) {
        let problem = format!("indices {begin:?} to {end:?} by {step:?} are not read");
        return Err(call.unsupported(problem, "use steps of at least 1"));
    }
    // What each entry of the index is about: an ellipsis stands for the dimensions that no other does.
    let entries: Vec<usize> = (0..begin.len()).collect();
    let is_new = |i: usize| mask("new_axis_mask", i) && !mask("ellipsis_mask", i);
    let spoken = entries
        .iter()
        .filter(|&&i| !is_new(i) && !mask("ellipsis_mask", i))
        .count();
    if spoken > dims.len() || entries.iter().filter(|&&i| mask("ellipsis_mask", i)).count() > 1 {
        return Err(call.malformed(format!("indexes {spoken} dimensions of {}", dims.len())));
    }
    let (mut from, mut to) = (vec![0; dims.len()], dims.clone());
    let mut stride = vec![1; dims.len()];
    let (mut kept, mut d) = (Vec::new(), 0);
    for i in entries {
        if mask("ellipsis_mask", i) {
            let left = dims.len() - spoken;
            kept.extend_from_slice(&dims[d..d + left]);
            d += left;
            continue;
        }
        if is_new(i) {
            kept.push(1);
            continue;
        }
        let n = dims[d] as i64;
        let place = |at: i64| (if at < 0 { at + n } else { at }).clamp(0, n) as usize;
        if mask("shrink_axis_mask", i) {
            from[d] = place(begin[i]);
            to[d] = from[d] + 1;
        } else {
            from[d] = if mask("begin_mask", i) { 0 } else { place(begin[i]) };
            to[d] = if mask("end_mask", i) { dims[d] } else { place(end[i]) };
            stride[d] = step[i] as usize;
            kept.push(to[d].saturating_sub(from[d]).div_ceil(stride[d]));
        }
        d += 1;
    }
    kept.extend_from_slice(&dims[d..]);
    let extents = (0..dims.len()).map(|d| to[d].saturating_sub(from[d]).div_ceil(stride[d]));
    let same = extents.eq(kept.iter().copied());
    let op = Slice {
        begin: from,
        end: to,
        stride,
    };
    if same {
        return call.output(op, &[input]);
    }
    let cut = call.part("slice", op, &[input])?;
    reshaped(call, cut, kept)
}

/// `[[before, after], …]`.
fn paddings(call: &Call<'_>, rank: usize) -> Result<(Vec<usize>, Vec<usize>), FormatError> {
    let edges = call.ints(1, "paddings")?;
    if edges.len() != 2 * rank || edges.iter().any(|&edge| edge < 0) {
        return Err(call.malformed(format!(
            "its paddings are {edges:?}, expected two for each of {rank} dimensions"
        )));
    }
    let every = |first: usize| edges[first..].iter().step_by(2).map(|&edge| edge as usize).collect();
    Ok((every(0), every(1)))
}

fn pad(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let (before, after) = paddings(call, call.dims(input).len())?;
    let mut mode = PadMode::Zero;
    if call.len() > 2 {
        match call.floats(2, "value")?.1[..] {
            [0.0] => {}
            [value] => mode = PadMode::Value(value),
            _ => return Err(call.malformed("its value is not one number")),
        }
    }
    call.output(Pad { before, after, mode }, &[input])
}

fn mirror_pad(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let (before, after) = paddings(call, call.dims(input).len())?;
    let mode = match call.text("mode") {
        Some("REFLECT") => PadMode::Reflect,
        Some("SYMMETRIC") => PadMode::Symmetric,
        other => return Err(call.malformed(format!("mode is {other:?}, expected REFLECT or SYMMETRIC"))),
    };
    call.output(Pad { before, after, mode }, &[input])
}

fn reduce(call: &mut Call<'_>, op: fn(Vec<usize>, bool) -> Op) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let rank = call.dims(input).len();
    let stated = call.ints(1, "dimensions")?;
    let mut axes = stated
        .iter()
        .map(|&a| call.axis(a, rank))
        .collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    let keep_dims = call.flag("keep_dims");
    call.output(op(axes, keep_dims), &[input])
}

fn gather(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let [axis] = call.ints(2, "dimension")?[..] else {
        return Err(call.malformed("its dimension is not one number"));
    };
    let axis = call.axis(axis, call.dims(input).len())?;
    if call.int("batch_dims").unwrap_or(0) != 0 {
        return Err(call.unsupported(
            "it picks different indices for each sample",
            "gather along one dimension",
        ));
    }
    let indices = call.tensor_or_scalar(1)?;
    call.output(Gather { axis }, &[input, indices])
}

fn resize(call: &mut Call<'_>, interpolation: Interpolation) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let size = match call.ints(1, "size")?[..] {
        [rows, columns] if rows > 0 && columns > 0 => [rows as usize, columns as usize],
        ref other => return Err(call.malformed(format!("its size is {other:?}, expected rows and columns"))),
    };
    let coordinates = match (call.flag("align_corners"), call.flag("half_pixel_centers")) {
        (true, _) => Coordinates::AlignCorners,
        (false, true) => Coordinates::HalfPixel,
        (false, false) => Coordinates::Asymmetric,
    };
    let op = Resize {
        size,
        interpolation,
        coordinates,
    };
    call.output(op, &[input])
}

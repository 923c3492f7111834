//! Operators that are reshapes, transposes and slices together: packing, unequal parts, pixels and channels; and conversions of type.

use ir::ops::{Cast, Concat, Function, Reshape, Slice, Split, Transpose};
use ir::{ElementType, TensorId};

use super::super::call::Call;
use super::super::proto::{attribute, dtype};
use super::Entry;
use crate::FormatError;
use crate::functions::STEP;

pub(super) const ENTRIES: &[Entry] = &[
    (&["Pack"], pack),
    (&["Unpack"], unpack),
    (&["SplitV"], split_v),
    (&["DepthToSpace"], depth_to_space),
    (&["SpaceToDepth"], space_to_depth),
    (&["Cast"], cast),
];

fn axis(call: &Call<'_>, rank: usize) -> Result<usize, FormatError> {
    call.axis(call.int("axis").unwrap_or(0), rank)
}

/// Tensors along a new dimension.
fn pack(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let inputs = (0..call.len()).map(|i| call.tensor(i)).collect::<Result<Vec<_>, _>>()?;
    let Some(&first) = inputs.first() else {
        return Err(call.malformed("packs nothing"));
    };
    let mut shape = call.dims(first);
    let axis = axis(call, shape.len() + 1)?;
    shape.insert(axis, 1);
    let mut rows = Vec::new();
    for (i, &input) in inputs.iter().enumerate() {
        rows.push(call.part(&format!("row_{i}"), Reshape { shape: shape.clone() }, &[input])?);
    }
    call.output(Concat { axis }, &rows)
}

/// The parts along a dimension, without it.
fn unpack(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let dims = call.dims(input);
    let axis = axis(call, dims.len())?;
    let mut outputs = Vec::new();
    for i in 0..dims[axis] {
        let part = slice(call, input, axis, i..i + 1)?;
        let mut shape = dims.clone();
        shape.remove(axis);
        outputs.push(call.part(&format!("part_{i}"), Reshape { shape }, &[part])?);
    }
    Ok(outputs)
}

fn slice(
    call: &mut Call<'_>,
    input: TensorId,
    axis: usize,
    range: std::ops::Range<usize>,
) -> Result<TensorId, FormatError> {
    let dims = call.dims(input);
    let mut op = Slice {
        begin: vec![0; dims.len()],
        stride: vec![1; dims.len()],
        end: dims,
    };
    (op.begin[axis], op.end[axis]) = (range.start, range.end);
    call.part(&format!("from_{}", range.start), op, &[input])
}

/// Parts of stated sizes, one of which may be what is left.
fn split_v(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let (dims, sizes) = (call.dims(input), call.ints(1, "sizes")?);
    let [at] = call.ints(2, "dimension")?[..] else {
        return Err(call.malformed("its dimension is not one number"));
    };
    let axis = call.axis(at, dims.len())?;
    let stated: i64 = sizes.iter().filter(|&&n| n >= 0).sum();
    let left = dims[axis] as i64 - stated;
    let sizes: Vec<usize> = sizes
        .iter()
        .map(|&n| if n < 0 { left } else { n }.max(0) as usize)
        .collect();
    if sizes.iter().sum::<usize>() != dims[axis] || sizes.contains(&0) {
        return Err(call.malformed(format!("cuts {} into {sizes:?}", dims[axis])));
    }
    if sizes.iter().all(|&n| n == sizes[0]) && sizes.len() > 1 {
        let parts = sizes.len();
        return call.output(Split { axis, parts }, &[input]);
    }
    let (mut begin, mut outputs) = (0, Vec::new());
    for size in sizes {
        outputs.push(slice(call, input, axis, begin..begin + size)?);
        begin += size;
    }
    Ok(outputs)
}

fn block(call: &Call<'_>) -> Result<usize, FormatError> {
    super::channels_last(call)?;
    let size = call.int("block_size").and_then(|n| usize::try_from(n).ok());
    size.filter(|&n| n > 0)
        .ok_or_else(|| call.malformed("its block_size is no extent"))
}

/// `[N,H,W,b·b·C]` → `[N,b·H,b·W,C]`.
fn depth_to_space(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let (input, b) = (call.tensor(0)?, block(call)?);
    let [n, h, w, c] = call.image(input)?;
    if c % (b * b) != 0 {
        return Err(call.malformed(format!("{c} channels are no blocks of {b}·{b}")));
    }
    let shape = vec![n, h, w, b, b, c / (b * b)];
    blocks(call, input, shape, vec![n, h * b, w * b, c / (b * b)])
}

/// `[N,b·H,b·W,C]` → `[N,H,W,b·b·C]`.
fn space_to_depth(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let (input, b) = (call.tensor(0)?, block(call)?);
    let [n, h, w, c] = call.image(input)?;
    if h % b != 0 || w % b != 0 {
        return Err(call.malformed(format!("{h} rows and {w} columns are no blocks of {b}")));
    }
    let shape = vec![n, h / b, b, w / b, b, c];
    blocks(call, input, shape, vec![n, h / b, w / b, b * b * c])
}

/// Swaps the dimensions of rows or columns and of blocks in between.
fn blocks(
    call: &mut Call<'_>,
    input: TensorId,
    apart: Vec<usize>,
    together: Vec<usize>,
) -> Result<Vec<TensorId>, FormatError> {
    let apart = call.part("apart", Reshape { shape: apart }, &[input])?;
    let perm = vec![0, 1, 3, 2, 4, 5];
    let swapped = call.part("swapped", Transpose { perm }, &[apart])?;
    call.output(Reshape { shape: together }, &[swapped])
}

/// Numbers in another type; floats of all widths are computed in 32 bits, integers too.
fn cast(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let from = call.graph().tensor(input).ty.element;
    let kind = call.node.attributes.get("DstT").and_then(|a| a.value.as_ref());
    if let (ElementType::F32, Some(attribute::Value::Type(dtype::BOOL))) = (from, kind) {
        let size = call.part("size", Function::Abs, &[input])?;
        return call.output(STEP, &[size]);
    }
    let to = match call.node.attributes.get("DstT").and_then(|a| a.value.as_ref()) {
        Some(attribute::Value::Type(dtype::FLOAT | dtype::HALF)) => ElementType::F32,
        Some(attribute::Value::Type(dtype::INT32)) => ElementType::I32,
        Some(attribute::Value::Type(dtype::INT64)) => ElementType::I64,
        _ => return Err(call.unsupported("casts to a type that is not computed with", "cast to float32 or int32")),
    };
    if call.graph().tensor(input).ty.element == to {
        return Ok(vec![input]);
    }
    call.output(Cast { to }, &[input])
}

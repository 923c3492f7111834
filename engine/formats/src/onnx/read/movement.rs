//! Operators that move values: their shape inputs become attributes.

use ir::ops::{Concat, Gather, Identity, Pad, PadMode, Reshape, Slice, Split, Transpose};
use ir::{Constant, Shape, TensorId};

use super::Node;
use super::elementwise::layout_of;
use super::values::{Held, Importer, Value};
use crate::FormatError;
use crate::onnx::fold::{self, SlicePlan};
use crate::onnx::layout::{self, Layout};

type Done = Result<(), FormatError>;

fn axis(importer: &Importer<'_>, node: &Node<'_>, given: i64) -> Result<usize, FormatError> {
    let ty = importer.ty(node, 0)?;
    fold::axis(given, ty.shape.rank()).ok_or_else(|| node.malformed(format!("axis {given} is no dimension of {ty}")))
}

fn unknown(node: &Node<'_>, what: &str) -> FormatError {
    node.unsupported(
        format!("its {what} is computed from values, not from shapes"),
        "simplify the model, or fix its input shape",
    )
}

pub(super) fn concat<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let stated = axis(importer, node, node.int("axis", 1))?;
    let count = node.proto.input.len();
    let rank = importer.ty(node, 0)?.shape.rank();
    let layout = if (0..count).any(|i| importer.is_last(node, i)) {
        Layout::ChannelsLast
    } else {
        Layout::Stated
    };
    let ids: Vec<TensorId> = (0..count)
        .map(|i| importer.input_in(node, i, layout))
        .collect::<Result<_, _>>()?;
    let op = Concat {
        axis: layout::axis(layout, rank, stated),
    };
    importer.put(node, op, &ids, layout).map(drop)
}

/// `Split`: equal parts, or sizes in an attribute (before opset 13) or an input. Unequal parts are slices.
pub(super) fn split<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let stated = axis(importer, node, node.int("axis", 0))?;
    let dims = importer.ty(node, 0)?.shape.0;
    let parts = node.proto.output.len();
    let sizes = if node.opset < 13 {
        node.ints("split").map(<[i64]>::to_vec)
    } else if node.input(1).is_some() {
        Some(importer.known_ints(node, 1).ok_or_else(|| unknown(node, "split"))?)
    } else {
        None
    };
    node.ignore(&["num_outputs"]);
    let even = dims[stated].div_ceil(parts.max(1));
    let sizes: Vec<usize> = match sizes {
        Some(sizes) => sizes.iter().map(|&s| usize::try_from(s).unwrap_or(0)).collect(),
        // The last part takes what is left.
        None => (0..parts)
            .map(|i| even.min(dims[stated].saturating_sub(i * even)))
            .collect(),
    };
    if sizes.len() != parts || sizes.iter().fold(0usize, |n, &s| n.saturating_add(s)) != dims[stated] {
        return Err(node.malformed(format!("cuts {} into {sizes:?} for {parts} outputs", dims[stated])));
    }
    let layout = layout_of(importer, node, 0);
    let x = importer.input_in(node, 0, layout)?;
    let at = layout::axis(layout, dims.len(), stated);
    let outputs: Vec<Option<&str>> = (0..parts).map(|i| node.output(i)).collect();
    if sizes.iter().all(|&s| s == sizes[0]) {
        let made = importer.add(node, Split { axis: at, parts }, &[x], &outputs)?;
        for (name, id) in outputs.into_iter().zip(made) {
            if let Some(name) = name {
                importer.set(name, id, layout)?;
            }
        }
        return Ok(());
    }
    let dims = layout::ordered(layout, &dims);
    let mut start = 0;
    for (&size, name) in sizes.iter().zip(outputs) {
        if let Some(name) = name {
            let mut slice = Slice {
                begin: vec![0; dims.len()],
                end: dims.clone(),
                stride: vec![1; dims.len()],
            };
            (slice.begin[at], slice.end[at]) = (start, start + size);
            let made = importer.add(node, slice, &[x], &[Some(name)])?;
            importer.set(name, made[0], layout)?;
        }
        start += size;
    }
    Ok(())
}

/// `Slice`; a dimension that runs backwards is gathered.
pub(super) fn slice<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let plan = fold::slice_plan(node, &dims, &|i| importer.known_ints(node, i))?;
    let SlicePlan {
        begin,
        end,
        step,
        count,
    } = plan.ok_or_else(|| unknown(node, "range"))?;
    if count.contains(&0) {
        return Err(node.unsupported("its result is empty", "simplify the model"));
    }
    let layout = layout_of(importer, node, 0);
    let mut x = importer.input_in(node, 0, layout)?;
    let backwards: Vec<usize> = (0..dims.len()).filter(|&d| step[d] < 0 && count[d] > 1).collect();
    for &d in &backwards {
        let indices = (0..count[d] as i64)
            .map(|i| (begin[d] as i64 + i * step[d]) as i32)
            .collect();
        let indices = Constant::i32([count[d]], indices).ok_or_else(|| node.malformed("its range does not fit"))?;
        let indices = importer.made_up(node, "indices", indices);
        x = importer.inner(
            node,
            "reversed",
            Gather {
                axis: layout::axis(layout, dims.len(), d),
            },
            &[x, indices],
        )?;
    }
    let (mut from, mut to, mut stride) = (begin, vec![0; dims.len()], vec![1; dims.len()]);
    for d in 0..dims.len() {
        if backwards.contains(&d) {
            (from[d], to[d]) = (0, count[d]);
        } else {
            stride[d] = step[d].unsigned_abs() as usize;
            to[d] = if step[d] > 0 { end[d] } else { from[d] + 1 };
        }
    }
    let op = Slice {
        begin: layout::ordered(layout, &from),
        end: layout::ordered(layout, &to),
        stride: layout::ordered(layout, &stride),
    };
    importer.put(node, op, &[x], layout).map(drop)
}

/// `Gather`; a single index is a slice, which every format has.
pub(super) fn gather<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let stated = axis(importer, node, node.int("axis", 0))?;
    let dims = importer.ty(node, 0)?.shape.0;
    let Some(indices) = importer.known_input(node, 1) else {
        let ids = [importer.stated(node, 0)?, importer.stated(node, 1)?];
        return importer
            .put(node, Gather { axis: stated }, &ids, Layout::Stated)
            .map(drop);
    };
    let shape = indices.dims().to_vec();
    let values = fold::ints(indices).ok_or_else(|| node.malformed("its indices are not integers"))?;
    let extent = dims[stated] as i64;
    let counted: Option<Vec<i32>> = values
        .iter()
        .map(|&i| {
            i32::try_from(if i < 0 { i + extent } else { i })
                .ok()
                .filter(|&i| (0..extent).contains(&i.into()))
        })
        .collect();
    let counted = counted.ok_or_else(|| node.malformed(format!("an index is not in -{extent}..{extent}")))?;
    if let ([], &[index]) = (shape.as_slice(), counted.as_slice()) {
        let x = importer.stated(node, 0)?;
        let mut slice = Slice {
            begin: vec![0; dims.len()],
            end: dims.clone(),
            stride: vec![1; dims.len()],
        };
        (slice.begin[stated], slice.end[stated]) = (index as usize, index as usize + 1);
        let one = importer.inner(node, "slice", slice, &[x])?;
        let mut rest = dims;
        rest.remove(stated);
        return importer
            .put(node, Reshape { shape: rest }, &[one], Layout::Stated)
            .map(drop);
    }
    // Vectors of indices keep the rank, and with it the layout.
    let layout = if shape.len() == 1 {
        layout_of(importer, node, 0)
    } else {
        Layout::Stated
    };
    let x = importer.input_in(node, 0, layout)?;
    let counted = importer.constant(node, 1, layout, |_| Constant::i32(shape, counted))?;
    let op = Gather {
        axis: layout::axis(layout, dims.len(), stated),
    };
    importer.put(node, op, &[x, counted], layout).map(drop)
}

/// `Pad`: widths in an attribute (before opset 11) or an input. Negative widths cut.
pub(super) fn pad<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let rank = dims.len();
    let (pads, value, axes) = if node.opset < 11 {
        (node.ints("pads").map(<[i64]>::to_vec), node.float("value", 0.0), None)
    } else {
        let axes = node
            .input(3)
            .map(|_| importer.known_ints(node, 3).ok_or_else(|| unknown(node, "axes")))
            .transpose()?;
        (
            importer.known_ints(node, 1),
            importer.number(node, 2)?.unwrap_or(0.0),
            axes,
        )
    };
    let pads = pads.ok_or_else(|| unknown(node, "padding"))?;
    let axes: Vec<usize> = match axes {
        None => (0..rank).collect(),
        Some(axes) => axes
            .iter()
            .map(|&a| axis(importer, node, a))
            .collect::<Result<_, _>>()?,
    };
    if pads.len() != 2 * axes.len() || pads.iter().any(|p| i32::try_from(*p).is_err()) {
        return Err(node.malformed(format!("pads are {pads:?} for {} dimensions", axes.len())));
    }
    let (mut before, mut after) = (vec![0i64; rank], vec![0i64; rank]);
    for (i, &a) in axes.iter().enumerate() {
        (before[a], after[a]) = (pads[i], pads[axes.len() + i]);
    }
    let mode = match node.text("mode", "constant")? {
        "constant" if value == 0.0 => PadMode::Zero,
        "constant" => PadMode::Value(value),
        "reflect" => PadMode::Reflect,
        other => return Err(node.unsupported(format!("pads in mode `{other}`"), "`constant` and `reflect` are read")),
    };
    let layout = layout_of(importer, node, 0);
    let mut x = importer.input_in(node, 0, layout)?;
    if before.iter().chain(&after).any(|&p| p < 0) {
        let cut = |p: i64| p.min(0).unsigned_abs() as usize;
        let begin: Vec<usize> = before.iter().map(|&p| cut(p)).collect();
        let end: Vec<usize> = dims
            .iter()
            .zip(&after)
            .map(|(&d, &p)| d.saturating_sub(cut(p)))
            .collect();
        let slice = Slice {
            begin: layout::ordered(layout, &begin),
            end: layout::ordered(layout, &end),
            stride: vec![1; rank],
        };
        x = importer.inner(node, "cut", slice, &[x])?;
    }
    let positive =
        |widths: &[i64]| layout::ordered(layout, &widths.iter().map(|&p| p.max(0) as usize).collect::<Vec<_>>());
    let op = Pad {
        before: positive(&before),
        after: positive(&after),
        mode,
    };
    importer.put(node, op, &[x], layout).map(drop)
}

/// The output in another shape. One reshape after another is one.
fn reshaped<'f>(importer: &mut Importer<'f>, node: &Node<'f>, dims: Vec<usize>) -> Done {
    let mut x = importer.stated(node, 0)?;
    if let Some(ir::Node {
        op: ir::Op::Reshape(_),
        inputs,
        ..
    }) = importer.producer(x)
        && importer.is_view(x)
    {
        x = inputs[0];
    }
    importer
        .put(node, Reshape { shape: dims }, &[x], Layout::Stated)
        .map(drop)
}

pub(super) fn reshape<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let input = importer.ty(node, 0)?.shape.0;
    let target = importer.known_ints(node, 1).ok_or_else(|| unknown(node, "shape"))?;
    let dims = fold::reshaped_dims(&target, &input, node.flag("allowzero"));
    let dims = dims.ok_or_else(|| node.malformed(format!("cannot make {target:?} of {}", Shape(input.clone()))))?;
    reshaped(importer, node, dims)
}

pub(super) fn flatten<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let given = node.int("axis", 1);
    let rank = dims.len() as i64;
    let axis = if given < 0 { given + rank } else { given };
    if !(0..=rank).contains(&axis) {
        return Err(node.malformed(format!("axis {given} is no dimension of the input")));
    }
    let (rows, columns) = dims.split_at(axis as usize);
    reshaped(importer, node, vec![rows.iter().product(), columns.iter().product()])
}

fn axes(importer: &Importer<'_>, node: &Node<'_>) -> Result<Option<Vec<i64>>, FormatError> {
    if node.opset < 13 {
        return Ok(node.ints("axes").map(<[i64]>::to_vec));
    }
    let Some(name) = node.input(1) else { return Ok(None) };
    let known = importer.known(name).and_then(fold::ints);
    known.map(Some).ok_or_else(|| unknown(node, "axes"))
}

pub(super) fn squeeze<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let axes = axes(importer, node)?;
    let dims = fold::squeezed(&dims, axes.as_deref())
        .ok_or_else(|| node.malformed(format!("axes {axes:?} of {dims:?} are not 1")))?;
    reshaped(importer, node, dims)
}

pub(super) fn unsqueeze<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let axes = axes(importer, node)?.ok_or_else(|| node.malformed("has no axes"))?;
    let dims =
        fold::unsqueezed(&dims, &axes).ok_or_else(|| node.malformed(format!("axes {axes:?} do not fit {dims:?}")))?;
    reshaped(importer, node, dims)
}

/// `Transpose`. Between the two layouts it is no more than another way to see the tensor.
pub(super) fn transpose<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let rank = importer.ty(node, 0)?.shape.rank();
    let perm: Vec<usize> = match node.ints("perm") {
        None => (0..rank).rev().collect(),
        Some(perm) => perm.iter().map(|&p| usize::try_from(p).unwrap_or(usize::MAX)).collect(),
    };
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(node.malformed(format!("perm {perm:?} is no permutation of {rank} dimensions")));
    }
    let output = node.first_output()?;
    if rank >= 3 && perm == layout::to_last(rank) && importer.is_last(node, 0) {
        let id = importer.last(node, 0)?;
        importer.before_transpose.insert(output);
        importer.values.insert(output, Value::Made(Held::stated(id)));
        return Ok(());
    }
    if rank >= 3 && perm == layout::to_first(rank) && !importer.is_last(node, 0) {
        let id = importer.stated(node, 0)?;
        importer
            .values
            .insert(output, Value::Made(Held::in_layout(id, Layout::ChannelsLast)));
        return Ok(());
    }
    let layout = layout_of(importer, node, 0);
    let x = importer.input_in(node, 0, layout)?;
    let perm: Vec<usize> = perm.into_iter().map(|p| layout::axis(layout, rank, p)).collect();
    if perm.is_sorted() {
        return importer.put(node, Identity {}, &[x], Layout::Stated).map(drop);
    }
    importer.put(node, Transpose { perm }, &[x], Layout::Stated).map(drop)
}

fn block(node: &Node<'_>) -> Result<usize, FormatError> {
    let given = node.int("blocksize", 0);
    usize::try_from(given)
        .ok()
        .filter(|&b| b > 0)
        .ok_or_else(|| node.malformed(format!("blocksize is {given}")))
}

/// `DepthToSpace`: `[N,H,W,b,b,C]` (or `[N,H,W,C,b,b]` in mode `CRD`) with the blocks moved between rows and columns.
pub(super) fn depth_to_space<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let b = block(node)?;
    let x = importer.last(node, 0)?;
    let [n, h, w, c] = importer
        .graph
        .tensor(x)
        .ty
        .shape
        .nhwc()
        .ok_or_else(|| node.malformed("expected an input [N,C,H,W]"))?;
    let out = c / (b * b).max(1);
    let (shape, perm) = match node.text("mode", "DCR")? {
        "DCR" => (vec![n, h, w, b, b, out], vec![0, 1, 3, 2, 4, 5]),
        "CRD" => (vec![n, h, w, out, b, b], vec![0, 1, 4, 2, 5, 3]),
        other => return Err(node.malformed(format!("mode is `{other}`"))),
    };
    let split = importer.inner(node, "blocks", Reshape { shape }, &[x])?;
    let moved = importer.inner(node, "moved", Transpose { perm }, &[split])?;
    let shape = vec![n, h * b, w * b, out];
    importer
        .put(node, Reshape { shape }, &[moved], Layout::ChannelsLast)
        .map(drop)
}

pub(super) fn space_to_depth<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let b = block(node)?;
    let x = importer.last(node, 0)?;
    let [n, h, w, c] = importer
        .graph
        .tensor(x)
        .ty
        .shape
        .nhwc()
        .ok_or_else(|| node.malformed("expected an input [N,C,H,W]"))?;
    let split = importer.inner(
        node,
        "blocks",
        Reshape {
            shape: vec![n, h / b, b, w / b, b, c],
        },
        &[x],
    )?;
    let moved = importer.inner(
        node,
        "moved",
        Transpose {
            perm: vec![0, 1, 3, 2, 4, 5],
        },
        &[split],
    )?;
    let shape = vec![n, h / b, w / b, b.saturating_mul(b).saturating_mul(c)];
    importer
        .put(node, Reshape { shape }, &[moved], Layout::ChannelsLast)
        .map(drop)
}

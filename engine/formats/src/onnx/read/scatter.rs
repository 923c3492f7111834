//! Elements picked and replaced at places that the file knows: every element of the result is one of the inputs', in rows side by side.

use ir::ops::{Concat, Gather, Reshape};
use ir::{Constant, TensorId};

use super::Node;
use super::values::Importer;
use crate::FormatError;
use crate::onnx::fold;
use crate::onnx::layout::Layout;

type Done = Result<(), FormatError>;

/// Rows that are picked one by one.
const MOST: usize = 1 << 22;

/// Indices that are stored, and their dimensions.
fn places(importer: &Importer<'_>, node: &Node<'_>) -> Result<(Vec<i64>, Vec<usize>), FormatError> {
    let computed = || node.unsupported("its indices are computed", "make them constant, or fix the input shape");
    let known = importer.known_input(node, 1).ok_or_else(computed)?;
    let values = fold::ints(known).ok_or_else(|| node.malformed("its indices are not integers"))?;
    Ok((values, known.dims().to_vec()))
}

/// An index as a place, counted from the end where it is negative.
fn place(node: &Node<'_>, index: i64, extent: usize) -> Result<usize, FormatError> {
    let n = extent as i64;
    let from_start = if index < 0 { index + n } else { index };
    let at = usize::try_from(from_start).ok().filter(|&at| at < extent);
    at.ok_or_else(|| node.malformed(format!("the index {index} is not in -{n}..{n}")))
}

/// `[rows, width]` of input `i`.
fn rows<'f>(
    importer: &mut Importer<'f>,
    node: &Node<'f>,
    i: usize,
    shape: [usize; 2],
) -> Result<TensorId, FormatError> {
    let x = importer.stated(node, i)?;
    let shape = shape.to_vec();
    importer.inner(node, &format!("rows{i}"), Reshape { shape }, &[x])
}

/// The output: these rows of a matrix, in the dimensions `shape`.
fn pick<'f>(importer: &mut Importer<'f>, node: &Node<'f>, from: TensorId, picked: &[usize], shape: Vec<usize>) -> Done {
    if picked.len() > MOST || picked.is_empty() {
        let problem = format!("picks {} rows, 1 to {MOST} are read", picked.len());
        return Err(node.unsupported(problem, "simplify the model"));
    }
    let indices = picked.iter().map(|&at| at as i32).collect();
    let indices = Constant::i32([picked.len()], indices).ok_or_else(|| node.malformed("its indices do not fit"))?;
    let indices = importer.made_up(node, "places", indices);
    let y = importer.inner(node, "picked", Gather { axis: 0 }, &[from, indices])?;
    importer.put(node, Reshape { shape }, &[y], Layout::Stated).map(drop)
}

/// Where each tuple of `depth` indices points in `dims[from..from + depth]`, in rows of what follows.
fn tuples(node: &Node<'_>, values: &[i64], dims: &[usize], depth: usize) -> Result<Vec<usize>, FormatError> {
    let row = |tuple: &[i64]| {
        let mut at = 0;
        for (&index, &extent) in tuple.iter().zip(dims) {
            at = at * extent + place(node, index, extent)?;
        }
        Ok(at)
    };
    values.chunks(depth).map(row).collect()
}

/// How many dimensions a tuple of indices goes through: the last extent of the indices.
fn depth(node: &Node<'_>, shape: &[usize], rank: usize) -> Result<usize, FormatError> {
    let depth = shape.last().copied().filter(|&depth| (1..=rank).contains(&depth));
    depth.ok_or_else(|| node.malformed(format!("has indices of {shape:?} for {rank} dimensions")))
}

/// `GatherND`: rows at tuples of indices, for each batch its own.
pub(super) fn gather_nd<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let (values, shape) = places(importer, node)?;
    let batch = usize::try_from(node.int("batch_dims", 0)).unwrap_or(usize::MAX);
    if batch >= dims.len() || batch >= shape.len() || dims[..batch] != shape[..batch] {
        return Err(node.malformed(format!("has {batch} dimensions of batches in {dims:?} and {shape:?}")));
    }
    let inner = &dims[batch..];
    let depth = depth(node, &shape, inner.len())?;
    let batches: usize = dims[..batch].iter().product();
    let each: usize = inner[..depth].iter().product();
    let width: usize = inner[depth..].iter().product();
    let mut picked = tuples(node, &values, inner, depth)?;
    let share = picked.len() / batches.max(1);
    for (i, at) in picked.iter_mut().enumerate() {
        *at += i / share.max(1) * each;
    }
    let from = rows(importer, node, 0, [batches * each, width])?;
    let out = [&shape[..shape.len() - 1], &inner[depth..]].concat();
    pick(importer, node, from, &picked, out)
}

/// `GatherElements`: along one dimension an index for each element of the result.
pub(super) fn gather_elements<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let (values, shape) = places(importer, node)?;
    let picked = along(node, &values, &shape, &dims)?;
    let from = rows(importer, node, 0, [dims.iter().product(), 1])?;
    pick(importer, node, from, &picked, shape)
}

/// The element of an array of `dims` that each index of `shape` means along the node's dimension.
fn along(node: &Node<'_>, values: &[i64], shape: &[usize], dims: &[usize]) -> Result<Vec<usize>, FormatError> {
    let given = node.int("axis", 0);
    let axis = fold::axis(given, dims.len()).filter(|_| shape.len() == dims.len());
    let axis = axis.ok_or_else(|| node.malformed(format!("axis {given}, indices {shape:?} do not fit {dims:?}")))?;
    let element = |(i, &index): (usize, &i64)| {
        let (mut rest, mut at, mut step) = (i, 0, 1);
        for d in (0..dims.len()).rev() {
            let own = rest % shape[d];
            rest /= shape[d];
            let own = if d == axis { place(node, index, dims[d])? } else { own };
            if own >= dims[d] {
                return Err(node.malformed(format!("has indices of {shape:?} for {dims:?}")));
            }
            at += own * step;
            step *= dims[d];
        }
        Ok(at)
    };
    values.iter().enumerate().map(element).collect()
}

/// The output: the first input, its rows `at` replaced by those of the third, the last of several.
fn replaced<'f>(importer: &mut Importer<'f>, node: &Node<'f>, at: &[usize], count: usize, width: usize) -> Done {
    let reduction = node.text("reduction", "none")?;
    if reduction != "none" {
        let problem = format!("puts elements together by `{reduction}`");
        return Err(node.unsupported(problem, "`none`, which replaces them, is read"));
    }
    let dims = importer.ty(node, 0)?.shape.0;
    let updates = importer.ty(node, 2)?.shape;
    if updates.elements() != at.len() * width || count > MOST {
        return Err(node.malformed(format!("replaces {} rows of {width} by {updates}", at.len())));
    }
    let mut picked: Vec<usize> = (0..count).collect();
    for (i, &at) in at.iter().enumerate() {
        picked[at] = count + i;
    }
    let [old, new] = [
        rows(importer, node, 0, [count, width])?,
        rows(importer, node, 2, [at.len(), width])?,
    ];
    let both = importer.inner(node, "both", Concat { axis: 0 }, &[old, new])?;
    pick(importer, node, both, &picked, dims)
}

/// `ScatterND`: rows at tuples of indices are replaced.
pub(super) fn scatter_nd<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let (values, shape) = places(importer, node)?;
    let depth = depth(node, &shape, dims.len())?;
    let at = tuples(node, &values, &dims, depth)?;
    let (outer, inner) = dims.split_at(depth);
    replaced(importer, node, &at, outer.iter().product(), inner.iter().product())
}

/// `ScatterElements`: along one dimension an index for each element that is replaced.
pub(super) fn scatter_elements<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let (values, shape) = places(importer, node)?;
    let at = along(node, &values, &shape, &dims)?;
    replaced(importer, node, &at, dims.iter().product(), 1)
}

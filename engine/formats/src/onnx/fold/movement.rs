//! Constants whose elements are picked, repeated and joined.

use ir::{Constant, Shape, TensorType};

use super::{LARGEST, axis, ints};
use crate::FormatError;
use crate::onnx::node::Node;

/// A slice in full: first index, step and count along each dimension.
pub(in super::super) struct SlicePlan {
    pub begin: Vec<usize>,
    /// One past the last index of dimensions that run forwards.
    pub end: Vec<usize>,
    pub step: Vec<i64>,
    pub count: Vec<usize>,
}

impl SlicePlan {
    pub(super) fn take(&self, from: &Constant) -> Option<Constant> {
        let strides = strides(from.dims());
        let positions = indices(&self.count)?.map(|index| {
            (0..index.len())
                .map(|d| (self.begin[d] as i64 + index[d] as i64 * self.step[d]) as usize * strides[d])
                .sum()
        });
        pick(from, positions.collect(), &self.count)
    }
}

/// `Slice` by attributes (before opset 10) or inputs; `None` where an input is not known.
pub(in super::super) fn slice_plan(
    node: &Node<'_>,
    dims: &[usize],
    known: &dyn Fn(usize) -> Option<Vec<i64>>,
) -> Result<Option<SlicePlan>, FormatError> {
    let wrong = || node.malformed("starts, ends, axes and steps do not fit");
    let (starts, ends, axes, steps) = if node.opset < 10 {
        let list = |name| node.ints(name).map(<[i64]>::to_vec);
        (
            list("starts").ok_or_else(wrong)?,
            list("ends").ok_or_else(wrong)?,
            list("axes"),
            None,
        )
    } else {
        let (Some(starts), Some(ends)) = (known(1), known(2)) else {
            return Ok(None);
        };
        if (node.input(3).is_some() && known(3).is_none()) || (node.input(4).is_some() && known(4).is_none()) {
            return Ok(None);
        }
        (starts, ends, known(3), known(4))
    };
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(wrong());
    }
    let mut plan = SlicePlan {
        begin: vec![0; dims.len()],
        end: dims.to_vec(),
        step: vec![1; dims.len()],
        count: dims.to_vec(),
    };
    for (((&start, &end), &a), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let a = axis(a, dims.len()).ok_or_else(wrong)?;
        let size = dims[a] as i64;
        if step == 0 || step == i64::MIN {
            return Err(wrong());
        }
        let from_end = |v: i64| if v < 0 { v.saturating_add(size) } else { v };
        // A negative step starts at the last element at most and ends before the first.
        let (start, end) = if step > 0 {
            (from_end(start).clamp(0, size), from_end(end).clamp(0, size))
        } else {
            (from_end(start).clamp(-1, size - 1), from_end(end).clamp(-1, size - 1))
        };
        let distance = if step > 0 { end - start } else { start - end };
        plan.begin[a] = start.max(0) as usize;
        plan.end[a] = end.max(0) as usize;
        plan.step[a] = step;
        plan.count[a] = (distance.max(0) as u64).div_ceil(step.unsigned_abs()) as usize;
    }
    Ok(Some(plan))
}

/// Elements from one row of an index to the next, for each dimension.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; dims.len()];
    for i in (1..dims.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(dims[i]);
    }
    strides
}

/// All indices of a shape in row-major order; `None` where there are too many.
pub(super) fn indices(dims: &[usize]) -> Option<impl Iterator<Item = Vec<usize>>> {
    let count = Shape::from(dims).elements();
    if count > LARGEST {
        return None;
    }
    let (dims, strides) = (dims.to_vec(), strides(dims));
    Some((0..count).map(move |flat| (0..dims.len()).map(|d| flat / strides[d] % dims[d]).collect()))
}

/// The elements at `positions`, as a constant of `dims`.
pub(super) fn pick(from: &Constant, positions: Vec<usize>, dims: &[usize]) -> Option<Constant> {
    let size = from.element().size();
    let bytes = from.to_le_bytes();
    let mut picked = Vec::with_capacity(positions.len() * size);
    for position in positions {
        picked.extend_from_slice(bytes.get(position.checked_mul(size)?..)?.get(..size)?);
    }
    Constant::from_le_bytes(&TensorType::new(from.element(), dims), &picked)
}

pub(super) fn gather(from: &Constant, at: &Constant, along: i64) -> Option<Constant> {
    let along = axis(along, from.dims().len())?;
    let extent = from.dims()[along] as i64;
    let at_dims = at.dims();
    let chosen: Vec<usize> = ints(at)?
        .into_iter()
        .map(|i| {
            usize::try_from(if i < 0 { i + extent } else { i })
                .ok()
                .filter(|&i| (i as i64) < extent)
        })
        .collect::<Option<_>>()?;
    let outer: usize = from.dims()[..along].iter().product();
    let inner: usize = from.dims()[along + 1..].iter().product();
    if outer.saturating_mul(chosen.len()).saturating_mul(inner) > LARGEST {
        return None;
    }
    let extent = extent as usize;
    let positions = (0..outer).flat_map(|o| {
        let chosen = &chosen;
        chosen
            .iter()
            .flat_map(move |&c| (0..inner).map(move |i| (o * extent + c) * inner + i))
    });
    let dims = [&from.dims()[..along], at_dims, &from.dims()[along + 1..]].concat();
    pick(from, positions.collect(), &dims)
}

pub(super) fn concat(inputs: &[Option<&Constant>], along: i64) -> Option<Constant> {
    let parts: Vec<&Constant> = inputs.iter().copied().collect::<Option<_>>()?;
    let first = parts.first()?;
    let along = axis(along, first.dims().len())?;
    let element = first.element();
    let same = |part: &&Constant| {
        part.element() == element
            && part.dims().len() == first.dims().len()
            && (0..first.dims().len()).all(|d| d == along || part.dims()[d] == first.dims()[d])
    };
    if !parts.iter().all(same) {
        return None;
    }
    let outer: usize = first.dims()[..along].iter().product();
    let bytes: Vec<Vec<u8>> = parts.iter().map(|part| part.to_le_bytes()).collect();
    let mut all = Vec::new();
    for o in 0..outer {
        for part in &bytes {
            let row = part.len() / outer;
            all.extend_from_slice(&part[o * row..(o + 1) * row]);
        }
    }
    let mut dims = first.dims().to_vec();
    dims[along] = parts.iter().map(|part| part.dims()[along]).sum();
    Constant::from_le_bytes(&TensorType::new(element, dims), &all)
}

/// Where each element of the broadcast `dims` lies in a constant of `own` dimensions.
pub(super) fn broadcast_positions(own: &[usize], dims: &[usize]) -> Option<Vec<usize>> {
    let skipped = dims.len().checked_sub(own.len())?;
    let own_strides = strides(own);
    let positions = indices(dims)?.map(|index| {
        (0..own.len())
            .map(|d| {
                if own[d] == 1 {
                    0
                } else {
                    index[skipped + d] * own_strides[d]
                }
            })
            .sum()
    });
    Some(positions.collect())
}

pub(super) fn expand(from: &Constant, target: &Shape) -> Option<Constant> {
    let shape = Shape::from(from.dims()).broadcast(target)?;
    pick(from, broadcast_positions(from.dims(), shape.dims())?, shape.dims())
}

/// Matrices with zeros below the diagonal that is `shift` above the main one, or above it.
pub(super) fn triangle(from: &Constant, shift: Option<&[i64]>, upper: bool) -> Option<Constant> {
    let &[.., rows, columns] = from.dims() else { return None };
    let shift = shift.map_or(Some(0), |s| s.first().copied())?;
    let (mut bytes, size) = (from.to_le_bytes(), from.element().size());
    for (i, element) in bytes.chunks_mut(size).enumerate() {
        let (row, column) = ((i / columns % rows) as i64, (i % columns) as i64);
        let inside = if upper {
            column >= row + shift
        } else {
            column <= row + shift
        };
        if !inside {
            element.fill(0);
        }
    }
    Constant::from_le_bytes(&from.ty(), &bytes)
}

pub(super) fn tile(from: &Constant, repeats: &[i64]) -> Option<Constant> {
    if repeats.len() != from.dims().len() {
        return None;
    }
    let own = strides(from.dims());
    let dims: Option<Vec<usize>> = from
        .dims()
        .iter()
        .zip(repeats)
        .map(|(&d, &r)| usize::try_from(r).ok()?.checked_mul(d))
        .collect();
    let dims = dims?;
    let extents = from.dims();
    let positions = indices(&dims)?.map(|index| (0..index.len()).map(|d| index[d] % extents[d] * own[d]).sum());
    pick(from, positions.collect(), &dims)
}

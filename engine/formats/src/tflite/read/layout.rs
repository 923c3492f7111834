//! Operators that move values: their shape tensors become attributes.

use ir::Constant;
use ir::ops::{Pad, PadMode, Reshape, Slice, Split};

use super::{Importer, Use};
use crate::FormatError;
use crate::tflite::builtin::Builtin;
use crate::tflite::schema::{MirrorPadOptions, REFLECT, ReshapeOptions, SYMMETRIC, SplitOptions, StridedSliceOptions};

impl Importer {
    /// The target may be computed of what is not known here; then the shape that the file declares for the output is the one for one sample.
    pub(super) fn reshape(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let options: ReshapeOptions = u.options()?;
        let target = match u.inputs.get(1).copied().flatten() {
            Some(id) => self.constant_integers(id),
            None => options
                .new_shape
                .map(|shape| shape.into_iter().map(i64::from).collect()),
        };
        let elements = self.ty(u.input(0)?).shape.elements();
        let shape = match target {
            None => self.declared(u)?,
            Some(target) => {
                let known = target
                    .iter()
                    .filter(|&&d| d != -1)
                    .fold(1usize, |n, &d| n.saturating_mul(d as usize));
                let missing = elements.checked_div(known).unwrap_or(0);
                target
                    .iter()
                    .map(|&d| if d == -1 { missing } else { d as usize })
                    .collect()
            }
        };
        self.on_first(u, Reshape { shape })
    }

    /// The shape that the file declares for the output of an operator that keeps the number of elements.
    ///
    /// One extent may be open, and stands as 1; else the first one, which may hold other dimensions beside the batch, is
    /// what the others leave.
    pub(super) fn declared(&self, u: &Use<'_>) -> Result<Vec<usize>, FormatError> {
        let axis = match self.open.get(&u.outputs[0]).map(Vec::as_slice) {
            None => 0,
            Some(&[axis]) => axis,
            Some(open) => return Err(u.open(open)),
        };
        let mut shape = self.ty(u.outputs[0]).shape.0.clone();
        let others = shape.iter().enumerate().filter(|&(i, _)| i != axis);
        let others = others.fold(1usize, |n, (_, &d)| n.saturating_mul(d));
        if let Some(extent) = shape.get_mut(axis) {
            *extent = self.ty(u.input(0)?).shape.elements().checked_div(others).unwrap_or(0);
        }
        Ok(shape)
    }

    pub(super) fn split(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let o: SplitOptions = u.options()?;
        let input = u.input(1)?;
        let parts = u.outputs.len();
        if usize::try_from(o.num_splits) != Ok(parts) {
            return Err(u.malformed(format!("splits into {}, but has {parts} outputs", o.num_splits)));
        }
        let axis = match self.integers(u, 0, "axis")?.as_slice() {
            &[axis] => self.axis(u, axis, input)?,
            other => return Err(u.malformed(format!("splits along {} dimensions, expected one", other.len()))),
        };
        self.push(u, Split { axis, parts }.into(), &[input], &u.outputs)
    }

    pub(super) fn slice(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let dims = self.ty(u.input(0)?).shape.0.clone();
        let (Some(begin), Some(size)) = (self.constant_at(u, 1), self.constant_at(u, 2)) else {
            return self.carry(u);
        };
        if begin.len() != dims.len() || size.len() != dims.len() {
            return Err(u.malformed(format!("slices {} dimensions of {}", begin.len(), dims.len())));
        }
        let begin = begin
            .iter()
            .map(|&b| usize::try_from(b).unwrap_or(usize::MAX))
            .collect::<Vec<_>>();
        let end = |i: usize| match size[i] {
            -1 => dims[i],
            size => begin[i].saturating_add(usize::try_from(size).unwrap_or(0)),
        };
        let end = (0..dims.len()).map(end).collect();
        self.on_first(
            u,
            Slice {
                begin,
                end,
                stride: vec![1; dims.len()],
            },
        )
    }

    /// Bounds count from the end when negative and are clamped; masks replace them; a shrunken dimension is taken at one
    /// index and dropped.
    pub(super) fn strided_slice(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let o: StridedSliceOptions = u.options()?;
        let input = u.input(0)?;
        let dims = self.ty(input).shape.0.clone();
        let bounds = (self.constant_at(u, 1), self.constant_at(u, 2), self.constant_at(u, 3));
        let (Some(begins), Some(ends), Some(strides)) = bounds else {
            return self.carry(u);
        };
        let plain = begins.len() == ends.len() && begins.len() == strides.len() && begins.len() <= dims.len().min(31);
        let unusual = o.ellipsis_mask != 0 || o.new_axis_mask != 0 || o.offset || strides.iter().any(|&s| s <= 0);
        if !plain || unusual {
            return self.carry(u);
        }
        let bit = |mask: i32, i: usize| mask >> i & 1 == 1;
        let bound = |value: i64, dim: usize| {
            let from_start = if value < 0 {
                value.saturating_add(dim as i64)
            } else {
                value
            };
            usize::try_from(from_start).unwrap_or(0).min(dim)
        };
        let (mut begin, mut end, mut stride, mut kept) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (i, &dim) in dims.iter().enumerate() {
            let given = i < begins.len();
            let shrunken = given && bit(o.shrink_axis_mask, i);
            let first = if given && !bit(o.begin_mask, i) {
                bound(begins[i], dim)
            } else {
                0
            };
            let last = if given && !bit(o.end_mask, i) {
                bound(ends[i], dim)
            } else {
                dim
            };
            begin.push(first);
            end.push(if shrunken { first + 1 } else { last });
            stride.push(if given && !shrunken { strides[i] as usize } else { 1 });
            kept.push(!shrunken);
        }
        let op = Slice { begin, end, stride };
        if kept.iter().all(|&k| k) {
            return self.on_first(u, op);
        }
        let sliced = self.insert(u, "slice", op.into(), &[input])?;
        let shape = self
            .ty(sliced)
            .shape
            .0
            .iter()
            .zip(kept)
            .filter(|(_, k)| *k)
            .map(|(&d, _)| d)
            .collect();
        self.push(u, Reshape { shape }.into(), &[sliced], &u.outputs)
    }

    pub(super) fn pad(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let paddings = self.extents(u, 1, "paddings")?;
        let mode = match u.builtin {
            Builtin::PADV2 => self.pad_value(u)?,
            Builtin::MIRROR_PAD => match u.options::<MirrorPadOptions>()?.mode {
                REFLECT => PadMode::Reflect,
                SYMMETRIC => PadMode::Symmetric,
                other => return Err(u.malformed(format!("has the unknown mode {other}"))),
            },
            _ => PadMode::Zero,
        };
        let pairs = paddings.as_chunks::<2>().0;
        let (before, after) = (
            pairs.iter().map(|p| p[0]).collect(),
            pairs.iter().map(|p| p[1]).collect(),
        );
        self.on_first(u, Pad { before, after, mode })
    }

    pub(super) fn pad_value(&self, u: &Use<'_>) -> Result<PadMode, FormatError> {
        let tensor = self.graph.tensor(u.input(2)?);
        let stored = match &tensor.data {
            Some(Constant::F32(a)) if a.len() == 1 => {
                return Ok(PadMode::Value(a.iter().copied().next().unwrap_or(0.0)));
            }
            Some(Constant::I8(a)) if a.len() == 1 => a.iter().next().map(|&v| i32::from(v)),
            Some(Constant::U8(a)) if a.len() == 1 => a.iter().next().map(|&v| i32::from(v)),
            Some(Constant::I16(a)) if a.len() == 1 => a.iter().next().map(|&v| i32::from(v)),
            _ => None,
        };
        let real = stored.zip(tensor.quantization.as_ref().and_then(ir::Quantization::whole));
        match real {
            Some((stored, params)) => Ok(PadMode::Value(params.dequantize(stored))),
            None => Err(u.unsupported(
                "pads with a value that is not one constant number",
                "pad with a constant",
            )),
        }
    }
}

//! Operators that are several of the graph's: packing, repeating, pixels and blocks, norms of rows.
//!
//! What only moves values does so with stored integers as well, whose scale the file states on both sides. What computes is read in floats;
//! in integers, where the runtime rounds in its own way, it is carried through.

use ir::ops::{
    ArgMax, Concat, Div, Function, Gather, Identity, Maximum, Mul, Pad, PadMode, ReduceMax, ReduceSum, Reshape, Slice,
    Sub, Transpose,
};
use ir::passes::{DEALT, GATHERED};
use ir::{Constant, ElementType, Op, TensorId};

use super::{Importer, Use};
use crate::FormatError;
use crate::tflite::schema::{
    ArgMaxOptions, DepthToSpaceOptions, L2NormOptions, PackOptions, SpaceToDepthOptions, UnpackOptions,
};

type Done = Result<(), FormatError>;

/// Rows and columns of a block, and top, bottom, left and right edges.
type Blocks = ([usize; 2], [usize; 4]);

/// Copies of one tensor that are written down one behind the other.
const MOST_COPIES: usize = 1 << 12;

/// From `[N,H,W,b,b,C]` to `[N,H,b,W,b,C]`, and back.
const BLOCKS: [usize; 6] = [0, 1, 3, 2, 4, 5];

impl Importer {
    /// Adds what such an operator does; false for other operators, and for forms of these that are carried through.
    pub(super) fn in_parts(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let moved = match u.builtin.name() {
            "PACK" => Self::pack,
            "UNPACK" => Self::unpack,
            "SPLIT_V" => Self::split_v,
            "TILE" => Self::tile,
            "DEPTH_TO_SPACE" => Self::depth_to_space,
            "SPACE_TO_DEPTH" => Self::space_to_depth,
            "SPACE_TO_BATCH_ND" => Self::space_to_batch,
            "BATCH_TO_SPACE_ND" => Self::batch_to_space,
            "REVERSE_V2" => Self::reverse,
            "ARG_MIN" => Self::arg_min,
            "L2_NORMALIZATION" => Self::l2_normalization,
            "LOG_SOFTMAX" => Self::log_softmax,
            "SQUARE" => Self::square,
            "ADD_N" => Self::add_n,
            "FLOOR_DIV" => Self::floor_div,
            "RELU_0_TO_1" => Self::unit_clamp,
            _ => return Ok(false),
        } as fn(&mut Self, &Use<'_>) -> Result<bool, FormatError>;
        // Of shapes and indices the file computes with integers, which `shapes` follows.
        let first = self.graph.tensor(u.input(0)?);
        if first.ty.element != ElementType::F32 && !first.is_quantized() {
            return Ok(false);
        }
        moved(self, u)
    }

    fn floats(&self, u: &Use<'_>) -> bool {
        let all = u.inputs.iter().flatten().chain(&u.outputs);
        all.into_iter().all(|&id| self.ty(id).element == ElementType::F32)
    }

    fn dims(&self, id: TensorId) -> Vec<usize> {
        self.ty(id).shape.0.clone()
    }

    /// [`Importer::axis`] where one dimension more may be meant.
    fn new_axis(u: &Use<'_>, axis: i32, rank: usize) -> Result<usize, FormatError> {
        let from_start = if axis < 0 {
            i64::from(axis) + rank as i64
        } else {
            axis.into()
        };
        let axis = usize::try_from(from_start).ok().filter(|&a| a < rank);
        axis.ok_or_else(|| u.malformed(format!("names dimension {from_start} of {rank}")))
    }

    /// The one number of an input.
    fn number(&self, u: &Use<'_>, input: usize, what: &str) -> Result<i32, FormatError> {
        match self.integers(u, input, what)?.as_slice() {
            &[number] => Ok(number),
            other => Err(u.malformed(format!("its {what} are {other:?}, expected one number"))),
        }
    }

    pub(super) fn arg_max(&mut self, u: &Use<'_>) -> Done {
        let ArgMaxOptions { output_type: _ } = u.options()?;
        let input = u.input(0)?;
        self.places(u, input)
    }

    fn places(&mut self, u: &Use<'_>, of: TensorId) -> Done {
        let axis = self.number(u, 1, "dimensions")?;
        let axis = self.axis(u, axis, of)?;
        let to = self.ty(u.outputs[0]).element;
        self.push(u, ArgMax { axis, to }.into(), &[of], &u.outputs)
    }

    /// The greatest of the negatives is the least.
    fn arg_min(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let input = u.input(0)?;
        if self.ty(input).element != ElementType::F32 {
            return Ok(false);
        }
        let negative = self.insert(u, "negative", Function::Neg.into(), &[input])?;
        self.places(u, negative)?;
        Ok(true)
    }

    fn pack(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let inputs = u.present()?;
        let mut shape = self.dims(inputs[0]);
        let axis = Self::new_axis(u, u.options::<PackOptions>()?.axis, shape.len() + 1)?;
        shape.insert(axis, 1);
        let mut rows = Vec::new();
        for input in inputs {
            let shape = shape.clone();
            rows.push(self.insert(u, "row", Reshape { shape }.into(), &[input])?);
        }
        self.push(u, Concat { axis }.into(), &rows, &u.outputs)?;
        Ok(true)
    }

    fn unpack(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let input = u.input(0)?;
        let dims = self.dims(input);
        let axis = self.axis(u, u.options::<UnpackOptions>()?.axis, input)?;
        if u.outputs.len() != dims[axis] {
            return Err(u.malformed(format!("takes {dims:?} apart into {} outputs", u.outputs.len())));
        }
        let mut shape = dims;
        shape.remove(axis);
        for (i, &output) in u.outputs.iter().enumerate() {
            let op = self.cut(input, axis, i, i + 1);
            let part = self.insert(u, "part", op, &[input])?;
            let shape = shape.clone();
            self.push(u, Reshape { shape }.into(), &[part], &[output])?;
        }
        Ok(true)
    }

    /// A range of one dimension.
    fn cut(&self, input: TensorId, axis: usize, from: usize, to: usize) -> Op {
        let end = self.dims(input);
        let mut op = Slice {
            begin: vec![0; end.len()],
            stride: vec![1; end.len()],
            end,
        };
        (op.begin[axis], op.end[axis]) = (from, to);
        op.into()
    }

    fn split_v(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let input = u.input(0)?;
        let axis = self.number(u, 2, "dimensions")?;
        let axis = self.axis(u, axis, input)?;
        let sizes = self.integers(u, 1, "sizes")?;
        let extent = self.dims(input)[axis];
        let stated: i64 = sizes.iter().filter(|&&n| n >= 0).map(|&n| i64::from(n)).sum();
        let left = usize::try_from(extent as i64 - stated).unwrap_or(0);
        let sizes: Vec<usize> = sizes.iter().map(|&n| usize::try_from(n).unwrap_or(left)).collect();
        if sizes.len() != u.outputs.len() || sizes.iter().sum::<usize>() != extent {
            let problem = format!("cuts {extent} into {sizes:?} for {} outputs", u.outputs.len());
            return Err(u.malformed(problem));
        }
        let mut from = 0;
        for (&size, &output) in sizes.iter().zip(&u.outputs) {
            let op = self.cut(input, axis, from, from + size);
            self.push(u, op, &[input], &[output])?;
            from += size;
        }
        Ok(true)
    }

    /// Copies one behind the other, along each dimension that has several.
    fn tile(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let mut x = u.input(0)?;
        let copies = self.extents(u, 1, "multiples")?;
        let dims = self.dims(x);
        if copies.len() != dims.len() || copies.iter().any(|n| !(1..=MOST_COPIES).contains(n)) {
            let fix = format!("use a number from 1 to {MOST_COPIES} for each dimension");
            return Err(u.unsupported(format!("repeats {dims:?} {copies:?} times"), &fix));
        }
        for (axis, &n) in copies.iter().enumerate().filter(|&(_, &n)| n > 1) {
            x = self.insert(u, "copies", Concat { axis }.into(), &vec![x; n])?;
        }
        self.push(u, Identity {}.into(), &[x], &u.outputs)?;
        Ok(true)
    }

    fn block(&self, u: &Use<'_>, size: i32) -> Result<([usize; 4], usize), FormatError> {
        let ty = self.ty(u.input(0)?);
        let dims = ty.shape.nhwc();
        let dims = dims.ok_or_else(|| u.malformed(format!("reads {ty}, expected four dimensions")))?;
        let [block, _] = u.positive("block", [size, size])?;
        Ok((dims, block))
    }

    fn depth_to_space(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let ([n, h, w, c], b) = self.block(u, u.options::<DepthToSpaceOptions>()?.block_size)?;
        let depth = c / (b * b);
        let apart = vec![n, h, w, b, b, depth];
        self.rearranged(u, u.input(0)?, apart, &BLOCKS, vec![n, h * b, w * b, depth])
    }

    fn space_to_depth(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let ([n, h, w, c], b) = self.block(u, u.options::<SpaceToDepthOptions>()?.block_size)?;
        let apart = vec![n, h / b, b, w / b, b, c];
        self.rearranged(u, u.input(0)?, apart, &BLOCKS, vec![n, h / b, w / b, b * b * c])
    }

    fn rearranged(
        &mut self,
        u: &Use<'_>,
        x: TensorId,
        apart: Vec<usize>,
        perm: &[usize],
        shape: Vec<usize>,
    ) -> Result<bool, FormatError> {
        let y = self.moved(u, x, apart, perm)?;
        self.push(u, Reshape { shape }.into(), &[y], &u.outputs)?;
        Ok(true)
    }

    fn moved(&mut self, u: &Use<'_>, x: TensorId, shape: Vec<usize>, perm: &[usize]) -> Result<TensorId, FormatError> {
        let apart = self.insert(u, "apart", Reshape { shape }.into(), &[x])?;
        let perm = perm.to_vec();
        self.insert(u, "moved", Transpose { perm }.into(), &[apart])
    }

    /// Rows and columns of a block, and what is put on or taken from the edges: `[top, bottom, left, right]`.
    fn blocks(&self, u: &Use<'_>, what: &str) -> Result<Option<Blocks>, FormatError> {
        let (block, edges) = (self.extents(u, 1, "block")?, self.extents(u, 2, what)?);
        let image = self.ty(u.input(0)?).shape.rank() == 4;
        match (block.as_slice(), edges.as_slice()) {
            (&[b, c], &[top, bottom, left, right]) if image && b > 0 && c > 0 => {
                Ok(Some(([b, c], [top, bottom, left, right])))
            }
            _ => Ok(None),
        }
    }

    fn space_to_batch(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let Some(([b, c], [top, bottom, left, right])) = self.blocks(u, "paddings")? else {
            return Ok(false);
        };
        let mut x = u.input(0)?;
        if [top, bottom, left, right] != [0; 4] {
            let op = Pad {
                before: vec![0, top, left, 0],
                after: vec![0, bottom, right, 0],
                mode: PadMode::Zero,
            };
            x = self.insert(u, "padded", op.into(), &[x])?;
        }
        let dims = self.dims(x);
        let (h, w) = (dims[1] / b, dims[2] / c);
        let apart = vec![dims[0], h, b, w, c, dims[3]];
        self.rearranged(u, x, apart, &DEALT, vec![dims[0] * b * c, h, w, dims[3]])
    }

    fn batch_to_space(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let Some(([b, c], [top, bottom, left, right])) = self.blocks(u, "crops")? else {
            return Ok(false);
        };
        let x = u.input(0)?;
        let dims = self.dims(x);
        let n = dims[0] / (b * c);
        let apart = vec![b, c, n, dims[1], dims[2], dims[3]];
        let (h, w) = (dims[1] * b, dims[2] * c);
        let shape = vec![n, h, w, dims[3]];
        if [top, bottom, left, right] == [0; 4] {
            return self.rearranged(u, x, apart, &GATHERED, shape);
        }
        let moved = self.moved(u, x, apart, &GATHERED)?;
        let whole = self.insert(u, "whole", Reshape { shape }.into(), &[moved])?;
        let op = Slice {
            begin: vec![0, top, left, 0],
            end: vec![n, h.saturating_sub(bottom), w.saturating_sub(right), dims[3]],
            stride: vec![1; 4],
        };
        self.push(u, op.into(), &[whole], &u.outputs)?;
        Ok(true)
    }

    fn reverse(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let input = u.input(0)?;
        let axis = self.number(u, 1, "dimensions")?;
        let axis = self.axis(u, axis, input)?;
        let n = self.dims(input)[axis];
        let order = (0..n as i32).rev().collect();
        let order = Constant::i32([n], order).ok_or_else(|| u.malformed("reverses too much"))?;
        let order = self.made_up(u, "order", order);
        self.push(u, Gather { axis }.into(), &[input, order], &u.outputs)?;
        Ok(true)
    }

    /// A constant that the file does not have.
    pub(super) fn made_up(&mut self, u: &Use<'_>, what: &str, data: Constant) -> TensorId {
        let name = self.names.unique(&format!("{}/{what}", u.name));
        self.graph.constant(name, data)
    }

    /// `x / max(√Σx², 10⁻⁶)` over the last dimension. Source: `reference_ops::L2Normalization` (`l2normalization.h`).
    fn l2_normalization(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        if u.options::<L2NormOptions>()?.fused_activation_function != 0 || !self.floats(u) {
            return Ok(false);
        }
        let x = u.input(0)?;
        let (axes, keep_dims) = (vec![self.axis(u, -1, x)?], true);
        let squares = self.insert(u, "squares", Mul::default().into(), &[x, x])?;
        let sum = self.insert(u, "sum", ReduceSum { axes, keep_dims }.into(), &[squares])?;
        let root = self.insert(u, "root", Function::Sqrt.into(), &[sum])?;
        let least = Constant::f32([1], vec![1e-6]).expect("one number");
        let least = self.made_up(u, "least", least);
        let length = self.insert(u, "length", Maximum {}.into(), &[root, least])?;
        self.push(u, Div::default().into(), &[x, length], &u.outputs)?;
        Ok(true)
    }

    /// `x − max − ln Σ exp(x − max)` over the last dimension. Source: `reference_ops::LogSoftmax` (`log_softmax.h`).
    fn log_softmax(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        if !self.floats(u) {
            return Ok(false);
        }
        let x = u.input(0)?;
        let (axes, keep_dims) = (vec![self.axis(u, -1, x)?], true);
        let over = axes.clone();
        let greatest = self.insert(u, "max", ReduceMax { axes, keep_dims }.into(), &[x])?;
        let below = self.insert(u, "below", Sub::default().into(), &[x, greatest])?;
        let powers = self.insert(u, "powers", Function::Exp.into(), &[below])?;
        let sum = ReduceSum { axes: over, keep_dims };
        let sum = self.insert(u, "sum", sum.into(), &[powers])?;
        let log = self.insert(u, "log", Function::Log.into(), &[sum])?;
        self.push(u, Sub::default().into(), &[below, log], &u.outputs)?;
        Ok(true)
    }

    fn square(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let x = u.input(0)?;
        if !self.floats(u) {
            return Ok(false);
        }
        self.push(u, Mul::default().into(), &[x, x], &u.outputs)?;
        Ok(true)
    }

    fn add_n(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        let inputs = u.present()?;
        if !self.floats(u) {
            return Ok(false);
        }
        let mut sum = inputs[0];
        for &next in &inputs[1..] {
            sum = self.insert(u, "sum", ir::ops::Add::default().into(), &[sum, next])?;
        }
        self.push(u, Identity {}.into(), &[sum], &u.outputs)?;
        Ok(true)
    }

    /// Source: `FloorDiv` (`floor_div.h`).
    fn floor_div(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        if !self.floats(u) {
            return Ok(false);
        }
        let quotient = self.insert(u, "quotient", Div::default().into(), &u.present()?)?;
        self.push(u, Function::Floor.into(), &[quotient], &u.outputs)?;
        Ok(true)
    }

    fn unit_clamp(&mut self, u: &Use<'_>) -> Result<bool, FormatError> {
        if !self.floats(u) {
            return Ok(false);
        }
        let clamp = Function::HardSigmoid { alpha: 1.0, beta: 0.0 };
        self.push(u, clamp.into(), &[u.input(0)?], &u.outputs)?;
        Ok(true)
    }
}

//! What can be computed at import: nodes whose inputs are all known.
//!
//! Exporters write the arithmetic of shapes as nodes (`Shape`, `Gather`, `Mul`, `Concat`, `Reshape`, …), and store weights
//! that they transpose or cast when they run. Since a graph has fixed shapes, all of this disappears here. Results are small or of
//! the size of stored weights; a budget holds hostile files.

use ir::{Constant, ElementType, Shape, TensorType};

use super::tensor;
use crate::FormatError;
use crate::onnx::node::Node;

/// Elements of one folded result that no stored tensor accounts for.
const LARGEST: usize = 1 << 26;

/// The operators that are folded.
pub(super) const OPERATORS: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "Cast",
    "Ceil",
    "Concat",
    "ConstantOfShape",
    "Div",
    "Equal",
    "Exp",
    "Expand",
    "Floor",
    "Gather",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "Less",
    "LessOrEqual",
    "Log",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Range",
    "Reciprocal",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "Reshape",
    "Round",
    "Shape",
    "Size",
    "Slice",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// The first output of `node`, computed from its known inputs; `None` where the operator, or this form of it, is not folded.
pub(super) fn evaluate(node: &Node<'_>, inputs: &[Option<&Constant>]) -> Result<Option<Constant>, FormatError> {
    let at = |i: usize| inputs.get(i).copied().flatten();
    let Some(first) = at(0) else { return Ok(None) };
    let fail = || node.malformed("its constant inputs do not fit each other");
    let result = match node.proto.op_type.as_str() {
        "Identity" => Some(first.clone()),
        "Cast" => Some(cast(first, node)?),
        "Shape" => return shape_of(node, first.dims()).map(Some),
        "Size" => integers(vec![first.len() as i64], &[]),
        "ConstantOfShape" => filled(node, first)?,
        "Range" => range(at(0), at(1), at(2)),
        "Reshape" => {
            let target = at(1).and_then(ints).or_else(|| node.ints("shape").map(<[i64]>::to_vec));
            let dims =
                reshaped_dims(&target.ok_or_else(fail)?, first.dims(), node.flag("allowzero")).ok_or_else(fail)?;
            first.reshaped(Shape(dims))
        }
        "Squeeze" | "Unsqueeze" => {
            let axes = at(1).and_then(ints).or_else(|| node.ints("axes").map(<[i64]>::to_vec));
            let squeeze = node.proto.op_type == "Squeeze";
            let dims = if squeeze {
                squeezed(first.dims(), axes.as_deref())
            } else {
                unsqueezed(first.dims(), &axes.ok_or_else(fail)?)
            };
            first.reshaped(Shape(dims.ok_or_else(fail)?))
        }
        "Transpose" => {
            let rank = first.dims().len();
            let perm = node.ints("perm").map_or_else(
                || Some((0..rank).rev().collect::<Vec<_>>()),
                |perm| perm.iter().map(|&p| usize::try_from(p).ok()).collect(),
            );
            first.permuted(&perm.ok_or_else(fail)?)
        }
        "Concat" => concat(inputs, node.int("axis", 0)),
        "Gather" => gather(first, at(1).ok_or_else(fail)?, node.int("axis", 0)),
        "Slice" => {
            let plan = slice_plan(node, first.dims(), &|i| at(i).and_then(ints))?;
            plan.and_then(|plan| plan.take(first))
        }
        "Expand" => {
            let target: Option<Vec<usize>> = at(1)
                .and_then(ints)
                .and_then(|t| t.iter().map(|&d| usize::try_from(d).ok()).collect());
            expand(first, &Shape(target.ok_or_else(fail)?))
        }
        "Tile" => tile(first, &at(1).and_then(ints).ok_or_else(fail)?),
        "Where" => choose(first, at(1).ok_or_else(fail)?, at(2).ok_or_else(fail)?),
        "ReduceSum" | "ReduceProd" | "ReduceMax" | "ReduceMin" => reduce(node, first, at(1)),
        "Not" => bools(first).and_then(|v| booleans(v.into_iter().map(|b| !b).collect(), first.dims())),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "Max" | "Min" | "Equal" | "Less" | "Greater"
        | "LessOrEqual" | "GreaterOrEqual" | "And" | "Or" => {
            let rest: Option<Vec<&Constant>> = inputs[1..].iter().copied().collect();
            let mut result = Some(first.clone());
            for other in rest.ok_or_else(fail)? {
                result = result.and_then(|so_far| binary(&node.proto.op_type, &so_far, other));
            }
            result
        }
        name => unary(name, first),
    };
    match result {
        Some(constant) if constant.len() > LARGEST.max(first.len()) => Err(node.unsupported(
            format!("makes a constant of {}", constant.ty()),
            "simplify the model first",
        )),
        result => Ok(result),
    }
}

/// `Shape`, from opset 15 on of some dimensions only.
pub(super) fn shape_of(node: &Node<'_>, dims: &[usize]) -> Result<Constant, FormatError> {
    let rank = dims.len() as i64;
    let bound = |value: i64| (if value < 0 { value.saturating_add(rank) } else { value }).clamp(0, rank) as usize;
    let (start, end) = (bound(node.int("start", 0)), bound(node.int("end", rank)));
    let part: Vec<i64> = dims
        .get(start..end)
        .unwrap_or_default()
        .iter()
        .map(|&d| d as i64)
        .collect();
    let count = part.len();
    integers(part, &[count]).ok_or_else(|| node.malformed("has no shape"))
}

/// The dimensions of `Reshape`: 0 keeps the input's (unless zeros are allowed), −1 is what remains.
pub(super) fn reshaped_dims(target: &[i64], input: &[usize], allow_zero: bool) -> Option<Vec<usize>> {
    let elements = Shape::from(input).elements();
    let mut dims = Vec::with_capacity(target.len());
    let mut open = None;
    for (i, &d) in target.iter().enumerate() {
        dims.push(match d {
            0 if !allow_zero => *input.get(i)?,
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            d => usize::try_from(d).ok()?,
        });
    }
    if let Some(open) = open {
        let known = Shape(dims.clone()).elements();
        dims[open] = elements.checked_div(known)?;
    }
    (Shape(dims.clone()).elements() == elements).then_some(dims)
}

/// An axis that may count from the end.
pub(super) fn axis(value: i64, rank: usize) -> Option<usize> {
    let value = if value < 0 {
        value.checked_add(rank as i64)?
    } else {
        value
    };
    usize::try_from(value).ok().filter(|&a| a < rank)
}

/// Dimensions without the extents of 1 at `axes`, or without all of them.
pub(super) fn squeezed(dims: &[usize], axes: Option<&[i64]>) -> Option<Vec<usize>> {
    let gone: Vec<usize> = match axes {
        None => (0..dims.len()).filter(|&i| dims[i] == 1).collect(),
        Some(axes) => axes.iter().map(|&a| axis(a, dims.len())).collect::<Option<_>>()?,
    };
    if gone.iter().any(|&i| dims[i] != 1) {
        return None;
    }
    Some((0..dims.len()).filter(|i| !gone.contains(i)).map(|i| dims[i]).collect())
}

/// Dimensions with extents of 1 put in, so that they are at `axes` of the result.
pub(super) fn unsqueezed(dims: &[usize], axes: &[i64]) -> Option<Vec<usize>> {
    let rank = dims.len() + axes.len();
    let new: Vec<usize> = axes.iter().map(|&a| axis(a, rank)).collect::<Option<_>>()?;
    let mut old = dims.iter();
    let dims: Vec<usize> = (0..rank)
        .map(|i| if new.contains(&i) { Some(1) } else { old.next().copied() })
        .collect::<Option<_>>()?;
    old.next().is_none().then_some(dims)
}

/// A slice in full: first index, step and count along each dimension.
pub(super) struct SlicePlan {
    pub begin: Vec<usize>,
    /// One past the last index of dimensions that run forwards.
    pub end: Vec<usize>,
    pub step: Vec<i64>,
    pub count: Vec<usize>,
}

impl SlicePlan {
    fn take(&self, from: &Constant) -> Option<Constant> {
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
pub(super) fn slice_plan(
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

/// The values of an integer or truth constant.
pub(super) fn ints(constant: &Constant) -> Option<Vec<i64>> {
    Some(match constant {
        Constant::I8(a) => a.iter().map(|&v| v.into()).collect(),
        Constant::U8(a) => a.iter().map(|&v| v.into()).collect(),
        Constant::I16(a) => a.iter().map(|&v| v.into()).collect(),
        Constant::I32(a) => a.iter().map(|&v| v.into()).collect(),
        Constant::I64(a) => a.iter().copied().collect(),
        Constant::Bool(a) => a.iter().map(|&v| v.into()).collect(),
        Constant::F32(_) | Constant::F16(_) => return None,
    })
}

/// The values of any constant as floats.
pub(super) fn floats(constant: &Constant) -> Vec<f32> {
    match constant {
        Constant::F32(a) => a.iter().copied().collect(),
        Constant::F16(a) => a.iter().map(|v| v.to_f32()).collect(),
        integers => ints(integers)
            .unwrap_or_default()
            .into_iter()
            .map(|v| v as f32)
            .collect(),
    }
}

fn bools(constant: &Constant) -> Option<Vec<bool>> {
    Some(ints(constant)?.into_iter().map(|v| v != 0).collect())
}

fn integers(values: Vec<i64>, dims: &[usize]) -> Option<Constant> {
    stored_integers(ElementType::I64, &values, dims)
}

/// Integers in an element type, wrapped where they do not fit; floats for a float type.
fn stored_integers(element: ElementType, values: &[i64], dims: &[usize]) -> Option<Constant> {
    let bytes: Vec<u8> = match element {
        ElementType::I8 | ElementType::U8 => values.iter().map(|&v| v as u8).collect(),
        ElementType::Bool => values.iter().map(|&v| u8::from(v != 0)).collect(),
        ElementType::I16 => values.iter().flat_map(|&v| (v as i16).to_le_bytes()).collect(),
        ElementType::I32 => values.iter().flat_map(|&v| (v as i32).to_le_bytes()).collect(),
        ElementType::I64 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ElementType::F32 | ElementType::F16 => return Constant::f32(dims, values.iter().map(|&v| v as f32).collect()),
    };
    Constant::from_le_bytes(&TensorType::new(element, dims), &bytes)
}

fn booleans(values: Vec<bool>, dims: &[usize]) -> Option<Constant> {
    let bytes: Vec<u8> = values.into_iter().map(u8::from).collect();
    Constant::from_le_bytes(&TensorType::new(ElementType::Bool, dims), &bytes)
}

fn cast(constant: &Constant, node: &Node<'_>) -> Result<Constant, FormatError> {
    let code = node.int("to", 0) as i32;
    let element = tensor::element(code);
    let refuse = || {
        let name = super::proto::data_type::name(code);
        node.unsupported(
            format!("casts a constant to {name}"),
            "numbers of 4 to 64 bits are read",
        )
    };
    let element = element.ok_or_else(refuse)?;
    if element == constant.element() {
        return Ok(constant.clone());
    }
    let result = match (element.is_float(), ints(constant)) {
        (false, Some(values)) => stored_integers(element, &values, constant.dims()),
        (false, None) if element == ElementType::Bool => booleans(
            floats(constant).into_iter().map(|v| v != 0.0).collect(),
            constant.dims(),
        ),
        (false, None) => {
            let values: Vec<i64> = floats(constant).into_iter().map(|v| v as i64).collect();
            stored_integers(element, &values, constant.dims())
        }
        (true, _) => Constant::f32(constant.dims(), floats(constant)),
    };
    result.ok_or_else(refuse)
}

fn filled(node: &Node<'_>, shape: &Constant) -> Result<Option<Constant>, FormatError> {
    let dims = ints(shape)
        .and_then(|dims| tensor::shape(&dims))
        .filter(|s| s.elements() <= LARGEST);
    let dims = dims.ok_or_else(|| node.malformed("asks for a shape that is too large or not one"))?;
    let value = match node.attribute("value").and_then(|a| a.t.as_deref()) {
        Some(value) => tensor::constant(value, &|_| Err("a value is stored in the model itself".to_owned()))?,
        None => Constant::f32([1], vec![0.0]).expect("one value"),
    };
    let count = dims.elements();
    Ok(pick(&value, vec![0; count], dims.dims()))
}

fn range(start: Option<&Constant>, limit: Option<&Constant>, delta: Option<&Constant>) -> Option<Constant> {
    let (start, limit, delta) = (start?, limit?, delta?);
    if let (Some(a), Some(b), Some(d)) = (ints(start), ints(limit), ints(delta)) {
        let (&a, &b, &d) = (a.first()?, b.first()?, d.first()?);
        let distance = i128::from(b) - i128::from(a);
        let count = if d == 0 {
            return None;
        } else {
            (distance as f64 / d as f64).ceil().max(0.0)
        };
        if count > LARGEST as f64 {
            return None;
        }
        let values: Vec<i64> = (0..count as i64).map(|i| a.wrapping_add(i.wrapping_mul(d))).collect();
        let count = values.len();
        return stored_integers(start.element(), &values, &[count]);
    }
    let value = |c: &Constant| floats(c).first().copied();
    let (a, b, d) = (value(start)?, value(limit)?, value(delta)?);
    let count = ((b - a) / d).ceil().max(0.0);
    if count.is_nan() || count > LARGEST as f32 {
        return None;
    }
    let count = count as usize;
    Constant::f32([count], (0..count).map(|i| a + i as f32 * d).collect())
}

/// Elements from one row of an index to the next, for each dimension.
fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; dims.len()];
    for i in (1..dims.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(dims[i]);
    }
    strides
}

/// All indices of a shape in row-major order; `None` where there are too many.
fn indices(dims: &[usize]) -> Option<impl Iterator<Item = Vec<usize>>> {
    let count = Shape::from(dims).elements();
    if count > LARGEST {
        return None;
    }
    let (dims, strides) = (dims.to_vec(), strides(dims));
    Some((0..count).map(move |flat| (0..dims.len()).map(|d| flat / strides[d] % dims[d]).collect()))
}

/// The elements at `positions`, as a constant of `dims`.
fn pick(from: &Constant, positions: Vec<usize>, dims: &[usize]) -> Option<Constant> {
    let size = from.element().size();
    let bytes = from.to_le_bytes();
    let mut picked = Vec::with_capacity(positions.len() * size);
    for position in positions {
        picked.extend_from_slice(bytes.get(position.checked_mul(size)?..)?.get(..size)?);
    }
    Constant::from_le_bytes(&TensorType::new(from.element(), dims), &picked)
}

fn gather(from: &Constant, at: &Constant, along: i64) -> Option<Constant> {
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

fn concat(inputs: &[Option<&Constant>], along: i64) -> Option<Constant> {
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
fn broadcast_positions(own: &[usize], dims: &[usize]) -> Option<Vec<usize>> {
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

fn expand(from: &Constant, target: &Shape) -> Option<Constant> {
    let shape = Shape::from(from.dims()).broadcast(target)?;
    pick(from, broadcast_positions(from.dims(), shape.dims())?, shape.dims())
}

fn tile(from: &Constant, repeats: &[i64]) -> Option<Constant> {
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

fn choose(condition: &Constant, yes: &Constant, no: &Constant) -> Option<Constant> {
    if yes.element() != no.element() {
        return None;
    }
    let shape = Shape::from(condition.dims())
        .broadcast(&Shape::from(yes.dims()))?
        .broadcast(&Shape::from(no.dims()))?;
    let at = |c: &Constant| broadcast_positions(c.dims(), shape.dims());
    let condition = pick(condition, at(condition)?, shape.dims())?;
    let (yes, no) = (pick(yes, at(yes)?, shape.dims())?, pick(no, at(no)?, shape.dims())?);
    let (size, element) = (yes.element().size(), yes.element());
    let (yes, no) = (yes.to_le_bytes(), no.to_le_bytes());
    let bytes = bools(&condition)?.into_iter().enumerate().flat_map(|(i, c)| {
        let from = if c { &yes } else { &no };
        from[i * size..(i + 1) * size].to_vec()
    });
    Constant::from_le_bytes(&TensorType::new(element, shape), &bytes.collect::<Vec<u8>>())
}

fn reduce(node: &Node<'_>, from: &Constant, axes: Option<&Constant>) -> Option<Constant> {
    let rank = from.dims().len();
    let axes = axes.and_then(ints).or_else(|| node.ints("axes").map(<[i64]>::to_vec));
    let keep = node.int("keepdims", 1) != 0;
    let gone: Vec<usize> = match axes {
        Some(axes) if !axes.is_empty() => axes.iter().map(|&a| axis(a, rank)).collect::<Option<_>>()?,
        _ if node.flag("noop_with_empty_axes") => return Some(from.clone()),
        _ => (0..rank).collect(),
    };
    let kept: Vec<usize> = (0..rank)
        .map(|d| if gone.contains(&d) { 1 } else { from.dims()[d] })
        .collect();
    let kept_strides = strides(&kept);
    let count = Shape(kept.clone()).elements();
    let places: Vec<usize> = indices(from.dims())?
        .map(|index| {
            (0..rank)
                .map(|d| {
                    if gone.contains(&d) {
                        0
                    } else {
                        index[d] * kept_strides[d]
                    }
                })
                .sum()
        })
        .collect();
    let dims: Vec<usize> = (0..rank)
        .filter(|d| keep || !gone.contains(d))
        .map(|d| kept[d])
        .collect();
    let combine = |a: f64, b: f64| match node.proto.op_type.as_str() {
        "ReduceSum" => a + b,
        "ReduceProd" => a * b,
        "ReduceMax" => a.max(b),
        _ => a.min(b),
    };
    let mut results: Vec<Option<f64>> = vec![None; count];
    let exact: Vec<f64> = match ints(from) {
        // Extents are far below 2^53, where doubles are exact integers.
        Some(values) => values.into_iter().map(|v| v as f64).collect(),
        None => floats(from).into_iter().map(f64::from).collect(),
    };
    for (place, value) in places.into_iter().zip(exact) {
        results[place] = Some(results[place].map_or(value, |so_far| combine(so_far, value)));
    }
    let results: Vec<f64> = results.into_iter().collect::<Option<_>>()?;
    if from.element().is_float() {
        Constant::f32(dims, results.into_iter().map(|v| v as f32).collect())
    } else {
        let values: Vec<i64> = results.into_iter().map(|v| v as i64).collect();
        stored_integers(from.element(), &values, &dims)
    }
}

fn unary(name: &str, from: &Constant) -> Option<Constant> {
    if let ("Abs" | "Neg", Some(values)) = (name, ints(from)) {
        let apply = |v: i64| {
            if name == "Abs" {
                v.wrapping_abs()
            } else {
                v.wrapping_neg()
            }
        };
        let values: Vec<i64> = values.into_iter().map(apply).collect();
        return stored_integers(from.element(), &values, from.dims());
    }
    let function: fn(f32) -> f32 = match name {
        "Abs" => f32::abs,
        "Neg" => |v| -v,
        "Floor" => f32::floor,
        "Ceil" => f32::ceil,
        "Round" => f32::round_ties_even,
        "Sqrt" => f32::sqrt,
        "Exp" => f32::exp,
        "Log" => f32::ln,
        "Reciprocal" => f32::recip,
        _ => return None,
    };
    from.element().is_float().then_some(())?;
    Constant::f32(from.dims(), floats(from).into_iter().map(function).collect())
}

fn binary(name: &str, a: &Constant, b: &Constant) -> Option<Constant> {
    let shape = Shape::from(a.dims()).broadcast(&Shape::from(b.dims()))?;
    let (at_a, at_b) = (
        broadcast_positions(a.dims(), shape.dims())?,
        broadcast_positions(b.dims(), shape.dims())?,
    );
    let dims = shape.dims();
    if let (Some(x), Some(y)) = (ints(a), ints(b)) {
        let pairs = at_a.iter().zip(&at_b).map(|(&i, &j)| (x[i], y[j]));
        let compare = |holds: fn(i64, i64) -> bool| booleans(pairs.clone().map(|(a, b)| holds(a, b)).collect(), dims);
        let arithmetic = |f: fn(i64, i64) -> Option<i64>| {
            let values: Vec<i64> = pairs.clone().map(|(a, b)| f(a, b)).collect::<Option<_>>()?;
            stored_integers(a.element(), &values, dims)
        };
        return match name {
            "Add" => arithmetic(i64::checked_add),
            "Sub" => arithmetic(i64::checked_sub),
            "Mul" => arithmetic(i64::checked_mul),
            "Div" => arithmetic(i64::checked_div),
            "Mod" => arithmetic(i64::checked_rem_euclid),
            "Pow" => arithmetic(|a, b| a.checked_pow(u32::try_from(b).ok()?)),
            "Max" => arithmetic(|a, b| Some(a.max(b))),
            "Min" => arithmetic(|a, b| Some(a.min(b))),
            "Equal" => compare(|a, b| a == b),
            "Less" => compare(|a, b| a < b),
            "Greater" => compare(|a, b| a > b),
            "LessOrEqual" => compare(|a, b| a <= b),
            "GreaterOrEqual" => compare(|a, b| a >= b),
            "And" => compare(|a, b| a != 0 && b != 0),
            "Or" => compare(|a, b| a != 0 || b != 0),
            _ => None,
        };
    }
    let (x, y) = (floats(a), floats(b));
    let pairs = at_a.iter().zip(&at_b).map(|(&i, &j)| (x[i], y[j]));
    let compare = |holds: fn(&f32, &f32) -> bool| booleans(pairs.clone().map(|(a, b)| holds(&a, &b)).collect(), dims);
    let arithmetic = |f: fn(f32, f32) -> f32| Constant::f32(dims, pairs.clone().map(|(a, b)| f(a, b)).collect());
    match name {
        "Add" => arithmetic(|a, b| a + b),
        "Sub" => arithmetic(|a, b| a - b),
        "Mul" => arithmetic(|a, b| a * b),
        "Div" => arithmetic(|a, b| a / b),
        "Pow" => arithmetic(f32::powf),
        "Max" => arithmetic(f32::max),
        "Min" => arithmetic(f32::min),
        "Equal" => compare(f32::eq),
        "Less" => compare(f32::lt),
        "Greater" => compare(f32::gt),
        "LessOrEqual" => compare(f32::le),
        "GreaterOrEqual" => compare(f32::ge),
        _ => None,
    }
}

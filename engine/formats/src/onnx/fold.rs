//! What can be computed at import: nodes whose inputs are all known.
//!
//! Exporters write the arithmetic of shapes as nodes (`Shape`, `Gather`, `Mul`, `Concat`, `Reshape`, …), and store weights
//! that they transpose or cast when they run. Since a graph has fixed shapes, all of this disappears here. Results are small or of
//! the size of stored weights; a budget holds hostile files.

mod arithmetic;
mod movement;

use ir::{Constant, ElementType, Shape, TensorType};

use self::arithmetic::{binary, cast, choose, range, reduce, unary};
pub(super) use self::movement::{SlicePlan, slice_plan};
use self::movement::{concat, expand, gather, pick, tile, triangle};
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
    "Cos",
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
    "Sin",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tile",
    "Trilu",
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
        "Trilu" => triangle(first, at(1).and_then(ints).as_deref(), node.int("upper", 1) != 0),
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

//! Constants that are computed: casts, ranges, choices, reductions and functions of one and two numbers.

use ir::{Constant, ElementType, Shape, TensorType};

use super::movement::{broadcast_positions, indices, pick, strides};
use super::{LARGEST, axis, booleans, bools, floats, ints, stored_integers};
use crate::FormatError;
use crate::onnx::node::Node;
use crate::onnx::{proto, tensor};

pub(super) fn cast(constant: &Constant, node: &Node<'_>) -> Result<Constant, FormatError> {
    let code = node.int("to", 0) as i32;
    let element = tensor::element(code);
    let refuse = || {
        let name = proto::data_type::name(code);
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

pub(super) fn range(start: Option<&Constant>, limit: Option<&Constant>, delta: Option<&Constant>) -> Option<Constant> {
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

pub(super) fn choose(condition: &Constant, yes: &Constant, no: &Constant) -> Option<Constant> {
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

pub(super) fn reduce(node: &Node<'_>, from: &Constant, axes: Option<&Constant>) -> Option<Constant> {
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

pub(super) fn unary(name: &str, from: &Constant) -> Option<Constant> {
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
        "Sin" => |x| f64::from(x).sin() as f32,
        "Cos" => |x| f64::from(x).cos() as f32,
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

pub(super) fn binary(name: &str, a: &Constant, b: &Constant) -> Option<Constant> {
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

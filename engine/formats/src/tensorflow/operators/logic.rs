//! Comparisons, truth values and choices. A truth value is 1 or 0; the comparisons are exact.

use ir::ops::{Add, Function, Maximum, Mul, Select, Sub};
use ir::{ElementType, Op, TensorId};

use super::super::call::Call;
use super::Entry;
use crate::FormatError;
use crate::choice::{is_infinite, unbounded};
use crate::functions::STEP;

type Made = Result<Vec<TensorId>, FormatError>;

pub(super) const ENTRIES: &[Entry] = &[
    (&["Greater"], |call| above(call, [0, 1])),
    (&["Less"], |call| above(call, [1, 0])),
    (&["GreaterEqual"], |call| not_above(call, [1, 0])),
    (&["LessEqual"], |call| not_above(call, [0, 1])),
    (&["Equal"], |call| equal(call, true)),
    (&["NotEqual"], |call| equal(call, false)),
    (&["LogicalNot"], |call| {
        let x = truths(call, 0)?;
        inverted(call, x)
    }),
    (&["LogicalAnd"], |call| both(call, Mul::default())),
    (&["LogicalOr"], |call| both(call, Maximum {})),
    (&["Select", "SelectV2"], select),
];

fn operands(call: &mut Call<'_>, order: [usize; 2]) -> Result<[TensorId; 2], FormatError> {
    let ids = [call.tensor(order[0])?, call.tensor(order[1])?];
    for id in ids {
        let element = call.graph().tensor(id).ty.element;
        if element != ElementType::F32 {
            return Err(call.unsupported(format!("compares computed {element}"), "compare floats"));
        }
    }
    Ok(ids)
}

fn difference(call: &mut Call<'_>, order: [usize; 2]) -> Result<TensorId, FormatError> {
    let ids = operands(call, order)?;
    if ids.iter().any(|&id| is_infinite(call.graph(), id)) {
        return Err(call.unsupported("compares with an infinite number", "compare with a large one"));
    }
    call.part("difference", Sub::default(), &ids)
}

fn above(call: &mut Call<'_>, order: [usize; 2]) -> Made {
    let difference = difference(call, order)?;
    call.output(STEP, &[difference])
}

fn not_above(call: &mut Call<'_>, order: [usize; 2]) -> Made {
    let difference = difference(call, order)?;
    let above = call.part("above", STEP, &[difference])?;
    inverted(call, above)
}

/// `1 − x`.
fn inverted(call: &mut Call<'_>, x: TensorId) -> Made {
    let one = call.weight("one", vec![1], vec![1.0])?;
    call.output(Sub::default(), &[one, x])
}

fn equal(call: &mut Call<'_>, wanted: bool) -> Made {
    let difference = difference(call, [0, 1])?;
    let distance = call.part("distance", Function::Abs, &[difference])?;
    if !wanted {
        return call.output(STEP, &[distance]);
    }
    let unequal = call.part("unequal", STEP, &[distance])?;
    inverted(call, unequal)
}

fn both(call: &mut Call<'_>, op: impl Into<Op>) -> Made {
    let ids = [truths(call, 0)?, truths(call, 1)?];
    call.output(op, &ids)
}

/// An input of truth values as zeros and ones; stored ones are integers.
fn truths(call: &mut Call<'_>, i: usize) -> Result<TensorId, FormatError> {
    if let Ok(known) = call.known(i, "condition") {
        let values = known
            .as_ints()
            .map(|v| v.iter().map(|&v| f32::from(u8::from(v != 0))).collect());
        let values: Vec<f32> = values.ok_or_else(|| call.malformed("its condition is no truth value"))?;
        let shape = if known.shape.is_empty() { vec![1] } else { known.shape };
        return call.weight("condition", shape, values);
    }
    call.tensor(i)
}

fn select(call: &mut Call<'_>) -> Made {
    let ids = operands(call, [1, 2])?;
    let mut condition = truths(call, 0)?;
    // `Select` of before `SelectV2` takes a condition for each row.
    let (rows, rank) = (call.dims(condition), call.dims(ids[0]).len());
    if call.node.op == "Select" && rows.len() == 1 && rank > 1 && rows != [1] {
        let shape = [&rows[..], &vec![1; rank - 1]].concat();
        condition = call.part("rows", ir::ops::Reshape { shape }, &[condition])?;
    }
    if ids.iter().any(|&id| unbounded(call.graph(), id)) {
        return call.output(Select {}, &[condition, ids[0], ids[1]]);
    }
    // So integers have it as well.
    let one = call.weight("one", vec![1], vec![1.0])?;
    let otherwise = call.part("otherwise", Sub::default(), &[one, condition])?;
    let first = call.part("first", Mul::default(), &[condition, ids[0]])?;
    let second = call.part("second", Mul::default(), &[otherwise, ids[1]])?;
    call.output(Add::default(), &[first, second])
}

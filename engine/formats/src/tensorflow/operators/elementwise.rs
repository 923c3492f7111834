//! Activations and arithmetic, element by element.

use ir::TensorId;
use ir::ops::{Add, Div, Function, Maximum, Minimum, Mul, Pow, Softmax, Sub};

use super::super::call::Call;
use super::{Entry, channels_last, gelu};
use crate::FormatError;

pub(super) const ENTRIES: &[Entry] = &[
    (&["Softmax"], |call| unary(call, Softmax { beta: 1.0 })),
    (&["SwishF32"], |call| unary(call, Function::Swish)),
    (&["Rint"], |call| unary(call, Function::Round)),
    (&["Elu"], |call| unary(call, Function::Elu { alpha: 1.0 })),
    (&["LeakyRelu"], leaky_relu),
    (&["Add", "AddV2"], |call| binary(call, Add::default())),
    (&["BiasAdd"], bias_add),
    (&["AddN"], add_n),
    (&["Sub"], |call| binary(call, Sub::default())),
    (&["Mul"], mul),
    (&["RealDiv", "Div"], |call| binary(call, Div::default())),
    (&["Pow"], |call| binary(call, Pow::default())),
    (&["Maximum"], |call| binary(call, Maximum::default())),
    (&["Minimum"], |call| binary(call, Minimum::default())),
    (&["Erfc"], erfc),
    (&["Square"], square),
    (&["SquaredDifference"], squared_difference),
];

/// A function without parameters.
pub(super) fn function(call: &mut Call<'_>, function: Function) -> Result<Vec<TensorId>, FormatError> {
    unary(call, function)
}

fn unary(call: &mut Call<'_>, op: impl Into<ir::Op>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    call.output(op, &[input])
}

fn binary(call: &mut Call<'_>, op: impl Into<ir::Op>) -> Result<Vec<TensorId>, FormatError> {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    call.output(op, &[a, b])
}

fn leaky_relu(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let alpha = call.float("alpha").unwrap_or(0.2);
    unary(call, Function::LeakyRelu { alpha })
}

fn bias_add(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    channels_last(call)?;
    binary(call, Add::default())
}

fn square(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    call.output(Mul::default(), &[input, input])
}

fn squared_difference(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    let difference = call.part("difference", Sub::default(), &[a, b])?;
    call.output(Mul::default(), &[difference, difference])
}

/// `1 − erf(x)`.
fn erfc(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let input = call.tensor(0)?;
    let erf = call.part("erf", Function::Erf, &[input])?;
    let one = call.weight("one", vec![1], vec![1.0])?;
    call.output(Sub::default(), &[one, erf])
}

/// The last product of a GELU makes that of all its parts.
fn mul(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    match gelu::found(call.graph(), a, b) {
        Some((x, op)) => call.output(op, &[x]),
        None => call.output(Mul::default(), &[a, b]),
    }
}

fn add_n(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let mut sum = call.tensor(0)?;
    let last = call.len() - 1;
    for i in 1..last {
        let next = call.tensor(i)?;
        sum = call.part(&format!("sum_{i}"), Add::default(), &[sum, next])?;
    }
    if last == 0 {
        return Ok(vec![sum]);
    }
    let next = call.tensor(last)?;
    call.output(Add::default(), &[sum, next])
}

//! Sums of products stated as equations; see [`crate::einsum`].

use ir::TensorId;
use ir::ops::{FullyConnected, Op, Reshape};

use super::super::call::Call;
use super::Entry;
use crate::FormatError;
use crate::einsum::{self, Equation, Extents, Parts, order};

pub(super) const ENTRIES: &[Entry] = &[(&["Einsum"], read)];

impl Parts for Call<'_> {
    fn part(&mut self, what: &str, op: Op, inputs: &[TensorId]) -> Result<TensorId, FormatError> {
        Call::part(self, what, op, inputs)
    }
}

fn read(call: &mut Call<'_>) -> Result<Vec<TensorId>, FormatError> {
    let text = call.text("equation").unwrap_or_default().to_owned();
    let equation = Equation::parse(&text).filter(|_| call.len() == 2);
    let Some(equation) = equation else {
        let fix = "write it as a product of two tensors whose dimensions all have labels of their own";
        return Err(call.unsupported(format!("the equation `{text}` is not read"), fix));
    };
    let a = call.tensor(0)?;
    let mut extents = Extents(Vec::new());
    let mut fits = extents.add(&equation.first, &call.dims(a));
    let weights = call.floats(1, "second factor").ok().filter(|_| equation.is_dense());
    let Some((shape, values)) = weights else {
        let b = call.tensor(1)?;
        fits &= extents.add(&equation.second, &call.dims(b));
        if !fits {
            return Err(misfit(call, &text, [call.dims(a), call.dims(b)]));
        }
        let (op, inputs) = einsum::product(call, &equation, &extents, a, b)?;
        return call.output(op, &inputs);
    };
    fits &= extents.add(&equation.second, &shape);
    if !fits {
        return Err(misfit(call, &text, [call.dims(a), shape]));
    }
    dense(call, &equation, &extents, a, &values)
}

fn misfit(call: &Call<'_>, text: &str, [a, b]: [Vec<usize>; 2]) -> FormatError {
    call.malformed(format!("the equation `{text}` does not fit {a:?} and {b:?}"))
}

fn dense(
    call: &mut Call<'_>,
    equation: &Equation,
    extents: &Extents,
    input: TensorId,
    values: &[f32],
) -> Result<Vec<TensorId>, FormatError> {
    let (rows, columns) = (extents.of(&equation.rows), extents.of(&equation.columns));
    let (features, units) = (extents.product(&equation.summed), extents.product(&equation.columns));
    // From the order of the file to `[O,I]`.
    let strides: Vec<usize> = (0..equation.second.len())
        .map(|i| extents.product(&equation.second[i + 1..]))
        .collect();
    let wanted = [&equation.columns[..], &equation.summed].concat();
    let (order, dims) = (order(&equation.second, &wanted), extents.of(&wanted));
    let at = |mut i: usize| {
        let steps = order.iter().zip(&dims).rev();
        steps.fold(0, |at, (&axis, &n)| {
            let step = i % n.max(1);
            i /= n.max(1);
            at + step * strides[axis]
        })
    };
    let ordered = (0..units * features).map(|i| values[at(i)]).collect();
    let weights = call.weight("weights", vec![units, features], ordered)?;
    let mut input = input;
    if equation.summed.len() > 1 {
        let shape = [&rows[..], &[features]].concat();
        input = call.part("merged", Reshape { shape }, &[input])?;
    }
    if equation.columns.len() == 1 {
        return call.output(FullyConnected::default(), &[input, weights]);
    }
    let made = call.part("product", FullyConnected::default(), &[input, weights])?;
    let shape = [rows, columns].concat();
    call.output(Reshape { shape }, &[made])
}

//! Recurrent layers, in floats.

use ir::ops::{Cell, Recurrent};
use kernels::reference;
use kernels::shape::{RecurrentCell, RecurrentShape, States};

use super::{Context, Lowered, formula};
use crate::RuntimeError;
use crate::program::Args;

pub(super) fn lower(context: &Context<'_>, op: &Recurrent) -> Result<Vec<Lowered>, RuntimeError> {
    context.float_only()?;
    let shape = recurrent_shape(context, op);
    Ok(Lowered::new(Box::new(move |args| {
        let (states, weights) = (states(args, 4), [1, 2, 3].map(|i| args.get(i)));
        reference::recurrent_f32(&shape, weights, states, args.get(0), args.output());
    })))
}

/// The states before the first step, which follow read `first`.
pub(crate) fn states<'a>(args: &Args<'a>, first: usize) -> States<'a> {
    States {
        hidden: args.find(first),
        cell: args.find(first + 1),
    }
}

/// The layer's geometry; shape inference has seen that there are three dimensions.
pub(crate) fn recurrent_shape(context: &Context<'_>, op: &Recurrent) -> RecurrentShape {
    let (input, output) = (context.dims(0), context.out_dims());
    RecurrentShape {
        cell: match op.cell {
            Cell::Simple => RecurrentCell::Simple,
            Cell::Lstm => RecurrentCell::Lstm,
            Cell::Gru => RecurrentCell::Gru,
            Cell::GruResetAfter => RecurrentCell::GruResetAfter,
        },
        gate: formula(op.gate),
        candidate: formula(op.candidate),
        reverse: op.reverse,
        last_cell: op.last_cell,
        batch: input[0],
        steps: input[1],
        inputs: input[2],
        units: output[output.len() - 1],
    }
}

//! Moving elements.

use ir::ops::PadMode;
use ir::{Constant, Op};
use kernels::fast::{Isa, Move};

use crate::RuntimeError;
use crate::buffer::{Scalar, for_store};
use crate::lower::{self, Context, Form, Lowered, Read};
use crate::program::Run;

/// The kernels of an operator that moves elements: copies of stretches where there is a plan of them, else the plain kernels; on
/// bytes.
pub(super) fn moved(context: &Context<'_>, isa: Isa) -> Result<Option<Vec<Lowered>>, RuntimeError> {
    let context = &Context {
        bytes: true,
        ..*context
    };
    let mut lowered = lower::lower(context)?;
    let dims = context.dims(0);
    let store = context.store()?;
    let moves: Vec<Option<Run>> = match &context.node.op {
        Op::Transpose(op) => {
            vec![Move::transpose(dims, &op.perm).map(|plan| for_store!(store, T => run::<T>(isa, plan)))]
        }
        Op::Slice(op) => {
            let step: Vec<isize> = op.stride.iter().map(|&s| s as isize).collect();
            let plan = Move::slice(dims, &op.begin, &step, context.out_dims());
            vec![plan.map(|plan| for_store!(store, T => run::<T>(isa, plan)))]
        }
        Op::Split(op) => {
            let size = context.out_dims();
            let part = |i: usize| {
                let mut begin = vec![0; dims.len()];
                begin[op.axis] = i * size[op.axis];
                let plan = Move::slice(dims, &begin, &vec![1; dims.len()], size);
                plan.map(|plan| for_store!(store, T => run::<T>(isa, plan)))
            };
            (0..op.parts).map(part).collect()
        }
        Op::Gather(op) => {
            let indices = context.constant(1).and_then(Constant::as_i32);
            let plan = indices.and_then(|indices| {
                let (outer, inner) = dims.split_at(op.axis);
                let [outer, rest] = [outer, &inner[1..]].map(|dims| dims.iter().product());
                Move::gather(outer, inner[0], rest, indices)
            });
            vec![plan.map(|plan| for_store!(store, T => run::<T>(isa, plan)))]
        }
        Op::Pad(op) => {
            let value = match op.mode {
                PadMode::Zero => Some(0.0),
                PadMode::Value(value) => Some(value),
                PadMode::Reflect | PadMode::Symmetric => None,
            };
            let value = value.map(|value| lower::stored(context, value)).transpose()?;
            let plan = Move::pad(dims, &op.before, context.out_dims());
            let both = value.zip(plan);
            vec![both.map(|(value, plan)| for_store!(store, T => padded::<T>(isa, T::of(value), plan)))]
        }
        _ => Vec::new(),
    };
    for (kernel, run) in lowered.iter_mut().zip(moves) {
        if let Some(run) = run {
            kernel.run = run;
        }
    }
    for kernel in &mut lowered {
        let inputs = context.node.inputs.iter();
        kernel.reads = Some(inputs.map(|&t| Read::new(t, Form::Bytes)).collect());
        kernel.form = Form::Bytes;
    }
    Ok(Some(lowered))
}

fn run<T: Scalar>(isa: Isa, plan: Move) -> Run {
    Box::new(move |args| plan.run::<T>(isa, args.get(0), args.output()))
}

fn padded<T: Scalar>(isa: Isa, value: T, plan: Move) -> Run {
    Box::new(move |args| {
        let input = args.get(0);
        let output = args.output();
        output.fill(value);
        plan.run::<T>(isa, input, output);
    })
}

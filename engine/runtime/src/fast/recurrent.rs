//! Recurrent layers, in floats.

use ir::Constant;
use ir::ops::Recurrent;
use kernels::fast::{FloatRecurrent, Isa};

use crate::RuntimeError;
use crate::buffer::Store;
use crate::lower::{self, Arithmetic, Context, Form, Lowered, Read, Scratch};
use crate::program::Run;

/// `None` unless the weights are constant.
pub(super) fn recurrent(context: &Context<'_>, isa: Isa, op: &Recurrent) -> Result<Option<Lowered>, RuntimeError> {
    if context.plain()? != Arithmetic::Float {
        return Ok(None);
    }
    let constant = |i: usize| context.constant(i).and_then(Constant::as_f32);
    let [Some(weights), Some(recurrent), Some(bias)] = [1, 2, 3].map(constant) else {
        return Ok(None);
    };
    let shape = lower::recurrent_shape(context, op);
    let kernel = FloatRecurrent::new(isa, &shape, [weights, recurrent, bias]);
    let scratch = Scratch::elements(Store::F32, kernel.scratch());
    let run: Run = Box::new(move |args| {
        let (input, states) = (args.get(0), lower::states(args, 1));
        let (output, scratch) = args.output_and_scratch();
        kernel.run(input, states, scratch, output);
    });
    let read = context.node.inputs.iter().enumerate();
    let read = read.filter(|(i, _)| !(1..=3).contains(i));
    Ok(Some(Lowered {
        reads: Some(read.map(|(_, &id)| Read::new(id, Form::Dense)).collect()),
        output: 0,
        form: Form::Dense,
        scratch: vec![scratch],
        run,
    }))
}

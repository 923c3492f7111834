//! Functions of one and of two tensors, element by element.

use ir::ops::{Activation, Function};
use ir::{Op, TensorId};
use kernels::fast::{self, Binary, Border, ByteMap, ByteZip, Gate, Isa, Lookup, Meeting, ShortZip};
use kernels::quantized::ClampF32;
use kernels::reference::{DivParams, PReluParams};

use super::{first, images};
use crate::RuntimeError;
use crate::lower::{self, Arithmetic, Context, Form, Lowered, Read, activation};
use crate::program::Run;

/// An operator on two tensors whose shapes broadcast.
pub(super) fn binary(context: &Context<'_>, isa: Isa) -> Result<Option<Lowered>, RuntimeError> {
    let Some(meeting) = Meeting::new(context.dims(0), context.dims(1)) else {
        return Ok(None);
    };
    let run = match context.plain()? {
        Arithmetic::Float | Arithmetic::Hybrid => float(context, isa, meeting),
        Arithmetic::Integer => bytes(context, isa, &meeting)?,
        Arithmetic::Integer16 => shorts(context, isa, &meeting)?,
    };
    let reads = context.node.inputs.iter().map(|&t| Read::new(t, Form::Image)).collect();
    Ok(run.map(|run| images(reads, run)))
}

/// A function of the values of a tensor, as kernels apply it in passing.
pub(crate) enum Passing {
    Gate(Gate, ClampF32),
    Bytes(Box<ByteMap>),
}

/// A product of a number and a function of it, which is read once: swish and hard swish as most files have them. `None` for other
/// operators, and where something else reads the function, too.
pub(crate) fn gated(context: &Context<'_>, isa: Isa) -> Result<Option<Lowered>, RuntimeError> {
    let Some((x, passing)) = gate(context)? else {
        return Ok(None);
    };
    let run: Run = match passing {
        Passing::Gate(gate, clamp) => {
            Box::new(move |args| fast::gated_f32(isa, gate, clamp, args.view(0), args.output_view()))
        }
        Passing::Bytes(map) => Box::new(move |args| map.run(args.view(0), args.output_view())),
    };
    Ok(Some(images(vec![Read::new(x, Form::Image)], run)))
}

/// What [`gated`] finds: the number, and what becomes of it.
pub(super) fn gate(context: &Context<'_>) -> Result<Option<(TensorId, Passing)>, RuntimeError> {
    let (Op::Mul(op), &[a, b]) = (&context.node.op, context.node.inputs.as_slice()) else {
        return Ok(None);
    };
    let gate = |x: TensorId, y: TensorId| {
        let gate = context.graph.node(context.graph.producer(y)?);
        let alone = gate.inputs == [x] && context.graph.only_consumer(y).is_some();
        alone.then_some((x, gate))
    };
    let Some((x, gate)) = gate(a, b).or_else(|| gate(b, a)) else {
        return Ok(None);
    };
    let passing = match context.plain()? {
        Arithmetic::Float => {
            let gate = match gate.op {
                Op::Function(Function::Sigmoid) => Gate::Logistic,
                Op::Function(Function::HardSigmoid { alpha, beta }) => Gate::HardSigmoid {
                    slope: alpha,
                    offset: beta,
                },
                _ => return Ok(None),
            };
            Passing::Gate(gate, activation(op.activation).clamp_f32())
        }
        Arithmetic::Integer if matches!(gate.op, Op::Function(_)) => {
            let of_gate = lower::integer_map(&Context { node: gate, ..*context })?;
            let params = lower::mul_params(context, op.activation)?;
            let first = x == a;
            Passing::Bytes(Box::new(ByteMap::new(|q| {
                let mut gate = [0];
                of_gate(&[q], &mut gate);
                if first {
                    params.mul(q, gate[0])
                } else {
                    params.mul(gate[0], q)
                }
            })))
        }
        Arithmetic::Integer | Arithmetic::Integer16 | Arithmetic::Hybrid => return Ok(None),
    };
    Ok(Some((x, passing)))
}

/// A function of one number as [`Passing`]; `None` where it is none of those.
pub(super) fn passing(context: &Context<'_>, function: Function) -> Result<Option<Passing>, RuntimeError> {
    let gate = |gate| {
        Passing::Gate(
            gate,
            ClampF32 {
                min: f32::NEG_INFINITY,
                max: f32::INFINITY,
            },
        )
    };
    Ok(match (context.plain()?, function) {
        (Arithmetic::Integer, _) => Some(Passing::Bytes(Box::new(table(context)?))),
        (Arithmetic::Float, Function::Swish) => Some(gate(Gate::Logistic)),
        (Arithmetic::Float, Function::HardSwish) => Some(gate(Gate::Hard)),
        _ => None,
    })
}

/// The activation that is fused into an operator.
fn fused(op: &Op) -> Activation {
    match op {
        Op::Add(op) => op.activation,
        Op::Sub(op) => op.activation,
        Op::Mul(op) => op.activation,
        Op::Div(op) => op.activation,
        _ => Activation::None,
    }
}

fn float(context: &Context<'_>, isa: Isa, meeting: Meeting) -> Option<Run> {
    let function = match &context.node.op {
        Op::Add(_) => Binary::Add,
        Op::Sub(_) => Binary::Sub,
        Op::Mul(_) => Binary::Mul,
        Op::Div(_) => Binary::Div,
        Op::Minimum(_) => Binary::Minimum,
        Op::Maximum(_) => Binary::Maximum,
        Op::PRelu(_) => Binary::PRelu,
        Op::Pow(_) => Binary::Pow,
        _ => return None,
    };
    let clamp = activation(fused(&context.node.op)).clamp_f32();
    Some(Box::new(move |args| {
        let (a, b) = (args.view(0), args.view(1));
        fast::binary_f32(isa, function, clamp, &meeting, a, b, args.output_view());
    }))
}

fn bytes(context: &Context<'_>, isa: Isa, meeting: &Meeting) -> Result<Option<Run>, RuntimeError> {
    let fused = fused(&context.node.op);
    let quantizations = || -> Result<_, RuntimeError> {
        let (a, b) = (context.input_quantization(0)?, context.input_quantization(1)?);
        Ok((a, b, context.output_quantization()?))
    };
    let kernel = match &context.node.op {
        Op::Add(_) => ByteZip::sum(isa, meeting, &lower::add_params(context, fused)?),
        Op::Sub(_) => ByteZip::difference(isa, meeting, &lower::add_params(context, fused)?),
        Op::Mul(_) => ByteZip::product(isa, meeting, &lower::mul_params(context, fused)?),
        Op::Minimum(_) => ByteZip::minimum(isa, meeting),
        Op::Maximum(_) => ByteZip::maximum(isa, meeting),
        Op::Div(_) => {
            let (a, b, output) = quantizations()?;
            let params = DivParams::new(a, b, output, activation(fused));
            ByteZip::table(isa, meeting, |a, b| params.div(a, b))
        }
        Op::PRelu(_) => {
            let (input, alpha, output) = quantizations()?;
            let params = PReluParams::new(input, alpha, output);
            ByteZip::table(isa, meeting, |q, alpha| params.apply(q, alpha))
        }
        _ => return Ok(None),
    };
    Ok(Some(Box::new(move |args| {
        kernel.run(args.view(0), args.view(1), args.output_view());
    })))
}

fn shorts(context: &Context<'_>, isa: Isa, meeting: &Meeting) -> Result<Option<Run>, RuntimeError> {
    let fused = fused(&context.node.op);
    let kernel = match &context.node.op {
        Op::Add(_) => ShortZip::sum(isa, meeting, &lower::add_params(context, fused)?),
        Op::Sub(_) => ShortZip::difference(isa, meeting, &lower::add_params(context, fused)?),
        Op::Mul(_) => ShortZip::product(isa, meeting, &lower::mul_params(context, fused)?),
        Op::Minimum(_) => ShortZip::minimum(isa, meeting),
        Op::Maximum(_) => ShortZip::maximum(isa, meeting),
        _ => return Ok(None),
    };
    Ok(Some(Box::new(move |args| {
        kernel.run(args.view(0), args.view(1), args.output_view());
    })))
}

/// A function of one number.
pub(super) fn unary(context: &Context<'_>, isa: Isa, function: Function) -> Result<Option<Lowered>, RuntimeError> {
    let reads = vec![first(context, Border::NONE)];
    let run: Run = match context.plain()? {
        Arithmetic::Integer => byte_map(context)?,
        Arithmetic::Integer16 => short_map(context, function)?,
        Arithmetic::Float | Arithmetic::Hybrid => {
            if let Some(clamp) = function.clamp() {
                let clamp = activation(clamp).clamp_f32();
                Box::new(move |args| fast::clamp_f32(isa, clamp, args.view(0), args.output_view()))
            } else {
                let formula = lower::formula(function);
                Box::new(move |args| fast::unary_f32(isa, formula, args.view(0), args.output_view()))
            }
        }
    };
    Ok(Some(images(reads, run)))
}

/// Any integer function of one number, as a table of the plain kernel's results.
pub(super) fn byte_map(context: &Context<'_>) -> Result<Run, RuntimeError> {
    let kernel = table(context)?;
    Ok(Box::new(move |args| kernel.run(args.view(0), args.output_view())))
}

fn table(context: &Context<'_>) -> Result<ByteMap, RuntimeError> {
    let map = lower::integer_map(context)?;
    Ok(ByteMap::new(|q| {
        let mut result = [0];
        map(&[q], &mut result);
        result[0]
    }))
}

/// Any function of one 16-bit integer, as a table of the plain kernel's results.
fn short_map(context: &Context<'_>, function: Function) -> Result<Run, RuntimeError> {
    let map = lower::wide_map(context, function)?;
    let kernel = Lookup::new(|q: i16| {
        let mut result = [0];
        map(&[q], &mut result);
        result[0]
    });
    Ok(Box::new(move |args| kernel.run(args.view(0), args.output_view())))
}

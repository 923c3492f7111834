//! Constants that are computed while planning: half-precision and quantized weights behind a `Dequantize`.

use ir::{Constant, Op};

use crate::lower::Context;

/// The value of a `Dequantize` of a constant: how half-precision weights are widened.
pub(crate) fn fold(context: &Context<'_>) -> Option<Constant> {
    let (Op::Dequantize(_), Some(stored)) = (&context.node.op, context.constant(0)) else {
        return None;
    };
    let values: Vec<f32> = match stored {
        Constant::F16(halves) => halves.iter().map(|h| h.to_f32()).collect(),
        Constant::F32(floats) => floats.iter().copied().collect(),
        Constant::I8(_)
        | Constant::I32(_)
        | Constant::U8(_)
        | Constant::I16(_)
        | Constant::I64(_)
        | Constant::Bool(_) => {
            return Constant::f32(stored.dims(), integers(context, stored)?);
        }
    };
    Constant::f32(stored.dims(), values)
}

/// The real numbers that a quantized constant means, each by its scale; `None` if it has no scale.
fn integers(context: &Context<'_>, stored: &Constant) -> Option<Vec<f32>> {
    let quantization = context.input(0).quantization.as_ref()?;
    let integers: Vec<i32> = match stored {
        Constant::I8(a) => a.iter().map(|&q| q.into()).collect(),
        Constant::U8(a) => a.iter().map(|&q| q.into()).collect(),
        Constant::I16(a) => a.iter().map(|&q| q.into()).collect(),
        Constant::I32(a) => a.iter().copied().collect(),
        Constant::F32(_) | Constant::F16(_) | Constant::I64(_) | Constant::Bool(_) => return None,
    };
    let pair = |i: usize| quantization.of_element(stored.dims(), i);
    let real = |(i, &q): (usize, &i32)| pair(i).map(|params| params.dequantize(q));
    integers.iter().enumerate().map(real).collect()
}

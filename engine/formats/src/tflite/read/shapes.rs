//! What a file computes of shapes, computed when it is read.
//!
//! Converters leave such arithmetic in a file whose batch may vary: SHAPE, GATHER, `REDUCE_PROD`, PACK and so on, up to the shape
//! that a RESHAPE goes to. A graph describes one sample, so every number of it is known. The operators stay in the
//! graph for whoever reads their result as data; else they disappear as what nobody reads.

use ir::ElementType;

use super::{Importer, Use};
use crate::tflite::builtin::Builtin;
use crate::tflite::schema::{
    AddOptions, ConcatenationOptions, GatherOptions, MulOptions, StridedSliceOptions, SubOptions,
};

/// No shape has more numbers; a bound for files that make them longer and longer.
const LONGEST: usize = 64;

impl Importer {
    /// Notes what the operator makes, where that is a few integers that follow from shapes and constants.
    pub(super) fn note_shape(&mut self, u: &Use<'_>) {
        if let ([output], Some(values)) = (u.outputs.as_slice(), self.evaluated(u))
            && values.len() <= LONGEST
        {
            self.computed.insert(*output, values);
        }
    }

    /// The integers that the operator makes; `None` where they are not known, or not computed here.
    fn evaluated(&self, u: &Use<'_>) -> Option<Vec<i64>> {
        let output = self.ty(*u.outputs.first()?);
        if !matches!(output.element, ElementType::I32 | ElementType::I64) || output.shape.rank() > 1 {
            return None;
        }
        let values = |i: usize| {
            let id = u.inputs.get(i).copied().flatten()?;
            let short = self.ty(id).shape.rank() <= 1 && self.ty(id).shape.elements() <= LONGEST;
            self.constant_integers(id).filter(|_| short)
        };
        let pair = |f: fn(i64, i64) -> Option<i64>| elementwise(&values(0)?, &values(1)?, f);
        let every = || (0..u.inputs.len()).map(values).collect::<Option<Vec<_>>>();
        if clamps(u) {
            return None;
        }
        match u.builtin.name() {
            "SHAPE" => {
                let dims = self.ty(u.input(0).ok()?).shape.dims();
                Some(dims.iter().map(|&d| d as i64).collect())
            }
            "CAST" | "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" => values(0),
            "PACK" => every()?
                .into_iter()
                .map(|part| <[i64; 1]>::try_from(part).ok())
                .map(|p| p.map(|[v]| v))
                .collect(),
            "CONCATENATION" => every().map(|parts| parts.concat()),
            "GATHER" => {
                let plain = u.options::<GatherOptions>().ok()?.batch_dims == 0;
                let (all, picked) = (values(0)?, values(1).filter(|_| plain)?);
                picked
                    .iter()
                    .map(|&i| all.get(usize::try_from(i).ok()?).copied())
                    .collect()
            }
            "REDUCE_PROD" => {
                values(1)?;
                let product = values(0)?.iter().try_fold(1_i64, |n, &v| n.checked_mul(v))?;
                Some(vec![product])
            }
            "STRIDED_SLICE" => sliced(u, &values(0)?, &[values(1)?, values(2)?, values(3)?]),
            "ADD" => pair(i64::checked_add),
            "SUB" => pair(i64::checked_sub),
            "MUL" => pair(i64::checked_mul),
            // Where the divisor is positive, as of shapes, this rounds down.
            "FLOOR_DIV" => pair(|a, b| a.checked_div_euclid(b).filter(|_| b > 0)),
            "MAXIMUM" => pair(|a, b| Some(a.max(b))),
            "MINIMUM" => pair(|a, b| Some(a.min(b))),
            _ => None,
        }
    }
}

/// One number, or some in a row.
fn sliced(u: &Use<'_>, all: &[i64], bounds: &[Vec<i64>; 3]) -> Option<Vec<i64>> {
    let o: StridedSliceOptions = u.options().ok()?;
    let ([begin], [end], [stride]) = (&bounds[0][..], &bounds[1][..], &bounds[2][..]) else {
        return None;
    };
    if o.ellipsis_mask != 0 || o.new_axis_mask != 0 || o.offset {
        return None;
    }
    let n = i64::try_from(all.len()).ok()?;
    let from_start = |at: i64| if at < 0 { at.saturating_add(n) } else { at };
    if o.shrink_axis_mask != 0 {
        return Some(vec![*all.get(usize::try_from(from_start(*begin)).ok()?)?]);
    }
    let from = if o.begin_mask & 1 == 1 {
        0
    } else {
        from_start(*begin).clamp(0, n)
    };
    let to = if o.end_mask & 1 == 1 {
        n
    } else {
        from_start(*end).clamp(from, n)
    };
    let step = usize::try_from(*stride).ok().filter(|&step| step > 0)?;
    Some(
        all.get(from as usize..to as usize)?
            .iter()
            .step_by(step)
            .copied()
            .collect(),
    )
}

/// `f` of each pair; a single number goes with all of the other side.
fn elementwise(a: &[i64], b: &[i64], f: impl Fn(i64, i64) -> Option<i64>) -> Option<Vec<i64>> {
    let n = if a.len() == 1 { b.len() } else { a.len() };
    let at = |values: &[i64], i: usize| values.get(if values.len() == 1 { 0 } else { i }).copied();
    let fits = b.len() == n || b.len() == 1;
    (0..n)
        .map(|i| f(at(a, i)?, at(b, i)?))
        .collect::<Option<_>>()
        .filter(|_| fits)
}

/// Whether an activation is fused into the operator.
fn clamps(u: &Use<'_>) -> bool {
    let code = match u.builtin {
        Builtin::ADD => u.options::<AddOptions>().map(|o| o.fused_activation_function),
        Builtin::SUB => u.options::<SubOptions>().map(|o| o.fused_activation_function),
        Builtin::MUL => u.options::<MulOptions>().map(|o| o.fused_activation_function),
        Builtin::CONCATENATION => u.options::<ConcatenationOptions>().map(|o| o.fused_activation_function),
        _ => return false,
    };
    code != Ok(0)
}

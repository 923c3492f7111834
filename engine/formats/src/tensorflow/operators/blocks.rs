//! Blocks of pixels as images of their own, places, order and norms of rows: operators that are several of the graph's.

use ir::ops::{
    ArgMax, Div, Function, Gather, Maximum, Minimum, Mul, Pad, PadMode, ReduceMax, ReduceSum, Reshape, Slice, Sub,
    Transpose,
};
use ir::passes::{DEALT, GATHERED};
use ir::{ElementType, TensorId};

use super::super::call::Call;
use super::super::proto::{attribute, dtype};
use super::Entry;
use crate::FormatError;

type Made = Result<Vec<TensorId>, FormatError>;

pub(super) const ENTRIES: &[Entry] = &[
    (&["SpaceToBatchND"], space_to_batch),
    (&["BatchToSpaceND"], batch_to_space),
    (&["ArgMax"], |call| arg_max(call, false)),
    (&["ArgMin"], |call| arg_max(call, true)),
    (&["ReverseV2"], reverse),
    (&["LogSoftmax"], log_softmax),
    (&["FloorDiv"], floor_div),
    (&["Selu"], selu),
    (&["Softsign"], softsign),
    (&["Reciprocal", "Inv"], reciprocal),
    (&["Log1p"], log1p),
    (&["ClipByValue"], clip),
    (
        &[
            "FakeQuantWithMinMaxArgs",
            "FakeQuantWithMinMaxVars",
            "FakeQuantWithMinMaxVarsPerChannel",
        ],
        fake_quantized,
    ),
];

/// Rows and columns of a block, and `[top, bottom, left, right]` of the edges.
fn blocks(call: &Call<'_>, what: &str) -> Result<([usize; 2], [usize; 4]), FormatError> {
    let (block, edges) = (call.ints(1, "block_shape")?, call.ints(2, what)?);
    let positive = |v: &[i64]| v.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>();
    match (positive(&block).as_deref(), positive(&edges).as_deref()) {
        (Some(&[b, c]), Some(&[top, bottom, left, right])) if b > 0 && c > 0 => {
            Ok(([b, c], [top, bottom, left, right]))
        }
        (Some(&[b]), Some(&[before, after])) if b > 0 => Ok(([b, 1], [before, after, 0, 0])),
        _ => Err(call.unsupported(
            format!("blocks of {block:?} with {what} {edges:?} are not read"),
            "take blocks of rows and columns",
        )),
    }
}

/// `[N,H,W,C]`; rows `[N,L,C]` are images of one column.
fn image(call: &mut Call<'_>, input: TensorId) -> Result<(TensorId, bool), FormatError> {
    match call.dims(input)[..] {
        [n, l, c] => {
            let shape = vec![n, l, 1, c];
            Ok((call.part("image", Reshape { shape }, &[input])?, true))
        }
        _ => Ok((input, false)),
    }
}

fn space_to_batch(call: &mut Call<'_>) -> Made {
    let input = call.tensor(0)?;
    let ([b, c], [top, bottom, left, right]) = blocks(call, "paddings")?;
    let (mut x, rows) = image(call, input)?;
    if [top, bottom, left, right] != [0; 4] {
        let op = Pad {
            before: vec![0, top, left, 0],
            after: vec![0, bottom, right, 0],
            mode: PadMode::Zero,
        };
        x = call.part("padded", op, &[x])?;
    }
    let [n, h, w, depth] = call.image(x)?;
    let shape = vec![n, h / b, b, w / c, c, depth];
    let apart = call.part("apart", Reshape { shape }, &[x])?;
    let moved = call.part("moved", Transpose { perm: DEALT.to_vec() }, &[apart])?;
    let mut shape = vec![n * b * c, h / b, w / c, depth];
    if rows {
        shape.remove(2);
    }
    call.output(Reshape { shape }, &[moved])
}

fn batch_to_space(call: &mut Call<'_>) -> Made {
    let input = call.tensor(0)?;
    let ([b, c], [top, bottom, left, right]) = blocks(call, "crops")?;
    let (x, rows) = image(call, input)?;
    let [n, h, w, depth] = call.image(x)?;
    let n = n / (b * c);
    let shape = vec![b, c, n, h, w, depth];
    let apart = call.part("apart", Reshape { shape }, &[x])?;
    let moved = call.part(
        "moved",
        Transpose {
            perm: GATHERED.to_vec(),
        },
        &[apart],
    )?;
    let (h, w) = (h * b, w * c);
    let shape = vec![n, h, w, depth];
    let whole = call.part("whole", Reshape { shape }, &[moved])?;
    let (end_h, end_w) = (h.saturating_sub(bottom), w.saturating_sub(right));
    let op = Slice {
        begin: vec![0, top, left, 0],
        end: vec![n, end_h, end_w, depth],
        stride: vec![1; 4],
    };
    if !rows {
        return call.output(op, &[whole]);
    }
    let cut = call.part("cut", op, &[whole])?;
    let shape = vec![n, end_h.saturating_sub(top), depth];
    call.output(Reshape { shape }, &[cut])
}

/// The greatest of the negatives is the least.
fn arg_max(call: &mut Call<'_>, least: bool) -> Made {
    let mut x = call.tensor(0)?;
    let [axis] = call.ints(1, "dimension")?[..] else {
        return Err(call.malformed("its dimension is not one number"));
    };
    let axis = call.axis(axis, call.dims(x).len())?;
    let kind = call.node.attributes.get("output_type").and_then(|a| a.value.as_ref());
    let to = match kind {
        None | Some(attribute::Value::Type(dtype::INT64)) => ElementType::I64,
        Some(attribute::Value::Type(dtype::INT32)) => ElementType::I32,
        _ => return Err(call.unsupported("counts in another type", "use int32 or int64")),
    };
    if least {
        x = call.part("negative", Function::Neg, &[x])?;
    }
    call.output(ArgMax { axis, to }, &[x])
}

fn reverse(call: &mut Call<'_>) -> Made {
    let mut x = call.tensor(0)?;
    let dims = call.dims(x);
    for axis in call.ints(1, "dimensions")? {
        let axis = call.axis(axis, dims.len())?;
        let order = call.indices("order", (0..dims[axis] as i64).rev().collect())?;
        x = call.part("reversed", Gather { axis }, &[x, order])?;
    }
    Ok(vec![x])
}

/// `x − max − ln Σ exp(x − max)` over the last dimension.
fn log_softmax(call: &mut Call<'_>) -> Made {
    let x = call.tensor(0)?;
    let Some(last) = call.dims(x).len().checked_sub(1) else {
        return Err(call.malformed("its input has no dimension"));
    };
    let (axes, keep_dims) = (vec![last], true);
    let over = axes.clone();
    let greatest = call.part("max", ReduceMax { axes, keep_dims }, &[x])?;
    let below = call.part("below", Sub::default(), &[x, greatest])?;
    let powers = call.part("powers", Function::Exp, &[below])?;
    let sum = ReduceSum { axes: over, keep_dims };
    let sum = call.part("sum", sum, &[powers])?;
    let log = call.part("log", Function::Log, &[sum])?;
    call.output(Sub::default(), &[below, log])
}

fn floor_div(call: &mut Call<'_>) -> Made {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    if call.graph().tensor(a).ty.element != ElementType::F32 {
        return Err(call.unsupported("divides computed integers", "divide floats"));
    }
    let quotient = call.part("quotient", Div::default(), &[a, b])?;
    call.output(Function::Floor, &[quotient])
}

/// Source: Klambauer et al. 2017; `selu_op` of TensorFlow.
fn selu(call: &mut Call<'_>) -> Made {
    const SCALE: f32 = 1.050_701;
    const ALPHA: f32 = 1.673_263_2;
    let x = call.tensor(0)?;
    let (zero, scale) = (
        call.weight("zero", vec![1], vec![0.0])?,
        call.weight("scale", vec![1], vec![SCALE])?,
    );
    let below = call.part("below", Minimum {}, &[x, zero])?;
    let power = call.part("elu", Function::Elu { alpha: 1.0 }, &[below])?;
    let factor = call.weight("factor", vec![1], vec![SCALE * ALPHA])?;
    let below = call.part("scaled", Mul::default(), &[power, factor])?;
    let above = call.part("above", Function::Relu, &[x])?;
    let above = call.part("outside", Mul::default(), &[above, scale])?;
    call.output(ir::ops::Add::default(), &[above, below])
}

/// `x / (1 + |x|)`.
fn softsign(call: &mut Call<'_>) -> Made {
    let x = call.tensor(0)?;
    let size = call.part("abs", Function::Abs, &[x])?;
    let one = call.weight("one", vec![1], vec![1.0])?;
    let sum = call.part("sum", ir::ops::Add::default(), &[size, one])?;
    call.output(Div::default(), &[x, sum])
}

fn reciprocal(call: &mut Call<'_>) -> Made {
    let x = call.tensor(0)?;
    let one = call.weight("one", vec![1], vec![1.0])?;
    call.output(Div::default(), &[one, x])
}

/// `ln(1 + x)`; what is lost of tiny numbers is below a step of 1.
fn log1p(call: &mut Call<'_>) -> Made {
    let x = call.tensor(0)?;
    let one = call.weight("one", vec![1], vec![1.0])?;
    let sum = call.part("sum", ir::ops::Add::default(), &[x, one])?;
    call.output(Function::Log, &[sum])
}

fn clip(call: &mut Call<'_>) -> Made {
    let (x, low, high) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let below = call.part("below", Minimum {}, &[x, high])?;
    call.output(Maximum {}, &[below, low])
}

/// A number brought to the nearest of the steps that integers of some bits have, as training with rounding leaves it.
/// Source: `Nudge` and `FakeQuantWithMinMaxVarsFunctor` (`fake_quant_ops_functor.h`).
fn fake_quantized(call: &mut Call<'_>) -> Made {
    let x = call.tensor(0)?;
    let ((_, min), (shape, max)) = if call.node.op == "FakeQuantWithMinMaxArgs" {
        let edge = |name: &str, otherwise: f32| (Vec::new(), vec![call.float(name).unwrap_or(otherwise)]);
        (edge("min", -6.0), edge("max", 6.0))
    } else {
        (call.floats(1, "min")?, call.floats(2, "max")?)
    };
    let bits = call.int("num_bits").unwrap_or(8);
    if !(2..=16).contains(&bits) || min.len() != max.len() {
        return Err(call.malformed(format!("has {bits} bits and {} ranges", min.len())));
    }
    let (first, last) = (
        f32::from(u8::from(call.flag("narrow_range"))),
        ((1_i32 << bits) - 1) as f32,
    );
    let shape = if shape.is_empty() { vec![1] } else { shape };
    let mut grid: [Vec<f32>; 5] = Default::default();
    for (&min, &max) in min.iter().zip(&max) {
        let scale = (max - min) / (last - first);
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(call.unsupported(format!("its range is {min} to {max}"), "give it a range"));
        }
        let zero = (first - min / scale).clamp(first, last).round();
        let (low, high) = ((first - zero) * scale, (last - zero) * scale);
        let inverse = 1.0 / scale;
        for (column, value) in grid
            .iter_mut()
            .zip([low, high, inverse, (0.5 - low * inverse).floor() - 0.5, scale])
        {
            column.push(value);
        }
    }
    let [low, high, inverse, shift, scale] = grid;
    let mut constant = |role: &str, values| call.weight(role, shape.clone(), values);
    let (low, high, inverse) = (
        constant("low", low)?,
        constant("high", high)?,
        constant("inverse", inverse)?,
    );
    let (shift, scale) = (constant("shift", shift)?, constant("scale", scale)?);
    let below = call.part("below", Minimum {}, &[x, high])?;
    let inside = call.part("inside", Maximum {}, &[below, low])?;
    let from_low = call.part("from_low", Sub::default(), &[inside, low])?;
    let steps = call.part("steps", Mul::default(), &[from_low, inverse])?;
    let shifted = call.part("shifted", Sub::default(), &[steps, shift])?;
    let whole = call.part("whole", Function::Floor, &[shifted])?;
    call.output(Mul::default(), &[whole, scale])
}

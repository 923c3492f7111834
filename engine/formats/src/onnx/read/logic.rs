//! Comparisons and choices between computed values.
//!
//! The IR has no truth values: a comparison is a tensor of zeros and ones, made so that it is exact, and a choice is a sum of
//! products with it. What exporters write around `Softplus`, which the operator does itself, is left out.

use ir::ops::{Add, ArgMax, Cast, Function, Maximum, Mul, Reshape, Select, Sub};
use ir::{Constant, ElementType, Op, TensorId};

use super::Node;
use super::elementwise::meet;
use super::values::{Importer, Value};
use crate::FormatError;
use crate::functions::STEP;
use crate::onnx::fold;
use crate::onnx::layout::Layout;

type Done = Result<(), FormatError>;

/// From here on `ln(1 + exp(x))` is `x` in 32-bit floats.
const SOFTPLUS_IS_LINEAR: f32 = 17.0;

/// The two operands of a comparison, and the layout of the result.
fn operands<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Result<(Layout, [TensorId; 2]), FormatError> {
    for i in 0..2 {
        let ty = importer.ty(node, i)?;
        if !ty.element.is_float() {
            let problem = format!("compares computed {}", ty.element);
            return Err(node.unsupported(
                problem,
                "only floats are computed with; fix the input shape if these are sizes",
            ));
        }
    }
    for i in 0..2 {
        let known = importer.known_input(node, i).map(fold::floats);
        if known.is_some_and(|values| values.iter().any(|v| !v.is_finite())) {
            return Err(node.unsupported("compares with an infinite number", "compare with a large one"));
        }
    }
    let (layout, ids) = meet(importer, node)?;
    let ids = <[TensorId; 2]>::try_from(ids);
    ids.map(|ids| (layout, ids))
        .map_err(|_| node.malformed("has other than two inputs"))
}

/// `1 − x`.
fn inverted<'f>(importer: &mut Importer<'f>, node: &Node<'f>, x: TensorId, layout: Layout) -> Done {
    let one = importer.scalar(node, "one", 1.0);
    truth(importer, node, Sub::default(), &[one, x], layout)
}

/// The output of a node, as zeros and ones.
fn truth<'f>(importer: &mut Importer<'f>, node: &Node<'f>, op: impl Into<Op>, x: &[TensorId], layout: Layout) -> Done {
    importer.put(node, op, x, layout)?;
    importer.truths.insert(node.first_output()?);
    Ok(())
}

pub(super) fn greater<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    if let (Some(x), Some(y)) = (node.input(0), importer.known_input(node, 1).filter(|c| c.len() == 1)) {
        let threshold = fold::floats(y)[0];
        importer.above.insert(node.first_output()?, (x, threshold));
    }
    let (layout, [a, b]) = operands(importer, node)?;
    let difference = importer.inner(node, "difference", Sub::default(), &[a, b])?;
    truth(importer, node, STEP, &[difference], layout)
}

pub(super) fn less<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let (layout, [a, b]) = operands(importer, node)?;
    let difference = importer.inner(node, "difference", Sub::default(), &[b, a])?;
    truth(importer, node, STEP, &[difference], layout)
}

pub(super) fn greater_or_equal<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let (layout, [a, b]) = operands(importer, node)?;
    let difference = importer.inner(node, "difference", Sub::default(), &[b, a])?;
    let less = importer.inner(node, "less", STEP, &[difference])?;
    inverted(importer, node, less, layout)
}

pub(super) fn less_or_equal<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let (layout, [a, b]) = operands(importer, node)?;
    let difference = importer.inner(node, "difference", Sub::default(), &[a, b])?;
    let greater = importer.inner(node, "greater", STEP, &[difference])?;
    inverted(importer, node, greater, layout)
}

pub(super) fn equal<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let (layout, [a, b]) = operands(importer, node)?;
    let difference = importer.inner(node, "difference", Sub::default(), &[a, b])?;
    let distance = importer.inner(node, "distance", Function::Abs, &[difference])?;
    let unequal = importer.inner(node, "unequal", STEP, &[distance])?;
    inverted(importer, node, unequal, layout)
}

pub(super) fn not<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let x = of_truths(importer, node, 0)?;
    inverted(importer, node, x, Layout::Stated)
}

pub(super) fn and<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let x = [of_truths(importer, node, 0)?, of_truths(importer, node, 1)?];
    truth(importer, node, Mul::default(), &x, Layout::Stated)
}

pub(super) fn or<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let x = [of_truths(importer, node, 0)?, of_truths(importer, node, 1)?];
    truth(importer, node, Maximum {}, &x, Layout::Stated)
}

/// Where the two differ: `(a − b)²`.
pub(super) fn xor<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let x = [of_truths(importer, node, 0)?, of_truths(importer, node, 1)?];
    let difference = importer.inner(node, "difference", Sub::default(), &x)?;
    truth(importer, node, Mul::default(), &[difference; 2], Layout::Stated)
}

/// An input of truth values as zeros and ones, as the file states it.
fn of_truths<'f>(importer: &mut Importer<'f>, node: &Node<'f>, i: usize) -> Result<TensorId, FormatError> {
    if let Some(known) = importer.known_input(node, i) {
        let values = fold::ints(known).ok_or_else(|| node.malformed("its condition is no truth value"))?;
        let values = values.iter().map(|&v| f32::from(u8::from(v != 0))).collect();
        let dims = known.dims().to_vec();
        let data = Constant::f32(dims, values).ok_or_else(|| node.malformed("its condition does not fit"))?;
        return Ok(importer.made_up(node, &format!("condition{i}"), data));
    }
    let computed = node.input(i).is_some_and(|name| importer.truths.contains(name));
    if !computed {
        return Err(node.unsupported(
            "its condition is no comparison of floats",
            "make it constant, or compare floats",
        ));
    }
    importer.stated(node, i)
}

/// `Where`: `condition · a + (1 − condition) · b`.
pub(super) fn choose<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    if let Some(y) = softplus(importer, node)? {
        return importer.put(node, ir::ops::Identity {}, &[y], Layout::Stated).map(drop);
    }
    for i in [1, 2] {
        let ty = importer.ty(node, i)?;
        if !ty.element.is_float() {
            let problem = format!("chooses between computed {}", ty.element);
            return Err(node.unsupported(problem, "only floats are computed with"));
        }
    }
    let condition = of_truths(importer, node, 0)?;
    if may_be_infinite(importer, node)? {
        let branches = [importer.stated(node, 1)?, importer.stated(node, 2)?];
        let inputs = [condition, branches[0], branches[1]];
        return importer.put(node, Select {}, &inputs, Layout::Stated).map(drop);
    }
    let one = importer.scalar(node, "one", 1.0);
    let otherwise = importer.inner(node, "otherwise", Sub::default(), &[one, condition])?;
    let mut parts = Vec::new();
    for (i, share) in [(1, condition), (2, otherwise)] {
        parts.push(part(importer, node, i, [condition, share])?);
    }
    importer.put(node, Add::default(), &parts, Layout::Stated).map(drop)
}

/// Whether a computed branch may hold what times 0 is not 0.
fn may_be_infinite<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Result<bool, FormatError> {
    for i in [1, 2] {
        if importer.known_input(node, i).is_none() {
            let branch = importer.stated(node, i)?;
            if crate::choice::unbounded(&importer.graph, branch) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// `Hardmax`: 1 at the first of the greatest, else 0.
pub(super) fn hardmax<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    if node.opset < 13 {
        return Err(node.unsupported(
            "flattens its input",
            "convert it to opset 13 with `onnx.version_converter`",
        ));
    }
    let dims = importer.ty(node, 0)?.shape.0;
    let given = node.int("axis", -1);
    let axis = fold::axis(given, dims.len());
    let axis = axis.ok_or_else(|| node.malformed(format!("axis {given} is no dimension of {dims:?}")))?;
    let x = importer.stated(node, 0)?;
    let to = ElementType::I32;
    let places = importer.inner(node, "places", ArgMax { axis, to }, &[x])?;
    let to = ElementType::F32;
    let places = importer.inner(node, "numbers", Cast { to }, &[places])?;
    let mut shape = dims.clone();
    shape[axis] = 1;
    let places = importer.inner(node, "kept", Reshape { shape }, &[places])?;
    let mut shape = vec![1; dims.len()];
    shape[axis] = dims[axis];
    let count = Constant::f32(shape, (0..dims[axis]).map(|i| i as f32).collect());
    let count = count.ok_or_else(|| node.malformed("its extent does not fit"))?;
    let count = importer.made_up(node, "count", count);
    let difference = importer.inner(node, "difference", Sub::default(), &[places, count])?;
    let distance = importer.inner(node, "distance", Function::Abs, &[difference])?;
    let elsewhere = importer.inner(node, "elsewhere", STEP, &[distance])?;
    let one = importer.scalar(node, "one", 1.0);
    importer
        .put(node, Sub::default(), &[one, elsewhere], Layout::Stated)
        .map(drop)
}

/// `Trilu`: matrices without what lies above or below a diagonal.
pub(super) fn triangle<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let ty = importer.ty(node, 0)?;
    let &[.., rows, columns] = ty.shape.dims() else {
        return Err(node.malformed(format!("its input is {ty}, expected matrices")));
    };
    let shift = if node.input(1).is_some() {
        let known = importer.known_ints(node, 1).and_then(|k| k.first().copied());
        known.ok_or_else(|| node.unsupported("its diagonal is computed", "make it constant"))?
    } else {
        0
    };
    if !ty.element.is_float() || rows.saturating_mul(columns) > 1 << 24 {
        return Err(node.unsupported(format!("takes a triangle of {ty}"), "make it constant"));
    }
    let upper = node.int("upper", 1) != 0;
    let inside = |i: usize| {
        let (row, column) = ((i / columns) as i64, (i % columns) as i64);
        f32::from(u8::from(if upper {
            column >= row + shift
        } else {
            column <= row + shift
        }))
    };
    let mask = Constant::f32([rows, columns], (0..rows * columns).map(inside).collect());
    let mask = mask.ok_or_else(|| node.malformed("its extents do not fit"))?;
    let mask = importer.made_up(node, "triangle", mask);
    let (zero, x) = (importer.scalar(node, "zero", 0.0), importer.stated(node, 0)?);
    importer
        .put(node, Select {}, &[mask, x, zero], Layout::Stated)
        .map(drop)
}

/// Branch `i` where `share`, the condition or what it lacks to 1, is 1, else 0. A constant that is infinite, as masks are, is multiplied here and
/// now.
fn part<'f>(
    importer: &mut Importer<'f>,
    node: &Node<'f>,
    i: usize,
    [condition, share]: [TensorId; 2],
) -> Result<TensorId, FormatError> {
    let known = importer.known_input(node, i).map(fold::floats);
    let infinite = known.filter(|values| values.iter().any(|v| !v.is_finite()));
    let Some(values) = infinite else {
        let x = importer.stated(node, i)?;
        return importer.inner(node, &format!("part{i}"), Mul::default(), &[share, x]);
    };
    let fail = || {
        node.unsupported(
            "chooses an infinite number by a computed condition",
            "use a large number",
        )
    };
    let inverted = share != condition;
    let shares = importer
        .graph
        .constant_data(condition)
        .and_then(Constant::as_f32)
        .ok_or_else(fail)?;
    let shares: Vec<bool> = shares.iter().map(|&s| (s == 1.0) != inverted).collect();
    let dims = importer.graph.tensor(condition).ty.shape.dims().to_vec();
    let value = |at: usize| values[if values.len() == 1 { 0 } else { at }];
    if values.len() != 1 && values.len() != shares.len() {
        return Err(fail());
    }
    let chosen = shares
        .iter()
        .enumerate()
        .map(|(at, &here)| if here { value(at) } else { 0.0 });
    let data = Constant::f32(dims, chosen.collect()).ok_or_else(fail)?;
    Ok(importer.made_up(node, &format!("part{i}"), data))
}

/// The softplus in `Where(x > 20, x, Softplus(x))`, as PyTorch's exporter writes it: beyond the threshold both are the same.
fn softplus<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Result<Option<TensorId>, FormatError> {
    let above = node
        .input(0)
        .and_then(|condition| importer.above.get(condition).copied());
    let Some((name, threshold)) = above else {
        return Ok(None);
    };
    let same = node.input(1) == Some(name) && threshold >= SOFTPLUS_IS_LINEAR;
    if !same
        || !matches!(
            node.input(2).and_then(|name| importer.values.get(name)),
            Some(Value::Made(_))
        )
    {
        return Ok(None);
    }
    let (x, y) = (importer.stated(node, 1)?, importer.stated(node, 2)?);
    Ok(is_softplus_of(importer, y, x).then_some(y))
}

fn is_softplus_of(importer: &Importer<'_>, y: TensorId, x: TensorId) -> bool {
    let mut y = y;
    loop {
        let Some(made) = importer.producer(y) else { return false };
        match made.op {
            Op::Function(Function::Softplus) => return same_tensor(importer, made.inputs[0], x),
            // The same in the other layout.
            Op::Transpose(_) | Op::Reshape(_) if importer.is_view(y) => y = made.inputs[0],
            _ => return false,
        }
    }
}

fn same_tensor(importer: &Importer<'_>, a: TensorId, b: TensorId) -> bool {
    let source = |mut id: TensorId| {
        while let Some(made) = importer.producer(id).filter(|_| importer.is_view(id)) {
            id = made.inputs[0];
        }
        id
    };
    source(a) == source(b)
}

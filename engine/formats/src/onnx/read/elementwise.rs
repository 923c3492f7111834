//! Functions of one tensor or of several that are broadcast.

use ir::ops::{
    Activation, Add, Div, Dropout, FullyConnected, Function, Identity, Maximum, Minimum, Mul, PRelu, Pow, Reshape,
    Softmax, Sub, Transpose,
};
use ir::{Op, Shape, TensorId};

use super::Node;
use super::values::Importer;
use crate::FormatError;
use crate::functions::STEP;
use crate::onnx::fold;
use crate::onnx::layout::{self, Layout};

type Done = Result<(), FormatError>;

/// The layout in which an input is at hand.
pub(super) fn layout_of(importer: &Importer<'_>, node: &Node<'_>, i: usize) -> Layout {
    if importer.is_last(node, i) {
        Layout::ChannelsLast
    } else {
        Layout::Stated
    }
}

fn unary<'f>(importer: &mut Importer<'f>, node: &Node<'f>, op: impl Into<Op>) -> Done {
    let layout = layout_of(importer, node, 0);
    let x = importer.input_in(node, 0, layout)?;
    importer.put(node, op, &[x], layout).map(drop)
}

/// A function without parameters.
pub(super) fn function<'f>(importer: &mut Importer<'f>, node: &Node<'f>, function: Function) -> Done {
    unary(importer, node, function)
}

pub(super) fn mish<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    unary(importer, node, Function::Mish)
}

pub(super) fn identity<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    unary(importer, node, Identity {})
}

pub(super) fn elu<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    unary(
        importer,
        node,
        Function::Elu {
            alpha: node.float("alpha", 1.0),
        },
    )
}

/// `max(0, x) + scale · (exp(min(0, x) · inside) − 1)`, times `outside`: the family of ELU.
fn exponential<'f>(importer: &mut Importer<'f>, node: &Node<'f>, [scale, inside, outside]: [f32; 3]) -> Done {
    let layout = layout_of(importer, node, 0);
    let x = importer.input_in(node, 0, layout)?;
    let times = |importer: &mut Importer<'f>, what: &str, x: TensorId, by: f32| {
        if by == 1.0 {
            return Ok(x);
        }
        let by = importer.scalar(node, &format!("{what}/factor"), by);
        importer.inner(node, what, Mul::default(), &[x, by])
    };
    let zero = importer.scalar(node, "zero", 0.0);
    let above = importer.inner(node, "above", Function::Relu, &[x])?;
    let below = importer.inner(node, "below", Minimum {}, &[x, zero])?;
    let below = times(importer, "inside", below, inside)?;
    let below = importer.inner(node, "exp", Function::Elu { alpha: 1.0 }, &[below])?;
    let below = times(importer, "scaled", below, scale * outside)?;
    let above = times(importer, "outside", above, outside)?;
    importer.put(node, Add::default(), &[above, below], layout).map(drop)
}

pub(super) fn selu<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let alpha = node.float("alpha", 1.673_263_2);
    exponential(importer, node, [alpha, 1.0, node.float("gamma", 1.050_701)])
}

pub(super) fn celu<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let alpha = node.float("alpha", 1.0);
    exponential(importer, node, [alpha, 1.0 / alpha, 1.0])
}

/// `x / (1 + |x|)`.
pub(super) fn softsign<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let layout = layout_of(importer, node, 0);
    let x = importer.input_in(node, 0, layout)?;
    let one = importer.scalar(node, "one", 1.0);
    let size = importer.inner(node, "abs", Function::Abs, &[x])?;
    let below = importer.inner(node, "below", Add::default(), &[size, one])?;
    importer.put(node, Div::default(), &[x, below], layout).map(drop)
}

/// `x` where it is above `alpha`, else 0.
pub(super) fn thresholded_relu<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let layout = layout_of(importer, node, 0);
    let x = importer.input_in(node, 0, layout)?;
    let alpha = importer.scalar(node, "alpha", node.float("alpha", 1.0));
    let difference = importer.inner(node, "difference", Sub::default(), &[x, alpha])?;
    let above = importer.inner(node, "above", STEP, &[difference])?;
    importer.put(node, Mul::default(), &[x, above], layout).map(drop)
}

/// Numbers near zero become 0, the others come nearer by `bias`: `relu(x − lambd)` and `relu(−x − lambd)` where there is a bias of `lambd`.
pub(super) fn shrink<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let (lambd, bias) = (node.float("lambd", 0.5), node.float("bias", 0.0));
    let layout = layout_of(importer, node, 0);
    let x = importer.input_in(node, 0, layout)?;
    let [edge, shift] = [("lambd", lambd), ("bias", bias)].map(|(what, value)| importer.scalar(node, what, value));
    let mut sides = Vec::new();
    let negative = importer.inner(node, "negative", Function::Neg, &[x])?;
    for (side, x) in [("above", x), ("below", negative)] {
        let name = |part: &str| format!("{side}/{part}");
        let beyond = importer.inner(node, &name("beyond"), Sub::default(), &[x, edge])?;
        let here = importer.inner(node, &name("here"), STEP, &[beyond])?;
        let nearer = importer.inner(node, &name("nearer"), Sub::default(), &[x, shift])?;
        sides.push(importer.inner(node, side, Mul::default(), &[here, nearer])?);
    }
    importer.put(node, Sub::default(), &sides, layout).map(drop)
}

pub(super) fn leaky_relu<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    unary(
        importer,
        node,
        Function::LeakyRelu {
            alpha: node.float("alpha", 0.01),
        },
    )
}

pub(super) fn hard_sigmoid<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let op = Function::HardSigmoid {
        alpha: node.float("alpha", 0.2),
        beta: node.float("beta", 0.5),
    };
    unary(importer, node, op)
}

pub(super) fn gelu<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let approximate = match node.text("approximate", "none")? {
        "none" => false,
        "tanh" => true,
        other => return Err(node.unsupported(format!("approximates by `{other}`"), "`none` and `tanh` are read")),
    };
    unary(importer, node, Function::Gelu { approximate })
}

pub(super) fn swish<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    if node.float("alpha", 1.0) != 1.0 {
        return Err(node.unsupported("has an alpha other than 1", "write it as a product with a sigmoid"));
    }
    unary(importer, node, Function::Swish)
}

/// `Dropout` does nothing at inference.
pub(super) fn dropout<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let training = importer
        .known_ints(node, 2)
        .is_some_and(|v| v.first().is_some_and(|&t| t != 0));
    if training || node.output(1).is_some_and(|_| node.opset >= 12) {
        return Err(node.unsupported("drops at random, or gives its mask", "export the model for inference"));
    }
    node.ignore(&["seed"]);
    let rate = match importer.number(node, 1)? {
        Some(rate) => rate,
        None => node.float("ratio", 0.5),
    };
    unary(importer, node, Dropout { rate })
}

/// `Clip`: bounds are attributes before opset 11, inputs from then on.
pub(super) fn clip<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let (low, high) = if node.opset < 11 {
        (node.float("min", f32::NEG_INFINITY), node.float("max", f32::INFINITY))
    } else {
        let low = importer.number(node, 1)?.unwrap_or(f32::NEG_INFINITY);
        (low, importer.number(node, 2)?.unwrap_or(f32::INFINITY))
    };
    // Exporters write the greatest number for none.
    let bounded = |v: f32| v.abs() < f32::MAX;
    match (low, high) {
        (0.0, high) if !bounded(high) => unary(importer, node, Function::Relu),
        (0.0, 6.0) => unary(importer, node, Function::Relu6),
        (-1.0, 1.0) => unary(importer, node, Function::ReluN1To1),
        (low, high) => {
            let layout = layout_of(importer, node, 0);
            let mut x = importer.input_in(node, 0, layout)?;
            if bounded(low) {
                let bound = importer.scalar(node, "min", low);
                if !bounded(high) {
                    return importer.put(node, Maximum::default(), &[x, bound], layout).map(drop);
                }
                x = importer.inner(node, "max", Maximum::default(), &[x, bound])?;
            }
            if bounded(high) {
                let bound = importer.scalar(node, "max", high);
                return importer.put(node, Minimum::default(), &[x, bound], layout).map(drop);
            }
            importer.put(node, Identity {}, &[x], layout).map(drop)
        }
    }
}

/// The inputs in the layout in which they meet: channels-last where one of full rank is at hand so and no computed one has fewer dimensions.
pub(super) fn meet<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Result<(Layout, Vec<TensorId>), FormatError> {
    let count = node.proto.input.len();
    let types: Vec<_> = (0..count).map(|i| importer.ty(node, i)).collect::<Result<_, _>>()?;
    let rank = types.iter().map(|ty| ty.shape.rank()).max().unwrap_or(0);
    let constant = |i: usize| importer.is_stored(node, i);
    let last = (0..count).any(|i| importer.is_last(node, i) && types[i].shape.rank() == rank);
    let fits = (0..count).all(|i| constant(i) || types[i].shape.rank() == rank || types[i].shape.elements() == 1);
    if !last || !fits || rank < 3 {
        let ids = (0..count).map(|i| importer.stated(node, i)).collect::<Result<_, _>>()?;
        return Ok((Layout::Stated, ids));
    }
    let mut ids = Vec::new();
    for (i, ty) in types.iter().enumerate() {
        ids.push(if importer.is_stored(node, i) {
            importer.broadcast(node, i, rank)?
        } else if ty.shape.rank() == rank {
            importer.last(node, i)?
        } else {
            importer.stated(node, i)?
        });
    }
    Ok((Layout::ChannelsLast, ids))
}

/// An operator of two tensors, or one after the other of more.
fn chain<'f, O: Into<Op> + Clone>(importer: &mut Importer<'f>, node: &Node<'f>, op: O) -> Done {
    let (layout, ids) = meet(importer, node)?;
    match ids.as_slice() {
        [] => Err(node.malformed("has no inputs")),
        [one] => importer.put(node, Identity {}, &[*one], layout).map(drop),
        [first, middle @ .., last] => {
            let mut so_far = *first;
            for (i, &next) in middle.iter().enumerate() {
                so_far = importer.inner(node, &format!("part{i}"), op.clone(), &[so_far, next])?;
            }
            importer.put(node, op, &[so_far, *last], layout).map(drop)
        }
    }
}

fn two(node: &Node<'_>) -> Done {
    match node.proto.input.len() {
        2 => Ok(()),
        n => Err(node.malformed(format!("has {n} inputs, expected two"))),
    }
}

pub(super) fn sub<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    two(node)?;
    chain(importer, node, Sub::default())
}

pub(super) fn div<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    two(node)?;
    chain(importer, node, Div::default())
}

pub(super) fn sum<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    chain(importer, node, Add::default())
}

/// `Mean` of several tensors.
pub(super) fn mean<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let (layout, ids) = meet(importer, node)?;
    let (&first, rest) = ids.split_first().ok_or_else(|| node.malformed("has no inputs"))?;
    let mut sum = first;
    for (i, &next) in rest.iter().enumerate() {
        sum = importer.inner(node, &format!("part{i}"), Add::default(), &[sum, next])?;
    }
    let share = importer.scalar(node, "share", 1.0 / ids.len() as f32);
    importer.put(node, Mul::default(), &[sum, share], layout).map(drop)
}

pub(super) fn max<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    chain(importer, node, Maximum::default())
}

pub(super) fn min<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    chain(importer, node, Minimum::default())
}

/// `Add`; a vector added to a product with weights is the bias of a fully connected layer.
pub(super) fn add<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    two(node)?;
    for (product, vector) in [(0, 1), (1, 0)] {
        if !importer.is_stored(node, vector) {
            continue;
        }
        let bias = importer.ty(node, vector)?.shape;
        if layout_of(importer, node, product) != Layout::Stated {
            continue;
        }
        let x = importer.stated(node, product)?;
        let Some(made) = importer.producer(x).filter(|made| made.inputs.len() == 2) else {
            continue;
        };
        let Op::FullyConnected(FullyConnected {
            activation: Activation::None,
        }) = made.op
        else {
            continue;
        };
        let outputs = importer.graph.tensor(x).ty.shape.0.last().copied();
        if bias.dims().last().copied() == outputs && outputs == Some(bias.elements()) {
            let inputs = made.inputs.clone();
            let bias = importer.weights(node, vector, &[bias.elements()], &[0])?;
            return importer
                .put(
                    node,
                    FullyConnected::default(),
                    &[inputs[0], inputs[1], bias],
                    Layout::Stated,
                )
                .map(drop);
        }
    }
    chain(importer, node, Add::default())
}

/// `Mul`, where it is not the last node of an activation that exporters write in parts.
pub(super) fn mul<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    two(node)?;
    let (layout, ids) = meet(importer, node)?;
    let whole: Option<(Op, TensorId)> = gate(importer, ids[0], ids[1])
        .or_else(|| gate(importer, ids[1], ids[0]))
        .or_else(|| erf_gelu(importer, &ids));
    match whole {
        Some((op, x)) => importer.put(node, op, &[x], layout).map(drop),
        None => importer.put(node, Mul::default(), &ids, layout).map(drop),
    }
}

/// `x · sigmoid(x)`, `x · hard_sigmoid(x)` and `x · tanh(softplus(x))`.
fn gate(importer: &Importer<'_>, x: TensorId, gate: TensorId) -> Option<(Op, TensorId)> {
    let made = importer.producer(gate)?;
    if let Op::Function(Function::Tanh) = made.op {
        let inner = importer.producer(made.inputs[0]).filter(|inner| inner.inputs == [x])?;
        return matches!(inner.op, Op::Function(Function::Softplus)).then(|| (Function::Mish.into(), x));
    }
    if made.inputs != [x] {
        return None;
    }
    match made.op {
        Op::Function(Function::Sigmoid) => Some((Function::Swish.into(), x)),
        Op::Function(Function::HardSigmoid { alpha, beta }) if (alpha - 1.0 / 6.0).abs() < 1e-6 && beta == 0.5 => {
            Some((Function::HardSwish.into(), x))
        }
        _ => None,
    }
}

/// `x · ½ · (1 + erf(x / √2))`, its factors in any order.
fn erf_gelu(importer: &Importer<'_>, ids: &[TensorId]) -> Option<(Op, TensorId)> {
    let mut factors = Vec::new();
    for &id in ids {
        match importer.producer(id) {
            Some(ir::Node {
                op: Op::Mul(_), inputs, ..
            }) => factors.extend(inputs.iter().copied()),
            _ => factors.push(id),
        }
    }
    let half = factors.iter().position(|&id| importer.is_number(id, 0.5))?;
    factors.swap_remove(half);
    let &[a, b] = factors.as_slice() else { return None };
    let is_error_term = |x: TensorId, term: TensorId| {
        let sum = importer.producer(term).filter(|sum| matches!(sum.op, Op::Add(_)))?;
        let one = sum.inputs.iter().position(|&id| importer.is_number(id, 1.0))?;
        let erf = importer
            .producer(sum.inputs[1 - one])
            .filter(|erf| matches!(erf.op, Op::Function(Function::Erf)))?;
        let scaled = importer.producer(erf.inputs[0])?;
        let factor = match scaled.op {
            Op::Div(_) => std::f32::consts::SQRT_2,
            Op::Mul(_) => std::f32::consts::FRAC_1_SQRT_2,
            _ => return None,
        };
        (scaled.inputs[0] == x && importer.is_number(scaled.inputs[1], factor)).then_some(())
    };
    let x = if is_error_term(a, b).is_some() {
        a
    } else {
        is_error_term(b, a).map(|()| b)?
    };
    Some((Function::Gelu { approximate: false }.into(), x))
}

/// `Pow`; squares and roots are said plainly.
pub(super) fn pow<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    two(node)?;
    let exponent = importer
        .known_input(node, 1)
        .filter(|c| c.len() == 1)
        .map(|c| fold::floats(c)[0]);
    if importer.known_input(node, 1).is_some_and(|c| c.dims().len() <= 1) && exponent.is_some() {
        let layout = layout_of(importer, node, 0);
        let x = importer.input_in(node, 0, layout)?;
        if exponent == Some(2.0) {
            return importer.put(node, Mul::default(), &[x, x], layout).map(drop);
        }
        if exponent == Some(0.5) {
            return importer.put(node, Function::Sqrt, &[x], layout).map(drop);
        }
        let exponent = importer.scalar(node, "exponent", exponent.unwrap_or(1.0));
        return importer.put(node, Pow::default(), &[x, exponent], layout).map(drop);
    }
    chain(importer, node, Pow::default())
}

pub(super) fn reciprocal<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let layout = layout_of(importer, node, 0);
    let x = importer.input_in(node, 0, layout)?;
    let one = importer.scalar(node, "one", 1.0);
    importer.put(node, Div::default(), &[one, x], layout).map(drop)
}

pub(super) fn p_relu<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    two(node)?;
    let (layout, ids) = meet(importer, node)?;
    importer.put(node, PRelu {}, &ids, layout).map(drop)
}

pub(super) fn softmax<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    over_axis(importer, node, false)
}

pub(super) fn log_softmax<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    over_axis(importer, node, true)
}

/// `Softmax` and `LogSoftmax`: along one dimension from opset 13 on, before over all dimensions from `axis` on.
fn over_axis<'f>(importer: &mut Importer<'f>, node: &Node<'f>, log: bool) -> Done {
    let dims = importer.ty(node, 0)?.shape.0;
    let rank = dims.len();
    let given = node.int("axis", if node.opset < 13 { 1 } else { -1 });
    let axis =
        fold::axis(given, rank).ok_or_else(|| node.malformed(format!("axis {given} is no dimension of the input")))?;
    if node.opset < 13 && dims[axis + 1..].iter().any(|&d| d != 1) {
        let x = importer.stated(node, 0)?;
        let rows = Shape::from(&dims[..axis]).elements();
        let flat = importer.inner(
            node,
            "flat",
            Reshape {
                shape: vec![rows, Shape::from(&dims[axis..]).elements()],
            },
            &[x],
        )?;
        let mut y = importer.inner(node, "softmax", Softmax::default(), &[flat])?;
        if log {
            y = importer.inner(node, "log", Function::Log, &[y])?;
        }
        return importer
            .put(node, Reshape { shape: dims }, &[y], Layout::Stated)
            .map(drop);
    }
    let layout = layout_of(importer, node, 0);
    let mut x = importer.input_in(node, 0, layout)?;
    let at = layout::axis(layout, rank, axis);
    // The dimension is brought to the end, and back.
    let swap: Vec<usize> = (0..rank)
        .map(|i| {
            if i == at {
                rank - 1
            } else if i == rank - 1 {
                at
            } else {
                i
            }
        })
        .collect();
    let moved = at != rank - 1;
    if moved {
        x = importer.inner(node, "to-last", Transpose { perm: swap.clone() }, &[x])?;
    }
    if !moved && !log {
        return importer.put(node, Softmax::default(), &[x], layout).map(drop);
    }
    let mut y = importer.inner(node, "softmax", Softmax::default(), &[x])?;
    if !moved {
        return importer.put(node, Function::Log, &[y], layout).map(drop);
    }
    if log {
        y = importer.inner(node, "log", Function::Log, &[y])?;
    }
    importer.put(node, Transpose { perm: swap }, &[y], layout).map(drop)
}

//! Recurrent layers: `SimpleRNN`, `LSTM`, `GRU`, and one of them in both directions.

use ir::TensorId;
use ir::ops::{Activation, Add, Cell, Concat, Function, Gather, Mul, Recurrent, Reshape, Slice};

use serde_json::Value;

use super::super::attributes::Attributes;
use super::super::weights::Slot;
use super::{Call, Kind, activation};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        classes: &["GRU", "LSTM", "SimpleRNN"],
        slots: |attributes| slots(attributes, &ALONE),
        build,
    },
    Kind {
        classes: &["Bidirectional"],
        slots: |attributes| {
            let [forward, backward] = directions(attributes)?;
            let mut all = slots(&forward.attributes, &FORWARD)?;
            all.extend(slots(&backward.attributes, &BACKWARD)?);
            Ok(all)
        },
        build: bidirectional,
    },
];

/// What the weights of a layer are called, and which object holds them.
struct Names {
    kernel: &'static str,
    recurrent: &'static str,
    bias: &'static str,
    object: &'static str,
    /// Before the names of nodes.
    prefix: &'static str,
}

const ALONE: Names = Names {
    kernel: "kernel",
    recurrent: "recurrent_kernel",
    bias: "bias",
    object: "cell",
    prefix: "",
};
const FORWARD: Names = Names {
    kernel: "forward/kernel",
    recurrent: "forward/recurrent_kernel",
    bias: "forward/bias",
    object: "forward_layer/cell",
    prefix: "forward_",
};
const BACKWARD: Names = Names {
    kernel: "backward/kernel",
    recurrent: "backward/recurrent_kernel",
    bias: "backward/bias",
    object: "backward_layer/cell",
    prefix: "backward_",
};

fn slots(attributes: &Attributes, names: &Names) -> Result<Vec<Slot>, FormatError> {
    let mut slots = vec![Slot::trained(names.kernel, &[]), Slot::trained(names.recurrent, &[])];
    if attributes.flag("use_bias", true)? {
        slots.push(Slot::trained(names.bias, &[]));
    }
    Ok(slots.into_iter().map(|slot| slot.of(names.object)).collect())
}

/// A layer by itself.
fn build(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (attributes, class) = (call.attributes(), call.class());
    let sequence = attributes.flag("return_sequences", false)?;
    let backwards = attributes.flag("go_backwards", false)?;
    let states = layer(call, class, attributes, &ALONE, backwards)?;
    match (sequence, backwards) {
        (true, false) => Ok(states),
        // In the order in which they were computed.
        (true, true) => {
            let steps = call.dims(states)[1];
            let turned = call.indices("turned", (0..steps).rev())?;
            call.output(Gather { axis: 1 }, &[states, turned])
        }
        (false, _) => {
            let (last, shape) = last(call, "", states, backwards)?;
            call.output(Reshape { shape }, &[last])
        }
    }
}

/// The hidden states of a layer after each step, where the step stands in the input.
///
/// Kernels `[I,G·H]` and `[H,G·H]` are turned; gates stand in the order of [`Cell`]. Source: `lstm.py`, `gru.py` and `simple_rnn.py` of Keras 3.
fn layer(
    call: &mut Call<'_, '_>,
    class: &str,
    attributes: &Attributes,
    names: &Names,
    reverse: bool,
) -> Result<TensorId, FormatError> {
    let (input, [_, _, features]) = call.input_of_rank::<3>()?;
    for (key, fix) in [
        ("return_state", "save the network without the states that are returned"),
        (
            "stateful",
            "save the network with stateful=False; each sample begins with zeros",
        ),
        ("time_major", "give it sequences as [batch, steps, features]"),
    ] {
        if attributes.flag(key, false)? {
            return Err(attributes.refuse(key, fix));
        }
    }
    for idle in [
        "dropout",
        "recurrent_dropout",
        "unit_forget_bias",
        "unroll",
        "use_cudnn",
        // There are no masks.
        "zero_output_for_mask",
    ] {
        attributes.get(idle);
    }
    let (default, simple) = (Function::Tanh, class == "SimpleRNN");
    let candidate = activation::function_argument(call, attributes, "activation", default)?;
    // Keras 1 and 2.0 to 2.2 had the hard one as default, and wrote it down.
    let gate = if simple {
        Function::Sigmoid
    } else {
        activation::function_argument(call, attributes, "recurrent_activation", Function::Sigmoid)?
    };
    let major = call.major();
    let cell = match class {
        "SimpleRNN" => Cell::Simple,
        "LSTM" => Cell::Lstm,
        "GRU" if attributes.flag("reset_after", major >= 3)? => Cell::GruResetAfter,
        "GRU" => Cell::Gru,
        _ => {
            return Err(call.unsupported(
                format!("`{class}` in both directions is not supported"),
                "use LSTM, GRU or SimpleRNN",
            ));
        }
    };
    let units = attributes.extent("units", None)?;
    let rows = cell.gates() * units;
    let weights = call.weight(names.kernel, &[features, rows], &[1, 0], &[rows, features])?;
    let recurrent = call.weight(names.recurrent, &[units, rows], &[1, 0], &[rows, units])?;
    let bias = bias(call, attributes, names, cell, units)?;
    let op = Recurrent {
        cell,
        gate,
        candidate,
        reverse,
        last_cell: false,
    };
    let inputs = [input, weights, recurrent, bias];
    let alone = names.prefix.is_empty() && attributes.flag("return_sequences", false)? && !reverse;
    if alone {
        call.output(op, &inputs)
    } else {
        call.part(&format!("{}states", names.prefix), op, &inputs)
    }
}

/// The bias as the operator has it. A GRU that resets after the product has two, of which only the candidate's stay apart.
fn bias(
    call: &mut Call<'_, '_>,
    attributes: &Attributes,
    names: &Names,
    cell: Cell,
    units: usize,
) -> Result<TensorId, FormatError> {
    let (rows, len) = (cell.gates() * units, cell.biases() * units);
    if !attributes.flag("use_bias", true)? {
        return call.constant(&format!("{}no_bias", names.prefix), &[len], vec![0.0; len]);
    }
    if cell != Cell::GruResetAfter {
        return call.vector(names.bias, rows);
    }
    let both = call.values(names.bias, &[2, rows])?;
    let (ahead, behind) = both.split_at(both.len() / 2);
    let (gates, candidate) = behind.split_at(2 * units.min(behind.len() / 2));
    let mut sums = ahead.to_vec();
    for (sum, b) in sums.iter_mut().zip(gates) {
        *sum += b;
    }
    sums.extend(candidate);
    call.constant(&format!("{}biases", names.prefix), &[len], sums)
}

/// The state after the last step that was computed, as a slice, and its shape without the dimension of steps.
fn last(
    call: &mut Call<'_, '_>,
    prefix: &str,
    states: TensorId,
    backwards: bool,
) -> Result<(TensorId, Vec<usize>), FormatError> {
    let dims = call.dims(states);
    let t = if backwards { 0 } else { dims[1] - 1 };
    let slice = Slice {
        begin: vec![0, t, 0],
        end: vec![dims[0], t + 1, dims[2]],
        stride: vec![1; 3],
    };
    let slice = call.part(&format!("{prefix}last"), slice, &[states])?;
    Ok((slice, vec![dims[0], dims[2]]))
}

/// A layer inside another.
pub(super) struct Direction {
    pub(super) class: String,
    pub(super) attributes: Attributes,
}

/// The layer that an argument describes; `None` where it is left out.
pub(super) fn wrapped(attributes: &Attributes, key: &str) -> Result<Option<Direction>, FormatError> {
    let Some(value) = attributes.get(key) else {
        return Ok(None);
    };
    let class = value.get("class_name").and_then(Value::as_str);
    let config = value.get("config").and_then(Value::as_object);
    let (Some(class), Some(config)) = (class, config) else {
        return Err(attributes.wrong(key, "a layer"));
    };
    Ok(Some(Direction {
        class: class.to_owned(),
        attributes: Attributes::new(format!("{}: {key}", attributes.place), config.clone()),
    }))
}

fn directions(attributes: &Attributes) -> Result<[Direction; 2], FormatError> {
    let direction = |key: &str| wrapped(attributes, key);
    let forward = direction("layer")?.ok_or_else(|| attributes.wrong("layer", "a recurrent layer"))?;
    let backward = match direction("backward_layer")? {
        Some(backward) => backward,
        None => direction("layer")?.ok_or_else(|| attributes.wrong("layer", "a recurrent layer"))?,
    };
    Ok([forward, backward])
}

/// A layer and its twin that reads the sequence from its end, put together step by step.
fn bidirectional(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let attributes = call.attributes();
    let [forward, backward] = directions(attributes)?;
    let sequence = forward.attributes.flag("return_sequences", false)?;
    // What the twin's own configuration says of the direction is that of the layer when it was wrapped.
    let reverse = forward.attributes.flag("go_backwards", false)?;
    backward.attributes.get("go_backwards");
    if backward.attributes.flag("return_sequences", false)? != sequence {
        let fix = "wrap two layers of which both return sequences, or none";
        return Err(backward.attributes.refuse("return_sequences", fix));
    }
    if reverse {
        return Err(forward
            .attributes
            .refuse("go_backwards", "wrap a layer that reads forwards"));
    }
    let mut parts = Vec::new();
    for (direction, names, reverse) in [(&forward, &FORWARD, false), (&backward, &BACKWARD, true)] {
        let states = layer(call, &direction.class, &direction.attributes, names, reverse)?;
        let part = if sequence {
            states
        } else {
            let (last, shape) = last(call, names.prefix, states, reverse)?;
            call.part(&format!("{}hidden", names.prefix), Reshape { shape }, &[last])?
        };
        parts.push(part);
        if let Some(unknown) = direction.attributes.unread().first() {
            return Err(direction
                .attributes
                .refuse(unknown, "its meaning is unknown; leave it out"));
        }
    }
    let axis = if sequence { 2 } else { 1 };
    match attributes.text("merge_mode", "concat")? {
        "concat" => call.output(Concat { axis }, &parts),
        "sum" => call.output(Add::default(), &parts),
        "mul" => call.output(Mul::default(), &parts),
        "ave" => {
            let sum = call.part(
                "sum",
                Add {
                    activation: Activation::None,
                },
                &parts,
            )?;
            let half = call.constant("half", &[1], vec![0.5])?;
            call.output(Mul::default(), &[sum, half])
        }
        _ => Err(attributes.refuse("merge_mode", "merge by concat, sum, mul or ave")),
    }
}

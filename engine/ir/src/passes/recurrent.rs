//! Recurrent layers, step by step, for formats and arithmetics that have none of their kind.

use crate::ops::{
    Add, Cell, Concat, FullyConnected, Function, Gather, Identity, Mul, Recurrent, Reshape, Slice, Split, Sub,
};
use crate::{Constant, ElementType, Graph, InferError, Node, NodeId, Op, Patch, TensorId};

/// A recurrent layer with constant weights becomes the products and functions of each of its steps.
pub fn unroll(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let node = graph.node(id);
    let Op::Recurrent(op) = &node.op else { return Ok(None) };
    let Some(layer) = Layer::of(graph, node, op) else {
        return Ok(None);
    };
    let mut patch = Patch::new(graph);
    let unrolled = Unroll {
        layer,
        patch: &mut patch,
    }
    .all()?;
    patch.replace(node.output(), unrolled);
    patch.remove(id);
    Ok(Some(patch))
}

/// What TFLite's `UNIDIRECTIONAL_SEQUENCE_LSTM` and `_RNN` do not compute: backward layers read their input turned round, others are unrolled.
pub fn unidirectional(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let node = graph.node(id);
    let Op::Recurrent(op) = &node.op else { return Ok(None) };
    if !has_fused_kernel(op, node.inputs.len()) {
        return unroll(graph, id);
    }
    if !op.reverse {
        return Ok(None);
    }
    let steps = graph.tensor(node.inputs[0]).ty.shape.dims()[1];
    let mut patch = Patch::new(graph);
    let Some(turned) = i32::try_from(steps)
        .ok()
        .and_then(|n| Constant::i32([steps], (0..n).rev().collect()))
    else {
        return Ok(None);
    };
    let name = |part: &str| format!("{}/{part}", node.name);
    let turned = patch.constant(name("turned"), turned);
    let read = patch.node(name("backward"), Gather { axis: 1 }, &[node.inputs[0], turned])?;
    let mut inputs = node.inputs.clone();
    inputs[0] = read;
    let forward = Recurrent {
        reverse: false,
        ..op.clone()
    };
    let made = patch.node(name("states"), forward, &inputs)?;
    let last = patch.node(node.name.clone(), Gather { axis: 1 }, &[made, turned])?;
    patch.replace(node.output(), last);
    patch.remove(id);
    Ok(Some(patch))
}

/// Whether TFLite has one operator for the layer, but for its direction. Source: `lstm_eval.cc`, `unidirectional_sequence_rnn.cc`, whose states
/// begin with zeros.
fn has_fused_kernel(op: &Recurrent, inputs: usize) -> bool {
    let fused = matches!(op.candidate, Function::Tanh | Function::Relu | Function::Relu6);
    let gates = match op.cell {
        Cell::Simple => true,
        Cell::Lstm => op.gate == Function::Sigmoid,
        Cell::Gru | Cell::GruResetAfter => false,
    };
    inputs == 4 && fused && gates && !op.last_cell
}

/// What is known of a layer: its weights are constants.
struct Layer<'g> {
    graph: &'g Graph,
    node: &'g Node,
    op: &'g Recurrent,
    batch: usize,
    steps: usize,
    units: usize,
    recurrent: &'g [f32],
    bias: &'g [f32],
}

impl<'g> Layer<'g> {
    fn of(graph: &'g Graph, node: &'g Node, op: &'g Recurrent) -> Option<Self> {
        let floats = |i: usize| graph.constant_data(node.inputs[i]).and_then(Constant::as_f32);
        let &[batch, steps, _] = graph.tensor(node.inputs[0]).ty.shape.dims() else {
            return None;
        };
        let &units = graph.tensor(node.output()).ty.shape.dims().last()?;
        (graph.tensor(node.inputs[0]).ty.element == ElementType::F32).then_some(())?;
        floats(1)?;
        Some(Layer {
            graph,
            node,
            op,
            batch,
            steps,
            units,
            recurrent: floats(2)?,
            bias: floats(3)?,
        })
    }

    fn name(&self, part: &str) -> String {
        format!("{}/{part}", self.node.name)
    }
}

struct Unroll<'a, 'g> {
    layer: Layer<'g>,
    patch: &'a mut Patch<'g>,
}

/// The recurrent weights as constants of the unrolled network.
struct Weights {
    /// Those of the gates that do not wait for another.
    state: TensorId,
    /// The candidate's of [`Cell::Gru`].
    reset: Option<TensorId>,
    /// The bias beside them, in [`Cell::GruResetAfter`].
    bias: Option<TensorId>,
}

/// The states of a step; none are zeros.
#[derive(Clone, Copy)]
struct States {
    hidden: Option<TensorId>,
    cell: Option<TensorId>,
}

impl Unroll<'_, '_> {
    fn all(mut self) -> Result<TensorId, InferError> {
        let (node, steps, units) = (self.layer.node, self.layer.steps, self.layer.units);
        let gates = self.layer.op.cell.gates();
        let rows = gates * units;
        let bias = if self.layer.op.cell == Cell::GruResetAfter {
            let ahead = floats([rows], &self.layer.bias[..rows]);
            self.patch.constant(self.layer.name("bias"), ahead)
        } else {
            node.inputs[3]
        };
        let ahead = self.node(
            "ahead",
            FullyConnected::default(),
            &[node.inputs[0], node.inputs[1], bias],
        )?;
        let weights = self.weights();
        let mut states = States {
            hidden: node.inputs.get(4).copied(),
            cell: node.inputs.get(5).copied(),
        };
        let mut shown = vec![None; steps];
        let mut last = None;
        for step in 0..steps {
            let t = if self.layer.op.reverse { steps - 1 - step } else { step };
            let at = |part: &str| format!("{t}/{part}");
            let here = Slice {
                begin: vec![0, t, 0],
                end: vec![self.layer.batch, t + 1, rows],
                stride: vec![1; 3],
            };
            let here = self.node(&at("slice"), here, &[ahead])?;
            let shape = vec![self.layer.batch, rows];
            let here = self.node(&at("ahead"), Reshape { shape }, &[here])?;
            states = match self.layer.op.cell {
                Cell::Simple => self.simple(t, here, &weights, states)?,
                Cell::Lstm => self.lstm(t, here, &weights, states)?,
                Cell::Gru | Cell::GruResetAfter => self.gru(t, here, &weights, states)?,
            };
            if self.layer.op.last_cell {
                last = states.cell;
                continue;
            }
            let shape = vec![self.layer.batch, 1, units];
            let hidden = states.hidden.into_iter().collect::<Vec<_>>();
            shown[t] = Some(self.node(&at("shown"), Reshape { shape }, &hidden)?);
        }
        if let Some(cell) = last {
            return self.patch.node(node.name.clone(), Identity {}, &[cell]);
        }
        let shown: Vec<TensorId> = shown.into_iter().flatten().collect();
        self.patch.node(node.name.clone(), Concat { axis: 1 }, &shown)
    }

    fn weights(&mut self) -> Weights {
        let (units, node) = (self.layer.units, self.layer.node);
        let split = 2 * units * units;
        match self.layer.op.cell {
            Cell::Simple | Cell::Lstm => Weights {
                state: node.inputs[2],
                reset: None,
                bias: None,
            },
            Cell::Gru => {
                let (gates, candidate) = self.layer.recurrent.split_at(split);
                let gates = floats([2 * units, units], gates);
                let candidate = floats([units, units], candidate);
                Weights {
                    state: self.patch.constant(self.layer.name("gates"), gates),
                    reset: Some(self.patch.constant(self.layer.name("candidate"), candidate)),
                    bias: None,
                }
            }
            Cell::GruResetAfter => {
                let zeros = std::iter::repeat_n(0.0, 2 * units);
                let bias: Vec<f32> = zeros.chain(self.layer.bias[3 * units..].iter().copied()).collect();
                let bias = floats([3 * units], &bias);
                Weights {
                    state: node.inputs[2],
                    reset: None,
                    bias: Some(self.patch.constant(self.layer.name("recurrent_bias"), bias)),
                }
            }
        }
    }

    fn node(&mut self, part: &str, op: impl Into<Op>, inputs: &[TensorId]) -> Result<TensorId, InferError> {
        self.patch.node(self.layer.name(part), op, inputs)
    }

    /// Equal parts along the features.
    fn split(&mut self, part: &str, x: TensorId, parts: usize) -> Result<Vec<TensorId>, InferError> {
        if parts == 1 {
            return Ok(vec![x]);
        }
        self.patch.nodes(self.layer.name(part), Split { axis: 1, parts }, &[x])
    }

    /// The product of a state with the recurrent weights of gates that wait for no other, and the bias beside them. Of a constant it is one.
    fn behind(&mut self, t: usize, hidden: TensorId, weights: &Weights) -> Result<TensorId, InferError> {
        let (layer, name) = (&self.layer, format!("{t}/behind"));
        let first = layer.node.inputs.get(4).filter(|&&id| id == hidden);
        let known = first
            .and_then(|&id| layer.graph.constant_data(id))
            .and_then(Constant::as_f32);
        let Some(states) = known else {
            let inputs: Vec<TensorId> = [hidden, weights.state].into_iter().chain(weights.bias).collect();
            return self.node(&name, FullyConnected::default(), &inputs);
        };
        let (units, gates) = (layer.units, layer.op.cell.gates());
        let waiting = if layer.op.cell == Cell::Gru { 2 } else { gates };
        let late = if weights.bias.is_some() {
            &layer.bias[gates * units..]
        } else {
            &[]
        };
        let product = |state: &[f32], row: usize| -> f32 {
            let own = &layer.recurrent[row * units..][..units];
            let bias = row
                .checked_sub(2 * units)
                .and_then(|i| late.get(i))
                .copied()
                .unwrap_or(0.0);
            own.iter().zip(state).map(|(w, h)| w * h).sum::<f32>() + bias
        };
        let rows = states.chunks_exact(units.max(1));
        let values: Vec<f32> = rows
            .flat_map(|state| {
                (0..waiting * units)
                    .map(|row| product(state, row))
                    .collect::<Vec<f32>>()
            })
            .collect();
        let data = floats([layer.batch, waiting * units], &values);
        let name = layer.name(&name);
        Ok(self.patch.constant(name, data))
    }

    /// What a step sees: the input's part, and the state's.
    fn sum(&mut self, t: usize, ahead: TensorId, weights: &Weights, states: States) -> Result<TensorId, InferError> {
        let Some(hidden) = states.hidden else { return Ok(ahead) };
        let behind = self.behind(t, hidden, weights)?;
        self.node(&format!("{t}/sum"), Add::default(), &[ahead, behind])
    }

    fn simple(&mut self, t: usize, ahead: TensorId, weights: &Weights, states: States) -> Result<States, InferError> {
        let sum = self.sum(t, ahead, weights, states)?;
        let hidden = self.node(&format!("{t}/hidden"), self.layer.op.candidate, &[sum])?;
        Ok(States {
            hidden: Some(hidden),
            cell: None,
        })
    }

    fn lstm(&mut self, t: usize, ahead: TensorId, weights: &Weights, states: States) -> Result<States, InferError> {
        let at = |part: &str| format!("{t}/{part}");
        let (gate, candidate) = (self.layer.op.gate, self.layer.op.candidate);
        let sum = self.sum(t, ahead, weights, states)?;
        let parts = self.split(&at("gates"), sum, 4)?;
        let write = self.node(&at("write"), gate, &[parts[0]])?;
        let new = self.node(&at("candidate"), candidate, &[parts[2]])?;
        let show = self.node(&at("show"), gate, &[parts[3]])?;
        let mut cell = self.node(&at("written"), Mul::default(), &[write, new])?;
        if let Some(old) = states.cell {
            let keep = self.node(&at("keep"), gate, &[parts[1]])?;
            let kept = self.node(&at("kept"), Mul::default(), &[keep, old])?;
            cell = self.node(&at("cell"), Add::default(), &[kept, cell])?;
        }
        let function = self.node(&at("function"), candidate, &[cell])?;
        let hidden = self.node(&at("hidden"), Mul::default(), &[show, function])?;
        Ok(States {
            hidden: Some(hidden),
            cell: Some(cell),
        })
    }

    /// `h ← n + z ∘ (h − n)`.
    fn gru(&mut self, t: usize, ahead: TensorId, weights: &Weights, states: States) -> Result<States, InferError> {
        let at = |part: &str| format!("{t}/{part}");
        let (units, batch) = (self.layer.units, self.layer.batch);
        let block = |from: usize, to: usize| Slice {
            begin: vec![0, from * units],
            end: vec![batch, to * units],
            stride: vec![1; 2],
        };
        let mut gates = self.node(&at("gates_ahead"), block(0, 2), &[ahead])?;
        let candidate = self.node(&at("candidate_ahead"), block(2, 3), &[ahead])?;
        // What the state adds to the candidate, before or behind the reset.
        let mut behind = None;
        if let Some(hidden) = states.hidden {
            let mut sum = self.behind(t, hidden, weights)?;
            if weights.reset.is_none() {
                behind = Some(self.node(&at("candidate_behind"), block(2, 3), &[sum])?);
                sum = self.node(&at("gates_behind"), block(0, 2), &[sum])?;
            }
            gates = self.node(&at("gates"), Add::default(), &[gates, sum])?;
        } else if weights.bias.is_some() {
            let bias = floats([1, units], &self.layer.bias[3 * units..]);
            behind = Some(self.patch.constant(self.layer.name("candidate_bias"), bias));
        }
        let gates = self.node(&at("open"), self.layer.op.gate, &[gates])?;
        let parts = self.split(&at("parts"), gates, 2)?;
        let (update, reset) = (parts[0], parts[1]);
        let past = match (behind, weights.reset, states.hidden) {
            (Some(behind), _, _) => Some(self.node(&at("past"), Mul::default(), &[reset, behind])?),
            (None, Some(weights), Some(hidden)) => {
                let kept = self.node(&at("reset"), Mul::default(), &[reset, hidden])?;
                Some(self.node(&at("past"), FullyConnected::default(), &[kept, weights])?)
            }
            (None, _, _) => None,
        };
        let sum = match past {
            Some(past) => self.node(&at("sum"), Add::default(), &[candidate, past])?,
            None => candidate,
        };
        let new = self.node(&at("candidate"), self.layer.op.candidate, &[sum])?;
        let hidden = if let Some(hidden) = states.hidden {
            let distance = self.node(&at("distance"), Sub::default(), &[hidden, new])?;
            let kept = self.node(&at("kept"), Mul::default(), &[update, distance])?;
            self.node(&at("hidden"), Add::default(), &[new, kept])?
        } else {
            let lost = self.node(&at("lost"), Mul::default(), &[update, new])?;
            self.node(&at("hidden"), Sub::default(), &[new, lost])?
        };
        Ok(States {
            hidden: Some(hidden),
            cell: None,
        })
    }
}

fn floats<const N: usize>(dims: [usize; N], values: &[f32]) -> Constant {
    Constant::f32(dims, values.to_vec()).expect("as many values as elements")
}

#[cfg(test)]
mod tests {
    use crate::ops::{Cell, Function, Recurrent};
    use crate::{Constant, Graph, Op, TensorType, passes};

    /// A layer of two units over three steps of one feature, lowered: how many operators of each kind there are then.
    fn lowered(op: Recurrent) -> Vec<(&'static str, usize)> {
        let mut graph = Graph::new("g");
        let x = graph.input("x", TensorType::f32([1, 3, 1]));
        let rows = op.cell.gates() * 2;
        let constant = |dims: &[usize]| Constant::f32(dims, vec![0.5; dims.iter().product()]).unwrap();
        let w = graph.constant("w", constant(&[rows, 1]));
        let r = graph.constant("r", constant(&[rows, 2]));
        let b = graph.constant("b", constant(&[op.cell.biases() * 2]));
        let y = graph.add("y", op, &[x, w, r, b]).unwrap();
        graph.set_outputs(&[y]);
        passes::lower(&mut graph).unwrap();
        assert_eq!(graph.tensor(graph.outputs()[0]).name, "y");
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for name in graph.nodes().iter().map(|node| node.op.name()) {
            match counts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, n)) => *n += 1,
                None => counts.push((name, 1)),
            }
        }
        counts
    }

    #[test]
    fn layers_that_tflite_has_stay_and_backward_ones_are_turned() {
        assert_eq!(lowered(Recurrent::of(Cell::Lstm)), [("recurrent", 1)]);
        let reverse = true;
        let back = Recurrent {
            reverse,
            ..Recurrent::of(Cell::Simple)
        };
        assert_eq!(lowered(back), [("gather", 2), ("recurrent", 1)]);
    }

    #[test]
    fn others_are_unrolled_and_the_first_step_has_no_state_to_look_at() {
        let gru = lowered(Recurrent::of(Cell::GruResetAfter));
        let of = |name: &str| gru.iter().find(|(n, _)| *n == name).map_or(0, |(_, n)| *n);
        // The input of all steps, and the state of the last two.
        assert_eq!((of("fully_connected"), of("tanh"), of("recurrent")), (3, 3, 0));
        let hard = Recurrent {
            gate: Function::HardSwish,
            ..Recurrent::of(Cell::Lstm)
        };
        let names: Vec<&str> = lowered(hard).into_iter().map(|(name, _)| name).collect();
        assert!(
            !names.contains(&"recurrent") && names.contains(&"hard_swish"),
            "{names:?}"
        );
    }

    #[test]
    fn a_layer_whose_weights_are_computed_is_left_alone() {
        let example = Op::examples()
            .into_iter()
            .find(|e| matches!(e.op, Op::Recurrent(_)))
            .unwrap();
        let mut graph = Graph::new("g");
        let types = example.activations.iter().chain(&example.constants);
        let inputs: Vec<_> = types
            .enumerate()
            .map(|(i, ty)| graph.input(format!("x{i}"), ty.clone()))
            .collect();
        let y = graph.add("y", example.op.clone(), &inputs).unwrap();
        graph.set_outputs(&[y]);
        assert!(passes::unroll(&mut graph).unwrap().is_empty());
    }
}

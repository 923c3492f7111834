//! Recurrent layers: the products of all steps with the weights as one, then a product with the recurrent weights a step.

use super::elementwise::unary_f32;
use super::{FloatDense, Isa, Plane, View, ViewMut};
use crate::quantized::{Activation, ClampF32};
use crate::reference::Unary;
use crate::shape::{FullyConnectedShape, RecurrentCell, RecurrentShape, States};

/// A float recurrent layer: packed weights and bias.
#[derive(Debug, Clone)]
pub struct FloatRecurrent {
    isa: Isa,
    shape: RecurrentShape,
    input: FloatDense,
    /// All gates of the state; those that do not wait for the reset gate.
    state: FloatDense,
    /// The candidate of a state that was reset.
    reset: Option<FloatDense>,
}

impl FloatRecurrent {
    /// Packs weights, recurrent weights and bias as [`recurrent_f32`](crate::reference::recurrent_f32) takes them, for `isa`, which must be available.
    pub fn new(isa: Isa, shape: &RecurrentShape, [weights, recurrent, bias]: [&[f32]; 3]) -> Self {
        let (rows, units) = (shape.rows(), shape.units);
        let open: ClampF32 = Activation::None.clamp_f32();
        let dense = |features: [usize; 2], rows: usize, weights: &[f32], bias: Option<&[f32]>| {
            let [in_features, out_features] = features;
            let shape = FullyConnectedShape {
                rows,
                in_features,
                out_features,
            };
            FloatDense::new(isa, &shape, weights, bias, open)
        };
        let input = dense([shape.inputs, rows], shape.steps, weights, Some(&bias[..rows]));
        let waiting = if shape.cell == RecurrentCell::Gru {
            2 * units
        } else {
            rows
        };
        let (now, later) = recurrent.split_at(waiting * units);
        let late_bias = (shape.cell == RecurrentCell::GruResetAfter).then(|| {
            let zeros = std::iter::repeat_n(0.0, 2 * units);
            zeros.chain(bias[rows..].iter().copied()).collect::<Vec<f32>>()
        });
        FloatRecurrent {
            isa,
            shape: *shape,
            input,
            state: dense([units, waiting], 1, now, late_bias.as_deref()),
            reset: (!later.is_empty()).then(|| dense([units, units], 1, later, None)),
        }
    }

    /// Elements that [`Self::run`] needs for itself.
    pub fn scratch(&self) -> usize {
        (self.shape.steps + 2) * self.shape.rows() + 4 * self.shape.units
    }

    /// The hidden states after each step, [`recurrent_f32`](crate::reference::recurrent_f32) up to the order of sums and the last bits of functions.
    pub fn run(&self, input: &[f32], states: States<'_>, scratch: &mut [f32], output: &mut [f32]) {
        let shape = &self.shape;
        shape.check(input.len(), states, output.len());
        let (rows, units) = (shape.rows(), shape.units);
        if units == 0 {
            return;
        }
        let (ahead, scratch) = scratch.split_at_mut(shape.steps * rows);
        let (sums, scratch) = scratch.split_at_mut(rows);
        let (gates, scratch) = scratch.split_at_mut(rows);
        let (hidden, scratch) = scratch.split_at_mut(units);
        let (cell, scratch) = scratch.split_at_mut(units);
        let (spare, shown) = scratch.split_at_mut(units);
        let shown = &mut shown[..units];
        for n in 0..shape.batch {
            let x = &input[n * shape.steps * shape.inputs..][..shape.steps * shape.inputs];
            self.input.run(x, ahead);
            for (to, from) in [(&mut *hidden, states.hidden), (&mut *cell, states.cell)] {
                match from {
                    Some(from) => to.copy_from_slice(&from[n * units..][..units]),
                    None => to.fill(0.0),
                }
            }
            for t in shape.order() {
                let ahead = &ahead[t * rows..][..rows];
                match shape.cell {
                    RecurrentCell::Simple => {
                        self.sum(ahead, hidden, sums);
                        self.apply(shape.candidate, sums, hidden);
                    }
                    RecurrentCell::Lstm => {
                        self.sum(ahead, hidden, sums);
                        self.apply(shape.gate, &sums[..2 * units], &mut gates[..2 * units]);
                        self.apply(
                            shape.candidate,
                            &sums[2 * units..3 * units],
                            &mut gates[2 * units..3 * units],
                        );
                        self.apply(shape.gate, &sums[3 * units..], &mut gates[3 * units..]);
                        let (write, rest) = gates.split_at(units);
                        let (keep, rest) = rest.split_at(units);
                        let (candidate, show) = rest.split_at(units);
                        for (u, c) in cell.iter_mut().enumerate() {
                            *c = keep[u] * *c + write[u] * candidate[u];
                        }
                        self.apply(shape.candidate, cell, shown);
                        for (u, h) in hidden.iter_mut().enumerate() {
                            *h = show[u] * shown[u];
                        }
                    }
                    RecurrentCell::Gru | RecurrentCell::GruResetAfter => {
                        let waiting = if self.reset.is_some() { 2 * units } else { rows };
                        let sums = &mut sums[..waiting];
                        self.state.run(hidden, sums);
                        for (sum, x) in sums[..2 * units].iter_mut().zip(ahead) {
                            *sum += x;
                        }
                        self.apply(shape.gate, &sums[..2 * units], &mut gates[..2 * units]);
                        let (update, reset) = gates[..2 * units].split_at(units);
                        match &self.reset {
                            Some(product) => {
                                for (u, slot) in shown.iter_mut().enumerate() {
                                    *slot = reset[u] * hidden[u];
                                }
                                product.run(shown, spare);
                            }
                            None => {
                                for (u, slot) in spare.iter_mut().enumerate() {
                                    *slot = reset[u] * sums[2 * units + u];
                                }
                            }
                        }
                        for (sum, x) in spare.iter_mut().zip(&ahead[2 * units..]) {
                            *sum += x;
                        }
                        self.apply(shape.candidate, spare, shown);
                        for (u, h) in hidden.iter_mut().enumerate() {
                            *h = update[u] * *h + (1.0 - update[u]) * shown[u];
                        }
                    }
                }
                if !shape.last_cell {
                    output[(n * shape.steps + t) * units..][..units].copy_from_slice(hidden);
                }
            }
            if shape.last_cell {
                output[n * units..][..units].copy_from_slice(cell);
            }
        }
    }

    /// What a step sees of the input and of the state, in all gates.
    fn sum(&self, ahead: &[f32], hidden: &[f32], sums: &mut [f32]) {
        self.state.run(hidden, sums);
        for (sum, x) in sums.iter_mut().zip(ahead) {
            *sum += x;
        }
    }

    fn apply(&self, function: Unary, from: &[f32], to: &mut [f32]) {
        let plane = Plane::dense(1, from.len(), 1);
        unary_f32(self.isa, function, View::new(&plane, from), ViewMut::new(&plane, to));
    }
}

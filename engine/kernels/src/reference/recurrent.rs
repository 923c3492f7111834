//! Recurrent layers, a unit at a time.

use crate::shape::{RecurrentCell, RecurrentShape, States};

/// The hidden states of a recurrent layer, step by step.
///
/// Weights are `[rows, inputs]`, recurrent weights `[rows, units]` and the bias a value a row, and another for each unit in
/// [`RecurrentCell::GruResetAfter`]. Source: ONNX `RNN`, `LSTM` and `GRU`; the LSTM is `LstmStepFloat` of TFLite's `lstm_eval.cc` without peepholes,
/// projection and clips.
pub fn recurrent_f32(
    shape: &RecurrentShape,
    [weights, recurrent, bias]: [&[f32]; 3],
    states: States<'_>,
    input: &[f32],
    output: &mut [f32],
) {
    shape.check(input.len(), states, output.len());
    let (rows, units) = (shape.rows(), shape.units);
    assert_eq!(weights.len(), rows * shape.inputs, "weights");
    assert_eq!(recurrent.len(), rows * units, "recurrent weights");
    let of = |state: Option<&[f32]>, n: usize| state.map_or(vec![0.0; units], |s| s[n * units..][..units].to_vec());
    for n in 0..shape.batch {
        let (mut hidden, mut cell) = (of(states.hidden, n), of(states.cell, n));
        for t in shape.order() {
            let x = &input[(n * shape.steps + t) * shape.inputs..][..shape.inputs];
            let ahead = |row: usize| dot(&weights[row * shape.inputs..], x) + bias[row];
            let behind = |row: usize, state: &[f32]| dot(&recurrent[row * units..], state);
            let sum = |row: usize| ahead(row) + behind(row, &hidden);
            let (gate, candidate) = (
                |row: usize| shape.gate.apply(sum(row)),
                |x: f32| shape.candidate.apply(x),
            );
            hidden = match shape.cell {
                RecurrentCell::Simple => (0..units).map(|u| candidate(sum(u))).collect(),
                RecurrentCell::Lstm => {
                    for (u, c) in cell.iter_mut().enumerate() {
                        *c = gate(units + u) * *c + gate(u) * candidate(sum(2 * units + u));
                    }
                    let shown = |(u, &c): (usize, &f32)| gate(3 * units + u) * candidate(c);
                    cell.iter().enumerate().map(shown).collect()
                }
                RecurrentCell::Gru | RecurrentCell::GruResetAfter => {
                    let reset: Vec<f32> = (0..units).map(|u| gate(units + u)).collect();
                    let kept: Vec<f32> = hidden.iter().zip(&reset).map(|(h, r)| h * r).collect();
                    let next = |u: usize| {
                        let (update, row) = (gate(u), 2 * units + u);
                        let past = if shape.cell == RecurrentCell::Gru {
                            behind(row, &kept)
                        } else {
                            reset[u] * (behind(row, &hidden) + bias[rows + u])
                        };
                        update * hidden[u] + (1.0 - update) * candidate(ahead(row) + past)
                    };
                    (0..units).map(next).collect()
                }
            };
            if !shape.last_cell {
                output[(n * shape.steps + t) * units..][..units].copy_from_slice(&hidden);
            }
        }
        if shape.last_cell {
            output[n * units..][..units].copy_from_slice(&cell);
        }
    }
}

fn dot(weights: &[f32], x: &[f32]) -> f32 {
    weights.iter().zip(x).map(|(w, x)| w * x).sum()
}

#[cfg(test)]
mod tests {
    use super::recurrent_f32;
    use crate::reference::Unary;
    use crate::shape::{RecurrentCell, RecurrentShape, States};

    /// One unit, one feature, all weights 1 and biases 0, gates that are half of their sum and candidates that are clamped below.
    fn one_unit(cell: RecurrentCell, input: &[f32], states: States<'_>, reverse: bool) -> Vec<f32> {
        let shape = RecurrentShape {
            cell,
            gate: Unary::HardSigmoid {
                slope: 0.5,
                offset: 0.0,
            },
            candidate: Unary::Relu,
            reverse,
            last_cell: false,
            batch: 1,
            steps: input.len(),
            inputs: 1,
            units: 1,
        };
        let (mut output, ones, rows) = (vec![0.0; input.len()], [1.0; 4], shape.rows());
        recurrent_f32(
            &shape,
            [&ones[..rows], &ones[..rows], &[0.0; 4]],
            states,
            input,
            &mut output,
        );
        output
    }

    #[test]
    fn a_simple_cell_adds_up_what_it_sees() {
        let none = States::default();
        assert_eq!(
            one_unit(RecurrentCell::Simple, &[1.0, 2.0, -9.0, 4.0], none, false),
            [1.0, 3.0, 0.0, 4.0]
        );
        assert_eq!(
            one_unit(RecurrentCell::Simple, &[1.0, 2.0, 3.0], none, true),
            [6.0, 5.0, 3.0]
        );
    }

    #[test]
    fn an_lstm_keeps_what_its_gates_let_through() {
        // Sums are 1, then 1 + 0.25: gates of 1/2 and 5/8.
        let states = States::default();
        let first = 0.5 * (0.5 * 1.0);
        let second_sum = 1.0 + first;
        let gate = second_sum / 2.0;
        let cell = gate * 0.5 + gate * second_sum;
        assert_eq!(
            one_unit(RecurrentCell::Lstm, &[1.0, 1.0], states, false),
            [first, gate * cell]
        );
        let cell = Some([2.0].as_slice());
        let kept = one_unit(RecurrentCell::Lstm, &[1.0], States { cell, ..states }, false);
        assert_eq!(kept, [0.5 * (0.5 * 2.0 + 0.5 * 1.0)]);
    }

    #[test]
    fn a_reset_state_is_forgotten_by_the_candidate_alone() {
        // Input −1 and state 1: both gates are shut, the candidate sees the input alone and replaces the state.
        let hidden = Some([1.0].as_slice());
        let states = States { hidden, cell: None };
        assert_eq!(one_unit(RecurrentCell::Gru, &[-1.0], states, false), [0.0]);
        // Input 0 and state 1: half of it stays, beside half of what half the state makes.
        assert_eq!(one_unit(RecurrentCell::Gru, &[0.0], states, false), [0.5 + 0.5 * 0.5]);
    }
}

//! Recurrent layers: simple, long short-term memory, and gated recurrent units.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Example, Function, IntegerForms, Op, Operator, Reads, arity, shape_error};
use crate::{InferError, TensorType};

/// What a recurrent layer computes in a step from the input `x`, the hidden state `h` and, in an LSTM, the cell state `c`.
///
/// `σ` is the function of the gates and `φ` that of candidates; `∘` multiplies elements. Each row block of `W`, `R` and `b` belongs to a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// `h ← φ(W x + R h + b)`. Source: Elman 1990.
    Simple,
    /// Row blocks `i, f, g, o`: `c ← σ(f) ∘ c + σ(i) ∘ φ(g)`, `h ← σ(o) ∘ φ(c)`. Source: Hochreiter and Schmidhuber 1997, with the forget gate of
    /// Gers et al. 2000 and no peepholes.
    Lstm,
    /// Row blocks `z, r, n`: `h ← σ(z) ∘ h + (1 − σ(z)) ∘ φ(Wₙ x + Rₙ (σ(r) ∘ h) + bₙ)`. Source: Cho et al. 2014, version 1.
    Gru,
    /// The same with the gate behind the product: `φ(Wₙ x + bₙ + σ(r) ∘ (Rₙ h + b'ₙ))`; `b'ₙ` is a fourth block of the bias. PyTorch's, and Keras's with
    /// `reset_after`.
    GruResetAfter,
}

impl Cell {
    /// Row blocks of the weights.
    pub const fn gates(self) -> usize {
        match self {
            Cell::Simple => 1,
            Cell::Lstm => 4,
            Cell::Gru | Cell::GruResetAfter => 3,
        }
    }

    /// Blocks of the bias.
    pub const fn biases(self) -> usize {
        match self {
            Cell::Simple => 1,
            Cell::Gru => 3,
            Cell::Lstm | Cell::GruResetAfter => 4,
        }
    }
}

/// A recurrent layer of `H` units over `T` steps: its hidden state after each step.
///
/// Inputs: activations `[N,T,I]`, weights `[G·H,I]`, recurrent weights `[G·H,H]` and bias `[B·H]` with the blocks of [`Cell`]; then, optionally, the
/// hidden state before the first step `[N,H]` and, in an LSTM, the cell state `[N,H]`; zeros else. Output: `[N,T,H]`, or `[N,H]` with
/// `last_cell`. Specification: ONNX `RNN`,
/// `LSTM` and `GRU`; TFLite `UNIDIRECTIONAL_SEQUENCE_RNN` and `UNIDIRECTIONAL_SEQUENCE_LSTM`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurrent {
    /// What is computed in a step.
    pub cell: Cell,
    /// The function of gates; a simple cell has none.
    pub gate: Function,
    /// The function of candidates, and of an LSTM's cell state as it is shown.
    pub candidate: Function,
    /// The last step comes first; the hidden state after step `t` still stands at `t`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reverse: bool,
    /// An LSTM gives its cell state after the step that it computes last, instead of the hidden states.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last_cell: bool,
}

impl Recurrent {
    /// With the functions that are usual: logistic gates and hyperbolic tangents.
    pub fn of(cell: Cell) -> Self {
        Recurrent {
            cell,
            gate: Function::Sigmoid,
            candidate: Function::Tanh,
            reverse: false,
            last_cell: false,
        }
    }
}

impl<'de> Deserialize<'de> for Function {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Op::deserialize(d)? {
            Op::Function(function) => Ok(function),
            other => {
                let problem = format!("`{}` is no function of a number", other.name());
                Err(serde::de::Error::custom(problem))
            }
        }
    }
}

impl Operator for Recurrent {
    const NAME: &'static str = "recurrent";
    const READS: Reads = Reads::Stated;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        let most = if self.cell == Cell::Lstm { 6 } else { 5 };
        let expected = "activations, weights, recurrent weights, bias, and optional states";
        arity(inputs, 4..=most, expected)?;
        let &[batch, steps, features] = inputs[0].shape.dims() else {
            return Err(shape_error("activations", "[N,T,I]", inputs[0]));
        };
        if steps == 0 {
            return Err(shape_error("activations", "[N,T,I] with a step to compute", inputs[0]));
        }
        let units = inputs[2].shape.dims().last().copied().unwrap_or(0);
        let gates = self.cell.gates();
        let fitting: [(&'static str, &[usize]); 5] = [
            ("weights", &[gates * units, features]),
            ("recurrent weights", &[gates * units, units]),
            ("bias", &[self.cell.biases() * units]),
            ("hidden state", &[batch, units]),
            ("cell state", &[batch, units]),
        ];
        for ((name, dims), ty) in fitting.into_iter().zip(&inputs[1..]) {
            if ty.shape.dims() != dims {
                return Err(shape_error(name, crate::Shape::from(dims), ty));
            }
        }
        let shape: crate::Shape = match (self.last_cell, self.cell) {
            (false, _) => [batch, steps, units].into(),
            (true, Cell::Lstm) => [batch, units].into(),
            (true, Cell::Simple | Cell::Gru | Cell::GruResetAfter) => {
                return Err(InferError::Attribute {
                    attribute: "last_cell",
                    problem: "only an LSTM has a cell state".to_owned(),
                });
            }
        };
        Ok(vec![TensorType {
            element: inputs[0].element,
            shape,
        }])
    }

    fn macs(&self, inputs: &[&TensorType], output: &TensorType) -> u64 {
        let of = |i: usize| inputs.get(i).map_or(0, |ty| ty.shape.elements());
        let _ = output;
        let steps = inputs
            .first()
            .map_or(0, |ty| ty.shape.dims().iter().take(2).product::<usize>());
        (steps as u64).saturating_mul((of(1) + of(2)) as u64)
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::none("one scale for all steps of its state loses the small ones")
    }

    fn examples() -> Vec<Example> {
        let rows = |cell: Cell, units: usize, inputs: usize| [cell.gates() * units, inputs];
        let example = |op: Recurrent, [batch, steps, inputs]: [usize; 3], units: usize, states: usize| {
            let cell = op.cell;
            let (weights, recurrent) = (rows(cell, units, inputs), rows(cell, units, units));
            let (bias, state) = ([cell.biases() * units], [batch, units]);
            let constants: [&[usize]; 5] = [&weights, &recurrent, &bias, &state, &state];
            Example::new(op, &[&[batch, steps, inputs]], &constants[..3 + states])
        };
        let reverse = |cell| Recurrent {
            reverse: true,
            ..Recurrent::of(cell)
        };
        let others = Recurrent {
            gate: Function::HardSigmoid { alpha: 0.2, beta: 0.5 },
            candidate: Function::Relu,
            ..Recurrent::of(Cell::Lstm)
        };
        let cell_state = Recurrent {
            last_cell: true,
            ..Recurrent::of(Cell::Lstm)
        };
        vec![
            example(Recurrent::of(Cell::Simple), [1, 4, 3], 5, 0),
            example(Recurrent::of(Cell::Lstm), [1, 6, 5], 9, 0),
            example(Recurrent::of(Cell::Gru), [1, 3, 4], 3, 0),
            example(Recurrent::of(Cell::GruResetAfter), [1, 4, 2], 6, 0),
            example(reverse(Cell::Lstm), [1, 3, 2], 4, 2),
            example(reverse(Cell::GruResetAfter), [1, 3, 2], 4, 1),
            example(others, [1, 2, 3], 2, 0),
            example(cell_state, [1, 3, 2], 2, 2),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Recurrent};
    use crate::TensorType;
    use crate::ops::Operator;

    #[test]
    fn blocks_of_weights_must_be_those_of_the_cell() {
        let infer = |cell, shapes: &[&[usize]]| {
            let types: Vec<TensorType> = shapes.iter().map(|&s| TensorType::f32(s)).collect();
            let made = Recurrent::of(cell).infer(&types.iter().collect::<Vec<_>>());
            made.map_or_else(|e| e.to_string(), |types| types[0].to_string())
        };
        insta::assert_snapshot!(infer(Cell::Gru, &[&[1, 7, 2], &[9, 2], &[9, 3], &[9]]), @"f32[1,7,3]");
        insta::assert_snapshot!(infer(Cell::GruResetAfter, &[&[1, 7, 2], &[9, 2], &[9, 3], &[9]]), @"bias is f32[9], expected [12]");
        insta::assert_snapshot!(infer(Cell::Lstm, &[&[1, 7, 2], &[9, 2], &[9, 3], &[9]]), @"weights is f32[9,2], expected [12,2]");
        insta::assert_snapshot!(infer(Cell::Simple, &[&[7, 2], &[3, 2], &[3, 3], &[3]]), @"activations is f32[7,2], expected [N,T,I]");
    }
}

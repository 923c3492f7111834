//! The geometry of recurrent layers, and what they compute in a step.

use crate::reference::Unary;

/// What is computed in a step. Row blocks of weights and bias belong to gates, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecurrentCell {
    /// `h ← φ(W x + R h + b)`.
    Simple,
    /// `i, f, g, o`: `c ← σ(f) ∘ c + σ(i) ∘ φ(g)`, `h ← σ(o) ∘ φ(c)`.
    Lstm,
    /// `z, r, n`: `h ← σ(z) ∘ h + (1 − σ(z)) ∘ φ(Wₙ x + Rₙ (σ(r) ∘ h) + bₙ)`.
    Gru,
    /// The same with `φ(Wₙ x + bₙ + σ(r) ∘ (Rₙ h + b'ₙ))`; `b'ₙ` is a fourth block of the bias.
    GruResetAfter,
}

/// A recurrent layer: activations `[batch, steps, inputs]`, weights `[gates · units, inputs]`, recurrent weights `[gates · units, units]`,
/// output `[batch, steps, units]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecurrentShape {
    /// What is computed in a step.
    pub cell: RecurrentCell,
    /// The function of gates, `σ`.
    pub gate: Unary,
    /// The function of candidates, `φ`.
    pub candidate: Unary,
    /// The last step comes first.
    pub reverse: bool,
    /// The output is the cell state after the step that is computed last, `[batch, units]`.
    pub last_cell: bool,
    /// Sequences that do not see each other.
    pub batch: usize,
    /// Steps of each.
    pub steps: usize,
    /// Features of a step.
    pub inputs: usize,
    /// Features of the hidden state.
    pub units: usize,
}

/// States before the first step, `[batch, units]`; zeros where there are none.
#[derive(Debug, Clone, Copy, Default)]
pub struct States<'a> {
    /// The hidden state.
    pub hidden: Option<&'a [f32]>,
    /// The cell state of an LSTM.
    pub cell: Option<&'a [f32]>,
}

impl RecurrentShape {
    /// Rows of the weights.
    pub fn rows(&self) -> usize {
        let gates = match self.cell {
            RecurrentCell::Simple => 1,
            RecurrentCell::Lstm => 4,
            RecurrentCell::Gru | RecurrentCell::GruResetAfter => 3,
        };
        gates * self.units
    }

    /// The steps in the order in which they are computed.
    pub fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let (steps, reverse) = (self.steps, self.reverse);
        (0..steps).map(move |t| if reverse { steps - 1 - t } else { t })
    }

    /// Elements of the activations.
    pub fn input_len(&self) -> usize {
        self.batch * self.steps * self.inputs
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        let shown = if self.last_cell { 1 } else { self.steps };
        self.batch * shown * self.units
    }

    /// Checks the sizes of what a kernel was handed: a mistake of the caller.
    pub(crate) fn check(&self, input: usize, states: States<'_>, output: usize) {
        assert_eq!(input, self.input_len(), "activations");
        assert_eq!(output, self.output_len(), "output");
        for state in [states.hidden, states.cell].into_iter().flatten() {
            assert_eq!(state.len(), self.batch * self.units, "state");
        }
    }
}

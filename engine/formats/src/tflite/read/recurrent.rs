//! `UNIDIRECTIONAL_SEQUENCE_LSTM` and `UNIDIRECTIONAL_SEQUENCE_RNN`: a run begins with states of zeros, as an interpreter does.

use ir::ops::{Cell, Function, Recurrent, Transpose};
use ir::{Constant, ElementType, TensorId};

use super::{Importer, Use};
use crate::FormatError;
use crate::tflite::schema::{SequenceRNNOptions, UnidirectionalSequenceLSTMOptions};
use crate::tflite::window::{RELU, RELU6, TANH};

/// Optional inputs of an LSTM: peepholes, a projection, norms of the gates.
const PEEPHOLES: std::ops::Range<usize> = 9..12;
const PROJECTION: std::ops::Range<usize> = 16..18;
const NORMS: std::ops::Range<usize> = 20..24;

impl Importer {
    /// A layer whose inputs are `[N,T,I]`, weights of all gates in four inputs each.
    pub(super) fn lstm(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let o: UnidirectionalSequenceLSTMOptions = u.options()?;
        let given =
            |range: std::ops::Range<usize>| range.into_iter().any(|i| u.inputs.get(i).copied().flatten().is_some());
        for (range, what) in [
            (PEEPHOLES, "has peepholes"),
            (PROJECTION, "projects its output"),
            (NORMS, "normalizes its gates"),
        ] {
            if given(range) {
                return Err(u.unsupported(what, "convert a network with plain LSTM layers"));
            }
        }
        if !given(1..2) {
            return Err(u.unsupported(
                "couples its input and forget gates",
                "convert a network with plain LSTM layers",
            ));
        }
        if o.cell_clip > 0.0 || o.proj_clip > 0.0 {
            return Err(u.unsupported("clips its states", "convert a network with plain LSTM layers"));
        }
        let weights = self.gates(u, "weights", 1..5)?;
        let recurrent = self.gates(u, "recurrent", 5..9)?;
        let bias = self.gates(u, "bias", 12..16)?;
        let op = Recurrent {
            candidate: function(u, o.fused_activation_function)?,
            ..Recurrent::of(Cell::Lstm)
        };
        self.recurrent(u, op, [weights, recurrent, bias], o.time_major)
    }

    pub(super) fn rnn(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let o: SequenceRNNOptions = u.options()?;
        let op = Recurrent {
            candidate: function(u, o.fused_activation_function)?,
            ..Recurrent::of(Cell::Simple)
        };
        let weights = [u.input(1)?, u.input(2)?, u.input(3)?];
        for id in weights {
            self.float_weights(u, id)?;
        }
        self.recurrent(u, op, weights, o.time_major)
    }

    fn recurrent(
        &mut self,
        u: &Use<'_>,
        op: Recurrent,
        weights: [TensorId; 3],
        time_major: bool,
    ) -> Result<(), FormatError> {
        let swap = || Transpose { perm: vec![1, 0, 2] };
        let mut input = u.input(0)?;
        if self.ty(input).shape.rank() != 3 {
            return Err(u.malformed(format!("reads {}, expected three dimensions", self.ty(input))));
        }
        if !time_major {
            let [a, b, c] = weights;
            return self.push(u, op.into(), &[input, a, b, c], &u.outputs);
        }
        input = self.insert(u, "samples_first", swap().into(), &[input])?;
        let [a, b, c] = weights;
        let made = self.insert(u, "states", op.into(), &[input, a, b, c])?;
        self.push(u, swap().into(), &[made], &u.outputs)
    }

    /// The blocks of the gates one below the other; equal inputs are put together once.
    fn gates(&mut self, u: &Use<'_>, what: &str, inputs: std::ops::Range<usize>) -> Result<TensorId, FormatError> {
        let mut values = Vec::new();
        let mut dims = Vec::new();
        for i in inputs {
            let id = u.input(i)?;
            let block = self.float_weights(u, id)?;
            let shape = block.dims().to_vec();
            if !dims.is_empty() && dims != shape {
                return Err(u.malformed(format!("has gates of {dims:?} and {shape:?}")));
            }
            dims = shape;
            values.extend(block.as_f32().unwrap_or_default().iter().copied());
        }
        let Some(first) = dims.first_mut() else {
            return Err(u.malformed(format!("its {what} are single numbers")));
        };
        *first *= 4;
        let data = Constant::f32(dims, values).ok_or_else(|| u.malformed(format!("its {what} do not fit")))?;
        let name = self.names.unique(&format!("{}/{what}", u.name));
        Ok(self.graph.constant(name, data))
    }

    fn float_weights(&self, u: &Use<'_>, id: TensorId) -> Result<Constant, FormatError> {
        let tensor = self.graph.tensor(id);
        match &tensor.data {
            Some(data) if tensor.ty.element == ElementType::F32 => Ok(data.clone()),
            Some(_) => {
                let problem = format!("its weights `{}` are {}", tensor.name, tensor.ty.element);
                Err(u.unsupported(
                    problem,
                    "convert the float model; recurrent layers are computed in floats",
                ))
            }
            None => Err(u.unsupported(
                format!("its weights `{}` are computed", tensor.name),
                "make them constant",
            )),
        }
    }
}

fn function(u: &Use<'_>, code: i8) -> Result<Function, FormatError> {
    match code {
        TANH => Ok(Function::Tanh),
        RELU => Ok(Function::Relu),
        RELU6 => Ok(Function::Relu6),
        other => {
            let problem = format!("has the activation function {other}");
            Err(u.unsupported(problem, "use tanh, ReLU or ReLU6"))
        }
    }
}

//! Recurrent layers: `UNIDIRECTIONAL_SEQUENCE_LSTM` and `UNIDIRECTIONAL_SEQUENCE_RNN`, whose states are variables of the file.
//!
//! An interpreter keeps them from one run to the next and begins with zeros: who runs sequences that have nothing to do with each other resets
//! its variables in between (`reset_all_variables`), as for every file that TensorFlow's converter makes of such layers.
//! Source: `unidirectional_sequence_lstm.cc`, `unidirectional_sequence_rnn.cc` of LiteRT.

use ir::ops::{Cell, Function, Recurrent};
use ir::{Constant, ElementType, Node, TensorId, TensorType};

use super::ops::{inputs, not_lowered, outputs, place};
use super::{Call, Emitter, FileTensor};
use crate::FormatError;
use crate::tflite::builtin::Builtin;
use crate::tflite::schema::{SequenceRNNOptions, UnidirectionalSequenceLSTMOptions};
use crate::tflite::unsupported;
use crate::tflite::window::{RELU, RELU6, TANH};

/// What is left out.
const NONE: i32 = -1;

impl Emitter<'_> {
    pub(super) fn recurrent(&mut self, node: &Node, op: &Recurrent) -> Result<(), FormatError> {
        let function = match op.candidate {
            Function::Tanh => TANH,
            Function::Relu => RELU,
            Function::Relu6 => RELU6,
            _ => return Err(not_lowered(node)),
        };
        let forward = !op.reverse && !op.last_cell && node.inputs.len() == 4;
        let (builtin, options, inputs) = match op.cell {
            Cell::Simple if forward => {
                let state = self.state(node, "hidden_state");
                let options = SequenceRNNOptions {
                    fused_activation_function: function,
                    ..SequenceRNNOptions::default()
                };
                let mut inputs = inputs(node);
                inputs.push(state);
                (Builtin::UNIDIRECTIONAL_SEQUENCE_RNN, options.into(), inputs)
            }
            Cell::Lstm if forward && op.gate == Function::Sigmoid => {
                let [weights, recurrent, bias] = [1, 2, 3].map(|i| self.gates(node, node.inputs[i]));
                let (weights, recurrent, bias) = (weights?, recurrent?, bias?);
                let [hidden, cell] = ["hidden_state", "cell_state"].map(|what| self.state(node, what));
                let mut inputs = vec![node.inputs[0].index() as i32];
                inputs.extend(weights.into_iter().chain(recurrent));
                // Peepholes; behind the biases a projection, and behind the states norms of the gates.
                inputs.extend([NONE; 3].into_iter().chain(bias));
                inputs.extend([NONE, NONE, hidden, cell].into_iter().chain([NONE; 4]));
                let options = UnidirectionalSequenceLSTMOptions {
                    fused_activation_function: function,
                    ..UnidirectionalSequenceLSTMOptions::default()
                };
                (Builtin::UNIDIRECTIONAL_SEQUENCE_LSTM, options.into(), inputs)
            }
            Cell::Simple | Cell::Lstm | Cell::Gru | Cell::GruResetAfter => return Err(not_lowered(node)),
        };
        self.call(Call {
            builtin,
            options,
            inputs,
            outputs: outputs(node),
        });
        Ok(())
    }

    /// A state `[N,H]` that begins with zeros.
    fn state(&mut self, node: &Node, what: &str) -> i32 {
        let dims = self.graph.tensor(node.output()).ty.shape.dims();
        let shape = [dims[0], dims[dims.len() - 1]];
        self.tensor(FileTensor {
            name: format!("{}/{what}", node.name),
            ty: TensorType::f32(shape),
            quantization: None,
            buffer: 0,
            packed: false,
            open: None,
            sparsity: None,
            variable: true,
        })
    }

    /// The four blocks of a constant, one for each gate: the first takes the place of the constant.
    fn gates(&mut self, node: &Node, id: TensorId) -> Result<[i32; 4], FormatError> {
        if let Some(&made) = self.gates.get(&id) {
            return Ok(made);
        }
        let tensor = self.graph.tensor(id);
        let values = tensor.data.as_ref().and_then(Constant::as_f32);
        let Some(values) = values.filter(|_| tensor.ty.element == ElementType::F32) else {
            let problem = format!("its weights `{}` are not stored as 32-bit floats", tensor.name);
            return Err(unsupported(place(node), problem, "store them as floats"));
        };
        let mut dims = tensor.ty.shape.0.clone();
        dims[0] /= 4;
        let block = |i: usize| {
            let size = values.len() / 4;
            Constant::f32(dims.clone(), values[i * size..][..size].to_vec()).expect("a quarter of the rows")
        };
        let alone = self.graph.consumers(id).all(|reader| {
            let op = &self.graph.node(reader).op;
            matches!(op, ir::Op::Recurrent(op) if op.cell == Cell::Lstm)
        });
        let first = if alone {
            let (at, data) = (id.index(), block(0));
            let buffer = self.tensors[at].buffer;
            self.fill(buffer, data.to_le_bytes());
            self.tensors[at].ty = data.ty();
            at as i32
        } else {
            self.constant(format!("{}/i", tensor.name), &block(0), None)
        };
        let name = &tensor.name;
        let [f, g, o] = [(1, "f"), (2, "g"), (3, "o")].map(|(i, gate)| (format!("{name}/{gate}"), block(i)));
        let [f, g, o] = [f, g, o].map(|(name, data)| self.constant(name, &data, None));
        let made = [first, f, g, o];
        self.gates.insert(id, made);
        Ok(made)
    }
}

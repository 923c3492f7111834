//! Recurrent layers: `RNN`, `LSTM` and `GRU` of one direction, with sequences as `[T,N,I]`, which is what runtimes compute.

use ir::ops::{Activation, Cell, Recurrent};
use ir::{Constant, Node};

use super::values::{Emitter, Lies};
use super::{attributes, place};
use crate::FormatError;
use crate::onnx::unsupported;
use crate::recurrent::{arranged, inverse, onnx_blocks, onnx_name};

impl Emitter<'_> {
    pub fn recurrent(&mut self, node: &Node, op: &Recurrent) -> Result<(), FormatError> {
        let operator = match op.cell {
            Cell::Simple => "RNN",
            Cell::Lstm => "LSTM",
            Cell::Gru | Cell::GruResetAfter => "GRU",
        };
        let units = self.dims(node.output()).last().copied().unwrap_or(0);
        let base = node.name.clone();
        let name = |part: &str| format!("{base}/{part}");
        let x = self.real(node, node.inputs[0], Lies::Plain)?;
        let x = self.inner(
            &name("steps_first"),
            "Transpose",
            &[&x],
            vec![attributes::ints("perm", &[1, 0, 2])],
        );
        let order = inverse(onnx_blocks(op.cell));
        let mut inputs = vec![x];
        for (i, part) in [(1, "W"), (2, "R")] {
            let values = self.floats(node, i)?;
            let rows = op.cell.gates() * units;
            let data = Constant::f32([1, rows, values.len() / rows.max(1)], arranged(&values, &order));
            inputs.push(self.store(&name(part), &data.expect("a verified graph has as many rows")));
        }
        let bias = both_biases(op.cell, &self.floats(node, 3)?, units);
        let rows = op.cell.gates() * units;
        let (ahead, behind) = bias.split_at(rows);
        let bias = [arranged(ahead, &order), arranged(behind, &order)].concat();
        let bias = Constant::f32([1, 2 * rows], bias).expect("two biases for each row");
        inputs.push(self.store(&name("B"), &bias));
        // No lengths of sequences, then the states.
        for (&id, part) in node.inputs[4..].iter().zip(["initial_h", "initial_c"]) {
            if inputs.len() == 4 {
                inputs.push(String::new());
            }
            let state = self.real(node, id, Lies::Plain)?;
            let first = self.integers(&name("directions"), &[0]);
            inputs.push(self.inner(&name(part), "Unsqueeze", &[&state, &first], Vec::new()));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let attribute = functions(node, op, units)?;
        if op.last_cell {
            let cell = self.inner(&name("Y_c"), operator, &inputs, attribute);
            self.third_output(&cell);
            let axes = self.integers(&name("directions"), &[0]);
            return self.put(
                node,
                "Squeeze",
                &[&cell, &axes],
                Vec::new(),
                Lies::Plain,
                Activation::None,
            );
        }
        let y = self.inner(&name("Y"), operator, &inputs, attribute);
        let axes = self.integers(&name("directions"), &[1]);
        let y = self.inner(&name("one_direction"), "Squeeze", &[&y, &axes], Vec::new());
        let perm = vec![attributes::ints("perm", &[1, 0, 2])];
        self.put(node, "Transpose", &[&y], perm, Lies::Plain, Activation::None)
    }

    /// The values of a constant input.
    fn floats(&self, node: &Node, i: usize) -> Result<Vec<f32>, FormatError> {
        let id = node.inputs[i];
        let values = self.constant(id).and_then(Constant::as_f32);
        values.map(<[f32]>::to_vec).ok_or_else(|| {
            let problem = format!(
                "its weights `{}` are not stored as 32-bit floats",
                self.graph.tensor(id).name
            );
            unsupported(place(node), problem, "write the float model")
        })
    }
}

/// Input biases, then recurrent ones, which are zeros but for the candidate of a GRU that resets behind its product.
fn both_biases(cell: Cell, bias: &[f32], units: usize) -> Vec<f32> {
    let rows = cell.gates() * units;
    let mut both = bias[..rows].to_vec();
    match cell {
        Cell::GruResetAfter => {
            both.extend(std::iter::repeat_n(0.0, 2 * units));
            both.extend(&bias[rows..]);
        }
        Cell::Simple | Cell::Lstm | Cell::Gru => both.extend(std::iter::repeat_n(0.0, rows)),
    }
    both
}

fn functions(node: &Node, op: &Recurrent, units: usize) -> Result<Vec<crate::onnx::proto::Attribute>, FormatError> {
    let named = |function: ir::ops::Function| {
        onnx_name(function).ok_or_else(|| {
            let problem = format!(
                "the activation `{}` of a recurrent layer is not in ONNX",
                function.name()
            );
            unsupported(place(node), problem, "write TFLite, where the layer is unrolled")
        })
    };
    let (gate, candidate) = (named(op.gate)?, named(op.candidate)?);
    let all = match op.cell {
        Cell::Simple => vec![candidate],
        Cell::Lstm => vec![gate, candidate, candidate],
        Cell::Gru | Cell::GruResetAfter => vec![gate, candidate],
    };
    let names: Vec<&str> = all.iter().map(|(name, ..)| *name).collect();
    let mut attribute = vec![
        attributes::int("hidden_size", units as i64),
        attributes::texts("activations", &names),
        attributes::text("direction", if op.reverse { "reverse" } else { "forward" }),
    ];
    let alphas: Vec<f32> = all.iter().filter_map(|(_, alpha, _)| *alpha).collect();
    let betas: Vec<f32> = all.iter().filter_map(|(.., beta)| *beta).collect();
    for (name, values) in [("activation_alpha", alphas), ("activation_beta", betas)] {
        if !values.is_empty() {
            attribute.push(attributes::floats(name, &values));
        }
    }
    if matches!(op.cell, Cell::Gru | Cell::GruResetAfter) {
        attribute.push(attributes::int(
            "linear_before_reset",
            i64::from(op.cell == Cell::GruResetAfter),
        ));
    }
    Ok(attribute)
}

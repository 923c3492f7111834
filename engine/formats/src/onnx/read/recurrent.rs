//! Recurrent layers: one operator of the graph for each direction, and what is asked of their states.
//!
//! Sequences are `[T,N,I]` in the file (`[N,T,I]` with `layout`) and `[N,T,I]` here; outputs are brought back into the file's order, with the
//! dimension of directions.

use ir::ops::{Cell, Concat, Function, Recurrent, Reshape, Slice, Transpose};
use ir::{Constant, TensorId};

use super::Node;
use super::values::Importer;
use crate::FormatError;
use crate::onnx::fold;
use crate::onnx::layout::Layout;
use crate::recurrent::{arranged, onnx_blocks, onnx_function};

type Done = Result<(), FormatError>;

pub(super) fn rnn<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    import(importer, node, Cell::Simple)
}

pub(super) fn lstm<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    if node.flag("input_forget") {
        return Err(node.unsupported(
            "couples its input and forget gates",
            "export an LSTM whose gates are apart",
        ));
    }
    let peepholes = importer.known_input(node, 7).map(fold::floats);
    let absent = peepholes
        .as_ref()
        .map_or(node.input(7).is_none(), |p| p.iter().all(|&p| p == 0.0));
    if !absent {
        return Err(node.unsupported(
            "has peepholes (input P)",
            "export an LSTM whose gates do not see the cell state",
        ));
    }
    import(importer, node, Cell::Lstm)
}

pub(super) fn gru<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let cell = if node.flag("linear_before_reset") {
        Cell::GruResetAfter
    } else {
        Cell::Gru
    };
    import(importer, node, cell)
}

/// A layer in all its directions.
struct Layer<'n, 'f> {
    node: &'n Node<'f>,
    cell: Cell,
    /// Whether the file has the samples first.
    batch_first: bool,
    /// For each direction, whether it reads from the end.
    reverse: &'static [bool],
    units: usize,
    batch: usize,
    steps: usize,
}

fn import<'f>(importer: &mut Importer<'f>, node: &Node<'f>, cell: Cell) -> Done {
    let reverse: &[bool] = match node.text("direction", "forward")? {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => {
            let problem = format!("runs `{other}`, expected forward, reverse or bidirectional");
            return Err(node.malformed(problem));
        }
    };
    if node.attribute("clip").is_some() {
        return Err(node.unsupported("clips its sums (`clip`)", "export it without"));
    }
    let batch_first = node.flag("layout");
    let dims = importer.ty(node, 0)?.shape.0;
    let ((&[batch, steps, _], true) | (&[steps, batch, _], false)) = (dims.as_slice(), batch_first) else {
        return Err(node.malformed(format!("its sequences are {dims:?}, expected three dimensions")));
    };
    let lengths = importer.known_ints(node, 4);
    let whole = lengths.map_or(node.input(4).is_none(), |l| {
        l.iter().all(|&l| usize::try_from(l) == Ok(steps))
    });
    if !whole {
        return Err(node.unsupported(
            "takes sequences of several lengths (input sequence_lens)",
            "export it for full sequences",
        ));
    }
    let recurrent = importer.ty(node, 2)?.shape.0;
    let (&[directions, rows, units], true) = (recurrent.as_slice(), recurrent.len() == 3) else {
        return Err(node.malformed(format!("its recurrent weights are {recurrent:?}, expected [D,G·H,H]")));
    };
    let stated = usize::try_from(node.int("hidden_size", units as i64));
    if directions != reverse.len() || rows != cell.gates() * units || stated != Ok(units) {
        let problem =
            format!("its recurrent weights are {recurrent:?}, which is not [D,G·H,H] of its direction and hidden_size");
        return Err(node.malformed(problem));
    }
    let layer = Layer {
        node,
        cell,
        batch_first,
        reverse,
        units,
        batch,
        steps,
    };
    layer.import(importer)
}

impl<'f> Layer<'_, 'f> {
    fn import(&self, importer: &mut Importer<'f>) -> Done {
        let node = self.node;
        let mut input = importer.stated(node, 0)?;
        if !self.batch_first {
            input = importer.inner(node, "samples_first", Transpose { perm: vec![1, 0, 2] }, &[input])?;
        }
        let functions = self.functions()?;
        let (mut sequences, mut hidden, mut cells) = (Vec::new(), Vec::new(), Vec::new());
        for (d, &reverse) in self.reverse.iter().enumerate() {
            let [candidate, gate] = functions[d];
            let mut inputs = vec![input];
            inputs.extend(self.weights(importer, d)?);
            inputs.extend(self.states(importer, d)?);
            let op = Recurrent {
                cell: self.cell,
                gate,
                candidate,
                reverse,
                last_cell: false,
            };
            let what = |part: &str| match self.reverse.len() {
                1 => part.to_owned(),
                _ => format!("{}_{part}", if reverse { "backward" } else { "forward" }),
            };
            let sequence = importer.inner(node, &what("states"), op.clone(), &inputs)?;
            sequences.push(sequence);
            if node.output(1).is_some() {
                let t = if reverse { 0 } else { self.steps - 1 };
                let last = Slice {
                    begin: vec![0, t, 0],
                    end: vec![self.batch, t + 1, self.units],
                    stride: vec![1; 3],
                };
                hidden.push(importer.inner(node, &what("last"), last, &[sequence])?);
            }
            if self.cell == Cell::Lstm && node.output(2).is_some() {
                let last_cell = true;
                let cell = importer.inner(node, &what("cell"), Recurrent { last_cell, ..op }, &inputs)?;
                let shape = vec![self.batch, 1, self.units];
                cells.push(importer.inner(node, &what("cell_row"), Reshape { shape }, &[cell])?);
            }
        }
        self.sequences(importer, &sequences)?;
        for (i, states) in [(1, hidden), (2, cells)] {
            if let (Some(name), false) = (node.output(i), states.is_empty()) {
                self.put(importer, name, &states)?;
            }
        }
        Ok(())
    }

    /// The hidden states of all steps: `[T,D,N,H]`, or `[N,T,D,H]`.
    fn sequences(&self, importer: &mut Importer<'f>, sequences: &[TensorId]) -> Done {
        let Some(name) = self.node.output(0) else { return Ok(()) };
        let mut parts = Vec::new();
        for &sequence in sequences {
            let shape = vec![self.batch, self.steps, 1, self.units];
            parts.push(importer.append(&format!("{name}/direction"), Reshape { shape }, &[sequence], None)?);
        }
        let perm = if self.batch_first {
            vec![0, 1, 2, 3]
        } else {
            vec![1, 2, 0, 3]
        };
        let all = match parts.as_slice() {
            &[one] => one,
            many => importer.append(&format!("{name}/directions"), Concat { axis: 2 }, many, None)?,
        };
        let made = importer.append(name, Transpose { perm }, &[all], None)?;
        importer.set(name, made, Layout::Stated)
    }

    /// States `[N,1,H]` of each direction as the file has them together: `[D,N,H]`, or `[N,D,H]`.
    fn put(&self, importer: &mut Importer<'f>, name: &'f str, states: &[TensorId]) -> Done {
        let all = match states {
            &[one] => one,
            many => importer.append(&format!("{name}/directions"), Concat { axis: 1 }, many, None)?,
        };
        let perm = if self.batch_first { vec![0, 1, 2] } else { vec![1, 0, 2] };
        let made = importer.append(name, Transpose { perm }, &[all], None)?;
        importer.set(name, made, Layout::Stated)
    }

    /// Candidate and gate of each direction.
    fn functions(&self) -> Result<Vec<[Function; 2]>, FormatError> {
        let node = self.node;
        let names = node
            .attribute("activations")
            .map(|a| a.strings.as_slice())
            .unwrap_or_default();
        let list = |name: &str| node.attribute(name).map(|a| a.floats.clone()).unwrap_or_default();
        let (mut alphas, mut betas) = (
            list("activation_alpha").into_iter(),
            list("activation_beta").into_iter(),
        );
        let defaults: &[&str] = match self.cell {
            Cell::Simple => &["Tanh"],
            Cell::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            Cell::Gru | Cell::GruResetAfter => &["Sigmoid", "Tanh"],
        };
        let mut all = Vec::new();
        for d in 0..self.reverse.len() {
            let mut found = Vec::new();
            for (i, default) in defaults.iter().enumerate() {
                let name = match names.get(d * defaults.len() + i) {
                    Some(name) => String::from_utf8_lossy(name).into_owned(),
                    None => (*default).to_owned(),
                };
                let function = onnx_function(&name, || alphas.next(), || betas.next());
                found.push(function.ok_or_else(|| {
                    let fix = "use Sigmoid, Tanh, Relu, HardSigmoid, LeakyRelu, Elu or Softplus";
                    node.unsupported(format!("the activation `{name}` is not read"), fix)
                })?);
            }
            all.push(match *found.as_slice() {
                [candidate] => [candidate, Function::Sigmoid],
                [gate, candidate] => [candidate, gate],
                [gate, candidate, shown] if candidate == shown => [candidate, gate],
                _ => {
                    let problem = "its candidates and its cell state have functions of their own";
                    return Err(node.unsupported(problem, "use the same one for both"));
                }
            });
        }
        Ok(all)
    }

    /// Weights, recurrent weights and bias of a direction, their blocks in the order of [`Cell`].
    fn weights(&self, importer: &mut Importer<'f>, d: usize) -> Result<[TensorId; 3], FormatError> {
        let order = onnx_blocks(self.cell);
        let rows = self.cell.gates() * self.units;
        let matrix = |importer: &mut Importer<'f>, i: usize, what: &str| -> Result<TensorId, FormatError> {
            let values = self.direction(importer, i, d)?;
            let columns = values.len() / rows.max(1);
            let data = Constant::f32([rows, columns], arranged(&values, order));
            let data = data.ok_or_else(|| self.node.malformed(format!("its {what} are no matrix of {rows} rows")))?;
            Ok(importer.made_up(self.node, &format!("{what}{d}"), data))
        };
        let weights = matrix(importer, 1, "weights")?;
        let recurrent = matrix(importer, 2, "recurrent")?;
        let bias = if self.node.input(3).is_some() {
            let both = self.direction(importer, 3, d)?;
            let (ahead, behind) = both.split_at(both.len() / 2);
            let (ahead, behind) = (arranged(ahead, order), arranged(behind, order));
            // The candidate of a GRU that resets behind the product has the two apart.
            let apart = if self.cell == Cell::GruResetAfter {
                2 * self.units
            } else {
                rows
            };
            let sum = |(i, (a, b)): (usize, (&f32, &f32))| if i < apart { a + b } else { *a };
            let mut bias: Vec<f32> = ahead.iter().zip(&behind).enumerate().map(sum).collect();
            bias.extend(behind.iter().skip(apart));
            bias
        } else {
            vec![0.0; self.cell.biases() * self.units]
        };
        let data = Constant::f32([self.cell.biases() * self.units], bias);
        let data = data.ok_or_else(|| self.node.malformed("its bias does not fit its hidden_size"))?;
        let bias = importer.made_up(self.node, &format!("bias{d}"), data);
        Ok([weights, recurrent, bias])
    }

    /// The values of a direction in a stored input.
    fn direction(&self, importer: &Importer<'f>, i: usize, d: usize) -> Result<Vec<f32>, FormatError> {
        let known = importer.known_input(self.node, i).map(fold::floats);
        let known = known.ok_or_else(|| {
            let name = self.node.input(i).unwrap_or_default();
            self.node.unsupported(
                format!("`{name}` is not stored as floats"),
                "store the weights as floats in the model",
            )
        })?;
        let size = known.len() / self.reverse.len();
        Ok(known[d * size..][..size].to_vec())
    }

    /// The states before the first step that are not zeros, each `[N,H]`.
    fn states(&self, importer: &mut Importer<'f>, d: usize) -> Result<Vec<TensorId>, FormatError> {
        let inputs: &[usize] = if self.cell == Cell::Lstm { &[5, 6] } else { &[5] };
        let zeros = |importer: &Importer<'f>, i: usize| {
            let known = importer.known_input(self.node, i).map(fold::floats);
            known.map_or(self.node.input(i).is_none(), |k| k.iter().all(|&v| v == 0.0))
        };
        let Some(last) = inputs.iter().rposition(|&i| !zeros(importer, i)) else {
            return Ok(Vec::new());
        };
        let mut states = Vec::new();
        for &i in &inputs[..=last] {
            let (n, units) = (self.batch, self.units);
            if self.node.input(i).is_none() {
                let data = Constant::f32([n, units], vec![0.0; n * units]).expect("as many zeros");
                states.push(importer.made_up(self.node, &format!("state{i}"), data));
                continue;
            }
            let x = importer.stated(self.node, i)?;
            let what = |part: &str| format!("state{i}_{part}{d}");
            let (along, dims) = if self.batch_first {
                (1, vec![n, 1, units])
            } else {
                (0, vec![1, n, units])
            };
            let mut slice = Slice {
                begin: vec![0; 3],
                end: dims,
                stride: vec![1; 3],
            };
            (slice.begin[along], slice.end[along]) = (d, d + 1);
            let own = if self.reverse.len() > 1 {
                importer.inner(self.node, &what("direction"), slice, &[x])?
            } else {
                x
            };
            states.push(importer.inner(self.node, &what("rows"), Reshape { shape: vec![n, units] }, &[own])?);
        }
        Ok(states)
    }
}

//! File → graph.
//!
//! Element types, quantization and constants are taken as the file says them; shapes of what is computed are inferred,
//! as the runtime does. Shape, axis and padding tensors become attributes. What computes only shapes disappears with
//! them, since a graph has fixed shapes.

mod layout;
mod ops;
mod parts;
mod recurrent;
mod shapes;
mod tensors;
mod truths;
mod windows;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use ir::passes;
use ir::{Graph, Node, Op, Tensor, TensorId, TensorType};

use super::builtin::Builtin;
use super::flatbuffer::Reader;
use super::schema::{Model, Operator, OperatorCode, SubGraph};
use super::{IDENTIFIER, invalid, malformed, unsupported};
use crate::FormatError;

/// The metadata of this name in a `.tflite` file; `None` where there is none, and in what is no such file.
pub fn metadata(bytes: &[u8], name: &str) -> Option<Vec<u8>> {
    if bytes.get(4..8) != Some(IDENTIFIER.as_slice()) {
        return None;
    }
    let model: Model = Reader::root(bytes).ok()?;
    let mut all = model.metadata.iter().flatten();
    let entry = all.find(|entry| entry.name.as_deref() == Some(name))?;
    let buffer = model.buffers.get(entry.buffer as usize)?;
    buffer.data.as_ref().map(|data| data.0.to_vec())
}

/// The tables of a `.tflite` file.
pub(super) fn model(bytes: &[u8]) -> Result<Model<'_>, FormatError> {
    if bytes.get(4..8) != Some(IDENTIFIER.as_slice()) {
        return Err(malformed(
            "head",
            "not a TensorFlow Lite file, which has `TFL3` at bytes 4 to 8",
        ));
    }
    let model: Model = Reader::root(bytes).map_err(|flaw| malformed(flaw.place, flaw.problem))?;
    if model.version != 3 {
        let problem = format!("schema version {}, expected 3", model.version);
        return Err(unsupported(
            "head",
            problem,
            "convert the model again with a current converter",
        ));
    }
    Ok(model)
}

/// The one function that a file may hold.
pub(super) fn only_subgraph<'m>(model: &'m Model<'_>) -> Result<&'m SubGraph, FormatError> {
    let [subgraph] = model.subgraphs.as_slice() else {
        let problem = format!("{} subgraphs, expected one", model.subgraphs.len());
        return Err(unsupported(
            "model",
            problem,
            "export one function, without control flow",
        ));
    };
    Ok(subgraph)
}

/// The graph of a `.tflite` file; a dynamic batch becomes 1, another stays as it is.
///
/// Memory is bounded by the size of the file.
///
/// # Errors
/// Bytes that are no TFLite file, and files with several subgraphs, variables, sparse tensors, element types that the
/// IR does not have, or inputs of unknown size. Operators that the IR does not have become [`ir::ops::Custom`].
pub fn read(bytes: &[u8]) -> Result<Graph, FormatError> {
    let model = model(bytes)?;
    let subgraph = only_subgraph(&model)?;
    let mut importer = Importer::new(bytes, &model, subgraph)?;
    for operator in subgraph.operators.iter().flatten() {
        importer.operator(&model.operator_codes, operator)?;
    }
    let outputs = importer.ids(subgraph.outputs.as_deref().unwrap_or_default(), "outputs")?;
    let mut graph = importer.graph;
    graph.set_outputs(&outputs);
    graph.normalize().map_err(invalid)?;
    graph.verify().map_err(invalid)?;
    passes::dilate(&mut graph).map_err(invalid)?;
    graph.settle_samples();
    Ok(graph)
}

/// The graph so far, and what the file's indices mean in it.
struct Importer {
    graph: Graph,
    /// Tensors of the graph by their index in the file.
    tensors: Vec<TensorId>,
    /// Dimensions of unknown extent, beside the first, where the file leaves any open.
    open: HashMap<TensorId, Vec<usize>>,
    /// Integers that the file computes of shapes.
    computed: HashMap<TensorId, Vec<i64>>,
    /// Tensors that an interpreter keeps from one run to the next.
    variables: HashSet<TensorId>,
    /// Truth values of the file as ones and zeros.
    truths: HashMap<TensorId, TensorId>,
    /// Floats that the file makes truth values of: what is not zero is true.
    conditions: HashMap<TensorId, TensorId>,
    names: Names,
}

/// Names given so far; TFLite demands neither that there are any nor that they differ.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    next: HashMap<String, usize>,
}

impl Names {
    /// `name`, or `name_1`, `name_2`, … : the first that is free.
    fn unique(&mut self, name: &str) -> String {
        if self.taken.insert(name.to_owned()) {
            return name.to_owned();
        }
        let next = self.next.entry(name.to_owned()).or_insert(1);
        loop {
            let candidate = format!("{name}_{next}");
            *next += 1;
            if self.taken.insert(candidate.clone()) {
                return candidate;
            }
        }
    }
}

/// One use of an operator, its indices resolved.
struct Use<'f> {
    builtin: Builtin,
    code: &'f OperatorCode,
    operator: &'f Operator,
    /// `None` is an optional input that is left out.
    inputs: Vec<Option<TensorId>>,
    outputs: Vec<TensorId>,
    /// The name of the first output.
    name: String,
}

impl Importer {
    fn new(bytes: &[u8], model: &Model<'_>, subgraph: &SubGraph) -> Result<Self, FormatError> {
        let mut names = Names::default();
        let mut data = tensors::Data::new(bytes, model);
        let mut tensors = Vec::with_capacity(subgraph.tensors.len());
        for (i, table) in subgraph.tensors.iter().enumerate() {
            let given = table.name.as_deref().filter(|n| !n.is_empty());
            let name = given.map_or_else(|| format!("tensor_{i}"), str::to_owned);
            tensors.push(tensors::tensor(names.unique(&name), table, &mut data)?);
        }
        let mut graph = Graph::new(subgraph.name.clone().unwrap_or_default());
        let mut ids: Vec<Option<TensorId>> = vec![None; tensors.len()];
        for &input in subgraph.inputs.iter().flatten() {
            let index = usize::try_from(input).ok().filter(|&i| i < tensors.len());
            let index = index.ok_or_else(|| malformed("inputs", format!("there is no tensor {input}")))?;
            let (tensor, table) = (&tensors[index], &subgraph.tensors[index]);
            tensors::check_input(tensor, table)?;
            if ids[index].is_some() {
                return Err(malformed(format!("input `{}`", tensor.name), "is listed twice"));
            }
            let id = graph.input(tensor.name.clone(), tensor.ty.clone());
            graph.tensor_mut(id).quantization.clone_from(&tensor.quantization);
            ids[index] = Some(id);
        }
        let tensors = tensors.into_iter().zip(ids);
        let tensors: Vec<TensorId> = tensors
            .map(|(tensor, id)| id.unwrap_or_else(|| graph.push_tensor(tensor)))
            .collect();
        let open = tensors.iter().zip(&subgraph.tensors);
        let open = open
            .map(|(&id, table)| (id, tensors::open_dimensions(table)))
            .filter(|(_, open)| !open.is_empty());
        let variables = tensors.iter().zip(&subgraph.tensors);
        let variables = variables
            .filter(|(_, table)| table.is_variable)
            .map(|(&id, _)| id)
            .collect();
        Ok(Importer {
            graph,
            open: open.collect(),
            computed: HashMap::new(),
            truths: HashMap::new(),
            conditions: HashMap::new(),
            variables,
            tensors,
            names,
        })
    }

    fn id(&self, index: i32, place: &str) -> Result<TensorId, FormatError> {
        let id = usize::try_from(index).ok().and_then(|i| self.tensors.get(i));
        id.copied()
            .ok_or_else(|| malformed(place, format!("there is no tensor {index}")))
    }

    fn ids(&self, indices: &[i32], place: &str) -> Result<Vec<TensorId>, FormatError> {
        indices.iter().map(|&i| self.id(i, place)).collect()
    }

    fn operator(&mut self, codes: &[OperatorCode], operator: &Operator) -> Result<(), FormatError> {
        let code = usize::try_from(operator.opcode_index).ok().and_then(|i| codes.get(i));
        let code = code.ok_or_else(|| malformed("operators", format!("there is no code {}", operator.opcode_index)))?;
        // Old files have the one field, files with new operators the other; the greater one holds.
        let builtin = Builtin(code.builtin_code.max(i32::from(code.deprecated_builtin_code)));
        let place = format!("{} operator", builtin.name());
        let outputs = self.ids(&operator.outputs, &place)?;
        let Some(&first) = outputs.first() else {
            return Err(malformed(place, "has no output"));
        };
        let inputs = operator.inputs.iter();
        let inputs = inputs.map(|&i| {
            if i == -1 {
                Ok(None)
            } else {
                self.id(i, &place).map(Some)
            }
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let name = self.graph.tensor(first).name.clone();
        let read = Use {
            builtin,
            code,
            operator,
            inputs,
            outputs,
            name,
        };
        let states = [
            Builtin::UNIDIRECTIONAL_SEQUENCE_LSTM,
            Builtin::UNIDIRECTIONAL_SEQUENCE_RNN,
        ]
        .contains(&builtin);
        if let Some(&variable) = read.inputs.iter().flatten().find(|id| self.variables.contains(id))
            && !states
        {
            let problem = format!("reads `{}`, a variable", self.graph.tensor(variable).name);
            return Err(read.unsupported(problem, "export the model without state"));
        }
        self.note_truth(&read)?;
        self.import(&read)?;
        self.note_shape(&read);
        Ok(())
    }

    /// Adds a node named after its first output, and gives its outputs the shapes that follow from its inputs.
    fn push(&mut self, place: &Use<'_>, op: Op, inputs: &[TensorId], outputs: &[TensorId]) -> Result<(), FormatError> {
        let inferred = self.infer(place, &op, inputs)?;
        if inferred.len() != outputs.len() {
            let problem = format!("has {} outputs, expected {}", outputs.len(), inferred.len());
            return Err(place.malformed(problem));
        }
        for (&output, ty) in outputs.iter().zip(inferred) {
            self.graph.tensor_mut(output).ty.shape = ty.shape;
        }
        let name = self.graph.tensor(outputs[0]).name.clone();
        self.graph.push_node(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
        });
        Ok(())
    }

    /// Adds a node whose only output is a tensor that the file does not have, quantized like the first of `inputs`.
    fn insert(&mut self, place: &Use<'_>, what: &str, op: Op, inputs: &[TensorId]) -> Result<TensorId, FormatError> {
        let ty = self.infer(place, &op, inputs)?.swap_remove(0);
        let name = self.names.unique(&format!("{}/{what}", place.name));
        let first = inputs.first().map(|&input| self.graph.tensor(input));
        let quantization = first.and_then(|tensor| tensor.quantization.clone());
        let output = self.graph.push_tensor(Tensor {
            name,
            ty,
            quantization,
            data: None,
        });
        self.push(place, op, inputs, &[output])?;
        Ok(output)
    }

    fn infer(&self, place: &Use<'_>, op: &Op, inputs: &[TensorId]) -> Result<Vec<TensorType>, FormatError> {
        let types: Vec<&TensorType> = inputs.iter().map(|&i| &self.graph.tensor(i).ty).collect();
        let fail = |source| {
            invalid(ir::GraphError::Infer {
                node: place.name.clone(),
                op: op.name(),
                source,
            })
        };
        let inferred = op.infer(&types).map_err(fail)?;
        // Extents beyond what the format can say would overflow in arithmetic later on.
        let fits = |ty: &TensorType| ty.shape.dims().iter().all(|&d| i32::try_from(d).is_ok());
        match inferred.iter().find(|ty| !fits(ty)) {
            Some(ty) => Err(place.malformed(format!("makes {ty}, beyond 32-bit dimensions"))),
            None => Ok(inferred),
        }
    }

    fn ty(&self, id: TensorId) -> &TensorType {
        &self.graph.tensor(id).ty
    }
}

impl Use<'_> {
    fn place(&self) -> String {
        format!("node `{}` ({})", self.name, self.builtin.name())
    }

    fn malformed(&self, problem: impl Into<String>) -> FormatError {
        malformed(self.place(), problem)
    }

    fn unsupported(&self, problem: impl Into<String>, fix: &str) -> FormatError {
        unsupported(self.place(), problem, fix)
    }
}

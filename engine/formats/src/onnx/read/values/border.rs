//! Inputs and outputs of the file: their types, which dimension counts samples, and what they are called.

use ir::ops::{Identity, Quantize};
use ir::{ElementType, Graph, Op, Quantization, SampleAxis, Shape, Stated, TensorId, TensorType};

use super::super::ImportOptions;
use super::{Held, Importer, Value};
use crate::FormatError;
use crate::onnx::layout::{self, Layout};
use crate::onnx::{malformed, proto, tensor, unsupported};

impl<'f> Importer<'f> {
    /// Declares the inputs that no initializer gives.
    pub fn inputs(&mut self, file: &'f proto::Graph, options: &ImportOptions) -> Result<(), FormatError> {
        let open: Vec<&proto::ValueInfo> = file
            .input
            .iter()
            .filter(|v| !self.values.contains_key(v.name.as_str()))
            .collect();
        if options.input_shape.is_some() && open.len() != 1 {
            let problem = format!("one input shape was given for {} inputs", open.len());
            return Err(unsupported("inputs", problem, "fix the shapes in the model instead"));
        }
        for value in open {
            let (ty, mut samples) = input_type(value, options.input_shape.as_deref())?;
            let name = self.unique(&value.name);
            let rank = ty.shape.rank();
            let channels_first = rank == 4 && !only_transposed(file, &value.name);
            if let (true, SampleAxis::At(axis)) = (channels_first, &mut samples) {
                *axis = layout::to_first(rank)[*axis];
            }
            let held = if channels_first {
                let dims = layout::permute(ty.shape.dims(), &layout::to_last(rank));
                Held::in_layout(
                    self.graph.input(name, TensorType::new(ty.element, dims)),
                    Layout::ChannelsLast,
                )
            } else {
                Held::stated(self.graph.input(name, ty))
            };
            let stated = Stated {
                samples,
                channels_first,
            };
            self.graph.state(self.graph.inputs().len() - 1, stated);
            if self.values.insert(&value.name, Value::Made(held)).is_some() {
                return Err(malformed(format!("input `{}`", value.name), "is declared twice"));
            }
        }
        Ok(())
    }

    /// The graph with its outputs.
    pub fn finish(mut self, file: &'f proto::Graph) -> Result<Graph, FormatError> {
        let mut outputs = Vec::new();
        for value in &file.output {
            let place = format!("output `{}`", value.name);
            if self.truths.contains(value.name.as_str()) {
                let fix = "return a float that is chosen by it";
                return Err(unsupported(
                    place,
                    "holds truth values, which are not computed with",
                    fix,
                ));
            }
            let held = match self.values.get(value.name.as_str()) {
                None => return Err(malformed(place, "is made by no node")),
                Some(Value::Known(data)) => {
                    let data = tensor::widened(data.clone());
                    let name = self.unique(&value.name);
                    Held::stated(self.graph.constant(name, data))
                }
                Some(Value::Stored(data, quantization)) => {
                    let (data, quantization) = (data.clone(), quantization.clone());
                    Held::stated(self.dequantized(&value.name, data, quantization)?)
                }
                Some(Value::Made(held)) => *held,
            };
            let rank = self.held_type(held).shape.rank();
            let as_stated = rank != 4 || self.before_transpose.contains(value.name.as_str());
            let id = if as_stated {
                self.in_stated(held)
            } else {
                self.in_last(held)
            };
            let id = self.unsigned_output(value, id?)?;
            // An output of its own keeps its name: what is an input, or returned under another name already, is copied.
            let known = self.graph.inputs().contains(&id) || outputs.contains(&id);
            outputs.push(if known && self.graph.tensor(id).name != value.name {
                let quantization = self.graph.tensor(id).quantization.clone();
                self.append(&value.name, Identity {}, &[id], quantization)?
            } else {
                id
            });
        }
        // The border keeps the file's names.
        for (value, &id) in file.output.iter().zip(&outputs) {
            let current = self.graph.tensor(id).name.clone();
            if current != value.name
                && outputs.iter().filter(|&&o| o == id).count() == 1
                && !self.graph.inputs().contains(&id)
            {
                if let Some(other) = self.graph.find(&value.name) {
                    self.graph.tensor_mut(other).name.clone_from(&current);
                }
                self.graph.tensor_mut(id).name.clone_from(&value.name);
            }
        }
        self.graph.set_outputs(&outputs);
        self.copies_mean_what_they_copy();
        Ok(self.graph)
    }

    /// Integers that are copied are read as those that they are copied from, whoever said how.
    fn copies_mean_what_they_copy(&mut self) {
        let copies = self
            .graph
            .nodes()
            .iter()
            .filter(|node| matches!(node.op, Op::Identity(_)));
        let copies: Vec<(TensorId, TensorId)> = copies.map(|node| (node.inputs[0], node.output())).collect();
        for (from, to) in copies {
            if self.graph.tensor(to).quantization.is_none() {
                let meaning = self.graph.tensor(from).quantization.clone();
                self.graph.tensor_mut(to).quantization = meaning;
            }
        }
    }

    /// Signed bytes turned back into the unsigned ones that the file declares for an output.
    fn unsigned_output(&mut self, value: &proto::ValueInfo, id: TensorId) -> Result<TensorId, FormatError> {
        let declared = value.ty.as_ref().and_then(|ty| ty.tensor.as_ref()).map(|t| t.element);
        let tensor = self.graph.tensor(id);
        match &tensor.quantization {
            Some(q) if declared == Some(proto::data_type::UINT8) && tensor.ty.element == ElementType::I8 => {
                let zero_points = q.zero_points.iter().map(|z| z + 128).collect();
                let unsigned = Quantization {
                    zero_points,
                    ..q.clone()
                };
                self.append(&value.name, Quantize { to: ElementType::U8 }, &[id], Some(unsigned))
            }
            _ => Ok(id),
        }
    }
}

/// Whether an input is read by nothing but transposes to channels first: then the file states it channels-last.
fn only_transposed(file: &proto::Graph, name: &str) -> bool {
    let mut readers = file
        .node
        .iter()
        .filter(|n| n.input.iter().any(|i| i == name))
        .peekable();
    let to_first = |node: &proto::Node| {
        let perm = node.attribute.iter().find(|a| a.name == "perm");
        node.op_type == "Transpose" && perm.is_some_and(|p| p.ints == [0, 3, 1, 2])
    };
    readers.peek().is_some() && readers.all(to_first) && file.output.iter().all(|o| o.name != name)
}

/// The type of an input, and where its samples are: an open batch becomes 1, other open dimensions are taken from `given`, which
/// states one sample, or the whole input where that counts no samples.
fn input_type(value: &proto::ValueInfo, given: Option<&[usize]>) -> Result<(TensorType, SampleAxis), FormatError> {
    let place = format!("input `{}`", value.name);
    let tensor = value.ty.as_ref().and_then(|ty| ty.tensor.as_ref());
    let tensor = tensor.ok_or_else(|| unsupported(&place, "is no tensor", "sequences and maps are not read"))?;
    let element = tensor::element(tensor.element).ok_or_else(|| {
        let problem = format!("has elements of type {}", proto::data_type::name(tensor.element));
        unsupported(&place, problem, "numbers of 4 to 64 bits are read")
    })?;
    // Half precision is stored only; what computes on it is computed in 32 bits.
    let element = if element == ElementType::F16 {
        ElementType::F32
    } else {
        element
    };
    let declared: Vec<Option<i64>> = if let Some(shape) = &tensor.shape {
        shape.dim.iter().map(|d| d.value.filter(|&v| v > 0)).collect()
    } else {
        let rank = given.ok_or_else(|| open(&place, "has no declared shape"))?.len() + 1;
        vec![None; rank]
    };
    let text: Vec<String> = declared
        .iter()
        .map(|d| d.map_or("?".to_owned(), |d| d.to_string()))
        .collect();
    let text = text.join(",");
    let whole = given.is_some_and(|given| given.len() == declared.len());
    let batch = if whole {
        None
    } else {
        batch_dimension(tensor, &declared)
    };
    let mut of_sample = given.map(|given| given.iter().map(|&g| g as i64));
    let mut dims = Vec::new();
    let mut agrees = given.is_none_or(|given| whole || given.len() + 1 == declared.len());
    for (i, &d) in declared.iter().enumerate() {
        // The given shape has no extent for the dimension that counts samples.
        let counts = i == batch.unwrap_or(0) && !whole;
        let given = of_sample.as_mut().filter(|_| !counts).and_then(Iterator::next);
        agrees &= given.is_none_or(|g| g > 0 && d.is_none_or(|d| d == g));
        dims.push(d.or(given).or((Some(i) == batch).then_some(1)));
    }
    if let (false, Some(given)) = (agrees, given) {
        let problem = format!("the given shape of a sample {given:?} does not fit the declared [{text}]");
        return Err(malformed(place, problem));
    }
    let samples = match batch {
        _ if whole => SampleAxis::Nowhere,
        Some(axis @ 1..) => SampleAxis::At(axis),
        _ => SampleAxis::First,
    };
    let dims: Option<Vec<i64>> = dims.into_iter().collect();
    let dims = dims.ok_or_else(|| open(&place, &format!("is [{text}]")))?;
    let shape: Shape = tensor::shape(&dims)
        .ok_or_else(|| malformed(&place, format!("is [{text}], too large to be counted in 32 bits")))?;
    Ok((TensorType::new(element, shape), samples))
}

/// The open dimension that counts samples: the one that is named so, else the first.
fn batch_dimension(tensor: &proto::TensorTypeInfo, declared: &[Option<i64>]) -> Option<usize> {
    let mut dims = tensor.shape.iter().flat_map(|shape| &shape.dim).enumerate();
    let named = |(i, dim): (usize, &proto::Dimension)| {
        let name = dim.param.as_deref().unwrap_or_default().to_ascii_lowercase();
        let batch = name.contains("batch") || matches!(name.as_str(), "n" | "b" | "bs");
        (batch && declared[i].is_none()).then_some(i)
    };
    let first = (declared.first() == Some(&None)).then_some(0);
    dims.find_map(named).or(first)
}

fn open(place: &str, problem: &str) -> FormatError {
    let fix = "give the size of one sample as `input-shape` (`--input-shape`), in the file's order ([channels, height, width])";
    unsupported(place, problem, fix)
}

//! The graph being built, and what the names of the file mean in it.

use std::collections::{HashMap, HashSet};

use ir::ops::{Dequantize, Identity, Quantize, Reshape, Split, Transpose};
use ir::{Constant, ElementType, Graph, Op, Quantization, SampleAxis, Shape, Stated, Tensor, TensorId, TensorType};

use super::{ImportOptions, Node};
use crate::FormatError;
use crate::onnx::layout::{self, Layout};
use crate::onnx::{fold, fold_size, invalid, malformed, proto, tensor, unsupported};

/// A tensor of the graph in one of two layouts, or in both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    stated: Option<TensorId>,
    last: Option<TensorId>,
}

impl Held {
    pub fn stated(id: TensorId) -> Self {
        Held {
            stated: Some(id),
            last: None,
        }
    }

    pub fn in_layout(id: TensorId, layout: Layout) -> Self {
        match layout {
            Layout::Stated => Held::stated(id),
            Layout::ChannelsLast => Held {
                stated: None,
                last: Some(id),
            },
        }
    }
}

/// What a name of the file stands for.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A constant that is not in the graph until an operator reads it.
    Known(Constant),
    /// What is stored behind a `Dequantize`: quantized integers, or half-precision numbers without a scale.
    Stored(Constant, Option<Quantization>),
    /// What a node makes, or an input.
    Made(Held),
}

/// The graph being built.
pub(super) struct Importer<'f> {
    pub graph: Graph,
    pub values: HashMap<&'f str, Value>,
    /// Constants in the graph, by name and layout in the file.
    constants: HashMap<(&'f str, Layout), TensorId>,
    /// Stored integers in the graph by name, and what they are dequantized to.
    stored: HashMap<&'f str, (TensorId, TensorId)>,
    /// Declared types by name.
    declared: HashMap<&'f str, &'f proto::Type>,
    names: HashSet<String>,
    node_names: HashSet<String>,
    next: HashMap<String, usize>,
    /// The nodes of the graph that make tensors.
    made_by: HashMap<TensorId, usize>,
    /// Tensors that are another one in the other layout.
    views: HashSet<TensorId>,
    /// What a stored value is called in the file before it is dequantized.
    pub stored_names: HashMap<&'f str, &'f str>,
    /// Values that the file makes by a transpose to channels last: at the border they are meant so.
    pub before_transpose: HashSet<&'f str>,
    /// Values that are zeros and ones, for the file's truth values.
    pub truths: HashSet<&'f str>,
    /// Truth values that say where a value is above a number.
    pub above: HashMap<&'f str, (&'f str, f32)>,
    /// Elements that may still be folded.
    pub room: usize,
    /// The version of each domain's operators.
    pub versions: HashMap<String, i64>,
}

impl<'f> Importer<'f> {
    pub fn new(graph: &'f proto::Graph) -> Self {
        let declared = graph.value_info.iter().chain(&graph.output);
        Importer {
            graph: Graph::new(graph.name.clone()),
            values: HashMap::new(),
            constants: HashMap::new(),
            stored: HashMap::new(),
            declared: declared
                .filter_map(|v| Some((v.name.as_str(), v.ty.as_ref()?)))
                .collect(),
            names: HashSet::new(),
            node_names: HashSet::new(),
            next: HashMap::new(),
            made_by: HashMap::new(),
            views: HashSet::new(),
            stored_names: HashMap::new(),
            truths: HashSet::new(),
            above: HashMap::new(),
            before_transpose: HashSet::new(),
            room: fold_size::ROOM,
            versions: HashMap::new(),
        }
    }

    /// The name of a node: its own, or that of its first output.
    pub fn node_name(proto: &proto::Node) -> String {
        if proto.name.is_empty() {
            proto
                .output
                .iter()
                .find(|name| !name.is_empty())
                .unwrap_or(&proto.op_type)
                .clone()
        } else {
            proto.name.clone()
        }
    }

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

    /// `name`, or the first free of `name_1`, `name_2`, … .
    fn unique(&mut self, name: &str) -> String {
        free(&mut self.names, &mut self.next, name)
    }

    /// The constant behind a name.
    pub fn known(&self, name: &str) -> Option<&Constant> {
        match self.values.get(name) {
            Some(Value::Known(constant)) => Some(constant),
            _ => None,
        }
    }

    /// The constant at an input; `None` where there is none or it is computed.
    pub fn known_input(&self, node: &Node<'_>, i: usize) -> Option<&Constant> {
        self.known(node.input(i)?)
    }

    /// The integers at an input that must be known.
    pub fn known_ints(&self, node: &Node<'_>, i: usize) -> Option<Vec<i64>> {
        fold::ints(self.known_input(node, i)?)
    }

    /// The single number at an input, `None` where it is left out.
    pub fn number(&self, node: &Node<'_>, i: usize) -> Result<Option<f32>, FormatError> {
        let Some(name) = node.input(i) else { return Ok(None) };
        let known = self.known(name).filter(|c| c.len() == 1).map(|c| fold::floats(c)[0]);
        let known =
            known.ok_or_else(|| node.unsupported(format!("`{name}` is not one constant number"), "make it one"))?;
        Ok(Some(known))
    }

    pub fn value(&self, node: &Node<'_>, i: usize) -> Result<&Value, FormatError> {
        let name = node
            .input(i)
            .ok_or_else(|| node.malformed(format!("has no input {i}")))?;
        self.values
            .get(name)
            .ok_or_else(|| node.malformed(format!("reads `{name}`, which nothing provides")))
    }

    /// The type of an input as the file states it.
    pub fn ty(&self, node: &Node<'_>, i: usize) -> Result<TensorType, FormatError> {
        Ok(match self.value(node, i)? {
            Value::Known(constant) | Value::Stored(constant, _) => constant.ty(),
            Value::Made(held) => self.held_type(*held),
        })
    }

    fn held_type(&self, held: Held) -> TensorType {
        match held {
            Held { stated: Some(id), .. } => self.graph.tensor(id).ty.clone(),
            Held { last: Some(id), .. } => {
                let ty = &self.graph.tensor(id).ty;
                let dims = ty.shape.dims();
                TensorType::new(ty.element, layout::permute(dims, &layout::to_first(dims.len())))
            }
            Held {
                stated: None,
                last: None,
            } => unreachable!("a value is held in one layout at least"),
        }
    }

    /// Whether an input is at hand channels-last without a transpose that the file does not have.
    pub fn is_last(&self, node: &Node<'_>, i: usize) -> bool {
        matches!(self.value(node, i), Ok(Value::Made(Held { last: Some(_), .. })))
    }

    /// An input as a tensor of the graph, as the file states it.
    pub fn stated(&mut self, node: &Node<'f>, i: usize) -> Result<TensorId, FormatError> {
        match self.value(node, i)?.clone() {
            Value::Known(data) => self.constant(node, i, Layout::Stated, |_| Some(data)),
            Value::Stored(data, _) => {
                let dims = data.dims().to_vec();
                self.weights(node, i, &dims, &(0..dims.len()).collect::<Vec<_>>())
            }
            Value::Made(held) => {
                let id = self.in_stated(held)?;
                self.remember(
                    node,
                    i,
                    Held {
                        stated: Some(id),
                        ..held
                    },
                );
                Ok(id)
            }
        }
    }

    /// An input of rank 3 or more as a tensor of the graph, channels-last.
    pub fn last(&mut self, node: &Node<'f>, i: usize) -> Result<TensorId, FormatError> {
        let rank = self.ty(node, i)?.shape.rank();
        if rank < 3 {
            return Err(node.malformed(format!("input {i} has {rank} dimensions, expected [N,C,…]")));
        }
        match self.value(node, i)?.clone() {
            Value::Known(data) => {
                self.constant(node, i, Layout::ChannelsLast, |_| data.permuted(&layout::to_last(rank)))
            }
            Value::Stored(data, _) => self.weights(node, i, data.dims(), &layout::to_last(rank)),
            Value::Made(held) => {
                let id = self.in_last(held)?;
                self.remember(node, i, Held { last: Some(id), ..held });
                Ok(id)
            }
        }
    }

    pub fn input_in(&mut self, node: &Node<'f>, i: usize, layout: Layout) -> Result<TensorId, FormatError> {
        match layout {
            Layout::Stated => self.stated(node, i),
            Layout::ChannelsLast => self.last(node, i),
        }
    }

    fn remember(&mut self, node: &Node<'f>, i: usize, held: Held) {
        if let Some(name) = node.input(i) {
            self.values.insert(name, Value::Made(held));
        }
    }

    fn in_stated(&mut self, held: Held) -> Result<TensorId, FormatError> {
        match (held.stated, held.last) {
            (Some(id), _) => Ok(id),
            (None, Some(id)) => self.transposed(id, "first", layout::to_first),
            (None, None) => unreachable!("a value is held in one layout at least"),
        }
    }

    fn in_last(&mut self, held: Held) -> Result<TensorId, FormatError> {
        match (held.last, held.stated) {
            (Some(id), _) => Ok(id),
            (None, Some(id)) => self.transposed(id, "last", layout::to_last),
            (None, None) => unreachable!("a value is held in one layout at least"),
        }
    }

    /// A tensor in the other layout: by a reshape where that does not change the order of its elements.
    fn transposed(&mut self, id: TensorId, what: &str, perm: fn(usize) -> Vec<usize>) -> Result<TensorId, FormatError> {
        // Integers are moved before they are dequantized, so that what reads them can stay in integers.
        if let Some(ir::Node {
            op: Op::Dequantize(_),
            inputs,
            ..
        }) = self.producer(id)
            && self.graph.tensor(inputs[0]).data.is_none()
        {
            let integers = inputs[0];
            let moved = self.transposed(integers, what, perm)?;
            let name = format!("{}/{what}", self.graph.tensor(id).name);
            return self.append(&name, Dequantize {}, &[moved], None);
        }
        let tensor = self.graph.tensor(id);
        let dims = tensor.ty.shape.dims().to_vec();
        let perm = perm(dims.len());
        let moved: Vec<usize> = perm.iter().copied().filter(|&p| dims[p] != 1).collect();
        let op: Op = if moved.is_sorted() {
            Reshape {
                shape: layout::permute(&dims, &perm),
            }
            .into()
        } else {
            Transpose { perm }.into()
        };
        let (name, quantization) = (format!("{}/{what}", tensor.name), tensor.quantization.clone());
        let view = self.append(&name, op, &[id], quantization)?;
        self.views.insert(view);
        Ok(view)
    }

    /// Whether a tensor is another one in the other layout.
    pub fn is_view(&self, id: TensorId) -> bool {
        self.views.contains(&id)
    }

    /// The node that makes a tensor.
    pub fn producer(&self, id: TensorId) -> Option<&ir::Node> {
        self.made_by.get(&id).map(|&i| &self.graph.nodes()[i])
    }

    /// Whether a tensor is a constant of one element near `value`.
    pub fn is_number(&self, id: TensorId, value: f32) -> bool {
        let known = self.graph.constant_data(id).and_then(Constant::as_f32);
        matches!(known, Some(&[number]) if (number - value).abs() <= 1e-4 * value.abs())
    }

    /// Whether an input is stored in the file, in floats or in integers.
    pub fn is_stored(&self, node: &Node<'_>, i: usize) -> bool {
        matches!(self.value(node, i), Ok(Value::Known(_) | Value::Stored(..)))
    }

    /// The integers at an input that is stored in them.
    pub fn stored_input(&self, node: &Node<'_>, i: usize) -> Option<Constant> {
        match self.value(node, i) {
            Ok(Value::Stored(data, Some(_))) => Some(data.clone()),
            _ => None,
        }
    }

    /// Scales and zero points of an input that is stored in integers.
    pub fn stored_meaning(&self, node: &Node<'_>, i: usize) -> Option<&Quantization> {
        match self.value(node, i) {
            Ok(Value::Stored(_, meaning)) => meaning.as_ref(),
            _ => None,
        }
    }

    /// Stored weights in the shape `dims`, then permuted: a constant, or integers (or halves) behind a `Dequantize`.
    pub fn weights(
        &mut self,
        node: &Node<'f>,
        i: usize,
        dims: &[usize],
        perm: &[usize],
    ) -> Result<TensorId, FormatError> {
        let layout = if perm.is_sorted() {
            Layout::Stated
        } else {
            Layout::ChannelsLast
        };
        let Value::Stored(data, quantization) = self.value(node, i)?.clone() else {
            return self.constant(node, i, layout, |c| c.reshaped(dims)?.permuted(perm));
        };
        let name = node
            .input(i)
            .ok_or_else(|| node.malformed(format!("has no input {i}")))?;
        let wrong = || node.malformed(format!("`{name}` does not fit"));
        let own = data.dims().to_vec();
        let data = data.reshaped(dims).and_then(|d| d.permuted(perm)).ok_or_else(wrong)?;
        let quantization = match quantization {
            Some(blocks) if blocks.block.is_some() => {
                if own != dims {
                    return Err(node.unsupported(
                        format!("`{name}` has scales for blocks, and is reshaped"),
                        "store the weights in the shape that the operator takes",
                    ));
                }
                Some(blocks.permuted(dims, perm))
            }
            Some(Quantization {
                scales,
                zero_points,
                axis: Some(axis),
                block,
            }) => {
                // Extents of 1 that were put in do not move a dimension from its place among the others.
                let reshaped = if own == dims {
                    Some(axis)
                } else {
                    dims.iter().position(|&d| d == own[axis])
                };
                let axis = perm.iter().position(|&p| Some(p) == reshaped).ok_or_else(wrong)?;
                Some(Quantization {
                    scales,
                    zero_points,
                    axis: Some(axis),
                    block,
                })
            }
            other => other,
        };
        self.dequantized(name, data, quantization)
    }

    /// A stored input as it is broadcast against channels-last tensors of `rank`.
    pub fn broadcast(&mut self, node: &Node<'f>, i: usize, rank: usize) -> Result<TensorId, FormatError> {
        let perm = layout::to_last(rank);
        match self.value(node, i)?.clone() {
            Value::Stored(data, Some(quantization)) if quantization.axis.is_none() => {
                let name = node.input(i).unwrap_or_default();
                let wrong = || node.malformed(format!("`{name}` does not fit"));
                let data = layout::broadcast_constant(&data, rank, &perm).ok_or_else(wrong)?;
                self.dequantized(name, data, Some(quantization))
            }
            _ => self.constant(node, i, Layout::ChannelsLast, |c| {
                layout::broadcast_constant(c, rank, &perm)
            }),
        }
    }

    /// A stored constant and the `Dequantize` behind it, shared where the same was asked for before.
    fn dequantized(
        &mut self,
        name: &'f str,
        data: Constant,
        quantization: Option<Quantization>,
    ) -> Result<TensorId, FormatError> {
        let fits = |t: &Tensor| t.data.as_ref() == Some(&data) && t.quantization == quantization;
        if let Some(shared) = self
            .stored
            .get(name)
            .filter(|&&(stored, _)| fits(self.graph.tensor(stored)))
        {
            return Ok(shared.1);
        }
        let base = self
            .stored_names
            .get(name)
            .map_or_else(|| format!("{name}/stored"), |&own| own.to_owned());
        let unique = self.unique(&base);
        let stored = self.graph.push_tensor(Tensor {
            name: unique,
            ty: data.ty(),
            quantization,
            data: Some(data),
        });
        let output = self.append(name, Dequantize {}, &[stored], None)?;
        self.stored.insert(name, (stored, output));
        Ok(output)
    }

    /// Says how the integers of a tensor are to be read; it must not have been said otherwise before.
    pub fn mean(&mut self, node: &Node<'f>, id: TensorId, quantization: Quantization) -> Result<(), FormatError> {
        let tensor = self.graph.tensor_mut(id);
        match &tensor.quantization {
            None => {
                tensor.quantization = Some(quantization);
                Ok(())
            }
            Some(known) if *known == quantization => Ok(()),
            Some(_) => {
                let problem = format!(
                    "reads `{}` with another scale or zero point than it was made with",
                    tensor.name
                );
                Err(node.unsupported(problem, "quantize and dequantize with the same parameters"))
            }
        }
    }

    /// Parts of a tensor that the file does not name.
    pub fn split(&mut self, node: &Node<'f>, what: &str, op: Split, x: TensorId) -> Result<Vec<TensorId>, FormatError> {
        let name = format!("{}/{what}", node.first_output()?);
        let op = Op::Split(op);
        let node = free(&mut self.node_names, &mut self.next, &name);
        let types = self.infer(&node, &op, &[x])?;
        let mut outputs = Vec::new();
        for (i, ty) in types.into_iter().enumerate() {
            let name = self.unique(&format!("{name}{i}"));
            outputs.push(self.graph.push_tensor(Tensor {
                name,
                ty,
                quantization: None,
                data: None,
            }));
        }
        self.push(ir::Node {
            name: node,
            op,
            inputs: vec![x],
            outputs: outputs.clone(),
        });
        Ok(outputs)
    }

    fn push(&mut self, node: ir::Node) {
        let at = self.graph.nodes().len();
        self.made_by.extend(node.outputs.iter().map(|&o| (o, at)));
        self.graph.push_node(node);
    }

    /// Adds a node with one output that the file does not have.
    pub fn append(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        inputs: &[TensorId],
        q: Option<Quantization>,
    ) -> Result<TensorId, FormatError> {
        let op = op.into();
        let node = free(&mut self.node_names, &mut self.next, name);
        let ty = self.infer(&node, &op, inputs)?.swap_remove(0);
        let name = self.unique(name);
        let output = self.graph.push_tensor(Tensor {
            name,
            ty,
            quantization: q,
            data: None,
        });
        self.push(ir::Node {
            name: node,
            op,
            inputs: inputs.to_vec(),
            outputs: vec![output],
        });
        Ok(output)
    }

    /// A step on the way to the output of a node.
    pub fn inner(
        &mut self,
        node: &Node<'f>,
        what: &str,
        op: impl Into<Op>,
        inputs: &[TensorId],
    ) -> Result<TensorId, FormatError> {
        let name = format!("{}/{what}", node.asked_output()?);
        self.append(&name, op, inputs, None)
    }

    fn infer(&self, node: &str, op: &Op, inputs: &[TensorId]) -> Result<Vec<TensorType>, FormatError> {
        let types: Vec<&TensorType> = inputs.iter().map(|&i| &self.graph.tensor(i).ty).collect();
        let fail = |source| {
            invalid(ir::GraphError::Infer {
                node: node.to_owned(),
                op: op.name(),
                source,
            })
        };
        let made = op.infer(&types).map_err(fail)?;
        let fits = |ty: &TensorType| i32::try_from(ty.shape.elements()).is_ok();
        match made.iter().find(|ty| !fits(ty)) {
            Some(ty) => Err(malformed(
                format!("node `{node}`"),
                format!("makes {ty}, too large to be counted in 32 bits"),
            )),
            None => Ok(made),
        }
    }

    /// Adds the node of the graph that stands for `node`; outputs that nobody asks for are named after it.
    pub fn add(
        &mut self,
        node: &Node<'f>,
        op: impl Into<Op>,
        inputs: &[TensorId],
        outputs: &[Option<&'f str>],
    ) -> Result<Vec<TensorId>, FormatError> {
        let op = op.into();
        let types = self.infer(&node.name, &op, inputs)?;
        let name = free(&mut self.node_names, &mut self.next, &node.name);
        let mut made = Vec::new();
        for (i, ty) in types.into_iter().enumerate() {
            let base = outputs
                .get(i)
                .copied()
                .flatten()
                .map_or_else(|| format!("{name}:{i}"), str::to_owned);
            let name = self.unique(&base);
            made.push(self.graph.push_tensor(Tensor {
                name,
                ty,
                quantization: None,
                data: None,
            }));
        }
        self.push(ir::Node {
            name,
            op,
            inputs: inputs.to_vec(),
            outputs: made.clone(),
        });
        Ok(made)
    }

    /// [`Importer::add`] for the usual node: one output, which becomes the value of that name.
    pub fn put(
        &mut self,
        node: &Node<'f>,
        op: impl Into<Op>,
        inputs: &[TensorId],
        layout: Layout,
    ) -> Result<TensorId, FormatError> {
        let output = node.first_output()?;
        let made = self.add(node, op, inputs, &[Some(output)])?;
        let id = made[0];
        self.set(output, id, layout)?;
        Ok(id)
    }

    pub fn set(&mut self, name: &'f str, id: TensorId, layout: Layout) -> Result<(), FormatError> {
        match self.values.insert(name, Value::Made(Held::in_layout(id, layout))) {
            None => Ok(()),
            Some(_) => Err(malformed(format!("value `{name}`"), "is made twice")),
        }
    }

    /// A further name for a value.
    pub fn alias(&mut self, node: &Node<'f>, i: usize) -> Result<(), FormatError> {
        let value = self.value(node, i)?.clone();
        self.values.insert(node.first_output()?, value);
        Ok(())
    }

    /// A constant input in some form, named after the input; readers that ask for it in the same layout share it.
    pub fn constant(
        &mut self,
        node: &Node<'f>,
        i: usize,
        layout: Layout,
        form: impl FnOnce(&Constant) -> Option<Constant>,
    ) -> Result<TensorId, FormatError> {
        let name = node
            .input(i)
            .ok_or_else(|| node.malformed(format!("has no input {i}")))?;
        let data = match self.value(node, i)? {
            Value::Known(data) => data.clone(),
            Value::Stored(data, quantization) => real(data, quantization.as_ref()),
            Value::Made(_) => {
                let fix = "simplify the model, so that it is stored";
                return Err(node.unsupported(format!("`{name}` is computed, expected a constant"), fix));
            }
        };
        let (element, data) = (data.element(), form(&data));
        let data = data
            .map(tensor::widened)
            .ok_or_else(|| node.malformed(format!("`{name}` ({element}) does not fit")))?;
        if let Some(&id) = self.constants.get(&(name, layout))
            && self.graph.constant_data(id) == Some(&data)
        {
            return Ok(id);
        }
        let unique = self.unique(name);
        let id = self.graph.constant(unique, data);
        self.constants.insert((name, layout), id);
        Ok(id)
    }

    /// A constant that the file does not have under a name of its own.
    pub fn made_up(&mut self, node: &Node<'f>, what: &str, data: Constant) -> TensorId {
        let name = self.unique(&format!("{}/{what}", node.name));
        self.graph.constant(name, data)
    }

    /// A 32-bit float constant of one element.
    pub fn scalar(&mut self, node: &Node<'f>, what: &str, value: f32) -> TensorId {
        self.made_up(node, what, Constant::f32([1], vec![value]).expect("one value"))
    }

    /// The declared type of a value, its open leading dimension 1.
    pub fn declared(&self, name: &str) -> Option<TensorType> {
        let tensor = self.declared.get(name)?.tensor.as_ref()?;
        let dims = tensor.shape.as_ref()?.dim.iter().enumerate();
        let dims = dims.map(|(i, d)| d.value.filter(|&v| v > 0).or((i == 0).then_some(1)));
        let shape = tensor::shape(&dims.collect::<Option<Vec<i64>>>()?)?;
        Some(TensorType::new(tensor::element(tensor.element)?, shape))
    }
}

/// The real numbers that a stored constant means.
fn real(data: &Constant, quantization: Option<&Quantization>) -> Constant {
    let Some(quantization) = quantization else {
        return tensor::widened(data.clone());
    };
    let pair = |i: usize| quantization.of_element(data.dims(), i);
    let values = fold::ints(data).unwrap_or_default().into_iter().enumerate();
    let values = values.map(|(i, q)| pair(i).map_or(0.0, |params| params.dequantize(q as i32)));
    Constant::f32(data.dims(), values.collect()).expect("as many values as before")
}

/// `name`, or `name_1`, `name_2`, … : the first that is free.
fn free(taken: &mut HashSet<String>, next: &mut HashMap<String, usize>, name: &str) -> String {
    if taken.insert(name.to_owned()) {
        return name.to_owned();
    }
    let next = next.entry(name.to_owned()).or_insert(1);
    loop {
        let candidate = format!("{name}_{next}");
        *next += 1;
        if taken.insert(candidate.clone()) {
            return candidate;
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

//! The file being written, and the names of the graph's tensors in it.

use std::collections::{HashMap, HashSet};

use ir::ops::Activation;
use ir::{Constant, ElementType, Graph, Node, Op, Place, Quantization, Samples, Scale, TensorId, TensorType};

use super::{Profile, WriteOptions, attributes, place};
use crate::onnx::{layout, proto, tensor, unsupported};
use crate::{FormatError, int4};

/// How a tensor of rank 4 lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lies {
    /// As in the graph: channels last.
    Plain,
    /// Channels first.
    First,
}

impl Lies {
    /// Where a dimension of a graph's tensor lies in the file.
    pub fn axis(self, rank: usize, axis: usize) -> usize {
        match (self, axis) {
            (Lies::Plain, _) | (Lies::First, 0) => axis,
            (Lies::First, a) if a == rank - 1 => 1,
            (Lies::First, a) => a + 1,
        }
    }

    /// One value for each dimension, in the file's order.
    pub fn ordered<T: Clone>(self, values: &[T]) -> Vec<T> {
        match self {
            Lies::Plain => values.to_vec(),
            Lies::First => layout::permute(values, &layout::to_first(values.len())),
        }
    }
}

/// A file so far.
pub(super) struct Emitter<'g> {
    pub graph: &'g Graph,
    profile: Profile,
    /// Constants that are stored in 4 bits.
    packed: HashSet<TensorId>,
    nodes: Vec<proto::Node>,
    stored: Vec<proto::Tensor>,
    /// The names of both: of what is stored, and of what nodes make.
    stored_names: HashSet<String>,
    made_names: HashSet<String>,
    /// Tensors as they are stored or made: floats, or integers.
    raw: HashMap<TensorId, (String, Lies)>,
    /// Real values of tensors by layout.
    real: HashMap<(TensorId, Lies), String>,
    /// Permuted constants.
    weights: HashMap<(TensorId, Vec<usize>), String>,
    /// What makes a tensor.
    producer: HashMap<TensorId, &'g Node>,
    names: HashSet<String>,
    node_names: HashSet<String>,
    declared: Vec<proto::ValueInfo>,
    /// Which dimensions count samples.
    samples: Samples,
    /// The version of the standard operators that the file is written for.
    pub opset: i64,
}

impl<'g> Emitter<'g> {
    pub fn new(graph: &'g Graph, options: &WriteOptions, opset: i64) -> Self {
        let nodes = graph.nodes().iter();
        let mut emitter = Emitter {
            graph,
            profile: options.profile,
            packed: packed(graph, options),
            nodes: Vec::new(),
            stored: Vec::new(),
            stored_names: HashSet::new(),
            made_names: HashSet::new(),
            raw: HashMap::new(),
            real: HashMap::new(),
            weights: HashMap::new(),
            producer: nodes
                .clone()
                .flat_map(|n| n.outputs.iter().map(move |&o| (o, n)))
                .collect(),
            names: graph.tensors().iter().map(|t| t.name.clone()).collect(),
            node_names: nodes.map(|n| n.name.clone()).collect(),
            declared: Vec::new(),
            samples: Samples::of(graph),
            opset,
        };
        for &id in graph.inputs() {
            let lies = emitter.border(id);
            emitter.made(id, graph.tensor(id).name.clone(), lies);
        }
        emitter
    }

    /// How a tensor lies at the border of the file.
    fn border(&self, id: TensorId) -> Lies {
        if self.rank(id) == 4 { Lies::First } else { Lies::Plain }
    }

    pub fn rank(&self, id: TensorId) -> usize {
        self.graph.tensor(id).ty.shape.rank()
    }

    pub fn dims(&self, id: TensorId) -> &'g [usize] {
        self.graph.tensor(id).ty.shape.dims()
    }

    /// Notes what stands for a tensor.
    fn made(&mut self, id: TensorId, name: String, lies: Lies) {
        if !self.graph.tensor(id).is_quantized() {
            self.real.insert((id, lies), name.clone());
        }
        self.raw.insert(id, (name, lies));
    }

    /// A name that nothing has yet.
    pub fn fresh(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        let mut number = 0;
        while !self.names.insert(name.clone()) {
            number += 1;
            name = format!("{base}_{number}");
        }
        name
    }

    fn fresh_node(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        let mut number = 0;
        while !self.node_names.insert(name.clone()) {
            number += 1;
            name = format!("{base}_{number}");
        }
        name
    }

    /// Stores a constant that the graph does not have.
    pub fn store(&mut self, base: &str, data: &Constant) -> String {
        let name = self.fresh(base);
        self.store_as(&name, true, data, false)
    }

    /// Stores a vector of 64-bit integers.
    pub fn integers(&mut self, base: &str, values: &[i64]) -> String {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let ty = TensorType::new(ElementType::I64, [values.len()]);
        let data = Constant::from_le_bytes(&ty, &bytes).expect("eight bytes a value");
        self.store(base, &data)
    }

    pub fn numbers(&mut self, base: &str, values: &[usize]) -> String {
        let values: Vec<i64> = values.iter().map(|&v| v as i64).collect();
        self.integers(base, &values)
    }

    /// Stores a single float.
    pub fn scalar(&mut self, base: &str, value: f32) -> String {
        let data = Constant::f32([], vec![value]).expect("one value");
        self.store(base, &data)
    }

    /// Adds a node of the file that makes one tensor with a name of its own.
    pub fn inner(&mut self, base: &str, op: &str, inputs: &[&str], attribute: Vec<proto::Attribute>) -> String {
        let output = self.fresh(base);
        let name = self.fresh_node(base);
        self.push(name, op, inputs, &output, attribute);
        output
    }

    fn push(&mut self, name: String, op: &str, inputs: &[&str], output: &str, attribute: Vec<proto::Attribute>) {
        self.made_names.insert(output.to_owned());
        self.nodes.push(proto::Node {
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![output.to_owned()],
            name,
            op_type: op.to_owned(),
            attribute,
            domain: String::new(),
        });
    }

    /// The output of the node that was added last is its third one; nobody asks for the others.
    pub fn third_output(&mut self, name: &str) {
        if let Some(last) = self.nodes.last_mut() {
            last.output = vec![String::new(), String::new(), name.to_owned()];
        }
    }

    /// The name that a tensor gets in a layout: its own, unless the border of the file needs that for the other layout.
    fn name_of(&mut self, id: TensorId, lies: Lies) -> String {
        let name = self.graph.tensor(id).name.clone();
        if self.graph.outputs().contains(&id) && lies != self.border(id) {
            self.fresh(&format!("{name}/last"))
        } else {
            name
        }
    }

    /// Adds the operator that makes the only output of `node`, the clamp that is fused into it, and the quantization of its result.
    pub fn put(
        &mut self,
        node: &Node,
        op: &str,
        inputs: &[&str],
        attribute: Vec<proto::Attribute>,
        lies: Lies,
        activation: Activation,
    ) -> Result<(), FormatError> {
        self.put_output(node, op, inputs, attribute, (node.output(), lies), activation)
    }

    fn put_output(
        &mut self,
        node: &Node,
        op: &str,
        inputs: &[&str],
        attribute: Vec<proto::Attribute>,
        (id, lies): (TensorId, Lies),
        activation: Activation,
    ) -> Result<(), FormatError> {
        let name = self.name_of(id, lies);
        let quantized = self.graph.tensor(id).is_quantized();
        let real = if quantized {
            self.fresh(&format!("{name}/float"))
        } else {
            name.clone()
        };
        let first = match activation {
            Activation::None => real.clone(),
            _ => self.fresh(&format!("{name}/linear")),
        };
        self.push(node.name.clone(), op, inputs, &first, attribute);
        if activation != Activation::None {
            let step = self.fresh_node(&format!("{}/activation", node.name));
            self.clamp(step, &first, &real, activation);
        }
        if quantized {
            self.quantize_into(node, id, &real, &name)?;
        }
        self.made(id, name, lies);
        Ok(())
    }

    /// A clamp as an operator of the file.
    pub fn clamp(&mut self, name: String, input: &str, output: &str, activation: Activation) {
        let (low, high) = activation.range();
        if high.is_infinite() {
            return self.push(name, "Relu", &[input], output, Vec::new());
        }
        let low = self.scalar(&format!("{name}/min"), low);
        let high = self.scalar(&format!("{name}/max"), high);
        self.push(name, "Clip", &[input, &low, &high], output, Vec::new());
    }

    /// A node with any number of named outputs, all in one layout.
    pub fn put_many(
        &mut self,
        node: &Node,
        op: &str,
        inputs: &[&str],
        attribute: Vec<proto::Attribute>,
        lies: Lies,
    ) -> Result<(), FormatError> {
        let mut outputs = Vec::new();
        let mut later = Vec::new();
        for &id in &node.outputs {
            let name = self.name_of(id, lies);
            if self.graph.tensor(id).is_quantized() {
                let real = self.fresh(&format!("{name}/float"));
                later.push((id, real.clone(), name.clone()));
                outputs.push(real);
            } else {
                outputs.push(name.clone());
            }
            self.made(id, name, lies);
        }
        self.push(node.name.clone(), op, inputs, "", attribute);
        self.made_names.extend(outputs.iter().cloned());
        if let Some(last) = self.nodes.last_mut() {
            last.output = outputs;
        }
        for (id, real, name) in later {
            self.quantize_into(node, id, &real, &name)?;
        }
        Ok(())
    }

    /// Adds a node that makes the only output of `node` out of another's real values: the borders to integers.
    pub fn quantize_into(&mut self, node: &Node, id: TensorId, real: &str, name: &str) -> Result<(), FormatError> {
        let inputs = self.parameters(node, id, None)?;
        let mut all = vec![real];
        all.extend(inputs.iter().map(String::as_str));
        let axis = self.quantization(id).and_then(|q| q.axis);
        let attribute = axis.map(|a| attributes::int("axis", a as i64)).into_iter().collect();
        let step = self.fresh_node(&format!("{}/quantize", node.name));
        self.push(step, "QuantizeLinear", &all, name, attribute);
        Ok(())
    }

    /// Notes that a node's output is the raw tensor `name`.
    pub fn note(&mut self, id: TensorId, name: String, lies: Lies) {
        self.made(id, name, lies);
    }

    pub fn output_name(&mut self, id: TensorId, lies: Lies) -> String {
        self.name_of(id, lies)
    }

    /// The scales of a tensor as the profile wants them.
    fn quantization(&self, id: TensorId) -> Option<Quantization> {
        let tensor = self.graph.tensor(id);
        let own = tensor.quantization.clone()?;
        let (Profile::TensorRt, Some((low, high))) = (self.profile, tensor.ty.element.quantized_range()) else {
            return Some(own);
        };
        // The range that the integers mean, on both sides of 0, in 127 steps.
        let symmetric = |(&scale, &zero): (&Scale, &i32)| {
            let widest = (high - zero).max(zero - low - i32::from(zero == 0)).max(1);
            Scale::new(scale.get() * widest as f32 / high as f32)
        };
        let scales: Option<Vec<Scale>> = own.scales.iter().zip(&own.zero_points).map(symmetric).collect();
        let zero_points = vec![0; own.zero_points.len()];
        Some(Quantization {
            scales: scales?,
            zero_points,
            ..own
        })
    }

    /// Scale and zero point of a tensor as stored constants; a 32-bit bias has no zero point.
    ///
    /// `perm`: how the dimensions of a constant stand in the file.
    fn parameters(&mut self, node: &Node, id: TensorId, perm: Option<&[usize]>) -> Result<Vec<String>, FormatError> {
        let activation = perm.is_none();
        let tensor = self.graph.tensor(id);
        let (name, element) = (tensor.name.clone(), tensor.ty.element);
        if activation && self.profile == Profile::TensorRt && element == ElementType::U8 {
            let problem = format!("`{name}` holds unsigned bytes, which TensorRT does not take");
            return Err(unsupported(
                place(node),
                problem,
                "quantize with float or int8 inputs and outputs",
            ));
        }
        if element == ElementType::I16 {
            let problem =
                format!("`{name}` is a 16-bit activation, which ONNX runtimes have no integer arithmetic for");
            return Err(unsupported(
                place(node),
                problem,
                "write a .tflite file, or quantize with scheme int8",
            ));
        }
        let quantization = self.quantization(id).ok_or_else(|| {
            let problem = format!("`{name}` is {element} without a scale");
            unsupported(place(node), problem, "only quantized integers and floats are written")
        })?;
        let mut quantization = quantization;
        let mut dims = tensor.ty.shape.dims().to_vec();
        if let Some(perm) = perm {
            quantization = quantization.permuted(&dims, perm);
            dims = perm.iter().map(|&p| dims[p]).collect();
        }
        let scales: Vec<f32> = quantization.scales.iter().map(|s| s.get()).collect();
        let wrong = || {
            unsupported(
                place(node),
                format!("`{name}` has other scales than its axis"),
                "quantize the model again",
            )
        };
        let dims = quantization.scale_dims(&dims).ok_or_else(wrong)?;
        let scales = Constant::f32(dims.clone(), scales).ok_or_else(wrong)?;
        let mut inputs = vec![self.store(&format!("{name}/scale"), &scales)];
        if element != ElementType::I32 {
            let zeros = quantization.zero_points.iter();
            let bytes: Vec<u8> = match element.size() {
                1 => zeros.map(|&z| z as u8).collect(),
                _ => zeros.flat_map(|&z| (z as i16).to_le_bytes()).collect(),
            };
            let zeros = Constant::from_le_bytes(&TensorType::new(element, dims), &bytes).ok_or_else(wrong)?;
            let zero_name = self.fresh(&format!("{name}/zero_point"));
            inputs.push(self.store_as(&zero_name, true, &zeros, self.packed.contains(&id)));
        }
        Ok(inputs)
    }

    /// A stored constant, or what stands behind a `Dequantize` of one, with its dimensions permuted: real values.
    ///
    /// What is computed is transposed.
    pub fn weights(&mut self, node: &Node, id: TensorId, perm: &[usize]) -> Result<String, FormatError> {
        if let Some(known) = self.weights.get(&(id, perm.to_vec())) {
            return Ok(known.clone());
        }
        let graph = self.graph;
        let widened = self.producer.get(&id).filter(|n| matches!(n.op, Op::Dequantize(_)));
        let stored = match widened {
            Some(widened) if graph.constant_data(widened.inputs[0]).is_some() => widened.inputs[0],
            _ => id,
        };
        let Some(data) = graph.constant_data(stored) else {
            let plain = self.real(node, id, Lies::Plain)?;
            let perm = vec![attributes::ints("perm", perm)];
            return Ok(self.inner(&format!("{plain}/transposed"), "Transpose", &[&plain], perm));
        };
        let permuted = data.permuted(perm).ok_or_else(|| {
            unsupported(
                place(node),
                format!("`{}` is {}", graph.tensor(stored).name, data.ty()),
                "check its rank",
            )
        })?;
        let result = self.stored_real(node, id, stored, permuted, perm)?;
        self.weights.insert((id, perm.to_vec()), result.clone());
        Ok(result)
    }

    /// Stores `data`, a form of the constant `stored`, and dequantizes or widens it where it holds no 32-bit floats.
    fn stored_real(
        &mut self,
        node: &Node,
        id: TensorId,
        stored: TensorId,
        data: Constant,
        perm: &[usize],
    ) -> Result<String, FormatError> {
        let graph = self.graph;
        let (name, real) = (graph.tensor(stored).name.clone(), graph.tensor(id).name.clone());
        // The first form of a constant has its name.
        let own = !self.stored_names.contains(&name);
        let bias = data.element() == ElementType::I32 && self.profile == Profile::TensorRt;
        let quantization = graph.tensor(stored).quantization.as_ref();
        if let (true, Some(quantization), Some(integers)) = (bias, quantization, data.as_i32()) {
            let value = |(i, &q): (usize, &i32)| quantization.channel(i).map_or(0.0, |params| params.dequantize(q));
            let floats = Constant::f32(data.dims(), integers.iter().enumerate().map(value).collect()).expect("as many");
            return Ok(self.store_as(&name, own, &floats, false));
        }
        let element = data.element();
        let file = self.store_as(&name, own, &data, self.packed.contains(&stored));
        let target = if stored == id { format!("{real}/real") } else { real };
        if element == ElementType::F16 {
            let to = vec![attributes::int("to", i64::from(proto::data_type::FLOAT))];
            return Ok(self.inner_named(&target, "Cast", &[&file], to));
        }
        if element.is_float() || quantization.is_none() {
            return Ok(file);
        }
        let inputs = self.parameters(node, stored, Some(perm))?;
        let mut all = vec![file.as_str()];
        all.extend(inputs.iter().map(String::as_str));
        let axis = quantization
            .and_then(|q| q.axis)
            .and_then(|a| perm.iter().position(|&p| p == a));
        let block = quantization
            .and_then(|q| q.block)
            .map(|b| attributes::int("block_size", b as i64));
        let axis = axis.map(|a| attributes::int("axis", a as i64));
        let attribute = axis.into_iter().chain(block).collect();
        Ok(self.inner_named(&target, "DequantizeLinear", &all, attribute))
    }

    fn store_as(&mut self, name: &str, own: bool, data: &Constant, packed: bool) -> String {
        let name = if own { name.to_owned() } else { self.fresh(name) };
        let store = if packed { tensor::packed } else { tensor::stored };
        self.stored.push(store(&name, data));
        self.stored_names.insert(name.clone());
        name
    }

    /// A node whose output has the name of a tensor of the graph where that is still free in the file.
    fn inner_named(&mut self, name: &str, op: &str, inputs: &[&str], attribute: Vec<proto::Attribute>) -> String {
        let made = self.made_names.contains(name);
        let output = if made || !self.names.contains(name) {
            self.fresh(name)
        } else {
            name.to_owned()
        };
        let node = self.fresh_node(&output);
        self.push(node, op, inputs, &output, attribute);
        output
    }

    /// The real values of a tensor, in a layout.
    pub fn real(&mut self, node: &Node, id: TensorId, lies: Lies) -> Result<String, FormatError> {
        if let Some(known) = self.real.get(&(id, lies)) {
            return Ok(known.clone());
        }
        let rank = self.rank(id);
        let Some((raw, made)) = self.raw.get(&id).cloned() else {
            let perm = match lies {
                Lies::Plain => (0..rank).collect(),
                Lies::First => layout::to_first(rank),
            };
            return self.weights(node, id, &perm);
        };
        let name = self.graph.tensor(id).name.clone();
        let real = if let Some(real) = self.real.get(&(id, made)) {
            real.clone()
        } else {
            let inputs = self.parameters(node, id, None)?;
            let mut all = vec![raw.as_str()];
            all.extend(inputs.iter().map(String::as_str));
            let real = self.inner(&format!("{name}/real"), "DequantizeLinear", &all, Vec::new());
            self.real.insert((id, made), real.clone());
            real
        };
        if made == lies {
            return Ok(real);
        }
        let other = self.transposed(&name, &real, id, lies);
        self.real.insert((id, lies), other.clone());
        Ok(other)
    }

    fn transposed(&mut self, name: &str, from: &str, id: TensorId, lies: Lies) -> String {
        let (what, perm) = match lies {
            Lies::Plain => ("last", layout::to_last(self.rank(id))),
            Lies::First => ("first", layout::to_first(self.rank(id))),
        };
        self.inner(
            &format!("{name}/{what}"),
            "Transpose",
            &[from],
            vec![attributes::ints("perm", &perm)],
        )
    }

    /// The dimension of a tensor that counts samples where it lies so, if the file takes any number of them.
    pub fn open(&self, id: TensorId, lies: Lies) -> Option<usize> {
        match self.samples.place(id) {
            Place::Along(axis) if self.samples.any_number() => Some(lies.axis(self.rank(id), axis)),
            _ => None,
        }
    }

    /// Whether a tensor is at hand channels-first.
    pub fn is_first(&self, id: TensorId) -> bool {
        self.rank(id) == 4
            && (self.real.contains_key(&(id, Lies::First)) || self.raw.get(&id).is_some_and(|(_, l)| *l == Lies::First))
    }

    /// The layout in which a tensor is at hand.
    pub fn lies(&self, id: TensorId) -> Lies {
        if self.is_first(id) { Lies::First } else { Lies::Plain }
    }

    /// A constant's data; `None` for what is computed.
    pub fn constant(&self, id: TensorId) -> Option<&'g Constant> {
        self.graph.constant_data(id)
    }

    /// A constant as it is broadcast against tensors of rank 4 that lie channels-first, its real values.
    pub fn broadcast_first(&mut self, node: &Node, id: TensorId) -> Result<String, FormatError> {
        let data = self
            .constant(id)
            .and_then(|d| layout::broadcast_constant(d, 4, &layout::to_first(4)));
        let data = data.ok_or_else(|| {
            unsupported(
                place(node),
                format!("`{}` has more than 4 dimensions", self.graph.tensor(id).name),
                "check its rank",
            )
        })?;
        // A key of its own: this form is no permutation.
        let key = (id, vec![usize::MAX]);
        if let Some(known) = self.weights.get(&key) {
            return Ok(known.clone());
        }
        let result = self.stored_real(node, id, id, data, &[])?;
        self.weights.insert(key, result.clone());
        Ok(result)
    }

    /// Declares the type of a value that nothing can infer.
    pub fn declare(&mut self, name: &str, ty: &TensorType) {
        let dims = ty.shape.dims();
        self.declared.push(value_info(name, ty.element, dims, None));
    }

    pub fn carried(&mut self, node: proto::Node) {
        self.made_names.extend(node.output.iter().cloned());
        self.nodes.push(node);
    }

    /// An output that is a constant: stored beside it, since some runtimes return only what a node makes.
    fn returned_constant(&mut self, id: TensorId, border: Lies) -> Result<(), FormatError> {
        let graph = self.graph;
        let tensor = graph.tensor(id);
        let perm = border.ordered(&(0..self.rank(id)).collect::<Vec<_>>());
        let data = tensor.data.as_ref().and_then(|data| data.permuted(&perm));
        let data = data.ok_or_else(|| {
            let place = format!("output `{}`", tensor.name);
            unsupported(place, "is made by no node", "report it: the graph is not sound")
        })?;
        // Whoever reads the constant under the output's name reads it under another.
        if self.stored.iter().any(|stored| stored.name == tensor.name) {
            let other = self.fresh(&format!("{}/stored", tensor.name));
            let stored = self.stored.iter_mut().map(|stored| &mut stored.name);
            let read = self.nodes.iter_mut().flat_map(|node| &mut node.input);
            for name in stored.chain(read).filter(|name| **name == tensor.name) {
                name.clone_from(&other);
            }
        }
        let kept = self.store(&format!("{}/output", tensor.name), &data);
        let node = self.fresh_node(&format!("{}/output", tensor.name));
        self.push(node, "Identity", &[&kept], &tensor.name, Vec::new());
        self.raw.insert(id, (tensor.name.clone(), border));
        Ok(())
    }

    /// The graph of the file.
    pub fn finish(mut self) -> Result<proto::Graph, FormatError> {
        let graph = self.graph;
        let mut outputs: Vec<proto::ValueInfo> = Vec::new();
        for &id in graph.outputs() {
            let tensor = graph.tensor(id);
            let border = self.border(id);
            match self.raw.get(&id).cloned() {
                Some((raw, lies)) if lies != border => {
                    let perm = if border == Lies::First {
                        layout::to_first(4)
                    } else {
                        layout::to_last(4)
                    };
                    let name = self.fresh_node(&format!("{}/first", tensor.name));
                    self.push(
                        name,
                        "Transpose",
                        &[&raw],
                        &tensor.name,
                        vec![attributes::ints("perm", &perm)],
                    );
                    self.raw.insert(id, (tensor.name.clone(), border));
                }
                Some(_) => {}
                // A constant behind a `Dequantize`, or one by itself.
                None => match self.producer.get(&id).copied() {
                    Some(made) => {
                        let perm: Vec<usize> = if border == Lies::First {
                            layout::to_first(4)
                        } else {
                            (0..self.rank(id)).collect()
                        };
                        self.weights(made, id, &perm)?;
                    }
                    None => self.returned_constant(id, border)?,
                },
            }
            // What is an input, or returned already, is returned as a copy.
            let mut name = tensor.name.clone();
            if graph.inputs().contains(&id) || outputs.iter().any(|output| output.name == name) {
                name = self.inner(&format!("{name}/copy"), "Identity", &[&tensor.name], Vec::new());
            }
            outputs.push(value_info(
                &name,
                tensor.ty.element,
                &border.ordered(tensor.ty.shape.dims()),
                self.open(id, border),
            ));
        }
        let inputs = graph.inputs().iter().map(|&id| {
            let tensor = graph.tensor(id);
            value_info(
                &tensor.name,
                tensor.ty.element,
                &self.border(id).ordered(tensor.ty.shape.dims()),
                self.open(id, self.border(id)),
            )
        });
        Ok(proto::Graph {
            input: inputs.collect(),
            output: outputs,
            name: if graph.name.is_empty() {
                "graph".to_owned()
            } else {
                graph.name.clone()
            },
            node: self.nodes,
            initializer: self.stored,
            value_info: self.declared,
            sparse_initializer: Vec::new(),
        })
    }
}

/// The constants that are stored in 4 bits.
pub(super) fn packed(graph: &Graph, options: &WriteOptions) -> HashSet<TensorId> {
    if options.packed_int4 {
        int4::packable(graph)
    } else {
        HashSet::new()
    }
}

/// A name with its type; the dimension `open` counts samples, any number `N` of them.
fn value_info(name: &str, element: ElementType, dims: &[usize], open: Option<usize>) -> proto::ValueInfo {
    let dimension = |(i, &d): (usize, &usize)| match d {
        _ if open != Some(i) => proto::Dimension {
            value: Some(d as i64),
            param: None,
        },
        1 => proto::Dimension {
            value: None,
            param: Some("N".to_owned()),
        },
        several => proto::Dimension {
            value: None,
            param: Some(format!("{several}N")),
        },
    };
    proto::ValueInfo {
        name: name.to_owned(),
        ty: Some(proto::Type {
            tensor: Some(proto::TensorTypeInfo {
                element: tensor::code(element),
                shape: Some(proto::ShapeInfo {
                    dim: dims.iter().enumerate().map(dimension).collect(),
                }),
            }),
        }),
    }
}

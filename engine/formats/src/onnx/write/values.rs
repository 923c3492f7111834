//! The file being written, and the names of the graph's tensors in it.

mod border;
mod quantized;

use std::collections::{HashMap, HashSet};

use ir::ops::Activation;
use ir::{Constant, ElementType, Graph, Node, Place, Samples, TensorId, TensorType};

use self::border::value_info;
use super::{Profile, WriteOptions, attributes, place};
use crate::onnx::{layout, proto, unsupported};
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

    /// Notes that a node's output is the raw tensor `name`.
    pub fn note(&mut self, id: TensorId, name: String, lies: Lies) {
        self.made(id, name, lies);
    }

    pub fn output_name(&mut self, id: TensorId, lies: Lies) -> String {
        self.name_of(id, lies)
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
}

/// The constants that are stored in 4 bits.
pub(super) fn packed(graph: &Graph, options: &WriteOptions) -> HashSet<TensorId> {
    if options.packed_int4 {
        int4::packable(graph)
    } else {
        HashSet::new()
    }
}

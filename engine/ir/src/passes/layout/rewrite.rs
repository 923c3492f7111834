//! The graph under construction: which stored tensor stands for each tensor of the old graph, and how it is brought into another
//! order where somebody insists.

use std::collections::{HashMap, HashSet};

use super::Interface;
use super::demand::Demands;
use super::order::{Order, Shuffle, moves_nothing};
use crate::ops::{Gather, Identity, Reshape, Transpose};
use crate::samples::{Place, Samples};
use crate::{Constant, Graph, InferError, Node, Op, Quantization, Tensor, TensorId, TensorType};

/// Where the values of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// In a tensor of the new graph.
    Made(TensorId),
    /// In a constant of the old graph; it is added in the form that readers want.
    Constant(TensorId),
}

/// What stands for a tensor of the old graph.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) source: Source,
    pub(super) order: Order,
    pub(super) shuffle: Option<Shuffle>,
}

impl Value {
    pub(super) fn made(id: TensorId, order: Order) -> Self {
        Value {
            source: Source::Made(id),
            order,
            shuffle: None,
        }
    }
}

/// Old graph, new graph, and what stands for what.
pub(super) struct Rewriter<'g> {
    pub(super) old: &'g Graph,
    pub(super) demands: &'g Demands,
    /// Where the samples are in the tensors of the old graph.
    samples: Samples,
    new: Graph,
    values: Vec<Option<Value>>,
    /// Constants of the new graph by the constant that they are made from.
    constants: HashMap<TensorId, Vec<TensorId>>,
    /// Transposes and reshapes made so far.
    transposed: HashMap<(TensorId, Vec<usize>), TensorId>,
    reshaped: HashMap<(TensorId, Vec<usize>), TensorId>,
    /// What a reshape reads.
    origin: HashMap<TensorId, TensorId>,
    /// Stored tensors, the old tensors that they hold, and views of those.
    views: Vec<(TensorId, TensorId, TensorId)>,
    /// Names of tensors of either graph, and of nodes.
    names: HashSet<String>,
    node_names: HashSet<String>,
    /// Names of old tensors that are only other views of stored ones: what is made for them may have the name.
    free: HashSet<String>,
}

impl<'g> Rewriter<'g> {
    pub(super) fn new(old: &'g Graph, demands: &'g Demands) -> Self {
        let mut rewriter = Rewriter {
            old,
            demands,
            samples: Samples::of(old),
            new: Graph::new(&old.name),
            values: vec![None; old.tensors().len()],
            constants: HashMap::new(),
            transposed: HashMap::new(),
            reshaped: HashMap::new(),
            origin: HashMap::new(),
            views: Vec::new(),
            names: old.tensors().iter().map(|t| t.name.clone()).collect(),
            node_names: old.nodes().iter().map(|n| n.name.clone()).collect(),
            free: HashSet::new(),
        };
        for &input in old.inputs() {
            let tensor = old.tensor(input);
            let id = rewriter.new.input(tensor.name.clone(), tensor.ty.clone());
            rewriter
                .new
                .tensor_mut(id)
                .quantization
                .clone_from(&tensor.quantization);
            let order = Order::stated(tensor.ty.shape.rank());
            rewriter.values[input.index()] = Some(Value::made(id, order));
        }
        rewriter.new.stated.clone_from(&old.stated);
        for id in old.tensor_ids().filter(|&id| old.tensor(id).data.is_some()) {
            rewriter.values[id.index()] = Some(Value {
                source: Source::Constant(id),
                order: Order::stated(old.tensor(id).ty.shape.rank()),
                shuffle: None,
            });
        }
        rewriter
    }

    /// Brings inputs into the order that all their readers want: those that may be turned around, and those with several readers.
    pub(super) fn settle_inputs(&mut self, interface: Interface) -> Result<(), InferError> {
        for &input in self.old.inputs() {
            let turned = interface == Interface::ChannelsLast && self.dims(input).len() == 4;
            if turned || self.demands.readers(input) > 1 {
                self.settle(input)?;
            }
        }
        Ok(())
    }

    /// What stands for a tensor of the old graph.
    pub(super) fn value(&self, id: TensorId) -> Value {
        let value = self.values[id.index()].clone();
        value.expect("nodes of a verified graph read inputs, constants and what earlier nodes made")
    }

    /// Says what stands for a tensor. With several readers who all want another order, it is brought into that order once.
    pub(super) fn set(&mut self, id: TensorId, value: Value) -> Result<(), InferError> {
        let settled = self.demands.readers(id) > 1 && value.shuffle.is_none();
        self.values[id.index()] = Some(value);
        if settled {
            self.settle(id)?;
        }
        Ok(())
    }

    /// Brings a tensor into the order that all its readers want, if there is one.
    pub(super) fn settle(&mut self, id: TensorId) -> Result<(), InferError> {
        if let Some(order) = self.demands.one(id).cloned() {
            let made = self.form(id, &order)?;
            self.values[id.index()] = Some(Value::made(made, order));
        }
        Ok(())
    }

    pub(super) fn dims(&self, id: TensorId) -> &'g [usize] {
        self.old.tensor(id).ty.shape.dims()
    }

    pub(super) fn is_constant(&self, id: TensorId) -> bool {
        matches!(self.value(id).source, Source::Constant(_))
    }

    /// The tensor of the new graph that holds `id` as the old graph states it.
    pub(super) fn stated(&mut self, id: TensorId) -> Result<TensorId, InferError> {
        self.form(id, &Order::stated(self.dims(id).len()))
    }

    /// The tensor of the new graph that holds `id` in `order`.
    pub(super) fn form(&mut self, id: TensorId, order: &Order) -> Result<TensorId, InferError> {
        self.unshuffle(id)?;
        let value = self.value(id);
        match value.source {
            Source::Constant(from) => {
                let (data, quantization) = self.arranged(from, &value.order.to(order));
                Ok(self.constant(from, data, quantization))
            }
            Source::Made(stored) => {
                let samples = self.samples_in(id, &value.order);
                self.transpose(stored, &value.order.to(order), samples, &self.old.tensor(id).name)
            }
        }
    }

    /// The stored dimension that counts samples, of a tensor of the old graph that is stored in `order`.
    pub(super) fn samples_in(&self, id: TensorId, order: &Order) -> Option<usize> {
        match self.samples.place(id) {
            Place::Along(axis) => Some(order.position(axis)),
            Place::Apart | Place::Mixed => None,
        }
    }

    /// A constant of the old graph with its dimensions permuted.
    pub(super) fn arranged(&self, from: TensorId, perm: &[usize]) -> (Constant, Option<Quantization>) {
        let tensor = self.old.tensor(from);
        let data = tensor.data.as_ref().and_then(|data| data.permuted(perm));
        let data = data.expect("orders are permutations, and constants have data");
        let dims = tensor.ty.shape.dims();
        (data, tensor.quantization.as_ref().map(|q| q.permuted(dims, perm)))
    }

    /// Puts shuffled elements into their stated order: a gather among pixels, a transpose where the whole tensor is concerned.
    pub(super) fn unshuffle(&mut self, id: TensorId) -> Result<(), InferError> {
        let value = self.value(id);
        let (Some(shuffle), Source::Made(stored)) = (&value.shuffle, value.source) else {
            return Ok(());
        };
        let axis = value.order.position(shuffle.axis);
        let dims = self.new.tensor(stored).ty.shape.0.clone();
        let name = &self.old.tensor(id).name;
        let alone = dims.iter().enumerate().all(|(i, &d)| i == axis || d == 1);
        let made = if alone {
            let (before, after) = (&dims[..axis], &dims[axis + 1..]);
            let split = self.reshape(stored, [before, &shuffle.dims, after].concat(), name)?;
            let within = shuffle.perm.iter().map(|p| p + axis);
            let last = axis + shuffle.perm.len();
            let perm: Vec<usize> = (0..axis).chain(within).chain(last..last + after.len()).collect();
            let moved = self.transpose(split, &perm, None, name)?;
            self.reshape(moved, dims.clone(), name)?
        } else {
            let table: Vec<i32> = shuffle.table().iter().map(|&i| i as i32).collect();
            let data = Constant::i32([table.len()], table).expect("as many values as indices");
            let indices_name = self.fresh(&format!("{name}/indices"));
            let indices = self.new.constant(indices_name, data);
            let quantization = self.new.tensor(stored).quantization.clone();
            let name = self.claim(name, "shuffled");
            self.helper(name, Gather { axis }.into(), &[stored, indices], quantization)?
        };
        self.values[id.index()] = Some(Value::made(made, value.order));
        Ok(())
    }

    /// `stored` with its dimensions permuted; nothing is added where nothing moves, or where it was added before. A dimension that
    /// counts `samples` moves though a run takes but one: many lie otherwise.
    pub(super) fn transpose(
        &mut self,
        stored: TensorId,
        perm: &[usize],
        samples: Option<usize>,
        name: &str,
    ) -> Result<TensorId, InferError> {
        let tensor = self.new.tensor(stored);
        let dims = tensor.ty.shape.dims();
        let mut many = dims.to_vec();
        if let Some(axis) = samples {
            many[axis] = many[axis].max(2);
        }
        if moves_nothing(perm, &many) {
            let shape = perm.iter().map(|&p| dims[p]).collect();
            return self.reshape(stored, shape, name);
        }
        let key = (stored, perm.to_vec());
        if let Some(&known) = self.transposed.get(&key) {
            return Ok(known);
        }
        let dims = tensor.ty.shape.dims();
        let quantization = tensor.quantization.as_ref().map(|q| q.permuted(dims, perm));
        let name = self.claim(name, "transposed");
        let op = Transpose { perm: perm.to_vec() };
        let made = self.helper(name, op.into(), &[stored], quantization)?;
        self.transposed.insert(key, made);
        Ok(made)
    }

    /// `stored` in another shape; reshapes of reshapes are one.
    pub(super) fn reshape(&mut self, stored: TensorId, shape: Vec<usize>, name: &str) -> Result<TensorId, InferError> {
        let stored = self.origin.get(&stored).copied().unwrap_or(stored);
        let tensor = self.new.tensor(stored);
        if tensor.ty.shape.dims() == shape {
            return Ok(stored);
        }
        let key = (stored, shape.clone());
        if let Some(&known) = self.reshaped.get(&key) {
            return Ok(known);
        }
        let quantization = tensor.quantization.clone().filter(|q| q.axis.is_none());
        let name = self.claim(name, "reshaped");
        let made = self.helper(name, Reshape { shape }.into(), &[stored], quantization)?;
        self.origin.insert(made, stored);
        self.reshaped.insert(key, made);
        Ok(made)
    }

    /// A constant made from one of the old graph; it keeps the name unless there are several versions of it.
    pub(super) fn constant(&mut self, from: TensorId, data: Constant, quantization: Option<Quantization>) -> TensorId {
        let made = self.constants.get(&from).map_or(&[][..], Vec::as_slice);
        let same = |id: &&TensorId| {
            let tensor = self.new.tensor(**id);
            tensor.data.as_ref() == Some(&data) && tensor.quantization == quantization
        };
        if let Some(&known) = made.iter().find(same) {
            return known;
        }
        let name = &self.old.tensor(from).name;
        let name = if made.is_empty() {
            name.clone()
        } else {
            self.fresh(name)
        };
        let id = self.new.constant(name, data);
        self.new.tensor_mut(id).quantization = quantization;
        self.constants.entry(from).or_default().push(id);
        id
    }

    /// Adds a node that the old graph does not have, and its output called `name`.
    fn helper(
        &mut self,
        name: String,
        op: Op,
        inputs: &[TensorId],
        quantization: Option<Quantization>,
    ) -> Result<TensorId, InferError> {
        let ty = self.infer(&op, inputs)?.swap_remove(0);
        let node_name = unused(&self.node_names, &name);
        self.node_names.insert(node_name.clone());
        let output = self.new.push_tensor(Tensor {
            name,
            ty,
            quantization,
            data: None,
        });
        self.new.push_node(Node {
            name: node_name,
            op,
            inputs: inputs.to_vec(),
            outputs: vec![output],
        });
        Ok(output)
    }

    /// Adds a node of the old graph under its name, on other inputs; its outputs keep their names and are stored in `order`.
    pub(super) fn node(&mut self, node: &Node, op: Op, inputs: &[TensorId], order: &Order) -> Result<(), InferError> {
        self.shuffled_node(node, op, inputs, order, None)
    }

    /// Like [`Rewriter::node`], with elements of the outputs stored in another order along a dimension.
    pub(super) fn shuffled_node(
        &mut self,
        node: &Node,
        op: Op,
        inputs: &[TensorId],
        order: &Order,
        shuffle: Option<Shuffle>,
    ) -> Result<(), InferError> {
        let inferred = self.infer(&op, inputs)?;
        let mut outputs = Vec::new();
        for (&old, ty) in node.outputs.iter().zip(inferred) {
            let tensor = self.old.tensor(old);
            let order = order_of(order, ty.shape.rank());
            outputs.push(
                self.new.push_tensor(Tensor {
                    name: tensor.name.clone(),
                    ty,
                    quantization: tensor
                        .quantization
                        .as_ref()
                        .map(|q| q.permuted(tensor.ty.shape.dims(), order.dims())),
                    data: None,
                }),
            );
        }
        self.new.push_node(Node {
            name: node.name.clone(),
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
        });
        for (&old, id) in node.outputs.iter().zip(outputs) {
            let mut value = Value::made(id, order_of(order, self.dims(old).len()));
            value.shuffle.clone_from(&shuffle);
            self.set(old, value)?;
        }
        Ok(())
    }

    /// Gives up the names of a node and its output: what is made instead may have them.
    pub(super) fn give_up(&mut self, node: &Node) {
        self.node_names.remove(&node.name);
        self.free.insert(self.old.tensor(node.output()).name.clone());
    }

    /// Drops a node whose output is only another view of what stands for its input. The stored tensor takes over the name of
    /// the output in the end, if nobody else knows the input and nothing else was made under the name.
    pub(super) fn absorb(&mut self, node: &Node, value: Value) -> Result<(), InferError> {
        let (input, output) = (node.inputs[0], node.output());
        self.give_up(node);
        let alone = self.demands.readers(input) == 1 && !self.old.outputs().contains(&input);
        if let Source::Made(stored) = value.source
            && alone
            && !self.new.inputs().contains(&stored)
        {
            self.views.push((stored, input, output));
        }
        self.set(output, value)
    }

    fn infer(&self, op: &Op, inputs: &[TensorId]) -> Result<Vec<TensorType>, InferError> {
        let types: Vec<&TensorType> = inputs.iter().map(|&i| &self.new.tensor(i).ty).collect();
        op.infer(&types)
    }

    /// `name` if it became free, else a new name made of it.
    fn claim(&mut self, name: &str, what: &str) -> String {
        if self.free.remove(name) {
            name.to_owned()
        } else {
            self.fresh(&format!("{name}/{what}"))
        }
    }

    /// A name that no tensor of either graph has.
    fn fresh(&mut self, base: &str) -> String {
        let name = unused(&self.names, base);
        self.names.insert(name.clone());
        name
    }

    /// The new graph, its outputs in their stated order and under their names.
    pub(super) fn finish(mut self) -> Result<Graph, InferError> {
        let outputs = self.old.outputs().iter().map(|&old| self.stated(old));
        let mut outputs = outputs.collect::<Result<Vec<_>, _>>()?;
        for (stored, from, to) in std::mem::take(&mut self.views) {
            let [from, to] = [from, to].map(|id| &self.old.tensor(id).name);
            if self.new.tensor(stored).name == *from && self.free.remove(to) {
                self.new.tensor_mut(stored).name.clone_from(to);
            }
        }
        for i in 0..outputs.len() {
            outputs[i] = self.named_output(self.old.outputs()[i], outputs[i], &outputs[..i])?;
        }
        self.new.set_outputs(&outputs);
        Ok(self.new)
    }

    /// Gives an output its name; inputs, constants and earlier outputs have theirs already, and are copied.
    fn named_output(&mut self, old: TensorId, id: TensorId, earlier: &[TensorId]) -> Result<TensorId, InferError> {
        let name = self.old.tensor(old).name.clone();
        let tensor = self.new.tensor(id);
        if tensor.name == name {
            return Ok(id);
        }
        let quantization = tensor.quantization.clone();
        let id = if tensor.data.is_some() || self.new.inputs().contains(&id) || earlier.contains(&id) {
            let copy = self.fresh(&format!("{name}/copy"));
            self.helper(copy, Identity {}.into(), &[id], quantization)?
        } else {
            id
        };
        // What is stored in another order under the name steps aside.
        if let Some(stored) = self.new.find(&name) {
            let inner = self.fresh(&format!("{name}/stored"));
            self.new.tensor_mut(stored).name = inner;
        }
        self.new.tensor_mut(id).name = name;
        Ok(id)
    }
}

/// `order`, or the stated one for an output of another rank: operators with unknown outputs have them as stated.
fn order_of(order: &Order, rank: usize) -> Order {
    if order.rank() == rank {
        order.clone()
    } else {
        Order::stated(rank)
    }
}

/// `base`, or `base_1`, `base_2`, … : the first that is not taken.
fn unused(taken: &HashSet<String>, base: &str) -> String {
    let mut name = base.to_owned();
    let mut number = 0;
    while taken.contains(&name) {
        number += 1;
        name = format!("{base}_{number}");
    }
    name
}

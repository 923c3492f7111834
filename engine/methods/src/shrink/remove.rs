//! The smaller network, and the original one with the same channels set to zero.

use ir::{Constant, Graph, Node, Op, Tensor, TensorId, TensorType, ops};

use super::{Channels, Unit};
use crate::MethodError;

impl Channels {
    /// The indices of one dimension that stay; `gone` says of each unit whether it goes. `None` where all stay.
    fn staying(&self, tensor: TensorId, axis: usize, gone: &[bool]) -> Option<Vec<usize>> {
        let units = self.along(tensor, axis);
        let stays = |unit: &Option<Unit>| unit.is_none_or(|u| !gone[u.index()]);
        if units.iter().all(stays) {
            return None;
        }
        Some((0..units.len()).filter(|&i| stays(&units[i])).collect())
    }

    /// How many of the first `end` indices of a dimension stay.
    fn count(&self, tensor: TensorId, axis: usize, end: usize, gone: &[bool]) -> usize {
        match self.staying(tensor, axis, gone) {
            Some(staying) => staying.partition_point(|&i| i < end),
            None => end,
        }
    }

    /// What a tensor is once the units are gone.
    pub fn ty(&self, graph: &Graph, tensor: TensorId, gone: &[bool]) -> TensorType {
        let mut ty = graph.tensor(tensor).ty.clone();
        for (axis, extent) in ty.shape.0.iter_mut().enumerate() {
            *extent = self.count(tensor, axis, *extent, gone);
        }
        ty
    }

    /// The network without the units that are `gone`.
    ///
    /// # Errors
    /// A layer would have no channel left; never so when every group keeps one.
    pub fn without(&self, graph: &Graph, gone: &[bool]) -> Result<Graph, MethodError> {
        let mut small = graph.clone();
        for id in graph.tensor_ids() {
            if let Some(data) = graph.constant_data(id) {
                let mut data = data.clone();
                for axis in 0..data.dims().len() {
                    if let Some(staying) = self.staying(id, axis, gone) {
                        data = data.selected(axis, &staying).expect("indices of this dimension");
                    }
                }
                small.tensor_mut(id).data = Some(data);
            }
            small.tensor_mut(id).ty = self.ty(graph, id, gone);
        }
        for id in graph.node_ids() {
            self.adapt(graph, graph.node(id), &mut small.node_mut(id).op, gone);
        }
        small.verify()?;
        Ok(small)
    }

    /// Extents in the attributes of an operator.
    fn adapt(&self, graph: &Graph, node: &Node, op: &mut Op, gone: &[bool]) {
        let (input, output) = (node.inputs[0], node.output());
        match op {
            Op::Reshape(reshape) => reshape.shape = self.ty(graph, output, gone).shape.0,
            Op::Slice(slice) => {
                for axis in 0..slice.begin.len() {
                    slice.begin[axis] = self.count(input, axis, slice.begin[axis], gone);
                    slice.end[axis] = self.count(input, axis, slice.end[axis], gone);
                }
            }
            Op::Pad(pad) => {
                for axis in 0..pad.before.len() {
                    let inner = graph.tensor(input).ty.shape.dims()[axis];
                    let before = self.count(output, axis, pad.before[axis], gone);
                    let inside = self.count(output, axis, pad.before[axis] + inner, gone);
                    let all = self.count(output, axis, pad.before[axis] + inner + pad.after[axis], gone);
                    (pad.before[axis], pad.after[axis]) = (before, all - inside);
                }
            }
            // One input channel a group: the groups are the channels.
            Op::Conv2d(conv) if conv.groups > 1 => {
                let channels = graph.tensor(input).ty.shape.dims()[3];
                if channels == conv.groups {
                    conv.groups = self.count(input, 3, channels, gone);
                }
            }
            _ => {}
        }
    }

    /// The network in which every channel that is `gone` is zero, wherever it appears.
    ///
    /// Zeros are multiplied in after each operator, so that biases, shifts of batch norms and activations that are not zero at zero
    /// leave nothing behind.
    ///
    /// # Errors
    /// Never for a graph that verifies.
    pub fn masked(&self, graph: &Graph, gone: &[bool]) -> Result<Graph, MethodError> {
        let mut masked = graph.clone();
        for id in graph.node_ids() {
            for &output in &graph.node(id).outputs {
                for axis in 0..graph.tensor(output).ty.shape.rank() {
                    if let Some(staying) = self.staying(output, axis, gone) {
                        mask(&mut masked, output, axis, &staying);
                    }
                }
            }
        }
        masked.normalize()?;
        masked.verify()?;
        Ok(masked)
    }
}

/// Multiplies all but some indices of a dimension with zero for everything that reads the tensor.
fn mask(graph: &mut Graph, tensor: TensorId, axis: usize, staying: &[usize]) {
    let Tensor { name, ty, .. } = graph.tensor(tensor).clone();
    let mut shape = vec![1; ty.shape.rank()];
    shape[axis] = ty.shape.dims()[axis];
    let mut values = vec![0.0; shape[axis]];
    for &i in staying {
        values[i] = 1.0;
    }
    let values = Constant::f32(shape, values).expect("a value for each index");
    let zeros = graph.fresh_name(&format!("{name}/mask"));
    let zeros = graph.constant(zeros, values);
    let name = graph.fresh_name(&format!("{name}/masked"));
    let output = graph.push_tensor(Tensor {
        name: name.clone(),
        ty,
        quantization: None,
        data: None,
    });
    let readers: Vec<_> = graph.consumers(tensor).collect();
    for reader in readers {
        let inputs = &mut graph.node_mut(reader).inputs;
        inputs.iter_mut().filter(|t| **t == tensor).for_each(|t| *t = output);
    }
    graph.push_node(Node {
        name,
        op: ops::Mul::default().into(),
        inputs: vec![tensor, zeros],
        outputs: vec![output],
    });
}

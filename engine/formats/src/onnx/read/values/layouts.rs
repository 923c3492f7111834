//! Values in the layout in which the file states them, or channels-last: made once a reader asks.

use ir::ops::{Dequantize, Reshape, Transpose};
use ir::{Op, TensorId, TensorType};

use super::super::Node;
use super::{Held, Importer, Value};
use crate::FormatError;
use crate::onnx::layout::{self, Layout};

impl<'f> Importer<'f> {
    pub(super) fn held_type(&self, held: Held) -> TensorType {
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

    pub(super) fn remember(&mut self, node: &Node<'f>, i: usize, held: Held) {
        if let Some(name) = node.input(i) {
            self.values.insert(name, Value::Made(held));
        }
    }

    pub(super) fn in_stated(&mut self, held: Held) -> Result<TensorId, FormatError> {
        match (held.stated, held.last) {
            (Some(id), _) => Ok(id),
            (None, Some(id)) => self.transposed(id, "first", layout::to_first),
            (None, None) => unreachable!("a value is held in one layout at least"),
        }
    }

    pub(super) fn in_last(&mut self, held: Held) -> Result<TensorId, FormatError> {
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
}

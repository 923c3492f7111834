//! What each operator makes of inputs that are stored in another order.

use super::order::{Order, Shuffle};
use super::rewrite::{Rewriter, Source};
use crate::ops::{self, Concat, Gather, MatMul, Pad, Reads, Slice, Split};
use crate::{Constant, InferError, Node, Op, TensorId};

impl Rewriter<'_> {
    /// Adds to the new graph what a node does.
    pub(super) fn rewrite(&mut self, node: &Node) -> Result<(), InferError> {
        let input = node.inputs.first().copied();
        match (&node.op, input) {
            (Op::Transpose(op), Some(input)) => {
                let mut value = self.value(input);
                value.order = value.order.behind(&op.perm);
                if let Some(shuffle) = &mut value.shuffle {
                    let moved = op.perm.iter().position(|&p| p == shuffle.axis);
                    shuffle.axis = moved.unwrap_or(shuffle.axis);
                }
                self.absorb(node, value)
            }
            (Op::Reshape(op), Some(input)) => self.rewrite_reshape(node, input, &op.shape),
            // What is returned is brought into its order as integers, a quarter of the bytes.
            (Op::Dequantize(_), _) if self.is_returned_only(node.output()) => self.as_stated(node),
            (op, Some(input)) if matches!(op.reads(), Reads::Function | Reads::Place) => self.elementwise(node, input),
            (op, _) if op.reads() == Reads::Broadcast => self.broadcast(node),
            (Op::Concat(op), _) => {
                let order = self.agreed(node);
                let inputs = self.forms(&node.inputs, &order)?;
                let axis = order.position(op.axis);
                self.node(node, Concat { axis }.into(), &inputs, &order)
            }
            (Op::Split(op), Some(input)) => {
                let (stored, order) = self.plain(input)?;
                let axis = order.position(op.axis);
                let op = Split { axis, parts: op.parts };
                self.node(node, op.into(), &[stored], &order)
            }
            (Op::Slice(op), Some(input)) => {
                let (stored, order) = self.plain(input)?;
                let [begin, end, stride] = [&op.begin, &op.end, &op.stride].map(|v| order.arrange(v));
                self.node(node, Slice { begin, end, stride }.into(), &[stored], &order)
            }
            (Op::Pad(op), Some(input)) => {
                let (stored, order) = self.plain(input)?;
                let [before, after] = [&op.before, &op.after].map(|v| order.arrange(v));
                let mode = op.mode;
                self.node(node, Pad { before, after, mode }.into(), &[stored], &order)
            }
            (Op::Mean(op), Some(input)) => self.reduce(node, input, &op.axes, op.keep_dims, |axes| {
                ops::Mean { axes, ..op.clone() }.into()
            }),
            (Op::ReduceSum(op), Some(input)) => self.reduce(node, input, &op.axes, op.keep_dims, |axes| {
                ops::ReduceSum { axes, ..op.clone() }.into()
            }),
            (Op::ReduceMax(op), Some(input)) => self.reduce(node, input, &op.axes, op.keep_dims, |axes| {
                ops::ReduceMax { axes, ..op.clone() }.into()
            }),
            (Op::ReduceMin(op), Some(input)) => self.reduce(node, input, &op.axes, op.keep_dims, |axes| {
                ops::ReduceMin { axes, ..op.clone() }.into()
            }),
            (Op::Gather(op), Some(input)) => self.gather(node, input, op.axis),
            (Op::FullyConnected(_) | Op::BatchNorm(_) | Op::Softmax(_), Some(input)) => self.last(node, input, 1),
            (Op::LayerNorm(op), Some(input)) => self.last(node, input, self.dims(input).len() - op.axis),
            (Op::Conv2d(op), Some(input)) if op.groups == 1 => self.last(node, input, self.dims(input).len()),
            (Op::MatMul(op), _) => self.mat_mul(node, op),
            _ => self.as_stated(node),
        }
    }

    fn is_returned_only(&self, id: TensorId) -> bool {
        self.demands.readers(id) == 0 && self.old.outputs().contains(&id)
    }

    /// On inputs as the graph states them.
    fn as_stated(&mut self, node: &Node) -> Result<(), InferError> {
        let inputs = node.inputs.iter().map(|&id| self.stated(id));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        // All outputs have dimensions of their own; only quantization along one of them asks how many.
        let order = Order::stated(self.dims(node.output()).len());
        self.node(node, node.op.clone(), &inputs, &order)
    }

    fn elementwise(&mut self, node: &Node, input: TensorId) -> Result<(), InferError> {
        let value = self.value(input);
        match value.source {
            Source::Made(stored) => self.shuffled_node(node, node.op.clone(), &[stored], &value.order, value.shuffle),
            Source::Constant(_) => self.as_stated(node),
        }
    }

    /// An input without shuffled elements, in whatever order it is stored.
    fn plain(&mut self, input: TensorId) -> Result<(TensorId, Order), InferError> {
        self.unshuffle(input)?;
        let value = self.value(input);
        let order = match value.source {
            Source::Made(_) => value.order,
            Source::Constant(_) => Order::stated(value.order.rank()),
        };
        Ok((self.form(input, &order)?, order))
    }

    fn forms(&mut self, inputs: &[TensorId], order: &Order) -> Result<Vec<TensorId>, InferError> {
        inputs.iter().map(|&id| self.form(id, order)).collect()
    }

    /// The order in which the inputs of a node come together: the one that is wanted behind it, if any input has it; else the
    /// first that is not the stated one.
    fn agreed(&self, node: &Node) -> Order {
        let rank = self.dims(node.output()).len();
        let values = node.inputs.iter().filter(|&&id| !self.is_constant(id));
        let orders: Vec<Order> = values
            .map(|&id| self.value(id).order)
            .filter(|order| order.rank() == rank)
            .collect();
        let wanted = self.demands.one(node.output()).filter(|order| orders.contains(order));
        let other = || orders.iter().find(|order| !order.is_stated());
        wanted.or_else(other).cloned().unwrap_or_else(|| Order::stated(rank))
    }

    /// Two operands that broadcast.
    fn broadcast(&mut self, node: &Node) -> Result<(), InferError> {
        let order = self.agreed(node);
        let shuffle = self.agreed_shuffle(node);
        if shuffle.is_none() {
            node.inputs.iter().try_for_each(|&id| self.unshuffle(id))?;
        }
        let operands = node.inputs.iter().map(|&id| self.operand(id, &order, shuffle.as_ref()));
        let operands = operands.collect::<Result<Vec<_>, _>>()?;
        self.shuffled_node(node, node.op.clone(), &operands, &order, shuffle)
    }

    /// The shuffle that all computed operands share.
    fn agreed_shuffle(&self, node: &Node) -> Option<Shuffle> {
        let dims = self.dims(node.output());
        let mut computed = node.inputs.iter().filter(|&&id| !self.is_constant(id));
        let shuffle = self.value(*computed.clone().next()?).shuffle?;
        let order = self.agreed(node);
        computed
            .all(|&id| {
                let value = self.value(id);
                value.shuffle.as_ref() == Some(&shuffle) && value.order == order && self.dims(id) == dims
            })
            .then_some(shuffle)
    }

    /// A computed operand as it meets others that are stored in `order`: with dimensions of extent 1 in front, rearranged. If they
    /// are shuffled it is, too.
    fn operand(&mut self, id: TensorId, order: &Order, shuffle: Option<&Shuffle>) -> Result<TensorId, InferError> {
        let (dims, rank) = (self.dims(id), order.rank());
        let value = self.value(id);
        match value.source {
            Source::Constant(from) => return self.constant_operand(id, from, order, shuffle),
            Source::Made(stored) if shuffle.is_some() => return Ok(stored),
            Source::Made(_) if dims.len() == rank => return self.form(id, order),
            Source::Made(_) => {}
        }
        let stated = self.stated(id)?;
        if order.is_stated() || dims.iter().all(|&d| d == 1) {
            return Ok(stated);
        }
        let full = [vec![1; rank - dims.len()], dims.to_vec()].concat();
        let name = &self.old.tensor(id).name;
        let samples = self.samples_in(id, &Order::stated(dims.len()));
        let samples = samples.map(|axis| axis + rank - dims.len());
        let expanded = self.reshape(stated, full, name)?;
        self.transpose(expanded, order.dims(), samples, name)
    }

    /// The same of a constant, which is rearranged here and now.
    fn constant_operand(
        &mut self,
        id: TensorId,
        from: TensorId,
        order: &Order,
        shuffle: Option<&Shuffle>,
    ) -> Result<TensorId, InferError> {
        let (dims, rank) = (self.dims(id), order.rank());
        let value = self.value(id);
        let scalar = dims.iter().all(|&d| d == 1);
        if (order.is_stated() && shuffle.is_none()) || scalar {
            return self.stated(id);
        }
        let front = rank - dims.len();
        let (data, quantization) = self.arranged(from, &value.order.to(&Order::stated(dims.len())));
        let data = data.reshaped([vec![1; front], dims.to_vec()].concat());
        let data = data.and_then(|data| match shuffle {
            Some(shuffle) if data.dims()[shuffle.axis] != 1 => scattered(&data, shuffle.axis, &shuffle.table()),
            _ => Some(data),
        });
        // Dimensions of extent 1 in front say nothing; a vector of channels is what readers expect.
        let data = data.and_then(|data| data.permuted(order.dims())).and_then(|data| {
            let ones = data.dims().iter().take_while(|&&d| d == 1).count();
            data.reshaped(&data.dims()[ones..])
        });
        let data = data.expect("an operand broadcasts, so its dimensions are some of the order's");
        let moved = quantization.map(|mut q| {
            let trimmed = rank - data.dims().len();
            // A dimension that was trimmed had one scale.
            let axis = q.axis.map(|axis| order.position(axis + front));
            q.axis = axis.and_then(|axis| axis.checked_sub(trimmed));
            q
        });
        Ok(self.constant(from, data, moved))
    }

    fn reduce(
        &mut self,
        node: &Node,
        input: TensorId,
        axes: &[usize],
        keep_dims: bool,
        make: impl FnOnce(Vec<usize>) -> Op,
    ) -> Result<(), InferError> {
        let value = self.value(input);
        // What is reduced may come in any order.
        let reduced = value.shuffle.is_some_and(|shuffle| axes.contains(&shuffle.axis));
        let (stored, order) = match value.source {
            Source::Made(stored) if reduced => (stored, value.order),
            _ => self.plain(input)?,
        };
        let mut positions: Vec<usize> = axes.iter().map(|&axis| order.position(axis)).collect();
        positions.sort_unstable();
        let left = if keep_dims { order } else { order.without(axes) };
        self.node(node, make(positions), &[stored], &left)
    }

    /// The dimensions of the indices take the place of the one that is indexed.
    fn gather(&mut self, node: &Node, input: TensorId, axis: usize) -> Result<(), InferError> {
        let (stored, order) = self.plain(input)?;
        let indices = self.stated(node.inputs[1])?;
        let k = self.dims(node.inputs[1]).len();
        let behind = order.dims().iter().flat_map(|&d| match d {
            d if d < axis => d..d + 1,
            d if d > axis => d + k - 1..d + k,
            _ => axis..axis + k,
        });
        let behind = Order::new(behind.collect());
        let axis = order.position(axis);
        self.node(node, Gather { axis }.into(), &[stored, indices], &behind)
    }

    /// An operator over the last `n` dimensions, which must be stored last; those before may come in any order. Elements that are
    /// shuffled along the last dimension meet constants shuffled likewise.
    fn last(&mut self, node: &Node, input: TensorId, n: usize) -> Result<(), InferError> {
        let value = self.value(input);
        let rank = value.order.rank();
        let Source::Made(_) = value.source else {
            return self.as_stated(node);
        };
        if !value.order.ends_stated(n) {
            return self.as_stated(node);
        }
        let shuffle = value.shuffle.filter(|shuffle| shuffle.axis + 1 == rank);
        let constants = shuffle
            .as_ref()
            .and_then(|shuffle| self.shuffled_constants(node, shuffle));
        let (Some(shuffle), Some(constants), Source::Made(stored)) = (shuffle, constants, value.source) else {
            let (stored, order) = self.plain(input)?;
            let rest = node.inputs[1..].iter().map(|&id| self.stated(id));
            let inputs = std::iter::once(Ok(stored)).chain(rest).collect::<Result<Vec<_>, _>>()?;
            return self.node(node, node.op.clone(), &inputs, &order);
        };
        let inputs: Vec<TensorId> = std::iter::once(stored).chain(constants).collect();
        let consumed = matches!(node.op, Op::FullyConnected(_) | Op::Conv2d(_));
        let left = (!consumed).then_some(shuffle);
        self.shuffled_node(node, node.op.clone(), &inputs, &value.order, left)
    }

    /// The constants of a node that meet elements shuffled along the last dimension; `None` if they are no constants, or not of
    /// that extent.
    fn shuffled_constants(&mut self, node: &Node, shuffle: &Shuffle) -> Option<Vec<TensorId>> {
        let table = shuffle.table();
        let (weights, rest) = match node.op {
            // Columns of weights; the bias belongs to the output.
            Op::FullyConnected(_) | Op::Conv2d(_) => (1, node.inputs.len().checked_sub(2)?),
            Op::BatchNorm(_) | Op::LayerNorm(_) => (node.inputs.len() - 1, 0),
            Op::Softmax(_) => (0, 0),
            _ => return None,
        };
        let (weights, rest) = (&node.inputs[1..=weights], &node.inputs[node.inputs.len() - rest..]);
        let fits = |id: &TensorId| self.is_constant(*id) && self.dims(*id).last() == Some(&table.len());
        if !weights.iter().all(fits) {
            return None;
        }
        let mut constants = Vec::new();
        for &id in weights {
            let last = self.dims(id).len() - 1;
            constants.push(self.scattered_constant(id, last, &table)?);
        }
        for &id in rest {
            constants.push(self.stated(id).ok()?);
        }
        Some(constants)
    }

    /// A constant whose elements along an axis stand where the table says.
    fn scattered_constant(&mut self, id: TensorId, axis: usize, table: &[usize]) -> Option<TensorId> {
        let value = self.value(id);
        let Source::Constant(from) = value.source else {
            return None;
        };
        let tensor = self.old.tensor(from);
        let along = tensor.quantization.as_ref().and_then(|q| q.axis);
        if !value.order.is_stated() || along == Some(axis) {
            return None;
        }
        let data = scattered(tensor.data.as_ref()?, axis, table)?;
        Some(self.constant(from, data, tensor.quantization.clone()))
    }

    /// An operand with its last two dimensions swapped is a flag of the product; rows of a constant follow shuffled columns.
    fn mat_mul(&mut self, node: &Node, op: &MatMul) -> Result<(), InferError> {
        let mut op = op.clone();
        let [a, b] = node.inputs[..] else {
            return self.as_stated(node);
        };
        let rank = self.dims(a).len();
        let value = self.value(a);
        let depth = if op.adjoint_b { 1 } else { 2 };
        let along_depth = value
            .shuffle
            .filter(|shuffle| shuffle.axis + 1 == rank && !op.adjoint_a && value.order.is_stated());
        let rows = along_depth.and_then(|shuffle| {
            let axis = self.dims(b).len() - depth;
            self.scattered_constant(b, axis, &shuffle.table())
        });
        let inputs = if let (Some(rows), Source::Made(stored)) = (rows, value.source) {
            [stored, rows]
        } else {
            [self.swapped(a, &mut op.adjoint_a)?, self.swapped(b, &mut op.adjoint_b)?]
        };
        let order = Order::stated(self.dims(node.output()).len());
        self.node(node, op.into(), &inputs, &order)
    }

    /// An operand whose last stored dimension is its last but one: with the two swapped, runs of elements stay together.
    fn swapped(&mut self, id: TensorId, flag: &mut bool) -> Result<TensorId, InferError> {
        let value = self.value(id);
        let rank = value.order.rank();
        if value.order.dims().last() != Some(&(rank - 2)) {
            return self.stated(id);
        }
        let mut dims: Vec<usize> = (0..rank).collect();
        dims.swap(rank - 2, rank - 1);
        *flag = !*flag;
        self.form(id, &Order::new(dims))
    }
}

/// Element `i` along an axis moves to `table[i]`.
fn scattered(data: &Constant, axis: usize, table: &[usize]) -> Option<Constant> {
    let mut inverse = vec![0; table.len()];
    for (i, &to) in table.iter().enumerate() {
        inverse[to] = i;
    }
    data.selected(axis, &inverse)
}

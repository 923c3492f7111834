//! What each operator does to the labels of its tensors.
//!
//! One walk in topological order. Layers with weights make channels with labels of their own; what computes each element alone passes
//! them on; what reads several channels at once, in a way that has no weights to cut, keeps them.

use ir::ops::{Function, PadMode, Reads};
use ir::{Graph, Node, Op, TensorId};

use super::labels::{Label, Labels};
use super::reshape::reshaped;

/// The labels of all tensors of a graph.
pub(super) fn walk(graph: &Graph) -> Labels {
    let mut walk = Walk {
        graph,
        labels: Labels::new(graph),
    };
    for &input in graph.inputs() {
        walk.keep(input, "it is an input of the network");
    }
    for node in graph.nodes() {
        walk.visit(node);
    }
    for &output in graph.outputs() {
        for axis in walk.axes(output) {
            walk.labels.fix(&axis, "they are the network's output");
        }
    }
    walk.labels
}

struct Walk<'a> {
    graph: &'a Graph,
    labels: Labels,
}

impl Walk<'_> {
    fn dims(&self, tensor: TensorId) -> &[usize] {
        self.graph.tensor(tensor).ty.shape.dims()
    }

    fn is_constant(&self, tensor: TensorId) -> bool {
        self.graph.tensor(tensor).data.is_some()
    }

    /// The labels of a tensor that is read: those of a constant that is no weight stay.
    fn axes(&mut self, tensor: TensorId) -> Vec<Vec<Label>> {
        if self.labels.of(tensor).is_none() {
            self.keep(tensor, &format!("`{}` is a constant", self.graph.tensor(tensor).name));
        }
        self.labels.of(tensor).unwrap_or_default().to_vec()
    }

    /// The labels along the last dimension of a tensor that is read.
    fn last(&mut self, tensor: TensorId) -> Vec<Label> {
        self.axes(tensor).pop().unwrap_or_default()
    }

    /// Nothing of a tensor may go.
    fn keep(&mut self, tensor: TensorId, reason: &str) {
        let extents = self.dims(tensor).to_vec();
        let axes = extents.iter().map(|&n| self.labels.staying(n, reason)).collect();
        self.labels.set(tensor, axes);
    }

    /// Says of a constant that nodes read as weights what one of its dimensions carries; the others stay.
    fn weigh(&mut self, tensor: TensorId, carried: &[(usize, &[Label])]) {
        let extents = self.dims(tensor).to_vec();
        let axis = |(i, &n): (usize, &usize)| match carried.iter().find(|(axis, _)| *axis == i) {
            Some((_, labels)) => labels.to_vec(),
            None => self.labels.staying(n, "a dimension of weights beside the channels"),
        };
        let axes = extents.iter().enumerate().map(axis).collect();
        if !self.is_constant(tensor) || self.graph.tensor(tensor).quantization.is_some() {
            let reason = format!("`{}` is computed or quantized", self.graph.tensor(tensor).name);
            for (_, labels) in carried {
                self.labels.fix(labels, &reason);
            }
            if self.labels.of(tensor).is_none() {
                self.keep(tensor, &reason);
            }
            return;
        }
        self.labels.set(tensor, axes);
    }

    /// An operator that is not understood: what it reads and what it makes stays.
    fn refuse(&mut self, node: &Node, what: &str) {
        let reason = format!("{} `{}` {what}", node.op.name(), node.name);
        for &input in &node.inputs {
            for axis in self.axes(input) {
                self.labels.fix(&axis, &reason);
            }
        }
        for &output in &node.outputs {
            self.keep(output, &reason);
        }
    }

    /// An operator over windows of an image, whose rows and columns stay.
    fn image(&mut self, node: &Node, channels: Vec<Label>) {
        let reason = format!("rows and columns of {} `{}`", node.op.name(), node.name);
        for axis in self.axes(node.inputs[0]).iter().take(3) {
            self.labels.fix(axis, &reason);
        }
        let extents = self.dims(node.output()).to_vec();
        let mut axes: Vec<_> = extents.iter().map(|&n| self.labels.staying(n, &reason)).collect();
        axes[3] = channels;
        self.labels.set(node.output(), axes);
    }

    fn visit(&mut self, node: &Node) {
        match &node.op {
            Op::Conv2d(conv) => self.convolution(node, conv.groups),
            Op::TransposeConv2d(_) => self.convolution(node, 1),
            Op::DepthwiseConv2d(_) => self.depthwise(node),
            Op::FullyConnected(_) => self.fully_connected(node),
            Op::MatMul(product) => self.product(node, product.adjoint_a, product.adjoint_b),
            Op::BatchNorm(_) => {
                let channels = self.last(node.inputs[0]);
                for &statistic in &node.inputs[1..] {
                    self.weigh(statistic, &[(0, &channels)]);
                }
                self.pass(node);
            }
            Op::LayerNorm(norm) => {
                let normalized = self.axes(node.inputs[0]).split_off(norm.axis);
                let reason = format!("layer_norm `{}` takes the mean of them", node.name);
                for axis in &normalized {
                    self.labels.fix(axis, &reason);
                }
                self.pass(node);
            }
            Op::Div(_) if self.is_constant(node.inputs[1]) => self.binary(node),
            // At zero these are not finite: a channel that is set to zero would not stay without effect.
            Op::Div(_) | Op::Pow(_) | Op::Function(Function::Log | Function::Rsqrt) => {
                self.refuse(node, "is not finite for channels of zeros");
            }
            op if op.reads() == Reads::Function => self.pass(node),
            op if op.reads() == Reads::Broadcast => self.binary(node),
            Op::Dropout(_) | Op::Identity(_) => self.pass(node),
            Op::Softmax(_) => {
                let summed = self.last(node.inputs[0]);
                self.labels
                    .fix(&summed, &format!("softmax `{}` sums over them", node.name));
                self.pass(node);
            }
            Op::MaxPool2d(_) | Op::AveragePool2d(_) | Op::Resize(_) => {
                let channels = self.last(node.inputs[0]);
                self.image(node, channels);
            }
            Op::Mean(op) => self.reduce(node, &op.axes, op.keep_dims),
            Op::ReduceSum(op) => self.reduce(node, &op.axes, op.keep_dims),
            Op::ReduceMax(op) => self.reduce(node, &op.axes, op.keep_dims),
            Op::ReduceMin(op) => self.reduce(node, &op.axes, op.keep_dims),
            Op::Concat(concat) => self.concat(node, concat.axis),
            Op::Split(split) => self.split(node, split.axis, split.parts),
            Op::Slice(slice) => {
                let mut axes = self.axes(node.inputs[0]);
                for (i, axis) in axes.iter_mut().enumerate() {
                    if slice.stride[i] > 1 {
                        let reason = format!("slice `{}` skips some of them", node.name);
                        self.labels.fix(axis, &reason);
                    }
                    let picked = axis[slice.begin[i]..slice.end[i]].iter().step_by(slice.stride[i]);
                    *axis = picked.copied().collect();
                }
                self.labels.set(node.output(), axes);
            }
            Op::Gather(gather) => self.gather(node, gather.axis),
            Op::Pad(pad) => {
                let mut axes = self.axes(node.inputs[0]);
                for (i, axis) in axes.iter_mut().enumerate() {
                    let (before, after) = (pad.before[i], pad.after[i]);
                    if before + after > 0 && matches!(pad.mode, PadMode::Reflect | PadMode::Symmetric) {
                        self.labels.fix(axis, &format!("pad `{}` mirrors them", node.name));
                    }
                    if self.labels.is_free(axis) {
                        let (mut padded, after) = (self.labels.fresh(before), self.labels.fresh(after));
                        padded.extend(axis.iter().copied().chain(after));
                        *axis = padded;
                    } else {
                        let extent = axis.len() + before + after;
                        *axis = self
                            .labels
                            .staying(extent, &format!("pad `{}` has nothing to give up", node.name));
                    }
                }
                self.labels.set(node.output(), axes);
            }
            Op::Reshape(reshape) => {
                let axes = self.axes(node.inputs[0]);
                let axes = reshaped(&mut self.labels, &axes, &reshape.shape, &node.name);
                self.labels.set(node.output(), axes);
            }
            Op::Transpose(transpose) => {
                let axes = self.axes(node.inputs[0]);
                let axes = transpose.perm.iter().map(|&p| axes[p].clone()).collect();
                self.labels.set(node.output(), axes);
            }
            Op::ArgMax(_) => self.refuse(node, "says channels by their number"),
            Op::Quantize(_) | Op::Dequantize(_) => self.refuse(node, "is of a quantized network"),
            _ => self.refuse(node, "is not known to this program"),
        }
    }

    fn pass(&mut self, node: &Node) {
        let axes = self.axes(node.inputs[0]);
        self.labels.set(node.output(), axes);
    }

    fn convolution(&mut self, node: &Node, groups: usize) {
        let (weights, read) = (node.inputs[1], self.last(node.inputs[0]));
        let made = self.dims(weights)[0];
        if groups == 0 || read.len() / groups == 1 && groups > 1 {
            return self.depthwise_of(node, &read, made, 0);
        }
        let channels = self.labels.fresh(made);
        if groups > 1 {
            // Every group loses the same of its channels.
            let (own, each) = (read.len() / groups, made / groups);
            for group in 1..groups {
                self.labels.tie_all(&read[..own], &read[group * own..]);
                self.labels.tie_all(&channels[..each], &channels[group * each..]);
            }
        }
        self.weigh(weights, &[(0, &channels), (3, &read[..read.len() / groups])]);
        self.bias(node, &channels);
        self.image(node, channels);
    }

    fn depthwise(&mut self, node: &Node) {
        let read = self.last(node.inputs[0]);
        let made = self.dims(node.inputs[1])[3];
        self.depthwise_of(node, &read, made, 3);
    }

    /// Each input channel makes `made / read` outputs of its own.
    fn depthwise_of(&mut self, node: &Node, read: &[Label], made: usize, axis: usize) {
        let multiplier = made / read.len().max(1);
        let channels: Vec<Label> = read.iter().flat_map(|&l| std::iter::repeat_n(l, multiplier)).collect();
        self.weigh(node.inputs[1], &[(axis, &channels)]);
        self.bias(node, &channels);
        self.image(node, channels);
    }

    fn fully_connected(&mut self, node: &Node) {
        let read = self.last(node.inputs[0]);
        let channels = self.labels.fresh(self.dims(node.inputs[1])[0]);
        self.weigh(node.inputs[1], &[(0, &channels), (1, &read)]);
        self.bias(node, &channels);
        let mut axes = self.axes(node.inputs[0]);
        if let Some(last) = axes.last_mut() {
            *last = channels;
        }
        self.labels.set(node.output(), axes);
    }

    fn bias(&mut self, node: &Node, channels: &[Label]) {
        if let Some(&bias) = node.inputs.get(2) {
            self.weigh(bias, &[(0, channels)]);
        }
    }

    /// Rows come from one side, columns from the other; what is summed over is tied.
    fn product(&mut self, node: &Node, adjoint_a: bool, adjoint_b: bool) {
        let (mut a, mut b) = (self.axes(node.inputs[0]), self.axes(node.inputs[1]));
        let matrix = |axes: &mut Vec<Vec<Label>>, adjoint: bool| {
            let (last, first) = (axes.pop().unwrap_or_default(), axes.pop().unwrap_or_default());
            if adjoint { (last, first) } else { (first, last) }
        };
        let (rows, inner) = matrix(&mut a, adjoint_a);
        let (other, columns) = matrix(&mut b, adjoint_b);
        self.labels.tie_all(&inner, &other);
        let rank = self.dims(node.output()).len().saturating_sub(2);
        let mut axes = self.broadcast(&[a, b], rank);
        axes.extend([rows, columns]);
        self.labels.set(node.output(), axes);
    }

    /// The labels of dimensions that broadcast as in NumPy.
    fn broadcast(&mut self, sides: &[Vec<Vec<Label>>], rank: usize) -> Vec<Vec<Label>> {
        let axis = |i: usize| {
            let reach = |side: &Vec<Vec<Label>>| (i + side.len()).checked_sub(rank).map(|k| side[k].clone());
            let mut present = sides.iter().filter_map(reach).collect::<Vec<_>>();
            present.sort_by_key(|labels| std::cmp::Reverse(labels.len()));
            let wide = present.first().cloned().unwrap_or_default();
            for other in present.iter().skip(1).filter(|other| other.len() == wide.len()) {
                self.labels.tie_all(&wide, other);
            }
            wide
        };
        (0..rank).map(axis).collect()
    }

    fn binary(&mut self, node: &Node) {
        let rank = self.dims(node.output()).len();
        let (constants, computed): (Vec<TensorId>, Vec<TensorId>) =
            node.inputs.iter().partition(|&&t| self.is_constant(t));
        let sides: Vec<_> = computed.iter().map(|&t| self.axes(t)).collect();
        let mut axes = self.broadcast(&sides, rank);
        let extents = self.dims(node.output()).to_vec();
        for (axis, &extent) in axes.iter_mut().zip(&extents) {
            if axis.len() != extent {
                *axis = self
                    .labels
                    .staying(extent, &format!("a constant widens `{}`", node.name));
            }
        }
        for constant in constants {
            let dims = self.dims(constant).to_vec();
            let skipped = rank - dims.len();
            let carried: Vec<(usize, &[Label])> = (0..dims.len())
                .filter(|&k| dims[k] == axes[skipped + k].len())
                .map(|k| (k, axes[skipped + k].as_slice()))
                .collect();
            self.weigh(constant, &carried);
        }
        self.labels.set(node.output(), axes);
    }

    fn reduce(&mut self, node: &Node, reduced: &[usize], keep_dims: bool) {
        let reason = format!("{} `{}` sums over them", node.op.name(), node.name);
        let mut axes = Vec::new();
        for (i, axis) in self.axes(node.inputs[0]).into_iter().enumerate() {
            if reduced.contains(&i) {
                self.labels.fix(&axis, &reason);
                if keep_dims {
                    axes.push(self.labels.staying(1, &reason));
                }
            } else {
                axes.push(axis);
            }
        }
        self.labels.set(node.output(), axes);
    }

    fn concat(&mut self, node: &Node, along: usize) {
        let parts: Vec<_> = node.inputs.iter().map(|&t| self.axes(t)).collect();
        let mut axes = parts[0].clone();
        for part in &parts[1..] {
            for (i, axis) in part.iter().enumerate() {
                if i == along {
                    axes[i].extend(axis);
                } else {
                    self.labels.tie_all(&axes[i], axis);
                }
            }
        }
        self.labels.set(node.output(), axes);
    }

    /// Pieces are equal: each loses the same of its channels.
    fn split(&mut self, node: &Node, along: usize, parts: usize) {
        let axes = self.axes(node.inputs[0]);
        let extent = axes[along].len() / parts.max(1);
        for (part, &output) in node.outputs.iter().enumerate() {
            let piece = axes[along][part * extent..(part + 1) * extent].to_vec();
            self.labels.tie_all(&axes[along][..extent], &piece);
            let mut own = axes.clone();
            own[along] = piece;
            self.labels.set(output, own);
        }
    }

    fn gather(&mut self, node: &Node, along: usize) {
        let axes = self.axes(node.inputs[0]);
        let reason = format!("gather `{}` picks some of them", node.name);
        self.labels.fix(&axes[along], &reason);
        let picked = self.dims(node.inputs[1]).to_vec();
        let picked = picked
            .iter()
            .map(|&n| self.labels.staying(n, &reason))
            .collect::<Vec<_>>();
        self.keep(node.inputs[1], &reason);
        let made = [&axes[..along], &picked, &axes[along + 1..]].concat();
        self.labels.set(node.output(), made);
    }
}

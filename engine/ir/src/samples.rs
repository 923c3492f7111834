//! Where the samples of a run are in each tensor: the dimension that counts them is followed from the inputs, which say where it
//! is ([`Graph::sample_axes`]), through every operator to the outputs.
//!
//! Who writes outputs of many runs, and who writes files for any number of samples, asks here instead of taking the first dimension for it.

use crate::ops::MatMul;
use crate::{Graph, Node, Op, TensorId};

/// Where the samples of a run are in a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: the tensor is the same whatever the samples are.
    Apart,
    /// Along a dimension, what belongs to one sample before what belongs to the next.
    Along(usize),
    /// In no one dimension: it depends on the samples as a whole.
    Mixed,
}

/// Where the samples of a run are, tensor by tensor.
#[derive(Debug, Clone)]
pub struct Samples {
    batch: usize,
    places: Vec<Place>,
    any_number: bool,
}

impl Samples {
    /// Follows the samples through a graph.
    pub fn of(graph: &Graph) -> Self {
        let (axes, batch) = graph.sample_axes();
        let mut samples = Samples {
            batch,
            places: vec![Place::Apart; graph.tensors().len()],
            any_number: batch == 1 && axes.iter().any(Option::is_some),
        };
        for (&input, axis) in graph.inputs().iter().zip(axes) {
            samples.places[input.index()] = axis.map_or(Place::Apart, Place::Along);
        }
        // An input that counts no samples is the one sample where no other counts them.
        if graph.sample_axes().0.iter().all(Option::is_none) {
            let inputs = graph.inputs().iter();
            inputs.for_each(|input| samples.places[input.index()] = Place::Mixed);
        }
        for node in graph.nodes() {
            let place = samples.through(graph, node);
            samples.any_number &= place != Place::Mixed;
            for output in &node.outputs {
                samples.places[output.index()] = place;
            }
        }
        samples
    }

    /// How many samples a run takes.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Where they are in a tensor.
    pub fn place(&self, id: TensorId) -> Place {
        self.places[id.index()]
    }

    /// Whether the same operators compute any number of samples at once, each for itself.
    pub fn any_number(&self) -> bool {
        self.any_number
    }

    fn through(&mut self, graph: &Graph, node: &Node) -> Place {
        let places: Vec<Place> = node.inputs.iter().map(|&id| self.place(id)).collect();
        if places.iter().all(|&place| place == Place::Apart) {
            return Place::Apart;
        }
        if places.contains(&Place::Mixed) {
            return Place::Mixed;
        }
        self.along(graph, node, &places).map_or(Place::Mixed, Place::Along)
    }

    /// The dimension of the outputs along which the samples are, if there still is one; no input is mixed, and not all are apart.
    fn along(&mut self, graph: &Graph, node: &Node, places: &[Place]) -> Option<usize> {
        let dims = |i: usize| graph.tensor(node.inputs[i]).ty.shape.dims();
        let out = graph.tensor(node.output()).ty.shape.dims();
        let at = |i: usize| match places.get(i) {
            Some(Place::Along(axis)) => Some(*axis),
            _ => None,
        };
        // Only the first input depends on the samples; parameters beside it do not.
        let only = if places[1..].iter().all(|&place| place == Place::Apart) {
            at(0)
        } else {
            None
        };
        let kept = |axis: usize, minded: bool| (!minded).then_some(axis);
        match &node.op {
            Op::Function(_) | Op::Quantize(_) | Op::Dequantize(_) | Op::Cast(_) | Op::Dropout(_) | Op::Identity(_) => {
                only
            }
            Op::Conv2d(_)
            | Op::DepthwiseConv2d(_)
            | Op::TransposeConv2d(_)
            | Op::MaxPool2d(_)
            | Op::AveragePool2d(_)
            | Op::Resize(_) => only.filter(|&axis| axis == 0),
            Op::Recurrent(_) => {
                // States that are there before the first step count samples as the activations do, or are the same for all.
                let first = places
                    .iter()
                    .all(|&place| matches!(place, Place::Apart | Place::Along(0)));
                let fixed = (4..places.len()).any(|i| places[i] == Place::Apart);
                self.any_number &= !fixed;
                (first && places[0] == Place::Along(0)).then_some(0)
            }
            Op::FullyConnected(_) | Op::BatchNorm(_) | Op::Softmax(_) => {
                only.and_then(|axis| kept(axis, axis + 1 == dims(0).len()))
            }
            Op::LayerNorm(op) => only.and_then(|axis| kept(axis, axis >= op.axis)),
            Op::Mean(op) => only.and_then(|axis| reduced(axis, &op.axes, op.keep_dims)),
            Op::ReduceSum(op) => only.and_then(|axis| reduced(axis, &op.axes, op.keep_dims)),
            Op::ReduceMax(op) => only.and_then(|axis| reduced(axis, &op.axes, op.keep_dims)),
            Op::ReduceMin(op) => only.and_then(|axis| reduced(axis, &op.axes, op.keep_dims)),
            Op::ArgMax(op) => only.and_then(|axis| reduced(axis, &[op.axis], false)),
            Op::Split(op) => only.and_then(|axis| kept(axis, axis == op.axis)),
            Op::Slice(op) => only.and_then(|axis| {
                let whole = op.begin[axis] == 0 && op.end[axis] == dims(0)[axis] && op.stride[axis] == 1;
                kept(axis, !whole)
            }),
            Op::Pad(op) => only.and_then(|axis| kept(axis, op.before[axis] != 0 || op.after[axis] != 0)),
            Op::Transpose(op) => only.and_then(|axis| op.perm.iter().position(|&p| p == axis)),
            Op::Reshape(_) => only.and_then(|axis| reshaped(dims(0), axis, out, self.batch)),
            Op::Gather(op) => match (at(0), at(1)) {
                (Some(axis), None) if axis < op.axis => Some(axis),
                (Some(axis), None) if axis > op.axis => Some(axis + dims(1).len() - 1),
                (None, Some(axis)) => Some(op.axis + axis),
                _ => None,
            },
            Op::Add(_)
            | Op::Sub(_)
            | Op::Mul(_)
            | Op::Div(_)
            | Op::Pow(_)
            | Op::Minimum(_)
            | Op::Maximum(_)
            | Op::PRelu(_)
            | Op::Select(_) => self.broadcast(graph, node, places, 0, out),
            Op::Concat(op) => {
                let axis = self.broadcast(graph, node, places, 0, out)?;
                // What is the same for all samples would have to be repeated for each.
                self.any_number &= !places.contains(&Place::Apart);
                kept(axis, axis == op.axis)
            }
            Op::MatMul(op) => self.product(graph, node, op, places),
            Op::Custom(_) => None,
        }
    }

    /// The common dimension of tensors that are broadcast to `out`, counted from the end, their last `inner` dimensions left out.
    fn broadcast(
        &mut self,
        graph: &Graph,
        node: &Node,
        places: &[Place],
        inner: usize,
        out: &[usize],
    ) -> Option<usize> {
        let ranks = || node.inputs.iter().map(|&id| graph.tensor(id).ty.shape.dims());
        let in_output = |(dims, place): (&[usize], &Place)| match place {
            Place::Along(axis) => Some(axis + out.len() - dims.len()),
            _ => None,
        };
        let mut axes = ranks().zip(places).filter_map(in_output);
        let axis = axes.next()?;
        let agreed = axes.all(|other| other == axis) && axis + inner < out.len();
        let offset = out.len() - axis;
        for (dims, place) in ranks().zip(places) {
            let extent = dims.len().checked_sub(offset).map_or(1, |at| dims[at]);
            match place {
                Place::Along(_) if extent != out[axis] => return None,
                // Another value for each sample of a batch of a fixed number.
                Place::Apart if extent != 1 => self.any_number = false,
                _ => {}
            }
        }
        agreed.then_some(axis)
    }

    fn product(&mut self, graph: &Graph, node: &Node, op: &MatMul, places: &[Place]) -> Option<usize> {
        let out = graph.tensor(node.output()).ty.shape.dims();
        let rank = |i: usize| graph.tensor(node.inputs[i]).ty.shape.rank();
        let row = |i: usize, axis: usize, adjoint: bool| axis + if adjoint { 1 } else { 2 } == rank(i);
        match (places[0], places[1]) {
            // Rows of the first matrix, columns of the second.
            (Place::Along(axis), Place::Apart) if row(0, axis, op.adjoint_a) => Some(out.len() - 2),
            (Place::Apart, Place::Along(axis)) if row(1, axis, !op.adjoint_b) => Some(out.len() - 1),
            _ => self.broadcast(graph, node, places, 2, out),
        }
    }
}

/// Where a dimension is after a reduction over others.
fn reduced(axis: usize, over: &[usize], keep_dims: bool) -> Option<usize> {
    let before = over.iter().filter(|&&other| other < axis).count();
    (!over.contains(&axis)).then_some(if keep_dims { axis } else { axis - before })
}

/// Where a dimension that counts samples is after a reshape: it begins where as many elements lie before it, and holds all samples.
fn reshaped(from: &[usize], axis: usize, to: &[usize], batch: usize) -> Option<usize> {
    let before = |dims: &[usize]| dims.iter().product::<usize>();
    let fits = |&j: &usize| before(&to[..j]) == before(&from[..axis]) && to[j].is_multiple_of(batch) && to[j] != 0;
    // A dimension that counts nothing else stays one: the one at the same place, then another of its extent.
    let same = |&j: &usize| from[axis] == batch && to[j] == batch && fits(&j);
    let here = Some(axis).filter(|&axis| axis < to.len());
    here.filter(same)
        .or_else(|| (0..to.len()).find(same))
        .or(here.filter(fits))
        .or_else(|| (0..to.len()).find(fits))
}

impl Graph {
    /// Decides whether what stands first in the inputs of an imported graph counts samples, where the file leaves it to be seen: a
    /// first extent beyond 1 does so where it reaches every output; else the input is one sample as a whole.
    pub fn settle_samples(&mut self) {
        let samples = Samples::of(self);
        let lost = self.outputs().iter().any(|&id| samples.place(id) == Place::Mixed);
        if samples.batch() > 1 && lost {
            for i in 0..self.inputs().len() {
                let mut stated = self.stated(i);
                stated.samples = crate::SampleAxis::Nowhere;
                self.state(i, stated);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Add, Concat, FullyConnected, Function, Mean, Reshape, Transpose};
    use crate::{Constant, SampleAxis, Stated, TensorType};

    /// A graph of one input, and where the samples are in what `build` makes of it.
    fn place(input: &[usize], build: impl FnOnce(&mut Graph, TensorId) -> TensorId) -> (Place, Samples) {
        let mut graph = Graph::new("g");
        let x = graph.input("x", TensorType::f32(input));
        let y = build(&mut graph, x);
        graph.set_outputs(&[y]);
        let samples = Samples::of(&graph);
        (samples.place(y), samples)
    }

    fn ones(graph: &mut Graph, dims: &[usize]) -> TensorId {
        let data = Constant::f32(dims, vec![1.0; dims.iter().product()]).unwrap();
        let name = graph.fresh_name("c");
        graph.constant(name, data)
    }

    #[test]
    fn samples_are_followed_to_where_they_go() {
        let (found, samples) = place(&[1, 5, 4], |g, x| {
            g.add("t", Transpose { perm: vec![1, 0, 2] }, &[x]).unwrap()
        });
        assert_eq!((found, samples.any_number()), (Place::Along(1), true));
        // Rows of all samples in one matrix, and back.
        let rows = |g: &mut Graph, x| {
            let shape = vec![5, 4];
            let flat = g.add("flat", Reshape { shape }, &[x]).unwrap();
            let w = ones(g, &[3, 4]);
            g.add("dense", FullyConnected::default(), &[flat, w]).unwrap()
        };
        assert_eq!(place(&[1, 5, 4], rows).0, Place::Along(0));
        let shape = vec![1, 5, 3];
        let back = |g: &mut Graph, x| {
            let y = rows(g, x);
            g.add("back", Reshape { shape }, &[y]).unwrap()
        };
        let (found, samples) = place(&[1, 5, 4], back);
        assert_eq!((found, samples.any_number()), (Place::Along(0), true));
    }

    #[test]
    fn what_needs_a_number_of_samples_is_known() {
        let token = |g: &mut Graph, x| {
            let c = ones(g, &[1, 1, 4]);
            g.add("cat", Concat { axis: 1 }, &[c, x]).unwrap()
        };
        let (found, samples) = place(&[1, 5, 4], token);
        assert_eq!((found, samples.any_number()), (Place::Along(0), false));
        let each = |g: &mut Graph, x| {
            let c = ones(g, &[3, 4]);
            g.add("add", Add::default(), &[x, c]).unwrap()
        };
        assert_eq!(place(&[3, 4], each).0, Place::Along(0));
        let mean = |g: &mut Graph, x| {
            let (axes, keep_dims) = (vec![0], false);
            g.add("mean", Mean { axes, keep_dims }, &[x]).unwrap()
        };
        assert_eq!(place(&[3, 4], mean).0, Place::Mixed);
    }

    #[test]
    fn a_constant_is_the_same_for_all_samples() {
        let (found, samples) = place(&[1, 4], |g, _| {
            let c = ones(g, &[7]);
            g.add("r", Function::Relu, &[c]).unwrap()
        });
        assert_eq!((found, samples.batch()), (Place::Apart, 1));
    }

    #[test]
    fn a_first_dimension_that_is_lost_counted_no_samples() {
        let settled = |axes: Vec<usize>| {
            let mut graph = Graph::new("g");
            let x = graph.input("x", TensorType::f32([20, 64]));
            let keep_dims = true;
            let y = graph.add("mean", Mean { axes, keep_dims }, &[x]).unwrap();
            graph.set_outputs(&[y]);
            graph.settle_samples();
            graph.stated(0)
        };
        assert_eq!(settled(vec![1]), Stated::default());
        assert_eq!(settled(vec![0]).samples, SampleAxis::Nowhere);
    }
}

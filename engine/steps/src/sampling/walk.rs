//! Samples on their way through a network, layer after layer.
//!
//! Work that changes one layer after the other looks at each layer's inputs once those before it have been changed. Running the network from
//! its start for every layer would take time in the square of its depth: a [`Walk`] remembers what all samples have become at the place where it last
//! stopped, and goes on from there. Where a network is too wide to remember, it goes on from an earlier, narrower place.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use ir::{Graph, NodeId, QuantParams, TensorId};
use runtime::{Executable, InputBuffers, Options, Outputs, Value};

use crate::StepError;
use crate::sampling::{Feeder, Samples};

/// Bytes that a walk remembers, at most.
const REMEMBERED: usize = 1 << 30;

/// Where samples stand in one network, or in one that is changed from its start to its end.
#[derive(Clone)]
pub struct Walk<'a> {
    samples: &'a Samples<'a>,
    stop: Option<Arc<Stop>>,
    remembered: usize,
}

/// What samples have become before a node.
struct Stop {
    before: NodeId,
    /// All that the node and those after it read of what comes before.
    tensors: Vec<TensorId>,
    /// Their values for each sample, in the order of the draw.
    values: Vec<InputBuffers>,
}

impl Stop {
    /// Before `node`, reached by no sample yet.
    fn before(graph: &Graph, node: NodeId) -> Self {
        let done = &graph.nodes()[..node.index()];
        let read = |tensor: &TensorId| graph.nodes()[node.index()..].iter().any(|n| n.inputs.contains(tensor));
        let made = done.iter().flat_map(|n| &n.outputs);
        Stop {
            before: node,
            tensors: graph.inputs().iter().chain(made).copied().filter(read).collect(),
            values: Vec::new(),
        }
    }

    /// Bytes of one sample.
    fn bytes(&self, graph: &Graph) -> usize {
        self.tensors.iter().map(|&t| graph.tensor(t).ty.bytes()).sum()
    }
}

impl<'a> Walk<'a> {
    /// All samples before the first node.
    pub(crate) fn new(samples: &'a Samples<'a>) -> Self {
        Walk {
            samples,
            stop: None,
            remembered: REMEMBERED,
        }
    }

    /// The way from the last stop to `tensors` of `graph`. Nodes before `settled` are final: no later call brings a graph in which they
    /// differ. Without it nothing is remembered.
    ///
    /// # Errors
    /// The dataset does not fit the graph's input.
    pub(crate) fn way(
        &self,
        graph: &Graph,
        settled: Option<NodeId>,
        tensors: &[TensorId],
    ) -> Result<Way<'a>, StepError> {
        let next = settled
            .filter(|&node| self.stop.as_ref().is_none_or(|stop| stop.before < node))
            .map(|node| Stop::before(graph, node))
            .filter(|next| next.bytes(graph) * self.samples.len() <= self.remembered);
        let mut outputs: Vec<TensorId> = Vec::new();
        for &tensor in tensors.iter().chain(next.iter().flat_map(|next| &next.tensors)) {
            if !outputs.contains(&tensor) {
                outputs.push(tensor);
            }
        }
        let inputs = self.stop.as_ref().map_or(graph.inputs(), |stop| &stop.tensors);
        let part = graph.part(inputs, &outputs)?;
        let place = |tensor: &TensorId| outputs.iter().position(|o| o == tensor).unwrap_or_default();
        let params = |tensor: &TensorId| {
            let quantization = graph.tensor(*tensor).quantization.as_ref();
            quantization.and_then(ir::Quantization::whole)
        };
        Ok(Way {
            walk: self.clone(),
            executable: Executable::new(&part, Options::default())?,
            wanted: tensors.iter().map(|t| (place(t), params(t))).collect(),
            kept: next.iter().flat_map(|next| next.tensors.iter().map(place)).collect(),
            next,
        })
    }

    /// Goes where a way has led all samples.
    pub(crate) fn go(&mut self, way: Way<'a>) {
        if let Some(next) = way.next.filter(|next| next.values.len() == self.samples.len()) {
            self.stop = Some(Arc::new(next));
        }
    }

    /// What `read` makes of the real numbers of a tensor on each sample, in the order of the draw. See [`Walk::way`].
    pub(crate) fn each<R: Send>(
        &mut self,
        graph: &Graph,
        settled: Option<NodeId>,
        tensor: TensorId,
        read: impl Fn(usize, &[f32]) -> R + Sync,
    ) -> Result<Vec<R>, StepError> {
        let mut way = self.way(graph, settled, &[tensor])?;
        let mut all = Vec::with_capacity(self.samples.len());
        for batch in self.samples.batches() {
            all.extend(way.pass(batch, |sample, values| read(sample, &values[0]))?);
        }
        self.go(way);
        Ok(all)
    }
}

/// A part of a network that samples pass through in batches.
pub struct Way<'a> {
    /// Where it starts.
    walk: Walk<'a>,
    executable: Executable,
    /// The outputs that are read, and what their integers mean.
    wanted: Vec<(usize, Option<QuantParams>)>,
    /// The outputs that are remembered.
    kept: Vec<usize>,
    next: Option<Stop>,
}

impl Way<'_> {
    /// What `read` makes of the wanted tensors' real numbers on each sample of a batch; it is told the sample's place in the dataset.
    ///
    /// Batches are to pass in the order of [`Samples::batches`].
    pub(crate) fn pass<R: Send>(
        &mut self,
        batch: Range<usize>,
        read: impl Fn(usize, &[Cow<'_, [f32]>]) -> R + Sync,
    ) -> Result<Vec<R>, StepError> {
        let samples = self.walk.samples;
        samples.context().check_cancelled()?;
        let order = &samples.order()[batch.clone()];
        let stop = self.walk.stop.as_deref();
        let feeder = match stop {
            Some(_) => None,
            None => Some(samples.feeder(&self.executable)?.only(order)),
        };
        let feed = |i: usize, buffers: &mut InputBuffers| match (&feeder, stop) {
            (Some(feeder), _) => feeder.feed(i, buffers),
            (None, Some(stop)) => {
                buffers.clone_from(&stop.values[batch.start + i]);
                Ok(())
            }
            (None, None) => Ok(()),
        };
        let see = |i: usize, outputs: &Outputs<'_>| {
            let values: Vec<_> = self
                .wanted
                .iter()
                .map(|&(o, params)| real(outputs.get(o), params))
                .collect();
            let kept = self
                .next
                .is_some()
                .then(|| InputBuffers::of(self.kept.iter().map(|&o| outputs.get(o))));
            (read(order[i], &values), kept)
        };
        let hooks = runtime::Hooks {
            progress: &|_, _| (),
            cancelled: samples.context().cancelled,
        };
        let seen = runtime::map_samples(&self.executable, order.len(), feed, see, hooks)?;
        feeder.as_ref().map_or(Ok(()), Feeder::check)?;
        let (results, kept): (Vec<R>, Vec<Option<InputBuffers>>) = seen.into_iter().unzip();
        if let Some(next) = &mut self.next {
            next.values.extend(kept.into_iter().flatten());
        }
        Ok(results)
    }
}

/// The real numbers of a tensor.
fn real(value: Value<'_>, params: Option<QuantParams>) -> Cow<'_, [f32]> {
    let real = |q: i32| params.map_or(q as f32, |p| p.dequantize(q));
    match value {
        Value::F32(values) => Cow::Borrowed(values),
        Value::I8(values) => values.iter().map(|&q| real(q.into())).collect(),
        Value::U8(values) => values.iter().map(|&q| real(q.into())).collect(),
        Value::I16(values) => values.iter().map(|&q| real(q.into())).collect(),
        Value::I32(values) => values.iter().map(|&q| real(q)).collect(),
        Value::I64(values) => values.iter().map(|&q| q as f32).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixtures::{network, noise, with_context};

    /// The first input of each node, as a walk sees it while nodes that were passed are changed behind it.
    fn seen(remembered: usize, change: bool) -> Vec<Vec<f32>> {
        let data = noise(70);
        with_context(2, |context| {
            let samples = Samples::draw(&data, 70, 3, context).unwrap();
            let mut walk = Walk {
                remembered,
                ..Walk::new(&samples)
            };
            let mut graph = network();
            let nodes: Vec<NodeId> = graph.node_ids().collect();
            let mut all = Vec::new();
            for id in nodes {
                let node = graph.node(id).clone();
                let values = walk.each(&graph, Some(id), node.inputs[0], |_, values| values.to_vec());
                all.push(values.unwrap().concat());
                let weights = node
                    .inputs
                    .get(1)
                    .and_then(|&w| Some((w, graph.constant_data(w)?.as_f32()?.to_vec())));
                if let Some((id, values)) = weights.filter(|_| change) {
                    let halved = values.iter().map(|w| w / 2.0).collect();
                    let shape = graph.tensor(id).ty.shape.dims().to_vec();
                    graph.tensor_mut(id).data = ir::Constant::f32(shape, halved);
                }
            }
            all
        })
    }

    #[test]
    fn going_on_from_the_last_stop_is_like_starting_again() {
        for change in [false, true] {
            let from_the_start = seen(0, change);
            assert_eq!(seen(REMEMBERED, change), from_the_start);
            // Enough for the narrow places only.
            assert_eq!(seen(70 * 4 * 200, change), from_the_start);
        }
        assert_ne!(seen(0, true), seen(0, false));
    }
}

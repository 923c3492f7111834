//! What calibration samples say about the layers of a network, one layer after the other.
//!
//! A layer is changed knowing what the layers before it have become: its inputs are taken from the network as compressed so far, its
//! wanted outputs from the original; where its output is added to another, it also makes up for the errors of that. Both networks are cut off before the layer, samples pass through in batches, and only the sums of
//! products ([`Gram`]) are kept, so that memory does not grow with the number of samples.

use data::{Amount, Sampling, Sharing};
use ir::ops::Activation;
use ir::{Graph, Op, QuantParams, TensorId};
use methods::patches::Patches;
use methods::{Gram, Layer, Problem};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use runtime::{Executable, Options, Value};

use crate::artifact::LoadedDataset;
use crate::feed::Feeder;
use crate::op::Context;
use crate::quantize::Ranges;
use crate::{StepError, calibrate};

/// Samples that pass at once.
const BATCH: usize = 64;

/// Output positions of a sample that count, at most.
const POSITIONS: usize = 100;

/// Calibration samples.
pub struct Samples<'a> {
    dataset: &'a LoadedDataset,
    order: Vec<usize>,
    context: &'a Context<'a>,
}

/// A layer's rows with the quadratic problems that say what a change of them costs.
pub struct Posed {
    /// One for each group of the layer.
    pub problems: Vec<Problem>,
    /// The rows, bias last where there is one.
    pub rows: Vec<Vec<f64>>,
    /// What each row should become if every value were allowed.
    pub targets: Vec<Vec<f64>>,
}

impl<'a> Samples<'a> {
    /// Draws `count` samples; classes keep their shares where there are labels.
    ///
    /// # Errors
    /// There are no samples.
    pub fn draw(
        dataset: &'a LoadedDataset,
        count: usize,
        seed: u64,
        context: &'a Context<'a>,
    ) -> Result<Self, StepError> {
        let labels = dataset.data.labels.as_deref();
        let sampling = Sampling {
            amount: Amount::Count(count.min(dataset.data.len())),
            seed,
            sharing: if labels.is_some() {
                Sharing::Stratified
            } else {
                Sharing::Uniform
            },
            classes: None,
        };
        let order = if dataset.data.is_empty() {
            Vec::new()
        } else {
            data::sample::sample(dataset.data.len(), labels, &sampling)?.indices
        };
        if order.is_empty() {
            return Err(StepError::Params("data: no samples to calibrate with".into()));
        }
        Ok(Samples {
            dataset,
            order,
            context,
        })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is no sample; never so for a draw.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The last `share` of the samples apart from the others: for testing what was found with the rest.
    pub fn held_out(mut self, share: f64) -> (Self, Self) {
        let kept = self.order.len() - (share * self.order.len() as f64) as usize;
        let rest = self.order.split_off(kept.max(1));
        let held = Samples {
            dataset: self.dataset,
            order: if rest.is_empty() { self.order.clone() } else { rest },
            context: self.context,
        };
        (self, held)
    }

    /// The problem of a layer in `current`, which has become of `original`; `same` where nothing before the layer has changed.
    ///
    /// `None` for layers that are no product of inputs and weights (transposed convolutions).
    pub fn pose(
        &self,
        original: &Graph,
        current: &Graph,
        layer: &Layer,
        same: bool,
        damping: f64,
    ) -> Result<Option<Posed>, StepError> {
        let Some(patches) = Patches::of(current, layer) else {
            return Ok(None);
        };
        let columns = patches.columns();
        let mut grams: Vec<Gram> = (0..patches.groups()).map(|_| Gram::new(columns)).collect();
        let shortcut = if same { None } else { shortcut(current, layer) };
        let mut missing = Array2::<f64>::zeros((layer.rows, columns));
        let taps = [
            Tap::new(current, current.node(layer.node).inputs[0])?,
            Tap::new(original, original.node(layer.node).inputs[0])?,
        ];
        for batch in self.order.chunks(BATCH) {
            self.context.check_cancelled()?;
            let compressed = self.inputs(&taps[0], batch, &patches)?;
            let originals = if same {
                None
            } else {
                Some(self.inputs(&taps[1], batch, &patches)?)
            };
            if let Some(other) = shortcut {
                let now = self.outputs(current, other, batch, &patches)?;
                let then = self.outputs(original, other, batch, &patches)?;
                let lacking: Vec<f32> = then.iter().zip(&now).map(|(a, b)| a - b).collect();
                methods::add_product(
                    &mut missing,
                    matrix(&lacking, layer.rows),
                    matrix(&compressed[0], columns),
                );
            }
            let add = |(group, gram): (usize, &mut Gram)| {
                let x = matrix(&compressed[group], columns);
                match &originals {
                    None => gram.add_same(x),
                    Some(rows) => gram.add(x, matrix(&rows[group], columns)),
                }
            };
            grams.par_iter_mut().enumerate().for_each(add);
        }
        let problems: Vec<Problem> = grams.par_iter().map(|g| g.problem(damping)).collect::<Result<_, _>>()?;
        let rows = rows(current, layer)?;
        missing /= grams[0].count().max(1) as f64;
        let target = |(r, row): (usize, &Vec<f64>)| {
            let missing = shortcut.map(|_| missing.row(r).to_vec());
            problems[layer.group(r)].target(row, missing.as_deref())
        };
        let targets = rows.par_iter().enumerate().map(target).collect();
        Ok(Some(Posed {
            problems,
            rows,
            targets,
        }))
    }

    /// The rows of a layer's input matrix over some samples, by group.
    fn inputs(&self, tap: &Tap, batch: &[usize], patches: &Patches) -> Result<Vec<Vec<f32>>, StepError> {
        let cut = |sample: usize, values: &[f32]| {
            let positions = patches.positions(sample as u64, POSITIONS);
            let group = |group| {
                let mut rows = Vec::with_capacity(positions.len() * patches.columns());
                patches.rows(values, group, &positions, &mut rows);
                rows
            };
            (0..patches.groups()).map(group).collect::<Vec<_>>()
        };
        let samples = self.observe(tap, batch, cut)?;
        let mut groups = vec![Vec::new(); patches.groups()];
        for sample in samples {
            groups
                .iter_mut()
                .zip(sample)
                .for_each(|(all, rows)| all.extend_from_slice(&rows));
        }
        Ok(groups)
    }

    /// A tensor shaped like a layer's output at the positions of its patches, a row for each.
    fn outputs(
        &self,
        graph: &Graph,
        tensor: TensorId,
        batch: &[usize],
        patches: &Patches,
    ) -> Result<Vec<f32>, StepError> {
        let channels = graph.tensor(tensor).ty.shape.dims().last().copied().unwrap_or(1);
        let samples = self.observe(&Tap::new(graph, tensor)?, batch, |sample, values| {
            let positions = patches.positions(sample as u64, POSITIONS);
            let row = |p: usize| values[p * channels..(p + 1) * channels].iter().copied();
            positions.into_iter().flat_map(row).collect::<Vec<f32>>()
        })?;
        Ok(samples.concat())
    }

    /// What `read` makes of a tensor on each sample of a batch.
    fn observe<R: Send>(
        &self,
        tap: &Tap,
        batch: &[usize],
        read: impl Fn(usize, &[f32]) -> R + Sync,
    ) -> Result<Vec<R>, StepError> {
        let feeder = Feeder::new(&tap.executable, self.dataset)?.only(batch);
        let hooks = runtime::Hooks {
            progress: &|_, _| (),
            cancelled: self.context.cancelled,
        };
        let feed = |i: usize, buffers: &mut runtime::InputBuffers| feeder.feed(i, buffers);
        let real = |q: i32| tap.params.map_or(q as f32, |p| p.dequantize(q));
        let read = |i: usize, outputs: &runtime::Outputs<'_>| {
            let sample = feeder.sample(i);
            match outputs.get(0) {
                Value::F32(values) => read(sample, values),
                Value::I8(values) => read(sample, &values.iter().map(|&q| real(q.into())).collect::<Vec<_>>()),
                Value::U8(values) => read(sample, &values.iter().map(|&q| real(q.into())).collect::<Vec<_>>()),
                Value::I16(values) => read(sample, &values.iter().map(|&q| real(q.into())).collect::<Vec<_>>()),
                Value::I32(values) => read(sample, &values.iter().map(|&q| real(q)).collect::<Vec<_>>()),
            }
        };
        Ok(runtime::map_samples(&tap.executable, batch.len(), feed, read, hooks)?)
    }

    /// What `read` makes of the real numbers of a tensor on each sample, in the order of the draw.
    pub fn each<R: Send>(
        &self,
        graph: &Graph,
        tensor: TensorId,
        read: impl Fn(usize, &[f32]) -> R + Sync,
    ) -> Result<Vec<R>, StepError> {
        let tap = Tap::new(graph, tensor)?;
        let mut all = Vec::with_capacity(self.order.len());
        for batch in self.order.chunks(BATCH) {
            self.context.check_cancelled()?;
            all.extend(self.observe(&tap, batch, &read)?);
        }
        Ok(all)
    }

    /// The mean of the rows of a layer's input matrix, by group.
    pub fn mean_inputs(&self, graph: &Graph, layer: &Layer, patches: &Patches) -> Result<Vec<Vec<f64>>, StepError> {
        let columns = patches.columns();
        let sums = self.each(graph, graph.node(layer.node).inputs[0], |_, values| {
            let positions = patches.positions(0, usize::MAX);
            let group = |group| {
                let (mut rows, mut sum) = (Vec::new(), vec![0.0; columns]);
                patches.rows(values, group, &positions, &mut rows);
                let rows = rows.chunks(columns);
                rows.for_each(|row| sum.iter_mut().zip(row).for_each(|(s, &v)| *s += f64::from(v)));
                for s in &mut sum {
                    *s /= positions.len() as f64;
                }
                sum
            };
            (0..patches.groups()).map(group).collect::<Vec<_>>()
        })?;
        let mut means = vec![vec![0.0; columns]; patches.groups()];
        for sample in &sums {
            let pairs = means.iter_mut().zip(sample);
            pairs.for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(t, f)| *t += f / sums.len() as f64));
        }
        Ok(means)
    }

    /// The least and greatest values of a prepared model's activations.
    pub fn ranges(&self, graph: &Graph) -> Result<Ranges, StepError> {
        calibrate::minmax(graph, self.dataset, &self.order, self.context)
    }

    /// A model's scores on each sample: what a final softmax reads, or the first output.
    pub fn scores(&self, graph: &Graph) -> Result<Vec<Vec<f32>>, StepError> {
        self.each(graph, scores(graph), |_, values| values.to_vec())
    }

    /// The class of each sample, in the order of the draw; `None` without labels.
    pub fn labels(&self) -> Option<Vec<usize>> {
        let labels = self.dataset.data.labels.as_deref()?;
        Some(self.order.iter().map(|&i| labels[i] as usize).collect())
    }

    /// How far a model's scores are from those of the original: the mean squared difference over the mean square of the original's.
    ///
    /// Scores are what a final softmax reads, or the first output.
    pub fn distance(&self, original: &Graph, model: &Graph) -> Result<f64, StepError> {
        let (wanted, found) = (self.scores(original)?, self.scores(model)?);
        let (mut off, mut all) = (0.0, 0.0);
        for (w, f) in wanted.iter().flatten().zip(found.iter().flatten()) {
            off += f64::from(w - f).powi(2);
            all += f64::from(*w).powi(2);
        }
        Ok(off / all.max(f64::MIN_POSITIVE))
    }
}

/// Sums of the values of each channel and of their squares, and how many values a channel has.
pub fn channel_sums(values: &[f32], channels: usize) -> (Vec<[f64; 2]>, usize) {
    let mut sums = vec![[0.0f64; 2]; channels];
    for pixel in values.chunks(channels) {
        for (sum, &v) in sums.iter_mut().zip(pixel) {
            let v = f64::from(v);
            *sum = [sum[0] + v, sum[1] + v * v];
        }
    }
    (sums, values.len() / channels)
}

/// Rows of equal length.
fn matrix(rows: &[f32], columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows.len() / columns, columns), rows).expect("whole rows")
}

/// What is added to a layer's output: the other input of the addition that alone reads it.
///
/// Errors of that input are known before the layer is changed, so that the layer can make up for them too.
fn shortcut(graph: &Graph, layer: &Layer) -> Option<TensorId> {
    let node = graph.node(layer.node);
    let plain = match &node.op {
        Op::Conv2d(op) => op.activation == Activation::None && op.groups == 1,
        _ => false,
    };
    let output = node.output();
    let reader = graph.node(graph.only_consumer(output).filter(|_| plain)?);
    if !matches!(reader.op, Op::Add(_)) {
        return None;
    }
    let other = *reader.inputs.iter().find(|&&t| t != output)?;
    let alike = graph.tensor(other).ty == graph.tensor(output).ty && graph.constant_data(other).is_none();
    alike.then_some(other)
}

/// What a final softmax reads, or the first output.
fn scores(graph: &Graph) -> TensorId {
    let mut tensor = graph.outputs()[0];
    let mut at = tensor;
    while let Some(node) = graph.producer(at).map(|id| graph.node(id)) {
        match node.op {
            Op::Softmax(_) => tensor = node.inputs[0],
            Op::Dequantize(_) | Op::Quantize(_) | Op::Reshape(_) => {}
            _ => break,
        }
        at = node.inputs[0];
    }
    tensor
}

/// A network cut off after one tensor.
struct Tap {
    executable: Executable,
    params: Option<QuantParams>,
}

impl Tap {
    fn new(graph: &Graph, tensor: TensorId) -> Result<Self, StepError> {
        let mut cut = graph.clone();
        cut.set_outputs(&[tensor]);
        cut.normalize()?;
        Ok(Tap {
            executable: Executable::new(&cut, Options::default())?,
            params: graph
                .tensor(tensor)
                .quantization
                .as_ref()
                .and_then(ir::Quantization::whole),
        })
    }
}

/// The weights of a layer by output channel, bias last where there is one.
pub fn rows(graph: &Graph, layer: &Layer) -> Result<Vec<Vec<f64>>, StepError> {
    let matrix = layer.matrix(graph)?;
    let bias = layer.bias(graph);
    let row = |(r, values): (usize, ndarray::ArrayView1<'_, f32>)| {
        let weights = values.iter().map(|&w| f64::from(w));
        weights.chain(bias.as_ref().map(|b| f64::from(b[r]))).collect()
    };
    Ok(matrix.rows().into_iter().enumerate().map(row).collect())
}

/// Writes rows as [`rows`] gives them.
pub fn set_rows(graph: &mut Graph, layer: &Layer, rows: &[Vec<f64>]) {
    let weights = ndarray::Array2::from_shape_fn((layer.rows, layer.columns), |(r, c)| rows[r][c] as f32);
    layer.set_matrix(graph, &weights);
    if layer.bias.is_some() {
        layer.set_bias(graph, rows.iter().map(|row| row[layer.columns] as f32).collect());
    }
}

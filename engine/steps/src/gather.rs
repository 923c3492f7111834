//! What calibration samples say about the layers of a network, one layer after the other.
//!
//! A layer is changed knowing what the layers before it have become: its inputs are taken from the network as compressed so far, its
//! wanted outputs from the original. Both networks are cut off before the layer, samples pass through in batches, and only the sums of
//! products ([`Gram`]) are kept, so that memory does not grow with the number of samples.

use data::{Amount, Sampling, Sharing};
use ir::{Graph, TensorId};
use methods::patches::Patches;
use methods::{Gram, Layer, Problem};
use ndarray::ArrayView2;
use rayon::prelude::*;
use runtime::{Executable, Options, Value};

use crate::StepError;
use crate::artifact::LoadedDataset;
use crate::feed::Feeder;
use crate::op::Context;

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
            let add = |(group, gram): (usize, &mut Gram)| {
                let view = |rows: &'_ [Vec<f32>]| -> Vec<f32> { rows[group].clone() };
                let x = view(&compressed);
                let shape = (x.len() / columns, columns);
                let x = ArrayView2::from_shape(shape, &x).expect("whole rows");
                match &originals {
                    None => gram.add_same(x),
                    Some(rows) => {
                        let y = view(rows);
                        gram.add(x, ArrayView2::from_shape(shape, &y).expect("as many rows"));
                    }
                }
            };
            grams.par_iter_mut().enumerate().for_each(add);
        }
        let problems: Vec<Problem> = grams
            .par_iter()
            .map(|g| g.problem(damping))
            .collect::<Result<_, _>>()?;
        let rows = rows(current, layer)?;
        let target = |(r, row): (usize, &Vec<f64>)| problems[layer.group(r)].target(row);
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
        let read = |i: usize, outputs: &runtime::Outputs<'_>| match outputs.get(tap.output) {
            Value::F32(values) => read(feeder.sample(i), values),
            _ => read(feeder.sample(i), &[]),
        };
        Ok(runtime::map_samples(&tap.executable, batch.len(), feed, read, hooks)?)
    }

    /// The first output of a float model on every sample.
    pub fn outputs(&self, graph: &Graph) -> Result<Vec<Vec<f32>>, StepError> {
        let tap = Tap {
            executable: Executable::new(graph, Options::default())?,
            output: 0,
        };
        let mut all = Vec::with_capacity(self.order.len());
        for batch in self.order.chunks(BATCH) {
            all.extend(self.observe(&tap, batch, |_, values| values.to_vec())?);
        }
        Ok(all)
    }
}

/// A network cut off after one tensor.
struct Tap {
    executable: Executable,
    output: usize,
}

impl Tap {
    fn new(graph: &Graph, tensor: TensorId) -> Result<Self, StepError> {
        let mut cut = graph.clone();
        cut.set_outputs(&[tensor]);
        cut.normalize()?;
        Ok(Tap {
            executable: Executable::new(&cut, Options::default())?,
            output: 0,
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

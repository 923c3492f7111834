//! Calibration samples: a draw from a dataset, and what networks make of it.

use std::ops::Range;
use std::sync::OnceLock;

use data::{Amount, LoadedDataset, Sample, Sampling, Sharing, Transforms};
use ir::{Graph, Op, TensorId};
use runtime::Executable;
use sha2::{Digest, Sha256};

use crate::StepError;
use crate::contract::{Context, Ranges};
use crate::sampling::{Feeder, Walk, activation_ranges};

/// Samples that pass at once.
const BATCH: usize = 64;

/// Calibration samples.
pub struct Samples<'a> {
    dataset: &'a LoadedDataset,
    order: Vec<usize>,
    context: &'a Context<'a>,
    digest: OnceLock<String>,
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
            digest: OnceLock::new(),
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
            digest: OnceLock::new(),
        };
        self.digest = OnceLock::new();
        (self, held)
    }

    /// What `read` makes of the real numbers of a tensor on each sample, in the order of the draw.
    pub fn each<R: Send>(
        &self,
        graph: &Graph,
        tensor: TensorId,
        read: impl Fn(usize, &[f32]) -> R + Sync,
    ) -> Result<Vec<R>, StepError> {
        Walk::new(self).each(graph, None, tensor, read)
    }

    /// The digest of all that a network sees.
    ///
    /// # Errors
    /// A sample cannot be read.
    pub(crate) fn digest(&self) -> Result<&str, StepError> {
        if let Some(known) = self.digest.get() {
            return Ok(known);
        }
        let fresh = digest(self.dataset, &self.order)?;
        Ok(self.digest.get_or_init(|| fresh))
    }

    /// The draw in parts that pass at once.
    pub(crate) fn batches(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let len = self.len();
        (0..len)
            .step_by(BATCH)
            .map(move |start| start..(start + BATCH).min(len))
    }

    /// The samples' places in the dataset.
    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// What the samples were drawn for.
    pub(crate) fn context(&self) -> &'a Context<'a> {
        self.context
    }

    /// A feeder of all samples of the dataset.
    pub(crate) fn feeder<'e>(&'e self, executable: &'e Executable) -> Result<Feeder<'e>, StepError> {
        Feeder::new(executable, self.dataset)
    }

    /// The least and greatest values of a prepared model's activations.
    pub fn ranges(&self, graph: &Graph) -> Result<Ranges, StepError> {
        activation_ranges::minmax(graph, self.dataset, &self.order, self.context)
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

    /// How many samples a model answers rightly: its greatest score is that of their class, or, of a single score, its sign. `None` without labels.
    pub fn right(&self, graph: &Graph) -> Result<Option<usize>, StepError> {
        let Some(labels) = self.labels() else { return Ok(None) };
        let scores = self.scores(graph)?;
        let answer = |scores: &Vec<f32>| match scores.as_slice() {
            [score] => usize::from(*score > 0.0),
            scores => scores
                .iter()
                .enumerate()
                .fold(0, |best, (i, s)| if *s > scores[best] { i } else { best }),
        };
        Ok(Some(
            scores
                .iter()
                .zip(labels)
                .filter(|(s, label)| answer(s) == *label)
                .count(),
        ))
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

/// SHA-256 of all that a network sees of some samples: their values, their transform and their places in the dataset.
pub(crate) fn digest(dataset: &LoadedDataset, order: &[usize]) -> Result<String, StepError> {
    let mut hasher = Sha256::new();
    let shape = dataset.data.samples.sample_shape();
    match &dataset.transform {
        Transforms::Alike(transform) => hasher.update(format!("{transform:?} {shape:?}")),
        Transforms::ByInput(transforms) => hasher.update(format!("{transforms:?} {shape:?}")),
    }
    for field in &dataset.data.inputs {
        hasher.update(format!("{field:?}"));
    }
    for &place in order {
        hasher.update(place.to_le_bytes());
        dataset.data.samples.with(place, |sample| match sample {
            Sample::U8(values) => hasher.update(values),
            Sample::F32(values) => {
                hasher.update(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
            }
        })?;
    }
    Ok(models::hex(&hasher.finalize()))
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

//! A dataset as the trainer sees it.

use std::sync::OnceLock;

use data::transform::Prepared;
use data::{Amount, LoadedDataset, Sample, Sampling, Sharing};
use learn::{Distillation, Loss, Outcome, Target};
use sha2::{Digest, Sha256};

use crate::StepError;

/// Samples with their labels, and a teacher's scores where there is one.
pub(super) struct Labelled<'a> {
    dataset: &'a LoadedDataset,
    prepared: Prepared,
    labels: &'a [u32],
    loss: Loss,
    teacher: Option<(Distillation, Vec<Vec<f32>>)>,
    /// Samples of a second dataset, numbered behind the first's.
    validation: Option<Box<Labelled<'a>>>,
    /// Why a sample could not be read.
    unread: OnceLock<String>,
}

impl<'a> Labelled<'a> {
    /// The samples of `dataset`, each of `elements` values, for `scores` scores.
    ///
    /// # Errors
    /// There are no labels, they are of other classes than the network has scores for, or samples are of another size.
    pub(super) fn new(
        port: &str,
        dataset: &'a LoadedDataset,
        (elements, scores): (usize, usize),
        loss: Loss,
    ) -> Result<Self, StepError> {
        let data = &dataset.data;
        let wrong = |problem: String| StepError::Params(format!("{port}: {problem}"));
        let labels = data.labels.as_deref();
        let labels = labels.ok_or_else(|| wrong("has no labels to learn from".into()))?;
        let (Some(&least), Some(&most)) = (labels.iter().min(), labels.iter().max()) else {
            return Err(wrong("has no samples".into()));
        };
        let classes = if scores == 1 { 2 } else { scores };
        if most as usize >= classes {
            return Err(wrong(format!(
                "a sample is of class {most}, and the model has {scores} scores; give it another head, or choose `classes` and `renumber` in the dataset step"
            )));
        }
        if least == most {
            return Err(wrong(format!(
                "all samples are of class {least}; there is nothing to tell apart"
            )));
        }
        let shape = data.samples.sample_shape();
        if data.samples.sample_len() != elements {
            return Err(wrong(format!(
                "samples are {shape:?}, the model's input has {elements} values; use resize, crop or color in the dataset step"
            )));
        }
        Ok(Labelled {
            dataset,
            prepared: dataset.transform.for_channels(shape.last().copied().unwrap_or(1))?,
            labels,
            loss,
            teacher: None,
            validation: None,
            unread: OnceLock::new(),
        })
    }

    pub(super) fn with_validation(mut self, other: Labelled<'a>) -> Self {
        self.validation = Some(Box::new(other));
        self
    }

    pub(super) fn with_teacher(mut self, distillation: Distillation, scores: Vec<Vec<f32>>) -> Self {
        self.teacher = Some((distillation, scores));
        self
    }

    /// A digest of the teacher's scores.
    pub(super) fn teacher(&self) -> Option<String> {
        let (distillation, scores) = self.teacher.as_ref()?;
        let mut hasher = Sha256::new();
        hasher.update(format!("{distillation:?}"));
        for values in scores {
            hasher.update(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
        }
        Some(models::hex(&hasher.finalize()))
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The numbers of the samples to learn from, and of those to validate with.
    pub(super) fn split(&self, hold_out: f64, seed: u64) -> Result<[Vec<usize>; 2], StepError> {
        if let Some(other) = &self.validation {
            return Ok([
                (0..self.len()).collect(),
                (self.len()..self.len() + other.len()).collect(),
            ]);
        }
        if hold_out == 0.0 {
            return Ok([(0..self.len()).collect(), Vec::new()]);
        }
        let sampling = Sampling {
            amount: Amount::Fraction(hold_out),
            seed,
            sharing: Sharing::Stratified,
            classes: None,
        };
        let mut held = data::sample::sample(self.len(), Some(self.labels), &sampling)?.indices;
        held.sort_unstable();
        let rest: Vec<usize> = (0..self.len()).filter(|i| held.binary_search(i).is_err()).collect();
        if rest.is_empty() {
            return Err(StepError::Params(
                "hold-out: nothing is left to learn from; hold out less".into(),
            ));
        }
        Ok([rest, held])
    }

    /// Where a sample is: here, or among those to validate with.
    fn find(&self, sample: usize) -> (&Labelled<'a>, usize) {
        match &self.validation {
            Some(other) if sample >= self.len() => (other, sample - self.len()),
            _ => (self, sample),
        }
    }

    /// Writes a sample as the model's input. One that cannot be read is not a number anywhere, which ends training; [`Labelled::check`] says why.
    fn write(&self, sample: usize, to: &mut [f32]) {
        let write = |sample: Sample<'_>| match sample {
            Sample::U8(bytes) => self.prepared.apply_u8(bytes, to),
            Sample::F32(values) => self.prepared.apply_f32(values, to),
        };
        let written = self.dataset.data.samples.with(sample, write);
        if let Err(problem) = written {
            to.fill(f32::NAN);
            let _ = self.unread.set(problem.to_string());
        }
    }

    /// An error if a sample could not be read.
    pub(super) fn check(&self) -> Result<(), StepError> {
        let other = self.validation.as_deref().and_then(|other| other.unread.get());
        match self.unread.get().or(other) {
            Some(problem) => Err(StepError::Params(problem.clone())),
            None => Ok(()),
        }
    }
}

impl learn::Samples for Labelled<'_> {
    fn feed(&self, sample: usize, _epoch: Option<usize>, _port: usize, to: &mut [f32]) {
        let (of, sample) = self.find(sample);
        of.write(sample, to);
    }

    fn judge(
        &self,
        sample: usize,
        epoch: Option<usize>,
        batch: usize,
        scores: &[f32],
        gradient: &mut [f32],
    ) -> Outcome {
        let (of, place) = self.find(sample);
        let target = Target::Class(of.labels[place] as usize);
        match (&self.teacher, epoch) {
            (Some((distillation, teacher)), Some(_)) => {
                distillation.judge(self.loss, (scores, &teacher[sample]), Some(target), batch, gradient)
            }
            _ => self.loss.judge(scores, target, batch, gradient),
        }
    }
}

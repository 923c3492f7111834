//! A dataset as the trainer sees it.

use std::sync::OnceLock;

use data::transform::Prepared;
use data::{Amount, Augmenter, LoadedDataset, Sample, Sampling, Sharing};
use learn::{Distillation, Loss, Outcome, Target};

use super::teacher::Teacher;
use crate::StepError;

/// Samples with their labels, and a teacher's scores where there is one.
pub(super) struct Labelled<'a> {
    dataset: &'a LoadedDataset,
    prepared: Prepared,
    labels: &'a [u32],
    loss: Loss,
    teacher: Option<(Distillation, Teacher)>,
    changes: Option<Changes>,
    /// Samples of a second dataset, numbered behind the first's.
    validation: Option<Box<Labelled<'a>>>,
    /// Why a sample could not be read.
    unread: OnceLock<String>,
}

/// How samples are changed while they are learned from.
struct Changes {
    augmenter: Augmenter,
    /// Height, width and channels of a sample.
    shape: [usize; 3],
    /// The samples that are learned from: only with these is any mixed.
    train: Vec<usize>,
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
        let labels = labels.ok_or_else(|| {
            wrong(match &data.targets {
                Some(targets) => format!(
                    "is labelled with {}; one class a sample is needed to learn from",
                    targets.name()
                ),
                None => "has no labels to learn from".into(),
            })
        })?;
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
        if !data.inputs.is_empty() {
            let inputs = data::Field::listed(&data.inputs);
            return Err(wrong(format!(
                "samples have parts for several inputs ({inputs}); only networks of one input learn"
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
            prepared: dataset
                .transform
                .of(None)
                .for_channels(shape.last().copied().unwrap_or(1))?,
            labels,
            loss,
            teacher: None,
            changes: None,
            validation: None,
            unread: OnceLock::new(),
        })
    }

    pub(super) fn with_validation(mut self, other: Labelled<'a>) -> Self {
        self.validation = Some(Box::new(other));
        self
    }

    pub(super) fn with_teacher(mut self, distillation: Distillation, teacher: Teacher) -> Self {
        self.teacher = Some((distillation, teacher));
        self
    }

    /// Changes the samples `train` in each epoch anew.
    ///
    /// # Errors
    /// The changes are for pictures, and samples are none.
    pub(super) fn changed(mut self, augmenter: Augmenter, train: &[usize]) -> Result<Self, StepError> {
        if augmenter.is_nothing() {
            return Ok(self);
        }
        let shape = match *self.dataset.data.samples.sample_shape() {
            [height, width, channels] => [height, width, channels],
            [height, width] => [height, width, 1],
            ref other if augmenter.is_spatial() => {
                return Err(StepError::Params(format!(
                    "augment: samples are {other:?}; only mixup changes what is neither a picture nor a spectrogram"
                )));
            }
            ref other => [1, 1, other.iter().product()],
        };
        let train = train.to_vec();
        self.changes = Some(Changes {
            augmenter,
            shape,
            train,
        });
        Ok(self)
    }

    /// What the teacher's scores depend on.
    pub(super) fn teacher(&self) -> Option<String> {
        let (distillation, teacher) = self.teacher.as_ref()?;
        Some(format!("{distillation:?} {}", teacher.digest()))
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

    /// Writes a sample as the model's input, changed as the epoch wants. One that cannot be read is not a number anywhere, which ends training;
    /// [`Labelled::check`] says why.
    fn write(&self, sample: usize, epoch: Option<usize>, to: &mut [f32]) {
        let changes = self.changes.as_ref().zip(epoch);
        let mut problem = None;
        let write = |values: Sample<'_>| match (changes, values) {
            (None, Sample::U8(bytes)) => self.prepared.apply_u8(bytes, to),
            (None, Sample::F32(values)) => self.prepared.apply_f32(values, to),
            (Some((changes, epoch)), values) => {
                let (mut values, full) = match values {
                    Sample::U8(bytes) => (bytes.iter().map(|&b| b.into()).collect::<Vec<f32>>(), 255.0),
                    Sample::F32(values) => (values.to_vec(), 1.0),
                };
                if changes.augmenter.is_bounded() && !values.iter().all(|v| (0.0..=full).contains(v)) {
                    problem = Some("augment: brightness and contrast are for bytes, or floats in 0..1".to_owned());
                }
                let Changes { augmenter, shape, .. } = changes;
                augmenter.change(epoch as u64, sample as u64, &mut values, *shape, full);
                self.prepared.apply_f32(&values, to);
            }
        };
        let written = self.dataset.data.samples.with(sample, write);
        if let Some(problem) = problem.or(written.err().map(|error| error.to_string())) {
            to.fill(f32::NAN);
            let _ = self.unread.set(problem);
        }
    }

    /// With which sample one is mixed in an epoch, and its own share.
    fn mix(&self, sample: usize, epoch: Option<usize>) -> Option<(usize, f32)> {
        let Changes { augmenter, train, .. } = self.changes.as_ref()?;
        let (other, share) = augmenter.mix(epoch? as u64, sample as u64, train.len())?;
        Some((train[other], share))
    }

    /// Writes a sample as the network sees it in an epoch: changed and mixed.
    fn show(&self, sample: usize, epoch: Option<usize>, to: &mut [f32]) {
        self.write(sample, epoch, to);
        if let Some((other, share)) = self.mix(sample, epoch) {
            let mut with = vec![0.0; to.len()];
            self.write(other, epoch, &mut with);
            to.iter_mut()
                .zip(&with)
                .for_each(|(x, y)| *x = *x * share + y * (1.0 - share));
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
    fn feed(&self, sample: usize, epoch: Option<usize>, _port: usize, to: &mut [f32]) {
        let (of, place) = self.find(sample);
        of.show(place, epoch, to);
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
        let class = |place: usize| of.labels[place] as usize;
        let target = match of.mix(place, epoch) {
            Some((other, share)) => Target::Mixed(class(place), class(other), share.into()),
            None => Target::Class(class(place)),
        };
        let Some((distillation, teacher)) = self.teacher.as_ref().filter(|_| epoch.is_some()) else {
            return self.loss.judge(scores, target, batch, gradient);
        };
        let asked;
        let taught = match teacher {
            Teacher::Known(all) => &all[sample],
            Teacher::Asked(network) => {
                asked = network.scores(|to| self.show(sample, epoch, to));
                &asked
            }
        };
        distillation.judge(self.loss, (scores, taught), Some(target), batch, gradient)
    }
}

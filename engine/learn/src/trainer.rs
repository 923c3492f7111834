//! Training: epochs of shuffled batches, validation, the best epoch.
//!
//! Nothing here is random by itself: the order of an epoch comes from the seed and the epoch, what is random about a sample from seed, epoch and sample. So a
//! training that goes on from the end of an epoch ends in the same bits as one that was never interrupted.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::optimizer::{Move, Optimizer};
use crate::parameter::Parameter;
use crate::pruning::Pruning;
use crate::rate::Rate;
use crate::{LearnError, Outcome, Program};

/// Samples as the trainer sees them, by number.
pub trait Samples: Sync {
    /// Writes input `port` of a sample; in an epoch of training perhaps changed at random.
    fn feed(&self, sample: usize, epoch: Option<usize>, port: usize, to: &mut [f32]);

    /// Judges a sample's scores; see [`crate::Judge`]. Without an epoch nothing is random.
    fn judge(&self, sample: usize, epoch: Option<usize>, batch: usize, scores: &[f32], gradient: &mut [f32])
    -> Outcome;
}

/// Which model is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// That of the epoch with the best accuracy on the validation samples, of equals the one with the least loss.
    #[default]
    Best,
    /// That of the last epoch.
    Last,
}

/// How a network is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Times that all samples pass.
    pub epochs: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// How gradients move parameters.
    pub optimizer: Optimizer,
    /// The greatest learning rate.
    pub learning_rate: f64,
    /// How it moves.
    pub rate: Rate,
    /// Weight decay.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm.
    pub clip_norm: Option<f64>,
    /// Which model is kept.
    pub keep: Keep,
    /// Training stops after so many epochs without a better one.
    pub patience: Option<usize>,
    /// What the loops are compiled for.
    pub isa: kernels::fast::Isa,
}

/// What an epoch came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub number: usize,
    /// The learning rate of its last step.
    pub rate: f64,
    /// Mean loss and share of right answers while training.
    pub train: (f64, f64),
    /// Mean loss and share of right answers on the validation samples.
    pub validation: Option<(f64, f64)>,
}

/// What is told while training.
pub struct Hooks<'a> {
    /// Steps done, of how many, and the epoch so far.
    pub progress: &'a dyn Fn(u64, u64, Outcome),
    /// An epoch is over; the state to go on from.
    pub epoch: &'a mut dyn FnMut(&Epoch, &Checkpoint<'_>),
    /// Whether to stop.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// Where training stands after an epoch.
pub struct Checkpoint<'a> {
    pub(crate) trainer: &'a Trainer<'a>,
}

/// What came of training.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// All epochs.
    pub curve: Vec<Epoch>,
    /// The number of the epoch whose model is kept.
    pub best: usize,
    /// Whether training stopped before its last epoch.
    pub stopped_early: bool,
}

/// A network in training.
pub struct Trainer<'a> {
    pub(crate) program: &'a mut Program<f32>,
    pub(crate) parameters: &'a mut [Parameter],
    pruning: Option<&'a Pruning>,
    options: &'a Options,
    pub(crate) step: u64,
    pub(crate) curve: Vec<Epoch>,
    pub(crate) best: Option<usize>,
    /// All that training changes, as it was after the best epoch.
    pub(crate) kept: Vec<(usize, Vec<f32>)>,
}

/// A generator for one purpose.
fn generator(seed: u64, purpose: u64, epoch: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, number) in key.chunks_exact_mut(8).zip([seed, purpose, epoch as u64, 0]) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// The purpose of the generator that shuffles.
const SHUFFLE: u64 = 1;
/// The purpose of the numbers that samples draw from.
const SAMPLE: u64 = 2;

/// The number that everything random about a sample in an epoch comes from.
pub fn draw(seed: u64, epoch: usize, sample: usize) -> u64 {
    let mut generator = generator(seed, SAMPLE, epoch);
    generator.set_stream(sample as u64);
    generator.next_u64()
}

/// `order` in the order of an epoch.
pub fn shuffle(order: &mut [usize], seed: u64, epoch: usize) {
    let mut generator = generator(seed, SHUFFLE, epoch);
    for last in (1..order.len()).rev() {
        let bound = last as u64 + 1;
        // Unbiased to 2^-32 and more: a product of 64 and 32 bits.
        let at = (u128::from(generator.next_u64()) * u128::from(bound)) >> 64;
        order.swap(last, at as usize);
    }
}

impl<'a> Trainer<'a> {
    /// A trainer at the beginning. `pruning` names parameters by their places.
    pub fn new(
        program: &'a mut Program<f32>,
        parameters: &'a mut [Parameter],
        pruning: Option<&'a Pruning>,
        options: &'a Options,
    ) -> Self {
        for parameter in &mut *parameters {
            parameter.start(options.optimizer);
            parameter.effective(program.values_mut(parameter.index));
        }
        program.prepare();
        Trainer {
            program,
            parameters,
            pruning,
            options,
            step: 0,
            curve: Vec::new(),
            best: None,
            kept: Vec::new(),
        }
    }

    /// Trains on `train`, looks at `validation` after each epoch. The program holds the kept model afterwards.
    ///
    /// # Errors
    /// The loss is no number any more, or the caller asked to stop.
    pub fn run(
        mut self,
        samples: &dyn Samples,
        train: &[usize],
        validation: &[usize],
        hooks: &mut Hooks<'_>,
    ) -> Result<Learned, LearnError> {
        let batches = train.len().div_ceil(self.program.batch()) as u64;
        let steps = batches * self.options.epochs as u64;
        let mut order = train.to_vec();
        let mut stopped_early = self.curve.len() < self.options.epochs && self.is_stale(self.curve.len());
        let rest = if stopped_early { 0 } else { self.options.epochs };
        for number in self.curve.len() + 1..=rest {
            order.copy_from_slice(train);
            shuffle(&mut order, self.options.seed, number);
            let train = self.epoch(samples, &order, number, steps, hooks)?;
            let validation = (!validation.is_empty()).then(|| self.validate(samples, validation));
            let mean = |o: Outcome| (o.loss / o.count.max(1) as f64, o.correct as f64 / o.count.max(1) as f64);
            let rate = self.options.learning_rate * self.options.rate.at(self.step.saturating_sub(1), steps);
            let epoch = Epoch {
                number,
                rate,
                train: mean(train),
                validation: validation.map(mean),
            };
            self.curve.push(epoch);
            self.judge(number, steps);
            (hooks.epoch)(&epoch, &Checkpoint { trainer: &self });
            if self.is_stale(number) {
                stopped_early = number < self.options.epochs;
                break;
            }
        }
        for (index, values) in std::mem::take(&mut self.kept) {
            self.program.values_mut(index).copy_from_slice(&values);
        }
        self.program.prepare();
        Ok(Learned {
            best: self.best.unwrap_or(self.curve.len()),
            curve: self.curve,
            stopped_early,
        })
    }

    /// Epochs that are over.
    pub fn epochs(&self) -> usize {
        self.curve.len()
    }

    fn is_stale(&self, number: usize) -> bool {
        match (self.options.patience, self.best) {
            (Some(patience), Some(best)) => number >= best + patience.max(1),
            _ => false,
        }
    }

    /// Keeps the model if it is the best so far. While weights are still being pruned none is.
    fn judge(&mut self, number: usize, steps: u64) {
        let pruned = self.pruning.is_none_or(|p| p.is_over(self.step, steps));
        let better = |a: &Epoch, b: &Epoch| match (a.validation, b.validation) {
            (Some(a), Some(b)) => a.1 > b.1 || (a.1 == b.1 && a.0 < b.0),
            _ => true,
        };
        let last = self.curve[number - 1];
        let best = self.best.map(|best| self.curve[best - 1]);
        let wins = match self.options.keep {
            Keep::Last => true,
            Keep::Best => best.is_none_or(|best| better(&last, &best)),
        };
        if pruned && wins {
            self.best = Some(number);
            let changed: Vec<usize> = self.program.changed().map(|(index, _)| index).collect();
            self.kept = changed
                .into_iter()
                .map(|index| (index, self.program.values(index).to_vec()))
                .collect();
        }
    }

    fn epoch(
        &mut self,
        samples: &dyn Samples,
        order: &[usize],
        number: usize,
        steps: u64,
        hooks: &mut Hooks<'_>,
    ) -> Result<Outcome, LearnError> {
        let mut sum = Outcome::default();
        let seed = self.options.seed;
        for (b, batch) in order.chunks(self.program.batch()).enumerate() {
            if (hooks.cancelled)() {
                return Err(LearnError::Stopped);
            }
            if let Some((pruning, sparsity)) = self.pruning.and_then(|p| Some((p, p.due(self.step, steps)?))) {
                pruning.apply(self.parameters, sparsity);
                self.refresh();
            }
            let rate = self.options.learning_rate * self.options.rate.at(self.step, steps);
            let feed = |s: usize, port: usize, to: &mut [f32]| samples.feed(batch[s], Some(number), port, to);
            let judge = |s: usize, scores: &[f32], gradient: &mut [f32]| {
                samples.judge(batch[s], Some(number), batch.len(), scores, gradient)
            };
            let outcome = self
                .program
                .learn(batch.len(), &|s| draw(seed, number, batch[s]), &feed, &judge);
            if !outcome.loss.is_finite() {
                return Err(LearnError::Diverged {
                    epoch: number,
                    batch: b + 1,
                    rate,
                });
            }
            sum = sum.and(outcome);
            self.step += 1;
            self.go(rate);
            (hooks.progress)(self.step, steps, sum);
        }
        Ok(sum)
    }

    /// Moves all parameters by the gradients of the last batch.
    fn go(&mut self, rate: f64) {
        let program = &*self.program;
        let squares: Vec<f64> = self
            .parameters
            .par_iter_mut()
            .map(|p| p.pull(program.gradient(p.index)))
            .collect();
        let norm = squares.iter().sum::<f64>().sqrt();
        let scale = match self.options.clip_norm {
            Some(most) if norm > most => most / norm,
            _ => 1.0,
        };
        let movement = Move {
            optimizer: self.options.optimizer,
            step: self.step,
            rate,
            decay: self.options.weight_decay,
            scale,
            isa: self.options.isa,
        };
        self.parameters.par_iter_mut().for_each(|p| p.go(movement));
        self.refresh();
    }

    /// Lets the program see the parameters.
    fn refresh(&mut self) {
        for parameter in &*self.parameters {
            parameter.effective(self.program.values_mut(parameter.index));
        }
        self.program.prepare();
    }

    fn validate(&mut self, samples: &dyn Samples, validation: &[usize]) -> Outcome {
        let mut sum = Outcome::default();
        for batch in validation.chunks(self.program.batch()) {
            let feed = |s: usize, port: usize, to: &mut [f32]| samples.feed(batch[s], None, port, to);
            let judge = |s: usize, scores: &[f32], gradient: &mut [f32]| {
                samples.judge(batch[s], None, batch.len(), scores, gradient)
            };
            sum = sum.and(self.program.predict(batch.len(), &feed, &judge));
        }
        sum
    }
}

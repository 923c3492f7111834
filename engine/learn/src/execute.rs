//! One step of a program: forwards, the loss, backwards.

use rayon::prelude::*;

use crate::program::{Action, Fold, NormStep, Program, Shard, Stage, Target};
use crate::vjp::{Args, Number, Operand, Out};

/// What a batch came to: the sum of its samples' losses, and how many were right.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Outcome {
    /// Sum of losses.
    pub loss: f64,
    /// Samples whose answer was right.
    pub correct: usize,
    /// Samples.
    pub count: usize,
}

impl Outcome {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Outcome) -> Outcome {
        Outcome {
            loss: self.loss + other.loss,
            correct: self.correct + other.correct,
            count: self.count + other.count,
        }
    }
}

/// Writes an input of a sample: its place in the batch, the input's number, the values.
pub type Feed<'a, T> = &'a (dyn Fn(usize, usize, &mut [T]) + Sync);

/// Judges the scores of a sample, by its place in the batch, and writes the gradient of the *mean* loss of the batch.
pub type Judge<'a, T> = &'a (dyn Fn(usize, &[T], &mut [T]) -> Outcome + Sync);

/// A program's parts that all shards read.
struct Whole<'a, T> {
    program: &'a Program<T>,
    feed: Feed<'a, T>,
    judge: Judge<'a, T>,
}

impl<T: Number> Program<T> {
    /// Samples of a batch, at most.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The constants that learn: number and name.
    pub fn trained(&self) -> impl Iterator<Item = (usize, &str)> {
        let all = self.about.iter().enumerate();
        all.filter(|(_, about)| about.trained)
            .map(|(i, about)| (i, about.name.as_str()))
    }

    /// The values of constant `index`.
    pub fn values(&self, index: usize) -> &[T] {
        &self.shared[index]
    }

    /// The values of constant `index`, to change; [`Program::prepare`] makes the change known.
    pub fn values_mut(&mut self, index: usize) -> &mut [T] {
        &mut self.shared[index]
    }

    /// The gradient that the last step left for constant `index`.
    pub fn gradient(&self, index: usize) -> &[T] {
        &self.gradients[index]
    }

    /// The same, with the values of the constant, to move them.
    pub fn gradient_and_values(&mut self, index: usize) -> (&[T], &mut [T]) {
        (&self.gradients[index], &mut self.shared[index])
    }

    /// The number of the constant called `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.about.iter().position(|about| about.name == name)
    }

    /// The constants that training changes, by name: those that learn, and the running statistics of live batch norms.
    pub fn changed(&self) -> impl Iterator<Item = (usize, &str)> {
        let measured = |index: usize| {
            let mut statistics = self.norms.iter().flat_map(|n| &self.steps[n.step].operands[3..]);
            statistics.any(|&o| o == Operand::Shared(index))
        };
        let all = self.about.iter().enumerate();
        all.filter(move |(i, about)| about.trained || measured(*i))
            .map(|(i, about)| (i, about.name.as_str()))
    }

    /// How much of their running statistics batch norms keep in each step.
    pub fn set_momentum(&mut self, momentum: f64) {
        self.momentum = momentum;
    }

    /// Takes over constants after they have changed: computes what depends on them alone, packs weights.
    pub fn prepare(&mut self) {
        let Self {
            steps,
            shared,
            once,
            once_scratch,
            ..
        } = self;
        for &at in &*once {
            let step = &mut steps[at];
            let Operand::Shared(index) = step.output else { continue };
            let mut y = std::mem::take(&mut shared[index]);
            let args = Args {
                n: 1,
                operands: &step.operands,
                buffers: &[],
                shared,
                draws: &[],
            };
            step.vjp.prepare(&args);
            step.vjp.forward(&args, &mut y, once_scratch);
            if let Some(clamp) = step.clamp.filter(|_| !step.vjp.clamps()) {
                kernels::gradient::clamp(clamp, &mut y);
            }
            shared[index] = y;
        }
        let shared = &*shared;
        steps.par_iter_mut().for_each(|step| {
            if let Operand::Batch { .. } = step.output {
                step.vjp.prepare(&Args {
                    n: 0,
                    operands: &step.operands,
                    buffers: &[],
                    shared,
                    draws: &[],
                });
            }
        });
    }

    /// Runs a batch of `n` samples forwards and backwards; [`Program::gradient`] has what came of it.
    ///
    /// `draw` gives each sample the number that its randomness comes from. Panics if there are more samples than a batch has room for.
    pub fn learn(&mut self, n: usize, draw: &dyn Fn(usize) -> u64, feed: Feed<'_, T>, judge: Judge<'_, T>) -> Outcome {
        self.assign(n, Some(draw));
        for i in 0..self.forward.len() {
            self.stage(|program| &program.forward[i], i == 0, feed, judge);
            for f in 0..self.forward[i].folds.len() {
                self.fold(self.forward[i].folds[f], n);
            }
        }
        for i in 0..self.backward.len() {
            self.stage(|program| &program.backward[i], false, feed, judge);
            for f in 0..self.backward[i].folds.len() {
                self.fold(self.backward[i].folds[f], n);
            }
        }
        self.collect();
        self.outcome()
    }

    /// Runs a batch of `n` samples forwards as inference does, with running statistics and nothing random.
    pub fn predict(&mut self, n: usize, feed: Feed<'_, T>, judge: Judge<'_, T>) -> Outcome {
        self.assign(n, None);
        for NormStep { norm, step, .. } in &mut self.norms {
            let statistics = [1, 2, 3, 4].map(|i| match self.steps[*step].operands[i] {
                Operand::Shared(index) => self.shared[index].as_slice(),
                Operand::Batch { .. } => &[],
            });
            norm.fix(statistics);
        }
        for i in 0..self.forward.len() {
            self.stage(|program| &program.forward[i], i == 0, feed, judge);
        }
        self.outcome()
    }

    fn outcome(&self) -> Outcome {
        self.shards
            .iter()
            .fold(Outcome::default(), |sum, shard| sum.and(shard.outcome))
    }

    /// Which samples each shard has.
    fn assign(&mut self, n: usize, draw: Option<&dyn Fn(usize) -> u64>) {
        assert!(n <= self.batch, "{n} samples in a batch of {}", self.batch);
        let shards = self.shards.len();
        for (k, shard) in self.shards.iter_mut().enumerate() {
            shard.first = k * n / shards;
            shard.n = (k + 1) * n / shards - shard.first;
            shard.outcome = Outcome::default();
            shard.draws.clear();
            if let Some(draw) = draw {
                shard.draws.extend((shard.first..shard.first + shard.n).map(draw));
            }
        }
    }

    /// Runs a stage on all shards.
    fn stage(&mut self, which: impl Fn(&Self) -> &Stage + Sync, first: bool, feed: Feed<'_, T>, judge: Judge<'_, T>) {
        let mut shards = std::mem::take(&mut self.shards);
        let whole = Whole {
            program: self,
            feed,
            judge,
        };
        let stage = which(self);
        shards.par_iter_mut().for_each(|shard| {
            if first {
                whole.start(shard);
            }
            if shard.n > 0 {
                stage.actions.iter().for_each(|&action| whole.act(shard, action));
            }
        });
        self.shards = shards;
    }

    /// Sums over the batch, shard after shard.
    fn fold(&mut self, fold: Fold, n: usize) {
        let (Fold::Statistics(norm) | Fold::Gradient(norm)) = fold;
        let Self {
            steps,
            norms,
            shards,
            shared,
            gradients,
            momentum,
            ..
        } = self;
        let NormStep {
            norm: live,
            step,
            pixels,
        } = &mut norms[norm];
        let (first, rest) = shards.split_first_mut().expect("there is a shard");
        let sums = &mut first.sums[norm];
        for shard in rest {
            for (sum, part) in sums.iter_mut().zip(&shard.sums[norm]) {
                *sum = [sum[0] + part[0], sum[1] + part[1]];
            }
        }
        let index = |i: usize| match steps[*step].operands[i] {
            Operand::Shared(index) => index,
            Operand::Batch { .. } => unreachable!("parameters of a live norm are shared"),
        };
        let (gamma, beta) = (index(1), index(2));
        match fold {
            Fold::Statistics(_) => {
                let [mean, variance] = [3, 4].map(|i| (index(i), std::mem::take(&mut shared[index(i)])));
                let ([mut m, mut v], places) = ([mean.1, variance.1], [mean.0, variance.0]);
                let parameters = (shared[gamma].as_slice(), shared[beta].as_slice());
                live.settle(sums, *pixels * n, parameters, [&mut m, &mut v], *momentum);
                shared[places[0]] = m;
                shared[places[1]] = v;
            }
            Fold::Gradient(_) => {
                let into = &mut first.shared;
                live.settle_gradient(sums, *pixels * n, &shared[gamma], |c, [d_gamma, d_beta]| {
                    if !gradients[gamma].is_empty() {
                        into[gamma][c] += d_gamma;
                    }
                    if !gradients[beta].is_empty() {
                        into[beta][c] += d_beta;
                    }
                });
            }
        }
    }

    /// Brings the shards' gradients of what is shared together, and those of what was computed from shared inputs alone back to the constants.
    fn collect(&mut self) {
        /// Elements that one thread sums at a time.
        const RUN: usize = 1 << 14;
        let Self {
            gradients,
            shards,
            steps,
            shared,
            once_back,
            once_scratch,
            ..
        } = self;
        let shards = &*shards;
        for (index, gradient) in gradients.iter_mut().enumerate() {
            let sum = |(run, part): (usize, &mut [T])| {
                let range = run * RUN..run * RUN + part.len();
                part.copy_from_slice(&shards[0].shared[index][range.clone()]);
                for shard in &shards[1..] {
                    let more = &shard.shared[index][range.clone()];
                    part.iter_mut().zip(more).for_each(|(sum, &d)| *sum += d);
                }
            };
            if gradient.len() > RUN {
                gradient.par_chunks_mut(RUN).enumerate().for_each(sum);
            } else if !gradient.is_empty() {
                sum((0, gradient));
            }
        }
        let mut before = usize::MAX;
        for &(at, wrt) in &*once_back {
            let step = &steps[at];
            let (Operand::Shared(output), Operand::Shared(input)) = (step.output, step.operands[wrt]) else {
                continue;
            };
            let (mut dy, mut dx) = (
                std::mem::take(&mut gradients[output]),
                std::mem::take(&mut gradients[input]),
            );
            let y = &shared[output];
            if let Some(clamp) = step.clamp.filter(|_| before != at) {
                kernels::gradient::clamp_gradient(clamp, y, &mut dy);
            }
            before = at;
            let args = Args {
                n: 1,
                operands: &step.operands,
                buffers: &[],
                shared,
                draws: &[],
            };
            step.vjp.backward(wrt, &args, Out { y, dy: &dy }, &mut dx, once_scratch);
            gradients[output] = dy;
            gradients[input] = dx;
        }
    }

    /// The gradient of the graph's input `i` for the samples of the last step, where it is wanted: in the order of the samples.
    pub fn input_gradient(&self, i: usize) -> Vec<T> {
        let (Some(slot), Operand::Batch { len, .. }) = (self.input_gradients[i], self.inputs[i]) else {
            return Vec::new();
        };
        let parts = self.shards.iter().map(|shard| &shard.gradients[slot][..shard.n * len]);
        parts.flatten().copied().collect()
    }
}

impl<T: Number> Whole<'_, T> {
    /// Feeds the samples and empties the sums.
    fn start(&self, shard: &mut Shard<T>) {
        for (port, &input) in self.program.inputs.iter().enumerate() {
            let Operand::Batch { slot, len } = input else { continue };
            let samples = shard.buffers[slot][..shard.n * len].chunks_exact_mut(len.max(1));
            for (s, sample) in samples.enumerate() {
                (self.feed)(shard.first + s, port, sample);
            }
        }
        shard.shared.iter_mut().for_each(|gradient| gradient.fill(T::ZERO));
        shard.sums.iter_mut().for_each(|sums| sums.fill([0.0; 2]));
    }

    fn act(&self, shard: &mut Shard<T>, action: Action) {
        match action {
            Action::Forward(at) => self.forward(shard, at),
            Action::Clamp(at) => {
                let step = &self.program.steps[at];
                let (Operand::Batch { slot, len }, Some(clamp)) = (step.output, step.clamp) else {
                    return;
                };
                let y = &mut shard.buffers[slot][..shard.n * len];
                self.vectorized(|| kernels::gradient::clamp(clamp, y));
            }
            Action::Collect(norm) => {
                let NormStep { norm: live, step, .. } = &self.program.norms[norm];
                let sums = &mut shard.sums[norm];
                sums.fill([0.0; 2]);
                let x = input(&self.program.steps[*step].operands, &shard.buffers, shard.n);
                live.collect(x, &mut shard.scratch, sums);
            }
            Action::Normalize(norm) => {
                let NormStep { norm: live, step, .. } = &self.program.norms[norm];
                let step = &self.program.steps[*step];
                let Operand::Batch { slot, len } = step.output else {
                    return;
                };
                let mut y = std::mem::take(&mut shard.buffers[slot]);
                let x = input(&step.operands, &shard.buffers, shard.n);
                live.normalize(x, &mut y[..shard.n * len]);
                shard.buffers[slot] = y;
            }
            Action::Loss => self.judge(shard),
            Action::ClampGradient(at) => {
                let step = &self.program.steps[at];
                let (Operand::Batch { slot, len }, Some(clamp)) = (step.output, step.clamp) else {
                    return;
                };
                let len = shard.n * len;
                let (y, dy) = (&shard.buffers[slot][..len], &mut shard.gradients[step.gradient][..len]);
                self.vectorized(|| kernels::gradient::clamp_gradient(clamp, y, dy));
            }
            Action::Backward { node, wrt, to } => self.backward(shard, node, wrt, to),
            Action::CollectGradient(norm) => {
                let NormStep { norm: live, step, .. } = &self.program.norms[norm];
                let step = &self.program.steps[*step];
                let sums = &mut shard.sums[norm];
                sums.fill([0.0; 2]);
                let x = input(&step.operands, &shard.buffers, shard.n);
                let dy = &shard.gradients[step.gradient][..x.len()];
                live.collect_gradient(x, dy, &mut shard.scratch, sums);
            }
            Action::NormGradient(norm, to) => {
                let NormStep { norm: live, step, .. } = &self.program.norms[norm];
                let step = &self.program.steps[*step];
                self.into(shard, step.operands[0], to, |shard, dx| {
                    let x = input(&step.operands, &shard.buffers, shard.n);
                    // The gradient of a norm's output and that of its input are never in one buffer.
                    let dy = &shard.gradients[step.gradient][..x.len()];
                    live.gradient(x, dy, dx);
                });
            }
        }
    }

    fn vectorized(&self, work: impl FnOnce()) {
        T::vectorized(self.program.isa, work);
    }

    fn forward(&self, shard: &mut Shard<T>, at: usize) {
        let step = &self.program.steps[at];
        let Operand::Batch { slot, len } = step.output else {
            return;
        };
        let mut y = std::mem::take(&mut shard.buffers[slot]);
        let args = Args {
            n: shard.n,
            operands: &step.operands,
            buffers: &shard.buffers,
            shared: &self.program.shared,
            draws: &shard.draws,
        };
        step.vjp.forward(&args, &mut y[..shard.n * len], &mut shard.scratch);
        shard.buffers[slot] = y;
    }

    fn backward(&self, shard: &mut Shard<T>, at: usize, wrt: usize, to: Target) {
        let step = &self.program.steps[at];
        let Operand::Batch { slot, len } = step.output else {
            return;
        };
        self.into(shard, step.operands[wrt], to, |shard, dx| {
            let mut scratch = std::mem::take(&mut shard.scratch);
            let args = Args {
                n: shard.n,
                operands: &step.operands,
                buffers: &shard.buffers,
                shared: &self.program.shared,
                draws: &shard.draws,
            };
            let out = Out {
                y: &shard.buffers[slot][..shard.n * len],
                dy: &shard.gradients[step.gradient][..shard.n * len],
            };
            step.vjp.backward(wrt, &args, out, dx, &mut scratch);
            shard.scratch = scratch;
        });
    }

    /// Lets `work` write a gradient, and brings it where it goes.
    fn into(&self, shard: &mut Shard<T>, operand: Operand, to: Target, work: impl FnOnce(&mut Shard<T>, &mut [T])) {
        match (to, operand) {
            (Target::Shared(index), _) => {
                let mut dx = std::mem::take(&mut shard.shared[index]);
                work(shard, &mut dx);
                shard.shared[index] = dx;
            }
            (Target::Fresh(slot), Operand::Batch { len, .. }) => {
                let len = shard.n * len;
                let mut dx = std::mem::take(&mut shard.gradients[slot]);
                work(shard, &mut dx[..len]);
                shard.gradients[slot] = dx;
            }
            (Target::More(slot), Operand::Batch { len, .. }) => {
                let len = shard.n * len;
                let mut dx = std::mem::take(&mut shard.spare);
                work(shard, &mut dx[..len]);
                let sums = &mut shard.gradients[slot][..len];
                self.vectorized(|| sums.iter_mut().zip(&dx[..len]).for_each(|(sum, &d)| *sum += d));
                shard.spare = dx;
            }
            (Target::Fresh(_) | Target::More(_), Operand::Shared(_)) => {}
        }
    }

    fn judge(&self, shard: &mut Shard<T>) {
        let Operand::Batch { slot, len } = self.program.output else {
            return;
        };
        let scores = shard.buffers[slot][..shard.n * len].chunks_exact(len.max(1));
        let gradients = shard.gradients[self.program.output_gradient][..shard.n * len].chunks_exact_mut(len.max(1));
        for (s, (scores, gradient)) in scores.zip(gradients).enumerate() {
            shard.outcome = shard.outcome.and((self.judge)(shard.first + s, scores, gradient));
        }
    }
}

/// All samples of a node's first input.
fn input<'a, T>(operands: &[Operand], buffers: &'a [Vec<T>], n: usize) -> &'a [T] {
    match operands[0] {
        Operand::Batch { slot, len } => &buffers[slot][..n * len],
        Operand::Shared(_) => &[],
    }
}

//! Normalizations: batch norms with fixed or with the batch's statistics, layer norms.

use ir::ops;
use kernels::fast::Isa;
use kernels::gradient::{
    NormSums, Real, add_columns, add_moments, add_norm_sums, layer_norm, layer_norm_gradient, layer_norm_parameters,
    scale_shift, scale_shift_sum,
};

use super::{Args, Out, Site, Vjp};
use crate::LearnError;

/// The inputs of a batch norm: activations, gamma, beta, mean, variance.
const GAMMA: usize = 1;
const BETA: usize = 2;
const MEAN: usize = 3;
const VARIANCE: usize = 4;

/// Whether input `i` of a batch norm is a statistic, which is measured and not trained.
pub(crate) fn statistics(i: usize) -> bool {
    i == MEAN || i == VARIANCE
}

/// A batch norm with fixed statistics.
struct Frozen<T> {
    isa: Isa,
    epsilon: f64,
    scale: Vec<T>,
    shift: Vec<T>,
}

/// A batch norm with fixed statistics; its parameters are the same for all samples.
pub(super) fn frozen<T: Real>(site: &Site<'_>, op: &ops::BatchNorm) -> Result<Box<dyn Vjp<T>>, LearnError> {
    if site.shared[0] || !site.shared[1..].iter().all(|&shared| shared) {
        return Err(site.refuse("its activations must be computed from samples and its parameters must not"));
    }
    let channels = site.elements(1);
    Ok(Box::new(Frozen {
        isa: site.isa,
        epsilon: op.epsilon.into(),
        scale: vec![T::ZERO; channels],
        shift: vec![T::ZERO; channels],
    }))
}

/// The factor and the summand that a normalization comes to.
fn affine<T: Real>(gamma: T, beta: T, mean: f64, variance: f64, epsilon: f64) -> (T, T) {
    let factor = gamma.double() / (variance + epsilon).sqrt();
    (T::of(factor), T::of(beta.double() - mean * factor))
}

impl<T: Real> Vjp<T> for Frozen<T> {
    fn scratch(&self) -> usize {
        2 * self.scale.len()
    }

    fn prepare(&mut self, args: &Args<'_, T>) {
        let [gamma, beta, mean, variance] = [GAMMA, BETA, MEAN, VARIANCE].map(|i| args.get(i));
        for (c, (scale, shift)) in self.scale.iter_mut().zip(&mut self.shift).enumerate() {
            (*scale, *shift) = affine(gamma[c], beta[c], mean[c].double(), variance[c].double(), self.epsilon);
        }
    }

    fn forward(&self, args: &Args<'_, T>, y: &mut [T], _scratch: &mut [T]) {
        T::vectorized(self.isa, || scale_shift(args.get(0), &self.scale, &self.shift, y));
    }

    fn backward(&self, wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], scratch: &mut [T]) {
        match wrt {
            0 => {
                let zeros = &mut scratch[..self.scale.len()];
                zeros.fill(T::ZERO);
                T::vectorized(self.isa, || scale_shift(out.dy, &self.scale, zeros, dx));
            }
            GAMMA => {
                let (mean, variance) = (args.get(MEAN), args.get(VARIANCE));
                let sums = &mut scratch[..dx.len()];
                sums.fill(T::ZERO);
                T::vectorized(self.isa, || {
                    let channels = mean.len().max(1);
                    for (x, dy) in args.get(0).chunks_exact(channels).zip(out.dy.chunks_exact(channels)) {
                        for (((&x, &d), &mean), sum) in x.iter().zip(dy).zip(mean).zip(&mut *sums) {
                            *sum += d * (x - mean);
                        }
                    }
                });
                for ((sum, &products), &variance) in dx.iter_mut().zip(&*sums).zip(variance) {
                    *sum += T::of(products.double() / (variance.double() + self.epsilon).sqrt());
                }
            }
            _ => T::vectorized(self.isa, || add_columns(out.dy, dx)),
        }
    }
}

/// A batch norm with the statistics of the batch: samples are coupled by sums over all of them.
pub(crate) struct LiveNorm<T> {
    isa: Isa,
    epsilon: f64,
    mean: Vec<T>,
    /// `1/√(variance + epsilon)`.
    inverse: Vec<f64>,
    scale: Vec<T>,
    shift: Vec<T>,
    /// What the gradient of the input is a sum of: `dy · a + x · b + c`.
    back: [Vec<T>; 3],
}

impl<T: Real> LiveNorm<T> {
    pub(crate) fn new(isa: Isa, op: &ops::BatchNorm, channels: usize) -> Self {
        let zeros = || vec![T::ZERO; channels];
        LiveNorm {
            isa,
            epsilon: op.epsilon.into(),
            mean: zeros(),
            inverse: vec![0.0; channels],
            scale: zeros(),
            shift: zeros(),
            back: [zeros(), zeros(), zeros()],
        }
    }

    pub(crate) fn channels(&self) -> usize {
        self.mean.len()
    }

    /// Adds the sums of some samples; `scratch` has two elements a channel.
    pub(crate) fn collect(&self, x: &[T], scratch: &mut [T], sums: &mut [NormSums]) {
        T::vectorized(self.isa, || add_moments(x, scratch, sums));
    }

    /// Takes the statistics of a batch from the sums of all samples, and lets the running ones follow.
    pub(crate) fn settle(
        &mut self,
        sums: &[NormSums],
        pixels: usize,
        (gamma, beta): (&[T], &[T]),
        running: [&mut [T]; 2],
        momentum: f64,
    ) {
        let n = pixels as f64;
        let [running_mean, running_variance] = running;
        for (c, &[sum, squares]) in sums.iter().enumerate() {
            let mean = sum / n;
            let variance = (squares / n - mean * mean).max(0.0);
            self.mean[c] = T::of(mean);
            self.inverse[c] = 1.0 / (variance + self.epsilon).sqrt();
            (self.scale[c], self.shift[c]) = affine(gamma[c], beta[c], mean, variance, self.epsilon);
            let follow = |running: &mut T, seen: f64| {
                *running = T::of(momentum * running.double() + (1.0 - momentum) * seen);
            };
            follow(&mut running_mean[c], mean);
            // The sample's variance, as PyTorch and TensorFlow's fused batch norm.
            follow(&mut running_variance[c], variance * n / (n - 1.0).max(1.0));
        }
    }

    /// Takes the running statistics instead of a batch's.
    pub(crate) fn fix(&mut self, [gamma, beta, mean, variance]: [&[T]; 4]) {
        for c in 0..self.mean.len() {
            (self.scale[c], self.shift[c]) =
                affine(gamma[c], beta[c], mean[c].double(), variance[c].double(), self.epsilon);
        }
    }

    pub(crate) fn normalize(&self, x: &[T], y: &mut [T]) {
        T::vectorized(self.isa, || scale_shift(x, &self.scale, &self.shift, y));
    }

    /// Adds the sums that the gradients need; `scratch` has two elements a channel.
    pub(crate) fn collect_gradient(&self, x: &[T], dy: &[T], scratch: &mut [T], sums: &mut [NormSums]) {
        T::vectorized(self.isa, || add_norm_sums(x, dy, &self.mean, scratch, sums));
    }

    /// From the sums over all samples: what the input's gradient is made of, and the gradients of gamma and beta.
    pub(crate) fn settle_gradient(
        &mut self,
        sums: &[NormSums],
        pixels: usize,
        gamma: &[T],
        mut parameters: impl FnMut(usize, [T; 2]),
    ) {
        let n = pixels as f64;
        for (c, &[sum, products]) in sums.iter().enumerate() {
            let (inverse, mean) = (self.inverse[c], self.mean[c].double());
            parameters(c, [T::of(products * inverse), T::of(sum)]);
            let factor = gamma[c].double() * inverse;
            let along = factor * inverse * inverse * products / n;
            self.back[0][c] = T::of(factor);
            self.back[1][c] = T::of(-along);
            self.back[2][c] = T::of(along * mean - factor * sum / n);
        }
    }

    pub(crate) fn gradient(&self, x: &[T], dy: &[T], dx: &mut [T]) {
        let [a, b, c] = &self.back;
        T::vectorized(self.isa, || scale_shift_sum(dy, x, [a, b, c], dx));
    }
}

/// A layer norm.
pub(super) struct LayerNorm {
    epsilon: f64,
}

impl LayerNorm {
    pub(super) fn new(op: &ops::LayerNorm) -> Self {
        LayerNorm {
            epsilon: op.epsilon.into(),
        }
    }
}

impl<T: Real> Vjp<T> for LayerNorm {
    fn forward(&self, args: &Args<'_, T>, y: &mut [T], _scratch: &mut [T]) {
        for s in 0..args.n {
            let (scale, bias) = (args.sample(1, s), args.has(2).then(|| args.sample(2, s)));
            layer_norm(self.epsilon, args.sample(0, s), scale, bias, args.part_mut(y, s));
        }
    }

    fn backward(&self, wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], _scratch: &mut [T]) {
        if wrt != 0 {
            args.clear(wrt, dx);
        }
        for s in 0..args.n {
            let (x, dy, dx) = (args.sample(0, s), args.part(out.dy, s), &mut dx[args.range(wrt, s)]);
            match wrt {
                0 => layer_norm_gradient(self.epsilon, x, args.sample(1, s), dy, dx),
                1 => layer_norm_parameters(self.epsilon, x, dy, dx),
                _ => add_columns(dy, dx),
            }
        }
    }
}

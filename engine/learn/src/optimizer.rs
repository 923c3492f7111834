//! Optimizers: how a gradient moves a parameter.

use kernels::fast::{Isa, vectorized};

/// An optimizer with its constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum. Source: PyTorch's `SGD`.
    Sgd {
        /// How much of the last move is kept.
        momentum: f64,
        /// Look ahead. Source: Nesterov 1983, in the form of Sutskever et al. 2013.
        nesterov: bool,
    },
    /// Source: Kingma and Ba 2015, *Adam*, in the form of PyTorch's: epsilon is added to the corrected root.
    Adam {
        /// Decay of the mean.
        beta1: f64,
        /// Decay of the mean square.
        beta2: f64,
        /// Added to the root of the mean square.
        epsilon: f64,
        /// Weight decay moves parameters instead of gradients. Source: Loshchilov and Hutter 2019, *AdamW*.
        decoupled: bool,
    },
}

impl Optimizer {
    /// Adam with its authors' constants.
    pub const ADAM: Optimizer = Optimizer::Adam {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        decoupled: false,
    };
}

/// What an optimizer remembers of a parameter.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moments {
    /// Mean of gradients, or the last move.
    pub first: Vec<f32>,
    /// Mean of their squares; empty where it is not needed.
    pub second: Vec<f32>,
}

impl Moments {
    /// Nothing is remembered of a parameter of so many values.
    pub fn new(len: usize, optimizer: Optimizer) -> Self {
        let second = match optimizer {
            Optimizer::Sgd { .. } => 0,
            Optimizer::Adam { .. } => len,
        };
        Moments {
            first: vec![0.0; len],
            second: vec![0.0; second],
        }
    }
}

/// One move of all parameters.
#[derive(Debug, Clone, Copy)]
pub struct Move {
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The number of the step, from 1.
    pub step: u64,
    /// The learning rate of this step.
    pub rate: f64,
    /// Weight decay.
    pub decay: f64,
    /// Factor of the gradient: below 1 where its norm is clipped.
    pub scale: f64,
    /// What the loops are compiled for; the result is the same.
    pub isa: Isa,
}

impl Move {
    /// Moves the values of a parameter.
    pub fn apply(&self, values: &mut [f32], gradient: &[f32], moments: &mut Moments) {
        vectorized(self.isa, || match self.optimizer {
            Optimizer::Sgd { momentum, nesterov } => self.sgd(momentum, nesterov, values, gradient, moments),
            Optimizer::Adam {
                beta1,
                beta2,
                epsilon,
                decoupled,
            } => self.adam([beta1, beta2, epsilon], decoupled, values, gradient, moments),
        });
    }

    #[inline]
    fn sgd(&self, momentum: f64, nesterov: bool, values: &mut [f32], gradient: &[f32], moments: &mut Moments) {
        let (rate, decay, scale, momentum) = (self.rate as f32, self.decay as f32, self.scale as f32, momentum as f32);
        let ahead = if nesterov { momentum } else { 0.0 };
        let own = if nesterov { 1.0 } else { 0.0 };
        // The first move is the gradient itself.
        let keep = if self.step == 1 { 0.0 } else { momentum };
        for ((w, &g), v) in values.iter_mut().zip(gradient).zip(&mut moments.first) {
            let g = g * scale + decay * *w;
            *v = keep * *v + g;
            *w -= rate * if nesterov { own * g + ahead * *v } else { *v };
        }
    }

    #[inline]
    fn adam(
        &self,
        [beta1, beta2, epsilon]: [f64; 3],
        decoupled: bool,
        values: &mut [f32],
        gradient: &[f32],
        moments: &mut Moments,
    ) {
        let step = i32::try_from(self.step).unwrap_or(i32::MAX);
        let (b1, b2, scale) = (beta1 as f32, beta2 as f32, self.scale as f32);
        let (rest1, rest2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
        let rate = (self.rate / (1.0 - beta1.powi(step))) as f32;
        let root = (1.0 / (1.0 - beta2.powi(step)).sqrt()) as f32;
        let epsilon = epsilon as f32;
        let (coupled, shrink) = if decoupled {
            (0.0, 1.0 - (self.rate * self.decay) as f32)
        } else {
            (self.decay as f32, 1.0)
        };
        let state = moments.first.iter_mut().zip(&mut moments.second);
        for ((w, &g), (m, v)) in values.iter_mut().zip(gradient).zip(state) {
            let g = g * scale + coupled * *w;
            *m = b1 * *m + rest1 * g;
            *v = b2 * *v + rest2 * g * g;
            *w = *w * shrink - rate * *m / (v.sqrt() * root + epsilon);
        }
    }
}

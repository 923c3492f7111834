//! Learning rates over the course of training.

/// How the learning rate moves, as a factor of the greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// It stays.
    Constant,
    /// Half a cosine down to 0, after a share of training in which it rises from 0. Source: Loshchilov and Hutter 2017, *SGDR*.
    Cosine {
        /// That share.
        warm_up: f64,
    },
    /// It falls by a factor after every such share of training.
    Step {
        /// The share.
        every: f64,
        /// The factor.
        factor: f64,
    },
    /// It falls to 0 in a straight line, after a share in which it rises.
    Linear {
        /// That share.
        warm_up: f64,
    },
}

impl Rate {
    /// The factor at step `step` (from 0) of `steps`.
    pub fn at(self, step: u64, steps: u64) -> f64 {
        let done = step as f64 / steps.max(1) as f64;
        // Where training stands behind the warm-up, and how much of that is done.
        let rise = |warm_up: f64| {
            let steps_up = (warm_up * steps as f64).floor();
            let rising = (step as f64) < steps_up;
            rising.then(|| (step as f64 + 1.0) / (steps_up + 1.0))
        };
        let rest = |warm_up: f64| ((done - warm_up) / (1.0 - warm_up).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        match self {
            Rate::Constant => 1.0,
            Rate::Cosine { warm_up } => {
                rise(warm_up).unwrap_or_else(|| 0.5 * (1.0 + libm::cos(std::f64::consts::PI * rest(warm_up))))
            }
            Rate::Linear { warm_up } => rise(warm_up).unwrap_or_else(|| 1.0 - rest(warm_up)),
            Rate::Step { every, factor } => {
                let falls = (done / every.max(f64::MIN_POSITIVE) + 1e-9).floor();
                factor.powi(falls.min(1e6) as i32)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn rates_rise_and_fall() {
        let walk = |rate: Rate| -> Vec<f64> {
            let at = |step| (rate.at(step, 10) * 1000.0).round() / 1000.0;
            (0..10).map(at).collect()
        };
        let cosine = walk(Rate::Cosine { warm_up: 0.2 });
        assert_eq!(cosine[..3], [0.333, 0.667, 1.0]);
        assert_eq!(cosine[6], 0.5);
        assert!(cosine[9] > 0.0 && cosine[9] < 0.1);
        assert_eq!(walk(Rate::Linear { warm_up: 0.0 })[..2], [1.0, 0.9]);
        let steps = walk(Rate::Step {
            every: 0.3,
            factor: 0.1,
        });
        assert_eq!(steps, [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001]);
    }
}

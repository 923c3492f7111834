//! Confidence intervals.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A confidence interval of a number; that of a share lies in 0..1, that of a difference of two shares in −1..1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Wilson's score interval, 95 %, of `correct` out of `samples`; `samples` is not 0.
    ///
    /// Unlike the normal approximation it stays inside 0..1 and does not shrink to nothing at 0 and 100 %.
    pub fn wilson(correct: u64, samples: u64) -> Self {
        /// The 97.5 % point of the normal distribution.
        const Z: f64 = 1.959_963_984_540_054;
        Self::wilson_at(correct, samples, Z)
    }

    /// Wilson's interval that reaches `z` standard errors each way.
    pub(super) fn wilson_at(correct: u64, samples: u64, z: f64) -> Self {
        let n = samples as f64;
        let share = correct as f64 / n;
        let scale = 1.0 / (1.0 + z * z / n);
        let centre = scale * (share + z * z / (2.0 * n));
        let half = scale * z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
        Self {
            low: (centre - half).max(0.0),
            high: (centre + half).min(1.0),
        }
    }

    /// Whether the two have a value in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// How many standard deviations around its mean hold a share `confidence` of a normal distribution: 1.96 for 0.95.
pub(super) fn normal_quantile(confidence: f64) -> f64 {
    let outside = |z: f64| libm::erfc(z / std::f64::consts::SQRT_2);
    let (mut low, mut high) = (0.0, 40.0);
    // Halving 40 down to the distance of neighbouring numbers.
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        if outside(middle) > 1.0 - confidence {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_stays_inside_and_open_at_the_ends() {
        let all = Interval::wilson(10, 10);
        assert!(all.high <= 1.0 && all.low < 0.75);
        let none = Interval::wilson(0, 10);
        assert!(none.low >= 0.0 && none.high > 0.25);
        assert!(all.overlaps(all) && !all.overlaps(none));
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (confidence, z) in [
            (0.95, 1.959_963_984_540_054),
            (0.9, 1.644_853_626_951_472),
            (0.99, 2.575_829_303_548_9),
        ] {
            assert!((normal_quantile(confidence) - z).abs() < 1e-12, "{confidence}");
        }
    }
}

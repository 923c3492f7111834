//! Confidence intervals.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A confidence interval of a number; that of a share lies in 0..1.
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
        let n = samples as f64;
        let share = correct as f64 / n;
        let scale = 1.0 / (1.0 + Z * Z / n);
        let centre = scale * (share + Z * Z / (2.0 * n));
        let half = scale * Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
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
}

//! Percentile bootstrap: how far a number would move on other samples of the same kind.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Interval;

/// What pages say of intervals.
pub(crate) const NOTE: &str =
    "Intervals are percentile bootstraps over samples, 95 %, from up to 1,000 resamples of a fixed seed.";

/// Resamples where they cost little.
const MOST: usize = 1000;
/// Resamples where they cost much.
const LEAST: usize = 100;
/// Steps that all resamples together may take.
const WORK: usize = 100_000_000;

/// 95 % intervals of the numbers that `statistics` finds of `samples` weighed by how often each was drawn; `each` is how many steps a sample takes.
/// A number that is not defined on a resample (NaN) is left out of its interval; one that is defined on less than half of them has none.
pub(crate) fn intervals<const N: usize>(
    samples: usize,
    each: usize,
    statistics: impl Fn(&[u32]) -> [f64; N],
) -> [Option<Interval>; N] {
    if samples < 2 {
        return [None; N];
    }
    let resamples = (WORK / samples.saturating_mul(each.max(1))).clamp(LEAST, MOST);
    let mut generator = ChaCha8Rng::from_seed([0; 32]);
    let mut found: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(resamples));
    let mut drawn = vec![0u32; samples];
    for _ in 0..resamples {
        drawn.fill(0);
        for _ in 0..samples {
            // Of 64 bits the upper product: no place is favoured by more than 2⁻³² for any number of samples that fits into memory.
            let place = (u128::from(generator.next_u64()) * samples as u128) >> 64;
            drawn[place as usize] += 1;
        }
        for (values, value) in found.iter_mut().zip(statistics(&drawn)) {
            if value.is_finite() {
                values.push(value);
            }
        }
    }
    found.map(|mut values| {
        values.sort_unstable_by(f64::total_cmp);
        (2 * values.len() > resamples).then(|| Interval {
            low: quantile(&values, 0.025),
            high: quantile(&values, 0.975),
        })
    })
}

/// Linear between ranks, as NumPy's default.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_about_two_standard_errors_wide() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
        let mean = |drawn: &[u32]| {
            let sum: f64 = values.iter().zip(drawn).map(|(v, &n)| v * f64::from(n)).sum();
            [sum / 400.0, f64::NAN]
        };
        let [of_mean, undefined] = intervals(400, 1, mean);
        let Interval { low, high } = of_mean.expect("defined on every resample");
        // The standard deviation of 0..20 is 5.766; 1.96 · 5.766 / √400 = 0.565.
        assert!(
            (low - (9.5 - 0.565)).abs() < 0.1 && (high - (9.5 + 0.565)).abs() < 0.1,
            "{low} {high}"
        );
        assert_eq!(undefined, None);
        assert_eq!(intervals(400, 1, mean)[0], of_mean);
    }
}

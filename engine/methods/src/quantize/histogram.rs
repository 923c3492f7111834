//! Histograms of activations, and the ranges that percentile, squared error and divergence choose from them.
//!
//! The bins divide the range seen evenly. Candidates clip at a magnitude; the error of a candidate counts what is clipped and
//! what is rounded.

use super::Range;

/// Bins of a histogram.
pub const BINS: usize = 2048;

/// Counts of values over a known range.
#[derive(Debug, Clone)]
pub struct Histogram {
    range: Range,
    counts: Vec<u64>,
}

impl Histogram {
    /// An empty histogram over a range that holds all values to come.
    pub fn new(range: Range) -> Self {
        Histogram {
            range,
            counts: vec![0; BINS],
        }
    }

    /// The ends of the range and the counts.
    pub fn numbers(&self) -> impl Iterator<Item = f64> {
        let ends = [self.range.min.into(), self.range.max.into()];
        ends.into_iter().chain(self.counts.iter().map(|&n| n as f64))
    }

    /// What has these [`Histogram::numbers`].
    pub fn of(&[min, max, ref counts @ ..]: &[f64; BINS + 2]) -> Self {
        Histogram {
            range: Range {
                min: min as f32,
                max: max as f32,
            },
            counts: counts.iter().map(|&n| n as u64).collect(),
        }
    }

    fn width(&self) -> f64 {
        (f64::from(self.range.max) - f64::from(self.range.min)) / BINS as f64
    }

    /// The middle of a bin.
    fn middle(&self, bin: usize) -> f64 {
        f64::from(self.range.min) + (bin as f64 + 0.5) * self.width()
    }

    /// Counts values.
    pub fn add(&mut self, values: &[f32]) {
        let (min, width) = (f64::from(self.range.min), self.width());
        if width <= 0.0 {
            self.counts[0] += values.len() as u64;
            return;
        }
        for &v in values {
            let bin = ((f64::from(v) - min) / width) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    /// Adds the counts of another histogram over the same range.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
    }

    /// The range from the start of bin `first` to the end of bin `last`.
    fn bins(&self, first: usize, last: usize) -> Range {
        let edge = |i: usize| (f64::from(self.range.min) + i as f64 * self.width()) as f32;
        let min = if first == 0 { self.range.min } else { edge(first) };
        let max = if last + 1 == BINS {
            self.range.max
        } else {
            edge(last + 1)
        };
        Range { min, max }
    }

    /// The range that leaves the same share of values out at either end, `percent` remaining in all.
    ///
    /// An end that is zero (after a ReLU) is kept: nothing is gained by moving it, and the other end gives up all of the share.
    pub fn percentile(&self, percent: f64) -> Range {
        let total: u64 = self.counts.iter().sum();
        let out = total as f64 * (1.0 - percent / 100.0);
        let one_sided = self.range.min == 0.0 || self.range.max == 0.0;
        let share = if one_sided { out } else { out / 2.0 };
        let skip = |counts: &mut dyn Iterator<Item = &u64>| {
            let mut sum = 0.0;
            counts
                .take_while(|&&c| {
                    sum += c as f64;
                    sum <= share
                })
                .count()
        };
        let first = if self.range.min == 0.0 {
            0
        } else {
            skip(&mut self.counts.iter())
        };
        let last = if self.range.max == 0.0 {
            BINS
        } else {
            BINS - skip(&mut self.counts.iter().rev())
        };
        self.bins(first.min(BINS - 1), last.saturating_sub(1).max(first.min(BINS - 1)))
    }

    /// The candidate of least mean squared error: clipped values count their distance to the range, the others the
    /// variance of rounding, step²/12.
    pub fn least_squared_error(&self) -> Range {
        self.best(|first, last| {
            let range = self.bins(first, last);
            let (min, max) = (f64::from(range.min.min(0.0)), f64::from(range.max.max(0.0)));
            let step = (max - min) / 255.0;
            let error = |bin: usize, &n: &u64| {
                let v = self.middle(bin);
                let clipped = (min - v).max(v - max).max(0.0);
                n as f64
                    * if clipped > 0.0 {
                        clipped * clipped
                    } else {
                        step * step / 12.0
                    }
            };
            self.counts
                .iter()
                .enumerate()
                .filter(|(_, n)| **n > 0)
                .map(|(bin, n)| error(bin, n))
                .sum()
        })
    }

    /// The candidate whose distribution, quantized to 256 levels, diverges least from the one seen (clipped values gathered
    /// in the outermost bins).
    ///
    /// The bin that holds zero is left out of both: zero is represented exactly, and after a ReLU it may hold half of all values,
    /// which would make every level that shares it with other bins look wrong.
    /// Source: Migacz, 8-bit Inference with TensorRT, GTC 2017.
    pub fn least_divergence(&self) -> Range {
        let mut counts = self.counts.clone();
        if let Some(zero) = self.zero_bin() {
            counts[zero] = 0;
        }
        self.best(|first, last| {
            let inside = &counts[first..=last];
            let mut seen: Vec<f64> = inside.iter().map(|&n| n as f64).collect();
            let end = seen.len() - 1;
            seen[0] += counts[..first].iter().sum::<u64>() as f64;
            seen[end] += counts[last + 1..].iter().sum::<u64>() as f64;
            let levels = 256.min(inside.len());
            let mut quantized = vec![0.0; inside.len()];
            for level in 0..levels {
                let (from, to) = (level * inside.len() / levels, (level + 1) * inside.len() / levels);
                let sum: u64 = inside[from..to].iter().sum();
                let occupied = inside[from..to].iter().filter(|&&n| n > 0).count();
                for bin in from..to {
                    if inside[bin] > 0 {
                        quantized[bin] = sum as f64 / occupied as f64;
                    }
                }
            }
            divergence(&seen, &quantized)
        })
    }

    /// The bin that holds zero, if the range does.
    fn zero_bin(&self) -> Option<usize> {
        let (min, width) = (f64::from(self.range.min), self.width());
        (width > 0.0 && self.range.min <= 0.0 && self.range.max >= 0.0).then(|| ((-min / width) as usize).min(BINS - 1))
    }

    /// The bins of least cost, over ranges clipped at ±t for 128 thresholds up to the greatest magnitude.
    fn best(&self, cost: impl Fn(usize, usize) -> f64) -> Range {
        const THRESHOLDS: usize = 128;
        let width = self.width();
        if width <= 0.0 {
            return self.range;
        }
        let (min, max) = (f64::from(self.range.min), f64::from(self.range.max));
        let greatest = min.abs().max(max.abs());
        let bin = |v: f64| (((v - min) / width) as usize).min(BINS - 1);
        // Widest first: where two cost the same, less is clipped.
        let candidates = (1..=THRESHOLDS).rev().filter_map(|k| {
            let t = greatest * k as f64 / THRESHOLDS as f64;
            let (low, high) = (min.max(-t), max.min(t));
            // The upper end of a range is the start of the next bin, so that a threshold on an edge takes no bin more.
            (low < high).then(|| (bin(low), if high < max { bin(high - width / 2.0) } else { BINS - 1 }))
        });
        let costs = candidates.map(|(first, last)| (cost(first, last.max(first)), first, last.max(first)));
        let best = costs.filter(|c| c.0.is_finite()).min_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or(self.range, |(_, first, last)| self.bins(first, last))
    }
}

/// Kullback–Leibler divergence of unnormalized counts; infinite where `q` has nothing and `p` has something.
fn divergence(p: &[f64], q: &[f64]) -> f64 {
    let (total_p, total_q): (f64, f64) = (p.iter().sum(), q.iter().sum());
    if total_p == 0.0 || total_q == 0.0 {
        return f64::INFINITY;
    }
    // A bin that only clipping filled has no counterpart; it gets a little of the mass instead of an infinite price.
    let epsilon = 1e-4;
    p.iter()
        .zip(q)
        .filter(|&(&p, _)| p > 0.0)
        .map(|(&p, &q)| {
            let (p, q) = (p / total_p, (q / total_q).max(epsilon / total_p.max(1.0)));
            p * (p / q).ln()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bell of 10,000 values in −1..1 with one outlier at 100.
    fn bell_with_outlier() -> Histogram {
        let mut values: Vec<f32> = (0..10_000)
            .map(|i| {
                let u = |k: i32| ((i * k) % 1009) as f32 / 1009.0 - 0.5;
                (u(7) + u(131) + u(523)) / 1.5
            })
            .collect();
        values.push(100.0);
        let mut h = Histogram::new(Range::of(&values).unwrap());
        h.add(&values);
        h
    }

    #[test]
    fn an_outlier_is_clipped_by_all_but_minmax() {
        let h = bell_with_outlier();
        assert!(h.percentile(99.9).max < 2.0, "{:?}", h.percentile(99.9));
        assert!(h.least_divergence().max < 20.0, "{:?}", h.least_divergence());
        assert_eq!(h.percentile(100.0), h.range);
    }

    /// Half of the values are zero, as after a ReLU; the others fall off slowly.
    #[test]
    fn a_spike_at_zero_does_not_make_divergence_clip_the_rest() {
        let tail = (0..20_000).map(|i| -((i as f32 + 0.5) / 20_000.0).ln());
        let values: Vec<f32> = tail.chain(std::iter::repeat_n(0.0, 20_000)).collect();
        let mut h = Histogram::new(Range::of(&values).unwrap());
        h.add(&values);
        assert!(h.least_divergence().max > 5.0, "{:?}", h.least_divergence());
    }

    #[test]
    fn a_uniform_distribution_is_not_clipped_by_squared_error() {
        let values: Vec<f32> = (0..=20_000).map(|i| i as f32 / 20_000.0).collect();
        let mut h = Histogram::new(Range::of(&values).unwrap());
        h.add(&values);
        assert_eq!(h.least_squared_error(), Range { min: 0.0, max: 1.0 });
    }

    #[test]
    fn a_constant_tensor_keeps_its_range() {
        let mut h = Histogram::new(Range { min: 0.0, max: 0.0 });
        h.add(&[0.0; 10]);
        for r in [h.percentile(99.0), h.least_squared_error(), h.least_divergence()] {
            assert_eq!(r, Range { min: 0.0, max: 0.0 });
        }
    }
}

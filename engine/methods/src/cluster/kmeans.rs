//! k-means on numbers: where to start, and Lloyd's iteration to its fixed point.
//!
//! On a line the cells of a centroid end halfway to its neighbours, so that with sorted points and running sums an iteration takes
//! `clusters · log(points)` (Lloyd 1982, *Least squares quantization in PCM*).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Where centroids start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// Evenly from the least to the greatest value.
    Linear,
    /// At even quantiles of the values.
    Density,
    /// At values drawn at random.
    Random,
    /// At values drawn with a chance that grows with the squared distance to those already drawn (Arthur & Vassilvitskii 2007,
    /// *k-means++*); the best of eight draws.
    KmeansPlusPlus,
}

/// Draws of k-means++ of which the best is kept.
const RESTARTS: u64 = 8;

/// The centroids of weighted points, ascending and without zero. Points at zero are left alone; where there are any, zero is one of
/// the clusters. With `ends`, −1 and 1 are centroids that stay where they are.
pub fn codebook(mut points: Vec<(f64, f64)>, clusters: usize, init: Init, seed: u64, ends: bool) -> Vec<f64> {
    let all = points.len();
    points.retain(|p| p.0 != 0.0);
    let clusters = clusters - usize::from(points.len() < all);
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut values: Vec<f64> = points.iter().map(|p| p.0).collect();
    values.dedup();
    if values.len() <= clusters {
        return values;
    }
    let line = Line::new(&points);
    let fixed = if ends { &[-1.0, 1.0][..clusters.min(2)] } else { &[] };
    if fixed.len() == clusters {
        return fixed.to_vec();
    }
    let starts = if init == Init::KmeansPlusPlus { RESTARTS } else { 1 };
    let run = |stream| line.lloyd(line.start(init, clusters, seed, stream, fixed), fixed);
    let better = |a: Vec<f64>, b: Vec<f64>| if line.error(&b) < line.error(&a) { b } else { a };
    (0..starts).map(run).reduce(better).unwrap_or(values)
}

/// Sorted points with running sums.
struct Line<'a> {
    points: &'a [(f64, f64)],
    /// Sums of weight, weight·value, weight·value² over the points before each.
    sums: Vec<[f64; 3]>,
}

impl<'a> Line<'a> {
    fn new(points: &'a [(f64, f64)]) -> Self {
        let mut sums = vec![[0.0; 3]];
        let mut sum = [0.0; 3];
        for &(v, w) in points {
            sum = [sum[0] + w, sum[1] + w * v, sum[2] + w * v * v];
            sums.push(sum);
        }
        Line { points, sums }
    }

    fn start(&self, init: Init, clusters: usize, seed: u64, stream: u64, fixed: &[f64]) -> Vec<f64> {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        // The upper 53 bits are an exact number in 0..1.
        let mut draw = || (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let free = clusters - fixed.len();
        let (first, last) = (self.points[0].0, self.points[self.points.len() - 1].0);
        let n = self.points.len();
        let mut centroids = fixed.to_vec();
        match init {
            Init::Linear => {
                let step = (last - first) / (clusters.max(2) - 1) as f64;
                let skip = usize::from(!fixed.is_empty());
                centroids.extend((0..free).map(|i| first + (i + skip) as f64 * step));
            }
            Init::Density => centroids.extend((0..free).map(|i| self.points[(2 * i + 1) * n / (2 * free)].0)),
            Init::Random => {
                centroids.extend((0..free).map(|_| self.points[((draw() * n as f64) as usize).min(n - 1)].0));
            }
            Init::KmeansPlusPlus => {
                let mut nearest: Vec<f64> = vec![f64::INFINITY; n];
                let closer = |nearest: &mut [f64], centroid: f64| {
                    let points = nearest.iter_mut().zip(self.points);
                    points.for_each(|(d, p)| *d = d.min((p.0 - centroid) * (p.0 - centroid)));
                };
                for &c in fixed {
                    closer(&mut nearest, c);
                }
                for _ in 0..free {
                    let chance = |i: usize| if nearest[i].is_finite() { nearest[i] } else { 1.0 } * self.points[i].1;
                    let total: f64 = (0..n).map(chance).sum();
                    let mut left = draw() * total;
                    let drawn = (0..n).find(|&i| {
                        left -= chance(i);
                        left < 0.0
                    });
                    let centroid = self.points[drawn.unwrap_or(n - 1)].0;
                    closer(&mut nearest, centroid);
                    centroids.push(centroid);
                }
            }
        }
        tidy(centroids)
    }

    /// Where the cells of sorted centroids begin and end.
    fn cells<'c>(&'c self, centroids: &'c [f64]) -> impl Iterator<Item = (f64, usize, usize)> + 'c {
        let border = |i: usize| {
            let Some(next) = centroids.get(i + 1) else {
                return self.points.len();
            };
            let middle = f64::midpoint(centroids[i], *next);
            self.points.partition_point(|p| p.0 <= middle)
        };
        let mut start = 0;
        centroids.iter().enumerate().map(move |(i, &c)| {
            let end = border(i);
            let cell = (c, start, end);
            start = end;
            cell
        })
    }

    fn lloyd(&self, mut centroids: Vec<f64>, fixed: &[f64]) -> Vec<f64> {
        // On a line the error falls with every iteration; the bound only guards against rounding.
        for _ in 0..10_000 {
            let moved = self.cells(&centroids).filter_map(|(c, start, end)| {
                let [weight, sum] = [0, 1].map(|k| self.sums[end][k] - self.sums[start][k]);
                if fixed.contains(&c) {
                    Some(c)
                } else if end > start && weight > 0.0 {
                    Some(sum / weight)
                } else {
                    // A centroid that no point is nearest to is given up.
                    (end > start).then_some(c)
                }
            });
            let moved = tidy(moved.collect());
            if moved == centroids {
                break;
            }
            centroids = moved;
        }
        // Zero is the value of pruned weights.
        centroids
            .iter_mut()
            .filter(|c| **c == 0.0)
            .for_each(|c| *c = f64::from(f32::MIN_POSITIVE));
        centroids
    }

    fn error(&self, centroids: &[f64]) -> f64 {
        let cell = |(c, start, end): (f64, usize, usize)| {
            let [w, s, q] = [0, 1, 2].map(|k| self.sums[end][k] - self.sums[start][k]);
            q - 2.0 * c * s + c * c * w
        };
        self.cells(centroids).map(cell).sum()
    }
}

fn tidy(mut centroids: Vec<f64>) -> Vec<f64> {
    centroids.sort_by(f64::total_cmp);
    centroids.dedup();
    centroids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Vec<(f64, f64)> {
        (0..60)
            .map(|i| (((i * 37 % 101) as f64 - 48.5) / 10.0, 1.0 + f64::from(i % 3)))
            .collect()
    }

    fn error(points: &[(f64, f64)], centroids: &[f64]) -> f64 {
        let nearest = |v: f64| {
            centroids
                .iter()
                .map(|c| (c - v) * (c - v))
                .fold(f64::INFINITY, f64::min)
        };
        points.iter().map(|&(v, w)| w * nearest(v)).sum()
    }

    /// The optimum over all ways to cut the sorted points into three cells.
    fn optimum(points: &[(f64, f64)]) -> f64 {
        let mut sorted = points.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let cell = |part: &[(f64, f64)]| {
            let w: f64 = part.iter().map(|p| p.1).sum();
            let mean = part.iter().map(|p| p.0 * p.1).sum::<f64>() / w;
            part.iter().map(|p| p.1 * (p.0 - mean) * (p.0 - mean)).sum::<f64>()
        };
        let mut best = f64::INFINITY;
        for a in 1..sorted.len() - 1 {
            for b in a + 1..sorted.len() {
                best = best.min(cell(&sorted[..a]) + cell(&sorted[a..b]) + cell(&sorted[b..]));
            }
        }
        best
    }

    #[test]
    fn three_means_of_a_line_are_the_best_three() {
        let found = codebook(points(), 3, Init::KmeansPlusPlus, 1, false);
        assert!((error(&points(), &found) - optimum(&points())).abs() < 1e-9);
        for init in [Init::Linear, Init::Density, Init::Random] {
            let found = codebook(points(), 3, init, 1, false);
            assert!(
                found.len() <= 3 && error(&points(), &found) < 1.5 * optimum(&points()),
                "{init:?}"
            );
        }
    }

    #[test]
    fn a_heavy_point_pulls_its_centroid() {
        let found = codebook(vec![(1.0, 1.0), (2.0, 3.0), (9.0, 1.0)], 2, Init::Linear, 0, false);
        assert_eq!(found, [1.75, 9.0]);
    }

    #[test]
    fn the_same_seed_gives_the_same_centroids() {
        let run = |seed| codebook(points(), 7, Init::Random, seed, false);
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn ends_stay() {
        let points: Vec<_> = (0..50).map(|i| ((f64::from(i) - 24.5) / 24.5, 1.0)).collect();
        let found = codebook(points.clone(), 5, Init::KmeansPlusPlus, 0, true);
        assert_eq!((found.len(), found[0], found[4]), (5, -1.0, 1.0));
        assert_eq!(codebook(points, 2, Init::Linear, 0, true), [-1.0, 1.0]);
    }
}

//! How long a model takes: loading, the cold first run, warm-up, and the steady state apart from them.
//!
//! A mean that includes the first run describes neither the first run nor the others, so the stages are timed and kept
//! apart. Percentiles interpolate linearly between the closest ranks (numpy's default, type 7 of Hyndman and Fan
//! 1996): with `n` sorted values the p-quantile lies at index `p·(n−1)`. The standard deviation divides by `n`
//! (`numpy.std`). All times are milliseconds.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Direction, Figure, Machine, MeasureError, MemoryGauge, MemoryUse, Unit};

/// A monotonic clock. The edges of the program own the real one; tests bring a fake.
pub trait Clock {
    /// Time since some fixed moment in the past.
    fn now(&self) -> Duration;
}

/// How many runs are made before and while timing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Protocol {
    /// Runs after the first that are not counted as steady.
    pub warmup: u32,
    /// Steady runs; at least one.
    pub runs: u32,
}

/// Statistics over a list of times, in milliseconds; definitions in the module's text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// How many values.
    pub runs: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Middle value.
    pub median: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile; with fewer than 100 runs it lies close to the maximum.
    pub p99: f64,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Standard deviation of the population.
    pub std: f64,
}

impl Summary {
    /// Summarizes times in milliseconds; `None` where there are none.
    pub fn of(times_ms: &[f64]) -> Option<Self> {
        let mut sorted = times_ms.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let count = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / count;
        let variance = sorted.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / count;
        Some(Self {
            runs: sorted.len() as u64,
            mean,
            median: quantile(&sorted, 0.5),
            p90: quantile(&sorted, 0.9),
            p99: quantile(&sorted, 0.99),
            min,
            max,
            std: variance.sqrt(),
        })
    }
}

/// The `p`-quantile of ascending values, interpolated linearly; `sorted` is not empty.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let position = p * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// What [`time`] saw: the stages of one model's life, and the memory they took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Timings {
    /// Bytes to a model ready to run, in milliseconds.
    pub load_ms: f64,
    /// The first run, with cold caches and untouched memory, in milliseconds.
    pub first_ms: f64,
    /// The runs between the first and the steady ones; `None` when there were none.
    pub warmup: Option<Summary>,
    /// The steady state.
    pub steady: Summary,
    /// Memory of the process around it all.
    pub memory: MemoryUse,
}

/// Loads a model and runs it `1 + warmup + runs` times, timing each.
///
/// `load` makes the model from bytes already in memory; `run` does one inference. The readings of `gauge` are taken
/// outside of the timed spans.
pub fn time<M, E: From<MeasureError>>(
    clock: &dyn Clock,
    gauge: &dyn MemoryGauge,
    protocol: Protocol,
    load: impl FnOnce() -> Result<M, E>,
    mut run: impl FnMut(&mut M) -> Result<(), E>,
) -> Result<Timings, E> {
    gauge.reset_peak();
    let before = gauge.resident();
    let (model, load_ms) = timed(clock, load);
    let mut model = model?;
    let after_load = gauge.resident();

    let mut one = || {
        let (result, ms) = timed(clock, || run(&mut model));
        result.map(|()| ms)
    };
    let first_ms = one()?;
    let warmup = (0..protocol.warmup).map(|_| one()).collect::<Result<Vec<_>, E>>()?;
    let steady = (0..protocol.runs).map(|_| one()).collect::<Result<Vec<_>, E>>()?;

    Ok(Timings {
        load_ms,
        first_ms,
        warmup: Summary::of(&warmup),
        steady: Summary::of(&steady).ok_or(MeasureError::NoRuns)?,
        memory: MemoryUse {
            before,
            after_load,
            peak: gauge.peak(),
        },
    })
}

fn timed<T>(clock: &dyn Clock, action: impl FnOnce() -> T) -> (T, f64) {
    let start = clock.now();
    let value = action();
    (value, clock.now().saturating_sub(start).as_nanos() as f64 / 1e6)
}

/// A benchmark of one model on one runtime of one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Benchmark {
    /// The times and the memory.
    #[serde(flatten)]
    pub timings: Timings,
    /// What executed the model, with its version: `pipeline 0.1.0`.
    pub runtime: String,
    /// Threads the runtime was given.
    pub threads: usize,
    /// Where it ran.
    pub machine: Machine,
}

impl Benchmark {
    /// Names of all numbers that there may be.
    pub const FIGURES: &[&str] = &[
        "load-ms",
        "first-ms",
        "mean-ms",
        "median-ms",
        "p90-ms",
        "p99-ms",
        "min-ms",
        "max-ms",
        "std-ms",
        "after-load-bytes",
        "peak-bytes",
    ];

    /// The named numbers: `load-ms`, `first-ms`, `mean-ms`, `median-ms`, `p90-ms`, `p99-ms`, `min-ms`, `max-ms`, `std-ms`,
    /// and where known `after-load-bytes`, `peak-bytes`.
    pub fn figures(&self) -> Vec<Figure> {
        let Timings {
            load_ms,
            first_ms,
            warmup: _,
            steady,
            memory,
        } = self.timings;
        let Summary {
            runs: _,
            mean,
            median,
            p90,
            p99,
            min,
            max,
            std,
        } = steady;
        let ms = |name: &str, value| Figure::new(name, value, Unit::Milliseconds, Direction::Lower);
        let mut figures = vec![
            ms("load-ms", load_ms),
            ms("first-ms", first_ms),
            ms("mean-ms", mean),
            ms("median-ms", median),
            ms("p90-ms", p90),
            ms("p99-ms", p99),
            ms("min-ms", min),
            ms("max-ms", max),
            ms("std-ms", std),
        ];
        for (name, bytes) in [("after-load-bytes", memory.after_load), ("peak-bytes", memory.peak)] {
            figures.extend(bytes.map(|bytes| Figure::new(name, bytes as f64, Unit::Bytes, Direction::Lower)));
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A clock that moves on by one step of its list at each reading.
    struct Steps {
        now: Cell<u64>,
        at: Cell<usize>,
        micros: Vec<u64>,
    }

    impl Clock for Steps {
        fn now(&self) -> Duration {
            let step = self.micros.get(self.at.get()).copied().unwrap_or(0);
            self.at.set(self.at.get() + 1);
            self.now.set(self.now.get() + step);
            Duration::from_micros(self.now.get())
        }
    }

    struct Fixed;

    impl MemoryGauge for Fixed {
        fn resident(&self) -> Option<u64> {
            Some(1000)
        }
        fn peak(&self) -> Option<u64> {
            None
        }
        fn reset_peak(&self) -> bool {
            false
        }
    }

    fn clock(spans_us: &[u64]) -> Steps {
        let micros = spans_us.iter().flat_map(|&span| [7, span]).collect();
        Steps {
            now: Cell::new(0),
            at: Cell::new(0),
            micros,
        }
    }

    #[test]
    fn the_stages_are_kept_apart() {
        let clock = clock(&[5000, 900, 300, 200, 100, 110, 120]);
        let timings = time::<_, MeasureError>(
            &clock,
            &Fixed,
            Protocol { warmup: 2, runs: 3 },
            || Ok(0),
            |runs| {
                *runs += 1;
                Ok(())
            },
        )
        .expect("runs");
        assert_eq!(timings.load_ms, 5.0);
        assert_eq!(timings.first_ms, 0.9);
        assert_eq!(timings.warmup.map(|warmup| (warmup.runs, warmup.max)), Some((2, 0.3)));
        assert_eq!(
            (timings.steady.runs, timings.steady.max, timings.steady.median),
            (3, 0.12, 0.11)
        );
        assert_eq!(
            timings.memory,
            MemoryUse {
                before: Some(1000),
                after_load: Some(1000),
                peak: None
            }
        );
    }

    #[test]
    fn no_steady_run_is_an_error() {
        let result = time::<_, MeasureError>(
            &clock(&[1, 1]),
            &Fixed,
            Protocol { warmup: 0, runs: 0 },
            || Ok(()),
            |()| Ok(()),
        );
        assert_eq!(result, Err(MeasureError::NoRuns));
    }

    #[test]
    fn percentiles_are_those_of_numpy() {
        // numpy.percentile([15, 20, 35, 40, 50], [50, 90, 99]), numpy.std
        let summary = Summary::of(&[40.0, 15.0, 50.0, 35.0, 20.0]).expect("not empty");
        assert_eq!(
            (summary.median, summary.min, summary.max, summary.mean),
            (35.0, 15.0, 50.0, 32.0)
        );
        assert!((summary.p90 - 46.0).abs() < 1e-12);
        assert!((summary.p99 - 49.6).abs() < 1e-12);
        assert!((summary.std - 12.884_098_726_725_126).abs() < 1e-12);
    }

    #[test]
    fn one_run_is_its_own_summary() {
        let summary = Summary::of(&[2.5]).expect("not empty");
        assert_eq!((summary.median, summary.p99, summary.std), (2.5, 2.5, 0.0));
        assert_eq!(Summary::of(&[]), None);
    }
}

//! Ranges of activations that samples show: per-sample extremes first, and for the methods that need them histograms in a second pass.
//!
//! Every reduction is independent of the order of threads: extremes are kept per sample, counts are integers. Memory
//! is bounded by the number of tensors: 8 bytes a sample and tensor for extremes, 16 KiB a tensor for histograms. Both are remembered for
//! other methods that choose from the same network and samples.

use std::collections::BTreeMap;
use std::fmt;

use data::LoadedDataset;
use ir::Graph;
use methods::quantize::Range;
use methods::quantize::histogram::{BINS, Histogram};
use rayon::prelude::*;
use report::CalibrationSummary;
use runtime::{Executable, Options, RuntimeError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Key, Numbers, Ranges};
use crate::sampling::Feeder;

/// Raised whenever the same network and samples would show something else.
const REVISION: u32 = 1;

/// How a range is chosen from what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The least and the greatest value seen: nothing is clipped.
    #[default]
    Minmax,
    /// Exponential moving average of each sample's least and greatest value, in sample order (Jacob et al. 2018).
    MovingAverage,
    /// The central share of all values; see `percentile`.
    Percentile,
    /// The range of least mean squared quantization error.
    Mse,
    /// The range whose quantized distribution is closest to the one seen (Kullback–Leibler; Migacz 2017, TensorRT).
    Kl,
}

/// A method with its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// How a range is chosen.
    pub method: Method,
    /// [`Method::Percentile`]: the share of values, in percent, that the range holds.
    pub percentile: f64,
    /// [`Method::MovingAverage`]: weight of the ranges seen before.
    pub momentum: f64,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.method {
            Method::Minmax => f.write_str("minmax"),
            Method::MovingAverage => write!(f, "moving-average {}", self.momentum),
            Method::Percentile => write!(f, "percentile {}", self.percentile),
            Method::Mse => f.write_str("mse"),
            Method::Kl => f.write_str("kl"),
        }
    }
}

/// Ranges with what they were chosen from.
pub struct Seen {
    /// The chosen ranges by tensor name.
    pub ranges: BTreeMap<String, Range>,
    /// The extremes over the first and over the second half of the samples, by tensor name.
    halves: Vec<(String, Range, Range)>,
}

impl Seen {
    /// Tensors whose extremes differ between the halves of the samples: more samples would move their ranges.
    pub fn unstable(&self) -> Option<String> {
        let width = |r: &Range| r.max - r.min;
        let differs = |(_, a, b): &&(String, Range, Range)| {
            let (small, large) = (width(a).min(width(b)), width(a).max(width(b)));
            small < 0.75 * large
        };
        let names: Vec<&str> = self
            .halves
            .iter()
            .filter(differs)
            .map(|(name, _, _)| name.as_str())
            .collect();
        (!names.is_empty()).then(|| {
            format!(
                "the ranges of {} of {} tensors differ by more than a quarter between the halves of the samples; use more: {}",
                names.len(),
                self.halves.len(),
                data::sample::shortened(&names)
            )
        })
    }
}

/// The least and greatest values of every tensor, by sample.
struct Extremes(Vec<Vec<Range>>);

/// Runs the samples and chooses a range for every float activation. `facts` say what is seen, for [`Key`]; nothing is remembered without.
pub fn observe(
    executable: &Executable,
    feeder: &Feeder<'_>,
    choice: Choice,
    facts: Option<serde_json::Value>,
    context: &Context<'_>,
) -> Result<Seen, StepError> {
    let key = |what| {
        let facts = facts.clone()?;
        Some(Key {
            what,
            revision: REVISION,
            facts,
        })
    };
    let passes = if matches!(choice.method, Method::Minmax | Method::MovingAverage) {
        1
    } else {
        2
    };
    let total = passes * feeder.len() as u64;
    let see = |found: &mut Vec<Range>, i: usize, name: &str, values: &[f32]| {
        let range = Range::of(values).ok_or_else(|| {
            let problem = format!("tensor `{name}` is infinite or not a number on sample {i}; no range can be chosen");
            StepError::Params(problem)
        })?;
        found.push(range);
        Ok(())
    };
    let Extremes(extremes) = remembered(key("extremes"), context, || {
        each_sample(executable, feeder, context, 0, total, |_| Vec::new(), see).map(Extremes)
    })?;
    let names = observed_names(executable, feeder)?;

    let over = |tensor: usize, samples: &[Vec<Range>]| samples.iter().map(|s| s[tensor]).reduce(Range::union);
    let (first, second) = extremes.split_at(extremes.len() / 2);
    let halves = names
        .iter()
        .enumerate()
        .filter_map(|(t, name)| Some((name.clone(), over(t, first)?, over(t, second)?)));
    let whole: Vec<Range> = (0..names.len()).filter_map(|t| over(t, &extremes)).collect();

    let chosen: Vec<Range> = match choice.method {
        Method::Minmax => whole,
        Method::MovingAverage => (0..names.len())
            .map(|t| moving_average(extremes.iter().map(|s| s[t]), choice.momentum))
            .collect(),
        Method::Percentile | Method::Mse | Method::Kl => {
            let done = feeder.len() as u64;
            let histograms = remembered(key("histograms"), context, || {
                histograms(executable, feeder, context, &whole, done, total)
            })?;
            histograms
                .iter()
                .map(|h| match choice.method {
                    Method::Percentile => h.percentile(choice.percentile),
                    Method::Mse => h.least_squared_error(),
                    _ => h.least_divergence(),
                })
                .collect()
        }
    };
    let halves = halves.collect();
    Ok(Seen {
        ranges: names.into_iter().zip(chosen).collect(),
        halves,
    })
}

/// The least and greatest values of a prepared model's activations on these samples.
pub(crate) fn minmax(
    model: &Graph,
    dataset: &LoadedDataset,
    order: &[usize],
    context: &Context<'_>,
) -> Result<Ranges, StepError> {
    let choice = Choice {
        method: Method::Minmax,
        percentile: 100.0,
        momentum: 0.0,
    };
    let options = Options {
        observable: true,
        ..Options::default()
    };
    let executable = Executable::new(model, options)?;
    let feeder = Feeder::new(&executable, dataset)?.only(order);
    let seen = observe(&executable, &feeder, choice, None, context)?;
    Ok(Ranges {
        summary: CalibrationSummary {
            method: choice.to_string(),
            samples: order.len() as u64,
            population: dataset.data.len() as u64,
            per_class: Vec::new(),
            warnings: Vec::new(),
        },
        tensors: seen.ranges,
    })
}

fn remembered<T: Numbers>(
    key: Option<Key>,
    context: &Context<'_>,
    make: impl FnOnce() -> Result<T, StepError>,
) -> Result<T, StepError> {
    match key {
        Some(key) => context.remembered(&key, "activations", make),
        None => make(),
    }
}

/// How many tensors, then the two ends of each range.
impl Numbers for Extremes {
    fn numbers(&self) -> Vec<f64> {
        let tensors = self.0.first().map_or(0, Vec::len);
        let ends = self.0.iter().flatten().flat_map(|r| [r.min.into(), r.max.into()]);
        std::iter::once(tensors as f64).chain(ends).collect()
    }

    fn of(numbers: Vec<f64>) -> Option<Self> {
        let (&tensors, ends) = numbers.split_first()?;
        let range = |ends: &[f64; 2]| Range {
            min: ends[0] as f32,
            max: ends[1] as f32,
        };
        let (ranges, rest) = ends.as_chunks();
        let ranges: Vec<Range> = ranges.iter().map(range).collect();
        let samples = ranges.chunks_exact((tensors as usize).max(1));
        (rest.is_empty() && samples.remainder().is_empty()).then(|| Extremes(samples.map(<[Range]>::to_vec).collect()))
    }
}

impl Numbers for Vec<Histogram> {
    fn numbers(&self) -> Vec<f64> {
        self.iter().flat_map(Histogram::numbers).collect()
    }

    fn of(numbers: Vec<f64>) -> Option<Self> {
        let (histograms, rest) = numbers.as_chunks();
        let histograms = histograms.iter().map(Histogram::of);
        rest.is_empty().then(|| histograms.collect())
    }
}

/// `r ← momentum·r + (1 − momentum)·sample`, starting at the first sample.
fn moving_average(samples: impl Iterator<Item = Range>, momentum: f64) -> Range {
    let mix = |a: f32, b: f32| (momentum * f64::from(a) + (1.0 - momentum) * f64::from(b)) as f32;
    samples
        .reduce(|r, s| Range {
            min: mix(r.min, s.min),
            max: mix(r.max, s.max),
        })
        .unwrap_or(Range { min: 0.0, max: 0.0 })
}

/// The names of the observed tensors, in the order in which they are observed.
fn observed_names(executable: &Executable, feeder: &Feeder<'_>) -> Result<Vec<String>, StepError> {
    let mut names = Vec::new();
    let mut input = executable.input_buffers();
    feeder.feed(0, &mut input)?;
    executable.run_observed(&mut executable.workspace(), &input.values(), &mut |name, _| {
        names.push(name.to_owned());
    })?;
    Ok(names)
}

fn histograms(
    executable: &Executable,
    feeder: &Feeder<'_>,
    context: &Context<'_>,
    whole: &[Range],
    done: u64,
    total: u64,
) -> Result<Vec<Histogram>, StepError> {
    // Counts are added up per chunk of samples, so that memory does not grow with their number.
    let chunk = feeder.len().div_ceil(4 * rayon::current_num_threads()).max(1);
    let chunks: Vec<usize> = (0..feeder.len()).step_by(chunk).collect();
    let parts: Result<Vec<Vec<Histogram>>, StepError> = chunks
        .into_par_iter()
        .map(|start| {
            let mut counts: Vec<Histogram> = whole.iter().map(|&r| Histogram::new(r)).collect();
            let mut workspace = executable.workspace();
            let mut input = executable.input_buffers();
            for i in start..(start + chunk).min(feeder.len()) {
                context.check_cancelled()?;
                feeder.feed(i, &mut input)?;
                let mut tensor = 0;
                executable.run_observed(&mut workspace, &input.values(), &mut |_, values| {
                    counts[tensor].add(values);
                    tensor += 1;
                })?;
                context.progress(done + i as u64, total);
            }
            Ok(counts)
        })
        .collect();
    let mut sum: Vec<Histogram> = whole.iter().map(|&r| Histogram::new(r)).collect();
    for part in parts? {
        sum.iter_mut().zip(&part).for_each(|(s, p)| s.merge(p));
    }
    Ok(sum)
}

/// Observes every sample in parallel; the results are in sample order.
fn each_sample<S: Send>(
    executable: &Executable,
    feeder: &Feeder<'_>,
    context: &Context<'_>,
    done: u64,
    total: u64,
    start: impl Fn(usize) -> S + Sync,
    see: impl Fn(&mut S, usize, &str, &[f32]) -> Result<(), StepError> + Sync,
) -> Result<Vec<S>, StepError> {
    let scratch = || (executable.workspace(), executable.input_buffers());
    let seen = (0..feeder.len())
        .into_par_iter()
        .map_init(scratch, |(workspace, input), i| {
            context.check_cancelled()?;
            feeder.feed(i, input)?;
            let (mut state, mut failed) = (start(i), None);
            let observed: Result<(), RuntimeError> =
                executable.run_observed(workspace, &input.values(), &mut |name, values| {
                    if failed.is_none() {
                        failed = see(&mut state, feeder.sample(i), name, values).err();
                    }
                });
            observed?;
            context.progress(done + i as u64, total);
            failed.map_or(Ok(state), Err)
        })
        .collect();
    feeder.check()?;
    seen
}

/// Bytes of one histogram, stated in the module's text.
const _: () = assert!(BINS * size_of::<u64>() == 16 << 10);

//! Settings: the variants of a sweep without their repeats, how they stand to each other, and which of them a report shows.
//!
//! Runs that differ in a repeat alone, such as a seed, are one setting: its numbers are means, and their scatter is the standard
//! deviation. Without repeats every variant is a setting of its own.

use std::collections::BTreeMap;

use measure::{Interval, Spread};

use crate::numbers;
use crate::variants::{Variant, Variants};

/// Variants that differ in nothing but a repeat.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// The title without the repeat.
    pub(crate) title: String,
    /// Places of the variants among all, in order.
    pub(crate) members: Vec<usize>,
    /// Accuracy, 0..1.
    pub(crate) accuracy: Option<Spread>,
    pub(crate) bytes: Option<Spread>,
    pub(crate) zip_bytes: Option<Spread>,
    /// Median latency in milliseconds.
    pub(crate) ms: Option<Spread>,
}

impl Setting {
    /// The variant that stands for it: the one of median accuracy.
    pub(crate) fn example<'v, 'a>(&self, variants: &'v Variants<'a>) -> &'v Variant<'a> {
        &variants.all[self.example_index(&variants.all)]
    }

    fn example_index(&self, all: &[Variant<'_>]) -> usize {
        let accuracy = |index: &usize| all[*index].metrics.map_or(0.0, |metrics| metrics.accuracy);
        let mut members = self.members.clone();
        members.sort_by(|a, b| accuracy(a).total_cmp(&accuracy(b)).then(a.cmp(b)));
        members[(members.len() - 1) / 2]
    }

    /// The interval around the accuracy: Wilson's of a single run, one standard deviation each way of several.
    pub(crate) fn accuracy_interval(&self, variants: &Variants<'_>) -> Option<Interval> {
        let spread = self.accuracy?;
        if spread.count == 1 {
            return self.example(variants).metrics.map(|metrics| metrics.accuracy_interval);
        }
        Some(Interval {
            low: (spread.mean - spread.sd).max(0.0),
            high: (spread.mean + spread.sd).min(1.0),
        })
    }

    /// The accuracy in words: `95.98 %`, or `95.98 ± 0.12 %` of repeats.
    pub(crate) fn accuracy_text(&self) -> Option<String> {
        let spread = self.accuracy?;
        Some(if spread.count == 1 {
            numbers::percent(spread.mean)
        } else {
            let pair = format!("{:.2} ± {:.2}", spread.mean * 100.0, spread.sd * 100.0);
            numbers::with_unit(pair, "%")
        })
    }
}

/// The settings, in order of first appearance.
pub(crate) fn gather(all: &[Variant<'_>], repeat: Option<&str>) -> Vec<Setting> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for (index, variant) in all.iter().enumerate() {
        let repeated = variant.place.iter().any(|(axis, _)| Some(*axis) == repeat);
        let title = if repeated {
            variant.title_without(repeat)
        } else {
            variant.title.clone()
        };
        let at = *places.entry(title.clone()).or_insert_with(|| {
            groups.push((title, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(index);
    }
    let setting = |(title, members): (String, Vec<usize>)| {
        let spread = |of: fn(&Variant<'_>) -> Option<f64>| {
            Spread::of(
                &members
                    .iter()
                    .filter_map(|&index| of(&all[index]))
                    .collect::<Vec<f64>>(),
            )
        };
        Setting {
            accuracy: spread(|v| v.metrics.map(|metrics| metrics.accuracy)),
            bytes: spread(|v| v.sizes.map(|sizes| sizes.bytes() as f64)),
            zip_bytes: spread(|v| v.sizes.map(|sizes| sizes.zip_bytes() as f64)),
            ms: spread(|v| v.benchmark.map(|found| found.timings.steady.median)),
            title,
            members,
        }
    };
    groups.into_iter().map(setting).collect()
}

/// A setting that was both evaluated and weighed, and who dominates it.
pub(crate) struct Standing<'v> {
    pub(crate) setting: &'v Setting,
    pub(crate) accuracy: f64,
    /// Wilson's interval, or one standard deviation of repeats each way.
    pub(crate) interval: Interval,
    /// Mean of the repeats, rounded.
    pub(crate) zip_bytes: u64,
    /// Those that dominate it; empty for the front.
    pub(crate) beaten_by: Vec<&'v str>,
}

/// All settings that were both evaluated and weighed.
pub(crate) fn standings<'v>(variants: &'v Variants<'_>) -> Vec<Standing<'v>> {
    let measured: Vec<(&Setting, f64, f64)> = variants
        .settings
        .iter()
        .filter_map(|setting| Some((setting, setting.accuracy?.mean, setting.zip_bytes?.mean)))
        .collect();
    let beaten_by = |accuracy: f64, bytes: f64| {
        let dominates = |&&(_, other, size): &&(&Setting, f64, f64)| {
            other >= accuracy && size <= bytes && (other > accuracy || size < bytes)
        };
        measured
            .iter()
            .filter(dominates)
            .map(|(other, ..)| other.title.as_str())
            .collect()
    };
    let standing = |&(setting, accuracy, bytes): &(&'v Setting, f64, f64)| {
        Some(Standing {
            setting,
            accuracy,
            interval: setting.accuracy_interval(variants)?,
            zip_bytes: bytes.round() as u64,
            beaten_by: beaten_by(accuracy, bytes),
        })
    };
    measured.iter().filter_map(standing).collect()
}

/// How many of the frontier and of the most accurate a sweep's report shows.
const FRONTIER: usize = 15;
const BEST: usize = 10;

/// The frontier, at most so many of it, evenly from its ends; and the ten most accurate: places among the settings, in order.
pub(crate) fn candidates(variants: &Variants<'_>) -> Vec<usize> {
    let standings = standings(variants);
    let mut front: Vec<&Standing<'_>> = standings
        .iter()
        .filter(|standing| standing.beaten_by.is_empty())
        .collect();
    front.sort_by_key(|standing| standing.zip_bytes);
    let last = front.len().saturating_sub(1);
    let kept = front.len().min(FRONTIER);
    let front = (0..kept).map(|i| front[i * last / (kept - 1).max(1)].setting.title.as_str());
    let mut best: Vec<&Setting> = variants
        .settings
        .iter()
        .filter(|setting| setting.accuracy.is_some())
        .collect();
    let accuracy = |setting: &Setting| setting.accuracy.map_or(0.0, |spread| spread.mean);
    best.sort_by(|a, b| accuracy(b).total_cmp(&accuracy(a)));
    let best = best.into_iter().take(BEST).map(|setting| setting.title.as_str());
    let wanted: std::collections::BTreeSet<&str> = front.chain(best).collect();
    let chosen = |&index: &usize| wanted.contains(variants.settings[index].title.as_str());
    (0..variants.settings.len()).filter(chosen).collect()
}

/// What a sweep's tables and pages show: the baseline, and an example of each of the [`candidates`].
pub(crate) fn worth_showing(variants: &Variants<'_>) -> Vec<usize> {
    let examples = candidates(variants);
    let mut shown: Vec<usize> = examples
        .into_iter()
        .map(|index| variants.settings[index].example_index(&variants.all))
        .chain(variants.baseline_index())
        .collect();
    if shown.is_empty() {
        shown = (0..variants.all.len().min(BEST)).collect();
    }
    shown.sort_unstable();
    shown.dedup();
    shown
}

//! From variants to plots: what each picture of a report shows.

use measure::Metrics;

use crate::numbers;
use crate::plots::{Bar, Bars, Heat, Point, Role, Scatter};
use crate::settings::standings;
use crate::variants::{Variant, Variants};

/// Beyond this many points the frontier and the baseline alone have labels.
const LABELLED: usize = 15;

/// Size against accuracy; `None` below two variants that have both.
pub(crate) fn pareto(variants: &Variants<'_>) -> Option<String> {
    let standings = standings(variants);
    if standings.len() < 2 {
        return None;
    }
    let all = standings.len() <= LABELLED;
    let points = standings
        .iter()
        .map(|standing| {
            let front = standing.beaten_by.is_empty();
            let baseline = variants
                .baseline_index()
                .is_some_and(|index| standing.setting.members.contains(&index));
            Point {
                label: Some(standing.setting.title.as_str()).filter(|_| all || front || baseline),
                x: standing.zip_bytes as f64,
                y: standing.accuracy,
                low: standing.interval.low,
                high: standing.interval.high,
                role: if front { Role::Front } else { Role::Beaten },
                baseline,
            }
        })
        .collect();
    let bars = if variants.repeat.is_some() {
        "standard deviation of repeats"
    } else {
        "95 % interval"
    };
    let plot = Scatter {
        title: "Accuracy over size",
        subtitle: &format!("up and left is better; bars: {bars}; line: the best to be had at a size"),
        x_label: "size in a zip archive",
        y_label: "accuracy",
        points,
    };
    Some(plot.svg())
}

/// Median latencies; `None` where nothing was timed.
pub(crate) fn latency(variants: &Variants<'_>) -> Option<String> {
    let timed: Vec<_> = variants.shown().filter_map(|v| Some((v, v.benchmark?))).collect();
    let (_, first) = timed.first()?;
    let alike = timed
        .iter()
        .all(|(_, b)| b.runtime == first.runtime && b.threads == first.threads);
    let subtitle = if alike {
        let threads = if first.threads == 1 {
            "1 thread".to_owned()
        } else {
            format!("{} threads", first.threads)
        };
        format!(
            "median of steady runs, tick: 99th percentile; kernels of {}, {threads}, on this host",
            first.runtime
        )
    } else {
        "median of steady runs, tick: 99th percentile; runtimes or threads differ, see the table".to_owned()
    };
    // What takes no tenth of a millisecond is drawn in microseconds.
    let longest = timed.iter().map(|(_, b)| b.timings.steady.p99).fold(0.0, f64::max);
    let (scale, unit) = if longest < 0.1 {
        (1e3, "microseconds")
    } else {
        (1.0, "milliseconds")
    };
    let rows = timed
        .iter()
        .map(|(variant, benchmark)| {
            let steady = &benchmark.timings.steady;
            Bar {
                label: &variant.title,
                value: scale * steady.median,
                mark: scale * steady.p99,
                note: numbers::milliseconds(steady.median),
                baseline: variants.is_baseline(variant),
            }
        })
        .collect();
    Some(
        Bars {
            title: "Latency of one inference",
            subtitle: &subtitle,
            x_label: unit,
            rows,
        }
        .svg(),
    )
}

/// The confusion matrix of a variant.
pub(crate) fn confusion(variant: &Variant<'_>, metrics: &Metrics) -> String {
    Heat {
        title: &format!("Confusion matrix of {}", variant.title),
        subtitle: &format!(
            "accuracy {} of {} samples; cells: percent of the true class",
            numbers::percent(metrics.accuracy),
            numbers::count(metrics.samples)
        ),
        classes: metrics.confusion.classes(),
        counts: metrics.confusion.counts(),
    }
    .svg()
}

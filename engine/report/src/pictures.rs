//! From variants to plots: what each picture of a report shows.

use measure::Metrics;

use crate::numbers;
use crate::plots::{Bar, Bars, Heat, Point, Role, Scatter};
use crate::questions::standings;
use crate::variants::{Variant, Variants};

/// Size against accuracy; `None` below two variants that have both.
pub(crate) fn pareto(variants: &Variants<'_>) -> Option<String> {
    let standings = standings(variants);
    if standings.len() < 2 {
        return None;
    }
    let points = standings
        .iter()
        .map(|standing| Point {
            label: &standing.variant.name,
            x: standing.zip_bytes as f64,
            y: standing.metrics.accuracy,
            low: standing.metrics.accuracy_interval.low,
            high: standing.metrics.accuracy_interval.high,
            role: if standing.beaten_by.is_empty() {
                Role::Front
            } else {
                Role::Beaten
            },
            baseline: variants.is_baseline(standing.variant),
        })
        .collect();
    let plot = Scatter {
        title: "Accuracy over size",
        subtitle: "up and left is better; bars: 95 % interval; line: the best to be had at a size",
        x_label: "size in a zip archive",
        y_label: "accuracy",
        points,
    };
    Some(plot.svg())
}

/// Median latencies; `None` where nothing was timed.
pub(crate) fn latency(variants: &Variants<'_>) -> Option<String> {
    let timed: Vec<_> = variants.all.iter().filter_map(|v| Some((v, v.benchmark?))).collect();
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
            "median of steady runs, tick: 99th percentile; {}, {threads}",
            first.runtime
        )
    } else {
        "median of steady runs, tick: 99th percentile; runtimes or threads differ, see the table".to_owned()
    };
    let rows = timed
        .iter()
        .map(|(variant, benchmark)| {
            let steady = &benchmark.timings.steady;
            Bar {
                label: &variant.name,
                value: steady.median,
                mark: steady.p99,
                note: numbers::milliseconds(steady.median),
                baseline: variants.is_baseline(variant),
            }
        })
        .collect();
    Some(
        Bars {
            title: "Latency of one inference",
            subtitle: &subtitle,
            x_label: "milliseconds",
            rows,
        }
        .svg(),
    )
}

/// The confusion matrix of a variant.
pub(crate) fn confusion(variant: &Variant<'_>, metrics: &Metrics) -> String {
    Heat {
        title: &format!("Confusion matrix of {}", variant.name),
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

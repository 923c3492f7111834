//! The summary table: one row per variant, differences to the baseline, the best value of each column in bold.

use measure::{Direction, Unit};

use crate::markdown::{Markdown, Table, code};
use crate::variants::{Variant, Variants};
use crate::{numbers, quality, sweep};

/// A column of numbers: heading, which way is better, the value, and how a cell shows it beside the baseline's.
struct Column {
    heading: &'static str,
    better: Direction,
    value: fn(&Variant<'_>) -> Option<f64>,
    cell: fn(&Variant<'_>, f64) -> String,
    /// What stands behind the value, from the baseline's value and this one's.
    against: fn(f64, f64) -> String,
}

const COLUMNS: [Column; 9] = [
    Column {
        heading: "Quality (95 % interval)",
        better: Direction::Higher,
        value: |v| Some(v.quality?.scores.first()?.figure.value),
        cell: |v, _| {
            let first = v.quality.and_then(|quality| quality.scores.first());
            first.map_or_else(String::new, |first| {
                format!("{} {}", Markdown::text(&first.figure.name), quality::score(first))
            })
        },
        against: |_, _| String::new(),
    },
    Column {
        heading: "Accuracy (95 % interval)",
        better: Direction::Higher,
        value: |v| v.metrics.map(|m| m.accuracy),
        cell: |v, accuracy| {
            let interval = v.metrics.map(|m| numbers::interval(m.accuracy_interval));
            format!("{} ({})", numbers::percent(accuracy), interval.unwrap_or_default())
        },
        against: |old, new| numbers::points(new - old),
    },
    Column {
        heading: "Top-5",
        better: Direction::Higher,
        value: |v| v.metrics.and_then(|m| m.top5),
        cell: |_, share| numbers::percent(share),
        against: |old, new| numbers::points(new - old),
    },
    Column {
        heading: "G-mean",
        better: Direction::Higher,
        value: |v| v.metrics.map(|m| m.mean.g_mean),
        cell: |_, share| numbers::percent(share),
        against: |old, new| numbers::points(new - old),
    },
    Column {
        heading: "Bytes",
        better: Direction::Lower,
        value: |v| v.sizes.map(|s| s.bytes() as f64),
        cell: |_, bytes| numbers::figure(bytes, Unit::Bytes),
        against: numbers::times,
    },
    Column {
        heading: "Zip bytes",
        better: Direction::Lower,
        value: |v| v.sizes.map(|s| s.zip_bytes() as f64),
        cell: |_, bytes| numbers::figure(bytes, Unit::Bytes),
        against: numbers::times,
    },
    Column {
        heading: "Arena bytes",
        better: Direction::Lower,
        value: |v| v.sizes.and_then(|s| s.arena_bytes).map(|bytes| bytes as f64),
        cell: |_, bytes| numbers::figure(bytes, Unit::Bytes),
        against: numbers::times,
    },
    Column {
        heading: "Median latency",
        better: Direction::Lower,
        value: |v| v.benchmark.map(|b| b.timings.steady.median),
        cell: |_, ms| numbers::milliseconds(ms),
        against: numbers::times,
    },
    Column {
        heading: "Peak memory",
        better: Direction::Lower,
        value: |v| {
            v.benchmark
                .and_then(|b| b.timings.memory.peak)
                .map(|bytes| bytes as f64)
        },
        cell: |_, bytes| numbers::mebibytes(bytes as u64),
        against: |_, _| String::new(),
    },
];

/// The table; of a sweep the settings worth choosing. Sizes and times say how many times smaller or faster than the baseline, shares the difference in points.
pub(crate) fn table(variants: &Variants<'_>) -> Table {
    if variants.sweep || variants.repeat.is_some() {
        return sweep::summary(variants);
    }
    let mut headings = vec!["Variant"];
    headings.extend(COLUMNS.iter().map(|column| column.heading));
    let mut table = Table::of_numbers(&headings);
    let mut columns = COLUMNS;
    let first = variants.all.iter().find_map(|v| v.quality?.scores.first());
    columns[0].better = first.map_or(Direction::Higher, |first| first.figure.direction);
    let best: Vec<Option<f64>> = columns.iter().map(|column| best(variants, column)).collect();
    for variant in variants.shown() {
        let mut row = vec![name(variants, variant)];
        row.extend(
            columns
                .iter()
                .zip(&best)
                .map(|(column, best)| cell(variants, variant, column, *best)),
        );
        table.push(row);
    }
    table.without_empty_columns()
}

/// A variant's name, marked where it is the baseline.
pub(crate) fn name(variants: &Variants<'_>, variant: &Variant<'_>) -> Markdown {
    let mark = if variants.is_baseline(variant) {
        " (baseline)"
    } else {
        ""
    };
    Markdown::trusted(format!("{}{mark}", code(&variant.title)))
}

/// The best value of a column; `None` where fewer than two variants differ in it.
fn best(variants: &Variants<'_>, column: &Column) -> Option<f64> {
    let values: Vec<f64> = variants.all.iter().filter_map(column.value).collect();
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
    (low < high).then_some(match column.better {
        Direction::Higher => high,
        Direction::Lower | Direction::Neutral => low,
    })
}

fn cell(variants: &Variants<'_>, variant: &Variant<'_>, column: &Column, best: Option<f64>) -> Markdown {
    let Some(value) = (column.value)(variant) else {
        return Markdown::default();
    };
    let shown = Markdown::trusted((column.cell)(variant, value));
    let shown = if best == Some(value) { shown.bold() } else { shown };
    let baseline = variants
        .baseline()
        .filter(|_| !variants.is_baseline(variant))
        .and_then(column.value);
    match baseline
        .map(|old| (column.against)(old, value))
        .filter(|text| !text.is_empty())
    {
        Some(against) => Markdown::trusted(format!("{shown}<br>{against}")),
        None => shown,
    }
}

//! Which variants are smaller or more accurate than all others, and which are beaten in both?
//!
//! One variant dominates another (Pareto) when it is no larger and no less accurate, and better in one of the two. Size
//! is that of the zip archive, so that sparse and clustered variants get what they are worth. Differences within the
//! intervals count here like any other; the table shows the intervals.

use measure::Metrics;

use crate::markdown::{Markdown, Table, code};
use crate::numbers;
use crate::variants::{Variant, Variants};

use super::{Answer, names};

/// A variant with both measures, and who dominates it.
pub(crate) struct Standing<'a, 'v> {
    pub(crate) variant: &'v Variant<'a>,
    pub(crate) metrics: &'a Metrics,
    pub(crate) zip_bytes: u64,
    /// Those that dominate it; empty for the front.
    pub(crate) beaten_by: Vec<&'v str>,
}

/// All variants that were both evaluated and weighed.
pub(crate) fn standings<'a, 'v>(variants: &'v Variants<'a>) -> Vec<Standing<'a, 'v>> {
    let measured: Vec<(&Variant<'a>, &'a Metrics, u64)> = variants
        .all
        .iter()
        .filter_map(|v| Some((v, v.metrics?, v.sizes?.zip_bytes())))
        .collect();
    measured
        .iter()
        .map(|&(variant, metrics, zip_bytes)| {
            let dominates = |&&(_, other, bytes): &&(_, &Metrics, u64)| {
                let (no_worse, no_larger) = (other.accuracy >= metrics.accuracy, bytes <= zip_bytes);
                no_worse && no_larger && (other.accuracy > metrics.accuracy || bytes < zip_bytes)
            };
            let beaten_by = measured
                .iter()
                .filter(dominates)
                .map(|(other, ..)| other.name.as_str())
                .collect();
            Standing {
                variant,
                metrics,
                zip_bytes,
                beaten_by,
            }
        })
        .collect()
}

pub(super) fn answer(variants: &Variants<'_>) -> Answer {
    let heading = Markdown::trusted("Which variants are worth choosing?");
    let mut standings = standings(variants);
    if standings.len() < 2 {
        return Answer::missing(heading, "it takes two variants that were both evaluated and weighed");
    }
    standings.sort_by_key(|standing| standing.zip_bytes);
    let (front, beaten): (Vec<_>, Vec<_>) = standings.iter().partition(|standing| standing.beaten_by.is_empty());
    let described = |standing: &&Standing<'_, '_>| {
        let (accuracy, bytes) = (
            numbers::percent(standing.metrics.accuracy),
            numbers::count(standing.zip_bytes),
        );
        format!("{} ({accuracy}, {bytes} zip bytes)", code(&standing.variant.name))
    };
    let choices: Vec<String> = front.iter().map(described).collect();
    let mut text = match choices.as_slice() {
        [one] => format!("{one} dominates: none is smaller, none more accurate."),
        several => format!(
            "{} are the choices: for each of them every smaller variant is less accurate.",
            super::list(several)
        ),
    };
    if !beaten.is_empty() {
        let list = names(beaten.iter().map(|standing| standing.variant.name.as_str()));
        let verb = if beaten.len() == 1 { "is" } else { "are" };
        text = format!("{text} {list} {verb} dominated: another is no larger and no less accurate.");
    }
    let within = |standing: &&&Standing<'_, '_>| {
        let rivals = front
            .iter()
            .filter(|rival| standing.beaten_by.contains(&rival.variant.name.as_str()));
        rivals.into_iter().all(|rival| {
            rival
                .metrics
                .accuracy_interval
                .overlaps(standing.metrics.accuracy_interval)
        })
    };
    let close = beaten.iter().filter(within).count();
    if close > 0 {
        text = format!(
            "{text} For {close} of them the accuracies alone are within each other's 95 % intervals; size decides."
        );
    }
    let mut table = Table::of_numbers(&["Variant", "Zip bytes", "Accuracy", "95 % interval", "Dominated by"]);
    for standing in &standings {
        table.push(vec![
            code(&standing.variant.name),
            Markdown::trusted(numbers::count(standing.zip_bytes)),
            Markdown::trusted(numbers::percent(standing.metrics.accuracy)),
            Markdown::trusted(numbers::interval(standing.metrics.accuracy_interval)),
            Markdown::trusted(names(standing.beaten_by.iter().copied())),
        ]);
    }
    Answer::new(heading, text).with_table(table.without_empty_columns())
}

//! Which variants are smaller or more accurate than all others, and which are beaten in both?
//!
//! One variant dominates another (Pareto) when it is no larger and no less accurate, and better in one of the two. Size
//! is that of the zip archive, so that sparse and clustered variants get what they are worth. Differences that chance may
//! explain count here like any other; the table shows the intervals. Repeats count by their means.

use crate::markdown::{Markdown, Table, code};
use crate::numbers;
use crate::settings::{Standing, standings};
use crate::told::Comparison;
use crate::variants::Variants;

use super::{Answer, names};

pub(super) fn answer(variants: &Variants<'_>) -> Answer {
    let heading = Markdown::trusted("Which variants are worth choosing?");
    let mut standings = standings(variants);
    if standings.len() < 2 {
        return Answer::missing(heading, "it takes two variants that were both evaluated and weighed");
    }
    standings.sort_by_key(|standing| standing.zip_bytes);
    let (front, beaten): (Vec<_>, Vec<_>) = standings.iter().partition(|standing| standing.beaten_by.is_empty());
    let described = |standing: &&Standing<'_>| {
        let accuracy = standing.setting.accuracy_text().unwrap_or_default();
        let bytes = numbers::count(standing.zip_bytes);
        format!("{} ({accuracy}, {bytes} zip bytes)", code(&standing.setting.title))
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
        let list = names(beaten.iter().map(|standing| standing.setting.title.as_str()));
        let verb = if beaten.len() == 1 { "is" } else { "are" };
        text = format!("{text} {list} {verb} dominated: another is no larger and no less accurate.");
    }
    let within = |standing: &&&Standing<'_>| {
        let mut rivals = front
            .iter()
            .filter(|rival| standing.beaten_by.contains(&rival.setting.title.as_str()));
        rivals.all(|rival| alike(variants, rival, standing))
    };
    let close = beaten.iter().filter(within).count();
    if close > 0 {
        text = format!("{text} For {close} of them the accuracies alone are not told apart; size decides.");
    }
    let around = if variants.repeat.is_some() {
        "Interval, or mean ± sd"
    } else {
        "95 % interval"
    };
    let mut table = Table::of_numbers(&["Variant", "Zip bytes", "Accuracy", around, "Dominated by"]);
    let shown = standings
        .iter()
        .filter(|standing| !variants.sweep || standing.beaten_by.is_empty());
    for standing in shown {
        table.push(vec![
            code(&standing.setting.title),
            Markdown::trusted(numbers::count(standing.zip_bytes)),
            Markdown::trusted(numbers::percent(standing.accuracy)),
            Markdown::trusted(numbers::interval(standing.interval)),
            Markdown::trusted(names(standing.beaten_by.iter().copied())),
        ]);
    }
    Answer::new(heading, text).with_table(table.without_empty_columns())
}

/// Whether two accuracies are not told apart: of single runs by their samples, of repeats by their scatter.
fn alike(variants: &Variants<'_>, one: &Standing<'_>, other: &Standing<'_>) -> bool {
    let single = |standing: &Standing<'_>| standing.setting.accuracy.is_some_and(|spread| spread.count == 1);
    let metrics = |standing: &Standing<'_>| standing.setting.example(variants).metrics;
    match (metrics(one), metrics(other)) {
        (Some(a), Some(b)) if single(one) && single(other) => Comparison::of(a, b) != Comparison::Apart,
        _ => one.interval.overlaps(other.interval),
    }
}

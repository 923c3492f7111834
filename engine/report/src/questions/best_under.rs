//! Which is the best under limits: of bytes, of time, of a drop from the baseline?
//!
//! Under limits of bytes or time the best is the most accurate; where only the drop is limited it is the smallest. Repeats count by
//! their means.

use crate::markdown::{Markdown, Table, code};
use crate::numbers;
use crate::settings::Setting;
use crate::variants::Variants;

use super::{Answer, BestUnder, family, list};

/// How many runners-up the table lists.
const LISTED: usize = 5;

pub(super) fn answer(variants: &Variants<'_>, asked: &BestUnder) -> Answer {
    let BestUnder {
        of,
        bytes,
        zip_bytes,
        ms,
        points,
    } = asked;
    let limits: Vec<String> = [
        bytes.map(|bytes| format!("{} bytes", numbers::count(bytes))),
        zip_bytes.map(|bytes| format!("{} zip bytes", numbers::count(bytes))),
        ms.map(numbers::milliseconds),
        points.map(|points| format!("{} below the baseline", numbers::with_unit(points, "points"))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let smallest = bytes.is_none() && zip_bytes.is_none() && ms.is_none();
    let aim = if smallest { "smallest" } else { "most accurate" };
    let heading = Markdown::trusted(format!(
        "Which of {} is the {aim} within {}?",
        family(of),
        list(&limits)
    ));
    let baseline = variants
        .baseline()
        .and_then(|v| v.metrics)
        .map(|metrics| metrics.accuracy);
    let floor = match (points, baseline) {
        (None, _) => None,
        (Some(points), Some(accuracy)) => Some(accuracy - points / 100.0),
        (Some(_), None) => return Answer::missing(heading, "there is no baseline that was evaluated"),
    };
    let members: Vec<&str> = variants
        .family(of)
        .into_iter()
        .map(|variant| variant.name.as_str())
        .collect();
    let known: Vec<&Setting> = variants
        .settings
        .iter()
        .filter(|setting| {
            setting
                .members
                .iter()
                .any(|&i| members.contains(&variants.all[i].name.as_str()))
        })
        .filter(|setting| setting.accuracy.is_some() && (!smallest || setting.bytes.is_some()))
        .collect();
    // A tenth of a thousandth of a point is rounding.
    let holds = |setting: &Setting| {
        let under = |found: Option<measure::Spread>, limit: Option<f64>| {
            limit.is_none_or(|limit| found.is_some_and(|found| found.mean <= limit))
        };
        under(setting.bytes, bytes.map(|bytes| bytes as f64))
            && under(setting.zip_bytes, zip_bytes.map(|bytes| bytes as f64))
            && under(setting.ms, *ms)
            && floor.is_none_or(|floor| setting.accuracy.is_some_and(|found| found.mean >= floor - 1e-6))
    };
    let mut within: Vec<&Setting> = known.iter().copied().filter(|setting| holds(setting)).collect();
    let accuracy = |setting: &Setting| setting.accuracy.map_or(0.0, |spread| spread.mean);
    let size = |setting: &Setting| setting.bytes.map_or(f64::INFINITY, |spread| spread.mean);
    if smallest {
        within.sort_by(|a, b| size(a).total_cmp(&size(b)).then(accuracy(b).total_cmp(&accuracy(a))));
    } else {
        within.sort_by(|a, b| accuracy(b).total_cmp(&accuracy(a)).then(size(a).total_cmp(&size(b))));
    }
    let [best, ..] = within.as_slice() else {
        let needs = format!("none of {} is within these limits", known.len());
        return Answer::missing(heading, &needs);
    };
    let described = [
        best.accuracy_text(),
        best.bytes
            .map(|spread| format!("{} bytes", numbers::count(spread.mean.round() as u64))),
        best.ms.map(|spread| numbers::milliseconds(spread.mean)),
    ];
    let described: Vec<String> = described.into_iter().flatten().collect();
    let text = format!(
        "{}: {}. {} of {} are within.",
        code(&best.title),
        described.join(", "),
        numbers::count(within.len() as u64),
        numbers::count(known.len() as u64)
    );
    let mut table = Table::of_numbers(&["Variant", "Accuracy", "Bytes", "Zip bytes", "Median latency"]);
    for setting in within.iter().take(LISTED) {
        let whole = |spread: Option<measure::Spread>| spread.map(|s| numbers::count(s.mean.round() as u64));
        let cells = [
            setting.accuracy_text(),
            whole(setting.bytes),
            whole(setting.zip_bytes),
            setting.ms.map(|spread| numbers::milliseconds(spread.mean)),
        ];
        let cells = cells.map(|cell| Markdown::trusted(cell.unwrap_or_default()));
        table.push(std::iter::once(code(&setting.title)).chain(cells).collect());
    }
    Answer::new(heading, text).with_table(table.without_empty_columns())
}

//! What a sweep says: the settings worth choosing with axes as columns, the effect of each axis, and pictures of pairs of axes.

use std::collections::BTreeMap;

use measure::Spread;

use crate::markdown::{Align, Markdown, Table, code};
use crate::numbers;
use crate::plots::{Cell, Grid};
use crate::settings::{self, Setting};
use crate::variants::{Variant, Variants, slug};

/// Pictures of pairs of axes at most; of more pairs those with the greatest effects.
const PICTURES: usize = 6;

/// The axes of the variants with their values in order, repeats left out, those with a single value too.
pub(crate) fn axes<'a>(variants: &Variants<'a>) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for &(axis, value) in variants.all.iter().flat_map(|variant| &variant.place) {
        match found.iter_mut().find(|(known, _)| *known == axis) {
            Some((_, values)) if values.contains(&value) => {}
            Some((_, values)) => values.push(value),
            None => found.push((axis, vec![value])),
        }
    }
    found.retain(|(axis, values)| values.len() > 1 && Some(*axis) != variants.repeat);
    for (_, values) in &mut found {
        if values.iter().all(|value| number(value).is_some()) {
            values.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
        }
    }
    found
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The settings worth showing, axes as columns: the baseline, the frontier and the most accurate.
pub(crate) fn summary(variants: &Variants<'_>) -> Table {
    let axes = axes(variants);
    let baseline = variants.settings.iter().find(|setting| {
        variants
            .baseline_index()
            .is_some_and(|index| setting.members.contains(&index))
    });
    let front: Vec<&str> = settings::standings(variants)
        .iter()
        .filter(|standing| standing.beaten_by.is_empty())
        .map(|standing| standing.setting.title.as_str())
        .collect();
    let mut columns = vec![(Markdown::trusted("Variant"), Align::Left)];
    columns.extend(axes.iter().map(|(axis, _)| (code(axis), Align::Right)));
    let numbers = [
        "Runs",
        "Accuracy",
        "Difference",
        "Bytes",
        "Zip bytes",
        "Median latency",
        "Frontier",
    ];
    columns.extend(numbers.map(|heading| (Markdown::trusted(heading), Align::Right)));
    let mut table = Table::new(columns);
    let chosen = settings::candidates(variants);
    let is_shown = |index: &usize, setting: &Setting| {
        chosen.contains(index) || baseline.is_some_and(|baseline| baseline.title == setting.title)
    };
    for (_, setting) in variants.settings.iter().enumerate().filter(|(i, s)| is_shown(i, s)) {
        let variant = setting.example(variants);
        let of_baseline = baseline
            .filter(|known| known.title == setting.title)
            .map_or("", |_| " (baseline)");
        let mut row = vec![Markdown::trusted(format!("{}{of_baseline}", code(&variant.base)))];
        row.extend(
            axes.iter()
                .map(|(axis, _)| place(variant, axis).map(code).unwrap_or_default()),
        );
        let runs = variants.repeat.map(|_| setting.members.len().to_string());
        let against = baseline
            .filter(|_| of_baseline.is_empty())
            .and_then(|baseline| baseline.accuracy);
        let difference = setting
            .accuracy
            .zip(against)
            .map(|(new, old)| numbers::points(new.mean - old.mean));
        let whole = |spread: Option<Spread>| spread.map(|spread| numbers::count(spread.mean.round() as u64));
        let on_front = front.contains(&setting.title.as_str()).then(|| "yes".to_owned());
        let cells = [
            runs,
            setting.accuracy_text(),
            difference,
            whole(setting.bytes),
            whole(setting.zip_bytes),
            setting.ms.map(|spread| numbers::milliseconds(spread.mean)),
            on_front,
        ];
        row.extend(cells.map(|cell| Markdown::trusted(cell.unwrap_or_default())));
        table.push(row);
    }
    table.without_empty_columns()
}

fn place<'a>(variant: &Variant<'a>, axis: &str) -> Option<&'a str> {
    variant
        .place
        .iter()
        .find(|(known, _)| *known == axis)
        .map(|&(_, value)| value)
}

/// One axis of one family of variants: the mean accuracy at each value, over all that differs otherwise.
struct Effect<'a> {
    family: String,
    axis: &'a str,
    means: Vec<(&'a str, Spread)>,
}

impl Effect<'_> {
    /// From the worst value to the best, as a share.
    fn range(&self) -> f64 {
        let means = || self.means.iter().map(|(_, spread)| spread.mean);
        means().fold(f64::NEG_INFINITY, f64::max) - means().fold(f64::INFINITY, f64::min)
    }
}

/// The evaluated settings of each family, in order of first appearance.
fn families<'v>(variants: &'v Variants<'_>) -> Vec<(String, Vec<&'v Setting>)> {
    let mut families: Vec<(String, Vec<&Setting>)> = Vec::new();
    for setting in variants.settings.iter().filter(|setting| setting.accuracy.is_some()) {
        let base = &setting.example(variants).base;
        match families.iter_mut().find(|(known, _)| known == base) {
            Some((_, members)) => members.push(setting),
            None => families.push((base.clone(), vec![setting])),
        }
    }
    families
}

/// The effects of all axes in all families, the greatest first.
fn effects<'a>(variants: &Variants<'a>) -> Vec<Effect<'a>> {
    let mut found = Vec::new();
    for (family, members) in families(variants) {
        for (axis, values) in axes(variants) {
            let at = |value: &&'a str| {
                let accuracies: Vec<f64> = members
                    .iter()
                    .filter(|setting| place(setting.example(variants), axis) == Some(value))
                    .filter_map(|setting| setting.accuracy.map(|spread| spread.mean))
                    .collect();
                Some((*value, Spread::of(&accuracies)?))
            };
            let means: Vec<(&str, Spread)> = values.iter().filter_map(at).collect();
            if means.len() > 1 {
                let family = family.clone();
                found.push(Effect { family, axis, means });
            }
        }
    }
    found.sort_by(|a, b| b.range().total_cmp(&a.range()));
    found
}

/// Main effects: each axis of each family with its mean accuracies, the greatest effect first; `None` without an axis.
pub(crate) fn main_effects(variants: &Variants<'_>) -> Option<Table> {
    /// Values of an axis that a cell lists; of more the ends and the best.
    const VALUES: usize = 8;
    let mut table = Table::of_text(&[
        "Variants",
        "Axis",
        "Best at",
        "From worst to best",
        "Mean accuracy at each value",
    ]);
    for effect in effects(variants) {
        let by = |a: &&(&str, Spread), b: &&(&str, Spread)| a.1.mean.total_cmp(&b.1.mean);
        let best = effect.means.iter().max_by(by).map_or("", |(value, _)| value);
        let last = effect.means.len() - 1;
        let listed = effect
            .means
            .iter()
            .enumerate()
            .filter(|(i, (value, _))| effect.means.len() <= VALUES || *i == 0 || *i == last || *value == best);
        let each: Vec<String> = listed
            .map(|(_, (value, spread))| format!("{}: {}", code(value), numbers::percent(spread.mean)))
            .collect();
        table.push(vec![
            code(&effect.family),
            code(effect.axis),
            code(best),
            Markdown::trusted(numbers::with_unit(format!("{:.2}", 100.0 * effect.range()), "points")),
            Markdown::trusted(each.join(", ")),
        ]);
    }
    (!table.is_empty()).then_some(table)
}

/// Pictures of the mean accuracy over pairs of axes, as file name and drawing, the greatest effects first; and how many pairs there are.
pub(crate) fn grids(variants: &Variants<'_>) -> (Vec<(String, String)>, usize) {
    let effects = effects(variants);
    let all = axes(variants);
    let mut pairs = Vec::new();
    for (i, one) in effects.iter().enumerate() {
        for other in effects[i + 1..].iter().filter(|other| other.family == one.family) {
            pairs.push((one, other));
        }
    }
    let count = pairs.len();
    let picture = |(one, other): &(&Effect<'_>, &Effect<'_>)| {
        // The axis with more values runs to the right.
        let (x, y) = if one.means.len() >= other.means.len() {
            (one, other)
        } else {
            (other, one)
        };
        let mut cells: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
        for setting in &variants.settings {
            let example = setting.example(variants);
            let at = place(example, x.axis)
                .zip(place(example, y.axis))
                .filter(|_| example.base == x.family);
            if let Some((at, spread)) = at.zip(setting.accuracy) {
                cells.entry(at).or_default().push(spread.mean);
            }
        }
        let averaged = cells.values().any(|means| means.len() > 1);
        let others: Vec<&str> = all
            .iter()
            .map(|(axis, _)| *axis)
            .filter(|axis| *axis != x.axis && *axis != y.axis)
            .collect();
        let over = if averaged {
            format!(", mean over {}", others.join(", "))
        } else {
            String::new()
        };
        let repeats = variants.repeat.map(|repeat| format!("; mean of repeats over {repeat}"));
        let values = |effect: &Effect<'_>| effect.means.iter().map(|(value, _)| (*value).to_owned()).collect();
        let grid = Grid {
            title: &format!("Accuracy of {} over {} and {}", x.family, x.axis, y.axis),
            subtitle: &format!("percent{over}{}", repeats.unwrap_or_default()),
            x_label: x.axis,
            y_label: y.axis,
            columns: values(x),
            rows: values(y),
            cells: y
                .means
                .iter()
                .map(|(row, _)| {
                    let cell = |column| cells.get(&(column, *row)).and_then(|means| Spread::of(means));
                    let cells = x.means.iter().map(|(column, _)| cell(*column));
                    cells
                        .map(|spread| spread.map(|spread| Cell { share: spread.mean }))
                        .collect()
                })
                .collect(),
        };
        let name = format!("sweep-{}-{}-{}", slug(&x.family), slug(x.axis), slug(y.axis));
        (name, grid.svg())
    };
    (pairs.iter().take(PICTURES).map(picture).collect(), count)
}

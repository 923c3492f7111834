//! Every figure as one table for spreadsheets and scripts (RFC 4180, UTF-8, `.` as decimal point).

use std::collections::BTreeSet;

use crate::input::ReportInput;
use crate::told;
use crate::variants::{Variant, Variants};

/// One row per variant; columns `variant`, `axis.<name>` for each coordinate, then the figures by name. Shares are 0..1,
/// times milliseconds. Where variants and the baseline were judged on the same samples, the comparison follows as
/// `against-baseline.<name>`. Cells without a value are empty. Empty text for an input without entries.
pub fn csv(input: &ReportInput) -> String {
    if let Ok(variants) = Variants::of(input) {
        return rows(&variants);
    }
    // A wrong baseline is no reason to withhold the figures.
    let input = ReportInput {
        baseline: None,
        ..input.clone()
    };
    Variants::of(&input).map(|variants| rows(&variants)).unwrap_or_default()
}

/// The columns of the comparison with the baseline.
const PAIRED: [&str; 5] = [
    "became-right",
    "became-wrong",
    "mcnemar-p",
    "difference-low",
    "difference-high",
];

/// Their numbers, where a variant is not the baseline and was judged on the same samples.
fn compared(variants: &Variants<'_>, variant: &Variant<'_>) -> Option<[f64; 5]> {
    let reference = variants.baseline().filter(|_| !variants.is_baseline(variant))?;
    let pair = told::paired(variant.metrics?, reference.metrics?)?;
    let interval = pair.interval(0.95);
    Some([
        pair.better as f64,
        pair.worse as f64,
        pair.p(),
        interval.low,
        interval.high,
    ])
}

fn rows(variants: &Variants<'_>) -> String {
    let axes: Vec<&str> = unique(
        variants
            .all
            .iter()
            .flat_map(|v| v.coordinates.iter().map(|(name, _)| *name)),
    );
    let figures: Vec<_> = variants.all.iter().map(crate::variants::Variant::figures).collect();
    let names = unique(figures.iter().flatten().map(|figure| figure.name.as_str()));
    let compared: Vec<_> = variants.all.iter().map(|variant| compared(variants, variant)).collect();
    let any_compared = compared.iter().any(Option::is_some);
    let mut text = String::new();
    let axis_headings = axes.iter().map(|axis| format!("axis.{axis}"));
    let headings = std::iter::once("variant".to_owned())
        .chain(axis_headings)
        .chain(names.iter().map(|n| (*n).to_owned()))
        .chain(
            PAIRED
                .iter()
                .filter(|_| any_compared)
                .map(|name| format!("against-baseline.{name}")),
        );
    push(&mut text, headings);
    for ((variant, figures), compared) in variants.all.iter().zip(&figures).zip(&compared) {
        let coordinates = axes
            .iter()
            .map(|axis| variant.coordinate(axis).unwrap_or_default().to_owned());
        let value = |name: &&str| {
            let figure = figures.iter().find(|figure| figure.name == *name);
            figure.map(|figure| figure.value.to_string()).unwrap_or_default()
        };
        push(
            &mut text,
            std::iter::once(variant.name.clone())
                .chain(coordinates)
                .chain(names.iter().map(value))
                .chain((0..PAIRED.len()).filter(|_| any_compared).map(|i| {
                    let number = compared.map(|numbers| numbers[i].to_string());
                    number.unwrap_or_default()
                })),
        );
    }
    text
}

/// Each name once, in order of first appearance.
fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

fn push(text: &mut String, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.map(|cell| quote(&cell)).collect();
    text.push_str(&cells.join(","));
    text.push_str("\r\n");
}

fn quote(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

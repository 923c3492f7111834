//! The section of tasks that are judged by numbers: a table of the variants' numbers, those of each class or output, and curves.

use std::collections::BTreeMap;

use measure::{Direction, Quality, Score};
use minijinja::{Value, context};

use crate::markdown::{Markdown, Table, code, html};
use crate::numbers;
use crate::plots::Curves;
use crate::summary;
use crate::variants::{Variant, Variants, slug};

/// A number with its interval, where there is one.
pub(crate) fn score(score: &Score) -> String {
    let Score { figure, interval } = score;
    let value = numbers::figure(figure.value, figure.unit);
    match interval {
        Some(interval) => format!(
            "{value} ({}–{})",
            numbers::figure(interval.low, figure.unit),
            numbers::figure(interval.high, figure.unit)
        ),
        None => value,
    }
}

fn judged<'v, 'a>(variants: &'v Variants<'a>) -> impl Iterator<Item = (&'v Variant<'a>, &'a Quality)> {
    variants
        .all
        .iter()
        .filter_map(|variant| Some((variant, variant.quality?)))
}

/// The section; nothing where no variant was judged so.
pub(crate) fn section(variants: &Variants<'_>) -> Option<Value> {
    let mut names: Vec<&str> = Vec::new();
    for (_, quality) in judged(variants) {
        for score in &quality.scores {
            if !names.contains(&score.figure.name.as_str()) {
                names.push(&score.figure.name);
            }
        }
    }
    let mut headings = vec!["Variant", "Samples"];
    headings.extend(&names);
    let mut table = Table::of_numbers(&headings);
    for (variant, quality) in judged(variants) {
        let mut row = vec![summary::name(variants, variant)];
        row.push(match quality.samples {
            0 => Markdown::default(),
            samples => Markdown::trusted(numbers::count(samples)),
        });
        row.extend(names.iter().map(|name| {
            let found = quality.scores.iter().find(|score| score.figure.name == *name);
            found.map_or_else(Markdown::default, |found| shown(variants, found))
        }));
        table.push(row);
    }
    if table.is_empty() {
        return None;
    }
    let pictures = pictures(variants);
    let pictures = pictures
        .iter()
        .map(|(file, curves)| Value::from(Markdown::trusted(format!("![{}]({file}.png)", html(curves)))));
    Some(context! {
        table => Value::from(table.without_empty_columns().render()),
        notes => notes(variants),
        pictures => pictures.collect::<Vec<_>>(),
        parts => judged(variants).filter_map(|(variant, quality)| parts(variant, quality)).collect::<Vec<_>>(),
    })
}

/// A cell: in bold where no other variant has a better number.
fn shown(variants: &Variants<'_>, found: &Score) -> Markdown {
    let cell = Markdown::trusted(score(found).replace('|', "\\|"));
    let values: Vec<f64> = judged(variants)
        .flat_map(|(_, quality)| &quality.scores)
        .filter(|other| other.figure.name == found.figure.name)
        .map(|other| other.figure.value)
        .collect();
    let value = found.figure.value;
    let best = match found.figure.direction {
        Direction::Higher => values.iter().all(|&other| other <= value),
        Direction::Lower => values.iter().all(|&other| other >= value),
        Direction::Neutral => false,
    };
    let differ = values.iter().any(|&other| other != value);
    if best && differ { cell.bold() } else { cell }
}

/// What is said of the numbers, each once, with the variants that it is said of where it is not said of all.
fn notes(variants: &Variants<'_>) -> Vec<Value> {
    let mut all: Vec<(String, Vec<&str>)> = Vec::new();
    for (variant, quality) in judged(variants) {
        let computed = Some(&quality.arithmetic).filter(|arithmetic| !arithmetic.is_empty());
        let computed = computed.map(|arithmetic| format!("Computed in {arithmetic}."));
        for note in quality.notes.iter().chain(&computed) {
            match all.iter_mut().find(|(known, _)| known == note) {
                Some((_, names)) => names.push(&variant.name),
                None => all.push((note.clone(), vec![&variant.name])),
            }
        }
    }
    let count = judged(variants).count();
    let text = |(note, names): &(String, Vec<&str>)| {
        let names: Vec<String> = names.iter().map(|name| code(name).to_string()).collect();
        let note = Markdown::text(note);
        Value::from(Markdown::trusted(if names.len() == count {
            note.to_string()
        } else {
            format!("{}: {note}", names.join(", "))
        }))
    };
    all.iter().map(text).collect()
}

/// The numbers of each class or output of a variant.
fn parts(variant: &Variant<'_>, quality: &Quality) -> Option<Value> {
    let mut names: Vec<&str> = Vec::new();
    for figure in quality.parts.iter().flat_map(|part| &part.figures) {
        if !names.contains(&figure.name.as_str()) {
            names.push(&figure.name);
        }
    }
    let mut headings = vec![""];
    headings.extend(&names);
    let mut table = Table::of_numbers(&headings);
    for part in &quality.parts {
        let mut row = vec![code(&part.name)];
        row.extend(names.iter().map(|name| {
            let found = part.figures.iter().find(|figure| figure.name == *name);
            let text = found.map_or_else(String::new, |figure| numbers::figure(figure.value, figure.unit));
            Markdown::text(&text)
        }));
        table.push(row);
    }
    if table.is_empty() {
        return None;
    }
    let summary = format!("{}: each {}", html(&variant.name), html(&quality.per));
    Some(context! {
        summary => Value::from(Markdown::trusted(summary)),
        table => Value::from(table.render()),
    })
}

/// File and name of each kind of curve.
fn pictures(variants: &Variants<'_>) -> BTreeMap<String, String> {
    let curves = judged(variants).flat_map(|(_, quality)| &quality.curves);
    curves
        .map(|curve| {
            (
                format!("curve-{}", slug(&curve.name).to_ascii_lowercase()),
                curve.name.clone(),
            )
        })
        .collect()
}

/// The drawings, by file.
pub(crate) fn plots(variants: &Variants<'_>) -> Vec<(String, String)> {
    let draw = |(file, name): (String, String)| {
        let named = || judged(variants).flat_map(|(v, q)| q.curves.iter().map(move |curve| (v, curve)));
        let own: Vec<_> = named().filter(|(_, curve)| curve.name == name).collect();
        let (_, first) = own.first()?;
        let svg = Curves {
            title: &name,
            subtitle: "one line for each variant, the first six",
            x_label: &first.x,
            y_label: &first.y,
            lines: own
                .iter()
                .map(|(variant, curve)| (variant.name.as_str(), curve.points.as_slice()))
                .collect(),
        };
        Some((file, svg.svg()))
    };
    pictures(variants).into_iter().filter_map(draw).collect()
}

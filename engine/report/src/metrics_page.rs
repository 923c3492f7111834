//! The page of one evaluated variant: its metrics per class and its confusion matrix.

use measure::{Metrics, Unit};
use minijinja::{Value, context};

use crate::ReportError;
use crate::markdown::{Markdown, Table, code};
use crate::numbers;
use crate::template::Page;
use crate::variants::Variant;

/// Above this many classes a table of the matrix no longer fits a screen; the most frequent confusions are listed instead.
const TABLE_CLASSES: usize = 25;
/// How many confusions are listed.
const CONFUSIONS: usize = 20;

pub(crate) fn render(variant: &Variant<'_>, metrics: &Metrics, image: &str) -> Result<String, ReportError> {
    let (confusion_note, confusion) = if metrics.per_class.len() <= TABLE_CLASSES {
        ("Samples by class:", matrix(metrics))
    } else {
        ("The most frequent confusions:", confusions(metrics))
    };
    Page::Metrics.render(context! {
        name => Value::from(code(&variant.title)),
        headline => Value::from(headline(metrics)),
        means => Value::from(means(metrics).render()),
        notes => notes(metrics),
        classes => Value::from(classes(metrics).render()),
        image => Value::from(Markdown::trusted(image)),
        confusion_note => confusion_note,
        confusion => Value::from(confusion.render()),
    })
}

fn headline(metrics: &Metrics) -> Markdown {
    let mut text = format!(
        "Accuracy **{}** (95 % interval {}) on {} samples",
        numbers::percent(metrics.accuracy),
        numbers::interval(metrics.accuracy_interval),
        numbers::count(metrics.samples)
    );
    if let Some(top5) = metrics.top5 {
        text = format!("{text}, top-5 **{}**", numbers::percent(top5));
    }
    Markdown::trusted(format!("{text}. Computed in {}.", Markdown::text(&metrics.arithmetic)))
}

fn share(value: f64) -> Markdown {
    Markdown::trusted(numbers::percent(value))
}

fn means(metrics: &Metrics) -> Table {
    let mut table = Table::of_numbers(&["", "Precision", "Sensitivity", "Specificity", "F1", "G-mean"]);
    let mean = &metrics.mean;
    let cells = [mean.precision, mean.sensitivity, mean.specificity, mean.f1, mean.g_mean].map(share);
    table.push(
        std::iter::once(Markdown::trusted("Mean of classes"))
            .chain(cells)
            .collect(),
    );
    if let Some(binary) = &metrics.binary {
        let cells = [
            binary.precision,
            binary.sensitivity,
            binary.specificity,
            binary.f1,
            binary.g_mean,
        ]
        .map(share);
        let name = Markdown::trusted(format!("{} as positive", code(&binary.positive)));
        table.push(std::iter::once(name).chain(cells).collect());
    }
    table
}

fn notes(metrics: &Metrics) -> Vec<Value> {
    let mut notes = vec![Markdown::trusted(
        "Means are over all classes alike (macro); the G-mean of the classes is the geometric mean of their sensitivities, that of one class √(sensitivity · specificity).",
    )];
    let rule = &metrics.zero_division;
    if rule.without_support + rule.never_predicted > 0 {
        let value = numbers::figure(rule.value, Unit::Plain);
        notes.push(Markdown::trusted(format!(
            "{} classes have no samples and {} were never predicted: their undefined metrics count as {value} (`zero_division`).",
            rule.without_support, rule.never_predicted
        )));
    }
    notes.into_iter().map(Value::from).collect()
}

fn classes(metrics: &Metrics) -> Table {
    let mut table = Table::of_numbers(&[
        "Class",
        "Samples",
        "Precision",
        "Sensitivity",
        "Specificity",
        "F1",
        "G-mean",
    ]);
    for class in &metrics.per_class {
        let shares = [
            class.precision,
            class.sensitivity,
            class.specificity,
            class.f1,
            class.g_mean,
        ]
        .map(share);
        let head = [code(&class.name), Markdown::trusted(numbers::count(class.support))];
        table.push(head.into_iter().chain(shares).collect());
    }
    table
}

/// The matrix in numbers; the diagonal is bold, zeros are left out.
fn matrix(metrics: &Metrics) -> Table {
    let names = metrics.confusion.classes();
    let headings = std::iter::once(Markdown::trusted("true \\ predicted")).chain(names.iter().map(|name| code(name)));
    let align = |index| {
        if index == 0 {
            crate::markdown::Align::Left
        } else {
            crate::markdown::Align::Right
        }
    };
    let mut table = Table::new(headings.enumerate().map(|(index, heading)| (heading, align(index))));
    for (row, counts) in metrics.confusion.counts().iter().enumerate() {
        let cell = |(column, &count): (usize, &u64)| {
            let text = if count == 0 {
                Markdown::default()
            } else {
                Markdown::trusted(numbers::count(count))
            };
            if column == row { text.bold() } else { text }
        };
        table.push(
            std::iter::once(code(&names[row]))
                .chain(counts.iter().enumerate().map(cell))
                .collect(),
        );
    }
    table
}

/// The pairs of classes most often confused, by count.
fn confusions(metrics: &Metrics) -> Table {
    let names = metrics.confusion.classes();
    let mut table = Table::of_numbers(&["True class", "Samples", "Of", "Predicted as"]);
    for (row, column, count) in metrics.confusion.most_confused(CONFUSIONS) {
        table.push(vec![
            code(&names[row]),
            Markdown::trusted(numbers::count(count)),
            Markdown::trusted(numbers::count(metrics.confusion.support(row))),
            code(&names[column]),
        ]);
    }
    table
}

//! How does one variant, or each of a family, do against another or each of another family?

use measure::{Agreement, Metrics};

use crate::markdown::{Markdown, Table, code};
use crate::numbers;
use crate::variants::{Variant, Variants};

use crate::told::{Comparison, method, sentence};

use super::{Answer, family, list, names};

type Measured<'a, 'v> = (&'v Variant<'a>, &'a Metrics);

/// Variants that are written about; the table has more.
const PARAGRAPHS: usize = 12;

pub(super) fn answer(variants: &Variants<'_>, variant: &str, against: &str) -> Answer {
    let heading = Markdown::trusted(format!("How does {} do against {}?", family(variant), family(against)));
    let measured = |name: &str| -> Vec<Measured<'_, '_>> {
        variants
            .family(name)
            .into_iter()
            .filter_map(|v| Some((v, v.metrics?)))
            .collect()
    };
    let ones = measured(variant);
    let others: Vec<_> = measured(against)
        .into_iter()
        .filter(|(other, _)| ones.iter().all(|(one, _)| one.name != other.name))
        .collect();
    for (name, found) in [(variant, &ones), (against, &others)] {
        if found.is_empty() {
            return Answer::missing(heading, &format!("no variant {} was evaluated", code(name)));
        }
    }
    let mut paragraphs: Vec<String> = ones
        .iter()
        .take(PARAGRAPHS)
        .map(|one| paragraph(one, &others))
        .collect();
    if ones.len() > PARAGRAPHS {
        paragraphs.push(format!(
            "{} more variants stand in metrics.csv.",
            numbers::count((ones.len() - PARAGRAPHS) as u64)
        ));
    }
    let table = if ones.len() * others.len() > 1 {
        table(&ones, &others)
    } else {
        Table::default()
    };
    Answer::new(heading, paragraphs.join("\n\n")).with_table(table)
}

/// One variant against each of the others.
fn paragraph((variant, metrics): &Measured<'_, '_>, others: &[Measured<'_, '_>]) -> String {
    let mut sentences = Vec::new();
    if let [(other, reference)] = others {
        sentences.push(format!(
            "{} reaches {}.",
            code(&variant.title),
            sentence(metrics, reference)
        ));
        sentences.extend(outputs(variant, other));
    } else {
        sentences.push(format!(
            "{} reaches {}.",
            code(&variant.title),
            numbers::percent(metrics.accuracy)
        ));
        for (comparison, higher, text) in [
            (Comparison::Apart, false, "is worse than"),
            (Comparison::Apart, true, "is better than"),
            (Comparison::Undecided, false, "is lower than, but not told apart from,"),
            (Comparison::Undecided, true, "is higher than, but not told apart from,"),
            (Comparison::Equal, false, "equals"),
        ] {
            let alike: Vec<String> = others
                .iter()
                .filter(|(_, other)| {
                    Comparison::of(metrics, other) == comparison && (metrics.accuracy > other.accuracy) == higher
                })
                .map(|(v, other)| {
                    format!(
                        "{} ({})",
                        code(&v.title),
                        numbers::points(metrics.accuracy - other.accuracy)
                    )
                })
                .collect();
            if !alike.is_empty() {
                sentences.push(format!("It {text} {}.", list(&alike)));
            }
        }
    }
    if others.len() > 1 {
        let by = method(metrics, others.iter().map(|(_, other)| *other));
        sentences.push(format!("Told apart by {by}."));
    }
    sentences.extend(classes_seen(variant));
    sentences.join(" ")
}

/// Where calibration saw some classes only, which, and what became of the others.
fn classes_seen(variant: &Variant<'_>) -> Option<String> {
    let calibration = variant.calibration?;
    let seen = calibration.per_class.iter().filter(|(_, count)| *count > 0);
    let seen: Vec<&str> = seen.map(|(name, _)| name.as_str()).collect();
    if seen.is_empty() || seen.len() == calibration.per_class.len() {
        return None;
    }
    let samples = numbers::count(calibration.samples);
    let mut text = format!(
        "Its ranges come from {samples} samples of {} of {} classes: {}.",
        seen.len(),
        calibration.per_class.len(),
        names(seen.iter().take(10).copied())
    );
    let worst = variant.metrics?.per_class.iter().filter(|class| class.support > 0);
    if let Some(worst) = worst.min_by(|a, b| a.sensitivity.total_cmp(&b.sensitivity)) {
        text = format!(
            "{text} The class it finds least is {} (sensitivity {}).",
            code(&worst.name),
            numbers::percent(worst.sensitivity)
        );
    }
    Some(text)
}

/// How close the outputs are, where one was verified against the other.
fn outputs(one: &Variant<'_>, other: &Variant<'_>) -> Option<String> {
    let of =
        |this: &Variant<'_>, reference: &Variant<'_>| this.agreement.filter(|a| a.reference == reference.name).cloned();
    let Agreement {
        samples,
        closeness,
        top1,
        ..
    } = of(one, other).or_else(|| of(other, one))?;
    let error = numbers::significant(closeness.max_abs_error, 3);
    let same = top1.map(|share| format!("; the first choice is the same for {}", numbers::percent(share)));
    Some(format!(
        "On {} samples their outputs differ by at most {error}{}.",
        numbers::count(samples),
        same.unwrap_or_default()
    ))
}

fn table(ones: &[Measured<'_, '_>], others: &[Measured<'_, '_>]) -> Table {
    let mut table = Table::of_numbers(&[
        "Variant",
        "Calibration samples",
        "Classes seen",
        "Accuracy",
        "95 % interval",
        "Mean sensitivity",
        "G-mean",
    ]);
    for (variant, metrics) in ones.iter().chain(others) {
        let calibration = variant.calibration;
        let seen = calibration.map(|c| {
            let seen = c.per_class.iter().filter(|(_, count)| *count > 0).count();
            format!("{seen} of {}", c.per_class.len())
        });
        table.push(vec![
            code(&variant.title),
            Markdown::trusted(calibration.map(|c| numbers::count(c.samples)).unwrap_or_default()),
            Markdown::trusted(seen.unwrap_or_default()),
            Markdown::trusted(numbers::percent(metrics.accuracy)),
            Markdown::trusted(numbers::interval(metrics.accuracy_interval)),
            Markdown::trusted(numbers::percent(metrics.mean.sensitivity)),
            Markdown::trusted(numbers::percent(metrics.mean.g_mean)),
        ]);
    }
    table.without_empty_columns()
}

//! After how many epochs is one training as good as another ever is?

use crate::input::Training;
use crate::markdown::{Align, Markdown, Table, code};
use crate::numbers;
use crate::variants::{Variant, Variants};

use super::{Answer, family};

type Trained<'a, 'v> = (&'v Variant<'a>, &'a Training);

pub(super) fn answer(variants: &Variants<'_>, of: &str, against: &str) -> Answer {
    let heading = Markdown::trusted(format!(
        "After how many epochs is {} as accurate as {} ever is?",
        family(of),
        family(against)
    ));
    let trained = |name: &str| -> Vec<Trained<'_, '_>> {
        let all = variants.family(name).into_iter();
        all.filter_map(|variant| Some((variant, variant.model?.training.as_ref()?)))
            .filter(|(_, training)| accuracies(training).next().is_some())
            .collect()
    };
    let references = trained(against);
    let ones: Vec<Trained<'_, '_>> = trained(of)
        .into_iter()
        .filter(|(one, _)| references.iter().all(|(other, _)| other.name != one.name))
        .collect();
    for (name, found) in [(of, &ones), (against, &references)] {
        if found.is_empty() {
            let needs = format!("no variant {} was trained with samples held out", code(name));
            return Answer::missing(heading, &needs);
        }
    }
    let pairs = || {
        ones.iter()
            .flat_map(|one| references.iter().map(move |other| (one, other)))
    };
    let sentences: Vec<String> = pairs().map(|(one, other)| sentence(one, other)).collect();
    let answer = Answer::new(heading, sentences.join("\n\n"));
    match (ones.as_slice(), references.as_slice()) {
        ([one], [other]) => answer.with_table(curves(one, other)),
        _ => answer,
    }
}

/// Accuracies on held-out samples with the numbers of their epochs, from 1.
fn accuracies(training: &Training) -> impl Iterator<Item = (usize, f64)> {
    (1..)
        .zip(&training.epochs)
        .filter_map(|(number, epoch)| Some((number, epoch.validation_accuracy?)))
}

fn sentence((one, training): &Trained<'_, '_>, (other, reference): &Trained<'_, '_>) -> String {
    let best = |training: &Training| {
        let better = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
        accuracies(training).reduce(better).unwrap_or_default()
    };
    let (wanted_epoch, wanted) = best(reference);
    let goal = format!(
        "{} at its best ({} of held-out samples, epoch {wanted_epoch} of {})",
        code(&other.title),
        numbers::percent(wanted),
        reference.epochs.len()
    );
    if let Some((epoch, accuracy)) = accuracies(training).find(|(_, accuracy)| *accuracy >= wanted) {
        return format!(
            "{} is as accurate as {goal} after {epoch} {}, {} of as many: {}.",
            code(&one.title),
            if epoch == 1 { "epoch" } else { "epochs" },
            numbers::percent(epoch as f64 / wanted_epoch.max(1) as f64),
            numbers::percent(accuracy)
        );
    }
    let (epoch, accuracy) = best(training);
    format!(
        "{} never is as accurate as {goal}: {} at most, after epoch {epoch} of {}.",
        code(&one.title),
        numbers::percent(accuracy),
        training.epochs.len()
    )
}

/// Epoch by epoch.
fn curves((one, training): &Trained<'_, '_>, (other, reference): &Trained<'_, '_>) -> Table {
    let heading = |text: Markdown| (text, Align::Right);
    let mut table = Table::new([
        heading(Markdown::trusted("Epoch")),
        heading(code(&one.title)),
        heading(code(&other.title)),
    ]);
    let at = |training: &Training, number: usize| {
        let accuracy = accuracies(training).find(|(epoch, _)| *epoch == number);
        Markdown::trusted(
            accuracy
                .map(|(_, accuracy)| numbers::percent(accuracy))
                .unwrap_or_default(),
        )
    };
    for number in 1..=training.epochs.len().max(reference.epochs.len()) {
        table.push(vec![
            Markdown::trusted(number.to_string()),
            at(training, number),
            at(reference, number),
        ]);
    }
    table
}

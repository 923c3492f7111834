//! Which of a family is the most accurate, and how does it do against another variant?

use measure::Metrics;

use crate::markdown::{Markdown, code};
use crate::numbers;
use crate::variants::{Variant, Variants};

use crate::told::{Comparison, paired, sentence};

use super::{Answer, family, names};

pub(super) fn answer(variants: &Variants<'_>, of: &str, against: &str) -> Answer {
    let heading = Markdown::trusted(format!(
        "How does the best of {} do against {}?",
        family(of),
        code(against)
    ));
    let Some((reference, reference_metrics)) = variants.family(against).first().and_then(|v| Some((*v, v.metrics?)))
    else {
        return Answer::missing(heading, &format!("{} was not evaluated", code(against)));
    };
    let measured: Vec<(&Variant<'_>, &Metrics)> = variants
        .family(of)
        .into_iter()
        .filter(|variant| variant.name != reference.name)
        .filter_map(|variant| Some((variant, variant.metrics?)))
        .collect();
    // Of equal accuracies the smaller file, then the first.
    let rank = |(variant, metrics): &(&Variant<'_>, &Metrics)| {
        (metrics.accuracy, variant.sizes.map_or(0, |s| u64::MAX - s.bytes()))
    };
    let best = measured
        .iter()
        .fold(None, |best: Option<&(&Variant<'_>, &Metrics)>, one| match best {
            Some(known) if rank(one) <= rank(known) => Some(known),
            _ => Some(one),
        });
    let Some((best, metrics)) = best else {
        let needs = match of {
            "*" => "no other variant was evaluated".to_owned(),
            _ => format!("no variant of {} was evaluated", code(of)),
        };
        return Answer::missing(heading, &needs);
    };
    let mut text = format!(
        "The most accurate is {}: {}.",
        code(&best.title),
        sentence(metrics, reference_metrics)
    );
    let close = |other: &&(&Variant<'_>, &Metrics)| {
        other.0.name != best.name && Comparison::of(other.1, metrics) != Comparison::Apart
    };
    let close: Vec<_> = measured.iter().filter(close).collect();
    if !close.is_empty() {
        let peers = names(close.iter().map(|(variant, _)| variant.title.as_str()));
        text = if close.iter().all(|(_, other)| paired(other, metrics).is_some()) {
            format!("{text} The samples do not tell it from {peers}.")
        } else {
            format!("{text} Its interval overlaps those of {peers}.")
        };
    }
    if let Some((new, old)) = best.sizes.zip(reference.sizes) {
        let (new, old) = (new.bytes() as f64, old.bytes() as f64);
        text = format!("{text} Its file has {} of the bytes", numbers::percent(new / old));
        if let Some((fast, slow)) = best.benchmark.zip(reference.benchmark) {
            let (fast, slow) = (fast.timings.steady.median, slow.timings.steady.median);
            text = format!(
                "{text}, and the median run takes {} instead of {}",
                numbers::milliseconds(fast),
                numbers::milliseconds(slow)
            );
        }
        text.push('.');
    }
    Answer::new(heading, text)
}

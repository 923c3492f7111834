//! What two accuracies say about each other.
//!
//! Where both were judged on the same samples, the samples that changed decide (McNemar's exact test, [`measure::Paired`]); else
//! whether the two 95 % intervals overlap, which is a more careful judge.

use measure::{Metrics, Paired};

use crate::markdown::{Markdown, Table};
use crate::numbers;
use crate::summary;
use crate::variants::{Variant, Variants};

/// Flips less even than chance makes them this rarely tell two models apart.
const SIGNIFICANT: f64 = 0.05;

/// How two accuracies compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// The same share to the last sample.
    Equal,
    /// They differ by no more than chance may.
    Undecided,
    /// They differ.
    Apart,
}

/// The pairs of two evaluations of the same samples.
pub(crate) fn paired(one: &Metrics, other: &Metrics) -> Option<Paired> {
    Paired::of(one.outcomes.as_ref()?, other.outcomes.as_ref()?)
}

impl Comparison {
    pub(crate) fn of(one: &Metrics, other: &Metrics) -> Self {
        let apart = || match paired(one, other) {
            Some(paired) => paired.p() < SIGNIFICANT,
            None => !one.accuracy_interval.overlaps(other.accuracy_interval),
        };
        if one.accuracy == other.accuracy {
            Self::Equal
        } else if apart() {
            Self::Apart
        } else {
            Self::Undecided
        }
    }
}

/// What tells an accuracy from others, in a clause.
pub(crate) fn method<'m>(one: &Metrics, others: impl Iterator<Item = &'m Metrics>) -> &'static str {
    let found: Vec<bool> = others.map(|other| paired(one, other).is_some()).collect();
    match (found.contains(&true), found.contains(&false)) {
        (true, false) => "McNemar's exact test of the samples that changed, p < 0.05",
        (true, true) => {
            "McNemar's exact test where the samples were the same, p < 0.05, else by 95 % intervals that do not overlap"
        }
        (false, _) => "95 % intervals that do not overlap",
    }
}

/// `75.61 % against 75.48 %, 0.13 points higher; of 10,000 samples 130 became right and 117 wrong, which does not tell the two
/// apart (McNemar's exact p = 0.44; 95 % interval of the difference −0.18 to +0.44 points)`.
pub(crate) fn sentence(one: &Metrics, other: &Metrics) -> String {
    let (accuracy, reference) = (numbers::percent(one.accuracy), numbers::percent(other.accuracy));
    let difference = numbers::with_unit(
        format!("{:.2}", (one.accuracy - other.accuracy).abs() * 100.0),
        "points",
    );
    let direction = if one.accuracy > other.accuracy {
        "higher"
    } else {
        "lower"
    };
    let samples = if one.samples == other.samples {
        format!("{} samples", numbers::count(one.samples))
    } else {
        format!(
            "{} and {} samples",
            numbers::count(one.samples),
            numbers::count(other.samples)
        )
    };
    let comparison = Comparison::of(one, other);
    if let Some(paired) = paired(one, other) {
        let flips = format!(
            "of {samples} {} became right and {} wrong",
            numbers::count(paired.better),
            numbers::count(paired.worse)
        );
        let tells = match comparison {
            Comparison::Equal if paired.better + paired.worse == 0 => {
                return format!("{accuracy}, the same accuracy, with the same of {samples} right");
            }
            Comparison::Equal => return format!("{accuracy}, the same accuracy: {flips}"),
            Comparison::Undecided => "does not tell",
            Comparison::Apart => "tells",
        };
        return format!(
            "{accuracy} against {reference}, {difference} {direction}; {flips}, which {tells} the two apart (McNemar's exact p = {}; \
             95 % interval of the difference {})",
            numbers::probability(paired.p()),
            numbers::points_interval(paired.interval(0.95))
        );
    }
    let intervals = format!(
        "{} and {}, {samples}",
        numbers::interval(one.accuracy_interval),
        numbers::interval(other.accuracy_interval)
    );
    match comparison {
        Comparison::Equal => format!("{accuracy}, the same accuracy ({samples})"),
        Comparison::Undecided => format!(
            "{accuracy} against {reference}, {difference} {direction}; the difference is within the 95 % \
             intervals ({intervals}), which do not tell the two apart"
        ),
        Comparison::Apart => format!(
            "{accuracy} against {reference}, {difference} {direction}; the 95 % intervals do not overlap \
             ({intervals})"
        ),
    }
}

/// Whether a variant's accuracy is told from the baseline's.
pub(crate) fn is_apart(variants: &Variants<'_>, variant: &Variant<'_>) -> bool {
    let both = variant
        .metrics
        .zip(variants.baseline().and_then(|baseline| baseline.metrics));
    both.is_some_and(|(one, other)| Comparison::of(one, other) == Comparison::Apart)
}

/// What changed from the baseline, sample by sample: a row for each shown variant judged on the same samples; `None` without any.
pub(crate) fn differences(variants: &Variants<'_>) -> Option<Table> {
    let reference = variants.baseline()?.metrics?;
    let pairs: Vec<(&Variant<'_>, &Metrics, Paired)> = variants
        .shown()
        .filter(|variant| !variants.is_baseline(variant))
        .filter_map(|variant| Some((variant, variant.metrics?, paired(variant.metrics?, reference)?)))
        .collect();
    let mut table = Table::of_numbers(&[
        "Variant",
        "Difference",
        "95 % interval",
        "Became right",
        "Became wrong",
        "McNemar's p",
        "Told apart",
    ]);
    for (variant, metrics, pair) in pairs {
        let told = match Comparison::of(metrics, reference) {
            Comparison::Apart if pair.difference() < 0.0 => "worse",
            Comparison::Apart => "better",
            Comparison::Equal | Comparison::Undecided => "no",
        };
        let cells = [
            numbers::points(pair.difference()),
            numbers::points_interval(pair.interval(0.95)),
            numbers::count(pair.better),
            numbers::count(pair.worse),
            numbers::probability(pair.p()),
            told.to_owned(),
        ];
        let cells = cells.map(Markdown::trusted);
        table.push(std::iter::once(summary::name(variants, variant)).chain(cells).collect());
    }
    (!table.is_empty()).then_some(table)
}

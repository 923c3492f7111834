//! What two accuracies say about each other, in words that their intervals support.

use measure::Metrics;

use crate::numbers;

/// How two accuracies compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// The same share to the last sample.
    Equal,
    /// They differ, and their intervals have values in common.
    WithinInterval,
    /// They differ, and their intervals are disjoint.
    Apart,
}

impl Comparison {
    pub(super) fn of(one: &Metrics, other: &Metrics) -> Self {
        if one.accuracy == other.accuracy {
            Self::Equal
        } else if one.accuracy_interval.overlaps(other.accuracy_interval) {
            Self::WithinInterval
        } else {
            Self::Apart
        }
    }
}

/// `75.61 % against 75.48 %, 0.13 points higher; the difference is within the 95 % intervals (74.76–76.44 and
/// 74.63–76.31, 10,000 samples), which do not tell the two apart`. The samples are the same for both, so intervals are a
/// careful judge: a paired test could separate more.
pub(super) fn sentence(one: &Metrics, other: &Metrics) -> String {
    let (accuracy, reference) = (numbers::percent(one.accuracy), numbers::percent(other.accuracy));
    let difference = format!("{:.2}", (one.accuracy - other.accuracy).abs() * 100.0);
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
    let intervals = format!(
        "{} and {}, {samples}",
        numbers::interval(one.accuracy_interval),
        numbers::interval(other.accuracy_interval)
    );
    match Comparison::of(one, other) {
        Comparison::Equal => format!("{accuracy}, the same accuracy ({samples})"),
        Comparison::WithinInterval => format!(
            "{accuracy} against {reference}, {difference} points {direction}; the difference is within the 95 % \
             intervals ({intervals}), which do not tell the two apart"
        ),
        Comparison::Apart => format!(
            "{accuracy} against {reference}, {difference} points {direction}; the 95 % intervals do not overlap \
             ({intervals})"
        ),
    }
}

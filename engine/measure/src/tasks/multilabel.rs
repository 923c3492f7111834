//! Several classes a sample: F-beta, average precision and ROC-AUC, of each class and over all of them.
//!
//! Macro numbers are means over the classes, micro numbers count all pairs of sample and class alike, as scikit-learn's `average="macro"` and `"micro"` with
//! `zero_division=0`; `accuracy` is the share of samples of which every class is right (`accuracy_score` on indicator matrices). Average precision and ROC-AUC are
//! means over those classes for which they are defined: that have positive samples, and for the latter negative ones.

use crate::quality::{Part, Quality, Score, Task};
use crate::tasks::ranking::{Ranking, f_beta};
use crate::tasks::{NOTE, intervals};
use crate::{Direction, Figure, Interval, MeasureError, Unit};

/// True positives, false positives and false negatives of a class.
type Counts = [f64; 3];

/// How classes are decided.
#[derive(Debug, Clone, Copy)]
pub struct Decision {
    /// From which score on a class counts as found.
    pub threshold: f32,
    /// How many times as much sensitivity counts as precision.
    pub beta: f64,
}

/// The quality of `scores` for `truth` (1: the sample is of the class), both `[samples, classes]`.
///
/// # Errors
/// There are no samples; the two differ in length; a score is not a finite number.
pub fn quality(
    truth: &[u8],
    scores: &[f32],
    classes: &[String],
    decision: Decision,
    arithmetic: &str,
) -> Result<Quality, MeasureError> {
    let Decision { threshold, beta } = decision;
    let width = classes.len().max(1);
    let samples = truth.len() / width;
    if samples == 0 {
        return Err(MeasureError::NoSamples);
    }
    if scores.len() != truth.len() {
        let what = "labels and scores";
        let (left, right) = (truth.len(), scores.len());
        return Err(MeasureError::LengthMismatch { what, left, right });
    }
    if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
        let (sample, class) = ((at / width) as u64, at % width);
        return Err(MeasureError::NotANumber { sample, class });
    }
    let counts = |class: usize, drawn: Option<&[u32]>| -> Counts {
        let mut counts = [0.0; 3];
        for sample in 0..samples {
            let at = sample * width + class;
            let kind = match (truth[at] != 0, scores[at] >= threshold) {
                (true, true) => 0,
                (false, true) => 1,
                (true, false) => 2,
                (false, false) => continue,
            };
            counts[kind] += drawn.map_or(1.0, |drawn| f64::from(drawn[sample]));
        }
        counts
    };
    let f = |[found, wrong, missed]: Counts| f_beta(beta, found, wrong, missed);
    let ratio = |part: f64, whole: f64| if whole == 0.0 { 0.0 } else { part / whole };
    let precision = |[found, wrong, _]: Counts| ratio(found, found + wrong);
    let sensitivity = |[found, _, missed]: Counts| ratio(found, found + missed);
    let each: Vec<Counts> = (0..width).map(|class| counts(class, None)).collect();
    let all = each.iter().fold([0.0; 3], |sum, of| [0, 1, 2].map(|i| sum[i] + of[i]));
    let column = |class: usize| scores.iter().skip(class).step_by(width).copied().collect::<Vec<f32>>();
    let rankings: Vec<Ranking> = (0..width)
        .map(|class| Ranking::of(&column(class), |sample| truth[sample * width + class] != 0))
        .collect();
    let averages = |drawn: Option<&[u32]>| {
        let precisions = mean(rankings.iter().map(|ranking| ranking.average_precision(drawn)));
        let areas = mean(rankings.iter().map(|ranking| ranking.area(drawn, 1.0)));
        let fs = mean((0..width).map(|class| f(counts(class, drawn))));
        [precisions, areas, fs]
    };
    let [average_precision, area, macro_f] = averages(None);
    let [about_precision, about_area, about_f] = intervals(samples, 8 * width, |drawn| averages(Some(drawn)));
    let micro = Ranking::of(scores, |at| truth[at] != 0);
    let right = |at: usize| (truth[at] != 0) == (scores[at] >= threshold);
    let exact = (0..samples)
        .filter(|sample| (sample * width..(sample + 1) * width).all(right))
        .count() as u64;
    let wrong = (0..truth.len()).filter(|&at| !right(at)).count() as f64;
    let share = |name: &str, value: f64| Score::share(name, value, None);
    let defined = |score: &Score| score.figure.value.is_finite();
    let mut listed = vec![
        Score::share("f-beta", macro_f, about_f),
        Score::share("average-precision", average_precision, about_precision),
        Score::share("roc-auc", area, about_area),
        Score::share(
            "accuracy",
            exact as f64 / samples as f64,
            Some(Interval::wilson(exact, samples as u64)),
        ),
        share("precision", mean(each.iter().map(|&of| precision(of)))),
        share("sensitivity", mean(each.iter().map(|&of| sensitivity(of)))),
        share("micro-f-beta", f(all)),
        share("micro-precision", precision(all)),
        share("micro-sensitivity", sensitivity(all)),
        share("micro-average-precision", micro.average_precision(None)),
        Score {
            figure: Figure::new(
                "hamming-loss",
                wrong / truth.len() as f64,
                Unit::Ratio,
                Direction::Lower,
            ),
            interval: None,
        },
    ];
    listed.retain(defined);
    let parts = classes.iter().zip(&each).zip(&rankings).map(|((name, &of), ranking)| {
        let mut of_class = vec![
            share("precision", precision(of)),
            share("sensitivity", sensitivity(of)),
            share("f-beta", f(of)),
            share("average-precision", ranking.average_precision(None)),
            share("roc-auc", ranking.area(None, 1.0)),
        ];
        of_class.retain(defined);
        Part {
            name: name.clone(),
            figures: of_class.into_iter().map(|score| score.figure).collect(),
        }
    });
    let parts: Vec<Part> = parts.collect();
    let undefined = rankings
        .iter()
        .filter(|ranking| ranking.area(None, 1.0).is_nan())
        .count();
    let mut notes = vec![
        NOTE.to_owned(),
        format!("A class counts as found from a score of {threshold} on; F-beta is that of β = {beta}."),
        "Numbers without `micro` are means over the classes; accuracy is the share of samples with every class right, its interval Wilson's.".to_owned(),
    ];
    if undefined > 0 {
        notes.push(format!(
            "{undefined} of {width} classes have no positive or no negative sample: ROC-AUC, and average precision without positive ones, leave them out."
        ));
    }
    Ok(Quality {
        task: Some(Task::Multilabel),
        samples: samples as u64,
        arithmetic: arithmetic.to_owned(),
        scores: listed,
        per: "class".to_owned(),
        parts,
        curves: Vec::new(),
        notes,
    })
}

/// The mean of those values that are defined; NaN where none is.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values
        .filter(|value| value.is_finite())
        .fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    sum / count
}

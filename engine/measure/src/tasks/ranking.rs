//! How well scores rank positive samples above negative ones: the area under the ROC curve, a part of it, average precision; and a decision by threshold.
//!
//! As scikit-learn's `roc_auc_score` (trapezoids, so that equal scores count half), `roc_auc_score(max_fpr=…)` (standardized: 0.5 is chance, 1 is perfect;
//! McClish 1989, doi:10.1177/0272989X8900900307), `average_precision_score` (steps, no interpolation) and `fbeta_score`. Anomaly detectors are judged
//! so: the greater the score, the more unusual the sample (MLPerf Tiny, *anomaly detection*; DCASE 2020 task 2 for the partial area).

use crate::quality::{Curve, Quality, Score, Task};
use crate::tasks::{NOTE, intervals};
use crate::{Direction, Figure, MeasureError, Unit};

/// Samples from the greatest score to the least: who is positive, and where a run of equal scores ends.
pub(crate) struct Ranking {
    order: Vec<usize>,
    positive: Vec<bool>,
    /// Whether the next sample has a lower score.
    ends: Vec<bool>,
}

/// Counts of positive and negative samples at least as high as a score.
type Counts = [f64; 2];

impl Ranking {
    pub(crate) fn of(scores: &[f32], positive: impl Fn(usize) -> bool) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let end = |place: usize| {
            order
                .get(place + 1)
                .is_none_or(|&next| scores[next] != scores[order[place]])
        };
        Self {
            positive: order.iter().map(|&sample| positive(sample)).collect(),
            ends: (0..order.len()).map(end).collect(),
            order,
        }
    }

    /// The counts behind each different score, from the greatest on; `drawn` says how often each sample counts.
    pub(crate) fn counts<'a>(&'a self, drawn: Option<&'a [u32]>) -> impl Iterator<Item = Counts> + 'a {
        let mut counts = [0.0, 0.0];
        let places = self.order.iter().zip(self.positive.iter().zip(&self.ends));
        places.filter_map(move |(&sample, (&positive, &ends))| {
            counts[usize::from(!positive)] += drawn.map_or(1.0, |drawn| f64::from(drawn[sample]));
            ends.then_some(counts)
        })
    }

    fn totals(&self, drawn: Option<&[u32]>) -> Counts {
        self.counts(drawn).last().unwrap_or_default()
    }

    /// The area under the ROC curve up to `most`, a false positive rate; NaN where one of the two kinds is missing.
    pub(crate) fn area(&self, drawn: Option<&[u32]>, most: f64) -> f64 {
        let [positive, negative] = self.totals(drawn);
        if positive == 0.0 || negative == 0.0 {
            return f64::NAN;
        }
        let (mut area, mut last) = (0.0, [0.0, 0.0]);
        for [right, wrong] in self.counts(drawn) {
            let [x, y] = [wrong / negative, right / positive];
            let end = x.min(most);
            if end > last[0] {
                // Where the part ends within a step, its height is found between the two.
                let height = last[1] + (y - last[1]) * (end - last[0]) / (x - last[0]);
                area += (end - last[0]) * f64::midpoint(last[1], height);
            }
            last = [x, y];
            if x >= most {
                break;
            }
        }
        area
    }

    /// [`Ranking::area`] of a part, such that chance is 0.5 and perfection 1.
    pub(crate) fn partial(&self, drawn: Option<&[u32]>, most: f64) -> f64 {
        let chance = most * most / 2.0;
        0.5 * (1.0 + (self.area(drawn, most) - chance) / (most - chance))
    }

    /// The mean of the precisions at each score, weighed by the step of sensitivity; NaN without positive samples.
    pub(crate) fn average_precision(&self, drawn: Option<&[u32]>) -> f64 {
        let [positive, _] = self.totals(drawn);
        if positive == 0.0 {
            return f64::NAN;
        }
        let (mut sum, mut last) = (0.0, 0.0);
        for [right, wrong] in self.counts(drawn) {
            if right > last {
                sum += (right - last) / positive * (right / (right + wrong));
            }
            last = right;
        }
        sum
    }
}

/// `F_β = (1 + β²) · TP / ((1 + β²) · TP + β² · FN + FP)`; 0 where there is nothing to find and nothing was found.
pub(crate) fn f_beta(beta: f64, found: f64, wrong: f64, missed: f64) -> f64 {
    let weight = beta * beta;
    let whole = (1.0 + weight) * found + weight * missed + wrong;
    if whole == 0.0 {
        0.0
    } else {
        (1.0 + weight) * found / whole
    }
}

/// How an anomaly detector is judged.
#[derive(Debug, Clone, Copy)]
pub struct Detector {
    /// The false positive rate up to which the partial area goes.
    pub most: f64,
    /// From which score on a sample counts as found; `None` takes the one with the best F-beta.
    pub threshold: Option<f64>,
    /// How many times as much sensitivity counts as precision.
    pub beta: f64,
}

/// The quality of `scores`, the greater the more unusual, on samples that `positive` calls unusual.
///
/// # Errors
/// There are no samples, or all of them are of one kind; a score is not a finite number.
pub fn quality(scores: &[f32], positive: &[bool], by: Detector, arithmetic: &str) -> Result<Quality, MeasureError> {
    let Detector { most, threshold, beta } = by;
    if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
        let (sample, class) = (at as u64, 0);
        return Err(MeasureError::NotANumber { sample, class });
    }
    let ranking = Ranking::of(scores, |sample| positive[sample]);
    let [positives, negatives] = ranking.totals(None);
    if positives == 0.0 || negatives == 0.0 {
        return Err(match scores.len() {
            0 => MeasureError::NoSamples,
            _ => MeasureError::OneKind {
                positive: positives as u64,
                negative: negatives as u64,
            },
        });
    }
    let numbers = |drawn: Option<&[u32]>| {
        [
            ranking.area(drawn, 1.0),
            ranking.partial(drawn, most),
            ranking.average_precision(drawn),
        ]
    };
    let [auc, partial, precision] = numbers(None);
    let [about_auc, about_partial, about_precision] = intervals(scores.len(), 8, |drawn| numbers(Some(drawn)));
    let of_counts = |[right, wrong]: Counts| f_beta(beta, right, wrong, positives - right);
    let (threshold, decided, chosen) = if let Some(threshold) = threshold {
        let at_least = |kind: bool| {
            let found = scores
                .iter()
                .zip(positive)
                .filter(|(score, is)| f64::from(**score) >= threshold && **is == kind);
            found.count() as f64
        };
        (
            threshold,
            of_counts([at_least(true), at_least(false)]),
            "as the recipe says",
        )
    } else {
        let ends = ranking.order.iter().zip(&ranking.ends).filter(|(_, ends)| **ends);
        let each = ends
            .map(|(&sample, _)| f64::from(scores[sample]))
            .zip(ranking.counts(None).map(of_counts));
        let best = each.fold((f64::NAN, -1.0), |best, at| if at.1 > best.1 { at } else { best });
        (
            best.0,
            best.1,
            "chosen on these very samples, so the number is the best that any would give",
        )
    };
    let rates: Vec<[f64; 2]> = std::iter::once([0.0, 0.0])
        .chain(
            ranking
                .counts(None)
                .map(|[right, wrong]| [wrong / negatives, right / positives]),
        )
        .collect();
    let precisions: Vec<[f64; 2]> = ranking
        .counts(None)
        .map(|[right, wrong]| [right / positives, right / (right + wrong)])
        .collect();
    Ok(Quality {
        task: Some(Task::Anomaly),
        samples: scores.len() as u64,
        arithmetic: arithmetic.to_owned(),
        scores: vec![
            Score::share("roc-auc", auc, about_auc),
            Score::share("partial-auc", partial, about_partial),
            Score::share("average-precision", precision, about_precision),
            Score::share("f-beta", decided, None),
            Score {
                figure: Figure::new("threshold", threshold, Unit::Plain, Direction::Neutral),
                interval: None,
            },
        ],
        per: "class".to_owned(),
        parts: Vec::new(),
        curves: vec![
            Curve::of("ROC", ["false positive rate", "true positive rate"], &rates),
            Curve::of("Precision and recall", ["recall", "precision"], &precisions),
        ],
        notes: vec![
            NOTE.to_owned(),
            format!("{positives} of {} samples are abnormal.", scores.len()),
            format!("The partial AUC goes to a false positive rate of {most} and is standardized: 0.5 is chance."),
            format!("F-beta is that of β = {beta} at the threshold {threshold}, {chosen}."),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY: Detector = Detector {
        most: 0.1,
        threshold: None,
        beta: 1.0,
    };

    fn value(found: &Quality, name: &str) -> f64 {
        let figure = found.figures().into_iter().find(|figure| figure.name == name);
        figure.expect("a number of this name").value
    }

    #[test]
    fn equal_scores_are_chance_and_perfect_ones_are_one() {
        let positive = [true, false, true, false];
        let equal = quality(&[1.0; 4], &positive, BY, "").expect("both kinds");
        assert_eq!(value(&equal, "roc-auc"), 0.5);
        let perfect = quality(&[3.0, 1.0, 2.0, 0.0], &positive, BY, "").expect("both kinds");
        assert_eq!(
            ["roc-auc", "partial-auc", "average-precision", "f-beta", "threshold"].map(|name| value(&perfect, name)),
            [1.0, 1.0, 1.0, 1.0, 2.0]
        );
    }

    #[test]
    fn a_threshold_decides_from_itself_on() {
        let by = Detector {
            threshold: Some(2.0),
            ..BY
        };
        let found = quality(&[3.0, 2.0, 1.0], &[true, false, true], by, "").expect("both kinds");
        assert_eq!(value(&found, "f-beta"), 0.5);
    }

    #[test]
    fn samples_of_one_kind_are_refused() {
        let refused = quality(&[1.0, 2.0], &[true, true], BY, "").unwrap_err();
        insta::assert_snapshot!(refused, @"2 abnormal and 0 normal samples: at least one of each is needed to tell how well they are told apart");
    }
}

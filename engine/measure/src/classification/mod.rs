//! Quality of a classifier: confusion matrix, accuracy with its interval, and the metrics per class.
//!
//! - Orientation: **rows are the true classes, columns the predicted ones**, as `sklearn.metrics.confusion_matrix`.
//! - Decision: the class of the greatest score; of equal scores the one with the lower index, as `numpy.argmax` and
//!   `tf.math.top_k`. Integer outputs tie often, so the rule shows in figures.
//! - Zero division: a metric whose denominator is zero (precision of a class never predicted, sensitivity of a class
//!   without samples) counts as 0, scikit-learn's `zero_division=0`, and enters the means; [`ZeroDivision`] says how many
//!   classes that touched.
//! - Means are over all classes alike (scikit-learn's `average="macro"`, `labels` = all classes). The overall G-mean is the
//!   geometric mean of all sensitivities (imbalanced-learn's `average="multiclass"`), 0 as soon as one class is never
//!   found; per class it is `√(sensitivity · specificity)`.
//! - Which samples were decided rightly is kept ([`Outcomes`]), so that two models can be compared sample by sample ([`Paired`]).
//! - The interval of accuracy is Wilson's, 95 % (Wilson 1927, doi:10.1080/01621459.1927.10502953).

mod confusion;
mod interval;
mod paired;
mod tally;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Direction, Figure, MeasureError, Unit};

use confusion::{OneAgainstRest, ratio};

pub use confusion::ConfusionMatrix;
pub use interval::Interval;
pub use paired::{Bits, Outcomes, Paired};
pub(crate) use tally::rank;
pub use tally::{Judgement, Tally, argmax};

/// Metrics of one class against the rest, each 0..1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ClassMetrics {
    /// Name of the class.
    pub name: String,
    /// Samples of this class.
    pub support: u64,
    /// Share of the samples decided for this class that belong to it.
    pub precision: f64,
    /// Share of the samples of this class that were decided for it (recall).
    pub sensitivity: f64,
    /// Share of the samples of other classes that were not decided for it.
    pub specificity: f64,
    /// Harmonic mean of precision and sensitivity.
    pub f1: f64,
    /// Square root of sensitivity times specificity.
    pub g_mean: f64,
}

/// Means over all classes, each 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct MeanMetrics {
    /// Macro mean of the precisions.
    pub precision: f64,
    /// Macro mean of the sensitivities: balanced accuracy.
    pub sensitivity: f64,
    /// Macro mean of the specificities.
    pub specificity: f64,
    /// Macro mean of the F1 scores.
    pub f1: f64,
    /// Geometric mean of the sensitivities.
    pub g_mean: f64,
}

/// The metrics of a two-class problem, where one class is what is looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BinaryMetrics {
    /// Name of the positive class: the second one, scikit-learn's `pos_label=1`.
    pub positive: String,
    /// Positive samples found.
    pub true_positive: u64,
    /// Negative samples taken for positive.
    pub false_positive: u64,
    /// Positive samples missed.
    pub false_negative: u64,
    /// Negative samples left alone.
    pub true_negative: u64,
    /// Share of the found samples that are positive.
    pub precision: f64,
    /// Share of the positive samples that were found.
    pub sensitivity: f64,
    /// Share of the negative samples that were left alone.
    pub specificity: f64,
    /// Harmonic mean of precision and sensitivity.
    pub f1: f64,
    /// Square root of sensitivity times specificity.
    pub g_mean: f64,
}

/// How many classes the zero-division rule touched, and what their undefined metrics count as.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ZeroDivision {
    /// What an undefined metric counts as.
    pub value: f64,
    /// Classes without samples: their sensitivity is undefined.
    pub without_support: u64,
    /// Classes never predicted: their precision is undefined.
    pub never_predicted: u64,
}

/// What a classifier is worth on a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Metrics {
    /// Samples evaluated.
    pub samples: u64,
    /// The arithmetic that computed the outputs: `float32`, `int8, as LiteRT BUILTIN_REF`.
    pub arithmetic: String,
    /// Share of samples decided rightly.
    pub accuracy: f64,
    /// Wilson interval of the accuracy, 95 %.
    pub accuracy_interval: Interval,
    /// Share of samples whose class is among the five best; `None` below six classes or where scores were not kept.
    pub top5: Option<f64>,
    /// Each class against the rest.
    pub per_class: Vec<ClassMetrics>,
    /// Means over the classes.
    pub mean: MeanMetrics,
    /// The two-class form; `None` unless there are two classes.
    pub binary: Option<BinaryMetrics>,
    /// What the zero-division rule touched.
    pub zero_division: ZeroDivision,
    /// Samples by true class (rows) and predicted class (columns).
    pub confusion: ConfusionMatrix,
    /// Which samples were decided rightly; `None` where that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<Outcomes>,
}

impl Metrics {
    /// Metrics of a filled matrix. `top5` is the count of samples whose class was among the five best, where known.
    pub fn of(
        confusion: ConfusionMatrix,
        top5: Option<u64>,
        arithmetic: impl Into<String>,
    ) -> Result<Self, MeasureError> {
        let n = confusion.classes().len();
        if n < 2 {
            return Err(MeasureError::TooFewClasses(n));
        }
        let samples = confusion.samples();
        if samples == 0 {
            return Err(MeasureError::NoSamples);
        }
        let tables = confusion.each_against_rest();
        let per_class: Vec<ClassMetrics> = tables
            .iter()
            .enumerate()
            .map(|(class, rest)| ClassMetrics {
                name: confusion.classes()[class].clone(),
                support: rest.support(),
                precision: rest.precision(),
                sensitivity: rest.sensitivity(),
                specificity: rest.specificity(),
                f1: rest.f1(),
                g_mean: rest.g_mean(),
            })
            .collect();
        let mean = |metric: fn(&ClassMetrics) -> f64| per_class.iter().map(metric).sum::<f64>() / n as f64;
        let count = |of: fn(&OneAgainstRest) -> u64| tables.iter().filter(|rest| of(rest) == 0).count() as u64;
        Ok(Self {
            samples,
            arithmetic: arithmetic.into(),
            accuracy: ratio(confusion.correct(), samples),
            accuracy_interval: Interval::wilson(confusion.correct(), samples),
            top5: top5.filter(|_| n >= 6).map(|hits| ratio(hits, samples)),
            mean: MeanMetrics {
                precision: mean(|class| class.precision),
                sensitivity: mean(|class| class.sensitivity),
                specificity: mean(|class| class.specificity),
                f1: mean(|class| class.f1),
                g_mean: geometric_mean(per_class.iter().map(|class| class.sensitivity)),
            },
            binary: (n == 2).then(|| binary(&confusion.classes()[1], tables[1])),
            zero_division: ZeroDivision {
                value: 0.0,
                without_support: count(OneAgainstRest::support),
                never_predicted: count(OneAgainstRest::predicted),
            },
            per_class,
            confusion,
            outcomes: None,
        })
    }

    /// Names of all numbers that there may be: those of [`Metrics::figures`] and of [`Metrics::figure_of_class`] with `*` for the class.
    pub const FIGURES: &[&str] = &[
        "accuracy",
        "accuracy-low",
        "accuracy-high",
        "top5",
        "precision",
        "sensitivity",
        "specificity",
        "f1",
        "g-mean",
        "samples",
        "per-class.*.precision",
        "per-class.*.sensitivity",
        "per-class.*.specificity",
        "per-class.*.f1",
        "per-class.*.g-mean",
    ];

    /// A number of one class: `per-class.dog.f1`.
    pub fn figure_of_class(&self, name: &str) -> Option<Figure> {
        let (class, number) = name.strip_prefix("per-class.")?.rsplit_once('.')?;
        let class = self.per_class.iter().find(|known| known.name == class)?;
        let value = match number {
            "precision" => class.precision,
            "sensitivity" => class.sensitivity,
            "specificity" => class.specificity,
            "f1" => class.f1,
            "g-mean" => class.g_mean,
            _ => return None,
        };
        Some(Figure::new(name, value, Unit::Ratio, Direction::Higher))
    }

    /// The named numbers: `accuracy`, `accuracy-low`, `accuracy-high`, `top5`, the means `precision`, `sensitivity`,
    /// `specificity`, `f1`, `g-mean`, and `samples`.
    pub fn figures(&self) -> Vec<Figure> {
        let MeanMetrics {
            precision,
            sensitivity,
            specificity,
            f1,
            g_mean,
        } = self.mean;
        let share = |name: &str, value| Figure::new(name, value, Unit::Ratio, Direction::Higher);
        let mut figures = vec![
            share("accuracy", self.accuracy),
            share("accuracy-low", self.accuracy_interval.low),
            share("accuracy-high", self.accuracy_interval.high),
        ];
        figures.extend(self.top5.map(|top5| share("top5", top5)));
        figures.extend([
            share("precision", precision),
            share("sensitivity", sensitivity),
            share("specificity", specificity),
            share("f1", f1),
            share("g-mean", g_mean),
            Figure::new("samples", self.samples as f64, Unit::Count, Direction::Neutral),
        ]);
        figures
    }
}

fn binary(positive: &str, rest: OneAgainstRest) -> BinaryMetrics {
    let OneAgainstRest {
        true_positive,
        false_positive,
        false_negative,
        true_negative,
    } = rest;
    BinaryMetrics {
        positive: positive.to_owned(),
        true_positive,
        false_positive,
        false_negative,
        true_negative,
        precision: rest.precision(),
        sensitivity: rest.sensitivity(),
        specificity: rest.specificity(),
        f1: rest.f1(),
        g_mean: rest.g_mean(),
    }
}

/// `(Π x)^(1/n)` by logarithms, so that many factors do not underflow; 0 when one is 0.
fn geometric_mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0_u32), |(sum, n), value| (sum + value.ln(), n + 1));
    (sum / f64::from(n)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|class| format!("c{class}")).collect()
    }

    fn metrics(counts: Vec<Vec<u64>>) -> Metrics {
        let confusion = ConfusionMatrix::from_counts(names(counts.len()), counts).expect("square");
        Metrics::of(confusion, None, "float32").expect("samples")
    }

    /// Eight of ten sick and ninety-five of a hundred well people are told apart: precision is 8/13 and sensitivity
    /// 8/10. With the axes swapped the two would trade places.
    #[test]
    fn rows_are_true_classes_and_columns_predicted_ones() {
        let found = metrics(vec![vec![95, 5], vec![2, 8]]).binary.expect("two classes");
        assert_eq!((found.false_positive, found.false_negative), (5, 2));
        assert_eq!(
            (found.precision, found.sensitivity, found.specificity),
            (8.0 / 13.0, 0.8, 0.95)
        );
        assert_eq!(found.f1, 16.0 / 23.0);
        assert_eq!(found.g_mean, (0.8_f64 * 0.95).sqrt());
    }

    #[test]
    fn every_number_has_a_name_those_of_classes_too() {
        let mut found = metrics(vec![vec![95, 5], vec![2, 8]]);
        found.top5 = Some(1.0);
        let (of_all, of_classes) = Metrics::FIGURES.split_at(10);
        let names: Vec<String> = found.figures().into_iter().map(|figure| figure.name).collect();
        assert_eq!(names, of_all);
        for pattern in of_classes {
            assert!(
                found.figure_of_class(&pattern.replace('*', "c1")).is_some(),
                "{pattern}"
            );
            assert_eq!(found.figure_of_class(&pattern.replace('*', "c2")), None);
        }
        let value = |name: &str| found.figure_of_class(name).map(|figure| figure.value);
        assert_eq!(value("per-class.c1.sensitivity"), Some(0.8));
        assert_eq!(value("per-class.c1.accuracy"), None);
    }

    #[test]
    fn a_class_never_found_makes_the_g_mean_zero() {
        let found = metrics(vec![vec![10, 0, 0], vec![10, 0, 0], vec![0, 0, 0]]);
        assert_eq!(found.mean.g_mean, 0.0);
        assert_eq!(
            (found.per_class[0].specificity, found.per_class[2].specificity),
            (0.0, 1.0)
        );
        assert_eq!(
            found.zero_division,
            ZeroDivision {
                value: 0.0,
                without_support: 1,
                never_predicted: 2
            }
        );
    }

    #[test]
    fn metrics_survive_json() {
        let found = metrics(vec![vec![3, 1], vec![0, 2]]);
        let text = serde_json::to_string(&found).expect("numbers are finite");
        assert_eq!(serde_json::from_str::<Metrics>(&text).expect("own output"), found);
        let schema = schemars::schema_for!(Metrics);
        assert!(schema.pointer("/$defs/ConfusionMatrix/properties/counts").is_some());
    }
}

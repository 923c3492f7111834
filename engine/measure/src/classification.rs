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
//! - The interval of accuracy is Wilson's, 95 % (Wilson 1927, doi:10.1080/01621459.1927.10502953).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Direction, Figure, MeasureError, Unit};

/// Index of the greatest value, of equal ones the first; `None` for an empty row. A NaN is never greatest.
pub fn argmax<T: PartialOrd + Copy>(row: &[T]) -> Option<usize> {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        // `row[best] != row[best]` only for NaN, which the first number displaces.
        if *value > row[best] || row[best].partial_cmp(&row[best]).is_none() {
            best = index;
        }
    }
    (!row.is_empty()).then_some(best)
}

/// How many indices come before `index` when the row is sorted by falling value, equal values by rising index.
pub(crate) fn rank<T: PartialOrd + Copy>(row: &[T], index: usize) -> usize {
    let own = row[index];
    row.iter()
        .enumerate()
        .filter(|&(other, value)| *value > own || (*value == own && other < index))
        .count()
}

/// Counts of samples by true class (rows) and predicted class (columns).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawConfusionMatrix")]
pub struct ConfusionMatrix {
    classes: Vec<String>,
    counts: Vec<Vec<u64>>,
}

/// The matrix as written, before its shape is checked.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConfusionMatrix")]
struct RawConfusionMatrix {
    /// Names of the classes.
    classes: Vec<String>,
    /// Samples: one row per true class, one column per predicted class.
    counts: Vec<Vec<u64>>,
}

impl TryFrom<RawConfusionMatrix> for ConfusionMatrix {
    type Error = MeasureError;

    fn try_from(raw: RawConfusionMatrix) -> Result<Self, MeasureError> {
        Self::from_counts(raw.classes, raw.counts)
    }
}

impl ConfusionMatrix {
    /// A matrix of zeros.
    pub fn new(classes: Vec<String>) -> Self {
        let n = classes.len();
        Self {
            counts: vec![vec![0; n]; n],
            classes,
        }
    }

    /// A matrix from its counts, `[true class][predicted class]`.
    pub fn from_counts(classes: Vec<String>, counts: Vec<Vec<u64>>) -> Result<Self, MeasureError> {
        let n = classes.len();
        let wrong = (0..n.max(counts.len()))
            .map(|row| (row, counts.get(row).map_or(0, Vec::len)))
            .find(|&(row, found)| row >= n || found != n);
        if let Some((row, found)) = wrong {
            return Err(MeasureError::NotSquare { classes: n, row, found });
        }
        let samples = counts
            .iter()
            .flatten()
            .try_fold(0_u64, |sum, &count| sum.checked_add(count));
        // Sums of a few counts must not overflow either.
        samples
            .filter(|&samples| samples <= u64::MAX / 8)
            .ok_or(MeasureError::TooManySamples)?;
        Ok(Self { classes, counts })
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Counts, `[true class][predicted class]`.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// All samples.
    pub fn samples(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Samples whose true class was predicted: the trace.
    pub fn correct(&self) -> u64 {
        (0..self.classes.len()).map(|class| self.counts[class][class]).sum()
    }

    /// Samples of a true class: the sum of its row.
    pub fn support(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// Samples decided for a class: the sum of its column.
    pub fn predicted(&self, class: usize) -> u64 {
        self.counts.iter().map(|row| row[class]).sum()
    }

    /// One class against all others.
    fn one_against_rest(&self, class: usize) -> OneAgainstRest {
        let true_positive = self.counts[class][class];
        let false_positive = self.predicted(class) - true_positive;
        let false_negative = self.support(class) - true_positive;
        let true_negative = self.samples() - true_positive - false_positive - false_negative;
        OneAgainstRest {
            true_positive,
            false_positive,
            false_negative,
            true_negative,
        }
    }
}

/// The two-by-two table of one class against the rest.
#[derive(Debug, Clone, Copy)]
struct OneAgainstRest {
    true_positive: u64,
    false_positive: u64,
    false_negative: u64,
    true_negative: u64,
}

/// `part / whole`, 0 where the whole is 0 (`zero_division=0`).
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl OneAgainstRest {
    fn precision(self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_positive)
    }

    fn sensitivity(self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_negative)
    }

    fn specificity(self) -> f64 {
        ratio(self.true_negative, self.true_negative + self.false_positive)
    }

    fn f1(self) -> f64 {
        ratio(
            2 * self.true_positive,
            2 * self.true_positive + self.false_positive + self.false_negative,
        )
    }

    fn g_mean(self) -> f64 {
        (self.sensitivity() * self.specificity()).sqrt()
    }
}

/// A confidence interval of a share, 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Wilson's score interval, 95 %, of `correct` out of `samples`; `samples` is not 0.
    ///
    /// Unlike the normal approximation it stays inside 0..1 and does not shrink to nothing at 0 and 100 %.
    pub fn wilson(correct: u64, samples: u64) -> Self {
        /// The 97.5 % point of the normal distribution.
        const Z: f64 = 1.959_963_984_540_054;
        let n = samples as f64;
        let share = correct as f64 / n;
        let scale = 1.0 / (1.0 + Z * Z / n);
        let centre = scale * (share + Z * Z / (2.0 * n));
        let half = scale * Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self {
            low: (centre - half).max(0.0),
            high: (centre + half).min(1.0),
        }
    }

    /// Whether the two have a value in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

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
        let per_class: Vec<ClassMetrics> = (0..n)
            .map(|class| {
                let rest = confusion.one_against_rest(class);
                ClassMetrics {
                    name: confusion.classes()[class].clone(),
                    support: confusion.support(class),
                    precision: rest.precision(),
                    sensitivity: rest.sensitivity(),
                    specificity: rest.specificity(),
                    f1: rest.f1(),
                    g_mean: rest.g_mean(),
                }
            })
            .collect();
        let mean = |metric: fn(&ClassMetrics) -> f64| per_class.iter().map(metric).sum::<f64>() / n as f64;
        let count = |empty: &dyn Fn(usize) -> bool| (0..n).filter(|&class| empty(class)).count() as u64;
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
            binary: (n == 2).then(|| binary(&confusion)),
            zero_division: ZeroDivision {
                value: 0.0,
                without_support: count(&|class| confusion.support(class) == 0),
                never_predicted: count(&|class| confusion.predicted(class) == 0),
            },
            per_class,
            confusion,
        })
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

fn binary(confusion: &ConfusionMatrix) -> BinaryMetrics {
    let rest = confusion.one_against_rest(1);
    let OneAgainstRest {
        true_positive,
        false_positive,
        false_negative,
        true_negative,
    } = rest;
    BinaryMetrics {
        positive: confusion.classes()[1].clone(),
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

/// Counts decisions sample by sample. Tallies of parts can be merged in any order: they hold counts only.
#[derive(Debug, Clone)]
pub struct Tally {
    confusion: ConfusionMatrix,
    samples: u64,
    /// Samples whose class was among the five best; `None` once a sample came without scores.
    top5: Option<u64>,
}

impl Tally {
    /// A tally over named classes; a sample's label is an index into them.
    pub fn new(classes: Vec<String>) -> Self {
        Self {
            confusion: ConfusionMatrix::new(classes),
            samples: 0,
            top5: Some(0),
        }
    }

    /// Adds a sample by its scores, one per class, quantized or not.
    pub fn add_scores<T: PartialOrd + Copy>(&mut self, label: usize, scores: &[T]) -> Result<(), MeasureError> {
        let classes = self.confusion.classes.len();
        if scores.len() != classes {
            return Err(MeasureError::ScoreCount {
                sample: self.samples,
                found: scores.len(),
                classes,
            });
        }
        if let Some(class) = scores.iter().position(|score| score.partial_cmp(score).is_none()) {
            return Err(MeasureError::NotANumber {
                sample: self.samples,
                class,
            });
        }
        let decision = argmax(scores).ok_or(MeasureError::TooFewClasses(0))?;
        self.count(label, decision)?;
        let hit = u64::from(rank(scores, label) < 5);
        self.top5 = self.top5.map(|hits| hits + hit);
        Ok(())
    }

    /// Adds a sample by its decision alone, for models that do not score each class; top-5 is then unknown.
    pub fn add_decision(&mut self, label: usize, decision: usize) -> Result<(), MeasureError> {
        self.count(label, decision)?;
        self.top5 = None;
        Ok(())
    }

    fn count(&mut self, label: usize, decision: usize) -> Result<(), MeasureError> {
        let classes = self.confusion.classes.len();
        if let Some(label) = [label, decision].into_iter().find(|&index| index >= classes) {
            return Err(MeasureError::LabelOutOfRange {
                sample: self.samples,
                label,
                classes,
            });
        }
        self.confusion.counts[label][decision] += 1;
        self.samples += 1;
        Ok(())
    }

    /// Adds the counts of another tally over the same classes.
    pub fn merge(&mut self, other: &Self) -> Result<(), MeasureError> {
        let (left, right) = (self.confusion.classes.len(), other.confusion.classes.len());
        if self.confusion.classes != other.confusion.classes {
            return Err(MeasureError::DifferentClasses { left, right });
        }
        for (row, others) in self.confusion.counts.iter_mut().zip(&other.confusion.counts) {
            for (count, more) in row.iter_mut().zip(others) {
                *count += more;
            }
        }
        self.samples += other.samples;
        self.top5 = self.top5.zip(other.top5).map(|(hits, more)| hits + more);
        Ok(())
    }

    /// The metrics; an error when nothing was added. `arithmetic` names what computed the scores.
    pub fn finish(self, arithmetic: impl Into<String>) -> Result<Metrics, MeasureError> {
        Metrics::of(self.confusion, self.top5, arithmetic)
    }
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
    fn the_first_of_equal_scores_wins() {
        assert_eq!(argmax(&[1_i8, 7, 7, 3]), Some(1));
        assert_eq!(argmax(&[f32::NAN, 1.0, 2.0]), Some(2));
        assert_eq!(argmax::<f32>(&[]), None);
        assert_eq!(rank(&[7_i8, 7, 7], 2), 2);
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
    fn the_interval_stays_inside_and_open_at_the_ends() {
        let all = Interval::wilson(10, 10);
        assert!(all.high <= 1.0 && all.low < 0.75);
        let none = Interval::wilson(0, 10);
        assert!(none.low >= 0.0 && none.high > 0.25);
        assert!(all.overlaps(all) && !all.overlaps(none));
    }

    #[test]
    fn top_five_needs_scores_and_six_classes() {
        let mut tally = Tally::new(names(6));
        tally.add_scores(5, &[0, 0, 0, 0, 0, 0]).expect("six scores");
        tally.add_scores(4, &[0, 0, 0, 0, 0, 0]).expect("six scores");
        assert_eq!(tally.clone().finish("int8").map(|metrics| metrics.top5), Ok(Some(0.5)));
        tally.add_decision(1, 1).expect("a class");
        assert_eq!(tally.finish("int8").map(|metrics| metrics.top5), Ok(None));
    }

    #[test]
    fn samples_that_cannot_be_counted_are_named() {
        let mut tally = Tally::new(names(3));
        tally.add_scores(0, &[1.0, 0.0, 0.0]).expect("three scores");
        insta::assert_snapshot!(tally.add_scores(0, &[1.0]).unwrap_err(), @"sample 1: 1 scores for 3 classes; does the dataset list as many classes as the model?");
        insta::assert_snapshot!(tally.add_scores(0, &[1.0, f64::NAN, 0.0]).unwrap_err(), @"sample 1: output 1 is not a number; the model overflows or its weights hold NaN");
        insta::assert_snapshot!(tally.add_scores(3, &[1.0, 0.0, 0.0]).unwrap_err(), @"sample 1: label 3 is not in 0..3; does the dataset list as many classes as the model?");
        insta::assert_snapshot!(tally.merge(&Tally::new(names(2))).unwrap_err(), @"tallies of 3 and 2 classes cannot be merged");
        insta::assert_snapshot!(Tally::new(names(3)).finish("float32").unwrap_err(), @"no samples: at least one is needed; is the dataset empty?");
        insta::assert_snapshot!(Tally::new(names(1)).finish("float32").unwrap_err(), @"1 classes: at least two are needed to classify");
        assert_eq!(tally.finish("float32").map(|metrics| metrics.samples), Ok(1));
    }

    #[test]
    fn a_damaged_matrix_is_not_read() {
        let read = |json| serde_json::from_str::<ConfusionMatrix>(json).unwrap_err().to_string();
        insta::assert_snapshot!(read(r#"{"classes":["a","b"],"counts":[[1,2]]}"#), @"confusion matrix: 2 classes need 2 rows of 2 counts, row 1 has 0");
        insta::assert_snapshot!(read(r#"{"classes":["a"],"counts":[[1],[2]]}"#), @"confusion matrix: 1 classes need 1 rows of 1 counts, row 1 has 1");
        insta::assert_snapshot!(read(r#"{"classes":["a"],"counts":[[18446744073709551615]]}"#), @"confusion matrix: the counts add up to more than 2^61; the file is damaged");
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

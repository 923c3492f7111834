//! The confusion matrix, and the two-by-two table of each class against the rest. Rows are the true classes, columns the
//! predicted ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::MeasureError;

/// Counts of samples by true class (rows) and predicted class (columns).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawConfusionMatrix")]
pub struct ConfusionMatrix {
    pub(super) classes: Vec<String>,
    pub(super) counts: Vec<Vec<u64>>,
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

    /// The pairs of classes most often confused, the most frequent first: true class, predicted class, samples.
    pub fn most_confused(&self, limit: usize) -> Vec<(usize, usize, u64)> {
        let row = |(row, counts): (usize, &Vec<u64>)| {
            let cells = counts
                .iter()
                .enumerate()
                .map(move |(column, &count)| (row, column, count));
            cells.collect::<Vec<_>>()
        };
        let mut pairs: Vec<_> = self.counts.iter().enumerate().flat_map(row).collect();
        pairs.retain(|&(row, column, count)| count > 0 && row != column);
        pairs.sort_by_key(|&(row, column, count)| (std::cmp::Reverse(count), row, column));
        pairs.truncate(limit);
        pairs
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

    /// Each class against all others. One walk over the matrix: with sums for each class anew, a thousand classes would take seconds.
    pub(super) fn each_against_rest(&self) -> Vec<OneAgainstRest> {
        let mut predicted = vec![0_u64; self.classes.len()];
        for row in &self.counts {
            predicted.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
        }
        let samples: u64 = predicted.iter().sum();
        let table = |(class, predicted): (usize, u64)| {
            let true_positive = self.counts[class][class];
            let false_positive = predicted - true_positive;
            let false_negative = self.support(class) - true_positive;
            OneAgainstRest {
                true_positive,
                false_positive,
                false_negative,
                true_negative: samples - true_positive - false_positive - false_negative,
            }
        };
        predicted.into_iter().enumerate().map(table).collect()
    }
}

/// The two-by-two table of one class against the rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneAgainstRest {
    pub(super) true_positive: u64,
    pub(super) false_positive: u64,
    pub(super) false_negative: u64,
    pub(super) true_negative: u64,
}

/// `part / whole`, 0 where the whole is 0 (`zero_division=0`).
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl OneAgainstRest {
    /// Samples of the class.
    pub(super) fn support(&self) -> u64 {
        self.true_positive + self.false_negative
    }

    /// Samples decided for the class.
    pub(super) fn predicted(&self) -> u64 {
        self.true_positive + self.false_positive
    }

    pub(super) fn precision(self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_positive)
    }

    pub(super) fn sensitivity(self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_negative)
    }

    pub(super) fn specificity(self) -> f64 {
        ratio(self.true_negative, self.true_negative + self.false_positive)
    }

    pub(super) fn f1(self) -> f64 {
        ratio(
            2 * self.true_positive,
            2 * self.true_positive + self.false_positive + self.false_negative,
        )
    }

    pub(super) fn g_mean(self) -> f64 {
        (self.sensitivity() * self.specificity()).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_matrix_is_not_read() {
        let read = |json| serde_json::from_str::<ConfusionMatrix>(json).unwrap_err().to_string();
        insta::assert_snapshot!(read(r#"{"classes":["a","b"],"counts":[[1,2]]}"#), @"confusion matrix: 2 classes need 2 rows of 2 counts, row 1 has 0");
        insta::assert_snapshot!(read(r#"{"classes":["a"],"counts":[[1],[2]]}"#), @"confusion matrix: 1 classes need 1 rows of 1 counts, row 1 has 1");
        insta::assert_snapshot!(read(r#"{"classes":["a"],"counts":[[18446744073709551615]]}"#), @"confusion matrix: the counts add up to more than 2^61; the file is damaged");
    }
}

//! From scores to decisions to counts: ties, top-5, and the tally of a dataset.

use crate::MeasureError;

use super::{ConfusionMatrix, Metrics};

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

/// What a model made of one sample: all that its tally needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    label: usize,
    decision: usize,
    /// Whether the sample's class is among the five best.
    top5: bool,
}

impl Judgement {
    /// The decision that scores make, one per class, quantized or not; `sample` is its number in messages.
    pub fn of<T: PartialOrd + Copy>(sample: u64, label: usize, scores: &[T]) -> Result<Self, MeasureError> {
        if let Some(class) = scores.iter().position(|score| score.partial_cmp(score).is_none()) {
            return Err(MeasureError::NotANumber { sample, class });
        }
        let decision = argmax(scores).ok_or(MeasureError::TooFewClasses(0))?;
        check_labels(sample, [label, decision], scores.len())?;
        let top5 = rank(scores, label) < 5;
        Ok(Self { label, decision, top5 })
    }
}

impl Judgement {
    /// Whether the decision is the sample's class.
    pub fn is_right(&self) -> bool {
        self.label == self.decision
    }
}

fn check_labels(sample: u64, labels: [usize; 2], classes: usize) -> Result<(), MeasureError> {
    let outside = labels.into_iter().find(|&index| index >= classes);
    outside.map_or(Ok(()), |label| {
        Err(MeasureError::LabelOutOfRange { sample, label, classes })
    })
}

/// Counts decisions sample by sample. Tallies of parts can be merged in any order: they hold counts only.
///
/// A tally holds a count for each pair of classes, so there is one for all samples: threads make [`Judgement`]s, one of them
/// [`counts`](Tally::count) them.
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

    /// Counts a sample; an error if it was judged over more classes.
    pub fn count(&mut self, judged: Judgement) -> Result<(), MeasureError> {
        let Judgement { label, decision, top5 } = judged;
        let classes = self.confusion.classes.len();
        check_labels(self.samples, [label, decision], classes)?;
        self.confusion.counts[label][decision] += 1;
        self.samples += 1;
        self.top5 = self.top5.map(|hits| hits + u64::from(top5));
        Ok(())
    }

    /// Adds a sample by its scores, one per class, quantized or not.
    pub fn add_scores<T: PartialOrd + Copy>(&mut self, label: usize, scores: &[T]) -> Result<(), MeasureError> {
        let (sample, found, classes) = (self.samples, scores.len(), self.confusion.classes.len());
        if found != classes {
            return Err(MeasureError::ScoreCount { sample, found, classes });
        }
        self.count(Judgement::of(sample, label, scores)?)
    }

    /// Adds a sample by its decision alone, for models that do not score each class; top-5 is then unknown.
    pub fn add_decision(&mut self, label: usize, decision: usize) -> Result<(), MeasureError> {
        let top5 = false;
        self.count(Judgement { label, decision, top5 })?;
        self.top5 = None;
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

    #[test]
    fn the_first_of_equal_scores_wins() {
        assert_eq!(argmax(&[1_i8, 7, 7, 3]), Some(1));
        assert_eq!(argmax(&[f32::NAN, 1.0, 2.0]), Some(2));
        assert_eq!(argmax::<f32>(&[]), None);
        assert_eq!(rank(&[7_i8, 7, 7], 2), 2);
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
}

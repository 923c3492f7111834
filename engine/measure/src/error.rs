//! What can be wrong with the values handed to this crate.

/// A measurement that cannot be made, and why.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MeasureError {
    /// No sample was counted, so no metric exists.
    #[error("no samples: at least one is needed; is the dataset empty?")]
    NoSamples,
    /// A benchmark without a timed run.
    #[error("no timed runs: `runs` must be at least 1")]
    NoRuns,
    /// A classifier needs two classes or more.
    #[error("{0} classes: at least two are needed to classify")]
    TooFewClasses(usize),
    /// A label lies outside the list of classes.
    #[error(
        "sample {sample}: label {label} is not in 0..{classes}; does the dataset list as many classes as the model?"
    )]
    LabelOutOfRange {
        /// Number of the sample, counted from 0 in the order added.
        sample: u64,
        /// The label found.
        label: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A row of scores has another length than the list of classes.
    #[error(
        "sample {sample}: {found} scores for {classes} classes; does the dataset list as many classes as the model?"
    )]
    ScoreCount {
        /// Number of the sample, counted from 0 in the order added.
        sample: u64,
        /// Length of the row.
        found: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A score that compares with nothing.
    #[error("sample {sample}: output {class} is not a number; the model overflows or its weights hold NaN")]
    NotANumber {
        /// Number of the sample, counted from 0 in the order added.
        sample: u64,
        /// Index of the score.
        class: usize,
    },
    /// All samples are normal, or all are not.
    #[error(
        "{positive} abnormal and {negative} normal samples: at least one of each is needed to tell how well they are told apart"
    )]
    OneKind {
        /// Abnormal samples.
        positive: u64,
        /// Normal samples.
        negative: u64,
    },
    /// A sample by which nothing can be measured.
    #[error(
        "sample {sample}: its length is 0: an embedding of zeros points nowhere, and distances in a box without extent are endless"
    )]
    NoLength {
        /// Number of the sample, counted from 0 in the order added.
        sample: u64,
    },
    /// No two samples are of one class, or all are.
    #[error(
        "{}: at least two samples of one class and one of another are needed to tell how near they are",
        if *.alike { "all samples are of one class" } else { "no two samples are of one class" }
    )]
    NoPairs {
        /// Whether all samples are of one class.
        alike: bool,
    },
    /// Two lists that describe the same samples differ in length.
    #[error("{what}: {left} and {right} values; both sides must describe the same samples")]
    LengthMismatch {
        /// Which two lists.
        what: &'static str,
        /// Length of the first.
        left: usize,
        /// Length of the second.
        right: usize,
    },
    /// A confusion matrix whose counts are not square over its classes.
    #[error("confusion matrix: {classes} classes need {classes} rows of {classes} counts, row {row} has {found}")]
    NotSquare {
        /// How many classes are named.
        classes: usize,
        /// The row that is missing or of another length.
        row: usize,
        /// Its length (0 when missing).
        found: usize,
    },
    /// Counts that no dataset has: the matrix is damaged.
    #[error("confusion matrix: the counts add up to more than 2^61; the file is damaged")]
    TooManySamples,
    /// Two tallies over different classes cannot be added.
    #[error("tallies of {left} and {right} classes cannot be merged")]
    DifferentClasses {
        /// Classes of the one.
        left: usize,
        /// Classes of the other.
        right: usize,
    },
    /// A file could not be packed to weigh it.
    #[error("{file}: cannot be packed to weigh it: {reason}")]
    Pack {
        /// Name of the file.
        file: String,
        /// What the archive writer said.
        reason: String,
    },
}

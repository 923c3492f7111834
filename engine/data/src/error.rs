//! What can be wrong with data: one error type for the crate.
//!
//! Messages name the place first (a file, an entry of an archive, a setting), then what was expected, then the
//! likely fix.

use std::io;

/// Why a dataset could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused to list or read something.
    #[error("{place}: {source}")]
    Io {
        /// File or folder.
        place: String,
        /// The refusal.
        source: io::Error,
    },
    /// An entry whose name would leave the folder it is unpacked to, or is no plain file.
    #[error("{archive}: entry `{name}` {why}; refusing the whole archive")]
    UnsafeEntry {
        /// Archive or folder that holds the entry.
        archive: String,
        /// Name as written there.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two of the given places hold a file of the same name.
    #[error("`{name}` is in both {first} and {second}; give only one of them")]
    Duplicate {
        /// The shared name.
        name: String,
        /// Where it was met first.
        first: String,
        /// Where it was met again.
        second: String,
    },
    /// A bound of [`Limits`](crate::Limits) or of the memory was reached.
    #[error("{place}: {what} exceeds the limit of {limit}")]
    TooLarge {
        /// File, archive or entry.
        place: String,
        /// The quantity with its unit.
        what: String,
        /// The bound.
        limit: u64,
    },
    /// The bytes are not what their format demands: truncated, lying lengths, wrong magic.
    #[error("{place}: {why}")]
    Malformed {
        /// File or entry.
        place: String,
        /// What was expected and what was found.
        why: String,
    },
    /// Well-formed, but a variant that is not read here.
    #[error("{place}: {what} is not supported; {fix}")]
    Unsupported {
        /// File or entry.
        place: String,
        /// The feature.
        what: String,
        /// What is, or what to do.
        fix: &'static str,
    },
    /// No file of this name in the tree.
    #[error("`{name}`: no such file in the data{}", did_you_mean(.near.as_ref()))]
    NoSuchFile {
        /// The name asked for.
        name: String,
        /// The most similar name there is.
        near: Option<String>,
    },
    /// The files fit none of the known formats, or not the one that was named.
    #[error("{found}: {expected}")]
    UnknownFormat {
        /// What is there, in short.
        found: String,
        /// What would be recognized.
        expected: String,
    },
    /// A setting of the [`Spec`](crate::Spec) is impossible.
    #[error("{key}: {why}")]
    Setting {
        /// Key as written in a recipe.
        key: &'static str,
        /// What was expected.
        why: String,
    },
    /// The split asked for does not exist, or none was asked for and there are several.
    #[error("split: {why}; the data has {}", list(.found))]
    Split {
        /// What is wrong.
        why: String,
        /// Splits there are.
        found: Vec<String>,
    },
    /// A class was asked for that the data does not have.
    #[error("classes: no class `{asked}` among the {known} of the data{}", did_you_mean(.near.as_ref()))]
    UnknownClass {
        /// The name asked for.
        asked: String,
        /// How many classes there are.
        known: usize,
        /// The most similar class there is.
        near: Option<String>,
    },
    /// A class folder without a single image.
    #[error("{place}: class folder holds no sample; remove it, or set `on-error: skip`")]
    EmptyClass {
        /// The folder.
        place: String,
    },
    /// Nothing is left to load.
    #[error("{place}: zero samples; {why}")]
    NoSamples {
        /// File or setting.
        place: String,
        /// Why nothing is left.
        why: String,
    },
    /// Images that do not decode.
    #[error(
        "{first}: {why}{}; repair or remove it, or set `on-error: skip`",
        others(.failed, .total)
    )]
    Undecodable {
        /// Name of the first image, in sample order, that failed.
        first: String,
        /// What its decoder said.
        why: String,
        /// How many failed.
        failed: usize,
        /// How many were tried.
        total: usize,
    },
    /// Two images of different size, and no `resize` that would make them equal.
    #[error(
        "{second}: image is {second_shape} but {first} is {first_shape} (height×width×channels); \
         set `resize` or `crop` to make them equal"
    )]
    SizesDiffer {
        /// The first sample.
        first: String,
        /// Its shape.
        first_shape: String,
        /// The first sample of another shape.
        second: String,
        /// Its shape.
        second_shape: String,
    },
    /// A label that names no class.
    #[error("{place}: label {label} of sample {index} is not in 0..{classes}")]
    LabelOutOfRange {
        /// File that holds the label.
        place: String,
        /// Index of the sample in that file.
        index: usize,
        /// The label.
        label: i64,
        /// Number of classes.
        classes: usize,
    },
    /// The arrays do not fit into memory.
    #[error(
        "{place}: {bytes} bytes of memory were refused; load fewer samples (`count`, `fraction`) or smaller ones (`resize`)"
    )]
    Memory {
        /// What the memory was for.
        place: String,
        /// How much.
        bytes: u64,
    },
    /// A piece of the samples could not be stored.
    #[error("{name}: cannot be stored: {why}")]
    Shelf {
        /// Name of the piece.
        name: String,
        /// The refusal.
        why: String,
    },
}

impl DataError {
    /// A [`DataError::Malformed`] at `place`.
    pub(crate) fn malformed(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Malformed {
            place: place.into(),
            why: why.into(),
        }
    }

    /// A [`DataError::Io`] at `place`.
    pub(crate) fn io(place: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            place: place.into(),
            source,
        }
    }
}

fn did_you_mean(near: Option<&String>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

fn list(found: &[String]) -> String {
    if found.is_empty() {
        "no splits".to_owned()
    } else {
        found.join(", ")
    }
}

fn others(failed: &usize, total: &usize) -> String {
    if *failed > 1 {
        format!(" (and {} more of {total} images fail)", failed - 1)
    } else {
        String::new()
    }
}

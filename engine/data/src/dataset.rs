//! A loaded dataset: samples, labels, the names of its classes and samples.

use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::field::Field;
use crate::samples::Samples;
use crate::spec::Format;
use crate::targets::Targets;

/// Samples with their labels, in a fixed order.
pub struct Dataset {
    /// The arrays; the first axis counts samples.
    pub samples: Samples,
    /// The parts of a sample that is for several inputs of a model, in the order in which they lie; empty where a sample is one array.
    pub inputs: Vec<Field>,
    /// Index into `classes` per sample; absent for unlabelled data and for data with `targets`.
    pub labels: Option<Vec<u32>>,
    /// What samples are labelled with in place of one class each.
    pub targets: Option<Targets>,
    /// Names of all classes of the data (also of those without a kept sample), in label order.
    pub classes: Vec<String>,
    /// Samples and class folders left out because of `on-error: skip`: name and reason.
    pub skipped: Vec<(String, String)>,
}

impl Dataset {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers these classes 0, 1, …, as a model trained on them alone knows them; the others are forgotten.
    ///
    /// Every sample must be of one of them: what `classes` of a [`Spec`](crate::Spec) sees to.
    pub fn renumber(&mut self, classes: &[String]) {
        let old = |name: &String| self.classes.iter().position(|c| c == name);
        let numbers: Vec<Option<usize>> = classes.iter().map(old).collect();
        for label in self.labels.iter_mut().flatten() {
            let new = numbers.iter().position(|&n| n == Some(*label as usize));
            *label = new.unwrap_or_default() as u32;
        }
        self.classes = classes.to_vec();
    }
}

/// Bytes that may begin inside a larger buffer, so that an array is used where it was read, behind its header.
#[derive(Clone, Debug, Default)]
pub struct Bytes {
    buffer: Vec<u8>,
    start: usize,
}

impl Bytes {
    /// The bytes of `buffer` from `start` on; none if `start` lies behind its end.
    pub fn from_offset(buffer: Vec<u8>, start: usize) -> Self {
        let start = start.min(buffer.len());
        Self { buffer, start }
    }

    /// The bytes alone; copies only when they do not begin at the start of their buffer.
    pub fn into_vec(mut self) -> Vec<u8> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
        }
        self.buffer
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(buffer: Vec<u8>) -> Self {
        Self { buffer, start: 0 }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// What [`load`](crate::load) found, for a record or a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The format, recognized or named.
    pub format: Format,
    /// Names of all splits; empty where the data has none.
    pub splits: Vec<String>,
    /// Samples in the chosen split, before `classes`, `count` and `fraction`.
    pub available: usize,
    /// Samples loaded.
    pub loaded: usize,
    /// Samples loaded per class, in label order; empty for unlabelled data.
    pub per_class: Vec<usize>,
    /// Per sample its file name, or `file#index` in files of many.
    pub names: Vec<String>,
    /// Shape of one sample.
    pub sample_shape: Vec<usize>,
    /// Files that belong to no sample.
    pub other_files: usize,
    /// What a person should know: classes missing from the draw, samples left out.
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Values;

    #[test]
    fn classes_are_numbered_in_the_order_asked_for() {
        let mut dataset = Dataset {
            samples: Samples::new(vec![3, 1], Values::F32(vec![0.0; 3])).expect("three values"),
            inputs: Vec::new(),
            labels: Some(vec![3, 1, 3]),
            targets: None,
            classes: ["bird", "cat", "dog", "ship"].map(String::from).to_vec(),
            skipped: vec![],
        };
        dataset.renumber(&["ship", "cat"].map(String::from));
        assert_eq!(dataset.labels, Some(vec![0, 1, 0]));
        assert_eq!(dataset.classes, ["ship", "cat"]);
    }
}

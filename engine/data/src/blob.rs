//! A dataset as named blobs, as it is stored between steps.
//!
//! `samples.npy` (`uint8` or `float32`, sample axis first), `labels.npy` (`uint32`, absent for unlabelled data) and
//! `dataset.json` (names of classes and samples, what was skipped). The arrays can be opened with NumPy.

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Samples, Values};
use crate::error::DataError;
use crate::npy::{self, Data};

/// Name of the blob that holds the samples.
pub const SAMPLES: &str = "samples.npy";
/// Name of the blob that holds the labels.
pub const LABELS: &str = "labels.npy";
/// Name of the blob that holds the names.
pub const NAMES: &str = "dataset.json";

/// The parts of a dataset that are text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    classes: Vec<String>,
    names: Vec<String>,
    skipped: Vec<(String, String)>,
}

/// The blobs of a dataset by name.
pub fn to_blobs(dataset: &Dataset) -> Vec<(&'static str, Vec<u8>)> {
    let Dataset {
        samples,
        labels,
        classes,
        names,
        skipped,
    } = dataset;
    let samples = match samples.values() {
        Values::U8(bytes) => npy::write::<u8>(samples.shape(), bytes),
        Values::F32(floats) => npy::write(samples.shape(), floats),
    };
    let names = Texts {
        classes: classes.clone(),
        names: names.clone(),
        skipped: skipped.clone(),
    };
    let names = serde_json::to_vec(&names).expect("lists of strings have a JSON form");
    let mut blobs = vec![(SAMPLES, samples), (NAMES, names)];
    if let Some(labels) = labels {
        blobs.push((LABELS, npy::write(&[labels.len()], labels)));
    }
    blobs
}

/// The dataset whose blobs `take` hands out by name (`None`: there is no such blob). Samples of `uint8` are used where
/// they lie in their blob.
pub fn from_blobs(mut take: impl FnMut(&str) -> Option<Vec<u8>>) -> Result<Dataset, DataError> {
    let mut required = |name: &str| {
        take(name).ok_or_else(|| DataError::NoSuchFile {
            name: name.to_owned(),
            near: None,
        })
    };
    let (shape, data) = npy::read(required(SAMPLES)?, SAMPLES)?.into_parts();
    let values = match data {
        Data::U8(bytes) => Values::U8(bytes),
        Data::F32(floats) => Values::F32(floats),
        other => {
            return Err(DataError::malformed(
                SAMPLES,
                format!("{} found, uint8 or float32 expected", other.type_name()),
            ));
        }
    };
    let samples = Samples::new(shape, values)
        .ok_or_else(|| DataError::malformed(SAMPLES, "a scalar found, an axis of samples expected"))?;
    let Texts {
        classes,
        names,
        skipped,
    } = serde_json::from_slice(&required(NAMES)?).map_err(|error| DataError::malformed(NAMES, error.to_string()))?;
    if names.len() != samples.len() {
        let why = format!(
            "{} names found, one for each of {} samples expected",
            names.len(),
            samples.len()
        );
        return Err(DataError::malformed(NAMES, why));
    }
    let labels = take(LABELS)
        .map(|bytes| read_labels(bytes, samples.len(), classes.len()))
        .transpose()?;
    Ok(Dataset {
        samples,
        labels,
        classes,
        names,
        skipped,
    })
}

fn read_labels(bytes: Vec<u8>, samples: usize, classes: usize) -> Result<Vec<u32>, DataError> {
    let labels = match npy::read(bytes, LABELS)?.into_parts() {
        (shape, Data::U32(labels)) if shape == [samples] => labels,
        (shape, data) => {
            let why = format!(
                "{} of shape {shape:?} found, uint32 of [{samples}] expected",
                data.type_name()
            );
            return Err(DataError::malformed(LABELS, why));
        }
    };
    match labels.iter().position(|&label| label as usize >= classes) {
        None => Ok(labels),
        Some(index) => {
            let label = i64::from(labels[index]);
            Err(DataError::LabelOutOfRange {
                place: LABELS.into(),
                index,
                label,
                classes,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(values: Values, labels: Option<Vec<u32>>) -> Dataset {
        Dataset {
            samples: Samples::new(vec![2, 1, 2], values).expect("four values"),
            labels,
            classes: vec!["cat".into(), "dog".into()],
            names: vec!["1.png".into(), "2.png".into()],
            skipped: vec![("3.png".into(), "image file is empty".into())],
        }
    }

    /// Reads blobs after `change` of one of them.
    fn read(dataset: &Dataset, changed: &str, change: impl Fn(Vec<u8>) -> Option<Vec<u8>>) -> Result<Dataset, String> {
        let mut blobs: std::collections::BTreeMap<_, _> = to_blobs(dataset).into_iter().collect();
        from_blobs(|name| {
            let blob = blobs.remove(name)?;
            if name == changed { change(blob) } else { Some(blob) }
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn a_dataset_survives_its_blobs() {
        for labels in [None, Some(vec![1, 0])] {
            for values in [
                Values::U8(vec![1, 2, 3, 4].into()),
                Values::F32(vec![0.5, 1.0, 1.5, 2.0]),
            ] {
                let dataset = dataset(values, labels.clone());
                assert_eq!(read(&dataset, "", Some), Ok(dataset));
            }
        }
    }

    #[test]
    fn blobs_that_do_not_fit_together_are_refused() {
        let dataset = dataset(Values::U8(vec![1, 2, 3, 4].into()), Some(vec![1, 0]));
        let refused = |name, change: fn(Vec<u8>) -> Option<Vec<u8>>| read(&dataset, name, change).expect_err("refused");
        insta::assert_snapshot!(refused(SAMPLES, |_| None), @"`samples.npy`: no such file in the data");
        insta::assert_snapshot!(refused(SAMPLES, |_| Some(npy::write(&[4], &[1i32, 2, 3, 4]))), @"samples.npy: int32 found, uint8 or float32 expected");
        insta::assert_snapshot!(refused(SAMPLES, |_| Some(npy::write(&[3], &[1u8, 2, 3]))), @"dataset.json: 2 names found, one for each of 3 samples expected");
        insta::assert_snapshot!(refused(LABELS, |_| Some(npy::write(&[2], &[0u32, 2]))), @"labels.npy: label 2 of sample 1 is not in 0..2");
        insta::assert_snapshot!(refused(LABELS, |_| Some(npy::write(&[1], &[0u32]))), @"labels.npy: uint32 of shape [1] found, uint32 of [2] expected");
        insta::assert_snapshot!(refused(NAMES, |_| Some(b"[]".to_vec())), @"dataset.json: invalid length 0, expected struct Texts with 3 elements at line 1 column 2");
    }
}

//! A dataset as named blobs, as it is stored between steps.
//!
//! `samples-00000.npy`, … (`uint8` or `float32`, sample axis first, a few MiB each) are put on a shelf while they are made.
//! Beside them lie `dataset.json` (shape of all, how many samples a piece holds, names of classes, what was skipped),
//! `labels.npy` (`uint32`, absent for unlabelled data) and `names.json` (the samples' names, for people). Other labels than one class a sample are
//! `targets.npy` (`uint8` of 0 and 1 for several classes, `float32` for numbers), pieces `masks-00000.npy`, or `boxes.json`. Arrays can be opened with NumPy.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::field::Field;
use crate::npy::{self, Data};
use crate::samples::{Kind, MASKS, SAMPLES, Samples, Stored, piece_name};
use crate::targets::{Boxes, Targets};

/// Name of the blob that holds the labels.
pub const LABELS: &str = "labels.npy";
/// Name of the blob that holds labels of another kind, but for masks.
pub const TARGETS: &str = "targets.npy";
/// Name of the blob that holds boxes.
pub const BOXES: &str = "boxes.json";
/// Name of the blob that says what there is.
pub const FACTS: &str = "dataset.json";
/// Name of the blob that holds the samples' names.
pub const NAMES: &str = "names.json";

/// What the arrays do not say.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Facts {
    shape: Vec<usize>,
    floats: bool,
    /// The parts of a sample that is for several inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<Field>,
    /// Samples of each piece but the last.
    each: usize,
    classes: Vec<String>,
    skipped: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    targets: Option<TargetFacts>,
}

/// What the arrays of targets do not say.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TargetFacts {
    /// One column a class.
    Sets,
    /// What the columns are called.
    Numbers(Vec<String>),
    /// Height, width, and how many masks each piece but the last holds.
    Masks([usize; 3]),
    /// An entry a sample.
    Boxes,
}

impl TargetFacts {
    fn of(targets: &Targets) -> Self {
        match targets {
            Targets::Sets(_) => Self::Sets,
            Targets::Boxes(_) => Self::Boxes,
            Targets::Numbers { names, .. } => Self::Numbers(names.clone()),
            Targets::Masks(masks) => {
                let [height, width] = [1, 2].map(|axis| masks.shape().get(axis).copied().unwrap_or(1));
                Self::Masks([height, width, masks.each()])
            }
        }
    }
}

/// Whether a blob of this name holds a piece of the samples or masks: it is read in part, and never whole.
pub fn is_piece(name: &str) -> bool {
    [SAMPLES, MASKS]
        .iter()
        .any(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('-')))
}

/// The blobs beside the pieces, by name.
pub fn to_blobs(dataset: &Dataset, names: &[String]) -> Vec<(&'static str, Vec<u8>)> {
    let Dataset {
        samples,
        inputs,
        labels,
        targets,
        classes,
        skipped,
    } = dataset;
    let facts = Facts {
        shape: samples.shape().to_vec(),
        floats: samples.kind() == Kind::F32,
        inputs: inputs.clone(),
        each: samples.each(),
        classes: classes.clone(),
        skipped: skipped.clone(),
        targets: targets.as_ref().map(TargetFacts::of),
    };
    let json = |lists: Result<Vec<u8>, serde_json::Error>| lists.expect("numbers and strings have a JSON form");
    let mut blobs = vec![
        (FACTS, json(serde_json::to_vec(&facts))),
        (NAMES, json(serde_json::to_vec(names))),
    ];
    if let Some(labels) = labels {
        blobs.push((LABELS, npy::write(&[labels.len()], labels)));
    }
    let rows = |values: usize| [samples.len(), values / samples.len().max(1)];
    match targets {
        Some(Targets::Sets(bits)) => blobs.push((TARGETS, npy::write(&rows(bits.len()), bits))),
        Some(Targets::Numbers { values, .. }) => blobs.push((TARGETS, npy::write(&rows(values.len()), values))),
        Some(Targets::Boxes(boxes)) => blobs.push((BOXES, json(serde_json::to_vec(boxes)))),
        // They lie on the shelf already.
        Some(Targets::Masks(_)) | None => {}
    }
    blobs
}

/// The dataset whose blobs `find` knows by name (`None`: there is no such blob). Pieces are touched when a sample is asked for.
pub fn from_blobs(find: impl Fn(&str) -> Option<Arc<dyn Stored>>) -> Result<Dataset, DataError> {
    let required = |name: &str| {
        find(name).ok_or_else(|| DataError::NoSuchFile {
            name: name.to_owned(),
            near: None,
        })
    };
    let read = |blob: Arc<dyn Stored>, name: &str| blob.read().map_err(|why| DataError::malformed(name, why));
    let facts = read(required(FACTS)?, FACTS)?;
    let Facts {
        shape,
        floats,
        inputs,
        each,
        classes,
        skipped,
        targets,
    } = serde_json::from_slice(&facts).map_err(|error| DataError::malformed(FACTS, error.to_string()))?;
    let samples = *shape
        .first()
        .filter(|_| each > 0)
        .ok_or_else(|| DataError::malformed(FACTS, "a scalar found, an axis of samples expected"))?;
    let parts: usize = inputs.iter().map(Field::size).sum();
    if !inputs.is_empty() && shape[1..] != [parts] {
        let why = format!(
            "samples of shape {shape:?} found, {parts} values for {} expected",
            Field::listed(&inputs)
        );
        return Err(DataError::malformed(FACTS, why));
    }
    let pieces = |name: &str, each: usize| -> Result<Vec<Arc<dyn Stored>>, DataError> {
        let count = samples.div_ceil(each.max(1));
        (0..count).map(|index| required(&piece_name(name, index))).collect()
    };
    let labels = find(LABELS)
        .map(|blob| read_labels(read(blob, LABELS)?, samples, classes.len()))
        .transpose()?;
    let array = || read(required(TARGETS)?, TARGETS);
    let targets = match targets {
        None => None,
        Some(TargetFacts::Sets) => Some(Targets::Sets(read_sets(array()?, [samples, classes.len()])?)),
        Some(TargetFacts::Numbers(names)) => {
            let values = read_numbers(array()?, [samples, names.len()])?;
            Some(Targets::Numbers { names, values })
        }
        Some(TargetFacts::Boxes) => {
            let bytes = read(required(BOXES)?, BOXES)?;
            let boxes: Vec<Boxes> =
                serde_json::from_slice(&bytes).map_err(|error| DataError::malformed(BOXES, error.to_string()))?;
            let beyond = |boxes: &Boxes| {
                boxes
                    .objects
                    .iter()
                    .any(|object| object.class as usize >= classes.len())
            };
            if boxes.len() != samples || boxes.iter().any(beyond) {
                let why = format!(
                    "objects of {} samples found, of {samples} and {} classes expected",
                    boxes.len(),
                    classes.len()
                );
                return Err(DataError::malformed(BOXES, why));
            }
            Some(Targets::Boxes(boxes))
        }
        Some(TargetFacts::Masks([height, width, each])) => {
            let shape = vec![samples, height, width];
            Some(Targets::Masks(Samples::in_pieces(
                MASKS,
                shape,
                Kind::U8,
                each.max(1),
                pieces(MASKS, each)?,
            )))
        }
    };
    let kind = if floats { Kind::F32 } else { Kind::U8 };
    Ok(Dataset {
        samples: Samples::in_pieces(SAMPLES, shape, kind, each, pieces(SAMPLES, each)?),
        inputs,
        labels,
        targets,
        classes,
        skipped,
    })
}

fn read_sets(bytes: Vec<u8>, wanted: [usize; 2]) -> Result<Vec<u8>, DataError> {
    match npy::read(bytes, TARGETS)?.into_parts() {
        (shape, Data::U8(bits)) if shape == wanted => Ok(bits.into_vec()),
        (shape, data) => Err(other_targets("uint8", wanted, data.type_name(), &shape)),
    }
}

fn read_numbers(bytes: Vec<u8>, wanted: [usize; 2]) -> Result<Vec<f32>, DataError> {
    match npy::read(bytes, TARGETS)?.into_parts() {
        (shape, Data::F32(values)) if shape == wanted => Ok(values),
        (shape, data) => Err(other_targets("float32", wanted, data.type_name(), &shape)),
    }
}

fn other_targets(kind: &str, wanted: [usize; 2], found: &str, shape: &[usize]) -> DataError {
    DataError::malformed(
        TARGETS,
        format!("{found} of shape {shape:?} found, {kind} of {wanted:?} expected"),
    )
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::samples::{Memory, Shelf, Values};

    type Blobs = BTreeMap<String, Vec<u8>>;

    /// Three samples of two values in pieces of two.
    fn blobs(floats: bool, labels: Option<Vec<u32>>) -> Blobs {
        let piece = |values: &[u8]| {
            let shape = [values.len() / 2, 2];
            if floats {
                npy::write(&shape, &values.iter().map(|&v| f32::from(v) / 2.0).collect::<Vec<_>>())
            } else {
                npy::write(&shape, values)
            }
        };
        let pieces = [piece(&[1, 2, 3, 4]), piece(&[5, 6])];
        let stored = pieces.iter().map(|bytes| Memory.put("", bytes.clone()));
        let kind = if floats { Kind::F32 } else { Kind::U8 };
        let dataset = Dataset {
            samples: Samples::in_pieces(
                SAMPLES,
                vec![3, 2],
                kind,
                2,
                stored.collect::<Result<_, _>>().expect("memory"),
            ),
            inputs: Vec::new(),
            labels,
            targets: None,
            classes: vec!["cat".into(), "dog".into()],
            skipped: vec![("4.png".into(), "image file is empty".into())],
        };
        let names = ["1.png", "2.png", "3.png"].map(String::from);
        let rest = to_blobs(&dataset, &names);
        let rest = rest.into_iter().map(|(name, bytes)| (name.to_owned(), bytes));
        let pieces = pieces.into_iter().enumerate();
        pieces
            .map(|(i, bytes)| (piece_name(SAMPLES, i), bytes))
            .chain(rest)
            .collect()
    }

    fn open(blobs: &Blobs) -> Result<Dataset, DataError> {
        from_blobs(|name| Some(Arc::new(Arc::new(blobs.get(name)?.clone()))))
    }

    #[test]
    fn a_dataset_is_found_again_by_its_blobs() {
        for labels in [None, Some(vec![1, 0, 1])] {
            let dataset = open(&blobs(false, labels.clone())).expect("sound");
            assert_eq!((&dataset.labels, dataset.samples.shape()), (&labels, &[3, 2][..]));
            assert_eq!((dataset.classes.len(), dataset.skipped.len()), (2, 1));
            let all = dataset.samples.to_values().expect("sound");
            assert_eq!(all, Values::U8(vec![1, 2, 3, 4, 5, 6].into()));
        }
        let halves = open(&blobs(true, None)).expect("sound").samples;
        assert_eq!(
            halves.to_values().expect("sound"),
            Values::F32(vec![0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
        );
    }

    #[test]
    fn other_labels_are_found_again_too() {
        let again = |targets: Targets, classes: usize| {
            let memory = |bytes: Vec<u8>| Memory.put("", bytes).expect("memory");
            let samples = Samples::new(vec![2, 1], Values::U8(vec![1, 2].into())).expect("two values");
            let names = (0..classes).map(|class| class.to_string()).collect();
            let dataset = Dataset {
                samples,
                inputs: Vec::new(),
                labels: None,
                targets: Some(targets),
                classes: names,
                skipped: Vec::new(),
            };
            let mut blobs: BTreeMap<String, Arc<dyn Stored>> = to_blobs(&dataset, &[])
                .into_iter()
                .map(|(name, bytes)| (name.to_owned(), memory(bytes)))
                .collect();
            blobs.insert(piece_name(SAMPLES, 0), memory(npy::write::<u8>(&[2, 1], &[1, 2])));
            blobs.insert(piece_name(MASKS, 0), memory(npy::write::<u8>(&[2, 1, 1], &[0, 255])));
            assert!(blobs.keys().filter(|name| is_piece(name)).count() == 2);
            from_blobs(|name| blobs.get(name).cloned()).expect("sound").targets
        };
        assert!(matches!(again(Targets::Sets(vec![1, 1, 0, 1]), 2), Some(Targets::Sets(bits)) if bits == [1, 1, 0, 1]));
        let (names, values) = (vec!["a".to_owned()], vec![0.5, 1.5]);
        let found = again(Targets::Numbers { names, values }, 0);
        assert!(matches!(found, Some(Targets::Numbers { names, values }) if names == ["a"] && values == [0.5, 1.5]));
        let masks = Samples::new(vec![2, 1, 1], Values::U8(vec![0, 255].into())).expect("two masks");
        let Some(Targets::Masks(found)) = again(Targets::Masks(masks), 0) else {
            panic!("masks expected")
        };
        assert_eq!(found.to_values().expect("sound"), Values::U8(vec![0, 255].into()));
    }

    #[test]
    fn blobs_that_do_not_fit_together_are_refused() {
        let refused = |name: &str, bytes: Option<Vec<u8>>| {
            let mut blobs = blobs(false, Some(vec![1, 0, 1]));
            match bytes {
                Some(bytes) => blobs.insert(name.to_owned(), bytes),
                None => blobs.remove(name),
            };
            let read = open(&blobs).and_then(|dataset| dataset.samples.to_values());
            read.expect_err("refused").to_string()
        };
        insta::assert_snapshot!(refused("samples-00001.npy", None), @"`samples-00001.npy`: no such file in the data");
        insta::assert_snapshot!(refused("samples-00001.npy", Some(npy::write(&[1, 2], &[1i32, 2]))), @"samples-00001.npy: not an array of uint8 of shape [1, 2]");
        insta::assert_snapshot!(refused("samples-00000.npy", Some(npy::write(&[1, 2], &[1u8, 2]))), @"samples-00000.npy: not an array of uint8 of shape [2, 2]");
        insta::assert_snapshot!(refused(LABELS, Some(npy::write(&[3], &[0u32, 2, 0]))), @"labels.npy: label 2 of sample 1 is not in 0..2");
        insta::assert_snapshot!(refused(LABELS, Some(npy::write(&[1], &[0u32]))), @"labels.npy: uint32 of shape [1] found, uint32 of [3] expected");
        insta::assert_snapshot!(refused(FACTS, Some(b"[]".to_vec())), @"dataset.json: invalid length 0, expected struct Facts with 7 elements at line 1 column 2");
    }
}

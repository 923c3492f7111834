//! Readers of dataset formats: each lists the samples of a tree, so that sampling can choose before anything is decoded.

mod audio;
mod cifar;
mod folder;
mod idx;
mod list;
mod masks;
mod numpy;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::DataError;
use crate::field::Field;
use crate::spec::{Format, Spec, Split};
use crate::targets::Boxes;
use crate::tree::Tree;

/// The samples of the chosen split, not yet decoded.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    /// Names of all splits; empty where the data has none.
    pub splits: Vec<String>,
    /// The parts of a sample that is for several inputs.
    pub inputs: Vec<Field>,
    pub classes: Vec<String>,
    pub labels: Option<Vec<u32>>,
    /// Labels of another kind than one class a sample.
    pub truth: Option<Truth<'a>>,
    pub source: Source<'a>,
    pub skipped: Vec<(String, String)>,
    pub other_files: usize,
}

/// Labels of the listed samples, where these are not one class each.
#[derive(Debug)]
pub(crate) enum Truth<'a> {
    /// 1 for each class that a sample is of, `[samples, classes]`.
    Sets(Vec<u8>),
    /// `[samples, names]`.
    Numbers { names: Vec<String>, values: Vec<f32> },
    /// An image each.
    MaskFiles(Vec<String>),
    /// The objects in each image.
    Boxes(Vec<Boxes>),
    /// Masks of one stored shape `[height, width, 1]`.
    MaskRecords(Records<'a>),
}

/// Where the samples are.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// One image or sound file each.
    Files(Vec<String>),
    /// Files of many samples of one shape.
    Records(Records<'a>),
}

/// Samples of one stored shape in one or more files.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    pub parts: Vec<Part<'a>>,
    /// Shape of one stored sample.
    pub shape: Vec<usize>,
    /// Whether the stored shape is `[C, H, W]`.
    pub planar: bool,
}

/// The samples of one file.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub place: String,
    pub count: usize,
    pub values: PartValues<'a>,
}

#[derive(Debug)]
pub(crate) enum PartValues<'a> {
    /// Sample `i` begins at byte `start + i · stride`.
    Bytes {
        data: Cow<'a, [u8]>,
        start: usize,
        stride: usize,
    },
    /// Samples one after the other.
    Floats(Vec<f32>),
}

impl Source<'_> {
    pub fn len(&self) -> usize {
        match self {
            Self::Files(files) => files.len(),
            Self::Records(records) => records.parts.iter().map(|part| part.count).sum(),
        }
    }

    /// The name of a sample: its file, and its index there if the file holds many.
    pub fn name(&self, index: usize) -> String {
        match self {
            Self::Files(files) => files[index].clone(),
            Self::Records(records) => {
                let (part, index) = records.find(index);
                format!("{}#{index}", part.place)
            }
        }
    }
}

impl<'a> Records<'a> {
    /// The part that holds sample `index`, and its index there.
    pub fn find(&self, index: usize) -> (&Part<'a>, usize) {
        let mut index = index;
        for part in &self.parts {
            if index < part.count {
                return (part, index);
            }
            index -= part.count;
        }
        unreachable!("an index below the number of samples lies in one of the parts")
    }
}

/// Recognizes the format of a tree by the names and first bytes of its files.
pub fn detect(tree: &Tree) -> Result<Format, DataError> {
    let known = [
        (Format::Cifar10, cifar::is_cifar10(tree)),
        (Format::Cifar100, cifar::is_cifar100(tree)),
        (Format::Idx, idx::is_idx(tree)),
        (Format::Numpy, numpy::is_numpy(tree)),
        (Format::List, list::is_known(tree)),
        // Repositories of sounds hold pictures of them, too.
        (Format::Audio, audio::is_known(tree)),
        (Format::ImageFolder, folder::is_folder(tree)),
        (Format::Audio, audio::is_audio(tree)),
    ];
    known
        .iter()
        .find(|(_, fits)| *fits)
        .map(|(format, _)| *format)
        .ok_or_else(|| {
            unknown(
                tree,
                "fits no known format; expected CIFAR batches (data_batch_1.bin), IDX pairs (train-images-idx3-ubyte), \
         NumPy arrays (x_train.npy, or an .npz of one array an input), images or WAV files in class folders (train/dog/1.jpg)",
            )
        })
}

/// Lists the samples of `spec.split` in the given format.
pub(crate) fn list<'a>(tree: &'a Tree, spec: &'a Spec, format: Format) -> Result<Listing<'a>, DataError> {
    match format {
        Format::Auto => list(tree, spec, detect(tree)?),
        Format::Cifar10 => cifar::list(tree, spec, cifar::Variant::Ten),
        Format::Cifar100 => cifar::list(tree, spec, cifar::Variant::Hundred),
        Format::ImageFolder => folder::list(tree, spec),
        Format::List => list::list(tree, spec),
        Format::Audio => audio::list(tree, spec),
        Format::Idx => idx::list(tree, spec),
        Format::Numpy => numpy::list(tree, spec),
    }
}

/// An [`DataError::UnknownFormat`] that shows a few of the files there are.
fn unknown(tree: &Tree, expected: &str) -> DataError {
    let mut names: Vec<&str> = tree.names().take(3).collect();
    if tree.len() > 3 {
        names.push("…");
    }
    let found = format!("{}: {} files ({})", tree.origin(), tree.len(), names.join(", "));
    DataError::UnknownFormat {
        found,
        expected: expected.to_owned(),
    }
}

/// The last part of a name.
fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Parts of a dataset by split; `None` stands for data without splits.
type BySplit<T> = BTreeMap<Option<Split>, T>;

/// Names of the splits there are.
fn names<T>(parts: &BySplit<T>) -> Vec<String> {
    parts.keys().flatten().map(|split| split.name().to_owned()).collect()
}

/// The parts that `asked` means, in the order train, test, others by name.
fn choose<T>(parts: BySplit<T>, asked: Option<&Split>) -> Result<Vec<(Option<Split>, T)>, DataError> {
    let found = names(&parts);
    let wrong = |why: String| {
        Err(DataError::Split {
            why,
            found: found.clone(),
        })
    };
    match asked {
        None if parts.len() > 1 => wrong("several splits and none chosen; name one, or `all`".into()),
        None | Some(Split::All) => Ok(parts.into_iter().collect()),
        Some(_) if found.is_empty() => wrong("there is nothing to choose from; leave `split` out, or say `all`".into()),
        Some(asked) => {
            let chosen: Vec<_> = parts
                .into_iter()
                .filter(|(split, _)| {
                    split
                        .as_ref()
                        .is_some_and(|split| split.name().eq_ignore_ascii_case(asked.name()))
                })
                .collect();
            if chosen.is_empty() {
                wrong(format!("no split `{}`", asked.name()))
            } else {
                Ok(chosen)
            }
        }
    }
}

/// Refuses labels that name no class.
fn check_labels(labels: &[u32], classes: usize, place: &str) -> Result<(), DataError> {
    labels
        .iter()
        .position(|&label| label as usize >= classes)
        .map_or(Ok(()), |index| {
            let (place, label) = (place.to_owned(), i64::from(labels[index]));
            Err(DataError::LabelOutOfRange {
                place,
                index,
                label,
                classes,
            })
        })
}

/// Class names `0`, `1`, … for data that has only numbers.
fn numbered(labels: impl Iterator<Item = u32>) -> Vec<String> {
    labels
        .max()
        .map_or_else(Vec::new, |most| (0..=most).map(|class| class.to_string()).collect())
}

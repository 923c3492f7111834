//! NumPy arrays: samples and labels in an `.npz`, or in `.npy` files beside each other.
//!
//! Names tell the part of an array: one of its words is a role (`x`, `images`, `data`, … or `y`, `labels`, `target`, …), another
//! may be a split (`x_train`, `test_labels`), which may also be the folder (`val/images.npy`).

use std::borrow::Cow;

use super::{BySplit, Listing, Part, PartValues, Records, Source, base, choose, names, numbered, unknown};
use crate::error::DataError;
use crate::npy::{self, Array, Data};
use crate::spec::{Layout, Spec, Split};
use crate::tree::Tree;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Samples,
    Labels,
}

/// The split and role that a name tells, if it is a role at all.
fn parse_name(name: &str) -> Option<(Option<Split>, Role)> {
    let stem = base(name).strip_suffix(".npy")?.to_ascii_lowercase();
    let (mut role, mut split) = (None, None);
    for word in stem.split(['_', '-', '.']) {
        match word {
            "x" | "image" | "images" | "data" | "features" | "input" | "inputs" | "samples" => {
                role = Some(Role::Samples);
            }
            "y" | "label" | "labels" | "target" | "targets" | "classes" => role = Some(Role::Labels),
            _ if Split::is_customary(word) => split = Some(Split::from(word.to_owned())),
            _ => return None,
        }
    }
    if split.is_none() {
        split = name
            .rsplit('/')
            .nth(1)
            .filter(|folder| Split::is_customary(folder))
            .map(|folder| Split::from(folder.to_owned()));
    }
    role.map(|role| (split, role))
}

pub(super) fn is_numpy(tree: &Tree) -> bool {
    tree.names()
        .any(|name| matches!(parse_name(name), Some((_, Role::Samples))))
}

#[derive(Default)]
struct Pair<'a> {
    samples: Option<&'a str>,
    labels: Option<&'a str>,
}

pub(super) fn list<'a>(tree: &'a Tree, spec: &Spec) -> Result<Listing<'a>, DataError> {
    let mut pairs: BySplit<Pair<'a>> = BySplit::new();
    for name in tree.names() {
        let Some((split, role)) = parse_name(name) else {
            continue;
        };
        let pair = pairs.entry(split).or_default();
        let place = match role {
            Role::Samples => &mut pair.samples,
            Role::Labels => &mut pair.labels,
        };
        if let Some(first) = place.replace(name) {
            let (first, second) = (first.to_owned(), name.to_owned());
            return Err(DataError::Duplicate {
                name: "the same part of the data".into(),
                first,
                second,
            });
        }
    }
    pairs.retain(|_, pair| pair.samples.is_some());
    if pairs.is_empty() {
        return Err(unknown(
            tree,
            "no arrays of samples; expected names such as x_train.npy and y_train.npy, or x.npy and y.npy",
        ));
    }
    let splits = names(&pairs);
    let used: usize = pairs.values().map(|pair| 1 + usize::from(pair.labels.is_some())).sum();
    let mut most = Vec::new();
    for name in pairs.values().filter_map(|pair| pair.labels) {
        most.extend(read_labels(tree, name)?.into_iter().max());
    }
    let mut found: Option<Records<'a>> = None;
    let mut labels = Some(Vec::new());
    for (_, pair) in choose(pairs, spec.split.as_ref())? {
        let Some(name) = pair.samples else { continue };
        let records = read_samples(tree, name, spec.layout)?;
        let count = records.parts.iter().map(|part| part.count).sum::<usize>();
        match (&mut labels, pair.labels) {
            (Some(all), Some(labels)) => {
                let values = read_labels(tree, labels)?;
                if values.len() != count {
                    let why = format!(
                        "{} labels found, one for each of the {count} samples in {name} expected",
                        values.len()
                    );
                    return Err(DataError::malformed(labels, why));
                }
                all.extend(values);
            }
            _ => labels = None,
        }
        match &mut found {
            None => found = Some(records),
            Some(all) if all.shape == records.shape => all.parts.extend(records.parts),
            Some(all) => {
                return Err(DataError::SizesDiffer {
                    first: all.parts.first().map_or_else(String::new, |part| part.place.clone()),
                    first_shape: format!("{:?}", all.shape),
                    second: name.to_owned(),
                    second_shape: format!("{:?}", records.shape),
                });
            }
        }
    }
    let Some(records) = found else {
        return Err(DataError::NoSamples {
            place: tree.origin().to_owned(),
            why: "no array was chosen".into(),
        });
    };
    let classes = if labels.is_some() {
        numbered(most.into_iter())
    } else {
        Vec::new()
    };
    let source = Source::Records(records);
    Ok(Listing {
        splits,
        classes,
        labels,
        source,
        skipped: Vec::new(),
        other_files: tree.len() - used,
    })
}

fn read_samples<'a>(tree: &'a Tree, name: &str, layout: Layout) -> Result<Records<'a>, DataError> {
    let (shape, data) = npy::read(tree.read(name)?.into_owned(), name)?.into_parts();
    let Some((&count, sample)) = shape.split_first() else {
        return Err(DataError::malformed(
            name,
            "a scalar found, an axis of samples expected",
        ));
    };
    let mut sample = sample.to_vec();
    let bytes = matches!(data, Data::U8(_));
    let wanted = match layout {
        Layout::Hwc | Layout::Chw => Some(3),
        Layout::Hw => Some(2),
        Layout::Auto => None,
    };
    if wanted.is_some_and(|axes| axes != sample.len()) {
        let why = format!("array of shape {shape:?} does not fit the `layout`");
        return Err(DataError::malformed(name, why));
    }
    if layout == Layout::Hw || (layout == Layout::Auto && bytes && sample.len() == 2) {
        sample.push(1);
    }
    let stride = sample.iter().product();
    let values = match data {
        Data::U8(bytes) => PartValues::Bytes {
            data: Cow::Owned(bytes.into_vec()),
            start: 0,
            stride,
        },
        Data::F32(floats) => PartValues::Floats(floats),
        other => PartValues::Floats(other.to_f32()),
    };
    let parts = vec![Part {
        place: name.to_owned(),
        count,
        values,
    }];
    Ok(Records {
        parts,
        shape: sample,
        planar: layout == Layout::Chw,
    })
}

/// Labels as class indices: integers of shape `[N]` or `[N, 1]`, or one-hot rows `[N, C]`.
fn read_labels(tree: &Tree, name: &str) -> Result<Vec<u32>, DataError> {
    /// Class names are listed; this bounds the list.
    const MOST_CLASSES: i64 = 1 << 20;
    let array = npy::read(tree.read(name)?.into_owned(), name)?;
    let Some(values) = array.data().to_integers() else {
        return Err(DataError::malformed(name, "labels that are not integers"));
    };
    let values = match *array.shape() {
        [_] | [_, 1] => values,
        [_, classes] if classes > 0 => from_one_hot(&array, &values, classes, name)?,
        _ => {
            return Err(DataError::malformed(
                name,
                format!(
                    "labels of shape {:?}; [N], [N, 1] or one-hot [N, C] expected",
                    array.shape()
                ),
            ));
        }
    };
    match values.iter().position(|label| !(0..MOST_CLASSES).contains(label)) {
        None => Ok(values.into_iter().map(|label| label as u32).collect()),
        Some(index) => Err(DataError::LabelOutOfRange {
            place: name.to_owned(),
            index,
            label: values[index],
            classes: MOST_CLASSES as usize,
        }),
    }
}

fn from_one_hot(array: &Array, values: &[i64], classes: usize, name: &str) -> Result<Vec<i64>, DataError> {
    values
        .chunks_exact(classes)
        .enumerate()
        .map(|(index, row)| {
            let hot = row.iter().position(|&value| value == 1);
            match hot {
                Some(class) if row.iter().filter(|&&value| value != 0).count() == 1 => Ok(class as i64),
                _ => Err(DataError::malformed(
                    name,
                    format!(
                        "row {index} of labels {:?} is not one-hot (a single 1, else 0)",
                        array.shape()
                    ),
                )),
            }
        })
        .collect()
}

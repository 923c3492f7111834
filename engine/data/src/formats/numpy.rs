//! NumPy arrays: samples and labels in an `.npz`, or in `.npy` files beside each other.
//!
//! Names tell the part of an array: one of its words is a role (`x`, `images`, `data`, … or `y`, `labels`, `target`, …), another
//! may be a split (`x_train`, `test_labels`), which may also be the folder (`val/images.npy`). Where no array has the role of samples, or the recipe
//! says so, each array beside the labels is for the input of its name ([`inputs`]).

mod inputs;
mod labels;

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{BySplit, Listing, Part, PartValues, Records, Source, base, choose, names, numbered, unknown};
use crate::error::DataError;
use crate::field::Field;
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
        || inputs::are_named(tree)
}

/// The arrays of a split.
#[derive(Default)]
struct Group<'a> {
    /// By the input that they are for; without a name where a sample is one array.
    samples: BTreeMap<Option<String>, &'a str>,
    labels: Option<&'a str>,
}

/// The arrays of each split by their names.
fn groups<'a>(tree: &'a Tree, spec: &Spec) -> Result<BySplit<Group<'a>>, DataError> {
    let mut groups: BySplit<Group<'a>> = BySplit::new();
    let mut put = |split: Option<Split>, input: Option<Option<String>>, name: &'a str| {
        let group = groups.entry(split).or_default();
        let before = match input {
            Some(input) => group.samples.insert(input, name),
            None => group.labels.replace(name),
        };
        before.map_or(Ok(()), |first| {
            Err(DataError::Duplicate {
                name: "the same part of the data".into(),
                first: first.to_owned(),
                second: name.to_owned(),
            })
        })
    };
    let by_name = inputs::Named::of(tree, spec);
    for name in tree.names() {
        let role = parse_name(name);
        match (by_name.as_ref().and_then(|named| named.input(name)), role) {
            (Some((split, input)), _) => put(split, Some(Some(input)), name)?,
            (None, Some((split, Role::Labels))) => put(split, None, name)?,
            (None, Some((split, Role::Samples))) if by_name.is_none() => put(split, Some(None), name)?,
            (None, _) => {}
        }
    }
    groups.retain(|_, group| !group.samples.is_empty());
    if let Some(named) = &by_name {
        named.demand_all(tree, groups.values().map(|group| &group.samples))?;
    }
    if groups.is_empty() {
        return Err(unknown(
            tree,
            "no arrays of samples; expected names such as x_train.npy and y_train.npy, or x.npy and y.npy, or one array for each input of the model",
        ));
    }
    Ok(groups)
}

pub(super) fn list<'a>(tree: &'a Tree, spec: &Spec) -> Result<Listing<'a>, DataError> {
    let pairs = groups(tree, spec)?;
    let splits = names(&pairs);
    let used = |group: &Group<'_>| group.samples.len() + usize::from(group.labels.is_some());
    let used: usize = pairs.values().map(used).sum();
    let arrays: Vec<(&str, Array)> = pairs
        .values()
        .filter_map(|pair| pair.labels)
        .map(|name| Ok((name, npy::read(tree.read(name)?.into_owned(), name)?)))
        .collect::<Result<_, DataError>>()?;
    let kind = labels::Kind::of(spec.labels, &arrays)?;
    let mut arrays: BTreeMap<&str, Array> = arrays.into_iter().collect();
    let mut most = Vec::new();
    if kind == labels::Kind::Class {
        for (name, array) in &arrays {
            most.extend(labels::classes(array, name)?.into_iter().max());
        }
    }
    let (mut found, mut fields): (Option<Records<'a>>, Vec<Field>) = (None, Vec::new());
    let (mut labels, mut others) = (Some(Vec::new()), Vec::new());
    for (_, pair) in choose(pairs, spec.split.as_ref())? {
        let Some(name) = pair.samples.values().next() else {
            continue;
        };
        let (records, parts) = inputs::read(tree, &pair.samples, spec)?;
        let count = records.parts.iter().map(|part| part.count).sum::<usize>();
        if !fields.is_empty() && fields != parts {
            let shapes = [&fields, &parts].map(|parts| Field::listed(parts));
            let why = format!("samples are {}, those of another split {}", shapes[1], shapes[0]);
            return Err(DataError::malformed(*name, why));
        }
        fields = parts;
        match (
            &mut labels,
            pair.labels.and_then(|own| Some((own, arrays.remove(own)?))),
        ) {
            (Some(all), Some((own, array))) => {
                let rows = array.shape().first().copied().unwrap_or(0);
                if rows != count {
                    let why = format!("{rows} labels found, one for each of the {count} samples in {name} expected");
                    return Err(DataError::malformed(own, why));
                }
                if kind == labels::Kind::Class {
                    all.extend(labels::classes(&array, own)?);
                } else {
                    others.push((own, array));
                }
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
                    second: (*name).to_owned(),
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
    let (truth, columns) = match labels {
        Some(_) if kind != labels::Kind::Class => labels::truth(kind, others)?,
        _ => (None, 0),
    };
    let labels = labels.filter(|_| kind == labels::Kind::Class);
    let classes = match (&labels, kind) {
        (Some(_), _) => numbered(most.into_iter()),
        (None, labels::Kind::Sets) => (0..columns).map(|class| class.to_string()).collect(),
        (None, _) => Vec::new(),
    };
    let source = Source::Records(records);
    Ok(Listing {
        splits,
        inputs: fields,
        classes,
        labels,
        truth,
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

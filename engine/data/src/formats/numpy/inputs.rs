//! Arrays that are for the inputs of a model by name, joined to one row a sample.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Part, PartValues, Records, Role, base, parse_name, read_samples};
use crate::error::DataError;
use crate::field::Field;
use crate::npy;
use crate::spec::{Layout, Spec, Split};
use crate::suggest::nearest;
use crate::tree::Tree;

/// More arrays than a model has inputs: files of one sample each.
const MOST: usize = 64;

/// Which array is for which input.
pub(super) enum Named {
    /// What the recipe says: the input by its array.
    Told(BTreeMap<String, String>),
    /// Every array that holds no labels is for the input of its name.
    Each,
}

impl Named {
    /// How arrays are named: as the recipe says, or after inputs where none is called as samples are. `None`: a sample is one array.
    pub fn of(tree: &Tree, spec: &Spec) -> Option<Self> {
        match &spec.inputs {
            Some(inputs) => Some(Self::Told(
                inputs
                    .pairs()
                    .map(|(input, array)| (array.to_owned(), input.to_owned()))
                    .collect(),
            )),
            None => are_named(tree).then_some(Self::Each),
        }
    }

    /// The split of an array, and the input that it is for.
    pub fn input(&self, name: &str) -> Option<(Option<Split>, String)> {
        let whole = base(name).strip_suffix(".npy")?;
        let (split, rest) = split_of(name, whole);
        match self {
            Self::Told(inputs) => match (inputs.get(whole), inputs.get(rest)) {
                (Some(input), _) => Some((folder(name), input.clone())),
                (None, Some(input)) => Some((split, input.clone())),
                (None, None) => None,
            },
            Self::Each if matches!(parse_name(name), Some((_, Role::Labels))) || rest.is_empty() => None,
            Self::Each => Some((split, rest.to_owned())),
        }
    }

    /// Refuses data that lack an array which the recipe names.
    pub fn demand_all<'s>(
        &self,
        tree: &Tree,
        groups: impl Iterator<Item = &'s BTreeMap<Option<String>, &'s str>>,
    ) -> Result<(), DataError> {
        let Self::Told(inputs) = self else { return Ok(()) };
        let groups: Vec<_> = groups.collect();
        let lacks =
            |input: &String| groups.is_empty() || groups.iter().any(|group| !group.contains_key(&Some(input.clone())));
        let Some((array, _)) = inputs.iter().find(|(_, input)| lacks(input)) else {
            return Ok(());
        };
        let known: Vec<&str> = tree
            .names()
            .filter_map(|name| base(name).strip_suffix(".npy"))
            .collect();
        let near =
            nearest(array, known.iter().copied()).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        Err(DataError::Setting {
            key: "inputs",
            why: format!(
                "no array `{array}` in each split of the data, which have {}{near}",
                crate::sample::shortened(&known)
            ),
        })
    }
}

/// Whether the data are arrays named after inputs: all of them arrays in one place, and none called as samples are.
pub(super) fn are_named(tree: &Tree) -> bool {
    let mut arrays = 0;
    for name in tree.names() {
        if name.strip_suffix(".npy").is_none() || matches!(parse_name(name), Some((_, Role::Samples))) {
            return false;
        }
        arrays += usize::from(Named::Each.input(name).is_some());
    }
    (1..=MOST).contains(&arrays)
}

/// The split that a folder is called after.
fn folder(name: &str) -> Option<Split> {
    let folder = name.rsplit('/').nth(1)?;
    Split::is_customary(folder).then(|| Split::from(folder.to_owned()))
}

/// The split at the start or end of a name, or that of its folder, and the rest of the name.
fn split_of<'a>(name: &str, stem: &'a str) -> (Option<Split>, &'a str) {
    let marks = ['_', '-', '.'];
    let last = stem.rsplit_once(marks).map(|(rest, word)| (word, rest));
    for (word, rest) in [Some((stem, "")), last, stem.split_once(marks)].into_iter().flatten() {
        if Split::is_customary(word) {
            return (Some(Split::from(word.to_owned())), rest);
        }
    }
    (folder(name), stem)
}

/// Samples of a split. Several arrays become one row a sample, whose parts are returned beside.
pub(super) fn read<'a>(
    tree: &'a Tree,
    arrays: &BTreeMap<Option<String>, &'a str>,
    spec: &Spec,
) -> Result<(Records<'a>, Vec<Field>), DataError> {
    if let (1, Some(name)) = (arrays.len(), arrays.values().next()) {
        return Ok((read_samples(tree, name, spec.layout)?, Vec::new()));
    }
    if let Some(key) = spec.of_pictures() {
        let inputs: Vec<&str> = arrays.keys().flatten().map(String::as_str).collect();
        let why = format!(
            "is for samples of one array, these have one for each of {}; store them as the model takes them, or remove it",
            inputs.join(", ")
        );
        return Err(DataError::Setting { key, why });
    }
    let (mut fields, mut all) = (Vec::new(), Vec::new());
    for (input, name) in arrays {
        // Only pictures have an order of axes.
        let layout = if spec.layout == Layout::Auto || axes(tree, name)? == 4 {
            spec.layout
        } else {
            Layout::Auto
        };
        let records = read_samples(tree, name, layout)?;
        let shape = match records.shape[..] {
            [channels, height, width] if records.planar => vec![height, width, channels],
            _ => records.shape.clone(),
        };
        let name = input.clone().unwrap_or_default();
        fields.push(Field { name, shape });
        all.push(records);
    }
    let parts = || all.iter().filter_map(|records| records.parts.first());
    let (place, count) = parts().next().map_or(("", 0), |part| (part.place.as_str(), part.count));
    if let Some(other) = parts().find(|part| part.count != count) {
        let why = format!("{} samples found, {count} in {place}", other.count);
        return Err(DataError::malformed(other.place.clone(), why));
    }
    let place = parts().map(|part| part.place.as_str()).collect::<Vec<_>>().join(" + ");
    let values = joined(&all, count);
    let part = Part { place, count, values };
    let records = Records {
        parts: vec![part],
        shape: vec![fields.iter().map(Field::size).sum()],
        planar: false,
    };
    Ok((records, fields))
}

/// How many axes an array has.
fn axes(tree: &Tree, name: &str) -> Result<usize, DataError> {
    Ok(npy::read(tree.read(name)?.into_owned(), name)?.shape().len())
}

/// The values of all arrays, sample by sample: bytes where all are bytes.
fn joined<'a>(all: &[Records<'_>], count: usize) -> PartValues<'a> {
    let bytes: Option<Vec<&[u8]>> = all
        .iter()
        .map(|records| match &records.parts.first()?.values {
            PartValues::Bytes { data, start, .. } => Some(&data[*start..]),
            PartValues::Floats(_) => None,
        })
        .collect();
    if let Some(bytes) = bytes {
        let data = rows(all, &bytes, count);
        return PartValues::Bytes {
            stride: data.len() / count.max(1),
            data: Cow::Owned(data),
            start: 0,
        };
    }
    let values = all.iter().filter_map(|records| records.parts.first());
    let floats: Vec<Cow<'_, [f32]>> = values
        .map(|part| match &part.values {
            PartValues::Bytes { data, start, .. } => data[*start..].iter().map(|&byte| f32::from(byte)).collect(),
            PartValues::Floats(floats) => Cow::Borrowed(floats.as_slice()),
        })
        .collect();
    let floats: Vec<&[f32]> = floats.iter().map(AsRef::as_ref).collect();
    PartValues::Floats(rows(all, &floats, count))
}

/// What belongs to each sample in the arrays, channels last.
fn rows<T: Copy + Default>(all: &[Records<'_>], arrays: &[&[T]], count: usize) -> Vec<T> {
    let of = |sample: usize| {
        let part = move |(records, array): (&Records<'_>, &&[T])| {
            let size = records.shape.iter().product::<usize>();
            let channels = if records.planar { records.shape[0] } else { 1 };
            records.channels_last(&array[sample * size..(sample + 1) * size], channels)
        };
        all.iter().zip(arrays).flat_map(part)
    };
    (0..count).flat_map(of).collect()
}

//! What an array of labels holds: classes, sets of classes, numbers, masks.

use std::borrow::Cow;

use crate::error::DataError;
use crate::formats::{Part, PartValues, Records, Truth};
use crate::npy::{Array, Data};
use crate::spec::Labels;
use crate::targets::Targets;

/// The kinds of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers `[N]` or `[N, 1]`, or rows with a single 1 `[N, C]`.
    Class,
    /// Rows of 0 and 1 `[N, C]`.
    Sets,
    /// `[N]` or `[N, K]`; `[N, K, 2]` and `[N, K, 3]` of points.
    Numbers,
    /// Whole numbers `[N, H, W]` or `[N, H, W, 1]`.
    Masks,
}

impl Kind {
    /// The kind that the recipe asks for, or that the arrays of all splits show together.
    pub fn of(asked: Labels, arrays: &[(&str, Array)]) -> Result<Self, DataError> {
        let mut shown = Self::Class;
        for (name, array) in arrays {
            let wrong = |expected: &str| {
                let why = format!(
                    "labels of shape {:?}; {expected} expected for `labels: {}`",
                    array.shape(),
                    asked.name()
                );
                Err(DataError::malformed(*name, why))
            };
            let axes = array.shape().len();
            let integers = array.data().to_integers();
            let kind = match asked {
                Labels::Class => Self::Class,
                Labels::Numbers if !(1..=3).contains(&axes) => return wrong("[N], [N, K], or points [N, K, 2],"),
                Labels::Numbers => Self::Numbers,
                Labels::Classes if axes != 2 => return wrong("rows of 0 and 1, [N, C]"),
                Labels::Classes => Self::Sets,
                Labels::Boxes => return wrong("annotations of COCO or VOC, named with `list`,"),
                Labels::Mask if !(3..=4).contains(&axes) => return wrong("whole numbers [N, H, W]"),
                Labels::Mask => Self::Masks,
                Labels::Auto => match (array.shape(), &integers) {
                    ([_, _, 2 | 3], _) if matches!(array.data(), Data::F32(_) | Data::F64(_)) => Self::Numbers,
                    ([_, _, _] | [_, _, _, 1], Some(_)) => Self::Masks,
                    ([_] | [_, _], None) => Self::Numbers,
                    ([_, columns], Some(values)) if *columns > 1 => {
                        let mut rows = values.chunks_exact(*columns);
                        let is_bits = values.iter().all(|value| (0..=1).contains(value));
                        match (is_bits, rows.all(|row| row.iter().sum::<i64>() == 1)) {
                            (true, true) => Self::Class,
                            (true, false) => Self::Sets,
                            (false, _) => Self::Numbers,
                        }
                    }
                    _ => Self::Class,
                },
            };
            // One split of rows with a single 1 and another of sets are sets.
            if kind != Self::Class {
                shown = kind;
            }
        }
        Ok(shown)
    }
}

/// The labels in arrays of another kind than classes, and how many columns they have.
pub(super) fn truth<'a>(kind: Kind, arrays: Vec<(&str, Array)>) -> Result<(Option<Truth<'a>>, usize), DataError> {
    let Some((first, array)) = arrays.first() else {
        return Ok((None, 0));
    };
    let sample = array.shape()[1..].to_vec();
    if let Some((other, array)) = arrays.iter().find(|(_, array)| array.shape()[1..] != sample) {
        let why = format!(
            "labels of shape {:?}, those in {first} are [N, …] of {sample:?}",
            array.shape()
        );
        return Err(DataError::malformed(*other, why));
    }
    let columns = sample.iter().product::<usize>();
    let truth = match kind {
        Kind::Class => None,
        Kind::Sets => {
            let bits = arrays.iter().map(|(name, array)| bytes(array, name, 1, "0 and 1"));
            Some(Truth::Sets(bits.collect::<Result<Vec<_>, _>>()?.concat()))
        }
        Kind::Numbers => {
            let mut values = Vec::new();
            for (name, array) in &arrays {
                let own = array.data().to_f32();
                if let Some(at) = own.iter().position(|value| !value.is_finite()) {
                    let why = format!(
                        "target {} of sample {} is {}; finite numbers expected",
                        at % columns.max(1),
                        at / columns.max(1),
                        own[at]
                    );
                    return Err(DataError::malformed(*name, why));
                }
                values.extend(own);
            }
            let names = match columns {
                1 => vec!["target".to_owned()],
                _ => (0..columns).map(|number| format!("target {number}")).collect(),
            };
            Some(Truth::Numbers { names, values })
        }
        Kind::Masks => {
            let mut parts = Vec::new();
            for (name, array) in &arrays {
                let data = bytes(array, name, i64::from(Targets::VOID), "0 to 255");
                parts.push(Part {
                    place: (*name).to_owned(),
                    count: array.shape()[0],
                    values: PartValues::Bytes {
                        data: Cow::Owned(data?),
                        start: 0,
                        stride: columns,
                    },
                });
            }
            let shape = vec![sample[0], sample[1], 1];
            let planar = false;
            Some(Truth::MaskRecords(Records { parts, shape, planar }))
        }
    };
    Ok((truth, columns))
}

/// The values of an array as bytes from 0 to `most`.
fn bytes(array: &Array, name: &str, most: i64, expected: &str) -> Result<Vec<u8>, DataError> {
    let values = array.data().to_integers();
    let values = values
        .ok_or_else(|| DataError::malformed(name, format!("labels that are not integers; {expected} expected")))?;
    let byte = |value: i64| u8::try_from(value).ok().filter(|byte| i64::from(*byte) <= most);
    values
        .iter()
        .map(|&value| {
            byte(value).ok_or_else(|| DataError::malformed(name, format!("label {value} found, {expected} expected")))
        })
        .collect()
}

/// Labels as class indices: integers of shape `[N]` or `[N, 1]`, or one-hot rows `[N, C]`.
pub(super) fn classes(array: &Array, name: &str) -> Result<Vec<u32>, DataError> {
    /// Class names are listed; this bounds the list.
    const MOST_CLASSES: i64 = 1 << 20;
    let Some(values) = array.data().to_integers() else {
        return Err(DataError::malformed(name, "labels that are not integers"));
    };
    let values = match *array.shape() {
        [_] | [_, 1] => values,
        [_, classes] if classes > 0 => from_one_hot(array, &values, classes, name)?,
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

//! The labels of the kept samples, where these are not one class each; masks go the way of their images, with the nearest pixel in place of new ones.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{Refusal, gather, picture_shape};
use crate::error::DataError;
use crate::formats::{Source, Truth};
use crate::image::{self, Pixels, Preparation};
use crate::resize::Picture;
use crate::samples::{Kind, MASKS, Samples, Shelf};
use crate::spec::{Method, Resize, Spec};
use crate::targets::Targets;
use crate::tree::Tree;

/// What is needed beside the labels.
pub(super) struct Around<'a> {
    pub tree: &'a Tree,
    pub spec: &'a Spec,
    pub source: &'a Source<'a>,
    /// Shape of one sample.
    pub sample: &'a [usize],
    pub shelf: &'a dyn Shelf,
}

/// The labels of the picked samples. The names of the classes of masks are completed by numbers.
pub(super) fn of_picks(
    truth: Truth<'_>,
    picks: &[usize],
    classes: &mut Vec<String>,
    around: &Around<'_>,
) -> Result<Targets, DataError> {
    Ok(match truth {
        Truth::Sets(bits) => Targets::Sets(rows(&bits, classes.len(), picks)),
        Truth::Numbers { names, values } => {
            let values = rows(&values, names.len(), picks);
            Targets::Numbers { names, values }
        }
        Truth::Boxes(boxes) => {
            if around.spec.crop.is_some() {
                let why = "would cut objects; use `resize: [height, width]` where samples have boxes";
                return Err(DataError::Setting {
                    key: "crop",
                    why: why.into(),
                });
            }
            Targets::Boxes(picks.iter().map(|&index| boxes[index].clone()).collect())
        }
        Truth::MaskFiles(files) => Targets::Masks(masks(picks, classes, around, |index| {
            let bytes = around.tree.read(&files[index]).map_err(|error| error.to_string())?;
            image::decode_mask(&bytes).map_err(|why| format!("{}: {why}", files[index]))
        })?),
        Truth::MaskRecords(records) => {
            let [height, width, channels] = picture_shape(&records)?;
            Targets::Masks(masks(picks, classes, around, |index| {
                match records.pixels(index, height, width, channels) {
                    Pixels::U8(picture) => Ok(picture),
                    Pixels::F32(_) => Err("masks of floats".into()),
                }
            })?)
        }
    })
}

fn rows<T: Copy>(values: &[T], width: usize, picks: &[usize]) -> Vec<T> {
    picks
        .iter()
        .flat_map(|&index| &values[index * width..(index + 1) * width])
        .copied()
        .collect()
}

/// Gathers masks: `one` gives the stored mask of a listed sample.
fn masks(
    picks: &[usize],
    classes: &mut Vec<String>,
    around: &Around<'_>,
    one: impl Fn(usize) -> Result<Picture<u8>, String> + Sync,
) -> Result<Samples, DataError> {
    let Around { spec, source, .. } = around;
    let &[height, width, ..] = around.sample else {
        let why = format!(
            "samples of shape {:?} are no images: masks have a class for each pixel",
            around.sample
        );
        return Err(DataError::Setting { key: "labels", why });
    };
    let preparation = Preparation {
        color: None,
        resize: spec.resize.map(|resize| Resize {
            method: Method::Nearest,
            ..resize
        }),
        crop: spec.crop,
    };
    let (most, void) = (AtomicU8::new(0), AtomicU8::new(0));
    let first: Mutex<Option<(usize, String)>> = Mutex::new(None);
    let write = |index: usize, place: &mut [u8]| {
        let mask = one(index).and_then(|mask| preparation.apply(Pixels::U8(mask)));
        let result = mask.and_then(|mask| match mask {
            Pixels::U8(mask) if mask.shape() == [height, width, 1] => numbered(&mask.pixels, spec, place),
            other => {
                let [h, w, _] = other.shape();
                Err(format!(
                    "its mask is {h}×{w}, the sample is {height}×{width}; set `resize` or `crop` to make them equal"
                ))
            }
        });
        match result {
            Ok([class, none]) => {
                most.fetch_max(class, Ordering::Relaxed);
                void.fetch_max(none, Ordering::Relaxed);
            }
            Err(why) => {
                let mut first = first.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if first.as_ref().is_none_or(|(known, _)| index < *known) {
                    *first = Some((index, why));
                }
            }
        }
        Ok::<(), Refusal>(())
    };
    let (samples, _) = gather(MASKS, picks, &[height, width], Kind::U8, around.shelf, write)?;
    if let Some((index, why)) = first.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(DataError::malformed(source.name(index), why));
    }
    let most = usize::from(most.into_inner());
    if spec.mask_values.is_none() && most == 0 && void.into_inner() > 0 {
        let why = "the masks hold 0 and 255 alone, and 255 stands for pixels without a class; where it is a class, say [0, 255]";
        return Err(DataError::Setting {
            key: "mask-values",
            why: why.into(),
        });
    }
    let count = spec.mask_values.as_ref().map_or(most + 1, Vec::len);
    if spec.class_names.is_some() && classes.len() <= most {
        let why = format!(
            "{} names found, the masks have pixels of {} classes",
            classes.len(),
            most + 1
        );
        let key = "class-names";
        return Err(DataError::Setting { key, why });
    }
    classes.extend((classes.len()..count).map(|class| class.to_string()));
    Ok(samples)
}

/// Writes the class of each pixel; gives the greatest class, and 1 where there are pixels without one.
fn numbered(pixels: &[u8], spec: &Spec, to: &mut [u8]) -> Result<[u8; 2], String> {
    let (mut most, mut void) = (0, 0);
    for (to, &value) in to.iter_mut().zip(pixels) {
        *to = match &spec.mask_values {
            None => value,
            Some(values) => match values.iter().position(|known| *known == value) {
                Some(class) => class as u8,
                None if value == Targets::VOID => Targets::VOID,
                None => return Err(format!("its mask holds {value}, which `mask-values` does not list")),
            },
        };
        if *to == Targets::VOID {
            void = 1;
        } else {
            most = most.max(*to);
        }
    }
    Ok([most, void])
}

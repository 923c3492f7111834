//! From a tree and settings to a dataset: list, sample, decode.
//!
//! Samples keep the order of the listing (split, class, name), drawn or not. Each is decoded straight into its place in a piece of
//! the result, in parallel, so that order and bytes do not depend on the number of threads. While one piece is decoded, the one before is put on
//! the shelf: memory does not grow with the number of samples.

mod choice;
mod look;
mod truth;

use rayon::prelude::*;

pub use self::look::{Look, look};

use self::choice::{named, part, pick, pool};
use crate::audio::Analysis;
use crate::dataset::{Dataset, Report};
use crate::error::DataError;
use crate::field::Field;
use crate::formats::{self, Listing, PartValues, Records, Source, Truth};
use crate::image::{self, Pixels, Preparation};
use crate::npy;
use crate::resize::Picture;
use crate::samples::{Kind, SAMPLES, Samples, Shelf, Stored, piece_name, reserve};
use crate::spec::{Color, Format, OnError, Spec, Split};
use crate::targets::Targets;
use crate::tree::Tree;

/// Samples that one task decodes at least; smaller ones would cost more to hand out than to do.
const LEAST_PER_TASK: usize = 16;

/// Bytes of a piece: many samples, and little beside a model.
const PIECE: usize = 8 << 20;

/// The settings with the format that the data have, for a listing of all that is divided later.
fn recognized(tree: &Tree, spec: &Spec) -> Result<Spec, DataError> {
    spec.check()?;
    let format = match spec.format {
        Format::Auto if spec.list.is_some() => Format::List,
        Format::Auto => formats::detect(tree)?,
        named => named,
    };
    let known = Spec {
        format,
        split: spec.test_share.map_or_else(|| spec.split.clone(), |_| Some(Split::All)),
        ..spec.clone()
    };
    // What was recognized may have no use for a setting.
    known.check()?;
    Ok(known)
}

/// The samples that `spec` asks for, before any is decoded.
struct Chosen<'a> {
    spec: &'a Spec,
    splits: Vec<String>,
    inputs: Vec<Field>,
    classes: Vec<String>,
    labels: Option<Vec<u32>>,
    truth: Option<Truth<'a>>,
    source: Source<'a>,
    skipped: Vec<(String, String)>,
    other_files: usize,
    available: usize,
    /// Positions in the listing, ascending.
    picks: Vec<usize>,
    warnings: Vec<String>,
}

impl<'a> Chosen<'a> {
    /// Lists and draws; `known` is what [`recognized`] made of `spec`.
    fn of(tree: &'a Tree, spec: &Spec, known: &'a Spec) -> Result<Self, DataError> {
        let format = known.format;
        let Listing {
            mut splits,
            inputs,
            mut classes,
            labels,
            truth,
            source,
            skipped,
            other_files,
        } = formats::list(tree, known, format)?;
        if source.len() == 0 {
            return Err(DataError::NoSamples {
                place: tree.origin().to_owned(),
                why: "the files hold none".into(),
            });
        }
        if let Source::Records(Records { parts, shape, .. }) = &source
            && shape.contains(&0)
        {
            let place = parts
                .first()
                .map_or_else(|| tree.origin().to_owned(), |part| part.place.clone());
            return Err(DataError::NoSamples {
                place,
                why: format!("the samples have shape {shape:?}"),
            });
        }
        if let (Format::Idx | Format::Numpy, Some(names)) = (format, &spec.class_names) {
            classes = named(names.read(tree)?, &classes)?;
        }
        let mut warnings = Vec::new();
        let pool = pool(spec, source.len(), labels.as_deref(), &mut splits)?;
        let pool = part(spec, pool, labels.as_deref())?;
        let of_pool: Option<Vec<u32>> = labels
            .as_ref()
            .map(|labels| pool.iter().map(|&index| labels[index]).collect());
        let available = pool.len();
        let mut picks = pick(spec, available, &classes, of_pool.as_deref(), &mut warnings)?;
        for index in &mut picks {
            *index = pool[*index];
        }
        Ok(Chosen {
            spec: known,
            splits,
            inputs,
            classes,
            labels,
            truth,
            source,
            skipped,
            other_files,
            available,
            picks,
            warnings,
        })
    }

    /// Decodes the first `count` of the picked samples.
    fn decoded(&self, tree: &Tree, count: usize, shelf: &dyn Shelf) -> Result<(Samples, Failures), DataError> {
        let spectrogram = self.spec.spectrogram.unwrap_or_default();
        let analysis = (self.spec.format == Format::Audio).then(|| Analysis::new(spectrogram));
        let picks = &self.picks[..count.min(self.picks.len())];
        decode(tree, self.spec, &self.source, picks, analysis.as_ref(), shelf)
    }
}

/// Loads what `spec` asks for onto a shelf, with an account of what was found.
pub fn load(tree: &Tree, spec: &Spec, shelf: &dyn Shelf) -> Result<(Dataset, Report), DataError> {
    let known = recognized(tree, spec)?;
    let chosen = Chosen::of(tree, spec, &known)?;
    let (samples, failures) = chosen.decoded(tree, usize::MAX, shelf)?;
    let Chosen {
        spec: &Spec { format, .. },
        splits,
        inputs,
        mut classes,
        labels,
        truth,
        source,
        mut skipped,
        other_files,
        available,
        mut picks,
        mut warnings,
    } = chosen;
    let total = picks.len();
    if let Some((first, why)) = failures.first()
        && (spec.on_error == OnError::Fail || failures.len() == total)
    {
        let (first, why) = (source.name(picks[*first]), why.clone());
        return Err(DataError::Undecodable {
            first,
            why,
            failed: failures.len(),
            total,
        });
    }
    if !failures.is_empty() {
        warnings.push(format!(
            "{} of {total} files do not decode and were left out",
            failures.len()
        ));
    }
    skipped.extend(
        failures
            .iter()
            .map(|(place, why)| (source.name(picks[*place]), why.clone())),
    );
    close_gaps(&mut picks, 1, failures.iter().map(|(place, _)| *place));
    let labels: Option<Vec<u32>> = labels.map(|labels| picks.iter().map(|&index| labels[index]).collect());
    let around = truth::Around {
        tree,
        spec,
        source: &source,
        sample: samples.sample_shape(),
        shelf,
    };
    let targets = truth
        .map(|truth| truth::of_picks(truth, &picks, &mut classes, &around))
        .transpose()?;
    let mut per_class = vec![0; if labels.is_some() { classes.len() } else { 0 }];
    for &label in labels.iter().flatten() {
        per_class[label as usize] += 1;
    }
    if let Some(Targets::Sets(bits)) = &targets {
        let of_class = |class: usize| {
            bits.iter()
                .skip(class)
                .step_by(classes.len())
                .filter(|&&bit| bit != 0)
                .count()
        };
        per_class = (0..classes.len()).map(of_class).collect();
    }
    let report = Report {
        format,
        splits,
        available,
        loaded: picks.len(),
        per_class,
        names: picks.iter().map(|&index| source.name(index)).collect(),
        sample_shape: samples.sample_shape().to_vec(),
        other_files,
        warnings,
    };
    Ok((
        Dataset {
            samples,
            inputs,
            labels,
            targets,
            classes,
            skipped,
        },
        report,
    ))
}

/// Positions in the list of picks that failed, ascending, with the reason.
type Failures = Vec<(usize, String)>;

/// Why one sample has no place in the result.
enum Refusal {
    Broken(String),
    OtherShape([usize; 3]),
}

/// Positions in the list of picks that have no place in the result, ascending.
type Refusals = Vec<(usize, Refusal)>;

/// Decodes the picked samples.
fn decode(
    tree: &Tree,
    spec: &Spec,
    source: &Source<'_>,
    picks: &[usize],
    analysis: Option<&Analysis>,
    shelf: &dyn Shelf,
) -> Result<(Samples, Failures), DataError> {
    let color = match source {
        Source::Files(_) => Some(spec.color.unwrap_or(Color::Rgb)),
        Source::Records(_) => spec.color,
    };
    let preparation = Preparation {
        color,
        resize: spec.resize,
        crop: spec.crop,
    };
    match source {
        Source::Files(files) => decode_all(source, picks, shelf, |index| {
            let bytes = tree.read(&files[index]).map_err(|error| error.to_string())?;
            match analysis {
                Some(analysis) => analysis.of(&bytes).map(Pixels::F32),
                None => preparation.apply(Pixels::U8(image::decode(&bytes)?)),
            }
        }),
        Source::Records(records) if preparation.is_nothing() && !records.planar => copy_all(records, picks, shelf),
        Source::Records(records) => {
            let [height, width, channels] = picture_shape(records)?;
            let prepared = decode_all(source, picks, shelf, |index| {
                preparation.apply(records.pixels(index, height, width, channels))
            });
            prepared.and_then(|(samples, failures)| match failures.into_iter().next() {
                None => Ok((samples, Vec::new())),
                // All records are of one shape: what one refuses, every one does.
                Some((_, why)) => Err(DataError::Setting { key: "dataset", why }),
            })
        }
    }
}

/// Height, width and channels of stored samples.
fn picture_shape(records: &Records<'_>) -> Result<[usize; 3], DataError> {
    match records.shape[..] {
        [channels, height, width] if records.planar => Ok([height, width, channels]),
        [height, width, channels] => Ok([height, width, channels]),
        _ => {
            let why = format!(
                "samples of shape {:?} are no images; remove `resize`, `crop` and `color`",
                records.shape
            );
            Err(DataError::Setting { key: "dataset", why })
        }
    }
}

impl Records<'_> {
    /// Sample `index`, channels last.
    fn pixels(&self, index: usize, height: usize, width: usize, channels: usize) -> Pixels {
        let (part, index) = self.find(index);
        let len = height * width * channels;
        match &part.values {
            PartValues::Bytes { data, start, stride } => {
                let first = start + index * stride;
                let pixels = self.channels_last(&data[first..first + len], channels);
                Pixels::U8(Picture {
                    height,
                    width,
                    channels,
                    pixels,
                })
            }
            PartValues::Floats(floats) => {
                let pixels = self.channels_last(&floats[index * len..(index + 1) * len], channels);
                Pixels::F32(Picture {
                    height,
                    width,
                    channels,
                    pixels,
                })
            }
        }
    }

    pub(crate) fn channels_last<T: Copy + Default>(&self, stored: &[T], channels: usize) -> Vec<T> {
        if !self.planar || stored.is_empty() {
            return stored.to_vec();
        }
        let mut pixels = vec![T::default(); stored.len()];
        for (channel, plane) in stored.chunks_exact(stored.len() / channels).enumerate() {
            for (pixel, &value) in pixels.chunks_exact_mut(channels).zip(plane) {
                pixel[channel] = value;
            }
        }
        pixels
    }
}

/// Copies stored samples as they are.
fn copy_all(records: &Records<'_>, picks: &[usize], shelf: &dyn Shelf) -> Result<(Samples, Failures), DataError> {
    let len: usize = records.shape.iter().product();
    let floats = records
        .parts
        .iter()
        .any(|part| matches!(part.values, PartValues::Floats(_)));
    let gathered = if floats {
        gather(
            SAMPLES,
            picks,
            &records.shape,
            Kind::F32,
            shelf,
            |index, place: &mut [f32]| {
                let (part, index) = records.find(index);
                match &part.values {
                    PartValues::Floats(floats) => place.copy_from_slice(&floats[index * len..(index + 1) * len]),
                    PartValues::Bytes { data, start, stride } => {
                        let bytes = &data[start + index * stride..][..len];
                        place
                            .iter_mut()
                            .zip(bytes)
                            .for_each(|(to, &byte)| *to = f32::from(byte));
                    }
                }
                Ok(())
            },
        )
    } else {
        gather(
            SAMPLES,
            picks,
            &records.shape,
            Kind::U8,
            shelf,
            |index, place: &mut [u8]| {
                let (part, index) = records.find(index);
                if let PartValues::Bytes { data, start, stride } = &part.values {
                    place.copy_from_slice(&data[start + index * stride..][..len]);
                }
                Ok(())
            },
        )
    };
    Ok((gathered?.0, Vec::new()))
}

/// Decodes the picked samples by `one`. The first that decodes gives the shape that all must have.
fn decode_all(
    source: &Source<'_>,
    picks: &[usize],
    shelf: &dyn Shelf,
    one: impl Fn(usize) -> Result<Pixels, String> + Sync,
) -> Result<(Samples, Failures), DataError> {
    let mut failures = Failures::new();
    let first = picks.iter().enumerate().find_map(|(place, &index)| match one(index) {
        Ok(pixels) => Some((index, pixels.shape(), matches!(pixels, Pixels::F32(_)))),
        Err(why) => {
            failures.push((place, why));
            None
        }
    });
    let Some((first, shape, floats)) = first else {
        return Ok((Samples::in_pieces(SAMPLES, vec![0], Kind::U8, 1, Vec::new()), failures));
    };
    let (samples, refusals) = if floats {
        gather(
            SAMPLES,
            picks,
            &shape,
            Kind::F32,
            shelf,
            |index, place: &mut [f32]| match one(index).map_err(Refusal::Broken)? {
                Pixels::F32(picture) if picture.shape() == shape => {
                    place.copy_from_slice(&picture.pixels);
                    Ok(())
                }
                other => Err(Refusal::OtherShape(other.shape())),
            },
        )?
    } else {
        gather(
            SAMPLES,
            picks,
            &shape,
            Kind::U8,
            shelf,
            |index, place: &mut [u8]| match one(index).map_err(Refusal::Broken)? {
                Pixels::U8(picture) if picture.shape() == shape => {
                    place.copy_from_slice(&picture.pixels);
                    Ok(())
                }
                other => Err(Refusal::OtherShape(other.shape())),
            },
        )?
    };
    failures.clear();
    for (place, refusal) in refusals {
        match refusal {
            Refusal::Broken(why) => failures.push((place, why)),
            Refusal::OtherShape(other) => {
                let show = |[height, width, channels]: [usize; 3]| format!("{height}×{width}×{channels}");
                let (first, second) = (source.name(first), source.name(picks[place]));
                return Err(DataError::SizesDiffer {
                    first,
                    first_shape: show(shape),
                    second,
                    second_shape: show(other),
                });
            }
        }
    }
    Ok((samples, failures))
}

/// Fills piece after piece with the samples of `shape` that `one` writes; leaves out those that it refuses and lists them by position.
fn gather<T: npy::Element + Default + Send + Sync>(
    name: &'static str,
    picks: &[usize],
    shape: &[usize],
    kind: Kind,
    shelf: &dyn Shelf,
    one: impl Fn(usize, &mut [T]) -> Result<(), Refusal> + Sync,
) -> Result<(Samples, Refusals), DataError> {
    let len: usize = shape.iter().product();
    let each = (PIECE / (len * size_of::<T>())).clamp(1, picks.len().max(1));
    let mut stored: Vec<std::sync::Arc<dyn Stored>> = Vec::new();
    let (mut full, mut open): (Option<Vec<T>>, Vec<T>) = (None, Vec::new());
    let mut refusals = Refusals::new();
    let mut next = 0;
    while next < picks.len() || full.is_some() {
        let room = each - open.len() / len;
        let batch = &picks[next..(next + room).min(picks.len())];
        let (done, number) = (full.take(), stored.len());
        let put = || {
            done.map(|values| {
                let shape = [&[values.len() / len], shape].concat();
                let blob = piece_name(name, number);
                let put = shelf.put(&blob, npy::write(&shape, &values));
                put.map_err(|why| DataError::Shelf { name: blob, why })
            })
        };
        let (put, filled) = rayon::join(put, || fill(batch, len, &one));
        stored.extend(put.transpose()?);
        let (values, refused) = filled?;
        if open.is_empty() {
            open = values;
        } else {
            open.extend(values);
        }
        refusals.extend(refused.into_iter().map(|(place, refusal)| (next + place, refusal)));
        next += batch.len();
        if open.len() == each * len || (next == picks.len() && !open.is_empty()) {
            full = Some(std::mem::take(&mut open));
        }
    }
    let shape = [&[picks.len() - refusals.len()], shape].concat();
    Ok((Samples::in_pieces(name, shape, kind, each, stored), refusals))
}

/// Fills one array with the samples that `one` writes; leaves out those that it refuses and lists them by position.
fn fill<T: Copy + Default + Send>(
    picks: &[usize],
    len: usize,
    one: impl Fn(usize, &mut [T]) -> Result<(), Refusal> + Sync,
) -> Result<(Vec<T>, Refusals), DataError> {
    let mut values = reserve(picks.len() * len)?;
    values.resize(picks.len() * len, T::default());
    let refusals: Refusals = values
        .par_chunks_exact_mut(len)
        .zip(picks)
        .enumerate()
        .with_min_len(LEAST_PER_TASK)
        .filter_map(|(place, (values, &index))| one(index, values).err().map(|refusal| (place, refusal)))
        .collect();
    close_gaps(&mut values, len, refusals.iter().map(|(place, _)| *place));
    Ok((values, refusals))
}

/// Removes the samples at the given positions (ascending) from an array of samples of `len` values.
fn close_gaps<T: Copy>(values: &mut Vec<T>, len: usize, gaps: impl Iterator<Item = usize>) {
    let count = values.len() / len;
    let mut gaps = gaps.peekable();
    let first = gaps.peek().copied().unwrap_or(count);
    let mut kept = first;
    for place in first..count {
        if gaps.next_if_eq(&place).is_none() {
            values.copy_within(place * len..(place + 1) * len, kept * len);
            kept += 1;
        }
    }
    values.truncate(kept * len);
}

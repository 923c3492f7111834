//! The IDX files of MNIST and its relatives (format: LeCun, *The MNIST database*): two zero bytes, a type, the number of
//! axes, each axis as a big-endian `u32`, then the values. Images and labels are two files that pair up by name.

use std::borrow::Cow;

use super::{BySplit, Listing, Part, PartValues, Records, Source, base, choose, names, numbered, unknown};
use crate::error::DataError;
use crate::spec::{Spec, Split};
use crate::tree::Tree;

const U8: u8 = 8;

/// What a file of a pair holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Images,
    Labels,
}

/// The split and role that a name such as `t10k-images-idx3-ubyte` tells.
fn parse_name(name: &str) -> Option<(Option<Split>, Role)> {
    let name = base(name).to_ascii_lowercase();
    let (prefix, role) = match (name.split_once("images"), name.split_once("labels")) {
        (Some((prefix, _)), None) => (prefix, Role::Images),
        (None, Some((prefix, _))) => (prefix, Role::Labels),
        _ => return None,
    };
    let prefix = prefix.trim_end_matches(['-', '_', '.']);
    let split = match prefix {
        "" => None,
        _ if prefix.ends_with("train") => Some(Split::Train),
        _ if prefix.ends_with("t10k") || prefix.ends_with("test") => Some(Split::Test),
        _ => Some(Split::Named(prefix.to_owned())),
    };
    Some((split, role))
}

fn has_magic(tree: &Tree, name: &str) -> bool {
    matches!(tree.peek(name, 4).as_deref(), Ok([0, 0, 8..=14, 1..=4]))
}

pub(super) fn is_idx(tree: &Tree) -> bool {
    tree.names().any(|name| {
        !crate::tree::has_image_name(name)
            && matches!(parse_name(name), Some((_, Role::Images)))
            && has_magic(tree, name)
    })
}

/// The two files of a split.
#[derive(Default)]
struct Pair<'a> {
    images: Option<&'a str>,
    labels: Option<&'a str>,
}

pub(super) fn list<'a>(tree: &'a Tree, spec: &Spec) -> Result<Listing<'a>, DataError> {
    let mut pairs: BySplit<Pair<'a>> = BySplit::new();
    for name in tree.names().filter(|name| !crate::tree::has_image_name(name)) {
        let Some((split, role)) = parse_name(name) else {
            continue;
        };
        let pair = pairs.entry(split).or_default();
        let place = match role {
            Role::Images => &mut pair.images,
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
    pairs.retain(|_, pair| pair.images.is_some());
    if pairs.is_empty() {
        return Err(unknown(
            tree,
            "no IDX images; expected train-images-idx3-ubyte and train-labels-idx1-ubyte",
        ));
    }
    let splits = names(&pairs);
    let used: usize = pairs.values().map(|pair| 1 + usize::from(pair.labels.is_some())).sum();
    let mut most = Vec::new();
    for name in pairs.values().filter_map(|pair| pair.labels) {
        most.extend(read_labels(tree, name)?.into_iter().max());
    }
    let mut parts = Vec::new();
    let mut labels = Some(Vec::new());
    let mut shape: Option<(Vec<usize>, &str)> = None;
    for (_, pair) in choose(pairs, spec.split.as_ref())? {
        let Some(images) = pair.images else { continue };
        let Idx { sides, data, start } = Idx::read(tree, images)?;
        let (count, sample) = match sides[..] {
            [count, height, width] => (count, vec![height, width, 1]),
            [count, height, width, channels] => (count, vec![height, width, channels]),
            _ => {
                return Err(DataError::malformed(
                    images,
                    format!("{} axes found, 3 or 4 expected of images", sides.len()),
                ));
            }
        };
        let stride: usize = sample.iter().product();
        match &shape {
            Some((first_shape, first)) if *first_shape != sample => {
                return Err(DataError::SizesDiffer {
                    first: (*first).to_owned(),
                    first_shape: format!("{first_shape:?}"),
                    second: images.to_owned(),
                    second_shape: format!("{sample:?}"),
                });
            }
            _ => shape = Some((sample, images)),
        }
        match (&mut labels, pair.labels) {
            (Some(all), Some(name)) => {
                let found = read_labels(tree, name)?;
                if found.len() != count {
                    let why = format!(
                        "{} labels found, one for each of the {count} images in {images} expected",
                        found.len()
                    );
                    return Err(DataError::malformed(name, why));
                }
                all.extend(found);
            }
            _ => labels = None,
        }
        parts.push(Part {
            place: images.to_owned(),
            count,
            values: PartValues::Bytes { data, start, stride },
        });
    }
    let classes = if labels.is_some() {
        numbered(most.into_iter())
    } else {
        Vec::new()
    };
    let shape = shape.map_or_else(Vec::new, |(shape, _)| shape);
    let source = Source::Records(Records {
        parts,
        shape,
        planar: false,
    });
    Ok(Listing {
        splits,
        inputs: Vec::new(),
        classes,
        labels,
        truth: None,
        source,
        skipped: Vec::new(),
        other_files: tree.len() - used,
    })
}

fn read_labels(tree: &Tree, name: &str) -> Result<Vec<u32>, DataError> {
    let Idx { sides, data, start } = Idx::read(tree, name)?;
    if sides.len() != 1 {
        return Err(DataError::malformed(
            name,
            format!("{} axes found, 1 expected of labels", sides.len()),
        ));
    }
    Ok(data[start..].iter().map(|&label| u32::from(label)).collect())
}

/// A file of bytes; `data` behind `start` are exactly as many as the axes say.
struct Idx<'a> {
    sides: Vec<usize>,
    data: Cow<'a, [u8]>,
    start: usize,
}

impl<'a> Idx<'a> {
    fn read(tree: &'a Tree, name: &str) -> Result<Self, DataError> {
        let data = tree.read(name)?;
        let broken = |why: String| Err(DataError::malformed(name, why));
        let axes = match *data {
            [0, 0, U8, axes @ 1..=4, ..] => usize::from(axes),
            [0, 0, kind @ 9..=14, _, ..] => {
                let what = format!("IDX element type 0x{kind:02x}");
                return Err(DataError::Unsupported {
                    place: name.to_owned(),
                    what,
                    fix: "use unsigned bytes (type 0x08)",
                });
            }
            _ => {
                return broken(
                    "not an IDX file: it does not begin with 00 00 08 and a number of axes from 1 to 4".into(),
                );
            }
        };
        let start = 4 + 4 * axes;
        let Some(header) = data.get(4..start) else {
            return broken("the IDX header is truncated".into());
        };
        let (sides, _) = header.as_chunks::<4>();
        let sides: Vec<usize> = sides.iter().map(|&side| u32::from_be_bytes(side) as usize).collect();
        let claimed = sides
            .iter()
            .try_fold(1usize, |product, &side| product.checked_mul(side));
        let present = data.len() - start;
        if claimed != Some(present) {
            return broken(format!(
                "axes {sides:?} do not fit the {present} bytes behind the header: truncated or damaged"
            ));
        }
        Ok(Self { sides, data, start })
    }
}

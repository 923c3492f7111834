//! The HDF5 container, read at once into plain values.
//!
//! Nothing past this file knows HDF5. Two layouts are read: by layer name (`layer_names`, `weight_names`; whole models and the
//! older `save_weights`), and by object path (`layers/conv2d/vars/0`; `*.weights.h5`). Optimizer state is never touched.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use half::f16;
use hdf5_reader::group::Group;
use hdf5_reader::{Attribute, ByteOrder, Dataset, Datatype, Hdf5File, OpenOptions, StringSize};

use super::malformed;
use crate::FormatError;

/// Bytes with which an HDF5 file begins.
pub(super) const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

/// What a file holds.
#[derive(Debug)]
pub(super) struct Contents {
    /// The architecture as JSON; absent from files with weights only.
    pub model_config: Option<String>,
    /// The version of Keras that wrote the file.
    pub keras_version: Option<String>,
    /// The arrays.
    pub weights: StoredWeights,
}

/// The arrays of a file, in the order that the file states.
#[derive(Debug)]
pub(super) enum StoredWeights {
    /// Each layer of the outermost model with its arrays; those of a nested model are in one list.
    ByLayer(Vec<(String, Vec<Stored>)>),
    /// `layers/conv2d` (a path of attributes, not of layer names) with its arrays.
    ByObject(BTreeMap<String, Vec<Stored>>),
}

/// One array.
#[derive(Debug)]
pub(super) struct Stored {
    /// As in the file, for messages and matching.
    pub name: String,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// The values in row-major order, or what they are instead of floating point numbers.
    pub values: Result<Vec<f32>, String>,
}

/// Groups nested deeper than any model; also ends cycles of links.
const DEPTH: usize = 24;
/// Groups and arrays in all; more than any model, and an end to links that multiply.
const OBJECTS: usize = 200_000;

/// Reads a file.
///
/// Memory is bounded by [`budget`]. The HDF5 crate returns errors for what it finds malformed, and no mutated file has yet made it
/// panic; but its arithmetic is not ours to vouch for, so a panic is contained here, in this one place. Nothing outlives the
/// call but plain values.
pub(super) fn read(bytes: &[u8]) -> Result<Contents, FormatError> {
    catch_unwind(AssertUnwindSafe(|| Reader::new(bytes)?.contents()))
        .unwrap_or_else(|_| Err(malformed("the file", "is a corrupt HDF5 file")))
}

/// The most bytes that the arrays of a file may decode to: compressed weights rarely shrink to a tenth, zeros to a thousandth.
fn budget(file: usize) -> usize {
    file.saturating_mul(64).saturating_add(64 << 20)
}

struct Reader {
    file: Hdf5File,
    bytes_left: usize,
    objects_left: usize,
}

impl Reader {
    fn new(bytes: &[u8]) -> Result<Self, FormatError> {
        let limit = budget(bytes.len());
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(0)
            .with_max_chunk_bytes(limit)
            .with_max_read_bytes(limit)
            .with_max_object_header_bytes(bytes.len().saturating_add(1 << 16));
        let file = Hdf5File::from_bytes_with_options(bytes, options).map_err(|e| {
            malformed(
                "the file",
                format!("is not an HDF5 file ({e}); expected one that Keras saved as `.h5`"),
            )
        })?;
        Ok(Reader {
            file,
            bytes_left: limit,
            objects_left: OBJECTS,
        })
    }

    fn contents(mut self) -> Result<Contents, FormatError> {
        let root = self
            .file
            .root_group()
            .map_err(|e| malformed("the root group", e.to_string()))?;
        let attributes = attributes(&root, "the root group")?;
        let has_group = |name: &str| {
            root.member_names()
                .is_ok_and(|(groups, _)| groups.iter().any(|g| g == name))
        };
        let model_config = text(&attributes, "model_config")?;
        let mut keras_version = text(&attributes, "keras_version")?;
        let weights = if model_config.is_some() || has_group("model_weights") {
            let group = root.group("model_weights").map_err(|e| {
                malformed(
                    "model_weights",
                    format!("the group with the weights cannot be read: {e}"),
                )
            })?;
            let inner = self::attributes(&group, "model_weights")?;
            keras_version = keras_version.or(text(&inner, "keras_version")?);
            self.by_layer(&group, &inner)?
        } else if attributes.iter().any(|a| a.name.starts_with("layer_names")) {
            self.by_layer(&root, &attributes)?
        } else {
            let mut found = BTreeMap::new();
            self.by_object(&root, "", DEPTH, &mut found)?;
            // A network without weights still has a group per layer.
            if found.is_empty() && !has_group("layers") {
                let problem = "no weights of a Keras model were found; expected `model_weights`, `layer_names` or `layers/…/vars`";
                return Err(malformed("the file", problem));
            }
            StoredWeights::ByObject(found)
        };
        Ok(Contents {
            model_config,
            keras_version,
            weights,
        })
    }

    fn by_layer(&mut self, group: &Group, attributes: &[Attribute]) -> Result<StoredWeights, FormatError> {
        let mut layers = Vec::new();
        for layer in names(attributes, "layer_names")? {
            let place = format!("weights of layer `{layer}`");
            let inner = child(group, &layer, &place)?;
            let mut stored = Vec::new();
            for weight in names(&self::attributes(&inner, &place)?, "weight_names")? {
                let place = format!("{layer}: `{weight}`");
                stored.push(self.array(&dataset(&inner, &weight, &place)?, weight, &place)?);
            }
            layers.push((layer, stored));
        }
        Ok(StoredWeights::ByLayer(layers))
    }

    /// Collects `…/vars/0`, `…/vars/1` and so on below `group`, under the path of what holds `vars`.
    fn by_object(
        &mut self,
        group: &Group,
        path: &str,
        depth: usize,
        found: &mut BTreeMap<String, Vec<Stored>>,
    ) -> Result<(), FormatError> {
        let place = if path.is_empty() { "the root group" } else { path };
        let (groups, _) = group.member_names().map_err(|e| malformed(place, e.to_string()))?;
        if depth == 0 || self.objects_left < groups.len() {
            return Err(malformed(place, "groups are nested or linked without end"));
        }
        self.objects_left -= groups.len();
        for name in groups {
            let inner = child(group, &name, place)?;
            if name == "vars" {
                let stored = self.numbered(&inner, path)?;
                if !stored.is_empty() {
                    found.insert(path.to_owned(), stored);
                }
            } else if name != "optimizer" && name != "optimizer_weights" {
                let path = if path.is_empty() {
                    name
                } else {
                    format!("{path}/{name}")
                };
                self.by_object(&inner, &path, depth - 1, found)?;
            }
        }
        Ok(())
    }

    fn numbered(&mut self, vars: &Group, path: &str) -> Result<Vec<Stored>, FormatError> {
        let (_, datasets) = vars.member_names().map_err(|e| malformed(path, e.to_string()))?;
        let mut stored = Vec::new();
        for i in 0..datasets.len() {
            let name = i.to_string();
            let place = format!("{path}/vars/{name}");
            stored.push(self.array(&dataset(vars, &name, &place)?, place.clone(), &place)?);
        }
        Ok(stored)
    }

    fn array(&mut self, dataset: &Dataset, name: String, place: &str) -> Result<Stored, FormatError> {
        let bytes = dataset.raw_byte_len().map_err(|e| malformed(place, e.to_string()))?;
        if self.objects_left == 0 || bytes > self.bytes_left {
            let problem = format!("{bytes} bytes of values are more than a file of this size can mean");
            return Err(malformed(place, problem));
        }
        self.objects_left -= 1;
        self.bytes_left -= bytes;
        let shape: Vec<usize> = dataset
            .shape()
            .iter()
            .map(|&d| usize::try_from(d).unwrap_or(usize::MAX))
            .collect();
        let values = match dataset.dtype() {
            &Datatype::FloatingPoint { size, byte_order } if matches!(size, 2 | 4 | 8) => {
                let raw = dataset.read_raw_bytes().map_err(|e| malformed(place, e.to_string()))?;
                let values = floats(&raw, size, byte_order);
                if values.len() != shape.iter().fold(1, |n: usize, &d| n.saturating_mul(d)) {
                    return Err(malformed(
                        place,
                        format!("{} values do not fill the shape {shape:?}", values.len()),
                    ));
                }
                Ok(values)
            }
            Datatype::FloatingPoint { size, .. } => Err(format!("{size}-byte floating point")),
            Datatype::FixedPoint { size, signed, .. } => {
                Err(format!("{}int{}", if *signed { "" } else { "u" }, u32::from(*size) * 8))
            }
            other => {
                let text = format!("{other:?}");
                Err(text.split([' ', '{']).next().unwrap_or_default().to_lowercase())
            }
        };
        Ok(Stored { name, shape, values })
    }
}

/// Values of 2, 4 or 8 bytes as single precision; the HDF5 crate has no half precision.
fn floats(raw: &[u8], size: u8, order: ByteOrder) -> Vec<f32> {
    fn each<const N: usize>(raw: &[u8], order: ByteOrder, decode: fn([u8; N]) -> f32) -> Vec<f32> {
        let ordered = |mut bytes: [u8; N]| {
            if matches!(order, ByteOrder::BigEndian) {
                bytes.reverse();
            }
            decode(bytes)
        };
        raw.as_chunks::<N>().0.iter().map(|&bytes| ordered(bytes)).collect()
    }
    match size {
        2 => each(raw, order, |b: [u8; 2]| f16::from_le_bytes(b).to_f32()),
        4 => each(raw, order, f32::from_le_bytes),
        _ => each(raw, order, |b: [u8; 8]| f64::from_le_bytes(b) as f32),
    }
}

fn attributes(group: &Group, place: &str) -> Result<Vec<Attribute>, FormatError> {
    group
        .attributes()
        .map_err(|e| malformed(place, format!("attributes cannot be read: {e}")))
}

/// The strings of an attribute. Empty lists are written as arrays of no floats.
fn strings(attribute: &Attribute) -> Result<Vec<String>, FormatError> {
    if let Some(decoded) = &attribute.decoded_strings {
        return Ok(decoded.clone());
    }
    if attribute.shape.contains(&0) {
        return Ok(Vec::new());
    }
    let fixed = matches!(
        attribute.datatype,
        Datatype::String {
            size: StringSize::Fixed(_),
            ..
        }
    );
    let place = || format!("attribute `{}`", attribute.name);
    if !fixed {
        return Err(malformed(place(), "expected strings that can be read"));
    }
    attribute.read_strings().map_err(|e| malformed(place(), e.to_string()))
}

/// The one string of an attribute, if there is such an attribute.
fn text(attributes: &[Attribute], name: &str) -> Result<Option<String>, FormatError> {
    let Some(attribute) = attributes.iter().find(|a| a.name == name) else {
        return Ok(None);
    };
    match strings(attribute)?.as_slice() {
        [one] => Ok(Some(one.clone())),
        many => Err(malformed(
            format!("attribute `{name}`"),
            format!("expected one string, got {}", many.len()),
        )),
    }
}

/// A list of names. Lists beyond 64 KB are written in parts, `weight_names0`, `weight_names1`, … .
fn names(attributes: &[Attribute], name: &str) -> Result<Vec<String>, FormatError> {
    let find = |name: &str| attributes.iter().find(|a| a.name == name);
    if let Some(whole) = find(name) {
        return strings(whole);
    }
    let mut all = Vec::new();
    let mut parts = 0;
    while let Some(part) = find(&format!("{name}{parts}")) {
        all.extend(strings(part)?);
        parts += 1;
    }
    if parts == 0 {
        return Err(malformed(
            format!("attribute `{name}`"),
            "is missing; expected the list that Keras writes",
        ));
    }
    Ok(all)
}

fn child(group: &Group, name: &str, place: &str) -> Result<Group, FormatError> {
    // A layer's name may contain slashes, which HDF5 takes for nested groups.
    let mut group = group.clone();
    for part in name.split('/').filter(|p| !p.is_empty()).take(DEPTH) {
        group = group.group(part).map_err(|e| malformed(place, e.to_string()))?;
    }
    Ok(group)
}

fn dataset(group: &Group, path: &str, place: &str) -> Result<Dataset, FormatError> {
    let (groups, name) = path.rsplit_once('/').unwrap_or(("", path));
    child(group, groups, place)?
        .dataset(name)
        .map_err(|e| malformed(place, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_of_every_size_and_order_are_decoded() {
        let value = -1.5_f64;
        let half = f16::from_f64(value);
        assert_eq!(floats(&half.to_le_bytes(), 2, ByteOrder::LittleEndian), [-1.5]);
        assert_eq!(floats(&half.to_be_bytes(), 2, ByteOrder::BigEndian), [-1.5]);
        assert_eq!(floats(&(-1.5_f32).to_be_bytes(), 4, ByteOrder::BigEndian), [-1.5]);
        assert_eq!(floats(&value.to_le_bytes(), 8, ByteOrder::LittleEndian), [-1.5]);
    }

    #[test]
    fn other_files_are_refused() {
        insta::assert_snapshot!(read(b"").unwrap_err(), @"keras: the file: is not an HDF5 file (invalid HDF5 magic bytes); expected one that Keras saved as `.h5`");
        insta::assert_snapshot!(read(b"PK\x03\x04 a zip archive, as .keras files are").unwrap_err(), @"keras: the file: is not an HDF5 file (invalid HDF5 magic bytes); expected one that Keras saved as `.h5`");
    }
}

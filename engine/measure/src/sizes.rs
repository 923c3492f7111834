//! How big a model is: bytes of its files, bytes after deflate, bytes of its tensors by element type.
//!
//! A clustered or sparse model is no smaller on disk until it is packed, so the packed size is the measure of what
//! those methods gained. A packed size means nothing without its compressor: [`Compressor`] travels with each one.

use std::io::{Cursor, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

use crate::contents::{self, Contents};
use crate::{Direction, Figure, MeasureError, Unit};

/// The only deflate setting in use: the highest level of zlib-rs.
const LEVEL: u8 = 9;

/// Which program packed the bytes, and how hard it tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Compressor {
    /// Container and method: `zip, deflate`.
    pub format: String,
    /// The implementation: `zlib-rs`.
    pub implementation: String,
    /// Compression level, 0..=9.
    pub level: u8,
}

impl Default for Compressor {
    fn default() -> Self {
        Self {
            format: "zip, deflate".to_owned(),
            implementation: "zlib-rs".to_owned(),
            level: LEVEL,
        }
    }
}

impl std::fmt::Display for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} level {}", self.format, self.implementation, self.level)
    }
}

/// One file, raw and packed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FileSize {
    /// Name of the file.
    pub name: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes of the deflate stream alone.
    pub deflated_bytes: u64,
    /// Bytes of a zip archive that holds this one file under the name `model` (the length of a name would count twice).
    pub zip_bytes: u64,
}

impl FileSize {
    /// Packs `content` and weighs it.
    pub fn of(name: impl Into<String>, content: &[u8]) -> Result<Self, MeasureError> {
        let name = name.into();
        let packed = |content| -> zip::result::ZipResult<(u64, u64)> {
            let archive = zip_one(content)?;
            let zip_bytes = archive.len() as u64;
            let deflated = ZipArchive::new(Cursor::new(archive))?.by_index(0)?.compressed_size();
            Ok((deflated, zip_bytes))
        };
        let (deflated_bytes, zip_bytes) = packed(content).map_err(|error| MeasureError::Pack {
            file: name.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            name,
            bytes: content.len() as u64,
            deflated_bytes,
            zip_bytes,
        })
    }

    /// How much deflate took away, in percent of the raw bytes, as `zip -v` prints it: `100·(1 − deflated/bytes)`; 0 for
    /// an empty file, negative where packing made the file longer.
    pub fn deflation_percent(&self) -> f64 {
        percent_saved(self.bytes, self.deflated_bytes)
    }
}

fn percent_saved(bytes: u64, packed: u64) -> f64 {
    if bytes == 0 {
        0.0
    } else {
        100.0 * (1.0 - packed as f64 / bytes as f64)
    }
}

/// A zip archive with one deflated member; the member's date is zip's epoch, so equal contents give equal bytes.
fn zip_one(content: &[u8]) -> zip::result::ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(i64::from(LEVEL)))
        .last_modified_time(zip::DateTime::default())
        .large_file(content.len() > u32::MAX as usize / 2);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("model", options)?;
    writer.write_all(content)?;
    Ok(writer.finish()?.into_inner())
}

/// The tensors of one element type, added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TensorBytes {
    /// Element type as the IR spells it: `f32`, `i8`.
    pub dtype: String,
    /// How many tensors.
    pub tensors: u64,
    /// How many elements in them.
    pub elements: u64,
    /// How many bytes in them.
    pub bytes: u64,
}

impl TensorBytes {
    /// Adds up stored tensors given as (element type, elements, bytes); element types in order of first appearance.
    pub fn summarize<'a>(tensors: impl IntoIterator<Item = (&'a str, u64, u64)>) -> Vec<Self> {
        let mut sums: Vec<Self> = Vec::new();
        for (dtype, elements, bytes) in tensors {
            let index = sums.iter().position(|sum| sum.dtype == dtype).unwrap_or_else(|| {
                sums.push(Self {
                    dtype: dtype.to_owned(),
                    tensors: 0,
                    elements: 0,
                    bytes: 0,
                });
                sums.len() - 1
            });
            let sum = &mut sums[index];
            sum.tensors += 1;
            sum.elements += elements;
            sum.bytes += bytes;
        }
        sums
    }
}

/// The size of a model: its files, and what they hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Sizes {
    /// Each file of the model.
    pub files: Vec<FileSize>,
    /// Stored tensors by element type; empty where the files were weighed without being read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tensors: Vec<TensorBytes>,
    /// What packed the files.
    pub compressor: Compressor,
    /// Bytes of activations on the small device that the files are for, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arena_bytes: Option<u64>,
    /// What each weight tensor holds; empty where that was not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<Contents>,
}

impl Sizes {
    /// Weighs files given as (name, content).
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, MeasureError> {
        let files = files
            .into_iter()
            .map(|(name, content)| FileSize::of(name, content))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            files,
            tensors: Vec::new(),
            compressor: Compressor::default(),
            arena_bytes: None,
            weights: Vec::new(),
        })
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Bytes of all files, each in a zip archive of its own.
    pub fn zip_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.zip_bytes).sum()
    }

    /// How much deflate takes away from all files, in percent; see [`FileSize::deflation_percent`].
    pub fn deflation_percent(&self) -> f64 {
        percent_saved(self.bytes(), self.files.iter().map(|file| file.deflated_bytes).sum())
    }

    /// Names of all numbers that there may be.
    pub const FIGURES: &[&str] = &[
        "bytes",
        "zip-bytes",
        "deflation-percent",
        "zeros-percent",
        "most-values",
        "arena-bytes",
    ];

    /// The named numbers: `bytes`, `zip-bytes`, `deflation-percent`, where weights were looked at `zeros-percent` and `most-values`, and
    /// for a small device `arena-bytes`.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = vec![
            Figure::new("bytes", self.bytes() as f64, Unit::Bytes, Direction::Lower),
            Figure::new("zip-bytes", self.zip_bytes() as f64, Unit::Bytes, Direction::Lower),
            Figure::new(
                "deflation-percent",
                self.deflation_percent(),
                Unit::Percent,
                Direction::Neutral,
            ),
        ];
        if let Some(zeros) = contents::zeros_percent(&self.weights) {
            let most = self.weights.iter().map(|w| w.distinct).max().unwrap_or(0);
            figures.push(Figure::new("zeros-percent", zeros, Unit::Percent, Direction::Neutral));
            figures.push(Figure::new("most-values", most as f64, Unit::Count, Direction::Neutral));
        }
        let arena = |bytes: u64| Figure::new("arena-bytes", bytes as f64, Unit::Bytes, Direction::Lower);
        figures.extend(self.arena_bytes.map(arena));
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_deflate_away_and_the_archive_costs_its_headers() {
        let size = FileSize::of("model.tflite", &vec![0_u8; 100_000]).expect("packs");
        assert_eq!(size.bytes, 100_000);
        assert!(size.deflated_bytes < 200);
        assert!(size.deflation_percent() > 99.8);
        // Local header 30, central header 46, end record 22 (APPNOTE 4.3), and the five letters of the name twice.
        assert_eq!(size.zip_bytes, size.deflated_bytes + 30 + 46 + 22 + 10);
    }

    #[test]
    fn noise_does_not_deflate() {
        let mut state = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(50_000)
        .collect();
        let size = FileSize::of("noise", &noise).expect("packs");
        assert!(size.deflated_bytes >= 50_000);
        assert!(size.deflation_percent() <= 0.0);
    }

    #[test]
    fn an_empty_file_has_no_deflation() {
        let size = FileSize::of("empty", &[]).expect("packs");
        assert_eq!(size.bytes, 0);
        assert_eq!(size.deflation_percent(), 0.0);
    }

    #[test]
    fn equal_bytes_under_another_name_weigh_the_same() {
        let short = FileSize::of("a", b"some weights").expect("packs");
        let long = FileSize::of("a-much-longer-name.tflite", b"some weights").expect("packs");
        assert_eq!(short.zip_bytes, long.zip_bytes);
    }

    #[test]
    fn sums_go_over_all_files_and_the_compressor_is_named() {
        let sizes = Sizes::of([("a", [0_u8; 10].as_slice()), ("b", [1_u8; 30].as_slice())]).expect("packs");
        assert_eq!(sizes.bytes(), 40);
        assert_eq!(sizes.zip_bytes(), sizes.files[0].zip_bytes + sizes.files[1].zip_bytes);
        assert_eq!(sizes.compressor.to_string(), "zip, deflate, zlib-rs level 9");
        let names: Vec<String> = sizes.figures().into_iter().map(|figure| figure.name).collect();
        assert_eq!(names, Sizes::FIGURES[..3]);
    }

    #[test]
    fn tensors_are_added_up_by_element_type() {
        let sums = TensorBytes::summarize([("i8", 100, 100), ("f32", 10, 40), ("i8", 50, 50)]);
        assert_eq!(
            sums,
            [
                TensorBytes {
                    dtype: "i8".into(),
                    tensors: 2,
                    elements: 150,
                    bytes: 150
                },
                TensorBytes {
                    dtype: "f32".into(),
                    tensors: 1,
                    elements: 10,
                    bytes: 40
                },
            ]
        );
    }
}

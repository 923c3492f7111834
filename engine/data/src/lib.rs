//! Datasets: from files and archives to arrays.
//!
//! The way of a sample:
//!
//! 1. [`Tree`] gives a folder, an archive or several of them as one set of named files ([`tree`]).
//! 2. [`detect`] says which [`Format`] these files are; the readers under [`formats`](Format) list their samples.
//! 3. [`sample()`](sample::sample) chooses which of them to keep, before anything is decoded.
//! 4. [`load`] decodes the kept ones in parallel, resizes and crops them, puts them on a [`Shelf`] piece by piece, and returns a
//!    [`Dataset`] that reads them from there.
//! 5. [`blob`] stores the rest of a dataset and finds all of it again; [`Transform`] turns a sample into a model's float input.
//!
//! Owns: archives, image decoding, resizing, labels, splits, sampling, NumPy files.
//! Leaves to others: downloads and digests (the caller gives paths), models, where a dataset is stored.
//!
//! Images are channels-last (`[N, H, W, C]`). The order of samples is fixed by their names and never by
//! the number of threads; decoding runs on the rayon pool of the caller.

mod audio;
pub mod augment;
pub mod blob;
mod dataset;
mod error;
mod field;
mod formats;
mod image;
mod load;
pub mod npy;
mod pattern;
mod position;
pub mod resize;
pub mod sample;
mod samples;
mod spec;
mod suggest;
mod targets;
pub mod transform;
mod transforms;
pub mod tree;

pub use augment::{Augmentation, Augmenter};
pub use dataset::{Bytes, Dataset, Report};
pub use error::DataError;
pub use field::Field;
pub use formats::detect;
pub use load::{Look, load, look};
pub use sample::{Amount, Drawn, Sampling, Sharing};
pub use samples::{Memory, ReadAt, Sample, Samples, Shelf, Stored, Values};
pub use spec::{
    ClassNames, Color, Columns, Format, Headers, InputArrays, Labels, Layout, Lists, MelScale, Method, OnError, Part,
    Resize, Spec, Spectrogram, Split,
};
pub use targets::{Boxed, Boxes, Targets};
pub use transform::Transform;
pub use transforms::{LoadedDataset, Transforms};
pub use tree::{Entry, Limits, Tree};

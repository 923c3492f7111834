//! CIFAR-10 and CIFAR-100 in their binary form (Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009).
//!
//! A record is one label byte (CIFAR-100: coarse, then fine) and 3072 bytes of pixels: 32×32 of red, then green, then blue.

use super::{BySplit, Listing, Part, PartValues, Records, Source, base, check_labels, choose, names, unknown};
use crate::error::DataError;
use crate::spec::{Spec, Split};
use crate::tree::Tree;

const PIXELS: usize = 3 * 32 * 32;

/// Class names of CIFAR-10, for archives without `batches.meta.txt`.
const CIFAR10: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    Ten,
    Hundred,
}

impl Variant {
    /// The split a file holds, if it holds samples.
    fn split(self, name: &str) -> Option<Split> {
        match (self, base(name)) {
            (Self::Ten, "test_batch.bin") | (Self::Hundred, "test.bin") => Some(Split::Test),
            (Self::Hundred, "train.bin") => Some(Split::Train),
            (Self::Ten, name) => {
                let number = name.strip_prefix("data_batch_")?.strip_suffix(".bin")?;
                number.parse::<u32>().ok().map(|_| Split::Train)
            }
            _ => None,
        }
    }

    const fn label_bytes(self) -> usize {
        match self {
            Self::Ten => 1,
            Self::Hundred => 2,
        }
    }

    const fn names_file(self) -> &'static str {
        match self {
            Self::Ten => "batches.meta.txt",
            Self::Hundred => "fine_label_names.txt",
        }
    }
}

pub(super) fn is_cifar10(tree: &Tree) -> bool {
    tree.names().any(|name| Variant::Ten.split(name).is_some())
}

pub(super) fn is_cifar100(tree: &Tree) -> bool {
    tree.names().any(|name| Variant::Hundred.split(name).is_some())
        && tree.names().any(|name| base(name) == Variant::Hundred.names_file())
}

pub(super) fn list<'a>(tree: &'a Tree, spec: &Spec, variant: Variant) -> Result<Listing<'a>, DataError> {
    let mut batches: BySplit<Vec<&'a str>> = BySplit::new();
    for name in tree.names() {
        if let Some(split) = variant.split(name) {
            batches.entry(Some(split)).or_default().push(name);
        }
    }
    if batches.is_empty() {
        return Err(unknown(
            tree,
            match variant {
                Variant::Ten => "no CIFAR-10 batches; expected data_batch_1.bin … and test_batch.bin",
                Variant::Hundred => "no CIFAR-100 files; expected train.bin and test.bin",
            },
        ));
    }
    let classes = class_names(tree, variant)?;
    let splits = names(&batches);
    let other_files = tree.len() - batches.values().map(Vec::len).sum::<usize>();
    let (mut parts, mut labels) = (Vec::new(), Vec::new());
    let stride = variant.label_bytes() + PIXELS;
    for name in choose(batches, spec.split.as_ref())?
        .into_iter()
        .flat_map(|(_, names)| names)
    {
        let data = tree.read(name)?;
        if data.is_empty() || data.len() % stride != 0 {
            let why = format!(
                "{} bytes are not a multiple of the {stride} of a CIFAR record: truncated, or another format",
                data.len()
            );
            return Err(DataError::malformed(name, why));
        }
        let found: Vec<u32> = data
            .chunks_exact(stride)
            .map(|record| u32::from(record[variant.label_bytes() - 1]))
            .collect();
        check_labels(&found, classes.len(), name)?;
        let count = found.len();
        labels.extend(found);
        let values = PartValues::Bytes {
            data,
            start: variant.label_bytes(),
            stride,
        };
        parts.push(Part {
            place: name.to_owned(),
            count,
            values,
        });
    }
    let source = Source::Records(Records {
        parts,
        shape: vec![3, 32, 32],
        planar: true,
    });
    Ok(Listing {
        splits,
        inputs: Vec::new(),
        classes,
        labels: Some(labels),
        truth: None,
        source,
        skipped: Vec::new(),
        other_files,
    })
}

fn class_names(tree: &Tree, variant: Variant) -> Result<Vec<String>, DataError> {
    let Some(file) = tree.names().find(|name| base(name) == variant.names_file()) else {
        return Ok(match variant {
            Variant::Ten => CIFAR10.map(str::to_owned).to_vec(),
            Variant::Hundred => (0..100).map(|class| class.to_string()).collect(),
        });
    };
    let text = String::from_utf8_lossy(&tree.read(file)?).into_owned();
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

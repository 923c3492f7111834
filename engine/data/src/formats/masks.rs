//! Images with a mask each: `images/a.jpg` and `masks/a.png`, in folders of splits or without.
//!
//! A pattern says how the mask of an image is called. Of several files that end so the one is meant that shares most folders with the image, so that
//! `masks/{name}.png` finds `train/masks/a.png` for `train/images/a.jpg`.

use std::collections::HashMap;

use super::{BySplit, Listing, Source, Truth, base, choose, folder, names, unknown};
use crate::error::DataError;
use crate::pattern::Pattern;
use crate::spec::{OnError, Spec, Split};
use crate::suggest::nearest;
use crate::tree::Tree;

/// Finds masks by how they are called.
pub(super) struct Masks<'a> {
    tree: &'a Tree,
    pattern: Option<Pattern>,
    by_name: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Masks<'a> {
    pub fn of(tree: &'a Tree, spec: &Spec) -> Result<Self, DataError> {
        let pattern = spec
            .masks
            .as_deref()
            .map(|text| Pattern::parse("masks", text))
            .transpose()?;
        let mut by_name: HashMap<&str, Vec<&str>> = HashMap::new();
        for file in folder::images(tree) {
            by_name.entry(base(file)).or_default().push(file);
        }
        Ok(Self { tree, pattern, by_name })
    }

    /// Whether there is a pattern, so that every image has a mask.
    pub fn are_known(&self) -> bool {
        self.pattern.is_some()
    }

    /// The mask of an image by the pattern.
    pub fn of_image(&self, image: &str) -> Result<&'a str, String> {
        let whole = base(image);
        let stem = whole.rsplit_once('.').map_or(whole, |(stem, _)| stem);
        let wanted = self
            .pattern
            .as_ref()
            .map_or_else(|| whole.to_owned(), |pattern| pattern.fill(stem));
        self.find(image, &wanted)
    }

    /// The mask of that name, the nearest to the image.
    pub fn find(&self, image: &str, wanted: &str) -> Result<&'a str, String> {
        if let Some(file) = self.tree.name(wanted) {
            return Ok(file);
        }
        let ending = format!("/{wanted}");
        let shared = |file: &str| {
            file.split('/')
                .zip(image.split('/'))
                .take_while(|(a, b)| a == b)
                .count()
        };
        let mut fitting: Vec<&str> = self.by_name.get(base(wanted)).map_or(&[][..], Vec::as_slice).to_vec();
        // The mask of another split's image of the same name is none.
        let split = |file: &str| split_of(file, None);
        fitting.retain(|file| file.ends_with(&ending) && (split(file).is_none() || split(file) == split(image)));
        let most = fitting.iter().map(|file| shared(file)).max();
        fitting.retain(|file| Some(shared(file)) == most);
        match fitting[..] {
            [file] => Ok(file),
            [] => {
                let near = nearest(wanted, self.tree.names());
                let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                Err(format!("its mask `{wanted}` is not in the data{near}"))
            }
            [first, second, ..] => Err(format!(
                "its mask `{wanted}` is {first} or {second}; say more of its folders"
            )),
        }
    }

    /// Whether a file is called like a mask.
    fn is_mask(&self, file: &str) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| {
            let depth = pattern.text().split('/').count();
            let parts: Vec<&str> = file.split('/').collect();
            parts.len() >= depth && pattern.read(&parts[parts.len() - depth..].join("/")).is_some()
        })
    }
}

/// The split that a folder above an image tells.
fn split_of(file: &str, asked: Option<&Split>) -> Option<Split> {
    let is =
        |name: &&str| Split::is_customary(name) || asked.is_some_and(|asked| asked.name().eq_ignore_ascii_case(name));
    let folders = file.rsplit_once('/')?.0;
    folders.split('/').find(is).map(|name| Split::from(name.to_owned()))
}

/// Lists all images with their masks.
pub(super) fn list<'a>(tree: &'a Tree, spec: &Spec) -> Result<Listing<'a>, DataError> {
    let masks = Masks::of(tree, spec)?;
    let mut by_split: BySplit<Vec<(&str, &str)>> = BySplit::new();
    let (mut skipped, mut used) = (Vec::new(), 0);
    for image in folder::images(tree).filter(|file| !masks.is_mask(file)) {
        match masks.of_image(image) {
            Ok(mask) => {
                by_split
                    .entry(split_of(image, spec.split.as_ref()))
                    .or_default()
                    .push((image, mask));
                used += 2;
            }
            Err(why) if spec.on_error == OnError::Skip => skipped.push((image.to_owned(), why)),
            Err(why) => return Err(DataError::malformed(image, why)),
        }
    }
    if by_split.is_empty() {
        return Err(unknown(
            tree,
            "no image has a mask; `masks` says how they are called, as in masks/{name}.png",
        ));
    }
    let splits = names(&by_split);
    let (mut images, mut files) = (Vec::new(), Vec::new());
    for (image, mask) in choose(by_split, spec.split.as_ref())?
        .into_iter()
        .flat_map(|(_, pairs)| pairs)
    {
        images.push(image.to_owned());
        files.push(mask.to_owned());
    }
    Ok(Listing {
        splits,
        inputs: Vec::new(),
        classes: class_names(tree, spec)?,
        labels: None,
        truth: Some(Truth::MaskFiles(files)),
        source: Source::Files(images),
        skipped,
        other_files: tree.len() - used,
    })
}

/// What the recipe calls the classes of masks; nothing where it does not say.
pub(super) fn class_names(tree: &Tree, spec: &Spec) -> Result<Vec<String>, DataError> {
    spec.class_names
        .as_ref()
        .map_or_else(|| Ok(Vec::new()), |names| names.read(tree))
}

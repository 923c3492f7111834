//! COCO's annotations of objects (Lin et al., *Microsoft COCO: Common Objects in Context*, 2014): one JSON file a split with `images`, `annotations` and
//! `categories`. Classes stand in the order of their numbers; a box is left, top, width, height in pixels of the image.

use std::collections::HashMap;

use serde::Deserialize;

use super::Images;
use crate::error::DataError;
use crate::formats::{BySplit, Listing, Source, Truth, base, choose, names};
use crate::spec::{OnError, Spec, Split};
use crate::targets::{Boxed, Boxes};
use crate::tree::Tree;

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: String,
    width: f64,
    height: f64,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    #[serde(default)]
    area: Option<f64>,
    #[serde(default)]
    iscrowd: u8,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

/// Whether a list is annotations of objects.
pub(super) fn is_annotations(file: &str) -> bool {
    file.to_ascii_lowercase().ends_with(".json")
}

/// Files of annotations that are known by their names: `instances_val2017.json`, `_annotations.coco.json`.
pub(super) fn known(tree: &Tree) -> Vec<(Option<Split>, &str)> {
    let files = tree.names().filter(|file| {
        let name = base(file);
        (name.starts_with("instances_") || name == "_annotations.coco.json") && is_annotations(name)
    });
    files.map(|file| (split_of(file), file)).collect()
}

/// The split that a file's name or folder tells.
fn split_of(file: &str) -> Option<Split> {
    let stem = base(file).trim_end_matches(".json");
    let words = stem
        .split(['_', '-', '.'])
        .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()));
    let folders = file.split('/').rev().skip(1);
    let found = words.chain(folders).find(|word| Split::is_customary(word));
    found.map(|word| Split::from(word.to_owned()))
}

/// Lists the images of the chosen split with their objects.
pub(super) fn list<'a>(
    tree: &'a Tree,
    spec: &Spec,
    lists: &[(Option<Split>, &'a str)],
    images: &Images<'a>,
) -> Result<Listing<'a>, DataError> {
    let mut by_split: BySplit<(&str, File)> = BySplit::new();
    for (split, file) in lists {
        let bytes = tree.read(file)?;
        let read: File = serde_json::from_slice(&bytes)
            .map_err(|error| DataError::malformed(*file, format!("no COCO annotations: {error}")))?;
        if let Some((first, _)) = by_split.insert(split.clone(), (*file, read)) {
            return Err(DataError::Duplicate {
                name: "the objects of one split".into(),
                first: first.to_owned(),
                second: (*file).to_owned(),
            });
        }
    }
    let mut categories: Vec<(i64, String)> = Vec::new();
    for category in by_split.values().flat_map(|(_, file)| &file.categories) {
        match categories.iter().find(|(id, _)| *id == category.id) {
            Some((_, name)) if *name == category.name => {}
            None => categories.push((category.id, category.name.clone())),
            Some((id, name)) => {
                let why = format!(
                    "category {id} is `{}` in one file and `{name}` in another",
                    category.name
                );
                return Err(DataError::malformed(tree.origin(), why));
            }
        }
    }
    categories.sort();
    let splits = names(&by_split);
    let (mut files, mut all, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for (_, (place, file)) in choose(by_split, spec.split.as_ref())? {
        let mut by_image: HashMap<i64, Vec<Boxed>> = HashMap::new();
        for (number, annotation) in file.annotations.iter().enumerate() {
            let broken = |why: String| DataError::malformed(place, format!("annotations[{number}]: {why}"));
            let class = categories.iter().position(|(id, _)| *id == annotation.category_id);
            let class = class.ok_or_else(|| broken(format!("there is no category {}", annotation.category_id)))?;
            let [_, _, width, height] = annotation.bbox;
            if !annotation.bbox.iter().all(|side| side.is_finite()) || width < 0.0 || height < 0.0 {
                return Err(broken(format!(
                    "bbox {:?} is not left, top, width, height",
                    annotation.bbox
                )));
            }
            by_image.entry(annotation.image_id).or_default().push(Boxed {
                class: class as u32,
                bounds: annotation.bbox,
                area: annotation.area.unwrap_or(width * height),
                crowd: annotation.iscrowd != 0,
            });
        }
        for image in file.images {
            if !(image.width > 0.0 && image.height > 0.0) {
                let why = format!(
                    "image {} has no size: width {} and height {}",
                    image.id, image.width, image.height
                );
                return Err(DataError::malformed(place, why));
            }
            let size = [image.height, image.width];
            let objects = by_image.remove(&image.id).unwrap_or_default();
            match images.find(&image.file_name) {
                Ok(found) => {
                    files.push(found.to_owned());
                    all.push(Boxes { size, objects });
                }
                Err(why) if spec.on_error == OnError::Skip => skipped.push((image.file_name, why)),
                Err(why) => return Err(DataError::malformed(place, why)),
            }
        }
        if let Some(id) = by_image.keys().min() {
            return Err(DataError::malformed(
                place,
                format!("an annotation is of image {id}, which `images` does not list"),
            ));
        }
    }
    Ok(Listing {
        splits,
        inputs: Vec::new(),
        classes: categories.into_iter().map(|(_, name)| name).collect(),
        labels: None,
        truth: Some(Truth::Boxes(all)),
        other_files: tree.len() - files.len(),
        source: Source::Files(files),
        skipped,
    })
}

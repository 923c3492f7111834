//! PASCAL VOC's annotations of objects (Everingham et al., *The PASCAL Visual Object Classes Challenge*, 2010): an XML file an image, with its size, and of
//! each object the name of its class and a box `xmin`, `ymin`, `xmax`, `ymax` in pixels. Boxes are taken as they are written: width is `xmax − xmin`. What is
//! `difficult` is neither asked for nor held against a model, as a crowd of COCO's.
//!
//! Which images are of a split say lists of their names, `ImageSets/Main/train.txt`, or the folders that the annotations lie in.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::{Document, Node};

use super::Images;
use crate::error::DataError;
use crate::formats::{BySplit, Listing, Source, Truth, base, choose, names};
use crate::spec::{OnError, Spec, Split};
use crate::suggest::nearest;
use crate::targets::{Boxed, Boxes};
use crate::tree::Tree;

/// Where VOC's lists of names lie.
const SETS: &str = "ImageSets/Main/";

/// Whether there are annotations among the files: the first of the kind shows it.
pub(super) fn is_known(tree: &Tree) -> bool {
    let first = tree.names().find(|name| is_xml(name));
    let bytes = first.and_then(|name| tree.read(name).ok());
    bytes.is_some_and(|bytes| {
        bytes[..bytes.len().min(4096)]
            .windows(11)
            .any(|part| part == b"<annotation")
    })
}

/// Whether a place that `list` names is a folder of annotations.
pub(super) fn is_folder(tree: &Tree, place: &str) -> bool {
    annotations(tree, place).next().is_some()
}

fn is_xml(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".xml")
}

/// The annotations in a folder; all for the empty name.
fn annotations<'a>(tree: &'a Tree, folder: &str) -> impl Iterator<Item = &'a str> {
    let folder = folder.trim_end_matches('/').to_owned();
    tree.names().filter(move |name| {
        let rest = name.strip_prefix(&folder).filter(|_| !folder.is_empty());
        is_xml(name) && (folder.is_empty() || rest.is_some_and(|rest| rest.starts_with('/')))
    })
}

/// The name of a file without folders and ending.
fn stem(name: &str) -> &str {
    let name = base(name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// An object as it is written.
struct Object {
    class: String,
    bounds: [f64; 4],
    difficult: bool,
}

/// An annotation as it is written.
struct Annotation {
    image: String,
    size: [f64; 2],
    objects: Vec<Object>,
}

impl Annotation {
    fn read(tree: &Tree, file: &str) -> Result<Self, DataError> {
        let broken = |why: String| DataError::malformed(file, why);
        let bytes = tree.read(file)?;
        let text = String::from_utf8_lossy(&bytes);
        let document = Document::parse(text.trim_start_matches('\u{feff}'))
            .map_err(|error| broken(format!("no annotation: {error}")))?;
        let root = document.root_element();
        if root.tag_name().name() != "annotation" {
            let found = root.tag_name().name();
            return Err(broken(format!("<{found}> found, <annotation> expected")));
        }
        let number = |node: Option<Node<'_, '_>>, name: &str| {
            let text = node.and_then(|node| text_of(node, name)).unwrap_or_default();
            let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
            value.ok_or_else(|| broken(format!("<{name}> holds `{text}`, a number expected")))
        };
        let size = child(root, "size");
        let size = [number(size, "height")?, number(size, "width")?];
        if size.iter().any(|&side| side <= 0.0) {
            let [height, width] = size;
            return Err(broken(format!(
                "the image has no size: width {width} and height {height}"
            )));
        }
        let objects = root.children().filter(|node| node.has_tag_name("object"));
        let object = |node: Node<'_, '_>| {
            let bounds = child(node, "bndbox");
            let [left, top, right, bottom] = [
                number(bounds, "xmin")?,
                number(bounds, "ymin")?,
                number(bounds, "xmax")?,
                number(bounds, "ymax")?,
            ];
            if right < left || bottom < top {
                return Err(broken(format!(
                    "the box from {left}, {top} to {right}, {bottom} ends before it begins"
                )));
            }
            let class = text_of(node, "name").ok_or_else(|| broken("an object has no <name>".into()))?;
            Ok(Object {
                class,
                bounds: [left, top, right - left, bottom - top],
                difficult: text_of(node, "difficult").is_some_and(|text| text != "0"),
            })
        };
        Ok(Annotation {
            image: text_of(root, "filename").unwrap_or_default(),
            size,
            objects: objects.map(object).collect::<Result<_, DataError>>()?,
        })
    }
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn text_of(node: Node<'_, '_>, name: &str) -> Option<String> {
    let text = child(node, name)?.text()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The annotations of each split.
fn by_split<'a>(tree: &'a Tree, lists: &[(Option<Split>, &str)]) -> Result<BySplit<Vec<&'a str>>, DataError> {
    let mut found: BySplit<Vec<&'a str>> = BySplit::new();
    let known = |name: &&str| {
        name.contains(SETS)
            && name
                .strip_suffix(".txt")
                .is_some_and(|name| Split::is_customary(base(name)))
    };
    let sets: Vec<&str> = tree.names().filter(known).collect();
    let given: Vec<(Option<Split>, &str)> = if lists.is_empty() {
        sets.iter()
            .map(|file| (Some(Split::from(stem(file).to_owned())), *file))
            .collect()
    } else {
        lists.to_vec()
    };
    let by_name: BTreeMap<&str, &'a str> = annotations(tree, "").map(|file| (stem(file), file)).collect();
    for (split, place) in &given {
        let files = found.entry(split.clone()).or_default();
        if is_folder(tree, place) {
            files.extend(annotations(tree, place));
            continue;
        }
        let bytes = tree.read(place)?;
        let text = String::from_utf8_lossy(&bytes);
        for (line, name) in text.lines().enumerate() {
            let Some(name) = name.split_whitespace().next() else {
                continue;
            };
            let file = by_name.get(name).or_else(|| by_name.get(stem(name)));
            let file = file.ok_or_else(|| {
                let near = nearest(name, by_name.keys().copied());
                let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                DataError::malformed(
                    super::table::at(place, line + 1),
                    format!("no annotation `{name}.xml` in the data{near}"),
                )
            })?;
            files.push(file);
        }
    }
    if given.is_empty() {
        for file in annotations(tree, "") {
            let folder = file.split('/').rev().skip(1).find(|folder| Split::is_customary(folder));
            let split = folder.map(|folder| Split::from(folder.to_owned()));
            found.entry(split).or_default().push(file);
        }
    }
    Ok(found)
}

/// The image of an annotation: beside it, by the name that it states, or by its own.
fn image_of<'a>(file: &str, annotation: &Annotation, images: &Images<'a>) -> Result<&'a str, String> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let beside = format!("{folder}/{}", base(&annotation.image));
    let beside = images.tree.name(beside.trim_start_matches('/'));
    let stated = || images.find(base(&annotation.image));
    match beside.filter(|_| images.pattern.is_none() && !annotation.image.is_empty()) {
        Some(image) => Ok(image),
        None => images.find(stem(file)).or_else(|why| stated().map_err(|_| why)),
    }
}

/// Lists the images of the chosen split with their objects. The annotations of all splits tell the classes, in alphabetical order, or `class-names` does.
pub(super) fn list<'a>(
    tree: &'a Tree,
    spec: &Spec,
    lists: &[(Option<Split>, &str)],
    images: &Images<'a>,
) -> Result<Listing<'a>, DataError> {
    let mut read: BTreeMap<&str, Annotation> = BTreeMap::new();
    let splits_of = by_split(tree, lists)?;
    for file in splits_of.values().flatten() {
        if !read.contains_key(file) {
            read.insert(file, Annotation::read(tree, file)?);
        }
    }
    let objects = || read.values().flat_map(|annotation| &annotation.objects);
    let classes: Vec<String> = match &spec.class_names {
        Some(names) => names.read(tree)?,
        None => objects()
            .map(|object| object.class.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
    };
    let splits = names(&splits_of);
    let (mut files, mut all, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for (_, of_split) in choose(splits_of, spec.split.as_ref())? {
        for file in of_split {
            let Some(annotation) = read.get(file) else { continue };
            let mut boxes = Vec::with_capacity(annotation.objects.len());
            for object in &annotation.objects {
                let class = classes.iter().position(|class| *class == object.class);
                let class = class.ok_or_else(|| {
                    let why = format!("{file} has an object `{}`, which they do not list", object.class);
                    DataError::Setting {
                        key: "class-names",
                        why,
                    }
                })?;
                boxes.push(Boxed {
                    class: class as u32,
                    bounds: object.bounds,
                    area: object.bounds[2] * object.bounds[3],
                    crowd: object.difficult,
                });
            }
            match image_of(file, annotation, images) {
                Ok(image) => {
                    files.push(image.to_owned());
                    all.push(Boxes {
                        size: annotation.size,
                        objects: boxes,
                    });
                }
                Err(why) if spec.on_error == OnError::Skip => skipped.push((file.to_owned(), why)),
                Err(why) => return Err(DataError::malformed(file, why)),
            }
        }
    }
    Ok(Listing {
        splits,
        inputs: Vec::new(),
        classes,
        labels: None,
        truth: Some(Truth::Boxes(all)),
        other_files: tree.len() - files.len(),
        source: Source::Files(files),
        skipped,
    })
}

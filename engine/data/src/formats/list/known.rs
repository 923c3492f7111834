//! Layouts of label files that are known by their names and need no settings.
//!
//! Oxford-IIIT Pet (Parkhi et al., *Cats and Dogs*, 2012): `images/NAME.jpg`, and `annotations/trainval.txt` and `test.txt` with
//! `NAME CLASS-ID SPECIES BREED-ID` lines, classes counted from 1 and named by what precedes the last `_`.
//!
//! ImageNet's validation images (Russakovsky et al., *ImageNet Large Scale Visual Recognition Challenge*, 2015) with the development kit of
//! 2012: a number a line beside the sorted images. The numbers follow an order of the kit's own, which its `meta.mat` states; labels here
//! are the places of classes in the order of their WordNet numbers, as every network knows them.

mod matlab;

use super::Layout;
use crate::error::DataError;
use crate::formats::{base, folder};
use crate::pattern::Pattern;
use crate::spec::{Columns, Split};
use crate::tree::Tree;

const TRUTH: &str = "ILSVRC2012_validation_ground_truth.txt";
const IMAGE: &str = "ILSVRC2012_val_";

/// Classes that a list numbers in an order of its own.
#[derive(Debug)]
pub(super) struct Classes {
    /// Names in label order.
    pub names: Vec<String>,
    /// The label of each number, counted from the first.
    pub labels: Vec<i64>,
}

/// Whether the files are laid out in a way that needs no settings.
pub(in crate::formats) fn is_known(tree: &Tree) -> bool {
    pets(tree).is_some() || truth(tree).is_some()
}

/// How files of a known layout are read.
pub(super) fn layout(tree: &Tree) -> Result<Option<Layout<'_>>, DataError> {
    match (pets(tree), truth(tree)) {
        (Some(pets), _) => Ok(Some(pets)),
        (None, Some(found)) => imagenet(tree, found).map(Some),
        (None, None) => Ok(None),
    }
}

fn pets(tree: &Tree) -> Option<Layout<'_>> {
    let file = |name: &str| {
        tree.names()
            .find(|file| *file == name || file.ends_with(&format!("/{name}")))
    };
    let trainval = file("annotations/trainval.txt")?;
    let test = file("annotations/test.txt")?;
    let root = trainval.strip_suffix("annotations/trainval.txt")?;
    let images = format!("{root}images/{{name}}.jpg");
    tree.names()
        .any(|name| name.starts_with(&format!("{root}images/")))
        .then(|| Layout {
            lists: vec![(Some(Split::Train), trainval), (Some(Split::Test), test)],
            images: Pattern::parse("images", &images).ok(),
            columns: Some(Columns::Positions(["name", "label"].map(String::from).to_vec())),
            first_label: 1,
            name: Pattern::parse("name", "{class}_{index}").ok(),
            classes: None,
        })
}

/// The kit's list, and one of the images.
fn truth(tree: &Tree) -> Option<(&str, &str)> {
    let list = tree.names().find(|name| base(name) == TRUTH)?;
    let image = folder::images(tree).find(|name| base(name).starts_with(IMAGE))?;
    Some((list, image))
}

fn imagenet<'a>(tree: &'a Tree, (list, image): (&'a str, &str)) -> Result<Layout<'a>, DataError> {
    let beside = |name: &str, of: &str| format!("{}{name}", &of[..of.len() - base(of).len()]);
    let meta = beside("meta.mat", list);
    if tree.name(&meta).is_none() {
        let why = format!(
            "numbers classes in an order of the development kit's own, which `{meta}` states; add that file, or name this one with `list` to take its numbers as they are"
        );
        return Err(DataError::malformed(list, why));
    }
    let ending = image.rsplit_once('.').map_or("JPEG", |(_, ending)| ending);
    let images = beside(&format!("{IMAGE}{{name}}.{ending}"), image);
    Ok(Layout {
        lists: vec![(Some(Split::Named("val".into())), list)],
        images: Some(Pattern::parse("images", &images)?),
        columns: Some(Columns::Positions(vec!["label".into()])),
        first_label: 1,
        name: None,
        classes: Some(classes(&tree.read(&meta)?, &meta)?),
    })
}

/// The classes of `meta.mat`: those of its synsets whose numbers are the lowest, up to the first that stands for others.
fn classes(bytes: &[u8], place: &str) -> Result<Classes, DataError> {
    let broken = |why: &str| DataError::malformed(place, why);
    let rows =
        matlab::structs(bytes, "synsets", ["ILSVRC2012_ID", "WNID", "num_children"]).map_err(|why| broken(&why))?;
    let mut numbered = Vec::new();
    for row in &rows {
        let [number, name, children] = row;
        let (Some(number), Some(name), Some(children)) = (number.number(), name.text(), children.number()) else {
            return Err(broken(
                "a synset lacks its number, its WordNet number, or the number of its children",
            ));
        };
        if children == 0.0 {
            numbered.push((number as i64, name.to_owned()));
        }
    }
    numbered.sort_unstable();
    if numbered.is_empty() || (1..).zip(&numbered).any(|(wanted, (number, _))| wanted != *number) {
        return Err(broken("the classes are not numbered 1, 2, …"));
    }
    let mut names: Vec<String> = numbered.iter().map(|(_, name)| name.clone()).collect();
    names.sort_unstable();
    let place_of = |(_, name): &(i64, String)| names.binary_search(name).map_or(-1, |label| label as i64);
    let labels = numbered.iter().map(place_of).collect();
    Ok(Classes { names, labels })
}

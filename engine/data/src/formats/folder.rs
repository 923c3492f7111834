//! Images in folders: `<split>/<class>/<name>.jpg`, or `<class>/<name>.jpg`, below any folders that all of them share.
//!
//! The classes are the sorted names of the class folders of all splits (so that a class that lacks images in one split does not shift
//! the labels of the others); the index of its folder is the label. Images without a class folder are unlabelled data.

use std::collections::BTreeSet;

use super::{BySplit, Listing, Source, choose, names, unknown};
use crate::error::DataError;
use crate::spec::{OnError, Spec, Split};
use crate::tree::{Tree, has_image_name};

pub(super) fn is_folder(tree: &Tree) -> bool {
    images(tree).next().is_some()
}

pub(super) fn images(tree: &Tree) -> impl Iterator<Item = &str> {
    tree.names().filter(|name| has_image_name(name) && !is_hidden(name))
}

/// Files that file managers leave behind.
pub(super) fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX")
}

/// How the folders above an image are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Structure {
    /// Shared folders at the top that say nothing.
    skip: usize,
    split: bool,
    class: bool,
}

impl Structure {
    fn depth(self) -> usize {
        self.skip + usize::from(self.split) + usize::from(self.class)
    }

    /// The split and class of a path of folders of this depth.
    fn of<'a>(self, folders: &[&'a str]) -> (Option<Split>, Option<&'a str>) {
        let split = self.split.then(|| Split::from(folders[self.skip].to_owned()));
        (split, self.class.then(|| folders[self.depth() - 1]))
    }

    fn find(paths: &[Vec<&str>], asked: Option<&Split>) -> Self {
        let Some(first) = paths.first() else {
            return Self {
                skip: 0,
                split: false,
                class: false,
            };
        };
        let deepest = paths.iter().map(Vec::len).max().unwrap_or(0);
        let shared = paths.iter().fold(first.len(), |shared, path| {
            path.iter().zip(first).take(shared).take_while(|(a, b)| a == b).count()
        });
        let mut skip = shared.min(deepest.saturating_sub(2));
        let names_split = |name: &str| {
            Split::is_customary(name) || asked.is_some_and(|asked| asked.name().eq_ignore_ascii_case(name))
        };
        match deepest - skip {
            0 => Self {
                skip,
                split: false,
                class: false,
            },
            1 => {
                let split = paths
                    .iter()
                    .all(|path| path.get(skip).is_some_and(|name| names_split(name)));
                Self {
                    skip,
                    split,
                    class: !split,
                }
            }
            _ if shared > skip && !names_split(first[skip]) => {
                skip += 1;
                Self {
                    skip,
                    split: false,
                    class: true,
                }
            }
            _ => Self {
                skip,
                split: true,
                class: true,
            },
        }
    }
}

pub(super) fn list<'a>(tree: &'a Tree, spec: &Spec) -> Result<Listing<'a>, DataError> {
    if spec.masks.is_some() {
        return super::masks::list(tree, spec);
    }
    let files: Vec<&str> = images(tree).collect();
    if files.is_empty() {
        return Err(unknown(tree, "no images; expected train/dog/1.jpg or dog/1.jpg"));
    }
    list_files(tree, spec, files)
}

/// Lists files by the folders above them.
pub(super) fn list_files<'a>(tree: &'a Tree, spec: &Spec, files: Vec<&'a str>) -> Result<Listing<'a>, DataError> {
    let paths: Vec<Vec<&str>> = files.iter().map(|name| folders(name)).collect();
    let structure = Structure::find(&paths, spec.split.as_ref());
    let mut by_split: BySplit<Vec<(&str, &str)>> = BySplit::new();
    for (name, path) in files.iter().zip(&paths) {
        if path.len() != structure.depth() {
            let why = format!(
                "file lies {} folders deep, others {}; expected <split>/<class>/<file> or <class>/<file>",
                path.len(),
                structure.depth()
            );
            return Err(DataError::malformed(*name, why));
        }
        let (split, class) = structure.of(path);
        by_split.entry(split).or_default().push((class.unwrap_or(""), name));
    }
    let splits = names(&by_split);
    let full: BTreeSet<Vec<&str>> = paths.into_iter().collect();
    let shared: Vec<&str> = full
        .first()
        .map_or_else(Vec::new, |path| path[..structure.skip].to_vec());
    let empty: Vec<(&str, Vec<&str>)> = tree
        .folders()
        .filter(|name| structure.class && !is_hidden(name))
        .map(|name| (name, name.split('/').collect::<Vec<&str>>()))
        .filter(|(_, path)| path.len() == structure.depth() && path.starts_with(&shared) && !full.contains(path))
        .collect();
    let classes: BTreeSet<&str> = full
        .iter()
        .chain(empty.iter().map(|(_, path)| path))
        .filter_map(|path| structure.of(path).1)
        .collect();
    let chosen = choose(by_split, spec.split.as_ref())?;
    let mut skipped = Vec::new();
    for (name, path) in &empty {
        if chosen.iter().any(|(split, _)| *split == structure.of(path).0) {
            match spec.on_error {
                OnError::Fail => {
                    return Err(DataError::EmptyClass {
                        place: (*name).to_owned(),
                    });
                }
                OnError::Skip => skipped.push(((*name).to_owned(), "class folder holds no sample".to_owned())),
            }
        }
    }
    let classes: Vec<&str> = classes.into_iter().collect();
    let (mut names, mut labels) = (Vec::new(), Vec::new());
    for (_, mut samples) in chosen {
        samples.sort_unstable();
        for (class, name) in samples {
            names.push(name.to_owned());
            labels.extend(classes.binary_search(&class).map(|label| label as u32));
        }
    }
    Ok(Listing {
        splits,
        inputs: Vec::new(),
        classes: classes.iter().map(|&class| class.to_owned()).collect(),
        labels: structure.class.then_some(labels),
        truth: None,
        source: Source::Files(names),
        skipped,
        other_files: tree.len() - files.len(),
    })
}

/// The folders above a file.
fn folders(name: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    parts
}

//! Images that a label file lists: `name label` lines, tables with headers, JSON lines, or one number a line beside sorted names.
//!
//! What a cell means is said by `columns`, by a header, or follows from the cells themselves: a name, a `label` (a number, counted from
//! `first-label`), a `class` (its name). The files of all splits together tell the classes.

mod known;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) use self::known::is_known;
use self::table::{Row, Table, at};
use super::{BySplit, Listing, Source, base, choose, folder, names, unknown};
use crate::error::DataError;
use crate::pattern::Pattern;
use crate::spec::{Columns, Lists, OnError, Spec, Split};
use crate::suggest::nearest;
use crate::tree::Tree;

/// The most classes of numbered labels; their names are listed.
const MOST_CLASSES: i64 = 1 << 20;

/// Words that headers use for what a cell means.
const NAMES: [&str; 10] = [
    "name",
    "file",
    "filename",
    "file_name",
    "image",
    "image_name",
    "image_id",
    "path",
    "filepath",
    "id",
];
const LABELS: [&str; 8] = [
    "label",
    "class_id",
    "class-id",
    "label_id",
    "category_id",
    "target",
    "y",
    "index",
];
const CLASSES: [&str; 6] = ["class", "class_name", "category", "breed", "label_name", "species"];

/// How a layout that is known by its files is read.
struct Layout<'a> {
    lists: Vec<(Option<Split>, &'a str)>,
    images: Option<Pattern>,
    columns: Option<Columns>,
    first_label: i64,
    name: Option<Pattern>,
    classes: Option<known::Classes>,
}

impl<'a> Layout<'a> {
    /// What the settings say, or what is known of the files.
    fn of(tree: &'a Tree, spec: &'a Spec) -> Result<Self, DataError> {
        let pattern = |key, text: &Option<String>| text.as_deref().map(|text| Pattern::parse(key, text)).transpose();
        let lists = match &spec.list {
            None => {
                return known::layout(tree)?.ok_or_else(|| DataError::Setting {
                    key: "list",
                    why: "missing; name the file of labels in the data, such as annotations/trainval.txt".into(),
                });
            }
            Some(Lists::One(file)) => vec![(None, file.as_str())],
            Some(Lists::Splits(files)) => {
                let split = |(split, file): (&'a String, &'a String)| (Some(Split::from(split.clone())), file.as_str());
                files.iter().map(split).collect()
            }
        };
        Ok(Self {
            lists,
            images: pattern("images", &spec.images)?,
            columns: spec.columns.clone(),
            first_label: spec.first_label,
            name: pattern("name", &spec.name)?,
            classes: None,
        })
    }
}

/// Which cell of a row means what.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Meaning {
    name: Option<usize>,
    label: Option<usize>,
    class: Option<usize>,
    split: Option<usize>,
}

impl Meaning {
    fn set(&mut self, role: &str, cell: usize) -> bool {
        let place = match role {
            "name" => &mut self.name,
            "label" => &mut self.label,
            "class" => &mut self.class,
            "split" => &mut self.split,
            _ => return false,
        };
        *place = Some(cell);
        true
    }

    /// Of the cells of a table, and how many of its rows are headers.
    fn of(table: &Table, columns: Option<&Columns>, place: &str) -> Result<(Self, usize), DataError> {
        let mut meaning = Self::default();
        let first: Vec<String> = match (&table.keys, table.rows.first()) {
            (Some(keys), _) => keys.clone(),
            (None, Some(row)) => row.cells.clone(),
            (None, None) => return Err(DataError::malformed(place, "holds no rows")),
        };
        let in_rows = usize::from(table.keys.is_none());
        match columns {
            Some(Columns::Positions(roles)) => {
                for (cell, role) in roles.iter().enumerate() {
                    meaning.set(role, cell);
                }
                // Where a number should be, a header has a word.
                let is_number = |row: &Row, cell: usize| row.cells.get(cell).is_some_and(|c| c.parse::<i64>().is_ok());
                let header = meaning.label.is_some_and(|cell| {
                    table.rows.get(1).is_some_and(|row| is_number(row, cell)) && !is_number(&table.rows[0], cell)
                });
                Ok((meaning, usize::from(table.keys.is_none() && header)))
            }
            Some(Columns::Named(by_role)) => {
                for (role, header) in by_role {
                    let cell = first
                        .iter()
                        .position(|cell| cell == header)
                        .ok_or_else(|| DataError::Setting {
                            key: "columns",
                            why: format!("{place} has no column `{header}`; it has {}", first.join(", ")),
                        })?;
                    meaning.set(role, cell);
                }
                Ok((meaning, in_rows))
            }
            None => {
                for (cell, header) in first.iter().enumerate() {
                    let header = header.to_ascii_lowercase();
                    let found = [
                        (NAMES.as_slice(), "name"),
                        (&LABELS, "label"),
                        (&CLASSES, "class"),
                        (&["split"], "split"),
                    ];
                    let role = found.iter().find(|(words, _)| words.contains(&header.as_str()));
                    if let Some((_, role)) = role {
                        let (before, known) = (meaning, *role);
                        meaning.set(known, cell);
                        // The first column of a meaning is the one that is meant.
                        if before.name.is_some() && known == "name" {
                            meaning.name = before.name;
                        }
                    }
                }
                let heads = meaning.label.is_some() || meaning.class.is_some();
                if heads {
                    return Ok((meaning, in_rows));
                }
                Self::guess(&first).map(|meaning| (meaning, 0)).ok_or_else(|| {
                    let why = format!(
                        "{place}: what its columns mean does not show ({}); say so, such as [name, label]",
                        first.join(", ")
                    );
                    DataError::Setting { key: "columns", why }
                })
            }
        }
    }

    /// One number, one name, or a name with its number or its class.
    fn guess(cells: &[String]) -> Option<Self> {
        let number = |cell: &String| cell.parse::<i64>().is_ok();
        let mut meaning = Self::default();
        match cells {
            [only] if number(only) => meaning.label = Some(0),
            [_] => meaning.name = Some(0),
            [_, second] => {
                meaning.name = Some(0);
                meaning.set(if number(second) { "label" } else { "class" }, 1);
            }
            _ => return None,
        }
        Some(meaning)
    }
}

/// One listed image.
struct Listed<'a> {
    file: &'a str,
    label: Option<i64>,
    class: Option<String>,
    place: String,
}

/// Finds the file that a cell names.
struct Images<'a> {
    tree: &'a Tree,
    pattern: Option<Pattern>,
    /// Image files by their name without folders, with and without the ending; `None` where several share one.
    by_name: HashMap<&'a str, Option<&'a str>>,
}

impl<'a> Images<'a> {
    fn of(tree: &'a Tree, pattern: Option<Pattern>) -> Self {
        let mut by_name: HashMap<&'a str, Option<&'a str>> = HashMap::new();
        for file in folder::images(tree).filter(|_| pattern.is_none()) {
            let whole = base(file);
            let stem = whole.rsplit_once('.').map_or(whole, |(stem, _)| stem);
            for key in BTreeSet::from([whole, stem]) {
                by_name
                    .entry(key)
                    .and_modify(|known| *known = None)
                    .or_insert(Some(file));
            }
        }
        Self { tree, pattern, by_name }
    }

    fn find(&self, name: &str) -> Result<&'a str, String> {
        if let Some(pattern) = &self.pattern {
            let file = pattern.fill(name);
            return self.tree.name(&file).ok_or_else(|| self.missing(&file));
        }
        if let Some(file) = self.tree.name(name) {
            return Ok(file);
        }
        match self.by_name.get(base(name)) {
            Some(Some(file)) => Ok(file),
            Some(None) => Err(format!(
                "several files are called `{name}`; say where they lie with `images`"
            )),
            None => Err(self.missing(name)),
        }
    }

    fn missing(&self, file: &str) -> String {
        let near = nearest(file, self.tree.names());
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        format!("no file `{file}` in the data{near}")
    }

    /// All images, or those that the pattern fits, sorted by name.
    fn all(&self) -> Vec<&'a str> {
        let fits = |file: &&str| self.pattern.as_ref().is_none_or(|pattern| pattern.read(file).is_some());
        folder::images(self.tree).filter(fits).collect()
    }
}

pub(super) fn list<'a>(tree: &'a Tree, spec: &'a Spec) -> Result<Listing<'a>, DataError> {
    let Layout {
        lists,
        images,
        columns,
        first_label,
        name,
        classes: known,
    } = Layout::of(tree, spec)?;
    let images = Images::of(tree, images);
    let mut by_split: BySplit<Vec<Listed<'a>>> = BySplit::new();
    let mut skipped: BTreeMap<Option<Split>, Vec<(String, String)>> = BTreeMap::new();
    for (of_list, file) in &lists {
        let table = table::read(&tree.read(file)?, file)?;
        let (meaning, headers) = Meaning::of(&table, columns.as_ref(), file)?;
        let sorted = if meaning.name.is_none() {
            images.all()
        } else {
            Vec::new()
        };
        let rows = &table.rows[headers.min(table.rows.len())..];
        if meaning.name.is_none() && sorted.len() != rows.len() {
            let why = format!(
                "{} labels found, one for each of {} images expected",
                rows.len(),
                sorted.len()
            );
            return Err(DataError::malformed(*file, why));
        }
        for (index, row) in rows.iter().enumerate() {
            let broken = |why: String| DataError::malformed(at(file, row.line), why);
            let cell = |cell: Option<usize>, what: &str| match cell {
                None => Ok(None),
                Some(cell) => row.cells.get(cell).map(|c| Some(c.as_str())).ok_or_else(|| {
                    broken(format!(
                        "{} columns found, the {what} is expected in column {}",
                        row.cells.len(),
                        cell + 1
                    ))
                }),
            };
            let split = cell(meaning.split, "split")?.map(|split| Split::from(split.to_owned()));
            let split = split.or_else(|| of_list.clone());
            let found = match cell(meaning.name, "name")? {
                Some(name) => images.find(name),
                None => Ok(sorted[index]),
            };
            let image = match found {
                Ok(image) => image,
                Err(why) if spec.on_error == OnError::Skip => {
                    skipped.entry(split).or_default().push((at(file, row.line), why));
                    continue;
                }
                Err(why) => return Err(broken(why)),
            };
            let label = cell(meaning.label, "label")?.map(|label| {
                let number = label
                    .parse::<i64>()
                    .ok()
                    .and_then(|number| number.checked_sub(first_label));
                number.ok_or_else(|| broken(format!("`{label}` is not a number; a label is expected in this column")))
            });
            let label = label.transpose()?;
            if let Some(label) = label.filter(|label| !(0..MOST_CLASSES).contains(label)) {
                let why = format!(
                    "label {} is not in {first_label}..; set `first-label` to the number of the first class",
                    label + first_label
                );
                return Err(broken(why));
            }
            let label = match (label, &known) {
                (Some(number), Some(known)) => Some(*known.labels.get(number as usize).ok_or_else(|| {
                    broken(format!(
                        "{} is the number of none of {} classes",
                        number + 1,
                        known.names.len()
                    ))
                })?),
                (label, _) => label,
            };
            let class = match (cell(meaning.class, "class")?, &name) {
                (Some(class), _) => Some(class.to_owned()),
                (None, Some(pattern)) => class_in(pattern, image).map_err(broken)?,
                (None, None) => None,
            };
            let place = at(file, row.line);
            by_split.entry(split).or_default().push(Listed {
                file: image,
                label,
                class,
                place,
            });
        }
    }
    let classes = class_names(tree, spec, known.map(|known| known.names), &by_split)?;
    let used: BTreeSet<&str> = by_split.values().flatten().map(|listed| listed.file).collect();
    let other_files = tree.len() - used.len();
    if by_split.is_empty() {
        return Err(unknown(tree, "the list names no image"));
    }
    let splits = names(&by_split);
    let chosen = choose(by_split, spec.split.as_ref())?;
    let left_out = chosen
        .iter()
        .filter_map(|(split, _)| skipped.remove(split))
        .flatten()
        .collect();
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    for listed in chosen.into_iter().flat_map(|(_, listed)| listed) {
        if let Some(label) = label_of(&listed, &classes)? {
            labels.push(label);
        }
        files.push(listed.file.to_owned());
    }
    if !labels.is_empty() && labels.len() != files.len() {
        return Err(DataError::malformed(
            tree.origin(),
            "some of the lists have labels and some have none",
        ));
    }
    Ok(Listing {
        splits,
        labels: (!labels.is_empty()).then_some(labels),
        classes,
        source: Source::Files(files),
        skipped: left_out,
        other_files,
    })
}

/// The class that a file's name tells.
fn class_in(pattern: &Pattern, file: &str) -> Result<Option<String>, String> {
    let whole = base(file);
    let stem = whole.rsplit_once('.').map_or(whole, |(stem, _)| stem);
    let fields = pattern.read(stem);
    let fields = fields.ok_or_else(|| format!("`{stem}` is not built like `{}`", pattern.text()))?;
    Ok(fields.get("class").map(|&class| class.to_owned()))
}

/// Names of all classes in label order: those that the settings give, those of a known layout, those found beside numbers, numbers, or the found ones sorted.
fn class_names(
    tree: &Tree,
    spec: &Spec,
    known: Option<Vec<String>>,
    by_split: &BySplit<Vec<Listed<'_>>>,
) -> Result<Vec<String>, DataError> {
    let all = || by_split.values().flatten();
    let count = all()
        .filter_map(|listed| listed.label)
        .max()
        .map_or(0, |most| most as usize + 1);
    if let Some(names) = &spec.class_names {
        let names = names.read(tree)?;
        let number = |listed: &&Listed<'_>| listed.label.is_some_and(|label| label as usize >= names.len());
        return match all().find(number) {
            None => Ok(names),
            Some(listed) => {
                let why = format!("a label of {count} classes, `class-names` holds {}", names.len());
                Err(DataError::malformed(&*listed.place, why))
            }
        };
    }
    if let Some(known) = known {
        return Ok(known);
    }
    if count == 0 {
        let found: BTreeSet<&String> = all().filter_map(|listed| listed.class.as_ref()).collect();
        return Ok(found.into_iter().cloned().collect());
    }
    let mut names: Vec<Option<&String>> = vec![None; count];
    for listed in all() {
        let (Some(label), Some(class)) = (listed.label, &listed.class) else {
            continue;
        };
        match names[label as usize].replace(class) {
            Some(known) if known != class => {
                let why = format!("label {label} is `{class}` here and `{known}` before");
                return Err(DataError::malformed(&*listed.place, why));
            }
            _ => {}
        }
    }
    let name = |(label, name): (usize, Option<&String>)| name.cloned().unwrap_or_else(|| label.to_string());
    Ok(names.into_iter().enumerate().map(name).collect())
}

fn label_of(listed: &Listed<'_>, classes: &[String]) -> Result<Option<u32>, DataError> {
    match (&listed.label, &listed.class) {
        (Some(label), _) => Ok(Some(*label as u32)),
        (None, Some(class)) => match classes.iter().position(|known| known == class) {
            Some(label) => Ok(Some(label as u32)),
            None => Err(DataError::malformed(
                &*listed.place,
                format!("`class-names` holds no `{class}`"),
            )),
        },
        (None, None) => Ok(None),
    }
}

//! Images that a label file lists: `name label` lines, tables with headers, JSON lines, or one number a line beside sorted names.
//!
//! What a cell means is said by `columns`, by a header, or follows from the cells themselves: a name, a `label` (a number, counted from
//! `first-label`), a `class` (its name); or several classes, numbers, a mask. The files of all splits together tell the classes. Rows may be the samples
//! themselves: columns of numbers in place of an image's name. A `.json` file holds COCO's annotations of objects, `.xml` files VOC's.

mod coco;
mod known;
mod meaning;
mod names;
mod table;
mod truth;
mod voc;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use self::meaning::Meaning;
use self::names::{class_names, set_names};
use self::table::{Row, Table, at};
use self::truth::{Kind, RowLabel, cell_of, number};
use super::masks::{self, Masks};
use super::{BySplit, Listing, Part, PartValues, Records, Source, Truth, base, choose, folder, names, unknown};
use crate::error::DataError;
use crate::pattern::Pattern;
use crate::spec::{Columns, Labels, Lists, OnError, Spec, Split};
use crate::suggest::nearest;
use crate::tree::Tree;

/// The most classes of numbered labels; their names are listed.
const MOST_CLASSES: i64 = 1 << 20;

/// Whether the files are laid out in a way that needs no settings.
pub(super) fn is_known(tree: &Tree) -> bool {
    known::is_known(tree) || !coco::known(tree).is_empty() || voc::is_known(tree)
}

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

/// One listed image, or row of numbers.
struct Listed<'a> {
    file: &'a str,
    mask: Option<&'a str>,
    inputs: Vec<f32>,
    label: Option<i64>,
    class: Option<String>,
    other: Option<RowLabel>,
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

/// A label file as it was read.
struct Read<'a> {
    split: Option<Split>,
    file: &'a str,
    table: Table,
    meaning: Meaning,
    /// How many of the first rows are headers.
    headers: usize,
}

impl Read<'_> {
    /// The rows behind the headers.
    fn rows(&self) -> &[Row] {
        &self.table.rows[self.headers.min(self.table.rows.len())..]
    }

    /// What the columns are called, or else the cells of the first row.
    fn heads(&self) -> Vec<String> {
        match (&self.table.keys, self.table.rows.first()) {
            (Some(keys), _) => keys.clone(),
            (None, row) => row.map_or_else(Vec::new, |row| row.cells.clone()),
        }
    }

    /// What some columns are called, or numbers behind `what`.
    fn titles(&self, columns: &[usize], what: &str) -> Vec<String> {
        let heads = self.heads();
        let named = self.table.keys.is_some() || self.headers > 0;
        let title = |(number, &column): (usize, &usize)| {
            let head = heads.get(column).filter(|_| named);
            head.cloned().unwrap_or_else(|| format!("{what} {number}"))
        };
        columns.iter().enumerate().map(title).collect()
    }

    /// Whether a column holds a number with a fraction.
    fn is_decimal(&self, column: usize) -> bool {
        let decimal = |text: &str| text.parse::<i64>().is_err() && text.parse::<f64>().is_ok();
        self.rows()
            .iter()
            .any(|row| row.cells.get(column).is_some_and(|text| decimal(text)))
    }
}

pub(super) fn list<'a>(tree: &'a Tree, spec: &'a Spec) -> Result<Listing<'a>, DataError> {
    let annotations = match &spec.list {
        None => coco::known(tree),
        Some(_) => Vec::new(),
    };
    let pattern = || {
        spec.images
            .as_deref()
            .map(|text| Pattern::parse("images", text))
            .transpose()
    };
    if !annotations.is_empty() {
        return coco::list(tree, spec, &annotations, &Images::of(tree, pattern()?));
    }
    if spec.list.is_none() && (spec.labels == Labels::Boxes || !known::is_known(tree)) && voc::is_known(tree) {
        return voc::list(tree, spec, &[], &Images::of(tree, pattern()?));
    }
    let Layout {
        lists,
        images,
        columns,
        first_label,
        name,
        classes: known,
    } = Layout::of(tree, spec)?;
    let images = Images::of(tree, images);
    let folders = lists.iter().filter(|(_, place)| voc::is_folder(tree, place)).count();
    let tables = |(_, file): &(Option<Split>, &str)| !coco::is_annotations(file);
    if folders == lists.len() || spec.labels == Labels::Boxes && lists.iter().all(tables) && voc::is_known(tree) {
        return voc::list(tree, spec, &lists, &images);
    }
    match lists.iter().filter(|(_, file)| coco::is_annotations(file)).count() {
        0 if spec.labels == Labels::Boxes => {
            let why = "`boxes` are read from annotations: COCO's, a .json file, or VOC's, a folder of .xml files; name them with `list`";
            return Err(DataError::Setting {
                key: "labels",
                why: why.into(),
            });
        }
        0 => {}
        all if all == lists.len() => return coco::list(tree, spec, &lists, &images),
        _ => {
            let why = "is in part COCO annotations (.json) and in part tables; name files of one kind";
            return Err(DataError::Setting {
                key: "list",
                why: why.into(),
            });
        }
    }
    let masks = Masks::of(tree, spec)?;
    let read = lists.iter().map(|(split, file)| {
        let table = table::read(&tree.read(file)?, file)?;
        let (meaning, headers) = Meaning::of(&table, columns.as_ref(), file)?;
        let split = split.clone();
        Ok(Read {
            split,
            file,
            table,
            meaning,
            headers,
        })
    });
    let read: Vec<Read<'a>> = read.collect::<Result<_, DataError>>()?;
    let in_name = name.as_ref().is_some_and(|pattern| pattern.has("class"));
    let kind = Kind::of(spec.labels, &read, masks.are_known(), in_name)?;
    let mut by_split: BySplit<Vec<Listed<'a>>> = BySplit::new();
    let mut skipped: BTreeMap<Option<Split>, Vec<(String, String)>> = BTreeMap::new();
    for list in &read {
        let Read { file, meaning, .. } = list;
        let of_table = !meaning.inputs.is_empty();
        let sorted = if meaning.name.is_none() && !of_table {
            images.all()
        } else {
            Vec::new()
        };
        let rows = list.rows();
        if meaning.name.is_none() && !of_table && sorted.len() != rows.len() {
            let why = format!(
                "{} labels found, one for each of {} images expected",
                rows.len(),
                sorted.len()
            );
            return Err(DataError::malformed(*file, why));
        }
        for (index, row) in rows.iter().enumerate() {
            let place = at(file, row.line);
            let broken = |why: String| DataError::malformed(&*place, why);
            let cell = |cell: Option<usize>, what: &str| cell.map(|cell| cell_of(row, cell, what, &place)).transpose();
            let split = cell(meaning.split, "split")?.map(|split| Split::from(split.to_owned()));
            let split = split.or_else(|| list.split.clone());
            let found = match cell(meaning.name, "name")? {
                _ if of_table => Ok(*file),
                Some(name) => images.find(name),
                None => Ok(sorted[index]),
            };
            let found = found.and_then(|image| {
                let mask = match cell(meaning.mask, "mask").map_err(|error| error.to_string())? {
                    _ if kind != Kind::Masks => None,
                    Some(mask) => Some(masks.find(image, mask)?),
                    None => Some(masks.of_image(image)?),
                };
                Ok((image, mask))
            });
            let (image, mask) = match found {
                Ok(found) => found,
                Err(why) if spec.on_error == OnError::Skip => {
                    skipped.entry(split).or_default().push((place, why));
                    continue;
                }
                Err(why) => return Err(broken(why)),
            };
            let inputs = meaning
                .inputs
                .iter()
                .map(|&at| number(cell_of(row, at, "input", &place)?, "an input", &place));
            let inputs: Vec<f32> = inputs.collect::<Result<_, _>>()?;
            let other = kind.read(list, row)?;
            let is_class = kind == Kind::Class;
            let label = cell(meaning.label.filter(|_| is_class), "label")?.map(|label| {
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
            let class = match (cell(meaning.class.filter(|_| is_class), "class")?, &name) {
                (Some(class), _) => Some(class.to_owned()),
                (None, Some(pattern)) if is_class && !of_table => class_in(pattern, image).map_err(broken)?,
                (None, _) => None,
            };
            by_split.entry(split).or_default().push(Listed {
                file: image,
                mask,
                inputs,
                label,
                class,
                other,
                place,
            });
        }
    }
    let classes = match &kind {
        Kind::Class => class_names(tree, spec, known.map(|known| known.names), &by_split)?,
        Kind::Masks => masks::class_names(tree, spec)?,
        Kind::Numbers(_) => Vec::new(),
        Kind::Names(_) | Kind::Bits(_) => set_names(tree, spec, &kind, &by_split)?,
    };
    let listed = || by_split.values().flatten();
    let mut used: BTreeSet<&str> = listed()
        .flat_map(|listed| [Some(listed.file), listed.mask])
        .flatten()
        .collect();
    if listed().any(|listed| listed.inputs.is_empty()) {
        used.retain(|file| !read.iter().any(|list| list.file == *file));
    }
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
    let listed: Vec<Listed<'_>> = chosen.into_iter().flat_map(|(_, listed)| listed).collect();
    let labels = listed.iter().map(|listed| label_of(listed, &classes));
    let labels: Vec<u32> = labels.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    if !labels.is_empty() && labels.len() != listed.len() {
        return Err(DataError::malformed(
            tree.origin(),
            "some of the lists have labels and some have none",
        ));
    }
    Ok(Listing {
        splits,
        inputs: Vec::new(),
        labels: (!labels.is_empty()).then_some(labels),
        truth: truth_of(kind, &listed, &classes)?,
        source: source_of(&listed, tree)?,
        classes,
        skipped: left_out,
        other_files,
    })
}

/// The samples: a file each, or the rows themselves.
fn source_of(listed: &[Listed<'_>], tree: &Tree) -> Result<Source<'static>, DataError> {
    let width = listed.first().map_or(0, |listed| listed.inputs.len());
    if listed.iter().any(|listed| listed.inputs.len() != width) {
        let why = "the lists of the splits have different numbers of input columns";
        return Err(DataError::malformed(tree.origin(), why));
    }
    if width == 0 {
        return Ok(Source::Files(
            listed.iter().map(|listed| listed.file.to_owned()).collect(),
        ));
    }
    let mut parts: Vec<Part<'static>> = Vec::new();
    for rows in listed.chunk_by(|a, b| a.file == b.file) {
        parts.push(Part {
            place: rows[0].file.to_owned(),
            count: rows.len(),
            values: PartValues::Floats(rows.iter().flat_map(|row| &row.inputs).copied().collect()),
        });
    }
    let (shape, planar) = (vec![width], false);
    Ok(Source::Records(Records { parts, shape, planar }))
}

/// The labels of rows that have another kind than one class.
fn truth_of(kind: Kind, listed: &[Listed<'_>], classes: &[String]) -> Result<Option<Truth<'static>>, DataError> {
    Ok(match kind {
        Kind::Class => None,
        Kind::Masks => Some(Truth::MaskFiles(
            listed
                .iter()
                .filter_map(|listed| listed.mask)
                .map(str::to_owned)
                .collect(),
        )),
        Kind::Numbers(names) => {
            let values = listed.iter().filter_map(|listed| match &listed.other {
                Some(RowLabel::Numbers(values)) => Some(values),
                _ => None,
            });
            let values = values.flatten().copied().collect();
            Some(Truth::Numbers { names, values })
        }
        Kind::Names(_) | Kind::Bits(_) => {
            let mut bits = vec![0; listed.len() * classes.len()];
            for (row, listed) in bits.chunks_exact_mut(classes.len().max(1)).zip(listed) {
                match &listed.other {
                    Some(RowLabel::Bits(own)) => row.copy_from_slice(own),
                    Some(RowLabel::Names(names)) => {
                        for name in names {
                            let class = classes.iter().position(|known| known == name);
                            row[class.ok_or_else(|| unknown_class(listed, name))?] = 1;
                        }
                    }
                    _ => {}
                }
            }
            Some(Truth::Sets(bits))
        }
    })
}

fn unknown_class(listed: &Listed<'_>, name: &str) -> DataError {
    DataError::malformed(&*listed.place, format!("`class-names` holds no `{name}`"))
}

/// The class that a file's name tells.
fn class_in(pattern: &Pattern, file: &str) -> Result<Option<String>, String> {
    let whole = base(file);
    let stem = whole.rsplit_once('.').map_or(whole, |(stem, _)| stem);
    let fields = pattern.read(stem);
    let fields = fields.ok_or_else(|| format!("`{stem}` is not built like `{}`", pattern.text()))?;
    Ok(fields.get("class").map(|&class| class.to_owned()))
}

fn label_of(listed: &Listed<'_>, classes: &[String]) -> Result<Option<u32>, DataError> {
    match (&listed.label, &listed.class) {
        (Some(label), _) => Ok(Some(*label as u32)),
        (None, Some(class)) => match classes.iter().position(|known| known == class) {
            Some(label) => Ok(Some(label as u32)),
            None => Err(unknown_class(listed, class)),
        },
        (None, None) => Ok(None),
    }
}

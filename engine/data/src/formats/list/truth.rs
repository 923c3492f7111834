//! What the rows of a list are labelled with: which kind, and the label of each row.

use super::Read;
use super::meaning::Meaning;
use super::table::{Row, at};
use crate::error::DataError;
use crate::spec::Labels;

/// The label of a row, where it is not one class.
pub(super) enum RowLabel {
    /// The names of its classes.
    Names(Vec<String>),
    /// 1 for each class that it is of.
    Bits(Vec<u8>),
    /// Numbers.
    Numbers(Vec<f32>),
}

/// How rows are labelled.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// One class, or nothing.
    Class,
    /// Several classes in one cell, between these.
    Names(Option<char>),
    /// Several classes, a column each.
    Bits(Vec<String>),
    /// Numbers, called so.
    Numbers(Vec<String>),
    /// Masks, named in a column or by a pattern.
    Masks,
}

impl Kind {
    /// The kind that the recipe asks for or that the columns show; `masks` and `in_name`: there are patterns for masks, and for classes in names.
    pub fn of(asked: Labels, lists: &[Read<'_>], masks: bool, in_name: bool) -> Result<Self, DataError> {
        let Some(first) = lists.first() else {
            return Ok(Self::Class);
        };
        let meaning = &first.meaning;
        let targets = numbers(first);
        let has = |column: &dyn Fn(&Meaning) -> bool| lists.iter().all(|list| column(&list.meaning));
        let decimal = || {
            meaning
                .label
                .is_some_and(|cell| lists.iter().any(|list| list.is_decimal(cell)))
        };
        let numbers_meant =
            !meaning.targets.is_empty() || asked == Labels::Numbers || (asked == Labels::Auto && decimal());
        let kind = match asked {
            Labels::Mask => Self::Masks,
            Labels::Auto if masks || meaning.mask.is_some() => Self::Masks,
            Labels::Auto | Labels::Numbers if numbers_meant => Self::Numbers(first.titles(&targets, "target")),
            Labels::Auto | Labels::Classes if !meaning.classes.is_empty() => match meaning.classes[..] {
                [cell] => Self::Names(separator(lists, cell)),
                _ => Self::Bits(first.titles(&meaning.classes, "class")),
            },
            Labels::Classes => match meaning.class {
                Some(cell) => Self::Names(separator(lists, cell)),
                None => Self::Class,
            },
            _ => Self::Class,
        };
        let missing = match (&kind, asked) {
            (Self::Masks, _) if !masks && !has(&|meaning| meaning.mask.is_some()) => {
                Some("`mask`, or `masks` with a pattern such as masks/{name}.png")
            }
            (Self::Numbers(_), _)
                if targets.is_empty() || !lists.iter().all(|list| numbers(list).len() == targets.len()) =>
            {
                Some("`target`")
            }
            (Self::Class, Labels::Classes) => Some("`classes`"),
            (Self::Class, Labels::Class)
                if !in_name && !has(&|meaning| meaning.label.is_some() || meaning.class.is_some()) =>
            {
                Some("`label` or `class`")
            }
            _ => None,
        };
        missing.map_or(Ok(kind), |column| {
            let why = format!(
                "{} has no column that is {column}; it has {}",
                first.file,
                first.heads().join(", ")
            );
            Err(DataError::Setting { key: "columns", why })
        })
    }

    /// The label of a row.
    pub fn read(&self, list: &Read<'_>, row: &Row) -> Result<Option<RowLabel>, DataError> {
        let place = at(list.file, row.line);
        let cell = |cell: usize, what: &str| cell_of(row, cell, what, &place);
        let meaning = &list.meaning;
        Ok(Some(match self {
            Self::Class | Self::Masks => return Ok(None),
            Self::Numbers(_) => {
                let values = numbers(list)
                    .into_iter()
                    .map(|at| number(cell(at, "target")?, "a target", &place));
                RowLabel::Numbers(values.collect::<Result<_, _>>()?)
            }
            Self::Names(separator) => {
                let text = meaning.classes.first().copied().or(meaning.class);
                let text = text.map_or(Ok(""), |at| cell(at, "classes"))?;
                let names: Vec<&str> = match separator {
                    Some(separator) => text.split(*separator).collect(),
                    None => text.split_whitespace().collect(),
                };
                let names = names.into_iter().map(str::trim).filter(|name| !name.is_empty());
                RowLabel::Names(names.map(str::to_owned).collect())
            }
            Self::Bits(_) => {
                let bit = |&at: &usize| match cell(at, "class")? {
                    "1" | "1.0" | "true" | "True" => Ok(1),
                    "0" | "0.0" | "false" | "False" | "" => Ok(0),
                    other => Err(DataError::malformed(
                        &*place,
                        format!("`{other}` found, 0 or 1 is expected in the column of a class"),
                    )),
                };
                RowLabel::Bits(meaning.classes.iter().map(bit).collect::<Result<_, _>>()?)
            }
        }))
    }
}

/// The columns of the numbers to be estimated: those called so, or the label.
fn numbers(list: &Read<'_>) -> Vec<usize> {
    if list.meaning.targets.is_empty() {
        list.meaning.label.into_iter().collect()
    } else {
        list.meaning.targets.clone()
    }
}

/// What stands between the names in a cell: the first of these that any row has; otherwise blanks.
fn separator(lists: &[Read<'_>], cell: usize) -> Option<char> {
    ['|', ';', ','].into_iter().find(|separator| {
        let holds = |row: &Row| row.cells.get(cell).is_some_and(|text| text.contains(*separator));
        lists.iter().any(|list| list.rows().iter().any(holds))
    })
}

/// A cell of a row.
pub(super) fn cell_of<'r>(row: &'r Row, cell: usize, what: &str, place: &str) -> Result<&'r str, DataError> {
    row.cells.get(cell).map(String::as_str).ok_or_else(|| {
        let why = format!(
            "{} columns found, the {what} is expected in column {}",
            row.cells.len(),
            cell + 1
        );
        DataError::malformed(place, why)
    })
}

/// A finite number in a cell.
pub(super) fn number(text: &str, what: &str, place: &str) -> Result<f32, DataError> {
    let number = text.parse::<f32>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| {
        DataError::malformed(
            place,
            format!("`{text}` is not a finite number; {what} is expected in this column"),
        )
    })
}

//! What the cells of a label file mean: said by the recipe, by headers, or shown by the cells themselves.

use super::table::{Row, Table};
use crate::error::DataError;
use crate::spec::Columns;

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

/// Which cell of a row means what.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Meaning {
    pub name: Option<usize>,
    pub label: Option<usize>,
    pub class: Option<usize>,
    pub split: Option<usize>,
    pub mask: Option<usize>,
    /// Numbers of the sample itself.
    pub inputs: Vec<usize>,
    /// Numbers to be estimated.
    pub targets: Vec<usize>,
    /// Several classes: one cell of names, or a column each.
    pub classes: Vec<usize>,
}

impl Meaning {
    fn set(&mut self, role: &str, cell: usize) -> bool {
        let place = match role {
            "name" => &mut self.name,
            "label" => &mut self.label,
            "class" => &mut self.class,
            "split" => &mut self.split,
            "mask" => &mut self.mask,
            _ => {
                let columns = match role {
                    "input" => &mut self.inputs,
                    "target" => &mut self.targets,
                    "classes" => &mut self.classes,
                    _ => return false,
                };
                columns.push(cell);
                return true;
            }
        };
        *place = Some(cell);
        true
    }

    /// Of the cells of a table, and how many of its rows are headers.
    pub(super) fn of(table: &Table, columns: Option<&Columns>, place: &str) -> Result<(Self, usize), DataError> {
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
                let is_number = |row: &Row, cell: usize| row.cells.get(cell).is_some_and(|c| c.parse::<f64>().is_ok());
                let numbers = meaning.label.iter().chain(&meaning.targets).chain(&meaning.inputs);
                let header = numbers.into_iter().any(|&cell| {
                    table.rows.get(1).is_some_and(|row| is_number(row, cell)) && !is_number(&table.rows[0], cell)
                });
                Ok((meaning, usize::from(table.keys.is_none() && header)))
            }
            Some(Columns::Named(by_role)) => {
                let headers = by_role
                    .iter()
                    .flat_map(|(role, headers)| headers.all().iter().map(move |h| (role, h)));
                for (role, header) in headers {
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
                        (&["classes", "labels", "tags"], "classes"),
                        (&["mask"], "mask"),
                    ];
                    let role = found.iter().find(|(words, _)| words.contains(&header.as_str()));
                    if let Some((_, role)) = role {
                        let first = meaning.name;
                        meaning.set(role, cell);
                        // The first column of a meaning is the one that is meant.
                        if first.is_some() && *role == "name" {
                            meaning.name = first;
                        }
                    }
                }
                if meaning.label.is_some() || meaning.class.is_some() {
                    meaning.mask = None;
                    meaning.classes.clear();
                    return Ok((meaning, in_rows));
                }
                let heads = meaning.mask.is_some() || !meaning.classes.is_empty();
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

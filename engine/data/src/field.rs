//! The parts of a sample that are for different inputs of a model.
//!
//! A sample of several arrays is stored as one row, its parts one after the other: drawing, storing and reading samples need not know how many
//! inputs a model has. Who feeds them cuts the row.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A named part of a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The input that it is for.
    pub name: String,
    /// Its shape, of one sample.
    pub shape: Vec<usize>,
}

impl Field {
    /// How many values it has.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Where the values of each part lie in a sample.
    pub fn ranges(fields: &[Field]) -> Vec<Range<usize>> {
        let mut start = 0;
        let range = |field: &Field| {
            let range = start..start + field.size();
            start = range.end;
            range
        };
        fields.iter().map(range).collect()
    }

    /// Parts by name and shape, for people: `left 12×12×1, age 1`.
    pub fn listed(fields: &[Field]) -> String {
        let shown = |field: &Field| {
            let sides: Vec<String> = field.shape.iter().map(ToString::to_string).collect();
            format!("{} {}", field.name, sides.join("×")).trim_end().to_owned()
        };
        fields.iter().map(shown).collect::<Vec<_>>().join(", ")
    }
}

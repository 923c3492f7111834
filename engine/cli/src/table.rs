//! Tables of text for the terminal: columns aligned by spaces.

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headings. The last column is never padded.
#[derive(Debug)]
pub struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<'a>(columns: impl AsRef<[(&'a str, Align)]>) -> Self {
        let columns = columns.as_ref();
        Table {
            align: columns.iter().map(|(_, align)| *align).collect(),
            rows: vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect()],
        }
    }

    /// Adds a row of as many cells as there are columns.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.align.len());
        self.rows.push(cells);
    }

    /// The table as text, a line a row.
    pub fn render(&self) -> String {
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.align.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (i, cell) in row.iter().enumerate() {
                let padding = " ".repeat(widths[i] - cell.chars().count());
                line += if i == 0 { "" } else { "  " };
                match self.align[i] {
                    Align::Left => line += &format!("{cell}{padding}"),
                    Align::Right => line += &format!("{padding}{cell}"),
                }
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([("Layer", Align::Left), ("MACs", Align::Right), ("Type", Align::Left)]);
        table.row(["conv".into(), "1,024".into(), "f32".into()]);
        table.row(["größer".into(), "0".into(), "i8".into()]);
        insta::assert_snapshot!(table.render(), @"
        Layer    MACs  Type
        conv    1,024  f32
        größer      0  i8
        ");
    }
}

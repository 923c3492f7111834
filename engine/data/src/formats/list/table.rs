//! Label files as rows of cells: values separated by tabs, commas, semicolons, bars or blanks, or a JSON object a line.
//!
//! Empty lines and lines that begin with `#` say nothing. The separator is the first of these that every row of the beginning holds;
//! cells in quotes may hold it (RFC 4180).

use serde_json::Value;

use crate::error::DataError;

/// Rows that tell the separator.
const LOOKED_AT: usize = 100;

/// A row with the number of its line, counted from 1.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub line: usize,
    pub cells: Vec<String>,
}

/// The rows of a file.
#[derive(Debug, PartialEq)]
pub(super) struct Table {
    /// Names of the cells, where each line states them (JSON); others may have them in their first row.
    pub keys: Option<Vec<String>>,
    pub rows: Vec<Row>,
}

/// Reads a label file; `place` names it in errors.
pub(super) fn read(bytes: &[u8], place: &str) -> Result<Table, DataError> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let lines: Vec<(usize, &str)> = (1..)
        .zip(text.lines())
        .map(|(line, text)| (line, text.trim_end()))
        .filter(|(_, text)| !text.trim_start().is_empty() && !text.trim_start().starts_with('#'))
        .collect();
    if lines
        .first()
        .is_some_and(|(_, text)| text.trim_start().starts_with('{'))
    {
        return objects(&lines, place);
    }
    let everywhere = |separator: &char| lines.iter().take(LOOKED_AT).all(|(_, text)| text.contains(*separator));
    let separator = ['\t', ',', ';', '|'].into_iter().find(everywhere);
    let row = |&(line, text): &(usize, &str)| {
        let cells = match separator {
            Some(separator) => quoted(text, separator)
                .ok_or_else(|| DataError::malformed(at(place, line), "a cell in quotes does not end"))?,
            None => text.split_whitespace().map(str::to_owned).collect(),
        };
        Ok(Row { line, cells })
    };
    let rows = lines.iter().map(row).collect::<Result<_, DataError>>()?;
    Ok(Table { keys: None, rows })
}

/// The place of a line, for messages.
pub(super) fn at(place: &str, line: usize) -> String {
    format!("{place}:{line}")
}

/// Cells of a line, without the blanks around them; `None` where a quoted one does not end.
fn quoted(text: &str, separator: char) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let mut rest = text;
    loop {
        let start = rest.trim_start_matches(' ');
        let (cell, after) = if let Some(inner) = start.strip_prefix('"') {
            let mut cell = String::new();
            let mut inner = inner;
            loop {
                let (part, after) = inner.split_once('"')?;
                cell.push_str(part);
                match after.strip_prefix('"') {
                    Some(more) => {
                        cell.push('"');
                        inner = more;
                    }
                    None => break (cell, after.trim_start_matches(' ')),
                }
            }
        } else {
            let end = start.find(separator).unwrap_or(start.len());
            (start[..end].trim().to_owned(), &start[end..])
        };
        cells.push(cell);
        match after.strip_prefix(separator) {
            Some(more) => rest = more,
            None if after.is_empty() => return Some(cells),
            None => return None,
        }
    }
}

/// Rows of JSON objects: their keys are those of the first.
fn objects(lines: &[(usize, &str)], place: &str) -> Result<Table, DataError> {
    let mut keys: Option<Vec<String>> = None;
    let mut rows = Vec::with_capacity(lines.len());
    for &(line, text) in lines {
        let broken = |why: String| DataError::malformed(at(place, line), why);
        let object: serde_json::Map<String, Value> =
            serde_json::from_str(text).map_err(|error| broken(format!("not a JSON object: {error}")))?;
        let keys = keys.get_or_insert_with(|| object.keys().cloned().collect());
        let cell = |key: &String| match object.get(key) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
            // Several names in one cell.
            Some(Value::Array(items)) => Ok(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|")),
            Some(_) => Ok(String::new()),
            None => Err(broken(format!("the key `{key}` of the first line is missing"))),
        };
        let cells = keys.iter().map(cell).collect::<Result<_, _>>()?;
        rows.push(Row { line, cells });
    }
    Ok(Table { keys, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Vec<Vec<String>> {
        let table = read(text.as_bytes(), "list").expect("a table");
        table.rows.into_iter().map(|row| row.cells).collect()
    }

    #[test]
    fn separators_are_found_and_comments_left_out() {
        assert_eq!(
            cells("#Image ID\na_1 1 2\n\nb_1\t2 3\n"),
            [["a_1", "1", "2"], ["b_1", "2", "3"]]
        );
        assert_eq!(cells("\u{feff}a b,1\r\nc, 2\r\n"), [["a b", "1"], ["c", "2"]]);
        assert_eq!(cells("a\tx, y\nb\tz\n"), [["a", "x, y"], ["b", "z"]]);
        assert_eq!(cells("65\n970\n"), [["65"], ["970"]]);
        assert_eq!(cells("a;\"x;\"\"y\"\nb;\n"), [["a", "x;\"y"], ["b", ""]]);
    }

    #[test]
    fn json_lines_are_rows_by_their_keys() {
        let table = read(
            b"{\"file\": \"a.jpg\", \"label\": 3}\n{\"label\": 4, \"file\": \"b.jpg\"}\n",
            "l",
        )
        .expect("rows");
        assert_eq!(table.keys, Some(vec!["file".into(), "label".into()]));
        assert_eq!(table.rows[1].cells, ["b.jpg", "4"]);
        let refused = |text: &str| read(text.as_bytes(), "l").expect_err("refused").to_string();
        insta::assert_snapshot!(refused("{\"a\": 1}\n{\"b\": 1}\n"), @"l:2: the key `a` of the first line is missing");
        insta::assert_snapshot!(refused("a,\"b\n"), @"l:1: a cell in quotes does not end");
    }
}

//! GitHub-flavoured markdown: escaping, code, tables. Owns the rule that a name never becomes markup.

use std::fmt::{self, Display, Write};

/// Text that is markdown already. Everything else is escaped before it enters a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Markdown(String);

impl Markdown {
    /// Text written in this crate, or put together from escaped parts.
    pub(crate) fn trusted(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Escaped text.
    pub(crate) fn text(text: &str) -> Self {
        Self(escape(text))
    }

    /// Text in bold.
    pub(crate) fn bold(self) -> Self {
        if self.0.is_empty() {
            self
        } else {
            Self(format!("**{}**", self.0))
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Markdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Markdown> for minijinja::Value {
    fn from(markdown: Markdown) -> Self {
        Self::from_safe_string(markdown.0)
    }
}

/// Escapes what markdown or HTML would read as markup; line breaks become spaces.
///
/// An underscore between letters or digits opens no emphasis in GitHub's markdown and stays as it is: layer names keep
/// their looks.
pub(crate) fn escape(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let word = |index: Option<usize>| {
        index
            .and_then(|i| characters.get(i))
            .is_some_and(|c| c.is_alphanumeric())
    };
    let mut escaped = String::with_capacity(text.len());
    for (index, &character) in characters.iter().enumerate() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '[' | ']' | '~' | '$' => escaped.extend(['\\', character]),
            '_' if word(index.checked_sub(1)) && word(Some(index + 1)) => escaped.push('_'),
            '_' => escaped.push_str("\\_"),
            // Headings, lists and quotes open only at the start of a block.
            '#' | '+' | '-' | '=' if index == 0 => escaped.extend(['\\', character]),
            '\n' | '\r' | '\t' => escaped.push(' '),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text for the inside of a raw HTML element.
pub(crate) fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace(['\n', '\r'], " ")
}

/// Text in code type, whatever backticks it holds.
pub(crate) fn code(text: &str) -> Markdown {
    let line = text.replace(['\n', '\r'], " ");
    if line.trim().is_empty() {
        return Markdown::default();
    }
    let fence = "`".repeat(longest_run(&line) + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') {
        " "
    } else {
        ""
    };
    Markdown(format!("{fence}{pad}{line}{pad}{fence}"))
}

/// A block of code in the language named.
pub(crate) fn code_block(language: &str, text: &str) -> Markdown {
    let fence = "`".repeat((longest_run(text) + 1).max(3));
    Markdown(format!("{fence}{language}\n{}\n{fence}", text.trim_end()))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// How a column of a table is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table; every row has as many cells as there are columns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    columns: Vec<(Markdown, Align)>,
    rows: Vec<Vec<Markdown>>,
}

impl Table {
    /// A table of columns with their alignment, and no rows yet.
    pub(crate) fn new(columns: impl IntoIterator<Item = (Markdown, Align)>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// A table whose first column names things and whose others hold numbers; headings are trusted.
    pub(crate) fn of_numbers(headings: &[&str]) -> Self {
        let align = |index| if index == 0 { Align::Left } else { Align::Right };
        Self::new(
            headings
                .iter()
                .enumerate()
                .map(|(index, heading)| (Markdown::trusted(*heading), align(index))),
        )
    }

    /// A table of text; headings are trusted.
    pub(crate) fn of_text(headings: &[&str]) -> Self {
        Self::new(
            headings
                .iter()
                .map(|heading| (Markdown::trusted(*heading), Align::Left)),
        )
    }

    /// Adds a row; cells beyond the columns are dropped, missing ones are empty.
    pub(crate) fn push(&mut self, mut cells: Vec<Markdown>) {
        cells.resize(self.columns.len(), Markdown::default());
        self.rows.push(cells);
    }

    /// The first so many rows, and how many are left out.
    pub(crate) fn first_rows(mut self, limit: usize) -> (Self, usize) {
        let left_out = self.rows.len().saturating_sub(limit);
        self.rows.truncate(limit);
        (self, left_out)
    }

    /// Whether no row was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Leaves out the columns in which no row has anything; the first stays.
    pub(crate) fn without_empty_columns(mut self) -> Self {
        let kept: Vec<bool> = (0..self.columns.len())
            .map(|column| column == 0 || self.rows.iter().any(|row| !row[column].as_str().is_empty()))
            .collect();
        let keep = |index: usize| kept.get(index).copied().unwrap_or(false);
        self.columns = retain(self.columns, keep);
        self.rows = self.rows.into_iter().map(|row| retain(row, keep)).collect();
        self
    }

    /// The table as markdown, without a line break at its end.
    pub(crate) fn render(&self) -> Markdown {
        let mut text = line(self.columns.iter().map(|(heading, _)| heading));
        text.push_str("\n|");
        for (_, align) in &self.columns {
            text.push_str(match align {
                Align::Left => " --- |",
                Align::Right => " ---: |",
            });
        }
        for row in &self.rows {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n{}", line(row.iter()));
        }
        Markdown(text)
    }
}

fn retain<T>(items: Vec<T>, keep: impl Fn(usize) -> bool) -> Vec<T> {
    items
        .into_iter()
        .enumerate()
        .filter(|&(index, _)| keep(index))
        .map(|(_, item)| item)
        .collect()
}

/// One line of a table. A pipe ends a cell even inside code, so it is escaped here and nowhere else.
fn line<'a>(cells: impl Iterator<Item = &'a Markdown>) -> String {
    cells.fold("|".to_owned(), |line, cell| {
        line + " " + &cell.as_str().replace('|', "\\|") + " |"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_become_markup() {
        insta::assert_snapshot!(escape("<img src=x> & *bold* [link](x) `code` $x$ __init__ xif0_0"), @r#"&lt;img src=x&gt; &amp; \*bold\* \[link\](x) \`code\` \$x\$ \_\_init\_\_ xif0_0"#);
        insta::assert_snapshot!(escape("# heading\n- item"), @r#"\# heading - item"#);
    }

    #[test]
    fn code_holds_any_backticks() {
        insta::assert_snapshot!(code("plain"), @"`plain`");
        insta::assert_snapshot!(code("a `` b"), @"```a `` b```");
        insta::assert_snapshot!(code("`"), @"`` ` ``");
        insta::assert_snapshot!(code_block("sh", "echo '```'\n"), @r#"
````sh
echo '```'
````
"#);
    }

    #[test]
    fn pipes_do_not_end_cells() {
        let mut table = Table::of_numbers(&["class", "n"]);
        table.push(vec![code("a|b"), Markdown::text("1")]);
        table.push(vec![Markdown::text("c|d")]);
        insta::assert_snapshot!(table.render(), @r#"
| class | n |
| --- | ---: |
| `a\|b` | 1 |
| c\|d |  |
"#);
    }

    #[test]
    fn empty_columns_go() {
        let mut table = Table::of_numbers(&["a", "b", "c"]);
        table.push(vec![Markdown::default(), Markdown::default(), Markdown::text("1")]);
        insta::assert_snapshot!(table.without_empty_columns().render(), @r#"
| a | c |
| --- | ---: |
|  | 1 |
"#);
    }
}

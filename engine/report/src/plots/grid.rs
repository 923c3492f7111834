//! Two axes of a sweep as a grid: the colour of a cell is its accuracy, from the worst of the grid to the best, and the number says it.

use super::svg::{Anchor, Svg};
use super::{text, theme};

/// One cell.
pub(crate) struct Cell {
    /// 0..1.
    pub(crate) share: f64,
}

/// What to draw.
pub(crate) struct Grid<'a> {
    pub(crate) title: &'a str,
    pub(crate) subtitle: &'a str,
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<String>,
    /// `[row][column]`; `None` where nothing was measured.
    pub(crate) cells: Vec<Vec<Option<Cell>>>,
}

const TOP: f64 = 64.0;
const HEIGHT: f64 = 30.0;
/// Beyond this many columns cells hold no numbers.
const NUMBERED: usize = 16;
const LABEL_LIMIT: f64 = 120.0;

impl Grid<'_> {
    /// The drawing.
    pub(crate) fn svg(&self) -> String {
        let shares = || self.cells.iter().flatten().flatten().map(|cell| cell.share);
        let (low, high) = shares().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), s| (l.min(s), h.max(s)));
        let numbered = self.columns.len() <= NUMBERED;
        let fitted = |texts: &[String], limit| -> Vec<String> {
            texts
                .iter()
                .map(|label| text::fit(label, limit, theme::SMALL_SIZE))
                .collect()
        };
        let rows = fitted(&self.rows, LABEL_LIMIT);
        let left = text::widest(rows.iter().map(String::as_str), theme::SMALL_SIZE) + 52.0;
        let widest = text::widest(self.columns.iter().map(String::as_str), theme::SMALL_SIZE);
        let room = (theme::WIDTH - 24.0 - left) / self.columns.len().max(1) as f64;
        let width = if numbered {
            room.clamp(40.0, widest.clamp(64.0, 96.0))
        } else {
            room.clamp(6.0, 40.0)
        };
        let columns = fitted(&self.columns, width - 4.0);
        let bottom = TOP + HEIGHT * self.rows.len() as f64;
        let right = left + width * self.columns.len() as f64;
        let wanted =
            text::width(self.title, theme::TITLE_SIZE).max(text::width(self.subtitle, theme::TEXT_SIZE)) + 32.0;
        let mut svg = Svg::new(wanted.max(right + 24.0), bottom + 50.0, self.title);
        svg.heading(16.0, self.title, self.subtitle);
        for (row, cells) in self.cells.iter().enumerate() {
            let y = TOP + row as f64 * HEIGHT;
            svg.text(
                (left - 8.0, y + 19.0),
                Anchor::End,
                theme::SMALL_SIZE,
                theme::INK,
                &rows[row],
            );
            for (column, cell) in cells.iter().enumerate() {
                let x = left + column as f64 * width;
                let Some(Cell { share }) = cell else {
                    svg.rect(x, y, width - 1.0, HEIGHT - 1.0, "#f6f8fa");
                    continue;
                };
                let along = if high > low { (share - low) / (high - low) } else { 0.5 };
                svg.rect(x, y, width - 1.0, HEIGHT - 1.0, &colour(along));
                if numbered {
                    let ink = if along > 0.55 { theme::PAPER } else { theme::INK };
                    let number = format!("{:.2}", share * 100.0);
                    svg.text(
                        (x + width / 2.0, y + 19.0),
                        Anchor::Middle,
                        theme::SMALL_SIZE,
                        ink,
                        &number,
                    );
                }
            }
        }
        // Where columns are narrow, only as many labels as have room.
        let step = (widest / width).ceil().max(1.0) as usize;
        for (column, label) in columns.iter().enumerate().step_by(if numbered { 1 } else { step }) {
            let label = if numbered { label } else { &self.columns[column] };
            let x = left + (column as f64 + 0.5) * width;
            svg.text((x, bottom + 16.0), Anchor::Middle, theme::SMALL_SIZE, theme::INK, label);
        }
        let middle = (f64::midpoint(left, right), bottom + 38.0);
        svg.text(middle, Anchor::Middle, theme::TEXT_SIZE, theme::INK, self.x_label);
        let side = (20.0, f64::midpoint(TOP, bottom));
        svg.turned(side, -90.0, Anchor::Middle, theme::TEXT_SIZE, theme::INK, self.y_label);
        svg.finish()
    }
}

/// From near white to deep blue; equal steps of lightness, so that it reads without colour.
fn colour(along: f64) -> String {
    const ENDS: [[f64; 3]; 2] = [[232.0, 241.0, 250.0], [10.0, 58.0, 120.0]];
    let channel = |index: usize| (ENDS[0][index] + (ENDS[1][index] - ENDS[0][index]) * along).round() as u8;
    format!("#{:02x}{:02x}{:02x}", channel(0), channel(1), channel(2))
}

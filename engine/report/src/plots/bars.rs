//! Latency per variant as horizontal bars: the median, with a tick at the 99th percentile.

use super::axis::{Axis, step_of, tick_text};
use super::svg::{Anchor, Svg};
use super::{text, theme};

/// One variant.
pub(crate) struct Bar<'a> {
    pub(crate) label: &'a str,
    /// Length of the bar.
    pub(crate) value: f64,
    /// Where the tick goes.
    pub(crate) mark: f64,
    /// What stands behind the bar: `0.226 ms`.
    pub(crate) note: String,
    pub(crate) baseline: bool,
}

/// What to draw.
pub(crate) struct Bars<'a> {
    pub(crate) title: &'a str,
    pub(crate) subtitle: &'a str,
    pub(crate) x_label: &'a str,
    pub(crate) rows: Vec<Bar<'a>>,
}

const TOP: f64 = 64.0;
const ROW: f64 = 28.0;

impl Bars<'_> {
    /// The drawing.
    pub(crate) fn svg(&self) -> String {
        let labels: Vec<String> = self
            .rows
            .iter()
            .map(|bar| text::fit(bar.label, 220.0, theme::TEXT_SIZE))
            .collect();
        let left = text::widest(labels.iter().map(String::as_str), theme::TEXT_SIZE) + 28.0;
        let notes = text::widest(self.rows.iter().map(|bar| bar.note.as_str()), theme::SMALL_SIZE);
        let right = theme::WIDTH - notes - 28.0;
        let bottom = TOP + ROW * self.rows.len() as f64;
        let height = bottom + 56.0;
        let x = Axis::from_zero(self.rows.iter().flat_map(|bar| [bar.value, bar.mark]), left, right);

        let mut svg = Svg::new(theme::WIDTH, height, self.title);
        svg.heading(16.0, self.title, self.subtitle);
        let ticks = x.ticks(6);
        let step = step_of(&ticks);
        for tick in &ticks {
            let at = x.at(*tick);
            svg.line((at, TOP), (at, bottom), theme::FAINT, 0.75);
            svg.text(
                (at, bottom + 18.0),
                Anchor::Middle,
                theme::SMALL_SIZE,
                theme::MUTED,
                &tick_text(*tick, step),
            );
        }
        for (row, (bar, label)) in self.rows.iter().zip(&labels).enumerate() {
            let middle = TOP + (row as f64 + 0.5) * ROW;
            let ink = if bar.baseline { theme::BASELINE } else { theme::ACCENT };
            svg.text(
                (left - 8.0, middle + 4.0),
                Anchor::End,
                theme::TEXT_SIZE,
                theme::INK,
                label,
            );
            svg.rect(left, middle - 8.0, (x.at(bar.value) - left).max(1.0), 16.0, ink);
            let mark = x.at(bar.mark);
            svg.line((x.at(bar.value), middle), (mark, middle), theme::INK, 1.0);
            svg.line((mark, middle - 6.0), (mark, middle + 6.0), theme::INK, 1.5);
            let note = mark.max(x.at(bar.value)) + 8.0;
            svg.text(
                (note, middle + 4.0),
                Anchor::Start,
                theme::SMALL_SIZE,
                theme::MUTED,
                &bar.note,
            );
        }
        svg.text(
            (f64::midpoint(left, right), height - 12.0),
            Anchor::Middle,
            theme::TEXT_SIZE,
            theme::INK,
            self.x_label,
        );
        svg.finish()
    }
}

//! Accuracy along an axis of the recipe: points with their intervals, joined, and the baseline as a dashed line.

use super::axis::{Axis, Spread, step_of, tick_text};
use super::svg::{Anchor, Svg};
use super::theme;

/// One point of the axis.
pub(crate) struct Sample {
    pub(crate) x: f64,
    /// How the axis writes it.
    pub(crate) label: String,
    /// Share, 0..1, with its interval.
    pub(crate) y: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// What to draw.
pub(crate) struct Lines<'a> {
    pub(crate) title: &'a str,
    pub(crate) subtitle: &'a str,
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    /// In ascending order of `x`.
    pub(crate) samples: Vec<Sample>,
    /// Name and value of what the line is compared with.
    pub(crate) baseline: Option<(&'a str, f64)>,
}

const LEFT: f64 = 76.0;
const RIGHT: f64 = theme::WIDTH - 24.0;
const TOP: f64 = 68.0;
const BOTTOM: f64 = 350.0;
const HEIGHT: f64 = 408.0;

impl Lines<'_> {
    /// The drawing.
    pub(crate) fn svg(&self) -> String {
        let spread = Spread::for_values(self.samples.iter().map(|sample| sample.x));
        let x = Axis::around(self.samples.iter().map(|sample| sample.x), spread, LEFT, RIGHT);
        let ends = self.samples.iter().flat_map(|sample| [sample.low, sample.high]);
        let ends = ends.chain(self.baseline.map(|(_, value)| value));
        let y = Axis::around(ends, Spread::Linear, BOTTOM, TOP).within(0.0, 1.0);

        let mut svg = Svg::new(theme::WIDTH, HEIGHT, self.title);
        svg.heading(16.0, self.title, self.subtitle);
        let ticks = y.ticks(6);
        let step = step_of(&ticks) * 100.0;
        for tick in &ticks {
            let at = y.at(*tick);
            svg.line((LEFT, at), (RIGHT, at), theme::FAINT, 0.75);
            let label = format!("{} %", tick_text(tick * 100.0, step));
            svg.text(
                (LEFT - 8.0, at + 4.0),
                Anchor::End,
                theme::SMALL_SIZE,
                theme::MUTED,
                &label,
            );
        }
        svg.line((LEFT, BOTTOM), (RIGHT, BOTTOM), theme::MUTED, 1.0);
        // Labels of neighbours that lie close would run into each other: a label needs room after the last one.
        let mut free_from = f64::NEG_INFINITY;
        for sample in &self.samples {
            let at = x.at(sample.x);
            svg.line((at, BOTTOM), (at, BOTTOM + 5.0), theme::MUTED, 1.0);
            let half = super::text::width(&sample.label, theme::SMALL_SIZE) / 2.0;
            if at - half >= free_from {
                svg.text(
                    (at, BOTTOM + 19.0),
                    Anchor::Middle,
                    theme::SMALL_SIZE,
                    theme::MUTED,
                    &sample.label,
                );
                free_from = at + half + 6.0;
            }
        }
        if let Some((name, value)) = self.baseline {
            let at = y.at(value);
            svg.dashed((LEFT, at), (RIGHT, at), theme::BASELINE);
            // At the end where the line is farther away.
            let distance = |sample: Option<&Sample>| sample.map_or(0.0, |sample| (sample.y - value).abs());
            let (x, anchor) = if distance(self.samples.first()) > distance(self.samples.last()) {
                (LEFT + 4.0, Anchor::Start)
            } else {
                (RIGHT, Anchor::End)
            };
            let label = super::text::fit(name, 200.0, theme::SMALL_SIZE);
            svg.text((x, at - 6.0), anchor, theme::SMALL_SIZE, theme::BASELINE, &label);
        }
        let centres: Vec<(f64, f64)> = self
            .samples
            .iter()
            .map(|sample| (x.at(sample.x), y.at(sample.y)))
            .collect();
        svg.polyline(&centres, theme::ACCENT, 2.0);
        for (sample, centre) in self.samples.iter().zip(&centres) {
            let (low, high) = (y.at(sample.low), y.at(sample.high));
            svg.line((centre.0, low), (centre.0, high), theme::ACCENT, 1.0);
            for end in [low, high] {
                svg.line((centre.0 - 4.0, end), (centre.0 + 4.0, end), theme::ACCENT, 1.0);
            }
            svg.circle(*centre, 5.0, theme::ACCENT, theme::PAPER);
        }
        svg.text(
            (f64::midpoint(LEFT, RIGHT), HEIGHT - 14.0),
            Anchor::Middle,
            theme::TEXT_SIZE,
            theme::INK,
            self.x_label,
        );
        svg.turned(
            (22.0, f64::midpoint(TOP, BOTTOM)),
            -90.0,
            Anchor::Middle,
            theme::TEXT_SIZE,
            theme::INK,
            self.y_label,
        );
        svg.finish()
    }
}

//! Size against accuracy: every variant a point, those that are named with a label, and the line of those that nothing beats.

use super::axis::{Axis, Spread, step_of, tick_text};
use super::labels::{Box2, place};
use super::svg::{Anchor, Svg};
use super::theme;

/// What a point is among the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Role {
    /// Nothing is both smaller and more accurate.
    Front,
    /// Something is.
    Beaten,
}

/// One variant.
pub(crate) struct Point<'a> {
    /// `None` for a point among many.
    pub(crate) label: Option<&'a str>,
    /// Bytes.
    pub(crate) x: f64,
    /// Share, 0..1, with its interval.
    pub(crate) y: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) role: Role,
    /// Whether it is what the others are compared with.
    pub(crate) baseline: bool,
}

/// What to draw.
pub(crate) struct Scatter<'a> {
    pub(crate) title: &'a str,
    pub(crate) subtitle: &'a str,
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    pub(crate) points: Vec<Point<'a>>,
}

const FRAME: Box2 = Box2 {
    left: 76.0,
    top: 92.0,
    right: theme::WIDTH - 24.0,
    bottom: 452.0,
};
const HEIGHT: f64 = 512.0;

impl Scatter<'_> {
    /// The drawing.
    pub(crate) fn svg(&self) -> String {
        let spread = Spread::for_values(self.points.iter().map(|point| point.x));
        let x = Axis::around(self.points.iter().map(|point| point.x), spread, FRAME.left, FRAME.right);
        let ends = self.points.iter().flat_map(|point| [point.low, point.high]);
        let y = Axis::around(ends, Spread::Linear, FRAME.bottom, FRAME.top).within(0.0, 1.0);

        let mut svg = Svg::new(theme::WIDTH, HEIGHT, self.title);
        svg.heading(16.0, self.title, self.subtitle);
        key(&mut svg);
        self.grid(&mut svg, &x, &y);

        let mut front: Vec<&Point<'_>> = self.points.iter().filter(|point| point.role == Role::Front).collect();
        front.sort_by(|a, b| a.x.total_cmp(&b.x));
        // A staircase: between two sizes the best accuracy to be had is the smaller one's.
        let mut stairs = Vec::new();
        for point in &front {
            if let Some(&(_, height)) = stairs.last() {
                stairs.push((x.at(point.x), height));
            }
            stairs.push((x.at(point.x), y.at(point.y)));
        }
        svg.polyline(&stairs, "#9cc4f0", 2.0);

        let centres: Vec<(f64, f64)> = self.points.iter().map(|point| (x.at(point.x), y.at(point.y))).collect();
        let whiskers: Vec<Box2> = self
            .points
            .iter()
            .zip(&centres)
            .map(|(point, &(at, _))| Box2 {
                left: at - 4.0,
                top: y.at(point.high),
                right: at + 4.0,
                bottom: y.at(point.low),
            })
            .collect();
        for (point, whisker) in self
            .points
            .iter()
            .zip(&whiskers)
            .filter(|(point, _)| point.label.is_some())
        {
            let middle = f64::midpoint(whisker.left, whisker.right);
            let ink = ink(point);
            svg.line((middle, whisker.top), (middle, whisker.bottom), ink, 1.0);
            for end in [whisker.top, whisker.bottom] {
                svg.line((whisker.left, end), (whisker.right, end), ink, 1.0);
            }
        }
        // Named points stand above the others.
        for (point, centre) in self
            .points
            .iter()
            .zip(&centres)
            .filter(|(point, _)| point.label.is_none())
        {
            svg.circle(*centre, 3.0, theme::PAPER, ink(point));
        }
        let labels: Vec<Option<String>> = self
            .points
            .iter()
            .map(|point| Some(super::text::fit(point.label?, 200.0, theme::SMALL_SIZE)))
            .collect();
        let named = self.points.iter().map(|point| point.label.is_some());
        let mut obstacles: Vec<Box2> = whiskers
            .into_iter()
            .zip(named)
            .filter(|(_, named)| *named)
            .map(|(w, _)| w)
            .collect();
        obstacles.extend(stairs.windows(2).map(|pair| segment(pair[0], pair[1])));
        for (((point, centre), label), placed) in self
            .points
            .iter()
            .zip(&centres)
            .zip(&labels)
            .zip(place(&centres, &labels, FRAME, &obstacles))
        {
            let (Some(placed), Some(label)) = (placed, label) else {
                continue;
            };
            let area = placed.area;
            if placed.led {
                let end = (
                    centre.0.clamp(area.left, area.right),
                    centre.1.clamp(area.top, area.bottom),
                );
                svg.line(*centre, end, theme::BEATEN, 0.75);
            }
            svg.text(
                (area.left + 2.0, area.bottom - 3.5),
                Anchor::Start,
                theme::SMALL_SIZE,
                theme::INK,
                label,
            );
            let fill = if point.role == Role::Front {
                ink(point)
            } else {
                theme::PAPER
            };
            svg.circle(*centre, 5.0, fill, ink(point));
        }
        svg.finish()
    }

    fn grid(&self, svg: &mut Svg, x: &Axis, y: &Axis) {
        let ticks = y.ticks(6);
        let step = step_of(&ticks) * 100.0;
        for tick in &ticks {
            let at = y.at(*tick);
            svg.line((FRAME.left, at), (FRAME.right, at), theme::FAINT, 0.75);
            let label = format!("{} %", tick_text(tick * 100.0, step));
            svg.text(
                (FRAME.left - 8.0, at + 4.0),
                Anchor::End,
                theme::SMALL_SIZE,
                theme::MUTED,
                &label,
            );
        }
        for tick in x.ticks(6) {
            let at = x.at(tick);
            svg.line((at, FRAME.bottom), (at, FRAME.bottom + 5.0), theme::MUTED, 1.0);
            svg.text(
                (at, FRAME.bottom + 19.0),
                Anchor::Middle,
                theme::SMALL_SIZE,
                theme::MUTED,
                &short_bytes(tick),
            );
        }
        svg.line(
            (FRAME.left, FRAME.bottom),
            (FRAME.right, FRAME.bottom),
            theme::MUTED,
            1.0,
        );
        let middle = f64::midpoint(FRAME.left, FRAME.right);
        svg.text(
            (middle, HEIGHT - 14.0),
            Anchor::Middle,
            theme::TEXT_SIZE,
            theme::INK,
            self.x_label,
        );
        let centre = f64::midpoint(FRAME.top, FRAME.bottom);
        svg.turned(
            (22.0, centre),
            -90.0,
            Anchor::Middle,
            theme::TEXT_SIZE,
            theme::INK,
            self.y_label,
        );
    }
}

fn ink(point: &Point<'_>) -> &'static str {
    match (point.baseline, point.role) {
        (true, _) => theme::BASELINE,
        (false, Role::Front) => theme::ACCENT,
        (false, Role::Beaten) => theme::BEATEN,
    }
}

/// The key under the heading: what the marks mean.
fn key(svg: &mut Svg) {
    let mut x = 22.0;
    let marks = [
        (theme::ACCENT, theme::ACCENT, "not beaten in both"),
        (theme::PAPER, theme::BEATEN, "beaten in both"),
        (theme::BASELINE, theme::BASELINE, "baseline"),
    ];
    for (fill, stroke, label) in marks {
        svg.circle((x, 66.0), 4.5, fill, stroke);
        svg.text((x + 10.0, 70.0), Anchor::Start, theme::SMALL_SIZE, theme::MUTED, label);
        x += super::text::width(label, theme::SMALL_SIZE) + 34.0;
    }
}

/// A horizontal or vertical segment as a thin box.
fn segment(from: (f64, f64), to: (f64, f64)) -> Box2 {
    Box2 {
        left: from.0.min(to.0) - 1.0,
        top: from.1.min(to.1) - 1.0,
        right: from.0.max(to.0) + 1.0,
        bottom: from.1.max(to.1) + 1.0,
    }
}

/// Bytes for a tick: `80 kB`, `1.5 MB` (powers of a thousand).
fn short_bytes(bytes: f64) -> String {
    let (value, unit) = match bytes {
        b if b >= 1e9 => (b / 1e9, "GB"),
        b if b >= 1e6 => (b / 1e6, "MB"),
        b if b >= 1e3 => (b / 1e3, "kB"),
        b => (b, "B"),
    };
    let text = format!("{value:.2}");
    format!("{} {unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::short_bytes;

    #[test]
    fn bytes_are_written_short() {
        let texts = [500.0, 80_000.0, 250_000.0, 1_500_000.0, 2e9].map(short_bytes);
        assert_eq!(texts, ["500 B", "80 kB", "250 kB", "1.5 MB", "2 GB"]);
    }
}

//! Curves between 0 and 1 on both axes, one for each variant: receiver operating characteristics, precision over recall.

use super::axis::{Axis, Spread};
use super::svg::{Anchor, Svg};
use super::{text, theme};

/// What to draw.
pub(crate) struct Curves<'a> {
    pub(crate) title: &'a str,
    pub(crate) subtitle: &'a str,
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    /// Names with their points, in ascending order of `x`.
    pub(crate) lines: Vec<(&'a str, &'a [[f64; 2]])>,
}

const LEFT: f64 = 76.0;
const SIDE: f64 = 340.0;
const TOP: f64 = 68.0;
const HEIGHT: f64 = TOP + SIDE + 58.0;
/// Lines beyond these would not be told apart.
const COLOURS: [&str; 6] = ["#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#59636e"];

impl Curves<'_> {
    /// The drawing; it shows as many variants as there are colours.
    pub(crate) fn svg(&self) -> String {
        let x = Axis::around([0.0, 1.0].into_iter(), Spread::Linear, LEFT, LEFT + SIDE).within(0.0, 1.0);
        let y = Axis::around([0.0, 1.0].into_iter(), Spread::Linear, TOP + SIDE, TOP).within(0.0, 1.0);
        let mut svg = Svg::new(theme::WIDTH, HEIGHT, self.title);
        svg.heading(16.0, self.title, self.subtitle);
        for tick in (0..=5).map(|fifth| f64::from(fifth) / 5.0) {
            let label = format!("{tick:.1}");
            let (across, up) = (x.at(tick), y.at(tick));
            svg.line((LEFT, up), (LEFT + SIDE, up), theme::FAINT, 0.75);
            svg.line((across, TOP), (across, TOP + SIDE), theme::FAINT, 0.75);
            svg.text(
                (LEFT - 8.0, up + 4.0),
                Anchor::End,
                theme::SMALL_SIZE,
                theme::MUTED,
                &label,
            );
            svg.text(
                (across, TOP + SIDE + 16.0),
                Anchor::Middle,
                theme::SMALL_SIZE,
                theme::MUTED,
                &label,
            );
        }
        for (i, ((name, points), colour)) in self.lines.iter().zip(COLOURS).enumerate() {
            let line: Vec<(f64, f64)> = points.iter().map(|&[across, up]| (x.at(across), y.at(up))).collect();
            svg.polyline(&line, colour, 2.0);
            let (at, up) = (LEFT + SIDE + 24.0, TOP + 12.0 + 22.0 * i as f64);
            svg.line((at, up), (at + 22.0, up), colour, 2.0);
            let label = text::fit(name, theme::WIDTH - at - 40.0, theme::TEXT_SIZE);
            svg.text(
                (at + 30.0, up + 4.0),
                Anchor::Start,
                theme::TEXT_SIZE,
                theme::INK,
                &label,
            );
        }
        let (middle, bottom) = (LEFT + SIDE / 2.0, HEIGHT - 14.0);
        svg.text(
            (middle, bottom),
            Anchor::Middle,
            theme::TEXT_SIZE,
            theme::INK,
            self.x_label,
        );
        let side = (26.0, TOP + SIDE / 2.0);
        svg.turned(side, -90.0, Anchor::Middle, theme::TEXT_SIZE, theme::INK, self.y_label);
        svg.finish()
    }
}

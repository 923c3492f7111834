//! The confusion matrix as a heat map: rows are the true classes, columns the predicted ones.
//!
//! Colour is the share of the row, on a square-root ramp: confusions of a few percent are what one looks for, and on a
//! linear ramp they are white. Up to 12 classes cells show percent and count, up to 40 percent; up to 100 every class is
//! labelled; beyond that the axes are numbered.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::svg::{Anchor, Num, Svg};
use super::{text, theme};

/// What to draw.
pub(crate) struct Heat<'a> {
    pub(crate) title: &'a str,
    pub(crate) subtitle: &'a str,
    pub(crate) classes: &'a [String],
    /// Samples, `[true class][predicted class]`, square over `classes`.
    pub(crate) counts: &'a [Vec<u64>],
}

/// Sizes that follow from the number of classes.
struct Layout {
    cell: f64,
    label: f64,
    numbers: Numbers,
}

#[derive(PartialEq)]
enum Numbers {
    PercentAndCount,
    Percent,
    None,
}

impl Layout {
    fn of(classes: usize) -> Self {
        let (cell, label, numbers) = match classes {
            0..=4 => (64.0, 12.0, Numbers::PercentAndCount),
            5..=12 => (50.0, 12.0, Numbers::PercentAndCount),
            13..=25 => (30.0, 11.0, Numbers::Percent),
            26..=40 => (22.0, 10.0, Numbers::Percent),
            41..=60 => (14.0, 10.0, Numbers::None),
            61..=100 => (11.0, 9.0, Numbers::None),
            many => ((900.0 / many as f64).max(0.5), 10.0, Numbers::None),
        };
        Self { cell, label, numbers }
    }
}

/// Classes beyond this number are not labelled one by one.
const LABELLED: usize = 100;
/// Steps of the colour ramp; cells of one step are drawn as one path.
const STEPS: usize = 64;
/// Room for class names, in pixels.
const LABEL_LIMIT: f64 = 150.0;

impl Heat<'_> {
    /// The drawing.
    pub(crate) fn svg(&self) -> String {
        let n = self.classes.len();
        let layout = Layout::of(n);
        let side = layout.cell * n as f64;
        let labels: Vec<String> = self.labels(&layout);
        let widest = text::widest(labels.iter().map(String::as_str), layout.label);
        // Names that fit under their column stand upright.
        let upright = n <= LABELLED && widest <= layout.cell - 6.0;
        let below = if upright || n > LABELLED {
            20.0
        } else {
            widest * TURN.to_radians().sin() + 18.0
        };
        let (left, top) = ((widest + 40.0).max(56.0), 66.0);
        let wanted =
            text::width(self.title, theme::TITLE_SIZE).max(text::width(self.subtitle, theme::TEXT_SIZE)) + 32.0;
        let width = (left + side + 92.0).max(wanted);
        let height = top + side + below + 30.0;

        let mut svg = Svg::new(width, height, self.title);
        svg.heading(16.0, self.title, self.subtitle);
        self.cells(&mut svg, &layout, left, top);
        if n <= LABELLED {
            self.class_labels(&mut svg, &layout, &labels, upright, left, top);
        } else {
            number_axes(&mut svg, &layout, n, left, top);
        }
        svg.text(
            (left + side / 2.0, height - 12.0),
            Anchor::Middle,
            13.0,
            theme::INK,
            "predicted class",
        );
        svg.turned(
            (22.0, top + side / 2.0),
            -90.0,
            Anchor::Middle,
            13.0,
            theme::INK,
            "true class",
        );
        legend(&mut svg, left + side + 20.0, top, side.clamp(90.0, 240.0));
        svg.finish()
    }

    fn labels(&self, layout: &Layout) -> Vec<String> {
        if self.classes.len() > LABELLED {
            return vec![(self.classes.len() - 1).to_string()];
        }
        self.classes
            .iter()
            .map(|name| text::fit(name, LABEL_LIMIT, layout.label))
            .collect()
    }

    fn cells(&self, svg: &mut Svg, layout: &Layout, left: f64, top: f64) {
        let side = layout.cell * self.classes.len() as f64;
        let gap = if layout.cell >= 11.0 { 1.0 } else { 0.0 };
        let mut paths: BTreeMap<usize, String> = BTreeMap::new();
        let mut numbers = Vec::new();
        for (row, counts) in self.counts.iter().enumerate() {
            let support: u64 = counts.iter().sum();
            for (column, &count) in counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
                let share = count as f64 / support as f64;
                let (x, y) = (left + column as f64 * layout.cell, top + row as f64 * layout.cell);
                // At least one step away from white: one sample is visible.
                let step = ((share.sqrt() * (STEPS - 1) as f64).round() as usize).max(2);
                let extent = layout.cell - gap;
                let path = paths.entry(step).or_default();
                // Writing to a `String` cannot fail.
                let _ = write!(path, "M{} {}h{e}v{e}h-{e}z", Num(x), Num(y), e = Num(extent));
                numbers.push((x + extent / 2.0, y + extent / 2.0, share, count, step));
            }
        }
        svg.rect(left, top, side - gap, side - gap, "#f6f8fa");
        for (step, path) in &paths {
            svg.fill_path(path, &colour(*step));
        }
        for (x, y, share, count, step) in numbers {
            let ink = if step > STEPS * 5 / 8 { theme::PAPER } else { theme::INK };
            match layout.numbers {
                Numbers::PercentAndCount => {
                    let percent = if share == 1.0 {
                        "100".to_owned()
                    } else {
                        format!("{:.1}", share * 100.0)
                    };
                    svg.text((x, y + 1.0), Anchor::Middle, 12.0, ink, &percent);
                    svg.text((x, y + 14.0), Anchor::Middle, 9.0, ink, &count.to_string());
                }
                Numbers::Percent if (share * 100.0).round() >= 1.0 => {
                    let size = if layout.cell >= 30.0 { 11.0 } else { 9.0 };
                    svg.text(
                        (x, y + size * 0.36),
                        Anchor::Middle,
                        size,
                        ink,
                        &(share * 100.0).round().to_string(),
                    );
                }
                Numbers::Percent | Numbers::None => {}
            }
        }
    }

    fn class_labels(&self, svg: &mut Svg, layout: &Layout, labels: &[String], upright: bool, left: f64, top: f64) {
        let bottom = top + layout.cell * self.classes.len() as f64;
        for (index, label) in labels.iter().enumerate() {
            let middle = (index as f64 + 0.5) * layout.cell;
            svg.text(
                (left - 7.0, top + middle + layout.label * 0.36),
                Anchor::End,
                layout.label,
                theme::INK,
                label,
            );
            if upright {
                svg.text(
                    (left + middle, bottom + 16.0),
                    Anchor::Middle,
                    layout.label,
                    theme::INK,
                    label,
                );
            } else {
                let at = (left + middle + layout.label * 0.3, bottom + 10.0);
                svg.turned(at, -TURN, Anchor::End, layout.label, theme::INK, label);
            }
        }
    }
}

/// Slope of class names under narrow columns, in degrees.
const TURN: f64 = 60.0;

/// Every so many class numbers along both axes.
fn number_axes(svg: &mut Svg, layout: &Layout, classes: usize, left: f64, top: f64) {
    let bottom = top + layout.cell * classes as f64;
    let step = [20, 50, 100, 200, 500]
        .into_iter()
        .find(|step| classes / step <= 10)
        .unwrap_or(1000);
    for class in (0..classes).step_by(step) {
        let middle = (class as f64 + 0.5) * layout.cell;
        svg.text(
            (left - 7.0, top + middle + 4.0),
            Anchor::End,
            layout.label,
            theme::INK,
            &class.to_string(),
        );
        svg.text(
            (left + middle, bottom + 16.0),
            Anchor::Middle,
            layout.label,
            theme::INK,
            &class.to_string(),
        );
    }
}

/// The ramp, from 100 % at the top to 0 at the bottom, with the shares that its colours stand for.
fn legend(svg: &mut Svg, x: f64, top: f64, height: f64) {
    let slice = height / STEPS as f64;
    for step in 0..STEPS {
        let y = top + (STEPS - 1 - step) as f64 * slice;
        svg.rect(x, y, 12.0, slice + 0.5, &colour(step));
    }
    for share in [0.0, 0.05, 0.25, 0.5, 1.0_f64] {
        let y = top + height * (1.0 - share.sqrt());
        let unit = if share == 1.0 { " %" } else { "" };
        let label = format!("{:.0}{unit}", share * 100.0);
        svg.text((x + 17.0, y + 4.0), Anchor::Start, 9.0, theme::MUTED, &label);
    }
    svg.text(
        (x - 2.0, top + height + 16.0),
        Anchor::Start,
        9.0,
        theme::MUTED,
        "share of row",
    );
}

/// Colour of a step of the ramp: near white, sky, deep blue.
fn colour(step: usize) -> String {
    const STOPS: [[f64; 3]; 3] = [[246.0, 248.0, 250.0], [92.0, 162.0, 214.0], [8.0, 44.0, 104.0]];
    let along = step as f64 / (STEPS - 1) as f64 * 2.0;
    let first = (along as usize).min(1);
    let share = along - first as f64;
    let channel = |index: usize| {
        let (from, to) = (STOPS[first][index], STOPS[first + 1][index]);
        (from + (to - from) * share).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", channel(0), channel(1), channel(2))
}

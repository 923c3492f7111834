//! Writes SVG elements; owns escaping and the form of numbers.

use std::fmt::{self, Display, Write};

use super::theme;

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A coordinate with at most two decimals and no trailing zeros: short, and the same on every machine.
pub(super) struct Num(pub(super) f64);

impl Display for Num {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.2}", self.0);
        let short = text.trim_end_matches('0').trim_end_matches('.');
        f.write_str(if short == "-0" { "0" } else { short })
    }
}

/// An SVG document being written. Coordinates are pixels, `y` grows downwards.
pub(super) struct Svg {
    body: String,
    width: f64,
    height: f64,
    title: String,
}

impl Svg {
    /// An empty sheet; `title` is what a screen reader says.
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        Self {
            body: String::new(),
            width,
            height,
            title: title.to_owned(),
        }
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        self.push(format_args!(
            r#"<rect x="{}" y="{}" width="{}" height="{}" fill="{fill}"/>"#,
            Num(x),
            Num(y),
            Num(width),
            Num(height)
        ));
    }

    /// A box with rounded corners.
    pub(super) fn framed(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str, stroke: &str) {
        self.push(format_args!(
            r#"<rect x="{}" y="{}" width="{}" height="{}" rx="4" fill="{fill}" stroke="{stroke}"/>"#,
            Num(x),
            Num(y),
            Num(width),
            Num(height)
        ));
    }

    /// A curve that leaves and arrives vertically, with a point at its end.
    pub(super) fn arrow(&mut self, from: (f64, f64), to: (f64, f64), stroke: &str) {
        let middle = Num(f64::midpoint(from.1, to.1));
        let (x0, y0, x1, y1) = (Num(from.0), Num(from.1), Num(to.0), Num(to.1 - 5.0));
        self.push(format_args!(
            r#"<path d="M{x0} {y0}C{x0} {middle} {x1} {middle} {x1} {y1}" fill="none" stroke="{stroke}"/>"#
        ));
        let (left, right, tip) = (Num(to.0 - 3.5), Num(to.0 + 3.5), Num(to.1));
        self.push(format_args!(
            r#"<path d="M{left} {y1}H{right}L{x1} {tip}Z" fill="{stroke}"/>"#
        ));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: &str, width: f64) {
        self.push(format_args!(
            r#"<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{stroke}" stroke-width="{}"/>"#,
            Num(from.0),
            Num(from.1),
            Num(to.0),
            Num(to.1),
            Num(width)
        ));
    }

    pub(super) fn dashed(&mut self, from: (f64, f64), to: (f64, f64), stroke: &str) {
        self.push(format_args!(
            r#"<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{stroke}" stroke-dasharray="5 4"/>"#,
            Num(from.0),
            Num(from.1),
            Num(to.0),
            Num(to.1)
        ));
    }

    /// A path from its data; filled or stroked.
    pub(super) fn fill_path(&mut self, data: &str, fill: &str) {
        self.push(format_args!(
            r#"<path d="{data}" fill="{fill}" shape-rendering="crispEdges"/>"#
        ));
    }

    pub(super) fn polyline(&mut self, points: &[(f64, f64)], stroke: &str, width: f64) {
        let list = points
            .iter()
            .map(|&(x, y)| format!("{},{}", Num(x), Num(y)))
            .collect::<Vec<_>>()
            .join(" ");
        self.push(format_args!(
            r#"<polyline points="{list}" fill="none" stroke="{stroke}" stroke-width="{}" stroke-linejoin="round"/>"#,
            Num(width)
        ));
    }

    pub(super) fn circle(&mut self, centre: (f64, f64), radius: f64, fill: &str, stroke: &str) {
        self.push(format_args!(
            r#"<circle cx="{}" cy="{}" r="{}" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>"#,
            Num(centre.0),
            Num(centre.1),
            Num(radius)
        ));
    }

    /// Text whose baseline starts, is centred or ends at `at`.
    pub(super) fn text(&mut self, at: (f64, f64), anchor: Anchor, size: f64, fill: &str, text: &str) {
        self.push(format_args!(
            r#"<text x="{}" y="{}" font-size="{}" fill="{fill}"{}>{}</text>"#,
            Num(at.0),
            Num(at.1),
            Num(size),
            anchor_attribute(anchor),
            Escaped(text)
        ));
    }

    /// Text turned by `degrees` (clockwise) around `at`.
    pub(super) fn turned(&mut self, at: (f64, f64), degrees: f64, anchor: Anchor, size: f64, fill: &str, text: &str) {
        self.push(format_args!(
            r#"<text transform="translate({} {}) rotate({})" font-size="{}" fill="{fill}"{}>{}</text>"#,
            Num(at.0),
            Num(at.1),
            Num(degrees),
            Num(size),
            anchor_attribute(anchor),
            Escaped(text)
        ));
    }

    /// Heading and subheading at the top left, which all plots share.
    pub(super) fn heading(&mut self, x: f64, title: &str, subtitle: &str) {
        self.text((x, 26.0), Anchor::Start, theme::TITLE_SIZE, theme::INK, title);
        self.text((x, 46.0), Anchor::Start, theme::TEXT_SIZE, theme::MUTED, subtitle);
    }

    /// The whole document.
    pub(super) fn finish(self) -> String {
        let (width, height) = (Num(self.width.ceil()), Num(self.height.ceil()));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" font-family=\"'DejaVu Sans', Verdana, sans-serif\">\n<title>{}</title>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n{}</svg>\n",
            Escaped(&self.title),
            theme::PAPER,
            self.body
        )
    }

    fn push(&mut self, element: fmt::Arguments<'_>) {
        // Writing to a `String` cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }
}

fn anchor_attribute(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::Start => "",
        Anchor::Middle => r#" text-anchor="middle""#,
        Anchor::End => r#" text-anchor="end""#,
    }
}

/// Text with XML's special characters escaped, and those that XML 1.0 forbids replaced.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                // XML 1.0, production 2 (Char): these cannot be written even as references.
                '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                    f.write_char('\u{fffd}')?;
                }
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let text: Vec<String> = [1.0, 1.5, 0.333_33, -0.001, 100.0]
            .iter()
            .map(|&n| Num(n).to_string())
            .collect();
        assert_eq!(text, ["1", "1.5", "0.33", "0", "100"]);
    }

    #[test]
    fn names_cannot_leave_their_element() {
        let mut svg = Svg::new(10.0, 10.0, "</title><script>");
        svg.text((0.0, 0.0), Anchor::Start, 10.0, "#000", "a & b </text> \u{1b}");
        let text = svg.finish();
        assert!(text.contains("<title>&lt;/title&gt;&lt;script&gt;</title>"), "{text}");
        assert!(text.contains("a &amp; b &lt;/text&gt; \u{fffd}</text>"), "{text}");
    }
}

//! A network as boxes and arrows, from top to bottom.

use rust_sugiyama::configure::Config;

use super::svg::{Anchor, Svg};
use super::{text, theme};

/// A layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// What it does; decides the colour.
    pub kind: String,
    /// What stands below: name, shape, number of parameters.
    pub lines: Vec<String>,
}

/// What to draw: layers, and which one feeds which.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Heading.
    pub title: String,
    /// Second line.
    pub subtitle: String,
    /// The layers.
    pub blocks: Vec<Block>,
    /// Positions in `blocks`: from, to.
    pub edges: Vec<(usize, usize)>,
}

const LINE: f64 = 15.0;
const PAD: f64 = 8.0;
const GAP: f64 = 26.0;
const MARGIN: f64 = 24.0;
/// Room for the heading.
const TOP: f64 = 64.0;
/// Names longer than this are shortened in their middle.
const WIDEST: f64 = 260.0;

/// Fills, by the hash of the kind: light enough for text on them.
const FILLS: [&str; 8] = [
    "#ddf4ff", "#dafbe1", "#fff8c5", "#ffebe9", "#fbefff", "#ffeff7", "#e6f0f3", "#fff1e5",
];

impl Network {
    /// The drawing. Equal networks give equal bytes.
    pub fn svg(&self) -> String {
        let boxes: Vec<(f64, f64)> = self.blocks.iter().map(size).collect();
        let places = places(&boxes, &self.edges);
        let right = |i: usize| places[i].0 + boxes[i].0 / 2.0;
        let bottom = |i: usize| places[i].1 + boxes[i].1 / 2.0;
        let all = || 0..self.blocks.len();
        let heading = text::widest([self.title.as_str(), self.subtitle.as_str()], theme::TITLE_SIZE);
        let width = all().map(right).fold(heading + MARGIN, f64::max) + MARGIN;
        let height = all().map(bottom).fold(TOP, f64::max) + MARGIN;
        let mut svg = Svg::new(width, height, &self.title);
        svg.heading(MARGIN, &self.title, &self.subtitle);
        for &(from, to) in &self.edges {
            let (start, end) = (
                (places[from].0, bottom(from)),
                (places[to].0, places[to].1 - boxes[to].1 / 2.0),
            );
            svg.arrow(start, end, theme::BEATEN);
        }
        for (block, (&(x, y), &(w, h))) in self.blocks.iter().zip(places.iter().zip(&boxes)) {
            svg.framed(x - w / 2.0, y - h / 2.0, w, h, fill(&block.kind), theme::FAINT);
            let mut baseline = y - h / 2.0 + PAD + LINE * 0.75;
            svg.text((x, baseline), Anchor::Middle, theme::TEXT_SIZE, theme::INK, &block.kind);
            for line in &block.lines {
                baseline += LINE;
                let line = text::fit(line, WIDEST, theme::SMALL_SIZE);
                svg.text((x, baseline), Anchor::Middle, theme::SMALL_SIZE, theme::MUTED, &line);
            }
        }
        svg.finish()
    }

    /// A page with the drawing, to be opened in a browser.
    pub fn html(&self) -> String {
        let title = super::Escaped(&self.title);
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
             <body style=\"margin: 0\">\n{}</body>\n</html>\n",
            self.svg()
        )
    }
}

fn size(block: &Block) -> (f64, f64) {
    let lines = text::widest(block.lines.iter().map(String::as_str), theme::SMALL_SIZE).min(WIDEST);
    let width = text::width(&block.kind, theme::TEXT_SIZE).max(lines) + 2.0 * PAD;
    (width, LINE * (1.0 + block.lines.len() as f64) + 2.0 * PAD)
}

fn fill(kind: &str) -> &'static str {
    let hash = kind
        .bytes()
        .fold(0_usize, |hash, b| hash.wrapping_mul(31).wrapping_add(usize::from(b)));
    FILLS[hash % FILLS.len()]
}

/// Centres of boxes. Source: Sugiyama et al. 1981, by the crate; parts that do not touch stand side by side.
fn places(boxes: &[(f64, f64)], edges: &[(usize, usize)]) -> Vec<(f64, f64)> {
    let vertices: Vec<(u32, (f64, f64))> = boxes.iter().enumerate().map(|(i, &size)| (i as u32, size)).collect();
    let edges: Vec<(u32, u32)> = edges.iter().map(|&(from, to)| (from as u32, to as u32)).collect();
    let config = Config {
        vertex_spacing: GAP,
        ..Config::default()
    };
    let mut places = vec![(0.0, 0.0); boxes.len()];
    let mut left = MARGIN;
    for (part, _, _) in rust_sugiyama::from_vertices_and_edges(&vertices, &edges, &config) {
        let edge = |f: fn(f64, f64) -> f64, of: &dyn Fn(usize, (f64, f64)) -> f64| {
            part.iter().map(|&(i, at)| of(i, at)).reduce(f).unwrap_or(0.0)
        };
        let first = edge(f64::min, &|i, (x, _)| x - boxes[i].0 / 2.0);
        let last = edge(f64::max, &|i, (x, _)| x + boxes[i].0 / 2.0);
        let top = edge(f64::min, &|i, (_, y)| y - boxes[i].1 / 2.0);
        for &(i, (x, y)) in &part {
            places[i] = (x - first + left, y - top + TOP);
        }
        left += last - first + GAP;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        let block = |kind: &str| Block {
            kind: kind.to_owned(),
            lines: vec!["name".to_owned(), "f32[1,8,8,4]".to_owned()],
        };
        Network {
            title: "a residual".to_owned(),
            subtitle: "four layers".to_owned(),
            blocks: ["input", "conv2d", "relu", "add"].map(block).to_vec(),
            edges: vec![(0, 1), (1, 2), (2, 3), (0, 3)],
        }
    }

    #[test]
    fn boxes_do_not_overlap_and_arrows_go_down() {
        let network = network();
        let boxes: Vec<_> = network.blocks.iter().map(size).collect();
        let places = places(&boxes, &network.edges);
        for &(from, to) in &network.edges {
            assert!(
                places[from].1 + boxes[from].1 / 2.0 < places[to].1 - boxes[to].1 / 2.0,
                "{places:?}"
            );
        }
        for a in 0..boxes.len() {
            for b in 0..a {
                let apart = |p: fn(&(f64, f64)) -> f64| {
                    (p(&places[a]) - p(&places[b])).abs() >= f64::midpoint(p(&boxes[a]), p(&boxes[b]))
                };
                assert!(apart(|p| p.0) || apart(|p| p.1), "{a} lies on {b}: {places:?}");
            }
        }
    }

    #[test]
    fn equal_networks_give_equal_drawings() {
        let drawn = network().svg();
        assert_eq!(drawn, network().svg());
        assert_eq!(drawn.matches("<rect").count(), 1 + 4);
        assert!(network().html().contains(&drawn));
    }
}

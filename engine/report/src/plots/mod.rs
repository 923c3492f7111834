//! Plots as SVG text, and the same SVG as PNG.
//!
//! Own writers rather than a plotting library: a label must never be clipped or lie on another, and equal numbers must
//! give equal bytes. Each plot is a plain struct of what to show with one `svg` function; [`png`] turns any of them into
//! pixels. The plots take values, never documents.

mod axis;
mod bars;
mod curves;
mod grid;
mod heat;
mod labels;
mod lines;
mod network;
mod raster;
mod scatter;
mod svg;
mod text;

pub(crate) use bars::{Bar, Bars};
pub(crate) use curves::Curves;
pub(crate) use grid::{Cell, Grid};
pub(crate) use heat::Heat;
pub(crate) use lines::{Lines, Sample};
pub use network::{Block, Network};
pub(crate) use raster::png;
pub(crate) use scatter::{Point, Role, Scatter};
pub(crate) use svg::Escaped;

/// Colours and sizes that all plots share; they match the text colours of GitHub's light theme.
mod theme {
    pub(super) const PAPER: &str = "#ffffff";
    pub(super) const INK: &str = "#1f2328";
    pub(super) const MUTED: &str = "#59636e";
    pub(super) const FAINT: &str = "#d1d9e0";
    pub(super) const ACCENT: &str = "#0969da";
    pub(super) const BASELINE: &str = "#bc4c00";
    pub(super) const BEATEN: &str = "#8c959f";

    /// Width of a plot that stands on a line of its own.
    pub(super) const WIDTH: f64 = 760.0;
    pub(super) const TITLE_SIZE: f64 = 16.0;
    pub(super) const TEXT_SIZE: f64 = 12.0;
    pub(super) const SMALL_SIZE: f64 = 11.0;
}
